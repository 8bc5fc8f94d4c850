/*
 * figure.c - collects what a figure will show. Knows no pixel and no colour; figure_draw.c lays it out.
 */
#include "report/figure.h"

#include <math.h>
#include <string.h>

#include "report/figure_private.h"

static const char *keep(struct figure *f, const char *s)
{
    if (!s)
        return NULL;
    const char *copy = arena_strndup(f->arena, s, strlen(s));
    if (!copy)
        f->failed = true;
    return copy;
}

static void keep_axis(struct figure *f, struct axis *a)
{
    a->label = keep(f, a->label);
    if (a->scale != AXIS_CATEGORY || a->n_categories <= 0) {
        a->n_categories = 0;
        return;
    }
    const char **names = arena_alloc(f->arena, (size_t)a->n_categories, sizeof *names);
    if (!names) {
        f->failed = true;
        a->n_categories = 0;
        return;
    }
    for (int i = 0; i < a->n_categories; i++) {
        const char *name = keep(f, a->categories[i]);
        names[i] = name ? name : "";
    }
    a->categories = names;
}

struct figure *figure_create(const struct figure_spec *spec)
{
    struct figure *f = mem_zalloc(1, sizeof *f);
    if (!f)
        return NULL;
    f->arena = arena_create();
    if (!f->arena) {
        mem_free(f);
        return NULL;
    }
    f->title = keep(f, spec->title);
    f->caption = keep(f, spec->caption);
    f->description = keep(f, spec->description);
    f->x = spec->x;
    keep_axis(f, &f->x);
    f->width = spec->width > 0 ? spec->width : 480;
    return f;
}

void figure_destroy(struct figure *f)
{
    if (!f)
        return;
    arena_destroy(f->arena);
    mem_free(f->marks);
    mem_free(f);
}

bool figure_failed(const struct figure *f)
{
    return !f || f->failed;
}

void figure_panel(struct figure *f, struct axis y, double aspect)
{
    if (!f)
        return;
    if (f->n_panels == PANELS_MAX) {
        f->failed = true;
        return;
    }
    keep_axis(f, &y);
    f->y[f->n_panels] = y;
    f->aspect[f->n_panels++] = aspect > 0 ? aspect : 0.6;
}

/* A new mark with copies of the first `arrays` of v; null when that failed. */
static struct mark *mark_add(struct figure *f, enum mark_kind kind, struct series s, size_t n,
                             const double *const v[4])
{
    if (!f || f->failed)
        return NULL;
    if (f->n_panels == 0)
        figure_panel(f, axis_auto(NULL), 0.6);
    if (f->n_marks == f->capacity) {
        const size_t capacity = f->capacity ? 2 * f->capacity : 8;
        struct mark *more = mem_resize(f->marks, capacity, sizeof *more);
        if (!more) {
            f->failed = true;
            return NULL;
        }
        f->marks = more;
        f->capacity = capacity;
    }
    struct mark *m = &f->marks[f->n_marks];
    *m = (struct mark){.kind = kind, .panel = f->n_panels - 1, .n = n, .name = keep(f, s.name)};
    m->style = s.style >= 0 && s.style < SERIES_STYLES ? s.style : SERIES_INK;
    for (int i = 0; i < 4 && v[i]; i++) {
        m->v[i] = arena_alloc(f->arena, n, sizeof *m->v[i]);
        if (!m->v[i]) {
            f->failed = true;
            return NULL;
        }
        if (n > 0)
            memcpy(m->v[i], v[i], n * sizeof *m->v[i]);
    }
    f->n_marks++;
    return m;
}

void figure_line(struct figure *f, struct series s, const double *x, const double *y, size_t n)
{
    mark_add(f, MARK_LINE, s, n, (const double *const[4]){x, y});
}

void figure_steps(struct figure *f, struct series s, const double *x, const double *y, size_t n)
{
    mark_add(f, MARK_STEPS, s, n, (const double *const[4]){x, y});
}

void figure_band(struct figure *f, struct series s, const double *x, const double *low,
                 const double *high, size_t n)
{
    mark_add(f, MARK_BAND, s, n, (const double *const[4]){x, low, high});
}

void figure_bars(struct figure *f, struct series s, const double *from, const double *to,
                 const double *low, const double *high, size_t n)
{
    mark_add(f, MARK_BARS, s, n, (const double *const[4]){from, to, low, high});
}

void figure_boxes(struct figure *f, struct series s, const double *from, const double *to,
                  const double *low, const double *high, size_t n)
{
    mark_add(f, MARK_BOXES, s, n, (const double *const[4]){from, to, low, high});
}

void figure_intervals(struct figure *f, struct series s, const double *x, const double *low,
                      const double *high, size_t n)
{
    mark_add(f, MARK_INTERVALS, s, n, (const double *const[4]){x, low, high});
}

static void add_labels(struct figure *f, struct mark *m, const char *const *labels, size_t n)
{
    if (!m || !labels)
        return;
    m->labels = arena_alloc(f->arena, n, sizeof *m->labels);
    if (!m->labels) {
        f->failed = true;
        return;
    }
    for (size_t i = 0; i < n; i++)
        m->labels[i] = keep(f, labels[i]);
}

void figure_points(struct figure *f, struct series s, const double *x, const double *y,
                   const char *const *labels, size_t n)
{
    add_labels(f, mark_add(f, MARK_POINTS, s, n, (const double *const[4]){x, y}), labels, n);
}

void figure_words(struct figure *f, const double *x, const double *y, const char *const *words,
                  size_t n)
{
    const struct series none = {NULL, SERIES_INK};
    add_labels(f, mark_add(f, MARK_WORDS, none, n, (const double *const[4]){x, y}), words, n);
}

void figure_diagonal(struct figure *f, const char *label)
{
    mark_add(f, MARK_DIAGONAL, (struct series){label, SERIES_MUTED}, 0,
             (const double *const[4]){0});
}

static void rule(struct figure *f, enum mark_kind kind, double at, const char *label)
{
    const struct series none = {NULL, SERIES_INK};
    add_labels(f, mark_add(f, kind, none, 1, (const double *const[4]){&at}), &label, 1);
}

void figure_rule_vertical(struct figure *f, double x, const char *label)
{
    rule(f, MARK_RULE_X, x, label);
}

void figure_rule_horizontal(struct figure *f, double y, const char *label)
{
    rule(f, MARK_RULE_Y, y, label);
}

void figure_slot(int category, int which, int of, double *from, double *to)
{
    const double gap = 0.2; /* between categories, of their width */
    const double width = (1 - gap) / (of > 0 ? of : 1);
    *from = category - 0.5 + gap / 2 + which * width;
    *to = *from + width;
}
