/*
 * perplexity.c - perplexity of a text by three ways of windowing.
 *
 * Sources: gptq: the evaluation of GPTQ (arXiv 2210.17323), wikitext in windows of 2048 tokens; its
 * mean over windows of equal size is the mean over tokens taken here. llama.cpp: tools/perplexity,
 * function perplexity(), which scores n_ctx - n_ctx/2 - 1 tokens a window. strided: the guide
 * "Perplexity of fixed-length models" of Hugging Face transformers. Knows nothing of files.
 */
#include "model/perplexity.h"

#include <math.h>
#include <stdio.h>

#include "base/memory.h"
#include "model/config.h"
#include "model/forward.h"
#include "model/tokenizer.h"

enum { ROWS_AT_A_TIME = 2048, GPTQ_CONTEXT = 2048, LLAMA_CPP_CONTEXT = 512 };

/* Tokens [begin, end) of the text; those from `first` on are scored. */
struct window {
    size_t begin, first, end;
};

struct measurement {
    const struct model *m;
    const struct perplexity_options *o;
    struct perplexity *out;
    struct forward *f;
    struct token_list ids;
    int32_t bos; /* -1: windows are left as they are */
    double sum, squares;
    struct buffer piece;
    struct plumb_error *e;
};

const char *perplexity_protocol_name(enum perplexity_protocol p)
{
    static const char *const names[] = {"gptq", "llama.cpp", "strided"};
    return names[p];
}

void perplexity_definition(enum perplexity_protocol p, const struct perplexity *r,
                           struct buffer *out)
{
    if (p == PERPLEXITY_GPTQ)
        buffer_printf(out,
                      "windows of %d tokens that do not overlap; every token of a window but its "
                      "first is scored; a last window that is not full is left out",
                      r->context);
    else if (p == PERPLEXITY_LLAMA_CPP)
        buffer_printf(out,
                      "windows of %d tokens that do not overlap; of each, tokens %d to %d (counted "
                      "from 0) are scored; a last window that is not full is left out",
                      r->context, r->context / 2 + 1, r->context - 1);
    else
        buffer_printf(out,
                      "windows of %d tokens, a new one every %d; each scores the tokens that no "
                      "earlier one has scored, all of the text but its first token",
                      r->context, r->stride);
    if (r->bos_each)
        buffer_puts(out, "; the first token of every window is the model's beginning token");
    buffer_puts(out, "; perplexity = exp(-mean log p) over the scored tokens");
}

/* ---- windows ---------------------------------------------------------------------------------- */

static struct window window_at(const struct measurement *s, size_t i)
{
    const size_t context = (size_t)s->out->context, stride = (size_t)s->out->stride;
    struct window w = {.begin = i * stride, .end = i * stride + context};
    if (w.end > s->ids.count)
        w.end = s->ids.count;
    w.first = w.begin + 1;
    if (s->o->protocol == PERPLEXITY_LLAMA_CPP)
        w.first = w.begin + context / 2 + 1;
    else if (s->o->protocol == PERPLEXITY_STRIDED && i > 0)
        w.first = w.begin + context - stride; /* where the window before ended */
    return w;
}

static int set_windows(struct measurement *s)
{
    struct perplexity *out = s->out;
    const struct perplexity_options *o = s->o;
    const int most = model_config(s->m)->context;
    const int usual = o->protocol == PERPLEXITY_LLAMA_CPP ? LLAMA_CPP_CONTEXT : GPTQ_CONTEXT;
    const int least = o->protocol == PERPLEXITY_LLAMA_CPP ? 4 : 2;
    out->context = o->context ? o->context : usual < most ? usual : most;
    if (out->context < least || out->context > most)
        return error_set(s->e, PLUMB_INPUT,
                         "a context of %d tokens: expected %d to %d, the model's", out->context,
                         least, most);
    out->stride = out->context;
    if (o->protocol == PERPLEXITY_STRIDED)
        out->stride = o->stride ? o->stride : (out->context + 1) / 2;
    else if (o->stride)
        return error_set(s->e, PLUMB_INPUT,
                         "a stride belongs to the strided protocol; windows of %s do not overlap",
                         perplexity_protocol_name(o->protocol));
    if (out->stride < 1 || out->stride > out->context)
        return error_set(s->e, PLUMB_INPUT, "a stride of %d tokens: expected 1 to %d, the context",
                         out->stride, out->context);
    const size_t context = (size_t)out->context, stride = (size_t)out->stride;
    out->tokens = s->ids.count;
    if (o->protocol != PERPLEXITY_STRIDED)
        out->windows = out->tokens / context;
    else if (out->tokens >= 2)
        out->windows =
            out->tokens <= context ? 1 : 1 + (out->tokens - context + stride - 1) / stride;
    if (out->windows == 0)
        return error_set(s->e, PLUMB_INPUT,
                         "the text has %zu tokens, too few for one window of %zu: give a longer "
                         "text, or a smaller context",
                         out->tokens, o->protocol == PERPLEXITY_STRIDED ? (size_t)2 : context);
    return PLUMB_OK;
}

/* ---- scoring ---------------------------------------------------------------------------------- */

static void count_token(struct measurement *s, const struct perplexity_token *t)
{
    buffer_clear(&s->piece);
    tokenizer_piece(model_tokenizer(s->m), t->id, &s->piece);
    s->out->scored_bytes += s->piece.size;
    s->out->scored++;
    s->out->first_choices += t->id == t->best;
    s->sum -= t->log_prob;
    s->squares += t->log_prob * t->log_prob;
    if (s->o->token)
        s->o->token(s->o->user, t);
}

/* Windows [first, first + n) as one batch. */
static int score_windows(struct measurement *s, size_t first, size_t n)
{
    const size_t d = (size_t)model_config(s->m)->hidden, context = (size_t)s->out->context;
    size_t rows = 0, row = 0;
    for (size_t i = first; i < first + n; i++)
        rows += window_at(s, i).end - window_at(s, i).first;
    struct forward_item *items = mem_array(n, sizeof *items);
    int32_t *tokens = mem_array(n * context, sizeof *tokens);
    int32_t *targets = mem_array(rows, sizeof *targets), *best = mem_array(rows, sizeof *best);
    double *log_prob = mem_array(rows, sizeof *log_prob);
    float *final = mem_array(rows * d, sizeof *final);
    int status = items && tokens && targets && best && log_prob && final
                     ? PLUMB_OK
                     : error_memory(s->e, "a batch of windows");
    for (size_t i = 0; i < n && status == PLUMB_OK; i++) {
        const struct window w = window_at(s, first + i);
        int32_t *own = tokens + i * context;
        for (size_t j = w.begin; j < w.end; j++)
            own[j - w.begin] = s->ids.ids[j];
        if (s->bos >= 0)
            own[0] = s->bos;
        for (size_t j = w.first; j < w.end; j++)
            targets[row++] = s->ids.ids[j];
        /* The window's last token predicts nothing that is scored. */
        items[i] = (struct forward_item){.tokens = own,
                                         .n_tokens = (int)(w.end - w.begin - 1),
                                         .n_wanted = (int)(w.end - w.first)};
    }
    if (status == PLUMB_OK)
        status = forward_run(s->f, items, n, NULL, NULL, final, s->e);
    if (status == PLUMB_OK)
        status = head_targets(s->f, final, rows, targets, log_prob, best, s->e);
    row = 0;
    for (size_t i = first; i < first + n && status == PLUMB_OK; i++)
        for (size_t j = window_at(s, i).first; j < window_at(s, i).end; j++, row++)
            count_token(s, &(struct perplexity_token){j, targets[row], best[row], log_prob[row]});
    mem_free(items);
    mem_free(tokens);
    mem_free(targets);
    mem_free(best);
    mem_free(log_prob);
    mem_free(final);
    return status;
}

static int score_text(struct measurement *s)
{
    const size_t context = (size_t)s->out->context;
    const size_t at_a_time = context < ROWS_AT_A_TIME ? ROWS_AT_A_TIME / context : 1;
    int status = PLUMB_OK;
    for (size_t i = 0, n; i < s->out->windows && status == PLUMB_OK; i += n) {
        n = s->out->windows - i < at_a_time ? s->out->windows - i : at_a_time;
        status = score_windows(s, i, n);
        char note[48];
        snprintf(note, sizeof note, "perplexity %.4f", exp(s->sum / (double)s->out->scored));
        if (status == PLUMB_OK &&
            !progress_report(s->o->progress, i + n, s->out->windows, "windows", note) &&
            i + n < s->out->windows)
            status = error_set(s->e, PLUMB_NO, "stopped after %zu of %zu windows", i + n,
                               s->out->windows);
    }
    return status;
}

static void finish(struct measurement *s)
{
    struct perplexity *out = s->out;
    const double n = (double)out->scored;
    out->nll = s->sum / n;
    out->perplexity = exp(out->nll);
    const double variance = n > 1 ? (s->squares - s->sum * out->nll) / (n - 1) : 0;
    out->standard_error = out->perplexity * sqrt((variance > 0 ? variance : 0) / n);
    out->bits_per_byte = s->sum / log(2) / (double)out->scored_bytes;
}

int perplexity_measure(const struct model *m, const char *text, size_t n,
                       const struct perplexity_options *o, struct perplexity *out,
                       struct plumb_error *e)
{
    const struct tokenizer *tokenizer;
    struct measurement s = {.m = m, .o = o, .out = out, .bos = -1, .e = e};
    *out = (struct perplexity){0};
    int status = model_need_tokenizer(m, &tokenizer, e);
    if (status == PLUMB_OK)
        status = tokenizer_encode(tokenizer, text, n,
                                  (struct tokenizer_options){.add_special = true}, &s.ids, e);
    if (status == PLUMB_OK && o->limit && o->limit < s.ids.count)
        s.ids.count = o->limit;
    if (status == PLUMB_OK)
        status = set_windows(&s);
    if (tokenizer && (o->bos_each || o->protocol == PERPLEXITY_LLAMA_CPP))
        s.bos = tokenizer_bos(tokenizer);
    out->bos_each = s.bos >= 0;
    if (status == PLUMB_OK)
        status = forward_create(m, &s.f, e);
    if (status == PLUMB_OK)
        status = score_text(&s);
    if (status == PLUMB_OK)
        finish(&s);
    forward_destroy(s.f);
    token_list_free(&s.ids);
    buffer_free(&s.piece);
    return status;
}
