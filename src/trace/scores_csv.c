/*
 * scores_csv.c - CSV of confidences (conf,correct) or of option scores (z0,...,zk-1,label), each with group and id if it
 * likes.
 *
 * The header says what the columns are, in any order; names that are not known are ignored. A file may hold the option
 * scores of several models side by side (base_A ... base_D, post_A ... post_D): then the caller names the set. Quoting as
 * in RFC 4180. Knows nothing of statistics.
 */
#include <ctype.h>
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "base/buffer.h"
#include "base/memory.h"
#include "base/number.h"
#include "trace/scores_build.h"

enum role {
    ROLE_IGNORED,
    ROLE_CONFIDENCE,
    ROLE_CORRECT,
    ROLE_OPTION,
    ROLE_LABEL,
    ROLE_GROUP,
    ROLE_ID
};

/* What a column is for. */
struct column {
    struct span name;
    enum role role;
    int option;      /* ROLE_OPTION: 0..k-1 */
    struct span set; /* of option columns: "z", "base" */
};

struct csv {
    const char *what;
    const char *at, *end;
    size_t line;        /* of `at`, from 1 */
    size_t record_line; /* where the record began */
    struct column *columns;
    int n_columns;
    char *unquoted; /* the last field with doubled quotes, without them */
    size_t unquoted_capacity;
    enum scores_kind kind;
    int k;          /* option columns that are read */
    double *values; /* [k] */
    struct plumb_error *e;
};

/* ---- fields ---- */

static struct span trimmed(struct span t)
{
    while (t.n && (t.s[0] == ' ' || t.s[0] == '\t'))
        t.s++, t.n--;
    while (t.n && (t.s[t.n - 1] == ' ' || t.s[t.n - 1] == '\t' || t.s[t.n - 1] == '\r'))
        t.n--;
    return t;
}

static bool is_word(struct span t, const char *word)
{
    return t.n == strlen(word) && strncasecmp(t.s, word, t.n) == 0;
}

static int shown(struct span t)
{
    return t.n < 40 ? (int)t.n : 40;
}

/* The text between quotes that are doubled inside; `from` and `n` are between the outer ones. */
static int unquote(struct csv *c, const char *from, size_t n, struct span *out)
{
    size_t used = 0;
    if (n > c->unquoted_capacity) {
        char *larger = mem_resize(c->unquoted, n, 1);
        if (!larger)
            return error_memory(c->e, "a line of CSV");
        c->unquoted = larger;
        c->unquoted_capacity = n;
    }
    for (size_t i = 0; i < n; i++) {
        c->unquoted[used++] = from[i];
        i += from[i] == '"';
    }
    *out = (struct span){c->unquoted, used};
    return PLUMB_OK;
}

/* c->at on the opening quote; leaves it behind the closing one. */
static int read_quoted(struct csv *c, int column, struct span *out)
{
    const size_t opened = c->line;
    const char *from = ++c->at;
    bool doubled = false;
    for (; c->at < c->end; c->at++) {
        if (*c->at == '"') {
            if (c->at + 1 == c->end || c->at[1] != '"')
                break;
            doubled = true;
            c->at++;
        }
        c->line += *c->at == '\n';
    }
    if (c->at == c->end)
        return error_set(c->e, PLUMB_INPUT,
                         "%s:%zu: the quote that opens column %d is never closed", c->what, opened,
                         column + 1);
    *out = (struct span){from, (size_t)(c->at - from)};
    c->at++;
    if (c->at < c->end && !strchr(",\r\n", *c->at))
        return error_set(c->e, PLUMB_INPUT,
                         "%s:%zu: column %d: found text after a closing quote, expected a comma or "
                         "the end of the line (a quote inside a field is written twice)",
                         c->what, c->line, column + 1);
    return doubled ? unquote(c, out->s, out->n, out) : PLUMB_OK;
}

/* One field, without the blanks around it; *last: it ends its line, which c->at leaves behind. An unquoted field is
   found with memchr's speed; only one field of a record may need `unquoted`, the others are views. */
static int read_field(struct csv *c, int column, struct span *out, bool *last)
{
    int status = PLUMB_OK;
    if (c->at < c->end && *c->at == '"') {
        status = read_quoted(c, column, out);
    } else {
        const char *from = c->at;
        while (c->at < c->end && *c->at != ',' && *c->at != '\n')
            c->at++;
        *out = trimmed((struct span){from, (size_t)(c->at - from)});
    }
    if (status != PLUMB_OK)
        return status;
    if (c->at < c->end && *c->at == '\r')
        c->at++;
    *last = c->at == c->end || *c->at == '\n';
    c->line += c->at < c->end && *c->at == '\n';
    c->at += c->at < c->end;
    return PLUMB_OK;
}

static bool at_blank_line(const struct csv *c)
{
    return *c->at == '\n' || (*c->at == '\r' && (c->at + 1 == c->end || c->at[1] == '\n'));
}

static void skip_blank_lines(struct csv *c)
{
    while (c->at < c->end && at_blank_line(c)) {
        c->at += *c->at == '\r';
        c->at += c->at < c->end;
        c->line++;
    }
}

/* ---- the header ---- */

/* "z3", "base_D", "post_2": an option's column. */
static bool option_column(struct column *column)
{
    const struct span t = column->name;
    size_t digits = t.n;
    while (digits && isdigit((unsigned char)t.s[digits - 1]))
        digits--;
    if (t.n >= 3 && t.s[t.n - 2] == '_' && isupper((unsigned char)t.s[t.n - 1])) {
        column->option = t.s[t.n - 1] - 'A';
        column->set = (struct span){t.s, t.n - 2};
    } else if (digits < t.n && t.n - digits <= 4 &&
               ((digits == 1 && (t.s[0] | 0x20) == 'z') ||
                (digits >= 2 && t.s[digits - 1] == '_'))) {
        column->option = 0;
        for (size_t i = digits; i < t.n; i++)
            column->option = 10 * column->option + (t.s[i] - '0');
        column->set = (struct span){t.s, digits == 1 ? 1 : digits - 1};
    } else {
        return false;
    }
    return column->option < SCORES_MAX_OPTIONS;
}

static enum role role_of(struct column *column)
{
    static const struct {
        const char *name;
        enum role role;
    } roles[] = {
        {"conf", ROLE_CONFIDENCE}, {"confidence", ROLE_CONFIDENCE},
        {"correct", ROLE_CORRECT}, {"label", ROLE_LABEL},
        {"gold", ROLE_LABEL},      {"answer", ROLE_LABEL},
        {"group", ROLE_GROUP},     {"subject", ROLE_GROUP},
        {"id", ROLE_ID},
    };
    for (size_t i = 0; i < sizeof roles / sizeof *roles; i++)
        if (is_word(column->name, roles[i].name))
            return roles[i].role;
    return option_column(column) ? ROLE_OPTION : ROLE_IGNORED;
}

static const struct column *find_role(const struct csv *c, enum role role)
{
    for (int i = 0; i < c->n_columns; i++)
        if (c->columns[i].role == role)
            return &c->columns[i];
    return NULL;
}

static bool same_set(struct span a, struct span b)
{
    return a.n == b.n && strncasecmp(a.s, b.s, a.n) == 0;
}

/* How many options the set has, if it has each of 0..k-1 once; 0 otherwise. */
static int whole_set(const struct csv *c, struct span set)
{
    bool seen[SCORES_MAX_OPTIONS] = {false};
    int count = 0, largest = -1;
    for (int i = 0; i < c->n_columns; i++) {
        const struct column *column = &c->columns[i];
        if (column->role != ROLE_OPTION || !same_set(column->set, set))
            continue;
        if (seen[column->option])
            return 0;
        seen[column->option] = true;
        count++;
        if (column->option > largest)
            largest = column->option;
    }
    return count >= 2 && largest == count - 1 ? count : 0;
}

/* Every set of option columns once, as "base, post". */
static int list_sets(const struct csv *c, struct buffer *names)
{
    int sets = 0;
    for (int i = 0; i < c->n_columns; i++) {
        bool seen = c->columns[i].role != ROLE_OPTION;
        for (int j = 0; j < i && !seen; j++)
            seen =
                c->columns[j].role == ROLE_OPTION && same_set(c->columns[j].set, c->columns[i].set);
        if (seen || !whole_set(c, c->columns[i].set))
            continue;
        if (sets++)
            buffer_puts(names, ", ");
        buffer_add(names, c->columns[i].set.s, (size_t)shown(c->columns[i].set));
    }
    return sets;
}

/* Which set is read: the named one, else the only one. All other option columns are ignored from here on. */
static int choose_set(struct csv *c, const char *wanted)
{
    struct buffer names = BUFFER_EMPTY;
    const int sets = list_sets(c, &names);
    int status = PLUMB_OK;
    struct span set = {wanted, wanted ? strlen(wanted) : 0};
    if (names.failed)
        status = error_memory(c->e, "the header of a CSV");
    else if (wanted && !whole_set(c, set))
        status = error_set(c->e, PLUMB_INPUT,
                           "%s:%zu: no columns %s_A, %s_B, ... (or %s_0, %s_1, ...), found %s",
                           c->what, c->record_line, wanted, wanted, wanted, wanted,
                           sets ? buffer_string(&names) : "no option columns at all");
    else if (!wanted && sets > 1)
        status = error_set(c->e, PLUMB_INPUT,
                           "%s:%zu: holds the option scores of %s, expected one of them: choose "
                           "with --columns",
                           c->what, c->record_line, buffer_string(&names));
    for (int i = 0; i < c->n_columns && sets == 1 && !set.n; i++)
        if (c->columns[i].role == ROLE_OPTION && whole_set(c, c->columns[i].set))
            set = c->columns[i].set;
    c->k = set.n ? whole_set(c, set) : 0;
    for (int i = 0; i < c->n_columns; i++)
        if (c->columns[i].role == ROLE_OPTION && !(set.n && same_set(c->columns[i].set, set)))
            c->columns[i].role = ROLE_IGNORED;
    buffer_free(&names);
    return status;
}

static int check_roles(struct csv *c)
{
    for (int i = 0; i < c->n_columns; i++)
        for (int j = 0; j < i; j++)
            if (c->columns[i].role != ROLE_IGNORED && c->columns[i].role != ROLE_OPTION &&
                c->columns[i].role == c->columns[j].role)
                return error_set(c->e, PLUMB_INPUT,
                                 "%s:%zu: columns %d (%.*s) and %d (%.*s) mean the same, expected "
                                 "one of them",
                                 c->what, c->record_line, j + 1, shown(c->columns[j].name),
                                 c->columns[j].name.s, i + 1, shown(c->columns[i].name),
                                 c->columns[i].name.s);
    return PLUMB_OK;
}

/* Confidences or option scores? */
static int decide_kind(struct csv *c, const char *wanted)
{
    const bool confidences = find_role(c, ROLE_CONFIDENCE) != NULL;
    int status = check_roles(c);
    if (status == PLUMB_OK && (!confidences || wanted))
        status = choose_set(c, wanted);
    if (status != PLUMB_OK)
        return status;
    c->kind = c->k ? SCORES_LOGITS : SCORES_CONFIDENCE;
    for (int i = 0; i < c->n_columns; i++) {
        struct column *column = &c->columns[i];
        const bool option_role = column->role == ROLE_OPTION;
        const bool own = column->role == ROLE_CONFIDENCE || column->role == ROLE_CORRECT;
        if (c->k ? own : option_role)
            column->role = ROLE_IGNORED;
        else if (!c->k && column->role == ROLE_LABEL && !find_role(c, ROLE_CORRECT) && confidences)
            column->role = ROLE_CORRECT;
    }
    if (c->k ? find_role(c, ROLE_LABEL) != NULL : confidences && find_role(c, ROLE_CORRECT))
        return PLUMB_OK;
    return error_set(c->e, PLUMB_INPUT,
                     "%s:%zu: found the columns %.*s%s, expected conf,correct or z0,z1,...,label "
                     "in the first line (group and id may follow)",
                     c->what, c->record_line, c->columns[0].name.n ? shown(c->columns[0].name) : 2,
                     c->columns[0].name.n ? c->columns[0].name.s : "\"\"",
                     c->n_columns > 1 ? ",..." : " alone");
}

static int read_header(struct csv *c, const char *wanted)
{
    bool last = false;
    int capacity = 0;
    skip_blank_lines(c);
    c->record_line = c->line;
    while (!last) {
        if (c->n_columns == capacity) {
            capacity = capacity ? 2 * capacity : 16;
            struct column *columns = mem_resize(c->columns, (size_t)capacity, sizeof *columns);
            if (!columns)
                return error_memory(c->e, "the header of a CSV");
            c->columns = columns;
        }
        if (c->n_columns == 2 * SCORES_MAX_OPTIONS)
            return error_set(c->e, PLUMB_INPUT, "%s:%zu: more than %d columns", c->what,
                             c->record_line, 2 * (int)SCORES_MAX_OPTIONS);
        struct column *column = &c->columns[c->n_columns];
        *column = (struct column){.role = ROLE_IGNORED};
        const bool quoted = c->at < c->end && *c->at == '"';
        int status = read_field(c, c->n_columns, &column->name, &last);
        if (status != PLUMB_OK)
            return status;
        if (quoted && column->name.s == c->unquoted) /* a name with quotes in it is none of ours */
            column->name = (struct span){"\"", 1};
        column->role = role_of(column);
        c->n_columns++;
    }
    return decide_kind(c, wanted);
}

/* ---- rows ---- */

static int wrong_field(const struct csv *c, int column, struct span found, const char *expected)
{
    const struct column *h = &c->columns[column];
    return error_set(c->e, PLUMB_INPUT, "%s:%zu: column %d (%.*s): found \"%.*s\", expected %s",
                     c->what, c->record_line, column + 1, shown(h->name), h->name.s, shown(found),
                     found.n ? found.s : "", expected);
}

/* Nothing, nan and na are missing values, as data frames write them. */
static bool read_value(struct span field, double *out)
{
    if (!field.n || is_word(field, "na") || is_word(field, "null") || is_word(field, "none")) {
        *out = (double)NAN;
        return true;
    }
    return number_read(field.s, field.n, out);
}

static int read_confidence(const struct csv *c, int column, struct span field, double *out)
{
    if (!read_value(field, out))
        return wrong_field(c, column, field, "a number from 0 to 1");
    if (!scores_is_probability(*out))
        return wrong_field(c, column, field, "a confidence from 0 to 1 (not a percentage)");
    return PLUMB_OK;
}

static int read_correct(const struct csv *c, int column, struct span field, int *out)
{
    double v;
    *out = -1;
    if (!field.n)
        return PLUMB_OK;
    if (field.n == 1 && (*field.s == '0' || *field.s == '1'))
        *out = *field.s - '0';
    else if (is_word(field, "true") || is_word(field, "false"))
        *out = is_word(field, "true");
    else if (number_read(field.s, field.n, &v) && (v == 0 || v == 1 || v == -1))
        *out = (int)v;
    else
        return wrong_field(c, column, field, "1 (right), 0 (wrong) or nothing (unknown)");
    return PLUMB_OK;
}

static int read_label(const struct csv *c, int column, struct span field, int *out)
{
    double v;
    *out = -1;
    if (!field.n)
        return PLUMB_OK;
    if (field.n == 1 && isalpha((unsigned char)*field.s))
        *out = toupper((unsigned char)*field.s) - 'A';
    else if (number_read(field.s, field.n, &v) && v >= -1 && v <= SCORES_MAX_OPTIONS &&
             v == (double)(int)v)
        *out = (int)v;
    else
        *out = -2;
    if (*out >= -1 && *out < c->k)
        return PLUMB_OK;
    char expected[80];
    snprintf(expected, sizeof expected, "an option's number, 0 to %d, its letter, or nothing",
             c->k - 1);
    return wrong_field(c, column, field, expected);
}

/* Fields that are empty from one option on: the row has fewer options than others. */
static int count_options(const struct csv *c, const bool *given, int *n)
{
    int options = c->k;
    while (options > 0 && !given[options - 1])
        options--;
    for (int j = 0; j < options; j++)
        if (!given[j])
            return error_set(c->e, PLUMB_INPUT,
                             "%s:%zu: option %d has no score and option %d has one, expected "
                             "numbers (only the last options may be missing)",
                             c->what, c->record_line, j, options - 1);
    *n = options;
    return PLUMB_OK;
}

struct record {
    double confidence;
    int correct, label;
    bool given[SCORES_MAX_OPTIONS];
    struct span group, id;
};

static int read_column(struct csv *c, int i, struct span field, struct record *r)
{
    const struct column *column = &c->columns[i];
    switch (column->role) {
    case ROLE_CONFIDENCE:
        return read_confidence(c, i, field, &r->confidence);
    case ROLE_CORRECT:
        return read_correct(c, i, field, &r->correct);
    case ROLE_OPTION:
        r->given[column->option] = field.n > 0;
        if (field.n && !read_value(field, &c->values[column->option]))
            return wrong_field(c, i, field, "a number");
        return PLUMB_OK;
    case ROLE_LABEL:
        return read_label(c, i, field, &r->label);
    case ROLE_GROUP:
        r->group = field;
        return PLUMB_OK;
    case ROLE_ID:
        r->id = field;
        return PLUMB_OK;
    case ROLE_IGNORED:
    default:
        return PLUMB_OK;
    }
}

/* A field with doubled quotes stands in c->unquoted, which the next such field takes: keep group and id apart. */
static int keep_field(struct csv *c, struct span *field, char **copy)
{
    if (!field->n || field->s != c->unquoted)
        return PLUMB_OK;
    mem_free(*copy);
    *copy = mem_strndup(field->s, field->n);
    if (!*copy)
        return error_memory(c->e, "a line of CSV");
    field->s = *copy;
    return PLUMB_OK;
}

static int read_fields(struct csv *c, struct record *r, char *copies[2])
{
    bool last = false;
    int i = 0;
    c->record_line = c->line;
    for (; !last; i++) {
        struct span field;
        int status = read_field(c, i, &field, &last);
        if (status == PLUMB_OK && i < c->n_columns)
            status = read_column(c, i, field, r);
        if (status == PLUMB_OK && i < c->n_columns && c->columns[i].role == ROLE_GROUP)
            status = keep_field(c, &r->group, &copies[0]);
        if (status == PLUMB_OK && i < c->n_columns && c->columns[i].role == ROLE_ID)
            status = keep_field(c, &r->id, &copies[1]);
        if (status != PLUMB_OK)
            return status;
    }
    if (i != c->n_columns)
        return error_set(c->e, PLUMB_INPUT,
                         "%s:%zu: found %d column%s, expected %d as in the first "
                         "line",
                         c->what, c->record_line, i, i == 1 ? "" : "s", c->n_columns);
    return PLUMB_OK;
}

static int add_record(struct csv *c, struct scores_builder *b, struct record *r)
{
    struct scores_row row = {.values = c->values, .n_values = c->k, .group = r->group};
    row.hash = r->id.n ? scores_hash_id(r->group, r->id) : scores_hash_place(b->out->n);
    row.label = r->label;
    if (c->kind == SCORES_CONFIDENCE) {
        row.values = &r->confidence;
        row.n_values = 1;
        row.label = r->correct;
    } else {
        int status = count_options(c, r->given, &row.n_values);
        if (status != PLUMB_OK)
            return status;
    }
    return scores_builder_add(b, c->record_line, c->kind, &row, c->e);
}

static int read_rows(struct csv *c, struct scores_builder *b)
{
    struct record r = {.correct = -1, .label = -1};
    char *copies[2] = {NULL, NULL};
    int status = PLUMB_OK;
    for (skip_blank_lines(c); status == PLUMB_OK && c->at < c->end; skip_blank_lines(c)) {
        status = read_fields(c, &r, copies);
        if (status == PLUMB_OK)
            status = add_record(c, b, &r);
    }
    mem_free(copies[0]);
    mem_free(copies[1]);
    return status;
}

int scores_csv(const char *bytes, size_t n, const char *what, const char *columns,
               struct scores *out, struct plumb_error *e)
{
    struct csv c = {.what = what, .at = bytes, .end = bytes + n, .line = 1, .e = e};
    struct scores_builder b;
    size_t lines = 1;
    for (const char *p = bytes; (p = memchr(p, '\n', (size_t)(bytes + n - p))); p++)
        lines++;
    const size_t most = n / 3 + 1; /* "0,0" is the shortest row */
    int status = scores_builder_start(&b, what, lines < most ? lines : most, out, e);
    if (status == PLUMB_OK)
        status = read_header(&c, columns);
    if (status == PLUMB_OK && c.k && !(c.values = mem_array((size_t)c.k, sizeof *c.values)))
        status = error_memory(e, "the scores");
    out->format = c.kind == SCORES_CONFIDENCE ? SCORES_CSV_CONFIDENCE : SCORES_CSV_LOGITS;
    if (status == PLUMB_OK)
        status = read_rows(&c, &b);
    status = scores_builder_end(&b, status, e);
    mem_free(c.columns);
    mem_free(c.unquoted);
    mem_free(c.values);
    return status;
}
