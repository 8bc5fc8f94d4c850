/*
 * abstain_input.c - what the words of `plumb abstain` read: recorded answers as confidences, through a calibration, or with a source of
 * a confidence file in place of the probability.
 */
#include <math.h>
#include <string.h>

#include "base/file.h"
#include "base/memory.h"
#include "cli/abstain.h"

const char *abstain_source(const struct abstain_input *in)
{
    return in->confidence.n ? in->confidence.sources[in->source].name : NULL;
}

void abstain_close(struct abstain_input *in)
{
    signals_free(&in->signals);
    if (in->calibrated.arena)
        scores_free(&in->calibrated);
    scores_free(&in->scores);
    if (in->has_calibration)
        calibration_free(&in->calibration);
    confidence_free(&in->confidence);
    *in = (struct abstain_input){0};
}

/* ---- a confidence file ---- */

/* The source of that name, or the only one. Its values must be something that a threshold between 0 and 1 parts. */
static int find_source(struct abstain_input *in, const char *path, const char *source,
                       struct plumb_error *e)
{
    const struct confidence_file *f = &in->confidence;
    char names[200];
    const bool named = source && *source;
    in->source = named ? confidence_find(f, source) : f->n_sources == 1 ? 0 : -1;
    if (in->source < 0)
        return named ? error_set(e, PLUMB_INPUT, "%s holds no source %s; it holds %s", path, source,
                                 confidence_names(f, names, sizeof names))
                     : error_set(e, PLUMB_INPUT, "%s holds %d sources: name one with --source: %s",
                                 path, f->n_sources, confidence_names(f, names, sizeof names));
    if (confidence_uses_right_answers(&f->sources[in->source]))
        return error_set(e, PLUMB_INPUT,
                         "%s: the source %s uses the right answers, which no new question has: "
                         "take another one for a threshold",
                         path, f->sources[in->source].name);
    for (size_t i = 0; i < f->n; i++) {
        const double v = f->value[in->source][i];
        if (v < 0 || v > 1)
            return error_set(
                e, PLUMB_INPUT,
                "%s: question %zu: the source %s is %g; a threshold needs a "
                "confidence from 0 to 1: plumb abstain combine makes one of any source",
                path, i + 1, f->sources[in->source].name, v);
    }
    return PLUMB_OK;
}

/* Whose answers they are, where the file says; what it does not say is "". */
static void identify(struct abstain_input *in)
{
    const struct confidence_file *f = &in->confidence;
    if (!f->model)
        return;
    in->has_identity = true;
    in->identity = (struct trace_header){.model = f->model_name ? f->model_name : f->model,
                                         .model_fingerprint = f->model,
                                         .architecture = "",
                                         .tokenizer_hash = "",
                                         .preset = "",
                                         .preset_hash = "",
                                         .precision = "",
                                         .task = f->task_name ? f->task_name : "",
                                         .task_hash = f->task ? f->task : ""};
}

static bool allocate_scores(struct scores *s, size_t n)
{
    struct arena *a = arena_create();
    *s = (struct scores){.kind = SCORES_CONFIDENCE, .format = SCORES_JSONL, .n = n, .k = 1};
    if (!a)
        return false;
    s->arena = a;
    s->values = arena_alloc(a, n, sizeof *s->values);
    s->options = arena_alloc(a, n, sizeof *s->options);
    s->correct = arena_alloc(a, n, sizeof *s->correct);
    s->group = arena_alloc(a, n, sizeof *s->group);
    s->item_hash = arena_alloc(a, n, sizeof *s->item_hash);
    return s->values && s->options && s->correct && s->group && s->item_hash;
}

/* Groups by name, in the order in which they come; questions without one are "all". */
static int number_groups(struct scores *s, const struct confidence_file *f, struct plumb_error *e)
{
    struct hash_table *t = hash_table_create(f->n);
    const char **names = arena_alloc(s->arena, f->n, sizeof *names);
    bool good = t && names;
    s->n_groups = 0;
    for (size_t i = 0; good && i < f->n; i++) {
        const char *name = f->group[i] ? f->group[i] : "all";
        const int32_t at = hash_table_get(t, name, strlen(name), -1);
        s->group[i] = at < 0 ? s->n_groups : at;
        if (at < 0) {
            names[s->n_groups++] = name;
            good = hash_table_put(t, name, strlen(name), s->group[i]) >= 0;
        }
    }
    hash_table_destroy(t);
    s->groups = names;
    return good ? PLUMB_OK : error_memory(e, "the confidences");
}

/* A confidence file alone: its source is all there is. */
static int open_confidence(const char *path, const char *source, struct abstain_input *in,
                           struct plumb_error *e)
{
    struct scores *s = &in->scores;
    int status = confidence_read(path, &in->confidence, e);
    if (status == PLUMB_OK)
        status = find_source(in, path, source, e);
    const struct confidence_file *f = &in->confidence;
    if (status == PLUMB_OK && !allocate_scores(s, f->n))
        status = error_memory(e, "the confidences");
    if (status == PLUMB_OK)
        status = number_groups(s, f, e);
    for (size_t i = 0; status == PLUMB_OK && i < f->n; i++) {
        const double v = f->value[in->source][i];
        in->missing += isnan(v);
        s->values[i] = isnan(v) ? 0 : v;
        s->options[i] = 1;
        s->correct[i] = f->right[i];
        s->item_hash[i] = f->item[i];
    }
    s->hashes_texts = true;
    s->name = file_base_name(path);
    identify(in);
    return status;
}

int abstain_use_source(struct abstain_input *in, const char *path, const char *source,
                       struct plumb_error *e)
{
    struct signals *s = &in->signals;
    confidence_free(&in->confidence);
    int status = confidence_read(path, &in->confidence, e);
    if (status == PLUMB_OK)
        status = find_source(in, path, source, e);
    const struct confidence_file *f = &in->confidence;
    if (status == PLUMB_OK && in->has_identity && f->model &&
        strcmp(f->model, in->identity.model_fingerprint) != 0)
        status = error_set(e, PLUMB_INPUT, "%s is of the model %s, and %s of another, %s", path,
                           f->model_name ? f->model_name : f->model, in->path, in->identity.model);
    struct hash_table *t = status == PLUMB_OK ? hash_table_create(f->n) : NULL;
    if (status == PLUMB_OK && !t)
        status = error_memory(e, "the confidences");
    for (size_t i = status == PLUMB_OK ? f->n : 0; i-- > 0;)
        if (hash_table_put(t, (const char *)&f->item[i], sizeof f->item[i], (int32_t)i) < 0)
            status = error_memory(e, "the confidences");
    s->labelled = s->wrong = 0;
    in->missing = 0;
    for (size_t i = 0; status == PLUMB_OK && i < s->n; i++) {
        const struct hash128 *item = &in->scores.item_hash[i];
        const int32_t at = hash_table_get(t, (const char *)item, sizeof *item, -1);
        const double v = at < 0 ? (double)NAN : f->value[in->source][at];
        in->missing += isnan(v);
        s->value[SIGNAL_PROBABILITY][i] = isnan(v) ? 0 : v;
        if (at >= 0 && f->right[at] >= 0)
            s->right[i] = f->right[at];
        s->labelled += s->right[i] >= 0;
        s->wrong += s->right[i] == 0;
    }
    hash_table_destroy(t);
    if (status == PLUMB_OK && in->missing == s->n)
        status = error_set(e, PLUMB_INPUT,
                           "%s has no confidence for any of the %zu questions of %s (questions are "
                           "known by their text and options)",
                           path, s->n, in->path);
    return status;
}

/* ---- any file ---- */

static int open_scores(const char *path, const struct abstain_options *o, struct abstain_input *in,
                       struct plumb_error *e)
{
    if (confidence_is_file(path))
        return open_confidence(path, o->source, in, e);
    const int status = scores_read(path, &in->scores, e);
    if (status == PLUMB_OK && in->scores.trace) {
        in->has_identity = true;
        in->identity = in->scores.trace->header;
    }
    return status;
}

int abstain_open(const char *path, const char *calibration, const struct abstain_options *o,
                 struct abstain_input *out, struct plumb_error *e)
{
    *out = (struct abstain_input){.path = path};
    int status = open_scores(path, o, out, e);
    if (status == PLUMB_OK && calibration) {
        status = calibration_read(calibration, &out->calibration, e);
        out->has_calibration = status == PLUMB_OK;
        if (status == PLUMB_OK && !o->force)
            status = out->has_identity
                         ? calibration_check(&out->calibration, &out->identity, path, e)
                         : error_set(e, PLUMB_INPUT,
                                     "%s does not say which model and prompt it is of; add --force "
                                     "if the calibration is for it",
                                     path);
        if (status == PLUMB_OK && !out->confidence.n)
            status =
                calibrator_apply(&out->calibration.calibrator, &out->scores, &out->calibrated, e);
    }
    if (status == PLUMB_OK)
        status = signals_create(&out->scores, out->calibrated.arena ? &out->calibrated : NULL,
                                &out->signals, e);
    return status;
}
