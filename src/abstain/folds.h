/*
 * folds.h - deals questions into folds for cross-validation so that what belongs together stays together.
 *
 * Rows of one key (a question, a subject) come into one fold: a model that is judged on a fold has seen nothing of its keys. Keys
 * are dealt the largest first, in random order among equals, each to the fold that has the fewest rows.
 */
#ifndef ABSTAIN_FOLDS_H
#define ABSTAIN_FOLDS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "base/hash.h"

enum { FOLDS_LEAST = 2, FOLDS_MOST = 20 };

/* key [n], fold [n] 0..folds-1. PLUMB_INPUT: fewer keys than folds, folds out of range. */
int folds_deal(const struct hash128 *key, size_t n, int folds, uint64_t seed, uint8_t *fold,
               struct plumb_error *e);

/* How many different keys there are; SIZE_MAX when there is no memory. */
size_t folds_count_keys(const struct hash128 *key, size_t n);

/* The key of a named group; of null (no group) the question's own. */
struct hash128 folds_group_key(const char *group, struct hash128 item);

/* What is left without any `at_once` folds, 1 or 2, must hold right and wrong questions. PLUMB_INPUT says how many there are. */
int folds_check(const uint8_t *fold, const uint8_t *right, size_t n, int folds, int at_once,
                struct plumb_error *e);

#endif
