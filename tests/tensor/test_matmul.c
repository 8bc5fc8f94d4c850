/*
 * test_matmul.c - the matrix product is right (against a plain f64 loop) and reproducible: a row of the result is the same to the bit
 * whatever rows stand beside it, wherever it stands and however many threads run; on every level of this machine.
 */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "base/memory.h"
#include "base/random.h"
#include "tensor/dtype.h"
#include "tensor/matmul.h"
#include "tensor/onednn.h"

static const struct {
    size_t N, K;
} shapes[] = {{1, 1}, {3, 5}, {16, 384}, {17, 385}, {33, 64}, {96, 800}, {200, 896}, {129, 1153}};

enum { SHAPES = sizeof shapes / sizeof shapes[0], MOST_ROWS = 301 };

static float *random_floats(struct random *r, size_t n)
{
    float *x = mem_array(n, sizeof *x);
    for (size_t i = 0; i < n; i++)
        x[i] = (float)random_normal(r);
    return x;
}

static struct matrix *pack(enum level l, enum weight_type type, size_t N, size_t K, const float *w)
{
    struct plumb_error e = {0};
    struct matrix *m = NULL;
    if (matrix_create(l, type, false, N, K, &m, &e) != PLUMB_OK)
        fail_msg("%s", e.message);
    /* In pieces that cut panels, as a loader does. */
    for (size_t row = 0; row < N;) {
        size_t n = row % 2 ? 37 : 16;
        n = n < N - row ? n : N - row;
        matrix_put_rows(m, row, n, w + row * K);
        row += n;
    }
    assert_int_equal(matrix_seal(m, &e), PLUMB_OK);
    return m;
}

static float *multiply(const struct matrix *m, const float *x, size_t M, int threads)
{
    struct plumb_error e = {0};
    struct workspace s;
    const size_t N = matrix_rows(m), K = matrix_columns(m);
    float *y = mem_array(M * N, sizeof *y);
    workspace_init(&s, threads);
    if (matmul(m, x, K, M, y, N, &s, &e) != PLUMB_OK)
        fail_msg("%s", e.message);
    workspace_free(&s);
    return y;
}

/* |y - exact| <= K eps sum |x||w|, the bound of a dot product of K terms; bf16 activations add 2^-9 relative. */
static void check_against_f64(const float *x, const float *w, const float *y, size_t M, size_t N,
                              size_t K, bool rounded)
{
    for (size_t i = 0; i < M; i++)
        for (size_t j = 0; j < N; j++) {
            double exact = 0, magnitude = 0;
            for (size_t k = 0; k < K; k++) {
                exact += (double)x[i * K + k] * (double)w[j * K + k];
                magnitude += fabs((double)x[i * K + k] * (double)w[j * K + k]);
            }
            double bound = magnitude * ((double)K * 6e-8 + (rounded ? 0x1p-8 : 0)) + 1e-30;
            assert_true(fabs((double)y[i * N + j] - exact) <= bound);
        }
}

static void the_product_is_right_on_every_level(void **state)
{
    (void)state;
    struct random r = random_start(11, 0);
    for (int l = 0; l <= (int)level_best(); l++)
        for (int type = WEIGHT_F32; type <= WEIGHT_BF16; type++)
            for (size_t s = 0; s < SHAPES; s++) {
                const size_t N = shapes[s].N, K = shapes[s].K,
                             M = 31; /* in strips; fewer rows have the same bits, see below */
                float *w = random_floats(&r, N * K), *x = random_floats(&r, M * K);
                if (type == WEIGHT_BF16)
                    for (size_t i = 0; i < N * K; i++)
                        w[i] = bf16_to_f32(f32_to_bf16(w[i]));
                struct matrix *m = pack((enum level)l, (enum weight_type)type, N, K, w);
                float *y = multiply(m, x, M, 2);
                check_against_f64(x, w, y, M, N, K, type == WEIGHT_BF16 && l == LEVEL_AVX512BF16);
                matrix_destroy(m);
                mem_free(w);
                mem_free(x);
                mem_free(y);
            }
}

static void a_row_has_the_same_bits_in_any_company(void **state)
{
    (void)state;
    struct random r = random_start(12, 0);
    for (int l = 0; l <= (int)level_best(); l++)
        for (int type = WEIGHT_F32; type <= WEIGHT_BF16; type++)
            for (size_t s = 0; s < SHAPES; s++) {
                const size_t N = shapes[s].N, K = shapes[s].K;
                float *w = random_floats(&r, N * K), *x = random_floats(&r, MOST_ROWS * K);
                struct matrix *m = pack((enum level)l, (enum weight_type)type, N, K, w);
                float *all = multiply(m, x, MOST_ROWS, 1);
                for (size_t M = 1; M <= MOST_ROWS; M = M < 18 ? M + 1 : M * 2 + 1)
                    for (int threads = 1; threads <= 3; threads++) {
                        size_t first = (size_t)random_below(&r, MOST_ROWS - M + 1);
                        float *some = multiply(m, x + first * K, M, threads);
                        assert_memory_equal(some, all + first * N, M * N * sizeof *all);
                        mem_free(some);
                    }
                matrix_destroy(m);
                mem_free(w);
                mem_free(x);
                mem_free(all);
            }
}

static void rows_put_in_any_order_give_one_matrix(void **state)
{
    (void)state;
    struct plumb_error e = {0};
    struct random r = random_start(13, 0);
    const size_t N = 75, K = 40;
    float *w = random_floats(&r, N * K), *x = random_floats(&r, 5 * K);
    struct matrix *forwards = pack(level_best(), WEIGHT_F32, N, K, w), *backwards = NULL;
    assert_int_equal(matrix_create(level_best(), WEIGHT_F32, false, N, K, &backwards, &e),
                     PLUMB_OK);
    for (size_t i = N; i-- > 0;)
        matrix_put_rows(backwards, i, 1, w + i * K);
    assert_int_equal(matrix_seal(backwards, &e), PLUMB_OK);
    float *a = multiply(forwards, x, 5, 1), *b = multiply(backwards, x, 5, 1);
    assert_memory_equal(a, b, 5 * N * sizeof *a);
    matrix_destroy(forwards);
    matrix_destroy(backwards);
    mem_free(w);
    mem_free(x);
    mem_free(a);
    mem_free(b);
}

/* A few rows of a head have the bits of the same columns of the whole head. */
static void chosen_rows_have_the_bits_of_the_whole(void **state)
{
    (void)state;
    struct random r = random_start(14, 0);
    const size_t N = 211, K = 640, chosen[] = {3, 0, 210, 97};
    float *w = random_floats(&r, N * K), *x = random_floats(&r, 7 * K), few[4 * 640];
    for (size_t i = 0; i < 4; i++)
        memcpy(few + i * K, w + chosen[i] * K, K * sizeof *w);
    for (int l = 0; l <= (int)level_best(); l++) {
        struct matrix *whole = pack((enum level)l, WEIGHT_F32, N, K, w),
                      *part = pack((enum level)l, WEIGHT_F32, 4, K, few);
        float *a = multiply(whole, x, 7, 2), *b = multiply(part, x, 7, 1);
        for (size_t row = 0; row < 7; row++)
            for (size_t i = 0; i < 4; i++)
                assert_memory_equal(&a[row * N + chosen[i]], &b[row * 4 + i], sizeof *a);
        matrix_destroy(whole);
        matrix_destroy(part);
        mem_free(a);
        mem_free(b);
    }
    mem_free(w);
    mem_free(x);
}

/* The other back end, where only f32 can be had: the seam to oneDNN itself is right. */
static void onednn_gives_the_same_product(void **state)
{
    (void)state;
    struct plumb_error e = {0};
    struct random r = random_start(15, 0);
    const size_t M = 31, N = 70, K = 96;
    float *w = random_floats(&r, N * K), *x = random_floats(&r, M * K),
          *y = mem_array(M * N, sizeof *y);
    struct onednn_weights *o = NULL;
    if (onednn_pack(N, K, false, w, &o, &e) != PLUMB_OK)
        fail_msg("%s", e.message);
    assert_int_equal(onednn_multiply(o, x, M, y, 2, &e), PLUMB_OK);
    check_against_f64(x, w, y, M, N, K, false);
    onednn_free(o);
    mem_free(w);
    mem_free(x);
    mem_free(y);
}

static void a_level_that_is_not_there_is_refused_by_name(void **state)
{
    (void)state;
    struct plumb_error e = {0};
    enum level l;
    assert_int_equal(level_parse("sse9", &l, &e), PLUMB_INPUT);
    assert_non_null(strstr(e.message, "sse9"));
    setenv("PLUMB_LEVEL", "nonsense", 1);
    assert_int_equal(level_current(&l, &e), PLUMB_INPUT);
    assert_non_null(strstr(e.message, "PLUMB_LEVEL"));
    setenv("PLUMB_LEVEL", "v2", 1);
    assert_int_equal(level_current(&l, &e), PLUMB_OK);
    assert_int_equal(l, LEVEL_V2);
    unsetenv("PLUMB_LEVEL");
    assert_int_equal(level_current(&l, &e), PLUMB_OK);
    assert_int_equal(l, level_best());
}

static void a_failed_allocation_is_an_error_not_a_crash(void **state)
{
    (void)state;
    struct plumb_error e = {0};
    for (long n = 1;; n++) {
        struct matrix *m = NULL;
        mem_fail_after(n);
        int status = matrix_create(LEVEL_V2, WEIGHT_F32, false, 20, 20, &m, &e);
        mem_fail_after(0);
        matrix_destroy(m);
        if (status == PLUMB_OK)
            break;
        assert_int_equal(status, PLUMB_MACHINE);
        assert_null(m);
    }
    struct matrix *m = NULL;
    assert_int_equal(matrix_create(LEVEL_V2, WEIGHT_F32, false, SIZE_MAX / 2, SIZE_MAX / 2, &m, &e),
                     PLUMB_INPUT);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_product_is_right_on_every_level),
        cmocka_unit_test(a_row_has_the_same_bits_in_any_company),
        cmocka_unit_test(rows_put_in_any_order_give_one_matrix),
        cmocka_unit_test(chosen_rows_have_the_bits_of_the_whole),
        cmocka_unit_test(onednn_gives_the_same_product),
        cmocka_unit_test(a_level_that_is_not_there_is_refused_by_name),
        cmocka_unit_test(a_failed_allocation_is_an_error_not_a_crash)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
