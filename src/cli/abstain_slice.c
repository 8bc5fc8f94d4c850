/*
 * abstain_slice.c - `plumb abstain slice`: recalibrates an unlabelled slice of questions from labelled ones of other groups.
 */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "abstain/folds.h"
#include "abstain/slice.h"
#include "base/memory.h"
#include "cli/abstain.h"
#include "cli/output.h"
#include "cli/result.h"

struct slice_job {
    struct abstain_input labelled, slice;
    double *confidence;
    uint8_t *right;
    struct hash128 *group;
    struct slice_map map;
    struct slice_judgement judged;
    double *p; /* [questions of the slice] */
    struct slice_point stated[SLICE_THRESHOLDS], truth[SLICE_THRESHOLDS];
    bool has_truth;
};

static void job_free(struct slice_job *j)
{
    mem_free(j->confidence);
    mem_free(j->right);
    mem_free(j->group);
    mem_free(j->p);
    abstain_close(&j->labelled);
    abstain_close(&j->slice);
}

static int train(const struct abstain_options *o, struct slice_job *j, struct plumb_error *e)
{
    const struct signals *s = &j->labelled.signals;
    const struct scores *scores = &j->labelled.scores;
    struct slice_options how = slice_options_default();
    size_t n = 0;
    j->confidence = mem_array(s->n, sizeof *j->confidence);
    j->right = mem_array(s->n, 1);
    j->group = mem_array(s->n, sizeof *j->group);
    if (!j->confidence || !j->right || !j->group)
        return error_memory(e, "the labelled questions");
    for (size_t i = 0; i < s->n; i++) {
        if (s->right[i] < 0)
            continue;
        j->confidence[n] = s->value[SIGNAL_PROBABILITY][i];
        j->right[n] = s->right[i] == 1;
        j->group[n++] = folds_group_key(scores->groups[scores->group[i]], scores->item_hash[i]);
    }
    how.folds = o->folds;
    how.seed = o->seed;
    const struct slice_data data = {
        .n = n, .confidence = j->confidence, .right = j->right, .group = j->group};
    const int status = slice_train(&data, &how, &j->map, &j->judged, e);
    return status == PLUMB_OK ? status : error_prefix(e, "%s", j->labelled.path);
}

/* What is stated of the slice and, where its answers are known, what is true. */
static int apply(struct slice_job *j, struct plumb_error *e)
{
    const struct signals *s = &j->slice.signals;
    const double *c = s->value[SIGNAL_PROBABILITY];
    double *right = mem_array(s->n, sizeof *right);
    j->p = mem_array(s->n, sizeof *j->p);
    if (!right || !j->p) {
        mem_free(right);
        return error_memory(e, "the slice");
    }
    slice_apply(&j->map, c, s->n, j->p);
    slice_curve(c, j->p, s->n, j->stated);
    j->has_truth = s->labelled == s->n;
    for (size_t i = 0; i < s->n; i++)
        right[i] = s->right[i] == 1;
    slice_curve(c, right, s->n, j->truth);
    mem_free(right);
    return PLUMB_OK;
}

static int store(const struct slice_job *j, const char *path, struct plumb_error *e)
{
    const struct scores *s = &j->slice.scores;
    const struct trace_header *h = j->slice.has_identity ? &j->slice.identity : NULL;
    struct confidence_file f;
    int status = confidence_create(s->n, 1, &f, e);
    if (status == PLUMB_OK) {
        f.model = h ? h->model_fingerprint : NULL;
        f.model_name = h ? h->model : NULL;
        f.task = h ? h->task_hash : NULL;
        f.task_name = h ? h->task : s->name;
        f.sources[0] = (struct confidence_source){.name = "slice",
                                                  .words = "recalibrated for the slice",
                                                  .passes = 1,
                                                  .probability = true};
        memcpy(f.item, s->item_hash, f.n * sizeof *f.item);
        memcpy(f.right, j->slice.signals.right, f.n);
        memcpy(f.value[0], j->p, f.n * sizeof(double));
        for (size_t i = 0; i < f.n; i++)
            f.group[i] = s->groups[s->group[i]];
        status = confidence_write(&f, path, e);
    }
    confidence_free(&f);
    return status;
}

/* ---- what is said ---- */

static void put_score(struct result *r, const char *key, const struct slice_score *s)
{
    json_write_key(&r->json, key);
    json_write_object(&r->json);
    result_double(r, "log_loss", s->loss);
    result_double(r, "ece_10_in_groups", s->ece);
    result_double(r, "curve_error", s->curve);
    json_write_end(&r->json, '}');
}

static int print_json(const struct slice_job *j)
{
    struct result r;
    result_start(&r);
    json_write_object(&r.json);
    result_text(&r, "labelled", j->labelled.path);
    result_text(&r, "slice", j->slice.path);
    result_integer(&r, "groups", (int64_t)j->judged.groups);
    put_score(&r, "as_it_is", &j->judged.raw);
    put_score(&r, "pooled", &j->judged.pooled);
    put_score(&r, "by_slice", &j->judged.slice);
    json_write_key(&r.json, "curve");
    json_write_array(&r.json);
    for (int k = 0; k < SLICE_THRESHOLDS; k++) {
        json_write_object(&r.json);
        result_double(&r, "threshold", j->stated[k].threshold);
        result_integer(&r, "questions", (int64_t)j->stated[k].questions);
        result_double(&r, "precision", j->stated[k].precision);
        result_double(&r, "true_precision", j->has_truth ? j->truth[k].precision : (double)NAN);
        json_write_end(&r.json, '}');
    }
    json_write_end(&r.json, ']');
    json_write_end(&r.json, '}');
    return result_print(&r);
}

static void score_row(struct table *t, const char *name, const struct slice_score *s)
{
    table_cell(t, "%s", name);
    table_cell(t, "%.4f", s->loss);
    table_cell(t, "%.4f", s->ece);
    table_cell(t, "%.4f", s->curve);
}

static void precision_cell(struct table *t, const struct slice_point *p)
{
    if (p->questions)
        table_cell(t, "%.4f", p->precision);
    else
        table_cell(t, "-");
}

static int print_words(const struct slice_job *j, struct plumb_error *e)
{
    static const char *const heads[] = {"confidence from", "questions", "stated precision",
                                        "true precision"};
    const int columns = j->has_truth ? 4 : 3;
    struct table *t = table_create("lrrr");
    printf("%zu labelled groups of %s, each judged by maps that saw nothing of it:\n\n",
           j->judged.groups, j->labelled.path);
    table_cell(t, "calibration");
    table_cell(t, "log loss");
    table_cell(t, "ECE in groups");
    table_cell(t, "curve error");
    score_row(t, "as it is", &j->judged.raw);
    score_row(t, "pooled", &j->judged.pooled);
    score_row(t, "by slice", &j->judged.slice);
    bool good = table_print(t, stdout);
    printf("\n%s\n\n%s, %zu questions, recalibrated from how its confidences are spread:\n\n",
           j->judged.slice.loss < j->judged.pooled.loss
               ? "Recalibration by slice is better than one pooled map on groups left out."
               : "Recalibration by slice is NOT better than one pooled map on groups left out: do "
                 "not use it here.",
           j->slice.path, j->slice.signals.n);
    t = table_create(j->has_truth ? "lrrr" : "lrr");
    for (int i = 0; i < columns; i++)
        table_cell(t, "%s", heads[i]);
    for (int k = 0; k < SLICE_THRESHOLDS; k++) {
        table_cell(t, "%.1f", j->stated[k].threshold);
        table_cell(t, "%zu", j->stated[k].questions);
        precision_cell(t, &j->stated[k]);
        if (j->has_truth)
            precision_cell(t, &j->truth[k]);
    }
    good = table_print(t, stdout) && good;
    return good ? PLUMB_OK : error_set(e, PLUMB_MACHINE, "the table could not be printed");
}

int abstain_slice(const struct abstain_options *o, const char *labelled, struct plumb_error *e)
{
    struct slice_job j = {0};
    if (!o->slice)
        return error_set(e, PLUMB_INPUT,
                         "slice needs --slice FILE: the questions to recalibrate, without answers");
    int status = abstain_open(labelled, NULL, o, &j.labelled, e);
    if (status == PLUMB_OK)
        status = signals_check_labels(&j.labelled.signals, labelled, e);
    if (status == PLUMB_OK)
        status = abstain_open(o->slice, NULL, o, &j.slice, e);
    if (status == PLUMB_OK)
        status = train(o, &j, e);
    if (status == PLUMB_OK)
        status = apply(&j, e);
    if (status == PLUMB_OK && o->confidence)
        status = store(&j, o->confidence, e);
    if (status == PLUMB_OK)
        status = o->json ? print_json(&j) : print_words(&j, e);
    if (status == PLUMB_OK && !(j.judged.slice.loss < j.judged.pooled.loss))
        status = PLUMB_NO;
    job_free(&j);
    return status;
}
