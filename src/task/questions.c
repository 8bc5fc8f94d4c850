/*
 * questions.c - question sets: which file is read how, what a question must be, and its hash.
 *
 * Knows no prompt and no model. The two file formats are in questions_jsonl.c and questions_csv.c;
 * both hand drafts to question_builder_add, so that every rule about a question stands here once.
 */
#include "task/questions.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/buffer.h"
#include "base/file.h"
#include "base/memory.h"
#include "base/utf8.h"
#include "task/questions_build.h"

/* ---- the builder ---- */

bool question_builder_full(const struct question_builder *b)
{
    return b->limit && b->set->count >= b->limit;
}

int question_letter_index(const char *s, size_t n)
{
    if (n != 1)
        return -1;
    if (*s >= 'A' && *s <= 'Z')
        return *s - 'A';
    if (*s >= 'a' && *s <= 'z')
        return *s - 'a';
    return -1;
}

static bool text_is_blank(struct text t)
{
    for (size_t i = 0; i < t.n; i++)
        if (!strchr(" \t\r\n", t.s[i]) || !t.s[i])
            return false;
    return true;
}

/* Text that reaches a model is valid UTF-8 and a C string. */
static int check_text(const struct question_builder *b, size_t line, const char *field,
                      struct text t, struct plumb_error *e)
{
    if (!t.n)
        return PLUMB_OK;
    if (memchr(t.s, 0, t.n))
        return error_set(e, PLUMB_INPUT,
                         "%s:%zu: %s holds a NUL character, expected text: remove it", b->what,
                         line, field);
    size_t bad = utf8_check(t.s, t.n);
    if (bad < t.n)
        return error_set(e, PLUMB_INPUT,
                         "%s:%zu: %s: byte %zu (0x%02x) is not valid UTF-8: save the file as UTF-8",
                         b->what, line, field, bad + 1, (unsigned char)t.s[bad]);
    return PLUMB_OK;
}

static int check_draft(const struct question_builder *b, size_t line,
                       const struct question_draft *d, struct plumb_error *e)
{
    int status;
    if (text_is_blank(d->question))
        return error_set(e, PLUMB_INPUT, "%s:%zu: question is empty, expected its text", b->what,
                         line);
    if (d->n_options < 2 || d->n_options > QUESTION_MAX_OPTIONS)
        return error_set(e, PLUMB_INPUT, "%s:%zu: found %d options, expected 2 to %d", b->what,
                         line, d->n_options, (int)QUESTION_MAX_OPTIONS);
    if (d->gold < -1 || d->gold >= d->n_options)
        return error_set(e, PLUMB_INPUT, "%s:%zu: gold is option %d of %d, expected 0 to %d",
                         b->what, line, d->gold, d->n_options, d->n_options - 1);
    if ((status = check_text(b, line, "id", d->id, e)) ||
        (status = check_text(b, line, "group", d->group, e)) ||
        (status = check_text(b, line, "context", d->context, e)) ||
        (status = check_text(b, line, "question", d->question, e)))
        return status;
    for (int i = 0; i < d->n_options; i++) {
        char field[16];
        snprintf(field, sizeof field, "option %c", 'A' + i);
        if ((status = check_text(b, line, field, d->options[i], e)))
            return status;
    }
    return PLUMB_OK;
}

/* The number of the group of this name, which is added when it is new. */
static int group_number(struct question_builder *b, struct text name, int *out,
                        struct plumb_error *e)
{
    struct question_set *s = b->set;
    *out = hash_table_get(b->group_numbers, name.s, name.n, -1);
    if (*out >= 0)
        return PLUMB_OK;
    if (s->n_groups == INT_MAX)
        return error_set(e, PLUMB_INPUT, "%s: more than %d groups", b->what, INT_MAX);
    if ((size_t)s->n_groups == b->group_capacity) {
        size_t capacity = b->group_capacity ? 2 * b->group_capacity : 64;
        const char **groups = mem_resize(s->groups, capacity, sizeof *groups);
        if (!groups)
            return error_memory(e, "the groups of the questions");
        s->groups = groups;
        b->group_capacity = capacity;
    }
    char *copy = arena_strndup(s->arena, name.s, name.n);
    if (!copy || hash_table_put(b->group_numbers, copy, name.n, s->n_groups) < 0)
        return error_memory(e, "the groups of the questions");
    s->groups[s->n_groups] = copy;
    *out = s->n_groups++;
    return PLUMB_OK;
}

/* Each text is hashed apart and the hashes together, so that no text can run into the next. */
struct hash128 question_hash(const char *context, const char *text, const char *const *options,
                             int n_options)
{
    struct hash128 parts[3 + QUESTION_MAX_OPTIONS];
    int n = 0;
    parts[n++] = (struct hash128){(uint64_t)n_options, 0};
    parts[n++] = hash_bytes(context, strlen(context));
    parts[n++] = hash_bytes(text, strlen(text));
    for (int i = 0; i < n_options; i++)
        parts[n++] = hash_bytes(options[i], strlen(options[i]));
    return hash_bytes(parts, (size_t)n * sizeof *parts);
}

static int copy_draft(struct question_builder *b, size_t line, const struct question_draft *d,
                      struct question *q, struct plumb_error *e)
{
    struct arena *a = b->set->arena;
    const char **options = arena_alloc(a, (size_t)d->n_options, sizeof *options);
    if (!options)
        return error_memory(e, "the questions");
    for (int i = 0; i < d->n_options; i++) {
        struct text t = d->options[i];
        if (!(options[i] = arena_strndup(a, t.n ? t.s : "", t.n)))
            return error_memory(e, "the questions");
    }
    q->options = options;
    q->n_options = d->n_options;
    q->gold = d->gold;
    q->text = arena_strndup(a, d->question.s, d->question.n);
    q->context = d->context.n ? arena_strndup(a, d->context.s, d->context.n) : "";
    if (d->id.n) {
        q->id = arena_strndup(a, d->id.s, d->id.n);
    } else {
        struct buffer made = BUFFER_EMPTY;
        buffer_printf(&made, "%s:%zu", file_base_name(b->what), line);
        q->id = made.failed ? NULL : arena_strndup(a, made.data, made.size);
        buffer_free(&made);
    }
    if (!q->text || !q->context || !q->id)
        return error_memory(e, "the questions");
    return PLUMB_OK;
}

int question_builder_add(struct question_builder *b, size_t line, const struct question_draft *d,
                         struct plumb_error *e)
{
    struct question_set *s = b->set;
    int status = check_draft(b, line, d, e);
    if (status)
        return status;
    if (s->count == b->capacity) {
        size_t capacity = b->capacity ? 2 * b->capacity : 1024;
        struct question *items = mem_resize(s->items, capacity, sizeof *items);
        if (!items)
            return error_memory(e, "the questions");
        s->items = items;
        b->capacity = capacity;
    }
    struct question *q = &s->items[s->count];
    *q = (struct question){.gold = -1};
    if ((status = copy_draft(b, line, d, q, e)) ||
        (status = group_number(b, d->group.n ? d->group : b->group, &q->group, e)))
        return status;
    q->hash = question_hash(q->context, q->text, q->options, q->n_options);
    s->count++;
    return PLUMB_OK;
}

/* ---- from a path to a set ---- */

static bool ends_in(const char *s, size_t n, const char *ending)
{
    size_t m = strlen(ending);
    return n > m && !strncasecmp(s + n - m, ending, m);
}

static int format_of(const char *name, enum question_format *out)
{
    size_t n = strlen(name);
    *out = ends_in(name, n, ".csv") ? QUESTION_CSV : QUESTION_JSONL;
    return *out == QUESTION_CSV || ends_in(name, n, ".jsonl");
}

/* "DIR/anatomy_test.csv" -> "anatomy": the group of a folder's file. */
static struct text group_of_file(const char *path)
{
    static const char *const splits[] = {"_test", "_val", "_dev"};
    struct text t = {file_base_name(path), 0};
    const char *dot = strrchr(t.s, '.');
    t.n = dot && dot > t.s ? (size_t)(dot - t.s) : strlen(t.s);
    for (size_t i = 0; i < sizeof splits / sizeof *splits; i++)
        if (ends_in(t.s, t.n, splits[i])) {
            t.n -= strlen(splits[i]);
            break;
        }
    return t;
}

static int parse_bytes(struct question_builder *b, const char *bytes, size_t n,
                       enum question_format format, struct plumb_error *e)
{
    size_t before = b->set->count;
    if (n >= 3 && !memcmp(bytes, "\xEF\xBB\xBF", 3))
        bytes += 3, n -= 3;
    int status =
        format == QUESTION_CSV ? questions_csv(b, bytes, n, e) : questions_jsonl(b, bytes, n, e);
    if (!status && b->set->count == before)
        status =
            error_set(e, PLUMB_INPUT, "%s: holds no question, expected at least one line of %s",
                      b->what, format == QUESTION_CSV ? "CSV" : "JSON");
    return status;
}

static int parse_file(struct question_builder *b, const char *path, struct plumb_error *e)
{
    enum question_format format;
    struct file_map map;
    if (!format_of(path, &format))
        return error_set(e, PLUMB_INPUT,
                         "%s: a question file ends in .jsonl or .csv; rename or convert it", path);
    int status = file_map_open(path, &map, e);
    if (status)
        return status;
    b->what = path;
    status = parse_bytes(b, (const char *)map.data, map.size, format, e);
    file_map_close(&map);
    return status;
}

static int parse_folder(struct question_builder *b, const char *folder, struct plumb_error *e)
{
    struct file_list list;
    int status = file_list_folder(folder, &list, e), files = 0;
    if (status)
        return status;
    for (size_t i = 0; i < list.count && !status && !question_builder_full(b); i++) {
        enum question_format format;
        if (list.names[i][0] == '.' || !format_of(list.names[i], &format))
            continue;
        char *path = file_join(folder, list.names[i]);
        if (!path) {
            status = error_memory(e, "a file name");
        } else if (!file_is_folder(path)) {
            b->group = group_of_file(path);
            status = parse_file(b, path, e);
            files++;
        }
        mem_free(path);
    }
    file_list_free(&list);
    if (!status && !files)
        status = error_set(e, PLUMB_INPUT,
                           "%s: the folder holds no .jsonl or .csv file, expected question files",
                           folder);
    return status;
}

/* The last name of the path, without ending when it is a file's. */
static int name_set(const char *path, bool folder, struct question_set *s, struct plumb_error *e)
{
    char *real = NULL;
    size_t n = strlen(path);
    while (n > 1 && path[n - 1] == '/')
        n--;
    char *plain = mem_strndup(path, n);
    if (!plain)
        return error_memory(e, "a file name");
    const char *base = file_base_name(plain);
    if (!strcmp(base, ".") || !strcmp(base, "..")) {
        real = realpath(path, NULL);
        base = real ? file_base_name(real) : base;
    }
    const char *dot = folder ? NULL : strrchr(base, '.');
    s->name =
        arena_strndup(s->arena, base, dot && dot > base ? (size_t)(dot - base) : strlen(base));
    free(real);
    mem_free(plain);
    return s->name ? PLUMB_OK : error_memory(e, "the questions");
}

static int builder_start(struct question_builder *b, struct question_set *out, size_t limit,
                         struct plumb_error *e)
{
    *out = (struct question_set){0};
    *b = (struct question_builder){.set = out, .limit = limit, .group = {"all", 3}};
    out->arena = arena_create();
    b->group_numbers = hash_table_create(64);
    if (!out->arena || !b->group_numbers)
        return error_memory(e, "the questions");
    return PLUMB_OK;
}

/* Hashes the set as a chain over its items; on a failure, frees what there is. */
static int builder_end(struct question_builder *b, int status)
{
    struct question_set *s = b->set;
    if (b->group_numbers)
        hash_table_destroy(b->group_numbers);
    if (status) {
        questions_free(s);
        return status;
    }
    for (size_t i = 0; i < s->count; i++) {
        const struct question *q = &s->items[i];
        const char *group = s->groups[q->group];
        struct hash128 link[4] = {
            s->hash, q->hash, hash_bytes(group, strlen(group)), {(uint64_t)(int64_t)q->gold, 0}};
        s->hash = hash_bytes(link, sizeof link);
    }
    return PLUMB_OK;
}

int questions_parse(const char *bytes, size_t n, enum question_format format, const char *what,
                    size_t limit, struct question_set *out, struct plumb_error *e)
{
    struct question_builder b;
    int status = builder_start(&b, out, limit, e);
    b.what = what;
    if (!status)
        status = name_set(what, false, out, e);
    if (!status)
        status = parse_bytes(&b, bytes, n, format, e);
    return builder_end(&b, status);
}

int questions_read(const char *path, size_t limit, struct question_set *out, struct plumb_error *e)
{
    struct question_builder b;
    bool folder = file_is_folder(path);
    int status = builder_start(&b, out, limit, e);
    if (!status && !folder && !file_exists(path))
        status = error_system(e, ENOENT, "open", path);
    if (!status)
        status = name_set(path, folder, out, e);
    if (!status)
        status = folder ? parse_folder(&b, path, e) : parse_file(&b, path, e);
    return builder_end(&b, status);
}

void questions_free(struct question_set *s)
{
    if (!s)
        return;
    mem_free(s->items);
    mem_free(s->groups);
    if (s->arena)
        arena_destroy(s->arena);
    *s = (struct question_set){0};
}
