/*
 * team.h - the threads of one caller: one piece of work, cut into as many shares as there are threads.
 *
 * Ordinarily each piece of work is a parallel region of OpenMP. Making one token runs some hundred pieces of some
 * microseconds each, and waking sleeping threads costs more than that, so a caller may gather the threads once
 * (team_gather) and they wait, awake for a while, for one piece after the other until the caller is done.
 */
#ifndef TENSOR_TEAM_H
#define TENSOR_TEAM_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>

/* Share 0 <= share < shares of a piece of work. Shares run at the same time. */
typedef void team_work(void *context, int share, int shares);

struct team {
    int threads;
    /* While gathered: */
    int gathered; /* threads here, the caller included; 0 = not gathered */
    team_work *work;
    void *context;
    atomic_int round;                 /* pieces handed out so far; wraps around */
    atomic_int running;               /* shares of the piece in hand that are not done */
    atomic_int asleep, caller_asleep; /* threads that must be woken */
    atomic_bool over;
};

void team_init(struct team *t, int threads); /* threads <= 0: as many as OpenMP would use */

/* Runs all shares and returns when they are done. Not for two callers at once. */
void team_run(struct team *t, team_work *work, void *context);

/* Calls `call` with the threads gathered: every team_run inside starts in less than a microsecond. Regions of
   OpenMP inside have one thread. */
void team_gather(struct team *t, void (*call)(void *context), void *context);

/* The part [*first, *last) of n things that is this share's: contiguous, sizes as equal as can be. */
void team_share(size_t n, int share, int shares, size_t *first, size_t *last);

#endif
