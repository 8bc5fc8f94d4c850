/*
 * model.c - opening a model: which format, which configuration, which tokenizer, which precision.
 */
#include <omp.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/memory.h"
#include "model/safetensors.h"
#include "model/tokenizer.h"
#include "model/weights.h"

struct model_options model_options_default(void)
{
    return (struct model_options){.precision = PRECISION_AUTO, .weights = true};
}

const char *precision_name(enum precision p)
{
    return p == PRECISION_BF16 ? "bf16" : p == PRECISION_F32 ? "f32" : "auto";
}

int precision_parse(const char *s, enum precision *out, struct plumb_error *e)
{
    for (int p = PRECISION_AUTO; p <= PRECISION_BF16; p++)
        if (strcmp(s, precision_name((enum precision)p)) == 0) {
            *out = (enum precision)p;
            return PLUMB_OK;
        }
    return error_set(e, PLUMB_INPUT, "precision '%s' is unknown: expected f32, bf16 or auto", s);
}

static char *joined(const char *folder, const char *name, struct plumb_error *e)
{
    char *path = file_join(folder, name);
    if (!path)
        error_memory(e, "a path");
    return path;
}

static int open_folder_config(struct model *m, struct plumb_error *e)
{
    char *path = joined(m->path, "config.json", e);
    struct file_map map = {0};
    struct json_document *d = NULL;
    if (!path)
        return PLUMB_MACHINE;
    int status;
    if (!file_exists(path))
        status = error_set(e, PLUMB_INPUT,
                           "%s: no config.json in this folder; expected a model in Hugging Face "
                           "layout or a .gguf file",
                           m->path);
    else
        status = file_map_open(path, &map, e);
    if (status == PLUMB_OK) {
        m->config_text = mem_strndup((const char *)map.data, map.size);
        status = m->config_text ? json_parse(m->config_text, map.size, path, &d, e)
                                : error_memory(e, path);
    }
    if (status == PLUMB_OK)
        status = config_from_json(json_root(d), path, &m->config, e);
    json_close(d);
    file_map_close(&map);
    mem_free(path);
    return status;
}

static int open_folder(struct model *m, struct plumb_error *e)
{
    int status = open_folder_config(m, e);
    if (status == PLUMB_OK)
        status = tensors_init(&m->own_tensors, e);
    if (status != PLUMB_OK)
        return status;
    m->tensors = &m->own_tensors;
    status = safetensors_open_folder(m->path, m->tensors, e);
    if (status != PLUMB_OK)
        return status;
    char *path = joined(m->path, "tokenizer.json", e);
    if (!path)
        return PLUMB_MACHINE;
    if (file_exists(path))
        status = tokenizer_open_json(path, &m->tokenizer, e);
    mem_free(path);
    return status;
}

/* GGUF says nowhere what its vocabulary size is but in the shape of the embedding. */
static int open_gguf(struct model *m, struct plumb_error *e)
{
    int status = gguf_open(m->path, &m->gguf, e);
    if (status == PLUMB_OK)
        status = config_from_gguf(m->gguf, &m->config, e);
    if (status != PLUMB_OK)
        return status;
    m->tensors = gguf_tensors(m->gguf);
    const struct tensor *embedding = tensors_find(m->tensors, "token_embd.weight");
    if (!embedding || embedding->rank != 2 || embedding->shape[0] > 1 << 26)
        return error_set(e, PLUMB_INPUT,
                         "%s: tensor 'token_embd.weight' is missing or not a matrix", m->path);
    m->config.vocabulary = (int)embedding->shape[0];
    return gguf_has(m->gguf, "tokenizer.ggml.model")
               ? tokenizer_open_gguf(m->gguf, &m->tokenizer, e)
               : PLUMB_OK;
}

/* auto: what the file holds decides, so that one command means one thing on every machine. BF16
   weights lose nothing in bf16; all others are computed in f32, unless their f32 form would fill
   more than half of this machine's memory. */
static enum precision choose_precision(const struct model *m)
{
    size_t bf16 = 0, elements = 0;
    for (size_t i = 0; i < m->tensors->count; i++) {
        const struct tensor *x = &m->tensors->items[i];
        if (x->rank < 2)
            continue;
        elements += x->elements;
        if (x->type == DTYPE_BF16)
            bf16 += x->elements;
    }
    double memory = (double)sysconf(_SC_PHYS_PAGES) * (double)sysconf(_SC_PAGESIZE);
    return 2 * bf16 > elements || 4.0 * (double)elements > memory / 2 ? PRECISION_BF16
                                                                      : PRECISION_F32;
}

int model_open(const char *path, const struct model_options *o, struct model **out,
               struct plumb_error *e)
{
    struct model_options defaults = model_options_default();
    if (!o)
        o = &defaults;
    *out = NULL;
    struct model *m = mem_zalloc(1, sizeof *m);
    if (!m)
        return error_memory(e, "a model");
    m->threads = o->threads > 0 ? o->threads : omp_get_max_threads();
    m->path = mem_strdup(path);
    int status = m->path ? level_current(&m->level, e) : error_memory(e, "a path");
    for (size_t n = status == PLUMB_OK ? strlen(m->path) : 0; n > 1 && m->path[n - 1] == '/'; n--)
        m->path[n - 1] = '\0';
    m->source = o->source;
    if (status == PLUMB_OK &&
        !(m->name = mem_strdup(m->source ? m->source->name : file_base_name(m->path))))
        status = error_memory(e, "a name");
    if (status == PLUMB_OK) {
        if (file_is_folder(path))
            status = open_folder(m, e);
        else if (!file_exists(path))
            status = error_set(
                e, PLUMB_INPUT,
                "%s: no such file or folder; expected a model folder or a .gguf file", path);
        else
            status = open_gguf(m, e);
    }
    if (status == PLUMB_OK) {
        m->precision = o->precision == PRECISION_AUTO ? choose_precision(m) : o->precision;
        if (o->weights)
            status = weights_load(m, o->progress, e);
        m->has_weights = o->weights;
    }
    if (status != PLUMB_OK) {
        model_close(m);
        return status;
    }
    *out = m;
    return PLUMB_OK;
}

void model_close(struct model *m)
{
    if (!m)
        return;
    weights_free(&m->weights, &m->config);
    config_free(&m->config);
    tokenizer_close(m->tokenizer);
    if (m->gguf)
        gguf_close(m->gguf);
    else if (m->tensors)
        tensors_close(&m->own_tensors);
    mem_free(m->config_text);
    mem_free(m->name);
    mem_free(m->path);
    mem_free(m);
}

const struct config *model_config(const struct model *m)
{
    return &m->config;
}

const struct tokenizer *model_tokenizer(const struct model *m)
{
    return m->tokenizer;
}

int model_need_tokenizer(const struct model *m, const struct tokenizer **out, struct plumb_error *e)
{
    *out = m->tokenizer;
    if (m->tokenizer)
        return PLUMB_OK;
    return error_set(e, PLUMB_INPUT,
                     "%s: no tokenizer.json in the folder (or tokenizer keys in the GGUF): text "
                     "cannot become tokens; put the model's tokenizer.json beside its weights",
                     m->path);
}

const char *model_name(const struct model *m)
{
    return m->name;
}

const char *model_path(const struct model *m)
{
    return m->path;
}

enum precision model_precision(const struct model *m)
{
    return m->precision;
}

enum level model_level(const struct model *m)
{
    return m->level;
}

const char *model_arithmetic(const struct model *m)
{
    return level_name(m->level);
}

int model_threads(const struct model *m)
{
    return m->threads;
}

size_t model_parameters(const struct model *m)
{
    if (m->has_weights)
        return m->weights.parameters;
    size_t n = 0;
    for (size_t i = 0; i < m->tensors->count; i++)
        n += m->tensors->items[i].elements;
    return n;
}

size_t model_weight_bytes(const struct model *m)
{
    return m->weights.bytes;
}

double model_flops_per_token(const struct model *m)
{
    return m->weights.flops_per_token;
}

const struct tensors *model_tensors(const struct model *m)
{
    return m->tensors;
}
