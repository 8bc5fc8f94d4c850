/*
 * steering_file.c - direction files: safetensors, read without trust, and written. The control vector for llama.cpp is in
 * steering_export.c.
 */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/file.h"
#include "base/json.h"
#include "base/memory.h"
#include "base/number.h"
#include "model/safetensors.h"
#include "model/safetensors_write.h"
#include "model/steering.h"

#define FORMAT "plumb-direction"
#define VERSION "1"

enum { MOST_LAYERS = 1 << 16, MOST_WIDTH = 1 << 24 };
static const double MOST_STRENGTH = 1e6, MOST_SCALE = 1e30;
/* How far a vector's length may be from 1: f32 components of a long vector are off by 1e-7 each. */
static const double LENGTH_TOLERANCE = 1e-3;

/* ---- Reading ---------------------------------------------------------------------------------- */

struct reader {
    const char *what;
    struct json metadata;
    const struct tensors *tensors;
    int n_layers, hidden;
    struct plumb_error *e;
    int status; /* the first failure; what comes after it does nothing */
};

/* A view that lives as long as the document; "" after a failure. */
static const char *read_text(struct reader *r, const char *key)
{
    const char *s = "";
    size_t n = 0;
    if (r->status != PLUMB_OK)
        return "";
    if (json_string(json_get(r->metadata, key), &s, &n) && !memchr(s, 0, n))
        return s;
    r->status =
        error_set(r->e, PLUMB_INPUT,
                  "%s: not a direction of plumb: its metadata lack the text \"%s\"", r->what, key);
    return "";
}

/* The same, copied to where the steering's strings live. */
static const char *keep_text(struct reader *r, const char *key, struct steering *out)
{
    const char *s = read_text(r, key);
    const char *copy = r->status == PLUMB_OK ? steering_keep(out, s) : "";
    if (!copy)
        r->status = error_memory(r->e, "a direction");
    return copy ? copy : "";
}

static double read_number(struct reader *r, const char *key, double least, double most)
{
    double v = 0;
    const char *s = read_text(r, key);
    if (r->status != PLUMB_OK)
        return 0;
    if (!number_read(s, strlen(s), &v) || !(v >= least && v <= most))
        r->status = error_set(r->e, PLUMB_INPUT,
                              "%s: metadata field \"%s\": found \"%.40s\", expected a number from "
                              "%g to %g",
                              r->what, key, s, least, most);
    return v;
}

static int read_count(struct reader *r, const char *key, int least, int most)
{
    const double v = read_number(r, key, least, most);
    if (r->status == PLUMB_OK && v != floor(v))
        r->status = error_set(r->e, PLUMB_INPUT,
                              "%s: metadata field \"%s\": found %g, expected a whole number",
                              r->what, key, v);
    return (int)v;
}

/* "direction.12" -> 12; -1 for any other name. */
static int layer_of(const char *name)
{
    static const char beginning[] = "direction.";
    if (strncmp(name, beginning, sizeof beginning - 1) != 0)
        return -1;
    int layer = 0;
    const char *c = name + sizeof beginning - 1;
    if (!*c || (*c == '0' && c[1]))
        return -1;
    for (; *c; c++) {
        if (*c < '0' || *c > '9' || layer > MOST_LAYERS)
            return -1;
        layer = 10 * layer + (*c - '0');
    }
    return layer;
}

static int check_tensor(const struct reader *r, const struct tensor *x)
{
    const int layer = layer_of(x->name);
    char shape[128];
    tensor_shape_text(x, shape);
    if (layer < 0 || layer > r->n_layers)
        return error_set(r->e, PLUMB_INPUT,
                         "%s: tensor \"%.60s\": expected \"direction.L\" with L from 0 to %d",
                         r->what, x->name, r->n_layers);
    if (x->type != DTYPE_F32 || x->rank != 1 || x->shape[0] != (size_t)r->hidden)
        return error_set(r->e, PLUMB_INPUT, "%s: tensor \"%s\" is %s %s, expected F32 [%d]",
                         r->what, x->name, dtype_name(x->type), shape, r->hidden);
    return PLUMB_OK;
}

/* Sizes, and the tensors' names, types and shapes: what tells how much room all of it takes. */
static int read_sizes(struct reader *r)
{
    const char *format = read_text(r, "format"), *version = read_text(r, "version");
    if (r->status == PLUMB_OK && strcmp(format, FORMAT) != 0)
        r->status = error_set(r->e, PLUMB_INPUT,
                              "%s: not a direction of plumb: its format is \"%.40s\", not \"%s\"",
                              r->what, format, FORMAT);
    if (r->status == PLUMB_OK && strcmp(version, VERSION) != 0)
        r->status = error_set(r->e, PLUMB_INPUT,
                              "%s: format version %.20s, this program reads version %s: use a "
                              "newer plumb",
                              r->what, version, VERSION);
    r->n_layers = read_count(r, "layers", 1, MOST_LAYERS);
    r->hidden = read_count(r, "hidden_size", 1, MOST_WIDTH);
    for (size_t i = 0; i < r->tensors->count && r->status == PLUMB_OK; i++)
        r->status = check_tensor(r, &r->tensors->items[i]);
    return r->status;
}

static int read_metadata(struct reader *r, struct steering *out)
{
    out->program = keep_text(r, "program", out);
    out->model = keep_text(r, "model", out);
    out->architecture = keep_text(r, "architecture", out);
    out->how = keep_text(r, "how", out);
    const char *fingerprint = read_text(r, "model_fingerprint"), *tokens = read_text(r, "tokens");
    if (r->status == PLUMB_OK && strlen(fingerprint) != sizeof out->fingerprint - 1)
        r->status = error_set(r->e, PLUMB_INPUT,
                              "%s: metadata field \"model_fingerprint\": expected 32 hexadecimal "
                              "digits",
                              r->what);
    if (r->status == PLUMB_OK)
        memcpy(out->fingerprint, fingerprint, sizeof out->fingerprint);
    out->all_tokens = !strcmp(tokens, "all");
    if (r->status == PLUMB_OK && !out->all_tokens && strcmp(tokens, "last") != 0)
        r->status =
            error_set(r->e, PLUMB_INPUT,
                      "%s: metadata field \"tokens\": found \"%.40s\", expected last or all",
                      r->what, tokens);
    out->alpha = read_number(r, "alpha", -MOST_STRENGTH, MOST_STRENGTH);
    out->clips = json_exists(json_get(r->metadata, "clip"));
    if (out->clips)
        out->clip = (float)read_number(r, "clip", 0, MOST_SCALE);
    if (r->status == PLUMB_OK && out->n_parts == 0 && !out->clips)
        r->status =
            error_set(r->e, PLUMB_INPUT, "%s holds neither a direction nor a clip", r->what);
    return r->status;
}

static int read_part(struct reader *r, const struct tensor *x, struct steering_part *p)
{
    char key[32];
    double square = 0;
    p->layer = layer_of(x->name);
    snprintf(key, sizeof key, "scale.%d", p->layer);
    p->scale = read_number(r, key, 0, MOST_SCALE);
    if (r->status == PLUMB_OK)
        r->status = tensor_read_rows(x, 0, 1, p->vector, r->e);
    for (int j = 0; j < r->hidden && r->status == PLUMB_OK; j++)
        square += (double)p->vector[j] * (double)p->vector[j];
    if (r->status == PLUMB_OK && !(fabs(sqrt(square) - 1) <= LENGTH_TOLERANCE))
        r->status = error_set(r->e, PLUMB_INPUT,
                              "%s: tensor \"%s\" has length %g, expected 1: alpha and scale say "
                              "how much is added",
                              r->what, x->name, sqrt(square));
    return r->status;
}

/* The tensor of the lowest layer above `last`; names are unique, so no layer comes twice. */
static const struct tensor *next_tensor(const struct tensors *t, int last)
{
    const struct tensor *next = NULL;
    for (size_t i = 0; i < t->count; i++) {
        const int layer = layer_of(t->items[i].name);
        if (layer > last && (!next || layer < layer_of(next->name)))
            next = &t->items[i];
    }
    return next;
}

static int read_tensors(const struct tensors *t, const char *metadata, const char *what,
                        struct steering *out, struct plumb_error *e)
{
    struct json_document *d = NULL;
    if (!metadata)
        return error_set(e, PLUMB_INPUT, "%s: not a direction of plumb: it has no metadata", what);
    int status = json_parse(metadata, strlen(metadata), what, &d, e);
    if (status != PLUMB_OK)
        return status;
    struct reader r = {.what = what, .metadata = json_root(d), .tensors = t, .e = e};
    status = read_sizes(&r);
    if (status == PLUMB_OK)
        status = steering_create(r.n_layers, r.hidden, (int)t->count, out, e);
    if (status == PLUMB_OK) {
        const struct tensor *x = NULL;
        int i = 0, last = -1;
        status = read_metadata(&r, out);
        for (; status == PLUMB_OK && (x = next_tensor(t, last)); last = layer_of(x->name))
            status = read_part(&r, x, &out->parts[i++]);
        if (status == PLUMB_OK)
            steering_strength(out, out->alpha);
        else
            steering_free(out);
    }
    json_close(d);
    return status;
}

static int steering_of(int status, struct tensors *t, char *metadata, const char *what,
                       struct steering *out, struct plumb_error *e)
{
    if (status == PLUMB_OK)
        status = read_tensors(t, metadata, what, out, e);
    mem_free(metadata);
    tensors_close(t);
    return status;
}

int steering_read(const char *path, struct steering *out, struct plumb_error *e)
{
    struct tensors t;
    char *metadata = NULL;
    *out = (struct steering){0};
    int status = tensors_init(&t, e);
    if (status != PLUMB_OK)
        return status;
    status = safetensors_open(path, &t, &metadata, e);
    return steering_of(status, &t, metadata, path, out, e);
}

int steering_parse(const uint8_t *bytes, size_t size, const char *what, struct steering *out,
                   struct plumb_error *e)
{
    struct tensors t;
    char *metadata = NULL;
    *out = (struct steering){0};
    int status = tensors_init(&t, e);
    if (status != PLUMB_OK)
        return status;
    status = safetensors_read(bytes, size, what, &t, &metadata, e);
    return steering_of(status, &t, metadata, what, out, e);
}

int steering_open(const char *spec, const struct model *m, struct steering *out,
                  struct plumb_error *e)
{
    const char *colon = strrchr(spec, ':');
    double strength = 0;
    const bool given = colon && !file_exists(spec);
    *out = (struct steering){0};
    if (given && (!number_read(colon + 1, strlen(colon + 1), &strength) ||
                  !(fabs(strength) <= MOST_STRENGTH)))
        return error_set(e, PLUMB_INPUT,
                         "%s: found \"%.40s\" behind the colon, expected a strength, such as 0.1",
                         spec, colon + 1);
    char *path = mem_strndup(spec, given ? (size_t)(colon - spec) : strlen(spec));
    if (!path)
        return error_memory(e, "a file name");
    int status = steering_read(path, out, e);
    if (status == PLUMB_OK)
        status = steering_check(out, path, m, e);
    if (status == PLUMB_OK && given && out->n_parts == 0)
        status =
            error_set(e, PLUMB_INPUT, "%s only clips, which has no strength: leave \":%s\" out",
                      path, colon + 1);
    if (status == PLUMB_OK && given)
        steering_strength(out, strength);
    if (status != PLUMB_OK)
        steering_free(out);
    mem_free(path);
    return status;
}

/* ---- Writing ---------------------------------------------------------------------------------- */

/* What stands beside the tensors; the values live in `text`. */
struct notes {
    struct safetensors_note *items;
    size_t n;
    struct arena *text;
    bool failed;
};

static void note(struct notes *n, const char *key, const char *value)
{
    const char *k = arena_strndup(n->text, key, strlen(key)),
               *v = arena_strndup(n->text, value, strlen(value));
    n->failed = n->failed || !k || !v;
    if (!n->failed)
        n->items[n->n++] = (struct safetensors_note){k, v};
}

static void note_number(struct notes *n, const char *key, double value, int digits)
{
    char text[40];
    snprintf(text, sizeof text, "%.*g", digits, value);
    note(n, key, text);
}

enum { NOTES = 12, DIGITS_F64 = 17, DIGITS_F32 = 9 };

static int make_notes(const struct steering *s, struct notes *n, struct plumb_error *e)
{
    n->text = arena_create();
    n->items = mem_array(NOTES + (size_t)s->n_parts, sizeof *n->items);
    if (!n->text || !n->items)
        return error_memory(e, "a direction's header");
    note(n, "format", FORMAT);
    note(n, "version", VERSION);
    note(n, "program", s->program);
    note(n, "model", s->model);
    note(n, "model_fingerprint", s->fingerprint);
    note(n, "architecture", s->architecture);
    note(n, "how", s->how);
    note(n, "tokens", s->all_tokens ? "all" : "last");
    note_number(n, "layers", s->n_layers, DIGITS_F64);
    note_number(n, "hidden_size", s->hidden, DIGITS_F64);
    note_number(n, "alpha", s->alpha, DIGITS_F64);
    if (s->clips)
        note_number(n, "clip", (double)s->clip, DIGITS_F32);
    for (int i = 0; i < s->n_parts; i++) {
        char key[32];
        snprintf(key, sizeof key, "scale.%d", s->parts[i].layer);
        note_number(n, key, s->parts[i].scale, DIGITS_F64);
    }
    return n->failed ? error_memory(e, "a direction's header") : PLUMB_OK;
}

/* The tensors by rising layer: all of one type, so each is aligned in any order. */
static int make_entries(const struct steering *s, struct arena *names,
                        struct safetensors_entry *entries, struct plumb_error *e)
{
    for (int i = 0; i < s->n_parts; i++) {
        char name[32];
        snprintf(name, sizeof name, "direction.%d", s->parts[i].layer);
        entries[i] = (struct safetensors_entry){.name = arena_strndup(names, name, strlen(name)),
                                                .type = DTYPE_F32,
                                                .rank = 1,
                                                .shape = {(size_t)s->hidden}};
        if (!entries[i].name)
            return error_memory(e, "a direction's header");
    }
    return PLUMB_OK;
}

int steering_write(const struct steering *s, const char *path, struct plumb_error *e)
{
    struct notes notes = {0};
    struct safetensors_writer *w = NULL;
    struct safetensors_entry *entries = mem_array((size_t)s->n_parts, sizeof *entries);
    int status = entries ? make_notes(s, &notes, e) : error_memory(e, "a direction's header");
    if (status == PLUMB_OK)
        status = make_entries(s, notes.text, entries, e);
    if (status == PLUMB_OK)
        status =
            safetensors_writer_open(path, entries, (size_t)s->n_parts, notes.items, notes.n, &w, e);
    for (int i = 0; i < s->n_parts && status == PLUMB_OK; i++)
        status = safetensors_writer_append(w, s->parts[i].vector,
                                           (size_t)s->hidden * sizeof *s->parts[i].vector, e);
    if (status == PLUMB_OK)
        status = safetensors_writer_commit(w, e);
    else
        safetensors_writer_abandon(w);
    mem_free(entries);
    mem_free(notes.items);
    if (notes.text)
        arena_destroy(notes.text);
    return status;
}
