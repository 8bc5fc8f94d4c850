/*
 * speed.c - interleaved rounds of plain prefill, prefill with the letters lens, making one token after the other, reading
 * memory, and the matrix products of oneDNN on the same shapes; best of each. Machines are shared and noisy, so only ratios within one call mean much.
 */
#include "model/speed.h"

#include <sys/resource.h>

#include "base/memory.h"
#include "base/random.h"
#include "model/config.h"
#include "model/forward.h"
#include "tensor/peak.h"

enum {
    LETTERS = 4,
    BEGINNING = 16, /* tokens that stand before those that are made */
    STEPS = 8,      /* tokens made in a round */
    LARGEST_BATCH = 16
};
static const int decode_prompts[SPEED_BATCHES] = {1, 4, LARGEST_BATCH};

struct speed_options speed_options_default(void)
{
    return (struct speed_options){.prompt = 512, .prompts = 1, .rounds = 5};
}

struct bench {
    struct forward *f;
    struct head *letters;
    struct forward_item *items;
    int32_t *tokens;
    float *residual, *lens;
    size_t n, layers, hidden;
    /* Of making tokens: */
    struct sequence *sequences[LARGEST_BATCH];
    int32_t beginning[BEGINNING];
    float *last, *logits; /* [LARGEST_BATCH, D], [LARGEST_BATCH, V] */
};

static void keep_best(double *best, double rate)
{
    if (rate > *best)
        *best = rate;
}

/* ---- one token after the other ---- */

static int prepare_decode(const struct model *m, struct bench *b, struct plumb_error *e)
{
    const struct config *c = model_config(m);
    struct random random = random_start(2, 0);
    for (int i = 0; i < BEGINNING; i++)
        b->beginning[i] = (int32_t)random_below(&random, (uint64_t)c->vocabulary);
    b->last = mem_array(LARGEST_BATCH * (size_t)c->hidden, sizeof *b->last);
    b->logits = mem_array(LARGEST_BATCH * (size_t)c->vocabulary, sizeof *b->logits);
    int status = b->last && b->logits ? PLUMB_OK : error_memory(e, "a benchmark");
    for (int i = 0; i < LARGEST_BATCH && status == PLUMB_OK; i++)
        status = sequence_create(b->f, NULL, BEGINNING + STEPS, &b->sequences[i], e);
    return status;
}

/* The next tokens of all prompts, and the logits behind them. */
static int decode_step(struct bench *b, int prompts, int tokens, struct plumb_error *e)
{
    struct forward_item items[LARGEST_BATCH];
    for (int i = 0; i < prompts; i++)
        items[i] = (struct forward_item){
            .sequence = b->sequences[i], .tokens = b->beginning, .n_tokens = tokens, .n_wanted = 1};
    int status = forward_run(b->f, items, (size_t)prompts, NULL, NULL, b->last, e);
    return status == PLUMB_OK ? head_logits(b->f, b->last, (size_t)prompts, b->logits, e) : status;
}

static int decode_round(struct bench *b, struct speed_decode *d, struct plumb_error *e)
{
    for (int i = 0; i < d->prompts; i++)
        sequence_truncate(b->sequences[i], 0);
    int status = decode_step(b, d->prompts, BEGINNING, e);
    for (int i = 0; i < STEPS && status == PLUMB_OK; i++) {
        const double start = clock_seconds();
        status = decode_step(b, d->prompts, 1, e);
        keep_best(&d->rate, d->prompts / (clock_seconds() - start)); /* as long as one reading */
    }
    return status;
}

/* ---- prefill ---- */

static int prepare(const struct model *m, const struct speed_options *o, struct bench *b,
                   struct plumb_error *e)
{
    const struct config *c = model_config(m);
    const int32_t letters[LETTERS] = {0, 1 % c->vocabulary, 2 % c->vocabulary, 3 % c->vocabulary};
    struct random random = random_start(1, 0);
    b->n = (size_t)o->prompts;
    b->layers = (size_t)c->n_layers;
    b->hidden = (size_t)c->hidden;
    b->items = mem_array(b->n, sizeof *b->items);
    b->tokens = mem_array(b->n * (size_t)o->prompt, sizeof *b->tokens);
    b->residual = mem_array((b->layers + 1) * b->n * b->hidden, sizeof *b->residual);
    b->lens = mem_array(b->layers * b->n * LETTERS, sizeof *b->lens);
    if (!b->items || !b->tokens || !b->residual || !b->lens)
        return error_memory(e, "a benchmark");
    for (size_t i = 0; i < b->n * (size_t)o->prompt; i++)
        b->tokens[i] = (int32_t)random_below(&random, (uint64_t)c->vocabulary);
    for (size_t i = 0; i < b->n; i++)
        b->items[i] = (struct forward_item){
            .tokens = b->tokens + i * (size_t)o->prompt, .n_tokens = o->prompt, .n_wanted = 1};
    int status = forward_create(m, &b->f, e);
    if (status == PLUMB_OK)
        status = head_create(m, letters, LETTERS, &b->letters, e);
    return status == PLUMB_OK ? prepare_decode(m, b, e) : status;
}

static void release(struct bench *b)
{
    for (int i = 0; i < LARGEST_BATCH; i++)
        sequence_destroy(b->sequences[i]);
    mem_free(b->last);
    mem_free(b->logits);
    head_destroy(b->letters);
    forward_destroy(b->f);
    mem_free(b->items);
    mem_free(b->tokens);
    mem_free(b->residual);
    mem_free(b->lens);
}

static int prefill_round(struct bench *b, double tokens, struct speed *out, struct plumb_error *e)
{
    double start = clock_seconds();
    int status = forward_run(b->f, b->items, b->n, NULL, NULL, b->residual, e);
    keep_best(&out->prefill, tokens / (clock_seconds() - start));
    if (status != PLUMB_OK)
        return status;
    start = clock_seconds();
    status = forward_run(b->f, b->items, b->n, NULL, b->residual, NULL, e);
    if (status == PLUMB_OK)
        status = head_apply(b->f, b->letters, b->residual + b->n * b->hidden, b->layers * b->n,
                            b->lens, e);
    keep_best(&out->lens, tokens / (clock_seconds() - start));
    return status;
}

/* What a step of decoding is bound by: all weights are read, and each takes part in a multiply-add for each prompt. */
static void set_bounds(const struct model *m, struct speed *s)
{
    const struct config *c = model_config(m);
    const double flops = model_flops_per_token(m) + 2.0 * (double)c->hidden * c->vocabulary;
    for (int i = 0; i < SPEED_BATCHES; i++) {
        struct speed_decode *d = &s->decode[i];
        d->by_units = s->peak / flops;
        d->by_memory =
            c->n_experts > 0 ? 0 : d->prompts * s->bandwidth / (double)model_weight_bytes(m);
    }
}

static int one_round(const struct model *m, struct bench *b, double tokens, struct speed *out,
                     struct plumb_error *e)
{
    const struct config *c = model_config(m);
    const size_t wide = (size_t)c->intermediate, d = (size_t)c->hidden;
    const int threads = model_threads(m);
    int status = prefill_round(b, tokens, out, e);
    for (int i = 0; i < SPEED_BATCHES && status == PLUMB_OK; i++)
        status = decode_round(b, &out->decode[i], e);
    if (out->peak_resident == 0) { /* before what follows takes memory of its own */
        struct rusage usage;
        getrusage(RUSAGE_SELF, &usage);
        out->peak_resident = (size_t)usage.ru_maxrss * 1024;
    }
    keep_best(&out->bandwidth, peak_bandwidth(threads));
    keep_best(&out->peak,
              peak_flops(model_level(m), model_precision(m) == PRECISION_BF16, threads));
    keep_best(&out->onednn_f32, peak_onednn(false, 512, wide, d, threads, 4));
    keep_best(&out->onednn_bf16, peak_onednn(true, 512, wide, d, threads, 4));
    return status;
}

int speed_measure(const struct model *m, const struct speed_options *o, struct speed *out,
                  struct plumb_error *e)
{
    struct bench b = {0};
    *out = (struct speed){0};
    for (int i = 0; i < SPEED_BATCHES; i++)
        out->decode[i].prompts = decode_prompts[i];
    int status = prepare(m, o, &b, e);
    if (status == PLUMB_OK) /* warms caches, and grows the workspace */
        status = forward_run(b.f, b.items, b.n, NULL, NULL, b.residual, e);
    for (int i = 0; i < o->rounds && status == PLUMB_OK; i++) {
        status = one_round(m, &b, (double)o->prompt * o->prompts, out, e);
        if (!progress_report(o->progress, (size_t)i + 1, (size_t)o->rounds, "rounds", NULL))
            status = error_set(e, PLUMB_NO, "stopped");
    }
    release(&b);
    out->flops = out->prefill * model_flops_per_token(m);
    set_bounds(m, out);
    return status;
}
