/*
 * bench.c - `plumb bench`: what this machine can do, and how much of it the forward pass uses.
 */
#include <sched.h>
#include <stdio.h>

#include "cli/output.h"
#include "cli/progress_line.h"
#include "cli/result.h"
#include "cli/verb.h"
#include "model/speed.h"
#include "tensor/peak.h"

struct bench_options {
    struct common_options common;
    int precision, threads, prompt, prompts, rounds;
    bool json;
};

#define AT(field) offsetof(struct bench_options, field)
static const struct option_row options[] = {
    {0, "precision", OPTION_CHOICE, "auto|f32|bf16", AT(precision),
     "of weights and matrix products"},
    {0, "threads", OPTION_INT, "N", AT(threads), "0, the default: as many as there are"},
    {0, "prompt", OPTION_INT, "N", AT(prompt), "tokens of a prompt (512)"},
    {0, "prompts", OPTION_INT, "N", AT(prompts), "prompts of a batch (1)"},
    {0, "rounds", OPTION_INT, "N", AT(rounds),
     "measure each thing N times in turn (5); the best counts"},
    {0, "json", OPTION_FLAG, NULL, AT(json), "one JSON document"},
    {0},
};

static const double GIGA = 1e9;

/* Processors that this process may use. */
static int processors(void)
{
    cpu_set_t set;
    return sched_getaffinity(0, sizeof set, &set) == 0 ? CPU_COUNT(&set) : 1;
}

/* The machine alone: peaks and bandwidth. */
static int bench_machine(const struct bench_options *o, struct plumb_error *e)
{
    enum { SIDE = 1024, ROUNDS = 5 }; /* a product of this size is bound by arithmetic everywhere */
    enum level level;
    int status = level_current(&level, e);
    if (status != PLUMB_OK)
        return status;
    const int threads = o->threads > 0 ? o->threads : processors();
    const int rounds = o->rounds > 0 ? o->rounds : ROUNDS;
    const double peak_f32 = peak_flops(level, false, threads),
                 peak_bf16 = peak_flops(level, true, threads);
    const double onednn_f32 = peak_onednn(false, SIDE, SIDE, SIDE, threads, rounds);
    const double onednn_bf16 = peak_onednn(true, SIDE, SIDE, SIDE, threads, rounds);
    const double bandwidth = peak_bandwidth(threads);
    if (o->json) {
        struct result r;
        result_start(&r);
        json_write_object(&r.json);
        result_text(&r, "level", level_name(level));
        result_integer(&r, "threads", threads);
        result_double(&r, "peak_f32_flops", peak_f32);
        result_double(&r, "peak_bf16_flops", peak_bf16);
        result_double(&r, "onednn_f32_flops", onednn_f32);
        result_double(&r, "onednn_bf16_flops", onednn_bf16);
        result_double(&r, "memory_bytes_per_second", bandwidth);
        json_write_end(&r.json, '}');
        return result_print(&r);
    }
    printf("instructions: %s, %d threads\n", level_name(level), threads);
    struct table *t = table_create("lrl");
    table_cell(t, "machine");
    table_cell(t, "rate");
    table_cell(t, "%s", "");
    table_cell(t, "multiply-add units, f32");
    table_cell(t, "%.0f GFLOP/s", peak_f32 / GIGA);
    table_cell(t, "in registers");
    table_cell(t, "multiply-add units, bf16");
    table_cell(t, "%.0f GFLOP/s", peak_bf16 / GIGA);
    table_cell(t, "in registers; the f32 rate where there is no bf16 unit");
    table_cell(t, "oneDNN matrix product, f32");
    table_cell(t, "%.0f GFLOP/s", onednn_f32 / GIGA);
    table_cell(t, "%d x %d x %d", SIDE, SIDE, SIDE);
    if (onednn_bf16 > 0) {
        table_cell(t, "oneDNN matrix product, bf16");
        table_cell(t, "%.0f GFLOP/s", onednn_bf16 / GIGA);
        table_cell(t, "%d x %d x %d", SIDE, SIDE, SIDE);
    }
    table_cell(t, "memory, reading");
    table_cell(t, "%.1f GB/s", bandwidth / GIGA);
    table_cell(t, "%s", "");
    return table_print(t, stdout) ? PLUMB_OK : error_memory(e, "the table");
}

static void speed_json(const struct model *m, const struct speed *s, struct result *r)
{
    result_start(r);
    json_write_object(&r->json);
    result_text(r, "model", model_name(m));
    result_text(r, "precision", precision_name(model_precision(m)));
    result_double(r, "prefill_tokens_per_second", s->prefill);
    result_double(r, "lens_tokens_per_second", s->lens);
    result_double(r, "linear_flops", s->flops);
    result_double(r, "peak_flops", s->peak);
    result_double(r, "onednn_bf16_flops", s->onednn_bf16);
    result_double(r, "onednn_f32_flops", s->onednn_f32);
    result_double(r, "memory_bytes_per_second", s->bandwidth);
    result_integer(r, "weight_bytes", (int64_t)model_weight_bytes(m));
    json_write_key(&r->json, "decode");
    json_write_array(&r->json);
    for (int i = 0; i < SPEED_BATCHES; i++) {
        const struct speed_decode *d = &s->decode[i];
        json_write_object(&r->json);
        result_integer(r, "prompts", d->prompts);
        result_double(r, "tokens_per_second", d->rate);
        result_double(r, "memory_bound", d->by_memory);
        result_double(r, "arithmetic_bound", d->by_units);
        json_write_end(&r->json, '}');
    }
    json_write_end(&r->json, ']');
    result_integer(r, "peak_resident_bytes", (int64_t)s->peak_resident);
    json_write_end(&r->json, '}');
}

static void add_share(struct table *t, const char *name, double ceiling, double flops)
{
    if (ceiling <= 0)
        return;
    table_cell(t, "%s", name);
    table_cell(t, "%.0f GFLOP/s", ceiling / GIGA);
    table_cell(t, "prefill reaches %.0f %% of it", 100 * flops / ceiling);
}

/* Tokens made one after the other, beside the nearer of the two bounds. */
static void add_decode(struct table *t, const struct speed_decode *d)
{
    const bool memory = d->by_memory > 0 && d->by_memory < d->by_units;
    const double bound = memory ? d->by_memory : d->by_units;
    table_cell(t, "next tokens of %d prompt%s", d->prompts, d->prompts == 1 ? "" : "s at once");
    table_cell(t, "%.1f tokens/s", d->rate);
    table_cell(t, "%.0f %% of what %s, %.1f", 100 * d->rate / bound,
               memory ? "memory allows" : "the units allow", bound);
}

static bool speed_print(const struct model *m, const struct speed *s)
{
    char size[32];
    struct table *t = table_create("lrl");
    printf("%s, %s\n", model_name(m), precision_name(model_precision(m)));
    table_cell(t, "measured");
    table_cell(t, "rate");
    table_cell(t, "%s", "");
    table_cell(t, "prefill");
    table_cell(t, "%.0f tokens/s", s->prefill);
    table_cell(t, "linear layers: %.0f GFLOP/s", s->flops / GIGA);
    table_cell(t, "prefill with the letters at every layer");
    table_cell(t, "%.0f tokens/s", s->lens);
    table_cell(t, "%.1f %% more time", 100 * (s->prefill / s->lens - 1));
    for (int i = 0; i < SPEED_BATCHES; i++)
        add_decode(t, &s->decode[i]);
    add_share(t, "multiply-add units in this precision", s->peak, s->flops);
    add_share(t, "oneDNN on the largest layer, bf16", s->onednn_bf16, s->flops);
    add_share(t, "oneDNN on the largest layer, f32", s->onednn_f32, s->flops);
    table_cell(t, "memory, reading");
    table_cell(t, "%.1f GB/s", s->bandwidth / GIGA);
    table_cell(t, "%s", "");
    table_cell(t, "most memory held");
    table_cell(t, "%s", human_size(s->peak_resident, size));
    table_cell(t, "weights %s", human_size(model_weight_bytes(m), (char[32]){0}));
    return table_print(t, stdout);
}

static int bench_model(const char *path, const struct bench_options *o, struct plumb_error *e)
{
    struct model_options how = model_options_default();
    struct speed_options what = speed_options_default();
    struct progress_line line;
    struct model *m = NULL;
    struct speed s;
    progress_line_start(&line, o->common.quiet);
    how.precision = (enum precision)o->precision;
    how.threads = o->threads;
    how.progress = what.progress = &line.progress;
    if (o->prompt > 0)
        what.prompt = o->prompt;
    if (o->prompts > 0)
        what.prompts = o->prompts;
    if (o->rounds > 0)
        what.rounds = o->rounds;
    int status = model_open(path, &how, &m, e);
    if (status == PLUMB_OK)
        status = speed_measure(m, &what, &s, e);
    progress_line_end(&line);
    if (status == PLUMB_OK && o->json) {
        struct result r;
        speed_json(m, &s, &r);
        status = result_print(&r);
    } else if (status == PLUMB_OK) {
        status = speed_print(m, &s) ? PLUMB_OK : error_memory(e, "the table");
    }
    model_close(m);
    return status;
}

static int run(int argc, char **argv)
{
    struct bench_options o = {0};
    struct operands words;
    struct plumb_error e = {0};
    int status;
    if (!verb_parse(&verb_bench, argc, argv, &o, 0, 1, &words, &status))
        return status;
    status = words.count ? bench_model(words.words[0], &o, &e) : bench_machine(&o, &e);
    if (status != PLUMB_OK)
        status = verb_fail(&verb_bench, &e);
    return progress_interrupted() ? EXIT_INTERRUPTED : status;
}

static const char *const synopses[] = {"[MODEL] [options]", NULL};
static const char *const examples[][2] = {
    {"plumb bench", "this machine's matrix peaks and memory bandwidth"},
    {"plumb bench Qwen2.5-0.5B --precision bf16 --json",
     "a model's prefill and decoding against them, as JSON"},
    {NULL},
};
const struct verb verb_bench = {
    .name = "bench",
    .summary = "measure this machine, and a model's speed against it",
    .synopses = synopses,
    .description = "Measures this machine's matrix peaks and memory bandwidth; with a MODEL also "
                   "its prefill, with and without the "
                   "letters' logits at every layer, and making one token after the other for 1, 4 "
                   "and 16 prompts at once, as a share of these peaks. All rates come from "
                   "one run, measured in turn.",
    .options = options,
    .examples = examples,
    .run = run,
};
