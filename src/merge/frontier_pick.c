/*
 * frontier_pick.c - which points of a plane are Pareto-optimal, and which of them to take. Knows numbers only.
 */
#include <math.h>

#include "merge/frontier.h"

static const struct {
    const char *name, *words;
} rules[FRONTIER_RULES] = {
    [FRONTIER_KNEE] = {"knee", "the Pareto-optimal point farthest beyond the chord between the two "
                               "ends of the frontier"},
    [FRONTIER_MOST_RIGHT] = {"accuracy", "the most accurate Pareto-optimal point"},
    [FRONTIER_CALIBRATED] = {"calibration",
                             "the lowest ECE among points at least as accurate as POST"},
};

const char *frontier_rule_name(enum frontier_rule r)
{
    return rules[r].name;
}

const char *frontier_rule_words(enum frontier_rule r)
{
    return rules[r].words;
}

static bool dominates(const struct frontier_spot *a, const struct frontier_spot *b)
{
    return a->accuracy >= b->accuracy && a->ece <= b->ece &&
           (a->accuracy > b->accuracy || a->ece < b->ece);
}

void frontier_pareto(const struct frontier_spot *spots, size_t n, bool *best)
{
    for (size_t i = 0; i < n; i++) {
        best[i] = true;
        for (size_t j = 0; j < n && best[i]; j++)
            best[i] = !dominates(&spots[j], &spots[i]);
    }
}

static bool is_best(const struct frontier_spot *spots, size_t n, size_t i)
{
    for (size_t j = 0; j < n; j++)
        if (dominates(&spots[j], &spots[i]))
            return false;
    return true;
}

/* The most accurate of all; it is on the frontier because of equals the one with the lowest ECE is taken. */
static size_t most_accurate(const struct frontier_spot *spots, size_t n)
{
    size_t best = 0;
    for (size_t i = 1; i < n; i++)
        if (spots[i].accuracy > spots[best].accuracy ||
            (spots[i].accuracy == spots[best].accuracy && spots[i].ece < spots[best].ece))
            best = i;
    return best;
}

static size_t lowest_error(const struct frontier_spot *spots, size_t n, double least_accuracy,
                           size_t start)
{
    size_t best = start;
    for (size_t i = 0; i < n; i++)
        if (spots[i].accuracy >= least_accuracy &&
            (spots[i].ece < spots[best].ece ||
             (spots[i].ece == spots[best].ece && spots[i].accuracy > spots[best].accuracy)))
            best = i;
    return best;
}

/* The distance to the chord is |cross product| / |chord|. The chord is the same for all points, and scaling an axis scales
   all cross products alike, so the units of the axes do not matter. */
static size_t knee(const struct frontier_spot *spots, size_t n)
{
    const size_t top = most_accurate(spots, n), low = lowest_error(spots, n, -INFINITY, top);
    const double da = spots[top].accuracy - spots[low].accuracy,
                 de = spots[top].ece - spots[low].ece;
    size_t best = top;
    double farthest = 1e-12; /* rounding: points on the chord are not beyond it */
    for (size_t i = 0; i < n; i++) {
        if (!is_best(spots, n, i))
            continue;
        /* > 0 on the better side: more accurate, or better calibrated, than the chord */
        const double beyond =
            (spots[i].accuracy - spots[low].accuracy) * de - (spots[i].ece - spots[low].ece) * da;
        if (beyond > farthest) {
            farthest = beyond;
            best = i;
        }
    }
    return best;
}

size_t frontier_choose(const struct frontier_spot *spots, size_t n, size_t post,
                       enum frontier_rule rule)
{
    switch (rule) {
    case FRONTIER_KNEE:
        return knee(spots, n);
    case FRONTIER_CALIBRATED:
        return lowest_error(spots, n, spots[post].accuracy, post);
    case FRONTIER_MOST_RIGHT:
    case FRONTIER_RULES:
    default:
        return most_accurate(spots, n);
    }
}
