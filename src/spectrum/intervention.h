/*
 * intervention.h - writes the post-trained model with parts of its change taken away, matrix by matrix, so that a forward
 * pass can say which part mattered.
 *
 *     scale          A   U_post (alpha S_base) V_post^T      do the singular values matter beyond one scalar?
 *     break          B1  U_base S_post V_post^T              break the coordination on the left
 *     break-right    B2  U_post S_post V_base^T              and on the right
 *     restore        C1  (U_base Q_V) S_post V_post^T        repair B1 with the other side's rotation
 *     restore-right  C2  U_post S_post (V_base Q_U)^T        repair B2 with the other side's rotation
 *     scale-only     D   U_base (alpha S_base) V_base^T      the base, scaled
 *     random         E   (U_post R) S_post V_post^T          R a random orthogonal matrix
 *
 * Where the rotation that repairs comes from the long side it is the polar factor of Q. Each post pair (u_i, v_i) has the
 * sign that lies nearer to its base pair: with free signs B1 would break any model, also an unchanged one.
 */
#ifndef SPECTRUM_INTERVENTION_H
#define SPECTRUM_INTERVENTION_H

#include "spectrum/decomposition.h"
#include "spectrum/spectrum.h"

enum spectrum_intervention {
    INTERVENE_SCALE,
    INTERVENE_BREAK,
    INTERVENE_BREAK_RIGHT,
    INTERVENE_RESTORE,
    INTERVENE_RESTORE_RIGHT,
    INTERVENE_SCALE_ONLY,
    INTERVENE_RANDOM,
    SPECTRUM_INTERVENTIONS
};
extern const char *const spectrum_intervention_name[SPECTRUM_INTERVENTIONS];

/* The matrix that the table above says, x [m, n] column-major. `stream` tells matrices apart. */
int intervene(const struct decomposition *d, enum spectrum_intervention kind, uint64_t seed,
              uint64_t stream, double *x, struct plumb_error *e);

struct intervention_result {
    size_t matrices, tensors;
    double error; /* root of sum |X - W_post|^2 over sum |W_post|^2, before rounding */
};
/* The post-trained model with the chosen matrices (options: layers, modules, seed, threads, progress) replaced, everything
   else byte for byte; block types become BF16. Exact: rank is not looked at. */
int intervention_write(const struct model *base, const struct model *post,
                       const struct spectrum_options *o, enum spectrum_intervention kind,
                       const char *path, struct intervention_result *out, struct plumb_error *e);

#endif
