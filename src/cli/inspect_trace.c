/*
 * inspect_trace.c - what `plumb inspect` says about a trace: its provenance, how much is done, how
 * often it is right.
 */
#include <stdio.h>

#include "cli/inspect.h"
#include "cli/trace_summary.h"

/* What another program recorded: of the model only its name is known. */
static void tell_import(struct description *d, const struct trace_header *h)
{
    description_text(d, "model", "model", h->model);
    description_text(d, "imported from", "imported", h->imported);
    description_text(d, "source's hash", "model_fingerprint", h->model_fingerprint);
    description_text(d, "values", "imported_values",
                     h->imported_probabilities ? "probabilities" : "logits");
    description_text(d, "item hashes of", "item_hashes",
                     h->hashes_places ? "places or ids in the source" : "question texts");
    description_text(d, "task", "task", h->task);
    description_text(d, "task hash", "task_hash", h->task_hash);
    description_text(d, "program", "program", h->program);
}

/* The model, the prompt and the program that plumb itself ran. */
static void tell_run(struct description *d, const struct trace_header *h)
{
    description_text(d, "model", "model", h->model);
    description_text(d, "fingerprint", "model_fingerprint", h->model_fingerprint);
    description_text(d, "architecture", "architecture", h->architecture);
    description_text(d, "tokenizer hash", "tokenizer_hash", h->tokenizer_hash);
    description_text(d, "precision", "precision", h->precision);
    description_text(d, "task", "task", h->task);
    description_text(d, "task hash", "task_hash", h->task_hash);
    description_text(d, "preset", "preset", h->preset);
    description_text(d, "preset hash", "preset_hash", h->preset_hash);
    if (h->chat_hash)
        description_text(d, "chat template", "chat_hash", h->chat_hash);
    description_text(d, "score", "score", trace_score_name(h->score));
    if (h->permutation)
        description_number(d, "options shifted by", "permutation", h->permutation, NULL);
    if (h->steering)
        description_text(d, "steering", "steering", h->steering);
    if (h->tuned_lens)
        description_text(d, "tuned lens", "tuned_lens", h->tuned_lens);
    description_text(d, "program", "program", h->program);
}

static void tell_trace(struct description *d, const struct trace *t)
{
    const struct trace_header *h = &t->header;
    const struct trace_tally sum = trace_tally(t, -1, 0);
    char text[96];
    if (h->imported)
        tell_import(d, h);
    else
        tell_run(d, h);
    if (h->n != h->total) {
        snprintf(text, sizeof text, "items %zu to %zu of %zu", h->first, h->first + h->n - 1,
                 h->total);
        description_text(d, "shard", "shard", text);
    }
    description_number(d, "items", "items", (double)h->n, human_grouped(h->n, text));
    description_number(d, "done", "done", (double)sum.done, human_grouped(sum.done, text));
    description_number(d, "groups", "groups", h->n_groups, NULL);
    description_number(d, "options, most", "options", h->n_options, NULL);
    snprintf(text, sizeof text, "%s, %d layers", h->lens, h->n_layers);
    description_text(d, "lens", "lens", h->n_layers ? text : "none");
    description_text(d, "entropy", "entropy",
                     h->with_entropy ? "full vocabulary, every layer" : "no");
    snprintf(text, sizeof text, "%d layers of %d", h->n_hidden, h->hidden_size);
    description_text(d, "hidden states", "hidden", h->n_hidden ? text : "no");
    description_number(d, "with a label", "labelled", (double)sum.labelled,
                       human_grouped(sum.labelled, text));
    if (sum.labelled) {
        double accuracy = (double)sum.right / (double)sum.labelled;
        snprintf(text, sizeof text, "%.4f  (right answers / items with a label)", accuracy);
        description_number(d, "accuracy", "accuracy", accuracy, text);
    }
    if (sum.done) {
        double confidence = sum.confidence / (double)sum.done;
        snprintf(text, sizeof text, "%.4f  (mean of the largest option probability)", confidence);
        description_number(d, "confidence", "mean_confidence", confidence, text);
    }
}

int inspect_trace(const char *path, const struct inspect_options *o, const struct tensors *tensors,
                  struct result *json, struct plumb_error *e)
{
    struct trace t;
    int status = trace_open(path, &t, e);
    if (status != PLUMB_OK)
        return status;
    struct description d = description_start(json, "trace");
    tell_trace(&d, &t);
    bool depth = o->layers && !json && t.lens, good = description_section(&d, depth || o->tensors);
    if (depth) {
        good = trace_depth_print(&t, stdout) && good;
        if (o->tensors)
            putchar('\n');
    }
    if (o->tensors) {
        description_tensors(&d, tensors);
        good = description_section(&d, false) && good;
    }
    status = description_finish(&d, good);
    trace_close(&t);
    return status;
}
