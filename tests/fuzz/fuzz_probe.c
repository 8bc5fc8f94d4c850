/*
 * fuzz_probe.c - any bytes as a probe: read or refused, never a crash; and what was read is sound.
 */
#include <math.h>
#include <string.h>

#include "abstain/probe_file.h"
#include "in_memory.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void look_at(const struct probe_file *f)
{
    const struct probe *p = &f->probe;
    if (p->d != (size_t)p->hidden_size + (size_t)p->n_plain || !f->origin.model_fingerprint ||
        !isfinite(p->bias))
        abort();
    for (size_t j = 0; j < p->d; j++)
        if (!isfinite(p->weight[j]) || !isfinite(p->mean[j]) || !(p->scale[j] > 0))
            abort();
    for (size_t i = 0; i < p->network.units; i++)
        if (!isfinite(p->network.bias[i]) || !isfinite(p->network.hidden[i * p->d + p->d - 1]))
            abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct probe_file f;
    struct plumb_error e = {0};
    char path[IN_MEMORY_PATH];
    const int fd = in_memory_file(data, size, path);
    const int status = probe_file_read(path, &f, &e);
    if (status == PLUMB_OK)
        look_at(&f);
    else if (f.arena || e.code != status || e.message[0] == '\0')
        abort();
    probe_file_free(&f);
    close(fd);
    return 0;
}
