/*
 * progress.h - one line on a terminal that says how far, how fast and how long still. Callbacks only: the library
 * itself never prints. The command line gives a callback that draws; a library user may give none.
 */
#ifndef BASE_PROGRESS_H
#define BASE_PROGRESS_H

#include <stdbool.h>
#include <stddef.h>

struct progress {
    /* done of total units; `rate_note` is a short remark ("61 % of peak") or null. Return false to stop the job. */
    bool (*report)(void *user, size_t done, size_t total, const char *unit, const char *rate_note);
    void *user;
};

/* false when the job is asked to stop; a null p, or no callback, goes on. */
bool progress_report(const struct progress *p, size_t done, size_t total, const char *unit,
                     const char *rate_note);

double clock_seconds(void); /* monotonic */

#endif
