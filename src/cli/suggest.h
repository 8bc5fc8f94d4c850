/*
 * suggest.h - "did you mean": the known word that is nearest to a mistyped one.
 */
#ifndef CLI_SUGGEST_H
#define CLI_SUGGEST_H

#include <stddef.h>

/* The nearest of n words, or null when none is near: at most one change in three letters. Of two
   equally near ones the first. Null entries are skipped. */
const char *suggest(const char *word, const char *const *words, size_t n);

/* Optimal string alignment distance: insertions, deletions, substitutions and swaps of neighbours
   (Damerau 1964). Words longer than 63 bytes count as infinitely far (INT_MAX). */
int suggest_distance(const char *a, const char *b);

#endif
