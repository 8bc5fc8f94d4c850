/*
 * pair.h - a base model and the model made from it by post-training, on the same questions: what every label-free
 * calibrator reads.
 *
 * Knows traces and one CSV; knows nothing of calibrators. Rows are in the post-trained model's order.
 */
#ifndef CALIBRATE_PAIR_H
#define CALIBRATE_PAIR_H

#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "base/memory.h"

/* Where one model's logits come from. "" where it is not known (a CSV). */
struct pair_model {
    const char *name, *fingerprint, *architecture, *tokenizer_hash, *precision;
};

struct pair {
    size_t n;   /* questions, at least 1 */
    int k;      /* most options of any question, 2 to 26 */
    int layers; /* L decoder blocks whose lens both models have; 0 = none */

    double *base, *post; /* [n, k] final option logits; -inf behind a question's last option */
    float *base_lens, *post_lens; /* [n, L, k]; null where layers is 0 */
    double *
        cape; /* [n, k] probabilities averaged over option orders; null: pair_read_permuted was not called */
    int cape_orders;           /* how many orders; 0 without */
    int32_t *options;          /* [n] 2..k */
    int32_t *label;            /* [n] index of the right option, -1 unknown */
    int32_t *group;            /* [n] index into groups */
    const char *const *groups; /* [n_groups]; at least one */
    int n_groups;

    /* Worked out from the logits; ties take the first letter. */
    int32_t *base_choice, *post_choice; /* [n] */
    uint8_t *agree;                     /* [n] base_choice == post_choice */
    size_t agreeing, labelled;
    size_t base_ties, post_ties; /* questions with several largest logits */

    struct pair_model base_model, post_model;
    const char *name; /* of the file or task, for messages */
    const char *task, *task_hash, *preset, *preset_hash, *score;
    struct arena *arena; /* owns all of it */
};

/* From arrays, which are copied: base, post [n, k]; options, label, group may be null (k options each, unknown, one
   group). PLUMB_INPUT, naming row and model: no rows, fewer than 2 or more than 26 options, a label out of range, a logit
   that is not a number. Lenses (both or none) are [n, layers, k]. */
struct pair_arrays {
    size_t n;
    int k, layers;
    const double *base, *post;
    const float *base_lens, *post_lens;
    const int32_t *options, *label, *group;
    const char *const *groups;
    int n_groups;
};
int pair_create(const struct pair_arrays *a, const char *name, struct pair *out,
                struct plumb_error *e);
void pair_free(struct pair *p);

/* Two traces of the same questions (matched by the hash of their texts, whatever their order), recorded in the same
   preset and score. The lens is taken where both have one of equally many layers. PLUMB_INPUT says what differs. */
int pair_read_traces(const char *base, const char *post, struct pair *out, struct plumb_error *e);
/* Adds CAPE to a pair whose post-trained trace is `post`: the traces of the same model and questions with the options in
   other orders (`plumb trace --permute`). PLUMB_INPUT: another model, preset or task, an order given twice, texts scored. */
int pair_read_permuted(const char *post, const char *const *permuted, size_t n, struct pair *p,
                       struct plumb_error *e);
/* A table of recorded logits: subject,index,gold,base_A,...,post_A,...; gold is a letter or empty; empty cells behind a
   question's last option. PLUMB_INPUT names the line. */
int pair_read_csv(const char *path, struct pair *out, struct plumb_error *e);
/* The same from n bytes in memory; `what` stands for the file's name. */
int pair_parse_csv(const char *text, size_t n, const char *what, struct pair *out,
                   struct plumb_error *e);

/* The given rows in the given order; n at least 1. Shares the names with p, which must outlive it. */
int pair_select(const struct pair *p, const uint32_t *rows, size_t n, struct pair *out,
                struct plumb_error *e);

/* Row i of a [n, k] array. */
static inline const double *pair_row(const struct pair *p, const double *logits, size_t i)
{
    return logits + i * (size_t)p->k;
}

#endif
