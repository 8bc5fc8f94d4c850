/*
 * figure_draw.c - lays a figure out: panels, axes, legend, and the words around it. What things look like (colours, dashes,
 * fonts) is in page_style.c, by class: s0..s9 the series, l line, a area, b bar, e error bar, m marker, g guide, r rule,
 * t text, k label.
 */
#include <math.h>
#include <string.h>

#include "report/figure_private.h"

static const double TICK_HEIGHT = 12, GAP = 6, PANEL_GAP = 16;

struct layout {
    struct plot plots[PANELS_MAX];
    double width, height;
};

struct span {
    double least, most;
};

static void span_add(struct span *s, const struct axis *a, double v)
{
    if (!isfinite(v) || (a->scale == AXIS_LOG && !(v > 0)))
        return;
    s->least = isnan(s->least) ? v : fmin(s->least, v);
    s->most = isnan(s->most) ? v : fmax(s->most, v);
}

/* Of each kind of mark: which of its arrays lie along x, which along y (bits). */
static int arrays_along(enum mark_kind kind, bool y)
{
    switch (kind) {
    case MARK_LINE:
    case MARK_STEPS:
    case MARK_POINTS:
    case MARK_WORDS:
        return y ? 2 : 1;
    case MARK_BAND:
    case MARK_INTERVALS:
        return y ? 6 : 1;
    case MARK_BARS:
    case MARK_BOXES:
        return y ? 12 : 3;
    case MARK_RULE_X:
        return y ? 0 : 1;
    case MARK_RULE_Y:
        return y ? 1 : 0;
    case MARK_DIAGONAL:
    default:
        return 0;
    }
}

static struct span data_span(const struct figure *f, const struct axis *a, int panel, bool y)
{
    struct span s = {NAN, NAN};
    bool markers = false;
    for (size_t k = 0; k < f->n_marks; k++) {
        const struct mark *m = &f->marks[k];
        const int which = arrays_along(m->kind, y);
        if (y && m->panel != panel)
            continue;
        for (int d = 0; d < 4; d++)
            for (size_t i = 0; (which >> d & 1) && i < m->n; i++)
                span_add(&s, a, m->v[d][i]);
        markers = markers || m->kind == MARK_POINTS;
    }
    if (markers && a->scale == AXIS_LINEAR && s.most > s.least) { /* markers need room to stand */
        const double room = 0.03 * (s.most - s.least);
        s.least = s.least >= 0 && s.least < room ? 0 : s.least - room;
        s.most += room;
    }
    return s;
}

static void settle(struct axis *a, struct span s, double pixels, double each,
                   struct axis_ticks *ticks)
{
    const int about = (int)fmax(3, pixels / each);
    axis_settle(a, s.least, s.most, about);
    axis_ticks(a, about, ticks);
}

/* The widest text of a panel's y ticks. */
static double ticks_width(const struct axis *a, const struct axis_ticks *t)
{
    double width = 0;
    char text[NUMBER_TEXT];
    for (int i = 0; i < t->n; i++)
        width = fmax(width, text_width(axis_text(a, t, t->at[i], text)));
    return width;
}

static void lay_out(struct figure *f, const char *id, struct layout *out)
{
    double left = 0;
    *out = (struct layout){.width = f->width};
    struct axis_ticks x_ticks;
    settle(&f->x, data_span(f, &f->x, 0, false), f->width - 60,
           f->x.scale == AXIS_CATEGORY ? 34 : 70, &x_ticks);
    for (int i = 0; i < f->n_panels; i++) {
        struct plot *p = &out->plots[i];
        *p = (struct plot){.x = &f->x, .y = &f->y[i], .x_ticks = x_ticks, .id = id, .panel = i};
        settle(&f->y[i], data_span(f, &f->y[i], i, true), f->aspect[i] * (f->width - 60), 44,
               &p->y_ticks);
        left = fmax(left, GAP + ticks_width(p->y, &p->y_ticks) + (p->y->label ? 20 : 4));
    }
    char text[NUMBER_TEXT];
    const double last = x_ticks.n > 0 ? x_ticks.at[x_ticks.n - 1] : 0;
    const double right = fmax(10, text_width(axis_text(&f->x, &x_ticks, last, text)) / 2 + 2);
    double top = 8;
    for (int i = 0; i < f->n_panels; i++) {
        struct plot *p = &out->plots[i];
        p->left = left;
        p->width = f->width - left - right;
        p->height = p->width * f->aspect[i];
        p->top = top;
        top += p->height + PANEL_GAP;
    }
    out->height = top - PANEL_GAP + GAP + TICK_HEIGHT + (f->x.label ? 24 : 6);
}

static void place(struct buffer *out, const char *name, double v)
{
    buffer_printf(out, " %s=\"", name);
    markup_coordinate(out, v);
    buffer_putc(out, '"');
}

static void text(struct buffer *out, const char *anchor, double x, double y, const char *s)
{
    buffer_printf(out, "<text class=\"t\" text-anchor=\"%s\"", anchor);
    place(out, "x", x);
    place(out, "y", y);
    buffer_putc(out, '>');
    markup_text(out, s);
    buffer_puts(out, "</text>\n");
}

static void horizontal(struct buffer *out, const char *class, const struct plot *p, double y)
{
    buffer_printf(out, "<path class=\"%s\" d=\"M", class);
    markup_coordinate(out, p->left);
    buffer_putc(out, ' ');
    markup_coordinate(out, y);
    buffer_putc(out, 'H');
    markup_coordinate(out, p->left + p->width);
    buffer_puts(out, "\"/>\n");
}

static void vertical(struct buffer *out, const char *class, const struct plot *p, double x)
{
    buffer_printf(out, "<path class=\"%s\" d=\"M", class);
    markup_coordinate(out, x);
    buffer_putc(out, ' ');
    markup_coordinate(out, p->top);
    buffer_putc(out, 'V');
    markup_coordinate(out, p->top + p->height);
    buffer_puts(out, "\"/>\n");
}

/* The grid, below the marks; text of the ticks; the zero line is drawn like the foot. */
static void draw_axes(const struct plot *p, bool foot, struct buffer *out)
{
    char s[NUMBER_TEXT];
    for (int i = 0; i < p->y_ticks.n; i++) {
        const double v = p->y_ticks.at[i];
        const double y = p->top + (1 - axis_place(p->y, v)) * p->height;
        horizontal(out, v == 0 && p->y->scale == AXIS_LINEAR ? "x" : "i", p, y);
        text(out, "end", p->left - GAP, y + 4, axis_text(p->y, &p->y_ticks, v, s));
    }
    double free_from = -1e9; /* texts of x ticks must not touch */
    for (int i = 0; i < p->x_ticks.n; i++) {
        const double v = p->x_ticks.at[i];
        const double x = p->left + axis_place(p->x, v) * p->width;
        const char *words = axis_text(p->x, &p->x_ticks, v, s);
        const double half = text_width(words) / 2;
        if (p->x->scale != AXIS_CATEGORY)
            vertical(out, "i", p, x);
        if (!foot || x - half < free_from)
            continue;
        text(out, "middle", x, p->top + p->height + GAP + TICK_HEIGHT, words);
        free_from = x + half + 4;
    }
    horizontal(out, "x", p, p->top + p->height);
    if (foot && p->x->label)
        text(out, "middle", p->left + p->width / 2, p->top + p->height + GAP + TICK_HEIGHT + 19,
             p->x->label);
    if (p->y->label) {
        buffer_puts(out, "<text class=\"t\" text-anchor=\"middle\" transform=\"translate(12 ");
        markup_coordinate(out, p->top + p->height / 2);
        buffer_puts(out, ") rotate(-90)\">");
        const size_t cut = markup_cut(p->y->label, (size_t)(p->height / 6.5));
        char *shown = mem_strndup(p->y->label, cut);
        if (shown)
            markup_text(out, shown);
        else
            out->failed = true;
        buffer_puts(out, p->y->label[cut] ? "…</text>\n" : "</text>\n");
        mem_free(shown);
    }
}

/* Hatchings 1..7: bars of two series must differ in grey, too. Path data in a square of 8 pixels. */
static const char *const hatchings[SERIES_COLOURS] = {
    NULL,
    "M-2 2L2 -2M0 8L8 0M6 10L10 6",
    "M-2 6L2 10M0 0L8 8M6 -2L10 2",
    "M0 2H8M0 6H8",
    "M2 0V8M6 0V8",
    "M0 8L8 0M0 0L8 8",
    "M1 2H4M5 6H8",
    "M0 4H8M4 0V8",
};

static void define(const struct figure *f, const struct layout *l, const char *id,
                   struct buffer *out)
{
    bool used[SERIES_STYLES] = {false};
    for (size_t k = 0; k < f->n_marks; k++)
        if (f->marks[k].kind == MARK_BARS)
            used[f->marks[k].style] = true;
    buffer_puts(out, "<defs>");
    for (int i = 1; i < SERIES_COLOURS; i++)
        if (used[i])
            buffer_printf(
                out,
                "<pattern id=\"%s-h%d\" width=\"8\" height=\"8\" "
                "patternUnits=\"userSpaceOnUse\"><path class=\"a s%d\" d=\"M0 0H8V8H0Z\"/>"
                "<path class=\"h s%d\" d=\"%s\"/></pattern>",
                id, i, i, i, hatchings[i]);
    for (int i = 0; i < f->n_panels; i++) {
        buffer_printf(out, "<clipPath id=\"%s-p%d\"><rect", id, i);
        place(out, "x", l->plots[i].left);
        place(out, "y", l->plots[i].top);
        place(out, "width", l->plots[i].width);
        place(out, "height", l->plots[i].height);
        buffer_puts(out, "/></clipPath>");
    }
    buffer_puts(out, "</defs>\n");
}

/* One entry of the legend: everything that the marks of this name look like. */
static void draw_key(const struct figure *f, size_t first, const char *id, struct buffer *out)
{
    const struct mark *named = &f->marks[first];
    buffer_puts(out, "<li><svg class=\"key\" width=\"30\" height=\"14\" viewBox=\"0 0 30 14\" "
                     "aria-hidden=\"true\">");
    for (size_t k = first; k < f->n_marks; k++) {
        const struct mark *m = &f->marks[k];
        if (!m->name || strcmp(m->name, named->name) != 0)
            continue;
        switch (m->kind) {
        case MARK_LINE:
        case MARK_STEPS:
            buffer_printf(out, "<path class=\"l s%d\" d=\"M0 7H30\"/>", m->style);
            break;
        case MARK_BAND:
        case MARK_BOXES:
            buffer_printf(out, "<path class=\"a s%d\" d=\"M0 1H30V13H0Z\"/>", m->style);
            break;
        case MARK_BARS:
            buffer_printf(out, "<rect class=\"b s%d\" x=\"7\" y=\"1\" width=\"16\" height=\"12\"",
                          m->style);
            if (m->style > 0 && m->style < SERIES_COLOURS)
                buffer_printf(out, " fill=\"url(#%s-h%d)\"", id, m->style);
            buffer_puts(out, "/>");
            break;
        case MARK_INTERVALS:
            buffer_printf(out, "<path class=\"e s%d\" d=\"M15 1V13M12 1H18M12 13H18\"/>", m->style);
            break;
        case MARK_POINTS:
            buffer_printf(out, "<path class=\"m s%d\" d=\"", m->style);
            marker_path(m->style, 15, 7, 4, out);
            buffer_puts(out, "\"/>");
            break;
        case MARK_DIAGONAL:
            buffer_puts(out, "<path class=\"g s8\" d=\"M2 13L28 1\"/>");
            break;
        case MARK_WORDS:
        case MARK_RULE_X:
        case MARK_RULE_Y:
        default:
            break;
        }
    }
    buffer_puts(out, "</svg><span>");
    markup_text(out, named->name);
    buffer_puts(out, "</span></li>\n");
}

static void draw_legend(const struct figure *f, const char *id, struct buffer *out)
{
    size_t entries = 0;
    for (size_t k = 0; k < f->n_marks; k++) {
        const char *name = f->marks[k].name;
        bool seen = !name;
        for (size_t before = 0; before < k && !seen; before++)
            seen = f->marks[before].name && strcmp(f->marks[before].name, name) == 0;
        if (seen)
            continue;
        if (entries++ == 0)
            buffer_puts(out, "<ul class=\"legend\">\n");
        draw_key(f, k, id, out);
    }
    if (entries > 0)
        buffer_puts(out, "</ul>\n");
}

/* Is there anything to see in this panel besides rules and diagonals? */
static bool panel_has_data(const struct figure *f, const struct plot *p)
{
    for (size_t k = 0; k < f->n_marks; k++) {
        const struct mark *m = &f->marks[k];
        if (m->panel != p->panel || !m->v[1])
            continue;
        const bool bars = m->kind == MARK_BARS || m->kind == MARK_BOXES;
        for (size_t i = 0; i < m->n; i++)
            if (!isnan(axis_place(p->x, m->v[0][i])) &&
                !isnan(axis_place(p->y, m->v[bars ? 3 : 1][i])))
                return true;
    }
    return false;
}

static void draw_panels(const struct figure *f, struct layout *l, struct buffer *out)
{
    for (int i = 0; i < f->n_panels; i++) {
        struct plot *p = &l->plots[i];
        draw_axes(p, i == f->n_panels - 1, out);
        for (size_t k = 0; k < f->n_marks; k++)
            if (f->marks[k].panel == i)
                mark_draw(&f->marks[k], p, out);
        marks_label(f, p, out);
        if (!panel_has_data(f, p))
            text(out, "middle", p->left + p->width / 2, p->top + p->height / 2, "no data");
    }
}

static void draw_svg(const struct figure *f, struct layout *l, const char *id, struct buffer *out)
{
    buffer_puts(out, "<svg class=\"chart\" xmlns=\"http://www.w3.org/2000/svg\" role=\"img\"");
    buffer_printf(out, " aria-labelledby=\"%s-t %s-d\"", id, id);
    place(out, "width", l->width);
    place(out, "height", l->height);
    buffer_puts(out, " viewBox=\"0 0 ");
    markup_coordinate(out, l->width);
    buffer_putc(out, ' ');
    markup_coordinate(out, l->height);
    buffer_printf(out, "\">\n<title id=\"%s-t\">", id);
    markup_text(out, f->title);
    buffer_printf(out, "</title>\n<desc id=\"%s-d\">", id);
    markup_text(out, f->description ? f->description : f->caption);
    buffer_puts(out, "</desc>\n");
    define(f, l, id, out);
    draw_panels(f, l, out);
    buffer_puts(out, "</svg>\n");
}

void figure_draw(struct figure *f, const char *id, const char *table, struct buffer *out)
{
    struct layout l;
    size_t beyond = 0;
    if (!f)
        return;
    if (f->n_panels == 0)
        figure_panel(f, axis_auto(NULL), 0.6);
    lay_out(f, id, &l);
    buffer_printf(out, "<figure id=\"%s\">\n<figcaption><strong>", id);
    markup_text(out, f->title);
    buffer_puts(out, "</strong>");
    if (f->caption) {
        buffer_puts(out, "<span>");
        markup_text(out, f->caption);
        buffer_puts(out, "</span>");
    }
    buffer_puts(out, "</figcaption>\n");
    draw_legend(f, id, out);
    draw_svg(f, &l, id, out);
    for (int i = 0; i < f->n_panels; i++)
        beyond += l.plots[i].beyond;
    if (beyond > 0) {
        char count[NUMBER_TEXT];
        buffer_printf(out, "<p class=\"note\">%s point%s beyond the axes, not drawn.</p>\n",
                      number_count(beyond, count), beyond == 1 ? " lies" : "s lie");
    }
    buffer_puts(out, "<details><summary>Data of this figure</summary>\n");
    buffer_puts(out, table ? table : "");
    buffer_puts(out, "</details>\n</figure>\n");
}
