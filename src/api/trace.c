/*
 * trace.c - the public face of traces: opaque handles over src/trace. No logic of its own.
 */
#include <string.h>

#include "base/memory.h"
#include "plumb.h"
#include "trace/trace.h"

struct plumb_trace {
    struct trace trace;
};

int plumb_trace_open(const char *path, plumb_trace **out, struct plumb_error *error)
{
    *out = NULL;
    struct plumb_trace *t = mem_zalloc(1, sizeof *t);
    if (!t)
        return error_memory(error, "the trace");
    int status = trace_open(path, &t->trace, error);
    if (status != PLUMB_OK) {
        mem_free(t);
        return status;
    }
    *out = t;
    return PLUMB_OK;
}

void plumb_trace_close(plumb_trace *trace)
{
    if (!trace)
        return;
    trace_close(&trace->trace);
    mem_free(trace);
}

size_t plumb_trace_items(const plumb_trace *trace)
{
    return trace->trace.header.n;
}

int plumb_trace_options(const plumb_trace *trace)
{
    return trace->trace.header.n_options;
}

int plumb_trace_layers(const plumb_trace *trace)
{
    return trace->trace.header.n_layers;
}

int plumb_trace_hidden_layers(const plumb_trace *trace)
{
    return trace->trace.header.n_hidden;
}

int plumb_trace_hidden_size(const plumb_trace *trace)
{
    return trace->trace.header.hidden_size;
}

int plumb_trace_groups(const plumb_trace *trace)
{
    return trace->trace.header.n_groups;
}

const float *plumb_trace_logits(const plumb_trace *trace)
{
    return trace->trace.logits;
}

const float *plumb_trace_lens(const plumb_trace *trace)
{
    return trace->trace.lens;
}

const float *plumb_trace_entropy(const plumb_trace *trace)
{
    return trace->trace.entropy;
}

const float *plumb_trace_text_log_likelihood(const plumb_trace *trace)
{
    return trace->trace.text_log_likelihood;
}

const float *plumb_trace_option_mass(const plumb_trace *trace)
{
    return trace->trace.option_mass;
}

const uint16_t *plumb_trace_hidden(const plumb_trace *trace)
{
    return trace->trace.hidden;
}

const int32_t *plumb_trace_labels(const plumb_trace *trace)
{
    return trace->trace.label;
}

const int32_t *plumb_trace_option_counts(const plumb_trace *trace)
{
    return trace->trace.options;
}

const int32_t *plumb_trace_group_indices(const plumb_trace *trace)
{
    return trace->trace.group;
}

int plumb_trace_permutation(const plumb_trace *trace)
{
    return trace->trace.header.permutation;
}

const char *plumb_trace_group_name(const plumb_trace *trace, int i)
{
    const struct trace_header *h = &trace->trace.header;
    return i >= 0 && i < h->n_groups ? h->groups[i] : NULL;
}

const char *plumb_trace_text(const plumb_trace *trace, const char *name)
{
    const struct trace_header *h = &trace->trace.header;
    const struct {
        const char *name, *value;
    } texts[] = {
        {"model", h->model},
        {"model_fingerprint", h->model_fingerprint},
        {"architecture", h->architecture},
        {"tokenizer_hash", h->tokenizer_hash},
        {"precision", h->precision},
        {"lens", h->lens},
        {"score", trace_score_name(h->score)},
        {"preset", h->preset},
        {"preset_hash", h->preset_hash},
        {"chat_hash", h->chat_hash},
        {"steering", h->steering},
        {"tuned_lens", h->tuned_lens},
        {"task", h->task},
        {"task_hash", h->task_hash},
        {"program", h->program},
    };
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
        if (strcmp(name, texts[i].name) == 0)
            return texts[i].value;
    return NULL;
}

int plumb_trace_join(const char *const *paths, size_t n, const char *out_path,
                     struct plumb_error *error)
{
    return trace_join(paths, n, out_path, error);
}
