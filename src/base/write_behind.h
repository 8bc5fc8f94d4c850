/*
 * write_behind.h - threads that have the system carry what was written to the disk while more is still being made.
 *
 * Whoever ends with fsync waits for the disk then; with this, most of it is there by that time. It changes when bytes
 * arrive, never which; without the threads all is as it would be anyway.
 */
#ifndef BASE_WRITE_BEHIND_H
#define BASE_WRITE_BEHIND_H

#include <stddef.h>

struct write_behind;

/* Null where memory is short: then nothing is carried early. */
struct write_behind *write_behind_create(void);
/* n bytes were written to fd; called by many threads at once. Now and then the threads begin to carry what fd has. fd
   must stay open until the end. A null w is fine. */
void write_behind_note(struct write_behind *w, int fd, size_t n);
/* Waits for what the threads have begun. Returns 0, or the errno of the first failure to write, which the system tells
   only once: a later fsync may not know of it. Null is fine. */
int write_behind_destroy(struct write_behind *w);

#endif
