/*
 * run_text.c - scoring the texts of options: how probable the model holds each as the answer.
 *
 * log p(option | question) = sum over the option's tokens of log softmax. Tokens as in lm-evaluation-harness
 * (lm_eval/api/model.py, _encode_pair): question and option are encoded as one text, and what stands
 * behind the question's own count of tokens is the option. The questions of a group share their common
 * beginning, the options of a question theirs, each computed once; the options go through the model
 * side by side in one batch. docs/scoring.md has the definitions.
 */
#include <math.h>
#include <string.h>

#include "base/memory.h"
#include "model/config.h"
#include "model/tokenizer.h"
#include "tensor/dtype.h"
#include "trace/run_private.h"

/* Question and one option. The last `scored` tokens are the option's. */
struct sequence {
    int32_t *tokens; /* [n] */
    int n, scored;
};

struct text_item {
    size_t item;              /* place in the trace */
    struct sequence *options; /* [n] */
    int n;
    int shared; /* tokens that all options begin with; the last of the question is never among them */
    struct prefix *prefix; /* these, while the item is in a batch; or null */
};

struct text_run {
    struct run *r;
    struct preset preset;
    struct text_item *items;
    size_t n_items;
    struct sequence *sequences; /* of all items, one after the other */
    size_t n_sequences;
    struct group_plan *groups;  /* of items */
    size_t n_groups, group;     /* group: that of the next item */
    struct forward_item *batch; /* [n_sequences] */
    int *answer_at;             /* [n_sequences] position whose hidden states are kept; -1 = none */
    size_t *done;               /* [n_items] */
    size_t first, end;          /* the items in the batch */
};

/* ---- plan ------------------------------------------------------------------------------------ */

static int encode(const struct run *r, const struct buffer *text, struct token_list *ids)
{
    const struct tokenizer_options options = {.add_special = true};
    if (text->failed)
        return error_memory(r->e, "a prompt");
    return tokenizer_encode(model_tokenizer(r->m), text->data, text->size, options, ids, r->e);
}

static int check_sequence(const struct run *r, const struct question *q, int option,
                          const struct token_list *context, const struct token_list *whole)
{
    const int most = model_config(r->m)->context;
    if (context->count < 1 || whole->count <= context->count)
        return error_set(r->e, PLUMB_INPUT,
                         "question %s: option %d adds no token to the prompt, so it cannot be "
                         "scored: remove it, or give it a text",
                         q->id, option + 1);
    if (whole->count - 1 > (size_t)most)
        return error_set(r->e, PLUMB_INPUT,
                         "question %s: its prompt with option %d has %zu tokens; the model's "
                         "context holds %d",
                         q->id, option + 1, whole->count, most);
    return PLUMB_OK;
}

/* How many tokens both begin with, at most `most`. */
static int common_beginning(const struct sequence *a, const struct sequence *b, int most)
{
    int same = 0;
    while (same < most && a->tokens[same] == b->tokens[same])
        same++;
    return same;
}

/* The sequences of one question. `text` is scratch. */
static int make_item(struct text_run *t, const struct buffer *header, size_t item,
                     struct buffer *text)
{
    struct run *r = t->r;
    const struct question *q = &r->questions->items[r->trace->header.first + item];
    struct text_item *made = &t->items[t->n_items++];
    struct token_list context = {0};
    *made = (struct text_item){.item = item, .options = t->sequences + t->n_sequences};
    buffer_clear(text);
    buffer_add(text, header->data, header->size);
    int status = preset_question(&t->preset, q, text, r->e);
    if (status == PLUMB_OK)
        status = encode(r, text, &context);
    const size_t question_size = text->size;
    made->shared = (int)context.count - 1;
    for (int i = 0; i < q->n_options && status == PLUMB_OK; i++) {
        struct token_list whole = {0};
        text->size = question_size;
        preset_answer_text(&t->preset, q, i, text);
        status = encode(r, text, &whole);
        if (status == PLUMB_OK)
            status = check_sequence(r, q, i, &context, &whole);
        struct sequence *s = &made->options[made->n++];
        *s = (struct sequence){whole.ids, (int)whole.count, (int)(whole.count - context.count)};
        t->n_sequences++;
        if (status == PLUMB_OK)
            made->shared = common_beginning(&made->options[0], s, made->shared);
    }
    token_list_free(&context);
    return status;
}

/* What is shared within the group; nothing where it is not worth it, or where the angles of a text
 * depend on all of its length. */
static void plan_sharing(const struct text_run *t, struct group_plan *g)
{
    struct text_item *items = t->items + g->first;
    int longest = 0;
    g->shared = items[0].shared;
    for (size_t i = 0; i < g->count; i++) {
        const int most = items[i].shared < g->shared ? items[i].shared : g->shared;
        g->shared = common_beginning(&items[0].options[0], &items[i].options[0], most);
        for (int j = 0; j < items[i].n; j++)
            longest = items[i].options[j].n > longest ? items[i].options[j].n : longest;
    }
    const bool never =
        t->r->o->no_prefix_sharing || longest > config_sharing_limit(model_config(t->r->m));
    if (never || g->count < 2 || g->shared < SHORTEST_PREFIX)
        g->shared = 0;
    for (size_t i = 0; i < g->count; i++)
        if (never || items[i].shared - g->shared < SHORTEST_PREFIX)
            items[i].shared = g->shared;
}

static int plan_group(struct text_run *t, int group, struct buffer *text)
{
    struct run *r = t->r;
    const struct trace_header *h = &r->trace->header;
    struct group_plan plan = {.first = t->n_items};
    struct buffer header = BUFFER_EMPTY;
    int status = PLUMB_OK;
    for (size_t i = 0; i < h->n && status == PLUMB_OK; i++) {
        if (r->questions->items[h->first + i].group != group || r->trace->done[i])
            continue;
        if (plan.count++ == 0)
            status = preset_header(&t->preset, r->questions->groups[group], &header, r->e);
        if (status == PLUMB_OK)
            status = make_item(t, &header, i, text);
    }
    buffer_free(&header);
    if (status != PLUMB_OK || plan.count == 0)
        return status;
    plan_sharing(t, &plan);
    t->groups[t->n_groups++] = plan;
    return PLUMB_OK;
}

static int make_plan(struct text_run *t)
{
    const struct run *r = t->r;
    const size_t items = r->trace->header.n;
    size_t sequences = 0;
    for (size_t i = 0; i < items; i++)
        sequences += (size_t)r->trace->options[i];
    t->items = mem_zalloc(items, sizeof *t->items);
    t->sequences = mem_zalloc(sequences, sizeof *t->sequences);
    t->groups = mem_zalloc((size_t)r->questions->n_groups, sizeof *t->groups);
    t->batch = mem_array(sequences, sizeof *t->batch);
    t->answer_at = mem_array(sequences, sizeof *t->answer_at);
    t->done = mem_array(items, sizeof *t->done);
    if (!t->items || !t->sequences || !t->groups || !t->batch || !t->answer_at || !t->done)
        return error_memory(r->e, "the prompts");
    struct buffer text = BUFFER_EMPTY;
    int status = PLUMB_OK;
    for (int g = 0; g < r->questions->n_groups && status == PLUMB_OK; g++)
        status = plan_group(t, g, &text);
    buffer_free(&text);
    return status;
}

/* ---- a batch --------------------------------------------------------------------------------- */

static int make_prefix(const struct run *r, const struct prefix *parent, const int32_t *tokens,
                       int from, int to, struct prefix **out)
{
    if (*out || to <= from)
        return PLUMB_OK;
    r->report->tokens_run += (size_t)(to - from);
    return prefix_create(r->f, parent, tokens + from, to - from, NULL, out, r->e);
}

/* The prefixes of one item, its options into the batch. */
static int take_item(struct text_run *t, struct text_item *item, struct group_plan *g, size_t *n,
                     size_t *rows)
{
    const struct run *r = t->r;
    const int32_t *tokens = item->options[0].tokens;
    int status = make_prefix(r, NULL, tokens, 0, g->shared, &g->prefix);
    if (status == PLUMB_OK)
        status = make_prefix(r, g->prefix, tokens, g->shared, item->shared, &item->prefix);
    *rows += (size_t)(item->shared - g->shared);
    for (int i = 0; i < item->n && status == PLUMB_OK; i++) {
        const struct sequence *s = &item->options[i];
        const int own = s->n - 1 - item->shared;
        t->batch[*n] = (struct forward_item){.prefix = item->prefix ? item->prefix : g->prefix,
                                             .tokens = s->tokens + item->shared,
                                             .n_tokens = own,
                                             .n_wanted = s->scored};
        t->answer_at[(*n)++] = i == 0 ? s->n - s->scored - 1 : -1;
        r->report->tokens += (size_t)(s->n - 1);
        r->report->tokens_run += (size_t)own;
        *rows += (size_t)own;
    }
    return status;
}

/* What the hook needs to find the rows whose states are kept. */
struct hidden_reader {
    const struct text_run *t;
    const size_t *item_of; /* [batch] place in the trace */
};

static void read_hidden(void *user, int layer, float *x, size_t n_rows, const int32_t *item,
                        const int32_t *position)
{
    const struct hidden_reader *reader = user;
    const struct text_run *t = reader->t;
    const struct trace_header *h = &t->r->trace->header;
    const size_t d = (size_t)h->hidden_size, s = (size_t)h->n_hidden;
    size_t at = 0;
    while (at < s && h->hidden_layers[at] != layer)
        at++;
    for (size_t i = 0; i < n_rows && at < s; i++) {
        if (t->answer_at[item[i]] != position[i])
            continue;
        uint16_t *to = t->r->trace->hidden + (reader->item_of[item[i]] * s + at) * d;
        for (size_t j = 0; j < d; j++)
            to[j] = f32_to_f16(x[i * d + j]);
    }
}

static int32_t count_characters(const char *text)
{
    int32_t n = 0;
    for (const char *c = text; *c; c++)
        n += (*c & 0xc0) != 0x80; /* UTF-8 was checked when the file was read */
    return n;
}

static double score_of(enum trace_score score, double sum, int32_t bytes, int32_t tokens)
{
    if (score == TRACE_SCORE_TEXT)
        return sum;
    const int32_t size = score == TRACE_SCORE_TEXT_PER_BYTE ? bytes : tokens;
    return size > 0 ? sum / (double)size : -INFINITY; /* as numpy divides a negative sum by zero */
}

/* log_prob holds the tokens of the item's options one after the other; returns how many. */
static size_t record_item(const struct run *r, const struct text_item *item, const double *log_prob)
{
    const struct question *q = &r->questions->items[r->trace->header.first + item->item];
    struct trace *trace = r->trace;
    const size_t row = item->item * (size_t)trace->header.n_options;
    size_t used = 0;
    double mass = 0;
    for (int i = 0; i < item->n; i++) {
        const size_t at = row + (size_t)i;
        const int32_t tokens = item->options[i].scored;
        double sum = 0;
        for (int32_t j = 0; j < tokens; j++)
            sum += log_prob[used++];
        trace->text_log_likelihood[at] = (float)sum;
        trace->text_bytes[at] = (int32_t)strlen(q->options[i]);
        trace->text_characters[at] = count_characters(q->options[i]);
        trace->text_tokens[at] = tokens;
        trace->logits[at] =
            (float)score_of(trace->header.score, sum, trace->text_bytes[at], tokens);
        mass += exp(sum);
    }
    /* Where one option begins like another, the sum counts what both share twice. */
    trace->option_mass[item->item] = (float)(mass < 1 ? mass : 1);
    return used;
}

/* Runs t->batch, [n] sequences of `scored` tokens together. */
static int score_batch(struct text_run *t, size_t n, size_t scored)
{
    const struct run *r = t->r;
    const size_t d = (size_t)model_config(r->m)->hidden;
    float *final = mem_array(scored * d, sizeof *final);
    double *log_prob = mem_array(scored, sizeof *log_prob);
    int32_t *targets = mem_array(scored, sizeof *targets);
    size_t *item_of = mem_array(n, sizeof *item_of), at = 0, row = 0;
    int status =
        final && log_prob && targets && item_of ? PLUMB_OK : error_memory(r->e, "a batch's scores");
    for (size_t i = t->first; i < t->end && status == PLUMB_OK; i++)
        for (int j = 0; j < t->items[i].n; j++) {
            const struct sequence *s = &t->items[i].options[j];
            memcpy(targets + row, s->tokens + s->n - s->scored,
                   (size_t)s->scored * sizeof *targets);
            row += (size_t)s->scored;
            item_of[at++] = t->items[i].item;
        }
    struct hidden_reader reader = {t, item_of};
    const struct forward_hook hook = {.call = read_hidden, .user = &reader};
    if (status == PLUMB_OK)
        status = forward_run(r->f, t->batch, n, r->trace->hidden ? &hook : NULL, NULL, final, r->e);
    if (status == PLUMB_OK)
        status = head_targets(r->f, final, scored, targets, log_prob, NULL, r->e);
    row = 0;
    for (size_t i = t->first; i < t->end && status == PLUMB_OK; i++) {
        row += record_item(r, &t->items[i], log_prob + row);
        t->done[i - t->first] = t->items[i].item;
    }
    if (status == PLUMB_OK)
        status = trace_commit(r->trace, t->done, t->end - t->first, r->e);
    mem_free(final);
    mem_free(log_prob);
    mem_free(targets);
    mem_free(item_of);
    return status;
}

static void drop_prefix(struct prefix **p)
{
    if (*p)
        prefix_destroy(*p);
    *p = NULL;
}

static void drop_prefixes(struct text_run *t, size_t next)
{
    for (size_t i = t->first; i < t->end; i++)
        drop_prefix(&t->items[i].prefix);
    for (size_t g = 0; g < t->n_groups; g++)
        if (t->groups[g].first + t->groups[g].count <= next)
            drop_prefix(&t->groups[g].prefix);
}

static int text_batch(struct run *r, void *user, size_t rows, size_t *done)
{
    struct text_run *t = user;
    size_t n = 0, taken = 0, scored = 0;
    int status = PLUMB_OK;
    (void)r;
    for (t->first = t->end = *done; t->end < t->n_items && taken < rows && status == PLUMB_OK;) {
        struct group_plan *g = &t->groups[t->group];
        if (t->end == g->first + g->count) {
            t->group++;
            continue;
        }
        struct text_item *item = &t->items[t->end++];
        status = take_item(t, item, g, &n, &taken);
        for (int i = 0; i < item->n; i++)
            scored += (size_t)item->options[i].scored;
    }
    if (status == PLUMB_OK)
        status = score_batch(t, n, scored);
    *done = t->end;
    drop_prefixes(t, t->end);
    return status;
}

static void text_run_release(struct text_run *t)
{
    for (size_t g = 0; g < t->n_groups; g++)
        drop_prefix(&t->groups[g].prefix);
    for (size_t i = 0; i < t->n_sequences; i++)
        mem_free(t->sequences[i].tokens);
    mem_free(t->items);
    mem_free(t->sequences);
    mem_free(t->groups);
    mem_free(t->batch);
    mem_free(t->answer_at);
    mem_free(t->done);
}

int run_texts(struct run *r)
{
    struct text_run t = {.r = r, .preset = run_preset(r->o)};
    int status = make_plan(&t);
    if (status == PLUMB_OK)
        status = run_batches(r, t.n_items, text_batch, &t);
    text_run_release(&t);
    return status;
}
