/*
 * scores_jsonl.c - one JSON object a line: plain rows, or samples of lm-evaluation-harness (scores_lm_eval.c).
 *
 *   logits | logprobs   [number, ...] option scores; log-probabilities are logits
 *   probs               [number, ...] over the options, together 1
 *   conf | confidence   number from 0 to 1
 *   gold | label        index from 0, or letter; null or nothing: unknown
 *   correct             true or false, 1 or 0; with conf only
 *   group | subject     string or integer
 *   id                  string or integer; or question and choices, of which the row's hash is then
 *
 * One of the first three. null among the numbers is NaN, and so are the bare NaN and Infinity that Python writes. Other
 * fields are ignored.
 */
#include <ctype.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/json.h"
#include "base/memory.h"
#include "base/number.h"
#include "task/questions.h"
#include "trace/scores_build.h"

struct line {
    const char *what;
    size_t number;
    struct json object;
    char group[24], id[24]; /* the digits of integers */
    struct plumb_error *e;
};

static int wrong_kind(const struct line *l, const char *field, struct json found,
                      const char *expected)
{
    return error_set(l->e, PLUMB_INPUT, "%s:%zu: field \"%s\": found %s, expected %s", l->what,
                     l->number, field, json_kind_name(json_kind(found)), expected);
}

/* The first of two names that is there. */
static struct json either(const struct line *l, const char *a, const char *b, const char **name)
{
    const struct json v = json_get(l->object, a);
    *name = json_kind(v) != JSON_ABSENT ? a : b;
    return json_kind(v) != JSON_ABSENT ? v : json_get(l->object, b);
}

static int read_name(const struct line *l, const char *a, const char *b, char digits[24],
                     struct span *out)
{
    const char *name;
    const struct json v = either(l, a, b, &name);
    int64_t number;
    *out = (struct span){0};
    if (!json_exists(v) || json_string(v, &out->s, &out->n))
        return PLUMB_OK;
    if (json_kind(v) != JSON_INTEGER || !json_integer(v, &number))
        return wrong_kind(l, name, v, "a string or an integer");
    *out = (struct span){digits, (size_t)snprintf(digits, 24, "%lld", (long long)number)};
    return PLUMB_OK;
}

/* A number; null, or the text of one (see quote_specials), for what JSON cannot write. */
static bool read_value(struct json v, double *out)
{
    const char *s;
    size_t n;
    if (json_number(v, out))
        return true;
    *out = (double)NAN;
    return json_kind(v) == JSON_NULL || (json_string(v, &s, &n) && number_read(s, n, out));
}

static int read_scores(const struct line *l, const char *field, struct json array,
                       enum scores_kind kind, double *values, int *n)
{
    if (json_kind(array) != JSON_ARRAY)
        return wrong_kind(l, field, array, "an array of numbers");
    const size_t size = json_size(array);
    if (size < 2 || size > SCORES_MAX_OPTIONS)
        return error_set(l->e, PLUMB_INPUT,
                         "%s:%zu: field \"%s\": found %zu number%s, expected 2 to %d", l->what,
                         l->number, field, size, size == 1 ? "" : "s", (int)SCORES_MAX_OPTIONS);
    *n = 0;
    for (struct json_iterator i = json_each(array); json_next(&i);) {
        double *v = &values[(*n)++];
        if (!read_value(i.value, v))
            return error_set(l->e, PLUMB_INPUT,
                             "%s:%zu: field \"%s\": element %zu is %s, expected a number", l->what,
                             l->number, field, i.index, json_kind_name(json_kind(i.value)));
        if (kind == SCORES_PROBABILITIES && !scores_is_probability(*v))
            return error_set(l->e, PLUMB_INPUT,
                             "%s:%zu: field \"%s\": element %zu: found %.6g, expected a "
                             "probability from 0 to 1",
                             l->what, l->number, field, i.index, *v);
    }
    return PLUMB_OK;
}

static int read_label(const struct line *l, int n_options, int *out)
{
    const char *name, *s;
    size_t n;
    int64_t number = -2;
    const struct json v = either(l, "gold", "label", &name);
    *out = -1;
    if (!json_exists(v))
        return PLUMB_OK;
    if (json_string(v, &s, &n)) {
        if (!n)
            return PLUMB_OK;
        if (n == 1 && isalpha((unsigned char)*s))
            number = toupper((unsigned char)*s) - 'A';
    } else if (json_kind(v) != JSON_INTEGER || !json_integer(v, &number)) {
        return wrong_kind(l, name, v, "an option's number or letter");
    }
    if (number < -1 || number >= n_options)
        return error_set(l->e, PLUMB_INPUT,
                         "%s:%zu: field \"%s\": not one of the %d options, expected 0 to %d or "
                         "a letter",
                         l->what, l->number, name, n_options, n_options - 1);
    *out = (int)number;
    return PLUMB_OK;
}

static int read_correct(const struct line *l, int *out)
{
    const struct json v = json_get(l->object, "correct");
    bool right;
    double number;
    *out = -1;
    if (json_kind(v) == JSON_ABSENT)
        return error_set(l->e, PLUMB_INPUT,
                         "%s:%zu: \"conf\" without \"correct\", expected true or false beside it",
                         l->what, l->number);
    if (json_kind(v) == JSON_NULL)
        return PLUMB_OK;
    if (json_bool(v, &right))
        *out = right;
    else if (json_number(v, &number) && (number == 0 || number == 1))
        *out = (int)number;
    else
        return wrong_kind(l, "correct", v, "true or false, 1 or 0, or null");
    return PLUMB_OK;
}

static int read_confidence(const struct line *l, const char *field, struct json v, double *out,
                           int *correct)
{
    if (!read_value(v, out))
        return wrong_kind(l, field, v, "a number from 0 to 1");
    if (!scores_is_probability(*out))
        return error_set(l->e, PLUMB_INPUT,
                         "%s:%zu: field \"%s\": found %.6g, expected a confidence from 0 to 1 (not "
                         "a percentage)",
                         l->what, l->number, field, *out);
    return read_correct(l, correct);
}

bool scores_question_hash(struct json object, struct hash128 *out)
{
    const char *context = "", *text, *options[QUESTION_MAX_OPTIONS];
    struct json question = json_get(object, "question"), choices = json_get(object, "choices");
    size_t n;
    int count = 0;
    if (json_kind(question) == JSON_ABSENT)
        question = json_get(object, "query"); /* HellaSwag's name */
    if (json_kind(choices) == JSON_OBJECT)
        choices = json_get(choices, "text"); /* ARC's layout */
    json_string(json_get(object, "context"), &context, &n);
    if (!json_string(question, &text, &n) || json_kind(choices) != JSON_ARRAY ||
        json_size(choices) < 2 || json_size(choices) > QUESTION_MAX_OPTIONS)
        return false;
    for (struct json_iterator i = json_each(choices); json_next(&i);)
        if (!json_string(i.value, &options[count++], &n))
            return false;
    *out = question_hash(context, text, options, count);
    return true;
}

/* Of the question's own texts where the row has them, else of its id, else of its place. */
static void hash_row(const struct line *l, struct span group, struct span id, size_t place,
                     struct scores_row *row, bool *of_texts)
{
    *of_texts = scores_question_hash(l->object, &row->hash);
    if (!*of_texts)
        row->hash = id.n ? scores_hash_id(group, id) : scores_hash_place(place);
}

static int read_row(struct line *l, double *values, enum scores_kind *kind, struct scores_row *row,
                    size_t place, bool *of_texts)
{
    const char *field;
    struct span id;
    struct json v;
    int status = read_name(l, "group", "subject", l->group, &row->group);
    if (status == PLUMB_OK)
        status = read_name(l, "id", "id", l->id, &id);
    if (status != PLUMB_OK)
        return status;
    hash_row(l, row->group, id, place, row, of_texts);
    row->values = values;
    if (json_exists(v = either(l, "logits", "logprobs", &field)) ||
        json_exists(v = json_get(l->object, field = "probs"))) {
        *kind = strcmp(field, "probs") == 0 ? SCORES_PROBABILITIES : SCORES_LOGITS;
        status = read_scores(l, field, v, *kind, values, &row->n_values);
        return status != PLUMB_OK ? status : read_label(l, row->n_values, &row->label);
    }
    v = either(l, "conf", "confidence", &field);
    if (json_kind(v) != JSON_ABSENT) {
        *kind = SCORES_CONFIDENCE;
        row->n_values = 1;
        return read_confidence(l, field, v, values, &row->label);
    }
    if (json_exists(json_get(l->object, "results")))
        return error_set(l->e, PLUMB_INPUT,
                         "%s:%zu: a results file of lm-evaluation-harness holds no samples: run it "
                         "with --log_samples and give samples_*.jsonl",
                         l->what, l->number);
    return error_set(l->e, PLUMB_INPUT,
                     "%s:%zu: found none of the fields logits, probs and conf, expected one",
                     l->what, l->number);
}

/* ---- lines ---- */

/* NaN, Infinity and -Infinity outside strings, put in quotes: Python writes them, JSON does not know them. False when
   there is none, or no memory. */
static bool quote_specials(const char *s, size_t n, struct buffer *out)
{
    static const char *const words[] = {"NaN", "Infinity", "-Infinity"};
    bool in_string = false, found = false;
    size_t from = 0;
    buffer_clear(out);
    for (size_t i = 0; i < n; i++) {
        if (in_string && s[i] == '\\') {
            i++;
            continue;
        }
        in_string ^= s[i] == '"';
        for (size_t w = 0; w < 3 && !in_string; w++) {
            const size_t m = strlen(words[w]);
            if (n - i < m || memcmp(s + i, words[w], m) != 0)
                continue;
            buffer_add(out, s + from, i - from);
            buffer_printf(out, "\"%s\"", words[w]);
            from = i + m;
            i += m - 1;
            found = true;
            break;
        }
    }
    buffer_add(out, s + from, n - from);
    return found && !out->failed;
}

static int parse_line(const char *s, size_t n, const char *what, size_t number,
                      struct buffer *scratch, struct json_document **out, struct plumb_error *e)
{
    char where[512];
    snprintf(where, sizeof where, "%s:%zu", what, number);
    int status = json_parse(s, n, where, out, e);
    if (status == PLUMB_INPUT && quote_specials(s, n, scratch)) {
        struct plumb_error second = {0};
        if (json_parse(scratch->data, scratch->size, where, out, &second) == PLUMB_OK)
            status = PLUMB_OK;
    }
    if (status == PLUMB_INPUT && n == 1 && *s == '{')
        status = error_set(e, PLUMB_INPUT,
                           "%s: found the beginning of an object that spans lines, expected one "
                           "whole object a line (of lm-evaluation-harness: samples_*.jsonl, "
                           "written with --log_samples)",
                           where);
    if (status == PLUMB_OK && json_kind(json_root(*out)) != JSON_OBJECT) {
        status = error_set(e, PLUMB_INPUT, "%s: found %s, expected one JSON object a line", where,
                           json_kind_name(json_kind(json_root(*out))));
        json_close(*out);
        *out = NULL;
    }
    return status;
}

struct reader {
    struct scores_builder b;
    const char *what;
    double *values; /* [SCORES_MAX_OPTIONS] */
    struct buffer scratch;
    bool lm_eval;          /* the first line's kind is all lines' */
    char filter[64];       /* lm-eval: of the first sample */
    bool hashes_of_places; /* at least one row */
};

/* A task with several filters is logged once for each. */
static int check_filter(struct reader *r, size_t number, struct json sample, struct plumb_error *e)
{
    const char *s = "";
    size_t n = 0;
    char filter[sizeof r->filter];
    json_string(json_get(sample, "filter"), &s, &n);
    snprintf(filter, sizeof filter, "%.*s", n < 60 ? (int)n : 60, s);
    if (!r->b.out->n)
        memcpy(r->filter, filter, sizeof filter);
    if (strcmp(filter, r->filter) == 0)
        return PLUMB_OK;
    return error_set(e, PLUMB_INPUT,
                     "%s:%zu: found a sample of filter \"%s\" after samples of \"%s\", expected "
                     "each question once: keep one filter's lines",
                     r->what, number, filter, r->filter);
}

static int read_object(struct reader *r, size_t number, struct json object, struct plumb_error *e)
{
    struct scores_row row = {0};
    struct line l = {.what = r->what, .number = number, .object = object, .e = e};
    enum scores_kind kind = SCORES_CONFIDENCE;
    bool of_texts = false;
    int status = PLUMB_OK;
    if (!r->b.out->n)
        r->lm_eval = scores_is_lm_eval(object);
    if (!r->lm_eval)
        status = read_row(&l, r->values, &kind, &row, r->b.out->n, &of_texts);
    else if ((status = check_filter(r, number, object, e)) == PLUMB_OK)
        status = scores_lm_eval_row(object, r->what, number, r->values, &kind, &row, &of_texts, e);
    r->hashes_of_places |= !of_texts;
    return status != PLUMB_OK ? status : scores_builder_add(&r->b, number, kind, &row, e);
}

static bool is_blank(const char *s, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (s[i] != ' ' && s[i] != '\t' && s[i] != '\r')
            return false;
    return true;
}

static int read_lines(struct reader *r, const char *bytes, size_t n, struct plumb_error *e)
{
    size_t number = 0;
    for (const char *at = bytes, *end = bytes + n; at < end;) {
        const char *stop = memchr(at, '\n', (size_t)(end - at));
        const size_t size = (size_t)((stop ? stop : end) - at);
        struct json_document *d = NULL;
        number++;
        if (!is_blank(at, size)) {
            int status = parse_line(at, size, r->what, number, &r->scratch, &d, e);
            if (status == PLUMB_OK)
                status = read_object(r, number, json_root(d), e);
            json_close(d);
            if (status != PLUMB_OK)
                return status;
        }
        at = stop ? stop + 1 : end;
    }
    return PLUMB_OK;
}

int scores_jsonl(const char *bytes, size_t n, const char *what, struct scores *out,
                 struct plumb_error *e)
{
    struct reader r = {.what = what};
    size_t lines = 1;
    for (const char *p = bytes; (p = memchr(p, '\n', (size_t)(bytes + n - p))); p++)
        lines++;
    const size_t most = n / 16 + 1; /* {"conf":0,"correct":0} is about the shortest row */
    int status = scores_builder_start(&r.b, what, lines < most ? lines : most, out, e);
    const struct span task = scores_lm_eval_task(what);
    if (task.n)
        r.b.group = task;
    if (status == PLUMB_OK && !(r.values = mem_array(SCORES_MAX_OPTIONS, sizeof *r.values)))
        status = error_memory(e, "the scores");
    if (status == PLUMB_OK)
        status = read_lines(&r, bytes, n, e);
    if (status == PLUMB_OK) {
        out->format = r.lm_eval ? SCORES_LM_EVAL : SCORES_JSONL;
        out->hashes_texts = !r.hashes_of_places;
    }
    status = scores_builder_end(&r.b, status, e);
    mem_free(r.values);
    buffer_free(&r.scratch);
    return status;
}
