/*
 * dual_align.c - the losses of Dual-Align as weightings of the questions' terms, one scan for all of them, Brent after it.
 *
 * Sums run over blocks of questions of a fixed size and then over the blocks in order, so that they depend neither on the
 * number of threads nor on who was first.
 */
#include "calibrate/dual_align.h"

#include <math.h>
#include <omp.h>
#include <string.h>

#include "calibrate/minimise.h"
#include "calibrate/softmax.h"
#include "metric/sum.h"

enum { BLOCK = 128 };

struct dual_align_options dual_align_options_default(void)
{
    return (struct dual_align_options){.lambda = 1, .points = 401};
}

static const struct {
    const char *name, *words;
} losses[DUAL_LOSSES] = {
    [DUAL_LOSS_NAIVE] = {"confidence-all", "confidence, all questions (naive alignment)"},
    [DUAL_LOSS_DACA] = {"confidence-agreement", "confidence, where the models agree (DACA)"},
    [DUAL_LOSS_PROCESS] = {"process-disagreement", "process, where they disagree"},
    [DUAL_LOSS_PROCESS_ALL] = {"process-all", "process, all questions"},
    [DUAL_LOSS_SPLIT] = {"split", "Dual-Align, split"},
    [DUAL_LOSS_SOFT_LAST] = {"soft-last", "Dual-Align, soft, w = d_L / ln 2"},
    [DUAL_LOSS_SOFT_PEAK] = {"soft-peak", "Dual-Align, soft, w = |d_l* - d_(l*-1)| / ln 2"},
    [DUAL_LOSS_SOFT_MOST] = {"soft-max", "Dual-Align, soft, w = max_l d_l / ln 2"},
};

const char *dual_loss_name(enum dual_loss l)
{
    return losses[l].name;
}

const char *dual_loss_words(enum dual_loss l)
{
    return losses[l].words;
}

double dual_weight_of(const struct divergence *d, enum dual_weight w, size_t i)
{
    const size_t layers = (size_t)d->layers, peak = (size_t)d->peak[i];
    const double *jsd = d->jsd + i * layers;
    double most = 0;
    switch (w) {
    case DUAL_WEIGHT_PEAK:
        most = peak > 1 ? fabs(jsd[peak - 1] - jsd[peak - 2]) : jsd[0];
        break;
    case DUAL_WEIGHT_MOST:
        for (size_t l = 0; l < layers; l++)
            most = fmax(most, jsd[l]);
        break;
    case DUAL_WEIGHT_LAST:
    case DUAL_WEIGHTS:
    default:
        most = jsd[layers - 1];
        break;
    }
    return fmin(most / M_LN2, 1);
}

/* One loss: what each question's two terms count. [n] each. */
struct weighting {
    const double *confidence, *process;
};

/* Sums of one loss at one temperature. */
struct term_sum {
    double loss, slope;
};

/* KL(p || softmax(beta z)) = ln S - E_p[u] - H(p), with u = beta (z - max z); and its slope by ln tau,
   E_p[u] - E_q[u]. */
static double confidence_term(const struct dual_terms *t, size_t i, double beta, double *slope)
{
    const struct pair *p = t->pair;
    const double *z = pair_row(p, p->post, i), *want = t->target + i * (size_t)p->k;
    const int k = p->options[i];
    const double top = z[argmax_first(z, k)];
    double total = 0, wanted = 0, first = 0;
    for (int j = 0; j < k; j++) {
        const double u = beta * (z[j] - top), q = exp(u);
        total += q;
        first += q * u;
        wanted += want[j] * u;
    }
    *slope = wanted - first / total;
    return log(fmax(total, 1)) - wanted -
           (t->target_entropy ? t->target_entropy[i] : entropy_of(want, k));
}

/* Entropies of questions [from, to); of one loss, only where its process term counts. */
static void entropies_of_block(const struct dual_terms *t, const struct weighting *w, int n,
                               size_t from, size_t to, double beta, double *ise, double *slope)
{
    if (n > 1) {
        stability_at(t->stability, beta, from, to, ise, slope);
        return;
    }
    for (size_t i = from; i < to; i++)
        if (w->process[i] > 0)
            stability_at(t->stability, beta, i, i + 1, ise + (i - from),
                         slope ? slope + (i - from) : NULL);
}

/* Sums of the n losses over questions [from, to) at one temperature. */
static void sum_block(const struct dual_terms *t, const struct weighting *w, int n, size_t from,
                      size_t to, double ln_tau, bool with_slope, struct term_sum *out)
{
    double ise[BLOCK] = {0}, ise_slope[BLOCK] = {0};
    const double beta = exp(-ln_tau);
    struct sum loss[DUAL_LOSSES] = {{0}}, slope[DUAL_LOSSES] = {{0}};
    entropies_of_block(t, w, n, from, to, beta, ise, with_slope ? ise_slope : NULL);
    for (size_t i = from; i < to; i++) {
        double conf = 0, conf_slope = 0;
        const double gap = ise[i - from] - t->stability->base_ise[i];
        if (n > 1 || w->confidence[i] > 0)
            conf = confidence_term(t, i, beta, &conf_slope);
        for (int l = 0; l < n; l++) {
            sum_add(&loss[l], w[l].confidence[i] * conf + w[l].process[i] * gap * gap);
            if (with_slope)
                sum_add(&slope[l], w[l].confidence[i] * conf_slope +
                                       w[l].process[i] * 2 * gap * ise_slope[i - from]);
        }
    }
    for (int l = 0; l < n; l++)
        out[l] = (struct term_sum){sum_value(loss[l]), sum_value(slope[l])};
}

/* Sums of one loss at one temperature over all blocks, in their order. */
struct both_sums {
    struct sum loss, slope;
};

/* 0 = as many as there are. */
static int team_size(int threads)
{
    return threads > 0 ? threads : omp_get_max_threads();
}

/* Means of the n losses at each of the temperatures: out[point * n + loss]. False without memory. */
static bool evaluate(const struct dual_terms *t, const struct weighting *w, int n,
                     const double *ln_tau, int points, int threads, bool with_slope,
                     struct term_sum *out)
{
    const size_t rows = t->pair->n, blocks = (rows + BLOCK - 1) / BLOCK;
    const size_t cells = (size_t)points * (size_t)n;
    struct term_sum *part = mem_array(blocks, cells * sizeof *part);
    struct both_sums *all = mem_zalloc(cells, sizeof *all);
    if (!part || !all) {
        mem_free(part);
        mem_free(all);
        return false;
    }
#pragma omp parallel for schedule(dynamic) num_threads(team_size(threads))
    for (size_t b = 0; b < blocks; b++) {
        const size_t from = b * BLOCK, to = from + BLOCK < rows ? from + BLOCK : rows;
        for (int at = 0; at < points; at++)
            sum_block(t, w, n, from, to, ln_tau[at], with_slope,
                      part + b * cells + (size_t)at * (size_t)n);
    }
    for (size_t b = 0; b < blocks; b++)
        for (size_t c = 0; c < cells; c++) {
            sum_add(&all[c].loss, part[b * cells + c].loss);
            sum_add(&all[c].slope, part[b * cells + c].slope);
        }
    for (size_t c = 0; c < cells; c++)
        out[c] = (struct term_sum){sum_value(all[c].loss) / (double)rows,
                                   sum_value(all[c].slope) / (double)rows};
    mem_free(all);
    mem_free(part);
    return true;
}

double dual_align_loss(const struct dual_terms *t, const double *confidence, const double *process,
                       double ln_tau, double *slope)
{
    const struct weighting w = {confidence, process};
    struct term_sum out = {NAN, NAN};
    (void)evaluate(t, &w, 1, &ln_tau, 1, 1, slope != NULL, &out);
    if (slope)
        *slope = out.slope;
    return out.loss;
}

struct refine {
    const struct dual_terms *terms;
    const struct weighting *weighting;
    int threads;
};

static double loss_at(void *user, double ln_tau)
{
    const struct refine *r = user;
    struct term_sum out = {NAN, NAN};
    (void)evaluate(r->terms, r->weighting, 1, &ln_tau, 1, r->threads, false, &out);
    return out.loss;
}

/* Lowest point of the scan, then Brent between its neighbours. */
static void refine_fit(const struct dual_align *a, const struct refine *r, struct dual_fit *fit)
{
    int best = 0;
    for (int at = 1; at < a->points; at++)
        if (fit->curve[at] < fit->curve[best])
            best = at;
    fit->tau = exp(a->ln_tau[best]);
    fit->loss = fit->curve[best];
    const int low = best > 0 ? best - 1 : 0, high = best < a->points - 1 ? best + 1 : best;
    const struct minimum m =
        minimise(loss_at, (void *)r, a->ln_tau[low], a->ln_tau[best], a->ln_tau[high], 1e-9);
    if (m.value <= fit->loss) {
        fit->tau = exp(m.at);
        fit->loss = m.value;
    }
    /* A minimum in the scan's first or last step that ends at the clamp itself still falls there. */
    if (best == 0 && fit->tau < TEMPERATURE_LEAST * (1 + 1e-6)) {
        fit->rim = TEMPERATURE_AT_LEAST;
        fit->tau = TEMPERATURE_LEAST;
    } else if (best == a->points - 1 && fit->tau > TEMPERATURE_MOST * (1 - 1e-6)) {
        fit->rim = TEMPERATURE_AT_MOST;
        fit->tau = TEMPERATURE_MOST;
    }
}

/* The weights of question i in loss l. */
static void weigh(const struct pair *p, const struct divergence *d, double lambda, enum dual_loss l,
                  size_t i, double *confidence, double *process)
{
    const double agree = p->agree[i];
    double w = 0;
    *confidence = *process = 0;
    switch (l) {
    case DUAL_LOSS_NAIVE:
        *confidence = 1;
        return;
    case DUAL_LOSS_DACA:
        *confidence = agree;
        return;
    case DUAL_LOSS_PROCESS:
        *process = 1 - agree;
        return;
    case DUAL_LOSS_PROCESS_ALL:
        *process = 1;
        return;
    case DUAL_LOSS_SPLIT:
        *confidence = agree;
        *process = lambda * (1 - agree);
        return;
    case DUAL_LOSS_SOFT_LAST:
    case DUAL_LOSS_SOFT_PEAK:
    case DUAL_LOSS_SOFT_MOST:
        w = dual_weight_of(d, (enum dual_weight)(l - DUAL_LOSS_SOFT_LAST), i);
        *confidence = 1 - w;
        *process = w;
        return;
    case DUAL_LOSSES:
    default:
        return;
    }
}

/* [n] weights of both terms for every loss, in the arena; says which losses have any. */
static bool make_weightings(const struct pair *p, const struct divergence *d, double lambda,
                            struct dual_align *a, struct weighting *out)
{
    for (int l = 0; l < DUAL_LOSSES; l++) {
        double *w = arena_alloc(a->arena, p->n, 2 * sizeof *w);
        if (!w)
            return false;
        for (size_t i = 0; i < p->n; i++) {
            weigh(p, d, lambda, (enum dual_loss)l, i, w + i, w + p->n + i);
            a->fit[l].defined |= w[i] > 0 || w[p->n + i] > 0;
        }
        out[l] = (struct weighting){w, w + p->n};
    }
    return true;
}

static int scan_and_refine(const struct dual_terms *t, const struct divergence *d,
                           struct dual_align *a, struct plumb_error *e)
{
    const int points = a->points;
    struct weighting w[DUAL_LOSSES];
    struct term_sum *sums = mem_array((size_t)points * DUAL_LOSSES, sizeof *sums);
    bool good = sums && make_weightings(t->pair, d, a->options.lambda, a, w);
    for (int at = 0; at < points; at++) {
        const double share = (double)at / (points - 1);
        a->ln_tau[at] = (1 - share) * log(TEMPERATURE_LEAST) + share * log(TEMPERATURE_MOST);
    }
    good = good && evaluate(t, w, DUAL_LOSSES, a->ln_tau, points, a->options.threads, false, sums);
    for (int l = 0; good && l < DUAL_LOSSES; l++) {
        struct dual_fit *fit = &a->fit[l];
        fit->curve = arena_alloc(a->arena, (size_t)points, sizeof *fit->curve);
        good = fit->curve != NULL;
        fit->tau = fit->loss = NAN;
        for (int at = 0; good && at < points; at++)
            fit->curve[at] = sums[at * DUAL_LOSSES + l].loss;
        const struct refine r = {t, &w[l], a->options.threads};
        if (good && fit->defined)
            refine_fit(a, &r, fit);
    }
    mem_free(sums);
    return good ? PLUMB_OK : error_memory(e, "the scan of Dual-Align");
}

int dual_align_fit(const struct pair *p, const struct divergence *d, const double *target,
                   const struct dual_align_options *o, struct dual_align *out,
                   struct plumb_error *e)
{
    struct stability s = {0};
    *out = (struct dual_align){.options = *o, .points = o->points};
    if (o->points < 3 || o->points > 100000 || !(o->lambda >= 0) || !isfinite(o->lambda))
        return error_set(e, PLUMB_INPUT,
                         "Dual-Align: %d points and lambda %g; expected 3 to 100000 points and a "
                         "lambda of at least 0",
                         o->points, o->lambda);
    out->chosen = o->mode == DUAL_SPLIT ? DUAL_LOSS_SPLIT
                                        : (enum dual_loss)(DUAL_LOSS_SOFT_LAST + (int)o->weight);
    out->arena = arena_create();
    if (out->arena)
        out->ln_tau = arena_alloc(out->arena, (size_t)o->points, sizeof *out->ln_tau);
    int status = out->ln_tau ? PLUMB_OK : error_memory(e, "the scan of Dual-Align");
    if (status == PLUMB_OK)
        status = stability_create(p, d, &o->ise, &s, e);
    if (status == PLUMB_OK) {
        double *entropy = arena_alloc(out->arena, p->n, sizeof *entropy);
        const struct dual_terms t = {p, target, entropy, &s};
        for (size_t i = 0; entropy && i < p->n; i++)
            entropy[i] = entropy_of(target + i * (size_t)p->k, p->options[i]);
        status =
            entropy ? scan_and_refine(&t, d, out, e) : error_memory(e, "the scan of Dual-Align");
    }
    stability_free(&s);
    if (status != PLUMB_OK)
        dual_align_free(out);
    return status;
}

void dual_align_free(struct dual_align *a)
{
    arena_destroy(a->arena);
    *a = (struct dual_align){0};
}
