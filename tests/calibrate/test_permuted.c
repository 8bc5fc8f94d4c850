/*
 * test_permuted.c - CAPE from trace files: other orders of the options are found, checked, matched and averaged, and the
 * result is judged as a method that changes answers and cannot be written.
 */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

#include "calibrate/calibration.h"
#include "calibrate/fit.h"
#include "trace/trace.h"

enum { N = 40, K = 4 };

static char folder[] = "/tmp/plumb-permuted-XXXXXX";

static const char *path_of(const char *name)
{
    static char paths[8][64];
    static int next;
    next = (next + 1) % 8;
    snprintf(paths[next], sizeof paths[next], "%s/%s", folder, name);
    return paths[next];
}

static int setup(void **state)
{
    (void)state;
    return mkdtemp(folder) ? 0 : -1;
}

static int teardown(void **state)
{
    (void)state;
    char command[64];
    snprintf(command, sizeof command, "rm -rf %s", folder);
    return system(command); /* NOLINT(cert-env33-c): our own folder */
}

static int options_of(size_t item)
{
    return 2 + (int)(item % 3);
}

/* Sharp at one option, and drawn to the one that stands first. */
static float logit(size_t item, int option, int shift, bool post)
{
    const int k = options_of(item), first = shift % k;
    const float own = (float)((item * 7 + (size_t)option * 5) % 11) / 4;
    return post ? 2 * own + (option == first ? 3.0F : 0) : own;
}

static struct trace_header header_of(const char *model, int shift)
{
    static const char *const groups[] = {"all"};
    return (struct trace_header){.n = N,
                                 .n_options = K,
                                 .model = model,
                                 .model_fingerprint = model,
                                 .architecture = "llama",
                                 .tokenizer_hash = "t",
                                 .preset = "clean",
                                 .preset_hash = "p",
                                 .task = "quiz",
                                 .task_hash = "q",
                                 .precision = "f32",
                                 .arithmetic = "avx2",
                                 .lens = "none",
                                 .program = "plumb",
                                 .permutation = shift,
                                 .groups = groups,
                                 .n_groups = 1,
                                 .total = N};
}

/* `backwards`: the questions in the opposite order. */
static void write_trace(const char *name, const struct trace_header *h, bool post, bool backwards)
{
    struct plumb_error e = {0};
    struct trace t;
    size_t resumed;
    unlink(path_of(name));
    if (trace_create(path_of(name), h, &t, &resumed, &e) != PLUMB_OK)
        fail_msg("%s", e.message);
    for (size_t i = 0; i < h->n; i++) {
        const size_t item = backwards ? h->n - 1 - i : i;
        for (int j = 0; j < options_of(item); j++)
            t.logits[i * K + (size_t)j] = logit(item, j, h->permutation, post);
        t.option_mass[i] = 1;
        t.label[i] = (int32_t)(item * 5 % (size_t)options_of(item));
        t.options[i] = options_of(item);
        t.item_hash[2 * i] = item;
        t.item_hash[2 * i + 1] = ~item;
    }
    if (trace_commit(&t, NULL, h->n, &e) != PLUMB_OK || trace_finish(&t, &e) != PLUMB_OK)
        fail_msg("%s", e.message);
    trace_close(&t);
}

/* base, post, and post.1 to post.3 */
static void write_all(void)
{
    static const char *const names[] = {"post", "post.1", "post.2", "post.3"};
    struct trace_header h = header_of("base", 0);
    write_trace("base", &h, false, false);
    for (int shift = 0; shift < K; shift++) {
        h = header_of("post", shift);
        write_trace(names[shift], &h, true, shift == 2);
    }
}

static struct pair read_pair(void)
{
    struct pair p;
    struct plumb_error e = {0};
    if (pair_read_traces(path_of("base"), path_of("post"), &p, &e) != PLUMB_OK)
        fail_msg("%s", e.message);
    return p;
}

static void read_orders(struct pair *p)
{
    struct plumb_error e = {0};
    const char *const paths[] = {path_of("post.3"), path_of("post.1"), path_of("post.2")};
    if (pair_read_permuted(path_of("post"), paths, 3, p, &e) != PLUMB_OK)
        fail_msg("%s", e.message);
}

static void orders_are_averaged_whatever_the_order_of_files_and_questions(void **state)
{
    (void)state;
    write_all();
    struct pair p = read_pair();
    assert_null(p.cape);
    read_orders(&p);
    assert_int_equal(p.cape_orders, K);
    for (size_t i = 0; i < N; i++) {
        const int k = options_of(i);
        for (int o = 0; o < k; o++) {
            double expected = 0;
            for (int r = 0; r < k; r++) {
                double total = 0;
                for (int h = 0; h < k; h++)
                    total += exp((double)logit(i, h, r, true));
                expected += exp((double)logit(i, o, r, true)) / total / k;
            }
            if (!(fabs(p.cape[i * K + (size_t)o] - expected) < 1e-14))
                fail_msg("question %zu, option %d: %.17g, expected %.17g", i, o,
                         p.cape[i * K + (size_t)o], expected);
        }
        for (int o = k; o < K; o++)
            assert_true(p.cape[i * K + (size_t)o] == 0);
    }
    pair_free(&p);
}

static void the_method_is_judged_and_says_how_many_answers_it_changes(void **state)
{
    (void)state;
    struct fit f;
    struct plumb_error e = {0};
    struct fit_options o = fit_options_default();
    o.draws = 0;
    write_all();
    struct pair p = read_pair();
    read_orders(&p);
    if (fit_run(&p, &o, &f, &e) != PLUMB_OK)
        fail_msg("%s", e.message);
    const struct fit_result *r = fit_find(&f, METHOD_CAPE);
    assert_non_null(r);
    assert_true(r->fitted && r->judged);
    assert_int_equal(r->orders, K);
    assert_int_equal(r->n_judged, N);
    size_t right = 0, changed = 0;
    for (size_t i = 0; i < N; i++) {
        int best = 0;
        for (int j = 1; j < p.options[i]; j++)
            if (p.cape[i * K + (size_t)j] > p.cape[i * K + (size_t)best])
                best = j;
        right += best == p.label[i];
        changed += best != p.post_choice[i];
    }
    assert_true(changed > 0);
    assert_int_equal(r->reordered, changed);
    assert_true(fabs(r->value[FIT_ACCURACY].value - (double)right / N) < 1e-12);
    assert_false(isnan(r->value[FIT_NLL].value));
    struct buffer text = BUFFER_EMPTY;
    const struct calibration_source s = {&p, &o, &f, r, "", "2026-01-01T00:00:00Z"};
    assert_int_equal(calibration_print(&s, &text, &e), PLUMB_INPUT);
    assert_non_null(strstr(e.message, "several runs"));
    buffer_free(&text);
    fit_free(&f);

    o.labels = true; /* judged on the part that is held back */
    o.split = 0.5;
    assert_int_equal(fit_run(&p, &o, &f, &e), PLUMB_OK);
    r = fit_find(&f, METHOD_CAPE);
    assert_true(r && r->judged);
    assert_int_equal(r->n_judged, N / 2);
    fit_free(&f);
    pair_free(&p);
}

static void without_other_orders_there_is_no_such_method(void **state)
{
    (void)state;
    struct fit f;
    struct plumb_error e = {0};
    struct fit_options o = fit_options_default();
    o.draws = 0;
    write_all();
    struct pair p = read_pair();
    assert_int_equal(fit_run(&p, &o, &f, &e), PLUMB_OK);
    assert_null(fit_find(&f, METHOD_CAPE));
    fit_free(&f);
    o.methods = 1U << METHOD_CAPE;
    assert_int_equal(fit_run(&p, &o, &f, &e), PLUMB_INPUT);
    assert_non_null(strstr(e.message, "--permute cyclic"));
    pair_free(&p);
}

static void refuses(struct pair *p, const char *const *paths, size_t n, const char *words)
{
    struct plumb_error e = {0};
    assert_int_equal(pair_read_permuted(path_of("post"), paths, n, p, &e), PLUMB_INPUT);
    if (!strstr(e.message, words))
        fail_msg("'%s' does not say '%s'", e.message, words);
    assert_null(p->cape);
}

static void what_is_not_another_order_is_refused(void **state)
{
    (void)state;
    struct plumb_error e = {0};
    write_all();
    struct pair p = read_pair(), other;
    refuses(&p, NULL, 0, "another order");
    refuses(&p, (const char *[]){path_of("post.1"), path_of("post.1")}, 2, "the same order");
    refuses(&p, (const char *[]){path_of("post")}, 1, "the same order");
    refuses(&p, (const char *[]){path_of("base")}, 1, "model_fingerprint");
    struct trace_header h = header_of("post", 1);
    h.preset_hash = "other";
    write_trace("bad", &h, true, false);
    refuses(&p, (const char *[]){path_of("bad")}, 1, "preset_hash");
    h = header_of("post", 1);
    h.task_hash = "other";
    write_trace("bad", &h, true, false);
    refuses(&p, (const char *[]){path_of("bad")}, 1, "task_hash");
    h = header_of("post", 1);
    h.n = h.total = N - 1;
    write_trace("bad", &h, true, false);
    refuses(&p, (const char *[]){path_of("bad")}, 1, "39");
    assert_int_equal(pair_read_traces(path_of("base"), path_of("post.1"), &other, &e), PLUMB_INPUT);
    assert_non_null(strstr(e.message, "shifted by"));
    pair_free(&p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(orders_are_averaged_whatever_the_order_of_files_and_questions),
        cmocka_unit_test(the_method_is_judged_and_says_how_many_answers_it_changes),
        cmocka_unit_test(without_other_orders_there_is_no_such_method),
        cmocka_unit_test(what_is_not_another_order_is_refused),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
