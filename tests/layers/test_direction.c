/*
 * test_direction.c - the candidate directions: numpy's vectors, planted ones found back, and what there is nothing to find in.
 *
 * Golden numbers: tools/golden/make_directions.py.
 */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "../model/golden.h"
#include "base/json.h"
#include "base/memory.h"
#include "base/random.h"
#include "layers/direction.h"
#include "tensor/level.h"

enum { N = 60, D = 12, K = 4 };

static struct json_document *golden;
static float before[N * D], after[N * D];
static int8_t right[N];
static double confidence[N];
static const struct states from = {N, D, before}, to = {N, D, after};

static void make_states(uint64_t state, float *x)
{
    for (int i = 0; i < N * D; i++) {
        state = UINT64_C(6364136223846793005) * state + UINT64_C(1442695040888963407);
        x[i] = ((float)((state >> 40) & 4095) / 1024 - 2) * (float)(1 + i % D % 3);
    }
}

static int open_golden(void **state)
{
    (void)state;
    char path[512];
    const char *data = getenv("PLUMB_TEST_DATA");
    struct plumb_error e = {0};
    make_states(3, before);
    make_states(4, after);
    for (int i = 0; i < N; i++) {
        right[i] = (int8_t)(i % 13 == 7 ? -1 : i * 7 % 5 < 3);
        confidence[i] = (i * 37 % 100) / 100.0;
    }
    snprintf(path, sizeof path, "%s/layers/directions.json", data ? data : "tests/data");
    if (json_open(path, &golden, &e) == PLUMB_OK)
        return 0;
    fprintf(stderr, "%s\n", e.message);
    return -1;
}

static int close_golden(void **state)
{
    (void)state;
    json_close(golden);
    return 0;
}

/* f64 sums of some dozens of terms; of eigenvectors, what a Gram matrix loses. */
static void expect_vector(struct json expected, const double *v, size_t d, double tolerance)
{
    assert_int_equal(json_size(expected), d);
    for (size_t j = 0; j < d; j++) {
        double x = 0;
        assert_true(json_number(json_at(expected, j), &x));
        if (!(fabs(x - v[j]) <= tolerance))
            fail_msg("component %zu: %.17g, expected %.17g", j, v[j], x);
    }
}

static void updates_contrasts_and_components_are_numpys(void **state)
{
    (void)state;
    const struct json root = json_root(golden);
    struct plumb_error e = {0};
    double v[K * D], share[K], length = 0;
    size_t counts[2];
    assert_true(direction_update(&from, &to, v));
    expect_vector(json_get(root, "update"), v, D, 1e-13);
    assert_true(direction_contrast(&to, right, confidence, 0.4, v, counts));
    expect_vector(json_get(root, "contrast"), v, D, 1e-13);
    for (size_t i = 0; i < 2; i++) {
        int64_t n = 0;
        assert_true(json_integer(json_at(json_get(root, "counts"), i), &n));
        assert_int_equal(n, counts[i]);
    }
    assert_int_equal(direction_components(&from, &to, K, v, share, &e), PLUMB_OK);
    for (size_t i = 0; i < K; i++)
        expect_vector(json_at(json_get(root, "components"), i), v + i * D, D, 1e-10);
    expect_vector(json_get(root, "share"), share, K, 1e-12);
    assert_true(json_number(json_get(root, "length"), &length));
    assert_true(fabs(states_mean_length(&to) - length) <= 1e-12);
}

static void the_null_space_is_that_of_an_svd_by_numpy(void **state)
{
    (void)state;
    static const char *const names[] = {"llama", "gpt2"}; /* RMSNorm, LayerNorm */
    for (size_t c = 0; c < 2; c++) {
        struct plumb_error e = {0};
        char *folder = golden_path(names[c], "");
        struct model *m = golden_model(folder, level_name(level_best()), PRECISION_F32, 1);
        double v[3 * 32];
        const struct json expected =
            json_get(json_get(json_get(json_root(golden), "null_space"), names[c]), "vectors");
        assert_int_equal(direction_null_space(m, 3, v, &e), PLUMB_OK);
        for (size_t i = 0; i < 3; i++)
            expect_vector(json_at(expected, i), v + i * 32, 32, 1e-5); /* rows of W are f32 */
        model_close(m);
        mem_free(folder);
    }
}

/* Noise of length about 1 around a planted shift of length 3. */
static void planted_directions_are_found(void **state)
{
    (void)state;
    enum { ROWS = 400, WIDTH = 24 };
    const uint64_t seed = 17;
    struct random r = random_start(seed, 0);
    struct plumb_error e = {0};
    static float a[ROWS * WIDTH], b[ROWS * WIDTH];
    static int8_t is_right[ROWS];
    static double sure[ROWS];
    double planted[WIDTH], v[2 * WIDTH], share[2];
    size_t counts[2];
    print_message("seed %llu\n", (unsigned long long)seed);
    direction_random(seed, 1, WIDTH, planted);
    for (int variant = 0; variant < 3; variant++) { /* update, contrast, component */
        for (size_t i = 0; i < ROWS; i++) {
            is_right[i] = (int8_t)(random_uniform(&r) < 0.6);
            sure[i] = random_uniform(&r);
            const double along = variant == 0   ? 3
                                 : variant == 1 ? (sure[i] > 0.5 && !is_right[i] ? 3 : 0)
                                                : 3 * random_normal(&r);
            for (size_t j = 0; j < WIDTH; j++) {
                a[i * WIDTH + j] = (float)(random_normal(&r) / 5);
                b[i * WIDTH + j] =
                    a[i * WIDTH + j] + (float)(random_normal(&r) / 5 + along * planted[j]);
            }
        }
        const struct states first = {ROWS, WIDTH, a}, last = {ROWS, WIDTH, b};
        if (variant == 0)
            assert_true(direction_update(&first, &last, v));
        else if (variant == 1)
            assert_true(direction_contrast(&last, is_right, sure, 0.5, v, counts));
        else
            assert_int_equal(direction_components(&first, &last, 2, v, share, &e), PLUMB_OK);
        double along = 0;
        for (size_t j = 0; j < WIDTH; j++)
            along += v[j] * planted[j];
        if (!(fabs(along) > 0.99))
            fail_msg("variant %d: cosine %g", variant, along);
        if (variant == 2)
            assert_true(share[0] > 0.8 && share[1] < 0.1);
    }
}

/* W_U shortens the third axis to nothing: it is the null space. */
static void a_planted_null_space_is_found(void **state)
{
    (void)state;
    struct plumb_error e = {0};
    double gram[16] = {0}, v[8];
    gram[0] = 4;
    gram[5] = 3;
    gram[10] = 1e-9;
    gram[15] = 2;
    assert_int_equal(direction_null_space_of(gram, 4, 0, 2, v, &e), PLUMB_OK);
    assert_true(fabs(v[2] - 1) < 1e-12 && fabs(v[7] - 1) < 1e-12);
    assert_int_equal(direction_null_space_of(gram, 4, 2, 3, v, &e), PLUMB_INPUT);
}

static void where_there_is_nothing_it_says_so(void **state)
{
    (void)state;
    struct plumb_error e = {0};
    double v[N * D], share[N];
    size_t counts[2];
    const struct states none = {0, D, after};
    assert_false(direction_update(&to, &to, v));
    assert_false(direction_update(&none, &none, v));
    assert_false(direction_contrast(&to, right, confidence, 1, v, counts));
    assert_int_equal(counts[0] + counts[1], 0);
    assert_int_equal(direction_components(&from, &to, D + 1, v, share, &e), PLUMB_INPUT);
    assert_int_equal(direction_components(&none, &none, 1, v, share, &e), PLUMB_INPUT);
    assert_true(states_mean_length(&none) == 0);
}

static void random_directions_are_of_length_one_and_a_function_of_their_number(void **state)
{
    (void)state;
    double a[D], b[D], square = 0;
    direction_random(5, 2, D, a);
    direction_random(5, 2, D, b);
    assert_memory_equal(a, b, sizeof a);
    direction_random(5, 3, D, b);
    assert_memory_not_equal(a, b, sizeof a);
    for (size_t j = 0; j < D; j++)
        square += a[j] * a[j];
    assert_true(fabs(square - 1) < 1e-14);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(updates_contrasts_and_components_are_numpys),
        cmocka_unit_test(the_null_space_is_that_of_an_svd_by_numpy),
        cmocka_unit_test(planted_directions_are_found),
        cmocka_unit_test(a_planted_null_space_is_found),
        cmocka_unit_test(where_there_is_nothing_it_says_so),
        cmocka_unit_test(random_directions_are_of_length_one_and_a_function_of_their_number),
    };
    return cmocka_run_group_tests(tests, open_golden, close_golden);
}
