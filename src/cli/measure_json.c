/*
 * measure_json.c - measurements as JSON: a key for each value, "corp/mcb" nested as {"corp": {"mcb": ...}}, and under the
 * same keys the intervals, the definitions and the reasons of what is undefined.
 */
#include <math.h>
#include <string.h>

#include "cli/measure_file.h"

/* ---- nesting ---- */

/* The object that the last key opened, as long as the next keys go on in it. */
struct nest {
    struct json_writer *w;
    char parent[48]; /* "" = at the top */
};

static struct nest nest_start(struct json_writer *w)
{
    return (struct nest){.w = w};
}

static void nest_end(struct nest *n)
{
    if (*n->parent)
        json_write_end(n->w, '}');
    *n->parent = '\0';
}

/* Writes the key, so that the value can follow. */
static void nest_key(struct nest *n, const char *key)
{
    const char *slash = strchr(key, '/');
    const size_t length = slash ? (size_t)(slash - key) : 0;
    if (strlen(n->parent) != length || strncmp(n->parent, key, length) != 0) {
        nest_end(n);
        if (slash && length < sizeof n->parent) {
            memcpy(n->parent, key, length);
            n->parent[length] = '\0';
            json_write_key(n->w, n->parent);
            json_write_object(n->w);
        }
    }
    json_write_key(n->w, slash ? slash + 1 : key);
}

/* ---- parts ---- */

static void write_pair(struct json_writer *w, double low, double high)
{
    json_write_array(w);
    json_write_double(w, low);
    json_write_double(w, high);
    json_write_end(w, ']');
}

static void write_values(const struct measurement *m, struct json_writer *w)
{
    struct nest n = nest_start(w);
    for (size_t i = 0; i < m->n_values; i++) {
        nest_key(&n, m->values[i].key);
        if (strcmp(m->values[i].key, "n") == 0)
            json_write_integer(w, (int64_t)m->values[i].value);
        else
            json_write_double(w, m->values[i].value);
    }
    nest_end(&n);
}

enum which { QUOTED, PERCENTILE, BCA };

static void write_intervals(const struct measurement *m, enum which which, const char *name,
                            struct json_writer *w)
{
    json_write_key(w, name);
    json_write_object(w);
    struct nest n = nest_start(w);
    for (size_t i = 0; i < m->n_values; i++) {
        const struct measured *v = &m->values[i];
        const double low = which == BCA          ? v->bca_low
                           : which == PERCENTILE ? v->percentile_low
                                                 : v->low;
        const double high = which == BCA          ? v->bca_high
                            : which == PERCENTILE ? v->percentile_high
                                                  : v->high;
        if (isnan(low) || isnan(high))
            continue;
        nest_key(&n, v->key);
        write_pair(w, low, high);
    }
    nest_end(&n);
    json_write_end(w, '}');
}

static void write_definitions(const struct measurement *m, struct json_writer *w)
{
    static const char *const kinds[] = {"percentile", "basic", "none"};
    json_write_key(w, "definitions");
    json_write_object(w);
    struct nest n = nest_start(w);
    for (size_t i = 0; i < m->n_values; i++) {
        nest_key(&n, m->values[i].key);
        json_write_string(w, m->values[i].metric->definition);
    }
    nest_end(&n);
    json_write_end(w, '}');
    json_write_key(w, "ci_kinds");
    json_write_object(w);
    for (size_t i = 0; i < m->n_values; i++) {
        nest_key(&n, m->values[i].key);
        json_write_string(w, kinds[m->values[i].metric->interval]);
    }
    nest_end(&n);
    json_write_end(w, '}');
}

/* Why a value is null. */
static void write_reasons(const struct measurement *m, struct json_writer *w)
{
    json_write_key(w, "reasons");
    json_write_object(w);
    struct nest n = nest_start(w);
    for (size_t i = 0; i < m->n_values; i++) {
        if (!isnan(m->values[i].value))
            continue;
        nest_key(&n, m->values[i].key);
        json_write_string(w, m->values[i].reason ? m->values[i].reason : "undefined");
    }
    nest_end(&n);
    json_write_end(w, '}');
}

static void write_skipped(const struct measurement *m, struct json_writer *w)
{
    json_write_key(w, "skipped_draws");
    json_write_object(w);
    struct nest n = nest_start(w);
    for (size_t i = 0; i < m->n_values; i++) {
        if (!m->values[i].skipped_draws)
            continue;
        nest_key(&n, m->values[i].key);
        json_write_integer(w, (int64_t)m->values[i].skipped_draws);
    }
    nest_end(&n);
    json_write_end(w, '}');
}

static void write_parity(const struct measurement *m, enum metric_parity p, struct json_writer *w)
{
    struct measure_parity_value v;
    json_write_key(w, measure_parity_name(p));
    json_write_object(w);
    for (int i = 0; measure_parity_value(m, p, i, &v); i++) {
        json_write_key(w, v.name);
        json_write_double(w, v.value);
    }
    json_write_end(w, '}');
}

/* ---- a file ---- */

static void write_rows(const struct measure_file *f, struct result *r)
{
    const struct sample *s = &f->sample;
    result_text(r, "file", f->path);
    result_text(r, "format", scores_format_name(f->scores.format));
    result_integer(r, "options", s->k);
    result_integer(r, "groups", f->scores.n_groups);
    result_integer(r, "tied_rows", (int64_t)s->tied_rows);
    result_integer(r, "argmax_ties", (int64_t)s->argmax_ties);
    result_integer(r, "clipped_rows", (int64_t)s->clipped_rows);
    result_integer(r, "dropped_rows", (int64_t)s->dropped_rows);
    result_integer(r, "unlabelled_rows", (int64_t)s->unlabelled);
}

static void write_options(const struct measure_view *v, struct result *r)
{
    const struct measure_options *o = &v->options;
    result_integer(r, "bins", o->metric.bins);
    result_text(r, "edges", o->metric.edges == METRIC_EDGES_LEFT ? "left" : "right");
    result_text(r, "parity", measure_parity_name(o->metric.parity));
    result_integer(r, "bootstrap", o->draws);
    result_text(r, "resample", o->by_group ? "groups" : "questions");
    result_integer(r, "seed", (int64_t)o->seed);
    result_double(r, "confidence", o->confidence);
}

void measure_json_file(const struct measure_file *f, const struct measure_view *v, struct result *r)
{
    const struct measurement *m = &f->measured;
    write_rows(f, r);
    write_options(v, r);
    write_values(m, &r->json);
    write_intervals(m, QUOTED, "ci", &r->json);
    write_intervals(m, PERCENTILE, "ci_percentile", &r->json);
    write_intervals(m, BCA, "ci_bca", &r->json);
    write_skipped(m, &r->json);
    write_definitions(m, &r->json);
    write_reasons(m, &r->json);
    if (v->options.metric.parity != METRIC_OURS)
        write_parity(m, v->options.metric.parity, &r->json);
}

void measure_json_groups(const struct measure_file *f, const struct measurement *groups,
                         const struct measure_view *v, struct result *r)
{
    write_rows(f, r);
    write_options(v, r);
    json_write_key(&r->json, "by_group");
    json_write_object(&r->json);
    for (int g = 0; g < f->scores.n_groups; g++) {
        json_write_key(&r->json, f->scores.groups[g]);
        json_write_object(&r->json);
        write_values(&groups[g], &r->json);
        write_intervals(&groups[g], QUOTED, "ci", &r->json);
        write_reasons(&groups[g], &r->json);
        json_write_end(&r->json, '}');
    }
    json_write_end(&r->json, '}');
}

/* ---- two files ---- */

static void write_difference(const struct difference *d, struct json_writer *w)
{
    json_write_object(w);
    json_write_key(w, "a");
    json_write_double(w, d->a);
    json_write_key(w, "b");
    json_write_double(w, d->b);
    json_write_key(w, "difference");
    json_write_double(w, d->difference);
    json_write_key(w, "ci");
    if (isnan(d->low) || isnan(d->high))
        json_write_null(w);
    else
        write_pair(w, d->low, d->high);
    json_write_key(w, "measurable");
    json_write_bool(w, d->measurable);
    if (isnan(d->difference)) {
        json_write_key(w, "reason");
        json_write_string(w, d->reason ? d->reason : "undefined");
    }
    json_write_end(w, '}');
}

void measure_json_comparison(const struct measure_file *a, const struct measure_file *b,
                             const struct comparison *c, const struct measure_view *v,
                             struct result *r)
{
    result_text(r, "a", a->path);
    result_text(r, "b", b->path);
    result_integer(r, "pairs", (int64_t)c->n_pairs);
    write_options(v, r);
    json_write_key(&r->json, "differences");
    json_write_object(&r->json);
    struct nest n = nest_start(&r->json);
    for (size_t i = 0; i < c->n_values; i++) {
        nest_key(&n, c->values[i].key);
        write_difference(&c->values[i], &r->json);
    }
    nest_end(&n);
    json_write_end(&r->json, '}');
}
