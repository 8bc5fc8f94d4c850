/*
 * abstain_rights.h - whether the answers to a trace's questions are right, by the trace itself or by another file.
 */
#ifndef CLI_ABSTAIN_RIGHTS_H
#define CLI_ABSTAIN_RIGHTS_H

#include "cli/abstain.h"

/* *right [questions of `in`] 1, 0 or -1 unknown; mem_free it. target: null, or a trace or confidence file that says for the same
   questions, found by hash, whether the answer was right. PLUMB_INPUT: it holds none of them. */
int rights_read(const char *target, const struct abstain_input *in, int8_t **right,
                struct plumb_error *e);

#endif
