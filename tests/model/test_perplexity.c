/*
 * test_perplexity.c - which tokens each protocol scores, counted by hand, and their values against single forward passes.
 *
 * Models: the demonstration's, under demo/base, which puts no beginning token in front, and a tiny
 * Llama of tests/golden, which does.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <math.h>

#include "base/memory.h"
#include "model/config.h"
#include "model/forward.h"
#include "model/perplexity.h"
#include "model/tokenizer.h"

static struct model *model;
static struct token_list ids; /* of the text */
static const char text[] = "Which country has the province Mandoul? The province of Mandoul is in "
                           "Chad. Which country has the capital Madrid? The "
                           "capital of Spain is Madrid, and the capital of Chad is another city. "
                           "In which country is Svaay Rieng? It is in Cambodia.";

enum { MOST = 256 };
static struct perplexity_token scored[MOST];
static size_t n_scored;

/* Opens a model and encodes the text with it. */
static int use(const char *under_golden)
{
    struct plumb_error e;
    struct model_options o = model_options_default();
    char path[1024];
    const char *golden = getenv("PLUMB_TEST_GOLDEN");
    o.precision = PRECISION_F32;
    o.threads = 1;
    token_list_free(&ids);
    model_close(model);
    model = NULL;
    snprintf(path, sizeof path, "%s/%s", golden ? golden : ".", under_golden);
    if (model_open(path, &o, &model, &e))
        return -1;
    return tokenizer_encode(model_tokenizer(model), text, sizeof text - 1,
                            (struct tokenizer_options){.add_special = true}, &ids, &e);
}

static int setup(void **state)
{
    (void)state;
    return use("../../demo/base");
}

static int teardown(void **state)
{
    (void)state;
    token_list_free(&ids);
    model_close(model);
    return 0;
}

static void keep(void *user, const struct perplexity_token *t)
{
    (void)user;
    assert_in_range(n_scored, 0, MOST - 1);
    scored[n_scored++] = *t;
}

static struct perplexity measure(struct perplexity_options o)
{
    struct plumb_error e = {0};
    struct perplexity p;
    o.token = keep;
    n_scored = 0;
    if (perplexity_measure(model, text, sizeof text - 1, &o, &p, &e))
        fail_msg("%s", e.message);
    assert_int_equal(p.scored, n_scored);
    return p;
}

static void refused(struct perplexity_options o, const char *says)
{
    struct plumb_error e = {0};
    struct perplexity p;
    assert_int_equal(perplexity_measure(model, text, sizeof text - 1, &o, &p, &e), PLUMB_INPUT);
    if (!strstr(e.message, says))
        fail_msg("\"%s\" does not say \"%s\"", e.message, says);
}

/* log p and the first choice of token `at` after tokens [begin, at), by one forward pass. */
static double alone(size_t begin, size_t at, int32_t *best)
{
    struct plumb_error e = {0};
    const size_t v = (size_t)model_config(model)->vocabulary,
                 d = (size_t)model_config(model)->hidden;
    struct forward *f = NULL;
    float *x = mem_array(d, sizeof *x), *z = mem_array(v, sizeof *z);
    const struct forward_item item = {
        .tokens = ids.ids + begin, .n_tokens = (int)(at - begin), .n_wanted = 1};
    assert_int_equal(forward_create(model, &f, &e), PLUMB_OK);
    assert_int_equal(forward_run(f, &item, 1, NULL, NULL, x, &e), PLUMB_OK);
    assert_int_equal(head_logits(f, x, 1, z, &e), PLUMB_OK);
    double total = 0;
    *best = 0;
    for (size_t j = 1; j < v; j++)
        *best = z[j] > z[*best] ? (int32_t)j : *best;
    for (size_t j = 0; j < v; j++)
        total += exp((double)z[j] - (double)z[*best]);
    const double log_prob = (double)z[ids.ids[at]] - (double)z[*best] - log(total);
    forward_destroy(f);
    mem_free(x);
    mem_free(z);
    return log_prob;
}

/* scored[i] is token `at` of the text, seen from `begin` on. */
static void is_token(size_t i, size_t at, size_t begin)
{
    int32_t best;
    const double expected = alone(begin, at, &best);
    assert_int_equal(scored[i].place, at);
    assert_int_equal(scored[i].id, ids.ids[at]);
    assert_int_equal(scored[i].best, best);
    if (fabs(scored[i].log_prob - expected) > 1e-5)
        fail_msg("token %zu: %.9g, expected %.9g", at, scored[i].log_prob, expected);
}

static void gptq_scores_all_but_the_first_of_each_full_window(void **state)
{
    (void)state;
    const struct perplexity p =
        measure((struct perplexity_options){.protocol = PERPLEXITY_GPTQ, .context = 16});
    const size_t windows = ids.count / 16;
    assert_true(windows >= 3 && ids.count % 16 != 0); /* a rest that is left out */
    assert_int_equal(p.windows, windows);
    assert_int_equal(p.tokens, ids.count);
    assert_int_equal(n_scored, windows * 15);
    double sum = 0;
    for (size_t i = 0; i < n_scored; i++) {
        is_token(i, i / 15 * 16 + 1 + i % 15, i / 15 * 16);
        sum -= scored[i].log_prob;
    }
    assert_true(fabs(p.nll - sum / (double)n_scored) < 1e-12);
    assert_true(fabs(log(p.perplexity) - p.nll) < 1e-12);
}

static void llama_cpp_scores_the_second_half_less_one(void **state)
{
    (void)state;
    const struct perplexity p =
        measure((struct perplexity_options){.protocol = PERPLEXITY_LLAMA_CPP, .context = 16});
    assert_int_equal(n_scored, p.windows * 7); /* n_ctx - n_ctx/2 - 1 */
    for (size_t i = 0; i < n_scored; i++)
        is_token(i, i / 7 * 16 + 9 + i % 7, i / 7 * 16);
}

static void strides_score_every_token_once(void **state)
{
    (void)state;
    const struct perplexity p = measure(
        (struct perplexity_options){.protocol = PERPLEXITY_STRIDED, .context = 16, .stride = 5});
    assert_int_equal(n_scored, ids.count - 1);
    assert_int_equal(p.windows, 1 + (ids.count - 16 + 4) / 5);
    for (size_t i = 0; i < n_scored; i++)
        is_token(i, i + 1, i + 1 < 16 ? 0 : (i + 1 - 16) / 5 * 5 + 5);
    /* A text within one window is scored at once; the limit counts tokens. */
    measure((struct perplexity_options){.protocol = PERPLEXITY_STRIDED, .limit = 12});
    assert_int_equal(n_scored, 11);
    is_token(10, 11, 0);
}

static void bits_per_byte_count_the_bytes_of_what_was_scored(void **state)
{
    (void)state;
    const struct perplexity p =
        measure((struct perplexity_options){.protocol = PERPLEXITY_STRIDED, .context = 512});
    struct buffer first = BUFFER_EMPTY;
    tokenizer_piece(model_tokenizer(model), ids.ids[0], &first);
    assert_int_equal(p.scored_bytes, sizeof text - 1 - first.size);
    assert_true(fabs(p.bits_per_byte - p.nll * (double)n_scored / log(2) / (double)p.scored_bytes) <
                1e-12);
    buffer_free(&first);
}

/* Two passes over the scored tokens: sqrt(variance / n) of -log p, times the perplexity. */
static void the_standard_error_is_that_of_the_mean(void **state)
{
    (void)state;
    const struct perplexity p =
        measure((struct perplexity_options){.protocol = PERPLEXITY_GPTQ, .context = 32});
    double squares = 0;
    for (size_t i = 0; i < n_scored; i++)
        squares += (scored[i].log_prob + p.nll) * (scored[i].log_prob + p.nll);
    const double expected =
        p.perplexity * sqrt(squares / (double)(n_scored - 1) / (double)n_scored);
    assert_true(fabs(p.standard_error - expected) < 1e-9 * expected);
}

static void windows_begin_with_the_beginning_token_where_the_model_has_one(void **state)
{
    (void)state;
    struct perplexity_options o = {.protocol = PERPLEXITY_GPTQ, .context = 16, .limit = 48};
    assert_false(measure((struct perplexity_options){.context = 16, .bos_each = true}).bos_each);
    assert_int_equal(use("models/llama/model.gguf"), PLUMB_OK);
    const int32_t bos = tokenizer_bos(model_tokenizer(model));
    assert_true(bos >= 0 && ids.ids[0] == bos && ids.ids[16] != bos);
    assert_false(measure(o).bos_each); /* once, in front of the text */
    is_token(0, 1, 0);
    is_token(15, 17, 16);
    for (size_t window = 16; window <= 32; window += 16)
        ids.ids[window] = bos; /* what is_token shall see */
    o.bos_each = true;
    assert_true(measure(o).bos_each);
    for (size_t i = 0; i < n_scored; i++)
        is_token(i, i / 15 * 16 + 1 + i % 15, i / 15 * 16);
    o.protocol = PERPLEXITY_LLAMA_CPP;
    o.bos_each = false;
    assert_true(measure(o).bos_each);
    for (size_t i = 0; i < n_scored; i++)
        is_token(i, i / 7 * 16 + 9 + i % 7, i / 7 * 16);
    assert_int_equal(setup(NULL), PLUMB_OK);
}

static void windows_that_cannot_be_are_refused(void **state)
{
    (void)state;
    refused((struct perplexity_options){.protocol = PERPLEXITY_GPTQ},
            "too few for one window of 1024");
    refused((struct perplexity_options){.protocol = PERPLEXITY_GPTQ, .context = 4096},
            "expected 2 to 1024");
    refused((struct perplexity_options){.protocol = PERPLEXITY_LLAMA_CPP, .context = 3},
            "expected 4 to 1024");
    refused((struct perplexity_options){.protocol = PERPLEXITY_GPTQ, .context = 16, .stride = 8},
            "stride");
    refused(
        (struct perplexity_options){.protocol = PERPLEXITY_STRIDED, .context = 16, .stride = 17},
        "1 to 16");
    refused((struct perplexity_options){.protocol = PERPLEXITY_STRIDED, .limit = 1}, "too few");
    struct plumb_error e = {0};
    struct perplexity p;
    assert_int_equal(
        perplexity_measure(model, "ab\xff", 3, &(struct perplexity_options){0}, &p, &e),
        PLUMB_INPUT);
}

static void the_definition_says_what_was_done(void **state)
{
    (void)state;
    const struct perplexity_options o = {.protocol = PERPLEXITY_LLAMA_CPP, .context = 64};
    const struct perplexity p = measure(o);
    struct buffer b = BUFFER_EMPTY;
    perplexity_definition(o.protocol, &p, &b);
    assert_non_null(strstr(buffer_string(&b), "tokens 33 to 63"));
    buffer_free(&b);
}

/* head_targets: rows taken together and alone, and a target that is no token. */
static void targets_outside_the_vocabulary_are_refused(void **state)
{
    (void)state;
    struct plumb_error e = {0};
    struct forward *f = NULL;
    const size_t d = (size_t)model_config(model)->hidden;
    float *x = mem_zalloc(d, sizeof *x);
    double out;
    assert_int_equal(forward_create(model, &f, &e), PLUMB_OK);
    for (int i = 0; i < 2; i++) {
        const int32_t target = i ? -1 : model_config(model)->vocabulary;
        assert_int_equal(head_targets(f, x, 1, &target, &out, NULL, &e), PLUMB_INPUT);
        assert_non_null(strstr(e.message, "outside the model's vocabulary"));
    }
    forward_destroy(f);
    mem_free(x);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(gptq_scores_all_but_the_first_of_each_full_window),
        cmocka_unit_test(llama_cpp_scores_the_second_half_less_one),
        cmocka_unit_test(strides_score_every_token_once),
        cmocka_unit_test(bits_per_byte_count_the_bytes_of_what_was_scored),
        cmocka_unit_test(the_standard_error_is_that_of_the_mean),
        cmocka_unit_test(windows_begin_with_the_beginning_token_where_the_model_has_one),
        cmocka_unit_test(windows_that_cannot_be_are_refused),
        cmocka_unit_test(the_definition_says_what_was_done),
        cmocka_unit_test(targets_outside_the_vocabulary_are_refused),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
