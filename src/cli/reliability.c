/*
 * reliability.c - a reliability diagram of text: what was right (bars) against what was said (marks).
 *
 * A bar reaches its bin's accuracy, in eighths of a line; the mark stands on the line of its mean confidence. A mark above
 * its bar: over-confident. Knows nothing of files and metrics.
 */
#include "cli/reliability.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "cli/output.h"

enum { LINES = 10, EIGHTHS = 8 };

/* The glyphs of both alphabets. blocks[n]: n eighths of a line filled from below. */
struct glyphs {
    const char *blocks[EIGHTHS + 1];
    const char *mark, *mark_in_bar, *axis, *tick, *corner, *floor;
};
static const struct glyphs unicode_glyphs = {
    {" ", "▁", "▂", "▃", "▄", "▅", "▆", "▇", "█"}, "─", "━", "│", "┤", "└", "─"};
static const struct glyphs ascii_glyphs = {
    {" ", " ", " ", ".", ".", ":", ":", "#", "#"}, "-", "=", "|", "+", "+", "-"};

bool reliability_unicode(void)
{
    static const char *const names[] = {"LC_ALL", "LC_CTYPE", "LANG"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        const char *value = getenv(names[i]);
        if (value && *value)
            return strcasestr(value, "utf-8") || strcasestr(value, "utf8");
    }
    return false;
}

static void repeat(const char *glyph, int times, FILE *to)
{
    for (int i = 0; i < times; i++)
        fputs(glyph, to);
}

/* How many columns a bin takes, the gap behind it included: about 45 to 60 together. */
static int bin_columns(int bins)
{
    return bins <= 10 ? 5 : bins <= 15 ? 4 : bins <= 24 ? 3 : 2;
}

/* One line of one bin: `line` counts from the bottom. */
static void print_cell(const struct bin *b, int line, int columns, const struct glyphs *g, FILE *to)
{
    const double eighths = b->rows > 0 ? b->accuracy * LINES * EIGHTHS - line * EIGHTHS : 0;
    const int filled = eighths >= EIGHTHS ? EIGHTHS : eighths > 0 ? (int)lround(eighths) : 0;
    int marked = -1;
    if (b->rows > 0) {
        marked = (int)(b->confidence * LINES);
        marked = marked == LINES ? LINES - 1 : marked;
    }
    if (marked == line) {
        fputs(style_on(to, STYLE_YELLOW), to);
        repeat(filled > EIGHTHS / 2 ? g->mark_in_bar : g->mark, columns - 1, to);
        fputs(style_off(to), to);
    } else {
        repeat(g->blocks[filled], columns - 1, to);
    }
    fputc(' ', to);
}

static void print_lines(const struct bins *b, int columns, const struct glyphs *g, FILE *to)
{
    for (int line = LINES - 1; line >= 0; line--) {
        if (line == LINES - 1 || line == LINES / 2 - 1)
            fprintf(to, "  %.1f %s ", (line + 1) / (double)LINES, g->tick);
        else
            fprintf(to, "      %s ", g->axis);
        for (int i = 0; i < b->n; i++)
            print_cell(&b->bin[i], line, columns, g, to);
        fputc('\n', to);
    }
}

static void print_axis(const struct bins *b, int columns, const struct glyphs *g, FILE *to)
{
    const int width = b->n * columns;
    fprintf(to, "  0.0 %s", g->corner);
    repeat(g->floor, width, to);
    fprintf(to, "\n       0%*s%*s\n", width / 2, "0.5", width - width / 2 - 1, "1");
}

static void print_counts(const struct bins *b, int columns, const struct glyphs *g, FILE *to)
{
    double most = 0;
    char rows[32];
    for (int i = 0; i < b->n; i++)
        most = fmax(most, b->bin[i].rows);
    fputs("  rows   ", to);
    for (int i = 0; i < b->n; i++) {
        const double share = most > 0 ? b->bin[i].rows / most : 0;
        /* a bin that holds anything shows something */
        const int filled = share > 0 ? (int)fmax(1, round(share * EIGHTHS)) : 0;
        const bool faint = filled > 0 && g->blocks[filled][0] == ' ';
        repeat(faint ? "." : g->blocks[filled], columns - 1, to);
        fputc(' ', to);
    }
    fprintf(to, "  fullest bin %s\n", human_grouped((uint64_t)most, rows));
}

void reliability_print(const struct bins *b, bool unicode, FILE *to)
{
    const struct glyphs *g = unicode ? &unicode_glyphs : &ascii_glyphs;
    const int columns = bin_columns(b->n);
    if (b->n > RELIABILITY_BINS)
        return;
    fprintf(to, "  accuracy (bars) and mean confidence (%s) of %d bins\n", g->mark, b->n);
    print_lines(b, columns, g, to);
    print_axis(b, columns, g, to);
    print_counts(b, columns, g, to);
}
