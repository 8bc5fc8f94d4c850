/*
 * steering.c - a steering in memory: its parts, its strength, its hash. Files are in steering_file.c.
 */
#include "model/steering.h"

#include <string.h>

#include "base/buffer.h"
#include "base/memory.h"

int steering_create(int n_layers, int hidden, int n_parts, struct steering *out,
                    struct plumb_error *e)
{
    *out = (struct steering){.model = "",
                             .architecture = "",
                             .how = "",
                             .program = "",
                             .n_layers = n_layers,
                             .hidden = hidden,
                             .n_parts = n_parts,
                             .arena = arena_create()};
    const size_t d = (size_t)hidden;
    bool good = out->arena != NULL;
    if (good)
        out->parts = arena_alloc(out->arena, (size_t)n_parts + 1, sizeof *out->parts);
    good = good && out->parts;
    for (int i = 0; i < n_parts && good; i++) {
        float *both = arena_alloc(out->arena, 2 * d, sizeof *both);
        good = both != NULL;
        if (good)
            memset(both, 0, 2 * d * sizeof *both);
        out->parts[i] = (struct steering_part){.vector = both, .step = good ? both + d : NULL};
    }
    if (good)
        return PLUMB_OK;
    steering_free(out);
    return error_memory(e, "a direction");
}

const char *steering_keep(struct steering *s, const char *text)
{
    return arena_strndup(s->arena, text, strlen(text));
}

void steering_free(struct steering *s)
{
    if (s->arena)
        arena_destroy(s->arena);
    *s = (struct steering){0};
}

void steering_strength(struct steering *s, double alpha)
{
    s->alpha = alpha;
    for (int i = 0; i < s->n_parts; i++) {
        const struct steering_part *p = &s->parts[i];
        const double length = alpha * p->scale;
        for (int j = 0; j < s->hidden; j++)
            p->step[j] = (float)(length * (double)p->vector[j]);
    }
}

const float *steering_step(const struct steering *s, int layer)
{
    for (int i = 0; i < s->n_parts; i++)
        if (s->parts[i].layer == layer)
            return s->parts[i].step;
    return NULL;
}

int steering_first_layer(const struct steering *s)
{
    return s->n_parts > 0 ? s->parts[0].layer : s->n_layers + 1;
}

int steering_hash(const struct steering *s, struct hash128 *out, struct plumb_error *e)
{
    struct buffer b = BUFFER_EMPTY;
    buffer_printf(&b, "plumb-direction 1 %s %.17g %s", s->fingerprint,
                  s->n_parts > 0 ? s->alpha : 0, s->all_tokens ? "all" : "last");
    if (s->clips)
        buffer_printf(&b, " clip %.9g", (double)s->clip);
    for (int i = 0; i < s->n_parts; i++) {
        buffer_printf(&b, " %d %.17g ", s->parts[i].layer, s->parts[i].scale);
        buffer_add(&b, s->parts[i].vector, (size_t)s->hidden * sizeof *s->parts[i].vector);
    }
    const bool failed = b.failed;
    if (!failed)
        *out = hash_bytes(b.data, b.size);
    buffer_free(&b);
    return failed ? error_memory(e, "a direction's hash") : PLUMB_OK;
}

int steering_check(const struct steering *s, const char *what, const struct model *m,
                   struct plumb_error *e)
{
    struct hash128 found;
    char hex[33];
    const int status = model_fingerprint(m, &found, e);
    if (status != PLUMB_OK)
        return status;
    hash_hex(found, hex);
    if (strcmp(hex, s->fingerprint) != 0)
        return error_set(e, PLUMB_INPUT,
                         "%s is a direction of another model (%.60s, %s), not of %s (%s): fit one "
                         "with plumb steer fit",
                         what, s->model, s->fingerprint, model_name(m), hex);
    return PLUMB_OK;
}
