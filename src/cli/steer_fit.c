/*
 * steer_fit.c - `plumb steer fit`: opens model, questions and traces, searches, prints, writes.
 */
#include <stdio.h>
#include <string.h>

#include "base/hash.h"
#include "base/file.h"
#include "base/memory.h"
#include "cli/layer_list.h"
#include "cli/output.h"
#include "cli/progress_line.h"
#include "cli/steer.h"
#include "model/config.h"

enum { MOST_TRACES = 256 };

/* Everything that a fit opened. */
struct job {
    const struct steer_options *o;
    struct preset preset;
    struct question_set task, test, examples;
    struct model *model;
    struct trace *traces; /* [n] */
    struct steer_source *sources;
    int n;
    int *layers, n_layers; /* of --layers */
    struct steer_split split;
    struct steer_depth depth;
    struct steer_pool pool;
    struct steer_part fit, judge;
    struct steer_questions *questions[2];
    int32_t *label[2], *options[2];
    struct steer_search search;
};

static void job_free(struct job *j)
{
    steer_search_free(&j->search);
    for (int p = 0; p < 2; p++) {
        steer_questions_destroy(j->questions[p]);
        mem_free(j->label[p]);
        mem_free(j->options[p]);
    }
    steer_pool_free(&j->pool);
    steer_depth_free(&j->depth);
    steer_split_free(&j->split);
    for (int i = 0; j->traces && i < j->n; i++)
        trace_close(&j->traces[i]);
    mem_free(j->traces);
    mem_free(j->sources);
    mem_free(j->layers);
    model_close(j->model);
    questions_free(&j->examples);
    questions_free(&j->test);
    questions_free(&j->task);
}

static int check_options(const struct steer_options *o, int n, struct plumb_error *e)
{
    enum steer_kind kind;
    if (!o->model)
        return error_set(e, PLUMB_INPUT, "no model: add --model MODEL, the one that was traced");
    if (!o->task)
        return error_set(e, PLUMB_INPUT,
                         "no questions: add --task QUESTIONS, the ones that were traced");
    if (n > MOST_TRACES)
        return error_set(e, PLUMB_INPUT, "%d traces; expected at most %d", n, MOST_TRACES);
    if (o->shots > 0 && !o->shots_from)
        return error_set(e, PLUMB_INPUT, "--shots %d needs examples: add --shots-from FILE",
                         o->shots);
    if (o->bootstrap > 100000)
        return error_set(e, PLUMB_INPUT, "--bootstrap %d: expected at most 100000", o->bootstrap);
    if (o->pick && strcmp(o->pick, "best") != 0 &&
        (!steer_kind_find(o->pick, &kind) || kind == STEER_AS_IS || kind >= STEER_TEMPERATURE_NLL))
        return error_set(e, PLUMB_INPUT,
                         "--pick '%.30s': expected best, update, contrast, component, null-space, "
                         "random, clip or clip-nll",
                         o->pick);
    return PLUMB_OK;
}

static int open_questions(struct job *j, struct plumb_error *e)
{
    const struct steer_options *o = j->o;
    j->preset = (struct preset){.kind = (enum preset_kind)o->preset,
                                .instruction = o->instruction,
                                .system = o->system,
                                .shots = o->shots};
    int status = questions_read(o->task, o->limit, &j->task, e);
    if (status == PLUMB_OK && o->test)
        status = questions_read(o->test, o->limit, &j->test, e);
    if (status == PLUMB_OK && o->shots_from) {
        status = questions_read(o->shots_from, 0, &j->examples, e);
        j->preset.shots_from = &j->examples;
    }
    if (status != PLUMB_OK)
        return status;
    const struct steer_split_options how = {o->split, o->by_group, o->seed};
    return steer_split_create(&j->task, o->test ? &j->test : NULL, &how, &j->split, e);
}

static int open_traces(struct job *j, char **paths, struct plumb_error *e)
{
    int status = PLUMB_OK;
    for (int i = 0; i < j->n && status == PLUMB_OK; i++) {
        status = trace_open(paths[i], &j->traces[i], e);
        j->sources[i] = (struct steer_source){&j->traces[i], paths[i]};
        if (status == PLUMB_OK)
            status = steer_source_check(&j->sources[i], j->model, &j->preset, e);
    }
    return status;
}

/* The questions of one part, as prompts and as labels. */
static int open_part(struct job *j, int which, const struct question_set *set, const size_t *rows,
                     size_t n, struct steer_part *out, struct plumb_error *e)
{
    int32_t *label = mem_array(n, sizeof *label), *options = mem_array(n, sizeof *options);
    j->label[which] = label;
    j->options[which] = options;
    if (!label || !options)
        return error_memory(e, "the questions");
    for (size_t i = 0; i < n; i++) {
        label[i] = set->items[rows[i]].gold;
        options[i] = set->items[rows[i]].n_options;
    }
    const int status =
        steer_questions_create(j->model, set, &j->preset, j->traces[0].header.permutation, rows, n,
                               &j->questions[which], e);
    if (status != PLUMB_OK)
        return status;
    out->questions = j->questions[which];
    out->labels = (struct steer_labels){n, steer_questions_options(out->questions), options, label};
    return PLUMB_OK;
}

static int prepare(struct job *j, char **paths, const struct progress *progress,
                   struct plumb_error *e)
{
    const struct steer_options *o = j->o;
    struct model_options how = model_options_default();
    how.precision = (enum precision)o->precision;
    how.threads = o->threads;
    how.progress = progress;
    j->traces = mem_zalloc((size_t)j->n, sizeof *j->traces);
    j->sources = mem_zalloc((size_t)j->n, sizeof *j->sources);
    int status = j->traces && j->sources ? open_questions(j, e) : error_memory(e, "the traces");
    if (status == PLUMB_OK)
        status = model_open(o->model, &how, &j->model, e);
    if (status == PLUMB_OK && o->layers)
        status = layer_list_parse(o->layers, model_config(j->model)->n_layers, &j->layers,
                                  &j->n_layers, e);
    if (status == PLUMB_OK)
        status = open_traces(j, paths, e);
    if (status == PLUMB_OK)
        status = steer_depth_find(&j->sources[0], &j->split, o->from, j->layers, j->n_layers,
                                  o->seed, &j->depth, e);
    if (status == PLUMB_OK)
        status = steer_pool_create(j->sources, j->n, &j->split, &j->depth, &j->pool, e);
    if (status == PLUMB_OK)
        status = open_part(j, 0, &j->task, j->split.fit, j->split.n_fit, &j->fit, e);
    if (status == PLUMB_OK)
        status = open_part(j, 1, o->test ? &j->test : &j->task, j->split.judge, j->split.n_judge,
                           &j->judge, e);
    return status;
}

static int search(struct job *j, const struct progress *progress, struct plumb_error *e)
{
    const struct steer_options *o = j->o;
    struct steer_search_options how = steer_search_options_default();
    how.layers = j->depth.layers;
    how.n_layers = j->depth.n_layers;
    how.from = j->depth.from;
    how.components = o->components;
    how.randoms = o->randoms;
    how.threshold = o->threshold;
    how.all_tokens = o->tokens == 1;
    how.draws = o->bootstrap;
    how.seed = o->seed;
    how.threads = o->threads;
    how.progress = progress;
    return steer_search(j->model, &j->pool.view, &j->fit, &j->judge, &how, &j->search, e);
}

/* ---- Writing ---------------------------------------------------------------------------------- */

/* The row to write; -1: nothing acts. */
static int picked(const struct job *j)
{
    enum steer_kind kind;
    if (!j->o->pick || !strcmp(j->o->pick, "best"))
        return j->search.best;
    return steer_kind_find(j->o->pick, &kind) && j->search.rows[kind].acts ? (int)kind : -1;
}

static void say_how(const struct job *j, enum steer_kind k, struct buffer *out)
{
    buffer_puts(out, steer_kind_words(k));
    buffer_puts(out, ": ");
    steer_row_words(&j->search.rows[k], out);
    buffer_printf(out, "; updates from layer %d; chosen on %zu of %s, seed %zu; preset %s",
                  j->search.from, j->search.n_fit, j->task.name, j->o->seed,
                  preset_name(j->preset.kind));
}

static int write_direction(const struct job *j, enum steer_kind k, struct plumb_error *e)
{
    struct steering s;
    struct hash128 fingerprint;
    struct buffer how = BUFFER_EMPTY;
    int status = steer_search_steering(&j->search, k, &s, e);
    if (status != PLUMB_OK)
        return status;
    say_how(j, k, &how);
    s.model = model_name(j->model);
    s.architecture = j->traces[0].header.architecture;
    s.program = "plumb " PLUMB_VERSION;
    s.how = buffer_string(&how);
    status = how.failed ? error_memory(e, "a direction") : PLUMB_OK;
    if (status == PLUMB_OK)
        status = model_fingerprint(j->model, &fingerprint, e);
    if (status == PLUMB_OK) {
        hash_hex(fingerprint, s.fingerprint);
        status = steering_write(&s, j->o->output, e);
    }
    buffer_free(&how);
    steering_free(&s);
    return status;
}

static int show(const struct job *j, int written, double seconds, struct plumb_error *e)
{
    const struct steer_outcome outcome = {.model = j->model,
                                          .task = j->task.name,
                                          .judged_on = j->o->test ? j->test.name : j->task.name,
                                          .options = j->o,
                                          .depth = &j->depth,
                                          .search = &j->search,
                                          .split = &j->split,
                                          .written = written,
                                          .seconds = seconds};
    if (j->o->json)
        return steer_table_json(&outcome);
    return steer_table_print(&outcome, stdout) ? PLUMB_OK : error_memory(e, "the table");
}

int steer_fit(const struct steer_options *o, char **traces, int n, struct plumb_error *e)
{
    struct job j = {.o = o, .n = n};
    struct progress_line line;
    const double start = clock_seconds();
    int status = check_options(o, n, e), pick = -1;
    if (status == PLUMB_OK)
        status = file_check_output(o->output, e);
    if (status != PLUMB_OK)
        return status;
    progress_line_start(&line, o->common.quiet);
    status = prepare(&j, traces, &line.progress, e);
    if (status == PLUMB_OK)
        status = search(&j, &line.progress, e);
    progress_line_end(&line);
    if (status == PLUMB_OK && o->output && (pick = picked(&j)) >= 0)
        status = write_direction(&j, (enum steer_kind)pick, e);
    if (status == PLUMB_OK)
        status = show(&j, pick, clock_seconds() - start, e);
    if (status == PLUMB_OK && o->output && pick < 0)
        status = error_set(e, PLUMB_NO,
                           "%s is not written: no setting of that row lowered the error on the "
                           "questions that chose",
                           o->output);
    job_free(&j);
    return status;
}
