/*
 * test_operators.c - the formulas of merging: ends give the parents' bytes, any block gives the same bits, the arc and the
 * line part where geometry says, and masks and thresholds keep what they promise.
 */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "base/random.h"
#include "merge/operators.h"

enum { N = 200003, MODELS = 3 }; /* several blocks, the last one odd */

static float data[MODELS][N];

static int read_data(void *user, int model, size_t first, size_t n, float *to,
                     struct plumb_error *e)
{
    (void)user;
    (void)e;
    memcpy(to, data[model] + first, n * sizeof *to);
    return PLUMB_OK;
}

static const int zero_one[] = {0, 1}, one_two[] = {1, 2}, one[] = {1};

static struct merge_tensor tensor_of(enum merge_method method)
{
    struct merge_tensor m = {.method = method,
                             .base = -1,
                             .n_inputs = 2,
                             .inputs = zero_one,
                             .elements = N,
                             .weight = {1, 1},
                             .density = {1, 1},
                             .t = 0.5,
                             .lambda = 1,
                             .rescale = true,
                             .seed = 1,
                             .stream = 7,
                             .read = read_data};
    if (merge_needs_base(method)) {
        m.base = 0;
        m.inputs = one_two;
    }
    return m;
}

static void fill(uint64_t seed)
{
    for (int i = 0; i < MODELS; i++) {
        struct random r = random_start(seed, (uint64_t)i);
        for (size_t j = 0; j < N; j++)
            data[i][j] = (float)random_normal(&r);
    }
    data[0][5] = -0.0f;
    data[1][5] = -0.0f;
}

/* The whole result, in blocks of `block`. */
static void run(struct merge_tensor *m, int threads, size_t block, float *out)
{
    static float scratch[(MODELS + 1) * MERGE_BLOCK];
    struct plumb_error e = {0};
    assert_int_equal(merge_tensor_prepare(m, threads, &e), PLUMB_OK);
    for (size_t at = 0; at < N; at += block)
        assert_int_equal(
            merge_block(m, at, N - at < block ? N - at : block, out + at, scratch, NULL, &e),
            PLUMB_OK);
}

static float result[N], other[N];

static void the_ends_of_an_interpolation_are_the_parents(void **state)
{
    (void)state;
    static const enum merge_method methods[] = {MERGE_LINEAR, MERGE_SLERP, MERGE_NUSLERP};
    fill(11);
    for (size_t i = 0; i < 3; i++)
        for (int end = 0; end < 2; end++) {
            struct merge_tensor m = tensor_of(methods[i]);
            m.t = end;
            m.weight[0] = 1 - end;
            m.weight[1] = end;
            m.normalise = true;
            run(&m, 1, MERGE_BLOCK, result);
            assert_memory_equal(result, data[end], sizeof result);
        }
}

static void one_task_vector_of_full_weight_is_that_model(void **state)
{
    (void)state;
    static const enum merge_method methods[] = {MERGE_TASK, MERGE_TIES, MERGE_DARE_LINEAR,
                                                MERGE_DARE_TIES};
    fill(12);
    for (size_t i = 0; i < 4; i++) {
        struct merge_tensor m = tensor_of(methods[i]);
        m.n_inputs = 1;
        m.inputs = one;
        run(&m, 1, MERGE_BLOCK, result);
        assert_memory_equal(result, data[1], 5 * sizeof *result);
        for (size_t j = 0; j < N; j++)
            assert_true(result[j] == data[1][j]);
    }
}

/* mergekit's trap: w / w = 1. */
static void ties_with_one_vector_ignores_its_weight_when_normalised(void **state)
{
    (void)state;
    static const double weights[] = {0.1, 0.3, 7};
    fill(13);
    for (size_t i = 0; i < 3; i++) {
        struct merge_tensor m = tensor_of(MERGE_TIES);
        m.n_inputs = 1;
        m.inputs = one;
        m.weight[0] = weights[i];
        m.normalise = true;
        run(&m, 1, MERGE_BLOCK, result);
        for (size_t j = 0; j < N; j++)
            assert_true(fabsf(result[j] - data[1][j]) <= 1.2e-7f * fabsf(data[1][j]));
    }
}

static void any_block_and_any_thread_give_the_same_bits(void **state)
{
    (void)state;
    fill(14);
    for (int method = 0; method < MERGE_METHODS; method++) {
        struct merge_tensor m = tensor_of((enum merge_method)method);
        m.weight[0] = 0.4;
        m.weight[1] = 0.8;
        m.density[0] = 0.37;
        m.density[1] = 0.61;
        m.lambda = 0.9;
        m.t = 0.3;
        run(&m, 1, MERGE_BLOCK, result);
        run(&m, 3, 997, other);
        assert_memory_equal(result, other, sizeof result);
    }
}

/* Two vectors of equal norm at this cosine, in a plane: b = c a + s n. */
static void at_cosine(double cosine)
{
    fill(15);
    double aa = 0, an = 0, nn = 0;
    for (size_t j = 0; j < N; j++)
        aa += (double)data[0][j] * (double)data[0][j];
    for (size_t j = 0; j < N; j++)
        an += (double)data[0][j] * (double)data[2][j];
    for (size_t j = 0; j < N; j++) {
        data[2][j] = (float)((double)data[2][j] - an / aa * (double)data[0][j]);
        nn += (double)data[2][j] * (double)data[2][j];
    }
    for (size_t j = 0; j < N; j++)
        data[1][j] = (float)(cosine * (double)data[0][j] +
                             sqrt(1 - cosine * cosine) * sqrt(aa / nn) * (double)data[2][j]);
}

/* |slerp - lerp| / |W| at t = 1/2 and |dW| / |W|, computed for equal norms: 1 - cos(theta / 2) and sqrt(2 - 2 cos theta). */
static void the_arc_leaves_the_line_by_what_geometry_says(void **state)
{
    (void)state;
    static const struct {
        double cosine, gap, change;
    } rows[] = {
        {.999, 2.50e-4, .0447}, {.99, 2.50e-3, .1414}, {.95, 1.26e-2, .3162}, {.9, 2.53e-2, .4472}};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        at_cosine(rows[i].cosine);
        struct merge_tensor m = tensor_of(MERGE_SLERP);
        struct merge_sums sums, all = {0};
        struct plumb_error e = {0};
        static float scratch[3 * MERGE_BLOCK];
        assert_int_equal(merge_tensor_prepare(&m, 1, &e), PLUMB_OK);
        assert_false(m.is_lerp);
        double gap = 0, norm = 0;
        for (size_t at = 0; at < N; at += MERGE_BLOCK) {
            const size_t n = N - at < MERGE_BLOCK ? N - at : MERGE_BLOCK;
            assert_int_equal(merge_block(&m, at, n, result + at, scratch, &sums, &e), PLUMB_OK);
            merge_sums_add(&all, &sums);
        }
        for (size_t j = 0; j < N; j++) {
            const double line = ((double)data[0][j] + (double)data[1][j]) / 2;
            gap += ((double)result[j] - line) * ((double)result[j] - line);
            norm += (double)data[0][j] * (double)data[0][j];
        }
        gap = sqrt(gap / norm);
        merge_tensor_compare(&m, &all);
        assert_true(fabs(gap - rows[i].gap) < 0.005 * rows[i].gap);
        assert_true(fabs(m.arc_gap - rows[i].gap) < 0.005 * rows[i].gap);
        assert_true(fabs(m.relative_change - rows[i].change) < 1e-4);
        assert_true(fabs(m.cosine - rows[i].cosine) < 1e-6);
    }
    at_cosine(.9996);
    struct merge_tensor m = tensor_of(MERGE_SLERP);
    run(&m, 1, MERGE_BLOCK, result);
    assert_true(m.is_lerp);
}

static void trimming_keeps_exactly_the_largest(void **state)
{
    (void)state;
    fill(16);
    for (size_t j = 0; j < N; j++) /* coarse, so that many changes are equal in size */
        data[1][j] = data[0][j] + roundf(data[1][j] * 4) / 4;
    for (size_t j = 0; j < N; j++)
        data[0][j] = roundf(data[0][j] * 64) / 64;
    static const double densities[] = {0, 0.003, 0.2, 0.5, 0.999, 1};
    for (size_t d = 0; d < sizeof densities / sizeof *densities; d++) {
        struct merge_tensor m = tensor_of(MERGE_TIES);
        m.n_inputs = 1;
        m.inputs = one;
        m.density[0] = densities[d];
        run(&m, 2, MERGE_BLOCK, result);
        size_t kept = 0, changed = 0;
        float smallest_kept = INFINITY, largest_dropped = 0;
        for (size_t j = 0; j < N; j++) {
            const float size = fabsf(data[1][j] - data[0][j]);
            changed += size > 0;
            if (result[j] != data[0][j]) {
                kept++;
                smallest_kept = fminf(smallest_kept, size);
            } else {
                largest_dropped = fmaxf(largest_dropped, size);
            }
        }
        const size_t k = (size_t)(densities[d] * N);
        assert_int_equal(kept, k < changed ? k : changed);
        assert_true(kept == 0 || smallest_kept >= largest_dropped);
    }
}

static void dare_keeps_the_norm_and_about_the_density(void **state)
{
    (void)state;
    fill(17);
    struct merge_tensor m = tensor_of(MERGE_DARE_LINEAR);
    m.n_inputs = 1;
    m.inputs = one;
    m.density[0] = 0.3;
    run(&m, 1, MERGE_BLOCK, result);
    double before = 0, after = 0, kept = 0;
    for (size_t j = 0; j < N; j++) {
        before += fabs((double)data[1][j] - (double)data[0][j]);
        after += fabs((double)result[j] - (double)data[0][j]);
        kept += result[j] != data[0][j];
    }
    assert_true(fabs(after / before - 1) < 1e-6);
    /* Binomial: five standard deviations of sqrt(.3 .7 / N) = .00102. */
    assert_true(fabs(kept / N - 0.3) < 0.0052);
    m.seed = 2;
    run(&m, 1, MERGE_BLOCK, other);
    assert_memory_not_equal(result, other, sizeof result);
}

/* Of the masks of two inputs: how often both keep elements `lag` apart, as a share. */
static double kept_together(const bool *a, const bool *b, size_t lag)
{
    size_t both = 0;
    for (size_t j = 0; j + lag < N; j++)
        both += a[j] && b[j + lag];
    return (double)both / (double)(N - lag);
}

/* What is kept is a sample of the changes: its mean and its mean square are theirs to five standard errors, and nothing that is
   kept says anything of its neighbours (a draw gives four elements), of the next block, of another model or another tensor. */
static void what_dare_keeps_is_a_fair_sample(void **state)
{
    (void)state;
    static bool first[N], second[N], elsewhere[N];
    const double p = 0.3, error = 5 * sqrt(p * p * (1 - p * p) / N);
    fill(23);
    struct merge_tensor m = tensor_of(MERGE_DARE_LINEAR);
    m.density[0] = m.density[1] = p;
    merge_mask(&m, 0, 0, N, first);
    merge_mask(&m, 1, 0, N, second);
    m.stream++;
    merge_mask(&m, 0, 0, N, elsewhere);
    double kept = 0, sum = 0, square = 0, all = 0, all_squares = 0, fourth = 0;
    for (size_t j = 0; j < N; j++) {
        const double delta = (double)data[1][j] - (double)data[0][j];
        all += delta / N;
        all_squares += delta * delta / N;
        fourth += delta * delta * delta * delta / N;
        kept += first[j];
        sum += first[j] ? delta : 0;
        square += first[j] ? delta * delta : 0;
    }
    const double share =
        (1 - p) / (p * N); /* variance of a mean over a share p of N, drawn without putting back */
    assert_true(fabs(sum / kept - all) < 5 * sqrt((all_squares - all * all) * share));
    assert_true(fabs(square / kept - all_squares) <
                5 * sqrt((fourth - all_squares * all_squares) * share));
    static const size_t lags[] = {1, 2, 3, 4, 5, 8, 1024, MERGE_BLOCK};
    for (size_t i = 0; i < sizeof lags / sizeof *lags; i++)
        assert_true(fabs(kept_together(first, first, lags[i]) - p * p) < error);
    assert_true(fabs(kept_together(first, second, 0) - p * p) < error);
    assert_true(fabs(kept_together(first, elsewhere, 0) - p * p) < error);
}

/* base 0: deltas are the inputs. Elements: agreement, a lost vote, a tie of signs that cancels, a zero. */
static void signs_are_elected_by_weight(void **state)
{
    (void)state;
    memset(data, 0, sizeof data);
    static const float a[] = {1, 1, 2, 0}, b[] = {3, -2, -2, 5};
    memcpy(data[1], a, sizeof a);
    memcpy(data[2], b, sizeof b);
    struct merge_tensor m = tensor_of(MERGE_TIES);
    m.normalise = true;
    run(&m, 1, MERGE_BLOCK, result);
    assert_true(result[0] == 2);  /* (1 + 3) / 2 */
    assert_true(result[1] == -2); /* the larger side alone */
    assert_true(result[2] == 2);  /* the sum 0 counts as plus */
    assert_true(result[3] == 5);  /* a zero takes no part */
    m.normalise = false;
    m.weight[0] = 3; /* 3 * 1 against 1 * -2 */
    run(&m, 1, MERGE_BLOCK, result);
    assert_true(result[0] == 6);
    assert_true(result[1] == 3);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_ends_of_an_interpolation_are_the_parents),
        cmocka_unit_test(one_task_vector_of_full_weight_is_that_model),
        cmocka_unit_test(ties_with_one_vector_ignores_its_weight_when_normalised),
        cmocka_unit_test(any_block_and_any_thread_give_the_same_bits),
        cmocka_unit_test(the_arc_leaves_the_line_by_what_geometry_says),
        cmocka_unit_test(trimming_keeps_exactly_the_largest),
        cmocka_unit_test(dare_keeps_the_norm_and_about_the_density),
        cmocka_unit_test(what_dare_keeps_is_a_fair_sample),
        cmocka_unit_test(signs_are_elected_by_weight),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
