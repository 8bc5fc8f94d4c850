/*
 * steer_run.c - see steer_run.h. A part of the questions is as large as its keys and values fit into a fixed room.
 */
#include "layers/steer_run.h"

#include <math.h>
#include <string.h>

#include "base/memory.h"
#include "model/config.h"
#include "model/forward.h"
#include "task/option_order.h"
#include "trace/prompt.h"
#include "trace/run.h"

enum {
    CACHE_BYTES = 256 << 20, /* keys and values of the questions in hand */
    MOST_QUESTIONS = 256,    /* in hand; so that their states stay small */
    SHORTEST_SHARED = 8      /* tokens that are worth a prefix */
};

struct steer_questions {
    const struct model *m;
    size_t n;
    int k, permutation;
    struct token_list *prompts; /* [n] */
    int32_t *options, *group;   /* [n] */
    struct head *letters;
};

/* ---- The questions ---------------------------------------------------------------------------- */

static int make_prompts(struct steer_questions *q, const struct question_set *set,
                        const struct preset *preset, const size_t *rows, struct plumb_error *e)
{
    struct prompt_maker maker = {0};
    struct buffer header = BUFFER_EMPTY, text = BUFFER_EMPTY;
    int group = -1;
    int status = prompt_maker_open(q->m, preset, q->permutation, &maker, e);
    for (size_t i = 0; i < q->n && status == PLUMB_OK; i++) {
        const struct question *question = &set->items[rows[i]];
        q->options[i] = question->n_options;
        q->group[i] = question->group;
        if (question->group != group) {
            group = question->group;
            buffer_clear(&header);
            status = preset_header(preset, set->groups[group], &header, e);
        }
        if (status == PLUMB_OK)
            status = prompt_make(&maker, &header, question, &text, &q->prompts[i], e);
    }
    buffer_free(&header);
    buffer_free(&text);
    prompt_maker_close(&maker);
    return status;
}

int steer_questions_create(const struct model *m, const struct question_set *set,
                           const struct preset *preset, int permutation, const size_t *rows,
                           size_t n, struct steer_questions **out, struct plumb_error *e)
{
    int32_t letters[QUESTION_MAX_OPTIONS];
    struct steer_questions *q = mem_zalloc(1, sizeof *q);
    *out = NULL;
    if (!q)
        return error_memory(e, "the questions");
    *q = (struct steer_questions){.m = m,
                                  .n = n,
                                  .permutation = permutation,
                                  .prompts = mem_zalloc(n, sizeof *q->prompts),
                                  .options = mem_array(n, sizeof *q->options),
                                  .group = mem_array(n, sizeof *q->group)};
    for (size_t i = 0; i < set->count; i++)
        q->k = set->items[i].n_options > q->k ? set->items[i].n_options : q->k;
    int status = q->prompts && q->options && q->group ? PLUMB_OK : error_memory(e, "the questions");
    if (status == PLUMB_OK)
        status = trace_letter_tokens(m, preset, q->k, letters, e);
    if (status == PLUMB_OK)
        status = head_create(m, letters, q->k, &q->letters, e);
    if (status == PLUMB_OK)
        status = make_prompts(q, set, preset, rows, e);
    if (status == PLUMB_OK)
        *out = q;
    else
        steer_questions_destroy(q);
    return status;
}

void steer_questions_destroy(struct steer_questions *q)
{
    if (!q)
        return;
    for (size_t i = 0; q->prompts && i < q->n; i++)
        token_list_free(&q->prompts[i]);
    mem_free(q->prompts);
    mem_free(q->options);
    mem_free(q->group);
    head_destroy(q->letters);
    mem_free(q);
}

size_t steer_questions_count(const struct steer_questions *q)
{
    return q->n;
}

int steer_questions_options(const struct steer_questions *q)
{
    return q->k;
}

/* ---- A part of the questions ------------------------------------------------------------------ */

/* Questions [first, end) in hand. */
struct part {
    const struct steer_questions *q;
    struct forward *f;
    size_t first, end;
    bool whole;              /* a prompt is too long to be continued: nothing is kept */
    struct prefix **shared;  /* [end - first] made for the first of those that share it, or null */
    struct prefix **prompts; /* [end - first] all but the last token, or null */
    struct forward_item *last;  /* [end - first] the last token behind it */
    struct forward_item *items; /* [end - first] the whole prompt */
    float *states;              /* [L + 1, end - first, D] of the last token, unsteered */
    float *final;               /* [end - first, D] */
    float *letters;             /* [end - first, K] */
};

static size_t part_end(const struct steer_questions *q, size_t first)
{
    const struct config *c = model_config(q->m);
    const size_t token =
        2 * sizeof(float) * (size_t)c->n_layers * (size_t)c->n_kv_heads * (size_t)c->head_dim;
    size_t bytes = 0, end = first;
    while (end < q->n && end - first < MOST_QUESTIONS) {
        bytes += token * q->prompts[end].count;
        if (end > first && bytes > CACHE_BYTES)
            break;
        end++;
    }
    return end;
}

/* Tokens that the questions [i, *end) of one group begin with; each keeps two of its own. */
static int common_beginning(const struct part *p, size_t i, size_t *end)
{
    const struct steer_questions *q = p->q;
    const struct token_list *a = &q->prompts[i];
    size_t same = a->count < 2 ? 0 : a->count - 2;
    *end = i + 1;
    while (*end < p->end && q->group[*end] == q->group[i]) {
        const struct token_list *b = &q->prompts[(*end)++];
        const size_t most = b->count < 2 ? 0 : b->count - 2;
        same = same < most ? same : most;
        for (size_t t = 0; t < same; t++)
            if (a->ids[t] != b->ids[t])
                same = t;
    }
    return *end - i > 1 && same >= SHORTEST_SHARED ? (int)same : 0;
}

/* Keys and values of every prompt but for its last token. */
static int keep_prompts(struct part *p, struct plumb_error *e)
{
    int status = PLUMB_OK;
    for (size_t i = p->first, end; i < p->end && status == PLUMB_OK; i = end) {
        const int shared = common_beginning(p, i, &end);
        struct prefix **common = &p->shared[i - p->first];
        if (shared)
            status = prefix_create(p->f, NULL, p->q->prompts[i].ids, shared, NULL, common, e);
        for (size_t j = i; j < end && status == PLUMB_OK; j++) {
            const struct token_list *t = &p->q->prompts[j];
            const int own = (int)t->count - 1 - shared;
            struct prefix **mine = &p->prompts[j - p->first];
            if (own > 0)
                status = prefix_create(p->f, *common, t->ids + shared, own, NULL, mine, e);
            p->last[j - p->first] = (struct forward_item){.prefix = *mine ? *mine : *common,
                                                          .tokens = t->ids + t->count - 1,
                                                          .n_tokens = 1,
                                                          .n_wanted = 1};
        }
    }
    return status;
}

static void part_free(struct part *p)
{
    for (size_t i = 0; p->prompts && i < p->end - p->first; i++)
        prefix_destroy(p->prompts[i]);
    for (size_t i = 0; p->shared && i < p->end - p->first; i++)
        prefix_destroy(p->shared[i]);
    mem_free(p->prompts);
    mem_free(p->shared);
    mem_free(p->last);
    mem_free(p->items);
    mem_free(p->states);
    mem_free(p->final);
    mem_free(p->letters);
}

static int part_open(struct part *p, struct plumb_error *e)
{
    const struct config *c = model_config(p->q->m);
    const size_t n = p->end - p->first, d = (size_t)c->hidden;
    p->shared = mem_zalloc(n, sizeof *p->shared);
    p->prompts = mem_zalloc(n, sizeof *p->prompts);
    p->last = mem_array(n, sizeof *p->last);
    p->items = mem_array(n, sizeof *p->items);
    p->states = mem_array((size_t)(c->n_layers + 1) * n, d * sizeof *p->states);
    p->final = mem_array(n, d * sizeof *p->final);
    p->letters = mem_array(n, (size_t)p->q->k * sizeof *p->letters);
    if (!p->shared || !p->prompts || !p->last || !p->items || !p->states || !p->final ||
        !p->letters)
        return error_memory(e, "the questions in hand");
    for (size_t i = 0; i < n; i++) {
        const struct token_list *t = &p->q->prompts[p->first + i];
        p->whole = p->whole || t->count > (size_t)config_sharing_limit(c);
        p->items[i] =
            (struct forward_item){.tokens = t->ids, .n_tokens = (int)t->count, .n_wanted = 1};
    }
    forward_steer(p->f, NULL);
    int status = p->whole ? PLUMB_OK : keep_prompts(p, e);
    if (status == PLUMB_OK)
        status = forward_run(p->f, p->whole ? p->items : p->last, n, NULL, p->states, NULL, e);
    return status;
}

/* The last states of the questions in hand under a steering, into p->final. */
static int part_run(struct part *p, const struct steering *s, struct plumb_error *e)
{
    const struct config *c = model_config(p->q->m);
    const size_t n = p->end - p->first, row = n * (size_t)c->hidden;
    const int layer = steering_first_layer(s);
    if (layer > c->n_layers) {
        memcpy(p->final, p->states + (size_t)c->n_layers * row, row * sizeof *p->final);
        return PLUMB_OK;
    }
    if (p->whole || s->all_tokens)
        return forward_run(p->f, p->items, n, NULL, NULL, p->final, e);
    return forward_run_from(p->f, p->last, n, layer, p->states + (size_t)layer * row, p->final, e);
}

/* By place in the prompt, to the options that stood there. */
static void put_options(const struct steer_questions *q, size_t i, const float *by_place,
                        float *out)
{
    for (int place = 0; place < q->k; place++)
        out[place] = -INFINITY;
    for (int place = 0; place < q->options[i]; place++)
        out[option_at_place(place, q->permutation, q->options[i])] = by_place[place];
}

/* ---- All of them ------------------------------------------------------------------------------ */

static int run_list(struct part *p, const struct steer_list *list, float *logits,
                    const struct progress *progress, struct plumb_error *e)
{
    const struct steer_questions *q = p->q;
    const size_t n = p->end - p->first, k = (size_t)q->k;
    int status = PLUMB_OK;
    for (size_t c = 0; c < list->n && status == PLUMB_OK; c++) {
        struct steering s;
        status = list->make(list->user, c, &s, e);
        if (status != PLUMB_OK)
            break;
        forward_steer(p->f, &s);
        status = part_run(p, &s, e);
        if (status == PLUMB_OK)
            status = head_apply(p->f, q->letters, p->final, n, p->letters, e);
        forward_steer(p->f, NULL);
        steering_free(&s);
        for (size_t i = 0; i < n && status == PLUMB_OK; i++)
            put_options(q, p->first + i, p->letters + i * k,
                        logits + (c * q->n + p->first + i) * k);
        if (status == PLUMB_OK && !progress_report(progress, p->first * list->n + (c + 1) * n,
                                                   q->n * list->n, "answers", NULL))
            status = error_set(e, PLUMB_NO, "stopped");
    }
    return status;
}

int steer_run(const struct steer_questions *q, const struct steer_list *list, float *logits,
              float *final, const struct progress *progress, struct plumb_error *e)
{
    const struct config *config = model_config(q->m);
    const size_t d = (size_t)config->hidden;
    struct forward *f = NULL;
    int status = forward_create(q->m, &f, e);
    for (size_t first = 0; first < q->n && status == PLUMB_OK;) {
        struct part p = {.q = q, .f = f, .first = first, .end = part_end(q, first)};
        const size_t n = p.end - first;
        status = part_open(&p, e);
        if (status == PLUMB_OK && final)
            memcpy(final + first * d, p.states + (size_t)config->n_layers * n * d,
                   n * d * sizeof *final);
        if (status == PLUMB_OK)
            status = run_list(&p, list, logits, progress, e);
        first = p.end;
        part_free(&p);
    }
    forward_destroy(f);
    return status;
}

int steer_read(const struct steer_questions *q, const float *final, double clip, float *logits,
               struct plumb_error *e)
{
    const struct steering s = {.clips = clip >= 0, .clip = (float)clip};
    const size_t k = (size_t)q->k;
    struct forward *f = NULL;
    float *by_place = mem_array(q->n, k * sizeof *by_place);
    int status = by_place ? forward_create(q->m, &f, e) : error_memory(e, "the option logits");
    if (status == PLUMB_OK) {
        forward_steer(f, &s);
        status = head_apply(f, q->letters, final, q->n, by_place, e);
    }
    for (size_t i = 0; i < q->n && status == PLUMB_OK; i++)
        put_options(q, i, by_place + i * k, logits + i * k);
    forward_destroy(f);
    mem_free(by_place);
    return status;
}
