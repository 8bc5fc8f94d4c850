/*
 * words.h - a probability in words, from one table at a time, with the number beside the word; three bands of answering; and what a
 * system says when it declines.
 *
 *   ICD 203  Intelligence Community Directive 203: seven terms over 1 to 99 %
 *   IPCC     AR4 with the extra terms of AR5. Its ranges overlap: the narrowest that holds the probability is taken
 *   Kent     Sherman Kent 1964: five terms with margins; "certain" and "impossible" for exactly 1 and 0. The nearest term in a gap
 *
 * Knows nothing of how the probability was made. A number that was not calibrated must not be put into words (HAX, Apple's
 * guidelines): that is the caller's to see to.
 */
#ifndef ABSTAIN_WORDS_H
#define ABSTAIN_WORDS_H

#include <stdbool.h>
#include <stddef.h>

enum word_table { WORDS_ICD203, WORDS_IPCC, WORDS_KENT, WORD_TABLES };
const char *word_table_name(enum word_table t); /* "icd203" */
bool word_table_find(const char *name, enum word_table *out);

struct word_term {
    const char *term;
    double low, high; /* the range that the table prints */
};
/* Terms of a table from the least to the most probable; *n of them. */
const struct word_term *word_table_terms(enum word_table t, size_t *n);

/* The term for p in [0, 1]; null for any other number. Where two ranges of ICD 203 meet, the upper one has the edge. */
const char *words_term(enum word_table t, double p);

enum { WORDS_TEXT = 64 }; /* bytes that words_number and words_write need */
/* "0.87"; never 1.00 or 0.00 of a number that is not: ">0.99", "<0.01". "?" where it is no probability. Returns out. */
const char *words_number(double p, char out[WORDS_TEXT]);
/* "very likely (0.87)" */
const char *words_write(enum word_table t, double p, char out[WORDS_TEXT]);

enum word_band { BAND_ANSWER, BAND_CAVEAT, BAND_DECLINE, WORD_BANDS };
const char *word_band_name(enum word_band b); /* "answer", "caveat", "decline" */
/* answer from answer_at up, with a caveat from caveat_at up (equal: no such band), else decline; NaN declines. */
enum word_band words_band(double confidence, double answer_at, double caveat_at);

/* Why nothing is answered. Neither a refusal for safety nor an error: those are other things, and counted apart. */
enum decline_reason {
    DECLINE_BELOW_THRESHOLD,
    DECLINE_NO_THRESHOLD,    /* none met the target */
    DECLINE_SEVERAL_OPTIONS, /* the conformal set does not hold exactly one */
    DECLINE_NO_CONFIDENCE,   /* missing, not 0 */
    DECLINE_REASONS
};
const char *decline_reason_name(enum decline_reason r); /* "below-threshold" */

struct decline {
    enum decline_reason reason;
    enum word_table table;
    double confidence, threshold;
    const char *best_guess; /* null: not asked for */
};
/* What to say: that it declines, why, what would help, and the best guess with its number when asked for. */
void words_decline(const struct decline *d, char *out, size_t size);

#endif
