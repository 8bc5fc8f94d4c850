/*
 * self_check_record.h - a self-check as a file: a run that can be stopped and goes on, a confidence file at its end, and P(True) as
 * a trace of two options for calibrating without labels.
 */
#ifndef ANSWER_SELF_CHECK_RECORD_H
#define ANSWER_SELF_CHECK_RECORD_H

#include <stddef.h>

#include "abstain/confidence.h"
#include "answer/self_check.h"
#include "answer/self_check_answers.h"

struct self_check_record_report {
    size_t resumed; /* questions that earlier runs had done */
    bool chat;
    double seconds;
};

/* Asks the model about every answer. What is done stands in PATH.partial, from which the same call goes on; at the end the
 * confidence file is written to `path` and the .partial removed. A finished file of the same call is left as it is. *out is that file's content,
 * to be freed. `o->batch_done` is not used.
 *
 * The sources are those wanted, in their order; each one's details count what is missing and what it cost. A question's members
 * besides those of every confidence file: "question", "answer", "said" (what the model wrote for each source) and "reasoning".
 *
 * trace, or null: a trace of the options True and False with the logarithms of p(A) and p(B) as logits, so that plumb fit
 * calibrates one model's P(True) against another's (DACA for open questions, arXiv 2505.16690, section 4.1). The right option
 * is whether the answer is right, where that is known. Needs P(True) among the sources.
 *
 * PLUMB_INPUT: a .partial of another call; PLUMB_NO: progress asked to stop. */
int self_check_record(struct model *m, const struct self_check_answers *answers,
                      const struct self_check_options *o, const char *path, const char *trace,
                      struct confidence_file *out, struct self_check_record_report *report,
                      struct plumb_error *e);

/* Does the confidence file at `path` hold the self-checks that this call would make? Then *out is its content, to be freed. */
bool self_check_is_in(struct model *m, const struct self_check_answers *answers,
                      const struct self_check_options *o, const char *path,
                      struct confidence_file *out);

#endif
