/*
 * frontier_diversity.c - see frontier_diversity.h.
 */
#include "merge/frontier_diversity.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/buffer.h"
#include "base/file.h"
#include "base/hash.h"
#include "base/json.h"
#include "base/memory.h"
#include "base/random.h"
#include "base/size.h"
#include "base/sum.h"
#include "metric/diversity.h"
#include "metric/interval.h"
#include "model/generate.h"
#include "model/tokenizer.h"

enum { VERSION = 1, BATCH = 64 };

struct frontier_sampling frontier_sampling_default(void)
{
    return (struct frontier_sampling){.samples = 10, .max_tokens = 32, .temperature = 1};
}

static const struct {
    const char *key, *words;
} names[FRONTIER_DIVERSITIES] = {
    [FRONTIER_DISTINCT_1] = {"distinct_1", "distinct-1"},
    [FRONTIER_DISTINCT_2] = {"distinct_2", "distinct-2"},
    [FRONTIER_SELF_BLEU] = {"self_bleu", "self-BLEU"},
    [FRONTIER_ENTROPY] = {"token_entropy", "entropy"},
    [FRONTIER_DISTINCT] = {"distinct_answers", "distinct answers"},
    [FRONTIER_JACCARD] = {"jaccard_distance", "Jaccard"},
    [FRONTIER_TOKENS] = {"tokens", "tokens"},
};

const char *frontier_diversity_key(enum frontier_diversity_metric m)
{
    return names[m].key;
}

const char *frontier_diversity_words(enum frontier_diversity_metric m)
{
    return names[m].words;
}

/* ---- sampling ---- */

/* Everything that the numbers depend on. */
static int key_of(const struct model *m, const struct frontier_sampling *s, char out[33],
                  struct plumb_error *e)
{
    struct hash128 model;
    const int numbers[] = {VERSION, s->samples, s->max_tokens, (int)model_precision(m)};
    int status = model_fingerprint(m, &model, e);
    struct hash_state *h = status == PLUMB_OK ? hash_create() : NULL;
    if (!h)
        return status == PLUMB_OK ? error_memory(e, "a hash") : status;
    const struct hash128 tokenizer = tokenizer_hash(model_tokenizer(m));
    hash_add(h, &model, sizeof model);
    hash_add(h, &tokenizer, sizeof tokenizer);
    hash_add(h, numbers, sizeof numbers);
    hash_add(h, &s->temperature, sizeof s->temperature);
    hash_add(h, &s->seed, sizeof s->seed);
    for (size_t i = 0; i < s->n; i++) {
        hash_add(h, &s->prompts[i].size, sizeof s->prompts[i].size);
        hash_add(h, s->prompts[i].text, s->prompts[i].size);
    }
    hash_hex(hash_finish(h), out);
    return PLUMB_OK;
}

static bool is_finished(const char *path, const char *key)
{
    struct json_document *d;
    struct plumb_error ignored;
    if (!file_exists(path) || json_open(path, &d, &ignored) != PLUMB_OK)
        return false;
    const bool same = json_is_string(json_get(json_root(d), "key"), key);
    json_close(d);
    return same;
}

/* An answer's text without the space around it, in tokens again: two texts that are the same are then the same answer, however
   the model came to spell them. */
static int answer_tokens(const struct tokenizer *t, const struct generated *g,
                         struct token_list *out, struct plumb_error *e)
{
    const char *from = g->text, *to = g->text + g->text_size;
    while (from < to && strchr(" \t\r\n", *from))
        from++;
    while (from < to && strchr(" \t\r\n", to[-1]))
        to--;
    return from < to ? tokenizer_encode(t, from, (size_t)(to - from), (struct tokenizer_options){0},
                                        out, e)
                     : PLUMB_OK;
}

/* Mean entropy and length over samples, and what diversity.h says. */
static int measure_prompt(const struct tokenizer *t, const struct generated *texts, size_t n,
                          double out[FRONTIER_DIVERSITIES], struct plumb_error *e)
{
    struct token_list *tokens = mem_zalloc(n, sizeof *tokens);
    struct diversity_answer *answers = mem_zalloc(n, sizeof *answers);
    struct sum entropy = {0}, length = {0};
    size_t places = 0;
    int status = tokens && answers ? PLUMB_OK : error_memory(e, "the answers");
    for (size_t i = 0; i < n && status == PLUMB_OK; i++) {
        status = answer_tokens(t, &texts[i], &tokens[i], e);
        answers[i] = (struct diversity_answer){tokens[i].ids, tokens[i].count};
        sum_add(&length, (double)tokens[i].count);
        for (size_t j = 0; j < texts[i].n; j++, places++)
            sum_add(&entropy, (double)texts[i].entropies[j]);
    }
    struct diversity d;
    if (status == PLUMB_OK)
        status = diversity_measure(answers, n, &d, e);
    if (status == PLUMB_OK) {
        out[FRONTIER_DISTINCT_1] = d.distinct_1;
        out[FRONTIER_DISTINCT_2] = d.distinct_2;
        out[FRONTIER_SELF_BLEU] = d.self_bleu;
        out[FRONTIER_ENTROPY] = places ? sum_value(entropy) / (double)places : NAN;
        out[FRONTIER_DISTINCT] = d.distinct;
        out[FRONTIER_JACCARD] = d.jaccard;
        out[FRONTIER_TOKENS] = sum_value(length) / (double)n;
    }
    for (size_t i = 0; tokens && i < n; i++)
        token_list_free(&tokens[i]);
    mem_free(tokens);
    mem_free(answers);
    return status;
}

static bool go_on(void *user)
{
    const struct frontier_sampling *s = user;
    return progress_report(s->progress, 0, s->n, "prompts sampled", NULL);
}

/* texts: [n, samples] */
static int sample(const struct model *m, const struct frontier_sampling *s,
                  const struct token_list *tokens, struct generated *texts, struct plumb_error *e)
{
    static const char *const line_break[] = {"\n"};
    struct generate_options how = generate_options_default();
    struct generate_prompt *inputs = mem_array(s->n, sizeof *inputs);
    struct frontier_sampling asked = *s;
    const struct generate_listener l = {.go_on = go_on, .user = &asked};
    if (!inputs)
        return error_memory(e, "the prompts");
    for (size_t i = 0; i < s->n; i++)
        inputs[i] = (struct generate_prompt){tokens[i].ids, tokens[i].count};
    how.max_tokens = s->max_tokens;
    how.sampling.temperature = s->temperature;
    how.sampling.seed = s->seed;
    how.stops = line_break;
    how.n_stops = 1;
    how.entropies = true;
    how.batch = (BATCH + s->samples - 1) / s->samples * s->samples;
    const int status = generate_samples(m, inputs, s->n, s->samples, &how, &l, texts, e);
    mem_free(inputs);
    return status;
}

static void write_prompts(struct json_writer *j, const double (*values)[FRONTIER_DIVERSITIES],
                          size_t n)
{
    json_write_key(j, "prompts");
    json_write_array(j);
    for (size_t i = 0; i < n; i++) {
        json_write_object(j);
        for (int k = 0; k < FRONTIER_DIVERSITIES; k++) {
            json_write_key(j, names[k].key);
            json_write_double(j, values[i][k]);
        }
        json_write_end(j, '}');
    }
    json_write_end(j, ']');
}

static int write_file(const struct frontier_sampling *s, const char *key,
                      const double (*values)[FRONTIER_DIVERSITIES], const char *path,
                      struct plumb_error *e)
{
    struct buffer text = BUFFER_EMPTY;
    struct file_writer file;
    struct json_writer w = json_writer_start(&text, 1), *j = &w;
    json_write_object(j);
    json_write_key(j, "plumb_diversity");
    json_write_integer(j, VERSION);
    json_write_key(j, "key");
    json_write_string(j, key);
    json_write_key(j, "samples");
    json_write_integer(j, s->samples);
    json_write_key(j, "max_tokens");
    json_write_integer(j, s->max_tokens);
    json_write_key(j, "temperature");
    json_write_double(j, s->temperature);
    json_write_key(j, "seed");
    json_write_integer(j, (int64_t)s->seed);
    write_prompts(j, values, s->n);
    json_write_end(j, '}');
    buffer_putc(&text, '\n');
    int status =
        text.failed ? error_memory(e, "the numbers of a sample") : file_writer_open(path, &file, e);
    if (status == PLUMB_OK) {
        fwrite(text.data, 1, text.size, file.stream);
        status = file_writer_commit(&file, e);
    }
    buffer_free(&text);
    return status;
}

static int check_sampling(const struct frontier_sampling *s, struct plumb_error *e)
{
    if (s->n == 0)
        return error_set(e, PLUMB_INPUT, "there is no prompt to sample answers to");
    if (s->samples < 2 || s->samples > 1000)
        return error_set(e, PLUMB_INPUT,
                         "%d samples of a prompt; two or more can differ, a thousand are the most",
                         s->samples);
    if (s->max_tokens < 1)
        return error_set(e, PLUMB_INPUT, "at most %d tokens of an answer; expected 1 or more",
                         s->max_tokens);
    return s->temperature > 0 ? PLUMB_OK
                              : error_set(e, PLUMB_INPUT,
                                          "a temperature of %g draws nothing; expected one above 0",
                                          s->temperature);
}

int frontier_diversity_record(const struct model *m, const struct frontier_sampling *s,
                              const char *path, bool *resumed, struct plumb_error *e)
{
    char key[33];
    size_t n_texts;
    const struct tokenizer *t;
    *resumed = false;
    int status = check_sampling(s, e);
    if (status == PLUMB_OK)
        status = model_need_tokenizer(m, &t, e);
    if (status == PLUMB_OK)
        status = key_of(m, s, key, e);
    if (status != PLUMB_OK)
        return status;
    if (is_finished(path, key)) {
        *resumed = true;
        return PLUMB_OK;
    }
    if (!size_mul(s->n, (size_t)s->samples, &n_texts))
        return error_memory(e, "so many texts");
    struct token_list *tokens = mem_zalloc(s->n, sizeof *tokens);
    struct generated *texts = mem_zalloc(n_texts, sizeof *texts);
    double(*values)[FRONTIER_DIVERSITIES] = mem_zalloc(s->n, sizeof *values);
    if (!tokens || !texts || !values)
        status = error_memory(e, "the answers of a model");
    for (size_t i = 0; i < s->n && status == PLUMB_OK; i++)
        status = tokenizer_encode(t, s->prompts[i].text, s->prompts[i].size,
                                  (struct tokenizer_options){.add_special = true}, &tokens[i], e);
    if (status == PLUMB_OK)
        status = sample(m, s, tokens, texts, e);
    for (size_t i = 0; i < s->n && status == PLUMB_OK; i++)
        status =
            measure_prompt(t, texts + i * (size_t)s->samples, (size_t)s->samples, values[i], e);
    if (status == PLUMB_OK)
        status = write_file(s, key, (const double(*)[FRONTIER_DIVERSITIES])values, path, e);
    if (texts)
        generated_free(texts, n_texts);
    for (size_t i = 0; tokens && i < s->n; i++)
        token_list_free(&tokens[i]);
    mem_free(tokens);
    mem_free(texts);
    mem_free(values);
    return status;
}

/* ---- reading ---- */

/* The files' numbers, [files, prompts, FRONTIER_DIVERSITIES]. */
struct table {
    double *values;
    size_t files, prompts;
};

static double *cell(const struct table *t, size_t file, size_t prompt)
{
    return t->values + (file * t->prompts + prompt) * FRONTIER_DIVERSITIES;
}

static int read_file(const char *path, size_t file, struct table *t, struct plumb_error *e)
{
    struct json_document *d;
    int status = json_open(path, &d, e);
    if (status != PLUMB_OK)
        return status;
    const struct json prompts = json_get(json_root(d), "prompts");
    const size_t n = json_size(prompts);
    if (!t->values) {
        t->prompts = n;
        t->values = mem_zalloc(t->files * (n + 1), FRONTIER_DIVERSITIES * sizeof *t->values);
        status = t->values ? PLUMB_OK : error_memory(e, "the numbers of samples");
    }
    if (status == PLUMB_OK && (n == 0 || n != t->prompts))
        status = error_set(e, PLUMB_INPUT,
                           "%s is of %zu prompts, and another point's file of %zu; remove the "
                           "diversity-*.json of the folder and sample again",
                           path, n, t->prompts);
    if (status == PLUMB_OK)
        for (struct json_iterator i = json_each(prompts); json_next(&i);)
            for (int k = 0; k < FRONTIER_DIVERSITIES; k++) {
                double *to = &cell(t, file, i.index)[k];
                *to = NAN;
                (void)json_number(json_get(i.value, names[k].key), to); /* null stays NaN */
            }
    json_close(d);
    return status;
}

/* The mean of number k over prompts that come times[prompt] times, of those for which it is defined. */
static double mean(const struct table *t, size_t file, int k, const double *times)
{
    struct sum sum = {0}, n = {0};
    for (size_t i = 0; i < t->prompts; i++) {
        const double v = cell(t, file, i)[k];
        if (isnan(v) || times[i] == 0)
            continue;
        sum_add(&sum, times[i] * v);
        sum_add(&n, times[i]);
    }
    return sum_value(n) > 0 ? sum_value(sum) / sum_value(n) : NAN;
}

/* times [draws, prompts], column [2, draws]. */
static void judge(const struct table *t, size_t post, int k, const double *once,
                  const double *times, size_t draws, double *column, struct frontier_diversity *out)
{
    const double whole_post = mean(t, post, k, once);
    for (size_t f = 0; f < t->files; f++) {
        const double whole = mean(t, f, k, once);
        double *gaps = column + draws;
        for (size_t d = 0; d < draws; d++) {
            column[d] = mean(t, f, k, times + d * t->prompts);
            gaps[d] = column[d] - mean(t, post, k, times + d * t->prompts);
        }
        const struct interval own = interval_percentile(column, interval_sort(column, draws), 0.95),
                              gap = interval_percentile(gaps, interval_sort(gaps, draws), 0.95);
        out[f].value[k] = (struct frontier_value){whole, own.low, own.high};
        out[f].over_post[k] = (struct frontier_gap){whole - whole_post, gap.low, gap.high,
                                                    gap.low > 0 || gap.high < 0};
    }
}

int frontier_diversity_read(const char *const *paths, size_t n, size_t post, int draws,
                            uint64_t seed, struct frontier_diversity *out, struct plumb_error *e)
{
    struct table t = {.files = n};
    const size_t d = draws > 0 ? (size_t)draws : 0;
    int status = PLUMB_OK;
    for (size_t i = 0; i < n && status == PLUMB_OK; i++)
        status = read_file(paths[i], i, &t, e);
    double *once = NULL, *times = NULL, *column = NULL;
    if (status == PLUMB_OK) {
        once = mem_array(t.prompts, sizeof *once);
        times = mem_zalloc(d * t.prompts + 1, sizeof *times);
        column = mem_zalloc(2 * d + 1, sizeof *column);
        if (!once || !times || !column)
            status = error_memory(e, "draws of prompts");
    }
    if (status == PLUMB_OK) {
        for (size_t i = 0; i < t.prompts; i++)
            once[i] = 1;
        for (size_t i = 0; i < d; i++) {
            struct random r = random_start(seed, i);
            for (size_t j = 0; j < t.prompts; j++)
                times[i * t.prompts + random_below(&r, t.prompts)] += 1;
        }
        for (size_t f = 0; f < n; f++)
            out[f].prompts = t.prompts;
        for (int k = 0; k < FRONTIER_DIVERSITIES; k++)
            judge(&t, post, k, once, times, d, column, out);
    }
    mem_free(once);
    mem_free(times);
    mem_free(column);
    mem_free(t.values);
    return status;
}
