/*
 * progress.c - hands a job's progress to whoever wants to see it.
 */
#include "base/progress.h"

#include <time.h>

bool progress_report(const struct progress *p, size_t done, size_t total, const char *unit,
                     const char *rate_note)
{
    if (!p || !p->report)
        return true;
    return p->report(p->user, done, total, unit, rate_note);
}

double clock_seconds(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}
