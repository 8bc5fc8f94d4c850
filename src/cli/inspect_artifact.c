/*
 * inspect_artifact.c - what `plumb inspect` says about the smaller files that plumb makes beside models and traces: tuned lenses,
 * directions, probes, confidence files, calibrations, and llama.cpp's control vectors. Reads what a file says of itself; runs nothing.
 */
#include <stdio.h>
#include <string.h>

#include "abstain/confidence.h"
#include "base/memory.h"
#include "calibrate/calibration.h"
#include "cli/inspect.h"
#include "model/gguf.h"

/* What is told of a file: a name for people, and the member that holds it. */
struct told {
    const char *name, *member;
};

static const struct told of_lens[] = {
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
    {NULL, NULL},
};
static const struct told of_direction[] = {
    {"model", "model"},     {"fingerprint", "model_fingerprint"},
    {"found", "how"},       {"tokens", "tokens"},
    {"alpha", "alpha"},     {"clip", "clip"},
    {"program", "program"}, {NULL, NULL},
};
static const struct told of_probe[] = {
    {"model", "model"},
    {"fingerprint", "model_fingerprint"},
    {"trained on", "task"},
    {"questions", "questions"},
    {"right means", "target"},
    {"preset", "preset"},
    {"score", "score"},
    {"hidden states at", "position"},
    {"layer", "layer"},
    {"hidden size", "hidden_size"},
    {"strength", "strength"},
    {"program", "program"},
    {NULL, NULL},
};

/* A member that is a text or a number; others, and what is not there, are passed over. */
static void tell(struct description *d, struct json from, const struct told *what)
{
    const char *text;
    size_t n;
    double x;
    for (; what->name; what++) {
        const struct json v = json_get(from, what->member);
        if (json_string(v, &text, &n))
            description_text(d, what->name, what->member, text);
        else if (json_number(v, &x))
            description_number(d, what->name, what->member, x, NULL);
    }
}

struct description inspect_metadata(const char *metadata, const char *path, struct result *json)
{
    struct json_document *outer = NULL, *inner = NULL;
    const char *text;
    size_t n;
    struct description d;
    if (metadata)
        (void)json_parse(metadata, strlen(metadata), path, &outer, NULL);
    const struct json root = json_root(outer);
    if (json_is_string(json_get(root, "format"), "plumb-lens")) {
        d = description_start(json, "tuned lens");
        tell(&d, root, of_lens);
    } else if (json_is_string(json_get(root, "format"), "plumb-direction")) {
        d = description_start(json, "direction");
        tell(&d, root, of_direction);
    } else if (json_string(json_get(root, "plumb_probe"), &text, &n) &&
               json_parse(text, n, path, &inner, NULL) == PLUMB_OK) {
        d = description_start(json, "probe");
        tell(&d, json_root(inner), of_probe);
    } else {
        d = description_start(json, "safetensors file");
    }
    json_close(inner);
    json_close(outer);
    return d;
}

static void tell_text(struct description *d, const char *name, const char *key, const char *value)
{
    if (value && *value)
        description_text(d, name, key, value);
}

/* A line each: there can be more than one line holds. */
static void tell_sources(struct description *d, const struct confidence_file *f)
{
    if (d->json) {
        json_write_key(&d->json->json, "sources");
        json_write_array(&d->json->json);
    }
    for (int s = 0; s < f->n_sources; s++) {
        if (d->json)
            json_write_string(&d->json->json, f->sources[s].name);
        else
            description_text(d, s ? "" : "sources", "", f->sources[s].name);
    }
    if (d->json)
        json_write_end(&d->json->json, ']');
}

int inspect_confidence(const char *path, struct result *json, struct plumb_error *e)
{
    struct confidence_file f = {0};
    size_t labelled = 0, right = 0;
    const int status = confidence_read(path, &f, e);
    if (status != PLUMB_OK)
        return status;
    for (size_t i = 0; i < f.n; i++) {
        labelled += f.right[i] >= 0;
        right += f.right[i] == 1;
    }
    struct description d = description_start(json, "confidence file");
    tell_text(&d, "model", "model", f.model_name);
    tell_text(&d, "fingerprint", "model_fingerprint", f.model);
    tell_text(&d, "task", "task", f.task_name);
    tell_text(&d, "task hash", "task_hash", f.task);
    description_number(&d, "questions", "questions", (double)f.n, NULL);
    description_number(&d, "labelled", "labelled", (double)labelled, NULL);
    description_number(&d, "right", "right", (double)right, NULL);
    tell_text(&d, "right means", "judged", f.judged);
    tell_sources(&d, &f);
    confidence_free(&f);
    const bool good = description_section(&d, false);
    return description_finish(&d, good);
}

int inspect_calibration(const char *path, struct result *json, struct plumb_error *e)
{
    struct calibration c;
    const int status = calibration_read(path, &c, e);
    if (status != PLUMB_OK)
        return status;
    struct description d = description_start(json, "calibration");
    tell_text(&d, "model", "model", c.post.name);
    tell_text(&d, "fingerprint", "model_fingerprint", c.post.fingerprint);
    tell_text(&d, "base model", "base_model", c.base.name);
    tell_text(&d, "method", "method", c.method);
    tell_text(&d, "preset", "preset", c.preset);
    tell_text(&d, "score", "score", c.score);
    tell_text(&d, "fitted on", "task", c.task);
    const size_t thresholds = json_size(json_get(json_root(c.document), "thresholds"));
    description_text(&d, "threshold", "threshold",
                     thresholds ? "yes, from plumb abstain fit" : "no");
    calibration_free(&c);
    const bool good = description_section(&d, false);
    return description_finish(&d, good);
}

bool inspect_is_control_vector(const char *path)
{
    struct gguf *g = NULL;
    struct plumb_error ignored;
    const char *s;
    size_t n;
    static const char name[] = "controlvector";
    const bool yes = path_is_gguf(path) && gguf_open(path, &g, &ignored) == PLUMB_OK &&
                     gguf_get_string(g, "general.architecture", &s, &n) && n == sizeof name - 1 &&
                     memcmp(s, name, n) == 0;
    gguf_close(g);
    return yes;
}

int inspect_control_vector(const char *path, const struct inspect_options *o, struct result *json,
                           struct plumb_error *e)
{
    struct gguf *g;
    const char *s;
    size_t n;
    const int status = gguf_open(path, &g, e);
    if (status != PLUMB_OK)
        return status;
    struct description d = description_start(json, "control vector, GGUF");
    if (gguf_get_string(g, "controlvector.model_hint", &s, &n)) {
        char *hint = mem_strndup(s, n);
        tell_text(&d, "for", "model_hint", hint);
        mem_free(hint);
    }
    description_types(&d, gguf_tensors(g));
    bool good = description_section(&d, o->tensors);
    if (o->tensors) {
        description_tensors(&d, gguf_tensors(g));
        good = description_section(&d, false) && good;
    }
    gguf_close(g);
    return description_finish(&d, good);
}
