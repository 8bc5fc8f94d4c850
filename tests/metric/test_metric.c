/*
 * test_metric.c - what every metric of the table promises: a key and a definition, no dependence on the order of the
 * input, weights that count rows, and never a silent number where there is none.
 */
#include "rows.h"

/* The keys of the JSON output that users' programs read: none may vanish or change its name. */
static const char *const promised[] = {
    "n",
    "accuracy",
    "mean_confidence",
    "ece_10",
    "ece_15",
    "ece_20",
    "mce_10",
    "mce_15",
    "rmsce_15",
    "aece_10",
    "aece_15",
    "ece_unweighted_10",
    "classwise_ece_10",
    "ace_nixon_15",
    "tace_15",
    "debiased_l2_15",
    "smece",
    "ks",
    "kuiper",
    "skce",
    "brier",
    "brier_multiclass",
    "nll",
    "spiegelhalter_z",
    "corp/mcb",
    "corp/dsc",
    "corp/unc",
    "murphy_10/rel",
    "murphy_10/res",
    "murphy_10/unc",
    "murphy_10/wbv",
    "murphy_10/wbc",
    "auroc",
    "auprc_correct",
    "auprc_error",
    "fpr_at_95_tpr",
    "aurc",
    "e_aurc",
    "augrc",
    "ause",
    "prr",
    "prr_50",
    "selective_accuracy/0.5",
    "selective_accuracy/0.7",
    "selective_accuracy/0.8",
    "selective_accuracy/0.9",
    "selective_accuracy/0.95",
    "coverage_at_risk/0.01",
    "coverage_at_risk/0.05",
    "coverage_at_risk/0.1",
    "coverage_at_risk/0.2",
    "over_confidence",
    "under_confidence",
    "option_mass_mean",
};

static void the_table_has_every_promised_key_once(void **state)
{
    (void)state;
    int at;
    for (size_t i = 0; i < sizeof promised / sizeof *promised; i++)
        if (!metric_find(promised[i], &at))
            rows_fail("no metric %s", promised[i]);
    for (size_t i = 0; i < n_metrics; i++) {
        const struct metric *m = &metrics[i];
        assert_true(*m->name && *m->family && *m->definition && m->lowest < m->highest);
        for (int j = 0; m->keys[j]; j++) {
            assert_ptr_equal(metric_find(m->keys[j], &at), m); /* the first with this key */
            assert_int_equal(at, j);
        }
    }
    assert_null(metric_find("ece_", &at));
}

/* All values of the table for one weight; value: [n_metrics * METRIC_VALUES_MAX]. */
static void all_values(const struct sample *s, const double *weight, double *value,
                       const char **reason)
{
    const struct metric_options o = metric_options_default();
    struct plumb_error e = {0};
    struct metric_scratch scratch;
    assert_int_equal(metric_scratch_create(s, &scratch, &e), PLUMB_OK);
    for (size_t i = 0; i < n_metrics; i++) {
        double *v = value + i * METRIC_VALUES_MAX;
        for (int j = 0; j < METRIC_VALUES_MAX; j++)
            v[j] = NAN;
        reason[i] = metric_missing(s, &metrics[i]);
        if (!reason[i])
            metrics[i].compute(s, weight, &metrics[i], &o, &scratch, v, &reason[i]);
    }
    metric_scratch_free(&scratch);
}

struct values {
    double *value;
    const char **reason;
};

static struct values values_of(const struct sample *s, const double *weight)
{
    struct values v = {rows_room(n_metrics * METRIC_VALUES_MAX, sizeof(double)),
                       rows_room(n_metrics, sizeof(char *))};
    all_values(s, weight, v.value, v.reason);
    return v;
}

static void values_free(struct values *v)
{
    free(v->value);
    free(v->reason);
}

/* tolerance 0: the same bits, or both undefined for the same reason. */
static void same_values(const struct values *a, const struct values *b, double tolerance,
                        const char *what)
{
    for (size_t i = 0; i < n_metrics; i++) {
        for (int j = 0; metrics[i].keys[j]; j++) {
            const double x = a->value[i * METRIC_VALUES_MAX + (size_t)j];
            const double y = b->value[i * METRIC_VALUES_MAX + (size_t)j];
            const bool same = isnan(x) || isnan(y) ? isnan(x) && isnan(y)
                              : tolerance == 0     ? x == y && signbit(x) == signbit(y)
                                                   : fabs(x - y) <= tolerance * fmax(1, fabs(x));
            if (!same)
                rows_fail("%s: %s is %.17g and %.17g, which differ by %g", what, metrics[i].keys[j],
                          x, y, x - y);
        }
    }
}

static void no_value_depends_on_the_order_of_the_input(void **state)
{
    (void)state;
    const uint64_t seed = 40;
    print_message("seed %llu\n", (unsigned long long)seed);
    for (uint64_t i = 0; i < 18; i++) {
        struct scores s =
            rows_random(seed + i, i < 6 ? 30 : 700, i % 2 ? 4 : 0, i % 3 ? 3 : 0, i % 6 == 1);
        struct scores t = rows_shuffled(&s, seed + i, NULL);
        struct sample a = rows_sample(&s), b = rows_sample(&t);
        struct values x = values_of(&a, NULL), y = values_of(&b, NULL);
        same_values(&x, &y, 0, "shuffled");
        values_free(&x);
        values_free(&y);
        sample_free(&a);
        sample_free(&b);
        rows_free(&s);
        rows_free(&t);
    }
}

static void a_weight_counts_a_row_as_often(void **state)
{
    (void)state;
    const uint64_t seed = 60;
    print_message("seed %llu\n", (unsigned long long)seed);
    for (uint64_t i = 0; i < 12; i++) {
        struct scores s =
            rows_random(seed + i, i < 6 ? 25 : 400, i % 2 ? 4 : 0, i % 3 ? 3 : 0, i % 4 == 1);
        struct sample a = rows_sample(&s);
        struct random r = random_start(seed + i, 3);
        double *weight = rows_room(a.n, sizeof *weight);
        size_t *from = rows_room(4 * a.n, sizeof *from), n = 0;
        weight[0] = 1;
        for (size_t j = 0; j < a.n; j++) {
            weight[j] += (double)random_below(&r, 4);
            for (int k = 0; k < (int)weight[j]; k++)
                from[n++] = a.row[j];
        }
        struct scores t = rows_taken(&s, from, n);
        struct sample b = rows_sample(&t);
        struct values x = values_of(&a, weight), y = values_of(&b, NULL);
        /* Sums run over other numbers of terms, so the last digits may differ. */
        same_values(&x, &y, 1e-11, "weighted and repeated");
        values_free(&x);
        values_free(&y);
        sample_free(&a);
        sample_free(&b);
        rows_free(&s);
        rows_free(&t);
        free(weight);
        free(from);
    }
}

/* Undefined if and only if there is a reason, and never infinite. */
static void defined_or_explained(const struct values *v, const char *what)
{
    if (!v->value || !v->reason)
        abort();
    for (size_t i = 0; i < n_metrics; i++) {
        for (int j = 0; metrics[i].keys[j]; j++) {
            const double x = v->value[i * METRIC_VALUES_MAX + (size_t)j];
            if (isinf(x))
                rows_fail("%s: %s is infinite", what, metrics[i].keys[j]);
            if (isnan(x) && !v->reason[i])
                rows_fail("%s: %s is undefined and nobody says why", what, metrics[i].keys[j]);
            const double rounding = 1e-14; /* of differences of sums */
            if (!isnan(x) &&
                (x < metrics[i].lowest - rounding || x > metrics[i].highest + rounding))
                rows_fail("%s: %s is %.17g, outside its range", what, metrics[i].keys[j], x);
        }
    }
}

static double value_at(const struct values *v, const char *key)
{
    int at = 0;
    const struct metric *m = metric_find(key, &at);
    if (!m)
        rows_fail("no metric %s", key);
    return v->value[(size_t)(m - metrics) * METRIC_VALUES_MAX + (size_t)at];
}

/* kind: what is degenerate. k = 0 or 4 options. */
enum degenerate { ALL_RIGHT, ALL_WRONG, ONE_RIGHT, ONE_WRONG, TIED, ONE_CLASS, SURE, DEGENERATES };
static const char *const degenerate_name[] = {"all right",      "all wrong", "one row, right",
                                              "one row, wrong", "all tied",  "one class only",
                                              "all certain"};

static struct scores degenerate_rows(enum degenerate kind, int k)
{
    const size_t n = kind == ONE_RIGHT || kind == ONE_WRONG ? 1 : 60;
    const bool right = kind == ALL_RIGHT || kind == ONE_RIGHT,
               wrong = kind == ALL_WRONG || kind == ONE_WRONG;
    struct scores s = rows_random(8, n, k, 0, false);
    for (size_t i = 0; i < n; i++) {
        double *v = s.values + i * (size_t)s.k;
        int32_t best = 0;
        for (int32_t j = 1; j < s.k; j++)
            best = v[j] > v[best] ? j : best;
        if (kind == ONE_CLASS && k > 0) { /* always the same prediction and label */
            v[best] -= 1;
            v[0] = 9;
            best = 0;
        }
        if (kind == TIED)
            for (int32_t j = 0; j < s.k; j++)
                v[j] = k > 0 ? (double)j : 0.7;
        if (kind == SURE)
            for (int32_t j = 0; j < s.k; j++)
                v[j] = k > 0 ? (j == best ? 4000 : -4000) : (double)(i % 2);
        if (k > 0 && (right || wrong || kind == ONE_CLASS))
            s.label[i] = wrong ? (best + 1) % k : best;
        else if (k == 0 && (right || wrong))
            s.correct[i] = right;
    }
    return s;
}

static void degenerate_rows_give_values_or_reasons(void **state)
{
    (void)state;
    for (int kind = 0; kind < DEGENERATES; kind++) {
        for (int k = 0; k <= 4; k += 4) {
            struct scores s = degenerate_rows((enum degenerate)kind, k);
            struct sample a = rows_sample(&s);
            struct values v = values_of(&a, NULL);
            defined_or_explained(&v, degenerate_name[kind]);
            values_free(&v);
            sample_free(&a);
            rows_free(&s);
        }
    }
    struct scores s = rows_random(9, 300, 6, 0, true);
    struct sample a = rows_sample(&s);
    struct values v = values_of(&a, NULL);
    defined_or_explained(&v, "options differ from row to row");
    assert_false(isnan(value_at(&v, "classwise_ece_10")));
    values_free(&v);
    sample_free(&a);
    rows_free(&s);
}

/* Which values are undefined, and what the others are. */
static void one_class_of_answers_has_no_ranking(void **state)
{
    (void)state;
    static const char *const undefined[] = {"auroc",         "auprc_correct", "auprc_error",
                                            "fpr_at_95_tpr", "prr",           "prr_50"};
    for (int right = 0; right < 2; right++) {
        struct scores s = degenerate_rows(right ? ALL_RIGHT : ALL_WRONG, 0);
        struct sample a = rows_sample(&s);
        struct values v = values_of(&a, NULL);
        for (size_t i = 0; i < sizeof undefined / sizeof *undefined; i++)
            if (!isnan(value_at(&v, undefined[i])))
                rows_fail("%s has a value", undefined[i]);
        rows_near(value_at(&v, "aurc"), right ? 0 : 1, 1e-14);
        rows_near(value_at(&v, "e_aurc"), 0, 0);
        rows_near(value_at(&v, "ause"), 0, 0);
        rows_near(value_at(&v, "augrc"), right ? 0 : 0.5, 1e-14);
        rows_near(value_at(&v, "selective_accuracy/0.9"), right, 0);
        rows_near(value_at(&v, "coverage_at_risk/0.01"), right, 0);
        values_free(&v);
        sample_free(&a);
        rows_free(&s);
    }
}

static void tied_rows_rank_like_chance(void **state)
{
    (void)state;
    struct scores s = degenerate_rows(TIED, 0);
    struct sample a = rows_sample(&s);
    struct values v = values_of(&a, NULL);
    const double accuracy = value_at(&v, "accuracy");
    rows_near(value_at(&v, "auroc"), 0.5, 0);
    rows_near(value_at(&v, "auprc_correct"), accuracy, 1e-15);
    rows_near(value_at(&v, "aurc"), 1 - accuracy, 1e-14);
    rows_near(value_at(&v, "prr"), 0, 1e-13);
    rows_near(value_at(&v, "prr_50"), 0, 1e-13);
    rows_near(value_at(&v, "fpr_at_95_tpr"), 1, 0);
    rows_near(value_at(&v, "selective_accuracy/0.5"), accuracy, 1e-15);
    values_free(&v);
    sample_free(&a);
    rows_free(&s);
}

static void what_a_sample_lacks_is_named(void **state)
{
    (void)state;
    struct scores s = rows_of(2, (const double[]){0.25, 0.5}, (const int[]){1, 0});
    struct sample a = rows_sample(&s);
    int at;
    assert_non_null(strstr(metric_missing(&a, metric_find("brier_multiclass", &at)), "logits"));
    assert_non_null(strstr(metric_missing(&a, metric_find("option_mass_mean", &at)), "trace"));
    assert_null(metric_missing(&a, metric_find("brier", &at)));
    sample_free(&a);
    rows_free(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_table_has_every_promised_key_once),
        cmocka_unit_test(no_value_depends_on_the_order_of_the_input),
        cmocka_unit_test(a_weight_counts_a_row_as_often),
        cmocka_unit_test(degenerate_rows_give_values_or_reasons),
        cmocka_unit_test(one_class_of_answers_has_no_ranking),
        cmocka_unit_test(tied_rows_rank_like_chance),
        cmocka_unit_test(what_a_sample_lacks_is_named),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
