/*
 * tokenizer_files.c - see tokenizer_files.h.
 */
#include "tokenizer_files.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/file.h"
#include "base/json.h"
#include "base/memory.h"

const char *const tiny_kinds[] = {
    "gpt2",   "llama3", "qwen2", "gpt-neox",       "phi2",        "smollm",  "falcon",    "tekken",
    "gpt-4o", "llama2", "phi3",  "deepseek-coder", "deepseek-v3", "mistral", "metaspace", "gemma",
    "words",  "cuts",   NULL};

static const char *path_in(const char *variable, const char *folder, const char *name)
{
    static char paths[4][1024];
    static unsigned next;
    char *path = paths[next++ % 4];
    const char *root = getenv(variable);
    snprintf(path, sizeof paths[0], "%s/%s/%s", root ? root : ".", folder, name);
    return path;
}

const char *data_file(const char *name)
{
    return path_in("PLUMB_TEST_DATA", "tokenizer", name);
}

const char *golden_file(const char *name)
{
    return path_in("PLUMB_TEST_GOLDEN", "tokenizer", name);
}

const char *shared_file(const char *name)
{
    const char *path =
        getenv("PLUMB_SHARED") ? path_in("PLUMB_SHARED", "data/tokenizers", name) : NULL;
    if (path && file_exists(path))
        return path;
    print_message("skipped: no %s in data/tokenizers of PLUMB_SHARED\n", name);
    return NULL;
}

struct tokenizer *open_tokenizer(const char *path)
{
    struct plumb_error e = {0};
    struct tokenizer *t = NULL;
    struct gguf *g = NULL;
    size_t n = strlen(path);
    int status;
    if (n > 5 && strcmp(path + n - 5, ".gguf") == 0) {
        status = gguf_open(path, &g, &e);
        if (status == PLUMB_OK)
            status = tokenizer_open_gguf(g, &t, &e);
        gguf_close(g);
    } else {
        status = tokenizer_open_json(path, &t, &e);
    }
    if (status)
        fail_msg("%s", e.message);
    return t;
}

struct token_list encode(const struct tokenizer *t, const char *text, size_t n, bool add_special,
                         bool parse_special)
{
    struct plumb_error e = {0};
    struct token_list ids = {0};
    const struct tokenizer_options o = {.add_special = add_special, .parse_special = parse_special};
    if (tokenizer_encode(t, text, n, o, &ids, &e))
        fail_msg("%s", e.message);
    return ids;
}

static void add_line(struct lines *l, const char *s, size_t n)
{
    l->at = mem_resize(l->at, l->count + 1, sizeof *l->at);
    assert_non_null(l->at);
    l->at[l->count].s = s;
    l->at[l->count++].n = n;
}

struct lines read_lines(const char *path, const char *separator)
{
    struct plumb_error e = {0};
    struct file_map map;
    struct lines l = {0};
    if (file_map_open(path, &map, &e))
        fail_msg("%s", e.message);
    const char *text = l.memory = mem_strndup((const char *)map.data, map.size);
    size_t size = map.size;
    file_map_close(&map);
    assert_non_null(text);
    const char *end = text + size;
    for (;;) {
        const char *cut = memmem(text, (size_t)(end - text), separator, strlen(separator));
        add_line(&l, text, (size_t)((cut ? cut : end) - text));
        if (!cut)
            return l;
        text = cut + strlen(separator);
    }
}

struct lines read_strings(const char *path)
{
    struct plumb_error e = {0};
    struct json_document *d = NULL;
    struct lines l = {0};
    struct buffer all = BUFFER_EMPTY;
    if (json_open(path, &d, &e))
        fail_msg("%s", e.message);
    for (struct json_iterator i = json_each(json_root(d)); json_next(&i);) {
        const char *s;
        size_t n;
        assert_true(json_string(i.value, &s, &n));
        add_line(&l, NULL, n);
        buffer_add(&all, s, n);
    }
    json_close(d);
    assert_false(all.failed);
    size_t at = 0;
    for (size_t i = 0; i < l.count; at += l.at[i++].n)
        l.at[i].s = buffer_string(&all) + at;
    l.memory = all.data;
    return l;
}

void lines_free(struct lines *l)
{
    mem_free(l->at);
    mem_free(l->memory);
    *l = (struct lines){0};
}

const char *read_ids(const char *s, const char *end, struct token_list *out)
{
    while (s < end && *s != '|') {
        if (*s == ' ') {
            s++;
            continue;
        }
        char *stop;
        long id = strtol(s, &stop, 10);
        assert_true(stop > s && stop <= end);
        assert_int_equal(token_list_add(out, (int32_t)id), PLUMB_OK);
        s = stop;
    }
    return s;
}
