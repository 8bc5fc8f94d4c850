/*
 * test_compare.c - the paired comparison: what is the same differs by exactly nothing, what differs is seen.
 */
#include "rows.h"

#include "base/memory.h"
#include "metric/measure.h"

static struct comparison compared(const struct sample *a, const struct sample *b,
                                  const uint32_t *pair, const struct measure_options *o)
{
    struct comparison c;
    struct plumb_error e = {0};
    if (measure_compare(a, b, pair, o, &c, &e) != PLUMB_OK)
        rows_fail("%s", e.message);
    return c;
}

static const struct difference *difference_of(const struct comparison *c, const char *key)
{
    for (size_t i = 0; i < c->n_values; i++)
        if (strcmp(c->values[i].key, key) == 0)
            return &c->values[i];
    rows_fail("%s was not compared", key);
}

static uint32_t *same_places(size_t n)
{
    uint32_t *pair = rows_room(n, sizeof *pair);
    for (size_t i = 0; i < n; i++)
        pair[i] = (uint32_t)i;
    return pair;
}

static void a_file_does_not_differ_from_itself(void **state)
{
    (void)state;
    struct scores s = rows_random(90, 200, 4, 4, false);
    struct sample a = rows_sample(&s), b = rows_sample(&s);
    uint32_t *pair = same_places(s.n);
    struct measure_options o = measure_options_default();
    o.draws = 100;
    for (int by_group = 0; by_group < 2; by_group++) {
        o.by_group = by_group;
        struct comparison c = compared(&a, &b, pair, &o);
        assert_int_equal(c.n_pairs, 200);
        for (size_t i = 0; i < c.n_values; i++) {
            const struct difference *d = &c.values[i];
            assert_false(d->measurable);
            if (isnan(d->difference)) {
                assert_non_null(d->reason);
                continue;
            }
            if (d->difference != 0 || (!isnan(d->low) && (d->low != 0 || d->high != 0)))
                rows_fail("%s: %g [%g, %g]", d->key, d->difference, d->low, d->high);
        }
        comparison_free(&c);
    }
    free(pair);
    sample_free(&a);
    sample_free(&b);
    rows_free(&s);
}

/* The same answers, 0.15 more confident: accuracy and ranking are the same, calibration is not. */
static void a_shift_of_the_confidence_is_seen_and_nothing_else(void **state)
{
    (void)state;
    struct scores s = rows_create(400, 0), t = rows_create(400, 0);
    struct random r = random_start(3, 4);
    for (size_t i = 0; i < s.n; i++) {
        s.values[i] = 0.2 + 0.6 * random_uniform(&r);
        t.values[i] = s.values[i] + 0.15;
        s.correct[i] = t.correct[i] = random_uniform(&r) < s.values[i];
    }
    struct sample a = rows_sample(&s), b = rows_sample(&t);
    uint32_t *pair = same_places(s.n);
    struct measure_options o = measure_options_default();
    o.draws = 300;
    struct comparison c = compared(&a, &b, pair, &o);
    const struct difference *mean = difference_of(&c, "mean_confidence");
    rows_near(mean->difference, -0.15, 1e-13);
    rows_near(mean->low, -0.15, 1e-12); /* every row moved alike: no draw says otherwise */
    rows_near(mean->high, -0.15, 1e-12);
    assert_true(mean->measurable);
    assert_true(difference_of(&c, "brier")->measurable);
    assert_true(difference_of(&c, "smece")->measurable);
    assert_true(difference_of(&c, "brier")->high < 0);
    assert_false(difference_of(&c, "accuracy")->measurable);
    assert_false(difference_of(&c, "auroc")->measurable);
    assert_true(difference_of(&c, "auroc")->difference == 0);
    const struct difference *mass = difference_of(&c, "option_mass_mean");
    assert_true(isnan(mass->difference) && mass->reason && isnan(mass->low));
    comparison_free(&c);
    free(pair);
    sample_free(&a);
    sample_free(&b);
    rows_free(&s);
    rows_free(&t);
}

/* b is a in another order, with rows that only one of them has, and some whose answer is unknown in one. */
static void questions_are_paired_wherever_they_stand(void **state)
{
    (void)state;
    struct scores s = rows_random(12, 120, 0, 0, false);
    size_t from[120] = {0};
    struct scores t = rows_shuffled(&s, 8, from);
    uint32_t pair[120];
    size_t shared = 120;
    for (size_t i = 0; i < 120; i++)
        pair[from[i]] = (uint32_t)i;
    for (size_t i = 0; i < 120; i += 10, shared--)
        pair[i] = UINT32_MAX;
    for (size_t i = 1; i < 120; i += 20, shared--)
        s.correct[i] = -1;
    for (size_t i = 2; i < 120; i += 40, shared--)
        t.correct[pair[i]] = -1;
    struct sample a = rows_sample(&s), b = rows_sample(&t);
    struct measure_options o = measure_options_default();
    o.draws = 50;
    struct comparison c = compared(&a, &b, pair, &o);
    assert_int_equal(c.n_pairs, shared);
    assert_true(difference_of(&c, "n")->a == (double)shared);
    assert_true(difference_of(&c, "n")->b == (double)shared);
    for (size_t i = 0; i < c.n_values; i++)
        if (!isnan(c.values[i].difference))
            rows_near(c.values[i].difference, 0, 1e-12); /* the same rows, summed otherwise */
    comparison_free(&c);
    sample_free(&a);
    sample_free(&b);
    rows_free(&s);
    rows_free(&t);
}

/* Two models that are right on nearly the same questions: a paired interval of the accuracy is far narrower than either. */
static void what_both_share_cancels(void **state)
{
    (void)state;
    struct scores s = rows_random(14, 500, 0, 0, false), t = rows_random(14, 500, 0, 0, false);
    for (size_t i = 0; i < 500; i += 50)
        t.correct[i] = !t.correct[i];
    struct sample a = rows_sample(&s), b = rows_sample(&t);
    uint32_t *pair = same_places(500);
    struct measure_options o = measure_options_default();
    o.draws = 300;
    struct comparison c = compared(&a, &b, pair, &o);
    struct measurement m;
    struct plumb_error e = {0};
    assert_int_equal(measure(&a, &o, &m, &e), PLUMB_OK);
    const struct difference *d = difference_of(&c, "accuracy");
    const struct measured *alone = measurement_find(&m, "accuracy");
    if (!alone)
        rows_fail("no accuracy");
    /* sqrt(10 / 500) against sqrt(2 * 0.25): a fifth */
    assert_true(d->high - d->low < 0.4 * (alone->high - alone->low));
    measurement_free(&m);
    comparison_free(&c);
    free(pair);
    sample_free(&a);
    sample_free(&b);
    rows_free(&s);
    rows_free(&t);
}

static void threads_change_nothing_and_errors_are_reported(void **state)
{
    (void)state;
    struct scores s = rows_random(15, 60, 3, 0, false), t = rows_random(16, 60, 3, 0, false);
    struct sample a = rows_sample(&s), b = rows_sample(&t);
    uint32_t *pair = same_places(60);
    const char *const only[] = {"brier", "ece_15", "smece", NULL};
    struct measure_options o = measure_options_default();
    o.draws = 40;
    o.threads = 1;
    o.only = only;
    struct comparison one = compared(&a, &b, pair, &o);
    o.threads = 3;
    struct comparison three = compared(&a, &b, pair, &o);
    for (size_t i = 0; i < one.n_values; i++) {
        assert_true(one.values[i].low == three.values[i].low);
        assert_true(one.values[i].high == three.values[i].high);
    }
    o.threads = 1;
    for (long n = 1;; n++) {
        struct plumb_error e = {0};
        struct comparison c;
        mem_fail_after(n);
        const int status = measure_compare(&a, &b, pair, &o, &c, &e);
        mem_fail_after(0);
        if (status == PLUMB_OK) {
            assert_true(n > 40);
            comparison_free(&c);
            break;
        }
        assert_int_equal(status, PLUMB_MACHINE);
    }
    struct plumb_error e = {0};
    struct comparison none;
    for (size_t i = 0; i < 60; i++)
        pair[i] = UINT32_MAX;
    assert_int_equal(measure_compare(&a, &b, pair, &o, &none, &e), PLUMB_INPUT);
    assert_non_null(strstr(e.message, "no labelled question in common"));
    comparison_free(&one);
    comparison_free(&three);
    free(pair);
    sample_free(&a);
    sample_free(&b);
    rows_free(&s);
    rows_free(&t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_file_does_not_differ_from_itself),
        cmocka_unit_test(a_shift_of_the_confidence_is_seen_and_nothing_else),
        cmocka_unit_test(questions_are_paired_wherever_they_stand),
        cmocka_unit_test(what_both_share_cancels),
        cmocka_unit_test(threads_change_nothing_and_errors_are_reported),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
