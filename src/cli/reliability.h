/*
 * reliability.h - a small reliability diagram for the terminal.
 */
#ifndef CLI_RELIABILITY_H
#define CLI_RELIABILITY_H

#include <stdbool.h>
#include <stdio.h>

#include "metric/bins.h"

/* A bar a bin as high as its accuracy, with a mark at its mean confidence, and the rows of each bin below. Equal-width bins,
   at most RELIABILITY_BINS. Blocks of Unicode, or plain ASCII. */
enum { RELIABILITY_BINS = 40 };
void reliability_print(const struct bins *b, bool unicode, FILE *to);

/* Does the user's locale speak UTF-8? Of LC_ALL, LC_CTYPE and LANG the first that is set decides. */
bool reliability_unicode(void);

#endif
