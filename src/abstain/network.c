/*
 * network.c - see network.h.
 */
#include "abstain/network.h"

#include <math.h>
#include <string.h>

#include "abstain/regression.h"
#include "base/memory.h"
#include "base/random.h"
#include "tensor/linear_algebra.h"

struct network_options network_options_default(void)
{
    return (struct network_options){
        .units = 32, .batch = 32, .epochs = 60, .patience = 6, .rate = 0.001, .c = 0.001};
}

int network_create(size_t d, size_t units, struct network *out, struct plumb_error *e)
{
    *out = (struct network){.d = d, .units = units};
    out->hidden = mem_aligned(units, d * sizeof *out->hidden);
    out->bias = mem_zalloc(units, sizeof *out->bias);
    out->out = mem_zalloc(units, sizeof *out->out);
    if (!out->hidden || !out->bias || !out->out) {
        network_free(out);
        return error_memory(e, "a network");
    }
    memset(out->hidden, 0, units * d * sizeof *out->hidden);
    return PLUMB_OK;
}

void network_free(struct network *w)
{
    mem_free(w->hidden);
    mem_free(w->bias);
    mem_free(w->out);
    *w = (struct network){0};
}

double network_z(const struct network *w, const double *x)
{
    double z = w->out_bias;
    for (size_t u = 0; u < w->units; u++) {
        double a = w->bias[u];
        for (size_t j = 0; j < w->d; j++)
            a += w->hidden[u * w->d + j] * x[j];
        z += w->out[u] * tanh(a);
    }
    return z;
}

/* ---- training ---- */

/* All parameters stand in one array: W, b, v, c. */
struct training {
    const double *x;
    const uint8_t *y;
    const struct network_options *o;
    size_t d, parameters, n_train, n_watch;
    uint32_t *train, *watch; /* rows */
    double *at, *best, *gradient, *first,
        *second;        /* [parameters]; the last two are Adam's moments */
    double *rows;       /* [batch, d] */
    double *activation; /* [batch, units] tanh, then what flows back */
    double *memory;
    int step;
};

static int allocate(struct training *t, const uint8_t *use, size_t n, struct plumb_error *e)
{
    const size_t p = t->parameters, batch = t->o->batch;
    t->train = mem_array(n, sizeof *t->train);
    t->watch = mem_array(n, sizeof *t->watch);
    t->rows = mem_aligned(batch, t->d * sizeof *t->rows);
    t->activation = mem_aligned(batch, t->o->units * sizeof *t->activation);
    t->memory = mem_aligned(p, 5 * sizeof *t->memory);
    if (!t->train || !t->watch || !t->rows || !t->activation || !t->memory)
        return error_memory(e, "a network");
    memset(t->memory, 0, 5 * p * sizeof *t->memory);
    t->at = t->memory;
    t->best = t->at + p;
    t->gradient = t->best + p;
    t->first = t->gradient + p;
    t->second = t->first + p;
    for (size_t i = 0; i < n; i++)
        if (use[i] == NETWORK_TRAIN)
            t->train[t->n_train++] = (uint32_t)i;
        else if (use[i] == NETWORK_WATCH)
            t->watch[t->n_watch++] = (uint32_t)i;
    return t->n_train ? PLUMB_OK
                      : error_set(e, PLUMB_INPUT, "a network without a question to learn from");
}

static void release(struct training *t)
{
    mem_free(t->train);
    mem_free(t->watch);
    mem_free(t->rows);
    mem_free(t->activation);
    mem_free(t->memory);
}

/* Glorot and Bengio 2010; the intercept begins at the share of right answers. */
static void begin(struct training *t)
{
    const size_t units = t->o->units;
    struct random r = random_start(t->o->seed, 1);
    const double wide = sqrt(6 / (double)(t->d + units)), narrow = sqrt(6 / (double)(units + 1));
    double *v = t->at + units * t->d + units;
    double right = 0.5;
    for (size_t i = 0; i < units * t->d; i++)
        t->at[i] = wide * (2 * random_uniform(&r) - 1);
    for (size_t u = 0; u < units; u++)
        v[u] = narrow * (2 * random_uniform(&r) - 1);
    for (size_t i = 0; i < t->n_train; i++)
        right += t->y[t->train[i]];
    v[units] = log(right / ((double)t->n_train + 1 - right));
}

/* The rows' logits into z [count]; tanh of the hidden units stays in t->activation [count, units]. */
static void forward(struct training *t, const uint32_t *rows, size_t count, double *z)
{
    const size_t units = t->o->units, d = t->d;
    const double *bias = t->at + units * d, *v = bias + units;
    for (size_t i = 0; i < count; i++)
        memcpy(t->rows + i * d, t->x + (size_t)rows[i] * d, d * sizeof *t->rows);
    product_f64(true, false, units, count, d, t->at, t->rows, t->activation);
    for (size_t i = 0; i < count; i++) {
        double *a = t->activation + i * units;
        z[i] = v[units];
        for (size_t u = 0; u < units; u++) {
            a[u] = tanh(a[u] + bias[u]);
            z[i] += v[u] * a[u];
        }
    }
}

/* Gradient of the mean loss of the batch and of the penalty. z becomes the residuals. */
static void backward(struct training *t, const uint32_t *rows, size_t count, double *z)
{
    const size_t units = t->o->units, d = t->d, weights = units * d;
    const double decay = 1 / (t->o->c * (double)t->n_train);
    double *bias = t->gradient + weights, *v = bias + units;
    const double *out = t->at + weights + units;
    memset(bias, 0, (2 * units + 1) * sizeof *bias);
    for (size_t i = 0; i < count; i++) {
        double *a = t->activation + i * units;
        z[i] = (regression_sigmoid(z[i]) - t->y[rows[i]]) / (double)count;
        v[units] += z[i];
        for (size_t u = 0; u < units; u++) {
            v[u] += z[i] * a[u];
            a[u] = z[i] * out[u] * (1 - a[u] * a[u]);
            bias[u] += a[u];
        }
    }
    product_f64(false, true, d, units, count, t->rows, t->activation, t->gradient);
    for (size_t j = 0; j < weights; j++)
        t->gradient[j] += decay * t->at[j];
    for (size_t u = 0; u < units; u++)
        v[u] += decay * out[u];
}

static void adam(struct training *t)
{
    const double b1 = 0.9, b2 = 0.999;
    t->step++;
    const double rate = t->o->rate * sqrt(1 - pow(b2, t->step)) / (1 - pow(b1, t->step));
    for (size_t j = 0; j < t->parameters; j++) {
        const double g = t->gradient[j];
        t->first[j] = b1 * t->first[j] + (1 - b1) * g;
        t->second[j] = b2 * t->second[j] + (1 - b2) * g * g;
        t->at[j] -= rate * t->first[j] / (sqrt(t->second[j]) + 1e-8);
    }
}

static void train_epoch(struct training *t, int epoch, double *z)
{
    struct random r = random_start(t->o->seed, (uint64_t)epoch + 2);
    for (size_t i = t->n_train; i > 1; i--) {
        const size_t j = (size_t)random_below(&r, i);
        const uint32_t row = t->train[i - 1];
        t->train[i - 1] = t->train[j];
        t->train[j] = row;
    }
    for (size_t i = 0; i < t->n_train; i += t->o->batch) {
        const size_t count = t->n_train - i < t->o->batch ? t->n_train - i : t->o->batch;
        forward(t, t->train + i, count, z);
        backward(t, t->train + i, count, z);
        adam(t);
    }
}

static double watched_loss(struct training *t, double *z)
{
    double loss = 0;
    for (size_t i = 0; i < t->n_watch; i += t->o->batch) {
        const size_t count = t->n_watch - i < t->o->batch ? t->n_watch - i : t->o->batch;
        forward(t, t->watch + i, count, z);
        for (size_t k = 0; k < count; k++)
            loss += regression_loss(z[k], t->y[t->watch[i + k]]);
    }
    return loss;
}

static void train(struct training *t, double *z)
{
    double least = INFINITY;
    int since = 0;
    begin(t);
    for (int epoch = 0; epoch < t->o->epochs && since < t->o->patience; epoch++) {
        train_epoch(t, epoch, z);
        const double loss = t->n_watch ? watched_loss(t, z) : -epoch;
        since = loss < least ? 0 : since + 1;
        if (since > 0)
            continue;
        least = loss;
        memcpy(t->best, t->at, t->parameters * sizeof *t->at);
    }
}

static void give(const struct training *t, struct network *out)
{
    const size_t units = t->o->units, weights = units * t->d;
    memcpy(out->hidden, t->best, weights * sizeof *out->hidden);
    memcpy(out->bias, t->best + weights, units * sizeof *out->bias);
    memcpy(out->out, t->best + weights + units, units * sizeof *out->out);
    out->out_bias = t->best[weights + 2 * units];
}

int network_fit(const double *x, const uint8_t *y, const uint8_t *use, size_t n, size_t d,
                const struct network_options *o, struct network *out, struct plumb_error *e)
{
    struct training t = {
        .x = x, .y = y, .o = o, .d = d, .parameters = o->units * d + 2 * o->units + 1};
    double *z = mem_array(o->batch, sizeof *z);
    int status = network_create(d, o->units, out, e);
    if (status == PLUMB_OK)
        status = z ? allocate(&t, use, n, e) : error_memory(e, "a network");
    if (status == PLUMB_OK) {
        train(&t, z);
        give(&t, out);
    } else {
        network_free(out);
    }
    release(&t);
    mem_free(z);
    return status;
}
