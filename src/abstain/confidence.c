/*
 * confidence.c - see confidence.h.
 */
#include "abstain/confidence.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/file.h"
#include "base/json.h"
#include "base/memory.h"
#include "base/size.h"

static const char magic[] = "plumb_confidence";

/* ---- memory ---- */

int confidence_create(size_t n, int n_sources, struct confidence_file *out, struct plumb_error *e)
{
    *out = (struct confidence_file){0};
    if (n < 1 || n_sources < 1 || n_sources > CONFIDENCE_MOST_SOURCES)
        return error_set(e, PLUMB_INPUT,
                         "a confidence file of %zu questions and %d sources; expected at least one "
                         "question, and 1 to %d sources",
                         n, n_sources, (int)CONFIDENCE_MOST_SOURCES);
    struct arena *a = arena_create();
    if (!a)
        return error_memory(e, "the confidences");
    const size_t s = (size_t)n_sources;
    *out = (struct confidence_file){.n = n, .n_sources = n_sources, .arena = a};
    out->sources = arena_alloc(a, s, sizeof *out->sources);
    out->value = arena_alloc(a, s, sizeof *out->value);
    out->right = arena_alloc(a, n, sizeof *out->right);
    out->item = arena_alloc(a, n, sizeof *out->item);
    out->group = arena_alloc(a, n, sizeof *out->group);
    out->extra = arena_alloc(a, n, sizeof *out->extra);
    bool good = out->sources && out->value && out->right && out->item && out->group && out->extra;
    for (size_t i = 0; good && i < s; i++) {
        out->sources[i] = (struct confidence_source){.passes = (double)NAN};
        good = (out->value[i] = arena_alloc(a, n, sizeof(double))) != NULL;
        for (size_t j = 0; good && j < n; j++)
            out->value[i][j] = (double)NAN;
    }
    if (!good) {
        confidence_free(out);
        return error_memory(e, "the confidences");
    }
    memset(out->right, -1, n);
    memset(out->item, 0, n * sizeof *out->item);
    for (size_t i = 0; i < n; i++)
        out->group[i] = out->extra[i] = NULL;
    return PLUMB_OK;
}

void confidence_free(struct confidence_file *f)
{
    if (f->arena)
        arena_destroy(f->arena);
    *f = (struct confidence_file){0};
}

const char *confidence_keep(struct confidence_file *f, const char *s)
{
    return s ? arena_strndup(f->arena, s, strlen(s)) : NULL;
}

int confidence_find(const struct confidence_file *f, const char *name)
{
    for (int i = 0; i < f->n_sources; i++)
        if (strcmp(f->sources[i].name, name) == 0)
            return i;
    return -1;
}

/* Is this member of the source's details true? */
static bool details_say(const struct confidence_source *s, const char *member)
{
    struct json_document *d = NULL;
    struct plumb_error ignored;
    bool yes = false;
    if (!s->details ||
        json_parse(s->details, strlen(s->details), "details", &d, &ignored) != PLUMB_OK)
        return false;
    (void)json_bool(json_get(json_root(d), member), &yes);
    json_close(d);
    return yes;
}

bool confidence_is_cross_validated(const struct confidence_source *s)
{
    return details_say(s, "cross_validated");
}

bool confidence_uses_right_answers(const struct confidence_source *s)
{
    return details_say(s, "uses_right_answers");
}

const char *confidence_names(const struct confidence_file *f, char *out, size_t size)
{
    size_t at = 0;
    if (size)
        out[0] = '\0';
    for (int i = 0; i < f->n_sources && at < size; i++)
        at += (size_t)snprintf(out + at, size - at, "%s%s", i ? ", " : "", f->sources[i].name);
    return out;
}

/* ---- writing ---- */

static bool is_fit(const struct confidence_source *s, double v)
{
    return isnan(v) || (s->probability ? v >= 0 && v <= 1 : isfinite(v));
}

static int check_sources(const struct confidence_file *f, struct plumb_error *e)
{
    for (int s = 0; s < f->n_sources; s++) {
        const struct confidence_source *source = &f->sources[s];
        if (!source->name || !*source->name)
            return error_set(e, PLUMB_INPUT, "source %d of a confidence file has no name", s + 1);
        if (confidence_find(f, source->name) != s)
            return error_set(e, PLUMB_INPUT, "a confidence file names the source %s twice",
                             source->name);
        for (size_t i = 0; i < f->n; i++)
            if (!is_fit(source, f->value[s][i]))
                return error_set(e, PLUMB_INPUT,
                                 "question %zu: the confidence of %s is %g; expected %s", i + 1,
                                 source->name, f->value[s][i],
                                 source->probability ? "a number from 0 to 1" : "a finite number");
    }
    return PLUMB_OK;
}

/* The members of an object that was kept as text go on in the one that is being written. */
static int put_members(struct json_writer *w, const char *object, struct plumb_error *e)
{
    struct json_document *d = NULL;
    if (!object)
        return PLUMB_OK;
    const int status = json_parse(object, strlen(object), "further members", &d, e);
    if (status == PLUMB_OK)
        for (struct json_iterator i = json_each(json_root(d)); json_next(&i);) {
            json_write_key(w, i.key);
            json_write_value(w, i.value);
        }
    json_close(d);
    return status;
}

static int put_details(struct json_writer *w, const char *details, struct plumb_error *e)
{
    struct json_document *d = NULL;
    json_write_key(w, "details");
    if (!details) {
        json_write_null(w);
        return PLUMB_OK;
    }
    const int status = json_parse(details, strlen(details), "the details of a source", &d, e);
    if (status == PLUMB_OK)
        json_write_value(w, json_root(d));
    json_close(d);
    return status;
}

static int put_header(struct json_writer *w, const struct confidence_file *f, struct plumb_error *e)
{
    int status = PLUMB_OK;
    json_write_object(w);
    json_write_key(w, magic);
    json_write_integer(w, CONFIDENCE_VERSION);
    json_write_member_string(w, "model", f->model);
    json_write_member_string(w, "model_name", f->model_name);
    json_write_member_string(w, "task", f->task);
    json_write_member_string(w, "task_name", f->task_name);
    json_write_key(w, "items");
    json_write_integer(w, (int64_t)f->n);
    json_write_member_string(w, "judged", f->judged);
    json_write_key(w, "sources");
    json_write_array(w);
    for (int s = 0; status == PLUMB_OK && s < f->n_sources; s++) {
        json_write_object(w);
        json_write_member_string(w, "name", f->sources[s].name);
        json_write_member_string(w, "words", f->sources[s].words);
        json_write_key(w, "passes");
        json_write_double(w, f->sources[s].passes);
        json_write_key(w, "probability");
        json_write_bool(w, f->sources[s].probability);
        status = put_details(w, f->sources[s].details, e);
        json_write_end(w, '}');
    }
    json_write_end(w, ']');
    if (status == PLUMB_OK)
        status = put_members(w, f->header_extra, e);
    json_write_end(w, '}');
    return status;
}

static int put_question(struct json_writer *w, const struct confidence_file *f, size_t i,
                        struct plumb_error *e)
{
    char hash[33];
    json_write_object(w);
    hash_hex(f->item[i], hash);
    json_write_member_string(w, "item", hash);
    json_write_member_string(w, "group", f->group[i]);
    json_write_key(w, "right");
    if (f->right[i] < 0)
        json_write_null(w);
    else
        json_write_bool(w, f->right[i] == 1);
    json_write_key(w, "confidence");
    json_write_object(w);
    for (int s = 0; s < f->n_sources; s++) {
        json_write_key(w, f->sources[s].name);
        json_write_double(w, f->value[s][i]);
    }
    json_write_end(w, '}');
    const int status = put_members(w, f->extra[i], e);
    json_write_end(w, '}');
    return status;
}

int confidence_write(const struct confidence_file *f, const char *path, struct plumb_error *e)
{
    struct file_writer file;
    struct buffer line = BUFFER_EMPTY;
    int status = check_sources(f, e);
    if (status == PLUMB_OK)
        status = file_writer_open(path, &file, e);
    if (status != PLUMB_OK)
        return status;
    for (size_t i = 0; status == PLUMB_OK && i <= f->n; i++) { /* the header, then the questions */
        struct json_writer w = json_writer_start(&line, 0);
        buffer_clear(&line);
        status = i ? put_question(&w, f, i - 1, e) : put_header(&w, f, e);
        buffer_putc(&line, '\n');
        if (status == PLUMB_OK && line.failed)
            status = error_memory(e, "the confidences");
        if (status == PLUMB_OK)
            fwrite(line.data, 1, line.size, file.stream); /* a failure is told by commit */
    }
    buffer_free(&line);
    if (status != PLUMB_OK) {
        file_writer_abandon(&file);
        return status;
    }
    return file_writer_commit(&file, e);
}

/* ---- reading ---- */

struct reader {
    const char *what; /* the file */
    size_t line;      /* from 1 */
    struct confidence_file *out;
    struct plumb_error *e;
};

static int wrong_kind(const struct reader *r, const char *member, struct json found,
                      const char *expected)
{
    return error_set(r->e, PLUMB_INPUT, "%s:%zu: \"%s\": found %s, expected %s", r->what, r->line,
                     member, json_kind_name(json_kind(found)), expected);
}

static int no_memory(const struct reader *r)
{
    return error_memory(r->e, "the confidences");
}

/* A string, or null for null and for nothing. A zero byte would end it early, so it is refused. */
static int read_text(const struct reader *r, struct json object, const char *member,
                     const char **out)
{
    const struct json v = json_get(object, member);
    const char *s;
    size_t n;
    *out = NULL;
    if (!json_exists(v))
        return PLUMB_OK;
    if (!json_string(v, &s, &n) || memchr(s, '\0', n))
        return wrong_kind(r, member, v, "a text, or null");
    *out = arena_strndup(r->out->arena, s, n);
    return *out ? PLUMB_OK : no_memory(r);
}

/* What is written of a value, in the file's memory. */
static const char *keep_json(const struct reader *r, const struct buffer *text)
{
    return text->failed ? NULL : arena_strndup(r->out->arena, text->data, text->size);
}

/* The members of `object` that are not among `known` (ends with null), as an object of their own; null where there are none. */
static int read_extra(const struct reader *r, struct json object, const char *const *known,
                      const char **out)
{
    struct buffer text = BUFFER_EMPTY;
    struct json_writer w = json_writer_start(&text, 0);
    bool any = false;
    *out = NULL;
    json_write_object(&w);
    for (struct json_iterator i = json_each(object); json_next(&i);) {
        int k = 0;
        if (strlen(i.key) != i.key_size) {
            buffer_free(&text);
            return error_set(r->e, PLUMB_INPUT, "%s:%zu: the name of a member holds a zero byte",
                             r->what, r->line);
        }
        while (known[k] && strcmp(known[k], i.key) != 0)
            k++;
        if (known[k])
            continue;
        any = true;
        json_write_key(&w, i.key);
        json_write_value(&w, i.value);
    }
    json_write_end(&w, '}');
    const int status = any && !(*out = keep_json(r, &text)) ? no_memory(r) : PLUMB_OK;
    buffer_free(&text);
    return status;
}

static int read_details(const struct reader *r, struct json v, const char **out)
{
    struct buffer text = BUFFER_EMPTY;
    struct json_writer w = json_writer_start(&text, 0);
    *out = NULL;
    if (!json_exists(v))
        return PLUMB_OK;
    if (json_kind(v) != JSON_OBJECT)
        return wrong_kind(r, "details", v, "an object, or null");
    json_write_value(&w, v);
    const int status = (*out = keep_json(r, &text)) ? PLUMB_OK : no_memory(r);
    buffer_free(&text);
    return status;
}

static int read_source(const struct reader *r, struct json v, int at)
{
    struct confidence_source *s = &r->out->sources[at];
    const struct json passes = json_get(v, "passes"), probability = json_get(v, "probability");
    if (json_kind(v) != JSON_OBJECT)
        return wrong_kind(r, "sources", v, "objects that name a source each");
    int status = read_text(r, v, "name", &s->name);
    if (status == PLUMB_OK)
        status = read_text(r, v, "words", &s->words);
    if (status == PLUMB_OK)
        status = read_details(r, json_get(v, "details"), &s->details);
    if (status != PLUMB_OK)
        return status;
    if (!s->name || !*s->name)
        return error_set(r->e, PLUMB_INPUT, "%s:%zu: source %d has no name", r->what, r->line,
                         at + 1);
    for (int before = 0; before < at; before++)
        if (strcmp(r->out->sources[before].name, s->name) == 0)
            return error_set(r->e, PLUMB_INPUT, "%s:%zu: the source %s is named twice", r->what,
                             r->line, s->name);
    if (json_exists(passes) && (!json_number(passes, &s->passes) || !(s->passes >= 0)))
        return wrong_kind(r, "passes", passes, "a number of forward passes, or null");
    if (!json_bool(probability, &s->probability))
        return wrong_kind(r, "probability", probability, "true or false");
    return PLUMB_OK;
}

/* `most`: questions that the rest of the file can hold. */
static int check_header(const struct reader *r, struct json header, size_t most, int64_t *items,
                        int *sources)
{
    const struct json list = json_get(header, "sources"), n = json_get(header, "items");
    int64_t version = 0;
    if (!json_integer(json_get(header, magic), &version))
        return error_set(r->e, PLUMB_INPUT,
                         "%s:%zu: found no \"%s\"; expected the header of a confidence file",
                         r->what, r->line, magic);
    if (version != CONFIDENCE_VERSION)
        return error_set(r->e, PLUMB_INPUT,
                         "%s:%zu: a confidence file of version %lld; this program reads %d",
                         r->what, r->line, (long long)version, (int)CONFIDENCE_VERSION);
    if (json_kind(list) != JSON_ARRAY || json_size(list) < 1 ||
        json_size(list) > CONFIDENCE_MOST_SOURCES)
        return error_set(r->e, PLUMB_INPUT,
                         "%s:%zu: \"sources\": found %s of %zu, expected an array of 1 to %d",
                         r->what, r->line, json_kind_name(json_kind(list)), json_size(list),
                         (int)CONFIDENCE_MOST_SOURCES);
    if (json_kind(n) != JSON_INTEGER || !json_integer(n, items) || *items < 1)
        return wrong_kind(r, "items", n, "the number of questions, at least 1");
    if ((uint64_t)*items > most)
        return error_set(r->e, PLUMB_INPUT,
                         "%s:%zu: \"items\" says %lld questions, but the file has at most %zu more "
                         "lines: it was cut short",
                         r->what, r->line, (long long)*items, most);
    *sources = (int)json_size(list);
    return PLUMB_OK;
}

static int read_header(const struct reader *r, struct json header, size_t most)
{
    static const char *const known[] = {magic,   "model",  "model_name", "task", "task_name",
                                        "items", "judged", "sources",    NULL};
    struct confidence_file *f = r->out;
    int64_t items = 0;
    int sources = 0;
    int status = check_header(r, header, most, &items, &sources);
    if (status == PLUMB_OK)
        status = confidence_create((size_t)items, sources, f, r->e);
    if (status == PLUMB_OK)
        status = read_text(r, header, "model", &f->model);
    if (status == PLUMB_OK)
        status = read_text(r, header, "model_name", &f->model_name);
    if (status == PLUMB_OK)
        status = read_text(r, header, "task", &f->task);
    if (status == PLUMB_OK)
        status = read_text(r, header, "task_name", &f->task_name);
    if (status == PLUMB_OK)
        status = read_text(r, header, "judged", &f->judged);
    if (status == PLUMB_OK)
        status = read_extra(r, header, known, &f->header_extra);
    struct json_iterator i = json_each(json_get(header, "sources"));
    while (status == PLUMB_OK && json_next(&i))
        status = read_source(r, i.value, (int)i.index);
    return status;
}

/* The inverse of hash_hex: the high half first. */
static bool read_hash(const char *s, size_t n, struct hash128 *out)
{
    uint64_t half[2] = {0};
    if (n != 32)
        return false;
    for (size_t i = 0; i < n; i++) {
        const char c = s[i];
        const int digit = c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
        if (digit < 0)
            return false;
        half[i / 16] = half[i / 16] << 4 | (uint64_t)digit;
    }
    *out = (struct hash128){.low = half[1], .high = half[0]};
    return true;
}

static int read_value(const struct reader *r, const char *name, size_t size, struct json v,
                      size_t at)
{
    char names[160];
    double c = (double)NAN;
    const int s = strlen(name) == size ? confidence_find(r->out, name) : -1;
    if (s < 0)
        return error_set(r->e, PLUMB_INPUT,
                         "%s:%zu: a confidence of \"%.60s\", which the header does not name; it "
                         "names %s",
                         r->what, r->line, name, confidence_names(r->out, names, sizeof names));
    if (json_kind(v) != JSON_NULL && !json_number(v, &c))
        return wrong_kind(r, name, v, "a number, or null where it is missing");
    if (!is_fit(&r->out->sources[s], c))
        return error_set(
            r->e, PLUMB_INPUT, "%s:%zu: \"%.60s\": found %g, expected %s", r->what, r->line, name,
            c, r->out->sources[s].probability ? "a probability from 0 to 1" : "a finite number");
    r->out->value[s][at] = c;
    return PLUMB_OK;
}

/* Neighbours of one group share its name. */
static int read_group(const struct reader *r, struct json question, size_t at)
{
    const char **group = r->out->group, *s;
    size_t n;
    if (at > 0 && group[at - 1] && json_string(json_get(question, "group"), &s, &n) &&
        strlen(group[at - 1]) == n && memcmp(group[at - 1], s, n) == 0) {
        group[at] = group[at - 1];
        return PLUMB_OK;
    }
    return read_text(r, question, "group", &group[at]);
}

static int read_question(const struct reader *r, struct json question, size_t at)
{
    static const char *const known[] = {"item", "group", "right", "confidence", NULL};
    const struct json right = json_get(question, "right"), item = json_get(question, "item"),
                      values = json_get(question, "confidence");
    const char *s = "";
    size_t n = 0;
    bool is_right = false;
    if (at >= r->out->n)
        return error_set(r->e, PLUMB_INPUT,
                         "%s:%zu: one more question than the %zu that \"items\" in line 1 says",
                         r->what, r->line, r->out->n);
    if (!json_string(item, &s, &n) || !read_hash(s, n, &r->out->item[at]))
        return error_set(r->e, PLUMB_INPUT,
                         "%s:%zu: \"item\": found %s, expected the question's hash of 32 "
                         "hexadecimal digits",
                         r->what, r->line, n ? "another text" : json_kind_name(json_kind(item)));
    if (json_exists(right) && !json_bool(right, &is_right))
        return wrong_kind(r, "right", right, "true, false, or null where unknown");
    r->out->right[at] = (int8_t)(json_exists(right) ? is_right : -1);
    if (json_kind(values) != JSON_OBJECT)
        return wrong_kind(r, "confidence", values, "an object of numbers");
    int status = read_group(r, question, at);
    if (status == PLUMB_OK)
        status = read_extra(r, question, known, &r->out->extra[at]);
    struct json_iterator i = json_each(values);
    while (status == PLUMB_OK && json_next(&i))
        status = read_value(r, i.key, i.key_size, i.value, at);
    return status;
}

static bool is_blank(const char *s, size_t n)
{
    size_t i = 0;
    while (i < n && (s[i] == ' ' || s[i] == '\t' || s[i] == '\r'))
        i++;
    return i == n;
}

static size_t count_lines(const char *s, size_t n)
{
    size_t lines = 0;
    for (size_t i = 0; i < n; i++)
        lines += s[i] == '\n';
    return lines;
}

static int read_line(const struct reader *r, const char *s, size_t n, size_t at, size_t rest)
{
    char where[512];
    struct json_document *d = NULL;
    snprintf(where, sizeof where, "%s:%zu", r->what, r->line);
    int status = json_parse(s, n, where, &d, r->e);
    if (status != PLUMB_OK)
        return status;
    const struct json object = json_root(d);
    if (json_kind(object) != JSON_OBJECT)
        status = error_set(r->e, PLUMB_INPUT, "%s: found %s, expected one JSON object a line",
                           where, json_kind_name(json_kind(object)));
    else
        status = at ? read_question(r, object, at - 1) : read_header(r, object, rest);
    json_close(d);
    return status;
}

int confidence_parse(const char *bytes, size_t n, const char *what, struct confidence_file *out,
                     struct plumb_error *e)
{
    struct reader r = {.what = what, .out = out, .e = e};
    const char *const end = bytes + n;
    size_t at = 0; /* lines that hold something */
    int status = PLUMB_OK;
    *out = (struct confidence_file){0};
    for (const char *s = bytes; status == PLUMB_OK && s < end;) {
        const char *stop = memchr(s, '\n', (size_t)(end - s));
        const char *next = stop ? stop + 1 : end;
        const size_t size = (size_t)((stop ? stop : end) - s);
        r.line++;
        if (!is_blank(s, size)) {
            const size_t rest = at ? 0 : count_lines(next, (size_t)(end - next)) + 1;
            status = read_line(&r, s, size, at++, rest);
        }
        s = next;
    }
    if (status == PLUMB_OK && at == 0)
        status = error_set(e, PLUMB_INPUT, "%s: it is empty; expected a confidence file", what);
    if (status == PLUMB_OK && at - 1 != out->n)
        status = error_set(e, PLUMB_INPUT,
                           "%s:%zu: the file ends after %zu questions; \"items\" in line 1 says "
                           "%zu: it was cut short",
                           what, r.line, at - 1, out->n);
    if (status != PLUMB_OK)
        confidence_free(out);
    return status;
}

int confidence_read(const char *path, struct confidence_file *out, struct plumb_error *e)
{
    struct file_map map;
    *out = (struct confidence_file){0};
    int status = file_map_open(path, &map, e);
    if (status != PLUMB_OK)
        return status;
    status = confidence_parse((const char *)map.data, map.size, path, out, e);
    file_map_close(&map);
    return status;
}

bool confidence_is_file(const char *path)
{
    struct file_map map;
    struct plumb_error ignored;
    if (file_is_folder(path) || file_map_open(path, &map, &ignored) != PLUMB_OK)
        return false;
    /* {"plumb_confidence": the first member of the first line, with any blanks between */
    const char *s = (const char *)map.data, *end = s + map.size;
    while (s < end && (*s == ' ' || *s == '\n' || *s == '\r' || *s == '\t' || *s == '{'))
        s++;
    const bool yes = (size_t)(end - s) > sizeof magic && *s == '"' &&
                     memcmp(s + 1, magic, sizeof magic - 1) == 0 && s[sizeof magic] == '"';
    file_map_close(&map);
    return yes;
}
