/*
 * test_options.c - one table drives parsing and help; whatever is wrong is named.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "cli/options.h"

struct target {
    struct common_options common;
    bool json;
    const char *output;
    int shots;
    size_t limit;
    double delta;
    int preset;
    struct option_texts stops;
};

#define AT(field) offsetof(struct target, field)
static const struct option_row rows[] = {
    {'o', "output", OPTION_TEXT, "FILE", AT(output), "where the result goes"},
    {0, "json", OPTION_FLAG, NULL, AT(json), "one JSON document"},
    {'n', "shots", OPTION_INT, "N", AT(shots), "examples in front of each question"},
    {0, "limit", OPTION_SIZE, "N", AT(limit), "only the first N questions"},
    {0, "delta", OPTION_NUMBER, "D", AT(delta), "a number"},
    {0, "preset", OPTION_CHOICE, "clean|daca", AT(preset),
     "a text that is long enough to need more than one line of help, because lines of help must "
     "end at a hundred columns"},
    {'s', "stop", OPTION_TEXTS, "TEXT", AT(stops), "a text"},
    {0},
};

static struct target got;
static struct operands words;
static struct plumb_error error;

/* Parses the words of `line`, which are parted by single spaces. */
static int parse(const char *line)
{
    static char text[512];
    static char *argv[48];
    int argc = 0;
    snprintf(text, sizeof text, "verb %s", line);
    for (char *word = strtok(text, " "); word && argc < 47; word = strtok(NULL, " "))
        argv[argc++] = word;
    argv[argc] = NULL;
    got = (struct target){0};
    error = (struct plumb_error){0};
    return options_parse(rows, argc, argv, &got, &words, &error);
}

static void every_kind_of_option_reaches_its_field(void **state)
{
    (void)state;
    assert_int_equal(parse("-o out.st --json --shots=5 --limit 12 --delta 0.25 --preset daca -qv"),
                     PLUMB_OK);
    assert_string_equal(got.output, "out.st");
    assert_true(got.json && got.common.quiet && got.common.verbose && !got.common.help);
    assert_int_equal(got.shots, 5);
    assert_int_equal(got.limit, 12);
    assert_true(got.delta == 0.25);
    assert_int_equal(got.preset, 1);
    assert_int_equal(words.count, 0);
}

static void a_text_that_may_be_repeated_keeps_every_word(void **state)
{
    (void)state;
    char line[256] = "--stop a x -s b --stop=c";
    assert_int_equal(parse(line), PLUMB_OK);
    assert_int_equal(got.stops.count, 3);
    assert_string_equal(got.stops.words[0], "a");
    assert_string_equal(got.stops.words[1], "b");
    assert_string_equal(got.stops.words[2], "c");
    assert_int_equal(words.count, 1);
    size_t n = 0;
    for (int i = 0; i < OPTION_TEXTS_MAX; i++)
        n += (size_t)snprintf(line + n, sizeof line - n, "-s %c ", 'a' + i);
    assert_int_equal(parse(line), PLUMB_OK);
    assert_int_equal(got.stops.count, OPTION_TEXTS_MAX);
    snprintf(line + n, sizeof line - n, "-s one");
    assert_int_equal(parse(line), PLUMB_INPUT);
    assert_string_equal(error.message, "--stop 'one': expected at most 16 of them");
}

static void options_and_operands_may_be_mixed_until_two_dashes(void **state)
{
    (void)state;
    assert_int_equal(parse("model -n 3 questions --json -- --limit -x"), PLUMB_OK);
    assert_int_equal(words.count, 4);
    assert_string_equal(words.words[0], "model");
    assert_string_equal(words.words[1], "questions");
    assert_string_equal(words.words[2], "--limit");
    assert_string_equal(words.words[3], "-x");
    assert_int_equal(parse("- --json"), PLUMB_OK);
    assert_string_equal(words.words[0], "-");
}

static void parsing_twice_starts_afresh(void **state)
{
    (void)state;
    assert_int_equal(parse("a b c -qv"), PLUMB_OK);
    assert_int_equal(parse("--json d"), PLUMB_OK);
    assert_int_equal(words.count, 1);
    assert_string_equal(words.words[0], "d");
}

static void wrong(const char *line, const char *message)
{
    assert_int_equal(parse(line), PLUMB_INPUT);
    assert_string_equal(error.message, message);
    assert_int_equal(error.code, PLUMB_INPUT);
}

static void unknown_options_are_named_with_the_nearest_known_one(void **state)
{
    (void)state;
    wrong("--presett clean", "unknown option --presett; did you mean --preset?");
    wrong("model questions --jsno", "unknown option --jsno; did you mean --json?");
    wrong("--quite", "unknown option --quite; did you mean --quiet?");
    wrong("--limti=5 x", "unknown option --limti; did you mean --limit?");
    wrong("--gigantic", "unknown option --gigantic");
    wrong("-qx", "unknown option -x");
    wrong("--json=yes", "--json takes no value, found '--json=yes'");
}

static void values_that_are_missing_or_malformed_are_named(void **state)
{
    (void)state;
    wrong("model -o", "--output needs a value: --output FILE");
    wrong("--limit", "--limit needs a value: --limit N");
    wrong("--limit -3", "--limit '-3': expected a whole number, 0 or more");
    wrong("--limit 12k", "--limit '12k': expected a whole number, 0 or more");
    wrong("--limit 99999999999999999999",
          "--limit '99999999999999999999': expected a whole number, 0 or more");
    wrong("--shots 5000000000", "--shots '5000000000': expected a whole number, 0 or more");
    wrong("--delta nan", "--delta 'nan': expected a number");
    wrong("--delta 1e999", "--delta '1e999': expected a number");
    wrong("--delta 3x", "--delta '3x': expected a number");
    wrong("--preset dac", "--preset 'dac': expected one of clean|daca");
}

static void help_names_every_option_within_a_hundred_columns(void **state)
{
    (void)state;
    char *text = NULL;
    size_t size = 0;
    FILE *to = open_memstream(&text, &size);
    assert_non_null(to);
    options_help(rows, to);
    fclose(to);
    for (const struct option_row *row = rows; row->name; row++) {
        char name[32];
        snprintf(name, sizeof name, "--%s", row->name);
        assert_non_null(strstr(text, name));
    }
    assert_non_null(strstr(text, "  -o, --output FILE           where the result goes\n"));
    int lines = 0;
    for (char *line = strtok(text, "\n"); line; line = strtok(NULL, "\n"), lines++)
        assert_true(strlen(line) <= 100);
    assert_int_equal(lines, 8); /* seven options, one of two lines */
    free(text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_kind_of_option_reaches_its_field),
        cmocka_unit_test(a_text_that_may_be_repeated_keeps_every_word),
        cmocka_unit_test(options_and_operands_may_be_mixed_until_two_dashes),
        cmocka_unit_test(parsing_twice_starts_afresh),
        cmocka_unit_test(unknown_options_are_named_with_the_nearest_known_one),
        cmocka_unit_test(values_that_are_missing_or_malformed_are_named),
        cmocka_unit_test(help_names_every_option_within_a_hundred_columns),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
