/*
 * steer_words.c - names of the rows of a search, and its verdict in sentences.
 */
#include <math.h>
#include <string.h>

#include "layers/steer_search.h"

static const struct {
    const char *key, *words;
} kinds[STEER_KINDS] = {
    [STEER_AS_IS] = {"as-is", "as it is"},
    [STEER_UPDATE] = {"update", "D1 update"},
    [STEER_CONTRAST] = {"contrast", "D2 contrast"},
    [STEER_COMPONENT] = {"component", "D3 component"},
    [STEER_NULL_SPACE] = {"null-space", "D4 null space"},
    [STEER_RANDOM] = {"random", "D5 random"},
    [STEER_CLIP_ECE] = {"clip", "clip, by ECE"},
    [STEER_CLIP_NLL] = {"clip-nll", "clip, by NLL"},
    [STEER_TEMPERATURE_NLL] = {"temperature", "D6 T, by NLL"},
    [STEER_TEMPERATURE_ECE] = {"temperature-ece", "D6 T, by ECE"},
};

const char *steer_kind_key(enum steer_kind k)
{
    return kinds[k].key;
}

const char *steer_kind_words(enum steer_kind k)
{
    return kinds[k].words;
}

bool steer_kind_find(const char *key, enum steer_kind *out)
{
    for (int k = 0; k < STEER_KINDS; k++)
        if (!strcmp(kinds[k].key, key)) {
            *out = (enum steer_kind)k;
            return true;
        }
    return false;
}

const char *steer_verdict_key(enum steer_verdict v)
{
    static const char *const keys[] = {[STEER_NO_DIRECTION] = "no-direction",
                                       [STEER_BEATS] = "beats-temperature",
                                       [STEER_NOT_MEASURABLY] =
                                           "not-measurably-better-than-temperature",
                                       [STEER_WORSE] = "worse-than-temperature"};
    return keys[v];
}

void steer_row_words(const struct steer_row *r, struct buffer *out)
{
    if (!r->acts) {
        buffer_puts(out, r->kind == STEER_AS_IS ? "" : *r->reason ? "none" : "nothing is better");
        return;
    }
    switch (r->kind) {
    case STEER_UPDATE:
    case STEER_CONTRAST:
    case STEER_COMPONENT:
    case STEER_NULL_SPACE:
    case STEER_RANDOM:
        if (r->kind >= STEER_COMPONENT)
            buffer_printf(out, "#%d ", r->number + 1);
        if (r->layer < 0)
            buffer_puts(out, "all layers");
        else
            buffer_printf(out, "layer %d", r->layer);
        buffer_printf(out, " %+g", r->strength);
        break;
    case STEER_CLIP_ECE:
    case STEER_CLIP_NLL:
        buffer_printf(out, "c %.2f", r->strength);
        break;
    case STEER_TEMPERATURE_NLL:
    case STEER_TEMPERATURE_ECE:
        buffer_printf(out, "T %.3f", r->strength);
        break;
    case STEER_AS_IS:
    case STEER_KINDS:
    default:
        break;
    }
}

static void say_difference(struct buffer *b, const struct steer_measured *d)
{
    buffer_printf(b, "%+.3f", d->value);
    if (!isnan(d->low) && !isnan(d->high))
        buffer_printf(b, " [%+.3f, %+.3f]", d->low, d->high);
}

static void say_against_temperature(const struct steer_search *s, struct buffer *b)
{
    static const char *const verdicts[] = {[STEER_NO_DIRECTION] = "",
                                           [STEER_BEATS] = "It beats temperature alone",
                                           [STEER_NOT_MEASURABLY] =
                                               "It does not measurably beat temperature alone",
                                           [STEER_WORSE] = "It is worse than temperature alone"};
    const struct steer_row *best = &s->rows[s->best];
    buffer_printf(b, " %s: ECE ", verdicts[s->verdict]);
    say_difference(b, &best->less_temperature[0]);
    buffer_puts(b, " against the temperature fitted by likelihood, ");
    say_difference(b, &best->less_temperature[1]);
    buffer_puts(b, " against the one fitted by ECE.");
}

void steer_verdict_words(const struct steer_search *s, struct buffer *out)
{
    if (s->best < 0) {
        buffer_printf(out,
                      "No direction lowered ECE on the %zu questions that chose without losing "
                      "accuracy: temperature alone is the better tool here.",
                      s->n_fit);
        return;
    }
    const struct steer_row *best = &s->rows[s->best], *random = &s->rows[STEER_RANDOM];
    buffer_printf(out, "The best direction on the %zu questions that chose is %s (", s->n_fit,
                  steer_kind_words((enum steer_kind)s->best));
    steer_row_words(best, out);
    buffer_printf(out, "). On the %zu others its ECE is %.3f, ", s->n_judged,
                  best->judged[STEER_ECE].value);
    say_difference(out, &best->less_as_is);
    buffer_printf(out, " against the model as it is; its accuracy is %.3f, that of the model %.3f.",
                  best->judged[STEER_ACCURACY].value,
                  s->rows[STEER_AS_IS].judged[STEER_ACCURACY].value);
    say_against_temperature(s, out);
    if (random->acts) {
        buffer_printf(
            out,
            " Of %zu settings of random directions the best has an ECE of %.3f there; the "
            "direction's is ",
            random->tried, random->judged[STEER_ECE].value);
        say_difference(out, &best->less_random);
        buffer_puts(out, " against it.");
    }
}
