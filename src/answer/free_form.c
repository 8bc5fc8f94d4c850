/*
 * free_form.c - see free_form.h. One place checks what a question must be; the arena owns every string.
 */
#include "answer/free_form.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "base/file.h"
#include "base/json.h"
#include "base/memory.h"
#include "base/utf8.h"
#include "task/questions.h"

struct reader {
    struct free_form_set *set;
    const char *what;
    size_t line, limit, capacity;
    struct hash_table *seen; /* question hash -> line */
    struct plumb_error *e;
};

/* ---- one line ---------------------------------------------------------------------------------- */

static int wrong_kind(const struct reader *r, const char *field, struct json found,
                      const char *expected)
{
    if (json_kind(found) == JSON_ABSENT)
        return error_set(r->e, PLUMB_INPUT, "%s:%zu: field \"%s\" is missing, expected %s", r->what,
                         r->line, field, expected);
    return error_set(r->e, PLUMB_INPUT, "%s:%zu: field \"%s\": found %s, expected %s", r->what,
                     r->line, field, json_kind_name(json_kind(found)), expected);
}

/* JSON is UTF-8 already; a C string it must be, too. */
static int keep_text(const struct reader *r, const char *field, struct json v, const char **out)
{
    const char *s;
    size_t n;
    if (!json_string(v, &s, &n))
        return wrong_kind(r, field, v, "a string");
    if (memchr(s, 0, n))
        return error_set(r->e, PLUMB_INPUT,
                         "%s:%zu: %s holds a NUL character, expected text: remove it", r->what,
                         r->line, field);
    *out = arena_strndup(r->set->arena, s, n);
    return *out ? PLUMB_OK : error_memory(r->e, "the questions");
}

/* An optional string or integer; *out stays where there is none. */
static int keep_name(const struct reader *r, struct json object, const char *field,
                     const char **out)
{
    const struct json v = json_get(object, field);
    int64_t number;
    char digits[24];
    if (!json_exists(v))
        return PLUMB_OK;
    if (json_kind(v) != JSON_INTEGER || !json_integer(v, &number))
        return json_kind(v) == JSON_STRING ? keep_text(r, field, v, out)
                                           : wrong_kind(r, field, v, "a string or an integer");
    const int n = snprintf(digits, sizeof digits, "%lld", (long long)number);
    *out = arena_strndup(r->set->arena, digits, (size_t)n);
    return *out ? PLUMB_OK : error_memory(r->e, "the questions");
}

static bool is_blank(const char *s, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (s[i] != ' ' && s[i] != '\t' && s[i] != '\r' && s[i] != '\n')
            return false;
    return true;
}

static int keep_answers(const struct reader *r, const char *field, struct json v,
                        struct free_question *q)
{
    const struct json list = json_kind(v) == JSON_OBJECT ? json_get(v, "text") : v;
    const bool one = json_kind(list) == JSON_STRING;
    if (!one && json_kind(list) != JSON_ARRAY)
        return wrong_kind(r, field, list, "a string or an array of strings");
    const size_t n = one ? 1 : json_size(list);
    const char **answers = arena_alloc(r->set->arena, n, sizeof *answers);
    if (!answers)
        return error_memory(r->e, "the questions");
    q->answers = answers;
    if (one) {
        q->n_answers = 1;
        return keep_text(r, field, list, &answers[0]);
    }
    int status = PLUMB_OK;
    for (struct json_iterator i = json_each(list); json_next(&i) && status == PLUMB_OK;)
        status = keep_text(r, field, i.value, &answers[q->n_answers++]);
    return status;
}

static int grow(struct reader *r)
{
    struct free_form_set *s = r->set;
    if (s->count < r->capacity)
        return PLUMB_OK;
    const size_t capacity = r->capacity ? 2 * r->capacity : 256;
    struct free_question *items = mem_resize(s->items, capacity, sizeof *items);
    if (!items)
        return error_memory(r->e, "the questions");
    s->items = items;
    r->capacity = capacity;
    return PLUMB_OK;
}

/* A question is known by its hash: the same one twice could not be told apart in what is written. */
static int check_new(const struct reader *r, const struct free_question *q)
{
    struct hash128 *key = arena_alloc(r->set->arena, 1, sizeof *key);
    if (!key)
        return error_memory(r->e, "the questions");
    *key = q->hash;
    const int32_t before = hash_table_get(r->seen, (const char *)key, sizeof *key, -1);
    if (before >= 0)
        return error_set(r->e, PLUMB_INPUT,
                         "%s:%zu: the same question as in line %d: keep one of them", r->what,
                         r->line, before);
    return hash_table_put(r->seen, (const char *)key, sizeof *key, (int32_t)r->line) >= 0
               ? PLUMB_OK
               : error_memory(r->e, "the questions");
}

static int read_fields(const struct reader *r, struct json object, struct free_question *q)
{
    struct json answers = json_get(object, "answers");
    const char *field = "answers";
    char place[32];
    if (!json_exists(answers)) {
        answers = json_get(object, "answer");
        field = "answer";
    }
    int status = keep_text(r, "question", json_get(object, "question"), &q->text);
    if (status == PLUMB_OK && is_blank(q->text, strlen(q->text)))
        status = error_set(r->e, PLUMB_INPUT, "%s:%zu: question is empty, expected its text",
                           r->what, r->line);
    if (status == PLUMB_OK && json_exists(json_get(object, "choices")))
        status = error_set(r->e, PLUMB_INPUT,
                           "%s:%zu: field \"choices\": this line has options, the first has none: "
                           "keep the two kinds in two files",
                           r->what, r->line);
    if (status == PLUMB_OK && json_exists(json_get(object, "context")))
        status = keep_text(r, "context", json_get(object, "context"), &q->context);
    if (status == PLUMB_OK && json_exists(answers))
        status = keep_answers(r, field, answers, q);
    if (status == PLUMB_OK)
        status = keep_name(r, object, "group", &q->group);
    if (status == PLUMB_OK && !q->group)
        status = keep_name(r, object, "subject", &q->group);
    if (status == PLUMB_OK)
        status = keep_name(r, object, "id", &q->id);
    if (status != PLUMB_OK || q->id)
        return status;
    snprintf(place, sizeof place, ":%zu", r->line);
    const size_t n = strlen(r->what), m = strlen(place);
    char *made = arena_alloc(r->set->arena, n + m + 1, 1);
    if (!made)
        return error_memory(r->e, "the questions");
    memcpy(made, r->what, n);
    memcpy(made + n, place, m + 1);
    q->id = made;
    return PLUMB_OK;
}

static int read_line(struct reader *r, const char *bytes, size_t n)
{
    struct json_document *document;
    struct buffer place = BUFFER_EMPTY;
    buffer_printf(&place, "%s:%zu", r->what, r->line);
    int status = json_parse(bytes, n, buffer_string(&place), &document, r->e);
    buffer_free(&place);
    if (status != PLUMB_OK)
        return status;
    const struct json object = json_root(document);
    struct free_question q = {.text = "", .context = "", .gold = -1};
    if (json_kind(object) != JSON_OBJECT)
        status = error_set(r->e, PLUMB_INPUT, "%s:%zu: found %s, expected a JSON object a line",
                           r->what, r->line, json_kind_name(json_kind(object)));
    if (status == PLUMB_OK)
        status = read_fields(r, object, &q);
    if (status == PLUMB_OK) {
        q.hash = question_hash(q.context, q.text, NULL, 0);
        status = check_new(r, &q);
    }
    if (status == PLUMB_OK)
        status = grow(r);
    if (status == PLUMB_OK)
        r->set->items[r->set->count++] = q;
    json_close(document);
    return status;
}

/* ---- a file ------------------------------------------------------------------------------------ */

/* Each text is hashed apart and the hashes together, so that no text can run into the next. */
static int hash_set(struct free_form_set *s, struct plumb_error *e)
{
    struct hash_state *h = hash_create();
    if (!h)
        return error_memory(e, "the questions");
    for (size_t i = 0; i < s->count; i++) {
        const struct free_question *q = &s->items[i];
        hash_add(h, &q->hash, sizeof q->hash);
        hash_add(h, &q->n_answers, sizeof q->n_answers);
        for (int a = 0; a < q->n_answers; a++) {
            const struct hash128 one = hash_bytes(q->answers[a], strlen(q->answers[a]));
            hash_add(h, &one, sizeof one);
        }
    }
    s->hash = hash_finish(h);
    return PLUMB_OK;
}

static int name_set(struct free_form_set *s, const char *path, struct plumb_error *e)
{
    const char *base = file_base_name(path), *dot = strrchr(base, '.');
    s->name =
        arena_strndup(s->arena, base, dot && dot > base ? (size_t)(dot - base) : strlen(base));
    return s->name ? PLUMB_OK : error_memory(e, "the questions");
}

int free_form_parse(const char *bytes, size_t n, const char *what, size_t limit,
                    struct free_form_set *out, struct plumb_error *e)
{
    *out = (struct free_form_set){.arena = arena_create()};
    struct reader r = {.set = out, .what = what, .limit = limit, .e = e};
    r.seen = hash_table_create(256);
    int status = out->arena && r.seen ? name_set(out, what, e) : error_memory(e, "the questions");
    const char *end = bytes + n;
    for (const char *at = bytes; at < end && status == PLUMB_OK;) {
        const char *stop = memchr(at, '\n', (size_t)(end - at));
        const size_t length = (size_t)((stop ? stop : end) - at);
        r.line++;
        if (!is_blank(at, length))
            status = read_line(&r, at, length);
        at += length + (stop != NULL);
        if (limit && out->count == limit)
            break;
    }
    hash_table_destroy(r.seen);
    if (status == PLUMB_OK && out->count == 0)
        status = error_set(e, PLUMB_INPUT, "%s: holds no question, expected one a line", what);
    if (status == PLUMB_OK)
        status = hash_set(out, e);
    if (status != PLUMB_OK)
        free_form_free(out);
    return status;
}

/* A set with options, seen as questions that are answered in words. */
static int view_options(const char *path, size_t limit, struct free_form_set *out,
                        struct plumb_error *e)
{
    *out = (struct free_form_set){.arena = arena_create(), .has_options = true};
    struct question_set *s = mem_zalloc(1, sizeof *s);
    if (!out->arena || !s) {
        mem_free(s);
        free_form_free(out);
        return error_memory(e, "the questions");
    }
    int status = questions_read(path, limit, s, e);
    out->with_options = s;
    if (status == PLUMB_OK)
        out->items = mem_zalloc(s->count, sizeof *out->items);
    if (status == PLUMB_OK && !out->items)
        status = error_memory(e, "the questions");
    for (size_t i = 0; status == PLUMB_OK && i < s->count; i++) {
        const struct question *q = &s->items[i];
        out->items[i] = (struct free_question){.id = q->id,
                                               .context = q->context,
                                               .text = q->text,
                                               .options = q->options,
                                               .n_options = q->n_options,
                                               .gold = q->gold,
                                               .group = s->groups[q->group],
                                               .hash = q->hash};
        if (q->gold >= 0) { /* the option's text, so that a command may judge */
            out->items[i].answers = &q->options[q->gold];
            out->items[i].n_answers = 1;
        }
    }
    out->count = s->count;
    out->name = s->name;
    out->hash = s->hash;
    if (status != PLUMB_OK)
        free_form_free(out);
    return status;
}

/* Does the first line of a JSONL have "choices"? A bad line is told by the reader of free forms. */
static bool first_has_options(const struct file_map *file)
{
    const char *at = (const char *)file->data, *end = at + file->size;
    while (at < end) {
        const char *stop = memchr(at, '\n', (size_t)(end - at));
        const size_t n = (size_t)((stop ? stop : end) - at);
        if (!is_blank(at, n)) {
            struct json_document *d;
            struct plumb_error ignored = {0};
            if (json_parse(at, n, "", &d, &ignored) != PLUMB_OK)
                return false;
            const bool has = json_exists(json_get(json_root(d), "choices"));
            json_close(d);
            return has;
        }
        at += n + (stop != NULL);
    }
    return false;
}

static bool ends_with(const char *s, const char *ending)
{
    const size_t n = strlen(s), m = strlen(ending);
    return n >= m && strcasecmp(s + n - m, ending) == 0;
}

int free_form_read(const char *path, size_t limit, struct free_form_set *out, struct plumb_error *e)
{
    *out = (struct free_form_set){0};
    if (file_is_folder(path) || ends_with(path, ".csv"))
        return view_options(path, limit, out, e);
    struct file_map file;
    int status = file_map_open(path, &file, e);
    if (status != PLUMB_OK)
        return status;
    static const char mark[] = "\xEF\xBB\xBF"; /* some editors put it in front of UTF-8 */
    const size_t skip = file.size >= 3 && memcmp(file.data, mark, 3) == 0 ? 3 : 0;
    if (first_has_options(&file))
        status = view_options(path, limit, out, e);
    else
        status =
            free_form_parse((const char *)file.data + skip, file.size - skip, path, limit, out, e);
    file_map_close(&file);
    return status;
}

void free_form_free(struct free_form_set *s)
{
    mem_free(s->items);
    if (s->with_options) {
        questions_free(s->with_options);
        mem_free(s->with_options);
    }
    if (s->arena)
        arena_destroy(s->arena);
    *s = (struct free_form_set){0};
}
