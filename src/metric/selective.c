/*
 * selective.c - AURC and its relatives, PRR, AUSE, selective accuracy, coverage at a risk.
 *
 * E(k) is the number of errors among the k most confident rows, r(k) = E(k) / k. Inside a tie group of g rows with e_g
 * errors behind the prefix (k0, E0), the expectation over random orders is E(k0 + j) = E0 + j * e_g / g, so every sum
 * over prefixes is the same for every order of tied rows. Counts are whole numbers and exact.
 */
#include "metric/selective.h"

#include <math.h>

#include "metric/compute.h"
#include "metric/tie_group.h"

size_t selective_curve(const struct sample *s, const double *weight, struct risk_point *points)
{
    const double n = tie_group_total(s, weight).count;
    double taken = 0, right = 0;
    size_t n_points = 0;
    for (size_t t = s->n_ties; t-- > 0;) {
        const struct tie_group g = tie_group_at(s, weight, t);
        taken += g.count;
        right += g.right;
        if (g.count > 0)
            points[n_points++] =
                (struct risk_point){s->confidence[s->tie[t]], taken / n, (taken - right) / taken};
    }
    return n_points;
}

struct abstention selective_abstention(const struct sample *s, const double *weight,
                                       double threshold, double t)
{
    const double n = tie_group_total(s, weight).count;
    double taken = 0, right = 0;
    for (size_t i = s->n_ties; i-- > 0 && s->confidence[s->tie[i]] >= threshold;) {
        const struct tie_group g = tie_group_at(s, weight, i);
        taken += g.count;
        right += g.right;
    }
    struct abstention a = {right / n, (taken - right) / n, (n - taken) / n, 0};
    a.score = a.right - a.wrong * t / (1 - t);
    return a;
}

/* ---- Sums over prefixes ----------------------------------------------------------------------- */

enum { BLOCK = 64 }; /* terms of a sum that are added plainly: the error stays below 64 ulp */

/* sum of (start + j * step) / (k0 + j), j = 1..n: in blocks, so that rounding does not grow with n. */
static double sum_of_ratios(double start, double step, double k0, double n)
{
    double total = 0;
    for (double j = 1; j <= n;) {
        const double end = j + BLOCK <= n + 1 ? j + BLOCK : n + 1;
        double block = 0;
        for (; j < end; j++)
            block += (start + j * step) / (k0 + j);
        total += block;
    }
    return total;
}

/* The sum of r(k) over the prefixes k with first < k <= n of the rows. */
static double sum_of_risks(const struct sample *s, const double *weight, double first)
{
    double taken = 0, errors = 0, total = 0, block = 0;
    int in_block = 0;
    for (size_t t = s->n_ties; t-- > 0;) {
        const struct tie_group g = tie_group_at(s, weight, t);
        const double wrong = g.count - g.right;
        if (g.count == 0)
            continue;
        if (taken + g.count > first && g.count == 1) {
            block += (errors + wrong) / (taken + 1);
            if (++in_block == BLOCK) {
                total += block;
                block = 0;
                in_block = 0;
            }
        } else if (taken + g.count > first) {
            const double skipped = taken < first ? first - taken : 0, step = wrong / g.count;
            total +=
                sum_of_ratios(errors + skipped * step, step, taken + skipped, g.count - skipped);
        }
        taken += g.count;
        errors += wrong;
    }
    return total + block;
}

/* The same sum for the oracle, which takes all right answers first: E(k) = max(k - right, 0). */
static double sum_of_oracle_risks(struct tie_group all, double first)
{
    const double start = all.right > first ? all.right : first;
    return sum_of_ratios(start - all.right, 1, start, all.count - start);
}

/* ---- Areas ------------------------------------------------------------------------------------ */

/* AURC = (1/n) sum_k r(k). */
METRIC_COMPUTE(compute_aurc)
{
    (void)m, (void)o, (void)scratch, (void)reason;
    *out = sum_of_risks(s, weight, 0) / tie_group_total(s, weight).count;
}

/* E-AURC = AURC - AURC of the oracle, by its exact sum: the usual err + (1 - err) ln(1 - err) is only its limit. */
METRIC_COMPUTE(compute_e_aurc)
{
    (void)m, (void)o, (void)scratch, (void)reason;
    const struct tie_group all = tie_group_total(s, weight);
    const double excess = sum_of_risks(s, weight, 0) - sum_of_oracle_risks(all, 0);
    *out = fmax(excess, 0) / all.count; /* rounding may leave -1e-16 for a perfect order */
}

/* AUGRC = integral over coverage of P(accepted and wrong) = E(k) / n, trapezoids between realisable points and (0, 0).
   n^2 times twice the area is a whole number. */
METRIC_COMPUTE(compute_augrc)
{
    (void)m, (void)o, (void)scratch, (void)reason;
    double errors = 0, taken = 0, area = 0;
    for (size_t t = s->n_ties; t-- > 0;) {
        const struct tie_group g = tie_group_at(s, weight, t);
        const double wrong = g.count - g.right;
        area += g.count * (2 * errors + wrong);
        errors += wrong;
        taken += g.count;
    }
    *out = area / (2 * taken * taken);
}

/* The most confident rows that the weights hold. */
static struct tie_group top_group(const struct sample *s, const double *weight)
{
    struct tie_group g = {0, 0};
    for (size_t t = s->n_ties; t-- > 0 && g.count == 0;)
        g = tie_group_at(s, weight, t);
    return g;
}

/* AUSE = area between r and the oracle's r over the fraction x = 0, 1/n .. (n-1)/n of removed rows, by trapezoids:
   the sums of AURC less half of the two ends. At x = 0 both curves are the error rate; at x = (n-1)/n one row is left. */
METRIC_COMPUTE(compute_ause)
{
    (void)m, (void)o, (void)scratch, (void)reason;
    const struct tie_group all = tie_group_total(s, weight), top = top_group(s, weight);
    const double last = (top.count - top.right) / top.count - (all.right > 0 ? 0 : 1);
    const double excess = sum_of_risks(s, weight, 0) - sum_of_oracle_risks(all, 0);
    *out = fmax(excess - last / 2, 0) / all.count; /* as above */
}

/* PRR(m) = (A(u) - A(random)) / (A(oracle) - A(random)), A = mean accuracy of the R = floor(m n) longest prefixes
   (Malinin et al. 2017); A(random) by its exact expectation, the accuracy. m->bins: m in percent. */
METRIC_COMPUTE(compute_prr)
{
    (void)o, (void)scratch;
    const struct tie_group all = tie_group_total(s, weight);
    const double rejected = floor(m->bins * all.count / 100), first = all.count - rejected;
    const double random = rejected * (all.count - all.right) / all.count;
    const double oracle = random - sum_of_oracle_risks(all, first);
    *out = NAN;
    if (all.right <= 0 || all.right >= all.count)
        *reason = all.right > 0 ? "every answer is right: rejecting cannot help"
                                : "every answer is wrong: rejecting cannot help";
    else if (rejected < 2)
        *reason = "too few rows to reject any";
    else
        *out = (random - sum_of_risks(s, weight, first)) / oracle;
}

/* ---- Operating points ------------------------------------------------------------------------- */

/* Coverages and risks in percent, so that ceil(a n) and E / k <= r are decided in whole numbers. */
static const double coverage_percent[] = {50, 70, 80, 90, 95};
static const double risk_percent[] = {1, 5, 10, 20};

/* The expected accuracy of the ceil(a n) most confident rows, for each a. */
METRIC_COMPUTE(compute_selective_accuracy)
{
    (void)m, (void)o, (void)scratch, (void)reason;
    const double n = tie_group_total(s, weight).count;
    const size_t points = sizeof coverage_percent / sizeof *coverage_percent;
    double taken = 0, right = 0;
    size_t t = s->n_ties;
    for (size_t i = 0; i < points;) {
        const double wanted = ceil(coverage_percent[i] * n / 100);
        const struct tie_group g = tie_group_at(s, weight, t - 1);
        if (taken + g.count >= wanted) {
            out[i++] = (right + (wanted - taken) * g.right / g.count) / wanted;
        } else {
            taken += g.count;
            right += g.right;
            t--;
        }
    }
}

/* The largest realisable coverage with E(k) / k <= r, for each r; 0 if there is none. */
METRIC_COMPUTE(compute_coverage_at_risk)
{
    (void)m, (void)o, (void)scratch, (void)reason;
    const size_t points = sizeof risk_percent / sizeof *risk_percent;
    double taken = 0, errors = 0, largest[sizeof risk_percent / sizeof *risk_percent] = {0};
    for (size_t t = s->n_ties; t-- > 0;) {
        const struct tie_group g = tie_group_at(s, weight, t);
        taken += g.count;
        errors += g.count - g.right;
        for (size_t i = 0; i < points; i++)
            if (100 * errors <= risk_percent[i] * taken)
                largest[i] = taken;
    }
    for (size_t i = 0; i < points; i++)
        out[i] = largest[i] / taken;
}
