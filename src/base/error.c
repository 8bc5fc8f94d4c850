/*
 * error.c - formats the one line that says why something failed.
 *
 * Messages quote file names and file contents, which are hostile: control characters are replaced,
 * so that a message stays one line and cannot drive a terminal; a message that is too long ends in
 * "..." and never inside a character.
 */
#define BASE_ERROR_HERE
#include "base/error.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

/* Makes text[0..size) one printable line; `cut` says that the text goes on behind its end. */
static void message_clean(char *text, size_t size, int cut)
{
    size_t n = strlen(text);
    if (cut && size > 4) {
        if (n > size - 4)
            n = size - 4;
        while (n > 0 && ((unsigned char)text[n] & 0xC0) == 0x80)
            n--; /* not between the bytes of one character */
        memcpy(text + n, "...", 4);
        n += 3;
    }
    for (size_t i = 0; i < n; i++)
        if ((unsigned char)text[i] < 0x20 || text[i] == 0x7F)
            text[i] = '?';
}

int error_set(struct plumb_error *e, int code, const char *format, ...)
{
    if (!e)
        return code;
    char text[sizeof e->message]; /* the arguments may point into e->message */
    va_list arguments;
    va_start(arguments, format);
    int n = vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    if (n < 0)
        snprintf(text, sizeof text, "%s", format);
    message_clean(text, sizeof text, n >= (int)sizeof text);
    memcpy(e->message, text, strlen(text) + 1);
    e->code = code;
    return code;
}

int error_prefix(struct plumb_error *e, const char *format, ...)
{
    if (!e)
        return PLUMB_INPUT; /* the code is lost with the message; what the user gave is the usual
                               reason */
    char context[sizeof e->message];
    va_list arguments;
    va_start(arguments, format);
    int n = vsnprintf(context, sizeof context, format, arguments);
    va_end(arguments);
    if (n < 0)
        snprintf(context, sizeof context, "%s", format);
    return error_set(e, e->code, "%s: %s", context, e->message);
}

int error_memory(struct plumb_error *e, const char *what)
{
    return error_set(e, PLUMB_MACHINE,
                     "out of memory for %s: close other programs, or give this one more memory",
                     what);
}

/* Is this the user's to repair (a wrong name, a missing right), or the machine's? */
static int system_code(int errno_value)
{
    switch (errno_value) {
    case ENOENT:
    case EACCES:
    case EPERM:
    case EISDIR:
    case ENOTDIR:
    case ELOOP:
    case ENAMETOOLONG:
    case EROFS:
    case EEXIST:
    case ENOTEMPTY:
    case EXDEV:
    case ENXIO:
    case ENODEV:
    case EINVAL:
    case ETXTBSY:
        return PLUMB_INPUT;
    default:
        return PLUMB_MACHINE;
    }
}

int error_system(struct plumb_error *e, int errno_value, const char *doing, const char *path)
{
    char reason[128];
    const char *text = strerror_r(errno_value, reason, sizeof reason); /* the GNU form */
    return error_set(e, system_code(errno_value), "cannot %s %s: %s", doing, path, text);
}
