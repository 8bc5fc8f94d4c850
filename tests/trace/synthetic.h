/*
 * synthetic.h - traces with contents that are a pure function of the item's number, for the tests
 * of this room.
 */
#ifndef TESTS_TRACE_SYNTHETIC_H
#define TESTS_TRACE_SYNTHETIC_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "trace/trace.h"

enum { SYNTHETIC_TOTAL = 23, SYNTHETIC_K = 5, SYNTHETIC_L = 3, SYNTHETIC_S = 2, SYNTHETIC_D = 7 };

static const char *const synthetic_groups[] = {"anatomy", "caf\xC3\xA9 \"quoted\"", "virology"};
static const int synthetic_layers[] = {0, 3};

static inline struct trace_header synthetic_header(size_t first, size_t n)
{
    return (struct trace_header){
        .n = n,
        .n_options = SYNTHETIC_K,
        .n_layers = SYNTHETIC_L,
        .n_hidden = SYNTHETIC_S,
        .hidden_layers = synthetic_layers,
        .hidden_size = SYNTHETIC_D,
        .with_entropy = true,
        .model = "tiny",
        .model_fingerprint = "00112233445566778899aabbccddeeff",
        .architecture = "llama",
        .tokenizer_hash = "ffeeddccbbaa99887766554433221100",
        .preset = "clean",
        .preset_hash = "0123456789abcdef0123456789abcdef",
        .task = "quiz",
        .task_hash = "fedcba9876543210fedcba9876543210",
        .precision = "f32",
        .arithmetic = "avx2",
        .lens = "letters",
        .program = "plumb 0.1.0",
        .groups = synthetic_groups,
        .n_groups = 3,
        .first = first,
        .total = SYNTHETIC_TOTAL,
    };
}

/* Items have 2 to 5 options; no item of the first eight has five. */
static inline int synthetic_options(size_t item)
{
    return item < 8 ? 2 + (int)(item % 3) : 2 + (int)(item % 4);
}

/* Fills row i with item first + i of the task; does not commit. */
static inline void synthetic_fill(struct trace *t, size_t i)
{
    const struct trace_header *h = &t->header;
    size_t item = h->first + i, k = (size_t)h->n_options, l = (size_t)h->n_layers;
    int options = synthetic_options(item);
    for (size_t j = 0; j < (size_t)options; j++) {
        t->logits[i * k + j] = (float)item + (float)j / 8;
        for (size_t d = 0; t->lens && d < l; d++)
            t->lens[(i * l + d) * k + j] = (float)item - (float)d + (float)j / 16;
    }
    for (size_t d = 0; t->entropy && d < l; d++)
        t->entropy[i * l + d] = (float)(item * 10 + d) / 4;
    size_t hidden = (size_t)h->n_hidden * (size_t)h->hidden_size;
    for (size_t d = 0; t->hidden && d < hidden; d++)
        t->hidden[i * hidden + d] = (uint16_t)(item * 100 + d);
    t->option_mass[i] = 1.0F / (float)(item + 1);
    t->label[i] = item % 5 ? (int)item % options : -1;
    t->options[i] = options;
    t->group[i] = (int32_t)(item * 3 / SYNTHETIC_TOTAL);
    t->item_hash[2 * i] = item * 0x9E3779B97F4A7C15ULL;
    t->item_hash[2 * i + 1] = ~item;
}

/* A finished trace at path. */
static inline int synthetic_write(const char *path, const struct trace_header *h,
                                  struct plumb_error *e)
{
    struct trace t;
    size_t resumed;
    int status = trace_create(path, h, &t, &resumed, e);
    if (status)
        return status;
    for (size_t i = 0; i < h->n; i++)
        synthetic_fill(&t, i);
    if (!(status = trace_commit(&t, NULL, h->n, e)))
        status = trace_finish(&t, e);
    trace_close(&t);
    return status;
}

/* All bytes of a file, freed by the caller. Null when it cannot be read. */
static inline unsigned char *synthetic_read(const char *path, size_t *n)
{
    FILE *f = fopen(path, "rb");
    if (!f)
        return NULL;
    fseek(f, 0, SEEK_END);
    *n = (size_t)ftell(f);
    rewind(f);
    unsigned char *bytes = malloc(*n + 1);
    if (bytes && fread(bytes, 1, *n, f) != *n) {
        free(bytes);
        bytes = NULL;
    }
    fclose(f);
    return bytes;
}

/* A whole file into room bytes; 0 when it cannot be read or does not fit. */
static inline int synthetic_load(const char *path, unsigned char *to, size_t room, size_t *n)
{
    FILE *f = fopen(path, "rb");
    *n = f ? fread(to, 1, room, f) : 0;
    if (f)
        fclose(f);
    return *n > 0 && *n < room;
}

static inline int synthetic_same(const char *a, const char *b)
{
    size_t n = 0, m = 0;
    unsigned char *x = synthetic_read(a, &n), *y = synthetic_read(b, &m);
    int same = x && y && n == m && !memcmp(x, y, n);
    free(x);
    free(y);
    return same;
}

/* A folder of its own for a test, and paths in it; synthetic_clear removes what the tests may have
 * left there. */
static char synthetic_folder[64];

static inline int synthetic_setup(void **state)
{
    (void)state;
    strcpy(synthetic_folder, "/tmp/plumb-trace-XXXXXX");
    return mkdtemp(synthetic_folder) ? 0 : -1;
}

static inline const char *synthetic_path(const char *name)
{
    static char paths[8][128];
    static int next;
    char *path = paths[next++ % 8];
    snprintf(path, sizeof paths[0], "%s/%s", synthetic_folder, name);
    return path;
}

static inline int synthetic_clear(void **state)
{
    static const char *const names[] = {"t", "t.partial", "u", "u.partial", "a", "b", "c", "d"};
    (void)state;
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        unlink(synthetic_path(names[i]));
    return rmdir(synthetic_folder);
}

#endif
