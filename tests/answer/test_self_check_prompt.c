/*
 * test_self_check_prompt.c - the exact texts: P(True) in the two published layouts, and what the other asks look like.
 *
 * Published: lm-polygraph (estimators/p_true.py) and jlko/semantic_uncertainty (uncertainty_measures/p_true.py) write the two
 * layouts as they stand here.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#include "answer/self_check_prompt.h"

static const char *const ideas[] = {"Peru", "Chile"};
static const char *const choices[] = {"Peru", "Chad"};
static const struct self_check_item item = {
    .question = "Where is Mandoul?", .answer = "Chad", .ideas = ideas, .n_ideas = 2};

static void assert_plain(enum self_check_ask ask, const struct self_check_wording *w,
                         const struct self_check_item *q, const char *thoughts,
                         const char *expected)
{
    struct self_check_prompt p = {0};
    struct buffer text = BUFFER_EMPTY;
    struct plumb_error e = {0};
    assert_int_equal(self_check_prompt_make(ask, w, q, thoughts, &p, &e), PLUMB_OK);
    self_check_prompt_plain(&p, &text);
    assert_string_equal(buffer_string(&text), expected);
    self_check_prompt_free(&p);
    buffer_free(&text);
}

static void p_true_is_lm_polygraphs_layout(void **state)
{
    (void)state;
    const struct self_check_wording w = {.k = 4};
    assert_plain(ASK_P_TRUE, &w, &item, NULL,
                 "Question: Where is Mandoul?\nPossible answer: Chad\nIs the possible answer:\n"
                 " (A) True\n (B) False\nThe possible answer is:");
}

static void brainstormed_answers_stand_before_the_possible_one(void **state)
{
    (void)state;
    const struct self_check_wording w = {.layout = P_TRUE_BRAINSTORMED, .k = 4};
    assert_plain(ASK_P_TRUE, &w, &item, NULL,
                 "Question: Where is Mandoul?\nBrainstormed Answers: Peru\nChile\nChad\n"
                 "Possible answer: Chad\nIs the possible answer:\nA) True\nB) False\n"
                 "The possible answer is:");
}

static void examples_end_in_their_letter(void **state)
{
    (void)state;
    const struct self_check_shot shots[] = {
        {.item = {.question = "q1", .answer = "a1"}, .right = true},
        {.item = {.question = "q2", .answer = "a2"}, .right = false}};
    const struct self_check_wording w = {.k = 4, .shots = shots, .n_shots = 2};
    assert_plain(ASK_P_TRUE, &w, &item, NULL,
                 "Question: q1\nPossible answer: a1\nIs the possible answer:\n (A) True\n (B) "
                 "False\nThe possible answer is: A\n\n"
                 "Question: q2\nPossible answer: a2\nIs the possible answer:\n (A) True\n (B) "
                 "False\nThe possible answer is: B\n\n"
                 "Question: Where is Mandoul?\nPossible answer: Chad\nIs the possible answer:\n"
                 " (A) True\n (B) False\nThe possible answer is:");
}

static void choices_and_context_belong_to_the_question(void **state)
{
    (void)state;
    const struct self_check_wording w = {.k = 4};
    struct self_check_item q = item;
    q.context = "Mandoul is a province.";
    q.choices = choices;
    q.n_choices = 2;
    assert_plain(ASK_P_IK, &w, &q, NULL,
                 "Context: Mandoul is a province.\nQuestion: Where is Mandoul?\nChoices:\n- Peru\n"
                 "- Chad\nDo you know the answer to this question? Answer Yes or No.\nAnswer:");
}

static void the_answer_stands_where_the_guess_would(void **state)
{
    (void)state;
    const struct self_check_wording w = {.k = 2};
    assert_plain(ASK_VERBALISED, &w, &item, NULL,
                 "Question: Where is Mandoul?\nGive your best guess, and the probability from 0.0 "
                 "to 1.0 that it is correct. Write these two lines and nothing else:\nGuess: "
                 "<guess, as short as possible>\nProbability: <number>\nGuess: Chad\nProbability:");
    assert_plain(ASK_VERBALISED_TOP_K, &w, &item, NULL,
                 "Question: Where is Mandoul?\nGive your 2 best guesses, each with the probability "
                 "from 0.0 to 1.0 that it is correct. Write these lines and nothing else:\n"
                 "G1: <guess, as short as possible>\nP1: <number>\n"
                 "G2: <guess, as short as possible>\nP2: <number>\nG1: Chad\nP1:");
    assert_plain(ASK_VERBALISED_TWICE, &w, &item, NULL,
                 "Question: Where is Mandoul?\nGive your best guess, as short as possible, and "
                 "nothing else.\nAnswer: Chad\nHow probable is it that this answer is correct? "
                 "Write only a number from 0.0 to 1.0.\nProbability:");
}

static void its_own_guess_is_asked_for_as_in_the_paper(void **state)
{
    (void)state;
    const struct self_check_wording w = {.k = 1, .own_guess = true};
    assert_plain(ASK_VERBALISED, &w, &item, NULL,
                 "Question: Where is Mandoul?\nGive your best guess, and the probability from 0.0 "
                 "to 1.0 that it is correct. Write these two lines and nothing else:\nGuess: "
                 "<guess, as short as possible>\nProbability: <number>\nGuess:");
    assert_plain(ASK_VERBALISED_TOP_K, &w, &item, NULL,
                 "Question: Where is Mandoul?\nGive your 1 best guesses, each with the probability "
                 "from 0.0 to 1.0 that it is correct. Write these lines and nothing else:\n"
                 "G1: <guess, as short as possible>\nP1: <number>\nG1:");
}

static void the_second_pass_goes_on_from_the_first(void **state)
{
    (void)state;
    const struct self_check_wording w = {.k = 4};
    static const char first[] =
        "Question: Where is Mandoul?\nThink about it step by step, in a few sentences. Then write "
        "the answer alone on a line that begins with \"Answer:\".\n";
    char expected[1024];
    assert_plain(ASK_REASONING, &w, &item, NULL, first);
    snprintf(expected, sizeof expected,
             "%sIt sounds French.\nAnswer: Chad\nLook at the reasoning again. Is the answer:\n (A) "
             "True\n (B) False\nThe answer is:",
             first);
    assert_plain(ASK_JUDGE, &w, &item, "It sounds French.", expected);
    snprintf(expected, sizeof expected,
             "%sIt sounds French.\nAnswer: Chad\nHow probable is it that this answer is correct? "
             "Write only a number from 0.0 to 1.0.\nProbability:",
             first);
    assert_plain(ASK_VERBALISED_REASON, &w, &item, "It sounds French.", expected);
}

static void all_17_expressions_are_offered(void **state)
{
    (void)state;
    const struct self_check_wording w = {.k = 4};
    struct self_check_prompt p = {0};
    struct plumb_error e = {0};
    int commas = 0;
    assert_int_equal(self_check_prompt_make(ASK_LINGUISTIC, &w, &item, NULL, &p, &e), PLUMB_OK);
    const char *from = strstr(buffer_string(&p.user), "expressions: ");
    assert_non_null(from);
    for (const char *s = from; *s && *s != '.'; s++)
        commas += *s == ',';
    assert_int_equal(commas, 16);
    assert_string_equal(buffer_string(&p.cue), "Guess: Chad\nConfidence:");
    self_check_prompt_free(&p);
}

static void the_hash_tells_wordings_apart(void **state)
{
    (void)state;
    const struct self_check_wording plain = {.k = 4},
                                    other = {.k = 4, .layout = P_TRUE_BRAINSTORMED},
                                    fewer = {.k = 3};
    const struct hash128 a = self_check_wording_hash(&plain), b = self_check_wording_hash(&plain);
    assert_memory_equal(&a, &b, sizeof a);
    const struct hash128 c = self_check_wording_hash(&other), d = self_check_wording_hash(&fewer);
    assert_memory_not_equal(&a, &c, sizeof a);
    assert_memory_not_equal(&a, &d, sizeof a);
}

static void text_that_is_no_utf8_is_refused(void **state)
{
    (void)state;
    const struct self_check_wording w = {.k = 4};
    const struct self_check_item bad = {.question = "q", .answer = "a\xff"};
    struct self_check_prompt p = {0};
    struct plumb_error e = {0};
    assert_int_equal(self_check_prompt_make(ASK_P_TRUE, &w, &bad, NULL, &p, &e), PLUMB_INPUT);
    assert_non_null(strstr(e.message, "the answer is not valid UTF-8 at byte 1"));
    self_check_prompt_free(&p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(p_true_is_lm_polygraphs_layout),
        cmocka_unit_test(brainstormed_answers_stand_before_the_possible_one),
        cmocka_unit_test(examples_end_in_their_letter),
        cmocka_unit_test(choices_and_context_belong_to_the_question),
        cmocka_unit_test(the_answer_stands_where_the_guess_would),
        cmocka_unit_test(its_own_guess_is_asked_for_as_in_the_paper),
        cmocka_unit_test(the_second_pass_goes_on_from_the_first),
        cmocka_unit_test(all_17_expressions_are_offered),
        cmocka_unit_test(the_hash_tells_wordings_apart),
        cmocka_unit_test(text_that_is_no_utf8_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
