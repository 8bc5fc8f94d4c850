/*
 * statistics.h - how two matrices differ, told by their singular value decompositions.
 *
 *     W_base = U_base S_base V_base^T    W_post = U_post S_post V_post^T    r triples each
 *     Q_U = U_base^T U_post,  Q_V = V_base^T V_post    (r x r)
 *
 * After He and Cao (arXiv 2509.17866), who compare singular values and rotations of base and post-trained models; the
 * exact formulas of uniformity, NF and rotation size are this project's own. All are the same for any choice of the signs
 * of the pairs (u_i, v_i), but for the error of the broken pair: there, each post pair has the sign that lies nearer to
 * its base pair (spectrum_align).
 */
#ifndef SPECTRUM_STATISTICS_H
#define SPECTRUM_STATISTICS_H

#include <stddef.h>

enum spectrum_statistic {
    SPECTRUM_ALPHA,    /* <s_base, s_post> / <s_base, s_base> */
    SPECTRUM_RATIO,    /* mean of s_post,i / s_base,i over the i that hold 90 % of |S_base|^2 */
    SPECTRUM_CV,       /* standard deviation / mean of the same ratios: 0 = uniform */
    SPECTRUM_NF,       /* |Q_U - Q_V| / sqrt(|Q_U|^2 + |Q_V|^2): 0 = coordinated, 1 = independent */
    SPECTRUM_ROTATION, /* R = |abs(Q_U) - I| / sqrt(2 r), abs by element */
    SPECTRUM_I_ORTH,   /* mean diagonal of Q_U Q_V^T: 1 = the same rotation on both sides */
    SPECTRUM_OVERLAP,  /* |Q|^2 / r of the long side: the share of the old subspace that is left */
    SPECTRUM_ERROR_SCALE, /* |U_post (alpha S_base) V_post^T - W_post| / |W_post|: intervention A */
    SPECTRUM_ERROR_SHARED, /* the same of U_post (alpha S_base) (V_base Q_U)^T: one rotation for both sides */
    SPECTRUM_ERROR_BROKEN, /* the same of U_base S_post V_post^T: intervention B1 */
    SPECTRUM_STATISTICS
};

struct spectrum_words {
    const char *name, *words; /* "nf"; "coordination NF" */
};
extern const struct spectrum_words spectrum_statistic_words[SPECTRUM_STATISTICS];

/* m, n: the matrix; r triples; q_u, q_v [r, r] column-major, aligned. out [SPECTRUM_STATISTICS]; NaN where 0 / 0. */
void spectrum_statistics(size_t m, size_t n, size_t r, const double *s_base, const double *s_post,
                         const double *q_u, const double *q_v, double *out);

/* How many of the largest singular values hold 90 % of the sum of squares; at least 1. */
size_t spectrum_energy_count(size_t r, const double *s);

/* sign [r]: +1 or -1 for each post pair, so that Q_U[i,i] + Q_V[i,i] >= 0; columns of q_u and q_v are turned with it.
   `sign` may be null. */
void spectrum_align(size_t r, double *q_u, double *q_v, double *sign);

#endif
