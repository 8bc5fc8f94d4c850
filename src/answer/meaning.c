/*
 * meaning.c - see meaning.h.
 *
 * Texts go through the model in batches; each shares what it begins with like the one before it, which for the questions about one
 * answer is all but a few tokens.
 */
#include "answer/meaning.h"

#include <math.h>
#include <string.h>

#include "answer/clusters.h"
#include "base/buffer.h"
#include "base/memory.h"
#include "model/config.h"
#include "model/forward.h"
#include "model/tokenizer.h"
#include "trace/run.h"

enum { LABELS = 3 };

struct meaning {
    const struct model *m;
    const struct tokenizer *tokenizer;
    const struct chat *chat;
    struct meaning_options o;
    struct forward *f;
    struct head *letters; /* A, B, C; null unless entailment */
    size_t passes;
    struct buffer text; /* scratch */
};

struct meaning_options meaning_options_default(void)
{
    return (struct meaning_options){.rotations = LABELS, .threshold = 0.9, .batch = 64};
}

static int check_options(const struct model *m, const struct meaning_options *o,
                         struct plumb_error *e)
{
    const int last = model_config(m)->n_layers - 1;
    if (o->rotations < 1 || o->rotations > LABELS)
        return error_set(e, PLUMB_INPUT, "%d rotations of the options; expected 1 to 3",
                         o->rotations);
    if (!(o->threshold >= -1 && o->threshold <= 1))
        return error_set(e, PLUMB_INPUT, "a cosine of %g as threshold; expected -1 to 1",
                         o->threshold);
    if (o->layer < 0 || o->layer > last)
        return error_set(e, PLUMB_INPUT,
                         "layer %d for the states of answers; this model has 1 to %d to take them "
                         "from",
                         o->layer, last);
    if (o->batch < 1)
        return error_set(e, PLUMB_INPUT, "%d texts a run; expected 1 or more", o->batch);
    return PLUMB_OK;
}

int meaning_open(const struct model *m, const struct chat *chat, const struct meaning_options *o,
                 struct meaning **out, struct plumb_error *e)
{
    *out = NULL;
    int status = check_options(m, o, e);
    if (status != PLUMB_OK)
        return status;
    struct meaning *x = mem_zalloc(1, sizeof *x);
    if (!x)
        return error_memory(e, "classes of meaning");
    x->m = m;
    x->chat = chat;
    x->o = *o;
    if (x->o.layer == 0) {
        const int middle = model_config(m)->n_layers / 2;
        x->o.layer = middle > 0 ? middle : 1;
    }
    const struct preset preset = {.kind = chat ? PRESET_CHAT : PRESET_CLEAN};
    int32_t ids[LABELS];
    status = model_need_tokenizer(m, &x->tokenizer, e);
    if (status == PLUMB_OK && o->by == MEANING_ENTAILMENT)
        status = trace_letter_tokens(m, &preset, LABELS, ids, e);
    if (status == PLUMB_OK && o->by == MEANING_ENTAILMENT)
        status = head_create(m, ids, LABELS, &x->letters, e);
    if (status == PLUMB_OK)
        status = forward_create(m, &x->f, e);
    if (status != PLUMB_OK) {
        meaning_close(x);
        return status;
    }
    *out = x;
    return PLUMB_OK;
}

void meaning_close(struct meaning *m)
{
    if (!m)
        return;
    head_destroy(m->letters);
    forward_destroy(m->f);
    buffer_free(&m->text);
    mem_free(m);
}

size_t meaning_passes(const struct meaning *m)
{
    return m->passes;
}

/* ---- texts through the model ------------------------------------------------------------------- */

/* Texts of one run, as items that share their beginnings. */
struct texts {
    struct token_list *ids; /* [n] */
    int *keep;              /* [n] tokens from here on are never shared */
    struct forward_item *items;
    size_t n;
};

static void texts_free(struct texts *t)
{
    for (size_t i = 0; t->ids && i < t->n; i++)
        token_list_free(&t->ids[i]);
    mem_free(t->ids);
    mem_free(t->keep);
    mem_free(t->items);
    *t = (struct texts){0};
}

static int texts_create(size_t n, struct texts *out, struct plumb_error *e)
{
    *out = (struct texts){.ids = mem_zalloc(n, sizeof *out->ids),
                          .keep = mem_zalloc(n, sizeof *out->keep),
                          .items = mem_zalloc(n, sizeof *out->items),
                          .n = n};
    if (out->ids && out->keep && out->items)
        return PLUMB_OK;
    texts_free(out);
    return error_memory(e, "texts about answers");
}

static int common(const struct token_list *a, const struct token_list *b, int most)
{
    int n = 0;
    while (n < most && (size_t)n < a->count && (size_t)n < b->count && a->ids[n] == b->ids[n])
        n++;
    return n;
}

/* Lays out texts [from, from + n): each shares with the one before it what both begin with. */
static void lay_out(const struct meaning *m, const struct texts *t, size_t from, size_t n)
{
    const int limit = config_sharing_limit(model_config(m->m));
    for (size_t i = from; i < from + n; i++) {
        const struct token_list *ids = &t->ids[i];
        int shared = 0;
        if (i > from && ids->count <= (size_t)limit && t->ids[i - 1].count <= (size_t)limit)
            shared = common(&t->ids[i - 1], ids, t->keep[i]);
        t->items[i] = (struct forward_item){.tokens = ids->ids + shared,
                                            .n_tokens = (int)ids->count - shared,
                                            .n_shared = shared,
                                            .n_wanted = 1};
    }
}

/* ---- entailment -------------------------------------------------------------------------------- */

/* Answers are the model's words: they are shown as they are, on one line. */
static void add_line(struct buffer *out, const char *label, const char *text)
{
    buffer_puts(out, label);
    for (; *text; text++)
        buffer_putc(out, *text == '\n' || *text == '\r' ? ' ' : *text);
    buffer_putc(out, '\n');
}

/* The options come first: then most of a text is what the one before it begins with. */
static void entailment_text(const struct free_question *q, const char *first, const char *second,
                            int rotation, struct buffer *out)
{
    static const char *const labels[LABELS] = {"Yes: it says the same, or less (entailment)",
                                               "Perhaps: it may be true or not (neutral)",
                                               "No: both cannot be true (contradiction)"};
    buffer_clear(out);
    buffer_puts(out, "Two answers to a question are compared. If the first answer is true, is the "
                     "second one true as well?\n");
    for (int k = 0; k < LABELS; k++)
        buffer_printf(out, "%c. %s\n", 'A' + k, labels[(k + rotation) % LABELS]);
    add_line(out, "\nQuestion: ", q->text);
    add_line(out, "First: ", first);
    add_line(out, "Second: ", second);
}

/* m->text as a user's message or as plain text, up to "Answer:". */
static int entailment_encode(struct meaning *m, struct token_list *out, struct plumb_error *e)
{
    static const char cue[] = "Answer:";
    struct jinja_output rendered = {0};
    if (!m->chat)
        buffer_puts(&m->text, cue);
    if (m->text.failed)
        return error_memory(e, "a text about answers");
    const char *text = buffer_string(&m->text);
    if (!m->chat)
        return tokenizer_encode(m->tokenizer, text, m->text.size,
                                (struct tokenizer_options){.add_special = true}, out, e);
    const struct chat_message message = {"user", text, m->text.size};
    const struct chat_options how = {.add_generation_prompt = true, .no_thinking = true};
    int status = chat_render(m->chat, &message, 1, how, &rendered, e);
    if (status == PLUMB_OK)
        status = chat_continue(&rendered, cue, e);
    if (status == PLUMB_OK)
        status = chat_encode(m->tokenizer, &rendered, out, e);
    jinja_output_free(&rendered);
    return status;
}

/* Text i of the rotations x 2 n: rotation by rotation, there and back, second answer by second answer. */
static int make_text(struct meaning *m, const struct free_question *q, const char *first,
                     const char *const *second, size_t n, struct texts *t, size_t i,
                     struct plumb_error *e)
{
    const bool back = i % (2 * n) >= n;
    const char *other = second[i % n];
    entailment_text(q, back ? other : first, back ? first : other, (int)(i / (2 * n)), &m->text);
    int status = entailment_encode(m, &t->ids[i], e);
    t->keep[i] = (int)t->ids[i].count - 1;
    return status;
}

/* Adds the log-probabilities of the three labels, by their letters' logits z [LABELS] at a rotation. */
static void add_labels(const float *z, int rotation, double *to)
{
    double largest = -INFINITY, sum = 0;
    for (int k = 0; k < LABELS; k++)
        largest = (double)z[k] > largest ? (double)z[k] : largest;
    for (int k = 0; k < LABELS; k++)
        sum += exp((double)z[k] - largest);
    // cppcheck-suppress invalidFunctionArg ; the largest term is exp(0), so the sum is at least 1
    const double normaliser = largest + log(sum);
    for (int k = 0; k < LABELS; k++)
        to[(k + rotation) % LABELS] += (double)z[k] - normaliser;
}

/* score [pairs]: there and back of every second answer. */
static int run_texts(struct meaning *m, const struct texts *t, double (*score)[LABELS],
                     size_t pairs, struct plumb_error *e)
{
    const size_t d = (size_t)model_config(m->m)->hidden, batch = (size_t)m->o.batch;
    float *final = mem_array(batch * d, sizeof *final), *z = mem_array(batch * LABELS, sizeof *z);
    int status = final && z ? PLUMB_OK : error_memory(e, "texts about answers");
    for (size_t from = 0; from < t->n && status == PLUMB_OK; from += batch) {
        const size_t n = t->n - from < batch ? t->n - from : batch;
        lay_out(m, t, from, n);
        status = forward_run(m->f, t->items + from, n, NULL, NULL, final, e);
        if (status == PLUMB_OK)
            status = head_apply(m->f, m->letters, final, n, z, e);
        for (size_t i = 0; i < n && status == PLUMB_OK; i++)
            add_labels(z + i * LABELS, (int)((from + i) / pairs), score[(from + i) % pairs]);
        m->passes += n;
    }
    mem_free(final);
    mem_free(z);
    return status;
}

static enum entailment most_likely(const double *score)
{
    int best = 0;
    for (int k = 1; k < LABELS; k++)
        if (score[k] > score[best])
            best = k;
    return (enum entailment)best;
}

int meaning_judge(struct meaning *m, const struct free_question *q, const char *first,
                  const char *const *second, size_t n, enum entailment *there,
                  enum entailment *back, struct plumb_error *e)
{
    struct texts t;
    double(*score)[LABELS] = mem_zalloc(2 * n, sizeof *score);
    int status =
        score ? texts_create(2 * n * (size_t)m->o.rotations, &t, e) : error_memory(e, "judgements");
    if (status != PLUMB_OK) {
        mem_free(score);
        return status;
    }
    for (size_t i = 0; i < t.n && status == PLUMB_OK; i++)
        status = make_text(m, q, first, second, n, &t, i, e);
    if (status == PLUMB_OK)
        status = run_texts(m, &t, score, 2 * n, e);
    for (size_t i = 0; i < n && status == PLUMB_OK; i++) {
        there[i] = most_likely(score[i]);
        back[i] = most_likely(score[n + i]);
    }
    texts_free(&t);
    mem_free(score);
    return status;
}

bool meaning_equivalent(enum entailment there, enum entailment back, bool strict)
{
    if (strict)
        return there == ENTAILMENT && back == ENTAILMENT;
    return there != CONTRADICTION && back != CONTRADICTION &&
           !(there == NEUTRAL && back == NEUTRAL);
}

/* ---- embedding --------------------------------------------------------------------------------- */

/* Adds up the rows of answers' tokens at one layer. */
struct gatherer {
    int layer;
    size_t d;
    const int *from; /* [items] position of the answer's first token */
    double *sum;     /* [items, D] */
    size_t *rows;    /* [items] */
};

static void gather(void *user, int layer, float *x, size_t n_rows, const int32_t *item,
                   const int32_t *position)
{
    const struct gatherer *g = user;
    if (layer != g->layer)
        return;
    for (size_t r = 0; r < n_rows; r++) {
        if (position[r] < g->from[item[r]])
            continue;
        double *to = g->sum + (size_t)item[r] * g->d;
        for (size_t j = 0; j < g->d; j++)
            to[j] += (double)x[r * g->d + j];
        g->rows[item[r]]++;
    }
}

static int encode_answer(struct meaning *m, const struct free_question *q, const char *answer,
                         struct token_list *out, int *from, struct plumb_error *e)
{
    const struct tokenizer_options how = {.add_special = true};
    struct token_list question = {0};
    buffer_clear(&m->text);
    buffer_printf(&m->text, "Question: %s\nAnswer:", q->text);
    const size_t size = m->text.size;
    buffer_printf(&m->text, " %s", answer);
    if (m->text.failed)
        return error_memory(e, "a text about answers");
    int status = tokenizer_encode(m->tokenizer, m->text.data, size, how, &question, e);
    if (status == PLUMB_OK)
        status = tokenizer_encode(m->tokenizer, m->text.data, m->text.size, how, out, e);
    *from = (int)(question.count < out->count ? question.count : out->count - 1);
    token_list_free(&question);
    return status;
}

/* The states of up to m->o.batch answers, from `first` on. */
static int run_states(struct meaning *m, const struct texts *t, size_t first, size_t n,
                      float *states, struct plumb_error *e)
{
    const size_t d = (size_t)model_config(m->m)->hidden;
    struct gatherer g = {.layer = m->o.layer,
                         .d = d,
                         .from = t->keep + first,
                         .sum = mem_zalloc(n * d, sizeof *g.sum),
                         .rows = mem_zalloc(n, sizeof *g.rows)};
    const struct forward_hook hook = {.call = gather, .user = &g};
    float *final = mem_array(n * d, sizeof *final); /* a run gives rows */
    int status = g.sum && g.rows && final ? PLUMB_OK : error_memory(e, "the states of answers");
    if (status == PLUMB_OK) {
        lay_out(m, t, first, n);
        status = forward_run(m->f, t->items + first, n, &hook, NULL, final, e);
        m->passes += n;
    }
    for (size_t i = 0; i < n && status == PLUMB_OK; i++)
        for (size_t j = 0; j < d; j++)
            states[(first + i) * d + j] = (float)(g.sum[i * d + j] / (double)g.rows[i]);
    mem_free(g.sum);
    mem_free(g.rows);
    mem_free(final);
    return status;
}

int meaning_states(struct meaning *m, const struct free_question *q, const char *const *text,
                   size_t n, float *states, struct plumb_error *e)
{
    struct texts t;
    const size_t batch = (size_t)m->o.batch;
    int status = texts_create(n, &t, e);
    if (status != PLUMB_OK)
        return status;
    for (size_t i = 0; i < n && status == PLUMB_OK; i++)
        status = encode_answer(m, q, text[i], &t.ids[i], &t.keep[i], e);
    for (size_t i = 0; i < n && status == PLUMB_OK; i += batch)
        status = run_states(m, &t, i, n - i < batch ? n - i : batch, states, e);
    texts_free(&t);
    return status;
}

double meaning_cosine(const float *a, const float *b, size_t d)
{
    double ab = 0, aa = 0, bb = 0;
    for (size_t i = 0; i < d; i++) {
        ab += (double)a[i] * (double)b[i];
        aa += (double)a[i] * (double)a[i];
        bb += (double)b[i] * (double)b[i];
    }
    return aa > 0 && bb > 0 ? ab / sqrt(aa * bb) : 0;
}

/* ---- classes ----------------------------------------------------------------------------------- */

struct question_answers {
    struct meaning *m;
    const struct free_question *q;
    const char *const *text;
    const float *states; /* [n, D] or null */
};

static int ask_entailment(void *user, size_t opener, const size_t *others, size_t n, bool *same,
                          struct plumb_error *e)
{
    const struct question_answers *a = user;
    const char **second = mem_array(n, sizeof *second);
    enum entailment *there = mem_array(n, sizeof *there), *back = mem_array(n, sizeof *back);
    int status = second && there && back ? PLUMB_OK : error_memory(e, "judgements");
    for (size_t i = 0; i < n && status == PLUMB_OK; i++)
        second[i] = a->text[others[i]];
    if (status == PLUMB_OK)
        status = meaning_judge(a->m, a->q, a->text[opener], second, n, there, back, e);
    for (size_t i = 0; i < n && status == PLUMB_OK; i++)
        same[i] = meaning_equivalent(there[i], back[i], a->m->o.strict);
    mem_free(second);
    mem_free(there);
    mem_free(back);
    return status;
}

static int ask_states(void *user, size_t opener, const size_t *others, size_t n, bool *same,
                      struct plumb_error *e)
{
    const struct question_answers *a = user;
    const size_t d = (size_t)model_config(a->m->m)->hidden;
    (void)e;
    for (size_t i = 0; i < n; i++)
        same[i] = meaning_cosine(a->states + opener * d, a->states + others[i] * d, d) >=
                  a->m->o.threshold;
    return PLUMB_OK;
}

static int ask_nothing(void *user, size_t opener, const size_t *others, size_t n, bool *same,
                       struct plumb_error *e)
{
    (void)user;
    (void)opener;
    (void)others;
    (void)e;
    memset(same, 0, n * sizeof *same);
    return PLUMB_OK;
}

int meaning_classes(struct meaning *m, const struct free_question *q, const char *const *text,
                    size_t n, int *cluster, int *n_clusters, struct plumb_error *e)
{
    struct question_answers a = {.m = m, .q = q, .text = text};
    struct equivalence by = {ask_nothing, &a};
    float *states = NULL;
    int status = PLUMB_OK;
    if (m->o.by == MEANING_ENTAILMENT) {
        by.ask = ask_entailment;
    } else if (m->o.by == MEANING_EMBEDDING && n > 1) {
        by.ask = ask_states;
        a.states = states = mem_array(n * (size_t)model_config(m->m)->hidden, sizeof *states);
        status = states ? meaning_states(m, q, text, n, states, e)
                        : error_memory(e, "the states of answers");
    }
    memset(cluster, 0, n * sizeof *cluster);
    if (status == PLUMB_OK)
        status = clusters_greedy(n, &by, cluster, n_clusters, e);
    mem_free(states);
    return status;
}
