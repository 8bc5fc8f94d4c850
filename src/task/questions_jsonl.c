/*
 * questions_jsonl.c - one JSON object a line.
 *
 *   question  string, required
 *   choices   [string, ...], or ARC's {"text": [string, ...], "label": [string, ...]}, 2 to 26
 *   gold      index from 0, letter, label, or an option's own text; synonyms: answer, answerKey,
 * label; null, "" or -1: unknown id        string or integer;  group, or else subject: string or
 * integer;  context: string
 *
 * Other fields are ignored. Knows nothing of prompts; the rules about texts and counts are in
 * questions.c.
 */
#include <stdio.h>
#include <string.h>

#include "base/json.h"
#include "base/memory.h"
#include "task/questions_build.h"

/* Where a line stands, for errors, and the little memory that integers need to become texts. */
struct line {
    const char *what;
    size_t number;
    char id[24], group[24];
    struct text labels[QUESTION_MAX_OPTIONS];
    bool has_labels;
};

static int wrong_kind(const struct line *l, const char *field, struct json found,
                      const char *expected, struct plumb_error *e)
{
    if (json_kind(found) == JSON_ABSENT)
        return error_set(e, PLUMB_INPUT, "%s:%zu: field \"%s\" is missing, expected %s", l->what,
                         l->number, field, expected);
    return error_set(e, PLUMB_INPUT, "%s:%zu: field \"%s\": found %s, expected %s", l->what,
                     l->number, field, json_kind_name(json_kind(found)), expected);
}

/* An optional string or integer. `digits` keeps the integer's text. */
static int read_name(const struct line *l, struct json object, const char *field, char digits[24],
                     struct text *out, struct plumb_error *e)
{
    struct json v = json_get(object, field);
    int64_t number;
    if (!json_exists(v) || json_string(v, &out->s, &out->n))
        return PLUMB_OK;
    if (json_kind(v) != JSON_INTEGER || !json_integer(v, &number))
        return wrong_kind(l, field, v, "a string or an integer", e);
    out->s = digits;
    out->n = (size_t)snprintf(digits, 24, "%lld", (long long)number);
    return PLUMB_OK;
}

static int read_texts(const struct line *l, const char *field, struct json array, struct text *out,
                      int *count, struct plumb_error *e)
{
    size_t n = json_size(array);
    if (json_kind(array) != JSON_ARRAY)
        return wrong_kind(l, field, array, "an array of strings", e);
    if (n < 2 || n > QUESTION_MAX_OPTIONS)
        return error_set(e, PLUMB_INPUT,
                         "%s:%zu: field \"%s\": found %zu options, expected 2 to %d", l->what,
                         l->number, field, n, (int)QUESTION_MAX_OPTIONS);
    *count = 0;
    for (struct json_iterator i = json_each(array); json_next(&i);) {
        struct text *t = &out[*count];
        if (!json_string(i.value, &t->s, &t->n))
            return error_set(e, PLUMB_INPUT,
                             "%s:%zu: field \"%s\": element %d is %s, expected a string", l->what,
                             l->number, field, *count, json_kind_name(json_kind(i.value)));
        ++*count;
    }
    return PLUMB_OK;
}

static bool same_text(struct text a, struct text b)
{
    return a.n == b.n && (!a.n || !memcmp(a.s, b.s, a.n));
}

static int read_choices(struct line *l, struct json object, struct question_draft *d,
                        struct plumb_error *e)
{
    struct json v = json_get(object, "choices");
    int n_labels = 0, status;
    if (json_kind(v) == JSON_ARRAY)
        return read_texts(l, "choices", v, d->options, &d->n_options, e);
    if (json_kind(v) != JSON_OBJECT)
        return wrong_kind(l, "choices", v, "an array of 2 to 26 strings", e);
    if ((status =
             read_texts(l, "choices.text", json_get(v, "text"), d->options, &d->n_options, e)) ||
        (status = read_texts(l, "choices.label", json_get(v, "label"), l->labels, &n_labels, e)))
        return status;
    if (n_labels != d->n_options)
        return error_set(e, PLUMB_INPUT, "%s:%zu: field \"choices\": %d texts but %d labels",
                         l->what, l->number, d->n_options, n_labels);
    for (int i = 0; i < n_labels; i++)
        for (int j = 0; j < i; j++)
            if (same_text(l->labels[i], l->labels[j]))
                return error_set(e, PLUMB_INPUT,
                                 "%s:%zu: field \"choices.label\": labels %d and %d are the same",
                                 l->what, l->number, j, i);
    l->has_labels = true;
    return PLUMB_OK;
}

/* The one text of `among` that equals t; -1 for none or several. */
static int find_text(struct text t, const struct text *among, int n)
{
    int found = -1;
    for (int i = 0; i < n; i++)
        if (same_text(t, among[i])) {
            if (found >= 0)
                return -1;
            found = i;
        }
    return found;
}

static bool labels_are_numbers(const struct line *l, int n)
{
    for (int i = 0; i < n; i++)
        if (!l->labels[i].n || strspn(l->labels[i].s, "0123456789") != l->labels[i].n)
            return false;
    return l->has_labels;
}

/* The option that one field names: index, label, letter or text, -1 when it says "unknown". A label
   or a letter comes before an option's text; a number in quotes could count from 0 or from 1 and is
   refused unless it is a label. */
static int read_answer(const struct line *l, const char *field, struct json v,
                       const struct question_draft *d, int *out, struct plumb_error *e)
{
    int64_t index;
    struct text t = {0};
    *out = -1;
    if (json_kind(v) == JSON_INTEGER && json_integer(v, &index)) {
        if (strcmp(field, "gold") != 0 && labels_are_numbers(l, d->n_options))
            return error_set(e, PLUMB_INPUT,
                             "%s:%zu: field \"%s\": %lld may be an index or a label: write the "
                             "label in quotes, or the index (from 0) as \"gold\"",
                             l->what, l->number, field, (long long)index);
        if (index < -1 || index >= d->n_options)
            return error_set(e, PLUMB_INPUT,
                             "%s:%zu: field \"%s\": found index %lld, expected 0 to %d (or -1 for "
                             "unknown)",
                             l->what, l->number, field, (long long)index, d->n_options - 1);
        *out = (int)index;
        return PLUMB_OK;
    }
    if (!json_string(v, &t.s, &t.n))
        return wrong_kind(l, field, v, "an index, a letter or a label", e);
    if (!t.n)
        return PLUMB_OK;
    if (l->has_labels && (*out = find_text(t, l->labels, d->n_options)) >= 0)
        return PLUMB_OK;
    if (!l->has_labels && (*out = question_letter_index(t.s, t.n)) >= 0 && *out < d->n_options)
        return PLUMB_OK;
    bool digits = strspn(t.s, "0123456789") == t.n;
    *out = *out >= 0 || digits ? -1 : find_text(t, d->options, d->n_options);
    if (*out >= 0)
        return PLUMB_OK;
    return error_set(
        e, PLUMB_INPUT,
        "%s:%zu: field \"%s\": found \"%.*s\", expected an index from 0 to %d (without "
        "quotes), %s",
        l->what, l->number, field, t.n < 40 ? (int)t.n : 40, t.s, d->n_options - 1,
        l->has_labels ? "or one of the labels" : "or a letter from A on");
}

/* The gold option under whichever of its names stands there. Where several do, they must agree. */
static int read_gold(const struct line *l, struct json object, struct question_draft *d,
                     struct plumb_error *e)
{
    static const char *const names[] = {"gold", "answer", "answerKey", "label"};
    const char *from = NULL;
    d->gold = -1;
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        struct json v = json_get(object, names[i]);
        int answer, status;
        if (!json_exists(v))
            continue;
        if ((status = read_answer(l, names[i], v, d, &answer, e)))
            return status;
        if (from && answer != d->gold)
            return error_set(e, PLUMB_INPUT,
                             "%s:%zu: fields \"%s\" and \"%s\" name different options (%d and %d): "
                             "keep one",
                             l->what, l->number, from, names[i], d->gold, answer);
        d->gold = answer;
        from = names[i];
    }
    return PLUMB_OK;
}

static int read_line(struct question_builder *b, struct line *l, struct json object,
                     struct plumb_error *e)
{
    struct question_draft d = {.gold = -1};
    int status;
    if (json_kind(object) != JSON_OBJECT)
        return error_set(e, PLUMB_INPUT, "%s:%zu: found %s, expected a JSON object a line", l->what,
                         l->number, json_kind_name(json_kind(object)));
    struct json question = json_get(object, "question"), context = json_get(object, "context");
    if (!json_string(question, &d.question.s, &d.question.n))
        return wrong_kind(l, "question", question, "a string", e);
    if (json_exists(context) && !json_string(context, &d.context.s, &d.context.n))
        return wrong_kind(l, "context", context, "a string", e);
    if ((status = read_name(l, object, "id", l->id, &d.id, e)) ||
        (status = read_name(l, object, "group", l->group, &d.group, e)) ||
        (!d.group.n && (status = read_name(l, object, "subject", l->group, &d.group, e))) ||
        (status = read_choices(l, object, &d, e)) || (status = read_gold(l, object, &d, e)))
        return status;
    return question_builder_add(b, l->number, &d, e);
}

static bool is_blank(const char *s, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (s[i] != ' ' && s[i] != '\t' && s[i] != '\r')
            return false;
    return true;
}

int questions_jsonl(struct question_builder *b, const char *bytes, size_t n, struct plumb_error *e)
{
    const char *end = bytes + n;
    struct buffer place = BUFFER_EMPTY;
    int status = PLUMB_OK;
    size_t number = 1;
    for (const char *at = bytes; at < end && !status && !question_builder_full(b); number++) {
        const char *stop = memchr(at, '\n', (size_t)(end - at));
        size_t length = (size_t)((stop ? stop : end) - at);
        if (!is_blank(at, length)) {
            struct line l = {.what = b->what, .number = number};
            struct json_document *document = NULL;
            buffer_clear(&place);
            buffer_printf(&place, "%s:%zu", b->what, number);
            status = json_parse(at, length, buffer_string(&place), &document, e);
            if (!status)
                status = read_line(b, &l, json_root(document), e);
            json_close(document);
        }
        at += length + 1;
    }
    buffer_free(&place);
    return status;
}
