/*
 * measure_parity.c - the numbers of other tools under those tools' names.
 *
 * The metrics themselves follow the tool's rule for edges (metric_options.parity); here stands only what each tool calls
 * them. Versions: docs/metrics.md.
 */
#include <math.h>

#include "cli/measure_file.h"

enum transform { AS_IT_IS, ABSOLUTE, ONE_LESS };

static const struct {
    enum metric_parity tool;
    const char *name, *key, *note;
    enum transform transform;
} rows[] = {
    {METRIC_NETCAL, "ECE(10)", "ece_10", "[lo, hi), the last bin closed", AS_IT_IS},
    {METRIC_NETCAL, "ECE(15)", "ece_15", "", AS_IT_IS},
    {METRIC_NETCAL, "MCE(10)", "mce_10", "", AS_IT_IS},
    {METRIC_NETCAL, "MCE(15)", "mce_15", "", AS_IT_IS},
    {METRIC_NETCAL, "ACE(10)", "ece_unweighted_10", "plain mean over non-empty bins", AS_IT_IS},
    {METRIC_TORCHMETRICS, "calibration_error n_bins=15 norm=l1", "ece_15",
     "[lo, hi), 1.0 in a bin of its own", AS_IT_IS},
    {METRIC_TORCHMETRICS, "calibration_error n_bins=15 norm=l2", "rmsce_15", "", AS_IT_IS},
    {METRIC_TORCHMETRICS, "calibration_error n_bins=15 norm=max", "mce_15", "", AS_IT_IS},
    {METRIC_TORCHMETRICS, "calibration_error n_bins=10 norm=l1", "ece_10", "", AS_IT_IS},
    {METRIC_TORCHMETRICS, "calibration_error n_bins=10 norm=max", "mce_10", "", AS_IT_IS},
    {METRIC_RELPLOT, "smECE", "smece", "half weight at 0 and 1", AS_IT_IS},
    {METRIC_RELPLOT, "binnedECE nbins=10", "ece_10", "[lo, hi), 1.0 in a bin of its own", AS_IT_IS},
    {METRIC_RELPLOT, "binnedECE nbins=15", "ece_15", "", AS_IT_IS},
    {METRIC_HELM, "ece_10_bin", "ece_10", "equal-mass bins", AS_IT_IS},
    {METRIC_HELM, "ece_1_bin", "signed_gap", "|confidence - accuracy|", ABSOLUTE},
    {METRIC_HELM, "selective_cov_acc_area", "aurc",
     "1 - AURC; with ties HELM's depends on the order", ONE_LESS},
};

const char *measure_parity_name(enum metric_parity p)
{
    static const char *const names[METRIC_PARITIES] = {"ours", "netcal", "torchmetrics", "relplot",
                                                       "helm"};
    return names[p];
}

static void transform(enum transform t, struct measure_parity_value *v)
{
    if (t == ONE_LESS) {
        const double low = v->low;
        v->value = 1 - v->value;
        v->low = 1 - v->high;
        v->high = 1 - low;
    } else if (t == ABSOLUTE) {
        const double a = fabs(v->low), b = fabs(v->high);
        const bool holds_zero = v->low <= 0 && v->high >= 0;
        v->value = fabs(v->value);
        v->low = isnan(v->low) || !holds_zero ? fmin(a, b) : 0;
        v->high = fmax(a, b);
    }
}

bool measure_parity_value(const struct measurement *m, enum metric_parity p, int i,
                          struct measure_parity_value *out)
{
    for (size_t r = 0; r < sizeof rows / sizeof *rows; r++) {
        if (rows[r].tool != p || i-- > 0)
            continue;
        const struct measured *v = measurement_find(m, rows[r].key);
        if (!v)
            return false;
        *out = (struct measure_parity_value){.name = rows[r].name,
                                             .note = rows[r].note,
                                             .value = v->value,
                                             .low = v->low,
                                             .high = v->high,
                                             .reason = v->reason};
        transform(rows[r].transform, out);
        return true;
    }
    return false;
}
