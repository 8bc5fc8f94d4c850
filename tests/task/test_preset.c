/*
 * test_preset.c - the exact bytes of the prompts, where examples come from, and what the preset's
 * hash knows.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "task/preset.h"
#include "task/questions_build.h"

static struct question_set questions, examples;

static void read_set(const char *text, struct question_set *out)
{
    struct plumb_error e = {0};
    if (questions_parse(text, strlen(text), QUESTION_JSONL, "examples.jsonl", 0, out, &e))
        fail_msg("%s", e.message);
}

static int setup(void **state)
{
    (void)state;
    read_set("{\"question\": \"Two and two?\", \"choices\": [\"three\", \"four\"], \"gold\": 1}\n"
             "{\"question\": \"And now?\", \"context\": \"It rains.\", \"choices\": [\"a\", \"b\", "
             "\"c\"]}\n",
             &questions);
    read_set(
        "{\"question\": \"X1\", \"choices\": [\"p\", \"q\"], \"gold\": 0, \"group\": \"high_x\"}\n"
        "{\"question\": \"Y1\", \"choices\": [\"r\", \"s\"], \"gold\": 1, \"group\": \"y\"}\n"
        "{\"question\": \"X2\", \"choices\": [\"t\", \"u\"], \"gold\": 1, \"group\": \"high_x\"}\n"
        "{\"question\": \"Z1\", \"choices\": [\"v\", \"w\"], \"group\": \"z\"}\n",
        &examples);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    questions_free(&questions);
    questions_free(&examples);
    return 0;
}

static void header_is(const struct preset *p, const char *group, const char *expected)
{
    struct buffer b = BUFFER_EMPTY;
    struct plumb_error e = {0};
    if (preset_header(p, group, &b, &e))
        fail_msg("%s", e.message);
    assert_string_equal(buffer_string(&b), expected);
    assert_true(!b.size || b.data[b.size - 1] == '\n');
    buffer_free(&b);
}

static void header_fails(const struct preset *p, const char *group, const char *says)
{
    struct buffer b = BUFFER_EMPTY;
    struct plumb_error e = {0};
    assert_int_equal(preset_header(p, group, &b, &e), PLUMB_INPUT);
    if (!strstr(e.message, says))
        fail_msg("\"%s\" does not say \"%s\"", e.message, says);
    buffer_free(&b);
}

static void question_is(const struct preset *p, int i, const char *expected)
{
    struct buffer b = BUFFER_EMPTY;
    assert_int_equal(preset_question(p, &questions.items[i], &b, NULL), PLUMB_OK);
    assert_string_equal(buffer_string(&b), expected);
    buffer_free(&b);
}

static void clean_prompt_is_this_to_the_byte(void **state)
{
    (void)state;
    struct preset p = {.kind = PRESET_CLEAN};
    char letter[4];
    header_is(&p, "all", "The following are multiple choice questions (with answers).\n\n");
    question_is(&p, 0, "Two and two?\nA. three\nB. four\nAnswer:");
    question_is(&p, 1, "It rains.\nAnd now?\nA. a\nB. b\nC. c\nAnswer:");
    preset_letter(&p, 0, letter);
    assert_string_equal(letter, " A");
    preset_letter(&p, 25, letter);
    assert_string_equal(letter, " Z");
}

/* The text is section "Official prompt" of DACA's code (arXiv 2505.16690), trailing space included.
 */
static void daca_prompt_is_the_official_one_to_the_byte(void **state)
{
    (void)state;
    struct preset p = {.kind = PRESET_DACA};
    char letter[4];
    header_is(
        &p, "all",
        "The following are multi choice questions. Give ONLY the correct option, no other words "
        "or explanation:\n");
    question_is(&p, 0, "Question: Two and two?\nA: three\nB: four\nAnswer: ");
    question_is(&p, 1, "Context: It rains.\nQuestion: And now?\nA: a\nB: b\nC: c\nAnswer: ");
    preset_letter(&p, 1, letter);
    assert_string_equal(letter, "B");
}

/* ARC's prompt in lm-evaluation-harness 0.4 (lm_eval/tasks/arc/arc_easy.yaml); few-shot examples parted by an empty line. */
static void text_answers_have_the_prompt_of_the_harness(void **state)
{
    (void)state;
    struct preset p = {.kind = PRESET_CLEAN, .answers_text = true},
                  letters = {.kind = PRESET_CLEAN};
    struct buffer b = BUFFER_EMPTY;
    header_is(&p, "all", "");
    question_is(&p, 0, "Question: Two and two?\nAnswer:");
    question_is(&p, 1, "It rains.\nQuestion: And now?\nAnswer:");
    preset_answer_text(&p, &questions.items[0], 1, &b);
    assert_string_equal(buffer_string(&b), " four");
    buffer_free(&b);
    assert_memory_not_equal(&(struct hash128[]){preset_hash(&p)},
                            &(struct hash128[]){preset_hash(&letters)}, sizeof(struct hash128));
    p.shots = 2;
    p.shots_from = &examples;
    header_is(&p, "high_x", "Question: X1\nAnswer: p\n\nQuestion: X2\nAnswer: u\n\n");
    p.kind = PRESET_DACA;
    header_fails(&p, "high_x", "daca");
}

static void examples_are_the_first_of_the_same_group(void **state)
{
    (void)state;
    struct preset p = {.shots = 2, .shots_from = &examples, .instruction = "I"};
    header_is(&p, "high_x", "I\n\nX1\nA. p\nB. q\nAnswer: A\n\nX2\nA. t\nB. u\nAnswer: B\n\n");
    p.kind = PRESET_DACA;
    header_is(&p, "high_x",
              "I\nQuestion: X1\nA: p\nB: q\nAnswer: A\n\nQuestion: X2\nA: t\nB: u\nAnswer: B\n\n");
}

static void chat_message_leaves_the_answers_beginning_to_the_assistant(void **state)
{
    (void)state;
    struct preset p = {.kind = PRESET_CHAT}, clean = {.kind = PRESET_CLEAN};
    char letter[4];
    header_is(&p, "all",
              "Answer the following multiple choice question with the letter of the right option "
              "only.\n\n");
    question_is(&p, 0, "Two and two?\nA. three\nB. four\n");
    assert_string_equal(preset_answer_begin(&p), "Answer:");
    assert_string_equal(preset_answer_begin(&clean), "");
    preset_letter(&p, 1, letter);
    assert_string_equal(letter, " B");
    p.shots = 1;
    p.shots_from = &examples;
    p.instruction = "";
    header_is(&p, "high_x", "X1\nA. p\nB. q\nAnswer: A\n\n");
}

static void unknown_group_takes_the_first_of_all(void **state)
{
    (void)state;
    struct preset p = {.shots = 2, .shots_from = &examples, .instruction = ""};
    const char *first = "X1\nA. p\nB. q\nAnswer: A\n\nY1\nA. r\nB. s\nAnswer: B\n\n";
    header_is(&p, "nobody", first);
    header_is(&p, NULL, first);
}

static void examples_that_cannot_be_given_are_errors(void **state)
{
    (void)state;
    struct preset p = {.shots = 3, .shots_from = &examples};
    header_fails(&p, "high_x",
                 "3 shots asked for, but examples holds only 2 examples of group high_x");
    p.shots = 1;
    header_fails(&p, "z", "no gold answer");
    p.shots = 5;
    header_fails(&p, "nobody", "no gold answer"); /* the fourth of all has none */
    p.shots = -1;
    header_fails(&p, "y", "-1 shots");
    p = (struct preset){.shots = 1};
    header_fails(&p, "y", "--shots-from");
    p = (struct preset){.instruction = "\xFF"};
    header_fails(&p, "y", "UTF-8");
}

static void instruction_may_name_the_group(void **state)
{
    (void)state;
    struct preset p = {.instruction = "On {group}, {group}{x}"};
    header_is(&p, "high_school_physics", "On high school physics, high school physics{x}\n\n");
    p.instruction = "";
    header_is(&p, "high_school_physics", "");
}

static void presets_are_known_by_name(void **state)
{
    (void)state;
    struct plumb_error e = {0};
    enum preset_kind k = PRESET_CLEAN;
    assert_int_equal(preset_parse("daca", &k, &e), PLUMB_OK);
    assert_int_equal(k, PRESET_DACA);
    assert_string_equal(preset_name(PRESET_CLEAN), "clean");
    assert_int_equal(preset_parse("dacca", &k, &e), PLUMB_INPUT);
    assert_non_null(strstr(e.message, "clean, daca or chat"));
}

static void hash_knows_everything_that_decides_the_text(void **state)
{
    (void)state;
    const struct preset all[] = {
        {.kind = PRESET_CLEAN},
        {.kind = PRESET_DACA},
        {.kind = PRESET_CHAT},
        {.kind = PRESET_CHAT, .system = "S"},
        {.kind = PRESET_CLEAN, .instruction = "I"},
        {.kind = PRESET_CLEAN, .instruction = ""},
        {.kind = PRESET_CLEAN, .shots = 1, .shots_from = &examples},
        {.kind = PRESET_CLEAN, .shots = 2, .shots_from = &examples},
        {.kind = PRESET_CLEAN, .shots = 1, .shots_from = &questions},
    };
    enum { N = sizeof all / sizeof *all };
    struct hash128 h[N];
    for (int i = 0; i < N; i++) {
        h[i] = preset_hash(&all[i]);
        for (int j = 0; j < i; j++)
            assert_memory_not_equal(&h[i], &h[j], sizeof *h);
    }
    /* What does not decide it changes nothing: the preset's own text spelled out, examples that are
     * not used. */
    struct preset same = {.instruction =
                              "The following are multiple choice questions (with answers).",
                          .shots_from = &examples};
    struct hash128 again = preset_hash(&same);
    assert_memory_equal(&again, &h[0], sizeof again);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(clean_prompt_is_this_to_the_byte),
        cmocka_unit_test(daca_prompt_is_the_official_one_to_the_byte),
        cmocka_unit_test(text_answers_have_the_prompt_of_the_harness),
        cmocka_unit_test(examples_are_the_first_of_the_same_group),
        cmocka_unit_test(chat_message_leaves_the_answers_beginning_to_the_assistant),
        cmocka_unit_test(unknown_group_takes_the_first_of_all),
        cmocka_unit_test(examples_that_cannot_be_given_are_errors),
        cmocka_unit_test(instruction_may_name_the_group),
        cmocka_unit_test(presets_are_known_by_name),
        cmocka_unit_test(hash_knows_everything_that_decides_the_text),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
