/*
 * main.c - plumb, the program: finds the verb and lets it run. Every verb is in a file of its own
 * name.
 */
#include <stdio.h>
#include <string.h>

#include "cli/manual.h"
#include "cli/suggest.h"
#include "cli/verb.h"
#include "cli/waiting.h"

static const struct verb *verb_find(const char *name)
{
    for (const struct verb *const *v = verbs; *v; v++)
        if (strcmp((*v)->name, name) == 0)
            return *v;
    const char *names[32] = {"help"};
    size_t n = 1;
    for (const struct verb *const *v = verbs; *v && n < 32; v++)
        names[n++] = (*v)->name;
    const char *near = suggest(name, names, n);
    if (near)
        fprintf(stderr, "plumb: unknown verb '%s'; did you mean '%s'?\n", name, near);
    else
        fprintf(stderr, "plumb: unknown verb '%s'; 'plumb help' lists them\n", name);
    return NULL;
}

/* "abstain check": the verb that two words name; null where there is none. */
static const struct verb *word_find(const char *first, const char *second)
{
    const size_t n = strlen(first);
    for (const struct verb *const *v = verb_words; second && *v; v++)
        if (strncmp((*v)->name, first, n) == 0 && (*v)->name[n] == ' ' &&
            strcmp((*v)->name + n + 1, second) == 0)
            return *v;
    return NULL;
}

static int help(const char *name, const char *word)
{
    if (!name) {
        verb_overview(stdout);
        return PLUMB_OK;
    }
    if (strcmp(name, "--man") == 0) {
        manual_page(stdout);
        return PLUMB_OK;
    }
    if (strcmp(name, "--completion") == 0) {
        manual_completion(stdout);
        return PLUMB_OK;
    }
    const struct verb *v = word_find(name, word);
    if (!v)
        v = verb_find(name);
    if (v)
        verb_help(v, stdout);
    return v ? PLUMB_OK : PLUMB_INPUT;
}

static int run(int argc, char **argv)
{
    if (argc < 2) {
        verb_overview(stderr);
        return PLUMB_INPUT;
    }
    const char *word = argv[1];
    if (strcmp(word, "--version") == 0 || strcmp(word, "-V") == 0) {
        printf("plumb %s\n", plumb_version());
        return PLUMB_OK;
    }
    if (strcmp(word, "help") == 0 || strcmp(word, "--help") == 0 || strcmp(word, "-h") == 0)
        return help(argc > 2 ? argv[2] : NULL, argc > 3 ? argv[3] : NULL);
    const struct verb *v = word_find(word, argc > 2 ? argv[2] : NULL);
    if (v)
        return v->run(argc - 2, argv + 2);
    v = verb_find(word);
    return v ? v->run(argc - 1, argv + 1) : PLUMB_INPUT;
}

int main(int argc, char **argv)
{
    waiting_passive(argv);
    int status = run(argc, argv);
    /* A result that did not reach its file is no result: a full disk must not end in status 0. */
    if (fflush(stdout) != 0 || ferror(stdout)) {
        perror("plumb: standard output");
        return PLUMB_MACHINE;
    }
    return status;
}
