/*
 * callable.c - finding what is called by name, and putting its arguments in order.
 */
#include "jinja/callable.h"

#include <string.h>

const struct callable *callable_find(const struct callable *table, const char *name, size_t n)
{
    for (; table->name; table++)
        if (strlen(table->name) == n && memcmp(table->name, name, n) == 0)
            return table;
    return NULL;
}

/* The number of the parameter `name`, or -1. */
static int parameter_number(const char *parameters, const char *name, size_t n)
{
    int number = 0;
    for (const char *at = parameters; *at; number++) {
        size_t size = strcspn(at, " /");
        if (size == n && memcmp(at, name, n) == 0)
            return number;
        at += size;
        at += strspn(at, " /");
    }
    return -1;
}

/* How many there are, and how many must be given. */
static size_t count_parameters(const char *parameters, size_t *required)
{
    size_t count = 0;
    *required = 0;
    for (const char *at = parameters; *at;) {
        size_t size = strcspn(at, " /");
        count += size > 0;
        at += size;
        size_t gap = strspn(at, " /");
        if (memchr(at, '/', gap))
            *required = count;
        at += gap;
    }
    return count;
}

struct value callable_call(struct render *r, const struct callable *c, struct value self,
                           const struct arguments *all)
{
    struct value a[MOST_PARAMETERS] = {{.kind = VALUE_ABSENT}};
    size_t required;
    if (!c->parameters)
        return c->call(r, self, a, all);
    size_t count = count_parameters(c->parameters, &required);
    if (all->count > count)
        return render_fail(r, "%s() takes %zu arguments, found %zu", c->name, count, all->count);
    for (size_t i = 0; i < all->count; i++)
        a[i] = all->values[i];
    for (size_t i = 0; i < all->named_count; i++) {
        const struct named_value *v = &all->named[i];
        int number = parameter_number(c->parameters, v->name, v->size);
        if (number < 0)
            return render_fail(r, "%s() takes no argument named '%.40s'", c->name, v->name);
        if (a[number].kind != VALUE_ABSENT)
            return render_fail(r, "%s() got two values for '%.40s'", c->name, v->name);
        a[number] = v->value;
    }
    for (size_t i = 0; i < required; i++)
        if (a[i].kind == VALUE_ABSENT)
            return render_fail(r, "%s() needs %zu arguments", c->name, required);
    return c->call(r, self, a, all);
}
