/*
 * consistency.h - how far sampled answers to one question agree: agreement, entropy and first-second distance.
 *
 * Lyu et al. 2024 (arXiv 2402.13904, AAAI 2025), with the rules of its published code for answers that cannot be read:
 * with counts f_1 >= f_2 >= ... of the distinct valid answers among n samples,
 *   agreement = f_1 / n,   FSD = (f_1 - f_2) / n,   entropy = 1 - H / log2(number of distinct answers).
 * n counts the invalid samples too; the entropy sees only the valid ones. One distinct answer: entropy 1 and FSD 1, however many
 * samples were invalid, so the number of these belongs beside every score. No valid answer: all three are 0; the published code
 * counts "invalid" as an answer there, and would be sure.
 */
#ifndef ANSWER_CONSISTENCY_H
#define ANSWER_CONSISTENCY_H

#include <stddef.h>

#include "base/error.h"

struct consistency {
    size_t n, invalid, distinct; /* samples; of them unreadable; different valid answers */
    double agreement, entropy, fsd;
    int most; /* class of the most frequent answer, the first among equals to be seen; -1 = none */
};

/* answer [n]: equal answers have equal numbers >= 0; negative: invalid. */
int consistency_measure(const int *answer, size_t n, struct consistency *out,
                        struct plumb_error *e);

#endif
