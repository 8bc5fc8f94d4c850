/*
 * result.c - the JSON document that a verb prints with --json. Knows no verb.
 */
#include "cli/result.h"

#include <stdio.h>

void result_start(struct result *r)
{
    r->text = BUFFER_EMPTY;
    r->json = json_writer_start(&r->text, 2);
}

int result_print(struct result *r)
{
    bool failed = r->text.failed;
    if (failed)
        fputs("plumb: no memory for the result\n", stderr);
    else
        puts(buffer_string(&r->text));
    buffer_free(&r->text);
    return failed ? PLUMB_MACHINE : PLUMB_OK;
}

void result_text(struct result *r, const char *key, const char *value)
{
    json_write_key(&r->json, key);
    if (value)
        json_write_string(&r->json, value);
    else
        json_write_null(&r->json);
}

void result_integer(struct result *r, const char *key, int64_t value)
{
    json_write_key(&r->json, key);
    json_write_integer(&r->json, value);
}

void result_double(struct result *r, const char *key, double value)
{
    json_write_key(&r->json, key);
    json_write_double(&r->json, value);
}

void result_bool(struct result *r, const char *key, bool value)
{
    json_write_key(&r->json, key);
    json_write_bool(&r->json, value);
}
