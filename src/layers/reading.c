/*
 * reading.c - takes the lens out of a trace, and says what to do where there is none.
 */
#include "layers/reading.h"

static int without_lens(const struct trace_header *h, const char *path, struct plumb_error *e)
{
    if (h->imported)
        return error_set(e, PLUMB_INPUT,
                         "%s was imported and holds final answers only: record the layers with "
                         "plumb trace MODEL QUESTIONS --lens letters",
                         path);
    if (h->score != TRACE_SCORE_LETTERS)
        return error_set(e, PLUMB_INPUT,
                         "%s scores by %s, which has no lens: trace again with --score letters "
                         "--lens letters",
                         path, trace_score_name(h->score));
    return error_set(e, PLUMB_INPUT,
                     "%s holds no lens (it was traced with --lens none): trace again with --lens "
                     "letters",
                     path);
}

int reading_of_trace(const struct trace *t, const char *path, struct reading *out,
                     struct plumb_error *e)
{
    const struct trace_header *h = &t->header;
    *out = (struct reading){0};
    if (!t->lens || h->n_layers < 1)
        return without_lens(h, path, e);
    *out = (struct reading){.name = path,
                            .n = h->n,
                            .layers = h->n_layers,
                            .k = h->n_options,
                            .lens = t->lens,
                            .options = t->options,
                            .label = t->label,
                            .hidden = t->hidden,
                            .hidden_layers = h->hidden_layers,
                            .n_hidden = t->hidden ? h->n_hidden : 0,
                            .hidden_size = h->hidden_size};
    return PLUMB_OK;
}

int reading_check_pair(const struct trace *base, const char *base_path, const struct trace *post,
                       const char *post_path, struct plumb_error *e)
{
    struct reading r;
    int status = reading_of_trace(post, post_path, &r, e);
    if (status == PLUMB_OK)
        status = reading_of_trace(base, base_path, &r, e);
    if (status == PLUMB_OK && base->header.n_layers != post->header.n_layers)
        status = error_set(e, PLUMB_INPUT,
                           "%s has %d layers and %s has %d: --against compares layer with layer, "
                           "so it needs a base model of equally many",
                           base_path, base->header.n_layers, post_path, post->header.n_layers);
    return status;
}
