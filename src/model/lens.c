/*
 * lens.c - see lens.h.
 */
#include "model/lens.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/hash.h"
#include "base/json.h"
#include "base/memory.h"
#include "model/safetensors.h"
#include "model/weights.h"

#define LENS_FORMAT "plumb-lens"
#define LENS_VERSION "1"
enum { NAME = 48, NOTES_MOST = 32 };

int lens_values_create(int layers, size_t hidden, struct lens_values *out, struct plumb_error *e)
{
    const size_t n = (size_t)layers * hidden;
    *out = (struct lens_values){.layers = layers, .hidden = hidden};
    out->weight = mem_zalloc(n, hidden * sizeof *out->weight);
    out->bias = mem_zalloc(n, sizeof *out->bias);
    if (out->weight && out->bias)
        return PLUMB_OK;
    lens_values_free(out);
    return error_memory(e, "a lens");
}

void lens_values_free(struct lens_values *v)
{
    mem_free(v->weight);
    mem_free(v->bias);
    *v = (struct lens_values){0};
}

static void tensor_names(int layer, char weight[NAME], char bias[NAME])
{
    snprintf(weight, NAME, "layers.%d.weight", layer);
    snprintf(bias, NAME, "layers.%d.bias", layer);
}

/* ---- writing ---- */

static int write_entries(const char *path, const struct lens_values *v,
                         const struct safetensors_note *notes, size_t n_notes,
                         struct plumb_error *e)
{
    const size_t d = v->hidden, n = 2 * (size_t)v->layers;
    char(*names)[NAME] = mem_array(n, sizeof *names);
    struct safetensors_entry *entries = mem_zalloc(n, sizeof *entries);
    struct safetensors_writer *w = NULL;
    int status = names && entries ? PLUMB_OK : error_memory(e, "a lens file");
    for (int l = 0; l < v->layers && status == PLUMB_OK; l++) {
        const size_t at = 2 * (size_t)l;
        tensor_names(l, names[at], names[at + 1]);
        entries[at] = (struct safetensors_entry){
            .name = names[at], .type = DTYPE_F32, .rank = 2, .shape = {d, d}};
        entries[at + 1] = (struct safetensors_entry){
            .name = names[at + 1], .type = DTYPE_F32, .rank = 1, .shape = {d}};
    }
    if (status == PLUMB_OK)
        status = safetensors_writer_open(path, entries, n, notes, n_notes, &w, e);
    for (size_t l = 0; l < (size_t)v->layers && status == PLUMB_OK; l++) {
        status = safetensors_writer_append(w, v->weight + l * d * d, d * d * sizeof(float), e);
        if (status == PLUMB_OK)
            status = safetensors_writer_append(w, v->bias + l * d, d * sizeof(float), e);
    }
    if (status == PLUMB_OK)
        status = safetensors_writer_commit(w, e);
    else
        safetensors_writer_abandon(w);
    mem_free(entries);
    mem_free(names);
    return status;
}

int lens_values_write(const char *path, const struct lens_values *v, const struct model *m,
                      const struct safetensors_note *notes, size_t n_notes, struct plumb_error *e)
{
    struct hash128 fingerprint;
    char hex[33], layers[16], hidden[24];
    int status = model_fingerprint(m, &fingerprint, e);
    if (status != PLUMB_OK)
        return status;
    hash_hex(fingerprint, hex);
    snprintf(layers, sizeof layers, "%d", v->layers);
    snprintf(hidden, sizeof hidden, "%zu", v->hidden);
    struct safetensors_note all[NOTES_MOST] = {
        {"format", LENS_FORMAT},  {"version", LENS_VERSION},  {"program", "plumb " PLUMB_VERSION},
        {"model", model_name(m)}, {"model_fingerprint", hex}, {"layers", layers},
        {"hidden", hidden},
    };
    const size_t own = 7;
    if (n_notes > NOTES_MOST - own)
        n_notes = NOTES_MOST - own;
    for (size_t i = 0; i < n_notes; i++)
        all[own + i] = notes[i];
    return write_entries(path, v, all, own + n_notes, e);
}

/* ---- reading ---- */

/* Is it a lens, of this version, of this model? */
static int check_notes(const char *path, const char *notes, const struct model *m,
                       struct plumb_error *e)
{
    struct json_document *d = NULL;
    struct hash128 fingerprint;
    char hex[33];
    if (!notes)
        return error_set(e, PLUMB_INPUT,
                         "%s: no lens: it has no metadata; expected a file of "
                         "`plumb lens fit`",
                         path);
    int status = json_parse(notes, strlen(notes), path, &d, e);
    if (status == PLUMB_OK)
        status = model_fingerprint(m, &fingerprint, e);
    if (status != PLUMB_OK) {
        json_close(d);
        return status;
    }
    hash_hex(fingerprint, hex);
    const struct json root = json_root(d), name = json_get(root, "model");
    const char *model = "another model";
    size_t n = 0;
    json_string(name, &model, &n);
    if (!json_is_string(json_get(root, "format"), LENS_FORMAT))
        status = error_set(e, PLUMB_INPUT,
                           "%s: no lens: the metadata lack \"format\": \"%s\"; expected a file of "
                           "`plumb lens fit`",
                           path, LENS_FORMAT);
    else if (!json_is_string(json_get(root, "version"), LENS_VERSION))
        status = error_set(e, PLUMB_INPUT,
                           "%s: a lens of another format version; this program reads version %s",
                           path, LENS_VERSION);
    else if (!json_is_string(json_get(root, "model_fingerprint"), hex))
        status = error_set(e, PLUMB_INPUT,
                           "%s: the lens of another model: it was fitted for %.80s, this is %.80s "
                           "with other weights; fit one with `plumb lens fit`",
                           path, model, model_name(m));
    json_close(d);
    return status;
}

static int read_tensor(const char *path, const struct tensors *t, const char *name, size_t rows,
                       size_t columns, float *to, struct plumb_error *e)
{
    const struct tensor *x = tensors_find(t, name);
    const bool vector = rows == 1;
    if (!x || x->type != DTYPE_F32 || x->rank != (vector ? 1 : 2) ||
        x->elements != rows * columns || x->shape[x->rank - 1] != columns)
        return error_set(e, PLUMB_INPUT, "%s: tensor '%s' is %s; expected F32 [%zu, %zu]", path,
                         name, x ? "of another shape or type" : "missing", rows, columns);
    int status = tensor_read_rows(x, 0, rows, to, e);
    for (size_t i = 0; i < rows * columns && status == PLUMB_OK; i++)
        if (!isfinite(to[i]))
            status = error_set(e, PLUMB_INPUT, "%s: tensor '%s' holds %g at %zu; expected numbers",
                               path, name, (double)to[i], i);
    return status;
}

static int read_values(const char *path, const struct tensors *t, struct lens_values *v,
                       struct plumb_error *e)
{
    const size_t d = v->hidden;
    int status = PLUMB_OK;
    for (int l = 0; l < v->layers && status == PLUMB_OK; l++) {
        char weight[NAME], bias[NAME];
        tensor_names(l, weight, bias);
        status = read_tensor(path, t, weight, d, d, v->weight + (size_t)l * d * d, e);
        if (status == PLUMB_OK)
            status = read_tensor(path, t, bias, 1, d, v->bias + (size_t)l * d, e);
    }
    return status;
}

int lens_values_read(const char *path, const struct model *m, struct lens_values *out, char **notes,
                     struct plumb_error *e)
{
    struct tensors t;
    char *found = NULL;
    *out = (struct lens_values){0};
    int status = tensors_init(&t, e);
    if (status != PLUMB_OK)
        return status;
    status = safetensors_open(path, &t, &found, e);
    if (status == PLUMB_OK)
        status = check_notes(path, found, m, e);
    /* The sizes are the model's: nothing is allocated by what the file says. */
    if (status == PLUMB_OK)
        status = lens_values_create(m->config.n_layers, (size_t)m->config.hidden, out, e);
    if (status == PLUMB_OK)
        status = read_values(path, &t, out, e);
    tensors_close(&t);
    if (status != PLUMB_OK)
        lens_values_free(out);
    if (status == PLUMB_OK && notes)
        *notes = found;
    else
        mem_free(found);
    return status;
}

/* ---- applying ---- */

struct lens {
    struct lens_values values; /* weight given back once packed */
    struct matrix **packed;    /* [L] */
    struct workspace workspace;
    char hash[33];
};

static int compute_hash(struct lens *l, const struct model *m, struct plumb_error *e)
{
    const size_t n = (size_t)l->values.layers * l->values.hidden;
    struct hash128 fingerprint;
    int status = model_fingerprint(m, &fingerprint, e);
    struct hash_state *s = status == PLUMB_OK ? hash_create() : NULL;
    if (status == PLUMB_OK && !s)
        status = error_memory(e, "the hash of a lens");
    if (status != PLUMB_OK || !s)
        return status;
    hash_add(s, &fingerprint, sizeof fingerprint);
    hash_add(s, l->values.weight, n * l->values.hidden * sizeof(float));
    hash_add(s, l->values.bias, n * sizeof(float));
    hash_hex(hash_finish(s), l->hash);
    return PLUMB_OK;
}

static int pack(struct lens *l, const struct model *m, struct plumb_error *e)
{
    const size_t d = l->values.hidden;
    int status = PLUMB_OK;
    l->packed = mem_zalloc((size_t)l->values.layers, sizeof(struct matrix *));
    if (!l->packed)
        return error_memory(e, "a lens");
    for (size_t i = 0; i < (size_t)l->values.layers && status == PLUMB_OK; i++) {
        status = matrix_create(m->level, WEIGHT_F32, true, d, d, &l->packed[i], e);
        if (status != PLUMB_OK)
            break;
        matrix_put_rows(l->packed[i], 0, d, l->values.weight + i * d * d);
        status = matrix_seal(l->packed[i], e);
    }
    mem_free(l->values.weight);
    l->values.weight = NULL;
    return status;
}

int lens_open(const char *path, const struct model *m, struct lens **out, struct plumb_error *e)
{
    struct lens *l = mem_zalloc(1, sizeof *l);
    *out = NULL;
    if (!l)
        return error_memory(e, "a lens");
    workspace_init(&l->workspace, m->threads);
    int status = lens_values_read(path, m, &l->values, NULL, e);
    if (status == PLUMB_OK)
        status = compute_hash(l, m, e);
    if (status == PLUMB_OK)
        status = pack(l, m, e);
    if (status == PLUMB_OK)
        *out = l;
    else
        lens_close(l);
    return status;
}

void lens_close(struct lens *l)
{
    if (!l)
        return;
    for (int i = 0; l->packed && i < l->values.layers; i++)
        matrix_destroy(l->packed[i]);
    mem_free(l->packed);
    lens_values_free(&l->values);
    workspace_free(&l->workspace);
    mem_free(l);
}

const char *lens_hash(const struct lens *l)
{
    return l->hash;
}

int lens_apply(struct lens *l, int layer, const float *h, size_t R, float *out,
               struct plumb_error *e)
{
    const size_t d = l->values.hidden;
    const float *bias = l->values.bias + (size_t)layer * d;
    const int status =
        R > 0 ? matmul(l->packed[layer], h, d, R, out, d, &l->workspace, e) : PLUMB_OK;
    for (size_t r = 0; r < R && status == PLUMB_OK; r++)
        for (size_t i = 0; i < d; i++)
            out[r * d + i] += h[r * d + i] + bias[i];
    return status;
}
