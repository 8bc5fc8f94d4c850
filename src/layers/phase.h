/*
 * phase.h - where the answer is settled, where its confidence is furthest from true, and whether the layers behind that
 * correct it.
 *
 * Rules (ours, after the phenomenon of arXiv 2511.00280):
 *   l_s = first layer with acc_l >= 0.95 acc_L                 start of the plateau
 *   l_p = argmax over l >= l_s of ECE_l, ties the first        peak of miscalibration
 *   correction phase (l_p, L] if ECE_L < ECE_lp - margin and |acc_L - acc_lp| <= 0.01
 * The margin takes into account that the peak was chosen, as the largest of many noisy values: it is the upper quantile,
 * over the draws, of the largest of (ECE_l - ECE_L)* - (ECE_l - ECE_L) over all layers l of the plateau, a simultaneous
 * bound (the bootstrap of a maximum; Efron and Tibshirani 1993 for the draws). The interval of the drop is that of all
 * layers at once, so it holds for the chosen one. Where the final
 * accuracy is not above guessing there is no plateau, and no phase is claimed.
 */
#ifndef LAYERS_PHASE_H
#define LAYERS_PHASE_H

#include "base/buffer.h"
#include "layers/profile.h"

enum phase_verdict {
    PHASE_CORRECTION,
    PHASE_PEAK_LAST, /* l_p = L: the error is largest at the end */
    PHASE_WITHIN_MARGIN,
    PHASE_ACCURACY_MOVES, /* the error falls, but accuracy changes by more than a point as well */
    PHASE_CHANCE,         /* the final answers are not measurably better than guessing */
    PHASE_VERDICTS
};
const char *phase_verdict_key(enum phase_verdict v); /* "correction", "peak-last", ... */

struct phase {
    enum phase_verdict verdict;
    int layers;        /* L */
    int plateau, peak; /* l_s, l_p; 1..L */
    double accuracy, chance;
    double peak_ece, final_ece;
    struct profiled drop;            /* ECE_lp - ECE_L */
    double margin;                   /* 0 without draws */
    struct profiled accuracy_change; /* acc_L - acc_lp, with this l_p */
    double plateau_share,
        peak_share; /* of the draws that choose the same layer; NaN without draws */
    bool drawn;
};

int phase_detect(const struct profile *p, struct phase *out, struct plumb_error *e);
/* Two or three sentences. */
void phase_words(const struct phase *p, struct buffer *out);

#endif
