/*
 * verb.h - what a verb of the program is: its words for people, its options, and what it does.
 */
#ifndef CLI_VERB_H
#define CLI_VERB_H

#include "cli/options.h"

struct verb {
    const char *name;                  /* "trace" */
    const char *summary;               /* one line for `plumb help` */
    const char *const *synopses;       /* [..., null] each without "plumb NAME" */
    const char *description;           /* a few sentences; a line break starts a paragraph */
    const struct option_row *options;  /* ends with a row without a name; null = none */
    const char *const (*examples)[2];  /* [..., {null}] command and what it does; at least two */
    int (*run)(int argc, char **argv); /* argv[0] is the verb; returns the exit status */
};

extern const struct verb verb_trace, verb_generate, verb_inspect, verb_tokenize, verb_perplexity,
    verb_bench, verb_demo, verb_report, verb_measure, verb_import, verb_fit, verb_apply, verb_merge,
    verb_bake, verb_calibrate, verb_layers, verb_lens, verb_abstain, verb_spectrum, verb_steer,
    verb_answer;
extern const struct verb verb_abstain_check;

/* All verbs, in the order of the overview; ends with null. */
extern const struct verb *const verbs[];
/* Words of a verb that have options of their own, "abstain check"; ends with null. */
extern const struct verb *const verb_words[];

/* `plumb VERB --help`. */
void verb_help(const struct verb *v, FILE *to);
/* `plumb help`: every verb, one line each. */
void verb_overview(FILE *to);

/* Parses the verb's command line. False: stop at once with *status (help was printed, or an error).
   Otherwise `operands` holds the words that are no options; fewer than `least` or more than `most`
   of them is an error that shows the synopsis. */
bool verb_parse(const struct verb *v, int argc, char **argv, void *into, int least, int most,
                struct operands *operands, int *status);

/* Says why a verb failed ("plumb trace: ...") on stderr, and gives the exit status for it. */
int verb_fail(const struct verb *v, const struct plumb_error *e);

#endif
