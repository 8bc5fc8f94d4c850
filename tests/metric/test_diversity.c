/*
 * test_diversity.c - how much answers differ: against the definitions and NLTK (tools/golden/make_diversity.py, NLTK 3.10.4),
 * and where nothing is defined.
 */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "metric/diversity.h"

enum { ANSWERS = 20, LONGEST = 200 };

static int32_t room[ANSWERS][LONGEST];
static struct diversity_answer answers[ANSWERS];
static uint32_t state;

static int draw(int below)
{
    state = (state * 1103515245u + 12345u) % 0x80000000u;
    return (int)((state >> 8) % (uint32_t)below);
}

/* As the script draws them. */
static void draw_answers(int n, int longest, int vocabulary, uint32_t seed)
{
    state = seed;
    for (int i = 0; i < n; i++) {
        if (i > 0 && draw(4) == 0) {
            answers[i] = answers[draw(i)];
            continue;
        }
        answers[i] = (struct diversity_answer){room[i], (size_t)draw(longest + 1)};
        for (size_t j = 0; j < answers[i].n; j++)
            room[i][j] = draw(vocabulary);
    }
}

static void numbers_are_those_of_the_definitions(void **unused)
{
    (void)unused;
    static const struct {
        int n, longest, vocabulary;
        uint32_t seed;
        double expected[5]; /* distinct-1, distinct-2, self-BLEU, distinct answers, Jaccard */
    } cases[] = {
        {2, 6, 3, 1, {0.42857142857142855, 0.8, 0.05178654368984563, 1.0, 0.33333333333333337}},
        {5, 12, 4, 7, {0.10810810810810811, 0.4375, 0.1922667071100587, 1.0, 0.1}},
        {8,
         40,
         9,
         3,
         {0.0481283422459893, 0.3575418994413408, 0.4511076638972843, 0.875, 0.2619047619047619}},
        {10, 5, 2, 11, {0.0625, 0.17391304347826086, 0.5122891777255347, 0.9, 0.4222222222222222}},
        {20,
         30,
         50,
         5,
         {0.17204301075268819, 0.8730769230769231, 0.28140754353859954, 0.85, 0.8673109102665432}},
        {3,
         200,
         6,
         9,
         {0.016574585635359115, 0.10027855153203342, 0.2397779068438686, 1.0, 0.3333333333333333}},
    };
    for (size_t c = 0; c < sizeof cases / sizeof *cases; c++) {
        struct diversity d;
        struct plumb_error e;
        draw_answers(cases[c].n, cases[c].longest, cases[c].vocabulary, cases[c].seed);
        assert_int_equal(diversity_measure(answers, (size_t)cases[c].n, &d, &e), 0);
        const double found[] = {d.distinct_1, d.distinct_2, d.self_bleu, d.distinct, d.jaccard};
        for (int i = 0; i < 5; i++)
            if (fabs(found[i] - cases[c].expected[i]) > 1e-12)
                fail_msg("case %zu, number %d: %.17g, expected %.17g", c, i, found[i],
                         cases[c].expected[i]);
    }
}

static void equal_answers_have_no_diversity(void **unused)
{
    (void)unused;
    static const int32_t words[] = {3, 1, 4, 1, 5};
    struct diversity_answer same[] = {{words, 5}, {words, 5}, {words, 5}};
    struct diversity d;
    struct plumb_error e;
    assert_int_equal(diversity_measure(same, 3, &d, &e), 0);
    assert_true(fabs(d.self_bleu - 1) < 1e-15);
    assert_true(d.distinct == 1.0 / 3 && d.jaccard == 0);
    assert_true(d.distinct_1 == 4.0 / 15 && d.distinct_2 == 4.0 / 12);
}

static void answers_without_a_common_token_share_nothing(void **unused)
{
    (void)unused;
    static const int32_t words[] = {0, 1, 2, 3, 4, 5};
    struct diversity_answer apart[] = {{words, 3}, {words + 3, 3}};
    struct diversity d;
    struct plumb_error e;
    assert_int_equal(diversity_measure(apart, 2, &d, &e), 0);
    assert_true(d.self_bleu == 0 && d.distinct == 1 && d.jaccard == 1 && d.distinct_1 == 1);
}

static void what_nothing_defines_is_no_number(void **unused)
{
    (void)unused;
    static const int32_t words[] = {7};
    struct diversity_answer few[] = {{words, 1}, {words, 0}, {NULL, 0}};
    struct diversity d;
    struct plumb_error e;
    assert_int_equal(diversity_measure(few, 0, &d, &e), 0);
    assert_true(isnan(d.distinct_1) && isnan(d.self_bleu) && isnan(d.distinct) && isnan(d.jaccard));
    assert_int_equal(diversity_measure(few, 1, &d, &e), 0);
    assert_true(d.distinct_1 == 1 && isnan(d.distinct_2) && isnan(d.self_bleu) && d.distinct == 1);
    assert_true(isnan(d.jaccard));
    assert_int_equal(diversity_measure(few + 1, 2, &d, &e), 0); /* both empty: the same answer */
    assert_true(isnan(d.distinct_1) && d.distinct == 0.5 && d.jaccard == 0 && d.self_bleu == 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(numbers_are_those_of_the_definitions),
        cmocka_unit_test(equal_answers_have_no_diversity),
        cmocka_unit_test(answers_without_a_common_token_share_nothing),
        cmocka_unit_test(what_nothing_defines_is_no_number)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
