/*
 * sample.c - scores become a sample: top-label reduction, checks of every row, the canonical order.
 *
 * The rows are filled in the order of the input, ordered once (radix sort on confidence and correctness; the few rows
 * that are still equal by everything else that a metric may look at), and every array is then carried into that order.
 */
#include "metric/sample.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "base/size.h"
#include "metric/order.h"

struct sample_options sample_options_default(void)
{
    return (struct sample_options){.temperature = 1, .clip = 1e-15, .only_group = -1};
}

void sample_free(struct sample *s)
{
    mem_free(s->confidence);
    mem_free(s->correct);
    mem_free(s->row);
    mem_free(s->probability);
    mem_free(s->log_likelihood);
    mem_free(s->label);
    mem_free(s->prediction);
    mem_free(s->options);
    mem_free(s->group);
    mem_free(s->option_mass);
    mem_free(s->tie);
    mem_free(s->class_order);
    mem_free(s->class_probability);
    mem_free(s->class_outcome);
    *s = (struct sample){0};
}

/* ---- One row ---------------------------------------------------------------------------------- */

/* What a row of the input says, before it takes its place. */
struct judged {
    double confidence, log_likelihood;
    int32_t prediction;
    bool right, clipped, tied;
};

static double clip_to(double p, double least, double most)
{
    return p < least ? least : p > most ? most : p;
}

/* Only confidences: sigma(logit(c) / T); ln of what happened, with c clipped into [clip, 1 - clip] as everybody does. */
static struct judged judge_confidence(double c, bool right, const struct sample_options *o)
{
    struct judged j = {.confidence = c, .right = right};
    if (o->temperature != 1 && c > 0 && c < 1) {
        const double logit = (log(c) - log1p(-c)) / o->temperature;
        j.confidence = logit >= 0 ? 1 / (1 + exp(-logit)) : exp(logit) / (1 + exp(logit));
    }
    const double clipped = clip_to(j.confidence, o->clip, 1 - o->clip);
    j.log_likelihood = right ? log(clipped) : log(1 - clipped);
    j.clipped = (right ? j.confidence : 1 - j.confidence) < o->clip;
    return j;
}

static int32_t largest(const double *v, int32_t n, bool *tied)
{
    int32_t best = 0;
    *tied = false;
    for (int32_t i = 1; i < n; i++) {
        if (v[i] > v[best]) {
            best = i;
            *tied = false;
        } else if (v[i] == v[best]) {
            *tied = true;
        }
    }
    return best;
}

/* p[i] = softmax(z / T); returns ln of the sum, so that ln p[i] = (z[i] - z[best]) / T - it. */
static double softmax(const double *z, int32_t n, int32_t best, double temperature, double *p)
{
    double sum = 1; /* the largest itself */
    for (int32_t i = 0; i < n; i++) {
        p[i] = exp((z[i] - z[best]) / temperature);
        sum += i != best ? p[i] : 0;
    }
    for (int32_t i = 0; i < n; i++)
        p[i] /= sum;
    return log(sum);
}

/* p: [n] is filled. */
static struct judged judge_logits(const double *z, int32_t n, int32_t label,
                                  const struct sample_options *o, double *p)
{
    struct judged j = {0};
    j.prediction = largest(z, n, &j.tied);
    const double log_sum = softmax(z, n, j.prediction, o->temperature, p);
    j.confidence = p[j.prediction];
    j.right = j.prediction == label;
    j.log_likelihood = (z[label] - z[j.prediction]) / o->temperature - log_sum;
    return j;
}

/* Probabilities are taken as they stand; another temperature than 1 needs their logarithms as logits. */
static struct judged judge_probabilities(const double *q, int32_t n, int32_t label,
                                         const struct sample_options *o, double *p)
{
    struct judged j = {0};
    j.prediction = largest(q, n, &j.tied);
    memcpy(p, q, (size_t)n * sizeof *p);
    if (o->temperature != 1) {
        double sum = 0; /* p^(1/T) / sum; the largest is > 0 because they sum to 1 */
        for (int32_t i = 0; i < n; i++)
            sum += p[i] = pow(q[i] / q[j.prediction], 1 / o->temperature);
        for (int32_t i = 0; i < n; i++)
            p[i] /= sum;
    }
    j.confidence = p[j.prediction];
    j.right = j.prediction == label;
    j.clipped = p[label] < o->clip;
    j.log_likelihood = log(j.clipped ? o->clip : p[label]);
    return j;
}

/* ---- Checks ----------------------------------------------------------------------------------- */

/* How far printed probabilities may sum away from 1: a hundred options rounded to four digits. */
static const double SUM_TOLERANCE = 0.01;

static bool labelled(const struct scores *s, size_t i)
{
    return s->kind == SCORES_CONFIDENCE ? s->correct[i] >= 0 : s->label[i] >= 0;
}

static bool wanted(const struct scores *s, const struct sample_options *o, size_t i)
{
    return o->only_group < 0 || s->group[i] == o->only_group;
}

/* The first value of row i that is not finite; -1 if there is none. */
static int32_t not_finite(const struct scores *s, size_t i)
{
    const double *v = s->values + i * (size_t)s->k;
    for (int32_t j = 0; j < s->options[i]; j++)
        if (!isfinite(v[j]))
            return j;
    return -1;
}

static const char *value_noun(const struct scores *s)
{
    return s->kind == SCORES_LOGITS          ? "logit"
           : s->kind == SCORES_PROBABILITIES ? "probability"
                                             : "confidence";
}

static int check_unit(const struct scores *s, size_t i, struct plumb_error *e)
{
    const double *v = s->values + i * (size_t)s->k;
    double sum = 0;
    for (int32_t j = 0; j < s->options[i]; j++) {
        if (!(v[j] >= 0 && v[j] <= 1))
            return error_set(e, PLUMB_INPUT, "%s: row %zu: the %s %g is outside [0, 1]; %s",
                             s->name, i + 1, value_noun(s), v[j],
                             "give logits as logits, percentages divided by 100");
        sum += v[j];
    }
    if (s->kind == SCORES_PROBABILITIES && fabs(sum - 1) > SUM_TOLERANCE)
        return error_set(e, PLUMB_INPUT,
                         "%s: row %zu: the probabilities of its %d options sum to %g, not to 1",
                         s->name, i + 1, (int)s->options[i], sum);
    return PLUMB_OK;
}

/* *keep: false where the row is to be dropped for a value that is not a number. */
static int check_row(const struct scores *s, const struct sample_options *o, size_t i, bool *keep,
                     struct plumb_error *e)
{
    const int32_t bad = not_finite(s, i);
    *keep = bad < 0;
    if (bad >= 0) {
        if (o->drop_nan)
            return PLUMB_OK;
        return error_set(e, PLUMB_INPUT,
                         "%s: row %zu: the %s is %g; correct the file, or leave such rows out with "
                         "--nan drop (they are counted)",
                         s->name, i + 1, value_noun(s), s->values[i * (size_t)s->k + (size_t)bad]);
    }
    if (s->kind != SCORES_CONFIDENCE && s->label[i] >= s->options[i])
        return error_set(
            e, PLUMB_INPUT, "%s: row %zu: the label is %d but the row has %d options (0 to %d)",
            s->name, i + 1, (int)s->label[i], (int)s->options[i], (int)s->options[i] - 1);
    return s->kind == SCORES_LOGITS ? PLUMB_OK : check_unit(s, i, e);
}

/* ---- All rows, in the order of the input ------------------------------------------------------ */

static int allocate(struct sample *s, size_t n, int k, bool mass, struct plumb_error *e)
{
    size_t cells = 0;
    s->k = k;
    if (n > UINT32_MAX || !size_mul(n, (size_t)(k > 0 ? k : 1), &cells))
        return error_memory(e, "the sample");
    s->confidence = mem_array(n, sizeof *s->confidence);
    s->correct = mem_array(n, sizeof *s->correct);
    s->row = mem_array(n, sizeof *s->row);
    s->log_likelihood = mem_array(n, sizeof *s->log_likelihood);
    s->group = mem_array(n, sizeof *s->group);
    bool all = s->confidence && s->correct && s->row && s->log_likelihood && s->group;
    if (k > 0) {
        s->probability = mem_zalloc(cells, sizeof *s->probability);
        s->label = mem_array(n, sizeof *s->label);
        s->prediction = mem_array(n, sizeof *s->prediction);
        s->options = mem_array(n, sizeof *s->options);
        all = all && s->probability && s->label && s->prediction && s->options;
    }
    if (mass) {
        s->option_mass = mem_array(n, sizeof *s->option_mass);
        all = all && s->option_mass;
    }
    return all ? PLUMB_OK : error_memory(e, "the sample");
}

static void take_row(const struct scores *scores, size_t i, const struct sample_options *o,
                     struct sample *s)
{
    const size_t at = s->n++, k = (size_t)s->k;
    const double *v = scores->values + i * (size_t)scores->k;
    struct judged j;
    if (scores->kind == SCORES_CONFIDENCE) {
        j = judge_confidence(v[0], scores->correct[i] > 0, o);
    } else {
        double *p = s->probability + at * k;
        j = scores->kind == SCORES_LOGITS
                ? judge_logits(v, scores->options[i], scores->label[i], o, p)
                : judge_probabilities(v, scores->options[i], scores->label[i], o, p);
        s->label[at] = scores->label[i];
        s->prediction[at] = j.prediction;
        s->options[at] = scores->options[i];
    }
    s->confidence[at] = clip_to(j.confidence, 0, 1) + 0.0; /* no -0 */
    s->correct[at] = j.right ? 1 : 0;
    s->log_likelihood[at] = j.log_likelihood;
    s->group[at] = scores->group[i];
    s->row[at] = (uint32_t)i;
    if (s->option_mass && scores->option_mass)
        s->option_mass[at] = scores->option_mass[i];
    s->argmax_ties += j.tied;
    s->clipped_rows += j.clipped;
}

/* Counts what is wanted and labelled, so that one small group of a large file takes little memory. */
static size_t count_rows(const struct scores *scores, const struct sample_options *o,
                         struct sample *s)
{
    size_t n = 0;
    for (size_t i = 0; i < scores->n; i++) {
        if (!wanted(scores, o, i))
            continue;
        if (labelled(scores, i))
            n++;
        else
            s->unlabelled++;
    }
    return n;
}

static int no_rows(const struct scores *scores, const struct sample_options *o,
                   const struct sample *s, struct plumb_error *e)
{
    const char *where =
        o->only_group >= 0 && o->only_group < scores->n_groups ? scores->groups[o->only_group] : "";
    return error_set(e, PLUMB_INPUT,
                     "%s%s%s: no row to measure: %zu rows have no known right answer, %zu were "
                     "dropped for NaN; give labels",
                     scores->name, *where ? ": group " : "", where, s->unlabelled, s->dropped_rows);
}

static int fill(const struct scores *scores, const struct sample_options *o, struct sample *s,
                struct plumb_error *e)
{
    const size_t rows = count_rows(scores, o, s);
    const int k = scores->kind == SCORES_CONFIDENCE ? 0 : scores->k;
    int status = allocate(s, rows, k, scores->option_mass != NULL, e);
    for (size_t i = 0; status == PLUMB_OK && i < scores->n; i++) {
        bool keep = false;
        if (!wanted(scores, o, i) || !labelled(scores, i))
            continue;
        status = check_row(scores, o, i, &keep, e);
        if (status == PLUMB_OK && keep)
            take_row(scores, i, o, s);
        else
            s->dropped_rows += status == PLUMB_OK;
    }
    if (status == PLUMB_OK && s->n == 0)
        status = no_rows(scores, o, s, e);
    return status;
}

/* ---- The canonical order ---------------------------------------------------------------------- */

/* What decides between rows of equal confidence and correctness: everything that a metric may read. Rows that are still
   equal are interchangeable; their place in the input decides, so that equal files have equal orders. */
struct canon {
    const struct sample *s;
    const int32_t *group_rank; /* [n_groups] by name: the numbers of the groups follow the input */
};

static int compare_doubles(double a, double b)
{
    return (a > b) - (a < b);
}

static int compare_rows(const void *a, const void *b, void *context)
{
    const struct canon *c = context;
    const struct sample *s = c->s;
    const size_t i = *(const uint32_t *)a, j = *(const uint32_t *)b, k = (size_t)s->k;
    int order = 0;
    if (k > 0) {
        order = s->label[i] - s->label[j];
        for (size_t m = 0; order == 0 && m < k; m++)
            order = compare_doubles(s->probability[i * k + m], s->probability[j * k + m]);
        if (order == 0)
            order = s->options[i] - s->options[j];
    }
    if (order == 0)
        order = compare_doubles(s->log_likelihood[i], s->log_likelihood[j]);
    if (order == 0)
        order = c->group_rank[s->group[i]] - c->group_rank[s->group[j]];
    if (order == 0 && s->option_mass)
        order = compare_doubles(s->option_mass[i], s->option_mass[j]);
    if (order == 0 && s->hidden) {
        const size_t size = (size_t)s->n_hidden * (size_t)s->hidden_size;
        order = memcmp(s->hidden + s->row[i] * size, s->hidden + s->row[j] * size,
                       size * sizeof *s->hidden);
    }
    return order != 0 ? order : (i > j) - (i < j);
}

/* Sorts the rows [first, last) of `order`, which are equal in confidence and correctness. */
static void settle(uint32_t *order, size_t first, size_t last, struct canon *c)
{
    bool sorted = true;
    for (size_t i = first + 1; i < last && sorted; i++)
        sorted = compare_rows(&order[i - 1], &order[i], c) <= 0;
    if (!sorted)
        qsort_r(order + first, last - first, sizeof *order, compare_rows, c);
}

static int compare_names(const void *a, const void *b, void *context)
{
    const char *const *groups = context;
    return strcmp(groups[*(const int32_t *)a], groups[*(const int32_t *)b]);
}

/* rank[g]: the place of group g in the order of names. by_name: room for n_groups. */
static void rank_groups(const struct sample *s, int32_t *by_name, int32_t *rank)
{
    for (int32_t g = 0; g < s->n_groups; g++)
        by_name[g] = g;
    qsort_r(by_name, (size_t)s->n_groups, sizeof *by_name, compare_names, (void *)s->groups);
    for (int32_t g = 0; g < s->n_groups; g++)
        rank[by_name[g]] = g;
}

static void order_rows(const struct sample *s, struct order_pair *pairs, struct order_pair *spare,
                       struct canon *c, uint32_t *order)
{
    for (size_t i = 0; i < s->n; i++)
        pairs[i] = (struct order_pair){order_key(s->confidence[i]) << 1 | (s->correct[i] > 0),
                                       (uint32_t)i};
    order_pairs(pairs, spare, s->n);
    for (size_t i = 0; i < s->n; i++)
        order[i] = pairs[i].index;
    for (size_t i = 0, end = 0; i < s->n; i = end) {
        for (end = i + 1; end < s->n && pairs[end].key == pairs[i].key;)
            end++;
        if (end - i > 1)
            settle(order, i, end, c);
    }
}

/* array[i] = array[order[i]], for elements of `size` bytes; spare: room for the array. */
static void carry(void *array, const uint32_t *order, size_t n, size_t size, void *spare)
{
    if (!array)
        return;
    const char *from = memcpy(spare, array, n * size);
    char *to = array;
    for (size_t i = 0; i < n; i++)
        memcpy(to + i * size, from + order[i] * size, size);
}

static void carry_all(struct sample *s, const uint32_t *order, void *spare)
{
    carry(s->confidence, order, s->n, sizeof *s->confidence, spare);
    carry(s->correct, order, s->n, sizeof *s->correct, spare);
    carry(s->row, order, s->n, sizeof *s->row, spare);
    carry(s->probability, order, s->n, sizeof *s->probability * (size_t)s->k, spare);
    carry(s->log_likelihood, order, s->n, sizeof *s->log_likelihood, spare);
    carry(s->label, order, s->n, sizeof *s->label, spare);
    carry(s->prediction, order, s->n, sizeof *s->prediction, spare);
    carry(s->options, order, s->n, sizeof *s->options, spare);
    carry(s->group, order, s->n, sizeof *s->group, spare);
    carry(s->option_mass, order, s->n, sizeof *s->option_mass, spare);
}

static int sort_sample(struct sample *s, struct order_pair *pairs, struct order_pair *spare,
                       struct plumb_error *e)
{
    const size_t width = s->k > 1 ? (size_t)s->k : 1; /* the widest array has k doubles a row */
    int32_t *ranks = mem_array((size_t)s->n_groups, 2 * sizeof *ranks);
    uint32_t *order = mem_array(s->n, sizeof *order);
    void *room = mem_array(s->n, width * sizeof(double));
    if (ranks && order && room) {
        rank_groups(s, ranks + s->n_groups, ranks);
        struct canon c = {s, ranks};
        order_rows(s, pairs, spare, &c, order);
        carry_all(s, order, room);
    }
    const bool done = ranks && order && room;
    mem_free(ranks);
    mem_free(order);
    mem_free(room);
    return done ? PLUMB_OK : error_memory(e, "the order of the rows");
}

static int find_ties(struct sample *s, struct plumb_error *e)
{
    s->tie = mem_array(s->n + 1, sizeof *s->tie);
    if (!s->tie)
        return error_memory(e, "the ties");
    for (size_t i = 0, end = 0; i < s->n; i = end) {
        for (end = i + 1; end < s->n && s->confidence[end] == s->confidence[i];)
            end++;
        s->tie[s->n_ties++] = (uint32_t)i;
        s->tied_rows += end - i > 1 ? end - i : 0;
    }
    s->tie[s->n_ties] = (uint32_t)s->n;
    return PLUMB_OK;
}

static int order_classes(struct sample *s, struct order_pair *pairs, struct order_pair *spare,
                         struct plumb_error *e)
{
    const size_t k = (size_t)s->k;
    if (k == 0)
        return PLUMB_OK;
    s->class_order = mem_array(s->n, k * sizeof *s->class_order);
    s->class_probability = mem_array(s->n, k * sizeof *s->class_probability);
    s->class_outcome = mem_array(s->n, k * sizeof *s->class_outcome);
    if (!s->class_order || !s->class_probability || !s->class_outcome)
        return error_memory(e, "the order of the classes");
    for (size_t c = 0; c < k; c++) {
        for (size_t i = 0; i < s->n; i++)
            pairs[i] = (struct order_pair){order_key(s->probability[i * k + c]), (uint32_t)i};
        order_pairs(pairs, spare, s->n);
        for (size_t i = 0; i < s->n; i++) {
            s->class_order[c * s->n + i] = pairs[i].index;
            s->class_probability[c * s->n + i] = order_value(pairs[i].key);
            s->class_outcome[c * s->n + i] = s->label[pairs[i].index] == (int32_t)c;
        }
    }
    return PLUMB_OK;
}

int sample_create(const struct scores *scores, const struct sample_options *o, struct sample *out,
                  struct plumb_error *e)
{
    *out = (struct sample){.n_groups = scores->n_groups, .groups = scores->groups};
    if (scores->trace && scores->trace->hidden) {
        out->hidden = scores->trace->hidden;
        out->n_hidden = scores->trace->header.n_hidden;
        out->hidden_size = scores->trace->header.hidden_size;
    }
    struct order_pair *pairs = NULL;
    int status = fill(scores, o, out, e);
    if (status == PLUMB_OK) {
        pairs = mem_array(out->n, 2 * sizeof *pairs);
        status = pairs ? PLUMB_OK : error_memory(e, "the order of the rows");
    }
    if (status == PLUMB_OK)
        status = sort_sample(out, pairs, pairs + out->n, e);
    if (status == PLUMB_OK)
        status = find_ties(out, e);
    if (status == PLUMB_OK)
        status = order_classes(out, pairs, pairs + out->n, e);
    mem_free(pairs);
    if (status != PLUMB_OK)
        sample_free(out);
    return status;
}
