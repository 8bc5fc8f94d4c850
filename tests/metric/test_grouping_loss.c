/*
 * Promises of grouping_loss.c and local_error.c: the golden cells, and made-up hidden states that do or do not tell
 * right from wrong.
 */
#include "golden.h"
#include "metric/grouping_loss.h"
#include "tensor/dtype.h"

enum { SIZE = 24 };

static void matches_beyond_calibration_on_given_cells(void **state)
{
    (void)state;
    struct scores s = golden_scores("B_lcg1000.csv", 1000, 1);
    double rows[5][2] = {0}, right[5][2] = {0};
    for (size_t i = 0; i < s.n; i++) {
        const int bin = (int)(5 * s.values[i]) < 5 ? (int)(5 * s.values[i]) : 4;
        rows[bin][i % 2]++;
        right[bin][i % 2] += s.correct[i];
    }
    const struct grouping g = grouping_of_cells(&rows[0][0], &right[0][0], 5, 2);
    static const char set[] = "grouping_loss_B_parity_partition_5bins";
    assert_near("lower bound", g.lower_bound, golden_inner(0, set, "lower_bound"), 1e-15);
    assert_near("bias", g.bias, golden_inner(0, set, "bias"), 1e-15);
    assert_near("debiased", g.debiased, golden_inner(0, set, "lower_bound_debiased"), 1e-15);
    scores_done(&s);
}

/* Rows with hidden states, as a trace hands them over. */
struct hidden_rows {
    struct scores scores;
    struct trace trace;
    uint16_t *hidden;
};

static struct hidden_rows hidden_room(size_t n)
{
    struct hidden_rows h = {.scores = scores_room(n, 1)};
    h.hidden = mem_zalloc(n, SIZE * sizeof *h.hidden);
    if (!h.hidden)
        abort(); /* no memory */
    h.trace = (struct trace){.header = {.n_hidden = 1, .hidden_size = SIZE}, .hidden = h.hidden};
    return h;
}

static void hidden_done(struct hidden_rows *h)
{
    scores_done(&h->scores);
    mem_free(h->hidden);
}

static struct measured_rows measured_hidden(struct hidden_rows *h)
{
    h->scores.trace = &h->trace;
    return measured_rows_of(&h->scores);
}

/* Confidence 0.7 and calibrated on average; the accuracy is 0.7 + lift or 0.7 - lift, by the sign of dimension 3. */
static struct hidden_rows rows_with_cells(size_t n, double lift, struct random *r)
{
    struct hidden_rows h = hidden_room(n);
    for (size_t i = 0; i < n; i++) {
        double good = 0;
        for (size_t d = 0; d < SIZE; d++) {
            const double x = random_normal(r);
            h.hidden[i * SIZE + d] = f32_to_f16((float)x);
            good = d == 3 ? x : good;
        }
        h.scores.values[i] = 0.7 + 0.001 * random_normal(r);
        h.scores.correct[i] = random_uniform(r) < 0.7 + (good > 0 ? lift : -lift);
    }
    return h;
}

/* Two cells of 0.95 and 0.45: a loss of 0.0625, of which a tree that must find them sees more than half. Without a
   difference the debiased bound is 0 up to noise: its standard deviation on 3,000 rows is about 0.0006. */
static void finds_cells_where_there_are_some_and_none_elsewhere(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 3; seed++) {
        struct random r = random_start(seed, 17);
        struct hidden_rows cells = rows_with_cells(3000, 0.25, &r);
        struct hidden_rows none = rows_with_cells(3000, 0, &r);
        struct measured_rows a = measured_hidden(&cells), b = measured_hidden(&none);
        const double found = value_of(compute_grouping_loss, &a, NULL, 15, &golden_ours, 0);
        const double nothing = value_of(compute_grouping_loss, &b, NULL, 15, &golden_ours, 0);
        if (found < 0.03125 || found > 0.0725)
            fail_msg("seed %d: %g, where 0.0625 is hidden", (int)seed, found);
        if (fabs(nothing) > 0.003)
            fail_msg("seed %d: %g, where nothing is hidden", (int)seed, nothing);
        const double local = value_of(compute_local_error, &a, NULL, 15, &golden_ours, 0);
        const double flat = value_of(compute_local_error, &b, NULL, 15, &golden_ours, 0);
        assert_true(local > flat);
        assert_true(value_of(compute_local_error, &a, NULL, 15, &golden_ours, 1) >= local);
        measured_rows_done(&a);
        measured_rows_done(&b);
        hidden_done(&cells);
        hidden_done(&none);
    }
}

/* All states alike: the kernel is 1 everywhere, so every row has the error of its bin. */
static void without_differences_the_local_error_is_that_of_the_bin(void **state)
{
    (void)state;
    struct random r = random_start(2, 0);
    struct hidden_rows h = rows_with_cells(300, 0.1, &r);
    memset(h.hidden, 0, 300 * SIZE * sizeof *h.hidden);
    for (size_t i = 0; i < 300; i++)
        h.scores.values[i] = random_uniform(&r);
    struct measured_rows m = measured_hidden(&h);
    assert_near("lce", value_of(compute_local_error, &m, NULL, 15, &golden_ours, 0),
                value_of(compute_ece, &m, NULL, 15, &golden_ours, 0), 1e-14);
    assert_near("mlce", value_of(compute_local_error, &m, NULL, 15, &golden_ours, 1),
                value_of(compute_mce, &m, NULL, 15, &golden_ours, 0), 1e-14);
    assert_true(isnan(value_of(compute_grouping_loss, &m, NULL, 15, &golden_ours, 0)));
    measured_rows_done(&m);
    hidden_done(&h);
}

static void weights_are_multiplicities_and_order_is_nothing(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 4; seed++) {
        struct random r = random_start(seed, 5);
        const size_t n = 600; /* weight and sorted hold as many */
        struct hidden_rows rows = rows_with_cells(n, 0.2, &r);
        double weight[600], sorted[600];
        size_t total = 0;
        for (size_t i = 0; i < n; i++)
            total += (size_t)(weight[i] = (double)random_below(&r, 4));
        struct hidden_rows expanded = hidden_room(total), reversed = hidden_room(n);
        for (size_t i = 0, at = total; i < n; i++) {
            for (int copy = 0; copy < (int)weight[i]; copy++) {
                scores_copy_row(&rows.scores, i, &expanded.scores, --at);
                memcpy(expanded.hidden + at * SIZE, rows.hidden + i * SIZE,
                       SIZE * sizeof(uint16_t));
            }
            scores_copy_row(&rows.scores, i, &reversed.scores, n - 1 - i);
            memcpy(reversed.hidden + (n - 1 - i) * SIZE, rows.hidden + i * SIZE,
                   SIZE * sizeof(uint16_t));
        }
        struct measured_rows a = measured_hidden(&rows), b = measured_hidden(&expanded),
                             c = measured_hidden(&reversed);
        for (size_t i = 0; i < n; i++)
            sorted[i] = weight[a.sample.row[i]];
        compute_function *const all[] = {compute_grouping_loss, compute_local_error,
                                         compute_local_error};
        for (int f = 0; f < 3; f++) {
            const int which = f == 2;
            assert_near("weights", value_of(all[f], &a, sorted, 5, &golden_ours, which),
                        value_of(all[f], &b, NULL, 5, &golden_ours, which), 1e-12);
            assert_near("order", value_of(all[f], &a, NULL, 5, &golden_ours, which),
                        value_of(all[f], &c, NULL, 5, &golden_ours, which), 0);
        }
        measured_rows_done(&a);
        measured_rows_done(&b);
        measured_rows_done(&c);
        hidden_done(&rows);
        hidden_done(&expanded);
        hidden_done(&reversed);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(matches_beyond_calibration_on_given_cells),
        cmocka_unit_test(finds_cells_where_there_are_some_and_none_elsewhere),
        cmocka_unit_test(without_differences_the_local_error_is_that_of_the_bin),
        cmocka_unit_test(weights_are_multiplicities_and_order_is_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
