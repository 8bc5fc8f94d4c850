/*
 * test_limits.c - a template that asks for too much ends with a clear error, and bad syntax is named with its line.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/memory.h"
#include "jinja/jinja.h"

static int render(const char *text, size_t n, const struct jinja_options *o,
                  struct jinja_output *out, struct plumb_error *e)
{
    struct jinja_template *t = NULL;
    struct jinja_context *c = jinja_context_create(o);
    int status = c ? jinja_parse(text, n, "t", o, &t, e) : PLUMB_MACHINE;
    if (status == PLUMB_OK)
        status = jinja_render(t, c, out, e);
    jinja_template_free(t);
    jinja_context_free(c);
    return status;
}

static void refused_with(const char *text, const struct jinja_options *o, const char *says)
{
    struct jinja_output out = {0};
    struct plumb_error e = {0};
    assert_int_equal(render(text, strlen(text), o, &out, &e), PLUMB_INPUT);
    if (!strstr(e.message, says))
        fail_msg("%.80s\n'%s' does not say '%s'", text, e.message, says);
    assert_int_equal(out.text.size, 0);
    jinja_output_free(&out);
}

static void endless_loops_stop(void **state)
{
    (void)state;
    struct jinja_options o = jinja_options_default();
    o.max_steps = 200000;
    refused_with("{% for a in range(100000) %}{% for b in range(100000) %}{% endfor %}{% endfor %}",
                 &o, "t:1: stopped after 200000 steps");
    refused_with("{% macro m(n) %}{{ m(n) }}{% endmacro %}{{ m(1) }}", &o, "nested deeper than");
    refused_with("{{ range(10 ** 9) }}", &o, "Range too big");
    refused_with("{{ '' * 10 ** 18 }}{{ [0] * 10 ** 18 }}", &o, "steps");
}

static void output_bombs_stop(void **state)
{
    (void)state;
    struct jinja_options o = jinja_options_default();
    o.max_output = 10000;
    o.max_memory = 1 << 20;
    refused_with("{% for a in range(1000) %}0123456789{{ a }}{% endfor %}", &o,
                 "longer than 10000 bytes");
    refused_with("{{ 'a' * 10 ** 12 }}", &o, "more than 1048576 bytes");
    refused_with("{% set ns = namespace(x='ab') %}{% for a in range(60) %}"
                 "{% set ns.x = ns.x + ns.x %}{% endfor %}",
                 &o, "more than 1048576 bytes");
    refused_with("{% set ns = namespace(x=[1]) %}{% for a in range(60) %}"
                 "{% set ns.x = [ns.x, ns.x] %}{% endfor %}{{ ns.x|tojson }}",
                 &o, "");
}

static void deep_nesting_stops(void **state)
{
    (void)state;
    static const char *const opening[] = {"(", "[", "{1:", "not ", "-", "a[", "f("};
    static char text[100000];
    for (size_t i = 0; i < sizeof opening / sizeof *opening; i++) {
        char *at = text;
        at += sprintf(at, "{{ ");
        for (int k = 0; k < 10000; k++)
            at += sprintf(at, "%s", opening[i]);
        sprintf(at, "1 }}");
        refused_with(text, NULL, "t:1: ");
    }
    char *at = text;
    for (int k = 0; k < 5000; k++)
        at += sprintf(at, "{%% if 1 %%}");
    refused_with(text, NULL, "nested deeper than");
    at = text + sprintf(text, "{{ 1");
    for (int k = 0; k < 10000; k++)
        at += sprintf(at, "+1");
    sprintf(at, " }}");
    refused_with(text, NULL, "nested deeper than");
    refused_with("{% set ns = namespace(x=[]) %}{% for a in range(10000) %}"
                 "{% set ns.x = [ns.x] %}{% endfor %}{{ ns.x }}",
                 NULL, "nested deeper than");
    refused_with("{% set ns = namespace() %}{% set ns.me = ns %}{{ ns }}", NULL,
                 "cannot be printed");
}

static void bad_syntax_is_named_with_its_line(void **state)
{
    (void)state;
    refused_with("a\nb\n{% if %}", NULL, "t:3: ");
    refused_with("a\n\n{{ 1 +\n }}", NULL, "t:4: ");
    refused_with("{% for x in [] %}\n{% endif %}", NULL, "t:2: ");
    refused_with("\n{{ 'abc", NULL, "t:2: a string has no closing quote");
    refused_with("\n\n{# x", NULL, "t:3: ");
    refused_with("x\n{{ 1|nosuch }}", NULL, "t:2: no filter named 'nosuch'");
    refused_with("x\n{% if x is nosuch %}{% endif %}", NULL, "no test named 'nosuch'");
    refused_with("\n{% include 'x' %}", NULL, "t:2: ");
    refused_with("\n\n{{ raise_exception('Only \"user\"!') }}", NULL,
                 "t:3: the template refuses: Only \"user\"!");
    refused_with("\n{{ a.b.c }}", NULL, "t:2: 'a' is undefined");
    refused_with("{{ 1 \x01 }}", NULL, "t:1: unexpected character");
    refused_with("{{ 99999999999999999999 }}", NULL, "64 bits");
    refused_with("{{ 9223372036854775807 + 1 }}", NULL, "64 bits");
    refused_with("\xff", NULL, "UTF-8");
    struct jinja_options o = jinja_options_default();
    o.max_source = 10;
    refused_with("01234567890", &o, "at most 10");
}

/* What a template can make long and look through again and again is paid for in steps. */
static void long_searches_stop(void **state)
{
    (void)state;
    struct jinja_options o = jinja_options_default();
    static char text[200000];
    o.max_steps = 300000;
    refused_with("{% set hay = 'a' * 100000 %}{% set needle = 'b' ~ 'a' * 50000 %}"
                 "{% for i in range(100) %}{{ hay.rfind(needle) }}{% endfor %}",
                 &o, "steps");
    refused_with(
        "{% set hay = 'a' * 250000 %}{% for i in range(400) %}{{ 'b' in hay }}{% endfor %}", &o,
        "steps");
    char *at = text + sprintf(text, "{%% set m = {");
    for (int i = 0; i < 8000; i++)
        at += sprintf(at, "'k%d':1,", i);
    sprintf(at, "} %%}{%% for i in range(1000) %%}{{ m.none }}{%% endfor %%}");
    refused_with(text, &o, "steps");
    at = text;
    for (int i = 0; i < 8000; i++)
        at += sprintf(at, "{%% set v%d=1 %%}", i);
    sprintf(at, "{%% for i in range(1000) %%}{{ none }}{{ nowhere }}{%% endfor %%}");
    o.max_steps = 5000000; /* making them takes 8000 x 8000 / 2 / 8 */
    refused_with(text, &o, "steps");
}

static void gives(const char *text, const struct jinja_options *o, const char *expected)
{
    struct jinja_output out = {0};
    struct plumb_error e = {0};
    if (render(text, strlen(text), o, &out, &e))
        fail_msg("%.80s: %s", text, e.message);
    assert_string_equal(buffer_string(&out.text), expected);
    jinja_output_free(&out);
}

/* A user's long text with many places to cut is no attack. */
static void long_texts_of_many_lines_are_no_attack(void **state)
{
    (void)state;
    static const char lines[] = "{{ ('line of text\n' * 60000).split('\n')|length }} "
                                "{{ ('line of text\n' * 60000).replace('\n', '')|length }}";
    gives(lines, NULL, "60001 720000");
}

/* Expected: Python. */
static void whole_numbers_are_right_at_the_edge_of_64_bits(void **state)
{
    (void)state;
    gives("{{ (-9223372036854775807 - 1) % 3 }} {{ (-9223372036854775807 - 1) % -1 }} {{ -7 % 3 }} "
          "{{ 7 % -3 }}",
          NULL, "1 0 2 -2");
    gives("{{ 9223372036854775806 is divisibleby 9223372036854775807 }} {{ -3 is odd }} "
          "{{ -4 is even }} {{ -9 is divisibleby(-3) }}",
          NULL, "False True True True");
    gives("{{ range(-9223372036854775807, 9223372036854775807, 4611686018427387904)|list }}", NULL,
          "[-9223372036854775807, -4611686018427387903, 1, 4611686018427387905]");
    gives("{{ '%x %x %d' % (255, -255, -3) }}", NULL, "ff -ff -3");
}

/* Every limit on memory ends in a result or in that error. */
static void any_limit_on_memory_is_kept(void **state)
{
    (void)state;
    static const char text[] =
        "{{ 'abc'[::-1] }}{{ '{:>4} {}'.format(-5, 'x') }}{{ 'straße'|capitalize }}{{ 'a b'|title "
        "}}"
        "{{ 'a,b'.rsplit(',', 1) }}{{ 'a b'.split() }}{{ {'k': [1, 'v']}|tojson(indent=1) }}"
        "{{ [3, 1]|sort|join('-') }}{{ 'x\ny'|indent(2, true) }}{{ 'ab'|replace('', '.') }}";
    struct jinja_options o = jinja_options_default();
    int status = PLUMB_INPUT;
    for (o.max_memory = 0; status != PLUMB_OK && o.max_memory < 20000; o.max_memory += 7) {
        struct jinja_output out = {0};
        struct plumb_error e = {0};
        status = render(text, sizeof text - 1, &o, &out, &e);
        if (status != PLUMB_OK) {
            assert_int_equal(status, PLUMB_INPUT);
            assert_non_null(strstr(e.message, "the values take more than"));
        } else {
            assert_string_equal(buffer_string(&out.text),
                                "cba  -5 xStraßeA B['a', 'b']['a', 'b']{\n \"k\": [\n  1,\n  "
                                "\"v\"\n ]\n}1-3  x\n  y.a.b.");
        }
        jinja_output_free(&out);
    }
    assert_int_equal(status, PLUMB_OK);
}

static void failing_allocations_are_reported(void **state)
{
    (void)state;
    static const char text[] =
        "{% macro m(a, b=1) %}{{ a ~ b }}{% endmacro %}{% for x in [1, 'a', {'k': 2}] %}"
        "{{ m(x)|upper|replace('A', 'b') }}{{ [x]|tojson }}{% set y %}q{% endset %}{{ y }}{% "
        "endfor %}";
    struct jinja_options o = jinja_options_default();
    int status = PLUMB_MACHINE;
    for (long n = 1; status != PLUMB_OK && n < 5000; n++) {
        struct jinja_output out = {0};
        struct plumb_error e = {0};
        mem_fail_after(n);
        status = render(text, sizeof text - 1, &o, &out, &e);
        mem_fail_after(0);
        if (status != PLUMB_OK)
            assert_int_equal(status, PLUMB_MACHINE);
        else
            assert_string_equal(buffer_string(&out.text), "11[1]qb1[\"a\"]q{'K': 2}1[{\"k\": 2}]q");
        jinja_output_free(&out);
    }
    assert_int_equal(status, PLUMB_OK);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(endless_loops_stop),
        cmocka_unit_test(output_bombs_stop),
        cmocka_unit_test(deep_nesting_stops),
        cmocka_unit_test(bad_syntax_is_named_with_its_line),
        cmocka_unit_test(long_searches_stop),
        cmocka_unit_test(long_texts_of_many_lines_are_no_attack),
        cmocka_unit_test(whole_numbers_are_right_at_the_edge_of_64_bits),
        cmocka_unit_test(any_limit_on_memory_is_kept),
        cmocka_unit_test(failing_allocations_are_reported),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
