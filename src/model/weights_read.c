/*
 * weights_read.c - one tensor at a time from the mapped file to where the forward pass wants it.
 *
 * Rows are read as f32 in chunks, on all threads, mapped from the file's order to ours, rounded to the compute type and put into
 * packed matrices; the file's pages are given back behind the reader.
 */
#include "model/weights_read.h"

#include <stdio.h>
#include <string.h>

#include "base/memory.h"

enum { ROWS_A_READ = 64 };

static size_t mapped_row(enum row_map map, size_t r, size_t head_dim, size_t heads)
{
    switch (map) {
    case ROWS_UNPERMUTE:
        return r / head_dim * head_dim + r % 2 * (head_dim / 2) + r % head_dim / 2;
    case ROWS_BY_HEAD:
        return (r / head_dim % 3 * heads + r / head_dim / 3) * head_dim + r % head_dim;
    default:
        return r;
    }
}

const char *tensor_name(const char *pattern, int layer, int expert, const char *ending,
                        char out[NAME_SIZE])
{
    char place[NAME_SIZE];
    const char *first = strstr(pattern, "%d"), *second = first ? strstr(first + 2, "%d") : NULL;
    if (!first)
        snprintf(place, sizeof place, "%s", pattern);
    else if (!second)
        snprintf(place, sizeof place, "%.*s%d%s", (int)(first - pattern), pattern, layer,
                 first + 2);
    else
        snprintf(place, sizeof place, "%.*s%d%.*s%d%s", (int)(first - pattern), pattern, layer,
                 (int)(second - first - 2), first + 2, expert, second + 2);
    snprintf(out, NAME_SIZE, "%.*s%s", NAME_SIZE - 16, place, ending);
    return out;
}

/* The pattern as this file has it: without the first part, where the file leaves that out. */
static const char *file_pattern(const struct loader *l, const char *pattern)
{
    return strncmp(pattern, l->names->embedding, l->skip) == 0 ? pattern + l->skip : pattern;
}

int model_read_rows(const struct model *m, const struct tensor *x, size_t row, size_t n, float *to,
                    struct plumb_error *e)
{
    return m->source ? m->source->read_rows(m->source->user, x, row, n, to, e)
                     : tensor_read_rows(x, row, n, to, e);
}

const struct tensor *find_expert(const struct loader *l, const char *pattern, int layer, int expert,
                                 const char *ending)
{
    char name[NAME_SIZE];
    if (!pattern)
        return NULL;
    const struct tensor *x = tensors_find(
        l->m->tensors, tensor_name(file_pattern(l, pattern), layer, expert, ending, name));
    if (x)
        l->used[x - l->m->tensors->items] = 1;
    return x;
}

const struct tensor *find(const struct loader *l, const char *pattern, int layer,
                          const char *ending)
{
    return find_expert(l, pattern, layer, 0, ending);
}

int missing(const struct loader *l, const char *pattern, int layer, const char *ending)
{
    char name[NAME_SIZE];
    tensor_name(pattern ? file_pattern(l, pattern) : "(unnamed)", layer, 0, ending, name);
    return error_set(l->e, PLUMB_INPUT, "%s: tensor '%s' is missing, which architecture '%s' needs",
                     l->m->path, name, l->m->config.architecture->name);
}

int check_shape(const struct loader *l, const struct tensor *x, size_t rows, size_t columns)
{
    char shape[128];
    bool vector = rows == 1 && x->rank == 1 && x->shape[0] == columns;
    if (!dtype_is_float(x->type))
        return error_set(l->e, PLUMB_INPUT,
                         "%s: tensor '%s' has type %s, which plumb does not compute with",
                         l->m->path, x->name, dtype_name(x->type));
    if (vector || (x->rank == 2 && x->shape[0] == rows && x->shape[1] == columns))
        return PLUMB_OK;
    tensor_shape_text(x, shape);
    return error_set(l->e, PLUMB_INPUT,
                     "%s: tensor '%s' has shape %s; the configuration asks for [%zu, %zu]",
                     l->m->path, x->name, shape, rows, columns);
}

static int count_read(struct loader *l, const struct tensor *x)
{
    l->read += x->bytes;
    l->m->weights.parameters += x->elements;
    file_map_forget(&l->m->tensors->files[x->file], x->data, x->bytes);
    if (!progress_report(l->progress, l->read >> 20, l->total >> 20, "MB of weights", NULL))
        return error_set(l->e, PLUMB_NO, "stopped while loading");
    return PLUMB_OK;
}

/* Vectors [rows, n] of f32 on the heap. */
static int load_vectors(struct loader *l, const struct tensor *x, size_t rows, size_t n,
                        float **out)
{
    int status = check_shape(l, x, rows, n);
    if (status != PLUMB_OK)
        return status;
    *out = mem_array(rows * n, sizeof **out);
    if (!*out)
        return error_memory(l->e, "a weight vector");
    status = model_read_rows(l->m, x, 0, rows, *out, l->e);
    return status == PLUMB_OK ? count_read(l, x) : status;
}

int load_vector(struct loader *l, const struct tensor *x, size_t n, float **out)
{
    return load_vectors(l, x, 1, n, out);
}

int load_norm(struct loader *l, const char *pattern, int layer, size_t rows, size_t n,
              struct norm *out)
{
    const struct tensor *w = find(l, pattern, layer, ".weight"),
                        *b = find(l, pattern, layer, ".bias");
    if (!w)
        return missing(l, pattern, layer, ".weight");
    int status = load_vectors(l, w, rows, n, &out->weight);
    if (status == PLUMB_OK && b)
        status = load_vector(l, b, n, &out->bias);
    if (status == PLUMB_OK && l->m->config.architecture->norm_plus_one && !l->gguf)
        for (size_t i = 0; i < rows * n; i++)
            out->weight[i] += 1;
    return status;
}

/* Rows of x [rows, columns] into matrix `to` from row `at` on. */
int load_rows(struct loader *l, const struct tensor *x, size_t rows, struct matrix *to, size_t at,
              enum row_map map)
{
    const size_t columns = matrix_columns(to);
    const size_t head_dim = (size_t)l->m->config.head_dim, heads = (size_t)l->m->config.n_heads;
    int status = check_shape(l, x, rows, columns);
    if (status != PLUMB_OK)
        return status;
    const size_t reads = (rows + ROWS_A_READ - 1) / ROWS_A_READ;
    bool failed = false;
#pragma omp parallel num_threads(l->m->threads)
    {
        float *chunk = mem_array(ROWS_A_READ * columns, sizeof *chunk);
#pragma omp for schedule(dynamic)
        for (size_t i = 0; i < reads; i++) {
            size_t first = i * ROWS_A_READ,
                   n = rows - first < ROWS_A_READ ? rows - first : ROWS_A_READ;
            if (!chunk || model_read_rows(l->m, x, first, n, chunk, NULL) != PLUMB_OK) {
#pragma omp atomic write
                failed = true;
                continue;
            }
            if (map == ROWS_AS_THEY_ARE)
                matrix_put_rows(to, at + first, n, chunk);
            else
                for (size_t r = 0; r < n; r++)
                    matrix_put_rows(to, at + mapped_row(map, first + r, head_dim, heads), 1,
                                    chunk + r * columns);
        }
        mem_free(chunk);
    }
    return failed ? error_memory(l->e, "rows of weights") : count_read(l, x);
}

/* x is stored [columns, rows] (GPT-2's Conv1D). */
int load_transposed(struct loader *l, const struct tensor *x, size_t rows, struct matrix *to)
{
    const size_t columns = matrix_columns(to);
    int status = check_shape(l, x, columns, rows);
    if (status != PLUMB_OK)
        return status;
    float *all = mem_array(rows * columns, sizeof *all), *row = mem_array(columns, sizeof *row);
    if (all && row)
        status = model_read_rows(l->m, x, 0, columns, all, l->e);
    else
        status = error_memory(l->e, "a transposed matrix");
    for (size_t r = 0; r < rows && status == PLUMB_OK; r++) {
        for (size_t k = 0; k < columns; k++)
            row[k] = all[k * rows + r];
        matrix_put_rows(to, r, 1, row);
    }
    mem_free(all);
    mem_free(row);
    return status == PLUMB_OK ? count_read(l, x) : status;
}

int create_linear(struct loader *l, size_t rows, size_t columns, bool exact, struct linear *out)
{
    return matrix_create(l->m->level, l->m->weights.type, exact, rows, columns, &out->w, l->e);
}

int seal_linear(struct loader *l, struct linear *x)
{
    int status = matrix_seal(x->w, l->e);
    l->m->weights.bytes += matrix_bytes(x->w);
    return status;
}

/* A bias part: [n] numbers into bias[at..]; allocates the whole bias, zeroed, at the first part. */
int load_bias(struct loader *l, const char *pattern, int layer, size_t n, size_t at,
              enum row_map map, struct linear *x)
{
    const struct tensor *b = find(l, pattern, layer, ".bias");
    float *part = NULL;
    if (!b)
        return PLUMB_OK;
    if (!x->bias)
        x->bias = mem_zalloc(matrix_rows(x->w), sizeof *x->bias);
    if (!x->bias)
        return error_memory(l->e, "a bias");
    int status = load_vector(l, b, n, &part);
    for (size_t i = 0; i < n && status == PLUMB_OK; i++)
        x->bias[at + mapped_row(map, i, (size_t)l->m->config.head_dim,
                                (size_t)l->m->config.n_heads)] = part[i];
    mem_free(part);
    return status;
}

/* One tensor of weights with its bias as rows at.. of x. */
int load_part(struct loader *l, const char *pattern, int layer, size_t rows, size_t at,
              enum row_map map, struct linear *x)
{
    const struct tensor *w = find(l, pattern, layer, ".weight");
    if (!w)
        return missing(l, pattern, layer, ".weight");
    int status = load_rows(l, w, rows, x->w, at, map);
    return status == PLUMB_OK ? load_bias(l, pattern, layer, rows, at, map, x) : status;
}
