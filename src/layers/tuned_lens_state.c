/*
 * tuned_lens_state.c - see tuned_lens_state.h.
 */
#include "layers/tuned_lens_state.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/json.h"
#include "base/memory.h"
#include "model/safetensors.h"

enum { PARTS = 6, MOST_STEPS = 1 << 24 };

/* The arrays in the order of the file; four of them for SGD. */
struct part {
    const char *name;
    const float *values;
    size_t n;
};

static int parts_of(const struct lens_values *v, const struct tuned_lens_moments *m, bool second,
                    struct part out[PARTS])
{
    const size_t weights = (size_t)v->layers * v->hidden * v->hidden,
                 biases = (size_t)v->layers * v->hidden;
    const struct part all[PARTS] = {
        {"weight", v->weight, weights},
        {"bias", v->bias, biases},
        {"first.weight", m->first.weight, weights},
        {"first.bias", m->first.bias, biases},
        {"second.weight", m->second.weight, weights},
        {"second.bias", m->second.bias, biases},
    };
    memcpy(out, all, sizeof all);
    return second ? PARTS : PARTS - 2;
}

int tuned_lens_state_write(const char *path, const char *fit, int steps,
                           const struct lens_values *v, const struct tuned_lens_moments *moments,
                           bool second, struct plumb_error *e)
{
    struct part parts[PARTS];
    struct safetensors_entry entries[PARTS] = {0};
    struct safetensors_writer *w = NULL;
    char done[16];
    const int n = parts_of(v, moments, second, parts);
    for (int i = 0; i < n; i++)
        entries[i] = (struct safetensors_entry){
            .name = parts[i].name, .type = DTYPE_F32, .rank = 1, .shape = {parts[i].n}};
    snprintf(done, sizeof done, "%d", steps);
    const struct safetensors_note notes[] = {
        {"format", "plumb-lens-state"}, {"fit", fit}, {"steps", done}};
    int status = safetensors_writer_open(path, entries, (size_t)n, notes, 3, &w, e);
    for (int i = 0; i < n && status == PLUMB_OK; i++)
        status = safetensors_writer_append(w, parts[i].values, parts[i].n * sizeof(float), e);
    if (status == PLUMB_OK)
        return safetensors_writer_commit(w, e);
    safetensors_writer_abandon(w);
    return status;
}

/* The steps that the metadata tell; -1: not this fit's. */
static int read_notes(const char *path, const char *notes, const char *fit, int *steps,
                      struct plumb_error *e)
{
    struct json_document *d = NULL;
    const char *text = NULL;
    size_t n = 0;
    int status = notes
                     ? json_parse(notes, strlen(notes), path, &d, e)
                     : error_set(e, PLUMB_INPUT, "%s: no state of a fit: it has no metadata", path);
    if (status != PLUMB_OK)
        return status;
    const struct json root = json_root(d);
    if (!json_is_string(json_get(root, "format"), "plumb-lens-state"))
        status =
            error_set(e, PLUMB_INPUT, "%s: no state of `plumb lens fit`: give another name", path);
    else if (!json_is_string(json_get(root, "fit"), fit))
        status = error_set(e, PLUMB_INPUT,
                           "%s: the state of another fit (other model, text or options): remove "
                           "it, or give the output another name",
                           path);
    char *end = NULL;
    long done = 0;
    if (status == PLUMB_OK && json_string(json_get(root, "steps"), &text, &n))
        done = strtol(text, &end, 10);
    if (status == PLUMB_OK && (!end || *end || done < 1 || done > MOST_STEPS))
        status =
            error_set(e, PLUMB_INPUT, "%s: metadata \"steps\": expected a number of steps", path);
    json_close(d);
    *steps = (int)done;
    return status;
}

static int read_part(const char *path, const struct tensors *t, const struct part *p, float *to,
                     struct plumb_error *e)
{
    const struct tensor *x = tensors_find(t, p->name);
    if (!x || x->type != DTYPE_F32 || x->elements != p->n)
        return error_set(e, PLUMB_INPUT, "%s: tensor '%s' is %s; expected F32 [%zu]", path, p->name,
                         x ? "of another shape or type" : "missing", p->n);
    memcpy(to, x->data, p->n * sizeof *to);
    for (size_t i = 0; i < p->n; i++)
        if (!isfinite(to[i]))
            return error_set(e, PLUMB_INPUT, "%s: tensor '%s' holds %g at %zu; expected numbers",
                             path, p->name, (double)to[i], i);
    return PLUMB_OK;
}

int tuned_lens_state_read(const char *path, const char *fit, int *steps, struct lens_values *v,
                          struct tuned_lens_moments *moments, bool second, struct plumb_error *e)
{
    struct part parts[PARTS];
    float *const to[PARTS] = {v->weight,
                              v->bias,
                              moments->first.weight,
                              moments->first.bias,
                              moments->second.weight,
                              moments->second.bias};
    struct tensors t;
    char *notes = NULL;
    *steps = 0;
    if (!file_exists(path))
        return PLUMB_OK;
    int status = tensors_init(&t, e);
    if (status != PLUMB_OK)
        return status;
    status = safetensors_open(path, &t, &notes, e);
    if (status == PLUMB_OK)
        status = read_notes(path, notes, fit, steps, e);
    const int n = parts_of(v, moments, second, parts);
    for (int i = 0; i < n && status == PLUMB_OK; i++)
        status = read_part(path, &t, &parts[i], to[i], e);
    mem_free(notes);
    tensors_close(&t);
    return status;
}
