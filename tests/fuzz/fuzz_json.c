/*
 * fuzz_json.c - any bytes into the JSON reader. Whatever it takes is walked, written and read again, and must come out
 * the same; what it refuses, the plain checker must refuse too, save for what only the reader knows (duplicate keys,
 * numbers out of range).
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/buffer.h"
#include "base/json.h"
#include "base/json_locate.h"
#include "base/utf8.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(int truth)
{
    if (!truth)
        abort();
}

/* Every function of the reader on every value. */
static void walk(struct json v)
{
    const char *s;
    size_t n, count = 0;
    int64_t integer;
    double number;
    bool truth;
    const bool is_string = json_string(v, &s, &n);
    check(is_string == (json_kind(v) == JSON_STRING));
    if (is_string)
        check(utf8_check(s, n) == n && s[n] == 0);
    const bool is_number = json_number(v, &number);
    check(is_number == (json_kind(v) == JSON_INTEGER || json_kind(v) == JSON_DOUBLE));
    if (json_integer(v, &integer))
        check(is_number && (double)integer == number);
    check(json_bool(v, &truth) == (json_kind(v) == JSON_BOOL));
    for (struct json_iterator i = json_each(v); json_next(&i); count++) {
        check(i.index == count);
        if (json_kind(v) == JSON_OBJECT) {
            check(utf8_check(i.key, i.key_size) == i.key_size && i.key[i.key_size] == 0);
            /* Keys are unlike, so the key finds its own value; look-up goes by C strings. */
            if (!memchr(i.key, 0, i.key_size))
                check(json_kind(json_get(v, i.key)) == json_kind(i.value));
        } else if (count < 8) {
            check(json_kind(json_at(v, count)) == json_kind(i.value));
        }
        walk(i.value);
    }
    check(json_size(v) == count);
}

static struct buffer written(const struct json_document *d, int indent)
{
    struct buffer b = BUFFER_EMPTY;
    struct json_writer w = json_writer_start(&b, indent);
    json_write_value(&w, json_root(d));
    check(!b.failed);
    return b;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct json_document *d, *again;
    struct plumb_error e = {0};
    struct json_fault fault;
    const bool wrong = json_locate((const char *)data, size, &fault);
    const int status = json_parse((const char *)data, size, "input", &d, &e);
    if (wrong)
        check(status == PLUMB_INPUT && fault.offset <= size);
    if (status != PLUMB_OK) {
        check(strlen(e.message) > 0 && !strchr(e.message, '\n'));
        check(wrong || strstr(e.message, " twice, ") || strstr(e.message, "too large"));
        return 0;
    }
    walk(json_root(d));
    struct buffer first = written(d, 2);
    json_close(d);
    check(json_parse(first.data, first.size, "written", &again, &e) == PLUMB_OK);
    struct buffer second = written(again, 2);
    json_close(again);
    check(first.size == second.size && memcmp(first.data, second.data, first.size) == 0);
    buffer_free(&first);
    buffer_free(&second);
    return 0;
}
