/*
 * test_clusters.c - greedy classes in the order of the samples, their masses, and the entropy over meanings against numpy.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "answer/clusters.h"
#include "base/random.h"
#include "golden_answers.h"

static void masses_and_entropies_are_those_of_numpy(void **state)
{
    (void)state;
    struct json_document *d = golden_open();
    size_t cases = 0;
    for (struct json_iterator i = json_each(json_get(json_root(d), "clusters")); json_next(&i);
         cases++) {
        double numbers[GOLDEN_MOST], ll[GOLDEN_MOST], p[GOLDEN_MOST], expected[GOLDEN_MOST];
        int cluster[GOLDEN_MOST];
        const size_t n = golden_numbers(json_get(i.value, "cluster"), numbers);
        assert_int_equal(golden_numbers(json_get(i.value, "ll"), ll), n);
        for (size_t k = 0; k < n; k++)
            cluster[k] = (int)numbers[k];
        for (int weighted = 0; weighted < 2; weighted++) {
            const struct json golden = json_get(i.value, weighted ? "weighted" : "counted");
            const int classes = (int)golden_numbers(json_get(golden, "p"), expected);
            double sum = 0;
            cluster_masses(cluster, weighted ? ll : NULL, n, classes, p);
            for (int c = 0; c < classes; c++) {
                golden_same(p[c], expected[c]);
                sum += p[c];
            }
            golden_same(sum, 1);
            golden_same(cluster_entropy(p, classes), golden_number(golden, "entropy"));
        }
    }
    assert_true(cases >= 6);
    json_close(d);
}

/* Duplicates are the published trap: a mass above 1. And likelihoods far below what exp can hold still weigh. */
static void masses_add_up_to_one(void **state)
{
    (void)state;
    const uint64_t seed = 20240619;
    print_message("seed %llu\n", (unsigned long long)seed);
    struct random random = random_start(seed, 0);
    for (int round = 0; round < 200; round++) {
        enum { N = 12 };
        int cluster[N];
        double ll[N], p[N], sum = 0;
        const int classes = 1 + (int)random_below(&random, N);
        for (int i = 0; i < N; i++) {
            cluster[i] = i < classes ? i : (int)random_below(&random, (uint64_t)classes);
            ll[i] = -2000 * random_uniform(&random);
        }
        cluster_masses(cluster, ll, N, classes, p);
        for (int c = 0; c < classes; c++) {
            assert_true(p[c] >= 0);
            sum += p[c];
        }
        golden_same(sum, 1);
        assert_true(cluster_entropy(p, classes) <= log(classes) + 1e-12);
    }
}

static void samples_without_likelihoods_weigh_the_same(void **state)
{
    (void)state;
    const int cluster[] = {0, 1, 0, -1};
    const double ll[] = {-1, NAN, -1, -9}, unseen[] = {-1, -1, -1, NAN};
    double p[2];
    cluster_masses(cluster, ll, 4, 2, p);
    golden_same(p[0], 2.0 / 3);
    cluster_masses(cluster, unseen, 4, 2, p); /* of the sample without a class nothing is asked */
    golden_same(p[1], 1.0 / 3);
    const int none[] = {-1, -1};
    cluster_masses(none, NULL, 2, 1, p);
    golden_same(p[0], 0);
    golden_same(cluster_entropy(p, 1), 0);
}

static void equal_keys_are_a_class(void **state)
{
    (void)state;
    const char *const keys[] = {"b", "a", NULL, "b", "c", "a"};
    const int expected[] = {0, 1, -1, 0, 2, 1};
    int cluster[6];
    assert_int_equal(clusters_by_key(keys, 6, cluster), 3);
    assert_memory_equal(cluster, expected, sizeof expected);
}

/* 0 ~ 1, 1 ~ 2, but 0 and 2 are apart: with the published rule answer 1 could move, here it stays. */
struct table {
    bool same[5][5];
    int asked;
};

static int look_up(void *user, size_t opener, const size_t *others, size_t n, bool *same,
                   struct plumb_error *e)
{
    struct table *t = user;
    (void)e;
    t->asked++;
    for (size_t i = 0; i < n; i++) {
        assert_true(others[i] > opener);
        same[i] = t->same[opener][others[i]];
    }
    return PLUMB_OK;
}

static void a_class_takes_only_answers_without_one(void **state)
{
    (void)state;
    struct plumb_error e = {0};
    struct table t = {0};
    t.same[0][1] = t.same[1][3] = t.same[0][4] = t.same[2][4] = t.same[3][4] = true;
    const struct equivalence by = {look_up, &t};
    int cluster[] = {0, 0, 0, 0, 0}, n;
    const int expected[] = {0, 0, 1, 2, 0};
    assert_int_equal(clusters_greedy(5, &by, cluster, &n, &e), PLUMB_OK);
    assert_int_equal(n, 3);
    assert_memory_equal(cluster, expected, sizeof expected);
    assert_int_equal(t.asked, 2); /* 0 and 2; nobody is left for 3 */
    int with_hole[] = {0, -1, 0, 0, 0};
    const int holed[] = {0, -1, 1, 2, 0};
    assert_int_equal(clusters_greedy(5, &by, with_hole, &n, &e), PLUMB_OK);
    assert_memory_equal(with_hole, holed, sizeof holed);
}

static int refuse(void *user, size_t opener, const size_t *others, size_t n, bool *same,
                  struct plumb_error *e)
{
    (void)user;
    (void)opener;
    (void)others;
    (void)n;
    (void)same;
    return error_set(e, PLUMB_NO, "stopped");
}

static void what_the_judge_says_of_failing_is_passed_on(void **state)
{
    (void)state;
    struct plumb_error e = {0};
    const struct equivalence by = {refuse, NULL};
    int cluster[] = {0, 0}, n;
    assert_int_equal(clusters_greedy(2, &by, cluster, &n, &e), PLUMB_NO);
    assert_string_equal(e.message, "stopped");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(masses_and_entropies_are_those_of_numpy),
        cmocka_unit_test(masses_add_up_to_one),
        cmocka_unit_test(samples_without_likelihoods_weigh_the_same),
        cmocka_unit_test(equal_keys_are_a_class),
        cmocka_unit_test(a_class_takes_only_answers_without_one),
        cmocka_unit_test(what_the_judge_says_of_failing_is_passed_on),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
