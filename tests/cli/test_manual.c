/*
 * test_manual.c - manual page and completion know every verb and every option, and hold nothing that troff or bash would take
 * for something else.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

#include "cli/manual.h"
#include "cli/verb.h"

static char *written(void (*write)(FILE *))
{
    char *text = NULL;
    size_t n = 0;
    FILE *to = open_memstream(&text, &n);
    assert_non_null(to);
    write(to);
    assert_int_equal(fclose(to), 0);
    assert_true(n > 1000 && strlen(text) == n);
    return text;
}

static void the_manual_page_has_every_verb_and_option(void **state)
{
    (void)state;
    char *page = written(manual_page), name[80];
    for (const struct verb *const *v = verbs; *v; v++) {
        snprintf(name, sizeof name, ".SS %s\n", (*v)->name);
        assert_non_null(strstr(page, name));
        for (const struct option_row *row = (*v)->options; row && row->name; row++) {
            size_t n = (size_t)snprintf(name, sizeof name, "\\fB\\-\\-");
            for (const char *c = row->name; *c; c++)
                n += (size_t)snprintf(name + n, sizeof name - n, *c == '-' ? "\\-" : "%c", *c);
            assert_non_null(strstr(page, name));
        }
    }
    free(page);
}

/* A line that begins with '.' is one of the macros that are used, and every backslash begins a known escape. */
static void the_manual_page_is_clean_troff(void **state)
{
    (void)state;
    static const char *const macros[] = {".TH ",  ".SH ",  ".SS ",  ".TP\n", ".PP\n",
                                         ".br\n", ".nf\n", ".fi\n", ".RS\n", ".RE\n"};
    char *page = written(manual_page);
    for (const char *line = page; *line; line = strchr(line, '\n') + 1) {
        bool known = *line != '.';
        for (size_t i = 0; i < sizeof macros / sizeof *macros; i++)
            known = known || strncmp(line, macros[i], strlen(macros[i])) == 0;
        if (!known || *line == '\'')
            fail_msg("%.60s", line);
    }
    for (const char *c = strchr(page, '\\'); c; c = strchr(c + 2, '\\'))
        assert_non_null(strchr("efR-&", c[1]));
    free(page);
}

/* The script, and a completion asked from it: "plumb WORDS" with the last word unfinished. */
static void complete(const char *script, const char *words, char *out, size_t room)
{
    char path[] = "/tmp/plumb-completion-XXXXXX", command[512];
    const int fd = mkstemp(path);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, script, strlen(script)), (ssize_t)strlen(script));
    close(fd);
    snprintf(
        command, sizeof command,
        "bash -c 'compopt() { :; }; . %s; COMP_WORDS=(plumb %s); COMP_CWORD=$((${#COMP_WORDS[@]} "
        "- 1)); _plumb; echo \"${COMPREPLY[*]}\"'",
        path, words);
    FILE *p = popen(command, "r"); /* NOLINT(cert-env33-c): the shell is what a user has */
    assert_non_null(p);
    out[fread(out, 1, room - 1, p)] = '\0';
    assert_int_equal(pclose(p), 0);
    unlink(path);
}

static void bash_completes_verbs_options_and_choices(void **state)
{
    (void)state;
    char *script = written(manual_completion), out[4096];
    complete(script, "tra", out, sizeof out);
    assert_string_equal(out, "trace\n");
    complete(script, "help gene", out, sizeof out);
    assert_string_equal(out, "generate\n");
    complete(script, "generate model --repe", out, sizeof out);
    assert_string_equal(out, "--repeat-penalty\n");
    complete(script, "trace model --preset d", out, sizeof out);
    assert_string_equal(out, "daca\n");
    complete(script, "inspect /etc/host", out, sizeof out);
    assert_non_null(strstr(out, "/etc/host"));
    free(script);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_manual_page_has_every_verb_and_option),
        cmocka_unit_test(the_manual_page_is_clean_troff),
        cmocka_unit_test(bash_completes_verbs_options_and_choices),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
