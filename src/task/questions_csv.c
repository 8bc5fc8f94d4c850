/*
 * questions_csv.c - CSV in MMLU's layout: question, 2 to 26 options, letter of the answer (empty:
 * unknown).
 *
 * Quoting as in RFC 4180: a field that holds a comma, a quote or a line break stands in quotes, a
 * quote in it is doubled. Lines end in LF or CR LF. No header row, but `question,A,B,...,answer` as
 * the first row is recognised. Stricter than most readers: what RFC 4180 leaves undefined (a quote
 * inside a bare field, text after a closing quote, a lone CR) is refused, because guessing would
 * silently change a question.
 */
#include <string.h>
#include <strings.h>

#include "base/buffer.h"
#include "task/questions_build.h"

enum { CSV_MAX_FIELDS = QUESTION_MAX_OPTIONS + 2 };

struct csv {
    const char *what;
    const char *at, *end;
    size_t line;                       /* of `at`, from 1 */
    size_t record_line;                /* where the record began */
    struct buffer bytes;               /* the record's fields, unquoted, one after the other */
    size_t starts[CSV_MAX_FIELDS + 1]; /* field i is bytes[starts[i], starts[i+1]) */
    int n_fields;
};

static struct text csv_field(const struct csv *c, int i)
{
    return (struct text){buffer_string(&c->bytes) + c->starts[i], c->starts[i + 1] - c->starts[i]};
}

static bool at_line_end(const struct csv *c)
{
    return c->at == c->end || *c->at == '\n' ||
           (*c->at == '\r' && c->at + 1 < c->end && c->at[1] == '\n');
}

/* A field in quotes, c->at on the opening one. Leaves c->at behind the closing one. */
static int read_quoted(struct csv *c, struct plumb_error *e)
{
    size_t opened = c->line;
    for (c->at++; c->at < c->end; c->at++) {
        if (*c->at == '"') {
            if (c->at + 1 == c->end || c->at[1] != '"')
                break;
            c->at++;
        }
        c->line += *c->at == '\n';
        buffer_putc(&c->bytes, *c->at);
    }
    if (c->at == c->end)
        return error_set(e, PLUMB_INPUT, "%s:%zu: the quote that opens column %d is never closed",
                         c->what, opened, c->n_fields + 1);
    c->at++;
    if (!at_line_end(c) && *c->at != ',')
        return error_set(e, PLUMB_INPUT,
                         "%s:%zu: column %d: found text after a closing quote, expected a comma or "
                         "the end of the line (a quote inside a field is written twice)",
                         c->what, c->line, c->n_fields + 1);
    return PLUMB_OK;
}

static int read_bare(struct csv *c, struct plumb_error *e)
{
    const char *start = c->at;
    while (!at_line_end(c) && *c->at != ',') {
        if (*c->at == '"' || *c->at == '\r')
            return error_set(e, PLUMB_INPUT,
                             "%s:%zu: column %d: found %s in a field without quotes; put the field "
                             "in quotes%s",
                             c->what, c->line, c->n_fields + 1,
                             *c->at == '"' ? "a quote" : "a carriage return without line feed",
                             *c->at == '"' ? " and double the quote" : "");
        c->at++;
    }
    buffer_add(&c->bytes, start, (size_t)(c->at - start));
    return PLUMB_OK;
}

/* The next record. A blank line gives one empty field. */
static int read_record(struct csv *c, struct plumb_error *e)
{
    buffer_clear(&c->bytes);
    c->record_line = c->line;
    c->n_fields = 0;
    c->starts[0] = 0;
    for (;;) {
        int status = c->at < c->end && *c->at == '"' ? read_quoted(c, e) : read_bare(c, e);
        if (status)
            return status;
        c->starts[++c->n_fields] = c->bytes.size;
        if (at_line_end(c))
            break;
        c->at++; /* the comma */
        if (c->n_fields == CSV_MAX_FIELDS)
            return error_set(e, PLUMB_INPUT,
                             "%s:%zu: found more than %d columns, expected a question, 2 to %d "
                             "options and the answer's letter",
                             c->what, c->record_line, (int)CSV_MAX_FIELDS,
                             (int)QUESTION_MAX_OPTIONS);
    }
    if (c->at < c->end && *c->at == '\r')
        c->at++;
    if (c->at < c->end) {
        c->at++;
        c->line++;
    }
    return c->bytes.failed ? error_memory(e, "a line of CSV") : PLUMB_OK;
}

static struct text trimmed(struct text t)
{
    while (t.n && strchr(" \t\r\n", t.s[0]) && t.s[0])
        t.s++, t.n--;
    while (t.n && strchr(" \t\r\n", t.s[t.n - 1]) && t.s[t.n - 1])
        t.n--;
    return t;
}

static bool is_word(struct text t, const char *word)
{
    t = trimmed(t);
    return t.n == strlen(word) && !strncasecmp(t.s, word, t.n);
}

/* question,A,B,...,answer */
static bool is_header(const struct csv *c)
{
    if (!is_word(csv_field(c, 0), "question") || !is_word(csv_field(c, c->n_fields - 1), "answer"))
        return false;
    for (int i = 1; i < c->n_fields - 1; i++) {
        struct text t = trimmed(csv_field(c, i));
        if (question_letter_index(t.s, t.n) != i - 1)
            return false;
    }
    return true;
}

static int add_record(struct question_builder *b, const struct csv *c, struct plumb_error *e)
{
    struct question_draft d = {.question = csv_field(c, 0), .n_options = c->n_fields - 2};
    struct text answer = trimmed(csv_field(c, c->n_fields - 1));
    for (int i = 0; i < d.n_options; i++) {
        d.options[i] = csv_field(c, i + 1);
        if (!trimmed(d.options[i]).n)
            return error_set(e, PLUMB_INPUT,
                             "%s:%zu: option %c is empty; questions with fewer options than their "
                             "neighbours fit into JSONL",
                             c->what, c->record_line, 'A' + i);
    }
    d.gold = answer.n ? question_letter_index(answer.s, answer.n) : -1;
    if (answer.n && (d.gold < 0 || d.gold >= d.n_options))
        return error_set(
            e, PLUMB_INPUT,
            "%s:%zu: answer (column %d): found \"%.*s\", expected a letter from A to %c", c->what,
            c->record_line, c->n_fields, answer.n < 40 ? (int)answer.n : 40, answer.s,
            'A' + d.n_options - 1);
    return question_builder_add(b, c->record_line, &d, e);
}

static int read_all(struct question_builder *b, struct csv *c, struct plumb_error *e)
{
    int columns = 0;
    size_t first = 0;
    while (c->at < c->end && !question_builder_full(b)) {
        int status = read_record(c, e);
        if (status)
            return status;
        if (c->n_fields == 1 && !trimmed(csv_field(c, 0)).n)
            continue;
        if (c->n_fields < 4)
            return error_set(e, PLUMB_INPUT,
                             "%s:%zu: found %d column%s, expected at least 4: a question, 2 to %d "
                             "options and the answer's letter",
                             c->what, c->record_line, c->n_fields, c->n_fields == 1 ? "" : "s",
                             (int)QUESTION_MAX_OPTIONS);
        if (columns && c->n_fields != columns)
            return error_set(e, PLUMB_INPUT, "%s:%zu: found %d columns, expected %d as in line %zu",
                             c->what, c->record_line, c->n_fields, columns, first);
        if (!columns) {
            columns = c->n_fields;
            first = c->record_line;
            if (is_header(c))
                continue;
        }
        if ((status = add_record(b, c, e)))
            return status;
    }
    return PLUMB_OK;
}

int questions_csv(struct question_builder *b, const char *bytes, size_t n, struct plumb_error *e)
{
    struct csv c = {.what = b->what, .at = bytes, .end = bytes + n, .line = 1};
    int status = read_all(b, &c, e);
    buffer_free(&c.bytes);
    return status;
}
