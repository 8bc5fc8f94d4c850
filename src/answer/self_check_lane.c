/*
 * self_check_lane.c - see self_check_lane.h.
 */
#include "answer/self_check_lane.h"

#include <string.h>

#include "base/memory.h"
#include "model/config.h"
#include "model/text_end.h"

enum { SHORTEST_PREFIX = 8, /* tokens; sharing less is not worth it */ SPARE = 64 };

/* ---- prefix ----------------------------------------------------------------------------------- */

static int common_beginning(const int32_t *a, size_t n_a, const int32_t *b, size_t n_b)
{
    size_t same = 0;
    while (same < n_a && same < n_b && a[same] == b[same])
        same++;
    return (int)same;
}

int lane_prefix_create(struct forward *f, const struct token_list *a, const struct token_list *b,
                       struct lane_prefix *out, struct plumb_error *e)
{
    const int n = common_beginning(a->ids, a->count, b->ids, b->count);
    *out = (struct lane_prefix){0};
    if (n < SHORTEST_PREFIX)
        return PLUMB_OK;
    out->tokens = mem_array((size_t)n, sizeof *out->tokens);
    if (!out->tokens)
        return error_memory(e, "the beginning of the prompts");
    memcpy(out->tokens, a->ids, (size_t)n * sizeof *out->tokens);
    out->n = n;
    return prefix_create(f, NULL, out->tokens, n, NULL, &out->computed, e);
}

void lane_prefix_free(struct lane_prefix *p)
{
    prefix_destroy(p->computed);
    mem_free(p->tokens);
    *p = (struct lane_prefix){0};
}

/* ---- lane ------------------------------------------------------------------------------------- */

void lane_free(struct lane *l)
{
    sequence_destroy(l->sequence);
    token_list_free(&l->held);
    *l = (struct lane){0};
}

/* Does the text begin with all of the prefix, and go on behind it? */
static bool begins_with(const struct token_list *text, const struct lane_prefix *p)
{
    return p && p->computed && text->count > (size_t)p->n &&
           common_beginning(text->ids, text->count, p->tokens, (size_t)p->n) == p->n;
}

static int prefix_tokens(const struct lane *l)
{
    return l->prefix ? l->prefix->n : 0;
}

/* A new sequence: on the prefix where the text begins with it. */
static int lane_start(struct lane *l, const struct forward *f, const struct lane_prefix *prefix,
                      int most, struct plumb_error *e)
{
    sequence_destroy(l->sequence);
    l->sequence = NULL;
    l->prefix = prefix;
    l->capacity = most - prefix_tokens(l) + SPARE;
    return sequence_create(f, prefix ? prefix->computed : NULL, l->capacity, &l->sequence, e);
}

static int hold(struct lane *l, const struct token_list *text, struct plumb_error *e)
{
    l->held.count = 0;
    for (size_t i = 0; i < text->count; i++)
        if (token_list_add(&l->held, text->ids[i]) != PLUMB_OK)
            return error_memory(e, "a prompt");
    return PLUMB_OK;
}

int lane_take(struct lane *l, struct forward *f, const struct model *m,
              const struct lane_prefix *shared, const struct token_list *text, int room, bool whole,
              struct forward_item *item, struct plumb_error *e)
{
    const int n = (int)text->count, most = n + room;
    /* where the angles of a text depend on all of its length, nothing is shared (model/forward.h) */
    const bool share = !whole && most <= config_sharing_limit(model_config(m));
    const struct lane_prefix *prefix = share && begins_with(text, shared) ? shared : NULL;
    int same = l->sequence && share
                   ? common_beginning(text->ids, text->count, l->held.ids, l->held.count)
                   : 0;
    same = same < n ? same : n - 1; /* the last token is run, so that there is something to read */
    int status = PLUMB_OK;
    if (!l->sequence || l->prefix != prefix || same < prefix_tokens(l) ||
        most - prefix_tokens(l) > l->capacity) {
        status = lane_start(l, f, prefix, most, e);
        same = prefix_tokens(l);
    }
    if (status == PLUMB_OK)
        status = hold(l, text, e);
    if (status != PLUMB_OK)
        return status;
    sequence_truncate(l->sequence, same);
    *item = (struct forward_item){
        .sequence = l->sequence, .tokens = l->held.ids + same, .n_tokens = n - same, .n_wanted = 1};
    return PLUMB_OK;
}

/* ---- writing ---------------------------------------------------------------------------------- */

/* One text that is being written. */
struct pen {
    struct lane_writing *w;
    struct growing_text text;
    int made;
    bool ended;
};

struct writing {
    const struct lane_writer *o;
    struct pen *pens; /* [n] */
    size_t n;
    struct forward_item *items; /* [n] of those that go on */
    size_t *pen_of;             /* [n] */
    float *residual, *logits;   /* [n, D], [n, V] */
};

static bool ends_text(const struct token_list *ends, int32_t id)
{
    for (size_t i = 0; i < ends->count; i++)
        if (ends->ids[i] == id)
            return true;
    return false;
}

static bool holds_a_line(const struct buffer *text)
{
    bool anything = false;
    for (size_t i = 0; i < text->size; i++) {
        if (anything && text->data[i] == '\n')
            return true;
        anything |= text->data[i] != ' ' && text->data[i] != '\n' && text->data[i] != '\t';
    }
    return false;
}

static void end_pen(struct pen *p, const struct tokenizer *t)
{
    const char *piece;
    growing_text_add(&p->text, t, -1, &piece);
    p->ended = true;
}

/* The next token of a text. What it makes of the lane is run in the next step. */
static int pick(const struct writing *g, struct pen *p, const float *logits, struct plumb_error *e)
{
    const struct tokenizer *t = model_tokenizer(g->o->m);
    struct token_list *held = &p->w->lane->held;
    const char *piece;
    const int32_t id = sampler_pick(g->o->greedy, logits, held->ids, held->count, 0, 0);
    if (id < 0)
        return error_set(e, PLUMB_INPUT,
                         "the model's logits are no numbers: its weights overflow in this "
                         "precision, or the file is damaged");
    if (ends_text(g->o->ends, id)) {
        end_pen(p, t);
        return PLUMB_OK;
    }
    growing_text_add(&p->text, t, id, &piece);
    if (p->text.stopped_by >= 0 || ++p->made == p->w->room ||
        (g->o->one_line && holds_a_line(&p->text.text))) {
        end_pen(p, t);
        return PLUMB_OK;
    }
    if (token_list_add(held, id) != PLUMB_OK)
        return error_memory(e, "a text");
    struct sequence *s = p->w->lane->sequence;
    if (!sequence_goes_on(s, g->o->f, 1))
        sequence_truncate(s, 0); /* its angles have changed: the whole text anew */
    const int done = sequence_length(s);
    p->w->item = (struct forward_item){.sequence = s,
                                       .tokens = held->ids + done,
                                       .n_tokens = (int)held->count - done,
                                       .n_wanted = 1};
    return PLUMB_OK;
}

/* One token more for every text that goes on; *left = how many there were. */
static int step(const struct writing *g, size_t *left, struct plumb_error *e)
{
    size_t n = 0;
    for (size_t i = 0; i < g->n; i++)
        if (!g->pens[i].ended) {
            g->items[n] = g->pens[i].w->item;
            g->pens[i].w->passes++;
            g->pens[i].w->tokens_run += (size_t)g->items[n].n_tokens;
            g->pen_of[n++] = i;
        }
    *left = n;
    if (n == 0)
        return PLUMB_OK;
    const size_t v = (size_t)model_config(g->o->m)->vocabulary;
    int status = forward_run(g->o->f, g->items, n, NULL, NULL, g->residual, e);
    if (status == PLUMB_OK)
        status = head_logits(g->o->f, g->residual, n, g->logits, e);
    for (size_t i = 0; i < n && status == PLUMB_OK; i++)
        status = pick(g, &g->pens[g->pen_of[i]], g->logits + i * v, e);
    return status;
}

static int write_texts(const struct writing *g, struct plumb_error *e)
{
    size_t left = g->n;
    int status = PLUMB_OK;
    while (status == PLUMB_OK && left > 0) {
        status = step(g, &left, e);
        if (status == PLUMB_OK &&
            !progress_report(g->o->progress, g->o->done, g->o->total, "questions", NULL))
            status = error_set(e, PLUMB_NO, "stopped");
    }
    return status;
}

int lanes_write(const struct lane_writer *o, struct lane_writing *w, size_t n,
                struct plumb_error *e)
{
    const struct config *c = model_config(o->m);
    struct writing g = {.o = o, .n = n};
    g.pens = mem_zalloc(n, sizeof *g.pens);
    g.items = mem_array(n, sizeof *g.items);
    g.pen_of = mem_array(n, sizeof *g.pen_of);
    g.residual = mem_array(n * (size_t)c->hidden, sizeof *g.residual);
    g.logits = mem_array(n * (size_t)c->vocabulary, sizeof *g.logits);
    int status = g.pens && g.items && g.pen_of && g.residual && g.logits
                     ? PLUMB_OK
                     : error_memory(e, "a batch of texts");
    for (size_t i = 0; i < n && status == PLUMB_OK; i++) {
        g.pens[i].w = &w[i];
        growing_text_start(&g.pens[i].text, o->stops, o->n_stops);
    }
    if (status == PLUMB_OK)
        status = write_texts(&g, e);
    for (size_t i = 0; g.pens && i < n; i++) {
        const struct buffer *text = &g.pens[i].text.text;
        buffer_add(&w[i].text, buffer_string(text), text->size);
        if (status == PLUMB_OK && (text->failed || w[i].text.failed))
            status = error_memory(e, "a text");
        growing_text_free(&g.pens[i].text);
    }
    mem_free(g.pens);
    mem_free(g.items);
    mem_free(g.pen_of);
    mem_free(g.residual);
    mem_free(g.logits);
    return status;
}
