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

/* By how much a draw's differences ECE_l - ECE_L, l on the plateau, differ from the sample's: the extremes over l. */
static void extremes(const struct curve *draw, const struct curve *whole, int plateau,
                     double *least, double *most)
{
    const int last = whole->p->layers;
    *least = *most = 0;
    for (int l = plateau; l < last; l++) {
        const double shift = value_at(draw, l, PROFILE_ECE) - value_at(draw, last, PROFILE_ECE) -
                             (value_at(whole, l, PROFILE_ECE) - value_at(whole, last, PROFILE_ECE));
        *least = l == plateau ? shift : fmin(*least, shift);
        *most = l == plateau ? shift : fmax(*most, shift);
    }
}

static struct interval percentiles(double *draws, size_t n, double confidence)
{
    return interval_percentile(draws, interval_sort(draws, n), confidence);
}

static int resample(const struct profile *p, struct phase *out, struct plumb_error *e)
{
    const size_t draws = (size_t)p->options.draws;
    const struct curve whole = {p, NULL};
    size_t same_plateau = 0, same_peak = 0;
    double *least = mem_array(draws, 3 * sizeof *least);
    double *most = least ? least + draws : NULL, *change = least ? least + 2 * draws : NULL;
    if (!least)
        return error_memory(e, "the margin of the phases");
    for (size_t d = 0; d < draws; d++) {
        const struct curve c = {p, &d};
        int plateau, peak;
        choose(&c, &plateau, &peak);
        same_plateau += plateau == out->plateau;
        same_peak += peak == out->peak;
        extremes(&c, &whole, out->plateau, &least[d], &most[d]);
        change[d] =
            value_at(&c, p->layers, PROFILE_ACCURACY) - value_at(&c, out->peak, PROFILE_ACCURACY);
    }
    out->margin = percentiles(most, draws, p->options.confidence).high;
    out->drop.low = out->drop.value - out->margin;
    out->drop.high = out->drop.value - percentiles(least, draws, p->options.confidence).low;
    const struct interval i = percentiles(change, draws, p->options.confidence);
    out->accuracy_change.low = i.low;
    out->accuracy_change.high = i.high;
    out->plateau_share = (double)same_plateau / (double)draws;
    out->peak_share = (double)same_peak / (double)draws;
    mem_free(least);
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
        buffer_printf(b, fmin(fabs(p->accuracy_change.low), fabs(p->accuracy_change.high)) <=
                                     SAME_ACCURACY ||
                                 p->accuracy_change.low * p->accuracy_change.high <= 0
                             ? ", but accuracy may move too: more questions would tell"
                             : ", but accuracy moves too");
        break;
    case PHASE_CHANCE:
    case PHASE_VERDICTS:
    default:
        break;
    }
    buffer_printf(b, "; accuracy changes by %+.1f points", 100 * p->accuracy_change.value);
    if (p->drawn)
        buffer_printf(b, " [%+.1f, %+.1f]", 100 * p->accuracy_change.low,
                      100 * p->accuracy_change.high);
    buffer_printf(b, ".");
}
