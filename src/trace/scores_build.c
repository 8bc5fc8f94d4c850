/*
 * scores_build.c - rows of any format become one table: checks, groups, layout. Knows no file format.
 */
#include "trace/scores_build.h"

#include <math.h>
#include <string.h>

#include "base/memory.h"
#include "base/size.h"
#include "base/utf8.h"

int scores_builder_start(struct scores_builder *b, const char *what, size_t rows,
                         struct scores *out, struct plumb_error *e)
{
    *out = (struct scores){.arena = arena_create()};
    *b = (struct scores_builder){
        .out = out, .what = what, .capacity = rows, .group = {"all", 3}, .last_number = -1};
    b->group_numbers = hash_table_create(64);
    if (!out->arena || !b->group_numbers)
        return error_memory(e, "the scores");
    out->options = arena_alloc(out->arena, rows, sizeof *out->options);
    out->label = arena_alloc(out->arena, rows, sizeof *out->label);
    out->group = arena_alloc(out->arena, rows, sizeof *out->group);
    out->item_hash = arena_alloc(out->arena, rows, sizeof *out->item_hash);
    if (!out->options || !out->label || !out->group || !out->item_hash)
        return error_memory(e, "the scores");
    return PLUMB_OK;
}

/* ---- groups ---- */

static int check_group(const struct scores_builder *b, size_t line, struct span name,
                       struct plumb_error *e)
{
    const size_t bad = utf8_check(name.s, name.n);
    if (bad < name.n)
        return error_set(e, PLUMB_INPUT,
                         "%s:%zu: group: byte %zu (0x%02x) is not valid UTF-8: save the file as "
                         "UTF-8",
                         b->what, line, bad + 1, (unsigned char)name.s[bad]);
    if (memchr(name.s, 0, name.n))
        return error_set(e, PLUMB_INPUT,
                         "%s:%zu: group holds a NUL character, expected text: remove it", b->what,
                         line);
    return PLUMB_OK;
}

static int add_group(struct scores_builder *b, size_t line, struct span name, int32_t *out,
                     struct plumb_error *e)
{
    struct scores *s = b->out;
    int status = check_group(b, line, name, e);
    if (status != PLUMB_OK)
        return status;
    if ((size_t)s->n_groups == b->group_capacity) {
        const size_t capacity = b->group_capacity ? 2 * b->group_capacity : 64;
        const char **groups = mem_resize(b->groups, capacity, sizeof *groups);
        if (!groups)
            return error_memory(e, "the groups of the scores");
        b->groups = groups;
        b->group_capacity = capacity;
    }
    char *copy = arena_strndup(s->arena, name.s, name.n);
    if (!copy || hash_table_put(b->group_numbers, copy, name.n, s->n_groups) < 0)
        return error_memory(e, "the groups of the scores");
    b->groups[s->n_groups] = copy;
    *out = s->n_groups++;
    return PLUMB_OK;
}

/* Neighbours mostly share their group, so the last one is looked at first. */
static int group_number(struct scores_builder *b, size_t line, struct span name, int32_t *out,
                        struct plumb_error *e)
{
    if (!name.n)
        name = b->group;
    if (b->last_number >= 0 && name.n == b->last_group.n &&
        memcmp(name.s, b->last_group.s, name.n) == 0) {
        *out = b->last_number;
        return PLUMB_OK;
    }
    *out = hash_table_get(b->group_numbers, name.s, name.n, -1);
    if (*out < 0) {
        int status = add_group(b, line, name, out, e);
        if (status != PLUMB_OK)
            return status;
    }
    b->last_group = (struct span){b->groups[*out], name.n};
    b->last_number = *out;
    return PLUMB_OK;
}

/* ---- rows ---- */

static const char *kind_name(enum scores_kind k)
{
    static const char *const names[] = {"logits", "probabilities", "a confidence"};
    return names[k];
}

static int check_row(const struct scores_builder *b, size_t line, enum scores_kind kind,
                     const struct scores_row *r, struct plumb_error *e)
{
    if (b->out->n && kind != b->out->kind)
        return error_set(e, PLUMB_INPUT, "%s:%zu: found %s, expected %s as in the rows before",
                         b->what, line, kind_name(kind), kind_name(b->out->kind));
    if (kind == SCORES_CONFIDENCE)
        return PLUMB_OK;
    if (r->n_values < 2 || r->n_values > SCORES_MAX_OPTIONS)
        return error_set(e, PLUMB_INPUT,
                         "%s:%zu: found the scores of %d option%s, expected 2 to %d", b->what, line,
                         r->n_values, r->n_values == 1 ? "" : "s", (int)SCORES_MAX_OPTIONS);
    if (r->label < -1 || r->label >= r->n_values)
        return error_set(e, PLUMB_INPUT,
                         "%s:%zu: the right answer is option %d, expected 0 to %d (or nothing "
                         "where it is unknown)",
                         b->what, line, r->label, r->n_values - 1);
    if (kind != SCORES_PROBABILITIES)
        return PLUMB_OK;
    double sum = 0;
    for (int j = 0; j < r->n_values; j++)
        sum += r->values[j];
    /* two printed digits of 26 options may be off by 0.13 together */
    const double slack = 0.01 + 0.005 * r->n_values;
    if (fabs(sum - 1) > slack)
        return error_set(e, PLUMB_INPUT,
                         "%s:%zu: the probabilities sum to %.6g, expected 1 over the options: give "
                         "log-probabilities as logits, and they are normalised",
                         b->what, line, sum);
    return PLUMB_OK;
}

static int keep_values(struct scores_builder *b, const double *values, size_t n,
                       struct plumb_error *e)
{
    if (b->flat_capacity - b->n_flat < n) {
        size_t capacity = b->flat_capacity ? 2 * b->flat_capacity : 4096;
        while (capacity < b->n_flat + n)
            capacity *= 2;
        double *flat = mem_resize(b->flat, capacity, sizeof *flat);
        if (!flat)
            return error_memory(e, "the scores");
        b->flat = flat;
        b->flat_capacity = capacity;
    }
    memcpy(b->flat + b->n_flat, values, n * sizeof *values);
    b->n_flat += n;
    return PLUMB_OK;
}

int scores_builder_add(struct scores_builder *b, size_t line, enum scores_kind kind,
                       const struct scores_row *row, struct plumb_error *e)
{
    struct scores *s = b->out;
    int status = check_row(b, line, kind, row, e);
    if (status != PLUMB_OK)
        return status;
    if (s->n == b->capacity) /* a reader's mistake; the count of rows was to bound them */
        return error_set(e, PLUMB_INPUT, "%s:%zu: more rows than lines", b->what, line);
    if ((status = keep_values(b, row->values, (size_t)row->n_values, e)) != PLUMB_OK ||
        (status = group_number(b, line, row->group, &s->group[s->n], e)) != PLUMB_OK)
        return status;
    s->kind = kind;
    s->options[s->n] = row->n_values;
    s->label[s->n] = row->label;
    s->item_hash[s->n] = row->hash;
    if (row->n_values > s->k)
        s->k = row->n_values;
    s->n++;
    return PLUMB_OK;
}

struct hash128 scores_hash_place(size_t row)
{
    const uint64_t place[2] = {row,
                               0x65636170ULL}; /* "pace": no text hashes to a place by chance */
    return hash_bytes(place, sizeof place);
}

struct hash128 scores_hash_id(struct span group, struct span id)
{
    const struct hash128 parts[2] = {hash_bytes(group.n ? group.s : "", group.n),
                                     hash_bytes(id.n ? id.s : "", id.n)};
    return hash_bytes(parts, sizeof parts);
}

/* ---- the end ---- */

/* A file with one row of very many options would need far more memory than it has bytes. */
enum { PADDING_LIMIT = 64 };

static int lay_out(struct scores_builder *b, struct plumb_error *e)
{
    struct scores *s = b->out;
    const size_t k = (size_t)s->k;
    size_t cells;
    if (!size_mul(s->n, k, &cells) || cells / PADDING_LIMIT > b->n_flat)
        return error_set(e, PLUMB_INPUT,
                         "%s: one row has %zu options, the others far fewer: split the file",
                         b->what, k);
    s->values = arena_alloc(s->arena, cells, sizeof *s->values);
    if (!s->values)
        return error_memory(e, "the scores");
    const double padding = s->kind == SCORES_LOGITS ? -INFINITY : 0;
    const double *from = b->flat;
    for (size_t i = 0; i < s->n; i++) {
        double *to = s->values + i * k;
        const size_t options = (size_t)s->options[i];
        memcpy(to, from, options * sizeof *to);
        for (size_t j = options; j < k; j++)
            to[j] = padding;
        from += options;
    }
    return PLUMB_OK;
}

size_t scores_count_ties(const struct scores *s)
{
    const size_t k = (size_t)s->k;
    size_t ties = 0;
    for (size_t i = 0; i < s->n; i++) {
        const double *row = s->values + i * k;
        double largest = row[0];
        int holders = 1;
        for (int j = 1; j < s->options[i]; j++) {
            holders = row[j] > largest ? 1 : holders + (row[j] == largest);
            largest = row[j] > largest ? row[j] : largest;
        }
        ties += holders > 1;
    }
    return ties;
}

static int finish(struct scores_builder *b, struct plumb_error *e)
{
    struct scores *s = b->out;
    if (!s->n)
        return error_set(e, PLUMB_INPUT, "%s: holds no row, expected at least one", b->what);
    int status = lay_out(b, e);
    if (status != PLUMB_OK)
        return status;
    if (s->kind == SCORES_CONFIDENCE) {
        s->correct = arena_alloc(s->arena, s->n, sizeof *s->correct);
        if (!s->correct)
            return error_memory(e, "the scores");
        for (size_t i = 0; i < s->n; i++)
            s->correct[i] = (int8_t)s->label[i];
        s->label = NULL;
    } else {
        s->argmax_ties = scores_count_ties(s);
    }
    const char **groups = arena_alloc(s->arena, (size_t)s->n_groups, sizeof *groups);
    if (!groups)
        return error_memory(e, "the scores");
    memcpy(groups, b->groups, (size_t)s->n_groups * sizeof *groups);
    s->groups = groups;
    return PLUMB_OK;
}

int scores_builder_end(struct scores_builder *b, int status, struct plumb_error *e)
{
    if (status == PLUMB_OK)
        status = finish(b, e);
    if (b->group_numbers)
        hash_table_destroy(b->group_numbers);
    mem_free(b->groups);
    mem_free(b->flat);
    if (status != PLUMB_OK)
        scores_free(b->out);
    return status;
}
