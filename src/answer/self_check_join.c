/*
 * self_check_join.c - see self_check_join.h.
 */
#include "answer/self_check_join.h"

#include <string.h>
#include <unistd.h>

#include "answer/self_check_answers.h"
#include "answer/self_check_record.h"
#include "base/json.h"
#include "base/memory.h"

/* ---- members of an object --------------------------------------------------------------------- */

static bool is_one_of(const char *key, size_t n, const char *const *names)
{
    for (; names && *names; names++)
        if (strlen(*names) == n && memcmp(*names, key, n) == 0)
            return true;
    return false;
}

/* Those of an object kept as text; only (or null for all) those named, and never those of `not`. */
static int put_members(struct json_writer *w, const char *object, const char *const *only,
                       const char *const * not, struct plumb_error *e)
{
    struct json_document *d = NULL;
    if (!object)
        return PLUMB_OK;
    const int status = json_parse(object, strlen(object), "further members", &d, e);
    if (status == PLUMB_OK)
        for (struct json_iterator i = json_each(json_root(d)); json_next(&i);)
            if ((!only || is_one_of(i.key, i.key_size, only)) &&
                !is_one_of(i.key, i.key_size, not )) {
                json_write_key(w, i.key);
                json_write_value(w, i.value);
            }
    json_close(d);
    return status;
}

/* All members of `a`, and those of `b` that are named. */
static int join_members(struct confidence_file *f, const char *a, const char *b,
                        const char *const *named, const char **out, struct plumb_error *e)
{
    struct buffer text = BUFFER_EMPTY;
    struct json_writer w = json_writer_start(&text, 0);
    json_write_object(&w);
    int status = put_members(&w, a, NULL, named, e);
    if (status == PLUMB_OK)
        status = put_members(&w, b, named, NULL, e);
    json_write_end(&w, '}');
    *out = status == PLUMB_OK && !text.failed ? confidence_keep(f, text.data) : NULL;
    buffer_free(&text);
    return status == PLUMB_OK && !*out ? error_memory(e, "the confidences") : status;
}

/* ---- two files --------------------------------------------------------------------------------- */

static bool keep(struct confidence_file *f, const char *s, const char **out)
{
    *out = confidence_keep(f, s);
    return *out || !s;
}

/* Source `s` of a file of as many questions, copied to place `at`. */
static bool copy_source(const struct confidence_file *from, int s, struct confidence_file *to,
                        int at)
{
    struct confidence_source *x = &to->sources[at];
    *x = from->sources[s];
    memcpy(to->value[at], from->value[s], from->n * sizeof **from->value);
    return keep(to, x->name, &x->name) && keep(to, x->words, &x->words) &&
           keep(to, x->details, &x->details);
}

static int copy_rows(const struct confidence_file *a, const struct confidence_file *b,
                     struct confidence_file *out, struct plumb_error *e)
{
    static const char *const of_questions[] = {"said", "reasoning", NULL};
    static const char *const of_header[] = {"self_check", NULL};
    int status =
        join_members(out, a->header_extra, b->header_extra, of_header, &out->header_extra, e);
    for (size_t i = 0; i < a->n && status == PLUMB_OK; i++) {
        out->item[i] = a->item[i];
        out->right[i] = a->right[i];
        status =
            keep(out, a->group[i], &out->group[i]) ? PLUMB_OK : error_memory(e, "the confidences");
        if (status == PLUMB_OK)
            status = join_members(out, a->extra[i], b->extra[i], of_questions, &out->extra[i], e);
    }
    return status;
}

static bool is_self_check(const char *name)
{
    for (int s = 0; s < SELF_CHECKS; s++)
        if (strcmp(self_check_name((enum self_check)s), name) == 0)
            return true;
    return false;
}

/* All sources of a, then the self-checks of b. */
static int join(const struct confidence_file *a, const struct confidence_file *b,
                struct confidence_file *out, struct plumb_error *e)
{
    int n = a->n_sources;
    for (int s = 0; s < b->n_sources; s++)
        n += is_self_check(b->sources[s].name);
    int status = confidence_create(a->n, n, out, e);
    if (status != PLUMB_OK)
        return status;
    int at = 0;
    bool good = keep(out, a->model, &out->model) && keep(out, a->model_name, &out->model_name) &&
                keep(out, a->task, &out->task) && keep(out, a->task_name, &out->task_name) &&
                keep(out, a->judged, &out->judged);
    for (int s = 0; s < a->n_sources && good; s++)
        good = copy_source(a, s, out, at++);
    for (int s = 0; s < b->n_sources && good; s++)
        if (is_self_check(b->sources[s].name))
            good = copy_source(b, s, out, at++);
    status = good ? copy_rows(a, b, out, e) : error_memory(e, "the confidences");
    if (status != PLUMB_OK)
        confidence_free(out);
    return status;
}

/* ---- all of it --------------------------------------------------------------------------------- */

static char *check_path(const char *path)
{
    struct buffer b = BUFFER_EMPTY;
    buffer_printf(&b, "%s.check", path);
    char *out = b.failed ? NULL : mem_strndup(b.data, b.size);
    buffer_free(&b);
    return out;
}

int self_check_join(struct model *m, const struct self_check_options *o, const char *path,
                    struct confidence_file *file, struct plumb_error *e)
{
    const struct self_check_answers_options all = {0};
    struct self_check_answers answers = {0};
    struct self_check_record_report report;
    struct confidence_file checked = {0}, both = {0};
    char *beside = check_path(path);
    int status = beside ? PLUMB_OK : error_memory(e, "a file name");
    if (status == PLUMB_OK)
        status = self_check_answers_file(path, &all, &answers, e);
    const bool there = status == PLUMB_OK && self_check_is_in(m, &answers, o, path, &checked);
    if (status == PLUMB_OK && !there)
        status = self_check_record(m, &answers, o, beside, NULL, &checked, &report, e);
    if (status == PLUMB_OK)
        status = join(file, &checked, &both, e);
    if (status == PLUMB_OK && !there)
        status = confidence_write(&both, path, e);
    if (status == PLUMB_OK) {
        if (!there)
            unlink(beside);
        confidence_free(file);
        *file = both;
        both = (struct confidence_file){0};
    }
    confidence_free(&both);
    confidence_free(&checked);
    self_check_answers_free(&answers);
    mem_free(beside);
    return status;
}
