/*
 * verb.c - what all verbs share: the list of them, help, and how a verb says that it failed.
 */
#include "cli/verb.h"

#include <string.h>

#include "cli/output.h"

const struct verb *const verbs[] = {
    &verb_calibrate, &verb_trace,    &verb_measure,    &verb_layers,  &verb_lens,     &verb_import,
    &verb_fit,       &verb_apply,    &verb_answer,     &verb_abstain, &verb_bake,     &verb_inspect,
    &verb_tokenize,  &verb_generate, &verb_perplexity, &verb_merge,   &verb_spectrum, &verb_steer,
    &verb_report,    &verb_bench,    &verb_demo,       NULL,
};

const struct verb *const verb_words[] = {&verb_abstain_check, NULL};

void verb_overview(FILE *to)
{
    fprintf(to, "plumb measures the confidence of language models through every layer.\n\n"
                "usage: plumb VERB [options] ARGUMENTS\n\n");
    for (const struct verb *const *v = verbs; *v; v++) {
        int at = fprintf(to, "  %s", (*v)->name);
        options_wrap((*v)->summary, 14, at, to);
    }
    fprintf(
        to,
        "\n'plumb help VERB' tells more, with examples. 'plumb --version' names this version.\n"
        "Results go to standard output, everything else to standard error. Exit status: 0 done,\n"
        "1 done but the answer is no, 2 the input was wrong, 3 the machine failed, 130 "
        "interrupted.\n");
}

void verb_help(const struct verb *v, FILE *to)
{
    for (const char *const *s = v->synopses; *s; s++)
        fprintf(to, "%s plumb %s %s\n", s == v->synopses ? "usage:" : "      ", v->name, *s);
    fputc('\n', to);
    options_wrap(v->description, 0, 0, to);
    fprintf(to, "\n%sOptions%s\n", style_on(to, STYLE_BOLD), style_off(to));
    options_help(v->options, to);
    options_help(options_common, to);
    fprintf(to, "Of choices parted by | the first is the default.\n");
    fprintf(to, "\n%sExamples%s\n", style_on(to, STYLE_BOLD), style_off(to));
    for (const char *const(*x)[2] = v->examples; (*x)[0]; x++) {
        fprintf(to, "  %s\n", (*x)[0]);
        options_wrap((*x)[1], 6, 0, to);
    }
}

bool verb_parse(const struct verb *v, int argc, char **argv, void *into, int least, int most,
                struct operands *operands, int *status)
{
    struct plumb_error e = {0};
    *status = options_parse(v->options, argc, argv, into, operands, &e);
    if (*status != PLUMB_OK) {
        fprintf(stderr, "plumb %s: %s ('plumb help %s' lists the options)\n", v->name, e.message,
                v->name);
        return false;
    }
    const struct common_options *common = into;
    if (common->help) {
        verb_help(v, stdout);
        return false;
    }
    if (operands->count >= least && operands->count <= most)
        return true;
    *status = PLUMB_INPUT;
    if (operands->count < least)
        fprintf(stderr, "plumb %s: an argument is missing", v->name);
    else
        fprintf(stderr, "plumb %s: one argument too many: '%s'", v->name, operands->words[most]);
    for (const char *const *s = v->synopses; *s; s++)
        fprintf(stderr, "%s plumb %s %s", s == v->synopses ? "; usage:" : " or", v->name, *s);
    fputc('\n', stderr);
    return false;
}

int verb_fail(const struct verb *v, const struct plumb_error *e)
{
    fprintf(stderr, "plumb %s: %s\n", v->name, e->message);
    return e->code ? e->code : PLUMB_MACHINE;
}
