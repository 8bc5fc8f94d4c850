/*
 * tuned_lens_state.h - what a stopped fit leaves behind, and how it goes on. Private to the room.
 *
 * A safetensors file with translators and moments; its metadata say of which fit it is ("fit": a hash of model, text and
 * options) and how many steps are done.
 */
#ifndef LAYERS_TUNED_LENS_STATE_H
#define LAYERS_TUNED_LENS_STATE_H

#include "layers/tuned_lens.h"

/* Replaces the file at `path`. */
int tuned_lens_state_write(const char *path, const char *fit, int steps,
                           const struct lens_values *v, const struct tuned_lens_moments *moments,
                           bool second, struct plumb_error *e);
/* *steps stays 0 where there is no file. PLUMB_INPUT: another fit's, or damaged. The arrays have been created. */
int tuned_lens_state_read(const char *path, const char *fit, int *steps, struct lens_values *v,
                          struct tuned_lens_moments *moments, bool second, struct plumb_error *e);

#endif
