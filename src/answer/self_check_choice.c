/*
 * self_check_choice.c - see self_check_choice.h.
 */
#include "answer/self_check_choice.h"

#include <math.h>
#include <string.h>

#include "base/buffer.h"
#include "base/memory.h"

/* ---- the tokens of a word ---------------------------------------------------------------------- */

int choice_word_tokens(const struct tokenizer *t, const char *word, struct token_list *out,
                       struct plumb_error *e)
{
    const int32_t size = tokenizer_size(t);
    struct buffer piece = BUFFER_EMPTY;
    int status = PLUMB_OK;
    for (int32_t id = 0; id < size && status == PLUMB_OK; id++) {
        if (tokenizer_is_special(t, id))
            continue;
        buffer_clear(&piece);
        tokenizer_piece(t, id, &piece);
        const char *s = buffer_string(&piece);
        if (piece.size > 0 && strcmp(s + strspn(s, " "), word) == 0 &&
            token_list_add(out, id) != PLUMB_OK)
            status = error_memory(e, "the tokens of a word");
    }
    if (piece.failed && status == PLUMB_OK)
        status = error_memory(e, "the tokens of a word");
    buffer_free(&piece);
    return status;
}

/* The token with which a word that is several tokens begins, where it follows a cue. */
static int first_token(const struct tokenizer *t, const char *word, struct token_list *out,
                       struct plumb_error *e)
{
    static const char cue[] = "Answer:";
    struct buffer text = BUFFER_EMPTY;
    struct token_list before = {0}, after = {0};
    buffer_printf(&text, "%s %s", cue, word);
    int status = text.failed ? error_memory(e, "the tokens of a word") : PLUMB_OK;
    const struct tokenizer_options plain = {0};
    if (status == PLUMB_OK)
        status = tokenizer_encode(t, cue, sizeof cue - 1, plain, &before, e);
    if (status == PLUMB_OK)
        status = tokenizer_encode(t, text.data, text.size, plain, &after, e);
    if (status == PLUMB_OK && after.count > before.count &&
        token_list_add(out, after.ids[before.count]) != PLUMB_OK)
        status = error_memory(e, "the tokens of a word");
    token_list_free(&before);
    token_list_free(&after);
    buffer_free(&text);
    return status;
}

static int add_word(const struct tokenizer *t, const char *word, struct token_list *out,
                    struct plumb_error *e)
{
    const size_t before = out->count;
    const int status = choice_word_tokens(t, word, out, e);
    return status == PLUMB_OK && out->count == before ? first_token(t, word, out, e) : status;
}

int choice_open(const struct model *m, const char *first, const char *second, struct choice *out,
                struct plumb_error *e)
{
    const struct tokenizer *t;
    *out = (struct choice){0};
    int status = model_need_tokenizer(m, &t, e);
    if (status == PLUMB_OK)
        status = add_word(t, first, &out->ids, e);
    out->first = out->ids.count;
    if (status == PLUMB_OK)
        status = add_word(t, second, &out->ids, e);
    bool apart = out->first > 0 && out->ids.count > out->first;
    for (size_t i = 0; i < out->first; i++)
        for (size_t j = out->first; j < out->ids.count; j++)
            apart = apart && out->ids.ids[i] != out->ids.ids[j];
    if (status == PLUMB_OK && !apart)
        status = error_set(e, PLUMB_INPUT,
                           "%s: \"%s\" and \"%s\" do not begin with tokens of their own in its "
                           "vocabulary, so neither's probability can be read from one position: "
                           "ask for other sources",
                           model_path(m), first, second);
    return status == PLUMB_OK ? head_create(m, out->ids.ids, (int)out->ids.count, &out->head, e)
                              : status;
}

void choice_close(struct choice *c)
{
    token_list_free(&c->ids);
    head_destroy(c->head);
    *c = (struct choice){0};
}

/* ---- reading ------------------------------------------------------------------------------------ */

/* log sum exp of n >= 1 logits, less the normaliser of the full vocabulary: the log of their probability. */
static double log_mass(const float *z, size_t n, double normaliser)
{
    double largest = (double)z[0];
    for (size_t i = 1; i < n; i++)
        largest = (double)z[i] > largest ? (double)z[i] : largest;
    double sum = exp((double)z[0] - largest);
    for (size_t i = 1; i < n; i++)
        sum += exp((double)z[i] - largest);
    return largest + log(sum) - normaliser;
}

int choice_read(struct forward *f, const struct choice *c, const float *residual, size_t n,
                double *log_first, double *log_second, struct plumb_error *e)
{
    const size_t k = c->ids.count;
    float *z = mem_array(n * k, sizeof *z), *normaliser = mem_array(n, sizeof *normaliser);
    int status = z && normaliser ? head_apply(f, c->head, residual, n, z, e)
                                 : error_memory(e, "the logits of two words");
    if (status == PLUMB_OK)
        status = head_summary(f, residual, n, normaliser, NULL, e);
    for (size_t i = 0; i < n && status == PLUMB_OK; i++) {
        const double all = (double)normaliser[i];
        log_first[i] = log_mass(z + i * k, c->first, all);
        log_second[i] = log_mass(z + i * k + c->first, k - c->first, all);
        if (!isfinite(log_first[i]) || !isfinite(log_second[i]))
            status = error_set(e, PLUMB_INPUT,
                               "the model's logits are no numbers: its weights overflow in this "
                               "precision, or the file is damaged");
    }
    mem_free(z);
    mem_free(normaliser);
    return status;
}

double choice_share(double log_first, double log_second)
{
    return 1 / (1 + exp(log_second - log_first));
}
