/*
 * test_correctness.c - SQuAD's normalisation and F1 on cases worked out by hand, the user's command as judge, and letters read
 * from answers in words.
 */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "answer/correctness.h"
#include "base/memory.h"

static void normalised_is(const char *text, const char *expected)
{
    struct buffer b = BUFFER_EMPTY;
    answer_normalise(text, strlen(text), &b);
    assert_string_equal(buffer_string(&b), expected);
    buffer_free(&b);
}

static void texts_are_normalised_as_squad_does(void **state)
{
    (void)state;
    normalised_is("The Cat", "cat");
    normalised_is("  the   quick,\tbrown fox!  ", "quick brown fox");
    normalised_is("U.S.A.", "usa");
    normalised_is("an apple a day", "apple day");
    normalised_is("A", "");
    normalised_is("the", "");
    normalised_is("to the end", "to end");
    normalised_is("the a an answer", "answer");
    normalised_is("Anna and Theo", "anna and theo"); /* articles are whole words */
    normalised_is("A.", "");                         /* punctuation goes first, then the article */
    normalised_is("twenty-one", "twentyone");
    normalised_is("14 December 1972 (UTC)", "14 december 1972 utc");
    normalised_is("", "");
    normalised_is("?!", "");
    normalised_is("one — two", "one two"); /* a dash between spaces leaves one space */
}

static void other_alphabets_are_folded_too(void **state)
{
    (void)state;
    normalised_is("ÉCOLE Normale", "école normale");
    normalised_is("«Москва»", "москва");
    normalised_is("Ångström…", "ångström");
    normalised_is("東京、日本。", "東京日本");
    normalised_is("a\xC2\xA0"
                  "b\xE2\x80\x83"
                  "c",
                  "b c"); /* no-break space, em space */
}

static void f1_is_that_of_bags_of_words(void **state)
{
    (void)state;
    assert_true(answer_f1("barack obama", "obama") == 2.0 / 3);
    assert_true(answer_f1("x x y", "x y y") == 2.0 * 2 / 6); /* each word as often as in both */
    assert_true(answer_f1("a b", "c") == 0);
    assert_true(answer_f1("", "") == 1);
    assert_true(answer_f1("", "c") == 0);
    assert_true(answer_f1("b a", "a b") == 1);
}

static int judged(const struct judge *j, const char *answer, const char *const *golds, int n)
{
    struct plumb_error e = {0};
    const struct free_question q = {
        .id = "q", .context = "", .text = "who?", .answers = golds, .n_answers = n, .gold = -1};
    int right;
    if (judge_answer(j, &q, answer, &right, &e) != PLUMB_OK)
        fail_msg("%s", e.message);
    return right;
}

static void any_of_the_right_answers_will_do(void **state)
{
    (void)state;
    const char *const golds[] = {"Bobby Scott", "Bob Russell"};
    struct judge j = judge_default();
    assert_int_equal(judged(&j, "bob russell.", golds, 2), 1);
    assert_int_equal(judged(&j, "Bob", golds, 2), 0);
    assert_int_equal(judged(&j, "", golds, 2), 0);
    assert_int_equal(judged(&j, "Bob", golds, 0), -1); /* nobody knows */
    j.rule = CORRECT_EXACT;
    assert_int_equal(judged(&j, " Bob Russell\n", golds, 2), 1);
    assert_int_equal(judged(&j, "bob russell", golds, 2), 0);
    j.rule = CORRECT_F1;
    assert_int_equal(judged(&j, "Bob", golds, 2), 1); /* 2/3 >= 0.5 */
    j.f1_threshold = 0.7;
    assert_int_equal(judged(&j, "Bob", golds, 2), 0);
    /* A right answer that normalises to nothing makes no empty answer right. */
    const char *const article[] = {"The"};
    j = judge_default();
    assert_int_equal(judged(&j, "", article, 1), 0);
}

static void a_command_judges_by_its_status(void **state)
{
    (void)state;
    struct plumb_error e = {0};
    const char *const golds[] = {"x"};
    struct judge j = judge_default();
    j.rule = CORRECT_COMMAND;
    j.command =
        "grep -q '\"answer\": \"it; touch x $(y) .z. \\\\\"\"'"; /* what stands in an answer is data */
    assert_int_equal(judged(&j, "it; touch x $(y) .z. \"", golds, 1), 1);
    assert_int_equal(judged(&j, "other", golds, 1), 0);
    j.command = "exit 0"; /* does not read */
    assert_int_equal(judged(&j, "y", golds, 0), 1);
    const struct free_question q = {.id = "q7", .context = "", .text = "who?", .gold = -1};
    int right;
    j.command = "exit 3";
    assert_int_equal(judge_answer(&j, &q, "a", &right, &e), PLUMB_INPUT);
    assert_non_null(strstr(e.message, "ended with status 3 on question q7, expected 0 for right or "
                                      "1 for wrong: exit 3"));
    j.command = "kill -9 $$";
    assert_int_equal(judge_answer(&j, &q, "a", &right, &e), PLUMB_INPUT);
    assert_non_null(strstr(e.message, "ended by signal 9"));
}

static void letters_are_read_where_they_are_meant(void **state)
{
    (void)state;
    const char *const options[] = {"a district of Uganda", "Oman", "the Bahamas", "Iraq"};
    static const struct {
        const char *answer;
        int letter;
    } cases[] = {
        {"B", 1},
        {" B\n", 1},
        {"(c)", 2},
        {"**D**", 3},
        {"B. Oman", 1},
        {"c) the Bahamas", 2},
        {"b", 1},
        {"D is right", 3},
        {"A district of Uganda", 0}, /* by its text, not by its first letter */
        {"A country of Asia", -1},
        {"I do not know", -1},
        {"Bahrain", -1},
        {"the answer is B.", 1},
        {"Answer: (D)", 3},
        {"It could be option A, but the answer is C", 2},
        {"oman.", 1},
        {"Bahamas", 2}, /* articles do not count */
        {"E", -1},
        {"", -1},
        {"B's", -1},
        {"Côte d'Ivoire", -1},
        {"12", -1},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        if (option_letter(cases[i].answer, options, 4) != cases[i].letter)
            fail_msg("\"%s\" gave %d", cases[i].answer, option_letter(cases[i].answer, options, 4));
    const char *const twins[] = {"Oman", "oman"};
    assert_int_equal(option_letter("Oman", twins, 2), -1); /* which? */
}

static void failed_allocations_are_errors(void **state)
{
    (void)state;
    struct plumb_error e = {0};
    const char *const golds[] = {"Bobby Scott"};
    const struct free_question q = {
        .id = "q", .context = "", .text = "who?", .answers = golds, .n_answers = 1, .gold = -1};
    struct judge j = judge_default();
    j.rule = CORRECT_F1;
    for (long n = 1;; n++) {
        int right;
        mem_fail_after(n);
        const int status = judge_answer(&j, &q, "Bobby", &right, &e);
        mem_fail_after(0);
        if (status == PLUMB_OK) {
            assert_true(n > 3);
            break;
        }
        assert_int_equal(status, PLUMB_MACHINE);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(texts_are_normalised_as_squad_does),
        cmocka_unit_test(other_alphabets_are_folded_too),
        cmocka_unit_test(f1_is_that_of_bags_of_words),
        cmocka_unit_test(any_of_the_right_answers_will_do),
        cmocka_unit_test(a_command_judges_by_its_status),
        cmocka_unit_test(letters_are_read_where_they_are_meant),
        cmocka_unit_test(failed_allocations_are_errors),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
