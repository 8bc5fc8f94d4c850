/*
 * frontier_diversity.c - the chapter of a sweep's report on how much sampled answers differ, over t.
 */
#include <math.h>
#include <string.h>

#include "base/memory.h"
#include "report/frontier.h"
#include "report/markup.h"

/* One number over t. rooms: [4 n]. */
static void draw(struct figure *g, const struct frontier_page *in,
                 enum frontier_diversity_metric metric, int style, double *rooms)
{
    const size_t room = in->n_diversity;
    double *t = rooms, *v = rooms + room, *low = v + room, *high = low + room;
    const struct series series = {frontier_diversity_words(metric), style};
    size_t n = 0;
    for (size_t i = 0; i < room; i++) {
        const struct frontier_value *x = &in->diversity[i].value[metric];
        if (!frontier_on_curve(in->frontier, i) || isnan(x->value))
            continue;
        size_t at = n++; /* post may stand last though its t does not */
        while (at > 0 && t[at - 1] > in->frontier->points[i].t)
            at--;
        for (int k = 0; k < 4; k++) {
            double *row = rooms + (size_t)k * room;
            memmove(row + at + 1, row + at, (n - 1 - at) * sizeof *row);
        }
        t[at] = in->frontier->points[i].t;
        v[at] = x->value;
        low[at] = x->low;
        high[at] = x->high;
    }
    if (in->frontier->draws)
        figure_band(g, series, t, low, high, n);
    figure_line(g, series, t, v, n);
    figure_points(g, series, t, v, NULL, n);
}

static struct grid *table(const struct frontier_page *in)
{
    struct grid *t = grid_create("Diversity of sampled answers");
    grid_column(t, "t", GRID_TEXT);
    for (int k = 0; k < FRONTIER_DIVERSITIES; k++)
        grid_column(t, frontier_diversity_words((enum frontier_diversity_metric)k), GRID_NUMBER);
    grid_column(t, "distinct answers, less post's", GRID_NUMBER);
    grid_column(t, "entropy, less post's", GRID_NUMBER);
    for (size_t i = 0; i < in->n_diversity; i++) {
        const struct frontier_diversity *d = &in->diversity[i];
        const struct frontier_gap *distinct = &d->over_post[FRONTIER_DISTINCT],
                                  *entropy = &d->over_post[FRONTIER_ENTROPY];
        grid_text(t, in->frontier->points[i].name);
        for (int k = 0; k < FRONTIER_DIVERSITIES; k++)
            grid_value(t, d->value[k].value, d->value[k].low, d->value[k].high, 4);
        grid_value(t, distinct->difference, distinct->low, distinct->high, 3);
        grid_value(t, entropy->difference, entropy->low, entropy->high, 3);
    }
    return t;
}

void frontier_chapter_diversity(struct page *p, const struct frontier_page *in)
{
    char temperature[NUMBER_TEXT];
    double *rooms = mem_array(in->n_diversity, 4 * sizeof *rooms);
    struct grid *t = table(in);
    page_chapter(p, "diversity", "How much answers differ");
    page_text(p,
              "%d answers were drawn to each of %zu prompts at temperature %s, from every point "
              "alike; an answer ends at the first line break. Distinct answers: different ones, "
              "as a share. Entropy: of what each token was drawn from, in nats. distinct-1 and "
              "-2: different tokens and pairs of tokens among all of a prompt's answers, as a "
              "share. self-BLEU: how far an answer can be put together from the others; 1 where "
              "all are the same. Jaccard: mean distance between the token sets of two answers. "
              "Means over prompts; bands are 95 %% intervals over draws of prompts.",
              in->sampling->samples, in->diversity[0].prompts,
              number_fixed(in->sampling->temperature, 2, temperature));
    if (rooms) {
        struct figure *g = figure_create(&(struct figure_spec){
            .title = "Diversity of sampled answers over t",
            .caption = "0 = base, 1 = post",
            .description = "Two panels over t: token entropy above; below, distinct answers, "
                           "distinct-1, distinct-2, self-BLEU and Jaccard distance.",
            .x = axis_auto("t"),
            .width = 640});
        figure_panel(g, axis_auto("token entropy, nats"), 0.35);
        draw(g, in, FRONTIER_ENTROPY, 0, rooms);
        figure_panel(g, axis_auto("share"), 0.5);
        draw(g, in, FRONTIER_DISTINCT, 1, rooms);
        draw(g, in, FRONTIER_DISTINCT_1, 2, rooms);
        draw(g, in, FRONTIER_DISTINCT_2, 3, rooms);
        draw(g, in, FRONTIER_SELF_BLEU, 4, rooms);
        draw(g, in, FRONTIER_JACCARD, 5, rooms);
        page_figure(p, g, t);
        figure_destroy(g);
    } else {
        page_fail(p);
    }
    grid_destroy(t);
    mem_free(rooms);
}
