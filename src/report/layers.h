/*
 * layers.h - the page of `plumb layers`: curves through depth with their intervals, the phases in words, and where a model
 * parts from its base.
 */
#ifndef REPORT_LAYERS_H
#define REPORT_LAYERS_H

#include "layers/lens_difference.h"
#include "layers/parting.h"
#include "layers/phase.h"
#include "report/page.h"

/* One model's curves. */
struct layers_model {
    const char *name, *fingerprint; /* null = unknown */
    const char *lens;               /* "logit" or "tuned" */
    const char *lens_hash;          /* of a tuned lens; or null */
    const struct profile *profile;
    const struct phase *phase;
};

struct layers_report {
    struct layers_model model;
    const struct layers_model *base;          /* null = one model alone */
    const struct parting *parting;            /* with a base */
    const struct layers_model *other;         /* the same model by another lens; null = none */
    const struct lens_difference *difference; /* with another lens */
    const char *task, *preset;
    const char *command; /* that made it, to show; null = none */
};

/* What every reader must know of a lens; one paragraph. */
extern const char layers_trap[], layers_trap_tuned[];

/* The whole page into `path`. */
int layers_report_write(const struct layers_report *in, const char *path, struct plumb_error *e);

#endif
