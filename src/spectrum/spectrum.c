/*
 * spectrum.c - see spectrum.h.
 */
#include "spectrum/spectrum.h"

#include <math.h>
#include <omp.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>

#include "base/buffer.h"
#include "base/memory.h"
#include "model/config.h"
#include "spectrum/spectrum_json.h"
#include "tensor/linear_algebra.h"

/* ---- reading a result ---- */

double spectrum_excess(const struct spectrum_item *i, enum spectrum_null null,
                       enum spectrum_statistic s)
{
    return i->draws > 0 ? i->measured[s] - i->mean[null][s] : NAN;
}

/* Student's t, two-sided 99.9 %, by degrees of freedom from 2 (Abramowitz and Stegun, table 26.10). */
static double student_999(int freedom)
{
    static const double t[] = {31.599, 12.924, 8.610, 6.869, 5.959, 5.408, 5.041,
                               4.781,  4.587,  4.437, 4.318, 4.221, 4.140, 4.073};
    const int n = sizeof t / sizeof *t;
    return freedom - 2 < n ? t[freedom - 2] : t[n - 1]; /* beyond: on the safe side */
}

int spectrum_exceeds(const struct spectrum_item *i, enum spectrum_null null,
                     enum spectrum_statistic s)
{
    const double excess = spectrum_excess(i, null, s);
    if (i->draws < SPECTRUM_LEAST_DRAWS || !isfinite(excess))
        return 0;
    const double reach =
        student_999(i->draws - 1) * i->sd[null][s] * sqrt(1 + 1 / (double)i->draws);
    return fabs(excess) <= fmax(reach, 1e-5) ? 0 : excess < 0 ? -1 : 1;
}

void spectrum_summarise(const struct spectrum *s, enum spectrum_module module,
                        struct spectrum_summary *out)
{
    *out = (struct spectrum_summary){0};
    for (size_t k = 0; k < s->n; k++) {
        const struct spectrum_item *i = &s->items[k];
        if (i->module != module)
            continue;
        out->n++;
        out->with_control += i->draws > 0;
        out->judged += i->draws >= SPECTRUM_LEAST_DRAWS;
        out->change += i->change;
        for (int v = 0; v < SPECTRUM_STATISTICS; v++) {
            int above = 0, below = 0;
            out->measured[v] += i->measured[v];
            for (int null = 0; null < SPECTRUM_NULLS && i->draws > 0; null++) {
                const int side =
                    spectrum_exceeds(i, (enum spectrum_null)null, (enum spectrum_statistic)v);
                out->mean[null][v] += i->mean[null][v];
                out->above[null][v] += side > 0;
                out->below[null][v] += side < 0;
                above += side > 0;
                below += side < 0;
            }
            out->above_all[v] += above == SPECTRUM_NULLS;
            out->below_all[v] += below == SPECTRUM_NULLS;
        }
    }
    out->change /= (double)out->n; /* NaN where there are none */
    for (int v = 0; v < SPECTRUM_STATISTICS; v++) {
        out->measured[v] /= (double)out->n;
        for (int null = 0; null < SPECTRUM_NULLS; null++)
            out->mean[null][v] /= (double)out->with_control;
    }
}

/* ---- one matrix ---- */

/* Every draw has a stream of its own, whatever else is computed. */
static uint64_t stream_of(const struct matrix_pair *p, int null, int draw)
{
    return (((uint64_t)p->layer * SPECTRUM_MODULES + (uint64_t)p->module) * SPECTRUM_NULLS +
            (uint64_t)null) *
               SPECTRUM_DRAWS_MAX +
           (uint64_t)draw;
}

static void summarise(const double (*draws)[SPECTRUM_STATISTICS], int n, double *mean, double *sd)
{
    for (int s = 0; s < SPECTRUM_STATISTICS; s++) {
        double sum = 0, squares = 0;
        for (int k = 0; k < n; k++)
            sum += draws[k][s];
        mean[s] = sum / n;
        for (int k = 0; k < n; k++)
            squares += (draws[k][s] - mean[s]) * (draws[k][s] - mean[s]);
        sd[s] = n > 1 ? sqrt(squares / (n - 1)) : NAN;
    }
}

static int draw_controls(const struct matrix_pair *p, const struct decomposition *d,
                         const struct spectrum_options *o, int threads, struct spectrum_item *out,
                         struct plumb_error *e)
{
    struct null_base base;
    const int n = o->draws, all = n * SPECTRUM_NULLS;
    double(*values)[SPECTRUM_STATISTICS] = mem_zalloc((size_t)all, sizeof *values);
    if (!values)
        return error_memory(e, "control draws");
    int status = null_base_create(d, o->rank, &base, e);
    if (status == PLUMB_OK) {
        /* A named critical section would be one more name that the static library shows. */
        pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
        linear_algebra_start();
#pragma omp parallel for num_threads(threads) schedule(dynamic)
        for (int k = 0; k < all; k++) {
            const int null = SPECTRUM_NULLS - 1 - k / n, draw = k % n; /* the longer ones first */
            struct plumb_error mine = {0};
            const int failed = null_draw(&base, (enum spectrum_null)null, o->seed,
                                         stream_of(p, null, draw), values[null * n + draw], &mine);
            if (failed != PLUMB_OK) {
                pthread_mutex_lock(&lock);
                status = failed;
                if (e)
                    *e = mine;
                pthread_mutex_unlock(&lock);
            }
        }
        null_base_free(&base);
    }
    if (status == PLUMB_OK) {
        out->draws = n;
        for (int null = 0; null < SPECTRUM_NULLS; null++)
            summarise((const double(*)[SPECTRUM_STATISTICS])values + null * n, n, out->mean[null],
                      out->sd[null]);
    }
    mem_free(values);
    return status;
}

static void sample_ratios(const struct decomposition *d, struct spectrum_item *out)
{
    out->n_ratios = d->r < SPECTRUM_RATIO_POINTS ? (int)d->r : SPECTRUM_RATIO_POINTS;
    for (int k = 0; k < out->n_ratios; k++) {
        const size_t i =
            out->n_ratios > 1 ? (size_t)k * (d->r - 1) / (size_t)(out->n_ratios - 1) : 0;
        out->ratio_place[k] = (double)(i + 1) / (double)d->r;
        out->ratio[k] = d->s_post[i] / d->s_base[i];
    }
}

static int measure_pair(const struct matrix_pair *p, const struct spectrum_options *o, int threads,
                        struct spectrum_item *out, struct plumb_error *e)
{
    struct decomposition d;
    int status = decomposition_create(p, o->rank, o->seed, threads, &d, e);
    if (status != PLUMB_OK)
        return status;
    *out = (struct spectrum_item){.module = p->module,
                                  .layer = p->layer,
                                  .rows = d.m,
                                  .columns = d.n,
                                  .triples = d.r,
                                  .energy_count = spectrum_energy_count(d.r, d.s_base),
                                  .change = d.norm_change / d.norm};
    spectrum_statistics(d.m, d.n, d.r, d.s_base, d.s_post, d.q_u, d.q_v, out->measured);
    sample_ratios(&d, out);
    if (o->draws > 0 && d.norm_change > 0)
        status = draw_controls(p, &d, o, threads, out, e);
    decomposition_free(&d);
    return status;
}

/* ---- all matrices ---- */

static const struct spectrum_item *find_item(const struct spectrum_item *items, size_t n, int layer,
                                             enum spectrum_module module)
{
    for (size_t i = 0; i < n; i++)
        if (items[i].layer == layer && items[i].module == module)
            return &items[i];
    return NULL;
}

/* Everything that the numbers of a matrix depend on. */
static int make_key(const struct spectrum *s, char key[33], struct plumb_error *e)
{
    struct buffer text = BUFFER_EMPTY;
    buffer_printf(&text, "spectrum 1 %s %s rank %zu draws %d seed %llu", s->base_fingerprint,
                  s->post_fingerprint, s->rank, s->draws, (unsigned long long)s->seed);
    if (text.failed)
        return error_memory(e, "a key");
    hash_hex(hash_bytes(text.data, text.size), key);
    buffer_free(&text);
    return PLUMB_OK;
}

static int measure_all(const struct matrix_pair *pairs, size_t n, const struct spectrum_options *o,
                       const char *key, struct spectrum *out, struct plumb_error *e)
{
    const int threads = o->threads > 0 ? o->threads : omp_get_max_threads();
    const size_t room = (size_t)(1 << 14);
    size_t n_kept = 0;
    struct spectrum_item *kept = o->state ? mem_array(room, sizeof *kept) : NULL;
    int status = o->state && !kept ? error_memory(e, "the state of a spectrum") : PLUMB_OK;
    if (status == PLUMB_OK && o->state)
        status = spectrum_state_read(o->state, key, kept, room, &n_kept, e);
    for (size_t i = 0; i < n && status == PLUMB_OK; i++) {
        const struct spectrum_item *done = find_item(kept, n_kept, pairs[i].layer, pairs[i].module);
        if (done)
            out->items[i] = *done;
        else
            status = measure_pair(&pairs[i], o, threads, &out->items[i], e);
        if (status != PLUMB_OK)
            break;
        out->resumed += done != NULL;
        out->n = i + 1;
        if (!done && o->state && n_kept < room) {
            kept[n_kept++] = out->items[i];
            status = spectrum_state_write(o->state, key, kept, n_kept, e);
        }
        if (status == PLUMB_OK && !progress_report(o->progress, i + 1, n, "matrices", NULL) &&
            i + 1 < n)
            status = error_set(e, PLUMB_NO, "stopped after %zu of %zu matrices%s", i + 1, n,
                               o->state ? "; the same command goes on from here" : "");
    }
    mem_free(kept);
    return status;
}

/* ---- attention ---- */

static const char *caution_of(const struct model *base, double bias_q, double bias_k)
{
    const struct config *c = model_config(base);
    if (c->qk_norm != QK_NORM_NONE)
        return "queries and keys are normed after these matrices, which takes any scale away";
    if (isfinite(bias_q) || isfinite(bias_k))
        return "holds for the part of the scores without the biases of q and k";
    return NULL;
}

static int read_attention(const struct model *base, const struct model *post, struct spectrum *s,
                          struct plumb_error *e)
{
    s->attention = mem_zalloc(s->n + 1, sizeof *s->attention);
    if (!s->attention)
        return error_memory(e, "the scales of attention");
    for (size_t i = 0; i < s->n; i++) {
        const struct spectrum_item *q = &s->items[i],
                                   *k = find_item(s->items, s->n, q->layer, MODULE_K);
        if (q->module != MODULE_Q || !k)
            continue;
        struct spectrum_attention *a = &s->attention[s->n_attention++];
        *a = (struct spectrum_attention){
            .layer = q->layer,
            .alpha_q = q->measured[SPECTRUM_ALPHA],
            .alpha_k = k->measured[SPECTRUM_ALPHA],
            .bias_q = module_bias_scale(base, post, q->layer - 1, MODULE_Q),
            .bias_k = module_bias_scale(base, post, q->layer - 1, MODULE_K)};
        a->caution = caution_of(base, a->bias_q, a->bias_k);
        a->temperature =
            model_config(base)->qk_norm != QK_NORM_NONE ? NAN : 1 / (a->alpha_q * a->alpha_k);
    }
    return PLUMB_OK;
}

int spectrum_run(const struct model *base, const struct model *post,
                 const struct spectrum_options *o, struct spectrum *out, struct plumb_error *e)
{
    struct matrix_pair *pairs = NULL;
    struct hash128 h;
    char key[33];
    size_t n;
    *out = (struct spectrum){.rank = o->rank, .draws = o->draws, .seed = o->seed};
    if (o->draws < 0 || o->draws > SPECTRUM_DRAWS_MAX)
        return error_set(e, PLUMB_INPUT, "%d draws of the control; expected 0 to %d", o->draws,
                         SPECTRUM_DRAWS_MAX);
    snprintf(out->base_name, sizeof out->base_name, "%s", model_name(base));
    snprintf(out->post_name, sizeof out->post_name, "%s", model_name(post));
    int status = matrix_pairs(base, post, o->layers, o->n_layers, o->modules, &pairs, &n, e);
    if (status == PLUMB_OK && (status = model_fingerprint(base, &h, e)) == PLUMB_OK)
        hash_hex(h, out->base_fingerprint);
    if (status == PLUMB_OK && (status = model_fingerprint(post, &h, e)) == PLUMB_OK)
        hash_hex(h, out->post_fingerprint);
    if (status == PLUMB_OK)
        status = make_key(out, key, e);
    if (status == PLUMB_OK) {
        out->items = mem_zalloc(n, sizeof *out->items);
        status = out->items ? measure_all(pairs, n, o, key, out, e)
                            : error_memory(e, "the spectrum of a model");
    }
    if (status == PLUMB_OK)
        status = read_attention(base, post, out, e);
    mem_free(pairs);
    if (status != PLUMB_OK)
        spectrum_free(out);
    return status;
}

void spectrum_free(struct spectrum *s)
{
    mem_free(s->items);
    mem_free(s->attention);
    s->items = NULL;
    s->attention = NULL;
    s->n = s->n_attention = 0;
}
