/*
 * pair_csv.c - a pair from a table of recorded logits: subject,index,gold,base_A,base_B,...,post_A,post_B,...
 *
 * Cells are plain: no quotes, no comma inside. Empty logits behind a question's last option stand for options that it
 * does not have; an empty gold is an unknown one.
 */
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "base/file.h"
#include "base/hash.h"
#include "base/number.h"
#include "calibrate/pair_private.h"
#include "calibrate/softmax.h"

struct csv {
    const char *path, *at, *end;
    size_t line;
    struct pair *pair;
    struct hash_table *groups; /* name -> index */
    const char **names;        /* [n] room for every group */
};

struct cell {
    const char *text;
    size_t size;
    bool last; /* of its line */
};

/* The next cell of the line; cells beyond the end of the file are empty and last. */
static struct cell next_cell(struct csv *c)
{
    struct cell out = {.text = c->at};
    while (c->at < c->end && *c->at != ',' && *c->at != '\n')
        c->at++;
    out.size = (size_t)(c->at - out.text);
    out.last = c->at >= c->end || *c->at == '\n';
    if (c->at < c->end)
        c->at++;
    if (out.last && out.size && out.text[out.size - 1] == '\r')
        out.size--;
    return out;
}

static bool cell_is(const struct cell *c, const char *text)
{
    return c->size == strlen(text) && memcmp(c->text, text, c->size) == 0;
}

static int bad_cell(const struct csv *c, const struct cell *cell, const char *name,
                    const char *expected, struct plumb_error *e)
{
    return error_set(e, PLUMB_INPUT, "%s:%zu: %s is '%.*s'; expected %s", c->path, c->line, name,
                     (int)(cell->size < 40 ? cell->size : 40), cell->text, expected);
}

/* Finds K from the names of the columns. */
static int read_head(struct csv *c, struct plumb_error *e)
{
    static const char *const fixed[] = {"subject", "index", "gold"};
    struct cell cell = {0};
    c->line = 1;
    for (size_t i = 0; i < 3; i++) {
        cell = next_cell(c);
        if (!cell_is(&cell, fixed[i]) || cell.last)
            return bad_cell(c, &cell, "a column",
                            "subject,index,gold,base_A,base_B,...,post_A,post_B,...", e);
    }
    int count[2] = {0, 0};
    while (!cell.last) {
        char name[8];
        cell = next_cell(c);
        const int side = count[1] || (count[0] && cell.size > 0 && cell.text[0] == 'p');
        snprintf(name, sizeof name, "%s_%c", side ? "post" : "base", 'A' + count[side]);
        if (count[side] >= SOFTMAX_MOST || !cell_is(&cell, name))
            return bad_cell(c, &cell, "a column", name, e);
        count[side]++;
    }
    if (count[0] < 2 || count[0] != count[1])
        return error_set(
            e, PLUMB_INPUT,
            "%s:1: %d columns of base logits and %d of post; expected the same number, "
            "at least 2",
            c->path, count[0], count[1]);
    c->pair->k = count[0];
    return PLUMB_OK;
}

static size_t count_lines(const struct csv *c)
{
    size_t n = 0;
    for (const char *p = c->at; p < c->end; n++) {
        const char *end = memchr(p, '\n', (size_t)(c->end - p));
        p = end ? end + 1 : c->end;
    }
    return n;
}

static int read_group(struct csv *c, size_t row, const struct cell *cell, struct plumb_error *e)
{
    struct pair *p = c->pair;
    int32_t g = hash_table_get(c->groups, cell->text, cell->size, -1);
    if (g < 0) {
        g = p->n_groups;
        c->names[g] = arena_strndup(p->arena, cell->text, cell->size);
        if (!c->names[g] || hash_table_put(c->groups, cell->text, cell->size, g) < 0)
            return error_memory(e, "the names of the subjects");
        p->n_groups++;
    }
    p->group[row] = g;
    return PLUMB_OK;
}

/* K logits; returns how many there are before the empty ones, -1 on an error. */
static int read_logits(struct csv *c, double *z, const char *side, bool ends, struct plumb_error *e)
{
    const int k = c->pair->k;
    int n = 0;
    for (int j = 0; j < k; j++) {
        char name[8];
        snprintf(name, sizeof name, "%s_%c", side, 'A' + j);
        const struct cell cell = next_cell(c);
        if (cell.last != (ends && j == k - 1)) {
            (void)error_set(e, PLUMB_INPUT, "%s:%zu: %s cells than the head has", c->path, c->line,
                            cell.last ? "fewer" : "more");
            return -1;
        }
        if (!cell.size)
            continue;
        if (n != j || !number_read(cell.text, cell.size, &z[j])) {
            (void)bad_cell(c, &cell, name, n != j ? "no logit behind an empty one" : "a number", e);
            return -1;
        }
        n = j + 1;
    }
    return n;
}

static int read_line(struct csv *c, size_t row, struct plumb_error *e)
{
    struct pair *p = c->pair;
    const struct cell subject = next_cell(c);
    const struct cell index = subject.last ? subject : next_cell(c);
    const struct cell gold = index.last ? index : next_cell(c);
    if (gold.last)
        return error_set(e, PLUMB_INPUT, "%s:%zu: the line ends after %s", c->path, c->line,
                         subject.last ? "the subject" : "the first columns");
    const int status = read_group(c, row, &subject, e);
    if (status != PLUMB_OK)
        return status;
    const int base = read_logits(c, p->base + row * (size_t)p->k, "base", false, e);
    const int post = base < 0 ? -1 : read_logits(c, p->post + row * (size_t)p->k, "post", true, e);
    if (post < 0)
        return e ? e->code : PLUMB_INPUT;
    if (base != post)
        return error_set(e, PLUMB_INPUT, "%s:%zu: %d logits of base and %d of post", c->path,
                         c->line, base, post);
    p->options[row] = base;
    p->label[row] = -1;
    if (gold.size == 1 && gold.text[0] >= 'A' && gold.text[0] < 'A' + base)
        p->label[row] = gold.text[0] - 'A';
    else if (gold.size)
        return bad_cell(c, &gold, "gold", "the letter of an option, or nothing", e);
    return PLUMB_OK;
}

static int read_table(struct csv *c, struct plumb_error *e)
{
    struct pair *p = c->pair;
    int status = read_head(c, e);
    if (status != PLUMB_OK)
        return status;
    /* A line that will be taken has 2k + 2 commas, so no more rows than this can be read. */
    const size_t lines = count_lines(c), least = 2 * (size_t)p->k + 3;
    const size_t most = (size_t)(c->end - c->at) / least + 1;
    p->n = lines < most ? lines : most;
    if (!p->n)
        return error_set(e, PLUMB_INPUT, "%s: no questions behind the head", c->path);
    c->groups = hash_table_create(64);
    if (!c->groups || !pair_allocate(p) ||
        !(c->names = arena_alloc(p->arena, p->n, sizeof *c->names)))
        return error_memory(e, "the logits of a pair");
    p->name = arena_strndup(p->arena, c->path, strlen(c->path));
    const char *base_name = file_base_name(c->path);
    p->task = arena_strndup(p->arena, base_name, strlen(base_name));
    if (!p->name || !p->task)
        return error_memory(e, "the logits of a pair");
    for (size_t row = 0; status == PLUMB_OK && row < p->n; row++) {
        c->line++;
        status = read_line(c, row, e);
    }
    p->groups = c->names;
    return status == PLUMB_OK ? pair_finish(p, e) : status;
}

int pair_parse_csv(const char *text, size_t n, const char *what, struct pair *out,
                   struct plumb_error *e)
{
    *out = (struct pair){.base_model = {"", "", "", "", ""}, .post_model = {"", "", "", "", ""}};
    out->task_hash = out->preset = out->preset_hash = out->score = "";
    struct csv c = {.path = what, .at = text, .end = text + n, .pair = out};
    const int status = read_table(&c, e);
    hash_table_destroy(c.groups);
    if (status != PLUMB_OK)
        pair_free(out);
    return status;
}

int pair_read_csv(const char *path, struct pair *out, struct plumb_error *e)
{
    struct file_map map;
    *out = (struct pair){0};
    int status = file_map_open(path, &map, e);
    if (status != PLUMB_OK)
        return status;
    status = pair_parse_csv((const char *)map.data, map.size, path, out, e);
    file_map_close(&map);
    return status;
}
