/*
 * self_check_trace.h - P(True) as a trace of the options True and False: what plumb fit calibrates without labels (DACA for open
 * questions, arXiv 2505.16690, section 4.1).
 *
 * Logits: the logarithms of p(A) and p(B). Right option: True where the answer is right. An item is question and answer together, so
 * that two models are paired only where both judged the same answer. Preset: "p-true", with the hash of the wording; the chat
 * template counts apart, as it does for letters.
 */
#ifndef ANSWER_SELF_CHECK_TRACE_H
#define ANSWER_SELF_CHECK_TRACE_H

#include <stdbool.h>

#include "answer/self_check.h"
#include "answer/self_check_answers.h"

struct p_true_trace {
    const struct model *m;
    const struct self_check_answers *answers;
    const struct self_check_result *results; /* [answers->n] */
    const struct self_check_wording *wording;
    const char *fingerprint; /* of the model, 32 hexadecimal digits */
    bool chat;               /* asked through the model's own template */
};

/* Errors as trace_create and trace_finish. A finished trace of the same kind is left as it is. */
int p_true_trace_write(const struct p_true_trace *r, const char *path, struct plumb_error *e);
/* Is a finished trace of the same model, answers, wording and precision at `path`? The results are not looked at. */
bool p_true_trace_is_there(const struct p_true_trace *r, const char *path);

#endif
