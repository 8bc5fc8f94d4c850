/*
 * abstain_combine.c - `plumb abstain combine`: one confidence out of several files' sources.
 */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "abstain/auroc.h"
#include "abstain/combination.h"
#include "abstain/confidence_join.h"
#include "base/memory.h"
#include "cli/abstain.h"
#include "cli/abstain_sources.h"
#include "cli/output.h"
#include "cli/result.h"

struct combine_job {
    struct confidence_file *files, all;
    int n_files;
    struct combination c;
    double passes;
};

static void job_free(struct combine_job *j)
{
    for (int k = 0; j->files && k < j->n_files; k++)
        confidence_free(&j->files[k]);
    mem_free(j->files);
    confidence_free(&j->all);
    combination_free(&j->c);
}

static bool has_values(const struct confidence_file *f, int source)
{
    size_t i = 0;
    while (i < f->n && isnan(f->value[source][i]))
        i++;
    return i < f->n;
}

/* A combination must not see the right answers: a source that uses them counts as if it were not there. */
static void leave_out(struct confidence_file *f, int source, const char *path, bool quiet)
{
    for (size_t i = 0; i < f->n; i++)
        f->value[source][i] = (double)NAN;
    if (!quiet)
        fprintf(stderr, "plumb abstain: %s: the source %s uses the right answers; it is left out\n",
                path, f->sources[source].name);
}

/* The sources of a trace come from one pass; those of a confidence file may each have had their own. */
static double count_passes(const struct combine_job *j, char **paths)
{
    double sum = 0;
    for (int k = 0; k < j->n_files; k++) {
        double own = 0;
        const bool shared = !confidence_is_file(paths[k]);
        for (int s = 0; s < j->files[k].n_sources; s++) {
            if (!has_values(&j->files[k], s))
                continue;
            own = shared ? fmax(own, j->files[k].sources[s].passes)
                         : own + j->files[k].sources[s].passes;
        }
        sum += own;
    }
    return sum;
}

static int open_all(char **paths, int n, const struct abstain_options *o, struct combine_job *j,
                    struct plumb_error *e)
{
    int status = PLUMB_OK;
    j->files = mem_zalloc((size_t)n, sizeof *j->files);
    if (!j->files)
        return error_memory(e, "the sources");
    for (; status == PLUMB_OK && j->n_files < n; j->n_files++) {
        struct confidence_file *f = &j->files[j->n_files];
        status = sources_open(paths[j->n_files], o->calibration, o, f, e);
        for (int s = 0; status == PLUMB_OK && s < f->n_sources; s++)
            if (confidence_uses_right_answers(&f->sources[s]))
                leave_out(f, s, paths[j->n_files], o->common.quiet);
    }
    if (status == PLUMB_OK)
        status = confidence_join(j->files, (const char *const *)paths, n, &j->all, e);
    if (status == PLUMB_OK)
        j->passes = count_passes(j, paths);
    return status;
}

/* ---- the file ---- */

static void put_terms(struct json_writer *w, const struct combine_job *j,
                      const struct combination_options *how)
{
    json_write_object(w);
    json_write_key(w, "kind");
    json_write_string(w, "logistic");
    json_write_key(w, "cross_validated");
    json_write_bool(w, true);
    json_write_member_double(w, "c", how->c);
    json_write_key(w, "folds");
    json_write_integer(w, j->c.folds);
    json_write_key(w, "seed");
    json_write_integer(w, (int64_t)how->seed);
    json_write_key(w, "kept_together");
    json_write_string(w, j->c.by_group ? "group" : "question");
    json_write_key(w, "labelled");
    json_write_integer(w, (int64_t)j->c.labelled);
    json_write_member_double(w, "intercept", j->c.bias);
    json_write_key(w, "coefficients");
    json_write_array(w);
    for (int k = 0; k < j->c.n_terms; k++) {
        const struct combination_term *t = &j->c.terms[k];
        const struct confidence_source *s = &j->all.sources[t->source];
        json_write_object(w);
        json_write_key(w, "source");
        json_write_string(w, s->name);
        json_write_key(w, "of");
        json_write_string(w, t->missing ? "missing" : s->probability ? "logit" : "value");
        json_write_member_double(w, "weight", t->weight);
        json_write_member_double(w, "mean", t->mean);
        json_write_member_double(w, "scale", t->scale);
        json_write_end(w, '}');
    }
    json_write_end(w, ']');
    json_write_end(w, '}');
}

static int store(struct combine_job *j, const struct combination_options *how, const char *path,
                 struct plumb_error *e)
{
    struct confidence_file f;
    struct buffer details = BUFFER_EMPTY;
    struct json_writer w = json_writer_start(&details, 0);
    put_terms(&w, j, how);
    int status = confidence_create(j->all.n, 1, &f, e);
    if (status == PLUMB_OK && details.failed)
        status = error_memory(e, "the combination");
    if (status == PLUMB_OK) {
        f.model = j->all.model;
        f.model_name = j->all.model_name;
        f.task = j->all.task;
        f.task_name = j->all.task_name;
        f.judged = j->all.judged;
        f.sources[0] = (struct confidence_source){.name = "combination",
                                                  .words = "combination",
                                                  .passes = j->passes,
                                                  .probability = true,
                                                  .details = buffer_string(&details)};
        memcpy(f.item, j->all.item, f.n * sizeof *f.item);
        memcpy(f.right, j->all.right, f.n);
        memcpy(f.group, j->all.group, f.n * sizeof *f.group);
        memcpy(f.value[0], j->c.p, f.n * sizeof(double));
        for (size_t i = 0; i < f.n; i++) {
            char fold[32];
            snprintf(fold, sizeof fold, "{\"fold\": %d}", j->c.fold[i]);
            f.extra[i] = j->c.fold[i] < 0 ? NULL : confidence_keep(&f, fold);
        }
        status = confidence_write(&f, path, e);
    }
    confidence_free(&f);
    buffer_free(&details);
    return status;
}

/* ---- what is said ---- */

static int measure(const struct combine_job *j, const double *value, struct auroc *out,
                   struct plumb_error *e)
{
    const size_t n = j->all.n;
    size_t at = 0;
    double *score = mem_array(n, sizeof *score);
    uint8_t *right = mem_array(n, sizeof *right);
    if (!score || !right) {
        mem_free(score);
        mem_free(right);
        return error_memory(e, "a ranking");
    }
    for (size_t i = 0; i < n; i++)
        if (j->all.right[i] >= 0) {
            score[at] = value[i];
            right[at++] = j->all.right[i] == 1;
        }
    const int status = auroc_measure(score, right, at, out, e);
    mem_free(score);
    mem_free(right);
    return status;
}

static int print_json(const struct combine_job *j, const struct combination_options *how,
                      const struct auroc *a)
{
    struct result r;
    result_start(&r);
    json_write_object(&r.json);
    result_integer(&r, "questions", (int64_t)j->all.n);
    result_double(&r, "auroc", a->value);
    result_double(&r, "low", a->low);
    result_double(&r, "high", a->high);
    json_write_key(&r.json, "details");
    put_terms(&r.json, j, how);
    json_write_end(&r.json, '}');
    return result_print(&r);
}

static int print_words(const struct combine_job *j, const struct auroc *a, struct plumb_error *e)
{
    struct table *t = table_create("llrl");
    static const char *const heads[] = {"source", "as", "weight", "AUROC alone"};
    for (int i = 0; i < 4; i++)
        table_cell(t, "%s", heads[i]);
    for (int k = 0; k < j->c.n_terms; k++) {
        const struct combination_term *term = &j->c.terms[k];
        const struct confidence_source *s = &j->all.sources[term->source];
        struct auroc own = {.value = (double)NAN};
        const int status =
            term->missing ? PLUMB_OK : measure(j, j->all.value[term->source], &own, e);
        if (status != PLUMB_OK)
            return status;
        table_cell(t, "%s", s->words ? s->words : s->name);
        table_cell(t, "%s", term->missing ? "missing" : s->probability ? "logit" : "value");
        table_cell(t, "%.4f", term->weight);
        if (term->missing)
            table_cell(t, "%s", "");
        else
            table_cell(t, "%.4f [%.4f, %.4f]", own.value, own.low, own.high);
    }
    if (!table_print(t, stdout))
        return error_set(e, PLUMB_MACHINE, "the table could not be printed");
    char text[400];
    snprintf(text, sizeof text,
             "Combination: AUROC %.4f [%.4f, %.4f] on %zu labelled questions, each judged by a "
             "regression that saw nothing of its fold (%d folds, %s). Weights are per standard "
             "deviation, of all questions.",
             a->value, a->low, a->high, j->c.labelled, j->c.folds,
             j->c.by_group ? "whole groups" : "questions dealt singly");
    putchar('\n');
    options_wrap(text, 0, 0, stdout);
    return PLUMB_OK;
}

int abstain_combine(const struct abstain_options *o, char **paths, int n, struct plumb_error *e)
{
    struct combine_job j = {0};
    struct auroc a;
    struct combination_options how = combination_options_default();
    how.folds = o->folds;
    how.seed = o->seed;
    int status = open_all(paths, n, o, &j, e);
    if (status == PLUMB_OK)
        status = combination_fit(&j.all, &how, &j.c, e);
    if (status == PLUMB_OK)
        status = measure(&j, j.c.p, &a, e);
    if (status == PLUMB_OK && o->output)
        status = store(&j, &how, o->output, e);
    if (status == PLUMB_OK)
        status = o->json ? print_json(&j, &how, &a) : print_words(&j, &a, e);
    job_free(&j);
    return status;
}
