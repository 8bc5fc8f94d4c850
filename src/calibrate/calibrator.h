/*
 * calibrator.h - a fitted calibrator, whatever its form, and what it makes of logits.
 *
 * z = the option logits of a question, p = softmax(z), c = max p. The first four forms give probabilities of the options;
 * the others give a probability that the model's answer is right, and never change the answer.
 */
#ifndef CALIBRATE_CALIBRATOR_H
#define CALIBRATE_CALIBRATOR_H

#include <stdbool.h>
#include <stddef.h>

#include "base/error.h"
#include "trace/scores.h"

enum calibrator_form {
    CALIBRATOR_TEMPERATURE, /* softmax(z / tau) */
    CALIBRATOR_VECTOR,      /* softmax(w z + b), z without its mean; parameters w [k], b [k] */
    CALIBRATOR_MATRIX,      /* softmax(W z + b), z without its mean; parameters W [k, k], b [k] */
    CALIBRATOR_ENSEMBLE,    /* w0 softmax(z / tau) + w1 p + w2 / k; parameters w [3] */
    CALIBRATOR_PLATT,       /* 1 / (1 + exp(-(a logit c + b))); parameters a, b */
    CALIBRATOR_BETA,        /* 1 / (1 + exp(-(a ln c - b ln(1 - c) + i))); parameters a, b, i */
    CALIBRATOR_LINEAR, /* through the points (x, y), constant beyond; parameters x [m], y [m] */
    CALIBRATOR_BINS,   /* y_b for x_(b-1) < c <= x_b; parameters x [m], y [m] */
    CALIBRATOR_FORMS
};
const char *calibrator_form_name(enum calibrator_form f); /* "temperature", for JSON */
/* false: no form of this name. */
bool calibrator_form_find(const char *name, enum calibrator_form *out);

struct calibrator {
    enum calibrator_form form;
    double tau; /* TEMPERATURE, ENSEMBLE; 1 otherwise */
    int k;      /* VECTOR, MATRIX: options of a question; 0 otherwise */
    size_t n_parameters;
    double *parameters; /* mem_free'd by calibrator_free */

    /* TEMPERATURE by group: one for each named group, tau for all others. */
    int n_groups;
    char **groups;
    double *group_tau;
};

struct calibrator calibrator_of_temperature(double tau);
/* Room for n parameters, and for the names and temperatures of n_groups; false without memory. */
bool calibrator_allocate(struct calibrator *c, size_t n_parameters, int n_groups);
void calibrator_free(struct calibrator *c);

/* Is the number of parameters right for the form, and is every one a number that the form can use? Says what is wrong, null
   if nothing is. */
const char *calibrator_fault(const struct calibrator *c);

/* The calibrated probability that the answer is right, of one question's k logits; q [k] receives the probabilities of the
   options (null: not wanted; left alone by the forms that have none). group_tau: index, or -1. */
double calibrator_confidence(const struct calibrator *c, const double *z, int k, int group,
                             double *q);
/* Does the form give probabilities of all options? */
bool calibrator_has_options(const struct calibrator *c);

/* What the calibrator makes of recorded logits: scores of the same questions. Names and groups are shared with `in`.
   PLUMB_INPUT: `in` holds no logits; a vector or matrix meets another number of options. */
int calibrator_apply(const struct calibrator *c, const struct scores *in, struct scores *out,
                     struct plumb_error *e);

#endif
