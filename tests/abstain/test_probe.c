/*
 * test_probe.c - a probe finds what is planted and nothing else: a signal in one layer, none in shuffled answers, groups only where they
 * leak; the same bits for any number of threads; its file; and the combination of sources.
 */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

#include "abstain/combination.h"
#include "abstain/confidence_join.h"
#include "abstain/probe_file.h"
#include "base/memory.h"
#include "base/random.h"
#include "tensor/dtype.h"

enum { N = 600, LAYERS = 4, D = 24, PLAIN = 2, GROUPS = 20, SIGNAL_AT = 2 };

static struct {
    uint16_t hidden[N][LAYERS][D];
    uint8_t right[N];
    struct hash128 group[N], item[N];
    uint32_t row[N];
    double plain[N][PLAIN];
} made;
static const int layers[LAYERS] = {3, 6, 9, 12};

enum plant { PLANT_SIGNAL, PLANT_NOTHING, PLANT_GROUPS };

/* Group g has a share of right answers of its own and, where groups leak, a direction of its own that every state shows. */
static void make_made(enum plant plant, uint64_t seed)
{
    struct random r = random_start(seed, 0);
    double share[GROUPS], direction[GROUPS][D];
    for (int g = 0; g < GROUPS; g++) {
        share[g] = g % 2 ? 0.85 : 0.15;
        for (int j = 0; j < D; j++)
            direction[g][j] = 2 * random_normal(&r);
    }
    for (size_t i = 0; i < N; i++) {
        const size_t g = i % GROUPS;
        const double signal = random_normal(&r), p = plant == PLANT_GROUPS ? share[g]
                                                     : plant == PLANT_SIGNAL
                                                         ? 1 / (1 + exp(-2 * signal))
                                                         : 0.5;
        made.right[i] = random_uniform(&r) < p;
        made.group[i] = (struct hash128){.low = g, .high = 77};
        made.item[i] = (struct hash128){.low = i, .high = 78};
        made.row[i] = (uint32_t)i;
        for (int k = 0; k < PLAIN; k++)
            made.plain[i][k] = random_normal(&r);
        for (int l = 0; l < LAYERS; l++)
            for (int j = 0; j < D; j++) {
                double v = random_normal(&r);
                if (plant == PLANT_SIGNAL && l == SIGNAL_AT && j < 6)
                    v += signal;
                if (plant == PLANT_GROUPS)
                    v += direction[g][j];
                made.hidden[i][l][j] = f32_to_f16((float)v);
            }
    }
}

static struct probe_data data_of(bool by_group)
{
    return (struct probe_data){.n = N,
                               .right = made.right,
                               .key = by_group ? made.group : made.item,
                               .item = made.item,
                               .check_key = by_group ? made.item : made.group,
                               .check_folds = 5,
                               .row = made.row,
                               .hidden = &made.hidden[0][0][0],
                               .n_stored = LAYERS,
                               .hidden_size = D,
                               .stored = layers,
                               .layers = layers,
                               .n_layers = LAYERS,
                               .plain = &made.plain[0][0],
                               .n_plain = PLAIN};
}

static void train(const struct probe_data *data, const struct probe_options *o,
                  struct probe_result *r)
{
    struct plumb_error e = {0};
    if (probe_train(data, o, r, &e) != PLUMB_OK)
        fail_msg("%s", e.message);
}

static void a_planted_layer_is_found(void **state)
{
    (void)state;
    const struct probe_data data = data_of(true);
    struct probe_options o = probe_options_default();
    struct probe_result r;
    o.kind = PROBE_BOTH;
    make_made(PLANT_SIGNAL, 21);
    train(&data, &o, &r);
    assert_int_equal(r.probe.layer, layers[SIGNAL_AT]);
    assert_int_equal(r.n_candidates, LAYERS + 1);
    assert_int_equal(r.curve[0].layer, PROBE_NO_LAYER);
    for (int f = 0; f < r.folds; f++)
        assert_int_equal(r.curve[r.chosen[f]].layer, layers[SIGNAL_AT]);
    assert_true(r.nested.value > 0.8 && r.nested.low < r.nested.value);
    assert_true(r.nested_network.value > 0.7);
    for (int c = 0; c < r.n_candidates; c++)
        if (c != 1 + SIGNAL_AT)
            assert_true(r.curve[c].left_out.value < 0.6);
    assert_true(r.has_check && fabs(r.check.value - r.nested.value) < 0.05);
    /* more is surer: the target is being right */
    double right = 0, wrong = 0, n_right = 0;
    for (size_t i = 0; i < N; i++) {
        n_right += made.right[i];
        *(made.right[i] ? &right : &wrong) += r.logistic[i];
    }
    assert_true(right / n_right > wrong / (N - n_right) + 0.2);
    probe_result_free(&r);
}

static void shuffled_answers_teach_nothing(void **state)
{
    (void)state;
    const struct probe_data data = data_of(true);
    const struct probe_options o = probe_options_default();
    double sum = 0;
    enum { DRAWS = 4 };
    for (uint64_t draw = 0; draw < DRAWS; draw++) {
        struct probe_result r;
        make_made(PLANT_NOTHING, 100 + draw);
        train(&data, &o, &r);
        sum += r.nested.value / DRAWS;
        probe_result_free(&r);
    }
    /* the deviation of one AUROC of 600 questions is 0.024, of the mean of four 0.012; folds by groups push it a little below */
    assert_true(fabs(sum - 0.5) < 0.05);
}

static void a_probe_that_knows_groups_is_caught(void **state)
{
    (void)state;
    struct probe_data data = data_of(true);
    const struct probe_options o = probe_options_default();
    struct probe_result r;
    make_made(PLANT_GROUPS, 5);
    train(&data, &o, &r);
    assert_true(r.nested.value < 0.6);
    assert_true(r.has_check && r.check.value > 0.75);
    probe_result_free(&r);
    data = data_of(false);
    train(&data, &o, &r);
    assert_true(r.nested.value > 0.75);
    assert_true(r.has_check && r.check.value < 0.6);
    probe_result_free(&r);
}

static void threads_change_no_bit(void **state)
{
    (void)state;
    const struct probe_data data = data_of(true);
    struct probe_options o = probe_options_default();
    struct probe_result one, three;
    make_made(PLANT_SIGNAL, 8);
    o.kind = PROBE_BOTH;
    o.threads = 1;
    train(&data, &o, &one);
    o.threads = 3;
    train(&data, &o, &three);
    assert_memory_equal(one.logistic, three.logistic, N * sizeof(double));
    assert_memory_equal(one.network, three.network, N * sizeof(double));
    assert_memory_equal(one.fold, three.fold, N);
    assert_int_equal(one.probe.d, D + PLAIN);
    assert_memory_equal(one.probe.weight, three.probe.weight, one.probe.d * sizeof(double));
    assert_memory_equal(one.probe.network.hidden, three.probe.network.hidden,
                        one.probe.network.units * one.probe.d * sizeof(double));
    o.seed = 1;
    probe_result_free(&three);
    train(&data, &o, &three);
    assert_memory_not_equal(one.fold, three.fold, N);
    probe_result_free(&one);
    probe_result_free(&three);
}

static void what_cannot_be_learnt_from_is_refused(void **state)
{
    (void)state;
    struct probe_data data = data_of(false);
    struct probe_options o = probe_options_default();
    struct probe_result r;
    struct plumb_error e = {0};
    make_made(PLANT_SIGNAL, 3);
    data.n = 12;
    assert_int_equal(probe_train(&data, &o, &r, &e), PLUMB_INPUT);
    assert_non_null(strstr(e.message, "8 more are needed"));
    data = data_of(false);
    memset(made.right, 1, N);
    made.right[7] = 0;
    assert_int_equal(probe_train(&data, &o, &r, &e), PLUMB_INPUT);
    assert_non_null(strstr(e.message, "599 are right and 1 wrong"));
    make_made(PLANT_SIGNAL, 3);
    made.hidden[5][1][0] = 0x7E00; /* NaN */
    assert_int_equal(probe_train(&data, &o, &r, &e), PLUMB_INPUT);
    assert_non_null(strstr(e.message, "layer 6: question 6: feature 1 is nan"));
    o.folds = 2;
    assert_int_equal(probe_train(&data, &o, &r, &e), PLUMB_INPUT);
    data.layers = (const int[]){7};
    data.n_layers = 1;
    o.folds = 5;
    assert_int_equal(probe_train(&data, &o, &r, &e), PLUMB_INPUT);
    assert_non_null(strstr(e.message, "layer 7 are not recorded"));
}

static void a_stored_probe_judges_as_before(void **state)
{
    (void)state;
    const struct probe_data data = data_of(true);
    struct probe_options o = probe_options_default();
    struct probe_result r;
    struct probe_file back;
    struct plumb_error e = {0};
    char path[64];
    double before[2][N], after[2][N];
    const struct probe_origin origin = {.model_fingerprint = "00112233445566778899aabbccddeeff",
                                        .model = "made",
                                        .preset = "clean",
                                        .preset_hash = "1",
                                        .score = "letters",
                                        .precision = "f32",
                                        .task = "made",
                                        .task_hash = "2",
                                        .target = "made",
                                        .key = "group",
                                        .folds = 5,
                                        .seed = 9};
    snprintf(path, sizeof path, "/tmp/plumb-probe-%ld.safetensors", (long)getpid());
    make_made(PLANT_SIGNAL, 30);
    o.kind = PROBE_BOTH;
    train(&data, &o, &r);
    assert_int_equal(probe_apply(&r.probe, &data, before[0], before[1], &e), PLUMB_OK);
    assert_int_equal(probe_file_write(&r, &data, &origin, path, &e), PLUMB_OK);
    if (probe_file_read(path, &back, &e) != PLUMB_OK)
        fail_msg("%s", e.message);
    assert_string_equal(back.origin.model, "made");
    assert_int_equal(back.origin.seed, 9);
    assert_int_equal(back.n, N);
    assert_int_equal(back.probe.layer, layers[SIGNAL_AT]);
    assert_true(back.nested_auroc == r.nested.value);
    assert_int_equal(probe_apply(&back.probe, &data, after[0], after[1], &e), PLUMB_OK);
    assert_memory_equal(before, after, sizeof before);
    struct probe_data other = data;
    other.n_plain = 0;
    assert_int_equal(probe_apply(&back.probe, &other, after[0], NULL, &e), PLUMB_INPUT);
    other = data;
    other.hidden = NULL;
    assert_int_equal(probe_apply(&back.probe, &other, after[0], NULL, &e), PLUMB_INPUT);
    assert_non_null(strstr(e.message, "plumb trace --hidden 9"));
    probe_file_free(&back);
    probe_result_free(&r);
    FILE *f = fopen(path, "w");
    assert_non_null(f);
    fputs("{}", f);
    assert_int_equal(fclose(f), 0);
    assert_int_equal(probe_file_read(path, &back, &e), PLUMB_INPUT);
    unlink(path);
}

static void memory_that_runs_out_is_told(void **state)
{
    (void)state;
    struct probe_data data = data_of(true);
    struct probe_options o = probe_options_default();
    struct probe_result r;
    struct plumb_error e = {0};
    make_made(PLANT_SIGNAL, 2);
    data.layers = layers + SIGNAL_AT;
    data.n_layers = 1;
    o.threads = 1;
    o.kind = PROBE_BOTH;
    o.network.epochs = 1;
    for (long at = 1;; at += 3) {
        mem_fail_after(at);
        const int status = probe_train(&data, &o, &r, &e);
        mem_fail_after(0);
        if (status == PLUMB_OK)
            break;
        assert_int_equal(status, PLUMB_MACHINE);
        assert_null(r.arena);
        assert_true(at < 1000);
    }
    probe_result_free(&r);
}

/* ---- sources of several files ---- */

/* Two sources, each with half of the truth; the second file lacks every fourth question and adds some of its own. */
static void make_files(struct confidence_file f[2])
{
    struct plumb_error e = {0};
    struct random r = random_start(14, 0);
    size_t at = 0;
    assert_int_equal(confidence_create(N, 1, &f[0], &e), PLUMB_OK);
    assert_int_equal(confidence_create(N - N / 4 + 5, 1, &f[1], &e), PLUMB_OK);
    f[0].sources[0] = (struct confidence_source){.name = "one", .passes = 1, .probability = true};
    f[1].sources[0] = (struct confidence_source){.name = "one", .passes = 2};
    for (size_t i = 0; i < N + 5; i++) {
        const double a = random_normal(&r), b = random_normal(&r);
        const bool right = random_uniform(&r) < 1 / (1 + exp(-1.5 * (a + b)));
        const struct hash128 item = {.low = i * 7919, .high = i};
        if (i < N) {
            f[0].item[i] = item;
            f[0].right[i] = right;
            f[0].value[0][i] = 1 / (1 + exp(-a));
        }
        if (i % 4 != 0 || i >= N) {
            f[1].item[at] = item;
            f[1].right[at] = right;
            f[1].value[0][at++] = 100 * b;
        }
    }
    assert_int_equal(at, f[1].n);
}

static double auroc_of(const double *c, const int8_t *right, size_t n)
{
    static uint8_t y[2 * N];
    struct auroc a;
    struct plumb_error e = {0};
    for (size_t i = 0; i < n; i++)
        y[i] = right[i] == 1;
    assert_int_equal(auroc_measure(c, y, n, &a, &e), PLUMB_OK);
    return a.value;
}

static void a_combination_beats_its_parts(void **state)
{
    (void)state;
    static const char *const paths[] = {"first", "second"};
    struct confidence_file f[2], all;
    struct combination c;
    struct plumb_error e = {0};
    const struct combination_options o = combination_options_default();
    make_files(f);
    if (confidence_join(f, paths, 2, &all, &e) != PLUMB_OK)
        fail_msg("%s", e.message);
    assert_int_equal(all.n, N + 5);
    assert_int_equal(all.n_sources, 2);
    assert_string_equal(all.sources[1].name, "one-2");
    assert_true(isnan(all.value[1][4]) && isnan(all.value[0][N + 2]));
    assert_true(all.value[1][1] == f[1].value[0][0]);
    assert_int_equal(combination_fit(&all, &o, &c, &e), PLUMB_OK);
    assert_int_equal(c.n_terms, 4); /* each source, and each missing for some */
    assert_int_equal(c.labelled, N + 5);
    const double joint = auroc_of(c.p, all.right, all.n);
    assert_true(joint > auroc_of(all.value[0], all.right, all.n) + 0.05);
    assert_true(joint > auroc_of(all.value[1], all.right, all.n) + 0.05);
    for (size_t i = 0; i < all.n; i++)
        assert_in_range(c.fold[i], 0, 4);
    combination_free(&c);
    confidence_free(&all);
    f[1].right[3] = !f[1].right[3];
    assert_int_equal(confidence_join(f, paths, 2, &all, &e), PLUMB_INPUT);
    assert_non_null(strstr(e.message, "they judge different answers"));
    f[0].model = "a", f[1].model = "b";
    assert_int_equal(confidence_join(f, paths, 2, &all, &e), PLUMB_INPUT);
    assert_non_null(strstr(e.message, "of another, b"));
    confidence_free(&f[0]);
    confidence_free(&f[1]);
}

static void the_same_question_twice_joins_in_order(void **state)
{
    (void)state;
    struct confidence_file f[2];
    struct confidence_rows rows;
    struct plumb_error e = {0};
    static const uint64_t first[] = {5, 5, 7}, second[] = {7, 5, 9, 5, 5};
    assert_int_equal(confidence_create(3, 1, &f[0], &e), PLUMB_OK);
    assert_int_equal(confidence_create(5, 1, &f[1], &e), PLUMB_OK);
    for (int i = 0; i < 3; i++)
        f[0].item[i].low = first[i];
    for (int i = 0; i < 5; i++)
        f[1].item[i].low = second[i];
    assert_int_equal(confidence_rows_find(f, 2, &rows, &e), PLUMB_OK);
    assert_int_equal(rows.n, 5);
    assert_memory_equal(rows.row[0], ((const uint32_t[]){0, 1, 2}), 3 * sizeof(uint32_t));
    assert_memory_equal(rows.row[1], ((const uint32_t[]){2, 0, 3, 1, 4}), 5 * sizeof(uint32_t));
    confidence_rows_free(&rows);
    confidence_free(&f[0]);
    confidence_free(&f[1]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_planted_layer_is_found),
        cmocka_unit_test(shuffled_answers_teach_nothing),
        cmocka_unit_test(a_probe_that_knows_groups_is_caught),
        cmocka_unit_test(threads_change_no_bit),
        cmocka_unit_test(what_cannot_be_learnt_from_is_refused),
        cmocka_unit_test(a_stored_probe_judges_as_before),
        cmocka_unit_test(memory_that_runs_out_is_told),
        cmocka_unit_test(a_combination_beats_its_parts),
        cmocka_unit_test(the_same_question_twice_joins_in_order),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
