/*
 * matrices.h - the weight matrices of a model by their module and layer, cut out of fused tensors, and the pairs of them
 * that two models of one architecture have.
 */
#ifndef SPECTRUM_MATRICES_H
#define SPECTRUM_MATRICES_H

#include <stdbool.h>
#include <stddef.h>

#include "base/error.h"
#include "model/model.h"
#include "model/tensors.h"

enum spectrum_module {
    MODULE_Q,
    MODULE_K,
    MODULE_V,
    MODULE_O,
    MODULE_GATE,
    MODULE_UP,
    MODULE_DOWN,
    SPECTRUM_MODULES
};
enum { SPECTRUM_ALL_MODULES = (1 << SPECTRUM_MODULES) - 1 };

const char *spectrum_module_name(enum spectrum_module m); /* "q" */
/* "q,k,v" to a set of bits 1 << module. PLUMB_INPUT names the word that is no module. */
int spectrum_modules_parse(const char *text, unsigned *out, struct plumb_error *e);

/* A matrix W [rows, columns] = [outputs, inputs] and where it lies in a tensor. */
struct module_slice {
    const struct tensor *x;
    size_t rows, columns;
    size_t first;    /* its first row (or column, where stored transposed) in the tensor */
    bool transposed; /* the tensor is [inputs, outputs]: GPT-2 */
    size_t head; /* rows stand head by head, q k v together: the rows of a head; 0 = they do not */
};

/* False where the model has no such matrix (no gate, experts instead of one MLP). layer from 0. */
bool module_find(const struct model *m, int layer, enum spectrum_module module,
                 struct module_slice *out);
/* The element of the tensor that holds W[row, column]. */
size_t module_element(const struct module_slice *s, size_t row, size_t column);
/* The whole matrix, column-major: W[i, j] at i + j * rows. */
int module_read(const struct module_slice *s, double *out, struct plumb_error *e);
/* |b'.b| / |b.b| of the bias of q or k in two models; NaN where there is none, or it is zero. */
double module_bias_scale(const struct model *base, const struct model *post, int layer,
                         enum spectrum_module module);

struct matrix_pair {
    enum spectrum_module module;
    int layer; /* from 1 */
    struct module_slice base, post;
};
/* All pairs of the given layers (from 1, ascending) and modules, layer by layer; *out is allocated. PLUMB_INPUT: other
   architectures or shapes, or nothing to compare. */
int matrix_pairs(const struct model *base, const struct model *post, const int *layers,
                 int n_layers, unsigned modules, struct matrix_pair **out, size_t *n,
                 struct plumb_error *e);

#endif
