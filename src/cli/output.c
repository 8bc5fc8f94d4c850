/*
 * output.c - tables, numbers for people, styles. Knows no verb and no model.
 */
#include "cli/output.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <utf8proc.h>

#include "base/memory.h"
#include "base/utf8.h"

struct table {
    const char *alignment;
    size_t columns, cells, capacity;
    size_t *ends; /* [cells] where each cell's text ends in `text` */
    struct buffer text;
    uint8_t *spans; /* [rows] is the row a heading? null: none is */
    size_t rows;    /* of spans */
    bool failed;
};

struct table *table_create(const char *alignment)
{
    struct table *t = mem_zalloc(1, sizeof *t);
    if (t) {
        t->alignment = alignment;
        t->columns = strlen(alignment);
    }
    return t;
}

void table_cell(struct table *t, const char *format, ...)
{
    if (!t || t->failed)
        return;
    if (t->cells == t->capacity) {
        size_t capacity = t->capacity ? 2 * t->capacity : 64;
        size_t *ends = mem_resize(t->ends, capacity, sizeof *ends);
        if (!ends) {
            t->failed = true;
            return;
        }
        t->ends = ends;
        t->capacity = capacity;
    }
    char small[256];
    va_list arguments;
    va_start(arguments, format);
    int n = vsnprintf(small, sizeof small, format, arguments);
    va_end(arguments);
    if (n >= (int)sizeof small) {
        char *large = mem_alloc((size_t)n + 1);
        if (large) {
            va_start(arguments, format);
            vsnprintf(large, (size_t)n + 1, format, arguments);
            va_end(arguments);
            buffer_add(&t->text, large, (size_t)n);
        } else {
            t->failed = true;
        }
        mem_free(large);
    } else if (n > 0) {
        buffer_add(&t->text, small, (size_t)n);
    }
    t->failed = t->failed || n < 0 || t->text.failed;
    t->ends[t->cells++] = t->text.size;
}

void table_heading(struct table *t, const char *text)
{
    if (!t || t->failed)
        return;
    const size_t row = t->cells / t->columns;
    uint8_t *spans = mem_resize(t->spans, row + 1, sizeof *spans);
    if (!spans) {
        t->failed = true;
        return;
    }
    memset(spans + t->rows, 0, row - t->rows);
    spans[row] = 1;
    t->spans = spans;
    t->rows = row + 1;
    table_cell(t, "%s", text);
    for (size_t c = 1; c < t->columns; c++)
        table_cell(t, "%s", "");
}

static bool is_heading(const struct table *t, size_t cell)
{
    const size_t row = cell / t->columns;
    return row < t->rows && t->spans[row];
}

static const char *cell_text(const struct table *t, size_t i, size_t *n)
{
    size_t from = i ? t->ends[i - 1] : 0;
    *n = t->ends[i] - from;
    return buffer_string(&t->text) + from;
}

/* Columns that a code point takes on a terminal. */
static size_t point_width(uint32_t cp)
{
    int width = utf8proc_charwidth((utf8proc_int32_t)cp);
    return width > 0 ? (size_t)width : 0;
}

static size_t text_width(const char *s, size_t n)
{
    size_t width = 0;
    for (size_t i = 0; i < n;) {
        uint32_t cp;
        int length = utf8_decode(s + i, n - i, &cp);
        width += point_width(cp);
        i += length ? (size_t)length : 1;
    }
    return width;
}

/* How many bytes of s fit into `room` columns. */
static size_t text_fit(const char *s, size_t n, size_t room)
{
    size_t i = 0;
    while (i < n) {
        uint32_t cp;
        int length = utf8_decode(s + i, n - i, &cp);
        size_t width = point_width(cp);
        if (width > room)
            break;
        room -= width;
        i += length ? (size_t)length : 1;
    }
    return i;
}

/* The display width of every column, the widest left-aligned one narrowed until the table fits. */
static void table_widths(const struct table *t, size_t *widths)
{
    size_t total = 2 * (t->columns - 1);
    for (size_t i = 0; i < t->cells; i++) {
        size_t n;
        const char *s = cell_text(t, i, &n);
        if (is_heading(t, i))
            continue;
        size_t width = text_width(s, n), *column = &widths[i % t->columns];
        if (width > *column)
            *column = width;
    }
    for (size_t c = 0; c < t->columns; c++)
        total += widths[c];
    while (total > OUTPUT_COLUMNS) {
        size_t widest = t->columns;
        for (size_t c = 0; c < t->columns; c++)
            if (t->alignment[c] == 'l' && widths[c] > 8 &&
                (widest == t->columns || widths[c] > widths[widest]))
                widest = c;
        if (widest == t->columns)
            break;
        widths[widest]--;
        total--;
    }
}

/* Prints a cell after `gap` blanks; gives the blanks that belong behind it, so that no line ends in blanks. */
static size_t cell_print(const char *s, size_t n, size_t room, char alignment, size_t gap, FILE *to)
{
    size_t width = text_width(s, n);
    bool cut = width > room;
    if (cut) {
        n = text_fit(s, n, room - 1);
        width = text_width(s, n) + 1;
    }
    size_t padding = room - width;
    if (n == 0)
        return gap + room;
    fprintf(to, "%*s", (int)(alignment == 'r' ? gap + padding : gap), "");
    fwrite(s, 1, n, to);
    if (cut)
        fputs("…", to);
    return alignment == 'r' ? 0 : padding;
}

bool table_print(struct table *t, FILE *to)
{
    if (!t)
        return false;
    size_t *widths = mem_zalloc(t->columns, sizeof *widths);
    bool good = widths && !t->failed;
    if (good) {
        table_widths(t, widths);
        for (size_t i = 0, gap = 0; i < t->cells; i++) {
            size_t n, c = i % t->columns;
            const char *s = cell_text(t, i, &n);
            if (i == 0)
                fputs(style_on(to, STYLE_BOLD), to);
            if (!is_heading(t, i))
                gap = cell_print(s, n, widths[c], t->alignment[c], c ? gap + 2 : 0, to);
            else if (c == 0)
                cell_print(s, n, OUTPUT_COLUMNS, 'l', 0, to);
            if (i + 1 == t->columns)
                fputs(style_off(to), to);
            if (c + 1 == t->columns)
                fputc('\n', to);
        }
        good = !ferror(to);
    }
    mem_free(widths);
    mem_free(t->ends);
    mem_free(t->spans);
    buffer_free(&t->text);
    mem_free(t);
    return good;
}

const char *human_grouped(uint64_t n, char out[32])
{
    char digits[24];
    int length = snprintf(digits, sizeof digits, "%llu", (unsigned long long)n);
    char *to = out;
    for (int i = 0; i < length; i++) {
        if (i && (length - i) % 3 == 0)
            *to++ = ',';
        *to++ = digits[i];
    }
    *to = '\0';
    return out;
}

/* v / base^k with three digits or so, and the k-th unit. */
static const char *human_scaled(uint64_t n, double base, const char *const *units, char out[32])
{
    double v = (double)n;
    int unit = 0;
    while (v >= 999.5 && unit < 5) {
        v /= base;
        unit++;
    }
    snprintf(out, 32, unit && v < 99.95 ? "%.1f %s" : "%.0f %s", v, units[unit]);
    return out;
}

const char *human_count(uint64_t n, char out[32])
{
    static const char *const units[] = {"", "k", "M", "G", "T", "P"};
    if (n < 10000)
        return human_grouped(n, out);
    return human_scaled(n, 1000, units, out);
}

const char *human_size(uint64_t bytes, char out[32])
{
    static const char *const units[] = {"bytes", "KiB", "MiB", "GiB", "TiB", "PiB"};
    return human_scaled(bytes, 1024, units, out);
}

const char *human_seconds(double seconds, char out[32])
{
    if (seconds < 59.5) {
        snprintf(out, 32, seconds < 9.95 ? "%.2f s" : "%.0f s", seconds);
        return out;
    }
    double whole = seconds < 1e9 ? seconds + 0.5 : 1e9;
    long s = (long)whole;
    if (s < 3600)
        snprintf(out, 32, "%ld:%02ld", s / 60, s % 60);
    else
        snprintf(out, 32, "%ld:%02ld:%02ld", s / 3600, s / 60 % 60, s % 60);
    return out;
}

void output_visible(struct buffer *b, const char *text, size_t n)
{
    for (size_t i = 0; i < n;) {
        uint32_t cp;
        unsigned char byte = (unsigned char)text[i];
        int length = utf8_decode(text + i, n - i, &cp);
        if (byte == '\n' || byte == '\t' || byte == '\r')
            buffer_puts(b, byte == '\n' ? "\\n" : byte == '\t' ? "\\t" : "\\r");
        else if (byte == '\\')
            buffer_puts(b, "\\\\");
        else if (!length || byte < 0x20 || byte == 0x7f)
            buffer_printf(b, "\\x%02x", byte);
        else if ((cp >= 0x80 && cp < 0xa0) || (cp >= 0x2028 && cp <= 0x202e) ||
                 (cp >= 0x2066 && cp <= 0x2069))
            buffer_printf(b, "\\u%04x",
                          (unsigned)cp); /* C1 controls; line breaks and turns of direction */
        else
            buffer_add(b, text + i, (size_t)length);
        i += length ? (size_t)length : 1;
    }
}

static bool takes_colour(FILE *to)
{
    const char *refused = getenv("NO_COLOR"), *terminal = getenv("TERM");
    return !(refused && *refused) && terminal && strcmp(terminal, "dumb") != 0 &&
           isatty(fileno(to));
}

const char *style_on(FILE *to, enum style s)
{
    static const char *const escapes[] = {"\033[1m", "\033[2m", "\033[31m", "\033[32m", "\033[33m"};
    return takes_colour(to) ? escapes[s] : "";
}

const char *style_off(FILE *to)
{
    return takes_colour(to) ? "\033[0m" : "";
}
