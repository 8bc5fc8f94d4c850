/*
 * fuzz_trace.c - trace files: whatever is taken must have arrays that lie within the bytes, and items that keep the
 * promises of trace.h.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "trace/trace_layout.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static volatile uint64_t sink; /* reads that the compiler must keep */

static void touch(const void *array, size_t n)
{
    const uint8_t *bytes = array;
    if (array && n)
        sink += (uint64_t)bytes[0] + bytes[n - 1];
}

static void check_trace(const struct trace *t)
{
    const struct trace_header *h = &t->header;
    size_t n = h->n, k = (size_t)h->n_options, l = (size_t)h->n_layers;
    touch(t->logits, n * k * 4);
    touch(t->lens, n * l * k * 4);
    touch(t->entropy, n * l * 4);
    touch(t->hidden, n * (size_t)h->n_hidden * (size_t)h->hidden_size * 2);
    touch(t->item_hash, n * 16);
    touch(t->option_mass, n * 4);
    for (size_t i = 0; i < n; i++)
        if (t->options[i] < 2 || t->options[i] > h->n_options || t->label[i] < -1 ||
            t->label[i] >= t->options[i] || t->group[i] < 0 || t->group[i] >= h->n_groups ||
            t->done[i] != 1)
            abort();
    for (int i = 0; i < h->n_groups; i++)
        sink += strlen(h->groups[i]);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct plumb_error e = {0};
    struct trace t;
    struct arena *arena = arena_create();
    uint8_t *copy = mem_aligned(size, 1); /* a mapping is aligned, a fuzzer's bytes need not be */
    if (!arena || !copy)
        abort();
    if (size)
        memcpy(copy, data, size);
    if (!trace_view(copy, size, "fuzz", arena, &t, &e))
        check_trace(&t);
    else if (!*e.message)
        abort();
    mem_free(copy);
    arena_destroy(arena);
    return 0;
}
