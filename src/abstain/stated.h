/*
 * stated.h - the confidence that a model states in its own words, read tolerantly: "Probability: 85%", ".85", "85/100", "around
 * 0.8", "very likely", "not likely". What is not there is missing, never 0.
 *
 * Elicitation formats: Tian et al. 2023 (arXiv 2305.14975). Values of the expressions: the survey after Fagen-Ulmschneider as used
 * by lm-polygraph; terms that it lacks have the middle of their range in ICD 203, IPCC or Kent.
 */
#ifndef ABSTAIN_STATED_H
#define ABSTAIN_STATED_H

#include <stdbool.h>
#include <stddef.h>

/* The probability in [0, 1] that stands behind the last `key` ("Probability", "P1"; null: the text is what came after it), on its
   line, or below it where the line is empty. The last number there; the last expression where there is no number. A number over 1
   and up to 100 is a percentage, a / b a share; negative and larger ones are no match, nor are those inside a word ("G1", "3rd").
   False, with *out alone: missing. */
bool stated_probability(const char *text, size_t n, const char *key, double *out);

/* Only expressions: the longest phrase first, whole words, "not" before one turns it round. The last one counts. */
bool stated_expression(const char *text, size_t n, const char *key, double *out);

#endif
