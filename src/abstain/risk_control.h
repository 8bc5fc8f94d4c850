/*
 * risk_control.h - the threshold above which a model may answer, chosen from labelled questions so that its error rate among
 * the answered is bounded, and what exactly is guaranteed.
 *
 * A question is answered where its confidence c >= lambda. N(lambda) calibration questions are answered, E(lambda) of them
 * wrongly. The rows must be independent of everything that fitted the confidence.
 *
 * Learn then Test (Angelopoulos et al. 2021): p(lambda) = P(Bin(N, alpha) <= E), exact for right and wrong; fixed sequence from
 * the strictest lambda that can succeed, N >= ln delta / ln(1 - alpha), down to the first p > delta. Gives
 * P(P(wrong | answered) <= alpha) >= 1 - delta over the draw of the calibration questions.
 * Conformal risk control (Angelopoulos et al. 2022), for the joint rate alone: n/(n+1) E/n + 1/(n+1) <= alpha gives
 * P(answered and wrong) <= alpha on average.
 * SGR (Geifman and El-Yaniv 2017): binary search, each step at delta / ceil(log2 n), Clopper-Pearson's upper limit.
 */
#ifndef ABSTAIN_RISK_CONTROL_H
#define ABSTAIN_RISK_CONTROL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"

enum risk_method {
    RISK_LTT,            /* fixed sequence */
    RISK_LTT_BONFERRONI, /* every lambda of the grid at delta / its size */
    RISK_CRC,            /* the joint rate, on average */
    RISK_SGR,
    RISK_PLAIN, /* the lowest lambda whose observed error rate is small enough: nothing is guaranteed */
    RISK_METHODS
};
const char *risk_method_name(enum risk_method m); /* "ltt" */
bool risk_method_find(const char *name, enum risk_method *out);

struct risk_options {
    enum risk_method method;
    double target_error; /* alpha, in (0, 1); 0.05 */
    double delta;        /* in (0, 1); 0.05; not used by crc and plain */
    /* Thresholds to try, ascending, fixed before these rows were seen; null = 0.00, 0.01, ..., 0.99. */
    const double *grid;
    size_t n_grid;
};
struct risk_options risk_options_default(void);

/* One threshold of the grid. */
struct risk_test {
    double threshold;
    size_t answered, wrong;
    double p; /* P(Bin(answered, alpha) <= wrong): small = the true rate is surely below alpha */
    bool passed;
};

struct risk_choice {
    bool found;       /* false: abstain on everything */
    double threshold; /* answer where confidence >= threshold; INFINITY where nothing was found */
    size_t n;         /* questions */
    size_t answered, wrong; /* at the threshold */
    double p;
    double
        upper; /* Clopper-Pearson's upper 1 - delta limit of the error rate at this threshold, had it been fixed in advance */
    /* Where nothing was found: the smallest target that would have passed, and how many answered questions the target needs
       with no wrong one among them. */
    double smallest_target;
    size_t labels_needed;
};

/* confidence [n] in [0, 1], wrong [n] 0 or 1. tests: [n_grid] (100 where grid is null) or null. PLUMB_INPUT: no rows, a confidence
   or option out of range, a grid that does not ascend. */
int risk_control(const double *confidence, const uint8_t *wrong, size_t n,
                 const struct risk_options *o, struct risk_choice *out, struct risk_test *tests,
                 struct plumb_error *e);

/* The least N with (1 - alpha)^N <= delta: with fewer answered questions nothing can be guaranteed, even without a mistake. */
size_t risk_least_answered(double alpha, double delta);

/* Hoeffding and Bentkus's p-value for a loss in [0, 1] of mean `mean` over n; binary: the factor e is not needed. */
double risk_hoeffding_bentkus(double mean, double n, double alpha, bool binary);

/* What is guaranteed, for what, and when it stops being true: sentences for people into `out`. */
void risk_words(const struct risk_choice *c, const struct risk_options *o, char *out, size_t size);

#endif
