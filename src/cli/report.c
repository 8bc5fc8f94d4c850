/*
 * report.c - `plumb report`: one self-contained page about one measured file, or about several side by side.
 */
#include <stdio.h>
#include <string.h>

#include "base/buffer.h"
#include "base/memory.h"
#include "cli/verb.h"
#include "report/report.h"

struct report_verb_options {
    struct common_options common;
    const char *output, *title;
    int bins, edges, by, nan, bootstrap, threads;
    size_t seed;
    double confidence;
};

enum { BY_QUESTION, BY_GROUP };

#define AT(field) offsetof(struct report_verb_options, field)
static const struct option_row options[] = {
    {'o', "output", OPTION_TEXT, "FILE", AT(output), "the page; report.html"},
    {0, "title", OPTION_TEXT, "TEXT", AT(title), "its heading; made of the files' names"},
    {0, "by", OPTION_CHOICE, "question|group", AT(by),
     "what is resampled for the intervals: single questions, or whole groups"},
    {0, "bins", OPTION_INT, "N", AT(bins), "of the reliability diagrams and of the profile; 15"},
    {0, "edges", OPTION_CHOICE, "right|left", AT(edges), "which edge belongs to a bin"},
    {0, "bootstrap", OPTION_INT, "N", AT(bootstrap),
     "resamples for the intervals, 0 for none; 2000"},
    {0, "confidence", OPTION_NUMBER, "SHARE", AT(confidence), "of the intervals; 0.95"},
    {0, "seed", OPTION_SIZE, "N", AT(seed), "of the resamples; 0"},
    {0, "nan", OPTION_CHOICE, "refuse|drop", AT(nan),
     "rows whose confidence is not a number: refuse the file, or leave them out and count them"},
    {0, "threads", OPTION_INT, "N", AT(threads),
     "0, the default: as many as there are; the result does not depend on it"},
    {0},
};

/* What one file became; zeroed at first, so that freeing is safe at any point. */
struct opened {
    struct scores scores;
    struct sample sample;
    struct measurement measurement;
    char *name;
};

static void close_files(struct opened *files, int n)
{
    for (int i = 0; i < n; i++) {
        measurement_free(&files[i].measurement);
        sample_free(&files[i].sample);
        scores_free(&files[i].scores);
        mem_free(files[i].name);
    }
}

/* The file's own name, and its whole path where two files have the same. */
static int name_files(struct opened *files, char **paths, int n, struct plumb_error *e)
{
    for (int i = 0; i < n; i++) {
        bool alone = true;
        for (int j = 0; j < n; j++)
            alone = alone && (i == j || strcmp(files[i].scores.name, files[j].scores.name) != 0);
        files[i].name = mem_strdup(alone ? files[i].scores.name : paths[i]);
        if (!files[i].name)
            return error_memory(e, "the names of the files");
    }
    return PLUMB_OK;
}

static int open_file(const char *path, const struct report_verb_options *o,
                     const struct measure_options *how, struct opened *out, struct plumb_error *e)
{
    struct sample_options s = sample_options_default();
    s.drop_nan = o->nan;
    int status = scores_read(path, &out->scores, e);
    if (status != PLUMB_OK)
        return status;
    status = sample_create(&out->scores, &s, &out->sample, e);
    if (status == PLUMB_OK)
        status = measure(&out->sample, how, &out->measurement, e);
    if (status != PLUMB_OK)
        error_prefix(e, "%s", path);
    return status;
}

/* The command as it could be typed again: words that a shell would cut or change stand in quotes. */
static bool command_of(int argc, char **argv, struct buffer *out)
{
    static const char plain[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
                                "_-./=,:+@%";
    buffer_puts(out, "plumb");
    for (int i = 0; i < argc; i++) {
        const char *word = argv[i];
        buffer_putc(out, ' ');
        if (*word && strspn(word, plain) == strlen(word)) {
            buffer_puts(out, word);
            continue;
        }
        buffer_putc(out, '\'');
        for (const char *c = word; *c; c++)
            if (*c == '\'')
                buffer_puts(out, "'\\''");
            else
                buffer_putc(out, *c);
        buffer_putc(out, '\'');
    }
    return !out->failed;
}

static int check(const struct report_verb_options *o, struct plumb_error *e)
{
    if (o->bins < 1 || o->bins > 100)
        return error_set(e, PLUMB_INPUT, "--bins %d: expected 1 to 100", o->bins);
    if (!(o->confidence > 0 && o->confidence < 1))
        return error_set(e, PLUMB_INPUT,
                         "--confidence must lie between 0 and 1, such as 0.95 (the share that the "
                         "intervals cover)");
    return PLUMB_OK;
}

static int write_report(const struct operands *words, int argc, char **argv,
                        const struct report_verb_options *o, struct plumb_error *e)
{
    struct opened files[REPORT_RUNS_MAX] = {0};
    struct report_run runs[REPORT_RUNS_MAX] = {0};
    struct buffer command = BUFFER_EMPTY;
    struct measure_options how = measure_options_default();
    how.metric.bins = o->bins;
    how.metric.edges = (enum metric_edges)o->edges;
    how.draws = o->bootstrap;
    how.by_group = o->by == BY_GROUP;
    how.seed = o->seed;
    how.confidence = o->confidence;
    how.threads = o->threads;
    int status = check(o, e);
    for (int i = 0; status == PLUMB_OK && i < words->count; i++)
        status = open_file(words->words[i], o, &how, &files[i], e);
    if (status == PLUMB_OK)
        status = name_files(files, words->words, words->count, e);
    if (status == PLUMB_OK && !command_of(argc, argv, &command))
        status = error_memory(e, "the report");
    if (status == PLUMB_OK) {
        for (int i = 0; i < words->count; i++)
            runs[i] = (struct report_run){.name = files[i].name,
                                          .scores = &files[i].scores,
                                          .sample = &files[i].sample,
                                          .measurement = &files[i].measurement};
        const struct report_input in = {.title = o->title,
                                        .command = buffer_string(&command),
                                        .runs = runs,
                                        .n_runs = (size_t)words->count,
                                        .options = how};
        status = report_write(&in, o->output, e);
    }
    buffer_free(&command);
    close_files(files, words->count);
    return status;
}

static int run(int argc, char **argv)
{
    struct report_verb_options o = {
        .output = "report.html", .bins = 15, .bootstrap = 2000, .confidence = 0.95};
    struct operands words;
    struct plumb_error e = {0};
    int status;
    if (!verb_parse(&verb_report, argc, argv, &o, 1, REPORT_RUNS_MAX, &words, &status))
        return status;
    status = write_report(&words, argc, argv, &o, &e);
    if (status != PLUMB_OK)
        return verb_fail(&verb_report, &e);
    if (!o.common.quiet)
        fprintf(stderr, "report written to %s\n", o.output);
    return PLUMB_OK;
}

static const char *const synopses[] = {"FILE... [-o report.html] [options]", NULL};
static const char *const examples[][2] = {
    {"plumb report post.safetensors -o report.html",
     "reliability, confidence, thresholds and depth of a trace"},
    {"plumb report base.safetensors post.safetensors --by group --title 'Before and after'",
     "two models side by side; intervals by whole subjects"},
    {"plumb report scores.csv --bootstrap 0", "a table of conf,correct; no intervals, at once"},
    {NULL},
};
const struct verb verb_report = {
    .name = "report",
    .summary = "an HTML page about how well a model's confidence holds",
    .synopses = synopses,
    .description =
        "Writes one self-contained HTML page: reliability diagrams with intervals and counts, "
        "confidence of right and wrong answers, risk against coverage, a table of groups that "
        "sorts, the profile through depth where a trace has a lens, and every metric with its "
        "interval and definition. Behind each figure stand its numbers.\n"
        "A FILE is a trace, or anything else that 'plumb measure' reads; up to 8 of them are shown "
        "side by side. The page asks nothing of the network, and the same files and options give "
        "the same bytes.",
    .options = options,
    .examples = examples,
    .run = run,
};
