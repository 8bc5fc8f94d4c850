/*
 * bake.c - see bake.h.
 */
#include "calibrate/bake.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/memory.h"
#include "model/config.h"
#include "model/model_write.h"
#include "model/tensor_role.h"

/* Is it one of the tensors that the logits are a linear function of: the final norm, or a bias of the head? */
static bool is_scaled(const struct model *m, const struct tensor *x)
{
    const struct tensor_place p = tensor_place(m, x->name);
    return p.role == ROLE_FINAL_NORM || (p.role == ROLE_HEAD && p.bias);
}

/* Gemma's folders store w - 1; GGUF files store w. */
static bool stores_minus_one(const struct model *m, const struct tensor *x)
{
    const struct config *c = model_config(m);
    return c->architecture->norm_plus_one && strcmp(c->gguf_or_hf, "GGUF") != 0 &&
           tensor_place(m, x->name).role == ROLE_FINAL_NORM;
}

static int check(const struct model *m, double temperature, struct plumb_error *e)
{
    const struct config *c = model_config(m);
    if (!(temperature > 0) || !isfinite(temperature))
        return error_set(e, PLUMB_INPUT, "the temperature is %g; expected a number above 0",
                         temperature);
    if (c->final_soft_cap > 0)
        return error_set(e, PLUMB_INPUT,
                         "%s: %s caps its logits at %g by tanh, so no scaling of weights divides "
                         "them by a temperature; "
                         "apply the calibration outside of the model (plumb apply)",
                         model_path(m), c->architecture->name, (double)c->final_soft_cap);
    const struct tensor_place norm = {.role = ROLE_FINAL_NORM, .layer = -1, .expert = -1};
    if (!tensor_in_place(m, norm))
        return error_set(e, PLUMB_INPUT, "%s: no final norm to scale", model_path(m));
    return PLUMB_OK;
}

/* w / T, or (1 + w) / T - 1, in double and rounded once. */
static int put_scaled(struct model_writer *w, size_t i, const struct tensor *x, double temperature,
                      bool minus_one, struct plumb_error *e)
{
    float *values = mem_array(x->elements, sizeof *values);
    if (!values)
        return error_memory(e, x->name);
    dtype_to_f32(x->type, x->data, x->elements, values);
    for (size_t j = 0; j < x->elements; j++) {
        const double v = (double)values[j];
        values[j] = (float)(minus_one ? (1 + v) / temperature - 1 : v / temperature);
    }
    const int status = model_writer_put_f32(w, i, 0, values, x->elements, e);
    mem_free(values);
    return status;
}

static int put_weights(struct model_writer *w, const struct model *m, double temperature,
                       const struct progress *progress, struct bake_report *report,
                       struct plumb_error *e)
{
    const struct tensors *t = model_tensors(m);
    size_t total = 0;
    for (size_t i = 0; i < t->count; i++)
        total += t->items[i].bytes;
    for (size_t i = 0; i < t->count; i++) {
        const struct tensor *x = &t->items[i];
        int status;
        if (is_scaled(m, x)) {
            status = put_scaled(w, i, x, temperature, stores_minus_one(m, x), e);
            if (report->n_scaled < 2)
                snprintf(report->scaled[report->n_scaled++], sizeof report->scaled[0], "%s",
                         x->name);
        } else {
            status = model_writer_put(w, i, 0, x->data, x->bytes, e);
            file_map_forget(&t->files[x->file], x->data, x->bytes);
        }
        if (status != PLUMB_OK)
            return status;
        report->bytes += x->bytes;
        if (!progress_report(progress, report->bytes >> 20, total >> 20, "MiB", NULL))
            return error_set(e, PLUMB_NO, "stopped; nothing was written");
    }
    return PLUMB_OK;
}

int bake(const struct model *m, double temperature, const char *out, const char *note,
         const struct progress *progress, struct bake_report *report, struct plumb_error *e)
{
    *report = (struct bake_report){0};
    int status = check(m, temperature, e);
    if (status != PLUMB_OK)
        return status;
    const struct tensors *t = model_tensors(m);
    struct tensor *plan = mem_array(t->count, sizeof *plan);
    if (!plan)
        return error_memory(e, "the plan of a model");
    for (size_t i = 0; i < t->count; i++) {
        plan[i] = t->items[i];
        if (is_scaled(m, &plan[i]))
            plan[i].type = DTYPE_F32;
    }
    struct model_writer *w;
    status = model_writer_open(out, m, plan, t->count, &(struct model_write_options){0}, &w, e);
    mem_free(plan);
    if (status != PLUMB_OK)
        return status;
    status = put_weights(w, m, temperature, progress, report, e);
    if (status == PLUMB_OK && note)
        status = model_writer_note(w, "calibration.json", note, strlen(note), e);
    if (status != PLUMB_OK) {
        model_writer_abandon(w);
        return status;
    }
    return model_writer_commit(w, e);
}
