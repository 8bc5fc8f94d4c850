/*
 * abstain_compare.c - `plumb abstain compare`: which source of confidence tells right from wrong, one line each, of any number of traces
 * and confidence files.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "abstain/confidence_join.h"
#include "base/file.h"
#include "base/memory.h"
#include "cli/abstain.h"
#include "cli/abstain_sources.h"
#include "cli/output.h"
#include "cli/result.h"
#include "metric/measure.h"
#include "report/abstain_compare.h"

static const char *const keys[] = {"auroc", "aurc",   "e_aurc", "augrc",
                                   "prr",   "ece_15", "smece",  NULL};
enum {
    KEYS = sizeof keys / sizeof *keys - 1,
    ECE = 5
}; /* ECE: the first of the calibration errors */

/* ---- sources ---- */

/* One line of the comparison. */
struct source_row {
    const struct confidence_source *source;
    const char *file;
    int of;             /* number of the file */
    double *confidence; /* [all questions] NaN where missing, or without a known answer */
    int8_t *right;      /* [all questions] by the file itself */
    size_t n, missing;  /* questions measured; labelled ones of any file that it does not have */
    bool is_scaled;     /* within 0 and 1: calibration errors mean something */
    double value[KEYS];
};
struct comparison_job {
    struct confidence_file *files;
    int n_files;
    struct confidence_rows rows;
    struct source_row *row;
    size_t n;
    size_t labelled; /* questions with a known answer in any file */
    size_t common;   /* of these, how many every source has */
};

static void job_free(struct comparison_job *j)
{
    for (size_t i = 0; j->row && i < j->n; i++) {
        mem_free(j->row[i].confidence);
        mem_free(j->row[i].right);
    }
    mem_free(j->row);
    confidence_rows_free(&j->rows);
    for (int k = 0; j->files && k < j->n_files; k++)
        confidence_free(&j->files[k]);
    mem_free(j->files);
}

static int open_files(char **paths, int n, const struct abstain_options *o,
                      struct comparison_job *j, struct plumb_error *e)
{
    int status = PLUMB_OK;
    j->files = mem_zalloc((size_t)n, sizeof *j->files);
    if (!j->files)
        return error_memory(e, "the sources");
    for (; j->n_files < n && status == PLUMB_OK; j->n_files++) {
        struct confidence_file *f = &j->files[j->n_files];
        size_t labelled = 0, right = 0;
        status = sources_open(paths[j->n_files], o->calibration, o, f, e);
        for (size_t i = 0; status == PLUMB_OK && i < f->n; i++) {
            labelled += f->right[i] >= 0;
            right += f->right[i] == 1;
        }
        if (status == PLUMB_OK && labelled == 0)
            status = error_set(e, PLUMB_INPUT,
                               "%s: none of the %zu questions has a known right answer; this needs "
                               "labelled questions",
                               paths[j->n_files], f->n);
        else if (status == PLUMB_OK && (right == 0 || right == labelled))
            status = error_set(e, PLUMB_INPUT,
                               "%s: of %zu labelled questions %zu are right and %zu wrong; this "
                               "needs at least one of each",
                               paths[j->n_files], labelled, right, labelled - right);
    }
    return status;
}

/* A source over all questions. */
static int spread(struct comparison_job *j, int file, int source, const char *path,
                  struct plumb_error *e)
{
    const struct confidence_file *f = &j->files[file];
    struct source_row *to = &j->row[j->n++];
    *to = (struct source_row){.source = &f->sources[source], .file = path, .of = file};
    to->confidence = mem_array(j->rows.n, sizeof *to->confidence);
    to->right = mem_array(j->rows.n, sizeof *to->right);
    if (!to->confidence || !to->right)
        return error_memory(e, "the sources");
    for (size_t i = 0; i < j->rows.n; i++) {
        to->confidence[i] = (double)NAN;
        to->right[i] = -1;
    }
    for (size_t i = 0; i < f->n; i++) {
        const uint32_t at = j->rows.row[file][i];
        to->right[at] = f->right[i];
        if (f->right[i] >= 0)
            to->confidence[at] = f->value[source][i];
    }
    return PLUMB_OK;
}

/* Counts what is missing; with `common` questions that any source lacks count for none. A source without a single value is not waited
   for. */
static void find_common(struct comparison_job *j, bool common)
{
    size_t sources = 0;
    for (size_t s = 0; s < j->n; s++) {
        size_t i = 0;
        while (i < j->rows.n && isnan(j->row[s].confidence[i]))
            i++;
        sources += i < j->rows.n;
    }
    for (size_t i = 0; i < j->rows.n; i++) {
        size_t has = 0;
        bool labelled = false;
        for (size_t s = 0; s < j->n; s++) {
            labelled |= j->row[s].right[i] >= 0;
            has += !isnan(j->row[s].confidence[i]);
        }
        j->labelled += labelled;
        j->common += has == sources;
        for (size_t s = 0; s < j->n; s++) {
            j->row[s].missing += labelled && isnan(j->row[s].confidence[i]);
            if (common && has < sources)
                j->row[s].confidence[i] = (double)NAN;
        }
    }
}

static int rising(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* A source that is no probability may lie anywhere: ranks from 0 to 1 keep its order. */
static int to_ranks(double *c, size_t n, struct plumb_error *e)
{
    double *sorted = mem_array(n, sizeof *sorted);
    if (!sorted)
        return error_memory(e, "the sources");
    for (size_t i = 0; i < n; i++)
        sorted[i] = c[i];
    qsort(sorted, n, sizeof *sorted, rising);
    for (size_t i = 0; i < n; i++) {
        size_t low = 0, high = n; /* the first that is not smaller */
        while (low < high) {
            const size_t middle = (low + high) / 2;
            if (sorted[middle] < c[i])
                low = middle + 1;
            else
                high = middle;
        }
        c[i] = (double)low / (double)n;
    }
    mem_free(sorted);
    return PLUMB_OK;
}

static int measure_row(const struct comparison_job *j, struct source_row *row,
                       struct plumb_error *e)
{
    double *c = mem_array(j->rows.n, sizeof *c);
    uint8_t *right = mem_array(j->rows.n, sizeof *right);
    size_t rights = 0;
    int status = c && right ? PLUMB_OK : error_memory(e, "the sources");
    row->is_scaled = true;
    for (size_t i = 0; status == PLUMB_OK && i < j->rows.n; i++) {
        const double v = row->confidence[i];
        if (isnan(v))
            continue;
        c[row->n] = v;
        right[row->n] = row->right[i] == 1;
        rights += row->right[i] == 1;
        row->n++;
        row->is_scaled &= v >= 0 && v <= 1;
    }
    for (int k = 0; k < KEYS; k++)
        row->value[k] = (double)NAN;
    if (status == PLUMB_OK && rights > 0 && rights < row->n) {
        if (!row->is_scaled)
            status = to_ranks(c, row->n, e);
        if (status == PLUMB_OK)
            status = measure_confidences(c, right, row->n, keys, row->value, e);
        for (int k = ECE; k < KEYS && !row->is_scaled; k++)
            row->value[k] = (double)NAN;
    }
    mem_free(c);
    mem_free(right);
    return status;
}

/* ---- what is said ---- */

static const char *words_of(const struct source_row *row)
{
    return row->source->words ? row->source->words : row->source->name;
}

static int print_json(const struct comparison_job *j)
{
    struct result r;
    result_start(&r);
    json_write_object(&r.json);
    result_integer(&r, "labelled", (int64_t)j->labelled);
    result_integer(&r, "common", (int64_t)j->common);
    json_write_key(&r.json, "sources");
    json_write_array(&r.json);
    for (size_t i = 0; i < j->n; i++) {
        const struct source_row *row = &j->row[i];
        json_write_object(&r.json);
        result_text(&r, "trace", row->file);
        result_text(&r, "source", row->source->name);
        result_bool(&r, "probability", row->source->probability);
        result_bool(&r, "uses_right_answers", confidence_uses_right_answers(row->source));
        for (int k = 0; k < KEYS; k++)
            result_double(&r, keys[k], row->value[k]);
        result_double(&r, "forward_passes", row->source->passes);
        result_integer(&r, "questions", (int64_t)row->n);
        result_integer(&r, "missing", (int64_t)row->missing);
        json_write_end(&r.json, '}');
    }
    json_write_end(&r.json, ']');
    json_write_end(&r.json, '}');
    return result_print(&r);
}

static size_t count_missing(const struct comparison_job *j)
{
    size_t missing = 0;
    for (size_t i = 0; i < j->n; i++)
        missing += j->row[i].missing;
    return missing;
}

static bool any_uses_answers(const struct comparison_job *j)
{
    size_t i = 0;
    while (i < j->n && !confidence_uses_right_answers(j->row[i].source))
        i++;
    return i < j->n;
}

static void print_remarks(const struct comparison_job *j, bool common)
{
    printf(
        "\nHigher is better for AUROC and PRR, lower for the others. ECE: 15 bins; smooth: smooth "
        "ECE.\nMargin, entropy and option mass are no probabilities: their ECE says how far from "
        "one.\n");
    if (any_uses_answers(j))
        printf("* uses the right answers: a ceiling, not a confidence.\n");
    if (count_missing(j) == 0)
        return;
    if (common)
        printf("Measured on the %zu of %zu labelled questions that every source has.\n", j->common,
               j->labelled);
    else
        printf("Each source is measured on the questions that it has; --common measures all on the "
               "%zu of %zu\nthat every source has.\n",
               j->common, j->labelled);
}

static void print_row(struct table *t, const struct source_row *row, bool under_file,
                      bool with_missing)
{
    table_cell(t, "%s%s%s", under_file ? "  " : "", words_of(row),
               confidence_uses_right_answers(row->source) ? " *" : "");
    for (int k = 0; k < KEYS; k++)
        if (isnan(row->value[k]))
            table_cell(t, "-");
        else
            table_cell(t, "%.4f", row->value[k]);
    if (isnan(row->source->passes))
        table_cell(t, "-");
    else
        table_cell(t, "%.3g", row->source->passes);
    if (with_missing)
        table_cell(t, "%zu", row->missing);
}

/* Of several files each stands as a line above its sources, so that the sources' names have room. */
static int print_table(const struct comparison_job *j, bool common, struct plumb_error *e)
{
    static const char *const heads[] = {"source", "AUROC", "AURC",   "E-AURC", "AUGRC",
                                        "PRR",    "ECE",   "smooth", "passes", "missing"};
    enum { HEADS = sizeof heads / sizeof *heads };
    const bool with_file = j->n_files > 1, with_missing = count_missing(j) > 0;
    struct table *t = table_create(with_missing ? "lrrrrrrrrr" : "lrrrrrrrr");
    for (int i = 0; i < HEADS - !with_missing; i++)
        table_cell(t, "%s", heads[i]);
    for (size_t i = 0; i < j->n; i++) {
        if (with_file && (i == 0 || j->row[i].of != j->row[i - 1].of))
            table_heading(t, j->row[i].file);
        print_row(t, &j->row[i], with_file, with_missing);
    }
    if (!table_print(t, stdout))
        return error_set(e, PLUMB_MACHINE, "the table could not be printed");
    print_remarks(j, common);
    return PLUMB_OK;
}

static int draw(const struct comparison_job *j, const char *path, struct plumb_error *e)
{
    struct compared_source *all = mem_zalloc(j->n, sizeof *all);
    if (!all)
        return error_memory(e, "the report");
    for (size_t i = 0; i < j->n; i++) {
        const struct source_row *row = &j->row[i];
        all[i] = (struct compared_source){.name = words_of(row),
                                          .file = j->n_files > 1 ? file_base_name(row->file) : NULL,
                                          .confidence = row->confidence,
                                          .right = row->right,
                                          .n = j->rows.n,
                                          .missing = row->missing,
                                          .is_ceiling = confidence_uses_right_answers(row->source),
                                          .auroc = row->value[0],
                                          .aurc = row->value[1],
                                          .prr = row->value[4],
                                          .ece = row->value[ECE],
                                          .passes = row->source->passes};
    }
    const struct confidence_file *f = &j->files[0];
    const struct compare_page page = {.title = "Sources of confidence compared",
                                      .task = f->task_name ? f->task_name : "questions",
                                      .labelled = j->labelled,
                                      .sources = all,
                                      .n_sources = j->n};
    const int status = compare_page_write(&page, path, e);
    mem_free(all);
    return status;
}

int abstain_compare(const struct abstain_options *o, char **paths, int n, struct plumb_error *e)
{
    struct comparison_job j = {0};
    size_t sources = 0;
    int status = open_files(paths, n, o, &j, e);
    if (status == PLUMB_OK)
        status = confidence_rows_find(j.files, n, &j.rows, e);
    for (int k = 0; status == PLUMB_OK && k < n; k++)
        sources += (size_t)j.files[k].n_sources;
    if (status == PLUMB_OK && !(j.row = mem_zalloc(sources, sizeof *j.row)))
        status = error_memory(e, "the sources");
    for (int k = 0; status == PLUMB_OK && k < n; k++)
        for (int s = 0; status == PLUMB_OK && s < j.files[k].n_sources; s++)
            status = spread(&j, k, s, paths[k], e);
    if (status == PLUMB_OK) {
        find_common(&j, o->common_questions);
        if (o->common_questions && j.common == 0)
            status = error_set(e, PLUMB_INPUT, "no labelled question has all %zu sources", j.n);
    }
    for (size_t i = 0; status == PLUMB_OK && i < j.n; i++)
        status = measure_row(&j, &j.row[i], e);
    if (status == PLUMB_OK && o->report)
        status = draw(&j, o->report, e);
    if (status == PLUMB_OK)
        status = o->json ? print_json(&j) : print_table(&j, o->common_questions, e);
    job_free(&j);
    return status;
}
