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
#include "metric/sum.h"
#include "metric/tie_group.h"

size_t selective_curve(const struct sample *s, const double *weight, struct risk_point *points)
{
    const double n = sum_weights(weight, s->n);
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
    const double n = sum_weights(weight, s->n);
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

/* A sum of E(k) / k over neighbouring k. The E(k) are written down first: dividing many at once is what a processor does
   fast, and no branch depends on the weights. */
struct ratios {
    double *errors; /* [METRIC_GRID] E(k) for k = before + 1, before + 2, ... */
    size_t n;
    double before;
    struct sum sum;
};

static void ratios_flush(struct ratios *r)
{
    sum_pair even = {0}, odd = {0};
    sum_pair k0 = {r->before + 1, r->before + 2}, k1 = k0 + sum_both(2);
    size_t i = 0;
    for (; i + 4 <= r->n; i += 4) {
        even += sum_load(r->errors + i) / k0;
        odd += sum_load(r->errors + i + 2) / k1;
        k0 += sum_both(4);
        k1 += sum_both(4);
    }
    for (; i < r->n; i++)
        even[0] += r->errors[i] / (r->before + (double)(i + 1));
    even += odd;
    sum_add(&r->sum, even[0] + even[1]);
    r->before += (double)r->n;
    r->n = 0;
}

/* The next n prefixes: errors start + step, start + 2 step, ... */
static void ratios_add(struct ratios *r, double start, double step, double n)
{
    if (r->n + 4 > METRIC_GRID)
        ratios_flush(r);
    if (n <= 4) { /* nearly every group of a draw: four are written, n of them count */
        double *e = r->errors + r->n;
        for (int j = 0; j < 4; j++)
            e[j] = start + (j + 1) * step;
        r->n += (size_t)n;
        return;
    }
    const size_t whole = (size_t)n;
    for (size_t j = 1; j <= whole; j++) {
        if (r->n == METRIC_GRID)
            ratios_flush(r);
        r->errors[r->n++] = start + (double)j * step;
    }
}

/* The sum of r(k) over the prefixes k with first < k <= n of the rows. */
static double sum_of_risks(const struct tie_groups *g, struct metric_scratch *scratch, double first)
{
    struct ratios r = {.errors = scratch->grid[0], .before = first};
    double taken = 0, errors = 0;
    for (size_t i = g->n; i-- > 0;) {
        const double count = g->count[i], wrong = count - g->right[i], step = wrong / count;
        const double skipped = taken < first ? first - taken : 0;
        if (count > skipped)
            ratios_add(&r, errors + skipped * step, step, count - skipped);
        taken += count;
        errors += wrong;
    }
    ratios_flush(&r);
    return sum_value(r.sum);
}

/* The same sum for the oracle, which takes all right answers first: E(k) = max(k - right, 0). */
static double sum_of_oracle_risks(const struct tie_groups *g, struct metric_scratch *scratch,
                                  double first)
{
    const double start = g->all.right > first ? g->all.right : first;
    struct ratios r = {.errors = scratch->grid[0], .before = start};
    ratios_add(&r, start - g->all.right, 1, g->all.count - start);
    ratios_flush(&r);
    return sum_value(r.sum);
}

/* ---- Areas ------------------------------------------------------------------------------------ */

/* AURC = (1/n) sum_k r(k). */
METRIC_COMPUTE(compute_aurc)
{
    (void)m, (void)o, (void)reason;
    const struct tie_groups g = tie_groups_of(s, weight, scratch);
    *out = sum_of_risks(&g, scratch, 0) / g.all.count;
}

/* The sum of what an order costs over all prefixes; rounding may leave -1e-16 for a perfect one. */
static double excess_risk(const struct tie_groups *g, struct metric_scratch *scratch)
{
    return fmax(sum_of_risks(g, scratch, 0) - sum_of_oracle_risks(g, scratch, 0), 0);
}

/* E-AURC = AURC - AURC of the oracle, by its exact sum: the usual err + (1 - err) ln(1 - err) is only its limit. */
METRIC_COMPUTE(compute_e_aurc)
{
    (void)m, (void)o, (void)reason;
    const struct tie_groups g = tie_groups_of(s, weight, scratch);
    *out = excess_risk(&g, scratch) / g.all.count;
}

/* AUGRC = integral over coverage of P(accepted and wrong) = E(k) / n, trapezoids between realisable points and (0, 0).
   n^2 times twice the area is a whole number. */
METRIC_COMPUTE(compute_augrc)
{
    (void)m, (void)o, (void)reason;
    const struct tie_groups g = tie_groups_of(s, weight, scratch);
    double errors = 0, area = 0;
    for (size_t i = g.n; i-- > 0;) {
        const double wrong = g.count[i] - g.right[i];
        area += g.count[i] * (2 * errors + wrong);
        errors += wrong;
    }
    *out = area / (2 * g.all.count * g.all.count);
}

/* AUSE = area between r and the oracle's r over the fraction x = 0, 1/n .. (n-1)/n of removed rows, by trapezoids:
   the sums of AURC less half of the two ends. At x = 0 both curves are the error rate; at x = (n-1)/n one row is left. */
METRIC_COMPUTE(compute_ause)
{
    (void)m, (void)o, (void)reason;
    const struct tie_groups g = tie_groups_of(s, weight, scratch);
    const size_t top = g.n - 1;
    const double last = (g.count[top] - g.right[top]) / g.count[top] - (g.all.right > 0 ? 0 : 1);
    *out = fmax(excess_risk(&g, scratch) - last / 2, 0) / g.all.count;
}

/* PRR(m) = (A(u) - A(random)) / (A(oracle) - A(random)), A = mean accuracy of the R = floor(m n) longest prefixes
   (Malinin et al. 2017); A(random) by its exact expectation, the accuracy. m->bins: m in percent. */
METRIC_COMPUTE(compute_prr)
{
    (void)o;
    const struct tie_groups g = tie_groups_of(s, weight, scratch);
    const double rejected = floor(m->bins * g.all.count / 100), first = g.all.count - rejected;
    const double random = rejected * (g.all.count - g.all.right) / g.all.count;
    *out = NAN;
    if (g.all.right <= 0 || g.all.right >= g.all.count)
        *reason = g.all.right > 0 ? "every answer is right: rejecting cannot help"
                                  : "every answer is wrong: rejecting cannot help";
    else if (rejected < 2)
        *reason = "too few rows to reject any";
    else
        *out = (random - sum_of_risks(&g, scratch, first)) /
               (random - sum_of_oracle_risks(&g, scratch, first));
}

/* ---- Operating points ------------------------------------------------------------------------- */

enum { COVERAGES = 5, RISKS = 4 };
/* In percent, so that ceil(a n) and E / k <= r are decided in whole numbers. */
static const double coverage_percent[COVERAGES] = {50, 70, 80, 90, 95};
static const double risk_percent[RISKS] = {1, 5, 10, 20};

/* The expected accuracy of the ceil(a n) most confident rows, for each a. */
METRIC_COMPUTE(compute_selective_accuracy)
{
    (void)m, (void)o, (void)reason;
    const struct tie_groups g = tie_groups_of(s, weight, scratch);
    double taken = 0, right = 0;
    size_t i = g.n - 1;
    for (int a = 0; a < COVERAGES; a++) {
        const double wanted = ceil(coverage_percent[a] * g.all.count / 100);
        for (; taken + g.count[i] < wanted; i--) {
            taken += g.count[i];
            right += g.right[i];
        }
        out[a] = (right + (wanted - taken) * g.right[i] / g.count[i]) / wanted;
    }
}

/* The largest realisable coverage with E(k) / k <= r, for each r; 0 if there is none. */
METRIC_COMPUTE(compute_coverage_at_risk)
{
    (void)m, (void)o, (void)reason;
    const struct tie_groups g = tie_groups_of(s, weight, scratch);
    double taken = 0, errors = 0, largest[RISKS] = {0};
    for (size_t i = g.n; i-- > 0;) {
        taken += g.count[i];
        errors += g.count[i] - g.right[i];
        for (int r = 0; r < RISKS; r++)
            largest[r] = 100 * errors <= risk_percent[r] * taken ? taken : largest[r];
    }
    for (int r = 0; r < RISKS; r++)
        out[r] = largest[r] / g.all.count;
}
