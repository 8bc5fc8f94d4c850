/*
 * signal.c - see signal.h.
 */
#include "abstain/signal.h"

#include <math.h>

#include "base/memory.h"

const char *signal_name(enum signal s)
{
    static const char *const names[SIGNALS] = {"probability", "margin", "entropy", "option_mass"};
    return names[s];
}

const char *signal_words(enum signal s)
{
    static const char *const words[SIGNALS] = {"option probability", "margin", "entropy",
                                               "option mass"};
    return words[s];
}

static double unit(double v)
{
    return v < 0 ? 0 : v > 1 ? 1 : v;
}

static int argmax(const double *v, int k)
{
    int at = 0;
    for (int j = 1; j < k; j++)
        at = v[j] > v[at] ? j : at;
    return at;
}

/* softmax(z), or the recorded probabilities as they are. */
static void probabilities(const struct scores *s, size_t i, double *p)
{
    const double *v = s->values + i * (size_t)s->k;
    const int k = s->options[i];
    double top = -INFINITY, sum = 0;
    for (int j = 0; j < s->k; j++)
        p[j] = j < k && s->kind == SCORES_PROBABILITIES ? v[j] : 0;
    if (s->kind == SCORES_PROBABILITIES)
        return;
    for (int j = 0; j < k; j++)
        top = fmax(top, v[j]);
    for (int j = 0; j < k; j++)
        sum += p[j] = exp(v[j] - top);
    for (int j = 0; j < k; j++)
        p[j] /= sum;
}

static void fill_options(const struct scores *s, size_t i, struct signals *out)
{
    double *p = out->p + i * (size_t)out->k;
    const int k = s->options[i];
    probabilities(s, i, p);
    const int best = argmax(s->values + i * (size_t)s->k, k);
    double second = 0, entropy = 0;
    for (int j = 0; j < k; j++) {
        if (j != best)
            second = fmax(second, p[j]);
        entropy -= p[j] > 0 ? p[j] * log(p[j]) : 0;
    }
    out->options[i] = k;
    out->prediction[i] = best;
    out->label[i] = s->label[i];
    out->right[i] = (int8_t)(s->label[i] < 0 ? -1 : s->label[i] == best);
    out->value[SIGNAL_PROBABILITY][i] = unit(p[best]);
    out->value[SIGNAL_MARGIN][i] = unit(p[best] - second);
    out->value[SIGNAL_ENTROPY][i] = unit(1 - entropy / log(k));
}

static bool allocate(const struct scores *s, const struct scores *options, struct signals *out)
{
    struct arena *a = arena_create();
    const size_t n = s->n;
    *out = (struct signals){.n = n, .k = options->k, .arena = a};
    if (!a)
        return false;
    const bool choices = options->kind != SCORES_CONFIDENCE;
    bool good = (out->right = arena_alloc(a, n, sizeof *out->right)) != NULL;
    for (int w = 0; w < SIGNALS; w++) {
        const bool has =
            w == SIGNAL_PROBABILITY || (w == SIGNAL_MASS ? s->option_mass != NULL : choices);
        if (has)
            good = (out->value[w] = arena_alloc(a, n, sizeof(double))) != NULL && good;
    }
    if (!choices)
        return good;
    out->p = arena_alloc(a, n, (size_t)out->k * sizeof *out->p);
    out->options = arena_alloc(a, n, sizeof *out->options);
    out->prediction = arena_alloc(a, n, sizeof *out->prediction);
    out->label = arena_alloc(a, n, sizeof *out->label);
    return good && out->p && out->options && out->prediction && out->label;
}

int signals_create(const struct scores *s, const struct scores *calibrated, struct signals *out,
                   struct plumb_error *e)
{
    /* A calibrator of confidences keeps the answer and the options' own probabilities. */
    const bool own = !calibrated || calibrated->kind == SCORES_CONFIDENCE;
    const struct scores *options = own ? s : calibrated;
    if (!allocate(s, options, out)) {
        signals_free(out);
        return error_memory(e, "the confidences");
    }
    for (size_t i = 0; i < s->n; i++) {
        if (options->kind == SCORES_CONFIDENCE) {
            out->value[SIGNAL_PROBABILITY][i] = s->values[i];
            out->right[i] = s->correct[i];
        } else {
            fill_options(options, i, out);
        }
        if (calibrated && own)
            out->value[SIGNAL_PROBABILITY][i] = calibrated->values[i];
        if (out->value[SIGNAL_MASS])
            out->value[SIGNAL_MASS][i] = unit(s->option_mass[i]);
        const double c = out->value[SIGNAL_PROBABILITY][i];
        if (!(c >= 0 && c <= 1)) {
            signals_free(out);
            return error_set(
                e, PLUMB_INPUT,
                "%s: question %zu: the confidence is %g; expected a number from 0 to 1", s->name,
                i + 1, c);
        }
        out->labelled += out->right[i] >= 0;
        out->wrong += out->right[i] == 0;
    }
    return PLUMB_OK;
}

void signals_free(struct signals *s)
{
    if (s->arena)
        arena_destroy(s->arena);
    *s = (struct signals){0};
}

void signals_labelled(const struct signals *s, enum signal which, double *confidence,
                      uint8_t *wrong, uint32_t *row)
{
    for (size_t i = 0, at = 0; i < s->n; i++) {
        if (s->right[i] < 0)
            continue;
        if (confidence)
            confidence[at] = s->value[which][i];
        if (wrong)
            wrong[at] = s->right[i] == 0;
        if (row)
            row[at] = (uint32_t)i;
        at++;
    }
}

int signals_check_labels(const struct signals *s, const char *what, struct plumb_error *e)
{
    const size_t right = s->labelled - s->wrong;
    if (s->labelled == 0)
        return error_set(e, PLUMB_INPUT,
                         "%s: none of the %zu questions has a known right answer; this needs "
                         "labelled questions",
                         what, s->n);
    if (right == 0 || s->wrong == 0)
        return error_set(e, PLUMB_INPUT,
                         "%s: of %zu labelled questions %zu are right and %zu wrong; this needs at "
                         "least one of each",
                         what, s->labelled, right, s->wrong);
    return PLUMB_OK;
}
