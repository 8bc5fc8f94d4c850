/*
 * format.h - str.format: "{} {0} {name} {x:>5} {y:.2f}".
 */
#ifndef JINJA_FORMAT_H
#define JINJA_FORMAT_H

#include "jinja/callable.h"

struct value text_format(struct render *r, const struct text *format, const struct arguments *all);

#endif
