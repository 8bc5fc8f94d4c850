/*
 * confidence_join.h - several confidence files as one table of the same questions.
 *
 * Questions are known by their hash; the same question more than once in a file joins in order. What a file does not hold is missing.
 */
#ifndef ABSTAIN_CONFIDENCE_JOIN_H
#define ABSTAIN_CONFIDENCE_JOIN_H

#include "abstain/confidence.h"

/* Where each question of each file stands among all questions: the first file's in their order, then what others add. */
struct confidence_rows {
    size_t n;       /* all questions */
    uint32_t **row; /* [files][n of the file] */
    int files;
};
int confidence_rows_find(const struct confidence_file *files, int n, struct confidence_rows *out,
                         struct plumb_error *e);
void confidence_rows_free(struct confidence_rows *r); /* idempotent */

/* All sources of all files; a name that an earlier file has is followed by "-2", "-3", ... paths [n]: for messages. Model and task are
   those of the first file. PLUMB_INPUT: files of different models, no question in common, a question that is right in one
   and wrong in another: these judge different answers. */
int confidence_join(const struct confidence_file *files, const char *const *paths, int n,
                    struct confidence_file *out, struct plumb_error *e);

#endif
