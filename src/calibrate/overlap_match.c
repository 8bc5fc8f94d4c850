/*
 * overlap_match.c - the divergence at equal mean confidence, the weight, and the temperature of their target.
 */
#include "calibrate/overlap_match.h"

#include <math.h>

#include "calibrate/moment_match.h"
#include "calibrate/softmax.h"
#include "metric/sum.h"

/* D: mean of TV(softmax(z_base), softmax(z_post / tau)) = mean of half the sum of |p_j - q_j|. */
static double total_variation(const struct pair *p, double tau)
{
    struct sum s = {0};
    for (size_t i = 0; i < p->n; i++) {
        const int k = p->options[i];
        double base[SOFTMAX_MOST], post[SOFTMAX_MOST], distance = 0;
        (void)softmax_at(pair_row(p, p->base, i), k, 1, base);
        (void)softmax_at(pair_row(p, p->post, i), k, 1 / tau, post);
        for (int j = 0; j < k; j++)
            distance += fabs(base[j] - post[j]);
        sum_add(&s, distance / 2);
    }
    return sum_value(s) / (double)p->n;
}

/* M: mean of softmax(z_base)[argmax z_post]. */
static double base_opinion_of_answers(const struct pair *p)
{
    struct sum s = {0};
    for (size_t i = 0; i < p->n; i++) {
        double base[SOFTMAX_MOST];
        (void)softmax_at(pair_row(p, p->base, i), p->options[i], 1, base);
        sum_add(&s, base[p->post_choice[i]]);
    }
    return sum_value(s) / (double)p->n;
}

/* w = min(1, D / (1 - B)), also where the base is certain of everything. */
static double weight_of(double divergence, double confidence)
{
    const double open = 1 - confidence;
    return divergence >= open ? (divergence > 0 ? 1 : 0) : divergence / open;
}

int overlap_match(const struct pair *p, struct overlap *how, struct temperature *out,
                  struct plumb_error *e)
{
    struct temperature equal; /* tau_B */
    *how = (struct overlap){0};
    const int status = confidence_match(p, &equal, e);
    if (status != PLUMB_OK)
        return status;
    how->agreement = (double)p->agreeing / (double)p->n;
    how->confidence = mean_confidence(p, p->base, 1);
    how->divergence = total_variation(p, equal.tau);
    how->weight = weight_of(how->divergence, how->confidence);
    how->answers = base_opinion_of_answers(p);
    how->target = fmin(how->agreement, (1 - how->weight) * how->confidence +
                                           how->weight * (how->agreement + how->answers) / 2);
    return confidence_fit(p, how->target, "overlap matching", out, e);
}
