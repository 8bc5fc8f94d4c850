/*
 * calibrate.c - `plumb calibrate`: the main job, from two models and some questions to a calibration and a report.
 */
#include "cli/calibrate.h"

#include <stdio.h>
#include <string.h>

#include "base/file.h"
#include "base/memory.h"
#include "calibrate/calibration.h"
#include "calibrate/recommend.h"
#include "cli/fit_table.h"
#include "cli/output.h"
#include "cli/progress_line.h"
#include "cli/verb.h"
#include "report/calibration.h"

/* ---- traces ---- */

enum { TASK_BASE, TASK_POST, TEST_BASE, TEST_POST, TRACES };
static const char *const trace_names[TRACES] = {"base.safetensors", "post.safetensors",
                                                "test-base.safetensors", "test-post.safetensors"};

static void tell(const struct calibrate_job *job, const char *model, const char *task,
                 const struct trace_run_report *r)
{
    char items[32], time[32];
    const size_t run = r->items - r->resumed;
    if (job->quiet)
        return;
    if (!run)
        fprintf(stderr, "%s over %s: %s questions, traced before\n", model, task,
                human_grouped(r->items, items));
    else
        fprintf(stderr, "%s over %s: %s questions in %s, %.0f a second\n", model, task,
                human_grouped(run, items), human_seconds(r->seconds, time),
                (double)run / r->seconds);
}

/* The trace of another order of the options; mem_free'd by the caller, null without memory. */
static char *order_path(const char *path, int shift)
{
    const size_t size = strlen(path) + sizeof ".shift00";
    char *out = mem_alloc(size);
    if (out)
        snprintf(out, size, "%s.shift%d", path, shift);
    return out;
}

/* CAPE: the questions in every other order of their options. */
static int trace_orders(struct model *m, const struct question_set *set, const char *path,
                        struct trace_run_options *run, struct plumb_error *e)
{
    int most = 0, status = PLUMB_OK;
    for (size_t i = 0; i < set->count; i++)
        most = set->items[i].n_options > most ? set->items[i].n_options : most;
    for (run->permutation = 1; run->permutation < most && !status; run->permutation++) {
        struct trace_run_report report;
        char *out = order_path(path, run->permutation);
        status = out ? trace_run(m, set, out, run, &report, e) : error_memory(e, "a file name");
        mem_free(out);
    }
    run->permutation = 0;
    return status;
}

/* One model over the questions of the task and, where there are any, of the test. `orders`: which
   of the two in every order of the options; -1 = neither. */
static int trace_model(const struct calibrate_job *job, const char *path,
                       const struct question_set *const sets[2], char *const out[2], int orders,
                       struct plumb_error *e)
{
    struct model_options how = job->model;
    struct trace_run_options run = job->run;
    struct progress_line line;
    struct model *m = NULL;
    progress_line_start(&line, job->quiet);
    how.progress = run.progress = &line.progress;
    int status = model_open(path, &how, &m, e);
    for (int i = 0; i < 2 && status == PLUMB_OK; i++) {
        struct trace_run_report report;
        if (!sets[i])
            continue;
        status = trace_run(m, sets[i], out[i], &run, &report, e);
        if (status == PLUMB_OK) {
            progress_line_end(&line);
            tell(job, model_name(m), sets[i]->name, &report);
            progress_line_start(&line, job->quiet);
        }
        if (status == PLUMB_OK && i == orders)
            status = trace_orders(m, sets[i], out[i], &run, e);
    }
    progress_line_end(&line);
    model_close(m);
    return status;
}

/* Whether a model can be opened at all, told before the other one has run for hours. */
static int check_model(const char *path, struct plumb_error *e)
{
    struct model_options how = model_options_default();
    struct model *m = NULL;
    how.weights = false;
    const int status = model_open(path, &how, &m, e);
    model_close(m);
    return status;
}

static int trace_all(const struct calibrate_job *job, char *const paths[TRACES],
                     struct plumb_error *e)
{
    struct question_set task = {0}, test = {0};
    int status = questions_read(job->task, job->limit, &task, e);
    if (status == PLUMB_OK && job->test)
        status = questions_read(job->test, job->limit, &test, e);
    const struct question_set *const sets[2] = {&task, job->test ? &test : NULL};
    char *const base[2] = {paths[TASK_BASE], paths[TEST_BASE]}, *const post[2] = {paths[TASK_POST],
                                                                                  paths[TEST_POST]};
    if (status == PLUMB_OK)
        status = check_model(job->post, e);
    if (status == PLUMB_OK)
        status = trace_model(job, job->base, sets, base, -1, e);
    if (status == PLUMB_OK)
        status = trace_model(job, job->post, sets, post, job->cape ? job->test != NULL : -1, e);
    questions_free(&test);
    questions_free(&task);
    return status;
}

/* ---- the job ---- */

/* Everything that the job opened. */
struct work {
    char *paths[TRACES], *calibration, *report;
    struct pair task, test;
    struct fit fit;
    struct recommendation recommendation;
};

static void work_free(struct work *w)
{
    for (int i = 0; i < TRACES; i++)
        mem_free(w->paths[i]);
    mem_free(w->calibration);
    mem_free(w->report);
    fit_free(&w->fit);
    if (w->test.arena)
        pair_free(&w->test);
    if (w->task.arena)
        pair_free(&w->task);
}

static int name_files(const struct calibrate_job *job, struct work *w, struct plumb_error *e)
{
    for (int i = 0; i < TRACES; i++)
        if (!(w->paths[i] = file_join(job->folder, trace_names[i])))
            return error_memory(e, "a file name");
    w->calibration = file_join(job->folder, "calibration.json");
    w->report = file_join(job->folder, "report.html");
    return w->calibration && w->report ? PLUMB_OK : error_memory(e, "a file name");
}

/* Adds the other orders to the pair that is judged, which was read from `post`. */
static int read_orders(const char *post, struct pair *p, struct plumb_error *e)
{
    char *paths[QUESTION_MAX_OPTIONS] = {NULL};
    int status = PLUMB_OK;
    for (int shift = 1; shift < p->k && !status; shift++)
        if (!(paths[shift - 1] = order_path(post, shift)))
            status = error_memory(e, "a file name");
    if (status == PLUMB_OK)
        status = pair_read_permuted(post, (const char *const *)paths, (size_t)p->k - 1, p, e);
    for (int i = 0; i < p->k - 1; i++)
        mem_free(paths[i]);
    return status;
}

static int fit_pairs(const struct calibrate_job *job, struct work *w, struct plumb_error *e)
{
    struct fit_options how = job->fit;
    int status = pair_read_traces(w->paths[TASK_BASE], w->paths[TASK_POST], &w->task, e);
    if (status == PLUMB_OK && job->test) {
        status = pair_read_traces(w->paths[TEST_BASE], w->paths[TEST_POST], &w->test, e);
        how.test = &w->test;
        how.labels = how.labels || w->test.labelled > 0; /* the oracle beside the others */
    }
    if (status == PLUMB_OK && job->cape)
        status = read_orders(w->paths[job->test ? TEST_POST : TASK_POST],
                             job->test ? &w->test : &w->task, e);
    if (status == PLUMB_OK)
        status = fit_run(&w->task, &how, &w->fit, e);
    if (status == PLUMB_OK)
        w->recommendation = job->fit.labels ? recommend(&w->fit) : recommend_label_free(&w->fit);
    return status;
}

static int write_results(const struct calibrate_job *job, struct work *w, struct plumb_error *e)
{
    char created[32];
    const struct pair *judge = job->test ? &w->test : w->task.labelled ? &w->task : NULL;
    struct calibration_report page = {.pair = &w->task,
                                      .judge = judge,
                                      .fit = &w->fit,
                                      .recommendation = &w->recommendation,
                                      .measure = measure_options_default(),
                                      .command = job->command};
    int status = PLUMB_OK;
    page.measure.metric.bins = 10; /* as in the table of methods */
    calibration_time(created);
    if (w->recommendation.result) {
        const struct calibration_source s = {
            &w->task, &job->fit, &w->fit, w->recommendation.result, w->recommendation.reason,
            created};
        status = calibration_write(&s, w->calibration, e);
    }
    return status == PLUMB_OK ? calibration_report_write(&page, w->report, e) : status;
}

static int show(const struct calibrate_job *job, const struct work *w, struct plumb_error *e)
{
    const char *written = w->recommendation.result ? w->calibration : NULL;
    if (job->json) {
        struct result r;
        result_start(&r);
        fit_table_json(&w->task, &w->fit, &w->recommendation, &r);
        return result_print(&r);
    }
    if (!fit_table_print(&w->task, &w->fit, &w->recommendation, written, stdout))
        return error_set(e, PLUMB_MACHINE, "the table could not be printed");
    printf("Report: %s\n", w->report);
    return PLUMB_OK;
}

int calibrate_run(const struct calibrate_job *job, struct plumb_error *e)
{
    struct work w = {0};
    int status = file_make_folder(job->folder, e);
    if (status == PLUMB_OK)
        status = name_files(job, &w, e);
    if (status == PLUMB_OK)
        status = trace_all(job, w.paths, e);
    if (status == PLUMB_OK)
        status = fit_pairs(job, &w, e);
    if (status == PLUMB_OK)
        status = write_results(job, &w, e);
    if (status == PLUMB_OK)
        status = show(job, &w, e);
    if (status == PLUMB_OK && !w.recommendation.result)
        status = PLUMB_NO;
    work_free(&w);
    return status;
}

/* ---- the verb ---- */

struct calibrate_verb_options {
    struct common_options common;
    const char *base, *post, *task, *test, *output, *instruction, *system, *shots_from;
    int preset, shots, precision, threads, by, draws;
    size_t limit, seed;
    double split;
    bool labels, cape, json;
};

#define AT(field) offsetof(struct calibrate_verb_options, field)
static const struct option_row options[] = {
    {0, "base", OPTION_TEXT, "MODEL", AT(base),
     "the model before post-training: a folder or a .gguf file"},
    {0, "post", OPTION_TEXT, "MODEL", AT(post), "the model made from it"},
    {0, "task", OPTION_TEXT, "QUESTIONS", AT(task),
     "questions of the kind that the model will be asked; right answers are not needed"},
    {0, "test", OPTION_TEXT, "QUESTIONS", AT(test), "questions with answers, to judge on"},
    {'o', "output", OPTION_TEXT, "FOLDER", AT(output),
     "where traces, calibration.json and report.html go; calibration"},
    {0, "preset", OPTION_CHOICE, "clean|daca|chat", AT(preset),
     "how a question becomes a prompt, for both models"},
    {0, "system", OPTION_TEXT, "TEXT", AT(system), "with --preset chat: the system's message"},
    {0, "instruction", OPTION_TEXT, "TEXT", AT(instruction),
     "instead of the preset's own first line"},
    {0, "shots", OPTION_INT, "N", AT(shots), "examples with answers in front of each question"},
    {0, "shots-from", OPTION_TEXT, "FILE", AT(shots_from), "where the examples come from"},
    {0, "labels", OPTION_FLAG, NULL, AT(labels),
     "without --test: split the task's own answered questions, to fit the methods that need "
     "labels"},
    {0, "split", OPTION_NUMBER, "SHARE", AT(split),
     "share of the answered questions for methods that need labels; 0.3"},
    {0, "by", OPTION_CHOICE, "all|group", AT(by),
     "one temperature for all questions, or one for each group"},
    {0, "cape", OPTION_FLAG, NULL, AT(cape),
     "also CAPE, the mean over all orders of the options: the post-trained model runs once for "
     "each order of the questions that are judged"},
    {0, "limit", OPTION_SIZE, "N", AT(limit),
     "only the first N questions of each file; 0, the default: all"},
    {0, "seed", OPTION_SIZE, "N", AT(seed), "of split and resamples; 0"},
    {0, "draws", OPTION_INT, "N", AT(draws), "resamples for the intervals: 1000; 0 for none"},
    {0, "precision", OPTION_CHOICE, "auto|f32|bf16", AT(precision),
     "of weights and matrix products"},
    {0, "threads", OPTION_INT, "N", AT(threads),
     "0, the default: as many as there are; the result is the same"},
    {0, "json", OPTION_FLAG, NULL, AT(json), "one JSON document"},
    {0},
};

static int check(const struct calibrate_verb_options *o, struct plumb_error *e)
{
    if (!o->base || !o->post || !o->task)
        return error_set(e, PLUMB_INPUT,
                         "--%s is missing: needs --base MODEL --post MODEL --task QUESTIONS",
                         !o->base   ? "base"
                         : !o->post ? "post"
                                    : "task");
    if (o->system && o->preset != PRESET_CHAT)
        return error_set(e, PLUMB_INPUT, "--system needs --preset chat: no other has a system");
    if (o->shots > 0 && !o->shots_from)
        return error_set(e, PLUMB_INPUT, "--shots %d needs examples: add --shots-from FILE",
                         o->shots);
    if (o->labels && o->test)
        return error_set(e, PLUMB_INPUT,
                         "--labels splits the task; with --test its answers are used already");
    return PLUMB_OK;
}

static int calibrate(const struct calibrate_verb_options *o, struct plumb_error *e)
{
    struct question_set examples = {0};
    struct calibrate_job job = {.base = o->base,
                                .post = o->post,
                                .task = o->task,
                                .test = o->test,
                                .folder = o->output,
                                .run = trace_run_options_default(),
                                .model = model_options_default(),
                                .limit = o->limit,
                                .fit = fit_options_default(),
                                .cape = o->cape,
                                .quiet = o->common.quiet,
                                .json = o->json};
    job.model.precision = (enum precision)o->precision;
    job.model.threads = job.fit.threads = o->threads;
    job.run.preset.kind = (enum preset_kind)o->preset;
    job.run.preset.instruction = o->instruction;
    job.run.preset.system = o->system;
    job.run.preset.shots = o->shots;
    job.run.preset.shots_from = o->shots_from ? &examples : NULL;
    job.fit.labels = o->labels;
    job.fit.split = o->split;
    job.fit.seed = o->seed;
    job.fit.by_group = o->by != 0;
    job.fit.draws = o->draws;
    int status = check(o, e);
    if (status == PLUMB_OK && o->shots_from)
        status = questions_read(o->shots_from, 0, &examples, e);
    if (status == PLUMB_OK)
        status = calibrate_run(&job, e);
    questions_free(&examples);
    return status;
}

static int run(int argc, char **argv)
{
    const struct fit_options how = fit_options_default();
    struct calibrate_verb_options o = {
        .output = "calibration", .split = how.split, .draws = how.draws};
    struct operands words;
    struct plumb_error e = {0};
    int status;
    if (!verb_parse(&verb_calibrate, argc, argv, &o, 0, 0, &words, &status))
        return status;
    status = calibrate(&o, &e);
    if (status == PLUMB_OK || (status == PLUMB_NO && !*e.message))
        return status;
    status = verb_fail(&verb_calibrate, &e);
    return progress_interrupted() ? EXIT_INTERRUPTED : status;
}

static const char *const synopses[] = {"--base MODEL --post MODEL --task QUESTIONS [options]",
                                       NULL};
static const char *const examples[][2] = {
    {"plumb calibrate --base Qwen2.5-7B --post Qwen2.5-7B-Instruct --task questions.jsonl",
     "without a label: a temperature, and a report of why"},
    {"plumb calibrate --base demo/base --post demo/post --task demo/calibration.jsonl --test "
     "demo/test.jsonl -o out",
     "judged on other questions, beside the methods that need labels"},
    {NULL},
};
const struct verb verb_calibrate = {
    .name = "calibrate",
    .summary = "make a post-trained model's confidence true, against its own base",
    .synopses = synopses,
    .description =
        "Runs the base model and the post-trained one over the questions, fits every calibrator "
        "that needs no label (and, "
        "where answers are known, those that do), compares them, recommends one in a sentence, and "
        "writes calibration.json "
        "and a report.\n"
        "A temperature divides the logits: answers stay the same, confidence becomes true. What "
        "the result rests on is the "
        "base model's own calibration: the report says how good that is where answers are known.\n"
        "A run that was stopped goes on when the same command is given again.",
    .options = options,
    .examples = examples,
    .run = run,
};
