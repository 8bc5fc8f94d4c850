/*
 * plumb.h - the public C interface of plumb.
 */
#ifndef PLUMB_H
#define PLUMB_H

#ifdef __cplusplus
extern "C" {
#endif

#if defined(__GNUC__)
#define PLUMB_API __attribute__((visibility("default")))
#else
#define PLUMB_API
#endif

/* What every function that can fail returns; the same numbers are the program's exit statuses. */
enum plumb_status {
    PLUMB_OK = 0,      /* done */
    PLUMB_NO = 1,      /* done, but the answer is no: a check failed, nothing could be guaranteed */
    PLUMB_INPUT = 2,   /* what the user gave is wrong: a file, an option, a question */
    PLUMB_MACHINE = 3, /* the machine failed: disk, memory, network */
};

/* Filled by a function that returns anything but PLUMB_OK. One line: what, where, expected, what to do. */
struct plumb_error {
    int code; /* enum plumb_status */
    char message[1024];
};

/* "0.1.0". Never null, lives for ever. */
PLUMB_API const char *plumb_version(void);

#ifdef __cplusplus
}
#endif
#endif
