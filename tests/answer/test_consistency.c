/*
 * test_consistency.c - agreement, entropy and first-second distance against numpy, and what is said of samples that cannot be
 * read; expected accuracy and pass@k.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "answer/capability.h"
#include "answer/consistency.h"
#include "golden_answers.h"

static struct consistency measured(const int *answer, size_t n)
{
    struct plumb_error e = {0};
    struct consistency c;
    assert_int_equal(consistency_measure(answer, n, &c, &e), PLUMB_OK);
    return c;
}

static void the_three_scores_are_those_of_numpy(void **state)
{
    (void)state;
    struct json_document *d = golden_open();
    size_t cases = 0;
    for (struct json_iterator i = json_each(json_get(json_root(d), "consistency")); json_next(&i);
         cases++) {
        double numbers[GOLDEN_MOST];
        int answer[GOLDEN_MOST];
        const size_t n = golden_numbers(json_get(i.value, "answers"), numbers);
        for (size_t k = 0; k < n; k++)
            answer[k] = (int)numbers[k];
        const struct consistency c = measured(answer, n);
        golden_same(c.agreement, golden_number(i.value, "agreement"));
        golden_same(c.entropy, golden_number(i.value, "entropy"));
        golden_same(c.fsd, golden_number(i.value, "fsd"));
    }
    assert_true(cases > 10);
    json_close(d);
}

/* The traps of the published rules: what n counts, and what one valid answer says. */
static void invalid_samples_are_counted_and_told(void **state)
{
    (void)state;
    const int one_valid[] = {-1, 7, -1, -1}, none[] = {-1, -1}, some[] = {4, 4, -1, 9};
    struct consistency c = measured(one_valid, 4);
    assert_int_equal(c.invalid, 3);
    assert_int_equal(c.distinct, 1);
    assert_int_equal(c.most, 7);
    golden_same(c.agreement, 0.25);
    golden_same(c.entropy, 1);
    golden_same(c.fsd, 1);
    c = measured(none, 2);
    assert_int_equal(c.invalid, 2);
    assert_int_equal(c.most, -1);
    golden_same(c.agreement + c.entropy + c.fsd, 0);
    c = measured(some, 4);
    golden_same(c.agreement, 0.5);
    golden_same(c.fsd, 0.25);
    c = measured(NULL, 0);
    golden_same(c.agreement + c.entropy + c.fsd, 0);
}

/* H / log2(distinct) can come out above 1 by rounding; the score is one of the numbers from 0 to 1. */
static void the_entropy_of_different_answers_is_zero(void **state)
{
    (void)state;
    int answer[GOLDEN_MOST];
    for (int n = 2; n <= GOLDEN_MOST; n++) {
        for (int i = 0; i < n; i++)
            answer[i] = i;
        const double entropy = measured(answer, (size_t)n).entropy;
        assert_true(entropy >= 0 && entropy < 1e-12);
    }
}

static void the_first_of_equals_is_the_most_frequent_answer(void **state)
{
    (void)state;
    const int answer[] = {3, 1, 1, 3, 0};
    assert_int_equal(measured(answer, 5).most, 3);
}

static void pass_at_k_is_the_binomial_one(void **state)
{
    (void)state;
    struct json_document *d = golden_open();
    size_t cases = 0;
    for (struct json_iterator i = json_each(json_get(json_root(d), "pass_at_k")); json_next(&i);
         cases++)
        golden_same(pass_at_k_unbiased((size_t)golden_number(i.value, "n"),
                                       (size_t)golden_number(i.value, "m"),
                                       (size_t)golden_number(i.value, "k")),
                    golden_number(i.value, "value"));
    assert_true(cases >= 8);
    json_close(d);
    assert_true(isnan(pass_at_k_unbiased(5, 2, 6)));
    golden_same(pass_at_k(0.25, 1), 0.25);
    golden_same(pass_at_k(0.5, 3), 0.875);
    golden_same(pass_at_k(1, 4), 1);
    golden_same(pass_at_k(0, 4), 0);
    golden_same(pass_at_k(0.3, 0), 0);
}

/* L_capability = E[L_response] - Var, and the parts themselves. */
static void the_capability_loss_is_the_response_loss_without_the_variance(void **state)
{
    (void)state;
    struct json_document *d = golden_open();
    const struct json golden = json_get(json_root(d), "capability");
    double right[GOLDEN_MOST] = {0}, samples[GOLDEN_MOST] = {0}, p[GOLDEN_MOST + 1];
    size_t m[GOLDEN_MOST + 1], of[GOLDEN_MOST + 1];
    const size_t n = golden_numbers(json_get(golden, "right"), right);
    golden_numbers(json_get(golden, "samples"), samples);
    golden_numbers(json_get(golden, "p"), p);
    for (size_t i = 0; i < n; i++) {
        m[i] = (size_t)right[i];
        of[i] = (size_t)samples[i];
    }
    p[n] = NAN; /* a question without a confidence is left out */
    m[n] = of[n] = 3;
    const struct capability_loss loss = capability_loss(m, of, p, n + 1);
    assert_int_equal(loss.questions, n);
    golden_same(loss.response, golden_number(golden, "response"));
    golden_same(loss.variance, golden_number(golden, "variance"));
    golden_same(loss.capability, golden_number(golden, "capability"));
    golden_same(loss.capability_unbiased, golden_number(golden, "capability_unbiased"));
    golden_same(loss.capability, loss.response - loss.variance);
    json_close(d);
    assert_true(isnan(capability_loss(m, of, p, 0).response));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_three_scores_are_those_of_numpy),
        cmocka_unit_test(invalid_samples_are_counted_and_told),
        cmocka_unit_test(the_entropy_of_different_answers_is_zero),
        cmocka_unit_test(the_first_of_equals_is_the_most_frequent_answer),
        cmocka_unit_test(pass_at_k_is_the_binomial_one),
        cmocka_unit_test(the_capability_loss_is_the_response_loss_without_the_variance),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
