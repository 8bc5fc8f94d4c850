/*
 * team.c - a parallel region for each piece of work, or one region in which threads spin between the pieces.
 *
 * A gathered thread watches the count of rounds. The caller writes the piece, raises the count, does its own share and
 * waits until no share is running. Whoever has waited in vain for some ten microseconds sleeps until it is woken: on a
 * machine with more busy threads than cores the thread that is waited for may need that very core.
 */
#include "tensor/team.h"

#include <omp.h>
#ifdef __linux__
#include <linux/futex.h>
#include <sys/syscall.h>
#include <unistd.h>
#else
#include <sched.h>
#endif

enum { LOOKS = 2000 }; /* some ten microseconds */

static inline void pause_a_little(void)
{
#if defined(__x86_64__)
    __builtin_ia32_pause();
#endif
}

/* Sleeps while *word is `value`; may return early. */
static void sleep_while(atomic_int *word, int value)
{
#ifdef __linux__
    syscall(SYS_futex, word, FUTEX_WAIT_PRIVATE, value, NULL, NULL, 0);
#else
    (void)word;
    (void)value;
    sched_yield();
#endif
}

static void wake_all(atomic_int *word)
{
#ifdef __linux__
    syscall(SYS_futex, word, FUTEX_WAKE_PRIVATE, 1 << 20, NULL, NULL, 0);
#else
    (void)word;
#endif
}

/* Returns when *word is no longer `value`. `asleep` counts who must be woken: it is raised before the word is looked at
   again, and the other side changes the word before it looks at the count, so one of them sees the other. */
static int wait_for_change(atomic_int *word, int value, atomic_int *asleep)
{
    int now;
    for (int looks = 0; looks < LOOKS; looks++) {
        if ((now = atomic_load_explicit(word, memory_order_acquire)) != value)
            return now;
        pause_a_little();
    }
    atomic_fetch_add(asleep, 1);
    while ((now = atomic_load(word)) == value)
        sleep_while(word, value);
    atomic_fetch_sub(asleep, 1);
    return now;
}

void team_init(struct team *t, int threads)
{
    *t = (struct team){.threads = threads > 0 ? threads : omp_get_max_threads()};
}

void team_share(size_t n, int share, int shares, size_t *first, size_t *last)
{
    const size_t each = n / (size_t)shares, more = n % (size_t)shares, i = (size_t)share;
    *first = i * each + (i < more ? i : more);
    *last = *first + each + (i < more ? 1 : 0);
}

static void start_round(struct team *t)
{
    atomic_fetch_add(&t->round, 1);
    if (atomic_load(&t->asleep) > 0)
        wake_all(&t->round);
}

void team_run(struct team *t, team_work *work, void *context)
{
    if (t->threads == 1) {
        work(context, 0, 1);
        return;
    }
    if (!t->gathered) {
#pragma omp parallel num_threads(t->threads)
        work(context, omp_get_thread_num(), omp_get_num_threads());
        return;
    }
    t->work = work;
    t->context = context;
    atomic_store(&t->running, t->gathered - 1);
    start_round(t);
    work(context, 0, t->gathered);
    for (int left = atomic_load(&t->running); left > 0;)
        left = wait_for_change(&t->running, left, &t->caller_asleep);
}

static void serve(struct team *t, int share, int shares, int seen)
{
    for (;;) {
        wait_for_change(&t->round, seen, &t->asleep);
        seen = (int)((unsigned)seen + 1);
        if (atomic_load(&t->over))
            return;
        t->work(t->context, share, shares);
        if (atomic_fetch_sub(&t->running, 1) == 1 && atomic_load(&t->caller_asleep) > 0)
            wake_all(&t->running);
    }
}

void team_gather(struct team *t, void (*call)(void *context), void *context)
{
    if (t->threads == 1 || t->gathered) {
        call(context);
        return;
    }
    atomic_store(&t->over, false);
    const int seen = atomic_load(&t->round);
#pragma omp parallel num_threads(t->threads)
    {
        const int thread = omp_get_thread_num(), threads = omp_get_num_threads();
        if (thread == 0) {
            t->gathered = threads;
            call(context);
            t->gathered = 0;
            atomic_store(&t->over, true);
            start_round(t);
        } else {
            serve(t, thread, threads, seen);
        }
    }
}
