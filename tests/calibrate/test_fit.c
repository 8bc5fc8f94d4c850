/*
 * test_fit.c - the fit of all methods: splits, judgement, groups, warnings, refusals; calibration.json written, read,
 * rewritten and refused; a recommendation that looks at no label.
 */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/random.h"
#include "calibrate/calibration.h"
#include "calibrate/consistency.h"
#include "calibrate/recommend.h"
#include "golden_sets.h"

enum { N = 900, L = 4, K = 4 };

static void near(double found, double expected, double tolerance)
{
    if (!(fabs(found - expected) <= tolerance))
        fail_msg("found %.17g, expected %.17g within %g", found, expected, tolerance);
}

/* A base that is calibrated by construction (labels are drawn from its probabilities), and a post-trained model twice as
   sharp with noise of its own; lenses that sharpen with depth; three groups. */
static void make_pair(struct pair *p, bool labels, bool lens)
{
    static const char *const groups[] = {"art", "law", "sea"};
    double *base = malloc(N * K * sizeof *base), *post = malloc(N * K * sizeof *post);
    float *bl = malloc(N * L * K * sizeof *bl), *pl = malloc(N * L * K * sizeof *pl);
    int32_t label[N], group[N];
    if (!base || !post || !bl || !pl)
        abort();
    for (size_t i = 0; i < N; i++) {
        struct random r = random_start(21, i);
        double total = 0, up = 0;
        for (size_t j = 0; j < K; j++) {
            base[i * K + j] = 1.5 * random_normal(&r);
            post[i * K + j] = 2 * (base[i * K + j] + 0.7 * random_normal(&r));
            total += exp(base[i * K + j]);
            for (size_t l = 0; l < L; l++) {
                const double depth = (double)(l + 1) / L, noise = (1 - depth) * random_normal(&r);
                bl[(i * L + l) * K + j] = (float)(depth * base[i * K + j] + noise);
                pl[(i * L + l) * K + j] = (float)(depth * post[i * K + j] + noise);
            }
        }
        const double u = random_uniform(&r) * total;
        label[i] = K - 1;
        for (int j = 0; j < K; j++) {
            up += exp(base[i * K + (size_t)j]);
            if (u < up) {
                label[i] = j;
                break;
            }
        }
        group[i] = (int32_t)(i % 3);
    }
    const struct pair_arrays a = {.n = N,
                                  .k = K,
                                  .layers = L,
                                  .base = base,
                                  .post = post,
                                  .base_lens = lens ? bl : NULL,
                                  .post_lens = lens ? pl : NULL,
                                  .label = labels ? label : NULL,
                                  .group = group,
                                  .groups = groups,
                                  .n_groups = 3};
    assert_int_equal(pair_create(&a, "made", p, NULL), PLUMB_OK);
    free(base);
    free(post);
    free(bl);
    free(pl);
}

static struct fit fit(const struct pair *p, const struct fit_options *o)
{
    struct fit f;
    struct plumb_error e = {0};
    if (fit_run(p, o, &f, &e) != PLUMB_OK)
        fail_msg("%s", e.message);
    return f;
}

static void without_labels_label_free_methods_are_fitted_on_all(void **state)
{
    (void)state;
    struct pair p;
    struct fit_options o = fit_options_default();
    make_pair(&p, false, true);
    struct fit f = fit(&p, &o);
    assert_int_equal(f.n_results, 10); /* all but those with labels, the official optimiser, CAPE */
    for (int i = 0; i < f.n_results; i++) {
        assert_true(f.result[i].fitted);
        assert_false(f.result[i].judged);
        assert_false(method_uses_labels(f.result[i].method));
    }
    assert_true(isnan(f.diagnostics.base_ece));
    assert_int_equal(f.diagnostics.n_fit, N);
    assert_null(fit_find(&f, METHOD_TEMPERATURE));
    assert_int_equal(f.divergence.layers, L);
    assert_int_equal(f.dual.points, 401);
    const struct recommendation r = recommend(&f);
    assert_non_null(r.result);
    assert_true(*r.reason);
    fit_free(&f);
    pair_free(&p);
}

static void labels_judge_and_split(void **state)
{
    (void)state;
    struct pair p;
    struct fit_options o = fit_options_default();
    make_pair(&p, true, true);
    o.labels = true;
    o.draws = 50;
    struct fit f = fit(&p, &o);
    assert_int_equal(f.n_results, METHODS - 2); /* no official optimiser, no CAPE */
    assert_int_equal(f.diagnostics.n_fit, 270);
    assert_int_equal(f.diagnostics.n_judged, 630);
    const struct fit_result *before = fit_find(&f, METHOD_VANILLA);
    assert_non_null(before);
    for (int i = 0; i < f.n_results; i++) {
        const struct fit_result *r = &f.result[i];
        assert_true(r->fitted && r->judged);
        assert_int_equal(r->n_judged, 630);
        assert_true(r->value[FIT_ECE_10].low <= r->value[FIT_ECE_10].high);
        if (r->calibrator.form == CALIBRATOR_TEMPERATURE && r->method != METHOD_CONSISTENCY)
            assert_true(r->value[FIT_ACCURACY].value ==
                        before->value[FIT_ACCURACY].value); /* (e) */
        assert_true(isnan(r->value[FIT_NLL].value) ==
                    (!calibrator_has_options(&r->calibrator) || r->method == METHOD_CONSISTENCY));
    }
    /* The base is calibrated by construction, the model more than twice too sharp. (The two err together, so agreement
       matching is no good here.) */
    static const enum method helps[] = {METHOD_DACA, METHOD_CONFIDENCE, METHOD_TEMPERATURE,
                                        METHOD_ISOTONIC};
    assert_true(before->value[FIT_ECE_10].value > 0.15);
    for (size_t i = 0; i < sizeof helps / sizeof *helps; i++) {
        const struct fit_result *r = fit_find(&f, helps[i]);
        assert_non_null(r);
        if (!(r->value[FIT_ECE_10].value < 0.6 * before->value[FIT_ECE_10].value))
            fail_msg("%s: ECE %g after %g", method_name(helps[i]), r->value[FIT_ECE_10].value,
                     before->value[FIT_ECE_10].value);
    }
    assert_ptr_equal(recommend(&f).result, fit_find(&f, METHOD_TEMPERATURE));
    o.seed = 1; /* another split, another temperature */
    struct fit other = fit(&p, &o);
    assert_true(fit_find(&other, METHOD_TEMPERATURE)->calibrator.tau !=
                fit_find(&f, METHOD_TEMPERATURE)->calibrator.tau);
    fit_free(&other);
    fit_free(&f);
    pair_free(&p);
}

static void the_recommendation_looks_at_no_label(void **state)
{
    (void)state;
    struct pair with, without;
    const struct fit_options o = fit_options_default();
    make_pair(&with, true, true);
    make_pair(&without, false, true);
    struct fit a = fit(&with, &o), b = fit(&without, &o);
    const struct recommendation x = recommend(&a), y = recommend(&b);
    assert_int_equal(x.result->method, y.result->method);
    assert_true(x.result->calibrator.tau == y.result->calibrator.tau);
    assert_string_equal(x.reason, y.reason);
    fit_free(&a);
    fit_free(&b);
    pair_free(&with);
    pair_free(&without);
}

static void groups_have_temperatures_of_their_own(void **state)
{
    (void)state;
    struct pair p, part;
    struct fit_options o = fit_options_default();
    uint32_t rows[N / 3];
    make_pair(&p, false, true);
    o.by_group = true;
    struct fit f = fit(&p, &o);
    for (size_t i = 0; i < N / 3; i++)
        rows[i] = (uint32_t)(3 * i + 1);
    assert_int_equal(pair_select(&p, rows, N / 3, &part, NULL), PLUMB_OK);
    o.by_group = false;
    struct fit law = fit(&part, &o);
    static const enum method temperatures[] = {METHOD_NAIVE, METHOD_DACA, METHOD_AGREEMENT,
                                               METHOD_CONFIDENCE, METHOD_DUAL_ALIGN};
    for (size_t i = 0; i < sizeof temperatures / sizeof *temperatures; i++) {
        const struct calibrator *c = &fit_find(&f, temperatures[i])->calibrator;
        assert_int_equal(c->n_groups, 3);
        assert_string_equal(c->groups[1], "law");
        assert_true(c->group_tau[1] == fit_find(&law, temperatures[i])->calibrator.tau);
        assert_true(c->group_tau[1] != c->group_tau[0]);
    }
    assert_int_equal(fit_find(&f, METHOD_VANILLA)->calibrator.n_groups, 0);
    fit_free(&law);
    fit_free(&f);
    pair_free(&part);
    pair_free(&p);
}

static void refuses(const struct pair *p, const struct fit_options *o, const char *words)
{
    struct fit f;
    struct plumb_error e = {0};
    assert_int_equal(fit_run(p, o, &f, &e), PLUMB_INPUT);
    if (!strstr(e.message, words))
        fail_msg("'%s' does not say '%s'", e.message, words);
}

static void bad_input_is_refused_with_its_reason(void **state)
{
    (void)state;
    struct pair p, one, flat;
    const double zero[40] = {0}, some[40] = {1, 0, 0, 0, 0, 1};
    struct fit_options o = fit_options_default();
    make_pair(&p, false, false);
    o.labels = true;
    refuses(&p, &o, "no question has a known right answer");
    o.labels = false;
    o.methods = 1U << METHOD_DUAL_ALIGN;
    refuses(&p, &o, "trace both models with a lens");
    o.methods = 1U << METHOD_PLATT;
    refuses(&p, &o, "add --labels");
    o.methods = 0;
    const uint32_t first = 0;
    assert_int_equal(pair_select(&p, &first, 1, &one, NULL), PLUMB_OK);
    refuses(&one, &o, "one question");
    const struct pair_arrays a = {.n = 10, .k = 4, .base = some, .post = zero};
    assert_int_equal(pair_create(&a, "flat", &flat, NULL), PLUMB_OK);
    refuses(&flat, &o, "the same logit in each of 10 questions");
    pair_free(&flat);
    pair_free(&one);
    pair_free(&p);
    make_pair(&p, true, false);
    o.labels = true;
    o.split = 1;
    refuses(&p, &o, "a split of 1");
    o.split = 1e-9;
    refuses(&p, &o, "leaves 0 of 900");
    pair_free(&p);
}

/* Two models that never agree: DACA says so, the others go on. */
static void no_agreement_leaves_daca_out(void **state)
{
    (void)state;
    double base[80], post[80];
    struct pair p;
    for (int i = 0; i < 20; i++)
        for (int j = 0; j < 4; j++) {
            base[4 * i + j] = j == i % 4 ? 2 : 0;
            post[4 * i + j] = j == (i + 1) % 4 ? 5 + 0.1 * i : 0;
        }
    const struct pair_arrays a = {.n = 20, .k = 4, .base = base, .post = post};
    assert_int_equal(pair_create(&a, "opposed", &p, NULL), PLUMB_OK);
    const struct fit_options o = fit_options_default();
    struct fit f = fit(&p, &o);
    assert_false(fit_find(&f, METHOD_DACA)->fitted);
    assert_non_null(strstr(fit_find(&f, METHOD_DACA)->reason, "agree on 0 of 20"));
    assert_true(fit_find(&f, METHOD_CONFIDENCE)->fitted);
    assert_true(f.n_warnings >= 2); /* few questions, no agreement */
    fit_free(&f);
    pair_free(&p);
}

static void a_lightly_tuned_pair_is_warned_of(void **state)
{
    (void)state;
    struct pair p, copy;
    make_pair(&p, true, false);
    const struct pair_arrays a = {
        .n = p.n, .k = K, .base = p.base, .post = p.base, .label = p.label};
    assert_int_equal(pair_create(&a, "copy", &copy, NULL), PLUMB_OK);
    const struct fit_options o = fit_options_default();
    struct fit f = fit(&copy, &o);
    bool warned = false;
    for (int i = 0; i < f.n_warnings; i++)
        warned |= strstr(f.warning[i], "lightly tuned") != NULL;
    assert_true(warned);
    assert_true(f.diagnostics.divergence == 0);
    near(fit_find(&f, METHOD_DACA)->calibrator.tau, 1, 1e-12);
    near(fit_find(&f, METHOD_CONFIDENCE)->calibrator.tau, 1, 1e-9);
    near(recommend(&f).result->calibrator.tau, 1, 1e-9);
    fit_free(&f);
    pair_free(&copy);
    pair_free(&p);
}

/* ---- calibration.json ---- */

static struct buffer print(const struct pair *p, const struct fit_options *o, const struct fit *f,
                           enum method m)
{
    struct buffer text = BUFFER_EMPTY;
    struct plumb_error e = {0};
    const struct calibration_source s = {p, o, f, fit_find(f, m), "why", "2026-01-31T12:00:00Z"};
    if (calibration_print(&s, &text, &e) != PLUMB_OK)
        fail_msg("%s", e.message);
    return text;
}

static void every_calibrator_survives_its_file(void **state)
{
    (void)state;
    struct pair p;
    struct fit_options o = fit_options_default();
    make_pair(&p, true, true);
    o.labels = o.by_group = true;
    o.draws = 0;
    struct fit f = fit(&p, &o);
    for (int i = 0; i < f.n_results; i++) {
        const struct fit_result *r = &f.result[i];
        struct calibration c;
        struct plumb_error e = {0};
        if (r->method == METHOD_CONSISTENCY)
            continue;
        struct buffer text = print(&p, &o, &f, r->method);
        if (calibration_parse(text.data, text.size, "c.json", &c, &e) != PLUMB_OK)
            fail_msg("%s: %s", method_name(r->method), e.message);
        assert_string_equal(c.method, method_name(r->method));
        for (int g = -1; g < c.calibrator.n_groups; g++)
            for (size_t row = 0; row < 50; row++) {
                const double *z = pair_row(&p, p.post, row);
                assert_true(calibrator_confidence(&c.calibrator, z, K, g, NULL) ==
                            calibrator_confidence(&r->calibrator, z, K, g, NULL));
            }
        calibration_free(&c);
        buffer_free(&text);
    }
    fit_free(&f);
    pair_free(&p);
}

static void unknown_members_survive_a_rewrite(void **state)
{
    (void)state;
    static const char text[] =
        "{\"plumb\": 1, \"made_by\": {\"hand\": [1, 2.0]}, \"base\": {\"name\": \"b\", "
        "\"fingerprint\": null, \"architecture\": null, \"tokenizer_hash\": null, \"precision\": "
        "null}, \"post\": {\"name\": \"p\", \"fingerprint\": \"f\", \"architecture\": \"\", "
        "\"tokenizer_hash\": \"\", \"precision\": \"f32\"}, \"preset\": \"clean\", "
        "\"preset_hash\": \"h\", \"score\": \"letters\", \"task\": {\"name\": \"t\", \"hash\": "
        "null}, \"method\": \"daca\", \"temperature\": 2.5, \"thresholds\": []}";
    struct calibration c, again;
    struct plumb_error e = {0};
    struct json_document *added = NULL;
    struct buffer out = BUFFER_EMPTY;
    if (calibration_parse(text, sizeof text - 1, "c", &c, &e) != PLUMB_OK)
        fail_msg("%s", e.message);
    assert_true(c.calibrator.tau == 2.5);
    assert_int_equal(json_parse("[{\"target_error\": 0.1}]", 23, "x", &added, NULL), PLUMB_OK);
    assert_int_equal(calibration_print_with(&c, "thresholds", json_root(added), &out, NULL),
                     PLUMB_OK);
    assert_int_equal(calibration_parse(out.data, out.size, "c", &again, &e), PLUMB_OK);
    const struct json root = json_root(again.document);
    double x = 0;
    assert_true(json_number(json_at(json_get(json_get(root, "made_by"), "hand"), 1), &x) && x == 2);
    assert_true(
        json_number(json_get(json_at(json_get(root, "thresholds"), 0), "target_error"), &x));
    assert_int_equal(json_size(root), 11);
    json_close(added);
    calibration_free(&again);
    calibration_free(&c);
    buffer_free(&out);
}

static void a_member_that_is_missing_is_named(void **state)
{
    (void)state;
    static const struct {
        const char *text, *words;
    } bad[] = {
        {"[]", "it has no \"plumb\""},
        {"{\"plumb\": 2}", "format 2; this program reads 1"},
        {"{\"plumb\": 1}", "no \"base\"; expected an object"},
        {"{\"plumb\": 1, \"base\": {}}", "no \"base.name\""},
    };
    struct calibration c;
    struct plumb_error e = {0};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        assert_int_equal(calibration_parse(bad[i].text, strlen(bad[i].text), "c.json", &c, &e),
                         PLUMB_INPUT);
        if (!strstr(e.message, bad[i].words))
            fail_msg("'%s' does not say '%s'", e.message, bad[i].words);
    }
    /* every member of a whole file, taken away one by one */
    static const char *const keys[] = {"base",  "post", "preset", "preset_hash",
                                       "score", "task", "method", "temperature"};
    struct pair p;
    const struct fit_options o = fit_options_default();
    make_pair(&p, false, false);
    struct fit f = fit(&p, &o);
    struct buffer text = print(&p, &o, &f, METHOD_DACA);
    for (size_t i = 0; i < sizeof keys / sizeof *keys; i++) {
        char find[32], words[64];
        snprintf(find, sizeof find, "\n  \"%s\"", keys[i]);
        snprintf(words, sizeof words, "no \"%s\"", keys[i]);
        struct buffer without = BUFFER_EMPTY;
        buffer_add(&without, text.data, text.size);
        char *at = strstr(without.data, find);
        assert_non_null(at);
        at[4] = '#'; /* another name */
        assert_int_equal(calibration_parse(without.data, without.size, "c", &c, &e), PLUMB_INPUT);
        if (!strstr(e.message, words))
            fail_msg("'%s' does not say '%s'", e.message, words);
        buffer_free(&without);
    }
    buffer_free(&text);
    fit_free(&f);
    pair_free(&p);
}

static void a_calibration_is_refused_for_what_it_was_not_fitted_on(void **state)
{
    (void)state;
    struct calibration c = {.preset = "clean", .preset_hash = "h", .score = "letters"};
    c.post = (struct pair_model){"m", "f00", "llama", "t", "bf16"};
    const struct trace_header good = {.model_fingerprint = "f00",
                                      .preset = "clean",
                                      .preset_hash = "h",
                                      .score = TRACE_SCORE_LETTERS,
                                      .precision = "bf16"};
    struct trace_header h[5] = {good, good, good, good, good};
    static const char *const words[] = {"another model: f00, and this trace has f01",
                                        "preset clean", "hash h", "score letters",
                                        "precision bf16"};
    h[0].model_fingerprint = "f01";
    h[1].preset = "daca";
    h[2].preset_hash = "g";
    h[3].score = TRACE_SCORE_TEXT;
    h[4].precision = "f32";
    assert_int_equal(calibration_check(&c, &good, "t", NULL), PLUMB_OK);
    for (int i = 0; i < 5; i++) {
        struct plumb_error e = {0};
        assert_int_equal(calibration_check(&c, &h[i], "t", &e), PLUMB_INPUT);
        if (!strstr(e.message, words[i]) || !strstr(e.message, "--force"))
            fail_msg("'%s' does not say '%s'", e.message, words[i]);
    }
}

/* ---- CAPE ---- */

static void averaging_orders_takes_each_order_once(void **state)
{
    (void)state;
    enum { ROWS = 3 };
    /* option o has the logit o / 2, plus 2 at the first place of the prompt: a bias that the orders average out */
    double z[K][ROWS * K], out[ROWS * K];
    const double *logits[K];
    const int32_t options[ROWS] = {4, 3, 2};
    int shift[K];
    for (int r = 0; r < K; r++) {
        for (int i = 0; i < ROWS; i++)
            for (int o = 0; o < K; o++)
                z[r][i * K + o] =
                    o < options[i] ? o * 0.5 + (o == r % options[i] ? 2 : 0) : -INFINITY;
        logits[r] = z[r];
        shift[r] = r;
    }
    cape_average(logits, shift, K, ROWS, K, options, out);
    for (int i = 0; i < ROWS; i++)
        for (int o = 0; o < K; o++) {
            double expected = 0;
            for (int r = 0; r < options[i] && o < options[i]; r++) { /* k options have k orders */
                double total = 0;
                for (int h = 0; h < options[i]; h++)
                    total += exp(z[r][i * K + h]);
                expected += exp(z[r][i * K + o]) / total / options[i];
            }
            near(out[i * K + o], expected, 1e-14);
        }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(without_labels_label_free_methods_are_fitted_on_all),
        cmocka_unit_test(labels_judge_and_split),
        cmocka_unit_test(the_recommendation_looks_at_no_label),
        cmocka_unit_test(groups_have_temperatures_of_their_own),
        cmocka_unit_test(bad_input_is_refused_with_its_reason),
        cmocka_unit_test(no_agreement_leaves_daca_out),
        cmocka_unit_test(a_lightly_tuned_pair_is_warned_of),
        cmocka_unit_test(every_calibrator_survives_its_file),
        cmocka_unit_test(unknown_members_survive_a_rewrite),
        cmocka_unit_test(a_member_that_is_missing_is_named),
        cmocka_unit_test(a_calibration_is_refused_for_what_it_was_not_fitted_on),
        cmocka_unit_test(averaging_orders_takes_each_order_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
