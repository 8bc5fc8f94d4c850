/*
 * run.c - the public face of running a model: traces, and the logits of one sequence. No logic of its own.
 */
#include "trace/run.h"

#include "base/memory.h"
#include "model/config.h"
#include "model/forward.h"
#include "plumb.h"

_Static_assert((int)PLUMB_PRESET_CLEAN == (int)PRESET_CLEAN &&
                   (int)PLUMB_PRESET_DACA == (int)PRESET_DACA &&
                   (int)PLUMB_PRESET_CHAT == (int)PRESET_CHAT,
               "the two enumerations are one");
_Static_assert((int)PLUMB_LENS_LETTERS == (int)TRACE_LENS_LETTERS &&
                   (int)PLUMB_LENS_VOCAB == (int)TRACE_LENS_VOCAB &&
                   (int)PLUMB_LENS_NONE == (int)TRACE_LENS_NONE,
               "the two enumerations are one");

_Static_assert((int)PLUMB_SCORE_LETTERS == (int)TRACE_SCORE_LETTERS &&
                   (int)PLUMB_SCORE_TEXT == (int)TRACE_SCORE_TEXT &&
                   (int)PLUMB_SCORE_TEXT_PER_BYTE == (int)TRACE_SCORE_TEXT_PER_BYTE &&
                   (int)PLUMB_SCORE_TEXT_PER_TOKEN == (int)TRACE_SCORE_TEXT_PER_TOKEN,
               "the two enumerations are one");

struct plumb_trace_options plumb_trace_options_default(void)
{
    return (struct plumb_trace_options){0};
}

int plumb_trace_run(plumb_model *model, const char *questions, const char *out_path,
                    const struct plumb_trace_options *options, struct plumb_trace_report *report,
                    struct plumb_error *error)
{
    const struct plumb_trace_options o = options ? *options : plumb_trace_options_default();
    const struct progress progress = {o.progress, o.progress_user};
    struct trace_run_options run = trace_run_options_default();
    struct trace_run_report told = {0};
    struct question_set set = {0}, examples = {0};
    run.preset.kind = (enum preset_kind)o.preset;
    run.preset.instruction = o.instruction;
    run.preset.system = o.system;
    run.preset.shots = o.shots;
    run.lens = (enum trace_lens)o.lens;
    run.score = (enum trace_score)o.score;
    run.hidden_layers = o.hidden_layers;
    run.n_hidden = o.n_hidden;
    run.permutation = o.permutation;
    run.shard = o.shard;
    run.shards = o.shards;
    run.progress = o.progress ? &progress : NULL;
    int status = questions_read(questions, o.limit, &set, error);
    if (status == PLUMB_OK && o.shots_from) {
        status = questions_read(o.shots_from, 0, &examples, error);
        run.preset.shots_from = &examples;
    }
    if (status == PLUMB_OK)
        status = trace_run((struct model *)model, &set, out_path, &run, &told, error);
    questions_free(&examples);
    questions_free(&set);
    if (report)
        *report = (struct plumb_trace_report){.items = told.items,
                                              .resumed = told.resumed,
                                              .tokens = told.tokens,
                                              .tokens_computed = told.tokens_run,
                                              .seconds = told.seconds,
                                              .peak_share = told.peak_share};
    return status;
}

static int check_ids(const struct config *c, const int32_t *ids, size_t n,
                     struct plumb_error *error)
{
    if (n < 1 || n > (size_t)c->context)
        return error_set(error, PLUMB_INPUT, "%zu tokens: expected 1 to %d, the model's context", n,
                         c->context);
    for (size_t i = 0; i < n; i++)
        if (ids[i] < 0 || ids[i] >= c->vocabulary)
            return error_set(error, PLUMB_INPUT, "token %zu is %d: expected 0 to %d", i,
                             (int)ids[i], c->vocabulary - 1);
    return PLUMB_OK;
}

int plumb_model_next_logits(plumb_model *model, const int32_t *ids, size_t n, float *logits,
                            struct plumb_error *error)
{
    struct model *m = (struct model *)model;
    const struct config *c = model_config(m);
    struct forward *f = NULL;
    int status = check_ids(c, ids, n, error);
    float *last = NULL;
    if (status == PLUMB_OK && !(last = mem_aligned((size_t)c->hidden, sizeof *last)))
        status = error_memory(error, "the last hidden state");
    if (status == PLUMB_OK)
        status = forward_create(m, &f, error);
    if (status == PLUMB_OK) {
        const struct forward_item item = {.tokens = ids, .n_tokens = (int)n, .n_wanted = 1};
        status = forward_run(f, &item, 1, NULL, NULL, last, error);
    }
    if (status == PLUMB_OK)
        status = head_logits(f, last, 1, logits, error);
    forward_destroy(f);
    mem_free(last);
    return status;
}
