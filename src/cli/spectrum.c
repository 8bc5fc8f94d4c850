/*
 * spectrum.c - `plumb spectrum`: what post-training did to the weight matrices, beside what chance would do.
 */
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "base/memory.h"
#include "cli/layer_list.h"
#include "cli/output.h"
#include "cli/progress_line.h"
#include "cli/result.h"
#include "cli/spectrum.h"
#include "cli/verb.h"
#include "model/config.h"
#include "report/spectrum.h"
#include "spectrum/intervention.h"
#include "spectrum/spectrum.h"
#include "spectrum/spectrum_json.h"

#define AT(field) offsetof(struct spectrum_verb_options, field)
static const struct option_row options[] = {
    {'o', "output", OPTION_TEXT, "OUT", AT(output),
     "the report, an HTML page; with --write, the model that is written"},
    {0, "layers", OPTION_TEXT, "LIST", AT(layers), "such as 1,4-8,last; all"},
    {0, "modules", OPTION_TEXT, "LIST", AT(modules),
     "which matrices: q,k,v,o,gate,up,down; all of them"},
    {0, "rank", OPTION_SIZE, "R", AT(rank),
     "only the R leading singular values and vectors, by a randomised SVD; 0, the default: all, "
     "exact"},
    {0, "null", OPTION_INT, "N", AT(draws),
     "draws of each of the two controls; 8; 0 = none, much faster"},
    {0, "seed", OPTION_SIZE, "S", AT(seed), "of the controls; 1"},
    {0, "state", OPTION_TEXT, "FILE", AT(state),
     "keeps what is done, and goes on from there; OUT.state.json while a report is made"},
    {0, "write", OPTION_TEXT, "KIND", AT(write),
     "write a model instead: scale, break, break-right, restore, restore-right, scale-only, "
     "random"},
    {0, "trace", OPTION_TEXT, "QUESTIONS", AT(trace),
     "also trace both models and the interventions scale, restore, scale-only, break and random "
     "over "
     "these questions, and show what each does to accuracy and calibration; traces are kept in "
     "OUT.traces/"},
    {0, "limit", OPTION_SIZE, "N", AT(limit), "--trace: only the first N questions"},
    {0, "threads", OPTION_INT, "N", AT(threads),
     "0, the default: as many as there are; the result is the same"},
    {0, "json", OPTION_FLAG, NULL, AT(json), "one JSON document"},
    {0},
};

static const enum spectrum_statistic shown[] = {SPECTRUM_ALPHA, SPECTRUM_CV, SPECTRUM_NF,
                                                SPECTRUM_ROTATION, SPECTRUM_OVERLAP};
enum { SHOWN = sizeof shown / sizeof *shown };

/* ---- showing ---- */

/* One statistic: a row a module. */
static bool show_statistic(const struct spectrum *s, enum spectrum_statistic v)
{
    struct table *t = table_create("lrrrrrr");
    static const char *const head[] = {"module",   "matrices",   "measured",  "random",
                                       "permuted", "above both", "below both"};
    printf("\n%s\n", spectrum_statistic_words[v].words);
    for (size_t i = 0; i < sizeof head / sizeof *head; i++)
        table_cell(t, "%s", head[i]);
    for (int m = 0; m < SPECTRUM_MODULES; m++) {
        struct spectrum_summary y;
        spectrum_summarise(s, (enum spectrum_module)m, &y);
        if (y.n == 0)
            continue;
        table_cell(t, "%s", spectrum_module_name((enum spectrum_module)m));
        table_cell(t, "%zu", y.n);
        table_cell(t, "%.5f", y.measured[v]);
        for (int null = 0; null < SPECTRUM_NULLS; null++)
            table_cell(t, y.with_control ? "%.5f" : "-", y.mean[null][v]);
        table_cell(t, y.judged ? "%zu" : "-", y.above_all[v]);
        table_cell(t, y.judged ? "%zu" : "-", y.below_all[v]);
    }
    return table_print(t, stdout);
}

static bool show_attention(const struct spectrum *s)
{
    if (s->n_attention == 0)
        return true;
    struct table *t = table_create("rrrr");
    printf("\nattention: 1 / (alpha_q alpha_k)\n");
    table_cell(t, "layer");
    table_cell(t, "alpha_q");
    table_cell(t, "alpha_k");
    table_cell(t, "temperature");
    for (size_t i = 0; i < s->n_attention; i++) {
        const struct spectrum_attention *a = &s->attention[i];
        table_cell(t, "%d", a->layer);
        table_cell(t, "%.4f", a->alpha_q);
        table_cell(t, "%.4f", a->alpha_k);
        table_cell(t, isnan(a->temperature) ? "-" : "%.4f", a->temperature);
    }
    const bool printed = table_print(t, stdout);
    if (s->attention[0].caution) {
        char note[512];
        snprintf(note, sizeof note, "note: %s", s->attention[0].caution);
        options_wrap(note, 0, 0, stdout);
    }
    return printed;
}

static int show_text(const struct spectrum *s, const struct spectrum_arm *arms, size_t n_arms,
                     double seconds, struct plumb_error *e)
{
    char time[32], line[512];
    double change = 0;
    bool printed = true;
    for (size_t i = 0; i < s->n; i++)
        change += s->items[i].change / (double)s->n;
    snprintf(line, sizeof line,
             "%s against %s: %zu matrices in %s (%zu from an earlier run); |dW| / |W| is %.4g on "
             "average",
             s->post_name, s->base_name, s->n, human_seconds(seconds, time), s->resumed, change);
    options_wrap(line, 0, 0, stdout);
    snprintf(line, sizeof line,
             "controls: %d draws each of a Gaussian and a permuted change of the same size, seed "
             "%llu; %s",
             s->draws, (unsigned long long)s->seed,
             s->draws < SPECTRUM_LEAST_DRAWS
                 ? "three at least would say what lies beyond them: that is not known here"
                 : "only what lies beyond both is evidence");
    if (s->draws > 0)
        options_wrap(line, 0, 0, stdout);
    for (int k = 0; k < SHOWN && printed; k++)
        printed = show_statistic(s, shown[k]);
    if (!printed || !show_attention(s) || (n_arms && !spectrum_print_arms(arms, n_arms)))
        return error_memory(e, "a table");
    return PLUMB_OK;
}

static int show_json(const struct spectrum *s, const struct spectrum_arm *arms, size_t n_arms)
{
    struct result r;
    result_start(&r);
    json_write_object(&r.json);
    result_text(&r, "base", s->base_name);
    result_text(&r, "base_fingerprint", s->base_fingerprint);
    result_text(&r, "post", s->post_name);
    result_text(&r, "post_fingerprint", s->post_fingerprint);
    result_integer(&r, "rank", (int64_t)s->rank);
    result_integer(&r, "draws", s->draws);
    result_integer(&r, "seed", (int64_t)s->seed);
    json_write_key(&r.json, "matrices");
    json_write_array(&r.json);
    for (size_t i = 0; i < s->n; i++)
        spectrum_item_write(&r.json, &s->items[i]);
    json_write_end(&r.json, ']');
    json_write_key(&r.json, "attention");
    spectrum_attention_write(&r.json, s);
    if (n_arms)
        spectrum_write_arms(arms, n_arms, &r);
    json_write_end(&r.json, '}');
    return result_print(&r);
}

/* ---- doing ---- */

static int compare(const struct spectrum_verb_options *o, const struct model *base,
                   const struct model *post, const struct spectrum_options *given,
                   struct plumb_error *e)
{
    struct spectrum_options how = *given;
    struct buffer state = BUFFER_EMPTY, command = BUFFER_EMPTY;
    struct progress_line line;
    struct spectrum s;
    struct spectrum_arm *arms = NULL;
    size_t n_arms = 0;
    const double begin = clock_seconds();
    int status = file_check_output(o->output, e);
    if (status != PLUMB_OK)
        return status;
    if (o->output)
        buffer_printf(&state, "%s.state.json", o->output);
    buffer_printf(&command, "plumb spectrum %s %s --null %d --seed %zu", model_name(base),
                  model_name(post), o->draws, o->seed);
    if (o->rank)
        buffer_printf(&command, " --rank %zu", o->rank);
    if (o->trace)
        buffer_printf(&command, " --trace %s", file_base_name(o->trace));
    if (o->trace && o->limit)
        buffer_printf(&command, " --limit %zu", o->limit);
    how.state = o->state ? o->state : o->output ? buffer_string(&state) : NULL;
    progress_line_start(&line, o->common.quiet);
    how.progress = &line.progress;
    status = state.failed || command.failed ? error_memory(e, "a file name")
                                            : spectrum_run(base, post, &how, &s, e);
    progress_line_end(&line);
    if (status == PLUMB_OK) {
        if (o->trace)
            status = spectrum_trace(o, base, post, given, &arms, &n_arms, e);
        if (status == PLUMB_OK && o->output)
            status = spectrum_report_write(&s, arms, n_arms, buffer_string(&command), o->output, e);
        if (status == PLUMB_OK)
            status = o->json ? show_json(&s, arms, n_arms)
                             : show_text(&s, arms, n_arms, clock_seconds() - begin, e);
        mem_free(arms);
        if (status == PLUMB_OK && o->output) {
            if (!o->state) /* complete: there is nothing to go on with */
                unlink(buffer_string(&state));
            if (!o->json)
                printf("\nreport: %s\n", o->output);
        }
        spectrum_free(&s);
    }
    buffer_free(&state);
    buffer_free(&command);
    return status;
}

static int write_model(const struct spectrum_verb_options *o, const struct model *base,
                       const struct model *post, const struct spectrum_options *given,
                       struct plumb_error *e)
{
    struct spectrum_options how = *given;
    struct intervention_result result;
    struct progress_line line;
    int kind = 0;
    while (kind < SPECTRUM_INTERVENTIONS && strcmp(o->write, spectrum_intervention_name[kind]) != 0)
        kind++;
    if (kind == SPECTRUM_INTERVENTIONS)
        return error_set(e, PLUMB_INPUT,
                         "there is no intervention '%s'; expected scale, break, break-right, "
                         "restore, restore-right, scale-only or random",
                         o->write);
    if (!o->output)
        return error_set(e, PLUMB_INPUT, "-o OUT is missing: where does the model go?");
    if (o->rank)
        return error_set(e, PLUMB_INPUT,
                         "--write needs the whole decomposition; leave --rank away");
    progress_line_start(&line, o->common.quiet);
    how.progress = &line.progress;
    const int status = intervention_write(base, post, &how, (enum spectrum_intervention)kind,
                                          o->output, &result, e);
    progress_line_end(&line);
    if (status != PLUMB_OK)
        return status;
    if (o->json) {
        struct result r;
        result_start(&r);
        json_write_object(&r.json);
        result_text(&r, "output", o->output);
        result_text(&r, "intervention", o->write);
        result_integer(&r, "matrices", (int64_t)result.matrices);
        result_double(&r, "error", result.error);
        json_write_end(&r.json, '}');
        return result_print(&r);
    }
    printf("%s: %s with %zu matrices replaced by '%s', |X - W_post| / |W_post| = %.4g\n", o->output,
           model_name(post), result.matrices, o->write, result.error);
    return PLUMB_OK;
}

static int spectrum(const struct spectrum_verb_options *o, const struct operands *words,
                    struct plumb_error *e)
{
    struct model_options open = model_options_default();
    struct model *base = NULL, *post = NULL;
    int *layers = NULL;
    struct spectrum_options how = {.modules = SPECTRUM_ALL_MODULES,
                                   .rank = o->rank,
                                   .draws = o->draws,
                                   .seed = o->seed,
                                   .threads = o->threads};
    open.weights = false;
    int status = spectrum_trace_check(o, e);
    if (status == PLUMB_OK && o->modules)
        status = spectrum_modules_parse(o->modules, &how.modules, e);
    if (status == PLUMB_OK)
        status = model_open(words->words[0], &open, &base, e);
    if (status == PLUMB_OK)
        status = model_open(words->words[1], &open, &post, e);
    if (status == PLUMB_OK)
        status = layer_list_parse(o->layers ? o->layers : "all", model_config(base)->n_layers,
                                  &layers, &how.n_layers, e);
    how.layers = layers;
    if (status == PLUMB_OK)
        status = o->write ? write_model(o, base, post, &how, e) : compare(o, base, post, &how, e);
    mem_free(layers);
    model_close(base);
    model_close(post);
    return status;
}

static int run(int argc, char **argv)
{
    struct spectrum_verb_options o = {.draws = 8, .seed = 1};
    struct operands words;
    struct plumb_error e = {0};
    int status;
    if (!verb_parse(&verb_spectrum, argc, argv, &o, 2, 2, &words, &status))
        return status;
    status = spectrum(&o, &words, &e);
    if (status == PLUMB_OK)
        return status;
    status = verb_fail(&verb_spectrum, &e);
    return progress_interrupted() ? EXIT_INTERRUPTED : status;
}

static const char *const synopses[] = {"BASE POST [-o REPORT.html] [options]",
                                       "BASE POST --write KIND -o MODEL [options]", NULL};
static const char *const examples[][2] = {
    {"plumb spectrum demo/base demo/post -o spectrum.html",
     "every matrix, exact, with both controls"},
    {"plumb spectrum demo/base demo/post --modules q,k --null 0 --json",
     "scales of queries and keys, without controls"},
    {"plumb spectrum demo/base demo/post --write scale -o scaled",
     "the post-trained model with the base's singular values, scaled"},
    {"plumb spectrum demo/base demo/post --null 3 --trace demo/questions.jsonl -o experiment.html",
     "also what each part of the change does to answers"},
    {NULL},
};
const struct verb verb_spectrum = {
    .name = "spectrum",
    .summary = "what post-training did to the weights, beside chance",
    .synopses = synopses,
    .description =
        "Decomposes each weight matrix before and after post-training and compares singular values "
        "and singular vectors: scale, evenness of the scale, size and coordination of the "
        "rotations. Any small change gives even scales and coordinated rotations, so every number "
        "stands beside two controls: a Gaussian change of the same relative size, and the real "
        "change with its elements in random order. Only what lies beyond both is evidence.\n"
        "--write makes the post-trained model with one part of its change taken away, to be traced "
        "and judged like any model: scale (the base's singular values times one number), break and "
        "break-right (the base's left or right singular vectors), restore and restore-right "
        "(those, "
        "turned by the other side's rotation), scale-only (the base, scaled), random (the left "
        "side "
        "turned at random).",
    .options = options,
    .examples = examples,
    .run = run,
};
