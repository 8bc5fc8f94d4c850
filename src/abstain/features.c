/*
 * features.c - see features.h.
 */
#include "abstain/features.h"

#include <math.h>
#include <string.h>

/* Below this a logarithm of a probability says nothing more. */
static const double floor_of_logs = -20;
enum { TOP = 4, POSITIONS = 5 };

const char *feature_name(int f)
{
    static const char *const names[FEATURES] = {
        "log_p1",     "log_p2",     "log_p3",     "log_p4",     "margin",     "certainty",
        "options",    "position_a", "position_b", "position_c", "position_d", "position_e",
        "best_score", "mean_score", "log_mass",   "log_tokens"};
    return names[f];
}

/* ln p of each option, [k]; the normaliser of recorded probabilities is their own. */
static void log_probabilities(const struct scores *s, const double *v, int k, double *to)
{
    double top = -INFINITY, sum = 0;
    for (int j = 0; j < k; j++) {
        to[j] = s->kind == SCORES_PROBABILITIES ? log(v[j]) : v[j];
        top = fmax(top, to[j]);
    }
    for (int j = 0; j < k; j++)
        sum += exp(to[j] - top);
    for (int j = 0; j < k; j++)
        to[j] = fmax(to[j] - top - log(sum), floor_of_logs);
}

/* The next largest below place `taken` of a falling order. */
static int next_best(const double *v, int k, const int *taken, int n_taken)
{
    int best = -1;
    for (int j = 0; j < k; j++) {
        bool is_taken = false;
        for (int i = 0; i < n_taken; i++)
            is_taken |= taken[i] == j;
        if (!is_taken && (best < 0 || v[j] > v[best]))
            best = j;
    }
    return best;
}

static double if_finite(double v)
{
    return isfinite(v) ? v : 0;
}

static void fill_of_trace(const struct trace *t, size_t i, int answer, double *to)
{
    const size_t at = i * (size_t)t->header.n_options + (size_t)answer;
    to[14] = t->option_mass ? fmax(log((double)t->option_mass[i]), floor_of_logs) : 0;
    to[15] = t->text_tokens ? log(fmax(1, t->text_tokens[at])) : 0;
}

void features_fill(const struct scores *s, size_t i, double *to)
{
    enum { MOST = 64 };
    double log_p[MOST], entropy = 0, mean = 0;
    int order[TOP] = {0};
    const double *v = s->values + i * (size_t)s->k;
    const int k = s->options[i] < MOST ? s->options[i] : MOST;
    memset(to, 0, FEATURES * sizeof *to);
    log_probabilities(s, v, k, log_p);
    for (int j = 0; j < k; j++) {
        entropy -= exp(log_p[j]) * log_p[j];
        mean += if_finite(v[j]) / k;
    }
    for (int t = 0; t < TOP; t++) {
        order[t] = next_best(log_p, k, order, t);
        to[t] = order[t] < 0 ? floor_of_logs : log_p[order[t]];
    }
    to[4] = exp(to[0]) - exp(to[1]);
    to[5] = k > 1 ? 1 - entropy / log(k) : 1;
    to[6] = k;
    if (order[0] < POSITIONS)
        to[7 + order[0]] = 1;
    to[12] = if_finite(v[order[0]]);
    to[13] = mean;
    if (s->trace)
        fill_of_trace(s->trace, i, order[0], to);
    else if (s->option_mass)
        to[14] = fmax(log(s->option_mass[i]), floor_of_logs);
}
