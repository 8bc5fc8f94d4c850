/*
 * test_statistics.c - what is said of two matrices is what the formulas say: by numpy, on planted changes, on the published
 * table of small random changes, and after every intervention.
 */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "base/memory.h"
#include "made_matrices.h"
#include "spectrum/intervention.h"
#include "spectrum/statistics.h"
#include "tensor/linear_algebra.h"

static struct made_pair pair;

static void measure(size_t rank, struct decomposition *d, double *out)
{
    struct plumb_error e = {0};
    if (decomposition_create(&pair.pair, rank, 1, 2, d, &e) != PLUMB_OK)
        fail_msg("%s", e.message);
    spectrum_statistics(d->m, d->n, d->r, d->s_base, d->s_post, d->q_u, d->q_v, out);
}

/* tools/golden/make_spectrum.py, numpy 2: all ten statistics in the order of the enum. */
static const struct {
    int m, n;
    double share, expected[SPECTRUM_STATISTICS];
} numpy[] = {
    {12,
     7,
     0.0625,
     {1.03847944064, 1.0236069604, 0.0196390963452, 0.0275489378891, 0.0666389343168,
      0.998529570253, 0.998575947687, 0.0177434378642, 0.0319901177686, 0.0795258997849}},
    {7,
     12,
     0.25,
     {1.11630931873, 1.05330759322, 0.0934969411385, 0.0935668065957, 0.323263168501,
      0.983808546963, 0.98499522551, 0.0937053333908, 0.158207734408, 0.282309639977}},
    {9,
     9,
     0.125,
     {1.06035665491, 1.02083175261, 0.0682777406259, 0.475217611175, 0.24798607807, 0.774168222029,
      1, 0.0537266208654, 0.0879338089306, 0.17833303403}},
    {20,
     5,
     1.0,
     {1.60871331859, 1.53513159028, 0.123950788404, 0.27100963281, 0.622936366859, 0.741508731251,
      0.600573540615, 0.133295785326, 0.235409728597, 0.804744198546}},
};

static void every_statistic_is_numpys(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof numpy / sizeof *numpy; i++) {
        struct decomposition d;
        double v[SPECTRUM_STATISTICS];
        made_pair_fill(&pair, numpy[i].m, numpy[i].n, 1, numpy[i].share);
        measure(0, &d, v);
        for (int s = 0; s < SPECTRUM_STATISTICS; s++) /* two libraries: f64 rounding over gaps */
            assert_true(fabs(v[s] - numpy[i].expected[s]) < 1e-9);
        decomposition_free(&d);
    }
}

static void an_unchanged_matrix_has_no_rotation_and_scale_one(void **state)
{
    (void)state;
    struct decomposition d;
    double v[SPECTRUM_STATISTICS];
    made_pair_fill(&pair, 24, 17, 1, 0);
    measure(0, &d, v);
    assert_true(d.norm_change == 0);
    assert_true(v[SPECTRUM_ALPHA] == 1 && v[SPECTRUM_RATIO] == 1 && v[SPECTRUM_CV] == 0);
    assert_true(v[SPECTRUM_NF] < 1e-13 && v[SPECTRUM_ROTATION] < 1e-13);
    assert_true(v[SPECTRUM_ERROR_SCALE] == 0 && fabs(v[SPECTRUM_I_ORTH] - 1) < 1e-13);
    decomposition_free(&d);
}

static void a_scaled_matrix_has_that_scale_and_no_rotation(void **state)
{
    (void)state;
    struct decomposition d;
    double v[SPECTRUM_STATISTICS];
    made_pair_fill(&pair, 17, 24, 1.25, 0);
    measure(0, &d, v);
    assert_true(fabs(v[SPECTRUM_ALPHA] - 1.25) < 1e-12 && fabs(v[SPECTRUM_RATIO] - 1.25) < 1e-12);
    assert_true(v[SPECTRUM_CV] < 1e-12 && v[SPECTRUM_NF] < 1e-9 && v[SPECTRUM_ROTATION] < 1e-9);
    assert_true(v[SPECTRUM_ERROR_SCALE] < 1e-12 && v[SPECTRUM_ERROR_BROKEN] < 1e-6);
    for (size_t i = 0; i < d.r; i++)
        assert_true(fabs(d.s_post[i] / d.s_base[i] - 1.25) < 1e-9);
    decomposition_free(&d);
}

/* W_base = diag, W_post = c P W_base P^T with P a rotation by `angle` in one plane: U and V both turn by it. */
static void a_planted_rotation_of_both_sides_is_coordinated_and_has_its_size(void **state)
{
    (void)state;
    enum { N = 8 };
    const double angle = 0.3, c = 1.5, cosine = cos(angle), sine = sin(angle);
    struct decomposition d;
    double v[SPECTRUM_STATISTICS];
    for (int i = 0; i < N * N; i++)
        pair.base[i] = pair.post[i] = 0;
    for (int i = 0; i < N; i++) {
        pair.base[i * N + i] = (float)(N - i);
        pair.post[i * N + i] = (float)(c * (N - i));
    }
    const double a = c * (N - 2), b = c * (N - 5); /* the plane of axes 2 and 5 */
    pair.post[2 * N + 2] = (float)(cosine * cosine * a + sine * sine * b);
    pair.post[5 * N + 5] = (float)(sine * sine * a + cosine * cosine * b);
    pair.post[2 * N + 5] = pair.post[5 * N + 2] = (float)(cosine * sine * (a - b));
    made_pair_close(&pair, N, N);
    measure(0, &d, v);
    const double size = sqrt((2 * (1 - cosine) * (1 - cosine) + 2 * sine * sine) / (2.0 * N));
    assert_true(fabs(v[SPECTRUM_ROTATION] - size) < 1e-6); /* f32 elements */
    assert_true(v[SPECTRUM_NF] < 1e-6 && fabs(v[SPECTRUM_ALPHA] - c) < 1e-6);
    assert_true(v[SPECTRUM_CV] < 1e-6 && v[SPECTRUM_ERROR_SHARED] < 1e-6);
    decomposition_free(&d);
}

static void a_rotation_of_one_side_is_not_coordinated(void **state)
{
    (void)state;
    enum { N = 6 };
    struct decomposition d;
    double v[SPECTRUM_STATISTICS];
    for (int i = 0; i < N * N; i++)
        pair.base[i] = pair.post[i] = 0;
    for (int i = 0; i < N; i++) { /* post = base with its rows moved on by one: U turns, V stays */
        pair.base[i * N + i] = (float)(N - i);
        pair.post[(i + 1) % N * N + i] = (float)(N - i);
    }
    made_pair_close(&pair, N, N);
    measure(0, &d, v);
    assert_true(fabs(v[SPECTRUM_NF] - 1) < 1e-12);       /* |P - I|^2 = 2 r */
    assert_true(fabs(v[SPECTRUM_ROTATION] - 1) < 1e-12); /* the same number here */
    assert_true(fabs(v[SPECTRUM_I_ORTH]) < 1e-12 && fabs(v[SPECTRUM_ERROR_SCALE]) < 1e-12);
    decomposition_free(&d);
}

static void all_triples_at_random_are_the_exact_ones_and_a_few_are_the_leading_ones(void **state)
{
    (void)state;
    struct decomposition exact, random;
    double v[SPECTRUM_STATISTICS], w[SPECTRUM_STATISTICS];
    made_pair_fill(&pair, 30, 12, 1, 0.125);
    measure(0, &exact, v);
    measure(12, &random, w);
    for (int s = 0; s < SPECTRUM_STATISTICS; s++)
        assert_true(fabs(v[s] - w[s]) < 1e-9);
    decomposition_free(&random);
    measure(3, &random, w); /* 3 + 10 >= 12: the range finder holds all */
    assert_int_equal(random.r, 3);
    for (int i = 0; i < 3; i++) {
        assert_true(fabs(random.s_base[i] / exact.s_base[i] - 1) < 1e-10);
        assert_true(fabs(random.s_post[i] / exact.s_post[i] - 1) < 1e-10);
    }
    decomposition_free(&random);
    decomposition_free(&exact);
}

static void a_fused_tensor_is_read_part_by_part(void **state)
{
    (void)state;
    enum { ROWS = 12, COLUMNS = 4, HEAD = 2 };
    struct plumb_error e = {0};
    double w[ROWS * COLUMNS];
    for (int i = 0; i < ROWS * COLUMNS; i++)
        pair.base[i] = (float)i;
    made_pair_close(&pair, ROWS, COLUMNS);
    const struct module_slice rows = {
        .x = &pair.tensors[0], .rows = 5, .columns = COLUMNS, .first = 7};
    assert_int_equal(module_read(&rows, w, &e), PLUMB_OK);
    assert_true(w[0] == 28 && w[4] == 44 && w[5] == 29); /* (7,0), (11,0), (7,1) */
    const struct module_slice columns = {
        .x = &pair.tensors[0], .rows = 2, .columns = ROWS, .first = 1, .transposed = true};
    assert_int_equal(module_read(&columns, w, &e), PLUMB_OK);
    assert_true(w[0] == 1 && w[1] == 2 &&
                w[2] == 5); /* W(0,0) = t(0,1), W(1,0) = t(0,2), W(0,1) = t(1,1) */
    const struct module_slice heads = {
        .x = &pair.tensors[0], .rows = 4, .columns = COLUMNS, .first = HEAD, .head = HEAD};
    assert_int_equal(module_read(&heads, w, &e), PLUMB_OK); /* k of two heads: rows 2, 3 and 8, 9 */
    assert_true(w[0] == 8 && w[1] == 12 && w[2] == 32 && w[3] == 36);
    const struct module_slice *all[] = {&rows, &columns, &heads};
    for (int k = 0; k < 3; k++) { /* what is written goes where it was read */
        assert_int_equal(module_read(all[k], w, &e), PLUMB_OK);
        for (size_t i = 0; i < all[k]->rows; i++)
            for (size_t j = 0; j < all[k]->columns; j++)
                assert_true(w[i + j * all[k]->rows] ==
                            (double)pair.base[module_element(all[k], i, j)]);
    }
}

/* ---- the table of small random changes (methods: generator, spectra, one stream) ---- */

static uint64_t table_state;

static double table_uniform(void)
{
    table_state ^= table_state << 13;
    table_state ^= table_state >> 7;
    table_state ^= table_state << 17;
    return ((double)(table_state >> 11) + 0.5) / 9007199254740992.0;
}

static void table_gaussian(double *x, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        const double u1 = table_uniform(), u2 = table_uniform();
        x[i] = sqrt(-2 * log(u1)) * cos(2 * M_PI * u2);
    }
}

enum { N = 128 };
struct table_row {
    double change, nf, rotation, ratio, ratio_sd, alpha, error_a, error_q;
};
/* [power law][change]. The table's last column, the error of B1, depends on the signs that its own SVD gave the pairs, and is
   left out: here signs are chosen. */
static const struct table_row table[2][5] = {
    {{.001, .002, .011, 1.0000, .0001, 1.0000, .0001, .0008},
     {.01, .014, .104, 1.0000, .0007, 1.0000, .0009, .0079},
     {.05, .077, .410, 1.0019, .0034, 1.0017, .0044, .0394},
     {.20, .261, .845, 1.0209, .0093, 1.0212, .0104, .1580},
     {1.0, .666, .946, 1.4170, .0154, 1.4170, .0137, .6830}},
    {{.001, .001, .024, 1.0000, .0001, 1.0000, .0001, .0007},
     {.01, .008, .291, 1.0002, .0011, 1.0002, .0009, .0074},
     {.05, .038, .669, 1.0037, .0042, 1.0005, .0053, .0374},
     {.20, .150, .853, 1.0585, .0280, 1.0201, .0481, .1533},
     {1.0, .663, .937, 1.7473, .2380, 1.3633, .2647, .6833}}};

static double frobenius(const double *x)
{
    double sum = 0;
    for (int i = 0; i < N * N; i++)
        sum += x[i] * x[i];
    return sqrt(sum);
}

static void decompose(const double *w, double *s, double *u, double *vt)
{
    struct plumb_error e = {0};
    double *a = mem_array(N * N, sizeof *a);
    if (!a)
        fail_msg("no memory");
    else {
        memcpy(a, w, N * N * sizeof *a);
        assert_int_equal(svd_f64(N, N, a, s, u, vt, &e), PLUMB_OK);
    }
    mem_free(a);
}

#define SHOWN(value, expected, half) assert_true(fabs((value) - (expected)) <= (half) * (1 + 1e-9))

static void check_row(const double *w, const struct table_row *row)
{
    static double post[N * N], u[2][N * N], vt[2][N * N], q_u[N * N], q_v[N * N], s[2][N];
    double v[SPECTRUM_STATISTICS], mean = 0, squares = 0;
    table_gaussian(post, N * N);
    const double g = row->change * frobenius(w) / frobenius(post);
    for (int i = 0; i < N * N; i++)
        post[i] = w[i] + g * post[i];
    decompose(w, s[0], u[0], vt[0]);
    decompose(post, s[1], u[1], vt[1]);
    product_f64(true, false, N, N, N, u[0], u[1], q_u);
    product_f64(false, true, N, N, N, vt[0], vt[1], q_v);
    spectrum_align(N, q_u, q_v, NULL);
    spectrum_statistics(N, N, N, s[0], s[1], q_u, q_v, v);
    for (int i = 0; i < N / 2; i++)
        mean += s[1][i] / s[0][i] / (0.5 * N);
    for (int i = 0; i < N / 2; i++)
        squares += (s[1][i] / s[0][i] - mean) * (s[1][i] / s[0][i] - mean);
    SHOWN(v[SPECTRUM_NF], row->nf, .0005);
    SHOWN(v[SPECTRUM_ROTATION], row->rotation, .0005);
    SHOWN(mean, row->ratio, .00005);
    SHOWN(sqrt(squares / (0.5 * N)), row->ratio_sd, .00005);
    SHOWN(v[SPECTRUM_ALPHA], row->alpha, .00005);
    SHOWN(v[SPECTRUM_ERROR_SCALE], row->error_a, .00005);
    SHOWN(v[SPECTRUM_ERROR_SHARED], row->error_q, .00005);
}

static void small_random_changes_give_the_table_to_its_last_digit(void **state)
{
    (void)state;
    static double w[N * N], u[N * N], vt[N * N], s[N];
    linear_algebra_start();
    table_state = 88172645463325252u;
    for (int power_law = 0; power_law < 2; power_law++) {
        table_gaussian(w, N * N);
        if (power_law) {
            decompose(w, s, u, vt);
            for (int k = 0; k < N; k++)
                for (int i = 0; i < N; i++)
                    u[i + k * N] /= sqrt(1.0 + k);
            product_f64(false, false, N, N, N, u, vt, w);
        }
        for (int i = 0; i < 5; i++)
            check_row(w, &table[power_law][i]);
    }
}

/* ---- interventions ---- */

static double distance(const double *x, const float *to, size_t m, size_t n)
{
    double off = 0, norm = 0;
    for (size_t i = 0; i < m; i++)
        for (size_t j = 0; j < n; j++) {
            const double y = (double)to[i * n + j];
            off += (x[i + j * m] - y) * (x[i + j * m] - y);
            norm += y * y;
        }
    return sqrt(off / norm);
}

static void interventions_are_as_far_from_the_matrix_as_the_statistics_say(void **state)
{
    (void)state;
    static const int shapes[][2] = {{20, 9}, {9, 20}, {13, 13}};
    static double x[MADE_MOST], w[MADE_MOST];
    for (int k = 0; k < 3; k++) {
        struct plumb_error e = {0};
        struct decomposition d;
        double v[SPECTRUM_STATISTICS];
        made_pair_fill(&pair, shapes[k][0], shapes[k][1], 1, 0.125);
        measure(0, &d, v);
        assert_int_equal(intervene(&d, INTERVENE_SCALE, 1, 1, x, &e), PLUMB_OK);
        assert_true(fabs(distance(x, pair.post, d.m, d.n) - v[SPECTRUM_ERROR_SCALE]) < 1e-9);
        assert_int_equal(intervene(&d, INTERVENE_BREAK, 1, 1, x, &e), PLUMB_OK);
        assert_true(fabs(distance(x, pair.post, d.m, d.n) - v[SPECTRUM_ERROR_BROKEN]) < 1e-9);
        assert_int_equal(intervene(&d, INTERVENE_SCALE_ONLY, 1, 1, x, &e), PLUMB_OK);
        for (size_t i = 0; i < d.m * d.n; i++)
            x[i] /= v[SPECTRUM_ALPHA];
        assert_true(distance(x, pair.base, d.m, d.n) < 1e-12);
        assert_int_equal(intervene(&d, INTERVENE_RANDOM, 1, 1, x, &e), PLUMB_OK);
        assert_int_equal(intervene(&d, INTERVENE_RANDOM, 1, 1, w, &e), PLUMB_OK);
        assert_memory_equal(x, w, d.m * d.n * sizeof *x);
        assert_true(distance(x, pair.post, d.m, d.n) > 0.5);
        decomposition_free(&d);
    }
}

/* Where both sides turn by the same rotation, either one tells the other: C1 and C2 give the matrix back. */
static void a_coordinated_rotation_is_restored_from_the_other_side(void **state)
{
    (void)state;
    enum { SIZE = 8 };
    static double x[SIZE * SIZE];
    struct plumb_error e = {0};
    struct decomposition d;
    double v[SPECTRUM_STATISTICS];
    for (int i = 0; i < SIZE; i++)
        for (int j = 0; j < SIZE; j++) { /* symmetric and positive: U = V */
            pair.base[i * SIZE + j] = (float)(i == j ? 20 + 3 * i : 1.0 / (1 + abs(i - j)));
            pair.post[i * SIZE + j] = (float)(i == j ? 22 + 3 * i : 3.0 / (1 + i + j));
        }
    made_pair_close(&pair, SIZE, SIZE);
    measure(0, &d, v);
    assert_true(v[SPECTRUM_ROTATION] > 0.05 && v[SPECTRUM_NF] < 1e-9);
    assert_int_equal(intervene(&d, INTERVENE_RESTORE, 1, 1, x, &e), PLUMB_OK);
    assert_true(distance(x, pair.post, SIZE, SIZE) < 1e-9);
    assert_int_equal(intervene(&d, INTERVENE_RESTORE_RIGHT, 1, 1, x, &e), PLUMB_OK);
    assert_true(distance(x, pair.post, SIZE, SIZE) < 1e-9);
    assert_int_equal(intervene(&d, INTERVENE_BREAK_RIGHT, 1, 1, x, &e), PLUMB_OK);
    assert_true(distance(x, pair.post, SIZE, SIZE) > 0.02);
    decomposition_free(&d);
}

static void words_that_are_no_module_are_named(void **state)
{
    (void)state;
    struct plumb_error e = {0};
    unsigned set;
    assert_int_equal(spectrum_modules_parse("q,down", &set, &e), PLUMB_OK);
    assert_int_equal(set, 1u << MODULE_Q | 1u << MODULE_DOWN);
    assert_int_equal(spectrum_modules_parse("q,qk", &set, &e), PLUMB_INPUT);
    assert_non_null(strstr(e.message, "'qk'"));
    assert_int_equal(spectrum_modules_parse("", &set, &e), PLUMB_INPUT);
}

static void a_matrix_that_holds_no_number_is_refused(void **state)
{
    (void)state;
    struct plumb_error e = {0};
    struct decomposition d;
    made_pair_fill(&pair, 6, 4, 1, 0.125);
    pair.post[2 * 4 + 3] = NAN;
    assert_int_equal(decomposition_create(&pair.pair, 0, 1, 1, &d, &e), PLUMB_INPUT);
    assert_non_null(strstr(e.message, "layer 3, up"));
    assert_non_null(strstr(e.message, "(2, 3)"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_statistic_is_numpys),
        cmocka_unit_test(an_unchanged_matrix_has_no_rotation_and_scale_one),
        cmocka_unit_test(a_scaled_matrix_has_that_scale_and_no_rotation),
        cmocka_unit_test(a_planted_rotation_of_both_sides_is_coordinated_and_has_its_size),
        cmocka_unit_test(a_rotation_of_one_side_is_not_coordinated),
        cmocka_unit_test(all_triples_at_random_are_the_exact_ones_and_a_few_are_the_leading_ones),
        cmocka_unit_test(a_fused_tensor_is_read_part_by_part),
        cmocka_unit_test(small_random_changes_give_the_table_to_its_last_digit),
        cmocka_unit_test(interventions_are_as_far_from_the_matrix_as_the_statistics_say),
        cmocka_unit_test(a_coordinated_rotation_is_restored_from_the_other_side),
        cmocka_unit_test(words_that_are_no_module_are_named),
        cmocka_unit_test(a_matrix_that_holds_no_number_is_refused),
    };
    return cmocka_run_group_tests_name("spectrum_statistics", tests, NULL, NULL);
}
