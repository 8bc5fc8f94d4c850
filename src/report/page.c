/*
 * page.c - collects a page's chapters and writes the whole. Knows markup; what it looks like is in page_style.c.
 */
#include "report/page.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/memory.h"
#include "report/markup.h"
#include "report/page_private.h"

struct page {
    struct buffer title, provenance, contents, body;
    bool in_chapter, failed;
    int figures, chapters;
};

struct page *page_create(const char *title)
{
    struct page *p = mem_zalloc(1, sizeof *p);
    if (p)
        markup_text(&p->title, title);
    return p;
}

void page_destroy(struct page *p)
{
    if (!p)
        return;
    buffer_free(&p->title);
    buffer_free(&p->provenance);
    buffer_free(&p->contents);
    buffer_free(&p->body);
    mem_free(p);
}

static void provenance(struct page *p, const char *what, const char *value, const char *element)
{
    if (!p || !value)
        return;
    buffer_puts(&p->provenance, "<div><dt>");
    markup_text(&p->provenance, what);
    buffer_printf(&p->provenance, "</dt><dd><%s>", element);
    markup_text(&p->provenance, value);
    buffer_printf(&p->provenance, "</%s></dd></div>\n", element);
}

void page_provenance(struct page *p, const char *what, const char *value)
{
    provenance(p, what, value, "span");
}

void page_provenance_code(struct page *p, const char *what, const char *value)
{
    provenance(p, what, value, "code");
}

void page_fail(struct page *p)
{
    if (p)
        p->failed = true;
}

void page_chapter(struct page *p, const char *id, const char *heading)
{
    if (!p)
        return;
    if (p->in_chapter)
        buffer_puts(&p->body, "</section>\n");
    p->in_chapter = true;
    p->chapters++;
    buffer_puts(&p->contents, "<li><a href=\"#");
    markup_text(&p->contents, id);
    buffer_puts(&p->contents, "\">");
    markup_text(&p->contents, heading);
    buffer_puts(&p->contents, "</a></li>\n");
    buffer_puts(&p->body, "<section aria-labelledby=\"");
    markup_text(&p->body, id);
    buffer_puts(&p->body, "\">\n<h2 id=\"");
    markup_text(&p->body, id);
    buffer_puts(&p->body, "\">");
    markup_text(&p->body, heading);
    buffer_puts(&p->body, "</h2>\n");
}

void page_subheading(struct page *p, const char *heading)
{
    if (!p)
        return;
    buffer_puts(&p->body, "<h3>");
    markup_text(&p->body, heading);
    buffer_puts(&p->body, "</h3>\n");
}

/* Frees the text; null: there was no memory for it. */
static void paragraph(struct page *p, const char *class, char *text)
{
    if (text) {
        buffer_printf(&p->body, "<p%s>", class);
        markup_text(&p->body, text);
        buffer_puts(&p->body, "</p>\n");
    } else {
        p->failed = true;
    }
    free(text);
}

void page_text(struct page *p, const char *format, ...)
{
    va_list arguments;
    char *text = NULL;
    if (!p)
        return;
    va_start(arguments, format);
    const int n = vasprintf(&text, format, arguments);
    va_end(arguments);
    paragraph(p, "", n < 0 ? NULL : text);
}

void page_finding(struct page *p, const char *format, ...)
{
    va_list arguments;
    char *text = NULL;
    if (!p)
        return;
    va_start(arguments, format);
    const int n = vasprintf(&text, format, arguments);
    va_end(arguments);
    paragraph(p, " class=\"finding\"", n < 0 ? NULL : text);
}

void page_keys_begin(struct page *p, const char *heading)
{
    if (!p)
        return;
    if (heading)
        page_subheading(p, heading);
    buffer_puts(&p->body, "<dl class=\"keys\">\n");
}

void page_key(struct page *p, const char *name, double v, double low, double high, int decimals)
{
    char text[NUMBER_TEXT];
    if (!p)
        return;
    buffer_puts(&p->body, "<div><dt>");
    markup_text(&p->body, name);
    buffer_printf(&p->body, "</dt><dd>%s", number_fixed(v, decimals, text));
    if (!isnan(low) && !isnan(high)) {
        buffer_printf(&p->body, "<span class=\"ci\">%s", number_fixed(low, decimals, text));
        buffer_printf(&p->body, " to %s</span>", number_fixed(high, decimals, text));
    }
    buffer_puts(&p->body, "</dd></div>\n");
}

void page_keys_end(struct page *p)
{
    if (p)
        buffer_puts(&p->body, "</dl>\n");
}

void page_figures_begin(struct page *p)
{
    if (p)
        buffer_puts(&p->body, "<div class=\"figures\">\n");
}

void page_figures_end(struct page *p)
{
    if (p)
        buffer_puts(&p->body, "</div>\n");
}

void page_figure(struct page *p, struct figure *f, const struct grid *data)
{
    struct buffer numbers = BUFFER_EMPTY;
    char id[24];
    if (!p)
        return;
    snprintf(id, sizeof id, "figure-%d", ++p->figures);
    grid_draw(data, &numbers);
    figure_draw(f, id, buffer_string(&numbers), &p->body);
    if (figure_failed(f) || grid_failed(data) || numbers.failed)
        p->failed = true;
    buffer_free(&numbers);
}

void page_table(struct page *p, const struct grid *t)
{
    if (!p)
        return;
    grid_draw(t, &p->body);
    if (grid_failed(t))
        p->failed = true;
}

void page_table_folded(struct page *p, const char *summary, const struct grid *t)
{
    if (!p)
        return;
    buffer_puts(&p->body, "<details><summary>");
    markup_text(&p->body, summary);
    buffer_puts(&p->body, "</summary>\n");
    page_table(p, t);
    buffer_puts(&p->body, "</details>\n");
}

static void render_head(const struct page *p, struct buffer *out)
{
    buffer_puts(out, "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\"/>\n"
                     "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; "
                     "style-src 'unsafe-inline'; script-src 'unsafe-inline'; img-src data:\"/>\n"
                     "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\"/>\n"
                     "<meta name=\"color-scheme\" content=\"light dark\"/>\n"
                     "<meta name=\"generator\" content=\"plumb " PLUMB_VERSION "\"/>\n"
                     "<link rel=\"icon\" href=\"data:,\"/>\n<title>");
    buffer_puts(out, buffer_string(&p->title));
    buffer_puts(out, "</title>\n<style>\n");
    for (const char *const *piece = page_style; *piece; piece++)
        buffer_puts(out, *piece);
    buffer_puts(out, "</style>\n</head>\n");
}

bool page_render(const struct page *p, struct buffer *out)
{
    if (!p)
        return false;
    render_head(p, out);
    buffer_puts(out, "<body>\n<header>\n<h1>");
    buffer_puts(out, buffer_string(&p->title));
    buffer_puts(out, "</h1>\n");
    if (p->provenance.size > 0)
        buffer_printf(out, "<dl class=\"provenance\">\n%s</dl>\n", buffer_string(&p->provenance));
    buffer_puts(out, "</header>\n");
    if (p->chapters > 1) {
        buffer_puts(out, "<nav aria-label=\"Contents\"><ol>\n");
        buffer_puts(out, buffer_string(&p->contents));
        buffer_puts(out, "</ol></nav>\n");
    }
    buffer_puts(out, "<main>\n");
    buffer_puts(out, buffer_string(&p->body));
    if (p->in_chapter)
        buffer_puts(out, "</section>\n");
    buffer_puts(out, "</main>\n<footer><p>Made by plumb " PLUMB_VERSION
                     ". This page is complete in itself and asks nothing of the "
                     "network.</p></footer>\n<script>\n");
    buffer_puts(out, page_script);
    buffer_puts(out, "</script>\n</body>\n</html>\n");
    return !p->failed && !p->title.failed && !p->provenance.failed && !p->contents.failed &&
           !p->body.failed && !out->failed;
}

int page_write(const struct page *p, const char *path, struct plumb_error *e)
{
    struct buffer all = BUFFER_EMPTY;
    struct file_writer w = {0};
    int status = PLUMB_OK;
    if (!page_render(p, &all))
        status = error_memory(e, "the report");
    if (status == PLUMB_OK)
        status = file_writer_open(path, &w, e);
    if (status == PLUMB_OK) {
        fwrite(buffer_string(&all), 1, all.size, w.stream);
        status = file_writer_commit(&w, e);
    }
    file_writer_abandon(&w);
    buffer_free(&all);
    return status;
}
