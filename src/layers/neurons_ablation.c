/*
 * neurons_ablation.c - what taking a neuron out does to the loss, in all and with the final norm held still. See neurons.h.
 *
 * The text goes through the model once for each block that has a neuron to be ablated; activations and final residuals are
 * kept, and every neuron costs two passes of the head over them.
 */
#include <math.h>
#include <string.h>

#include "base/memory.h"
#include "layers/neurons_private.h"
#include "model/config.h"
#include "model/forward.h"
#include "model/head_parts.h"
#include "model/mlp_writes.h"
#include "tensor/kernels.h"

enum { USUAL_WINDOW = 256, LOGITS_A_CHUNK = 1 << 23, ROWS_A_RUN = 2048 };

struct ablation {
    const struct model *m;
    const struct neurons_options *o;
    struct neurons *out;
    const struct kernels *k;
    struct forward *f;
    size_t tokens, window, scored; /* tokens of whole windows; those with a next token */
    size_t width, chunk;
    float *final;             /* [tokens, D] h */
    float *activations;       /* [tokens, F] of the block in hand */
    float *branch;            /* [tokens, D] W_down a + c */
    float *written;           /* [tokens, D] what the block's MLP adds */
    float *rows;              /* [F, D] w_i as they are */
    float *logits;            /* [chunk, V] */
    float *changed, *settled; /* [chunk, D] */
    double *loss;             /* [tokens] of h; NaN where there is no next token */
    size_t first;             /* row of the run in hand: where the hook writes */
    int block;
    struct plumb_error *e;
};

static void keep_activations(void *user, int block, size_t first, size_t n, const float *values,
                             size_t ld)
{
    struct ablation *a = user;
    for (size_t i = 0; block == a->block - 1 && i < n; i++)
        memcpy(a->activations + (a->first + first + i) * a->width, values + i * ld,
               a->width * sizeof *values);
}

/* Windows go through together, as many as fit a run. */
static int run_text(struct ablation *a)
{
    struct forward_item items[ROWS_A_RUN / 2];
    const struct forward_hook hook = {.inner = keep_activations, .user = a};
    const size_t d = a->out->hidden, at_once = a->window < ROWS_A_RUN ? ROWS_A_RUN / a->window : 1;
    int status = PLUMB_OK;
    for (size_t row = 0, n; row < a->tokens && status == PLUMB_OK; row += n * a->window) {
        n = (a->tokens - row) / a->window < at_once ? (a->tokens - row) / a->window : at_once;
        for (size_t i = 0; i < n; i++)
            items[i] = (struct forward_item){.tokens = a->o->ids + row + i * a->window,
                                             .n_tokens = (int)a->window,
                                             .n_wanted = (int)a->window};
        a->first = row;
        status = forward_run(a->f, items, n, &hook, NULL, a->final + row * d, a->e);
    }
    return status;
}

/* -log softmax(z)[target]; z is overwritten. */
static double row_loss(const struct kernels *k, float *z, size_t n, int32_t target)
{
    const double at = (double)z[target], most = (double)k->maximum(z, n);
    double sum = 0;
    k->softmax_numerators(z, n);
    for (size_t i = 0; i < n; i++)
        sum += (double)z[i];
    // cppcheck-suppress invalidFunctionArg ; the largest term is exp(0), so the sum is at least 1
    return most + log(sum) - at;
}

/* Losses of rows x [n, D], which stand at `first` in the text; like: null, or whose norm is taken. */
static int losses(struct ablation *a, const float *x, const float *like, size_t first, size_t n,
                  double *out)
{
    const size_t v = (size_t)model_config(a->m)->vocabulary;
    const int status = like ? head_logits_frozen(a->f, x, like, n, a->logits, a->e)
                            : head_logits(a->f, x, n, a->logits, a->e);
    if (status != PLUMB_OK)
        return status;
#pragma omp parallel for schedule(static) num_threads(model_threads(a->m))
    for (size_t i = 0; i < n; i++) {
        const size_t at = first + i;
        out[at] = (at + 1) % a->window == 0
                      ? NAN
                      : row_loss(a->k, a->logits + i * v, v, a->o->ids[at + 1]);
    }
    return PLUMB_OK;
}

/* ---- one neuron ---- */

static double mean_activation(const struct ablation *a, size_t neuron)
{
    double sum = 0;
    for (size_t t = 0; t < a->tokens; t++)
        sum += (double)a->activations[t * a->width + neuron];
    return sum / (double)a->tokens;
}

/* h' of rows [first, first + n) into changed. */
static void take_out(struct ablation *a, size_t neuron, double mean, size_t first, size_t n)
{
    const size_t d = a->out->hidden;
    const float *w = a->rows + neuron * d;
    for (size_t r = 0; r < n; r++) {
        const size_t at = first + r;
        const float by = (float)(mean - (double)a->activations[at * a->width + neuron]);
        for (size_t j = 0; j < d; j++)
            a->changed[r * d + j] = a->branch[at * d + j] + by * w[j];
    }
    mlp_settle(a->f, a->block, a->changed, n, a->settled);
    for (size_t i = 0; i < n * d; i++)
        a->changed[i] = a->final[first * d + i] + (a->settled[i] - a->written[first * d + i]);
}

/* Adds |loss' - loss| of the rows that have a next token. */
static double moved(const struct ablation *a, const double *changed, size_t first, size_t n)
{
    double sum = 0;
    for (size_t at = first; at < first + n; at++)
        if (!isnan(a->loss[at]))
            sum += fabs(changed[at] - a->loss[at]);
    return sum;
}

static int ablate(struct ablation *a, struct neuron *neuron, double *scratch)
{
    const size_t d = a->out->hidden;
    const double mean = mean_activation(a, neuron->index);
    double total = 0, direct = 0;
    int status = PLUMB_OK;
    for (size_t first = 0, n; first < a->tokens && status == PLUMB_OK; first += n) {
        n = a->tokens - first < a->chunk ? a->tokens - first : a->chunk;
        take_out(a, neuron->index, mean, first, n);
        status = losses(a, a->changed, NULL, first, n, scratch);
        if (status != PLUMB_OK)
            break;
        total += moved(a, scratch, first, n);
        status = losses(a, a->changed, a->final + first * d, first, n, scratch);
        if (status == PLUMB_OK)
            direct += moved(a, scratch, first, n);
    }
    if (status == PLUMB_OK) {
        neuron->total = total / (double)a->scored;
        neuron->direct = direct / (double)a->scored;
        neuron->share = neuron->total > 0 ? 1 - neuron->direct / neuron->total : NAN;
    }
    return status;
}

/* ---- a block ---- */

static bool any_of_block(const struct neurons *n, int block)
{
    bool any = false;
    for (size_t i = 0; i < n->n_top; i++)
        any |= n->all[n->top[i]].block == block;
    for (size_t i = 0; i < n->n_controls; i++)
        any |= n->all[n->control[i]].block == block;
    return any;
}

static int ablate_all(struct ablation *a, const size_t *which, size_t count, double *scratch,
                      size_t *done)
{
    const size_t all = a->out->n_top + a->out->n_controls;
    int status = PLUMB_OK;
    for (size_t i = 0; i < count && status == PLUMB_OK; i++) {
        struct neuron *neuron = &a->out->all[which[i]];
        if (neuron->block != a->block)
            continue;
        status = ablate(a, neuron, scratch);
        if (status == PLUMB_OK &&
            !progress_report(a->o->progress, ++*done, all, "neurons ablated", NULL) && *done < all)
            status = error_set(a->e, PLUMB_NO, "stopped after %zu of %zu neurons", *done, all);
    }
    return status;
}

/* The text through the block, and the losses of h. */
static int enter_block(struct ablation *a)
{
    const size_t d = a->out->hidden;
    double sum = 0;
    int status = run_text(a);
    if (status == PLUMB_OK)
        status = mlp_neuron_rows(a->m, a->block, false, a->rows, a->e);
    if (status == PLUMB_OK)
        status = mlp_branch(a->f, a->block, a->activations, a->width, a->tokens, a->branch, a->e);
    if (status == PLUMB_OK)
        mlp_settle(a->f, a->block, a->branch, a->tokens, a->written);
    for (size_t first = 0, n; first < a->tokens && status == PLUMB_OK; first += n) {
        n = a->tokens - first < a->chunk ? a->tokens - first : a->chunk;
        status = losses(a, a->final + first * d, NULL, first, n, a->loss);
    }
    for (size_t t = 0; t < a->tokens && status == PLUMB_OK; t++)
        sum += isnan(a->loss[t]) ? 0 : a->loss[t];
    a->out->loss = sum / (double)a->scored;
    return status;
}

/* ---- all of it ---- */

static int plan(struct ablation *a)
{
    const struct neurons_options *o = a->o;
    const size_t context = (size_t)model_config(a->m)->context,
                 v = (size_t)model_config(a->m)->vocabulary,
                 n = o->n_ids < o->tokens ? o->n_ids : o->tokens;
    a->window = o->window > 0 ? (size_t)o->window : USUAL_WINDOW;
    if (o->window <= 0 && a->window > context)
        a->window = context;
    if (o->window <= 0 && a->window > n)
        a->window = n;
    if (a->window < 2 || a->window > context || n < a->window)
        return error_set(a->e, PLUMB_INPUT,
                         "a text of %zu tokens in windows of %zu; expected 2 to %zu tokens a "
                         "window, and one window at least",
                         n, a->window, context);
    a->tokens = n / a->window * a->window;
    a->scored = a->tokens / a->window * (a->window - 1);
    a->chunk = LOGITS_A_CHUNK / v > 16 ? LOGITS_A_CHUNK / v : 16;
    a->chunk = a->chunk < ROWS_A_RUN ? a->chunk : ROWS_A_RUN;
    a->out->tokens = a->scored;
    return mlp_neuron_count(a->m, a->out->layers, &a->width, a->e);
}

static bool make_room(struct ablation *a)
{
    const size_t d = a->out->hidden, v = (size_t)model_config(a->m)->vocabulary;
    a->final = mem_array(a->tokens * d, sizeof *a->final);
    a->activations = mem_array(a->tokens, a->width * sizeof *a->activations);
    a->branch = mem_array(a->tokens * d, sizeof *a->branch);
    a->written = mem_array(a->tokens * d, sizeof *a->written);
    a->rows = mem_array(a->width, d * sizeof *a->rows);
    a->logits = mem_array(a->chunk, v * sizeof *a->logits);
    a->changed = mem_array(a->chunk * d, sizeof *a->changed);
    a->settled = mem_array(a->chunk * d, sizeof *a->settled);
    a->loss = mem_array(a->tokens, sizeof *a->loss);
    return a->final && a->activations && a->branch && a->written && a->rows && a->logits &&
           a->changed && a->settled && a->loss;
}

static void release(struct ablation *a)
{
    float *all[] = {a->final, a->activations, a->branch,  a->written,
                    a->rows,  a->logits,      a->changed, a->settled};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        mem_free(all[i]);
    mem_free(a->loss);
    forward_destroy(a->f);
}

int neurons_ablate(const struct model *m, const struct neurons_options *o, struct neurons *n,
                   struct plumb_error *e)
{
    struct ablation a = {.m = m, .o = o, .out = n, .e = e};
    size_t done = 0;
    a.k = kernels_for(model_level(m));
    int status = plan(&a);
    double *scratch = status == PLUMB_OK ? mem_array(a.tokens, sizeof *scratch) : NULL;
    if (status == PLUMB_OK && (!scratch || !make_room(&a)))
        status = error_memory(e, "the ablation of neurons");
    if (status == PLUMB_OK)
        status = forward_create(m, &a.f, e);
    for (a.block = n->layers - n->blocks + 1; a.block <= n->layers && status == PLUMB_OK;
         a.block++) {
        if (!any_of_block(n, a.block))
            continue;
        status = enter_block(&a);
        if (status == PLUMB_OK)
            status = ablate_all(&a, n->top, n->n_top, scratch, &done);
        if (status == PLUMB_OK)
            status = ablate_all(&a, n->control, n->n_controls, scratch, &done);
    }
    mem_free(scratch);
    release(&a);
    return status;
}
