/*
 * options.h - one declarative table a verb: it drives the parsing, the help text, the man page and
 * completion.
 *
 * Source of the idea: getopt_long does the parsing; the table says what to do with what it found.
 */
#ifndef CLI_OPTIONS_H
#define CLI_OPTIONS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

#include "base/error.h"

enum option_kind {
    OPTION_FLAG,   /* bool: set to true */
    OPTION_TEXT,   /* const char *: the word itself */
    OPTION_TEXTS,  /* struct option_texts: given several times, each word is kept */
    OPTION_INT,    /* int, at least 0 */
    OPTION_SIZE,   /* size_t */
    OPTION_NUMBER, /* double, finite */
    OPTION_CHOICE, /* int: index into the words of `value`, "clean|daca" */
};

enum { OPTION_TEXTS_MAX = 16 };
struct option_texts {
    const char *words[OPTION_TEXTS_MAX]; /* [count] in the order given; views into argv */
    int count;
};

struct option_row {
    char letter;      /* 'o', or 0 */
    const char *name; /* "output": given as --output */
    enum option_kind kind;
    const char *value; /* what help calls the value ("FILE"), or the choices; null for a flag */
    size_t offset;     /* where in the verb's struct the value goes */
    const char *words; /* for help; without a full stop */
};

/* Every verb's struct of options begins with these. */
struct common_options {
    bool help, quiet, verbose;
};
extern const struct option_row options_common[]; /* ends with a row without a name */

enum { OPTIONS_MAX = 48 }; /* rows of one verb, the common ones included */

/* The words that are no options, in order; a view into argv. */
struct operands {
    char **words;
    int count;
};

/* Reads argv (argv[0] is skipped) into the struct at `into`. Options and operands may be mixed;
   "--" ends the options. An unknown option, a missing or a malformed value is PLUMB_INPUT; the
   message names it and the nearest known one. */
int options_parse(const struct option_row *rows, int argc, char **argv, void *into,
                  struct operands *operands, struct plumb_error *e);

/* The table as aligned lines of help, at most 100 columns. */
void options_help(const struct option_row *rows, FILE *to);

/* Prints text wrapped to 100 columns, every line indented; the first line already stands at column
 * `at`. */
void options_wrap(const char *text, int indent, int at, FILE *to);

#endif
