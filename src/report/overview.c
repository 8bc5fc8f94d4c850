/*
 * overview.c - the first chapter: what a hurried reader needs, in a sentence and a few numbers.
 */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/sum.h"
#include "report/chapters.h"
#include "report/markup.h"

static const struct measured *value(const struct report_run *r, const char *key)
{
    return r->measurement ? measurement_find(r->measurement, key) : NULL;
}

static double mean(const double *v, size_t n)
{
    struct sum sum = {0};
    for (size_t i = 0; i < n; i++)
        sum_add(&sum, v[i]);
    return n > 0 ? sum_value(sum) / (double)n : NAN;
}

/* "On 14,042 questions 65.5 % of the answers are right, at a mean confidence of 83.1 %: 17.6 points too confident." */
static void tell(struct page *p, const struct report_run *r, bool several)
{
    char n[NUMBER_TEXT], right[NUMBER_TEXT], sure[NUMBER_TEXT], points[NUMBER_TEXT];
    char verdict[160];
    const struct sample *s = r->sample;
    const double accuracy = mean(s->correct, s->n), confidence = mean(s->confidence, s->n);
    const double gap = confidence - accuracy;
    const struct measured *g = value(r, "signed_gap");
    number_fixed(fabs(gap) * 100, 1, points);
    if (g && !isnan(g->low) && g->low <= 0 && g->high >= 0)
        snprintf(verdict, sizeof verdict,
                 "on average no measurable difference (%s points, interval holds 0)", points);
    else
        snprintf(verdict, sizeof verdict, "%s points %s on average", points,
                 gap >= 0 ? "too confident" : "too cautious");
    page_finding(p, "%s%s%s answers, %s of them right, at a mean confidence of %s: %s.",
                 several ? r->name : "", several ? ": " : "", number_count(s->n, n),
                 number_percent(accuracy, 1, right), number_percent(confidence, 1, sure), verdict);
}

static const struct {
    const char *key, *name;
    int decimals;
} numbers[] = {
    {"accuracy", "accuracy", 4},         {"mean_confidence", "mean confidence", 4},
    {"ece_15", "ECE, 15 bins", 4},       {"smece", "smooth ECE", 4},
    {"brier", "Brier score", 4},         {"nll", "log loss (nats)", 4},
    {"auroc", "AUROC right / wrong", 4}, {"aurc", "AURC", 4},
};
enum { NUMBERS = sizeof numbers / sizeof *numbers };

static void show_one(struct page *p, const struct report_run *r)
{
    page_keys_begin(p, NULL);
    for (int i = 0; i < NUMBERS; i++) {
        const struct measured *m = value(r, numbers[i].key);
        if (m)
            page_key(p, numbers[i].name, m->value, m->low, m->high, numbers[i].decimals);
    }
    page_keys_end(p);
}

/* The difference of this metric, if the files were compared. */
static const struct difference *difference_of(const struct report_input *in, const char *key)
{
    for (size_t k = 0; in->difference && k < in->difference->n_values; k++)
        if (strcmp(in->difference->values[k].key, key) == 0)
            return &in->difference->values[k];
    return NULL;
}

static void show_several(struct page *p, const struct report_input *in)
{
    const bool intervals = in->n_runs <= 3;
    struct grid *t = grid_create("The files side by side");
    grid_column(t, "metric", GRID_TEXT);
    for (size_t r = 0; r < in->n_runs; r++)
        grid_column(t, in->runs[r].name, GRID_NUMBER);
    if (in->difference) {
        grid_column(t, "second − first", GRID_NUMBER);
        grid_column(t, "", GRID_WORDS);
    }
    for (int i = 0; i < NUMBERS; i++) {
        grid_text(t, numbers[i].name);
        for (size_t r = 0; r < in->n_runs; r++) {
            const struct measured *m = value(&in->runs[r], numbers[i].key);
            grid_value(t, m ? m->value : NAN, m && intervals ? m->low : NAN,
                       m && intervals ? m->high : NAN, numbers[i].decimals);
        }
        const struct difference *d = difference_of(in, numbers[i].key);
        if (!in->difference)
            continue;
        grid_value(t, d ? d->difference : NAN, d ? d->low : NAN, d ? d->high : NAN,
                   numbers[i].decimals);
        grid_text(t, !d || isnan(d->low) ? ""
                     : d->measurable     ? "measurable"
                                         : "no measurable difference");
    }
    page_table(p, t);
    if (in->difference)
        page_text(p, "Differences are measured on the same questions, resampled together; one is "
                     "called measurable where its interval does not hold 0.");
    grid_destroy(t);
}

void chapter_overview(struct page *p, const struct report_input *in)
{
    page_chapter(p, "overview", "At a glance");
    for (size_t r = 0; r < in->n_runs; r++)
        tell(p, &in->runs[r], in->n_runs > 1);
    if (in->n_runs == 1)
        show_one(p, &in->runs[0]);
    else
        show_several(p, in);
}
