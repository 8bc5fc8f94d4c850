/*
 * markup.c - escaping and numbers. Knows no HTML element; printf's "%f" follows the locale, so digits are made here.
 */
#include "report/markup.h"

#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "base/utf8.h"

/* XML 1.0, production 2, without what reorders or hides text: a name must look like what it is. */
static bool shown(uint32_t c)
{
    if (c < 0x20)
        return c == '\t' || c == '\n';
    if (c >= 0x7F && c < 0xA0)
        return false;
    if ((c >= 0x202A && c <= 0x202E) || (c >= 0x2066 && c <= 0x2069) || c == 0x200E || c == 0x200F)
        return false;
    return c != 0xFFFE && c != 0xFFFF && c != 0xFEFF && (c & 0xFFFE) != 0xFFFE;
}

void markup_text(struct buffer *out, const char *s)
{
    size_t left = s ? strlen(s) : 0;
    while (left > 0) {
        uint32_t c;
        int n = utf8_decode(s, left, &c);
        if (n == 0 || !shown(c))
            buffer_puts(out, "\xEF\xBF\xBD");
        else if (c == '&')
            buffer_puts(out, "&amp;");
        else if (c == '<')
            buffer_puts(out, "&lt;");
        else if (c == '>')
            buffer_puts(out, "&gt;");
        else if (c == '"')
            buffer_puts(out, "&quot;");
        else if (c == '\'')
            buffer_puts(out, "&#39;");
        else
            buffer_add(out, s, (size_t)n);
        const size_t step = n == 0 ? 1 : (size_t)n;
        s += step;
        left -= step;
    }
}

void markup_coordinate(struct buffer *out, double v)
{
    if (!isfinite(v) || fabs(v) > 1e12)
        v = 0;
    long long hundredths = llround(v * 100);
    if (hundredths < 0) {
        buffer_putc(out, '-');
        hundredths = -hundredths;
    }
    buffer_printf(out, "%lld", hundredths / 100);
    const int rest = (int)(hundredths % 100);
    if (rest % 10 != 0)
        buffer_printf(out, ".%02d", rest);
    else if (rest != 0)
        buffer_printf(out, ".%d", rest / 10);
}

static const double powers[] = {1, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9};

/* NaN and infinities; true if `v` was one of them. */
static bool no_number(double v, char out[NUMBER_TEXT])
{
    if (isfinite(v))
        return false;
    snprintf(out, NUMBER_TEXT, "%s", isnan(v) ? "–" : v > 0 ? "∞" : "-∞");
    return true;
}

const char *number_fixed(double v, int decimals, char out[NUMBER_TEXT])
{
    if (no_number(v, out))
        return out;
    decimals = decimals < 0 ? 0 : decimals > 9 ? 9 : decimals;
    if (fabs(v) * powers[decimals] >= 1e15)
        return number_short(v, 6, out);
    const long long scaled = llround(fabs(v) * powers[decimals]);
    const long long unit = (long long)powers[decimals];
    const char *sign = v < 0 && scaled != 0 ? "-" : "";
    if (decimals == 0)
        snprintf(out, NUMBER_TEXT, "%s%lld", sign, scaled);
    else
        snprintf(out, NUMBER_TEXT, "%s%lld.%0*lld", sign, scaled / unit, decimals, scaled % unit);
    return out;
}

static void strip_zeros(char *s)
{
    if (!strchr(s, '.'))
        return;
    size_t n = strlen(s);
    while (s[n - 1] == '0')
        s[--n] = '\0';
    if (s[n - 1] == '.')
        s[n - 1] = '\0';
}

const char *number_short(double v, int digits, char out[NUMBER_TEXT])
{
    if (no_number(v, out))
        return out;
    if (v == 0) {
        snprintf(out, NUMBER_TEXT, "0");
        return out;
    }
    digits = digits < 1 ? 1 : digits > 9 ? 9 : digits;
    int exponent = (int)floor(log10(fabs(v)));
    if (exponent >= -4 && exponent < 9) {
        int decimals = digits - 1 - exponent;
        number_fixed(v, decimals < 0 ? 0 : decimals, out);
        strip_zeros(out);
        return out;
    }
    double mantissa = fabs(v) * pow(10, -exponent);
    if (!isfinite(mantissa) || mantissa == 0) /* 10^-exponent overflows for denormals */
        mantissa = fabs(v) * 1e300 * pow(10, -exponent - 300);
    if (llround(mantissa * powers[digits - 1]) >= 10 * (long long)powers[digits - 1]) {
        mantissa /= 10;
        exponent++;
    }
    char text[NUMBER_TEXT];
    number_fixed(mantissa, digits - 1, text);
    strip_zeros(text);
    snprintf(out, NUMBER_TEXT, "%s%.30se%+03d", v < 0 ? "-" : "", text, exponent);
    return out;
}

const char *number_count(size_t v, char out[NUMBER_TEXT])
{
    char digits[24];
    const int n = snprintf(digits, sizeof digits, "%zu", v);
    int at = 0;
    for (int i = 0; i < n; i++) {
        if (i > 0 && (n - i) % 3 == 0)
            out[at++] = ',';
        out[at++] = digits[i];
    }
    out[at] = '\0';
    return out;
}

const char *number_compact(double v, char out[NUMBER_TEXT])
{
    static const char units[] = {0, 'k', 'M', 'G'};
    int unit = 0;
    while (fabs(v) >= 999.5 && unit < 3) {
        v /= 1000;
        unit++;
    }
    char text[NUMBER_TEXT];
    number_fixed(v, unit > 0 && fabs(v) < 9.95 ? 1 : 0, text);
    snprintf(out, NUMBER_TEXT, unit > 0 ? "%.40s%c" : "%.40s", text, units[unit]);
    return out;
}

const char *number_percent(double v, int decimals, char out[NUMBER_TEXT])
{
    char text[NUMBER_TEXT];
    number_fixed(v * 100, decimals, text);
    snprintf(out, NUMBER_TEXT, isfinite(v) ? "%.40s %%" : "%.40s", text);
    return out;
}

size_t markup_columns(const char *s)
{
    size_t n = 0;
    for (; *s; s++)
        n += ((unsigned char)*s & 0xC0) != 0x80;
    return n;
}

size_t markup_cut(const char *s, size_t columns)
{
    size_t n = 0, at = 0;
    for (; s[at]; at++)
        if (((unsigned char)s[at] & 0xC0) != 0x80 && n++ == columns)
            break;
    return at;
}
