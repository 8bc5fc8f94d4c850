/*
 * probe_network.c - the networks of a probe: at layers that the logistic probes chose, on features standardised by the rows that each
 * is trained on; a tenth of these, dealt by the same keys, tells when to stop.
 */
#include "abstain/probe_private.h"

#include <math.h>
#include <string.h>

#include "base/memory.h"

enum { WATCHED_SHARE = 10, FEW_KEYS = 40 }; /* one in so many */

/* By key, so that the watched rows share no group with those that are learnt from; by question where there are few keys. */
static void deal_rows(const struct probe_training *t, int left_out, uint8_t *use)
{
    const bool few = folds_count_keys(t->data->key, t->data->n) < FEW_KEYS;
    for (size_t i = 0; i < t->data->n; i++) {
        const struct hash128 k = few ? t->data->item[i] : t->data->key[i];
        const uint64_t lot[3] = {k.low, k.high, t->o->seed};
        const bool watched = hash_bytes(lot, sizeof lot).low % WATCHED_SHARE == 0;
        use[i] = t->fold[i] == left_out ? NETWORK_IGNORE : watched ? NETWORK_WATCH : NETWORK_TRAIN;
    }
}

/* Mean and scale of the rows in use. */
static void standardise(double *x, size_t n, size_t d, const uint8_t *use, double *mean,
                        double *scale)
{
    size_t rows = 0;
    memset(mean, 0, d * sizeof *mean);
    memset(scale, 0, d * sizeof *scale);
    for (size_t i = 0; i < n; i++) {
        rows += use[i] != NETWORK_IGNORE;
        for (size_t j = 0; j < d && use[i] != NETWORK_IGNORE; j++)
            mean[j] += x[i * d + j];
    }
    for (size_t j = 0; j < d; j++)
        mean[j] /= (double)rows;
    for (size_t i = 0; i < n; i++)
        for (size_t j = 0; j < d && use[i] != NETWORK_IGNORE; j++)
            scale[j] += (x[i * d + j] - mean[j]) * (x[i * d + j] - mean[j]);
    for (size_t j = 0; j < d; j++) {
        const double s = sqrt(scale[j] / (double)rows);
        scale[j] = s > 1e-9 * (1 + fabs(mean[j])) ? s : INFINITY; /* a constant feature becomes 0 */
    }
    for (size_t i = 0; i < n; i++)
        for (size_t j = 0; j < d; j++)
            x[i * d + j] = (x[i * d + j] - mean[j]) / scale[j];
}

/* Weights of features that never varied are still those of chance. */
static void drop_constants(struct network *w, const double *scale)
{
    for (size_t u = 0; u < w->units; u++)
        for (size_t j = 0; j < w->d; j++)
            if (isinf(scale[j]))
                w->hidden[u * w->d + j] = 0;
}

/* left_out < 0: on all questions, kept in `kept`; else the fold's probabilities go into p. */
static int train_one(const struct probe_training *t, int layer, double strength, int left_out,
                     double *p, struct network *kept, struct plumb_error *e)
{
    const size_t n = t->data->n, d = probe_features(t->data, layer);
    struct network_options how = t->o->network;
    struct network w = {0};
    double *x = mem_aligned(n, d * sizeof *x), *moments = mem_array(2, d * sizeof *moments);
    uint8_t *use = mem_array(n, sizeof *use);
    int status = x && moments && use ? PLUMB_OK : error_memory(e, "a network");
    how.c = strength;
    how.seed = t->o->seed;
    if (status == PLUMB_OK) {
        for (size_t i = 0; i < n; i++)
            probe_row(t->data, layer, i, x + i * d);
        deal_rows(t, left_out, use);
        standardise(x, n, d, use, moments, moments + d);
        status = network_fit(x, t->data->right, use, n, d, &how, &w, e);
    }
    if (status == PLUMB_OK)
        drop_constants(&w, moments + d);
    for (size_t i = 0; status == PLUMB_OK && left_out >= 0 && i < n; i++)
        if (t->fold[i] == left_out)
            p[i] = regression_sigmoid(network_z(&w, x + i * d));
    if (status == PLUMB_OK && left_out < 0)
        *kept = w;
    else
        network_free(&w);
    mem_free(x);
    mem_free(moments);
    mem_free(use);
    return status;
}

int probe_train_networks(const struct probe_training *t, struct probe_result *out,
                         struct plumb_error *e)
{
    int status[FOLDS_MOST + 1] = {0};
    struct plumb_error error[FOLDS_MOST + 1] = {{0}};
#pragma omp parallel for schedule(dynamic, 1) num_threads(probe_threads(t->o))
    for (int f = 0; f <= out->folds; f++)
        status[f] = f < out->folds
                        ? train_one(t, t->candidates[out->chosen[f]].layer, out->chosen_strength[f],
                                    f, out->network, NULL, &error[f])
                        : train_one(t, out->probe.layer, out->probe.strength, -1, NULL,
                                    &out->probe.network, &error[f]);
    for (int f = 0; f <= out->folds; f++)
        if (status[f] != PLUMB_OK) {
            *e = error[f];
            return status[f];
        }
    return auroc_measure(out->network, t->data->right, out->n, &out->nested_network, e);
}
