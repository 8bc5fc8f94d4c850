/*
 * test_sample.c - the promises of metric/sample.h: top-label reduction, checks, one canonical order.
 */
#include "rows.h"

#include "base/memory.h"

static void says(const struct scores *s, const struct sample_options *o, const char *part)
{
    struct plumb_error e = {0};
    struct sample out;
    assert_int_equal(sample_create(s, o, &out, &e), PLUMB_INPUT);
    if (!strstr(e.message, part))
        rows_fail("\"%s\" does not say \"%s\"", e.message, part);
    assert_null(out.confidence);
}

static void the_top_label_is_the_lowest_of_the_largest_logits(void **state)
{
    (void)state;
    struct scores s = rows_create(3, 3);
    const double z[9] = {1, 3, 2, 5, 5, 1, 0, 0, 0};
    memcpy(s.values, z, sizeof z);
    s.label[0] = 1;
    s.label[1] = 1;
    s.label[2] = 0;
    struct sample a = rows_sample(&s);
    assert_int_equal(a.argmax_ties, 2);
    /* Ascending confidence: rows 2 (1/3), 1 (1/(2 + exp(-4))), 0 (1/(1 + exp(-2) + exp(-1))). */
    const uint32_t row[3] = {2, 1, 0};
    const double confidence[3] = {1.0 / 3, 1 / (2 + exp(-4)), 1 / (1 + exp(-2) + exp(-1))};
    const double correct[3] = {1, 0, 1},
                 ln[3] = {log(1.0 / 3), log(confidence[1]), log(confidence[2])};
    for (size_t i = 0; i < 3; i++) {
        assert_int_equal(a.row[i], row[i]);
        rows_near(a.confidence[i], confidence[i], 1e-15);
        assert_true(a.correct[i] == correct[i]);
        rows_near(a.log_likelihood[i], ln[i], 1e-15);
        assert_int_equal(a.prediction[i], row[i] == 0 ? 1 : 0);
        rows_near(a.probability[i * 3] + a.probability[i * 3 + 1] + a.probability[i * 3 + 2], 1,
                  1e-15);
    }
    sample_free(&a);
    rows_free(&s);
}

static void temperature_divides_the_logits_of_every_kind(void **state)
{
    (void)state;
    struct sample_options o = sample_options_default();
    o.temperature = 2;
    struct plumb_error e = {0};
    struct scores logits = rows_create(1, 2), probabilities = rows_create(1, 2),
                  confidence = rows_create(1, 0);
    probabilities.kind = SCORES_PROBABILITIES;
    logits.values[0] = 3;
    logits.values[1] = 1;
    const double p = 1 / (1 + exp(-2.0)), cooled = 1 / (1 + exp(-1.0));
    probabilities.values[0] = confidence.values[0] = p;
    probabilities.values[1] = 1 - p;
    confidence.correct[0] = 1;
    const struct scores *all[] = {&logits, &probabilities, &confidence};
    for (size_t i = 0; i < 3; i++) {
        struct sample a;
        assert_int_equal(sample_create(all[i], &o, &a, &e), PLUMB_OK);
        rows_near(a.confidence[0], cooled, 1e-15);
        rows_near(a.log_likelihood[0], log(cooled), 1e-15);
        sample_free(&a);
    }
    rows_free(&logits);
    rows_free(&probabilities);
    rows_free(&confidence);
}

static void what_is_no_confidence_is_refused_by_its_row(void **state)
{
    (void)state;
    struct sample_options o = sample_options_default();
    const double bad[] = {NAN, INFINITY, -INFINITY, 1.5, -0.25};
    const char *const word[] = {"row 2: the confidence is nan", "row 2: the confidence is inf",
                                "row 2: the confidence is -inf", "1.5 is outside [0, 1]",
                                "-0.25 is outside [0, 1]"};
    for (size_t i = 0; i < 5; i++) {
        struct scores s = rows_of(3, (const double[]){0.5, bad[i], 0.5}, (const int[]){1, 0, 1});
        o.drop_nan = false;
        says(&s, &o, word[i]);
        o.drop_nan = true;
        struct plumb_error e = {0};
        struct sample a = {0};
        if (isfinite(bad[i])) {
            says(&s, &o, word[i]); /* not a number that is missing but a number that is wrong */
        } else {
            assert_int_equal(sample_create(&s, &o, &a, &e), PLUMB_OK);
            assert_int_equal(a.n, 2);
            assert_int_equal(a.dropped_rows, 1);
            sample_free(&a);
        }
        rows_free(&s);
    }
}

static void logits_labels_and_probabilities_are_checked(void **state)
{
    (void)state;
    const struct sample_options o = sample_options_default();
    struct scores s = rows_create(2, 2);
    s.label[1] = 2;
    says(&s, &o, "row 2: the label is 2 but the row has 2 options");
    s.label[1] = 0;
    s.values[3] = NAN;
    says(&s, &o, "row 2: the logit is nan");
    s.kind = SCORES_PROBABILITIES;
    const double p[4] = {0.5, 0.5, 0.5, 0.2};
    memcpy(s.values, p, sizeof p);
    says(&s, &o, "row 2: the probabilities of its 2 options sum to 0.7");
    s.values[3] = 1.2;
    says(&s, &o, "row 2: the probability 1.2 is outside");
    s.label[0] = s.label[1] = -1;
    says(&s, &o, "2 rows have no known right answer");
    rows_free(&s);
}

static void rows_without_a_known_answer_and_other_groups_are_left_out(void **state)
{
    (void)state;
    struct scores s = rows_random(3, 200, 4, 0, false);
    size_t unknown = 0, lakes = 0;
    for (size_t i = 0; i < s.n; i += 7) {
        s.label[i] = -1;
        s.values[i * 4] = NAN; /* nobody looks at it */
        unknown += s.group[i] == 1;
    }
    for (size_t i = 0; i < s.n; i++)
        lakes += s.group[i] == 1;
    struct sample_options o = sample_options_default();
    o.only_group = 1;
    struct plumb_error e = {0};
    struct sample a;
    assert_int_equal(sample_create(&s, &o, &a, &e), PLUMB_OK);
    assert_int_equal(a.unlabelled, unknown);
    assert_int_equal(a.n, lakes - unknown);
    for (size_t i = 0; i < a.n; i++)
        assert_int_equal(a.group[i], 1);
    sample_free(&a);
    rows_free(&s);
}

static void clipped_rows_are_counted(void **state)
{
    (void)state;
    const double c[] = {0, 0, 1, 1, 0.5};
    const int y[] = {1, 0, 0, 1, 1};
    struct scores s = rows_of(5, c, y);
    struct sample a = rows_sample(&s);
    assert_int_equal(a.clipped_rows, 2); /* 0 that was right and 1 that was wrong */
    assert_int_equal(a.tied_rows, 4);
    assert_int_equal(a.n_ties, 3);
    rows_near(a.log_likelihood[1], log(1e-15), 1e-12);
    sample_free(&a);
    rows_free(&s);
}

/* Every array but `row`, which says where a row stood. */
static void same_sample(const struct sample *a, const struct sample *b)
{
    const size_t n = a->n, k = (size_t)a->k;
    assert_int_equal(a->n, b->n);
    assert_memory_equal(a->confidence, b->confidence, n * sizeof *a->confidence);
    assert_memory_equal(a->correct, b->correct, n * sizeof *a->correct);
    assert_memory_equal(a->log_likelihood, b->log_likelihood, n * sizeof *a->log_likelihood);
    assert_memory_equal(a->group, b->group, n * sizeof *a->group);
    assert_memory_equal(a->option_mass, b->option_mass, n * sizeof *a->option_mass);
    assert_int_equal(a->n_ties, b->n_ties);
    assert_memory_equal(a->tie, b->tie, (a->n_ties + 1) * sizeof *a->tie);
    if (k == 0)
        return;
    assert_memory_equal(a->probability, b->probability, n * k * sizeof *a->probability);
    assert_memory_equal(a->label, b->label, n * sizeof *a->label);
    assert_memory_equal(a->prediction, b->prediction, n * sizeof *a->prediction);
    assert_memory_equal(a->options, b->options, n * sizeof *a->options);
    assert_memory_equal(a->class_order, b->class_order, n * k * sizeof *a->class_order);
}

static void the_order_of_the_rows_does_not_depend_on_the_input(void **state)
{
    (void)state;
    const uint64_t seed = 20;
    print_message("seed %llu\n", (unsigned long long)seed);
    for (uint64_t i = 0; i < 24; i++) {
        const size_t n = i < 8 ? 20 : 500; /* insertion and radix sort */
        struct scores s = rows_random(seed + i, n, i % 2 ? 4 : 0, i % 3 ? 2 : 0, i % 4 == 1);
        size_t *from = rows_room(n, sizeof *from);
        struct scores t = rows_shuffled(&s, seed + i, from);
        struct sample a = rows_sample(&s), b = rows_sample(&t);
        same_sample(&a, &b);
        for (size_t j = 0; j < n; j++) { /* `row` leads back to the same row, or to its double */
            const size_t at = from[b.row[j]], k = (size_t)s.k;
            assert_memory_equal(s.values + a.row[j] * k, s.values + at * k, k * sizeof *s.values);
            assert_int_equal(s.group[a.row[j]], s.group[at]);
        }
        sample_free(&a);
        sample_free(&b);
        rows_free(&s);
        rows_free(&t);
        free(from);
    }
}

static void rows_and_classes_are_ascending(void **state)
{
    (void)state;
    struct scores s = rows_random(4, 3000, 5, 0, true);
    struct sample a = rows_sample(&s);
    for (size_t i = 1; i < a.n; i++)
        assert_true(a.confidence[i - 1] <= a.confidence[i]);
    for (size_t c = 0; c < 5; c++) {
        const uint32_t *order = a.class_order + c * a.n;
        size_t sum = order[0];
        for (size_t i = 1; i < a.n; i++) {
            assert_true(a.probability[order[i - 1] * 5 + c] <= a.probability[order[i] * 5 + c]);
            sum += order[i];
        }
        assert_int_equal(sum, a.n * (a.n - 1) / 2);
    }
    sample_free(&a);
    rows_free(&s);
}

static void no_memory_is_reported_and_nothing_leaks(void **state)
{
    (void)state;
    struct scores s = rows_random(5, 50, 3, 0, false);
    const struct sample_options o = sample_options_default();
    for (long n = 1;; n++) {
        struct plumb_error e = {0};
        struct sample a;
        mem_fail_after(n);
        const int status = sample_create(&s, &o, &a, &e);
        mem_fail_after(0);
        if (status == PLUMB_OK) {
            assert_true(n > 12);
            sample_free(&a);
            break;
        }
        assert_int_equal(status, PLUMB_MACHINE);
    }
    rows_free(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_top_label_is_the_lowest_of_the_largest_logits),
        cmocka_unit_test(temperature_divides_the_logits_of_every_kind),
        cmocka_unit_test(what_is_no_confidence_is_refused_by_its_row),
        cmocka_unit_test(logits_labels_and_probabilities_are_checked),
        cmocka_unit_test(rows_without_a_known_answer_and_other_groups_are_left_out),
        cmocka_unit_test(clipped_rows_are_counted),
        cmocka_unit_test(the_order_of_the_rows_does_not_depend_on_the_input),
        cmocka_unit_test(rows_and_classes_are_ascending),
        cmocka_unit_test(no_memory_is_reported_and_nothing_leaks),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
