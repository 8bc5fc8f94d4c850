/*
 * report.c - `plumb report`: one self-contained page about one measured file, or about several side by side.
 */
#include <stdio.h>
#include <string.h>

#include "base/buffer.h"
#include "base/memory.h"
#include "cli/progress_line.h"
#include "cli/verb.h"
#include "report/report.h"

struct report_verb_options {
    struct common_options common;
    const char *output, *title, *columns;
    int bins, edges, by, resample, nan, bootstrap, threads;
    size_t seed;
    double confidence;
};

#define AT(field) offsetof(struct report_verb_options, field)
static const struct option_row options[] = {
    {'o', "output", OPTION_TEXT, "FILE", AT(output), "the page; report.html"},
    {0, "title", OPTION_TEXT, "TEXT", AT(title), "its heading; made of the files' names"},
    {0, "by", OPTION_CHOICE, "group|file", AT(by),
     "group: also a row for each group, where the files name groups; file: without them"},
    {0, "bins", OPTION_INT, "N", AT(bins), "of the reliability diagrams and of the profile; 15"},
    {0, "edges", OPTION_CHOICE, "right|left", AT(edges), "which edge belongs to a bin"},
    {0, "bootstrap", OPTION_INT, "N", AT(bootstrap),
     "resamples for the intervals, 0 for none; 2000"},
    {0, "resample", OPTION_CHOICE, "questions|groups", AT(resample),
     "what a resample draws: questions, or whole groups of them where these depend on each other"},
    {0, "confidence", OPTION_NUMBER, "C", AT(confidence), "of the intervals; 0.95"},
    {0, "seed", OPTION_SIZE, "N", AT(seed), "of the resamples; 0"},
    {0, "nan", OPTION_CHOICE, "error|drop", AT(nan),
     "rows with NaN or infinite values: refuse the file, or leave them out and count them"},
    {0, "columns", OPTION_TEXT, "NAMES", AT(columns),
     "of a CSV with the option scores of several models (NAME_A, NAME_B, ...): each of these, "
     "parted by commas"},
    {0, "threads", OPTION_INT, "N", AT(threads),
     "0, the default: as many as there are; the result does not depend on it"},
    {0},
};

/* What one file became, or one model's columns of it; zeroed at first, so that freeing is safe at any point. */
struct opened {
    struct scores scores;
    struct sample sample;
    struct measurement measurement;
    char *path, *columns, *name;
};
struct opened_files {
    struct opened file[REPORT_RUNS_MAX];
    int n;
};

static void close_files(struct opened_files *f)
{
    for (int i = 0; i < f->n; i++) {
        measurement_free(&f->file[i].measurement);
        sample_free(&f->file[i].sample);
        scores_free(&f->file[i].scores);
        mem_free(f->file[i].path);
        mem_free(f->file[i].columns);
        mem_free(f->file[i].name);
    }
}

/* A run for every file, and for each of `columns` (null: all of the file) in it. */
static int list_files(const struct operands *words, const char *columns, struct opened_files *out,
                      struct plumb_error *e)
{
    for (int i = 0; i < words->count; i++) {
        const char *rest = columns;
        do {
            const size_t n = rest ? strcspn(rest, ",") : 0;
            if (out->n == REPORT_RUNS_MAX)
                return error_set(e, PLUMB_INPUT, "a report shows at most %d files or columns",
                                 (int)REPORT_RUNS_MAX);
            struct opened *f = &out->file[out->n++];
            f->path = mem_strdup(words->words[i]);
            f->columns = rest ? mem_strndup(rest, n) : NULL;
            if (!f->path || (rest && !f->columns))
                return error_memory(e, "the list of files");
            rest = rest && rest[n] == ',' ? rest + n + 1 : NULL;
        } while (rest);
    }
    return PLUMB_OK;
}

/* The file's own name, or its whole path where two files have the same; and the columns. */
static int name_files(struct opened_files *f, struct plumb_error *e)
{
    for (int i = 0; i < f->n; i++) {
        struct buffer name = BUFFER_EMPTY;
        struct opened *me = &f->file[i];
        bool alone = true;
        for (int j = 0; j < f->n; j++)
            alone = alone && (strcmp(me->scores.name, f->file[j].scores.name) != 0 ||
                              strcmp(me->path, f->file[j].path) == 0);
        buffer_puts(&name, alone ? me->scores.name : me->path);
        if (me->columns)
            buffer_printf(&name, " %s", me->columns);
        me->name = name.failed ? NULL : mem_strdup(buffer_string(&name));
        buffer_free(&name);
        if (!me->name)
            return error_memory(e, "the names of the files");
    }
    return PLUMB_OK;
}

static int open_file(struct opened *f, const struct report_verb_options *o,
                     const struct measure_options *how, struct plumb_error *e)
{
    struct sample_options s = sample_options_default();
    s.drop_nan = o->nan == 1;
    int status = scores_read_columns(f->path, f->columns, &f->scores, e);
    if (status != PLUMB_OK)
        return status;
    status = sample_create(&f->scores, &s, &f->sample, e);
    if (status == PLUMB_OK)
        status = measure(&f->sample, how, &f->measurement, e);
    if (status == PLUMB_INPUT)
        error_prefix(e, "%s", f->path);
    return status;
}

/* The second file less the first, where they hold the same questions. Other files are shown side by side all the same. */
static int compare(struct opened_files *f, const struct measure_options *how, bool *there,
                   struct comparison *out, struct plumb_error *e)
{
    struct plumb_error none = {0};
    *there = false;
    if (f->n != 2)
        return PLUMB_OK;
    struct opened *first = &f->file[0], *second = &f->file[1];
    uint32_t *pair = mem_array(second->scores.n, sizeof *pair);
    if (!pair)
        return error_memory(e, "the pairs of questions");
    int status = scores_pair(&second->scores, &first->scores, pair, &none);
    if (status == PLUMB_OK)
        status = measure_compare(&second->sample, &first->sample, pair, how, out, &none);
    mem_free(pair);
    *there = status == PLUMB_OK;
    return status == PLUMB_OK || status == PLUMB_INPUT ? PLUMB_OK
                                                       : error_set(e, status, "%s", none.message);
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

static int write_page(struct opened_files *f, const struct measure_options *how,
                      const struct report_verb_options *o, const char *command,
                      struct plumb_error *e)
{
    struct report_run runs[REPORT_RUNS_MAX] = {0};
    struct comparison difference = {0};
    bool compared = false;
    int status = compare(f, how, &compared, &difference, e);
    if (status != PLUMB_OK)
        return status;
    for (int i = 0; i < f->n; i++)
        runs[i] = (struct report_run){.name = f->file[i].name,
                                      .scores = &f->file[i].scores,
                                      .sample = &f->file[i].sample,
                                      .measurement = &f->file[i].measurement};
    const struct report_input in = {.title = o->title,
                                    .command = command,
                                    .runs = runs,
                                    .n_runs = (size_t)f->n,
                                    .options = *how,
                                    .groups = o->by == 0,
                                    .difference = compared ? &difference : NULL};
    status = report_write(&in, o->output, e);
    if (compared)
        comparison_free(&difference);
    return status;
}

static int make_report(const struct operands *words, const char *command,
                       const struct report_verb_options *o, struct plumb_error *e)
{
    struct opened_files files = {0};
    struct progress_line line;
    struct measure_options how = measure_options_default();
    how.metric.bins = o->bins;
    how.metric.edges = (enum metric_edges)o->edges;
    how.draws = o->bootstrap;
    how.by_group = o->resample == 1;
    how.seed = o->seed;
    how.confidence = o->confidence;
    how.threads = o->threads;
    int status = check(o, e);
    progress_line_start(&line, o->common.quiet);
    how.progress = &line.progress;
    if (status == PLUMB_OK)
        status = list_files(words, o->columns, &files, e);
    for (int i = 0; status == PLUMB_OK && i < files.n; i++)
        status = open_file(&files.file[i], o, &how, e);
    if (status == PLUMB_OK)
        status = name_files(&files, e);
    if (status == PLUMB_OK)
        status = write_page(&files, &how, o, command, e);
    progress_line_end(&line);
    close_files(&files);
    return status;
}

static int run(int argc, char **argv)
{
    struct report_verb_options o = {
        .output = "report.html", .bins = 15, .bootstrap = 2000, .confidence = 0.95};
    struct operands words;
    struct buffer command = BUFFER_EMPTY;
    struct plumb_error e = {0};
    int status;
    const bool spelled =
        command_of(argc, argv, &command); /* before parsing moves the words about */
    if (!verb_parse(&verb_report, argc, argv, &o, 1, REPORT_RUNS_MAX, &words, &status)) {
        buffer_free(&command);
        return status;
    }
    status = spelled ? make_report(&words, buffer_string(&command), &o, &e)
                     : error_memory(&e, "the report");
    buffer_free(&command);
    if (status != PLUMB_OK) {
        status = verb_fail(&verb_report, &e);
        return progress_interrupted() ? EXIT_INTERRUPTED : status;
    }
    if (!o.common.quiet)
        fprintf(stderr, "report written to %s\n", o.output);
    return PLUMB_OK;
}

static const char *const synopses[] = {"FILE... [-o report.html] [options]", NULL};
static const char *const examples[][2] = {
    {"plumb report post.safetensors -o report.html",
     "reliability, confidence, thresholds and depth of a trace"},
    {"plumb report base.safetensors post.safetensors --title 'Before and after'",
     "two models side by side, and their difference on the same questions"},
    {"plumb report pair.csv --columns base,post", "two models out of one table"},
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
