/*
 * figure_marks.c - draws marks and their labels inside one panel. Knows places in pixels; knows no axis's text.
 */
#include <math.h>
#include <string.h>

#include "report/figure_private.h"
#include "report/place.h"

/* Lines lose the points that move less than this from the last one drawn: 14,042 of them become a thousand. */
static const double LEAST_MOVE = 0.6;
/* A tooltip for each mark, up to so many: more cannot be hit with a mouse. */
enum { TIPS_MAX = 400 };

static double place_x(const struct plot *p, double v)
{
    return p->left + axis_place(p->x, v) * p->width;
}

static double place_y(const struct plot *p, double v)
{
    return p->top + (1 - axis_place(p->y, v)) * p->height;
}

/* Room at the rim for rounding. */
static bool inside(const struct plot *p, double x, double y)
{
    const double hair = 0.01;
    return x >= p->left - hair && x <= p->left + p->width + hair && y >= p->top - hair &&
           y <= p->top + p->height + hair;
}

static double within(double v, double low, double high)
{
    return v < low ? low : v > high ? high : v;
}

static void pair(struct buffer *out, double x, double y)
{
    markup_coordinate(out, x);
    buffer_putc(out, ' ');
    markup_coordinate(out, y);
}

static void attribute(struct buffer *out, const char *name, double v)
{
    buffer_printf(out, " %s=\"", name);
    markup_coordinate(out, v);
    buffer_putc(out, '"');
}

double text_width(const char *s)
{
    double width = 0;
    for (; *s; s++) {
        const unsigned char c = (unsigned char)*s;
        if ((c & 0xC0) == 0x80)
            continue;
        /* At 12 px in the wider ones of common fonts (DejaVu Sans); letters of other scripts may take a square. */
        width += c >= 0xE3                 ? 12
                 : strchr(".,:;'|il! ", c) ? 4
                 : strchr("%@mwMW", c)     ? 11
                 : c >= 'A' && c <= 'Z'    ? 8.4
                                           : 7.4;
    }
    return width;
}

void marker_path(int style, double x, double y, double r, struct buffer *out)
{
    /* Corners on a circle: how many, the angle of the first in twelfths of a turn, and how far out. */
    static const struct {
        int corners, first;
        double reach;
    } shapes[] = {{0, 0, 1},    {4, 9, 1.25}, {3, 0, 1.35}, {4, 0, 1.3},
                  {3, 6, 1.35}, {5, 0, 1.2},  {6, 0, 1.15}, {12, 0, 1}};
    const int i = style >= 0 && style < SERIES_COLOURS ? style : 0;
    buffer_puts(out, "M");
    if (shapes[i].corners == 0) {
        pair(out, x - r, y);
        for (int half = 0; half < 2; half++) {
            buffer_puts(out, "A");
            pair(out, r, r);
            buffer_puts(out, " 0 1 0 ");
            pair(out, half ? x - r : x + r, y);
        }
    }
    for (int c = 0; c < shapes[i].corners; c++) {
        const double turn =
            2 * M_PI * (c / (double)shapes[i].corners + shapes[i].first / 12.0 / 1.0);
        const double angle = shapes[i].first == 9 ? turn + M_PI / 4 : turn;
        if (c > 0)
            buffer_putc(out, 'L');
        pair(out, x + r * shapes[i].reach * sin(angle), y - r * shapes[i].reach * cos(angle));
    }
    buffer_putc(out, 'Z');
}

static void clip(const struct plot *p, bool needed, struct buffer *out)
{
    if (needed)
        buffer_printf(out, " clip-path=\"url(#%s-p%d)\"", p->id, p->panel);
}

/* Appends the points from `from` to `to` (either direction) as path data; returns the place where it stopped at a point
   without a place, or `to`. */
struct trail {
    bool open;   /* a path has begun */
    double x, y; /* the last point drawn */
    double skipped_x, skipped_y;
    bool skipped; /* a point since then was left out */
    bool outside;
};

static void trail_to(struct trail *t, const struct plot *p, double x, double y, bool step,
                     struct buffer *out)
{
    /* Far outside: keep coordinates small, the clip hides the rest. */
    const double far = 4000;
    if (!inside(p, x, y)) {
        t->outside = true;
        x = within(x, -far, far);
        y = within(y, -far, far);
    }
    if (t->open && fabs(x - t->x) < LEAST_MOVE && fabs(y - t->y) < LEAST_MOVE) {
        t->skipped = true;
        t->skipped_x = x;
        t->skipped_y = y;
        return;
    }
    if (t->open && step) {
        buffer_putc(out, 'H');
        markup_coordinate(out, x);
        buffer_putc(out, 'V');
        markup_coordinate(out, y);
    } else {
        buffer_putc(out, t->open ? 'L' : 'M');
        pair(out, x, y);
    }
    t->open = true;
    t->skipped = false;
    t->x = x;
    t->y = y;
}

static void trail_end(struct trail *t, bool step, struct buffer *out)
{
    if (t->open && t->skipped && (t->skipped_x != t->x || t->skipped_y != t->y)) {
        if (step)
            buffer_putc(out, 'H');
        else
            buffer_putc(out, 'L');
        if (step) {
            markup_coordinate(out, t->skipped_x);
            buffer_putc(out, 'V');
            markup_coordinate(out, t->skipped_y);
        } else {
            pair(out, t->skipped_x, t->skipped_y);
        }
    }
    t->open = t->skipped = false;
}

static void draw_line(const struct mark *m, struct plot *p, struct buffer *out)
{
    const bool step = m->kind == MARK_STEPS;
    struct buffer path = BUFFER_EMPTY;
    struct trail t = {0};
    for (size_t i = 0; i < m->n; i++) {
        const double x = place_x(p, m->v[0][i]), y = place_y(p, m->v[1][i]);
        if (isnan(x) || isnan(y)) {
            trail_end(&t, step, &path);
            continue;
        }
        p->beyond += !inside(p, x, y);
        trail_to(&t, p, x, y, step, &path);
    }
    trail_end(&t, step, &path);
    if (path.size > 0) {
        buffer_printf(out, "<path class=\"l s%d\"", m->style);
        clip(p, t.outside, out);
        buffer_printf(out, " d=\"%s\"/>\n", buffer_string(&path));
    }
    if (path.failed)
        out->failed = true;
    buffer_free(&path);
}

/* One piece of a band without gaps: [from, to). There along the upper edge, back along the lower one. */
static void draw_band_piece(const struct mark *m, struct plot *p, size_t from, size_t to,
                            struct buffer *out)
{
    struct buffer path = BUFFER_EMPTY;
    struct trail t = {0};
    for (size_t i = from; i < to; i++)
        trail_to(&t, p, place_x(p, m->v[0][i]), place_y(p, m->v[2][i]), false, &path);
    for (size_t i = to; i-- > from;)
        trail_to(&t, p, place_x(p, m->v[0][i]), place_y(p, m->v[1][i]), false, &path);
    trail_end(&t, false, &path);
    buffer_printf(out, "<path class=\"a s%d\"", m->style);
    clip(p, t.outside, out);
    buffer_printf(out, " d=\"%sZ\"/>\n", buffer_string(&path));
    if (path.failed)
        out->failed = true;
    buffer_free(&path);
}

static void draw_band(const struct mark *m, struct plot *p, struct buffer *out)
{
    size_t from = 0;
    for (size_t i = 0; i <= m->n; i++) {
        const bool there = i < m->n && !isnan(place_x(p, m->v[0][i])) &&
                           !isnan(place_y(p, m->v[1][i])) && !isnan(place_y(p, m->v[2][i]));
        if (there)
            continue;
        if (i > from + 1)
            draw_band_piece(m, p, from, i, out);
        from = i + 1;
    }
}

/* "confidence 0.82, accuracy 0.61" when the mouse rests on it. */
static void tip(const struct plot *p, const char *label, double x, double y, struct buffer *out)
{
    char text[NUMBER_TEXT];
    buffer_puts(out, "<title>");
    if (label) {
        markup_text(out, label);
        buffer_puts(out, ": ");
    }
    markup_text(out, p->x->label ? p->x->label : "x");
    if (p->x->scale == AXIS_CATEGORY) {
        const long i = lround(x);
        buffer_putc(out, ' ');
        if (i >= 0 && i < p->x->n_categories)
            markup_text(out, p->x->categories[i]);
    } else {
        buffer_printf(out, " %s", number_short(x, 4, text));
    }
    buffer_puts(out, ", ");
    markup_text(out, p->y->label ? p->y->label : "y");
    buffer_printf(out, " %s</title>", number_short(y, 4, text));
}

static void draw_rectangles(const struct mark *m, struct plot *p, struct buffer *out)
{
    const bool bars = m->kind == MARK_BARS;
    for (size_t i = 0; i < m->n; i++) {
        double left = place_x(p, m->v[0][i]), right = place_x(p, m->v[1][i]);
        double bottom = place_y(p, m->v[2][i]), top = place_y(p, m->v[3][i]);
        /* Bars of a log axis begin at its foot. */
        if (bars && isnan(bottom) && p->y->scale == AXIS_LOG)
            bottom = p->top + p->height;
        if (isnan(left) || isnan(right) || isnan(bottom) || isnan(top))
            continue;
        left = within(left, p->left, p->left + p->width);
        right = within(right, p->left, p->left + p->width);
        bottom = within(bottom, p->top, p->top + p->height);
        top = within(top, p->top, p->top + p->height);
        const double x = fmin(left, right), y = fmin(top, bottom);
        double width = fabs(right - left), height = fabs(bottom - top);
        if (bars && (height == 0 || width == 0))
            continue;
        const double gap = bars && width > 4 ? 0.5 : 0; /* neighbours stay apart */
        if (bars && height < 1)
            height = 1; /* what is there is seen */
        buffer_printf(out, "<rect class=\"%s s%d\"", bars ? "b" : "a", m->style);
        if (bars && m->style > 0 && m->style < SERIES_COLOURS)
            buffer_printf(out, " fill=\"url(#%s-h%d)\"", p->id, m->style);
        attribute(out, "x", x + gap);
        attribute(out, "y", y);
        attribute(out, "width", fmax(width - 2 * gap, 0));
        attribute(out, "height", fmax(height, 0.5));
        if (bars && m->n <= TIPS_MAX) {
            buffer_putc(out, '>');
            tip(p, m->name, (m->v[0][i] + m->v[1][i]) / 2,
                m->v[3][i] - (isnan(m->v[2][i]) ? 0 : m->v[2][i]), out);
            buffer_puts(out, "</rect>\n");
        } else {
            buffer_puts(out, "/>\n");
        }
    }
}

static void draw_intervals(const struct mark *m, struct plot *p, struct buffer *out)
{
    struct buffer path = BUFFER_EMPTY;
    const double cap = 3;
    for (size_t i = 0; i < m->n; i++) {
        const double x = place_x(p, m->v[0][i]);
        double low = place_y(p, m->v[1][i]), high = place_y(p, m->v[2][i]);
        if (isnan(x) || isnan(low) || isnan(high) || x < p->left - 0.01 ||
            x > p->left + p->width + 0.01)
            continue;
        const double foot = p->top + p->height;
        /* An end beyond the axes has no cap. */
        const bool low_capped = low <= foot, high_capped = high >= p->top;
        low = within(low, p->top, foot);
        high = within(high, p->top, foot);
        buffer_putc(&path, 'M');
        pair(&path, x, low);
        buffer_putc(&path, 'V');
        markup_coordinate(&path, high);
        for (int end = 0; end < 2; end++)
            if (end ? high_capped : low_capped) {
                buffer_putc(&path, 'M');
                pair(&path, x - cap, end ? high : low);
                buffer_putc(&path, 'H');
                markup_coordinate(&path, x + cap);
            }
    }
    if (path.size > 0)
        buffer_printf(out, "<path class=\"e s%d\" d=\"%s\"/>\n", m->style, buffer_string(&path));
    if (path.failed)
        out->failed = true;
    buffer_free(&path);
}

static void draw_points(const struct mark *m, struct plot *p, struct buffer *out)
{
    for (size_t i = 0; i < m->n; i++) {
        const double x = place_x(p, m->v[0][i]), y = place_y(p, m->v[1][i]);
        if (isnan(x) || isnan(y))
            continue;
        if (!inside(p, x, y)) {
            p->beyond++;
            continue;
        }
        buffer_printf(out, "<path class=\"m s%d\" d=\"", m->style);
        marker_path(m->style, x, y, m->n > 200 ? 2.5 : 4, out);
        if (m->n <= TIPS_MAX) {
            buffer_puts(out, "\">");
            tip(p, m->labels ? m->labels[i] : m->name, m->v[0][i], m->v[1][i], out);
            buffer_puts(out, "</path>\n");
        } else {
            buffer_puts(out, "\"/>\n");
        }
    }
}

static void draw_segment(const char *class, double x1, double y1, double x2, double y2,
                         struct buffer *out)
{
    buffer_printf(out, "<path class=\"%s\" d=\"M", class);
    pair(out, x1, y1);
    buffer_putc(out, 'L');
    pair(out, x2, y2);
    buffer_puts(out, "\"/>\n");
}

static void draw_diagonal(const struct plot *p, struct buffer *out)
{
    const double low = fmax(p->x->low, p->y->low), high = fmin(p->x->high, p->y->high);
    if (high > low)
        draw_segment("g s8", place_x(p, low), place_y(p, low), place_x(p, high), place_y(p, high),
                     out);
}

static void draw_rule(const struct mark *m, const struct plot *p, struct buffer *out)
{
    const double x = place_x(p, m->v[0][0]), y = place_y(p, m->v[0][0]);
    if (m->kind == MARK_RULE_X && x >= p->left - 0.01 && x <= p->left + p->width + 0.01)
        draw_segment("r", x, p->top, x, p->top + p->height, out);
    if (m->kind == MARK_RULE_Y && y >= p->top - 0.01 && y <= p->top + p->height + 0.01)
        draw_segment("r", p->left, y, p->left + p->width, y, out);
}

void mark_draw(const struct mark *m, struct plot *p, struct buffer *out)
{
    switch (m->kind) {
    case MARK_LINE:
    case MARK_STEPS:
        draw_line(m, p, out);
        break;
    case MARK_BAND:
        draw_band(m, p, out);
        break;
    case MARK_BARS:
    case MARK_BOXES:
        draw_rectangles(m, p, out);
        break;
    case MARK_INTERVALS:
        draw_intervals(m, p, out);
        break;
    case MARK_POINTS:
        draw_points(m, p, out);
        break;
    case MARK_DIAGONAL:
        draw_diagonal(p, out);
        break;
    case MARK_RULE_X:
    case MARK_RULE_Y:
        draw_rule(m, p, out);
        break;
    case MARK_WORDS: /* with the labels */
    default:
        break;
    }
}

static const double LABEL_HEIGHT = 14, WORDS_SIZE = 10.0 / 12;

static void label(const char *s, const char *class, double left, double baseline,
                  struct buffer *out)
{
    buffer_printf(out, "<text class=\"%s\"", class);
    attribute(out, "x", left);
    attribute(out, "y", baseline);
    buffer_putc(out, '>');
    const size_t n = markup_cut(s, 32);
    char *cut = mem_strndup(s, n);
    if (cut)
        markup_text(out, cut);
    else
        out->failed = true;
    mem_free(cut);
    buffer_puts(out, s[n] ? "…</text>\n" : "</text>\n");
}

static void label_point(struct place *room, const char *s, double x, double y, struct buffer *out)
{
    struct box b;
    bool far;
    const double width = fmin(text_width(s), 32 * 7.0) + 2;
    if (!place_label(room, x, y, width, LABEL_HEIGHT, &b, &far))
        return;
    if (far) {
        const double end_x = within(x, b.left, b.right), end_y = within(y, b.top, b.bottom);
        draw_segment("g", x + (end_x - x) * 0.3, y + (end_y - y) * 0.3, end_x, end_y, out);
    }
    label(s, "t k", b.left + 1, b.bottom - 3.5, out);
}

/* Beside the rule, at the first free height from the top; left of it where the right is too narrow. */
static void label_rule_x(struct place *room, const char *s, double x, struct buffer *out)
{
    const double width = text_width(s) + 2;
    const int heights = (int)((room->inside.bottom - room->inside.top) / LABEL_HEIGHT) - 1;
    for (int height = 0; height < heights; height++)
        for (int side = 0; side < 2; side++) {
            const double left = side ? x - 4 - width : x + 4;
            const double top = room->inside.top + 2 + height * LABEL_HEIGHT;
            const struct box b = {left, top, left + width, top + LABEL_HEIGHT};
            if (!place_free(room, b))
                continue;
            place_take(room, b);
            label(s, "t k", left + 1, b.bottom - 3.5, out);
            return;
        }
}

static void label_rule_y(struct place *room, const char *s, double y, struct buffer *out)
{
    const double width = text_width(s) + 2;
    for (int way = 0; way < 4; way++) {
        const double left = way % 2 ? room->inside.left + 4 : room->inside.right - width - 4;
        const double top = way < 2 ? y - LABEL_HEIGHT - 1 : y + 2;
        const struct box b = {left, top, left + width, top + LABEL_HEIGHT};
        if (!place_free(room, b))
            continue;
        place_take(room, b);
        label(s, "t k", left + 1, b.bottom - 3.5, out);
        return;
    }
}

static void label_above(struct place *room, const char *s, double x, double y, struct buffer *out)
{
    const double width = text_width(s) * WORDS_SIZE;
    const struct box b = {x - width / 2, y - LABEL_HEIGHT + 1, x + width / 2, y - 1};
    if (!place_free(room, b))
        return;
    place_take(room, b);
    label(s, "t k w", b.left, b.bottom - 2.5, out);
}

void marks_label(const struct figure *f, const struct plot *p, struct buffer *out)
{
    struct place room = {.inside = {p->left, p->top, p->left + p->width, p->top + p->height}};
    for (size_t k = 0; k < f->n_marks; k++) {
        const struct mark *m = &f->marks[k];
        if (m->panel != p->panel || (m->kind != MARK_POINTS && m->kind != MARK_INTERVALS))
            continue;
        for (size_t i = 0; i < m->n; i++) {
            const double x = place_x(p, m->v[0][i]), y = place_y(p, m->v[1][i]);
            const double high = m->kind == MARK_POINTS ? y - 4 : place_y(p, m->v[2][i]);
            const double low = m->kind == MARK_POINTS ? y + 4 : y;
            if (inside(p, x, p->top) && low > high)
                place_take(&room, (struct box){x - 4, high, x + 4, low});
        }
    }
    for (size_t k = 0; k < f->n_marks; k++) {
        const struct mark *m = &f->marks[k];
        if (m->panel != p->panel || !m->labels)
            continue;
        for (size_t i = 0; i < m->n; i++) {
            if (!m->labels[i] || !m->labels[i][0])
                continue;
            const double x = place_x(p, m->v[0][i]);
            const double y = place_y(p, m->v[1] ? m->v[1][i] : m->v[0][i]);
            if (m->kind == MARK_RULE_X && inside(p, x, p->top))
                label_rule_x(&room, m->labels[i], x, out);
            else if (m->kind == MARK_RULE_Y && inside(p, p->left, y))
                label_rule_y(&room, m->labels[i], y, out);
            else if (m->kind == MARK_WORDS && inside(p, x, y))
                label_above(&room, m->labels[i], x, y, out);
            else if (m->kind == MARK_POINTS && inside(p, x, y))
                label_point(&room, m->labels[i], x, y, out);
        }
    }
}
