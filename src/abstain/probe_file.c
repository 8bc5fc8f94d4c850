/*
 * probe_file.c - see probe_file.h.
 */
#include "abstain/probe_file.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/json.h"
#include "base/memory.h"
#include "model/safetensors.h"
#include "model/safetensors_write.h"

enum { PROBE_VERSION = 1, MOST_TENSORS = 11 };

const char *probe_position(const char *score)
{
    return strcmp(score, "letters") == 0
               ? "the last token of the prompt, where the letter is asked for"
               : "the last token of the question, before any option's text";
}

/* ---- writing ---- */

static void put_auroc(struct json_writer *w, const char *key, const struct auroc *a)
{
    json_write_key(w, key);
    json_write_object(w);
    json_write_member_double(w, "auroc", a->value);
    json_write_member_double(w, "low", a->low);
    json_write_member_double(w, "high", a->high);
    json_write_end(w, '}');
}

static void put_origin(struct json_writer *w, const struct probe_origin *o)
{
    json_write_member_string(w, "model_fingerprint", o->model_fingerprint);
    json_write_member_string(w, "model", o->model);
    json_write_member_string(w, "preset", o->preset);
    json_write_member_string(w, "preset_hash", o->preset_hash);
    json_write_member_string(w, "score", o->score);
    json_write_member_string(w, "position", probe_position(o->score));
    json_write_member_string(w, "precision", o->precision);
    json_write_member_string(w, "task", o->task);
    json_write_member_string(w, "task_hash", o->task_hash);
    json_write_member_string(w, "target", o->target);
    json_write_member_string(w, "kept_together", o->key);
    json_write_key(w, "question_alone");
    json_write_bool(w, o->question_alone);
    json_write_member_integer(w, "folds", o->folds);
    json_write_member_integer(w, "seed", (int64_t)o->seed);
}

static void put_result(struct json_writer *w, const struct probe_result *r)
{
    json_write_member_integer(w, "layer", r->probe.layer);
    json_write_member_integer(w, "hidden_size", r->probe.hidden_size);
    json_write_member_integer(w, "features", r->probe.n_plain);
    json_write_member_double(w, "strength", r->probe.strength);
    json_write_member_integer(w, "questions", (int64_t)r->n);
    put_auroc(w, "nested", &r->nested);
    if (r->network)
        put_auroc(w, "nested_network", &r->nested_network);
    if (r->has_check)
        put_auroc(w, "dealt_the_other_way", &r->check);
    json_write_key(w, "chosen_layer_of_fold");
    json_write_array(w);
    for (int f = 0; f < r->folds; f++)
        json_write_integer(w, r->curve[r->chosen[f]].layer);
    json_write_end(w, ']');
    json_write_key(w, "curve");
    json_write_array(w);
    for (int c = 0; c < r->n_candidates; c++) {
        json_write_object(w);
        json_write_member_integer(w, "layer", r->curve[c].layer);
        json_write_member_double(w, "strength", r->curve[c].strength);
        json_write_member_double(w, "loss", r->curve[c].loss);
        put_auroc(w, "left_out", &r->curve[c].left_out);
        json_write_end(w, '}');
    }
    json_write_end(w, ']');
}

/* A tensor and where its bytes are. */
struct part {
    const char *name;
    enum dtype type;
    int rank;
    size_t shape[2];
    const void *bytes;
};

static size_t list_parts(const struct probe_result *r, const struct probe_data *data,
                         struct part *to)
{
    const struct probe *p = &r->probe;
    const struct network *w = &p->network;
    size_t n = 0;
    to[n++] = (struct part){"mean", DTYPE_F64, 1, {p->d}, p->mean};
    to[n++] = (struct part){"scale", DTYPE_F64, 1, {p->d}, p->scale};
    to[n++] = (struct part){"weight", DTYPE_F64, 1, {p->d}, p->weight};
    to[n++] = (struct part){"bias", DTYPE_F64, 1, {1}, &p->bias};
    if (w->units) {
        to[n++] = (struct part){"hidden", DTYPE_F64, 2, {w->units, w->d}, w->hidden};
        to[n++] = (struct part){"hidden_bias", DTYPE_F64, 1, {w->units}, w->bias};
        to[n++] = (struct part){"out", DTYPE_F64, 1, {w->units}, w->out};
        to[n++] = (struct part){"out_bias", DTYPE_F64, 1, {1}, &w->out_bias};
    }
    to[n++] = (struct part){"item", DTYPE_U64, 2, {r->n, 2}, data->item};
    to[n++] = (struct part){"fold", DTYPE_U8, 1, {r->n}, r->fold};
    to[n++] = (struct part){"right", DTYPE_U8, 1, {r->n}, data->right};
    return n;
}

int probe_file_write(const struct probe_result *result, const struct probe_data *data,
                     const struct probe_origin *origin, const char *path, struct plumb_error *e)
{
    struct part parts[MOST_TENSORS];
    struct safetensors_entry entries[MOST_TENSORS] = {{0}};
    struct safetensors_writer *w = NULL;
    struct buffer text = BUFFER_EMPTY;
    struct json_writer json = json_writer_start(&text, 0);
    const size_t n = list_parts(result, data, parts);
    json_write_object(&json);
    json_write_member_integer(&json, "version", PROBE_VERSION);
    json_write_member_string(&json, "program", "plumb " PLUMB_VERSION);
    put_origin(&json, origin);
    put_result(&json, result);
    json_write_end(&json, '}');
    const struct safetensors_note note = {"plumb_probe", buffer_string(&text)};
    for (size_t i = 0; i < n; i++)
        entries[i] = (struct safetensors_entry){.name = parts[i].name,
                                                .type = parts[i].type,
                                                .rank = parts[i].rank,
                                                .shape = {parts[i].shape[0], parts[i].shape[1]}};
    int status = text.failed ? error_memory(e, "a probe")
                             : safetensors_writer_open(path, entries, n, &note, 1, &w, e);
    for (size_t i = 0; status == PLUMB_OK && i < n; i++) {
        const size_t elements = parts[i].shape[0] * (parts[i].rank > 1 ? parts[i].shape[1] : 1);
        const size_t size = parts[i].type == DTYPE_U8 ? 1 : 8;
        status = safetensors_writer_append(w, parts[i].bytes, elements * size, e);
    }
    buffer_free(&text);
    if (status != PLUMB_OK) {
        safetensors_writer_abandon(w);
        return status;
    }
    return safetensors_writer_commit(w, e);
}

/* ---- reading ---- */

struct reader {
    const char *path;
    struct probe_file *out;
    struct json note;
    struct plumb_error *e;
};

static int no_probe(const struct reader *r, const char *what)
{
    return error_set(r->e, PLUMB_INPUT,
                     "%s: found no %s; expected a probe that plumb abstain probe wrote", r->path,
                     what);
}

static int read_text(const struct reader *r, const char *key, const char **to)
{
    const char *s;
    size_t n;
    if (!json_string(json_get(r->note, key), &s, &n))
        return no_probe(r, key);
    *to = arena_strndup(r->out->arena, s, n);
    return *to ? PLUMB_OK : error_memory(r->e, "a probe");
}

static int read_texts(const struct reader *r)
{
    struct probe_origin *o = &r->out->origin;
    const struct {
        const char *key, **to;
    } texts[] = {{"model_fingerprint", &o->model_fingerprint},
                 {"model", &o->model},
                 {"preset", &o->preset},
                 {"preset_hash", &o->preset_hash},
                 {"score", &o->score},
                 {"precision", &o->precision},
                 {"task", &o->task},
                 {"task_hash", &o->task_hash},
                 {"target", &o->target},
                 {"kept_together", &o->key}};
    int status = PLUMB_OK;
    for (size_t i = 0; status == PLUMB_OK && i < sizeof texts / sizeof *texts; i++)
        status = read_text(r, texts[i].key, texts[i].to);
    return status;
}

static int read_integer(const struct reader *r, const char *key, int64_t low, int64_t high,
                        int64_t *to)
{
    if (!json_integer(json_get(r->note, key), to) || *to < low || *to > high)
        return no_probe(r, key);
    return PLUMB_OK;
}

static int read_numbers(const struct reader *r)
{
    struct probe_file *f = r->out;
    int64_t version, layer, hidden, plain, folds, seed, n;
    int status = read_integer(r, "version", 1, INT64_MAX, &version);
    if (status == PLUMB_OK && version != PROBE_VERSION)
        status = error_set(r->e, PLUMB_INPUT, "%s: a probe of version %lld; this program reads %d",
                           r->path, (long long)version, (int)PROBE_VERSION);
    if (status != PLUMB_OK || (status = read_integer(r, "layer", -1, 1 << 20, &layer)) ||
        (status = read_integer(r, "hidden_size", 0, 1 << 24, &hidden)) ||
        (status = read_integer(r, "features", 0, 1 << 16, &plain)) ||
        (status = read_integer(r, "folds", 1, 255, &folds)) ||
        (status = read_integer(r, "seed", INT64_MIN, INT64_MAX, &seed)) ||
        (status = read_integer(r, "questions", 1, INT64_MAX, &n)))
        return status;
    f->probe.layer = (int)layer;
    f->probe.hidden_size = (int)hidden;
    f->probe.n_plain = (int)plain;
    f->probe.d = (size_t)(hidden + plain);
    f->origin.folds = (int)folds;
    f->origin.seed = (uint64_t)seed;
    f->n = (size_t)n;
    if ((layer < 0) != (hidden == 0) || f->probe.d == 0)
        return no_probe(r, "sound hidden_size");
    if (!json_number(json_get(r->note, "strength"), &f->probe.strength) ||
        !json_bool(json_get(r->note, "question_alone"), &f->origin.question_alone))
        return no_probe(r, "strength");
    f->nested_auroc = (double)NAN;
    (void)json_number(json_get(json_get(r->note, "nested"), "auroc"), &f->nested_auroc);
    return PLUMB_OK;
}

/* Finite doubles [n], copied into new memory. */
static int read_tensor(const struct reader *r, const struct tensors *t, const char *name, size_t n,
                       double **to)
{
    const struct tensor *x = tensors_find(t, name);
    if (!x || x->type != DTYPE_F64 || x->elements != n)
        return error_set(r->e, PLUMB_INPUT, "%s: found no tensor %s of %zu F64 numbers", r->path,
                         name, n);
    *to = mem_array(n, sizeof **to);
    if (!*to)
        return error_memory(r->e, "a probe");
    memcpy(*to, x->data, n * sizeof **to);
    for (size_t i = 0; i < n; i++)
        if (!isfinite((*to)[i]))
            return error_set(r->e, PLUMB_INPUT, "%s: number %zu of %s is %g", r->path, i + 1, name,
                             (*to)[i]);
    return PLUMB_OK;
}

static int read_single(const struct reader *r, const struct tensors *t, const char *name,
                       double *to)
{
    double *one = NULL;
    const int status = read_tensor(r, t, name, 1, &one);
    if (status == PLUMB_OK)
        *to = *one;
    mem_free(one);
    return status;
}

static int read_network(const struct reader *r, const struct tensors *t)
{
    const struct tensor *hidden = tensors_find(t, "hidden");
    struct network *w = &r->out->probe.network;
    if (!hidden)
        return PLUMB_OK;
    if (hidden->rank != 2 || hidden->shape[1] != r->out->probe.d || hidden->shape[0] == 0)
        return no_probe(r, "sound network");
    w->d = r->out->probe.d;
    w->units = hidden->shape[0];
    int status = read_tensor(r, t, "hidden", w->units * w->d, &w->hidden);
    if (status == PLUMB_OK)
        status = read_tensor(r, t, "hidden_bias", w->units, &w->bias);
    if (status == PLUMB_OK)
        status = read_tensor(r, t, "out", w->units, &w->out);
    return status == PLUMB_OK ? read_single(r, t, "out_bias", &w->out_bias) : status;
}

static int read_probe(const struct reader *r, const struct tensors *t)
{
    struct probe *p = &r->out->probe;
    int status = read_tensor(r, t, "mean", p->d, &p->mean);
    if (status == PLUMB_OK)
        status = read_tensor(r, t, "scale", p->d, &p->scale);
    for (size_t j = 0; status == PLUMB_OK && j < p->d; j++)
        if (!(p->scale[j] > 0))
            status = error_set(r->e, PLUMB_INPUT,
                               "%s: number %zu of scale is %g; expected more "
                               "than 0",
                               r->path, j + 1, p->scale[j]);
    if (status == PLUMB_OK)
        status = read_tensor(r, t, "weight", p->d, &p->weight);
    if (status == PLUMB_OK)
        status = read_single(r, t, "bias", &p->bias);
    return status == PLUMB_OK ? read_network(r, t) : status;
}

int probe_file_read(const char *path, struct probe_file *out, struct plumb_error *e)
{
    struct tensors t;
    char *metadata = NULL;
    const char *text;
    size_t size;
    struct json_document *outer = NULL, *inner = NULL;
    struct reader r = {.path = path, .out = out, .e = e};
    *out = (struct probe_file){.probe = {.layer = PROBE_NO_LAYER}, .arena = arena_create()};
    int status = out->arena ? tensors_init(&t, e) : error_memory(e, "a probe");
    if (status != PLUMB_OK) {
        probe_file_free(out);
        return status;
    }
    status = safetensors_open(path, &t, &metadata, e);
    if (status == PLUMB_OK && metadata)
        status = json_parse(metadata, strlen(metadata), path, &outer, e);
    if (status == PLUMB_OK &&
        (!outer || !json_string(json_get(json_root(outer), "plumb_probe"), &text, &size)))
        status = no_probe(&r, "plumb_probe in its metadata");
    else if (status == PLUMB_OK)
        status = json_parse(text, size, path, &inner, e);
    if (status == PLUMB_OK) {
        r.note = json_root(inner);
        status = read_texts(&r);
    }
    if (status == PLUMB_OK)
        status = read_numbers(&r);
    if (status == PLUMB_OK)
        status = read_probe(&r, &t);
    json_close(outer);
    json_close(inner);
    mem_free(metadata);
    tensors_close(&t);
    if (status != PLUMB_OK)
        probe_file_free(out);
    return status;
}

void probe_file_free(struct probe_file *f)
{
    probe_free(&f->probe);
    if (f->arena)
        arena_destroy(f->arena);
    *f = (struct probe_file){.probe = {.layer = PROBE_NO_LAYER}};
}
