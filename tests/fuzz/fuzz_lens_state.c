/*
 * fuzz_lens_state.c - any bytes as what a stopped fit of a lens left behind: gone on with or refused, never a crash.
 */
#include <math.h>

#include "in_memory.h"
#include "layers/tuned_lens_state.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void look_at(const struct lens_values *v)
{
    const size_t biases = (size_t)v->layers * v->hidden;
    for (size_t i = 0; i < biases * v->hidden; i++)
        if (!isfinite(v->weight[i]))
            abort();
    for (size_t i = 0; i < biases; i++)
        if (!isfinite(v->bias[i]))
            abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    enum { LAYERS = 2, HIDDEN = 3 };
    const bool adamw = size && data[size - 1] & 1; /* its last byte is a number's, or anything */
    struct lens_values v;
    struct tuned_lens_moments m = {0};
    struct plumb_error e = {0};
    char path[IN_MEMORY_PATH];
    int steps = -1;
    if (lens_values_create(LAYERS, HIDDEN, &v, &e) != PLUMB_OK ||
        lens_values_create(LAYERS, HIDDEN, &m.first, &e) != PLUMB_OK ||
        lens_values_create(LAYERS, HIDDEN, &m.second, &e) != PLUMB_OK)
        abort();
    const int fd = in_memory_file(data, size, path);
    const int status = tuned_lens_state_read(path, "a fit", &steps, &v, &m, adamw, &e);
    if (status == PLUMB_OK) {
        if (steps < 1)
            abort();
        look_at(&v);
        look_at(&m.first);
        look_at(&m.second);
    } else if (e.code != status || e.message[0] == '\0') {
        abort();
    }
    lens_values_free(&v);
    lens_values_free(&m.first);
    lens_values_free(&m.second);
    close(fd);
    return 0;
}
