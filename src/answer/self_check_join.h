/*
 * self_check_join.h - the answers of a file and what the model says about them, in one file.
 */
#ifndef ANSWER_SELF_CHECK_JOIN_H
#define ANSWER_SELF_CHECK_JOIN_H

#include "abstain/confidence.h"
#include "answer/self_check.h"

/* Asks the model about every answer in `path`, which answers_record has just written or found finished, and writes the file
   again with both kinds of sources; what a question says beside its confidences grows by "said" and "reasoning". *file is the
   content of `path` without self-checks, and then with them. While it runs, what is done stands in PATH.check.partial, from
   which the same call goes on. A file that has these self-checks already is left as it is. Errors as self_check_record. */
int self_check_join(struct model *m, const struct self_check_options *o, const char *path,
                    struct confidence_file *file, struct plumb_error *e);

#endif
