/*
 * test_steering.c - steering is an addition at the tokens and layers that it names, and a clip before the unembedding; it has
 * the same bits however texts are run, and its file says whose it is.
 *
 * Golden logits: tools/golden/make_steering.py.
 */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/json.h"
#include "base/memory.h"
#include "base/random.h"
#include "golden.h"
#include "model/config.h"
#include "model/generate.h"
#include "model/gguf.h"
#include "model/safetensors_write.h"
#include "model/steering.h"
#include "model/tokenizer.h"
#include "model/weights.h"
#include "refusal.h"
#include "temporary_folder.h"
#include "tensor/level.h"

enum { ITEMS = 3, TOKENS = 9 };

static void expect_ok(int status, const struct plumb_error *e)
{
    if (status != PLUMB_OK)
        fail_msg("%s", e->message);
}

struct setting {
    struct model *m;
    struct forward *f;
    size_t layers, d, v;
    int32_t tokens[ITEMS][TOKENS];
};

static void setting_open(struct setting *s, const char *name, int threads)
{
    struct plumb_error e = {0};
    char *folder = golden_path(name, "");
    s->m = golden_model(folder, level_name(level_best()), PRECISION_F32, threads);
    s->layers = (size_t)model_config(s->m)->n_layers;
    s->d = (size_t)model_config(s->m)->hidden;
    s->v = (size_t)model_config(s->m)->vocabulary;
    expect_ok(forward_create(s->m, &s->f, &e), &e);
    for (int i = 0; i < ITEMS; i++)
        for (int t = 0; t < TOKENS; t++) /* six tokens in common */
            s->tokens[i][t] = (t * 5 + (t < 6 ? 1 : 3 * i + 2)) % (int)s->v;
    mem_free(folder);
}

static void setting_close(struct setting *s)
{
    forward_destroy(s->f);
    model_close(s->m);
}

/* Random unit vectors at these layers. */
static struct steering make_steering(const struct setting *s, const int *layers, int n,
                                     double alpha)
{
    struct steering out;
    struct plumb_error e = {0};
    struct random r = random_start(5, 0);
    struct hash128 fingerprint;
    expect_ok(steering_create((int)s->layers, (int)s->d, n, &out, &e), &e);
    for (int i = 0; i < n; i++) {
        double square = 0;
        for (size_t j = 0; j < s->d; j++) {
            out.parts[i].vector[j] = (float)random_normal(&r);
            square += (double)out.parts[i].vector[j] * (double)out.parts[i].vector[j];
        }
        for (size_t j = 0; j < s->d; j++)
            out.parts[i].vector[j] = (float)((double)out.parts[i].vector[j] / sqrt(square));
        out.parts[i].layer = layers[i];
        out.parts[i].scale = 2.5 + i;
    }
    expect_ok(model_fingerprint(s->m, &fingerprint, &e), &e);
    hash_hex(fingerprint, out.fingerprint);
    out.model = "a model";
    out.architecture = "LlamaForCausalLM";
    out.how = "drawn at random";
    out.program = "plumb test";
    steering_strength(&out, alpha);
    return out;
}

/* All positions of all items, one after the other: [L + 1, ITEMS * TOKENS, D]. */
static float *run_all(const struct setting *s, const struct steering *steering, int answering)
{
    struct plumb_error e = {0};
    struct forward_item items[ITEMS];
    float *residual = mem_array((s->layers + 1) * ITEMS * TOKENS * s->d, sizeof *residual);
    assert_non_null(residual);
    for (int i = 0; i < ITEMS; i++)
        items[i] = (struct forward_item){.tokens = s->tokens[i],
                                         .n_tokens = TOKENS,
                                         .n_wanted = TOKENS,
                                         .n_answering = answering};
    forward_steer(s->f, steering);
    expect_ok(forward_run(s->f, items, ITEMS, NULL, residual, NULL, &e), &e);
    forward_steer(s->f, NULL);
    return residual;
}

static const float *row_of(const struct setting *s, const float *residual, size_t layer, int item,
                           int t)
{
    return residual + ((layer * ITEMS + (size_t)item) * TOKENS + (size_t)t) * s->d;
}

static void the_steps_are_added_at_the_answering_tokens_alone(void **state)
{
    (void)state;
    struct setting s;
    setting_open(&s, "llama", 1);
    float *plain = run_all(&s, NULL, 0);
    for (int layer = 0; layer <= (int)s.layers; layer++) {
        struct steering steering = make_steering(&s, &layer, 1, 0.5);
        float *steered = run_all(&s, &steering, 2);
        for (size_t l = 0; l <= s.layers; l++)
            for (int i = 0; i < ITEMS; i++)
                for (int t = 0; t < TOKENS; t++) {
                    const float *before = row_of(&s, plain, l, i, t),
                                *after = row_of(&s, steered, l, i, t);
                    if (t < TOKENS - 2 || (int)l < layer)
                        assert_memory_equal(before, after, s.d * sizeof *before);
                    else
                        assert_memory_not_equal(before, after, s.d * sizeof *before);
                    for (size_t j = 0; (int)l == layer && t >= TOKENS - 2 && j < s.d; j++)
                        assert_true(after[j] == before[j] + steering.parts[0].step[j]);
                }
        mem_free(steered);
        steering_free(&steering);
    }
    mem_free(plain);
    setting_close(&s);
}

static void add_everywhere(void *user, int layer, float *x, size_t n_rows, const int32_t *item,
                           const int32_t *position)
{
    const struct steering *steering = user;
    const float *step = steering_step(steering, layer);
    (void)item;
    (void)position;
    for (size_t r = 0; step && r < n_rows; r++)
        for (int j = 0; j < steering->hidden; j++)
            x[r * (size_t)steering->hidden + (size_t)j] += step[j];
}

static void at_all_tokens_it_is_what_a_hook_would_add(void **state)
{
    (void)state;
    struct setting s;
    struct plumb_error e = {0};
    const int layers[] = {0, 1};
    setting_open(&s, "llama", 1);
    struct steering steering = make_steering(&s, layers, 2, -0.3);
    float hooked[512], steered[512];
    assert_true(s.d <= 512);
    const struct forward_item whole = {.tokens = s.tokens[0], .n_tokens = TOKENS, .n_wanted = 1};
    const struct forward_hook hook = {.call = add_everywhere, .user = &steering};
    expect_ok(forward_run(s.f, &whole, 1, &hook, NULL, hooked, &e), &e);
    steering.all_tokens = true;
    forward_steer(s.f, &steering);
    expect_ok(forward_run(s.f, &whole, 1, NULL, NULL, steered, &e), &e);
    assert_memory_equal(hooked, steered, s.d * sizeof *hooked);
    /* a prefix is steered as well */
    struct prefix *prefix = NULL;
    expect_ok(prefix_create(s.f, NULL, s.tokens[0], 5, NULL, &prefix, &e), &e);
    const struct forward_item rest = {
        .prefix = prefix, .tokens = s.tokens[0] + 5, .n_tokens = TOKENS - 5, .n_wanted = 1};
    expect_ok(forward_run(s.f, &rest, 1, NULL, NULL, steered, &e), &e);
    assert_memory_equal(hooked, steered, s.d * sizeof *hooked);
    prefix_destroy(prefix);
    steering_free(&steering);
    setting_close(&s);
}

/* The last states and logits of every item, each alone on one thread: [ITEMS, D], [ITEMS, V]. */
static void run_alone(struct setting *s, const struct steering *steering, float *final,
                      float *logits)
{
    struct plumb_error e = {0};
    forward_steer(s->f, steering);
    for (size_t i = 0; i < ITEMS; i++) {
        const struct forward_item item = {
            .tokens = s->tokens[i], .n_tokens = TOKENS, .n_wanted = 1};
        expect_ok(forward_run(s->f, &item, 1, NULL, NULL, final + i * s->d, &e), &e);
        expect_ok(head_logits(s->f, final + i * s->d, 1, logits + i * s->v, &e), &e);
    }
}

/* In one batch, last item first, behind prefixes, with shared beginnings, and from the steered layer on. */
static void the_bits_depend_on_the_text_and_the_steering_alone(void **state)
{
    (void)state;
    static const char *const names[] = {"llama", "gemma2", "gpt2", "phi"};
    for (size_t c = 0; c < sizeof names / sizeof *names; c++) {
        struct setting s, other;
        struct plumb_error e = {0};
        struct prefix *common = NULL, *whole[ITEMS];
        struct forward_item items[ITEMS];
        setting_open(&s, names[c], 1);
        setting_open(&other, names[c], 3);
        const int layers[] = {1, (int)s.layers};
        struct steering steering = make_steering(&s, layers, 2, 0.2);
        steering.clips = true;
        steering.clip = 0.4f;
        float *final = mem_array(ITEMS * s.d, sizeof *final),
              *logits = mem_array(ITEMS * s.v, sizeof *logits),
              *found = mem_array(ITEMS * s.d, sizeof *found),
              *spoken = mem_array(ITEMS * s.v, sizeof *spoken),
              *states = mem_array((s.layers + 1) * ITEMS * s.d, sizeof *states);
        assert_true(final && logits && found && spoken && states);
        run_alone(&s, &steering, final, logits);
        forward_steer(other.f, &steering);

        for (int i = 0; i < ITEMS; i++)
            items[i] = (struct forward_item){
                .tokens = s.tokens[ITEMS - 1 - i], .n_tokens = TOKENS, .n_wanted = 1};
        expect_ok(forward_run(other.f, items, ITEMS, NULL, NULL, found, &e), &e);
        expect_ok(head_logits(other.f, found, ITEMS, spoken, &e), &e);
        for (size_t i = 0; i < ITEMS; i++) {
            assert_memory_equal(found + i * s.d, final + (ITEMS - 1 - i) * s.d,
                                s.d * sizeof *final);
            assert_memory_equal(spoken + i * s.v, logits + (ITEMS - 1 - i) * s.v,
                                s.v * sizeof *final);
        }

        for (int i = 0; i < ITEMS; i++) /* what stands in front is computed once */
            items[i] = (struct forward_item){.tokens = s.tokens[i] + (i ? 6 : 0),
                                             .n_tokens = TOKENS - (i ? 6 : 0),
                                             .n_shared = i ? 6 : 0,
                                             .n_wanted = 1};
        expect_ok(forward_run(other.f, items, ITEMS, NULL, NULL, found, &e), &e);
        assert_memory_equal(found, final, ITEMS * s.d * sizeof *final);

        /* all but the last token as a prefix, made before there was a steering; then from layer 1 */
        forward_steer(other.f, NULL);
        expect_ok(prefix_create(other.f, NULL, s.tokens[0], 6, NULL, &common, &e), &e);
        for (int i = 0; i < ITEMS; i++) {
            expect_ok(
                prefix_create(other.f, common, s.tokens[i] + 6, TOKENS - 7, NULL, &whole[i], &e),
                &e);
            items[i] = (struct forward_item){.prefix = whole[i],
                                             .tokens = &s.tokens[i][TOKENS - 1],
                                             .n_tokens = 1,
                                             .n_wanted = 1};
        }
        expect_ok(forward_run(other.f, items, ITEMS, NULL, states, NULL, &e), &e);
        forward_steer(other.f, &steering);
        for (int layer = 0; layer <= 1; layer++) {
            expect_ok(forward_run_from(other.f, items, ITEMS, layer,
                                       states + (size_t)layer * ITEMS * s.d, found, &e),
                      &e);
            assert_memory_equal(found, final, ITEMS * s.d * sizeof *final);
        }
        for (int i = 0; i < ITEMS; i++)
            prefix_destroy(whole[i]);
        prefix_destroy(common);
        mem_free(final);
        mem_free(logits);
        mem_free(found);
        mem_free(spoken);
        mem_free(states);
        steering_free(&steering);
        setting_close(&s);
        setting_close(&other);
    }
}

static void a_run_from_the_last_layer_is_the_addition(void **state)
{
    (void)state;
    struct setting s;
    struct plumb_error e = {0};
    setting_open(&s, "llama", 1);
    const int last = (int)s.layers;
    struct steering steering = make_steering(&s, &last, 1, 1);
    const struct forward_item item = {.tokens = s.tokens[0], .n_tokens = 1, .n_wanted = 1};
    float x[512] = {0}, out[512] = {0};
    for (size_t j = 0; j < s.d; j++)
        x[j] = (float)j;
    forward_steer(s.f, &steering);
    expect_ok(forward_run_from(s.f, &item, 1, last, x, out, &e), &e);
    for (size_t j = 0; j < s.d; j++)
        assert_true(out[j] == x[j] + steering.parts[0].step[j]);
    assert_int_equal(forward_run_from(s.f, &item, 1, last + 1, x, out, &e), PLUMB_INPUT);
    const struct forward_item unwanted = {.tokens = s.tokens[0], .n_tokens = 2, .n_wanted = 1};
    assert_int_equal(forward_run_from(s.f, &unwanted, 1, 0, x, out, &e), PLUMB_INPUT);
    steering_free(&steering);
    setting_close(&s);
}

/* Item 1 goes on behind the last token of item 0, which is steered there and must not be for item 1. */
static void sharing_a_steered_token_is_refused(void **state)
{
    (void)state;
    struct setting s;
    struct plumb_error e = {0};
    float out[2 * 512];
    setting_open(&s, "llama", 1);
    const int layer = 1;
    struct steering steering = make_steering(&s, &layer, 1, 0.1);
    const struct forward_item items[] = {
        {.tokens = s.tokens[0], .n_tokens = 6, .n_wanted = 1},
        {.tokens = s.tokens[0] + 6, .n_tokens = 3, .n_shared = 6, .n_wanted = 1}};
    expect_ok(forward_run(s.f, items, 2, NULL, NULL, out, &e), &e);
    forward_steer(s.f, &steering);
    assert_int_equal(forward_run(s.f, items, 2, NULL, NULL, out, &e), PLUMB_INPUT);
    steering.all_tokens = true;
    expect_ok(forward_run(s.f, items, 2, NULL, NULL, out, &e), &e);
    steering_free(&steering);
    setting_close(&s);
}

/* z <- clamp(RMSNorm(h), -c, c), then the unembedding: against sums in f64 over the model's own tensors. */
static void the_clip_stands_between_the_final_norm_and_the_unembedding(void **state)
{
    (void)state;
    struct setting s;
    struct plumb_error e = {0};
    const int none = 0;
    setting_open(&s, "llama", 1);
    struct steering steering = make_steering(&s, &none, 0, 0);
    float *final = mem_array(ITEMS * s.d, sizeof *final),
          *plain = mem_array(ITEMS * s.v, sizeof *plain),
          *logits = mem_array(ITEMS * s.v, sizeof *logits), row[512];
    assert_true(final && plain && logits);
    run_alone(&s, NULL, final, plain);
    steering.clips = true;
    forward_steer(s.f, &steering);
    steering.clip = 1e6f; /* beyond every feature */
    expect_ok(head_logits(s.f, final, ITEMS, logits, &e), &e);
    assert_memory_equal(logits, plain, ITEMS * s.v * sizeof *logits);
    steering.clip = 0.75f;
    expect_ok(head_logits(s.f, final, ITEMS, logits, &e), &e);
    assert_memory_not_equal(logits, plain, ITEMS * s.v * sizeof *logits);
    for (size_t i = 0; i < ITEMS; i++) {
        const float *h = final + i * s.d;
        double square = 0;
        for (size_t j = 0; j < s.d; j++)
            square += (double)h[j] * (double)h[j];
        const double root = sqrt(square / (double)s.d + (double)model_config(s.m)->norm_eps);
        for (size_t v = 0; v < s.v; v += 7) {
            double expected = 0;
            expect_ok(model_read_rows(s.m, s.m->weights.head_tensor, v, 1, row, &e), &e);
            for (size_t j = 0; j < s.d; j++) {
                const double z = (double)h[j] / root * (double)s.m->weights.final_norm.weight[j];
                expected += fmin(fmax(z, -0.75), 0.75) * (double)row[j];
            }
            assert_true(fabs(expected - (double)logits[i * s.v + v]) < 1e-4);
        }
    }
    mem_free(final);
    mem_free(plain);
    mem_free(logits);
    steering_free(&steering);
    setting_close(&s);
}

/* The direction of tools/golden/make_steering.py. */
static struct steering golden_steering(const struct setting *s, struct json row)
{
    struct steering out;
    struct plumb_error e = {0};
    double scale = 0, alpha = 0, clip = 0, square = 0;
    int64_t layer = 0;
    assert_true(json_integer(json_get(row, "layer"), &layer) &&
                json_number(json_get(row, "scale"), &scale) &&
                json_number(json_get(row, "alpha"), &alpha) &&
                json_number(json_get(row, "clip"), &clip));
    expect_ok(steering_create((int)s->layers, (int)s->d, 1, &out, &e), &e);
    for (int j = 0; j < out.hidden; j++) {
        const double x = (j * 37 % 29 - 14) / 64.0;
        out.parts[0].vector[j] = (float)x;
        square += x * x;
    }
    for (int j = 0; j < out.hidden; j++)
        out.parts[0].vector[j] = (float)((double)out.parts[0].vector[j] / sqrt(square));
    out.parts[0].layer = (int)layer;
    out.parts[0].scale = scale;
    out.clips = clip > 0;
    out.clip = (float)clip;
    steering_strength(&out, alpha);
    return out;
}

static void steered_and_clipped_logits_are_those_of_transformers(void **state)
{
    (void)state;
    char path[512];
    const char *data = getenv("PLUMB_TEST_DATA");
    struct plumb_error e = {0};
    struct json_document *golden;
    int32_t tokens[TOKENS];
    int64_t answering = 0;
    snprintf(path, sizeof path, "%s/model/steering.json", data ? data : "tests/data");
    expect_ok(json_open(path, &golden, &e), &e);
    const struct json root = json_root(golden), models = json_get(root, "models");
    assert_true(json_integer(json_get(root, "steered"), &answering));
    assert_int_equal(json_size(json_get(root, "tokens")), TOKENS);
    for (size_t t = 0; t < TOKENS; t++) {
        int64_t id = 0;
        assert_true(json_integer(json_at(json_get(root, "tokens"), t), &id));
        tokens[t] = (int32_t)id;
    }
    assert_true(json_size(models) >= 5);
    for (size_t i = 0; i < json_size(models); i++) {
        const struct json row = json_at(models, i), expected = json_get(row, "logits");
        struct setting s;
        const char *name;
        size_t n;
        assert_true(json_string(json_get(row, "name"), &name, &n));
        setting_open(&s, name, 1);
        struct steering steering = golden_steering(&s, row);
        const struct forward_item item = {
            .tokens = tokens, .n_tokens = TOKENS, .n_wanted = 1, .n_answering = (int)answering};
        float *final = mem_array(s.d, sizeof *final), *logits = mem_array(s.v, sizeof *logits);
        assert_true(final && logits);
        forward_steer(s.f, &steering);
        expect_ok(forward_run(s.f, &item, 1, NULL, NULL, final, &e), &e);
        expect_ok(head_logits(s.f, final, 1, logits, &e), &e);
        assert_int_equal(json_size(expected), s.v);
        for (size_t v = 0; v < s.v; v++) {
            double x = 0;
            assert_true(json_number(json_at(expected, v), &x));
            if (!(fabs(x - (double)logits[v]) < 2e-5)) /* f32 against f64, logits of order 1 */
                fail_msg("%s, row %zu: logit %zu is %g, expected %g", name, i, v, (double)logits[v],
                         x);
        }
        mem_free(final);
        mem_free(logits);
        steering_free(&steering);
        setting_close(&s);
    }
    json_close(golden);
}

static void expect_equal(const struct steering *a, const struct steering *b)
{
    assert_int_equal(a->n_parts, b->n_parts);
    assert_int_equal(a->n_layers, b->n_layers);
    assert_int_equal(a->hidden, b->hidden);
    assert_int_equal(a->all_tokens, b->all_tokens);
    assert_int_equal(a->clips, b->clips);
    assert_true(a->clip == b->clip && a->alpha == b->alpha);
    assert_string_equal(a->model, b->model);
    assert_string_equal(a->fingerprint, b->fingerprint);
    assert_string_equal(a->architecture, b->architecture);
    assert_string_equal(a->how, b->how);
    assert_string_equal(a->program, b->program);
    for (int i = 0; i < a->n_parts; i++) {
        assert_int_equal(a->parts[i].layer, b->parts[i].layer);
        assert_true(a->parts[i].scale == b->parts[i].scale);
        assert_memory_equal(a->parts[i].vector, b->parts[i].vector,
                            (size_t)a->hidden * sizeof(float));
        assert_memory_equal(a->parts[i].step, b->parts[i].step, (size_t)a->hidden * sizeof(float));
    }
}

static void a_file_holds_all_of_it(void **state)
{
    (void)state;
    struct setting s;
    struct plumb_error e = {0};
    struct steering read;
    struct hash128 before, after;
    const int layers[] = {0, 2};
    setting_open(&s, "llama", 1);
    struct steering made = make_steering(&s, layers, 2, -1.0 / 3);
    const char *path = temporary_path("direction.safetensors");
    for (int variant = 0; variant < 3; variant++) { /* last tokens; all; with a clip */
        made.all_tokens = variant == 1;
        made.clips = variant == 2;
        made.clip = variant == 2 ? 0.1f : 0;
        expect_ok(steering_write(&made, path, &e), &e);
        expect_ok(steering_read(path, &read, &e), &e);
        expect_equal(&made, &read);
        expect_ok(steering_hash(&made, &before, &e), &e);
        expect_ok(steering_hash(&read, &after, &e), &e);
        assert_memory_equal(&before, &after, sizeof before);
        steering_strength(&read, 0.1);
        expect_ok(steering_hash(&read, &after, &e), &e);
        assert_memory_not_equal(&before, &after, sizeof before);
        steering_free(&read);
    }
    char spec[512];
    snprintf(spec, sizeof spec, "%s:0.25", path);
    expect_ok(steering_open(spec, s.m, &read, &e), &e);
    assert_true(read.alpha == 0.25);
    assert_true(read.parts[1].step[3] ==
                (float)(0.25 * read.parts[1].scale * (double)read.parts[1].vector[3]));
    steering_free(&read);
    snprintf(spec, sizeof spec, "%s:much", path);
    assert_int_equal(steering_open(spec, s.m, &read, &e), PLUMB_INPUT);
    refusal_check(&e, spec, "\"much\"");
    steering_free(&made);
    setting_close(&s);
}

static void a_direction_of_another_model_is_refused(void **state)
{
    (void)state;
    struct setting s, other;
    struct plumb_error e = {0};
    struct steering read;
    const int layer = 1;
    setting_open(&s, "llama", 1);
    setting_open(&other, "mistral", 1);
    struct steering made = make_steering(&s, &layer, 1, 0.1);
    const char *path = temporary_path("other.safetensors");
    expect_ok(steering_write(&made, path, &e), &e);
    expect_ok(steering_open(path, s.m, &read, &e), &e);
    steering_free(&read);
    assert_int_equal(steering_open(path, other.m, &read, &e), PLUMB_INPUT);
    refusal_check(&e, path, "another model");
    steering_free(&made);
    setting_close(&s);
    setting_close(&other);
}

/* A file of one layer, two wide, with these changes of its notes and its vector. */
static void expect_refused(const char *key, const char *value, const char *tensor, float first,
                           const char *place)
{
    static const char *const keys[] = {
        "format",       "version", "program", "model",  "model_fingerprint",
        "architecture", "how",     "tokens",  "layers", "hidden_size",
        "alpha",        "scale.1"};
    static const char *const values[] = {"plumb-direction",
                                         "1",
                                         "plumb 0",
                                         "m",
                                         "00112233445566778899aabbccddeeff",
                                         "a",
                                         "h",
                                         "last",
                                         "3",
                                         "2",
                                         "0.1",
                                         "4"};
    enum { KEYS = sizeof keys / sizeof *keys };
    struct safetensors_note notes[KEYS];
    struct safetensors_entry entry = {.name = tensor, .type = DTYPE_F32, .rank = 1, .shape = {2}};
    struct buffer b = BUFFER_EMPTY;
    struct plumb_error e = {0};
    struct steering out;
    const float vector[2] = {first, 0.8f};
    size_t n = 0;
    for (size_t i = 0; i < KEYS; i++)
        if (strcmp(keys[i], key) != 0)
            notes[n++] = (struct safetensors_note){keys[i], values[i]};
        else if (value)
            notes[n++] = (struct safetensors_note){key, value};
    expect_ok(safetensors_header(&entry, 1, notes, n, &b, NULL, &e), &e);
    buffer_add(&b, vector, sizeof vector);
    assert_false(b.failed);
    uint8_t *bytes = exact_copy(&b);
    const int status = steering_parse(bytes, b.size, "input", &out, &e);
    if (place) {
        assert_int_equal(status, PLUMB_INPUT);
        refusal_check(&e, "input", place);
    } else {
        expect_ok(status, &e);
        steering_free(&out);
    }
    mem_free(bytes);
    buffer_free(&b);
}

static void files_that_are_no_directions_are_refused(void **state)
{
    (void)state;
    expect_refused("none", NULL, "direction.1", 0.6f, NULL); /* a good one */
    expect_refused("format", NULL, "direction.1", 0.6f, "\"format\"");
    expect_refused("format", "plumb-trace", "direction.1", 0.6f, "plumb-trace");
    expect_refused("version", "2", "direction.1", 0.6f, "version 2");
    expect_refused("model_fingerprint", "00", "direction.1", 0.6f, "model_fingerprint");
    expect_refused("tokens", "some", "direction.1", 0.6f, "\"some\"");
    expect_refused("alpha", "nan", "direction.1", 0.6f, "alpha");
    expect_refused("alpha", "x", "direction.1", 0.6f, "alpha");
    expect_refused("layers", "0", "direction.1", 0.6f, "layers");
    expect_refused("layers", "2.5", "direction.1", 0.6f, "layers");
    expect_refused("hidden_size", "3", "direction.1", 0.6f, "direction.1");
    expect_refused("hidden_size", "100000000000", "direction.1", 0.6f, "hidden_size");
    expect_refused("scale.1", NULL, "direction.1", 0.6f, "scale.1");
    expect_refused("scale.1", "-1", "direction.1", 0.6f, "scale.1");
    expect_refused("none", NULL, "direction.4", 0.6f, "direction.4");
    expect_refused("none", NULL, "direction.01", 0.6f, "direction.01");
    expect_refused("none", NULL, "vector", 0.6f, "vector");
    expect_refused("none", NULL, "direction.1", 6.0f, "length");
    expect_refused("none", NULL, "direction.1", NAN, "length");
}

static void put_text(struct buffer *b, const char *s)
{
    const uint64_t n = strlen(s);
    buffer_add(b, &n, sizeof n);
    buffer_puts(b, s);
}

static void put_key(struct buffer *b, const char *key, const char *value)
{
    const uint32_t string = 8;
    put_text(b, key);
    buffer_add(b, &string, sizeof string);
    put_text(b, value);
}

/* The bytes as the specification of GGUF (ggml docs/gguf.md) lays them out, put together here by hand. */
static void a_control_vector_has_the_bytes_that_llama_cpp_reads(void **state)
{
    (void)state;
    struct steering s;
    struct plumb_error e = {0};
    struct file_map found;
    expect_ok(steering_create(6, 4, 2, &s, &e), &e);
    s.model = "m";
    s.architecture = "LlamaForCausalLM";
    s.how = "h";
    s.parts[0].layer = 2;
    s.parts[1].layer = 6;
    s.parts[0].vector[1] = 1;
    s.parts[1].vector[3] = -1;
    s.parts[0].scale = 8;
    s.parts[1].scale = 16;
    steering_strength(&s, 0.5);
    const char *path = temporary_path("cv.gguf");
    expect_ok(steering_export(&s, path, &e), &e);

    struct buffer b = BUFFER_EMPTY;
    const uint32_t version = 3, i32 = 5, f32 = 0, one = 1;
    const int32_t count = 2;
    const uint64_t tensors = 2, keys = 5, d = 4;
    buffer_add(&b, "GGUF", 4);
    buffer_add(&b, &version, sizeof version);
    buffer_add(&b, &tensors, sizeof tensors);
    buffer_add(&b, &keys, sizeof keys);
    put_key(&b, "general.architecture", "controlvector");
    put_key(&b, "general.name", "m");
    put_key(&b, "general.description", "h");
    put_key(&b, "controlvector.model_hint", "LlamaForCausalLM");
    put_text(&b, "controlvector.layer_count");
    buffer_add(&b, &i32, sizeof i32);
    buffer_add(&b, &count, sizeof count);
    for (uint64_t i = 0; i < 2; i++) { /* our layers 2 and 6 are its blocks 1 and 5 */
        const uint64_t offset = 32 * i;
        put_text(&b, i == 0 ? "direction.1" : "direction.5");
        buffer_add(&b, &one, sizeof one);
        buffer_add(&b, &d, sizeof d);
        buffer_add(&b, &f32, sizeof f32);
        buffer_add(&b, &offset, sizeof offset);
    }
    while (b.size % 32)
        buffer_putc(&b, 0);
    const float data[16] = {0, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0, -8};
    buffer_add(&b, data, sizeof data);
    assert_false(b.failed);
    expect_ok(file_map_open(path, &found, &e), &e);
    assert_int_equal(found.size, b.size);
    assert_memory_equal(found.data, b.data, b.size);
    file_map_close(&found);
    buffer_free(&b);

    s.parts[0].layer = 1; /* llama.cpp adds nothing to block 0 */
    assert_int_equal(steering_export(&s, path, &e), PLUMB_INPUT);
    s.parts[0].layer = 2;
    s.clips = true;
    assert_int_equal(steering_export(&s, path, &e), PLUMB_INPUT);
    steering_free(&s);
}

/* Two prompts that begin alike, drawn twice each: every text is what whole runs of it say, steered from its prompt's last token
   on. */
static void generated_texts_are_steered_from_the_last_token_of_the_prompt(void **state)
{
    (void)state;
    static const char *const prompts[] = {"The province of the large country in the north",
                                          "The province of the large country in the south"};
    enum { PROMPTS = 2, NEW = 8 };
    struct setting s;
    struct plumb_error e = {0};
    struct model_options how = model_options_default();
    struct generate_options o = generate_options_default();
    struct token_list tokens[PROMPTS] = {{0}};
    struct generate_prompt inputs[PROMPTS];
    struct generated plain[PROMPTS], steered[PROMPTS];
    struct token_logprob top;
    char *path = file_join(getenv("PLUMB_TEST_GOLDEN"), "../../demo/base");
    how.threads = 2;
    expect_ok(model_open(path, &how, &s.m, &e), &e);
    expect_ok(forward_create(s.m, &s.f, &e), &e);
    s.layers = (size_t)model_config(s.m)->n_layers;
    s.d = (size_t)model_config(s.m)->hidden;
    s.v = (size_t)model_config(s.m)->vocabulary;
    for (int i = 0; i < PROMPTS; i++) {
        expect_ok(tokenizer_encode(model_tokenizer(s.m), prompts[i], strlen(prompts[i]),
                                   (struct tokenizer_options){.add_special = true}, &tokens[i], &e),
                  &e);
        inputs[i] = (struct generate_prompt){tokens[i].ids, tokens[i].count};
    }
    const int layer = 5;
    struct steering steering = make_steering(&s, &layer, 1, 8);
    o.max_tokens = NEW;
    expect_ok(generate(s.m, inputs, PROMPTS, &o, NULL, plain, &e), &e);
    o.steering = &steering;
    expect_ok(generate(s.m, inputs, PROMPTS, &o, NULL, steered, &e), &e);
    float *row = mem_array(s.d, sizeof *row), *logits = mem_array(s.v, sizeof *logits);
    assert_true(row && logits);
    forward_steer(s.f, &steering);
    bool differs = false;
    for (int i = 0; i < PROMPTS; i++) {
        int32_t text[64];
        const int n = (int)tokens[i].count;
        assert_true(n + NEW <= 64);
        memcpy(text, tokens[i].ids, (size_t)n * sizeof *text);
        for (size_t t = 0; t < steered[i].n; t++) {
            const struct forward_item item = {
                .tokens = text, .n_tokens = n + (int)t, .n_wanted = 1, .n_answering = 1 + (int)t};
            expect_ok(forward_run(s.f, &item, 1, NULL, NULL, row, &e), &e);
            expect_ok(head_logits(s.f, row, 1, logits, &e), &e);
            sampler_top(logits, s.v, 1, &top);
            assert_int_equal(steered[i].tokens[t], top.id);
            assert_memory_equal(&steered[i].logprobs[t], &top.logprob, sizeof top.logprob);
            text[n + (int)t] = top.id;
        }
        differs = differs || steered[i].n != plain[i].n ||
                  memcmp(steered[i].logprobs, plain[i].logprobs, plain[i].n * sizeof(float)) != 0;
        token_list_free(&tokens[i]);
    }
    assert_true(differs);
    generated_free(plain, PROMPTS);
    generated_free(steered, PROMPTS);
    mem_free(row);
    mem_free(logits);
    mem_free(path);
    steering_free(&steering);
    setting_close(&s);
}

static void failed_allocations_are_errors(void **state)
{
    (void)state;
    struct setting s;
    struct plumb_error e = {0};
    const int layer = 1;
    setting_open(&s, "llama", 1);
    struct steering made = make_steering(&s, &layer, 1, 0.1);
    const char *path = temporary_path("again.safetensors");
    expect_ok(steering_write(&made, path, &e), &e);
    long failures = 0;
    for (long n = 1;; n++, failures++) {
        struct steering read;
        mem_fail_after(n);
        int status = steering_read(path, &read, &e);
        if (status == PLUMB_OK) {
            status = steering_write(&read, path, &e);
            steering_free(&read);
        }
        mem_fail_after(0);
        if (status == PLUMB_OK)
            break;
        assert_int_equal(status, PLUMB_MACHINE);
    }
    assert_true(failures > 20);
    steering_free(&made);
    setting_close(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_steps_are_added_at_the_answering_tokens_alone),
        cmocka_unit_test(at_all_tokens_it_is_what_a_hook_would_add),
        cmocka_unit_test(the_bits_depend_on_the_text_and_the_steering_alone),
        cmocka_unit_test(a_run_from_the_last_layer_is_the_addition),
        cmocka_unit_test(sharing_a_steered_token_is_refused),
        cmocka_unit_test(the_clip_stands_between_the_final_norm_and_the_unembedding),
        cmocka_unit_test(steered_and_clipped_logits_are_those_of_transformers),
        cmocka_unit_test(a_file_holds_all_of_it),
        cmocka_unit_test(a_direction_of_another_model_is_refused),
        cmocka_unit_test(files_that_are_no_directions_are_refused),
        cmocka_unit_test(a_control_vector_has_the_bytes_that_llama_cpp_reads),
        cmocka_unit_test(generated_texts_are_steered_from_the_last_token_of_the_prompt),
        cmocka_unit_test(failed_allocations_are_errors),
    };
    return cmocka_run_group_tests(tests, temporary_folder_create, temporary_folder_remove);
}
