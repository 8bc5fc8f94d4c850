/*
 * spectrum.h - the report of `plumb spectrum`: what post-training did to the weights, beside its controls.
 */
#ifndef REPORT_SPECTRUM_H
#define REPORT_SPECTRUM_H

#include "report/digest.h"
#include "report/page.h"
#include "spectrum/spectrum.h"

/* One model of the causal experiment, measured on questions. The first is the base, the second the post-trained model; then
   that with parts of its change taken away. */
struct spectrum_arm {
    const char *name;
    double off; /* |X - W_post| / |W_post|; NaN: nothing was replaced */
    struct digest digest;
};
/* A model that lost more accuracy than this is another model; its calibration says nothing of post's (ours). */
#define SPECTRUM_RUINED 0.05
/* How much of the ECE that post has above base arm i has; NaN where post has no more than base, or the model is ruined. */
double spectrum_arm_share(const struct spectrum_arm *arms, size_t i);

/* The whole page into `path`. arms: [n_arms], 0 = no experiment; command: that made it, to show; null = none. */
int spectrum_report_write(const struct spectrum *s, const struct spectrum_arm *arms, size_t n_arms,
                          const char *command, const char *path, struct plumb_error *e);

#endif
