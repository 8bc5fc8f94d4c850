/*
 * golden.h - the tiny random models of tests/golden/models with what transformers computed for them.
 */
#ifndef TESTS_MODEL_GOLDEN_H
#define TESTS_MODEL_GOLDEN_H

#include "base/file.h"
#include "model/forward.h"
#include "model/tensors.h"

struct golden_sequence {
    const int32_t *ids; /* [n] */
    size_t n, vocabulary, layers /* L + 1 */, hidden;
    const float *logits; /* [n, V] */
    const float *states; /* [L + 1, n, D] before the final norm */
};

enum { GOLDEN_MAX_SEQUENCES = 8 };

struct golden {
    struct tensors tensors;
    struct golden_sequence sequences[GOLDEN_MAX_SEQUENCES];
    int n_sequences;
};

/* Fails the running test when something is missing. */
void golden_open(const char *folder, struct golden *out);
void golden_close(struct golden *g);

/* Folders under $PLUMB_TEST_GOLDEN/models, and the path of a file in one of them (mem_free it). */
void golden_cases(struct file_list *out);
char *golden_path(const char *name, const char *file);

/* Every level that this machine has: for (enum level l = 0; golden_next_level(&l, first); ...) is plain: 0..level_best(). */
struct model *golden_model(const char *path, const char *level, enum precision p, int threads);

#endif
