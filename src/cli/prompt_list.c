/*
 * prompt_list.c - prompts from the command line and from files.
 */
#include "cli/prompt_list.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/file.h"
#include "base/json.h"
#include "base/memory.h"

int prompt_list_add(struct prompt_list *l, const char *text, size_t n, const char *id,
                    struct plumb_error *e)
{
    if (l->count == l->capacity) {
        const size_t capacity = l->capacity ? l->capacity * 2 : 16;
        struct prompt *larger = mem_resize(l->items, capacity, sizeof *larger);
        if (!larger)
            return error_memory(e, "the prompts");
        l->items = larger;
        l->capacity = capacity;
    }
    struct prompt *p = &l->items[l->count];
    *p = (struct prompt){.text = mem_strndup(text, n), .size = n, .id = id ? mem_strdup(id) : NULL};
    if (!p->text || (id && !p->id)) {
        mem_free(p->text);
        mem_free(p->id);
        return error_memory(e, "a prompt");
    }
    l->count++;
    return PLUMB_OK;
}

void prompt_list_free(struct prompt_list *l)
{
    for (size_t i = 0; i < l->count; i++) {
        mem_free(l->items[i].text);
        mem_free(l->items[i].id);
    }
    mem_free(l->items);
    *l = (struct prompt_list){0};
}

/* One line of a .jsonl file. */
static int read_line(struct prompt_list *l, const char *path, size_t number, const char *line,
                     size_t n, struct plumb_error *e)
{
    char where[512];
    const char *text, *id = NULL;
    size_t size, id_size;
    struct json_document *d;
    snprintf(where, sizeof where, "%.480s:%zu", path, number);
    int status = json_parse(line, n, where, &d, e);
    if (status != PLUMB_OK)
        return status;
    if (json_string(json_get(json_root(d), "prompt"), &text, &size)) {
        json_string(json_get(json_root(d), "id"), &id, &id_size);
        status = prompt_list_add(l, text, size, id, e);
    } else {
        status =
            error_set(e, PLUMB_INPUT, "%s: found %s; expected an object with \"prompt\", a string",
                      where, json_kind_name(json_kind(json_root(d))));
    }
    json_close(d);
    return status;
}

static bool is_blank(const char *s, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (s[i] != ' ' && s[i] != '\t' && s[i] != '\r')
            return false;
    return true;
}

static int read_lines(struct prompt_list *l, const char *path, const char *text, size_t n,
                      struct plumb_error *e)
{
    size_t number = 1;
    for (size_t at = 0; at < n; number++) {
        const char *end = memchr(text + at, '\n', n - at);
        const size_t size = end ? (size_t)(end - text) - at : n - at;
        if (!is_blank(text + at, size)) {
            int status = read_line(l, path, number, text + at, size, e);
            if (status != PLUMB_OK)
                return status;
        }
        at += size + 1;
    }
    return PLUMB_OK;
}

static int add_whole(struct prompt_list *l, const char *text, size_t n, struct plumb_error *e)
{
    if (n > 0 && text[n - 1] == '\n')
        n -= n > 1 && text[n - 2] == '\r' ? 2 : 1;
    return prompt_list_add(l, text, n, NULL, e);
}

static int read_standard_input(struct prompt_list *l, struct plumb_error *e)
{
    struct buffer text = BUFFER_EMPTY;
    char block[16384];
    size_t n;
    while ((n = fread(block, 1, sizeof block, stdin)) > 0)
        buffer_add(&text, block, n);
    int status = ferror(stdin) ? error_system(e, errno, "read", "standard input")
                 : text.failed ? error_memory(e, "a prompt")
                               : add_whole(l, buffer_string(&text), text.size, e);
    buffer_free(&text);
    return status;
}

int prompt_list_read(struct prompt_list *l, const char *path, struct plumb_error *e)
{
    if (strcmp(path, "-") == 0)
        return read_standard_input(l, e);
    struct file_map map;
    int status = file_map_open(path, &map, e);
    if (status != PLUMB_OK)
        return status;
    const size_t n = strlen(path);
    const char *text = (const char *)map.data;
    status = n > 6 && strcmp(path + n - 6, ".jsonl") == 0 ? read_lines(l, path, text, map.size, e)
                                                          : add_whole(l, text, map.size, e);
    file_map_close(&map);
    return status;
}
