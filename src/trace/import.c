/*
 * import.c - scores of any format become a trace.
 *
 * `imported` holds the source's numbers to the last bit; `logits` the same as f32 (of probabilities their logarithms), for
 * readers that know no imports. What only the one who ran the model can know is written as "unknown".
 */
#include "trace/import.h"

#include <limits.h>
#include <math.h>
#include <string.h>

#include "base/file.h"
#include "base/memory.h"
#include "base/size.h"
#include "task/questions.h"
#include "trace/trace_layout.h"

/* The files together. */
struct import {
    const char *const *paths;
    struct scores *parts; /* [n_parts] */
    size_t n_parts;
    size_t rows;
    int k;
    bool places; /* the hashes of at least one part are of places */
    const char **groups;
    int n_groups;
    int32_t **group_of; /* [n_parts][part's groups] index into groups */
    struct question_set questions;
    bool with_questions;
    struct arena *arena;
    char fingerprint[33], task_hash[33];
};

static void close_import(struct import *m)
{
    for (size_t i = 0; i < m->n_parts; i++)
        scores_free(&m->parts[i]);
    mem_free(m->parts);
    questions_free(&m->questions);
    arena_destroy(m->arena);
}

/* ---- reading and checking the parts ---- */

/* A trace has no NaN and no +inf. */
static int check_values(const struct scores *s, const char *path, struct plumb_error *e)
{
    const size_t k = (size_t)s->k;
    for (size_t i = 0; i < s->n; i++)
        for (size_t j = 0; j < (size_t)s->options[i]; j++) {
            const double v = s->values[i * k + j];
            if (isnan(v) || v == INFINITY)
                return error_set(e, PLUMB_INPUT,
                                 "%s: row %zu, option %zu: found %g, expected a number: a trace "
                                 "holds no NaN; remove that row",
                                 path, i + 1, j, v);
        }
    return PLUMB_OK;
}

static int check_part(const struct import *m, size_t part, struct plumb_error *e)
{
    const struct scores *s = &m->parts[part], *first = &m->parts[0];
    const char *path = m->paths[part];
    if (s->format == SCORES_TRACE)
        return error_set(e, PLUMB_INPUT, "%s is a trace already", path);
    if (s->kind == SCORES_CONFIDENCE)
        return error_set(e, PLUMB_INPUT,
                         "%s (%s) holds one confidence a question and not the scores of its "
                         "options, of which a trace is made: 'plumb measure' takes it as it is",
                         path, scores_format_name(s->format));
    if (s->k > TRACE_MAX_OPTIONS)
        return error_set(e, PLUMB_INPUT, "%s: found %d options, expected at most %d", path, s->k,
                         (int)TRACE_MAX_OPTIONS);
    if (s->kind != first->kind || s->format != first->format)
        return error_set(e, PLUMB_INPUT, "%s is not what %s is: import files of one kind together",
                         path, m->paths[0]);
    return check_values(s, path, e);
}

static int read_parts(struct import *m, const struct import_options *o, struct plumb_error *e)
{
    for (size_t i = 0; i < m->n_parts; i++) {
        int status = scores_read_columns(m->paths[i], o->columns, &m->parts[i], e);
        if (status == PLUMB_OK)
            status = check_part(m, i, e);
        if (status != PLUMB_OK)
            return status;
        if (m->parts[i].k > m->k)
            m->k = m->parts[i].k;
        m->rows += m->parts[i].n;
        m->places |= !m->parts[i].hashes_texts;
    }
    return PLUMB_OK;
}

/* Of the files' bytes, in their order: what stands in place of the model's fingerprint. */
static int hash_files(struct import *m, struct plumb_error *e)
{
    struct hash_state *state = hash_create();
    int status = state ? PLUMB_OK : error_memory(e, "a fingerprint");
    for (size_t i = 0; i < m->n_parts && status == PLUMB_OK; i++) {
        struct file_map map;
        status = file_map_open(m->paths[i], &map, e);
        if (status == PLUMB_OK) {
            const uint64_t size = map.size;
            hash_add(state, &size, sizeof size);
            hash_add(state, map.data, map.size);
            file_map_close(&map);
        }
    }
    if (state)
        hash_hex(hash_finish(state), m->fingerprint);
    return status;
}

/* ---- groups ---- */

static int join_groups(struct import *m, struct plumb_error *e)
{
    size_t most = 0;
    for (size_t i = 0; i < m->n_parts; i++)
        most += (size_t)m->parts[i].n_groups;
    struct hash_table *numbers = hash_table_create(most);
    m->groups = arena_alloc(m->arena, most, sizeof *m->groups);
    m->group_of = arena_alloc(m->arena, m->n_parts, sizeof *m->group_of);
    bool good = numbers && m->groups && m->group_of && most <= INT_MAX;
    for (size_t i = 0; good && i < m->n_parts; i++) {
        const struct scores *s = &m->parts[i];
        m->group_of[i] = arena_alloc(m->arena, (size_t)s->n_groups, sizeof **m->group_of);
        good = m->group_of[i] != NULL;
        for (int g = 0; good && g < s->n_groups; g++) {
            const char *name = s->groups[g];
            const int32_t at = hash_table_get(numbers, name, strlen(name), m->n_groups);
            m->group_of[i][g] = at;
            if (at < m->n_groups)
                continue;
            m->groups[m->n_groups++] = name;
            good = hash_table_put(numbers, name, strlen(name), at) >= 0;
        }
    }
    if (numbers)
        hash_table_destroy(numbers);
    return good ? PLUMB_OK : error_memory(e, "the groups");
}

/* ---- the questions ---- */

static bool same_hash(struct hash128 x, struct hash128 y)
{
    return x.low == y.low && x.high == y.high;
}

/* Row `row` of part s is question q? */
static int check_question(const struct scores *s, const char *path, size_t row,
                          const struct question *q, struct plumb_error *e)
{
    if (s->options[row] != q->n_options)
        return error_set(e, PLUMB_INPUT,
                         "%s: row %zu has %d options, question %s has %d: the questions must stand "
                         "in the order of the rows",
                         path, row + 1, s->options[row], q->id, q->n_options);
    if (s->label[row] >= 0 && q->gold >= 0 && s->label[row] != q->gold)
        return error_set(e, PLUMB_INPUT,
                         "%s: row %zu: option %d is right, of question %s it is option %d: the "
                         "questions must stand in the order of the rows",
                         path, row + 1, s->label[row], q->id, q->gold);
    if (s->hashes_texts && s->format == SCORES_JSONL && !same_hash(s->item_hash[row], q->hash))
        return error_set(e, PLUMB_INPUT,
                         "%s: row %zu holds another question than question %s: the questions must "
                         "stand in the order of the rows",
                         path, row + 1, q->id);
    return PLUMB_OK;
}

static int read_questions(struct import *m, const struct import_options *o, struct plumb_error *e)
{
    if (!o->questions)
        return PLUMB_OK;
    int status = questions_read(o->questions, 0, &m->questions, e);
    if (status == PLUMB_OK && m->questions.count != m->rows)
        status = error_set(e, PLUMB_INPUT, "%s holds %zu questions, the imported files %zu rows",
                           o->questions, m->questions.count, m->rows);
    const struct question *q = m->questions.items;
    for (size_t i = 0; i < m->n_parts && status == PLUMB_OK; i++)
        for (size_t row = 0; row < m->parts[i].n && status == PLUMB_OK; row++)
            status = check_question(&m->parts[i], m->paths[i], row, q++, e);
    m->with_questions = status == PLUMB_OK;
    return status;
}

/* ---- filling the trace ---- */

/* Places of several files must not be the same. */
static struct hash128 row_hash(const struct import *m, size_t part, size_t row, size_t item)
{
    const struct scores *s = &m->parts[part];
    if (m->with_questions)
        return m->questions.items[item].hash;
    if (s->hashes_texts || part == 0)
        return s->item_hash[row];
    const struct hash128 in_part[2] = {{part, 0}, s->item_hash[row]};
    return hash_bytes(in_part, sizeof in_part);
}

static void fill_values(struct trace *t, size_t item, const double *from, int options)
{
    const size_t k = (size_t)t->header.n_options;
    const bool probabilities = t->header.imported_probabilities;
    for (size_t j = 0; j < k; j++) {
        const bool there = j < (size_t)options;
        t->imported[item * k + j] = there ? from[j] : probabilities ? 0 : -INFINITY;
        const double z = !there ? -INFINITY : probabilities ? log(from[j]) : from[j];
        /* an f32 ends at 3.4e38; beyond it is beyond reason, and +inf is not allowed */
        t->logits[item * k + j] = (float)(z > 3.4e38 ? 3.4e38 : z);
    }
}

static void fill(const struct import *m, struct trace *t)
{
    size_t item = 0;
    for (size_t i = 0; i < m->n_parts; i++) {
        const struct scores *s = &m->parts[i];
        for (size_t row = 0; row < s->n; row++, item++) {
            const struct question *q = m->with_questions ? &m->questions.items[item] : NULL;
            const struct hash128 hash = row_hash(m, i, row, item);
            fill_values(t, item, s->values + row * (size_t)s->k, s->options[row]);
            t->item_hash[2 * item] = hash.low;
            t->item_hash[2 * item + 1] = hash.high;
            t->label[item] = s->label[row] < 0 && q ? q->gold : s->label[row];
            t->options[item] = s->options[row];
            t->group[item] = q ? q->group : m->group_of[i][s->group[row]];
        }
    }
}

/* Without a question set: of all that tells the items apart, in order. */
static int hash_task(struct import *m, struct plumb_error *e)
{
    if (m->with_questions) {
        hash_hex(m->questions.hash, m->task_hash);
        return PLUMB_OK;
    }
    struct hash_state *state = hash_create();
    if (!state)
        return error_memory(e, "the hash of the task");
    size_t item = 0;
    for (size_t i = 0; i < m->n_parts; i++)
        for (size_t row = 0; row < m->parts[i].n; row++, item++) {
            const struct hash128 hash = row_hash(m, i, row, item);
            hash_add(state, &hash, sizeof hash);
            hash_add(state, &m->parts[i].label[row], sizeof(int32_t));
        }
    hash_hex(hash_finish(state), m->task_hash);
    return PLUMB_OK;
}

static struct trace_header header_of(const struct import *m, const struct import_options *o)
{
    static const char unknown[] = "unknown";
    return (struct trace_header){
        .n = m->rows,
        .n_options = m->k,
        .model = o->model                               ? o->model
                 : m->parts[0].format == SCORES_LM_EVAL ? unknown
                                                        : m->parts[0].name,
        .model_fingerprint = m->fingerprint,
        .architecture = unknown,
        .tokenizer_hash = unknown,
        .preset = unknown,
        .preset_hash = unknown,
        .task = m->with_questions ? m->questions.name : m->parts[0].name,
        .task_hash = m->task_hash,
        .precision = unknown,
        .arithmetic = unknown,
        .lens = "none",
        .program = "plumb " PLUMB_VERSION,
        .groups = m->with_questions ? m->questions.groups : m->groups,
        .n_groups = m->with_questions ? m->questions.n_groups : m->n_groups,
        .total = m->rows,
        .imported = scores_format_name(m->parts[0].format),
        .imported_probabilities = m->parts[0].kind == SCORES_PROBABILITIES,
        .hashes_places = m->places && !m->with_questions,
    };
}

static int write_trace(struct import *m, const char *out, const struct import_options *o,
                       struct plumb_error *e)
{
    const struct trace_header h = header_of(m, o);
    struct trace t;
    size_t resumed = 0;
    int status = trace_create(out, &h, &t, &resumed, e);
    if (status != PLUMB_OK)
        return status;
    if (resumed < h.n) {
        fill(m, &t);
        status = trace_commit(&t, NULL, h.n, e);
        if (status == PLUMB_OK)
            status = trace_finish(&t, e);
    }
    trace_close(&t);
    return status;
}

int trace_import(const char *const *paths, size_t n, const char *out,
                 const struct import_options *o, struct plumb_error *e)
{
    struct import m = {.paths = paths, .n_parts = n, .arena = arena_create()};
    m.parts = mem_zalloc(n, sizeof *m.parts);
    int status = m.parts && m.arena ? PLUMB_OK : error_memory(e, "an import");
    if (!m.parts)
        m.n_parts = 0;
    if (status == PLUMB_OK)
        status = read_parts(&m, o, e);
    if (status == PLUMB_OK)
        status = read_questions(&m, o, e);
    if (status == PLUMB_OK)
        status = join_groups(&m, e);
    if (status == PLUMB_OK)
        status = hash_files(&m, e);
    if (status == PLUMB_OK)
        status = hash_task(&m, e);
    if (status == PLUMB_OK)
        status = write_trace(&m, out, o, e);
    close_import(&m);
    return status;
}
