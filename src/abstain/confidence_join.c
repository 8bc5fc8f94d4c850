/*
 * confidence_join.c - see confidence_join.h.
 */
#include "abstain/confidence_join.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"

/* A question of some file; `turn`: it is the turn-th of its hash there. */
struct entry {
    struct hash128 item;
    uint32_t turn, place; /* place: within the file */
    int file;
};

static int by_item_in_file(const void *a, const void *b)
{
    const struct entry *x = a, *y = b;
    if (x->item.high != y->item.high)
        return (x->item.high > y->item.high) - (x->item.high < y->item.high);
    if (x->item.low != y->item.low)
        return (x->item.low > y->item.low) - (x->item.low < y->item.low);
    if (x->file != y->file)
        return (x->file > y->file) - (x->file < y->file);
    return (x->place > y->place) - (x->place < y->place);
}

static int by_item_and_turn(const void *a, const void *b)
{
    const struct entry *x = a, *y = b;
    if (x->item.high != y->item.high)
        return (x->item.high > y->item.high) - (x->item.high < y->item.high);
    if (x->item.low != y->item.low)
        return (x->item.low > y->item.low) - (x->item.low < y->item.low);
    if (x->turn != y->turn)
        return (x->turn > y->turn) - (x->turn < y->turn);
    return (x->file > y->file) - (x->file < y->file);
}

static bool same_item(const struct entry *a, const struct entry *b)
{
    return a->item.low == b->item.low && a->item.high == b->item.high;
}

void confidence_rows_free(struct confidence_rows *r)
{
    for (int k = 0; r->row && k < r->files; k++)
        mem_free(r->row[k]);
    mem_free(r->row);
    *r = (struct confidence_rows){0};
}

/* The first file that holds a question gives its place; files come in order. */
static void number_rows(struct entry *entries, size_t count, struct confidence_rows *out)
{
    qsort(entries, count, sizeof *entries, by_item_in_file);
    for (size_t i = 0; i < count; i++) {
        const bool again = i > 0 && same_item(&entries[i], &entries[i - 1]) &&
                           entries[i].file == entries[i - 1].file;
        entries[i].turn = again ? entries[i - 1].turn + 1 : 0;
    }
    qsort(entries, count, sizeof *entries, by_item_and_turn);
    for (size_t i = 0; i < count;
         i++) { /* a partner's place stands there already, or is still to be given */
        const bool partner = i > 0 && same_item(&entries[i], &entries[i - 1]) &&
                             entries[i].turn == entries[i - 1].turn;
        out->row[entries[i].file][entries[i].place] = partner ? (uint32_t)(i - 1) : UINT32_MAX;
    }
}

/* number_rows left in `row` UINT32_MAX for the first of its kind, else the sorted place of the partner before it. */
static void resolve(const struct entry *entries, const struct confidence_file *files,
                    struct confidence_rows *out)
{
    for (int k = 0; k < out->files; k++)
        for (size_t i = 0; i < files[k].n; i++) {
            uint32_t *row = &out->row[k][i];
            if (*row == UINT32_MAX) {
                *row = (uint32_t)out->n++;
            } else {
                const struct entry *before = &entries[*row];
                *row = out->row[before->file][before->place]; /* an earlier file: settled */
            }
        }
}

int confidence_rows_find(const struct confidence_file *files, int n, struct confidence_rows *out,
                         struct plumb_error *e)
{
    size_t count = 0, at = 0;
    *out = (struct confidence_rows){.files = n, .row = mem_zalloc((size_t)n, sizeof *out->row)};
    for (int k = 0; k < n; k++)
        count += files[k].n;
    struct entry *entries = mem_array(count, sizeof *entries);
    bool good = out->row && entries && count < UINT32_MAX;
    for (int k = 0; good && k < n; k++) {
        good = (out->row[k] = mem_array(files[k].n, sizeof **out->row)) != NULL;
        for (size_t i = 0; good && i < files[k].n; i++)
            entries[at++] =
                (struct entry){.item = files[k].item[i], .place = (uint32_t)i, .file = k};
    }
    if (good) {
        number_rows(entries, count, out);
        resolve(entries, files, out);
    } else {
        confidence_rows_free(out);
    }
    mem_free(entries);
    return good ? PLUMB_OK : error_memory(e, "the questions");
}

/* ---- one table ---- */

static int check_models(const struct confidence_file *files, const char *const *paths, int n,
                        struct plumb_error *e)
{
    for (int k = 1; k < n; k++)
        if (files[0].model && files[k].model && strcmp(files[0].model, files[k].model) != 0)
            return error_set(e, PLUMB_INPUT,
                             "%s is of the model %s, %s of another, %s: only confidences in the "
                             "same answers can be put together",
                             paths[0], files[0].model_name ? files[0].model_name : files[0].model,
                             paths[k], files[k].model_name ? files[k].model_name : files[k].model);
    return PLUMB_OK;
}

static int name_source(struct confidence_file *out, int at, const struct confidence_source *from,
                       struct plumb_error *e)
{
    struct confidence_source *to = &out->sources[at];
    char name[256];
    snprintf(name, sizeof name, "%s", from->name);
    for (int turn = 2;; turn++) {
        int before = 0;
        while (before < at && strcmp(out->sources[before].name, name) != 0)
            before++;
        if (before == at)
            break;
        snprintf(name, sizeof name, "%.240s-%d", from->name, turn);
    }
    *to = *from;
    to->name = confidence_keep(out, name);
    to->words = confidence_keep(out, from->words);
    to->details = confidence_keep(out, from->details);
    return to->name && (to->words || !from->words) && (to->details || !from->details)
               ? PLUMB_OK
               : error_memory(e, "the sources");
}

static int add_questions(const struct confidence_file *f, const char *path, const uint32_t *row,
                         struct confidence_file *out, struct plumb_error *e)
{
    for (size_t i = 0; i < f->n; i++) {
        int8_t *right = &out->right[row[i]];
        out->item[row[i]] = f->item[i];
        if (!out->group[row[i]] && f->group[i] &&
            !(out->group[row[i]] = confidence_keep(out, f->group[i])))
            return error_memory(e, "the questions");
        if (*right >= 0 && f->right[i] >= 0 && *right != f->right[i])
            return error_set(e, PLUMB_INPUT,
                             "question %zu of %s is %s there and %s in a file before it: they "
                             "judge different answers",
                             i + 1, path, f->right[i] ? "right" : "wrong",
                             f->right[i] ? "wrong" : "right");
        if (f->right[i] >= 0)
            *right = f->right[i];
    }
    return PLUMB_OK;
}

/* Do the files share a question at all? */
static int check_common(const struct confidence_file *files, const char *const *paths, int n,
                        size_t rows, struct plumb_error *e)
{
    size_t all = 0;
    for (int k = 0; k < n; k++)
        all += files[k].n;
    return n == 1 || rows < all
               ? PLUMB_OK
               : error_set(e, PLUMB_INPUT,
                           "%s and %s hold no question in common (questions are known by their "
                           "text and options)",
                           paths[0], paths[n - 1]);
}

int confidence_join(const struct confidence_file *files, const char *const *paths, int n,
                    struct confidence_file *out, struct plumb_error *e)
{
    struct confidence_rows rows = {0};
    int sources = 0, at = 0;
    *out = (struct confidence_file){0};
    for (int k = 0; k < n; k++)
        sources += files[k].n_sources;
    int status = check_models(files, paths, n, e);
    if (status == PLUMB_OK)
        status = confidence_rows_find(files, n, &rows, e);
    if (status == PLUMB_OK)
        status = check_common(files, paths, n, rows.n, e);
    if (status == PLUMB_OK)
        status = confidence_create(rows.n, sources, out, e);
    for (int k = 0; status == PLUMB_OK && k < n; k++) {
        status = add_questions(&files[k], paths[k], rows.row[k], out, e);
        for (int s = 0; status == PLUMB_OK && s < files[k].n_sources; s++, at++) {
            status = name_source(out, at, &files[k].sources[s], e);
            for (size_t i = 0; i < files[k].n; i++)
                out->value[at][rows.row[k][i]] = files[k].value[s][i];
        }
    }
    if (status == PLUMB_OK) {
        out->model = confidence_keep(out, files[0].model);
        out->model_name = confidence_keep(out, files[0].model_name);
        out->task = confidence_keep(out, files[0].task);
        out->task_name = confidence_keep(out, files[0].task_name);
        out->judged = confidence_keep(out, files[0].judged);
    }
    confidence_rows_free(&rows);
    if (status != PLUMB_OK)
        confidence_free(out);
    return status;
}
