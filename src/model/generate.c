/*
 * generate.c - the loop: a prompt that is taken up is run as a whole in the same batch in which the texts in hand get
 * one row each; a text that has ended gives its place to the next prompt.
 */
#include "model/generate.h"

#include <string.h>

#include "base/memory.h"
#include "model/config.h"
#include "model/forward.h"
#include "model/text_end.h"

enum { MAX_LOGPROBS = 100, MAX_BATCH = 4096 };

struct generate_options generate_options_default(void)
{
    return (struct generate_options){
        .max_tokens = 256, .sampling = sampler_options_default(), .batch = 8};
}

const char *generate_reason_name(enum generate_reason r)
{
    static const char *const names[] = {"end", "stop", "length", "context"};
    return names[r];
}

/* A text in hand. */
struct place {
    size_t prompt; /* its number */
    struct sequence *sequence;
    int32_t *tokens; /* [capacity] the prompt, then what was made */
    int n, n_prompt, capacity;
    struct growing_text text;
    struct generated *out;
};

struct generation {
    const struct model *m;
    const struct config *config;
    const struct tokenizer *tokenizer;
    const struct generate_prompt *prompts;
    const struct generate_options *o;
    const struct generate_listener *listener;
    struct generated *out;
    struct forward *f;
    struct sampler *sampler;
    struct token_list ends;
    struct place *places; /* [n_places] those in use stand in front */
    size_t n_places, n_used;
    struct forward_item *items; /* [n_places] */
    float *residual, *logits;   /* [n_places, D], [n_places, V] */
};

static int check(const struct generation *g, size_t n_prompts, struct plumb_error *e)
{
    if (g->o->max_tokens < 1)
        return error_set(e, PLUMB_INPUT, "%d new tokens asked for; expected 1 or more",
                         g->o->max_tokens);
    if (g->o->logprobs < 0 || g->o->logprobs > MAX_LOGPROBS)
        return error_set(e, PLUMB_INPUT, "%d most likely tokens asked for; expected 0 to %d",
                         g->o->logprobs, MAX_LOGPROBS);
    if (g->o->batch < 1 || g->o->batch > MAX_BATCH)
        return error_set(e, PLUMB_INPUT, "a batch of %d prompts; expected 1 to %d", g->o->batch,
                         MAX_BATCH);
    for (int i = 0; i < g->o->n_stops; i++)
        if (!*g->o->stops[i])
            return error_set(e, PLUMB_INPUT, "stop text %d is empty: every text would end at once",
                             i + 1);
    for (size_t i = 0; i < n_prompts; i++) {
        if (g->prompts[i].n == 0)
            return error_set(e, PLUMB_INPUT, "prompt %zu is empty: it has no token to go on from",
                             i + 1);
        if (g->prompts[i].n >= (size_t)g->config->context)
            return error_set(
                e, PLUMB_INPUT,
                "prompt %zu has %zu tokens; the model's context holds %d, with the answer: "
                "shorten it",
                i + 1, g->prompts[i].n, g->config->context);
    }
    return PLUMB_OK;
}

static int place_open(struct generation *g, size_t prompt, struct plumb_error *e)
{
    struct place *p = &g->places[g->n_used];
    const int n = (int)g->prompts[prompt].n, room = g->config->context - n,
              more = g->o->max_tokens < room ? g->o->max_tokens : room;
    *p = (struct place){
        .prompt = prompt, .n = n, .n_prompt = n, .capacity = n + more, .out = &g->out[prompt]};
    g->n_used++;
    growing_text_start(&p->text, g->o->stops, g->o->n_stops);
    p->tokens = mem_array((size_t)p->capacity, sizeof *p->tokens);
    p->out->tokens = mem_array((size_t)more, sizeof *p->out->tokens);
    p->out->logprobs = mem_array((size_t)more, sizeof *p->out->logprobs);
    p->out->top = mem_array((size_t)more * (size_t)g->o->logprobs, sizeof *p->out->top);
    p->out->stop = -1;
    if (!p->tokens || !p->out->tokens || !p->out->logprobs || !p->out->top)
        return error_memory(e, "a text");
    memcpy(p->tokens, g->prompts[prompt].tokens, (size_t)n * sizeof *p->tokens);
    return sequence_create(g->f, NULL, p->capacity, &p->sequence, e);
}

static void place_free(struct place *p)
{
    sequence_destroy(p->sequence);
    mem_free(p->tokens);
    growing_text_free(&p->text);
}

/* Gives the text to its result; the last place in use moves here. */
static int place_close(struct generation *g, size_t at, enum generate_reason reason,
                       struct plumb_error *e)
{
    struct place *p = &g->places[at];
    p->out->reason = reason;
    p->out->stop = p->text.stopped_by;
    p->out->text = mem_strndup(buffer_string(&p->text.text), p->text.text.size);
    p->out->text_size = p->text.text.size;
    const bool failed = !p->out->text || p->text.text.failed || p->text.raw.failed;
    place_free(p);
    *p = g->places[--g->n_used];
    return failed ? error_memory(e, "a text") : PLUMB_OK;
}

static bool ends_text(const struct generation *g, int32_t id)
{
    for (size_t i = 0; i < g->ends.count; i++)
        if (g->ends.ids[i] == id)
            return true;
    return false;
}

static void tell(const struct generation *g, struct place *p, int32_t id)
{
    const char *piece;
    const size_t n = growing_text_add(&p->text, g->tokenizer, id, &piece);
    if (n > 0 && g->listener && g->listener->piece)
        g->listener->piece(g->listener->user, p->prompt, piece, n);
}

/* Chooses the text's next token. *closed: the text has ended, and the place is another's. */
static int take_token(struct generation *g, size_t at, const float *logits, bool *closed,
                      struct plumb_error *e)
{
    struct place *p = &g->places[at];
    const size_t v = (size_t)g->config->vocabulary, made = (size_t)(p->n - p->n_prompt),
                 top = (size_t)g->o->logprobs;
    const int32_t id = sampler_pick(g->sampler, logits, p->tokens, (size_t)p->n, p->prompt, made);
    *closed = true;
    if (id < 0)
        return error_set(e, PLUMB_INPUT,
                         "prompt %zu: after %zu tokens the model's logits are no numbers: its "
                         "weights overflow in this precision, or the file is damaged",
                         p->prompt + 1, made);
    if (ends_text(g, id)) {
        tell(g, p, -1);
        return place_close(g, at, p->text.stopped_by >= 0 ? GENERATE_STOP : GENERATE_END, e);
    }
    const double normaliser = sampler_top(logits, v, (int)top, p->out->top + made * top);
    p->out->tokens[made] = id;
    p->out->logprobs[made] = (float)((double)logits[id] - normaliser);
    p->out->n = made + 1;
    p->tokens[p->n++] = id;
    tell(g, p, id);
    if (p->text.stopped_by >= 0)
        return place_close(g, at, GENERATE_STOP, e);
    if (p->n == p->capacity) {
        const bool full = made + 1 < (size_t)g->o->max_tokens;
        tell(g, p, -1);
        return place_close(g, at,
                           p->text.stopped_by >= 0 ? GENERATE_STOP
                           : full                  ? GENERATE_CONTEXT
                                                   : GENERATE_LENGTH,
                           e);
    }
    *closed = false;
    return PLUMB_OK;
}

/* One row for each text in hand, or the whole prompt; then one token more. */
static int step(struct generation *g, struct plumb_error *e)
{
    for (size_t i = 0; i < g->n_used; i++) {
        struct place *p = &g->places[i];
        if (!sequence_goes_on(p->sequence, g->f, p->n - sequence_length(p->sequence)))
            sequence_truncate(p->sequence, 0); /* its angles have changed: the whole text anew */
        const int done = sequence_length(p->sequence);
        g->items[i] = (struct forward_item){.sequence = p->sequence,
                                            .tokens = p->tokens + done,
                                            .n_tokens = p->n - done,
                                            .n_wanted = 1};
    }
    const size_t rows = g->n_used;
    int status = forward_run(g->f, g->items, rows, NULL, NULL, g->residual, e);
    if (status == PLUMB_OK)
        status = head_logits(g->f, g->residual, rows, g->logits, e);
    /* From the last to the first: the place that moves up when one is closed has had its turn. */
    for (size_t i = rows; i-- > 0 && status == PLUMB_OK;) {
        bool closed;
        status = take_token(g, i, g->logits + i * (size_t)g->config->vocabulary, &closed, e);
    }
    return status;
}

static int prepare(struct generation *g, size_t n_prompts, struct plumb_error *e)
{
    const size_t d = (size_t)g->config->hidden, v = (size_t)g->config->vocabulary;
    g->n_places = n_prompts < (size_t)g->o->batch ? n_prompts : (size_t)g->o->batch;
    g->places = mem_zalloc(g->n_places, sizeof *g->places);
    g->items = mem_array(g->n_places, sizeof *g->items);
    g->residual = mem_array(g->n_places * d, sizeof *g->residual);
    g->logits = mem_array(g->n_places * v, sizeof *g->logits);
    if (!g->places || !g->items || !g->residual || !g->logits)
        return error_memory(e, "a batch of texts");
    int status = sampler_create(&g->o->sampling, g->config->vocabulary, &g->sampler, e);
    if (status == PLUMB_OK)
        status = forward_create(g->m, &g->f, e);
    return status == PLUMB_OK ? end_tokens(model_path(g->m), g->tokenizer, &g->ends, e) : status;
}

static void release(struct generation *g)
{
    for (size_t i = 0; i < g->n_used; i++)
        place_free(&g->places[i]);
    mem_free(g->places);
    mem_free(g->items);
    mem_free(g->residual);
    mem_free(g->logits);
    sampler_destroy(g->sampler);
    forward_destroy(g->f);
    token_list_free(&g->ends);
}

int generate(const struct model *m, const struct generate_prompt *prompts, size_t n_prompts,
             const struct generate_options *o, const struct generate_listener *l,
             struct generated *out, struct plumb_error *e)
{
    struct generation g = {
        .m = m, .config = model_config(m), .prompts = prompts, .o = o, .listener = l, .out = out};
    memset(out, 0, n_prompts * sizeof *out);
    if (n_prompts == 0)
        return PLUMB_OK;
    int status = model_need_tokenizer(m, &g.tokenizer, e);
    if (status == PLUMB_OK)
        status = check(&g, n_prompts, e);
    if (status == PLUMB_OK)
        status = prepare(&g, n_prompts, e);
    for (size_t next = 0; status == PLUMB_OK && (next < n_prompts || g.n_used > 0);) {
        while (status == PLUMB_OK && next < n_prompts && g.n_used < g.n_places)
            status = place_open(&g, next++, e);
        if (status == PLUMB_OK && l && l->go_on && !l->go_on(l->user))
            status = error_set(e, PLUMB_NO, "stopped");
        if (status == PLUMB_OK)
            status = step(&g, e);
    }
    release(&g);
    if (status != PLUMB_OK)
        generated_free(out, n_prompts);
    return status;
}

void generated_free(struct generated *g, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        mem_free(g[i].tokens);
        mem_free(g[i].logprobs);
        mem_free(g[i].top);
        mem_free(g[i].text);
        g[i] = (struct generated){0};
    }
}
