/*
 * phase.c - the rules of phase.h, and their result in words.
 */
#include "layers/phase.h"

#include <math.h>
#include <stdio.h>

#include "metric/interval.h"

static const double PLATEAU = 0.95, SAME_ACCURACY = 0.01;

const char *phase_verdict_key(enum phase_verdict v)
{
    static const char *const keys[PHASE_VERDICTS] = {"correction", "peak-last", "within-margin",
                                                     "accuracy-moves", "chance"};
    return keys[v];
}

/* The values of the layers, of the whole sample or of one draw. */
struct curve {
    const struct profile *p;
    const size_t *draw; /* null = the whole sample */
};

static double value_at(const struct curve *c, int l, enum profile_value v)
{
    return c->draw ? profile_drawn(c->p, *c->draw, l, v) : profile_at(c->p, l, v)->value;
}

static void choose(const struct curve *c, int *plateau, int *peak)
{
    const int last = c->p->layers;
    const double least = PLATEAU * value_at(c, last, PROFILE_ACCURACY);
    *plateau = 1;
    while (*plateau < last && value_at(c, *plateau, PROFILE_ACCURACY) < least)
        ++*plateau;
    *peak = *plateau;
    for (int l = *plateau + 1; l <= last; l++)
        if (value_at(c, l, PROFILE_ECE) > value_at(c, *peak, PROFILE_ECE))
            *peak = l;
}

/* Every draw chooses its own layers. */
static int resample(const struct profile *p, struct phase *out, struct plumb_error *e)
{
    const size_t draws = (size_t)p->options.draws;
    size_t same_plateau = 0, same_peak = 0;
    double *drop = mem_array(draws, 2 * sizeof *drop), *change = drop ? drop + draws : NULL;
    if (!drop)
        return error_memory(e, "the margin of the phases");
    for (size_t d = 0; d < draws; d++) {
        const struct curve c = {p, &d};
        int plateau, peak;
        choose(&c, &plateau, &peak);
        drop[d] = value_at(&c, peak, PROFILE_ECE) - value_at(&c, p->layers, PROFILE_ECE);
        change[d] =
            value_at(&c, p->layers, PROFILE_ACCURACY) - value_at(&c, out->peak, PROFILE_ACCURACY);
        same_plateau += plateau == out->plateau;
        same_peak += peak == out->peak;
    }
    struct interval i =
        interval_percentile(drop, interval_sort(drop, draws), p->options.confidence);
    i = interval_basic(i, out->drop.value, -1, 1);
    out->drop.low = i.low;
    out->drop.high = i.high;
    i = interval_percentile(change, interval_sort(change, draws), p->options.confidence);
    out->accuracy_change.low = i.low;
    out->accuracy_change.high = i.high;
    out->plateau_share = (double)same_plateau / (double)draws;
    out->peak_share = (double)same_peak / (double)draws;
    out->margin = out->drop.value - out->drop.low;
    mem_free(drop);
    return PLUMB_OK;
}

static enum phase_verdict judge(const struct profile *p, const struct phase *f)
{
    const struct profiled *last = profile_at(p, p->layers, PROFILE_ACCURACY);
    if (!((isnan(last->low) ? last->value : last->low) > p->chance))
        return PHASE_CHANCE;
    if (f->peak == f->layers)
        return PHASE_PEAK_LAST;
    if (!(f->final_ece < f->peak_ece - f->margin))
        return PHASE_WITHIN_MARGIN;
    return fabs(f->accuracy_change.value) <= SAME_ACCURACY ? PHASE_CORRECTION
                                                           : PHASE_ACCURACY_MOVES;
}

int phase_detect(const struct profile *p, struct phase *out, struct plumb_error *e)
{
    const struct curve whole = {p, NULL};
    *out = (struct phase){.layers = p->layers,
                          .chance = p->chance,
                          .plateau_share = NAN,
                          .peak_share = NAN,
                          .drawn = p->options.draws >= 2};
    choose(&whole, &out->plateau, &out->peak);
    out->accuracy = value_at(&whole, p->layers, PROFILE_ACCURACY);
    out->peak_ece = value_at(&whole, out->peak, PROFILE_ECE);
    out->final_ece = value_at(&whole, p->layers, PROFILE_ECE);
    out->drop = (struct profiled){out->peak_ece - out->final_ece, NAN, NAN};
    out->accuracy_change =
        (struct profiled){out->accuracy - value_at(&whole, out->peak, PROFILE_ACCURACY), NAN, NAN};
    const int status = out->drawn ? resample(p, out, e) : PLUMB_OK;
    out->verdict = judge(p, out);
    return status;
}

/* ---- Words ------------------------------------------------------------------------------------ */

static void say_interval(struct buffer *b, const struct profiled *v)
{
    buffer_printf(b, "%.3f", v->value);
    if (!isnan(v->low) && !isnan(v->high))
        buffer_printf(b, " [%.3f, %.3f]", v->low, v->high);
}

static void say_choice(const struct phase *p, struct buffer *b)
{
    buffer_printf(b,
                  "The plateau of accuracy begins at layer %d of %d; from there on ECE is largest "
                  "at layer %d (%.3f) and %.3f at the end.",
                  p->plateau, p->layers, p->peak, p->peak_ece, p->final_ece);
    if (p->drawn)
        buffer_printf(b,
                      " %.0f %% of the resamples begin the plateau there, %.0f %% have that peak.",
                      100 * p->plateau_share, 100 * p->peak_share);
}

void phase_words(const struct phase *p, struct buffer *b)
{
    if (p->verdict == PHASE_CHANCE) {
        buffer_printf(b,
                      "No phase to speak of: the final accuracy %.3f is not measurably above "
                      "guessing (%.3f), so there is no plateau. By the bare rules it would begin "
                      "at layer %d and ECE would peak at layer %d.",
                      p->accuracy, p->chance, p->plateau, p->peak);
        return;
    }
    say_choice(p, b);
    switch (p->verdict) {
    case PHASE_CORRECTION:
        if (p->peak + 1 == p->layers)
            buffer_printf(b, " A correction phase: layer %d lowers ECE by ", p->layers);
        else
            buffer_printf(b, " A correction phase: layers %d to %d lower ECE by ", p->peak + 1,
                          p->layers);
        say_interval(b, &p->drop);
        buffer_printf(b, p->drawn ? ", more than the margin %.3f" : ", without intervals",
                      p->margin);
        break;
    case PHASE_PEAK_LAST:
        buffer_printf(b, " No correction phase: the error is largest at the last layer.");
        return;
    case PHASE_WITHIN_MARGIN:
        buffer_printf(b, " No correction phase: the drop ");
        say_interval(b, &p->drop);
        buffer_printf(b, " is within the margin %.3f", p->margin);
        break;
    case PHASE_ACCURACY_MOVES:
        buffer_printf(b, " No correction phase: ECE falls by ");
        say_interval(b, &p->drop);
        buffer_printf(b, ", but accuracy moves too");
        break;
    case PHASE_CHANCE:
    case PHASE_VERDICTS:
    default:
        break;
    }
    buffer_printf(b, "; accuracy changes by %+.1f points.", 100 * p->accuracy_change.value);
}
