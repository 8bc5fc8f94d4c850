/*
 * neurons.c - what the weights alone say of neurons: norms, LogitVar, null space, and what chance would give. See neurons.h.
 */
#include "layers/neurons.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "base/random.h"
#include "layers/head_gram.h"
#include "layers/neurons_private.h"
#include "model/config.h"
#include "model/head_parts.h"
#include "model/mlp_writes.h"
#include "tensor/linear_algebra.h"

enum { WORDS_A_PIECE = 512 }; /* rows of W at a time: the pieces' order fixes every sum */

struct neurons_options neurons_options_default(void)
{
    return (struct neurons_options){
        .blocks = 1, .top = 10, .controls = 10, .draws = 1000, .tokens = 2048};
}

void neurons_free(struct neurons *n)
{
    if (n->arena)
        arena_destroy(n->arena);
    *n = (struct neurons){0};
}

/* What the weights are read with. */
struct search {
    const struct model *m;
    const struct neurons_options *o;
    struct neurons *out;
    float *mean;  /* [D] of W_U over the vocabulary */
    float *write; /* [n, D] w_i */
    size_t width; /* neurons of a block */
    bool layer_norm;
    struct plumb_error *e;
};

static size_t vocabulary(const struct search *s)
{
    return (size_t)model_config(s->m)->vocabulary;
}

static int stopped(const struct search *s, size_t done, size_t total)
{
    if (progress_report(s->o->progress, done, total, "pieces of the vocabulary", NULL))
        return PLUMB_OK;
    return error_set(s->e, PLUMB_NO, "stopped after %zu of %zu pieces of the vocabulary", done,
                     total);
}

/* ---- the null space ---- */

/* V_0 and the singular values. Eigenvalues come ascending: the first k vectors are the null space. */
static int find_null_space(struct search *s)
{
    struct neurons *out = s->out;
    const size_t d = out->hidden;
    double *g = mem_aligned(d * d, sizeof *g), *values = mem_aligned(d, sizeof *values);
    int status = g && values ? head_gram(s->m, s->mean, g, s->e)
                             : error_memory(s->e, "the Gram matrix of the head");
    if (status == PLUMB_OK)
        status = eigen_symmetric_f64(d, g, values, s->e);
    for (size_t i = 0; i < d && status == PLUMB_OK; i++)
        out->singular[i] = values[i] > 0 ? sqrt(values[i]) : 0;
    if (status == PLUMB_OK)
        memcpy(out->null_space, g, out->k * d * sizeof *g);
    mem_free(g);
    mem_free(values);
    return status;
}

/* ---- the neurons ---- */

/* w_i of all blocks, for a LayerNorm without its mean; norms; rho. */
static int read_neurons(struct search *s)
{
    struct neurons *out = s->out;
    const size_t d = out->hidden;
    int status = PLUMB_OK;
    for (int b = 0; b < out->blocks && status == PLUMB_OK; b++) {
        const int block = out->layers - out->blocks + 1 + b;
        status = mlp_neuron_rows(s->m, block, true, s->write + (size_t)b * s->width * d, s->e);
        for (size_t i = 0; i < s->width; i++)
            out->all[(size_t)b * s->width + i] = (struct neuron){
                .block = block, .index = i, .total = NAN, .direct = NAN, .share = NAN};
    }
    for (size_t i = 0; i < out->n && status == PLUMB_OK; i++) {
        float *w = s->write + i * d;
        double level = 0, squares = 0, within = 0;
        for (size_t j = 0; j < d && s->layer_norm; j++)
            level += (double)w[j] / (double)d;
        for (size_t j = 0; j < d; j++) {
            w[j] = (float)((double)w[j] - level);
            squares += (double)w[j] * (double)w[j];
        }
        for (size_t r = 0; r < out->k; r++) {
            double along = 0;
            for (size_t j = 0; j < d; j++)
                along += out->null_space[r * d + j] * (double)w[j];
            within += along * along;
        }
        out->all[i].norm = sqrt(squares);
        out->all[i].rho = squares > 0 ? fmin(sqrt(within / squares), 1) : 0;
    }
    return status;
}

struct variance {
    double *sum, *squares; /* [n] over the vocabulary of the cosines */
};

/* One piece's sums; rows of W become unit rows, so that products are |w_i| times cosines. */
static bool piece_variance(const struct search *s, size_t first, size_t n, float *rows,
                           float *products, struct variance *own)
{
    const size_t d = s->out->hidden, count = s->out->n;
    if (head_effective_rows(s->m, s->mean, first, n, rows, NULL) != PLUMB_OK)
        return false;
    for (size_t v = 0; v < n; v++) {
        double squares = 0;
        for (size_t j = 0; j < d; j++)
            squares += (double)rows[v * d + j] * (double)rows[v * d + j];
        const double scale = squares > 0 ? 1 / sqrt(squares) : 0;
        for (size_t j = 0; j < d; j++)
            rows[v * d + j] = (float)((double)rows[v * d + j] * scale);
    }
    /* by columns: [count, n] = w' rows, w seen as [D, count] */
    product_f32(true, false, count, n, d, s->write, rows, products);
    for (size_t i = 0; i < count; i++)
        own->sum[i] = own->squares[i] = 0;
    for (size_t v = 0; v < n; v++)
        for (size_t i = 0; i < count; i++) {
            const double x = (double)products[v * count + i];
            own->sum[i] += x;
            own->squares[i] += x * x;
        }
    return true;
}

static int sum_cosines(struct search *s, struct variance *all)
{
    const size_t v = vocabulary(s), d = s->out->hidden, count = s->out->n,
                 pieces = (v + WORDS_A_PIECE - 1) / WORDS_A_PIECE;
    bool failed = false;
    size_t done = 0;
    int status = PLUMB_OK;
#pragma omp parallel num_threads(model_threads(s->m))
    {
        float *rows = mem_aligned(WORDS_A_PIECE * d, sizeof *rows),
              *products = mem_aligned(WORDS_A_PIECE * count, sizeof *products);
        struct variance own = {.sum = mem_array(count, 2 * sizeof *own.sum)};
        own.squares = own.sum ? own.sum + count : NULL;
#pragma omp for ordered schedule(static, 1)
        for (size_t p = 0; p < pieces; p++) {
            const size_t first = p * WORDS_A_PIECE,
                         n = v - first < WORDS_A_PIECE ? v - first : WORDS_A_PIECE;
            int now;
#pragma omp atomic read
            now = status;
            const bool good = now == PLUMB_OK && rows && products && own.sum &&
                              piece_variance(s, first, n, rows, products, &own);
#pragma omp ordered
            {
                failed |= !good;
                for (size_t i = 0; i < count && good; i++) {
                    all->sum[i] += own.sum[i];
                    all->squares[i] += own.squares[i];
                }
                if (status == PLUMB_OK) {
                    const int said = stopped(s, ++done, pieces);
#pragma omp atomic write
                    status = done < pieces ? said : PLUMB_OK;
                }
            }
        }
        mem_free(rows);
        mem_free(products);
        mem_free(own.sum);
    }
    if (status == PLUMB_OK && failed)
        status = error_memory(s->e, "the variance of the logits");
    return status;
}

static int find_logit_var(struct search *s)
{
    struct neurons *out = s->out;
    const double v = (double)vocabulary(s);
    struct variance all = {.sum = mem_zalloc(out->n, 2 * sizeof *all.sum)};
    all.squares = all.sum ? all.sum + out->n : NULL;
    const int status =
        all.sum ? sum_cosines(s, &all) : error_memory(s->e, "the variance of the logits");
    for (size_t i = 0; i < out->n && status == PLUMB_OK; i++) {
        const double mean = all.sum[i] / v, norm = out->all[i].norm;
        const double variance = fmax(all.squares[i] / v - mean * mean, 0);
        out->all[i].logit_var = norm > 0 ? variance / (norm * norm) : NAN;
    }
    mem_free(all.sum);
    return status;
}

/* ---- which of them ---- */

static int by_rho(const void *left, const void *right, void *neurons)
{
    const size_t *a = left, *b = right;
    const struct neuron *all = neurons;
    const double x = all[*a].rho, y = all[*b].rho;
    if (x != y)
        return x > y ? -1 : 1;
    return *a < *b ? -1 : *a > *b;
}

static int by_place(const void *left, const void *right)
{
    const size_t *a = left, *b = right;
    return *a < *b ? -1 : *a > *b;
}

/* The top by rho, and controls drawn from the rest. */
static int choose(struct search *s)
{
    struct neurons *out = s->out;
    struct random r = random_start(s->o->seed, 0);
    size_t *order = mem_array(out->n, sizeof *order);
    if (!order)
        return error_memory(s->e, "the order of the neurons");
    for (size_t i = 0; i < out->n; i++)
        order[i] = i;
    qsort_r(order, out->n, sizeof *order, by_rho, out->all);
    memcpy(out->top, order, out->n_top * sizeof *order);
    for (size_t i = 0; i < out->n_controls; i++) { /* a partial shuffle of those behind the top */
        const size_t at = out->n_top + i, from = at + (size_t)random_below(&r, out->n - at),
                     kept = order[at];
        order[at] = order[from];
        order[from] = kept;
        out->control[i] = order[at];
    }
    qsort(out->control, out->n_controls, sizeof *out->control, by_place);
    mem_free(order);
    return PLUMB_OK;
}

/* ---- chance ---- */

/* Gamma(shape, 1) by Marsaglia and Tsang (2000); below 1 through shape + 1. */
static double draw_gamma(struct random *r, double shape)
{
    if (shape < 1)
        return draw_gamma(r, shape + 1) * pow(1 - random_uniform(r), 1 / shape);
    const double d = shape - 1.0 / 3, c = 1 / sqrt(9 * d);
    for (;;) {
        const double x = random_normal(r), t = 1 + c * x;
        const double v = t * t * t;
        if (v > 0 && log(1 - random_uniform(r)) < 0.5 * x * x + d - d * v + d * log(v))
            return d * v;
    }
}

static int falling(const void *left, const void *right)
{
    const double *a = left, *b = right;
    return *a > *b ? -1 : *a < *b;
}

/* rho^2 of a random direction is Beta(k/2, (D - k)/2). A LayerNorm takes one direction away, which is in V_0. */
static int find_chance(struct search *s)
{
    struct neurons *out = s->out;
    const size_t lost = s->layer_norm ? 1 : 0, draws = s->o->draws, n = out->n, top = out->n_top;
    const double k = (double)(out->k - lost), rest = (double)(out->hidden - out->k);
    double *largest = mem_array(draws * top, sizeof *largest); /* [top, draws] */
    bool failed = !largest;
#pragma omp parallel num_threads(model_threads(s->m))
    {
        double *rho = mem_array(n, sizeof *rho);
#pragma omp for schedule(static)
        for (size_t t = 0; t < draws; t++) {
            struct random r = random_start(s->o->seed, t + 1);
            if (!rho || !largest) {
#pragma omp atomic write
                failed = true;
                continue;
            }
            for (size_t i = 0; i < n; i++) {
                const double in = k > 0 ? draw_gamma(&r, k / 2) : 0;
                const double outside = rest > 0 ? draw_gamma(&r, rest / 2) : 0;
                rho[i] = in > 0 ? sqrt(in / (in + outside)) : 0;
            }
            qsort(rho, n, sizeof *rho, falling);
            for (size_t j = 0; j < top; j++)
                largest[j * draws + t] = rho[j];
        }
        mem_free(rho);
    }
    for (size_t j = 0; j < top && !failed; j++) {
        double *row = largest + j * draws, sum = 0;
        for (size_t t = 0; t < draws; t++)
            sum += row[t];
        qsort(row, draws, sizeof *row, falling);
        out->chance_mean[j] = draws ? sum / (double)draws : NAN;
        out->chance_high[j] = draws ? row[draws / 20] : NAN;
    }
    mem_free(largest);
    return failed ? error_memory(s->e, "the chance level") : PLUMB_OK;
}

/* ---- all of it ---- */

static int plan(struct search *s)
{
    struct neurons *out = s->out;
    const struct neurons_options *o = s->o;
    const struct config *c = model_config(s->m);
    const size_t d = (size_t)c->hidden, least = s->layer_norm ? 2 : 1,
                 usual = (size_t)(0.01 * (double)d + 0.5);
    out->layers = c->n_layers;
    out->blocks = o->blocks;
    out->hidden = d;
    out->k = o->null ? o->null : usual > least ? usual : least;
    if (o->blocks < 1 || o->blocks > c->n_layers)
        return error_set(s->e, PLUMB_INPUT, "%d blocks; expected 1 to %d, all of %s", o->blocks,
                         c->n_layers, model_name(s->m));
    if (out->k < least || out->k >= d)
        return error_set(s->e, PLUMB_INPUT,
                         "a null space of %zu directions; expected %zu to %zu of the %zu", out->k,
                         least, d - 1, d);
    for (int b = c->n_layers - o->blocks + 1; b <= c->n_layers; b++) {
        const int status = mlp_neuron_count(s->m, b, &s->width, s->e);
        if (status != PLUMB_OK)
            return status;
    }
    out->n = (size_t)o->blocks * s->width;
    out->n_top = o->top < out->n ? o->top : out->n;
    out->n_controls = o->controls < out->n - out->n_top ? o->controls : out->n - out->n_top;
    return PLUMB_OK;
}

static int make_room(struct search *s)
{
    struct neurons *out = s->out;
    const size_t d = out->hidden;
    struct arena *a = out->arena = arena_create();
    if (a) {
        out->all = arena_alloc(a, out->n, sizeof *out->all);
        out->top = arena_alloc(a, out->n_top + 1, sizeof *out->top);
        out->control = arena_alloc(a, out->n_controls + 1, sizeof *out->control);
        out->chance_mean = arena_alloc(a, out->n_top + 1, sizeof *out->chance_mean);
        out->chance_high = arena_alloc(a, out->n_top + 1, sizeof *out->chance_high);
        out->singular = arena_alloc(a, d, sizeof *out->singular);
        out->null_space = arena_alloc(a, out->k * d, sizeof *out->null_space);
    }
    s->mean = mem_array(d, sizeof *s->mean);
    s->write = mem_aligned(out->n * d, sizeof *s->write);
    return out->all && out->top && out->control && out->chance_mean && out->chance_high &&
                   out->singular && out->null_space && s->mean && s->write
               ? PLUMB_OK
               : error_memory(s->e, "the neurons");
}

int neurons_find(const struct model *m, const struct neurons_options *o, struct neurons *out,
                 struct plumb_error *e)
{
    struct search s = {.m = m, .o = o, .out = out, .e = e};
    *out = (struct neurons){0};
    linear_algebra_start();
    s.layer_norm = model_config(m)->architecture->norm == NORM_LAYER;
    int status = plan(&s);
    if (status == PLUMB_OK)
        status = make_room(&s);
    if (status == PLUMB_OK)
        status = head_mean_row(m, s.mean, e);
    if (status == PLUMB_OK)
        status = find_null_space(&s);
    if (status == PLUMB_OK)
        status = read_neurons(&s);
    if (status == PLUMB_OK)
        status = find_logit_var(&s);
    if (status == PLUMB_OK)
        status = choose(&s);
    if (status == PLUMB_OK)
        status = find_chance(&s);
    mem_free(s.mean);
    mem_free(s.write);
    if (status == PLUMB_OK && o->ids)
        status = neurons_ablate(m, o, out, e);
    if (status != PLUMB_OK)
        neurons_free(out);
    return status;
}

bool neurons_regulates(const struct neurons *n, size_t place)
{
    const struct neuron *x = &n->all[n->top[place]];
    double sum = 0, squares = 0, known = 0;
    for (size_t i = 0; i < n->n_controls; i++) {
        const double share = n->all[n->control[i]].share;
        if (isnan(share))
            continue;
        known++;
        sum += share;
        squares += share * share;
    }
    if (known < 3 || isnan(x->share) || !(x->rho > n->chance_high[place]))
        return false;
    const double mean = sum / known, sd = sqrt(fmax(squares - sum * mean, 0) / (known - 1));
    return x->share > mean + 3 * sd;
}

double neurons_share(const struct neurons *n, const size_t *which, size_t count, size_t *known)
{
    double *shares = mem_array(count, sizeof *shares);
    double median = NAN;
    *known = 0;
    for (size_t i = 0; i < count && shares; i++)
        if (!isnan(n->all[which[i]].share))
            shares[(*known)++] = n->all[which[i]].share;
    if (*known > 0) {
        qsort(shares, *known, sizeof *shares, falling);
        median = (shares[(*known - 1) / 2] + shares[*known / 2]) / 2;
    }
    mem_free(shares);
    return median;
}
