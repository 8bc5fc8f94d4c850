/*
 * test_spectrum.c - a whole run over the embedded pair: it can be stopped and gone on with, never depends on threads, and an
 * intervention is a model whose matrices are what was asked for.
 */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "spectrum/intervention.h"
#include "spectrum/spectrum.h"

static struct model *base, *post;
static char folder[] = "/tmp/plumb-spectrum-XXXXXX";
static char state_path[256], model_path_[256];
static const int layers[] = {1, 8};
static const struct spectrum_options usual = {.layers = layers,
                                              .n_layers = 2,
                                              .modules =
                                                  1u << MODULE_Q | 1u << MODULE_K | 1u << MODULE_V,
                                              .draws = 3,
                                              .seed = 7,
                                              .threads = 2};

static struct model *open_demo(const char *name)
{
    const char *data = getenv("PLUMB_TEST_DATA");
    struct model_options how = model_options_default();
    struct plumb_error e = {0};
    struct model *m = NULL;
    char path[4096];
    how.weights = false;
    snprintf(path, sizeof path, "%s/../../demo/%s", data ? data : "tests/data", name);
    if (model_open(path, &how, &m, &e) != PLUMB_OK)
        fail_msg("%s", e.message);
    return m;
}

static int set_up(void **state)
{
    (void)state;
    if (!mkdtemp(folder))
        return -1;
    snprintf(state_path, sizeof state_path, "%s/state.json", folder);
    snprintf(model_path_, sizeof model_path_, "%s/model", folder);
    base = open_demo("base");
    post = open_demo("post");
    return 0;
}

static int tear_down(void **state)
{
    char command[300];
    (void)state;
    model_close(base);
    model_close(post);
    snprintf(command, sizeof command, "rm -rf '%s'", folder);
    return system(command);
}

static void run(const struct spectrum_options *o, struct spectrum *out)
{
    struct plumb_error e = {0};
    if (spectrum_run(base, post, o, out, &e) != PLUMB_OK)
        fail_msg("%s", e.message);
}

static bool stop_after_two(void *user, size_t done, size_t total, const char *unit,
                           const char *note)
{
    (void)user;
    (void)total;
    (void)unit;
    (void)note;
    return done < 2;
}

static void a_stopped_run_goes_on_and_ends_in_the_same_bits(void **state)
{
    (void)state;
    const struct progress stop = {.report = stop_after_two};
    struct spectrum_options o = usual;
    struct spectrum whole, resumed;
    struct plumb_error e = {0};
    run(&usual, &whole);
    o.state = state_path;
    o.progress = &stop;
    o.threads = 1;
    assert_int_equal(spectrum_run(base, post, &o, &resumed, &e), PLUMB_NO);
    o.progress = NULL;
    run(&o, &resumed);
    assert_int_equal(resumed.resumed, 2);
    assert_int_equal(resumed.n, 6);
    assert_int_equal(whole.n, 6);
    for (size_t i = 0; i < 6; i++) {
        const struct spectrum_item *a = &whole.items[i], *b = &resumed.items[i];
        assert_true(a->layer == b->layer && a->module == b->module && a->change == b->change);
        assert_memory_equal(a->measured, b->measured, sizeof a->measured);
        assert_memory_equal(a->mean, b->mean, sizeof a->mean);
        assert_memory_equal(a->sd, b->sd, sizeof a->sd);
        assert_memory_equal(a->ratio, b->ratio, sizeof a->ratio);
    }
    spectrum_free(&whole);
    spectrum_free(&resumed);
    o.seed = 8; /* a state of other settings is not mixed in */
    assert_int_equal(spectrum_run(base, post, &o, &resumed, &e), PLUMB_INPUT);
    assert_non_null(strstr(e.message, "another run"));
}

static void attention_has_the_temperature_of_its_two_scales(void **state)
{
    (void)state;
    struct spectrum_options o = usual;
    struct spectrum s = {0};
    o.draws = 0;
    run(&o, &s);
    assert_int_equal(s.n_attention, 2);
    for (size_t i = 0; i < 2; i++) {
        const struct spectrum_attention *a = &s.attention[i];
        assert_int_equal(a->layer, layers[i]);
        assert_true(a->alpha_q == s.items[3 * i].measured[SPECTRUM_ALPHA]);
        assert_true(a->alpha_k == s.items[3 * i + 1].measured[SPECTRUM_ALPHA]);
        assert_true(fabs(a->temperature * a->alpha_q * a->alpha_k - 1) < 1e-12);
        assert_true(isnan(a->bias_q) && !a->caution); /* a Llama has none */
    }
    spectrum_free(&s);
}

static void a_model_with_the_base_s_values_is_that_far_from_post(void **state)
{
    (void)state;
    struct spectrum_options o = usual;
    struct intervention_result result;
    struct model_options how = model_options_default();
    struct plumb_error e = {0};
    struct model *written = NULL, *kept = post;
    struct spectrum before, after;
    double off = 0, norm = 0;
    o.draws = 0;
    run(&o, &before);
    if (intervention_write(base, post, &o, INTERVENE_SCALE_ONLY, model_path_, &result, &e) !=
        PLUMB_OK)
        fail_msg("%s", e.message);
    assert_int_equal(result.matrices, 6);
    how.weights = false;
    if (model_open(model_path_, &how, &written, &e) != PLUMB_OK)
        fail_msg("%s", e.message);
    post = written;
    run(&o, &after); /* scale-only is the base, scaled: only bf16 is between */
    post = kept;
    for (size_t i = 0; i < 6; i++) {
        const double alpha = before.items[i].measured[SPECTRUM_ALPHA];
        assert_true(fabs(after.items[i].measured[SPECTRUM_ALPHA] / alpha - 1) < 1e-3);
        assert_true(after.items[i].change < fabs(alpha - 1) + 3e-3); /* bf16: 2^-9 at most */
        off += after.items[i].change;
        norm += before.items[i].change;
    }
    assert_true(off < 0.1 * norm);
    model_close(written);
    spectrum_free(&before);
    spectrum_free(&after);
}

static void layers_and_modules_that_are_not_there_are_refused(void **state)
{
    (void)state;
    static const int beyond[] = {9};
    struct spectrum_options o = usual;
    struct plumb_error e = {0};
    struct spectrum s;
    o.layers = beyond;
    o.n_layers = 1;
    assert_int_equal(spectrum_run(base, post, &o, &s, &e), PLUMB_INPUT);
    assert_non_null(strstr(e.message, "layers 1 to 8"));
    o = usual;
    o.modules = 0;
    assert_int_equal(spectrum_run(base, post, &o, &s, &e), PLUMB_INPUT);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_stopped_run_goes_on_and_ends_in_the_same_bits),
        cmocka_unit_test(attention_has_the_temperature_of_its_two_scales),
        cmocka_unit_test(a_model_with_the_base_s_values_is_that_far_from_post),
        cmocka_unit_test(layers_and_modules_that_are_not_there_are_refused),
    };
    return cmocka_run_group_tests_name("spectrum", tests, set_up, tear_down);
}
