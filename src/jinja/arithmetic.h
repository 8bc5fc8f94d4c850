/*
 * arithmetic.h - Python's operators on values: + - * / // % ** and the signs.
 */
#ifndef JINJA_ARITHMETIC_H
#define JINJA_ARITHMETIC_H

#include "jinja/value.h"

/* op: '+', '-', '*', '/', '%', or two characters packed by OP2 (syntax.h). */
struct value value_arithmetic(struct render *r, int op, struct value a, struct value b);
struct value value_negate(struct render *r, struct value v, bool negate); /* -v or +v */
/* "..." % v, with %s %r %d %i %x %f %%. */
struct value text_percent(struct render *r, const struct text *format, struct value v);

#endif
