/*
 * bench_probe.c - how long a probe takes at the size of MMLU: 14,042 questions, 24 layers of 896 numbers, 5 folds, every strength,
 * nested. Nothing here is asserted.
 *
 *   bench_probe [QUESTIONS LAYERS THREADS]
 *
 * The states are made up (seed 14042, printed): 16 factors of falling size seen through noise, of which two tell whether the answer is
 * right, most clearly at layer 15 of 24; 57 groups.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "abstain/probe.h"
#include "base/memory.h"
#include "base/progress.h"
#include "base/random.h"
#include "tensor/dtype.h"

enum { D = 896, FACTORS = 16, GROUPS = 57, SEED = 14042 };

struct arrays {
    size_t n;
    int layers;
    uint16_t *hidden; /* [n, layers, D] */
    uint8_t *right;
    struct hash128 *key, *item;
    uint32_t *row;
    int *layer;
};

/* direction [FACTORS, D] */
static void fill_question(struct arrays *a, const float *direction, size_t i)
{
    struct random r = random_start(SEED, i + 1);
    double factor[FACTORS];
    for (int k = 0; k < FACTORS; k++)
        factor[k] = 3 * random_normal(&r) / (1 + k);
    const double z = 0.5 * factor[0] + 2 * factor[5];
    a->right[i] = random_uniform(&r) < 1 / (1 + exp(-z));
    a->key[i] = (struct hash128){.low = i % GROUPS};
    a->item[i] = (struct hash128){.low = i, .high = 1};
    a->row[i] = (uint32_t)i;
    for (int l = 0; l < a->layers; l++) {
        const float clear = expf(-0.01F * (float)((l - 14) * (l - 14)));
        uint16_t *h = a->hidden + (i * (size_t)a->layers + (size_t)l) * D;
        for (int j = 0; j < D; j++) {
            /* cheap noise of nearly normal shape: the sum of four uniform bytes */
            const uint32_t u = random_u32(&r);
            float v =
                (float)((u & 255) + (u >> 8 & 255) + (u >> 16 & 255) + (u >> 24)) / 148 - 3.45F;
            for (int k = 0; k < FACTORS; k++)
                v += clear * (float)factor[k] * direction[k * D + j];
            h[j] = f32_to_f16(v);
        }
    }
}

static int make_data(struct arrays *a)
{
    float *direction = mem_array(FACTORS, D * sizeof *direction);
    struct random r = random_start(SEED, 0);
    a->hidden = mem_array(a->n * (size_t)a->layers, D * sizeof *a->hidden);
    a->right = mem_array(a->n, 1);
    a->key = mem_array(a->n, sizeof *a->key);
    a->item = mem_array(a->n, sizeof *a->item);
    a->row = mem_array(a->n, sizeof *a->row);
    a->layer = mem_array((size_t)a->layers, sizeof *a->layer);
    if (!direction || !a->hidden || !a->right || !a->key || !a->item || !a->row || !a->layer) {
        mem_free(direction);
        return 1;
    }
    for (int j = 0; j < FACTORS * D; j++)
        direction[j] = (float)random_normal(&r) / 4;
    for (int l = 0; l < a->layers; l++)
        a->layer[l] = l + 1;
#pragma omp parallel for
    for (size_t i = 0; i < a->n; i++)
        fill_question(a, direction, i);
    mem_free(direction);
    return 0;
}

int main(int argc, char **argv)
{
    struct arrays a = {.n = argc > 1 ? (size_t)atol(argv[1]) : 14042, /* NOLINT(cert-err34-c) */
                       .layers = argc > 2 ? atoi(argv[2]) : 24};      /* NOLINT(cert-err34-c) */
    struct probe_options o = probe_options_default();
    struct probe_result r;
    struct plumb_error e = {0};
    o.threads = argc > 3 ? atoi(argv[3]) : 0; /* NOLINT(cert-err34-c) */
    if (a.n < 100 || a.layers < 1 || make_data(&a) != 0)
        return 3;
    const struct probe_data data = {.n = a.n,
                                    .right = a.right,
                                    .key = a.key,
                                    .item = a.item,
                                    .row = a.row,
                                    .hidden = a.hidden,
                                    .n_stored = a.layers,
                                    .hidden_size = D,
                                    .stored = a.layer,
                                    .layers = a.layer,
                                    .n_layers = a.layers,
                                    .check_key = a.item,
                                    .check_folds = o.folds};
    const double start = clock_seconds();
    if (probe_train(&data, &o, &r, &e) != PLUMB_OK) {
        fprintf(stderr, "%s\n", e.message);
        return 3;
    }
    printf(
        "probe: %zu questions, %d layers of %d, %d folds, %d strengths, seed %d: %.1f s; layer %d, "
        "AUROC %.4f nested\n",
        a.n, a.layers, (int)D, o.folds, o.n_strengths, (int)SEED, clock_seconds() - start,
        r.probe.layer, r.nested.value);
    probe_result_free(&r);
    mem_free(a.hidden);
    mem_free(a.right);
    mem_free(a.key);
    mem_free(a.item);
    mem_free(a.row);
    mem_free(a.layer);
    return 0;
}
