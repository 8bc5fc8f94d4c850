/*
 * name_text.c - a name out of an untrusted file, made fit for a one-line message.
 */
#include "model/name_text.h"

#include <stdint.h>
#include <string.h>

#include "base/utf8.h"

const char *name_text(const char *s, size_t n, char out[NAME_TEXT_SIZE])
{
    const size_t limit = NAME_TEXT_SIZE - 6; /* room for "...", the closing quote and NUL */
    size_t to = 0, from = 0;
    out[to++] = '\'';
    while (from < n) {
        uint32_t cp;
        const int length = utf8_decode(s + from, n - from, &cp);
        const size_t step = length > 0 ? (size_t)length : 1;
        if (to + step > limit) {
            memcpy(out + to, "...", 3);
            to += 3;
            break;
        }
        if (length == 0 || cp < 0x20 || (cp >= 0x7f && cp < 0xa0)) {
            out[to++] = '?';
        } else {
            memcpy(out + to, s + from, step);
            to += step;
        }
        from += step;
    }
    out[to++] = '\'';
    out[to] = '\0';
    return out;
}
