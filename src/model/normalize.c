/*
 * normalize.c - rewriting a text before it is cut: the four Unicode normal forms, lower case, stripping, prepending,
 * replacing.
 *
 * utf8proc gives the data of the normal forms. Its own canonical ordering is quadratic in a run of combining marks, so
 * the ordering is done here, by counting.
 */
#include "model/tokenizer_private.h"

#include <string.h>

#include <utf8proc.h>

#include "base/memory.h"
#include "base/size.h"
#include "base/utf8.h"

bool text_is_space(uint32_t c)
{
    return (c >= 9 && c <= 13) || c == 0x20 || c == 0x85 || c == 0xA0 || c == 0x1680 ||
           (c >= 0x2000 && c <= 0x200A) || c == 0x2028 || c == 0x2029 || c == 0x202F ||
           c == 0x205F || c == 0x3000;
}

/* ---- normal forms ---- */

static int reserve_code_points(struct encode_scratch *scratch, size_t count, struct plumb_error *e)
{
    if (count <= scratch->code_point_capacity)
        return PLUMB_OK;
    size_t wanted;
    int32_t *larger = size_mul(count, 2, &wanted)
                          ? mem_resize(scratch->code_points, wanted, sizeof *larger)
                          : NULL;
    if (!larger)
        return error_memory(e, "normalising a text");
    scratch->code_points = larger;
    scratch->code_point_capacity = wanted;
    return PLUMB_OK;
}

static unsigned combining_class(int32_t c)
{
    return c < 0x300 ? 0 : (unsigned)(uint16_t)utf8proc_get_property(c)->combining_class;
}

/* Sorts every run of combining marks by class, keeping the order within a class. */
static int order_marks(int32_t *c, size_t n, struct plumb_error *e)
{
    for (size_t i = 0; i < n;) {
        if (combining_class(c[i]) == 0) {
            i++;
            continue;
        }
        size_t end = i;
        bool sorted = true;
        unsigned last = 0;
        for (unsigned class; end < n && (class = combining_class(c[end])) != 0; end++) {
            sorted = sorted && class >= last;
            last = class;
        }
        if (!sorted) {
            size_t place[257] = {0};
            int32_t *copy = mem_array(end - i, sizeof *copy);
            if (!copy)
                return error_memory(e, "normalising a text");
            memcpy(copy, c + i, (end - i) * sizeof *copy);
            for (size_t k = 0; k < end - i; k++)
                place[(combining_class(copy[k]) & 255) + 1]++;
            for (unsigned class = 1; class < 257; class ++)
                place[class] += place[class - 1];
            for (size_t k = 0; k < end - i; k++)
                c[i + place[combining_class(copy[k]) & 255]++] = copy[k];
            mem_free(copy);
        }
        i = end;
    }
    return PLUMB_OK;
}

static int normal_form(struct encode_scratch *scratch, bool compatible, bool compose,
                       const char *text, size_t n, struct buffer *out, struct plumb_error *e)
{
    enum { LONGEST = 32 }; /* code points that one can decompose into: 18 at most */
    int options = UTF8PROC_STABLE | (compose ? UTF8PROC_COMPOSE : UTF8PROC_DECOMPOSE);
    if (compatible)
        options |= UTF8PROC_COMPAT;
    size_t count = 0;
    for (size_t at = 0; at < n;) {
        uint32_t c;
        int length = utf8_decode(text + at, n - at, &c);
        at += length > 0 ? (size_t)length : 1;
        int status = reserve_code_points(scratch, count + LONGEST, e);
        if (status)
            return status;
        int boundary = 0;
        utf8proc_ssize_t made =
            utf8proc_decompose_char((utf8proc_int32_t)c, scratch->code_points + count, LONGEST,
                                    (utf8proc_option_t)options, &boundary);
        if (made < 0 || made > LONGEST)
            return error_set(e, PLUMB_INPUT, "code point U+%04X cannot be normalised", c);
        count += (size_t)made;
    }
    int status = order_marks(scratch->code_points, count, e);
    if (status)
        return status;
    if (compose)
        count = (size_t)utf8proc_normalize_utf32(scratch->code_points, (utf8proc_ssize_t)count,
                                                 UTF8PROC_STABLE | UTF8PROC_COMPOSE);
    for (size_t i = 0; i < count; i++)
        buffer_utf8(out, (uint32_t)scratch->code_points[i]);
    return PLUMB_OK;
}

/* The first character from `at` on that is at or above U+0300, where combining marks begin. */
static size_t find_high(const char *text, size_t n, size_t at)
{
    while (at < n &&
           (unsigned char)text[at] < 0xCC) /* 0xCC leads U+0300; continuation bytes are smaller */
        at++;
    return at;
}

static size_t find_low(const char *text, size_t n, size_t at)
{
    while (at < n && ((unsigned char)text[at] >= 0xCC || ((unsigned char)text[at] & 0xC0) == 0x80))
        at++;
    return at;
}

/* NFC leaves characters below U+0300 as they are unless a higher one follows: only runs of higher ones, each with the
   character before it, are worked on. */
static int compose_runs(struct encode_scratch *scratch, const char *text, size_t n,
                        struct buffer *out, struct plumb_error *e)
{
    size_t done = 0;
    for (size_t high; (high = find_high(text, n, done)) < n;) {
        size_t base = high;
        if (base > done)
            base--;
        while (base > done && ((unsigned char)text[base] & 0xC0) == 0x80)
            base--;
        buffer_add(out, text + done, base - done);
        done = find_low(text, n, high);
        int status = normal_form(scratch, false, true, text + base, done - base, out, e);
        if (status)
            return status;
    }
    buffer_add(out, text + done, n - done);
    return PLUMB_OK;
}

/* No character from U+0300 on, where marks begin: then NFC changes nothing. */
static bool below_marks(const char *text, size_t n)
{
    return find_high(text, n, 0) == n;
}

static bool is_ascii(const char *text, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if ((unsigned char)text[i] >= 0x80)
            return false;
    return true;
}

/* ---- the others ---- */

static void lower(const char *text, size_t n, struct buffer *out)
{
    for (size_t at = 0; at < n;) {
        uint32_t c;
        int length = utf8_decode(text + at, n - at, &c);
        at += length > 0 ? (size_t)length : 1;
        if (c == 0x130) /* the only lower case of two code points: i and a dot above */
            buffer_puts(out, "i\xCC\x87");
        else
            buffer_utf8(out, (uint32_t)utf8proc_tolower((utf8proc_int32_t)c));
    }
}

static void strip(const struct normalizer *z, const char **text, size_t *n)
{
    uint32_t c;
    for (int length; z->left && *n; *text += length, *n -= (size_t)length) {
        length = utf8_decode(*text, *n, &c);
        if (!length || !text_is_space(c))
            break;
    }
    while (z->right && *n) {
        size_t start = *n - 1;
        while (start > 0 && ((unsigned char)(*text)[start] & 0xC0) == 0x80)
            start--;
        utf8_decode(*text + start, *n - start, &c);
        if (!text_is_space(c))
            break;
        *n = start;
    }
}

static int replace(const struct normalizer *z, struct encode_scratch *scratch, const char *text,
                   size_t n, struct buffer *out, struct plumb_error *e)
{
    struct pattern_scan scan = pattern_scan_start(z->pattern, text, n);
    size_t last = 0;
    for (;;) {
        size_t start, end;
        bool found;
        int status = pattern_scan_next(&scan, scratch->matcher, &start, &end, &found, e);
        if (status)
            return status;
        if (!found)
            break;
        buffer_add(out, text + last, start - last);
        buffer_add(out, z->text, z->size);
        last = end;
    }
    buffer_add(out, text + last, n - last);
    return PLUMB_OK;
}

/* Does the normalizer leave this text as it is, seen at a glance? */
static bool changes_nothing(const struct normalizer *z, const char *text, size_t n)
{
    switch (z->kind) {
    case NORMALIZE_NFC:
        return below_marks(text, n);
    case NORMALIZE_NFD:
    case NORMALIZE_NFKC:
    case NORMALIZE_NFKD:
        return is_ascii(text, n);
    default:
        return n == 0;
    }
}

int normalizers_run(const struct normalizer *list, size_t count, struct encode_scratch *scratch,
                    const char *text, size_t n, const char **out, size_t *out_size,
                    struct plumb_error *e)
{
    unsigned next = 0;
    for (size_t i = 0; i < count; i++) {
        const struct normalizer *z = &list[i];
        if (changes_nothing(z, text, n))
            continue;
        if (z->kind == NORMALIZE_STRIP) {
            strip(z, &text, &n);
            continue;
        }
        struct buffer *to = &scratch->normal[next];
        buffer_clear(to);
        int status = PLUMB_OK;
        switch (z->kind) {
        case NORMALIZE_NFC:
            status = compose_runs(scratch, text, n, to, e);
            break;
        case NORMALIZE_NFD:
        case NORMALIZE_NFKC:
        case NORMALIZE_NFKD:
            status = normal_form(scratch, z->kind != NORMALIZE_NFD, z->kind == NORMALIZE_NFKC, text,
                                 n, to, e);
            break;
        case NORMALIZE_LOWERCASE:
            lower(text, n, to);
            break;
        case NORMALIZE_PREPEND:
            buffer_add(to, z->text, z->size);
            buffer_add(to, text, n);
            break;
        case NORMALIZE_REPLACE:
            status = replace(z, scratch, text, n, to, e);
            break;
        case NORMALIZE_STRIP:
            break;
        }
        if (status)
            return status;
        if (to->failed)
            return error_memory(e, "normalising a text");
        text = buffer_string(to);
        n = to->size;
        next = 1 - next;
    }
    *out = text;
    *out_size = n;
    return PLUMB_OK;
}
