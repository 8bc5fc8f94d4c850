/*
 * grid.c - writes a table's markup as its cells come. Knows markup; knows no page.
 */
#include "report/grid.h"

#include <math.h>
#include <string.h>

#include "base/memory.h"
#include "report/markup.h"

enum { COLUMNS_MAX = 24 };

struct grid {
    char *caption;
    struct buffer head, body;
    enum grid_kind kinds[COLUMNS_MAX];
    int columns, column; /* of the next cell */
    size_t rows;
    bool sortable, failed;
};

struct grid *grid_create(const char *caption)
{
    struct grid *t = mem_zalloc(1, sizeof *t);
    if (!t)
        return NULL;
    t->caption = mem_strdup(caption ? caption : "");
    if (!t->caption) {
        mem_free(t);
        return NULL;
    }
    return t;
}

void grid_destroy(struct grid *t)
{
    if (!t)
        return;
    buffer_free(&t->head);
    buffer_free(&t->body);
    mem_free(t->caption);
    mem_free(t);
}

void grid_column(struct grid *t, const char *heading, enum grid_kind kind)
{
    if (!t)
        return;
    if (t->columns == COLUMNS_MAX || t->body.size > 0) {
        t->failed = true;
        return;
    }
    t->kinds[t->columns++] = kind;
    buffer_printf(&t->head, "<th scope=\"col\"%s>", kind == GRID_NUMBER ? " class=\"n\"" : "");
    markup_text(&t->head, heading);
    buffer_puts(&t->head, "</th>");
}

void grid_sortable(struct grid *t)
{
    if (t)
        t->sortable = true;
}

/* Opens the next cell; `sort` is the number to sort by, NaN = none. False: there is no table. */
static bool cell_open(struct grid *t, double sort)
{
    if (!t)
        return false;
    if (t->columns == 0) {
        t->failed = true;
        return false;
    }
    if (t->column == 0) {
        buffer_puts(&t->body, "<tr>");
        t->rows++;
    }
    buffer_puts(&t->body, t->column == 0 ? "<th scope=\"row\"" : "<td");
    if (t->kinds[t->column] != GRID_TEXT)
        buffer_puts(&t->body,
                    t->kinds[t->column] == GRID_NUMBER ? " class=\"n\"" : " class=\"words\"");
    if (t->sortable && isfinite(sort)) {
        char text[NUMBER_TEXT];
        buffer_printf(&t->body, " data-v=\"%s\"", number_short(sort, 9, text));
    }
    buffer_putc(&t->body, '>');
    return true;
}

static void cell_close(struct grid *t)
{
    buffer_puts(&t->body, t->column == 0 ? "</th>" : "</td>");
    if (++t->column == t->columns) {
        buffer_puts(&t->body, "</tr>\n");
        t->column = 0;
    }
}

void grid_text(struct grid *t, const char *s)
{
    grid_named(t, s, NULL, NULL);
}

void grid_named(struct grid *t, const char *s, const char *second, const char *code)
{
    if (!cell_open(t, NAN))
        return;
    markup_text(&t->body, s);
    if (second) {
        buffer_puts(&t->body, "<span class=\"second\">");
        markup_text(&t->body, second);
        buffer_puts(&t->body, "</span>");
    }
    if (code) {
        buffer_puts(&t->body, "<code>");
        markup_text(&t->body, code);
        buffer_puts(&t->body, "</code>");
    }
    cell_close(t);
}

void grid_number(struct grid *t, double v, int decimals)
{
    char text[NUMBER_TEXT];
    if (!cell_open(t, v))
        return;
    buffer_puts(&t->body, number_fixed(v, decimals, text));
    cell_close(t);
}

void grid_count(struct grid *t, size_t v)
{
    char text[NUMBER_TEXT];
    if (!cell_open(t, (double)v))
        return;
    buffer_puts(&t->body, number_count(v, text));
    cell_close(t);
}

void grid_value(struct grid *t, double v, double low, double high, int decimals)
{
    char text[NUMBER_TEXT];
    if (!cell_open(t, v))
        return;
    buffer_puts(&t->body, number_fixed(v, decimals, text));
    if (!isnan(low) && !isnan(high)) {
        buffer_printf(&t->body, " <span class=\"ci\">[%s, ", number_fixed(low, decimals, text));
        buffer_printf(&t->body, "%s]</span>", number_fixed(high, decimals, text));
    }
    cell_close(t);
}

void grid_absent(struct grid *t, const char *reason)
{
    if (!cell_open(t, NAN))
        return;
    buffer_puts(&t->body, "– <span class=\"ci why\">");
    markup_text(&t->body, reason);
    buffer_puts(&t->body, "</span>");
    cell_close(t);
}

void grid_heading(struct grid *t, const char *s)
{
    if (!t)
        return;
    if (t->column != 0 || t->sortable)
        t->failed = true;
    buffer_printf(&t->body, "<tr class=\"family\"><th colspan=\"%d\" scope=\"colgroup\">",
                  t->columns);
    markup_text(&t->body, s);
    buffer_puts(&t->body, "</th></tr>\n");
}

size_t grid_rows(const struct grid *t)
{
    return t ? t->rows : 0;
}

bool grid_failed(const struct grid *t)
{
    return !t || t->failed || t->column != 0 || t->head.failed || t->body.failed;
}

void grid_draw(const struct grid *t, struct buffer *out)
{
    if (!t)
        return;
    /* What may be wider than a small screen scrolls by itself, also from the keyboard. */
    buffer_puts(out, "<div class=\"scroll\" tabindex=\"0\" role=\"region\" aria-label=\"");
    markup_text(out, t->caption);
    buffer_printf(out, "\"><table%s><caption>", t->sortable ? " class=\"sortable\"" : "");
    markup_text(out, t->caption);
    buffer_printf(out, "</caption><thead><tr>%s</tr></thead>\n<tbody>", buffer_string(&t->head));
    buffer_puts(out, buffer_string(&t->body));
    if (t->rows == 0)
        buffer_printf(out, "<tr><td colspan=\"%d\">none</td></tr>",
                      t->columns > 0 ? t->columns : 1);
    buffer_puts(out, "</tbody></table></div>\n");
}
