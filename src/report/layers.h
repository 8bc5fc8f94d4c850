/*
 * layers.h - the page of `plumb layers`: curves through depth with their intervals, the phases in words, and where a model
 * parts from its base.
 */
#ifndef REPORT_LAYERS_H
#define REPORT_LAYERS_H

#include "layers/parting.h"
#include "layers/phase.h"
#include "report/page.h"

/* One model's curves. */
struct layers_model {
    const char *name, *fingerprint; /* null = unknown */
    const struct profile *profile;
    const struct phase *phase;
};

struct layers_report {
    struct layers_model model;
    const struct layers_model *base; /* null = one model alone */
    const struct parting *parting;   /* with a base */
    const char *task, *preset;
    const char *command; /* that made it, to show; null = none */
};

/* What every reader must know of a lens; one paragraph. */
extern const char layers_trap[];

/* The whole page into `path`. */
int layers_report_write(const struct layers_report *in, const char *path, struct plumb_error *e);

#endif
