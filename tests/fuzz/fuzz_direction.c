/*
 * fuzz_direction.c - any bytes as a direction: read or refused, never a crash; and what was read is sound.
 */
#include <math.h>
#include <stdint.h>
#include <stdlib.h>

#include "model/steering.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void look_at(const struct steering *s)
{
    struct hash128 hash;
    int last = -1;
    if (steering_hash(s, &hash, NULL) != PLUMB_OK)
        abort();
    for (int i = 0; i < s->n_parts; i++) {
        const struct steering_part *p = &s->parts[i];
        if (p->layer <= last || p->layer > s->n_layers || !isfinite(p->scale) ||
            steering_step(s, p->layer) != p->step)
            abort();
        for (int j = 0; j < s->hidden; j++)
            if (!isfinite(p->vector[j]))
                abort();
        last = p->layer;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct steering s;
    struct plumb_error e = {0};
    const int status = steering_parse(data, size, "input", &s, &e);
    if (status == PLUMB_OK)
        look_at(&s);
    else if (s.arena || e.code != status || e.message[0] == '\0')
        abort();
    steering_free(&s);
    return 0;
}
