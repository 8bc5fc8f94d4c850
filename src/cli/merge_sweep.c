/*
 * merge_sweep.c - see merge_sweep.h: traces every point, measures, prints the table, writes the report and, where asked, the
 * picked merge.
 */
#include "cli/merge_sweep.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/file.h"
#include "base/memory.h"
#include "base/progress.h"
#include "cli/merge_extras.h"
#include "cli/output.h"
#include "cli/progress_line.h"
#include "cli/result.h"
#include "merge/merge.h"
#include "report/frontier.h"

/* Everything that came out. */
struct outcome {
    const struct merge_sweep_job *job;
    struct frontier_traces *traces; /* [n] points, then corrections */
    size_t n, n_points;
    struct frontier frontier;
    struct frontier_diversity *diversity; /* [n_points] or null */
    struct frontier_react_report react;   /* where there are corrections */
};

/* ---- what was measured, as a table ---- */

/* In points of a hundred: "-1.2 [-2.3,-0.1]". */
static const char *gap_words(const struct frontier_gap *g, char out[64])
{
    if (isnan(g->low))
        snprintf(out, 64, "%+.1f", 100 * g->difference);
    else
        snprintf(out, 64, "%+.1f [%+.1f,%+.1f]", 100 * g->difference, 100 * g->low, 100 * g->high);
    return out;
}

static void gap_cell(struct table *t, const struct frontier_gap *g)
{
    char words[64];
    table_cell(t, "%s", gap_words(g, words));
}

static void side_cells(struct table *t, const struct frontier_side *s)
{
    sweep_value_cell(t, &s->value[FRONTIER_ACCURACY]);
    sweep_value_cell(t, &s->value[FRONTIER_ECE_10]);
    table_cell(t, "%.3f", s->value[FRONTIER_SMECE].value);
    table_cell(t, "%.3f", s->value[FRONTIER_NLL].value);
    table_cell(t, "%.3f", s->value[FRONTIER_BRIER].value);
    table_cell(t, "%.3f", s->value[FRONTIER_CONFIDENCE].value);
}

static bool print_values(const struct frontier *f)
{
    static const char *const head[] = {"t",     "accuracy", "ECE", "smECE", "NLL",
                                       "Brier", "conf",     "T",   "ECE/T", "NLL/T"};
    struct table *t = table_create("lllrrrrrrr");
    for (size_t c = 0; c < sizeof head / sizeof *head; c++)
        table_cell(t, "%s", head[c]);
    for (size_t i = 0; i < f->n; i++) {
        const struct frontier_point *p = &f->points[i];
        table_cell(t, "%s%s%s%s", p->name, p->pareto || p->superior ? " " : "",
                   p->pareto ? "*" : "",
                   p->superior_supported ? "++"
                   : p->superior         ? "+"
                                         : "");
        side_cells(t, &p->raw);
        table_cell(t, "%.3f%s", p->tau, p->tau_at_rim ? "!" : "");
        table_cell(t, "%.3f", p->tempered.value[FRONTIER_ECE_10].value);
        table_cell(t, "%.3f", p->tempered.value[FRONTIER_NLL].value);
    }
    table_cell(t, "post/T");
    side_cells(t, &f->points[f->post].tempered);
    for (int c = 0; c < 3; c++)
        table_cell(t, "%s", "");
    return table_print(t, stdout);
}

static bool print_gaps(const struct frontier *f)
{
    struct table *t = table_create("lllll");
    table_cell(t, "t");
    table_cell(t, "accuracy - base");
    table_cell(t, "accuracy - post");
    table_cell(t, "ECE - post");
    table_cell(t, "ECE/T - post/T");
    for (size_t i = 0; i < f->n; i++) {
        const struct frontier_point *p = &f->points[i];
        table_cell(t, "%s", p->name);
        gap_cell(t, &p->raw.over_base[FRONTIER_ACCURACY]);
        gap_cell(t, &p->raw.over_post[FRONTIER_ACCURACY]);
        gap_cell(t, &p->raw.over_post[FRONTIER_ECE_10]);
        gap_cell(t, &p->tempered.over_post[FRONTIER_ECE_10]);
    }
    return table_print(t, stdout);
}

static void print_superior(const struct frontier *f)
{
    bool any = false;
    for (size_t i = 0; i < f->n; i++) {
        const struct frontier_point *p = &f->points[i];
        if (!p->superior)
            continue;
        any = true;
        printf("%s is more accurate than both parents and better calibrated than POST;\n%s",
               p->name,
               f->draws == 0           ? "not tested, for there are no draws\n"
               : p->superior_supported ? "the questions are enough to say so"
                                       : "the questions are too few to say so");
        if (f->draws)
            printf(" (all three hold in %.0f %% of %d draws)\n", 100 * p->superior_share, f->draws);
    }
    if (!any)
        printf("No point is more accurate than both parents and better calibrated than POST.\n");
}

static void print_picks(const struct frontier *f, enum frontier_rule chosen)
{
    printf("Picked on %zu questions%s, judged on %zu others:\n", f->n_pick,
           f->pick_from_task ? " of the task" : " that were set apart", f->n_judge);
    for (int r = 0; r < FRONTIER_RULES; r++) {
        const struct frontier_point *p = &f->points[f->picked[r]];
        printf("%s %-11s  t = %s: accuracy %.3f, ECE %.3f where picked; %.3f, %.3f where judged\n",
               r == (int)chosen ? ">" : " ", frontier_rule_name((enum frontier_rule)r), p->name,
               p->pick.accuracy, p->pick.ece, p->raw.value[FRONTIER_ACCURACY].value,
               p->raw.value[FRONTIER_ECE_10].value);
    }
}

/* What the pick has over what costs nothing. */
static void print_against_control(const struct frontier *f, enum frontier_rule chosen)
{
    const size_t i = f->picked[chosen];
    const struct frontier_gap *raw = f->points[i].over_control,
                              *after = f->points[i].tempered.over_post;
    char a[64], b[64], c[64], d[64];
    if (i == f->post)
        return;
    printf("t = %s against POST with a temperature: accuracy %s, ECE %s;\n"
           "with a temperature of its own, too: ECE %s, NLL %s\n",
           f->points[i].name, gap_words(&raw[FRONTIER_ACCURACY], a),
           gap_words(&raw[FRONTIER_ECE_10], b), gap_words(&after[FRONTIER_ECE_10], c),
           gap_words(&after[FRONTIER_NLL], d));
}

static int print_text(const struct outcome *o, const char *report, struct plumb_error *e)
{
    const struct merge_sweep_job *job = o->job;
    const struct frontier *f = &o->frontier;
    if (!print_values(f))
        return error_set(e, PLUMB_MACHINE, "the table could not be printed");
    printf("* Pareto-optimal; + more accurate than both parents with a lower ECE than POST, ++ "
           "measurably so.\n"
           "T: temperature by %s, which sees no answer; /T: after it. post/T: the control.\n\n"
           "Differences in points of a hundred, on the same draws of the same questions:\n",
           method_words(f->temperature));
    if (!print_gaps(f))
        return error_set(e, PLUMB_MACHINE, "the table could not be printed");
    printf("\n");
    if (o->diversity && !diversity_print(f, o->diversity, o->n_points, &job->sampling))
        return error_set(e, PLUMB_MACHINE, "the table could not be printed");
    if (o->n > o->n_points)
        react_print(&o->react);
    print_superior(f);
    print_picks(f, job->pick);
    print_against_control(f, job->pick);
    printf("Report: %s\n", report);
    return PLUMB_OK;
}

/* ---- as JSON ---- */

static void json_value(struct result *r, const char *key, const struct frontier_value *v)
{
    json_write_key(&r->json, key);
    json_write_object(&r->json);
    result_double(r, "value", v->value);
    result_double(r, "low", v->low);
    result_double(r, "high", v->high);
    json_write_end(&r->json, '}');
}

static void json_gaps(struct result *r, const char *key,
                      const struct frontier_gap gap[FRONTIER_METRICS])
{
    json_write_key(&r->json, key);
    json_write_object(&r->json);
    for (int m = 0; m < FRONTIER_METRICS; m++) {
        json_write_key(&r->json, frontier_metric_key((enum frontier_metric)m));
        json_write_object(&r->json);
        result_double(r, "difference", gap[m].difference);
        result_double(r, "low", gap[m].low);
        result_double(r, "high", gap[m].high);
        result_bool(r, "measurable", gap[m].measurable);
        json_write_end(&r->json, '}');
    }
    json_write_end(&r->json, '}');
}

static void json_side(struct result *r, const char *key, const struct frontier_side *s)
{
    json_write_key(&r->json, key);
    json_write_object(&r->json);
    for (int m = 0; m < FRONTIER_METRICS; m++)
        json_value(r, frontier_metric_key((enum frontier_metric)m), &s->value[m]);
    json_gaps(r, "minus_base", s->over_base);
    json_gaps(r, "minus_post", s->over_post);
    json_write_end(&r->json, '}');
}

static void json_point(struct result *r, const struct frontier_point *p,
                       const struct frontier_diversity *diversity)
{
    static const char *const kinds[] = {"base", "post", "merge", "react"};
    json_write_object(&r->json);
    result_text(r, "name", p->name);
    result_text(r, "kind", kinds[p->kind]);
    result_double(r, "t", p->t);
    result_bool(r, "in_sweep", p->in_sweep);
    if (p->kind == FRONTIER_IS_REACT)
        result_double(r, "p", p->preference);
    result_double(r, "temperature", p->tau);
    result_bool(r, "temperature_at_limit", p->tau_at_rim);
    json_side(r, "raw", &p->raw);
    json_side(r, "tempered", &p->tempered);
    json_gaps(r, "minus_control", p->over_control);
    result_bool(r, "pareto", p->pareto);
    result_bool(r, "superior", p->superior);
    result_bool(r, "superior_supported", p->superior_supported);
    result_double(r, "superior_share_of_draws", p->superior_share);
    json_write_key(&r->json, "where_picked");
    json_write_object(&r->json);
    result_double(r, "accuracy", p->pick.accuracy);
    result_double(r, "ece_10", p->pick.ece);
    result_bool(r, "pareto", p->pick_pareto);
    json_write_end(&r->json, '}');
    if (diversity)
        diversity_json(r, diversity);
    json_write_end(&r->json, '}');
}

static int print_json(const struct outcome *o, const char *report)
{
    const struct merge_sweep_job *job = o->job;
    const struct frontier *f = &o->frontier;
    struct result r;
    result_start(&r);
    json_write_object(&r.json);
    result_text(&r, "base", job->words.models[0]);
    result_text(&r, "post", job->words.models[1]);
    result_text(&r, "method", job->words.method);
    result_text(&r, "temperature_method", method_name(f->temperature));
    result_integer(&r, "questions_temperature", (int64_t)f->n_temperature);
    result_integer(&r, "questions_picked_on", (int64_t)f->n_pick);
    result_integer(&r, "questions_judged_on", (int64_t)f->n_judge);
    result_integer(&r, "draws", f->draws);
    json_write_key(&r.json, "points");
    json_write_array(&r.json);
    for (size_t i = 0; i < f->n; i++)
        json_point(&r, &f->points[i], o->diversity && i < o->n_points ? &o->diversity[i] : NULL);
    json_write_end(&r.json, ']');
    if (o->n > o->n_points)
        react_json(&r, &o->react);
    json_write_key(&r.json, "picks");
    json_write_object(&r.json);
    for (int k = 0; k < FRONTIER_RULES; k++)
        result_text(&r, frontier_rule_name((enum frontier_rule)k), f->points[f->picked[k]].name);
    json_write_end(&r.json, '}');
    result_text(&r, "pick", frontier_rule_name(job->pick));
    result_text(&r, "written", job->write);
    result_text(&r, "report", report);
    json_write_end(&r.json, '}');
    return result_print(&r);
}

/* ---- running it ---- */

struct telling {
    struct progress_line *line;
    bool quiet;
};

static void tell(void *user, const char *name, const struct question_set *questions,
                 const struct trace_run_report *r)
{
    const struct telling *t = user;
    char items[32], time[32];
    const size_t run = r->items - r->resumed;
    if (t->quiet)
        return;
    progress_line_end(t->line);
    if (run)
        fprintf(stderr, "%s over %s: %s questions in %s\n", name, questions->name,
                human_grouped(run, items), human_seconds(r->seconds, time));
    else
        fprintf(stderr, "%s over %s: %s questions, traced before\n", name, questions->name,
                human_grouped(r->items, items));
    progress_line_start(t->line, t->quiet);
}

static void tell_sampled(void *user, const char *name, bool resumed, double seconds)
{
    const struct telling *t = user;
    char time[32];
    if (t->quiet)
        return;
    progress_line_end(t->line);
    if (resumed)
        fprintf(stderr, "%s: answers sampled before\n", name);
    else
        fprintf(stderr, "%s: answers sampled in %s\n", name, human_seconds(seconds, time));
    progress_line_start(t->line, t->quiet);
}

/* The points' traces and, behind them, those of corrections. */
static int correct_points(const struct frontier_sweep *s, const struct frontier_plan *plan,
                          const struct frontier_react *how, struct outcome *o,
                          struct plumb_error *e)
{
    o->n_points = plan->n;
    o->n = plan->n + how->n;
    o->traces = mem_array(o->n, sizeof *o->traces);
    if (!o->traces)
        return error_memory(e, "the points of a sweep");
    memcpy(o->traces, plan->traces, plan->n * sizeof *o->traces);
    return how->n ? frontier_react(s, plan, how, o->traces + plan->n, &o->react, e) : PLUMB_OK;
}

/* Is there anything to judge by? Said before hours of traces. */
static int check_answers(const struct question_set *judged, const char *path, struct plumb_error *e)
{
    size_t i = 0;
    while (i < judged->count && judged->items[i].gold < 0)
        i++;
    return i < judged->count ? PLUMB_OK
                             : error_set(e, PLUMB_INPUT,
                                         "%s: no question has a known right answer to judge by; "
                                         "give --test questions with answers",
                                         path);
}

static int trace_points(const struct merge_sweep_job *job, struct frontier_sweep *s,
                        struct frontier_plan *plan, const struct frontier_react *react,
                        struct outcome *o, struct plumb_error *e)
{
    struct frontier_sampling sampling = job->sampling;
    struct prompt_list prompts = {0};
    struct frontier_prompt *views = NULL;
    struct question_set task = {0}, test = {0};
    struct progress_line line;
    struct telling telling = {&line, job->quiet};
    int status = questions_read(job->task, job->limit, &task, e);
    if (status == PLUMB_OK && job->test)
        status = questions_read(job->test, job->limit, &test, e);
    if (status == PLUMB_OK)
        status = check_answers(job->test ? &test : &task, job->test ? job->test : job->task, e);
    if (status == PLUMB_OK && job->diversity)
        status = sampling_prompts(job->diversity, job->limit, &prompts, &views, &sampling, e);
    s->sampling = job->diversity ? &sampling : NULL;
    s->task = &task;
    s->test = job->test ? &test : NULL;
    if (status == PLUMB_OK)
        status = frontier_plan_create(s, plan, e);
    if (status == PLUMB_OK) {
        progress_line_start(&line, job->quiet);
        s->run.progress = s->model.progress = sampling.progress = &line.progress;
        s->traced = tell;
        s->sampled = tell_sampled;
        s->user = &telling;
        status = frontier_trace(s, plan, e);
        if (status == PLUMB_OK)
            status = correct_points(s, plan, react, o, e);
        progress_line_end(&line);
    }
    s->task = s->test = NULL; /* what it pointed to ends here */
    s->run.progress = s->model.progress = NULL;
    s->user = NULL;
    s->sampling = NULL;
    prompt_list_free(&prompts);
    mem_free(views);
    questions_free(&test);
    questions_free(&task);
    return status;
}

/* The merge at one point, as `plumb merge` would write it. */
static int write_point(const struct merge_sweep_job *job, const struct frontier_point *p,
                       struct plumb_error *e)
{
    struct merge_job merge;
    struct merge_plan plan = {0};
    struct merge_report report;
    struct progress_line line;
    struct model *models[MERGE_MODELS_MOST] = {NULL};
    struct model_options how = model_options_default();
    int status = frontier_job(&job->words, p->t, &merge, e);
    if (status != PLUMB_OK)
        return status;
    how.weights = false;
    for (int i = 0; i < merge.n_paths && status == PLUMB_OK; i++)
        status = model_open(merge.paths[i], &how, &models[i], e);
    if (status == PLUMB_OK)
        status = merge_plan_create(&merge.recipe, (const struct model *const *)models,
                                   merge.n_paths, merge.like, &plan, e);
    if (status == PLUMB_OK) {
        progress_line_start(&line, job->quiet);
        const struct merge_write_options write = {
            .tokenizer_from = models[job->tokenizer_of_base ? 0 : merge.like],
            .shard_bytes = job->shard_bytes,
            .threads = job->model.threads,
            .progress = &line.progress};
        status = merge_write(&plan, job->write, &write, &report, e);
        progress_line_end(&line);
    }
    merge_plan_free(&plan);
    for (int i = 0; i < merge.n_paths; i++)
        model_close(models[i]);
    merge_job_free(&merge);
    return status;
}

static int show(const struct outcome *o, struct plumb_error *e)
{
    const struct merge_sweep_job *job = o->job;
    const struct frontier *f = &o->frontier;
    char *report = file_join(job->folder, "report.html");
    if (!report)
        return error_memory(e, "a file name");
    const struct frontier_page page = {.frontier = f,
                                       .base = file_base_name(job->words.models[0]),
                                       .post = file_base_name(job->words.models[1]),
                                       .method = job->words.method,
                                       .task = file_base_name(job->task),
                                       .test = job->test ? file_base_name(job->test) : NULL,
                                       .pick = job->pick,
                                       .diversity = o->diversity,
                                       .n_diversity = o->diversity ? o->n_points : 0,
                                       .sampling = &job->sampling,
                                       .react = o->n > o->n_points ? &o->react : NULL};
    int status = frontier_page_write(&page, report, e);
    if (status == PLUMB_OK && job->write)
        status = write_point(job, &f->points[f->picked[job->pick]], e);
    if (status == PLUMB_OK)
        status = job->json ? print_json(o, report) : print_text(o, report, e);
    if (status == PLUMB_OK && job->write && !job->json)
        printf("Written: the merge at t = %s, as %s\n", f->points[f->picked[job->pick]].name,
               job->write);
    mem_free(report);
    return status;
}

static int measure(struct outcome *o, struct plumb_error *e)
{
    const struct merge_sweep_job *job = o->job;
    int status = frontier_measure(o->traces, o->n, &job->frontier, &o->frontier, e);
    if (status != PLUMB_OK || !job->diversity)
        return status;
    const char **paths = mem_array(o->n_points, sizeof *paths);
    o->diversity = mem_zalloc(o->n_points, sizeof *o->diversity);
    if (!paths || !o->diversity)
        status = error_memory(e, "the diversity of a sweep");
    for (size_t i = 0; i < o->n_points && status == PLUMB_OK; i++)
        paths[i] = o->traces[i].diversity;
    if (status == PLUMB_OK)
        status = frontier_diversity_read(paths, o->n_points, o->frontier.post, job->frontier.draws,
                                         job->frontier.seed, o->diversity, e);
    mem_free(paths);
    return status;
}

int merge_sweep_run(const struct merge_sweep_job *job, struct plumb_error *e)
{
    double *values = NULL, *preferences = NULL;
    struct outcome o = {.job = job};
    struct frontier_plan plan = {0};
    struct frontier_react react = {.t = job->react_at};
    struct frontier_sweep sweep = {
        .words = job->words, .folder = job->folder, .run = job->run, .model = job->model};
    int status = frontier_values(job->range, job->extrapolate, &values, &sweep.n, e);
    sweep.t = values;
    if (status == PLUMB_OK && job->react)
        status = react_preferences(job->react, &preferences, &react.n, e);
    react.p = preferences;
    if (status == PLUMB_OK)
        status = file_make_folder(job->folder, e);
    if (status == PLUMB_OK)
        status = trace_points(job, &sweep, &plan, &react, &o, e);
    if (status == PLUMB_OK)
        status = measure(&o, e);
    if (status == PLUMB_OK)
        status = show(&o, e);
    mem_free(o.traces);
    mem_free(o.diversity);
    frontier_free(&o.frontier);
    frontier_plan_free(&plan);
    mem_free(preferences);
    mem_free(values);
    return status;
}
