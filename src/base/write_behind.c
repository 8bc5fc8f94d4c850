/*
 * write_behind.c - see write_behind.h. Two threads, for a disk takes bytes in two steps. Linux's sync_file_range begins to hand dirty
 * pages over and waits for none; it finds them by their marks, so that asking for the whole file again costs little.
 * fdatasync has the disk empty its own cache, which takes as long again: done once at the end, all would wait for it.
 */
#include "base/write_behind.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <unistd.h>

#include "base/memory.h"

/* One thread: sleeps until enough was written, then does its part to that file. */
struct carrier {
    int (*carry)(int fd); /* errno, or 0 */
    size_t window;        /* bytes that are enough */
    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t more;
    int fd; /* to be carried next; -1: nothing */
    bool ends;
    int failure;            /* the first one's errno */
    _Atomic size_t waiting; /* bytes since the last time */
};

enum { HAND_OVER, MAKE_LAST, CARRIERS };
struct write_behind {
    struct carrier carriers[CARRIERS];
    int n; /* started */
};

static int hand_over(int fd)
{
    (void)sync_file_range(
        fd, 0, 0, SYNC_FILE_RANGE_WRITE); /* a hint: it waits for nothing, so it knows nothing */
    return 0;
}

static int make_last(int fd)
{
    return fdatasync(fd) == 0 ? 0 : errno;
}

static void *run(void *user)
{
    struct carrier *c = user;
    pthread_mutex_lock(&c->lock);
    for (;;) {
        while (c->fd < 0 && !c->ends)
            pthread_cond_wait(&c->more, &c->lock);
        if (c->fd < 0)
            break; /* the end, and nothing is left to do */
        const int fd = c->fd;
        c->fd = -1;
        pthread_mutex_unlock(&c->lock);
        const int failure = c->carry(fd);
        pthread_mutex_lock(&c->lock);
        c->failure = c->failure ? c->failure : failure;
    }
    pthread_mutex_unlock(&c->lock);
    return NULL;
}

static bool start(struct carrier *c, int (*carry)(int fd), size_t window)
{
    c->carry = carry;
    c->window = window;
    c->fd = -1;
    pthread_mutex_init(&c->lock, NULL);
    pthread_cond_init(&c->more, NULL);
    if (pthread_create(&c->thread, NULL, run, c) == 0)
        return true;
    pthread_cond_destroy(&c->more);
    pthread_mutex_destroy(&c->lock);
    return false;
}

struct write_behind *write_behind_create(void)
{
    static const struct {
        int (*carry)(int fd);
        size_t window;
    } kinds[CARRIERS] = {
        [HAND_OVER] = {hand_over, 8u << 20}, /* long runs, and the disk busy from early on */
        [MAKE_LAST] = {make_last, 64u << 20},
    };
    struct write_behind *w = mem_zalloc(1, sizeof *w);
    if (!w)
        return NULL;
    while (w->n < CARRIERS && start(&w->carriers[w->n], kinds[w->n].carry, kinds[w->n].window))
        w->n++;
    return w;
}

void write_behind_note(struct write_behind *w, int fd, size_t n)
{
    for (int i = 0; w && i < w->n; i++) {
        struct carrier *c = &w->carriers[i];
        if (atomic_fetch_add(&c->waiting, n) + n < c->window)
            continue;
        atomic_store(&c->waiting, 0); /* a byte more or less does not matter */
        pthread_mutex_lock(&c->lock);
        c->fd = fd;
        pthread_cond_signal(&c->more);
        pthread_mutex_unlock(&c->lock);
    }
}

int write_behind_destroy(struct write_behind *w)
{
    int failure = 0;
    for (int i = 0; w && i < w->n; i++) {
        struct carrier *c = &w->carriers[i];
        pthread_mutex_lock(&c->lock);
        c->ends = true;
        pthread_cond_signal(&c->more);
        pthread_mutex_unlock(&c->lock);
        pthread_join(c->thread, NULL);
        failure = failure ? failure : c->failure;
        pthread_cond_destroy(&c->more);
        pthread_mutex_destroy(&c->lock);
    }
    mem_free(w);
    return failure;
}
