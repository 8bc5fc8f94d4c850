/*
 * preset.h - how a question becomes a prompt. The same text for both models of a pair.
 */
#ifndef TASK_PRESET_H
#define TASK_PRESET_H

#include <stdbool.h>

#include "base/buffer.h"
#include "base/error.h"
#include "task/questions.h"

enum preset_kind {
    PRESET_CLEAN, /* ends in "Answer:", scores " A", " B", ... */
    PRESET_DACA,  /* the official DACA prompt: ends in "Answer: ", scores "A", "B", ... */
    PRESET_CHAT, /* a user's message for the model's own chat template; the answer begins "Answer:" */
};

struct preset {
    enum preset_kind kind;
    const char
        *instruction; /* null = the preset's own, "" = none; {group} in it is the group's name */
    int shots;        /* examples in front of each question: the first in file order */
    const struct question_set *shots_from; /* of the same group where it knows it, else of all */
    const char *system; /* PRESET_CHAT: the system's message; null or "" = none */
    bool answers_text;  /* the answer is an option's text, not its letter: options are not listed */
};

/* The error names the known ones. */
int preset_parse(const char *name, enum preset_kind *out, struct plumb_error *e);
const char *preset_name(enum preset_kind k);

/* The part that all questions of a group share: instruction, examples. Always ends at a line break,
   so that tokenising it apart from the question gives the same ids for every question. Appends
   nothing where the instruction is "" and there are no shots. PLUMB_INPUT: too few examples in the
   group, or an example without gold. */
int preset_header(const struct preset *p, const char *group, struct buffer *out,
                  struct plumb_error *e);
/* The question's own part, up to the answer position. */
int preset_question(const struct preset *p, const struct question *q, struct buffer *out,
                    struct plumb_error *e);
/* PRESET_CHAT: header and question are the user's message, and this is how the assistant's answer begins. "" for all
   others, whose question ends in it. */
const char *preset_answer_begin(const struct preset *p);
/* The text whose single token stands for option i: " A" or "A". */
void preset_letter(const struct preset *p, int i, char out[4]);
/* The text that stands for option i behind the question where the answer is a text: " blue". */
void preset_answer_text(const struct preset *p, const struct question *q, int i,
                        struct buffer *out);
/* Everything that decides the prompt text, as a hash: kind, instruction, shots, the shots' text. */
struct hash128 preset_hash(const struct preset *p);

#endif
