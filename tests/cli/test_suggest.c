/*
 * test_suggest.c - "did you mean" names what a person meant, and stays silent otherwise.
 */
#include <limits.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "cli/suggest.h"

static void distances_are_those_of_optimal_string_alignment(void **state)
{
    (void)state;
    assert_int_equal(suggest_distance("", ""), 0);
    assert_int_equal(suggest_distance("abc", ""), 3);
    assert_int_equal(suggest_distance("kitten", "sitting"), 3); /* Levenshtein's own example */
    assert_int_equal(suggest_distance("trace", "tarce"),
                     1);                                /* a swap of neighbours is one change */
    assert_int_equal(suggest_distance("ca", "abc"), 3); /* OSA: 3, where full Damerau gives 2 */
    assert_int_equal(suggest_distance("preset", "presett"), 1);
}

static void words_that_are_too_long_are_far_from_everything(void **state)
{
    (void)state;
    char longest[64], longer[65];
    memset(longest, 'a', 63);
    memset(longer, 'a', 64);
    longest[63] = longer[64] = '\0';
    assert_int_equal(suggest_distance(longest, longest), 0);
    assert_int_equal(suggest_distance(longer, longest), INT_MAX);
    const char *words[] = {longest};
    assert_null(suggest(longer, words, 1));
}

static void near_misses_are_named_and_far_ones_are_not(void **state)
{
    (void)state;
    const char *words[] = {"trace", "inspect", NULL, "tokenize", "bench"};
    assert_string_equal(suggest("tarce", words, 5), "trace");
    assert_string_equal(suggest("inspekt", words, 5), "inspect");
    assert_string_equal(suggest("tokenise", words, 5), "tokenize");
    assert_string_equal(suggest("bnech", words, 5), "bench");
    assert_null(suggest("quantum", words, 5));
    assert_null(suggest("x", words, 5));
    assert_null(suggest("trace", words, 0));
}

static void the_first_of_two_equally_near_words_is_named(void **state)
{
    (void)state;
    const char *words[] = {"cart", "cast"};
    assert_string_equal(suggest("caxt", words, 2), "cart");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(distances_are_those_of_optimal_string_alignment),
        cmocka_unit_test(words_that_are_too_long_are_far_from_everything),
        cmocka_unit_test(near_misses_are_named_and_far_ones_are_not),
        cmocka_unit_test(the_first_of_two_equally_near_words_is_named),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
