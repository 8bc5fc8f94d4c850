/*
 * merge_extras.c - see merge_extras.h.
 */
#include "cli/merge_extras.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"

int sampling_prompts(const char *path, size_t limit, struct prompt_list *list,
                     struct frontier_prompt **views, struct frontier_sampling *s,
                     struct plumb_error *e)
{
    const int status = prompt_list_read(list, path, e);
    if (status != PLUMB_OK)
        return status;
    s->n = limit > 0 && limit < list->count ? limit : list->count;
    *views = mem_array(s->n + 1, sizeof **views);
    if (!*views)
        return error_memory(e, "the prompts");
    for (size_t i = 0; i < s->n; i++)
        (*views)[i] = (struct frontier_prompt){list->items[i].text, list->items[i].size};
    s->prompts = *views;
    return s->n ? PLUMB_OK : error_set(e, PLUMB_INPUT, "%s holds no prompt", path);
}

int react_preferences(const char *text, double **p, size_t *n, struct plumb_error *e)
{
    enum { MOST = 101 };
    *n = 0;
    *p = mem_array(MOST, sizeof **p);
    if (!*p)
        return error_memory(e, "the preferences");
    for (const char *at = text;;) {
        char *end;
        const double v = strtod(at, &end);
        if (end == at || (*end && *end != ',') || !(v >= 0 && v <= 1) || *n == MOST)
            return error_set(e, PLUMB_INPUT,
                             "--react is '%s'; expected up to %d numbers from 0 (towards BASE) to "
                             "1 (towards POST) parted by commas, as in 0,0.5,1",
                             text, MOST);
        (*p)[(*n)++] = v;
        if (!*end)
            return PLUMB_OK;
        at = end + 1;
    }
}

/* ---- text ---- */

static const enum frontier_diversity_metric shown[] = {FRONTIER_DISTINCT_1, FRONTIER_DISTINCT_2,
                                                       FRONTIER_SELF_BLEU, FRONTIER_JACCARD,
                                                       FRONTIER_TOKENS};

void sweep_value_cell(struct table *t, const struct frontier_value *v)
{
    if (isnan(v->value))
        table_cell(t, "-");
    else if (isnan(v->low))
        table_cell(t, "%.3f", v->value);
    else
        table_cell(t, "%.3f [%.3f,%.3f]", v->value, v->low, v->high);
}

bool diversity_print(const struct frontier *f, const struct frontier_diversity *d, size_t n,
                     const struct frontier_sampling *s)
{
    struct table *t = table_create("lllrrrrr");
    printf("Diversity of %d answers to each of %zu prompts, at temperature %g:\n", s->samples,
           n ? d[0].prompts : 0, s->temperature);
    table_cell(t, "t");
    table_cell(t, "distinct answers");
    table_cell(t, "token entropy");
    for (size_t k = 0; k < sizeof shown / sizeof *shown; k++)
        table_cell(t, "%s", frontier_diversity_words(shown[k]));
    for (size_t i = 0; i < n; i++) {
        table_cell(t, "%s", f->points[i].name);
        sweep_value_cell(t, &d[i].value[FRONTIER_DISTINCT]);
        sweep_value_cell(t, &d[i].value[FRONTIER_ENTROPY]);
        for (size_t k = 0; k < sizeof shown / sizeof *shown; k++)
            table_cell(t, shown[k] == FRONTIER_TOKENS ? "%.1f" : "%.3f",
                       d[i].value[shown[k]].value);
    }
    if (!table_print(t, stdout))
        return false;
    printf(
        "distinct answers: different ones of a prompt's, as a share. Entropy in nats, of what "
        "each token was\ndrawn from. distinct-1, -2: different tokens and pairs of them, as a "
        "share. self-BLEU: 1 = all the\nsame. Jaccard: mean distance of two answers' tokens.\n\n");
    return true;
}

void react_print(const struct frontier_react_report *r)
{
    printf("p=...: the merge at t = %g, its last hidden state corrected (ReACT) towards BASE (p=0) "
           "or\n"
           "POST (p=1), fitted on %zu questions without their answers. Distance to BASE's states "
           "%.2g\n"
           "before, %.2g after; to POST's %.2g before, %.2g after.\n",
           r->t, r->questions, r->open[0], r->left[0], r->open[1], r->left[1]);
    if (r->questions < r->features)
        printf("These are fewer questions than the state has dimensions (%zu):\n"
               "the correction is in part a guess.\n",
               r->features);
    printf("A corrected model is not written: --write takes the merges alone.\n");
}

/* ---- JSON ---- */

void diversity_json(struct result *r, const struct frontier_diversity *d)
{
    json_write_key(&r->json, "diversity");
    json_write_object(&r->json);
    result_integer(r, "prompts", (int64_t)d->prompts);
    for (int k = 0; k < FRONTIER_DIVERSITIES; k++) {
        const struct frontier_gap *gap = &d->over_post[k];
        json_write_key(&r->json, frontier_diversity_key((enum frontier_diversity_metric)k));
        json_write_object(&r->json);
        result_double(r, "value", d->value[k].value);
        result_double(r, "low", d->value[k].low);
        result_double(r, "high", d->value[k].high);
        json_write_key(&r->json, "minus_post");
        json_write_object(&r->json);
        result_double(r, "difference", gap->difference);
        result_double(r, "low", gap->low);
        result_double(r, "high", gap->high);
        result_bool(r, "measurable", gap->measurable);
        json_write_end(&r->json, '}');
        json_write_end(&r->json, '}');
    }
    json_write_end(&r->json, '}');
}

void react_json(struct result *r, const struct frontier_react_report *report)
{
    static const char *const parents[] = {"base", "post"};
    json_write_key(&r->json, "react");
    json_write_object(&r->json);
    result_double(r, "t", report->t);
    result_integer(r, "questions", (int64_t)report->questions);
    result_integer(r, "features", (int64_t)report->features);
    for (int i = 0; i < 2; i++) {
        json_write_key(&r->json, parents[i]);
        json_write_object(&r->json);
        result_double(r, "distance_before", report->open[i]);
        result_double(r, "distance_after", report->left[i]);
        json_write_end(&r->json, '}');
    }
    json_write_end(&r->json, '}');
}
