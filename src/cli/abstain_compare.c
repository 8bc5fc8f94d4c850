/*
 * abstain_compare.c - `plumb abstain compare`: which source of confidence tells right from wrong, one line each.
 */
#include <math.h>
#include <stdio.h>

#include "base/memory.h"
#include "cli/abstain.h"
#include "cli/output.h"
#include "cli/result.h"
#include "metric/measure.h"

static const char *const keys[] = {"auroc", "aurc",   "e_aurc", "augrc",
                                   "prr",   "ece_15", "smece",  NULL};
enum { KEYS = sizeof keys / sizeof *keys - 1 };

/* The metrics of one source, as if it were a confidence. */
static int measure_source(const double *confidence, const uint8_t *wrong, size_t n, double *out,
                          struct plumb_error *e)
{
    static const char *const all[] = {"all"};
    struct scores s = {.kind = SCORES_CONFIDENCE, .n = n, .k = 1, .groups = all, .n_groups = 1};
    struct sample sample = {0};
    struct measurement m = {0};
    struct measure_options how = measure_options_default();
    const struct sample_options as_is = sample_options_default();
    double *values = mem_array(n, sizeof *values);
    s.values = values;
    s.correct = mem_array(n, sizeof *s.correct);
    s.options = mem_array(n, sizeof *s.options);
    s.group = mem_zalloc(n, sizeof *s.group);
    int status =
        values && s.correct && s.options && s.group ? PLUMB_OK : error_memory(e, "the confidences");
    for (size_t i = 0; status == PLUMB_OK && i < n; i++) {
        values[i] = confidence[i];
        s.correct[i] = (int8_t)!wrong[i];
        s.options[i] = 1;
    }
    how.draws = 0;
    how.only = keys;
    if (status == PLUMB_OK)
        status = sample_create(&s, &as_is, &sample, e);
    if (status == PLUMB_OK)
        status = measure(&sample, &how, &m, e);
    for (int k = 0; status == PLUMB_OK && k < KEYS; k++) {
        const struct measured *v = measurement_find(&m, keys[k]);
        out[k] = v ? v->value : NAN;
    }
    measurement_free(&m);
    sample_free(&sample);
    mem_free(values);
    mem_free(s.correct);
    mem_free(s.options);
    mem_free(s.group);
    return status;
}

/* One line of the comparison. */
struct source_row {
    const char *file, *name, *words;
    double value[KEYS];
};
struct source_rows {
    struct source_row *row; /* room for SIGNALS + 1 a file */
    size_t n;
};

/* Every source of one reading of a file; with `only_probability` the first alone. */
static int compare_file(const struct abstain_input *in, bool only_probability,
                        struct source_rows *out, struct plumb_error *e)
{
    const struct signals *s = &in->signals;
    int status = signals_check_labels(s, in->path, e);
    if (status != PLUMB_OK)
        return status;
    double *confidence = mem_array(s->labelled, sizeof *confidence);
    uint8_t *wrong = mem_array(s->labelled, sizeof *wrong);
    if (!confidence || !wrong)
        status = error_memory(e, "the labelled questions");
    for (int w = 0; status == PLUMB_OK && w < (only_probability ? 1 : SIGNALS); w++) {
        const enum signal which = (enum signal)w;
        struct source_row *row = &out->row[out->n];
        if (!s->value[which])
            continue;
        *row = (struct source_row){in->path, signal_name(which), signal_words(which), {0}};
        if (in->has_calibration) {
            row->name = "calibrated";
            row->words = "calibrated probability";
        }
        signals_labelled(s, which, confidence, wrong, NULL);
        status = measure_source(confidence, wrong, s->labelled, row->value, e);
        out->n += status == PLUMB_OK;
    }
    mem_free(confidence);
    mem_free(wrong);
    return status;
}

/* The sources as the model gives them; with a calibration the file is read again for what it makes of the first. */
static int compare_path(const char *path, const struct abstain_options *o, struct source_rows *out,
                        struct plumb_error *e)
{
    struct abstain_input in;
    int status = abstain_open(path, NULL, o, &in, e);
    if (status == PLUMB_OK)
        status = compare_file(&in, false, out, e);
    abstain_close(&in);
    if (status != PLUMB_OK || !o->calibration)
        return status;
    status = abstain_open(path, o->calibration, o, &in, e);
    if (status == PLUMB_OK)
        status = compare_file(&in, true, out, e);
    abstain_close(&in);
    return status;
}

static int print_json(const struct source_rows *rows)
{
    struct result r;
    result_start(&r);
    json_write_object(&r.json);
    json_write_key(&r.json, "sources");
    json_write_array(&r.json);
    for (size_t i = 0; i < rows->n; i++) {
        json_write_object(&r.json);
        result_text(&r, "trace", rows->row[i].file);
        result_text(&r, "source", rows->row[i].name);
        for (int k = 0; k < KEYS; k++)
            result_double(&r, keys[k], rows->row[i].value[k]);
        result_integer(&r, "forward_passes", 1);
        json_write_end(&r.json, '}');
    }
    json_write_end(&r.json, ']');
    json_write_end(&r.json, '}');
    return result_print(&r);
}

static int print_table(const struct source_rows *rows, bool with_file, struct plumb_error *e)
{
    static const char *const heads[] = {"source", "AUROC", "AURC",   "E-AURC", "AUGRC",
                                        "PRR",    "ECE",   "smooth", "passes"};
    struct table *t = table_create(with_file ? "llrrrrrrrr" : "lrrrrrrrr");
    if (with_file)
        table_cell(t, "file");
    for (int i = 0; i < (int)(sizeof heads / sizeof *heads); i++)
        table_cell(t, "%s", heads[i]);
    for (size_t i = 0; i < rows->n; i++) {
        const struct source_row *row = &rows->row[i];
        if (with_file)
            table_cell(t, "%s", row->file);
        table_cell(t, "%s", row->words);
        for (int k = 0; k < KEYS; k++)
            if (isnan(row->value[k]))
                table_cell(t, "-");
            else
                table_cell(t, "%.4f", row->value[k]);
        table_cell(t, "1");
    }
    if (!table_print(t, stdout))
        return error_set(e, PLUMB_MACHINE, "the table could not be printed");
    printf(
        "\nHigher is better for AUROC and PRR, lower for the others. ECE: 15 bins; smooth: smooth "
        "ECE.\nMargin, entropy and option mass are no probabilities: their ECE says how far from "
        "one.\n");
    return PLUMB_OK;
}

int abstain_compare(const struct abstain_options *o, char **traces, int n, struct plumb_error *e)
{
    struct source_rows rows = {.row = mem_zalloc((size_t)n, (SIGNALS + 1) * sizeof *rows.row)};
    int status = rows.row ? PLUMB_OK : error_memory(e, "the sources");
    for (int i = 0; i < n && status == PLUMB_OK; i++)
        status = compare_path(traces[i], o, &rows, e);
    if (status == PLUMB_OK)
        status = o->json ? print_json(&rows) : print_table(&rows, n > 1, e);
    mem_free(rows.row);
    return status;
}
