/*
 * abstain_sources.c - see abstain_sources.h.
 */
#include "cli/abstain_sources.h"

#include <string.h>

#include "base/memory.h"

/* What stands in a scores file besides the confidences. */
static int copy_questions(const struct abstain_input *in, struct confidence_file *out,
                          struct plumb_error *e)
{
    const struct scores *s = &in->scores;
    const struct trace_header *h = s->trace ? &s->trace->header : NULL;
    memcpy(out->item, s->item_hash, s->n * sizeof *out->item);
    memcpy(out->right, in->signals.right, s->n);
    const char **names = mem_array((size_t)s->n_groups, sizeof *names);
    for (int g = 0; names && g < s->n_groups; g++)
        names[g] = confidence_keep(out, s->groups[g]);
    for (size_t i = 0; names && i < s->n; i++)
        out->group[i] = names[s->group[i]];
    const bool good = names != NULL;
    mem_free(names);
    if (h) {
        out->model = confidence_keep(out, h->model_fingerprint);
        out->model_name = confidence_keep(out, h->model);
        out->task = confidence_keep(out, h->task_hash);
    }
    out->task_name = confidence_keep(out, h ? h->task : s->name);
    out->judged = s->kind == SCORES_CONFIDENCE ? NULL : "the likeliest option is right";
    return good ? PLUMB_OK : error_memory(e, "the confidences");
}

static int count_sources(const struct signals *s)
{
    int n = 0;
    for (int w = 0; w < SIGNALS; w++)
        n += s->value[w] != NULL;
    return n;
}

/* The model's own sources; `calibrated`: null, or the same file through a calibration. */
static int from_signals(const struct abstain_input *in, const struct abstain_input *calibrated,
                        struct confidence_file *out, struct plumb_error *e)
{
    const struct signals *s = &in->signals;
    int at = 0;
    int status = confidence_create(s->n, count_sources(s) + (calibrated != NULL), out, e);
    if (status == PLUMB_OK)
        status = copy_questions(in, out, e);
    if (status != PLUMB_OK)
        return status;
    for (int w = 0; w < SIGNALS; w++) {
        if (!s->value[w])
            continue;
        out->sources[at] = (struct confidence_source){.name = signal_name((enum signal)w),
                                                      .words = signal_words((enum signal)w),
                                                      .passes = 1,
                                                      .probability = w == SIGNAL_PROBABILITY};
        memcpy(out->value[at++], s->value[w], s->n * sizeof(double));
    }
    if (calibrated) {
        out->sources[at] = (struct confidence_source){.name = "calibrated",
                                                      .words = "calibrated probability",
                                                      .passes = 1,
                                                      .probability = true};
        memcpy(out->value[at], calibrated->signals.value[SIGNAL_PROBABILITY],
               s->n * sizeof(double));
    }
    return PLUMB_OK;
}

int sources_open(const char *path, const char *calibration, const struct abstain_options *o,
                 struct confidence_file *out, struct plumb_error *e)
{
    struct abstain_input in = {0}, calibrated = {0};
    *out = (struct confidence_file){0};
    if (confidence_is_file(path))
        return confidence_read(path, out, e);
    int status = abstain_open(path, NULL, o, &in, e);
    if (status == PLUMB_OK && calibration)
        status = abstain_open(path, calibration, o, &calibrated, e);
    if (status == PLUMB_OK)
        status = from_signals(&in, calibration ? &calibrated : NULL, out, e);
    abstain_close(&calibrated);
    abstain_close(&in);
    if (status != PLUMB_OK)
        confidence_free(out);
    return status;
}
