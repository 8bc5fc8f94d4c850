/*
 * test_jinja.c - the interpreter against Python's jinja2: small templates, one a feature, and llama.cpp's collection of
 * real ones. Golden files: tools/golden/make_templates.py; where it says null, jinja2 raised, and so must this.
 *
 * PLUMB_TEMPLATE_TEXTS=FOLDER writes every output of the real templates there, named as the script's --texts names them.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/file.h"
#include "base/memory.h"
#include "jinja/jinja.h"

static struct json_document *open_golden(const char *name)
{
    char path[4096];
    struct json_document *d = NULL;
    struct plumb_error e = {0};
    snprintf(path, sizeof path, "%s/templates/%s", getenv("PLUMB_TEST_GOLDEN"), name);
    if (json_open(path, &d, &e))
        fail_msg("%s", e.message);
    return d;
}

static struct jinja_options options_of(struct json root)
{
    struct jinja_options o = jinja_options_default();
    if (!json_integer(json_get(root, "now"), &o.now))
        fail_msg("the golden file names no time");
    return o;
}

static struct jinja_context *make_context(struct json variables, const struct jinja_options *o)
{
    struct jinja_context *c = jinja_context_create(o);
    struct plumb_error e = {0};
    assert_non_null(c);
    for (struct json_iterator i = json_each(variables); json_next(&i);)
        if (jinja_context_json(c, i.key, i.value, true, "role", &e))
            fail_msg("%s", e.message);
    return c;
}

static int render(const char *text, size_t n, const struct jinja_context *c,
                  const struct jinja_options *o, struct jinja_output *out, struct plumb_error *e)
{
    struct jinja_template *t = NULL;
    int status = jinja_parse(text, n, "template", o, &t, e);
    if (status == PLUMB_OK)
        status = jinja_render(t, c, out, e);
    jinja_template_free(t);
    return status;
}

/* The spans cover the output, without gaps and with different neighbours. */
static void check_spans(const struct jinja_output *out)
{
    size_t at = 0;
    for (size_t i = 0; i < out->count; i++) {
        assert_int_equal(out->spans[i].start, at);
        assert_true(out->spans[i].size > 0);
        assert_true(i == 0 || out->spans[i].user != out->spans[i - 1].user);
        at += out->spans[i].size;
    }
    assert_int_equal(at, out->text.size);
}

static void every_feature_renders_as_jinja2_does(void **state)
{
    (void)state;
    struct json_document *d = open_golden("cases.json");
    struct json root = json_root(d);
    const struct jinja_options o = options_of(root);
    struct jinja_context *c = make_context(json_get(root, "variables"), &o);
    struct jinja_output out = {0};
    int wrong = 0, count = 0;
    for (struct json_iterator i = json_each(json_get(root, "cases")); json_next(&i); count++) {
        const char *name, *text, *expected = NULL;
        size_t n, text_size, expected_size = 0;
        struct plumb_error e = {0};
        assert_true(json_string(json_get(i.value, "name"), &name, &n));
        assert_true(json_string(json_get(i.value, "template"), &text, &text_size));
        json_string(json_get(i.value, "output"), &expected, &expected_size);
        int status = render(text, text_size, c, &o, &out, &e);
        bool same = expected ? status == PLUMB_OK && out.text.size == expected_size &&
                                   memcmp(buffer_string(&out.text), expected, expected_size) == 0
                             : status == PLUMB_INPUT && *e.message;
        if (!same) {
            print_error("%s\n  found    %s\n  expected %s\n", name,
                        status ? e.message : buffer_string(&out.text),
                        expected ? expected : "an error");
            wrong++;
        }
        if (status == PLUMB_OK)
            check_spans(&out);
    }
    jinja_output_free(&out);
    jinja_context_free(c);
    json_close(d);
    assert_true(count > 600);
    assert_int_equal(wrong, 0);
}

static uint64_t fnv(const char *s, size_t n)
{
    uint64_t h = 0xCBF29CE484222325u;
    for (size_t i = 0; i < n; i++)
        h = (h ^ (unsigned char)s[i]) * 0x100000001B3u;
    return h;
}

static void keep_text(const char *template, const char *name, const char *text)
{
    char path[4096];
    const char *folder = getenv("PLUMB_TEMPLATE_TEXTS");
    if (!folder)
        return;
    snprintf(path, sizeof path, "%s/%.*s.%s", folder, (int)(strlen(template) - strlen(".jinja")),
             template, name);
    FILE *f = fopen(path, "w");
    if (f) {
        fputs(text, f);
        fclose(f);
    }
}

/* One template over all conversations; the number of outputs that differ. */
static int check_template(const char *name, struct json rows, struct json conversations,
                          const struct jinja_options *o)
{
    char path[4096], hash[20];
    struct file_map file;
    struct plumb_error e = {0};
    struct jinja_output out = {0};
    int wrong = 0;
    snprintf(path, sizeof path, "%s/data/tokenizers/llama.cpp/templates/%s", getenv("PLUMB_SHARED"),
             name);
    if (file_map_open(path, &file, &e))
        fail_msg("%s", e.message);
    struct json_iterator row = json_each(rows);
    for (struct json_iterator i = json_each(conversations); json_next(&i) && json_next(&row);) {
        int64_t size = -1;
        struct jinja_context *c = make_context(i.value, o);
        int status = render((const char *)file.data, file.size, c, o, &out, &e);
        snprintf(hash, sizeof hash, "%016llx",
                 (unsigned long long)fnv(buffer_string(&out.text), out.text.size));
        bool raises = json_kind(row.value) == JSON_NULL;
        assert_true(raises || json_integer(json_at(row.value, 0), &size));
        bool same = raises ? status == PLUMB_INPUT
                           : status == PLUMB_OK && (int64_t)out.text.size == size &&
                                 json_is_string(json_at(row.value, 1), hash);
        if (!same) {
            print_error("%s %s: %s\n", name, i.key,
                        status   ? e.message
                        : raises ? "rendered, where jinja2 raises"
                                 : "another output than jinja2's");
            wrong++;
        }
        keep_text(name, i.key, status ? e.message : buffer_string(&out.text));
        jinja_context_free(c);
    }
    jinja_output_free(&out);
    file_map_close(&file);
    return wrong;
}

static void real_templates_render_as_jinja2_does(void **state)
{
    (void)state;
    char path[4096];
    snprintf(path, sizeof path, "%s/data/tokenizers/llama.cpp/templates",
             getenv("PLUMB_SHARED") ? getenv("PLUMB_SHARED") : "");
    if (!file_is_folder(path)) {
        print_message("no templates in PLUMB_SHARED (%s)\n", path);
        skip();
    }
    struct json_document *conversations = open_golden("conversations.json");
    struct json_document *real = open_golden("real.json");
    const struct jinja_options o = options_of(json_root(conversations));
    int wrong = 0, count = 0;
    for (struct json_iterator i = json_each(json_root(real)); json_next(&i); count++)
        wrong +=
            check_template(i.key, i.value, json_get(json_root(conversations), "conversations"), &o);
    json_close(real);
    json_close(conversations);
    assert_true(count >= 60);
    assert_int_equal(wrong, 0);
}

/* ---- marks ---- */

static const char secret[] = "<|im_end|>Aa \" \n\\ b-c,<x>";

/* Renders with `u` as the user's text and checks which bytes of the output are marked: '^' below the user's. */
static void marks_are(const char *template, const char *expected, const char *marks)
{
    struct jinja_context *c = jinja_context_create(NULL);
    struct jinja_output out = {0};
    struct plumb_error e = {0};
    char found[256] = "";
    assert_int_equal(jinja_context_text(c, "u", "U-ser<", 6, true, &e), PLUMB_OK);
    if (render(template, strlen(template), c, NULL, &out, &e))
        fail_msg("%s: %s", template, e.message);
    check_spans(&out);
    assert_string_equal(buffer_string(&out.text), expected);
    for (size_t i = 0; i < out.count; i++)
        memset(found + out.spans[i].start, out.spans[i].user ? '^' : ' ', out.spans[i].size);
    if (strcmp(found, marks) != 0)
        fail_msg("%s\n%s\n%s| expected\n%s| found", template, expected, marks, found);
    jinja_output_free(&out);
    jinja_context_free(c);
}

static void users_bytes_stay_marked(void **state)
{
    (void)state;
    marks_are("a{{ u }}b", "aU-ser<b", " ^^^^^^ ");
    marks_are("{{ 'x' + u + 'y' }}", "xU-ser<y", " ^^^^^^ ");
    marks_are("{{ ('x' ~ u ~ 1)[1:4] ~ 2 }}", "U-s2", "^^^ ");
    marks_are("{{ (u ~ 'abc')[::-1] }}", "cba<res-U", "   ^^^^^^");
    marks_are("{{ ('  ' ~ u ~ '  ')|trim }}", "U-ser<", "^^^^^^");
    marks_are("{{ u.split('-')|join('+') }}", "U+ser<", "^ ^^^^");
    marks_are("{{ u.replace('-', '==') }}", "U==ser<", "^  ^^^^");
    marks_are("{{ 'a-b'.replace('-', u) }}", "aU-ser<b", " ^^^^^^ ");
    marks_are("{{ u|upper }}{{ u.lower() }}", "U-SER<u-ser<", "^^^^^^^^^^^^");
    marks_are("{{ u|tojson }}", "\"U-ser<\"", " ^^^^^^ ");
    marks_are("{{ {u: [u]}|tojson }}", "{\"U-ser<\": [\"U-ser<\"]}", "  ^^^^^^     ^^^^^^   ");
    marks_are("{{ [u] }}", "['U-ser<']", "  ^^^^^^  ");
    marks_are("{{ u|escape }}", "U-ser&lt;", "^^^^^^^^^");
    marks_are("{{ u|safe + '<' }}", "U-ser<&lt;", "^^^^^^    ");
    marks_are("{{ '%s.' % u }}{{ '{}.'.format(u) }}", "U-ser<.U-ser<.", "^^^^^^ ^^^^^^ ");
    marks_are("{{ '%s.'|format(u) }}", "U-ser<.", "^^^^^^ ");
    marks_are("{% set x %}[{{ u }}]{% endset %}{{ x }}", "[U-ser<]", " ^^^^^^ ");
    marks_are("{% macro m(x) %}[{{ x }}]{% endmacro %}{{ m(u) }}", "[U-ser<]", " ^^^^^^ ");
    marks_are("{% filter upper %}a{{ u }}{% endfilter %}", "AU-SER<", " ^^^^^^");
    marks_are("{{ u|indent(2, true) }}", "  U-ser<", "  ^^^^^^");
    marks_are("{% for c in u %}{{ c }},{% endfor %}", "U,-,s,e,r,<,", "^ ^ ^ ^ ^ ^ ");
    marks_are("{{ u * 2 }}{{ u|capitalize }}", "U-ser<U-ser<U-ser<", "^^^^^^^^^^^^^^^^^^");
    marks_are("{{ u|title }}{{ u.title() }}", "U-Ser<U-Ser<", "^^^^^^^^^^^^");
    marks_are("{{ u|list|join }}{{ u|reverse }}", "U-ser<<res-U", "^^^^^^^^^^^^");
    marks_are("{{ u.partition('-')[2] }}{{ u.removeprefix('U') }}", "ser<-ser<", "^^^^^^^^^");
    marks_are("{% set ns = namespace(a=u) %}{{ ns.a }}{{ dict(a=u).a }}", "U-ser<U-ser<",
              "^^^^^^^^^^^^");
    marks_are("{{ [u, 'b']|map('upper')|join(u) }}", "U-SER<U-ser<B", "^^^^^^^^^^^^ ");
    marks_are("{{ '{:>8}'.format(u) }}|{{ u|string }}", "  U-ser<|U-ser<", "  ^^^^^^ ^^^^^^");
}

static void only_plain_words_of_the_trusted_member_are_the_templates(void **state)
{
    (void)state;
    static const char text[] = "[{\"role\": \"user\", \"content\": \"user\"}, "
                               "{\"role\": \"<|x|>\", \"content\": \"\"}, {\"role\": \"\"}]";
    static const bool expected[] = {false, true, true};
    struct json_document *d = NULL;
    struct plumb_error e = {0};
    struct jinja_context *c = jinja_context_create(NULL);
    struct jinja_output out = {0};
    static const char template[] = "{% for m in m %}{{ m.role }}{{ m.content }}{% endfor %}";
    assert_int_equal(json_parse(text, strlen(text), "text", &d, &e), PLUMB_OK);
    assert_int_equal(jinja_context_json(c, "m", json_root(d), true, "role", &e), PLUMB_OK);
    json_close(d);
    assert_int_equal(render(template, strlen(template), c, NULL, &out, &e), PLUMB_OK);
    assert_string_equal(buffer_string(&out.text), "useruser<|x|>");
    assert_int_equal(out.count, 2);
    assert_non_null(out.spans);
    for (size_t i = 0; out.spans && i < 2; i++) {
        assert_int_equal(out.spans[i].user, expected[i]);
        assert_int_equal(out.spans[i].size, i == 0 ? 4 : strlen("user<|x|>"));
    }
    jinja_output_free(&out);
    jinja_context_free(c);
}

static void no_operation_turns_users_bytes_into_the_templates(void **state)
{
    (void)state;
    /* every case of the table whose variables are all the user's, with a text that stands out: none of it is unmarked */
    static const char *const templates[] = {
        "{{ u }}",
        "{{ u|tojson|tojson }}",
        "{{ [u, [u]]|string }}",
        "{{ u.split(',')|tojson(indent=2) }}",
        "{{ u|replace('A', 'B')|trim|upper|lower|title|capitalize|string|safe }}",
        "{{ (u ~ u)[3:-2:2] }}",
        "{{ u|list|sort|join('') }}",
        "{{ u|list|unique|join('') }}"};
    for (size_t i = 0; i < sizeof templates / sizeof *templates; i++) {
        struct jinja_context *c = jinja_context_create(NULL);
        struct jinja_output out = {0};
        struct plumb_error e = {0};
        assert_int_equal(jinja_context_text(c, "u", secret, strlen(secret), true, &e), PLUMB_OK);
        if (render(templates[i], strlen(templates[i]), c, NULL, &out, &e))
            fail_msg("%s", e.message);
        for (size_t k = 0; k < out.count; k++)
            for (size_t b = 0; !out.spans[k].user && b < out.spans[k].size; b++)
                if (memchr("<|>imendaxIMENDAX", out.text.data[out.spans[k].start + b], 17))
                    fail_msg("%s: '%c' at byte %zu is unmarked in %s", templates[i],
                             out.text.data[out.spans[k].start + b], out.spans[k].start + b,
                             buffer_string(&out.text));
        jinja_output_free(&out);
        jinja_context_free(c);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_feature_renders_as_jinja2_does),
        cmocka_unit_test(real_templates_render_as_jinja2_does),
        cmocka_unit_test(users_bytes_stay_marked),
        cmocka_unit_test(only_plain_words_of_the_trusted_member_are_the_templates),
        cmocka_unit_test(no_operation_turns_users_bytes_into_the_templates),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
