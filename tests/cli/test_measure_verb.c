/*
 * test_measure_verb.c - `plumb measure` and `plumb import` as a user runs them: the golden numbers through the whole program,
 * other tools' numbers, what a trace made by import gives, and what is refused.
 *
 * PLUMB_PROGRAM names the program; PLUMB_TEST_DATA/metric holds the golden sets (their README says where the numbers come
 * from), PLUMB_TEST_DATA/trace real logs of lm-evaluation-harness.
 */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>

#include "base/json.h"
#include "base/utf8.h"

static char folder[] = "/tmp/plumb-measure-XXXXXX", out[1 << 18];
static struct json_document *golden, *result;

/* Runs `plumb LINE` in a shell, in the folder of the test, with $D the test data; its exit status, and its standard output in
   `out`. */
static int plumb(const char *line)
{
    char command[2048];
    snprintf(command, sizeof command,
             "cd %s; D=\"$PLUMB_TEST_DATA\"; LC_ALL=C.UTF-8 \"$PLUMB_PROGRAM\" %s", folder, line);
    FILE *p = popen(command, "r"); /* NOLINT(cert-env33-c): the shell is what a user has */
    assert_non_null(p);
    size_t n = fread(out, 1, sizeof out - 1, p);
    out[n] = '\0';
    int status = pclose(p);
    assert_true(WIFEXITED(status));
    return WEXITSTATUS(status);
}

/* Its JSON document. */
static struct json measured(const char *line)
{
    char command[1024];
    struct plumb_error e = {0};
    json_close(result);
    result = NULL;
    snprintf(command, sizeof command, "measure --json --bootstrap 0 %s", line);
    assert_int_equal(plumb(command), 0);
    if (json_parse(out, strlen(out), "output", &result, &e) != PLUMB_OK)
        fail_msg("%s", e.message);
    return json_root(result);
}

/* "corp/mcb" and plain keys; "a//b" has a slash in a name of another tool. */
static double number(struct json object, const char *key)
{
    char part[96];
    double v = NAN;
    const char *slash = strchr(key, '/');
    snprintf(part, sizeof part, "%.*s", slash ? (int)(slash - key) : 90, key);
    const struct json value = json_get(object, part);
    if (slash)
        return number(value, slash + 1);
    if (json_kind(value) == JSON_ABSENT)
        fail_msg("no key %s", key);
    return json_number(value, &v) ? v : (double)NAN;
}

struct pair {
    const char *ours, *golden;
    double tolerance;
};

static void compare(const char *set, struct json found, const struct pair *pairs, size_t n)
{
    const struct json expected = json_get(json_root(golden), set);
    for (size_t i = 0; i < n; i++) {
        const double a = number(found, pairs[i].ours), b = number(expected, pairs[i].golden);
        if (!(fabs(a - b) <= pairs[i].tolerance))
            fail_msg("%s %s: %.17g, expected %.17g", set, pairs[i].ours, a, b);
    }
}
#define COMPARE(set, found, pairs) compare(set, found, pairs, sizeof(pairs) / sizeof *(pairs))

static const struct {
    const char *name, *file;
} sets[] = {{"A_edge10", "$D/metric/A_edge10.csv"},
            {"B_lcg1000", "$D/metric/B_lcg1000.csv"},
            {"C_ties1000", "$D/metric/C_ties1000.csv"}};

/* Exact formulas to 1e-12; smooth ECE by its fixed point, whose golden value is from 22 halvings and a grid. */
static void confidences_give_the_golden_numbers(void **state)
{
    (void)state;
    static const struct pair right[] = {
        {"ece_10", "ece_10_right_l1", 1e-12},
        {"ece_15", "ece_15_right_l1", 1e-12},
        {"ece_20", "ece_20_right_l1", 1e-12},
        {"mce_10", "ece_10_right_max", 1e-12},
        {"mce_15", "ece_15_right_max", 1e-12},
        {"rmsce_15", "ece_15_right_l2", 1e-12},
        {"aece_10", "aece_10_vercal_get_ece_em", 1e-12},
        {"aece_15", "aece_15_vercal_get_ece_em", 1e-12},
        {"debiased_l2_15", "l2_debiased_15_vercal", 1e-12},
        {"smece", "smECE_exact", 1e-5},
        {"ks", "ks_error_tie_aware", 1e-12},
        {"skce", "kce2_unbiased_laplace_gamma1", 1e-12},
        {"mmce", "mmce_vstat_laplace_0.4", 1e-12},
        {"brier", "brier_sklearn", 1e-12},
        {"nll", "nll_clip1e-15", 1e-12},
        {"corp/mcb", "corp_MCB", 1e-12},
        {"corp/dsc", "corp_DSC", 1e-12},
        {"corp/unc", "corp_UNC", 1e-12},
        {"auroc", "auroc", 1e-12},
        {"auprc_correct", "ap_correct_positive", 1e-12},
        {"auprc_error", "ap_error_positive", 1e-12},
        {"fpr_at_95_tpr", "fpr_at_95tpr", 1e-12},
        {"aurc", "aurc_tie_expected", 1e-12},
        {"e_aurc", "eaurc_tie_expected", 1e-12},
        {"augrc", "augrc_fdshifts", 1e-12},
        {"coverage_at_risk/0.05", "coverage_at_risk_0.05", 1e-12},
        {"coverage_at_risk/0.1", "coverage_at_risk_0.1", 1e-12},
        {"coverage_at_risk/0.2", "coverage_at_risk_0.2", 1e-12},
        {"selective_accuracy/0.5", "selective_acc_at_cov_0.5", 1e-12},
        {"selective_accuracy/0.8", "selective_acc_at_cov_0.8", 1e-12},
    };
    static const struct pair left[] = {
        {"ece_10", "ece_10_left_l1", 1e-12},
        {"ece_15", "ece_15_left_l1", 1e-12},
        {"mce_10", "ece_10_left_max", 1e-12},
        {"rmsce_15", "ece_15_left_l2", 1e-12},
    };
    /* with ties the golden values are of one order of the rows */
    static const struct pair untied[] = {
        {"ause", "ause_remaining_mean_trapz", 1e-12},
        {"prr", "prr_1.0/prr_analytic", 1e-12},
        {"prr_50", "prr_0.5/prr_analytic", 1e-12},
    };
    char line[128];
    COMPARE("B_lcg1000", measured("$D/metric/B_lcg1000.csv"), untied);
    for (size_t i = 0; i < sizeof sets / sizeof *sets; i++) {
        COMPARE(sets[i].name, measured(sets[i].file), right);
        snprintf(line, sizeof line, "--edges left %s", sets[i].file);
        COMPARE(sets[i].name, measured(line), left);
    }
}

static void logits_give_the_golden_numbers(void **state)
{
    (void)state;
    static const struct pair right[] = {
        {"accuracy", "accuracy", 1e-12},
        {"nll", "nll_T1", 1e-12},
        {"brier_multiclass", "brier_multiclass_sum_lm_eval", 1e-12},
        {"ece_10", "vercal_toplabel_ece_10", 1e-12},
        {"aece_15", "vercal_toplabel_ece_em_15", 1e-12},
        {"ace_nixon_15", "um_ace_15", 1e-12},
        {"tace_15", "um_tace_15_thr0.01", 1e-12},
        {"smece", "smECE_conf_exact", 1e-5},
    };
    static const struct pair left[] = {
        {"classwise_ece_10", "classwise_ece_10_left", 1e-12},
        {"classwise_ece_10", "um_sce_10", 1e-12},
    };
    COMPARE("D_multiclass600x4", measured("$D/metric/D_multiclass600x4.csv"), right);
    COMPARE("D_multiclass600x4", measured("--edges left $D/metric/D_multiclass600x4.csv"), left);
}

static void other_tools_numbers_stand_under_their_names(void **state)
{
    (void)state;
    static const struct pair netcal[] = {
        {"netcal/ECE(10)", "ece_10_netcal", 1e-12},
        {"netcal/ECE(15)", "ece_15_netcal", 1e-12},
        {"netcal/MCE(10)", "mce_10_netcal", 1e-12},
        {"netcal/ACE(10)", "ace_10_netcal(mean over nonempty bins)", 1e-12},
    };
    static const struct pair torchmetrics[] = {
        {"torchmetrics/calibration_error n_bins=15 norm=l1", "ece_15_torchmetrics_l1", 1e-12},
        {"torchmetrics/calibration_error n_bins=15 norm=l2", "ece_15_torchmetrics_l2", 1e-12},
        {"torchmetrics/calibration_error n_bins=15 norm=max", "ece_15_torchmetrics_max", 1e-12},
        {"torchmetrics/calibration_error n_bins=10 norm=l1", "ece_10_torchmetrics_l1", 1e-12},
    };
    static const struct pair relplot[] = {
        {"relplot/smECE", "smECE_relplot", 1e-9},
        {"relplot/binnedECE nbins=10", "ece_10_relplot_binnedECE", 1e-12},
    };
    static const struct pair helm[] = {
        {"helm/ece_10_bin", "aece_10_vercal_get_ece_em", 1e-12},
        {"helm/ece_1_bin", "ece_1bin", 1e-12},
    };
    /* with ties HELM's area depends on an unstable sort */
    static const struct pair untied[] = {
        {"helm/selective_cov_acc_area", "helm_selective_cov_acc_area", 1e-12}};
    char line[128];
    for (size_t i = 0; i < sizeof sets / sizeof *sets; i++) {
        snprintf(line, sizeof line, "--parity netcal %s", sets[i].file);
        COMPARE(sets[i].name, measured(line), netcal);
        snprintf(line, sizeof line, "--parity torchmetrics %s", sets[i].file);
        COMPARE(sets[i].name, measured(line), torchmetrics);
        snprintf(line, sizeof line, "--parity relplot %s", sets[i].file);
        COMPARE(sets[i].name, measured(line), relplot);
        snprintf(line, sizeof line, "--parity helm %s", sets[i].file);
        COMPARE(sets[i].name, measured(line), helm);
    }
    COMPARE("B_lcg1000", measured("--parity helm $D/metric/B_lcg1000.csv"), untied);
    assert_int_equal(plumb("measure --parity netcal --bootstrap 0 $D/metric/B_lcg1000.csv"), 0);
    assert_non_null(strstr(out, "As netcal computes"));
    assert_non_null(strstr(out, "ECE(10)"));
}

/* The source and the trace made of it: every number to the last bit. */
static void an_imported_trace_measures_like_its_source(void **state)
{
    (void)state;
    static const char *const sources[] = {
        "$D/metric/D_multiclass600x4.csv",
        "$D/trace/samples_regions_2026-01-01T00-00-00.000000.jsonl", "probs.jsonl"};
    static char first[sizeof out];
    char line[512], path[128];
    snprintf(path, sizeof path, "%s/probs.jsonl", folder);
    FILE *f = fopen(path, "we");
    assert_non_null(f);
    for (int i = 0; i < 30; i++)
        fprintf(f, "{\"probs\": [%.17g, %.17g%s], \"gold\": %d}\n", 1.0 / (i + 3),
                1 - 1.0 / (i + 3), i % 3 ? "" : ", 0", i % 2);
    fclose(f);
    for (size_t i = 0; i < sizeof sources / sizeof *sources; i++) {
        snprintf(line, sizeof line, "import \"%s\" -o t%zu --json", sources[i], i);
        assert_int_equal(plumb(line), 0);
        snprintf(line, sizeof line, "measure \"%s\" --json --bootstrap 100 | grep -v '\"f[io][lr]'",
                 sources[i]);
        assert_int_equal(plumb(line), 0);
        snprintf(first, sizeof first, "%s", out);
        snprintf(line, sizeof line, "measure t%zu --json --bootstrap 100 | grep -v '\"f[io][lr]'",
                 i);
        assert_int_equal(plumb(line), 0);
        assert_string_equal(first, out);
    }
    assert_int_equal(plumb("inspect t1"), 0);
    assert_non_null(strstr(out, "imported from   sample log of lm-evaluation-harness"));
}

static void a_model_against_itself_shows_no_measurable_difference(void **state)
{
    (void)state;
    assert_int_equal(plumb("measure $D/metric/B_lcg1000.csv --against $D/metric/B_lcg1000.csv "
                           "--bootstrap 200"),
                     0);
    assert_non_null(strstr(out, "No measurable difference"));
    assert_int_equal(plumb("measure $D/metric/B_lcg1000.csv --against $D/metric/C_ties1000.csv "
                           "--bootstrap 200 --json"),
                     0);
    struct plumb_error e = {0};
    json_close(result);
    result = NULL;
    assert_int_equal(json_parse(out, strlen(out), "output", &result, &e), PLUMB_OK);
    const struct json brier = json_get(json_get(json_root(result), "differences"), "brier");
    assert_true(fabs(number(brier, "difference") - (number(brier, "a") - number(brier, "b"))) <
                1e-15);
    assert_int_equal(json_size(json_get(brier, "ci")), 2);
}

static void every_null_has_a_reason_and_every_key_a_definition(void **state)
{
    (void)state;
    char path[128];
    snprintf(path, sizeof path, "%s/right.csv", folder);
    FILE *f = fopen(path, "we");
    assert_non_null(f);
    fputs("conf,correct\n0.5,1\n0.75,1\n", f);
    fclose(f);
    struct json r = measured("right.csv");
    assert_int_equal(json_kind(json_get(r, "auroc")), JSON_NULL);
    assert_int_equal(json_kind(json_get(json_get(r, "reasons"), "auroc")), JSON_STRING);
    assert_int_equal(json_kind(json_get(json_get(r, "reasons"), "classwise_ece_10")), JSON_STRING);
    static const char *const keys[] = {"n",
                                       "accuracy",
                                       "ece_15",
                                       "smece",
                                       "corp",
                                       "murphy_10",
                                       "selective_accuracy",
                                       "coverage_at_risk",
                                       "grouping_loss",
                                       "option_mass_mean",
                                       "spiegelhalter_z"};
    for (size_t i = 0; i < sizeof keys / sizeof *keys; i++) {
        assert_int_not_equal(json_kind(json_get(r, keys[i])), JSON_ABSENT);
        assert_int_not_equal(json_kind(json_get(json_get(r, "definitions"), keys[i])), JSON_ABSENT);
    }
    assert_int_equal(json_size(json_get(r, "selective_accuracy")), 5);
    assert_int_equal(json_size(json_get(r, "coverage_at_risk")), 4);
}

static size_t columns_of(const char *line, size_t n)
{
    size_t columns = 0;
    uint32_t cp;
    for (size_t i = 0; i < n; columns++)
        i += (size_t)utf8_decode(line + i, n - i, &cp);
    return columns;
}

static void tables_fit_a_hundred_columns(void **state)
{
    (void)state;
    static const char *const lines[] = {
        "measure $D/metric/B_lcg1000.csv --bootstrap 50",
        "measure $D/metric/D_multiclass600x4.csv --bootstrap 50 -v",
        "measure $D/metric/B_lcg1000.csv $D/metric/C_ties1000.csv --bootstrap 50",
        "measure $D/metric/[ABCD]*.csv --bootstrap 50",
        "measure $D/metric/B_lcg1000.csv --against $D/metric/C_ties1000.csv --bootstrap 50",
        "measure $D/metric/B_lcg1000.csv --by group --bootstrap 50",
        "measure $D/metric/B_lcg1000.csv --parity torchmetrics --bootstrap 50",
    };
    for (size_t i = 0; i < sizeof lines / sizeof *lines; i++) {
        assert_int_equal(plumb(lines[i]), 0);
        for (const char *at = out, *end; *at; at = end + (*end == '\n')) {
            end = strchrnul(at, '\n');
            if (columns_of(at, (size_t)(end - at)) > 100 && *at != '/')
                fail_msg("%s: %.*s", lines[i], (int)(end - at), at);
        }
    }
}

static void without_utf8_the_diagram_is_plain_ascii(void **state)
{
    (void)state;
    char command[1024];
    snprintf(command, sizeof command,
             "LC_ALL=C \"$PLUMB_PROGRAM\" measure \"$PLUMB_TEST_DATA/metric/B_lcg1000.csv\" "
             "--bootstrap 0 | head -15 | LC_ALL=C grep -c '[^ -~]'");
    FILE *p = popen(command, "r"); /* NOLINT(cert-env33-c): the shell is what a user has */
    assert_non_null(p);
    size_t n = fread(out, 1, sizeof out - 1, p);
    out[n] = '\0';
    pclose(p);
    assert_string_equal(out, "0\n");
}

static void what_cannot_be_is_said(void **state)
{
    (void)state;
    static const struct {
        const char *line, *says;
    } cases[] = {
        {"measure", "usage"},
        {"measure nowhere.csv", "nowhere.csv"},
        {"measure nan.csv --bootstrap 0", "nan.csv"},
        {"measure empty.csv", "empty"},
        {"measure $D/metric/E_daca_pre_logits600x4.csv", "label"},
        {"measure $D/metric/golden.json", "golden.json:1"},
        {"measure $D/metric/A_edge10.csv --bins 0", "--bins"},
        {"measure $D/metric/A_edge10.csv --confidence 95", "--confidence"},
        {"measure $D/metric/A_edge10.csv --columns post", "post_A"},
        {"measure $D/metric/A_edge10.csv --against $D/metric/B_lcg1000.csv", "different questions"},
        {"measure a b --against c", "2 files"},
        {"import $D/metric/A_edge10.csv -o t", "'plumb measure' takes it"},
        {"import $D/metric/D_multiclass600x4.csv", "-o TRACE"},
        {"import $D/metric/D_multiclass600x4.csv -o t --questions q.jsonl", "holds 1 questions"},
        {"import $D/metric/D_multiclass600x4.csv "
         "$D/trace/samples_regions_2026-01-01T00-00-00.000000."
         "jsonl -o t",
         "one kind"},
    };
    char line[512], path[128];
    static const char *const files[][2] = {
        {"nan.csv", "conf,correct\nnan,1\n0.5,1\n"},
        {"empty.csv", ""},
        {"q.jsonl", "{\"question\": \"q\", \"choices\": [\"a\", \"b\"]}\n"}};
    for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
        snprintf(path, sizeof path, "%s/%s", folder, files[i][0]);
        FILE *f = fopen(path, "we");
        assert_non_null(f);
        fputs(files[i][1], f);
        fclose(f);
    }
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        snprintf(line, sizeof line, "%s 2>&1", cases[i].line);
        const int status = plumb(line);
        if (status != 2 || !strstr(out, cases[i].says) || !strchr(out, '\n') ||
            strchr(out, '\n')[1])
            fail_msg("%s: status %d: %s", cases[i].line, status, out);
    }
    assert_int_equal(number(measured("nan.csv --nan drop"), "dropped_rows"), 1);
}

static int setup(void **state)
{
    (void)state;
    char path[512];
    struct plumb_error e = {0};
    snprintf(path, sizeof path, "%s/metric/golden.json", getenv("PLUMB_TEST_DATA"));
    return mkdtemp(folder) && json_open(path, &golden, &e) == PLUMB_OK ? 0 : -1;
}

static int teardown(void **state)
{
    (void)state;
    static const char *const names[] = {"probs.jsonl", "t0",      "t1",        "t2",
                                        "right.csv",   "nan.csv", "empty.csv", "q.jsonl"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        char path[128];
        snprintf(path, sizeof path, "%s/%s", folder, names[i]);
        unlink(path);
    }
    json_close(golden);
    json_close(result);
    return rmdir(folder);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(confidences_give_the_golden_numbers),
        cmocka_unit_test(logits_give_the_golden_numbers),
        cmocka_unit_test(other_tools_numbers_stand_under_their_names),
        cmocka_unit_test(an_imported_trace_measures_like_its_source),
        cmocka_unit_test(a_model_against_itself_shows_no_measurable_difference),
        cmocka_unit_test(every_null_has_a_reason_and_every_key_a_definition),
        cmocka_unit_test(tables_fit_a_hundred_columns),
        cmocka_unit_test(without_utf8_the_diagram_is_plain_ascii),
        cmocka_unit_test(what_cannot_be_is_said),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
