/*
 * manual.h - what the tables of verbs and options become besides help: the manual page and the completion of bash.
 */
#ifndef CLI_MANUAL_H
#define CLI_MANUAL_H

#include <stdio.h>

/* plumb(1) in troff's man macros: every verb with its options and examples. */
void manual_page(FILE *to);
/* A script for bash-completion: verbs, options, the words of choices, files. */
void manual_completion(FILE *to);

#endif
