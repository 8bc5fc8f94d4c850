/*
 * sorting.h - what the filters that order, pick and group share: keys of items, stable sorting.
 */
#ifndef JINJA_SORTING_H
#define JINJA_SORTING_H

#include "jinja/value.h"

/* item.a.b for the attribute "a.b" (a number of dots-separated parts, digits are indexes); the item itself for an absent
   attribute. */
struct value item_key(struct render *r, struct value item, struct value attribute);
/* Texts in lower case unless `exact`. */
struct value fold_case(struct render *r, struct value v, bool exact);
/* Sorts items[n] by keys[n], stable. */
void sort_items(struct render *r, struct value *items, struct value *keys, size_t n, bool reverse);

#endif
