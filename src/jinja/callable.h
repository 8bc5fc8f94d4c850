/*
 * callable.h - what a template can call by name: filters, tests, methods and functions, in one table each.
 */
#ifndef JINJA_CALLABLE_H
#define JINJA_CALLABLE_H

#include <stddef.h>

#include "jinja/value.h"

enum { MOST_PARAMETERS = 6 };

/* The arguments of a call as they were written. */
struct arguments {
    const struct value *values; /* [count] */
    size_t count;
    const struct named_value *named; /* [named_count] */
    size_t named_count;
};

struct named_value {
    const char *name;
    size_t size;
    struct value value;
};

/* `a` holds the arguments in the order of the table's parameters, VALUE_ABSENT where one was not given. */
struct callable {
    const char *name;
    struct value (*call)(struct render *r, struct value self, const struct value *a,
                         const struct arguments *all);
    /* Names with blanks between, in order; those before a '/' must be given; null: any arguments. */
    const char *parameters;
};

const struct callable *filter_find(const char *name, size_t n); /* null: unknown */
const struct callable *test_find(const char *name, size_t n);
const struct callable *function_find(const char *name, size_t n);
/* Of a value of this kind. */
const struct callable *value_method(enum value_kind kind, const char *name, size_t n);

/* A table ends with a row without a name. */
const struct callable *callable_find(const struct callable *table, const char *name, size_t n);
/* Puts the arguments in order and calls. */
struct value callable_call(struct render *r, const struct callable *c, struct value self,
                           const struct arguments *all);

#endif
