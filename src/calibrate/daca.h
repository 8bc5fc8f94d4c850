/*
 * daca.h - alignment of the post-trained model's last distribution with the base model's.
 *
 * Naive alignment (Eq. 4) and DACA (Eq. 7) of "Your Pre-trained LLM is Secretly an Unsupervised Confidence Calibrator",
 * arXiv 2505.16690: tau* = argmin mean KL(softmax(z_base) || softmax(z_post / tau)), over all questions or only over those
 * on which both models give the same answer.
 */
#ifndef CALIBRATE_DACA_H
#define CALIBRATE_DACA_H

#include "calibrate/pair.h"
#include "calibrate/temperature.h"

enum { DACA_LEAST_AGREEING = 10 };

/* softmax(z_base) of every row: [n, k], 0 behind a row's last option. mem_free it; null without memory. */
double *base_probabilities(const struct pair *p);

/* target: base_probabilities. */
int naive_fit(const struct pair *p, const double *target, struct temperature *out,
              struct plumb_error *e);
/* PLUMB_INPUT when fewer than DACA_LEAST_AGREEING questions agree; says how many do. */
int daca_fit(const struct pair *p, const double *target, struct temperature *out,
             struct plumb_error *e);

/* What the official code does: Adam on tau itself from 1, cross-entropy of distributions clamped to [1e-8, 1 - 1e-8], mean
   over the whole batch (disagreement rows count as 0). The code shuffles without a seed; here the order of epoch t is
   stream t of `seed`. */
struct daca_adam_options {
    double rate; /* 0.1; the paper says 0.05 */
    int epochs;  /* 400 */
    int batch;   /* 256 */
    uint64_t seed;
};
struct daca_adam_options daca_adam_options_default(void);
int daca_fit_adam(const struct pair *p, const double *target, const struct daca_adam_options *o,
                  struct temperature *out, struct plumb_error *e);

/* The official loss at tau: mean over ALL rows of the clamped, masked cross-entropy; slope (may be null) receives
   d loss / d tau. rows null: all n. */
double daca_official_loss(const struct pair *p, const double *target, const uint32_t *rows,
                          size_t n, double tau, double *slope);

#endif
