/*
 * test_dual_align.c - Dual-Align: the promises of its definition that need no published number, (b) to (f), the vector
 * form of the entropies against libm and against its own baseline, and that threads change nothing.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/random.h"
#include "calibrate/daca.h"
#include "calibrate/dual_align.h"
#include "calibrate/softmax.h"

static void near(double found, double expected, double tolerance)
{
    if (!(fabs(found - expected) <= tolerance))
        fail_msg("found %.17g, expected %.17g within %g", found, expected, tolerance);
}

/* A pair with a lens, filled by a function of (row, layer 1..L, option) for both models. */
enum { L = 6, K = 5 };
struct made {
    struct pair pair;
    struct divergence divergence;
    double *target;
};
typedef void fill(void *user, struct random *r, size_t row, int layer, int k, float *base,
                  float *post);

static void make(struct made *m, size_t n, fill *f, void *user)
{
    double *z[2] = {malloc(n * K * sizeof(double)), malloc(n * K * sizeof(double))};
    float *lens[2] = {calloc(n * L * K, sizeof(float)), calloc(n * L * K, sizeof(float))};
    int32_t *options = malloc(n * sizeof *options);
    if (!z[0] || !z[1] || !lens[0] || !lens[1] || !options)
        abort();
    for (size_t i = 0; i < n; i++) {
        struct random r = random_start(11, i);
        options[i] = 3 + (int)(i % 3); /* 3, 4 or 5 options */
        for (int l = 1; l <= L; l++) {
            const size_t at = (i * L + (size_t)l - 1) * K;
            f(user, &r, i, l, options[i], lens[0] + at, lens[1] + at);
        }
        for (size_t j = 0; j < K; j++)
            for (int side = 0; side < 2; side++)
                z[side][i * K + j] = (double)lens[side][(i * L + L - 1) * K + j];
    }
    const struct pair_arrays a = {.n = n,
                                  .k = K,
                                  .layers = L,
                                  .base = z[0],
                                  .post = z[1],
                                  .base_lens = lens[0],
                                  .post_lens = lens[1],
                                  .options = options};
    assert_int_equal(pair_create(&a, "made", &m->pair, NULL), PLUMB_OK);
    assert_int_equal(divergence_create(&m->pair, 0, &m->divergence, NULL), PLUMB_OK);
    m->target = base_probabilities(&m->pair);
    assert_non_null(m->target);
    for (int side = 0; side < 2; side++) {
        free(z[side]);
        free(lens[side]);
    }
    free(options);
}

static void unmake(struct made *m)
{
    mem_free(m->target);
    divergence_free(&m->divergence);
    pair_free(&m->pair);
}

static struct dual_align fit(const struct made *m, struct dual_align_options o)
{
    struct dual_align a;
    struct plumb_error e = {0};
    if (dual_align_fit(&m->pair, &m->divergence, m->target, &o, &a, &e) != PLUMB_OK)
        fail_msg("%s", e.message);
    return a;
}

/* user: the factor of the post-trained model's logits. */
static void scaled(void *user, struct random *r, size_t row, int layer, int k, float *base,
                   float *post)
{
    (void)row;
    (void)layer;
    for (int j = 0; j < k; j++) {
        base[j] = (float)(2 * random_normal(r));
        post[j] = *(float *)user * base[j];
    }
}

/* Two models that share something and part with depth. */
static void drifting(void *user, struct random *r, size_t row, int layer, int k, float *base,
                     float *post)
{
    (void)user;
    (void)row;
    for (int j = 0; j < k; j++) {
        const double common = random_normal(r), own = random_normal(r), depth = layer / (double)L;
        base[j] = (float)(2 * depth * common);
        post[j] = (float)(depth * (4 * common + 3 * depth * own));
    }
}

static const enum ise kinds[] = {ISE_MEAN, ISE_SUM, ISE_MIXTURE, ISE_LAST};

static void identical_models_need_no_temperature(void **state)
{
    (void)state;
    float one = 1;
    struct made m;
    make(&m, 300, scaled, &one);
    for (size_t i = 0; i < 300 * L; i++)
        assert_true(m.divergence.jsd[i] == 0);
    for (size_t i = 0; i < 300; i++)
        assert_int_equal(m.divergence.peak[i], 2);
    assert_int_equal(m.divergence.peak_count[1], 300);
    for (size_t t = 0; t < sizeof kinds / sizeof *kinds; t++) {
        struct dual_align_options o = dual_align_options_default();
        o.ise.ise = kinds[t];
        struct dual_align a = fit(&m, o);
        for (int l = 0; l < DUAL_LOSSES; l++) {
            if (l == DUAL_LOSS_PROCESS) { /* nothing disagrees */
                assert_false(a.fit[l].defined);
                continue;
            }
            assert_true(a.fit[l].defined);
            near(a.fit[l].tau, 1, 1e-6);
            near(a.fit[l].loss, 0, 1e-12);
        }
        dual_align_free(&a);
    }
    unmake(&m);
}

static void scaled_logits_in_all_layers_give_back_the_factor(void **state)
{
    (void)state;
    static float factors[] = {0.5F, 1.05F, 2.2F, 4.6F};
    for (size_t at = 0; at < sizeof factors / sizeof *factors; at++) {
        const float factor = factors[at];
        struct made m;
        make(&m, 300, scaled, &factors[at]);
        for (size_t t = 0; t < sizeof kinds / sizeof *kinds; t++) {
            struct dual_align_options o = dual_align_options_default();
            o.ise.ise = kinds[t];
            struct dual_align a = fit(&m, o);
            near(a.fit[DUAL_LOSS_NAIVE].tau, (double)factor, 1e-5 * (double)factor);
            near(a.fit[DUAL_LOSS_PROCESS_ALL].tau, (double)factor, 1e-5 * (double)factor);
            near(a.fit[DUAL_LOSS_SPLIT].tau, (double)factor, 1e-5 * (double)factor);
            for (int w = DUAL_LOSS_SOFT_LAST; w <= DUAL_LOSS_SOFT_MOST; w++)
                near(a.fit[w].tau, (double)factor, 1e-5 * (double)factor);
            dual_align_free(&a);
        }
        unmake(&m);
    }
}

/* The base is sure of what the post-trained model ranks last: E_p[z_post] <= mean z_post in every row. */
static void opposed(void *user, struct random *r, size_t row, int layer, int k, float *base,
                    float *post)
{
    (void)user;
    (void)row;
    const double depth = layer / (double)L;
    for (int j = 0; j < k; j++) {
        base[j] = (float)(depth * (j == k - 1 ? 2.0 : 0.1 * random_uniform(r)));
        post[j] = (float)(depth * (j == k - 1 ? -3.0 : 4.0 * random_uniform(r) * (j == 0 ? 2 : 1)));
    }
}

static void disagreement_drives_kl_to_the_clamp_but_not_the_process_loss(void **state)
{
    (void)state;
    struct made m;
    make(&m, 200, opposed, NULL);
    for (size_t i = 0; i < 200; i++) {
        const double *z = pair_row(&m.pair, m.pair.post, i), *p = m.target + i * K;
        double expected = 0, mean = 0;
        for (int j = 0; j < m.pair.options[i]; j++) {
            expected += p[j] * z[j];
            mean += z[j] / m.pair.options[i];
        }
        assert_true(expected <= mean);
        assert_false(m.pair.agree[i]);
    }
    struct temperature t;
    assert_int_equal(naive_fit(&m.pair, m.target, &t, NULL), PLUMB_OK);
    assert_int_equal(t.rim, TEMPERATURE_AT_MOST);
    struct dual_align a = fit(&m, dual_align_options_default());
    assert_int_equal(a.fit[DUAL_LOSS_NAIVE].rim, TEMPERATURE_AT_MOST);
    assert_int_equal(a.fit[DUAL_LOSS_PROCESS].rim, TEMPERATURE_INSIDE);
    assert_true(a.fit[DUAL_LOSS_PROCESS].tau < 10);
    assert_false(a.fit[DUAL_LOSS_DACA].defined);
    dual_align_free(&a);
    unmake(&m);
}

/* The scan's confidence losses have the minima that the exact solver finds. */
static void confidence_rows_are_the_exact_solvers(void **state)
{
    (void)state;
    struct made m;
    struct temperature t;
    make(&m, 500, drifting, NULL);
    struct dual_align a = fit(&m, dual_align_options_default());
    assert_int_equal(naive_fit(&m.pair, m.target, &t, NULL), PLUMB_OK);
    near(a.fit[DUAL_LOSS_NAIVE].tau, t.tau, 1e-6);
    assert_int_equal(daca_fit(&m.pair, m.target, &t, NULL), PLUMB_OK);
    near(a.fit[DUAL_LOSS_DACA].tau, t.tau, 1e-6);
    assert_true(m.pair.agreeing > 100 && m.pair.agreeing < 450);
    /* the chosen minimum is no worse than any point of its curve */
    for (int l = 0; l < DUAL_LOSSES; l++)
        for (int at = 0; at < a.points; at++)
            assert_true(a.fit[l].loss <= a.fit[l].curve[at]);
    dual_align_free(&a);
    unmake(&m);
}

/* Written out with libm, one layer after the other. */
static double plain_ise(const struct pair *p, size_t i, int from, enum ise kind, bool last_only,
                        double tau)
{
    const int k = p->options[i], m = L - from + 1;
    double sum = 0, mixture[K] = {0}, q[K] = {0}, z[K] = {0};
    for (int l = from; l <= L; l++) {
        for (int j = 0; j < k; j++)
            z[j] = (double)p->post_lens[(i * L + (size_t)l - 1) * K + (size_t)j];
        (void)softmax_at(z, k, last_only && l < L ? 1 : 1 / tau, q);
        sum += entropy_of(q, k);
        for (int j = 0; j < k; j++)
            mixture[j] += q[j] / m;
    }
    return kind == ISE_MIXTURE ? entropy_of(mixture, k) : kind == ISE_MEAN ? sum / m : sum;
}

static void entropies_are_those_of_libm_in_every_option(void **state)
{
    (void)state;
    struct made m;
    make(&m, 60, drifting, NULL);
    for (int kind = 0; kind < ISES; kind++)
        for (int from = 0; from < 2; from++)
            for (int last_only = 0; last_only < 2; last_only++) {
                const struct ise_options o = {(enum ise)kind, (enum ise_from)from, last_only != 0};
                struct stability s;
                double ise[60], slow[60], slope[60], up[60], down[60];
                assert_int_equal(stability_create(&m.pair, &m.divergence, &o, &s, NULL), PLUMB_OK);
                for (int at = 0; at < 10; at++) {
                    const double tau = 0.06 * pow(1.9, at);
                    stability_at(&s, 1 / tau, 0, 60, ise, NULL);
                    stability_baseline_at(&s, 1 / tau, 0, 60, slow, slope);
                    stability_at(&s, 1 / (tau * exp(1e-5)), 0, 60, up, NULL);
                    stability_at(&s, 1 / (tau * exp(-1e-5)), 0, 60, down, NULL);
                    for (size_t i = 0; i < 60; i++) {
                        int first = m.divergence.peak[i] + from;
                        if (kind == ISE_LAST || first > L)
                            first = L;
                        near(ise[i], plain_ise(&m.pair, i, first, o.ise, o.last_layer_only, tau),
                             1e-13);
                        assert_true(ise[i] == slow[i]); /* every instruction level, same bits */
                        near(slope[i], (up[i] - down[i]) / 2e-5, 1e-8);
                        if (!last_only)
                            assert_true(kind == ISE_MIXTURE || slope[i] >= 0);
                    }
                }
                stability_free(&s);
            }
    unmake(&m);
}

/* A unit in the last place of exp is 2.2e-16 of it; asked for: 1.5 of them, counting libm's half. */
static void the_exponential_is_libms_to_two_units(void **state)
{
    (void)state;
    double worst = 0;
    for (int at = 0; at < 1000; at++) {
        const double x = -706 * pow(at / 999.0, 4);
        const double in[4] = {x, x / 3, x / 7, x - 1e-9};
        double out[4];
        stability_exp4(in, out);
        for (int i = 0; i < 4; i++)
            worst = fmax(worst, fabs(out[i] / exp(in[i]) - 1));
    }
    assert_true(worst <= 2 * 2.3e-16);
    const double beyond[4] = {-708, -1e4, -1e30, 0};
    double out[4];
    stability_exp4(beyond, out);
    assert_true(out[1] == out[0] && out[2] == out[0] && out[0] < 1e-306 && out[3] == 1);
}

static void slopes_of_the_losses_are_finite_differences(void **state)
{
    (void)state;
    struct made m;
    struct stability s;
    make(&m, 200, drifting, NULL);
    const struct ise_options o = {0};
    double confidence[200], process[200];
    for (size_t i = 0; i < 200; i++) {
        process[i] = dual_weight_of(&m.divergence, DUAL_WEIGHT_LAST, i);
        assert_true(process[i] >= 0 && process[i] <= 1);
        confidence[i] = 1 - process[i];
    }
    assert_int_equal(stability_create(&m.pair, &m.divergence, &o, &s, NULL), PLUMB_OK);
    const struct dual_terms t = {&m.pair, m.target, NULL, &s};
    for (int at = 0; at < 18; at++) {
        const double x = -2.5 + 0.3 * at;
        const double h = 1e-5;
        double slope;
        (void)dual_align_loss(&t, confidence, process, x, &slope);
        near(slope,
             (dual_align_loss(&t, confidence, process, x + h, NULL) -
              dual_align_loss(&t, confidence, process, x - h, NULL)) /
                 (2 * h),
             1e-7);
    }
    stability_free(&s);
    unmake(&m);
}

static void threads_change_no_bit(void **state)
{
    (void)state;
    struct made m;
    make(&m, 700, drifting, NULL);
    struct dual_align_options o = dual_align_options_default();
    o.threads = 1;
    struct dual_align one = fit(&m, o);
    o.threads = 3;
    struct dual_align three = fit(&m, o);
    for (int l = 0; l < DUAL_LOSSES; l++) {
        assert_true(one.fit[l].tau == three.fit[l].tau && one.fit[l].loss == three.fit[l].loss);
        assert_memory_equal(one.fit[l].curve, three.fit[l].curve, 401 * sizeof(double));
    }
    dual_align_free(&one);
    dual_align_free(&three);
    unmake(&m);
}

/* One layer in which the models part at once: the jump there is the peak. */
static void parting(void *user, struct random *r, size_t row, int layer, int k, float *base,
                    float *post)
{
    (void)user;
    const int at = 2 + (int)(row % (L - 1));
    for (int j = 0; j < k; j++) {
        base[j] = (float)random_normal(r);
        post[j] = base[j] + (layer >= at && j == 0 ? 3.0F : 0.0F);
    }
}

static void the_peak_is_the_layer_at_which_they_part(void **state)
{
    (void)state;
    struct made m;
    make(&m, 50, parting, NULL);
    size_t sum = 0, at_it = 0;
    for (size_t i = 0; i < 50; i++)
        at_it += m.divergence.peak[i] == 2 + (int)(i % (L - 1));
    for (int l = 0; l < L; l++)
        sum += m.divergence.peak_count[l];
    assert_true(at_it >= 35); /* later layers differ by chance too, now and then by more */
    assert_int_equal(sum, 50);
    assert_true(m.divergence.mean[0] == 0);
    const double p[] = {1, 0}, q[] = {0, 1};
    near(jensen_shannon(p, q, 2), M_LN2, 1e-15);
    unmake(&m);
}

static void a_pair_without_lens_and_bad_options_are_refused(void **state)
{
    (void)state;
    struct plumb_error e = {0};
    struct divergence d;
    struct pair p;
    struct dual_align a;
    const double z[] = {1, 2, 3, 4};
    const struct pair_arrays arrays = {.n = 2, .k = 2, .base = z, .post = z};
    assert_int_equal(pair_create(&arrays, "p", &p, NULL), PLUMB_OK);
    assert_int_equal(divergence_create(&p, 0, &d, &e), PLUMB_INPUT);
    assert_non_null(strstr(e.message, "trace both models with a lens"));
    pair_free(&p);
    struct made m;
    make(&m, 20, drifting, NULL);
    struct dual_align_options o = dual_align_options_default();
    o.points = 2;
    assert_int_equal(dual_align_fit(&m.pair, &m.divergence, m.target, &o, &a, &e), PLUMB_INPUT);
    assert_non_null(strstr(e.message, "3 to 100000 points"));
    unmake(&m);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(identical_models_need_no_temperature),
        cmocka_unit_test(scaled_logits_in_all_layers_give_back_the_factor),
        cmocka_unit_test(disagreement_drives_kl_to_the_clamp_but_not_the_process_loss),
        cmocka_unit_test(confidence_rows_are_the_exact_solvers),
        cmocka_unit_test(entropies_are_those_of_libm_in_every_option),
        cmocka_unit_test(the_exponential_is_libms_to_two_units),
        cmocka_unit_test(slopes_of_the_losses_are_finite_differences),
        cmocka_unit_test(threads_change_no_bit),
        cmocka_unit_test(the_peak_is_the_layer_at_which_they_part),
        cmocka_unit_test(a_pair_without_lens_and_bad_options_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
