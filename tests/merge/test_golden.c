/*
 * test_golden.c - every method against the formulas written down a second time, in numpy (tools/golden/make_merges.py, which
 * also compares them with mergekit), through the whole way: YAML, plan, streamed blocks, files.
 *
 * PLUMB_TEST_GOLDEN/merge holds three tiny models, the configurations, and the expected weights.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

#include "base/file.h"
#include "merge/job.h"
#include "merge/merge.h"
#include "model/safetensors.h"

static char folder[] = "/tmp/plumb-golden-XXXXXX", home[1024];
static struct tensors golden;

/* The model that a configuration gives, written to `out`. */
static void merge(const char *name, const char *out, int threads, size_t shard_bytes)
{
    char path[256];
    struct plumb_error e = {0};
    struct file_map text;
    struct merge_job job;
    struct merge_plan plan;
    struct merge_report report;
    struct model *models[4] = {0};
    struct model_options how = model_options_default();
    how.weights = false;
    snprintf(path, sizeof path, "%s.yml", name);
    assert_int_equal(file_map_open(path, &text, &e), PLUMB_OK);
    if (merge_job_from_yaml((const char *)text.data, text.size, path, &job, &e) != PLUMB_OK)
        fail_msg("%s", e.message);
    file_map_close(&text);
    assert_in_range(job.n_paths, 2, 3);
    for (int i = 0; i < job.n_paths; i++)
        assert_int_equal(model_open(job.paths[i], &how, &models[i], &e), PLUMB_OK);
    if (merge_plan_create(&job.recipe, (const struct model *const *)models, job.n_paths, job.like,
                          &plan, &e) != PLUMB_OK)
        fail_msg("%s", e.message);
    const struct merge_write_options o = {.threads = threads, .shard_bytes = shard_bytes};
    if (merge_write(&plan, out, &o, &report, &e) != PLUMB_OK)
        fail_msg("%s", e.message);
    merge_plan_free(&plan);
    for (int i = 0; i < job.n_paths; i++)
        model_close(models[i]);
    merge_job_free(&job);
}

/* Whole numbers in the order of the values, so that neighbours differ by one. */
static int64_t ordered(const struct tensor *x, size_t i)
{
    if (x->type == DTYPE_F32) {
        int32_t bits;
        memcpy(&bits, x->data + i * sizeof bits, sizeof bits);
        return bits < 0 ? -(int64_t)(bits & 0x7fffffff) : bits;
    }
    int16_t bits;
    memcpy(&bits, x->data + i * sizeof bits, sizeof bits);
    return bits < 0 ? -(int64_t)(bits & 0x7fff) : bits;
}

/* The written file, tensor by tensor, within one unit of the last place of its type. */
static void compare(const char *name, const char *out)
{
    struct plumb_error e = {0};
    struct tensors found;
    size_t compared = 0;
    assert_int_equal(tensors_init(&found, &e), PLUMB_OK);
    if (safetensors_open_folder(out, &found, &e) != PLUMB_OK)
        fail_msg("%s", e.message);
    for (size_t t = 0; t < golden.count; t++) {
        const struct tensor *expected = &golden.items[t];
        const size_t n = strlen(name);
        if (strncmp(expected->name, name, n) != 0 || expected->name[n] != '/')
            continue;
        const struct tensor *x = tensors_find(&found, expected->name + n + 1);
        assert_non_null(x);
        assert_int_equal(x->type, expected->type);
        assert_int_equal(x->elements, expected->elements);
        for (size_t i = 0; i < x->elements; i++)
            if (llabs(ordered(x, i) - ordered(expected, i)) > 1)
                fail_msg("%s, element %zu: %lld units from the formula", expected->name, i,
                         (long long)(ordered(x, i) - ordered(expected, i)));
        compared++;
    }
    assert_int_equal(compared, found.count);
    tensors_close(&found);
}

static void assert_same_bytes(const char *a, const char *b)
{
    char path[2][320];
    struct plumb_error e = {0};
    struct file_map x, y;
    snprintf(path[0], sizeof path[0], "%s/model.safetensors", a);
    snprintf(path[1], sizeof path[1], "%s/model.safetensors", b);
    assert_int_equal(file_map_open(path[0], &x, &e), PLUMB_OK);
    assert_int_equal(file_map_open(path[1], &y, &e), PLUMB_OK);
    assert_int_equal(x.size, y.size);
    assert_memory_equal(x.data, y.data, x.size);
    file_map_close(&x);
    file_map_close(&y);
}

static void every_method_is_its_formula_to_one_unit(void **state)
{
    (void)state;
    static const char *const cases[] = {
        "linear", "linear-three",    "slerp", "slerp-f16",     "nuslerp",     "nuslerp-base",
        "task",   "task-normalised", "ties",  "ties-negative", "dare-linear", "dare-ties"};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char one[128], three[128];
        snprintf(one, sizeof one, "%s/%s", folder, cases[i]);
        snprintf(three, sizeof three, "%s/%s-3", folder, cases[i]);
        merge(cases[i], one, 1, 0);
        compare(cases[i], one);
        merge(cases[i], three, 3, 0);
        assert_same_bytes(one, three);
    }
}

static void shards_hold_the_same_tensors(void **state)
{
    (void)state;
    char out[128], index[192];
    snprintf(out, sizeof out, "%s/shards", folder);
    merge("slerp", out, 2, 1000);
    compare("slerp", out);
    snprintf(index, sizeof index, "%s/model.safetensors.index.json", out);
    assert_true(file_exists(index));
}

static int start(void **state)
{
    (void)state;
    struct plumb_error e = {0};
    const char *data = getenv("PLUMB_TEST_GOLDEN");
    char path[1024];
    if (!data || !mkdtemp(folder) || !getcwd(home, sizeof home))
        return -1;
    snprintf(path, sizeof path, "%s/merge", data);
    if (chdir(path) != 0 || tensors_init(&golden, &e) != PLUMB_OK)
        return -1;
    return safetensors_open("golden.safetensors", &golden, NULL, &e);
}

static int finish(void **state)
{
    (void)state;
    char command[64];
    tensors_close(&golden);
    snprintf(command, sizeof command, "rm -rf %s", folder);
    return chdir(home) != 0 ||
           system(command) != 0; /* NOLINT(cert-env33-c): a folder of its own making */
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(every_method_is_its_formula_to_one_unit),
                                       cmocka_unit_test(shards_hold_the_same_tensors)};
    return cmocka_run_group_tests(tests, start, finish);
}
