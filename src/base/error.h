/*
 * error.h - how a function says why it failed.
 *
 * A function that can fail for a reason outside the program returns an enum plumb_status and fills
 * struct plumb_error. Every function here accepts a null error and then keeps only the status.
 */
#ifndef BASE_ERROR_H
#define BASE_ERROR_H

#include "plumb.h"

/* Formats the message, sets the code and returns it: `return error_set(e, PLUMB_INPUT, ...)`. */
int error_set(struct plumb_error *e, int code, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* Puts "CONTEXT: " before the message that is already there; returns the code that is there. */
int error_prefix(struct plumb_error *e, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* PLUMB_MACHINE: no memory for `what` (a noun phrase: "the merge table"). */
int error_memory(struct plumb_error *e, const char *what);

/* PLUMB_INPUT for ENOENT, EACCES, EISDIR, ENOTDIR and the like, PLUMB_MACHINE for ENOSPC, EIO ...; names path,
   `doing` ("open", "write") and strerror(errno_value). */
int error_system(struct plumb_error *e, int errno_value, const char *doing, const char *path);

/* An analyser sees one file at a time and would follow paths on which a failure returns PLUMB_OK. */
#if defined(__clang_analyzer__) && !defined(BASE_ERROR_HERE)
#define ERROR_NEVER_OK(call)                                                                       \
    __extension__({                                                                                \
        int never_ok = call;                                                                       \
        if (never_ok == PLUMB_OK)                                                                  \
            __builtin_unreachable();                                                               \
        never_ok;                                                                                  \
    })
#define error_set(...) ERROR_NEVER_OK(error_set(__VA_ARGS__))
#define error_prefix(...) ERROR_NEVER_OK(error_prefix(__VA_ARGS__))
#define error_memory(...) ERROR_NEVER_OK(error_memory(__VA_ARGS__))
#define error_system(...) ERROR_NEVER_OK(error_system(__VA_ARGS__))
#endif

#endif
