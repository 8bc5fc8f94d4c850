/*
 * generate.c - the loop: a prompt that is taken up is run as a whole in the same batch in which the texts in hand get
 * one row each; a text that has ended gives its place to the next prompt.
 *
 * What all prompts begin with is a prefix, the opening; what all samples of one prompt go on from is another behind
 * it. A prefix stops one token short of the prompt, so that each text has a row to ask for its first token.
 */
#include "model/generate.h"

#include <math.h>
#include <string.h>

#include "base/memory.h"
#include "base/size.h"
#include "model/config.h"
#include "model/forward.h"
#include "model/text_end.h"

enum {
    MAX_LOGPROBS = 100,
    MAX_BATCH = 4096,
    MAX_SAMPLES = 100000,
    LEAST_SHARED = 8, /* a shorter common beginning is not worth a run of its own */
    SAMPLE_STREAM =
        32 /* sample k of a prompt draws from stream: number of the prompt + (k << 32) */
};

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
    size_t text_number; /* in the results: prompt x samples + sample */
    size_t prompt;
    uint64_t stream; /* of its draws */
    struct sequence *sequence;
    int32_t *tokens; /* [capacity] the prompt, then what was made */
    int n, n_prompt, capacity;
    struct growing_text text;
    struct generated *out;
};

/* What the texts of one prompt go on from; made with the first of them, let go with the last. */
struct beginning {
    struct prefix *prefix; /* null: the opening is all that is shared */
    int left;              /* texts that have not ended */
};

/* What was chosen from one row of logits. */
struct choice {
    int32_t id;
    double normaliser; /* log sum exp of the row */
};

struct generation {
    const struct model *m;
    const struct config *config;
    const struct tokenizer *tokenizer;
    const struct generate_prompt *prompts;
    size_t n_prompts, n_samples;
    const struct generate_options *o;
    const struct generate_listener *listener;
    struct generated *out;
    struct forward *f;
    struct sampler **samplers; /* [n_samplers] one a thread */
    int n_samplers;
    struct token_list ends;
    struct place *places; /* [n_places] those in use stand in front */
    size_t n_places, n_used;
    struct prefix *opening;       /* what all prompts begin with, or null */
    struct beginning *beginnings; /* [n_prompts] */
    struct forward_item *items;   /* [n_places] */
    float *residual, *logits;     /* [n_places, D], [n_places, V] */
    struct choice *choices;       /* [n_places] */
};

static int check(const struct generation *g, struct plumb_error *e)
{
    if (g->n_samples < 1 || g->n_samples > MAX_SAMPLES)
        return error_set(e, PLUMB_INPUT, "%zu samples a prompt; expected 1 to %d", g->n_samples,
                         MAX_SAMPLES);
    if (g->o->max_tokens < 1)
        return error_set(e, PLUMB_INPUT, "%d new tokens asked for; expected 1 or more",
                         g->o->max_tokens);
    if (g->o->logprobs < 0 || g->o->logprobs > MAX_LOGPROBS)
        return error_set(e, PLUMB_INPUT, "%d most likely tokens asked for; expected 0 to %d",
                         g->o->logprobs, MAX_LOGPROBS);
    if (g->o->batch < 1 || g->o->batch > MAX_BATCH)
        return error_set(e, PLUMB_INPUT, "a batch of %d texts; expected 1 to %d", g->o->batch,
                         MAX_BATCH);
    for (int i = 0; i < g->o->n_stops; i++)
        if (!*g->o->stops[i])
            return error_set(e, PLUMB_INPUT, "stop text %d is empty: every text would end at once",
                             i + 1);
    for (size_t i = 0; i < g->n_prompts; i++) {
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

/* ---- what texts share ---- */

/* Tokens that all prompts begin with; never a whole prompt. */
static int common_beginning(const struct generation *g)
{
    const struct generate_prompt *first = &g->prompts[0];
    size_t n = first->n - 1;
    for (size_t i = 1; i < g->n_prompts; i++) {
        const struct generate_prompt *p = &g->prompts[i];
        size_t same = 0;
        while (same < n && same + 1 < p->n && p->tokens[same] == first->tokens[same])
            same++;
        n = same;
    }
    return (int)n;
}

static int open_opening(struct generation *g, struct plumb_error *e)
{
    const int n = g->n_prompts > 1 && !g->o->no_sharing ? common_beginning(g) : 0;
    if (n < LEAST_SHARED || n > config_sharing_limit(g->config))
        return PLUMB_OK;
    return prefix_create(g->f, NULL, g->prompts[0].tokens, n, NULL, &g->opening, e);
}

/* What a prompt's samples go on from. Texts that could grow to where positions depend on the whole text's length share
   nothing: they may have to be run anew. */
static int prompt_prefix(struct generation *g, size_t prompt, int capacity,
                         const struct prefix **out, struct plumb_error *e)
{
    const struct generate_prompt *p = &g->prompts[prompt];
    struct beginning *b = &g->beginnings[prompt];
    *out = NULL;
    if (g->o->no_sharing || capacity > config_sharing_limit(g->config))
        return PLUMB_OK;
    const int known = prefix_length(g->opening), own = (int)p->n - 1 - known;
    int status = PLUMB_OK;
    if (!b->prefix && g->n_samples > 1 && own > 0)
        status = prefix_create(g->f, g->opening, p->tokens + known, own, NULL, &b->prefix, e);
    *out = b->prefix ? b->prefix : g->opening;
    return status;
}

static void beginning_release(struct beginning *b)
{
    if (--b->left > 0)
        return;
    prefix_destroy(b->prefix);
    b->prefix = NULL;
}

/* ---- texts in hand ---- */

static int place_open(struct generation *g, size_t text_number, struct plumb_error *e)
{
    struct place *p = &g->places[g->n_used];
    const size_t prompt = text_number / g->n_samples, sample = text_number % g->n_samples;
    const int n = (int)g->prompts[prompt].n, room = g->config->context - n,
              more = g->o->max_tokens < room ? g->o->max_tokens : room;
    const uint64_t number = g->o->streams ? g->o->streams[prompt] : prompt;
    *p = (struct place){.text_number = text_number,
                        .prompt = prompt,
                        .stream = number + ((uint64_t)sample << SAMPLE_STREAM),
                        .n = n,
                        .n_prompt = n,
                        .capacity = n + more,
                        .out = &g->out[text_number]};
    g->n_used++;
    growing_text_start(&p->text, g->o->stops, g->o->n_stops);
    p->tokens = mem_array((size_t)p->capacity, sizeof *p->tokens);
    p->out->tokens = mem_array((size_t)more, sizeof *p->out->tokens);
    p->out->logprobs = mem_array((size_t)more, sizeof *p->out->logprobs);
    p->out->top = mem_array((size_t)more * (size_t)g->o->logprobs, sizeof *p->out->top);
    p->out->stop = -1;
    if (g->o->entropies)
        p->out->entropies = mem_array((size_t)more, sizeof *p->out->entropies);
    if (!p->tokens || !p->out->tokens || !p->out->logprobs || !p->out->top ||
        (g->o->entropies && !p->out->entropies))
        return error_memory(e, "a text");
    memcpy(p->tokens, g->prompts[prompt].tokens, (size_t)n * sizeof *p->tokens);
    const struct prefix *prefix;
    int status = prompt_prefix(g, prompt, p->capacity, &prefix, e);
    return status == PLUMB_OK
               ? sequence_create(g->f, prefix, p->capacity - prefix_length(prefix), &p->sequence, e)
               : status;
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
    beginning_release(&g->beginnings[p->prompt]);
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
        g->listener->piece(g->listener->user, p->text_number, piece, n);
}

/* Entropy of the softmax of logits, in nats: log Z - sum p z. What is no number has no probability. */
static double row_entropy(const float *logits, size_t v, double normaliser)
{
    double mean = 0;
    for (size_t i = 0; i < v; i++) {
        const double z = (double)logits[i] - normaliser, p = exp(z);
        mean += p > 0 ? p * z : 0;
    }
    return -mean;
}

/* The next token of each row. Rows know nothing of each other, so threads may take them as they come. */
static void choose(struct generation *g, size_t rows)
{
    const size_t v = (size_t)g->config->vocabulary, top = (size_t)g->o->logprobs;
    const int threads = rows < (size_t)g->n_samplers ? (int)rows : g->n_samplers;
#pragma omp parallel for schedule(static) num_threads(threads) if (threads > 1)
    for (int t = 0; t < threads; t++)
        for (size_t i = (size_t)t; i < rows; i += (size_t)threads) {
            const struct place *p = &g->places[i];
            const size_t made = (size_t)(p->n - p->n_prompt);
            const float *logits = g->logits + i * v;
            struct choice *c = &g->choices[i];
            c->id = sampler_pick(g->samplers[t], logits, p->tokens, (size_t)p->n, p->stream, made);
            if (c->id < 0)
                continue;
            c->normaliser = sampler_top(logits, v, (int)top, p->out->top + made * top);
            if (p->out->entropies)
                p->out->entropies[made] = (float)row_entropy(logits, v, c->normaliser);
        }
}

/* Adds what was chosen to its text. *closed: the text has ended, and the place is another's. */
static int take_token(struct generation *g, size_t at, const float *logits, bool *closed,
                      struct plumb_error *e)
{
    struct place *p = &g->places[at];
    const size_t made = (size_t)(p->n - p->n_prompt);
    const int32_t id = g->choices[at].id;
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
    p->out->tokens[made] = id;
    p->out->logprobs[made] = (float)((double)logits[id] - g->choices[at].normaliser);
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
        const int done = sequence_length(p->sequence), answers = p->n_prompt - 1;
        g->items[i] =
            (struct forward_item){.sequence = p->sequence,
                                  .tokens = p->tokens + done,
                                  .n_tokens = p->n - done,
                                  .n_wanted = 1,
                                  .n_answering = p->n - (done > answers ? done : answers)};
    }
    const size_t rows = g->n_used;
    int status = forward_run(g->f, g->items, rows, NULL, NULL, g->residual, e);
    if (status == PLUMB_OK)
        status = head_logits(g->f, g->residual, rows, g->logits, e);
    if (status == PLUMB_OK)
        choose(g, rows);
    /* From the last to the first: the place that moves up when one is closed has had its turn. */
    for (size_t i = rows; i-- > 0 && status == PLUMB_OK;) {
        bool closed;
        status = take_token(g, i, g->logits + i * (size_t)g->config->vocabulary, &closed, e);
    }
    return status;
}

static int open_samplers(struct generation *g, struct plumb_error *e)
{
    const int threads = model_threads(g->m);
    g->samplers =
        mem_zalloc((size_t)threads, sizeof(struct sampler *)); // NOLINT(bugprone-sizeof-expression)
    if (!g->samplers)
        return error_memory(e, "samplers");
    int status = PLUMB_OK;
    while (g->n_samplers < threads && (size_t)g->n_samplers < g->n_places && status == PLUMB_OK) {
        status =
            sampler_create(&g->o->sampling, g->config->vocabulary, &g->samplers[g->n_samplers], e);
        g->n_samplers += status == PLUMB_OK;
    }
    return status;
}

static int prepare(struct generation *g, size_t n_texts, struct plumb_error *e)
{
    const size_t d = (size_t)g->config->hidden, v = (size_t)g->config->vocabulary;
    g->n_places = n_texts < (size_t)g->o->batch ? n_texts : (size_t)g->o->batch;
    g->places = mem_zalloc(g->n_places, sizeof *g->places);
    g->items = mem_array(g->n_places, sizeof *g->items);
    g->residual = mem_array(g->n_places * d, sizeof *g->residual);
    g->logits = mem_array(g->n_places * v, sizeof *g->logits);
    g->choices = mem_array(g->n_places, sizeof *g->choices);
    g->beginnings = mem_zalloc(g->n_prompts, sizeof *g->beginnings);
    if (!g->places || !g->items || !g->residual || !g->logits || !g->choices || !g->beginnings)
        return error_memory(e, "a batch of texts");
    for (size_t i = 0; i < g->n_prompts; i++)
        g->beginnings[i].left = (int)g->n_samples;
    int status = open_samplers(g, e);
    if (status == PLUMB_OK)
        status = forward_create(g->m, &g->f, e);
    if (status == PLUMB_OK)
        forward_steer(g->f, g->o->steering);
    if (status == PLUMB_OK)
        status = end_tokens(model_path(g->m), g->tokenizer, &g->ends, e);
    return status == PLUMB_OK ? open_opening(g, e) : status;
}

static void release(struct generation *g)
{
    for (size_t i = 0; i < g->n_used; i++)
        place_free(&g->places[i]);
    for (size_t i = 0; g->beginnings && i < g->n_prompts; i++)
        prefix_destroy(g->beginnings[i].prefix);
    prefix_destroy(g->opening);
    for (int i = 0; i < g->n_samplers; i++)
        sampler_destroy(g->samplers[i]);
    mem_free(g->samplers);
    mem_free(g->beginnings);
    mem_free(g->places);
    mem_free(g->items);
    mem_free(g->residual);
    mem_free(g->logits);
    mem_free(g->choices);
    forward_destroy(g->f);
    token_list_free(&g->ends);
}

int generate_samples(const struct model *m, const struct generate_prompt *prompts, size_t n_prompts,
                     int n_samples, const struct generate_options *o,
                     const struct generate_listener *l, struct generated *out,
                     struct plumb_error *e)
{
    struct generation g = {.m = m,
                           .config = model_config(m),
                           .prompts = prompts,
                           .n_prompts = n_prompts,
                           .n_samples = n_samples > 0 ? (size_t)n_samples : 0,
                           .o = o,
                           .listener = l,
                           .out = out};
    size_t n_texts;
    if (!size_mul(n_prompts, g.n_samples, &n_texts))
        return error_memory(e, "so many texts");
    memset(out, 0, n_texts * sizeof *out);
    if (n_prompts == 0)
        return PLUMB_OK;
    int status = model_need_tokenizer(m, &g.tokenizer, e);
    if (status == PLUMB_OK)
        status = check(&g, e);
    if (status == PLUMB_OK)
        status = prepare(&g, n_texts, e);
    for (size_t next = 0; status == PLUMB_OK && (next < n_texts || g.n_used > 0);) {
        while (status == PLUMB_OK && next < n_texts && g.n_used < g.n_places)
            status = place_open(&g, next++, e);
        if (status == PLUMB_OK && l && l->go_on && !l->go_on(l->user))
            status = error_set(e, PLUMB_NO, "stopped");
        if (status == PLUMB_OK)
            status = step(&g, e);
    }
    release(&g);
    if (status != PLUMB_OK)
        generated_free(out, n_texts);
    return status;
}

int generate(const struct model *m, const struct generate_prompt *prompts, size_t n_prompts,
             const struct generate_options *o, const struct generate_listener *l,
             struct generated *out, struct plumb_error *e)
{
    return generate_samples(m, prompts, n_prompts, 1, o, l, out, e);
}

static double mean_of(const float *x, size_t n)
{
    double sum = 0;
    for (size_t i = 0; i < n; i++)
        sum += (double)x[i];
    return x && n > 0 ? sum / (double)n : NAN;
}

double generated_mean_logprob(const struct generated *g)
{
    return mean_of(g->logprobs, g->n);
}

double generated_mean_entropy(const struct generated *g)
{
    return mean_of(g->entropies, g->entropies ? g->n : 0);
}

void generated_free(struct generated *g, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        mem_free(g[i].tokens);
        mem_free(g[i].logprobs);
        mem_free(g[i].top);
        mem_free(g[i].entropies);
        mem_free(g[i].text);
        g[i] = (struct generated){0};
    }
}
