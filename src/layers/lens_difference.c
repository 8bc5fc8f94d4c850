/*
 * lens_difference.c - see lens_difference.h.
 */
#include "layers/lens_difference.h"

#include <math.h>
#include <string.h>

const char *lens_kind(const struct trace_header *h)
{
    return h->tuned_lens ? "tuned" : "logit";
}

static bool same_text(const char *a, const char *b)
{
    return a == b || (a && b && strcmp(a, b) == 0);
}

int lens_difference_check(const struct trace *one, const char *one_path, const struct trace *other,
                          const char *other_path, struct plumb_error *e)
{
    const struct trace_header *a = &one->header, *b = &other->header;
    struct reading r;
    int status = reading_of_trace(one, one_path, &r, e);
    if (status == PLUMB_OK)
        status = reading_of_trace(other, other_path, &r, e);
    if (status != PLUMB_OK)
        return status;
    if (!same_text(a->model_fingerprint, b->model_fingerprint))
        return error_set(e, PLUMB_INPUT,
                         "%s is of %.60s and %s of %.60s, another model: --other-lens compares two "
                         "readings of one model; for two models see --against",
                         other_path, b->model, one_path, a->model);
    if (a->n != b->n || a->n_layers != b->n_layers ||
        memcmp(one->item_hash, other->item_hash, 2 * a->n * sizeof *one->item_hash) != 0)
        return error_set(e, PLUMB_INPUT,
                         "%s and %s hold other questions, or others first: trace both over the "
                         "same file",
                         other_path, one_path);
    if (!same_text(a->preset_hash, b->preset_hash) || a->permutation != b->permutation)
        return error_set(e, PLUMB_INPUT,
                         "%s and %s asked in different ways (preset, examples or order of the "
                         "options): trace both the same way",
                         other_path, one_path);
    if (same_text(a->tuned_lens, b->tuned_lens))
        return error_set(e, PLUMB_INPUT,
                         "%s and %s are read by the same lens: trace one of them with --lens-file",
                         other_path, one_path);
    return PLUMB_OK;
}

void lens_difference_find(const struct profile *one, const struct phase *one_phase,
                          const struct profile *other, const struct phase *other_phase,
                          struct lens_difference *out)
{
    *out = (struct lens_difference){.layers = one->layers,
                                    .same_verdict = one_phase->verdict == other_phase->verdict,
                                    .same_peak = one_phase->peak == other_phase->peak,
                                    .same_plateau = one_phase->plateau == other_phase->plateau,
                                    .chance = one_phase->verdict == PHASE_CHANCE &&
                                              other_phase->verdict == PHASE_CHANCE};
    for (int l = 1; l < one->layers; l++) {
        const struct profiled d = profile_difference(one, other, l, PROFILE_ECE);
        if (out->largest == 0 || fabs(d.value) > fabs(out->ece.value)) {
            out->largest = l;
            out->ece = d;
        }
        if (isnan(d.low))
            continue;
        out->drawn = true;
        out->apart += d.low > 0 || d.high < 0;
    }
}

void lens_difference_words(const struct lens_difference *d, const char *one, const char *other,
                           struct buffer *out)
{
    if (d->largest == 0) {
        buffer_puts(out, "The model has one layer, which every lens reads alike.");
        return;
    }
    buffer_printf(out,
                  "The two readings differ most at layer %d: the %s lens gives an ECE %.3f %s ",
                  d->largest, one, fabs(d->ece.value), d->ece.value < 0 ? "below" : "above");
    buffer_printf(out, "the %s lens's", other);
    if (!isnan(d->ece.low))
        buffer_printf(out, " [%+.3f, %+.3f]", d->ece.low, d->ece.high);
    buffer_puts(out, ".");
    if (d->drawn)
        buffer_printf(out,
                      " At %d of the %d layers before the last the difference is more than the "
                      "questions' luck.",
                      d->apart, d->layers - 1);
    if (d->chance)
        buffer_puts(out, " By neither is there a plateau, so there is no phase to compare.");
    else if (d->same_verdict && d->same_peak && d->same_plateau)
        buffer_puts(out, " Plateau, peak and verdict are the same by both: they do not depend on "
                         "the lens.");
    else if (d->same_verdict)
        buffer_printf(out, " The verdict is the same by both; the %s moves with the lens.",
                      d->same_peak      ? "plateau"
                      : d->same_plateau ? "peak"
                                        : "plateau and the peak");
    else
        buffer_puts(out, " The verdict depends on the lens: it says something of the lens, too, "
                         "and not of the model alone.");
}
