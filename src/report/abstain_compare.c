/*
 * abstain_compare.c - see abstain_compare.h.
 */
#include "report/abstain_compare.h"

#include <math.h>
#include <stdio.h>

#include "base/memory.h"
#include "report/markup.h"
#include "report/page.h"
#include "report/risk_curve.h"

static const double shares[] = {0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1};
enum { SHARES = sizeof shares / sizeof *shares };

static void name_of(const struct compared_source *s, char *out, size_t size)
{
    const char *ceiling = s->is_ceiling ? ", a ceiling: uses the right answers" : "";
    if (s->file)
        snprintf(out, size, "%s (%s)%s", s->name, s->file, ceiling);
    else
        snprintf(out, size, "%s%s", s->name, ceiling);
}

/* Does a stand before b? By falling AUROC, what has none later, ceilings last. */
static bool is_before(const struct compared_source *a, const struct compared_source *b)
{
    if (a->is_ceiling != b->is_ceiling)
        return b->is_ceiling;
    return a->auroc > b->auroc || (isnan(b->auroc) && !isnan(a->auroc));
}

/* The first SERIES_COLOURS get a colour. */
static void rank(const struct compare_page *in, size_t *order)
{
    for (size_t i = 0; i < in->n_sources; i++) {
        size_t at = i;
        for (; at > 0 && is_before(&in->sources[i], &in->sources[order[at - 1]]); at--)
            order[at] = order[at - 1];
        order[at] = i;
    }
}

static struct axis percent(const char *label, double low, double high)
{
    struct axis a = axis_range(label, low, high);
    a.format = AXIS_PERCENT;
    return a;
}

static struct grid *coverage_table(const struct compare_page *in, const struct risk_curve *c,
                                   const size_t *order)
{
    struct grid *t = grid_create("Error among the answered, by the share that is answered");
    grid_column(t, "source", GRID_TEXT);
    for (int k = 0; k < SHARES; k++) {
        char text[NUMBER_TEXT];
        grid_column(t, number_percent(shares[k], 0, text), GRID_NUMBER);
    }
    for (size_t i = 0; i < in->n_sources; i++) {
        char name[200];
        name_of(&in->sources[order[i]], name, sizeof name);
        grid_text(t, name);
        for (int k = 0; k < SHARES; k++)
            grid_number(t, c[order[i]].risk[risk_curve_at(&c[order[i]], shares[k])], 4);
    }
    return t;
}

/* The first answers alone swing too far to say anything. */
static size_t first_drawn(const struct risk_curve *c)
{
    size_t i = 0;
    while (i + 1 < c->n && c->coverage[i] < 0.05)
        i++;
    return i;
}

static void draw(struct page *p, const struct compare_page *in, const struct risk_curve *c,
                 const size_t *order)
{
    double most = 0, least = 1;
    for (size_t s = 0; s < in->n_sources; s++)
        for (size_t i = first_drawn(&c[s]); i < c[s].n; i++) {
            most = fmax(most, c[s].risk[i]);
            least = fmin(least, c[s].risk[i]);
        }
    struct grid *t = coverage_table(in, c, order);
    struct figure *f = figure_create(&(struct figure_spec){
        .title = "Risk and coverage of each source",
        .caption = "the most confident answers first, from 5 % on; lower is better",
        .description = "Share of wrong answers among the answered against the share that is "
                       "answered, a curve for each source of confidence.",
        .x = percent("share answered", 0, 1)});
    figure_panel(f,
                 percent("error among the answered", floor(20 * least) / 20,
                         fmin(1, ceil(20 * most) / 20 + (most <= least ? 0.05 : 0))),
                 0.6);
    for (size_t i = 0; i < in->n_sources; i++) {
        char name[200];
        const struct risk_curve *curve = &c[order[i]];
        const size_t first = first_drawn(curve);
        name_of(&in->sources[order[i]], name, sizeof name);
        figure_line(f,
                    (struct series){i < SERIES_COLOURS ? name : "further sources",
                                    i < SERIES_COLOURS ? (int)i : SERIES_MUTED},
                    curve->coverage + first, curve->risk + first, curve->n - first);
    }
    page_figure(p, f, t);
    figure_destroy(f);
    grid_destroy(t);
}

static void add_table(struct page *p, const struct compare_page *in, const size_t *order)
{
    static const char *const heads[] = {"AUROC", "AURC", "PRR", "ECE", "passes"};
    struct grid *t = grid_create("Sources of confidence");
    grid_column(t, "source", GRID_TEXT);
    for (size_t k = 0; k < sizeof heads / sizeof *heads; k++)
        grid_column(t, heads[k], GRID_NUMBER);
    grid_column(t, "missing", GRID_NUMBER);
    for (size_t i = 0; i < in->n_sources; i++) {
        char name[200];
        const struct compared_source *s = &in->sources[order[i]];
        name_of(s, name, sizeof name);
        grid_text(t, name);
        grid_number(t, s->auroc, 4);
        grid_number(t, s->aurc, 4);
        grid_number(t, s->prr, 4);
        grid_number(t, s->ece, 4);
        grid_number(t, s->passes, 1);
        grid_count(t, s->missing);
    }
    page_table(p, t);
    grid_destroy(t);
}

static void fill(struct page *p, const struct compare_page *in, struct risk_curve *c, size_t *order)
{
    bool good = true;
    for (size_t s = 0; good && s < in->n_sources; s++)
        good = risk_curve_fill(&c[s], in->sources[s].confidence, in->sources[s].right,
                               in->sources[s].n);
    rank(in, order);
    page_chapter(p, "sources", "Which confidence tells right from wrong");
    if (good && in->n_sources) {
        char best[200], value[NUMBER_TEXT];
        name_of(&in->sources[order[0]], best, sizeof best);
        page_finding(p, "%s ranks right above wrong answers best: AUROC %s.", best,
                     number_fixed(in->sources[order[0]].auroc, 4, value));
        add_table(p, in, order);
        draw(p, in, c, order);
    } else {
        page_fail(p);
    }
}

int compare_page_write(const struct compare_page *in, const char *path, struct plumb_error *e)
{
    char n[NUMBER_TEXT];
    struct page *p = page_create(in->title);
    struct risk_curve *c = mem_zalloc(in->n_sources, sizeof *c);
    size_t *order = mem_zalloc(in->n_sources, sizeof *order);
    int status = p && c && order ? PLUMB_OK : error_memory(e, "the report");
    if (status == PLUMB_OK) {
        page_provenance(p, "questions", in->task);
        page_provenance(p, "labelled questions", number_count(in->labelled, n));
        page_provenance(p, "program", "plumb " PLUMB_VERSION);
        fill(p, in, c, order);
        status = page_write(p, path, e);
    }
    for (size_t s = 0; c && s < in->n_sources; s++)
        risk_curve_free(&c[s]);
    mem_free(c);
    mem_free(order);
    page_destroy(p);
    return status;
}
