/*
 * mlp.c - the MLP of a block, and the mixture of experts.
 */
#include <math.h>
#include <string.h>

#include "base/memory.h"
#include "model/forward_private.h"

enum { MLP_ROWS = 512 }; /* rows at a time: bounds the memory of the wide inner layer */

static void activate(const struct forward *f, float *x, size_t n)
{
    switch (f->m->config.activation) {
    case ACTIVATION_SILU:
        f->k->silu(x, n);
        break;
    case ACTIVATION_GELU_TANH:
        f->k->gelu_tanh(x, n);
        break;
    case ACTIVATION_GELU_ERF:
        f->k->gelu_erf(x, n);
        break;
    }
}

/* out = down(act(gate x) * up x), or down(act(up x)) */
int mlp_rows(struct forward *f, const struct linear *gate_up, const struct linear *down, bool gated,
             const float *x, size_t rows, const struct mlp_watch *watch, float *out,
             struct plumb_error *e)
{
    const size_t d = (size_t)f->m->config.hidden, wide = matrix_rows(gate_up->w),
                 inner = gated ? wide / 2 : wide;
    int status = floats_reserve(&f->inner, rows < MLP_ROWS ? rows : MLP_ROWS, wide,
                                "the MLP's inner layer", e);
    for (size_t first = 0; first < rows && status == PLUMB_OK; first += MLP_ROWS) {
        size_t n = rows - first < MLP_ROWS ? rows - first : MLP_ROWS;
        status = linear_rows(f, gate_up, x + first * d, d, n, f->inner.data, e);
        if (status != PLUMB_OK)
            break;
#pragma omp parallel for schedule(static) num_threads(f->workspace.team.threads) if (n > ROWS_ALONE)
        for (size_t i = 0; i < n; i++) {
            float *row = f->inner.data + i * wide;
            activate(f, row, inner);
            if (gated)
                f->k->multiply(row, row + inner, inner);
        }
        if (watch)
            watch->hook->inner(watch->hook->user, watch->block, watch->first + first, n,
                               f->inner.data, wide);
        status = linear_rows(f, down, f->inner.data, wide, n, out + first * d, e);
    }
    return status;
}

/* ---- experts ---- */

/* The experts of one row: softmax over all, the k most likely (ties take the lower number), their weights. */
static void choose(const struct config *c, const float *logits, int32_t *chosen, float *weights)
{
    double sum = 0, kept = 0, largest = (double)logits[0];
    for (int i = 1; i < c->n_experts; i++)
        largest = fmax(largest, (double)logits[i]);
    for (int i = 0; i < c->n_experts; i++)
        sum += exp((double)logits[i] - largest);
    for (int k = 0; k < c->n_experts_used; k++) {
        int best = -1;
        for (int i = 0; i < c->n_experts; i++) {
            bool taken = false;
            for (int j = 0; j < k; j++)
                taken |= chosen[j] == i;
            if (!taken && (best < 0 || logits[i] > logits[best]))
                best = i;
        }
        chosen[k] = best;
        double p = exp((double)logits[best] - largest) / sum;
        weights[k] = (float)p;
        kept += p;
    }
    if (c->normalise_experts)
        for (int k = 0; k < c->n_experts_used; k++)
            weights[k] = (float)((double)weights[k] / kept);
}

struct choice {
    int32_t *chosen; /* [rows, k] */
    float *weights;  /* [rows, k] */
    size_t *places;  /* [rows] of one expert: row * k + which of its choices */
    float *logits;   /* [rows, experts] */
};

static int run_expert(struct forward *f, const struct layer *y, int expert, const float *x,
                      size_t rows, const struct choice *choice, float *out, struct plumb_error *e)
{
    const struct config *c = &f->m->config;
    const size_t d = (size_t)c->hidden, k = (size_t)c->n_experts_used;
    size_t n = 0;
    for (size_t i = 0; i < rows * k; i++)
        if (choice->chosen[i] == expert) {
            memcpy(f->gathered.data + n * d, x + i / k * d, d * sizeof *x);
            choice->places[n++] = i;
        }
    int status = n ? mlp_rows(f, &y->experts_gate_up[expert], &y->experts_down[expert], true,
                              f->gathered.data, n, NULL, f->expert_out.data, e)
                   : PLUMB_OK;
    for (size_t r = 0; r < n && status == PLUMB_OK; r++) {
        float *from = f->expert_out.data + r * d;
        f->k->scale(from, choice->weights[choice->places[r]], d);
        f->k->add(out + choice->places[r] / k * d, from, d);
    }
    return status;
}

int experts_rows(struct forward *f, const struct layer *y, const float *x, size_t rows, float *out,
                 struct plumb_error *e)
{
    const struct config *c = &f->m->config;
    const size_t d = (size_t)c->hidden, k = (size_t)c->n_experts_used;
    struct choice choice = {.chosen = mem_array(rows * k, sizeof(int32_t)),
                            .weights = mem_array(rows * k, sizeof(float)),
                            .places = mem_array(rows, sizeof(size_t)),
                            .logits = mem_array(rows * (size_t)c->n_experts, sizeof(float))};
    bool there = choice.chosen && choice.weights && choice.places && choice.logits;
    int status = there ? PLUMB_OK : error_memory(e, "the experts' choice");
    if (status == PLUMB_OK)
        status = floats_reserve(&f->gathered, rows, d, "an expert's rows", e);
    if (status == PLUMB_OK)
        status = floats_reserve(&f->expert_out, rows, d, "an expert's rows", e);
    if (status == PLUMB_OK)
        status = linear_rows(f, &y->router, x, d, rows, choice.logits, e);
    for (size_t i = 0; i < rows && status == PLUMB_OK; i++)
        choose(c, choice.logits + i * (size_t)c->n_experts, choice.chosen + i * k,
               choice.weights + i * k);
    /* Experts in ascending order: a row's sum has one order whatever rows stand beside it. */
    if (status == PLUMB_OK)
        memset(out, 0, rows * d * sizeof *out);
    for (int expert = 0; expert < c->n_experts && status == PLUMB_OK; expert++)
        status = run_expert(f, y, expert, x, rows, &choice, out, e);
    mem_free(choice.chosen);
    mem_free(choice.weights);
    mem_free(choice.places);
    mem_free(choice.logits);
    return status;
}
