/*
 * inspect.c - `plumb inspect`: describes a model or a trace.
 */
#include <stdio.h>
#include <string.h>

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

/* The parsed metadata of a safetensors file where their "format" is this one; else null. */
static struct json_document *metadata_of(const char *format, const char *metadata, const char *path)
{
    struct json_document *document = NULL;
    if (!metadata || json_parse(metadata, strlen(metadata), path, &document, NULL) != PLUMB_OK)
        return NULL;
    if (json_is_string(json_get(json_root(document), "format"), format))
        return document;
    json_close(document);
    return NULL;
}

static bool is_trace(const char *metadata, const char *path)
{
    struct json_document *document = metadata_of("plumb-trace", metadata, path);
    json_close(document);
    return document != NULL;
}

/* Of which model a tuned lens is, and how it was fitted. */
static void tell_lens(struct description *d, struct json metadata)
{
    static const char *const members[][2] = {
        {"model", "model"},
        {"fingerprint", "model_fingerprint"},
        {"program", "program"},
        {"translators", "layers"},
        {"hidden size", "hidden"},
        {"text hash", "text_hash"},
        {"optimizer", "optimizer"},
        {"learning rate", "learning_rate"},
        {"steps", "steps"},
        {"tokens a step", "tokens_step"},
        {"window", "window"},
        {"seed", "seed"},
        {"KL held out", "kl_held_out"},
    };
    const char *text;
    size_t n;
    for (size_t i = 0; i < sizeof members / sizeof *members; i++)
        if (json_string(json_get(metadata, members[i][1]), &text, &n))
            description_text(d, members[i][0], members[i][1], text);
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
        struct json_document *lens = metadata_of("plumb-lens", metadata, path);
        struct description d = description_start(json, lens ? "tuned lens" : "safetensors file");
        if (lens)
            tell_lens(&d, json_root(lens));
        json_close(lens);
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
    else if (file_is_folder(path) || path_is_gguf(path))
        status = inspect_model(path, &o, json, &e);
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
                   "accuracy where it has labels). Any "
                   "other safetensors file is described by its tensors.",
    .options = options,
    .examples = examples,
    .run = run,
};
