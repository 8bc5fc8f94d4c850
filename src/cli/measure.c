/*
 * measure.c - `plumb measure`: every metric of traces, CSV, JSONL and sample logs, with intervals; and the paired comparison.
 */
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "cli/measure_file.h"
#include "cli/progress_line.h"
#include "cli/reliability.h"
#include "cli/verb.h"

struct measure_verb_options {
    struct common_options common;
    int bins, edges, by, resample, bootstrap, nan, parity, threads;
    size_t seed;
    double confidence;
    const char *columns, *against;
    bool json;
};

#define AT(field) offsetof(struct measure_verb_options, field)
static const struct option_row options[] = {
    {0, "bins", OPTION_INT, "N", AT(bins), "of the ECE of your choice, and of the diagram: 15"},
    {0, "edges", OPTION_CHOICE, "right|left", AT(edges),
     "which bin a confidence on an edge is in: right: (lo, hi] with 0 in the first; left: [lo, hi) "
     "with 1 in the last"},
    {0, "by", OPTION_CHOICE, "file|group", AT(by), "one result, or a line for each group"},
    {0, "bootstrap", OPTION_INT, "N", AT(bootstrap),
     "resamples for the intervals: 2000; 0 for none"},
    {0, "resample", OPTION_CHOICE, "questions|groups", AT(resample),
     "what a resample draws: questions, or whole groups of them where these depend on each other"},
    {0, "seed", OPTION_SIZE, "N", AT(seed), "of the resamples: 0"},
    {0, "confidence", OPTION_NUMBER, "C", AT(confidence), "of the intervals: 0.95"},
    {0, "nan", OPTION_CHOICE, "error|drop", AT(nan),
     "rows with NaN or infinite values: refuse the file, or leave them out and count them"},
    {0, "parity", OPTION_CHOICE, "ours|netcal|torchmetrics|relplot|helm", AT(parity),
     "the numbers of another tool, by its rules and under its names"},
    {0, "against", OPTION_TEXT, "FILE", AT(against),
     "the difference to this file, on the same questions: both are resampled together"},
    {0, "columns", OPTION_TEXT, "NAME", AT(columns),
     "of a CSV with the option scores of several models: NAME_A, NAME_B, ..."},
    {0, "threads", OPTION_INT, "N", AT(threads),
     "0, the default: as many as there are; the result does not depend on it"},
    {0, "json", OPTION_FLAG, NULL, AT(json), "one JSON document"},
    {0},
};

static int check_options(const struct measure_verb_options *o, int files, struct plumb_error *e)
{
    if (o->bins < 1 || o->bins > BINS_MAX)
        return error_set(e, PLUMB_INPUT, "--bins %d: expected 1 to %d", o->bins, (int)BINS_MAX);
    if (!(o->confidence > 0 && o->confidence < 1))
        return error_set(e, PLUMB_INPUT,
                         "--confidence %g: expected a share between 0 and 1, such as 0.95",
                         o->confidence);
    if (o->bootstrap > 1000000)
        return error_set(e, PLUMB_INPUT, "--bootstrap %d: expected at most 1000000", o->bootstrap);
    if (o->against && files != 1)
        return error_set(e, PLUMB_INPUT, "--against compares one file with another, found %d files",
                         files);
    if (o->against && (o->by || o->parity))
        return error_set(e, PLUMB_INPUT, "--against cannot be combined with %s",
                         o->by ? "--by group" : "--parity");
    if (o->by && (files != 1 || o->parity))
        return error_set(e, PLUMB_INPUT, "--by group takes one file, and no --parity");
    return PLUMB_OK;
}

/* ---- a file ---- */

static struct sample_options sample_options_of(const struct measure_verb_options *o)
{
    struct sample_options s = sample_options_default();
    s.drop_nan = o->nan == 1;
    return s;
}

static int open_file(const char *path, const struct measure_verb_options *o, struct measure_file *f,
                     struct plumb_error *e)
{
    const struct sample_options how = sample_options_of(o);
    f->path = path;
    int status = scores_read_columns(path, o->columns, &f->scores, e);
    if (status != PLUMB_OK)
        return status;
    status = sample_create(&f->scores, &how, &f->sample, e);
    if (status == PLUMB_INPUT)
        error_prefix(e, "%s", path);
    return status;
}

static void close_file(struct measure_file *f)
{
    measurement_free(&f->measured);
    sample_free(&f->sample);
    scores_free(&f->scores);
}

/* Only the main numbers, of every group that has a row with a known answer. */
static int measure_groups(struct measure_file *f, const struct measure_verb_options *o,
                          struct measure_options how, struct measurement *groups,
                          struct plumb_error *e)
{
    int status = PLUMB_OK;
    for (int g = 0; g < f->scores.n_groups && status == PLUMB_OK; g++) {
        struct sample_options only = sample_options_of(o);
        struct sample sample = {0};
        only.only_group = g;
        status = sample_create(&f->scores, &only, &sample, e);
        if (status == PLUMB_OK)
            status = measure(&sample, &how, &groups[g], e);
        else if (status == PLUMB_INPUT) /* the file as a whole is good: no known answer in it */
            status = PLUMB_OK;
        sample_free(&sample);
    }
    return status;
}

static int show_groups(struct measure_file *f, const struct measure_verb_options *o,
                       const struct measure_view *v, struct progress_line *line,
                       struct plumb_error *e)
{
    struct measure_options how = v->options;
    how.only = measure_main_keys;
    how.by_group = false;
    struct measurement *groups = mem_zalloc((size_t)f->scores.n_groups, sizeof *groups);
    if (!groups)
        return error_memory(e, "the groups");
    int status = measure_groups(f, o, how, groups, e);
    if (status == PLUMB_OK)
        status = measure(&f->sample, &how, &f->measured, e);
    progress_line_end(line);
    if (status == PLUMB_OK && o->json) {
        struct result r;
        result_start(&r);
        json_write_object(&r.json);
        measure_json_groups(f, groups, v, &r);
        json_write_end(&r.json, '}');
        status = result_print(&r);
    } else if (status == PLUMB_OK && !measure_print_groups(f, groups, v, stdout)) {
        status = error_memory(e, "the table");
    }
    for (int g = 0; g < f->scores.n_groups; g++)
        measurement_free(&groups[g]);
    mem_free(groups);
    return status;
}

/* ---- several files ---- */

static int show_json(const struct measure_file *files, int n, const struct measure_view *v)
{
    struct result r;
    result_start(&r);
    json_write_object(&r.json);
    if (n == 1) {
        measure_json_file(&files[0], v, &r);
    } else {
        json_write_key(&r.json, "files");
        json_write_array(&r.json);
        for (int i = 0; i < n; i++) {
            json_write_object(&r.json);
            measure_json_file(&files[i], v, &r);
            json_write_end(&r.json, '}');
        }
        json_write_end(&r.json, ']');
    }
    json_write_end(&r.json, '}');
    return result_print(&r);
}

static int show_files(struct measure_file *files, int n, const struct measure_verb_options *o,
                      const struct measure_view *v, struct progress_line *line,
                      struct plumb_error *e)
{
    int status = PLUMB_OK;
    bool good = true;
    for (int i = 0; i < n && status == PLUMB_OK; i++)
        status = measure(&files[i].sample, &v->options, &files[i].measured, e);
    progress_line_end(line);
    if (status != PLUMB_OK)
        return status;
    if (o->json)
        return show_json(files, n, v);
    if (o->parity)
        for (int i = 0; i < n; i++) {
            if (i)
                putchar('\n');
            good = measure_print_parity(&files[i], v, stdout) && good;
        }
    else
        good = n == 1 ? measure_print_file(files, v, stdout)
                      : measure_print_files(files, n, v, stdout);
    return good ? PLUMB_OK : error_memory(e, "the table");
}

static int show_comparison(struct measure_file *a, const struct measure_verb_options *o,
                           const struct measure_view *v, struct progress_line *line,
                           struct plumb_error *e)
{
    struct measure_file b = {0};
    struct comparison c = {0};
    uint32_t *pair = mem_array(a->scores.n, sizeof *pair);
    int status = pair ? open_file(o->against, o, &b, e) : error_memory(e, "the pairs");
    if (status == PLUMB_OK)
        status = scores_pair(&a->scores, &b.scores, pair, e);
    if (status == PLUMB_OK)
        status = measure_compare(&a->sample, &b.sample, pair, &v->options, &c, e);
    progress_line_end(line);
    if (status == PLUMB_OK && o->json) {
        struct result r;
        result_start(&r);
        json_write_object(&r.json);
        measure_json_comparison(a, &b, &c, v, &r);
        json_write_end(&r.json, '}');
        status = result_print(&r);
    } else if (status == PLUMB_OK && !measure_print_comparison(a, &b, &c, v, stdout)) {
        status = error_memory(e, "the table");
    }
    comparison_free(&c);
    close_file(&b);
    mem_free(pair);
    return status;
}

/* ---- the verb ---- */

static struct measure_view view_of(const struct measure_verb_options *o,
                                   const struct progress *progress)
{
    struct measure_view v = {.options = measure_options_default(),
                             .definitions = o->common.verbose,
                             .unicode = reliability_unicode()};
    v.options.metric.bins = o->bins;
    v.options.metric.edges = o->edges ? METRIC_EDGES_LEFT : METRIC_EDGES_RIGHT;
    v.options.metric.parity = (enum metric_parity)o->parity;
    v.options.draws = o->bootstrap;
    v.options.by_group = o->resample == 1;
    v.options.seed = o->seed;
    v.options.confidence = o->confidence;
    v.options.threads = o->threads;
    v.options.progress = progress;
    return v;
}

static int measure_all(char **paths, int n, const struct measure_verb_options *o,
                       struct plumb_error *e)
{
    struct progress_line line;
    int status = check_options(o, n, e);
    if (status != PLUMB_OK)
        return status;
    struct measure_file *files = mem_zalloc((size_t)n, sizeof *files);
    if (!files)
        return error_memory(e, "the files");
    progress_line_start(&line, o->common.quiet);
    const struct measure_view v = view_of(o, &line.progress);
    for (int i = 0; i < n && status == PLUMB_OK; i++)
        status = open_file(paths[i], o, &files[i], e);
    if (status == PLUMB_OK)
        status = o->against ? show_comparison(files, o, &v, &line, e)
                 : o->by    ? show_groups(files, o, &v, &line, e)
                            : show_files(files, n, o, &v, &line, e);
    progress_line_end(&line);
    for (int i = 0; i < n; i++)
        close_file(&files[i]);
    mem_free(files);
    return status;
}

static int run(int argc, char **argv)
{
    struct measure_verb_options o = {.bins = 15, .bootstrap = 2000, .confidence = 0.95};
    struct operands words;
    struct plumb_error e = {0};
    int status;
    if (!verb_parse(&verb_measure, argc, argv, &o, 1, 1 << 20, &words, &status))
        return status;
    status = measure_all(words.words, words.count, &o, &e);
    if (status == PLUMB_OK)
        return status;
    status = verb_fail(&verb_measure, &e);
    return progress_interrupted() ? EXIT_INTERRUPTED : status;
}

static const char *const synopses[] = {"FILE... [options]", "A --against B [options]", NULL};
static const char *const examples[][2] = {
    {"plumb measure post.safetensors", "a trace: every metric with its interval"},
    {"plumb measure answers.csv --bins 10 --edges left --json",
     "a CSV with conf,correct; the definitions stand in the JSON"},
    {"plumb measure samples_mmlu_*.jsonl", "logs of lm-evaluation-harness, a line each"},
    {"plumb measure post.safetensors --against base.safetensors",
     "what differs between two models on the same questions, and what does not measurably"},
    {NULL},
};
const struct verb verb_measure = {
    .name = "measure",
    .summary = "calibration and selective answering: every metric, with intervals",
    .synopses = synopses,
    .description =
        "Measures how far a model's confidence can be believed: calibration errors, proper scores, "
        "ranking, selective answering, each with its definition and a bootstrap interval.\n"
        "FILE is a trace; a CSV with conf,correct (conf from 0 to 1, correct 1 or 0) or with the "
        "options' logits and the right one, z0,z1,...,label; JSONL with logits, probs or conf and "
        "gold or correct; or samples_*.jsonl that lm-evaluation-harness wrote with --log_samples. "
        "group (or subject) and id may be there in each. The content decides what a file is, not "
        "its name.\n"
        "Confidence is the probability of the likeliest option among the options. Undefined values "
        "are shown as - with the reason. -v prints every definition in full.",
    .options = options,
    .examples = examples,
    .run = run,
};
