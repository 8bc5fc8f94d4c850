/*
 * judge_command.h - a command of the user's as judge of an answer. correctness.h is the door to it.
 */
#ifndef ANSWER_JUDGE_COMMAND_H
#define ANSWER_JUDGE_COMMAND_H

#include "answer/free_form.h"
#include "base/error.h"

/* Nothing of question or answer reaches the shell: both are JSON on the command's standard input. What it prints goes to
   standard error. *right: 1 (status 0) or 0 (status 1). */
int judge_command(const char *command, const struct free_question *q, const char *answer,
                  int *right, struct plumb_error *e);

#endif
