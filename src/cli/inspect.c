/*
 * inspect.c - `plumb inspect`: describes a model or a trace.
 */
#include <stdio.h>
#include <string.h>

#include "abstain/confidence.h"
#include "base/file.h"
#include "base/memory.h"
#include "cli/inspect.h"
#include "cli/verb.h"
#include "model/safetensors.h"

#define AT(field) offsetof(struct inspect_options, field)
static const struct option_row options[] = {
    {0, "tensors", OPTION_FLAG, NULL, AT(tensors), "also every tensor: name, type, shape, size"},
    {0, "keys", OPTION_FLAG, NULL, AT(keys), "also every key and value of a GGUF file"},
    {0, "layers", OPTION_FLAG, NULL, AT(layers),
     "also a table of a trace's layers: how often each is right, and how sure"},
    {0, "fingerprint", OPTION_FLAG, NULL, AT(fingerprint),
     "also the model's fingerprint: reads every byte of the weights once, and remembers the "
     "result"},
    {0, "families", OPTION_FLAG, NULL, AT(families), "instead: the model families that plumb runs"},
    {0, "json", OPTION_FLAG, NULL, AT(json), "one JSON document"},
    {0},
};

bool path_is_gguf(const char *path)
{
    size_t n = strlen(path);
    return n >= 5 && strcmp(path + n - 5, ".gguf") == 0;
}

static bool path_is_json(const char *path)
{
    size_t n = strlen(path);
    return n >= 5 && strcmp(path + n - 5, ".json") == 0;
}

static bool is_trace(const char *metadata, const char *path)
{
    struct json_document *document = NULL;
    if (!metadata || json_parse(metadata, strlen(metadata), path, &document, NULL) != PLUMB_OK)
        return false;
    const bool yes = json_is_string(json_get(json_root(document), "format"), "plumb-trace");
    json_close(document);
    return yes;
}

/* A safetensors file: a trace, or loose tensors. */
static int inspect_safetensors(const char *path, const struct inspect_options *o,
                               struct result *json, struct plumb_error *e)
{
    struct tensors tensors;
    char *metadata = NULL;
    int status = tensors_init(&tensors, e);
    if (status == PLUMB_OK)
        status = safetensors_open(path, &tensors, &metadata, e);
    if (status == PLUMB_OK && is_trace(metadata, path)) {
        status = inspect_trace(path, o, &tensors, json, e);
    } else if (status == PLUMB_OK) {
        struct description d = inspect_metadata(metadata, path, json);
        description_types(&d, &tensors);
        bool good = description_section(&d, o->tensors);
        if (o->tensors) {
            description_tensors(&d, &tensors);
            good = description_section(&d, false) && good;
        }
        status = description_finish(&d, good);
    }
    mem_free(metadata);
    tensors_close(&tensors);
    return status;
}

static int run(int argc, char **argv)
{
    struct inspect_options o = {0};
    struct operands words;
    struct plumb_error e = {0};
    struct result result;
    int status;
    if (!verb_parse(&verb_inspect, argc, argv, &o, 0, 1, &words, &status))
        return status;
    /* Only --families goes without a file; the second look says so with the usage. */
    if (!o.families && !verb_parse(&verb_inspect, argc, argv, &o, 1, 1, &words, &status))
        return status;
    const char *path = words.count ? words.words[0] : "";
    result_start(&result);
    struct result *json = o.json ? &result : NULL;
    if (o.families && words.count)
        status = error_set(&e, PLUMB_INPUT, "--families takes no file: found '%s'", path);
    else if (o.families)
        status = inspect_families(json);
    else if (inspect_is_control_vector(path))
        status = inspect_control_vector(path, &o, json, &e);
    else if (file_is_folder(path) || path_is_gguf(path))
        status = inspect_model(path, &o, json, &e);
    else if (confidence_is_file(path))
        status = inspect_confidence(path, json, &e);
    else if (path_is_json(path))
        status = inspect_calibration(path, json, &e);
    else
        status = inspect_safetensors(path, &o, json, &e);
    if (status != PLUMB_OK && *e.message)
        status = verb_fail(&verb_inspect, &e);
    buffer_free(&result.text);
    return status;
}

static const char *const synopses[] = {"FILE|FOLDER [options]", "--families [--json]", NULL};
static const char *const examples[][2] = {
    {"plumb inspect Qwen2.5-0.5B-Instruct",
     "architecture, sizes, types and tokenizer of a model folder"},
    {"plumb inspect post.safetensors --json", "what a trace holds, for a script"},
    {NULL},
};
const struct verb verb_inspect = {
    .name = "inspect",
    .summary = "describe a model or a trace",
    .synopses = synopses,
    .description = "Describes a model (a folder in Hugging Face layout or a .gguf file: "
                   "architecture, layers, sizes, types, "
                   "tokenizer, chat template) or a trace (its provenance, items done, groups, "
                   "accuracy where it has labels). Also says what a tuned lens, direction, probe, "
                   "confidence file, calibration or control vector is, and whose. Any "
                   "other safetensors file is described by its tensors.",
    .options = options,
    .examples = examples,
    .run = run,
};
