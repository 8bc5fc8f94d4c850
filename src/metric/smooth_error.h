/*
 * smooth_error.h - smooth ECE (Blasiok and Nakkiran 2024), exact at 0 and 1.
 *
 * Residual r(c) = sum of w (c_i - y_i) at confidence c, over all weights. K_s = Gaussian of standard deviation s, reflected
 * at 0 and 1.
 *   f_s(t) = integral K_s(t, u) r(u) du      smECE_s = integral_0^1 |f_s(t)| dt      smECE = smECE_{s*},  smECE_{s*} = s*
 */
#ifndef METRIC_SMOOTH_ERROR_H
#define METRIC_SMOOTH_ERROR_H

#include "metric/metric.h"

enum { SMOOTH_MIDPOINTS = 2000 }; /* where |f_s| is averaged */

/* smECE_s for one width s in [1e-4, 1]. midpoints: a multiple of 8 up to METRIC_GRID. */
double smooth_error_at(const struct sample *s, const double *weight, double width, int midpoints,
                       struct metric_scratch *scratch);

/* smECE and, unless null, its width: the upper end of 22 halvings of [0, 1], never below 1e-4. The halvings are not done
   one by one: a secant search for the same end starts from scratch->smooth_start (0 = anywhere), which afterwards holds
   the width that was found; the result does not depend on it. */
double smooth_error(const struct sample *s, const double *weight, struct metric_scratch *scratch,
                    double *width);

/* What the package relplot computes (smooth_relplot.c); NaN when memory runs out. */
double smooth_relplot(const struct sample *s, const double *weight, double *width);
/* relplot's smECE_sigma. */
double smooth_relplot_at(const struct sample *s, const double *weight, double width);

#endif
