/*
 * spectrum_json.h - spectra as JSON: one matrix, and the state file from which an interrupted run goes on.
 */
#ifndef SPECTRUM_SPECTRUM_JSON_H
#define SPECTRUM_SPECTRUM_JSON_H

#include "base/json.h"
#include "spectrum/spectrum.h"

/* One object; doubles read back to the same bits. */
void spectrum_item_write(struct json_writer *w, const struct spectrum_item *i);
/* The layers' scales of q and k: an array. */
void spectrum_attention_write(struct json_writer *w, const struct spectrum *s);

/* Writes s->items [n] beside the key (a hash of everything that they depend on). */
int spectrum_state_write(const char *path, const char *key, const struct spectrum_item *items,
                         size_t n, struct plumb_error *e);
/* The same as text. */
void spectrum_state_print(const char *key, const struct spectrum_item *items, size_t n,
                          struct buffer *out);
/* Reads the items of a state in memory; `what` begins every message. For tests and fuzzing, otherwise as the next. */
int spectrum_state_parse(const char *text, size_t size, const char *what, const char *key,
                         struct spectrum_item *items, size_t room, size_t *n,
                         struct plumb_error *e);
/* Reads the items of a state file into items [room]; *n of them. No file: *n = 0. PLUMB_INPUT: another key, or no state. */
int spectrum_state_read(const char *path, const char *key, struct spectrum_item *items, size_t room,
                        size_t *n, struct plumb_error *e);

#endif
