/*
 * speed.c - interleaved rounds of plain prefill, prefill with the letters lens, and the matrix products of oneDNN on
 * the same shapes; best of each. Machines are shared and noisy, so only ratios within one call mean much.
 */
#include "model/speed.h"

#include <sys/resource.h>

#include "base/memory.h"
#include "base/random.h"
#include "model/config.h"
#include "model/forward.h"
#include "tensor/peak.h"

enum { LETTERS = 4 };

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
};

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
    return status == PLUMB_OK ? head_create(m, letters, LETTERS, &b->letters, e) : status;
}

static void release(struct bench *b)
{
    head_destroy(b->letters);
    forward_destroy(b->f);
    mem_free(b->items);
    mem_free(b->tokens);
    mem_free(b->residual);
    mem_free(b->lens);
}

static void keep_best(double *best, double rate)
{
    if (rate > *best)
        *best = rate;
}

static int one_round(struct bench *b, double tokens, struct speed *out, struct plumb_error *e)
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

int speed_measure(const struct model *m, const struct speed_options *o, struct speed *out,
                  struct plumb_error *e)
{
    const struct config *c = model_config(m);
    const int threads = model_threads(m);
    struct bench b = {0};
    *out = (struct speed){0};
    const double tokens = (double)o->prompt * o->prompts;
    int status = prepare(m, o, &b, e);
    if (status == PLUMB_OK) /* warms caches, and grows the workspace */
        status = forward_run(b.f, b.items, b.n, NULL, NULL, b.residual, e);
    for (int i = 0; i < o->rounds && status == PLUMB_OK; i++) {
        status = one_round(&b, tokens, out, e);
        keep_best(&out->peak,
                  peak_flops(model_level(m), model_precision(m) == PRECISION_BF16, threads));
        keep_best(&out->onednn_f32,
                  peak_onednn(false, 512, (size_t)c->intermediate, (size_t)c->hidden, threads, 4));
        keep_best(&out->onednn_bf16,
                  peak_onednn(true, 512, (size_t)c->intermediate, (size_t)c->hidden, threads, 4));
        if (!progress_report(o->progress, (size_t)i + 1, (size_t)o->rounds, "rounds", NULL))
            status = error_set(e, PLUMB_NO, "stopped");
    }
    release(&b);
    if (status != PLUMB_OK)
        return status;
    struct rusage usage;
    getrusage(RUSAGE_SELF, &usage);
    out->peak_resident = (size_t)usage.ru_maxrss * 1024;
    out->bandwidth = peak_bandwidth(threads);
    out->flops = out->prefill * model_flops_per_token(m);
    return PLUMB_OK;
}
