/*
 * bench_statistics.c - how long the statistics take at the size of a real job: all fits on 14,042 questions with a lens of 32
 * layers, and all metrics with 2,000 resamples. `make bench` runs it; nothing here is asserted.
 *
 *   bench_statistics [ROUNDS [THREADS]]
 *
 * The pair is made up (seed 14042, printed): a base that is calibrated by construction, a model twice as sharp with noise of its
 * own, lenses that sharpen with depth, 57 groups. Best of ROUNDS (3). The goals are the project's own.
 */
#include <math.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "base/progress.h"
#include "base/random.h"
#include "calibrate/fit.h"
#include "metric/measure.h"

enum { N = 14042, L = 32, K = 4, GROUPS = 57, SEED = 14042, DRAWS = 2000 };
static const double FITS_GOAL = 2, METRICS_GOAL = 5; /* seconds, two cores */

struct arrays {
    double *base, *post;          /* [N, K] */
    float *base_lens, *post_lens; /* [N, L, K] */
    int32_t *label, *group;       /* [N] */
};

/* Question i: its logits at every layer, and a right answer drawn from the base's probabilities. */
static void fill_row(struct arrays *a, size_t i)
{
    struct random r = random_start(SEED, i);
    double total = 0, up = 0;
    for (size_t j = i * K; j < (i + 1) * K; j++) {
        a->base[j] = 1.5 * random_normal(&r);
        a->post[j] = 2 * (a->base[j] + 0.7 * random_normal(&r));
        total += exp(a->base[j]);
        for (size_t l = 0; l < L; l++) {
            const double depth = (double)(l + 1) / L, noise = (1 - depth) * random_normal(&r);
            const size_t at = (i * L + l) * K + j % K;
            a->base_lens[at] = (float)(depth * a->base[j] + noise);
            a->post_lens[at] = (float)(depth * a->post[j] + noise);
        }
    }
    const double u = random_uniform(&r) * total;
    a->label[i] = K - 1;
    for (int j = 0; j < K; j++) {
        up += exp(a->base[i * K + (size_t)j]);
        if (u < up) {
            a->label[i] = j;
            break;
        }
    }
    a->group[i] = (int32_t)(i % GROUPS);
}

static int make_pair(struct pair *out, struct plumb_error *e)
{
    static char names[GROUPS][12];
    static const char *groups[GROUPS]; /* the pair keeps the pointer */
    struct arrays a = {mem_array(N * K, sizeof *a.base),
                       mem_array(N * K, sizeof *a.post),
                       mem_array((size_t)N * L * K, sizeof *a.base_lens),
                       mem_array((size_t)N * L * K, sizeof *a.post_lens),
                       mem_array(N, sizeof *a.label),
                       mem_array(N, sizeof *a.group)};
    int status = error_memory(e, "a pair");
    for (int g = 0; g < GROUPS; g++) {
        snprintf(names[g], sizeof names[g], "group %d", g + 1);
        groups[g] = names[g];
    }
    if (a.base && a.post && a.base_lens && a.post_lens && a.label && a.group) {
        for (size_t i = 0; i < N; i++)
            fill_row(&a, i);
        const struct pair_arrays in = {.n = N,
                                       .k = K,
                                       .layers = L,
                                       .base = a.base,
                                       .post = a.post,
                                       .base_lens = a.base_lens,
                                       .post_lens = a.post_lens,
                                       .label = a.label,
                                       .group = a.group,
                                       .groups = groups,
                                       .n_groups = GROUPS};
        status = pair_create(&in, "made up", out, e);
    }
    mem_free(a.base);
    mem_free(a.post);
    mem_free(a.base_lens);
    mem_free(a.post_lens);
    mem_free(a.label);
    mem_free(a.group);
    return status;
}

/* The methods with (or without) labels, as bits; without those that nobody gets unasked. */
static uint32_t methods_of(bool labels)
{
    uint32_t out = 0;
    for (int m = 0; m < METHODS; m++)
        if (m != METHOD_DACA_ADAM && m != METHOD_CAPE &&
            method_uses_labels((enum method)m) == labels)
            out |= 1U << m;
    return out;
}

/* Seconds of fitting `methods` on the pair: all of it, or with labels all but the one in a thousand that a split must leave.
   Best of the rounds, in *best; *n counts what was fitted. */
static int time_fits(const struct pair *p, uint32_t methods, bool labels, int rounds, int threads,
                     double *best, int *n, struct plumb_error *e)
{
    struct fit_options o = fit_options_default();
    o.methods = methods;
    o.labels = labels;
    o.split = 0.999;
    o.draws = 0;
    o.threads = threads;
    *best = INFINITY;
    for (int i = 0; i < rounds; i++) {
        struct fit f;
        const int status = fit_run(p, &o, &f, e);
        if (status != PLUMB_OK)
            return status;
        *best = fmin(*best, f.seconds);
        *n = f.n_results;
        fit_free(&f);
    }
    return PLUMB_OK;
}

static int time_metrics(const struct pair *p, int rounds, int threads, double *best, size_t *n,
                        struct plumb_error *e)
{
    const struct scores s = pair_scores(p, false);
    const struct sample_options so = sample_options_default();
    struct measure_options o = measure_options_default();
    struct sample sample = {0};
    int status = sample_create(&s, &so, &sample, e);
    o.draws = DRAWS;
    o.threads = threads;
    *best = INFINITY;
    for (int i = 0; i < rounds && status == PLUMB_OK; i++) {
        struct measurement m;
        const double start = clock_seconds();
        status = measure(&sample, &o, &m, e);
        if (status != PLUMB_OK)
            break;
        *best = fmin(*best, clock_seconds() - start);
        *n = m.n_values;
        measurement_free(&m);
    }
    if (sample.n)
        sample_free(&sample);
    return status;
}

static void print_machine(int threads)
{
    char line[256] = "", *name = NULL;
    cpu_set_t set;
    FILE *f = fopen("/proc/cpuinfo", "r");
    while (f && !name && fgets(line, sizeof line, f))
        if (strncmp(line, "model name", 10) == 0)
            name = strchr(line, ':');
    if (f)
        (void)fclose(f);
    if (name)
        name[strcspn(name, "\n")] = '\0';
    const int processors = sched_getaffinity(0, sizeof set, &set) == 0 ? CPU_COUNT(&set) : 1;
    printf("%s, %d threads\n", name ? name + 2 : "a machine without a name",
           threads ? threads : processors);
}

static void print_row(const char *what, double seconds, double goal)
{
    printf("%-58s %7.3f s", what, seconds);
    if (goal > 0)
        printf("   goal %.0f s: %3.0f %%", goal, 100 * seconds / goal);
    putchar('\n');
}

static int bench(int rounds, int threads, struct plumb_error *e)
{
    struct pair p;
    double without, with, adam, measured = 0;
    int n_without, n_with, n_adam;
    size_t n_measured = 0;
    char what[80];
    int status = make_pair(&p, e);
    if (status != PLUMB_OK)
        return status;
    status = time_fits(&p, methods_of(false), false, rounds, threads, &without, &n_without, e);
    if (status == PLUMB_OK)
        status = time_fits(&p, methods_of(true), true, rounds, threads, &with, &n_with, e);
    if (status == PLUMB_OK)
        status = time_fits(&p, 1U << METHOD_DACA_ADAM, false, 1, threads, &adam, &n_adam, e);
    if (status == PLUMB_OK)
        status = time_metrics(&p, rounds, threads, &measured, &n_measured, e);
    pair_free(&p);
    if (status != PLUMB_OK)
        return status;
    print_machine(threads);
    printf("%d questions, %d options, %d layers; made up, seed %d; best of %d\n", N, K, L, SEED,
           rounds);
    snprintf(what, sizeof what, "%d methods without labels", n_without);
    print_row(what, without, 0);
    snprintf(what, sizeof what, "%d methods with labels", n_with);
    print_row(what, with, 0);
    print_row("all fits", without + with, FITS_GOAL);
    print_row("beside them, only on request: DACA by the official Adam", adam, 0);
    snprintf(what, sizeof what, "%zu metrics, %d resamples", n_measured, (int)DRAWS);
    print_row(what, measured, METRICS_GOAL);
    return PLUMB_OK;
}

int main(int argc, char **argv)
{
    const int rounds = argc > 1 ? (int)strtol(argv[1], NULL, 10) : 3,
              threads = argc > 2 ? (int)strtol(argv[2], NULL, 10) : 0;
    struct plumb_error e = {0};
    const int status = bench(rounds > 0 ? rounds : 1, threads > 0 ? threads : 0, &e);
    if (status != PLUMB_OK)
        fprintf(stderr, "bench_statistics: %s\n", e.message);
    return status;
}
