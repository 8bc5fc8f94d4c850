/*
 * sampled.c - see sampled.h.
 *
 * Greedy answers of a handful of questions are made in one batch, then the draws of one question after the other; classes and
 * judgements are found when all texts of a question are there.
 */
#include "answer/sampled.h"

#include <math.h>
#include <string.h>

#include "answer/clusters.h"
#include "base/memory.h"
#include "base/size.h"
#include "model/generate.h"

struct sampling {
    struct model *m;
    const struct answer_prompt *prompt;
    const struct sampled_options *o;
    struct meaning *meaning; /* null: classes by text */
};

struct sampled_options sampled_options_default(void)
{
    struct sampled_options o = {.samples = 10,
                                .sampling = sampler_options_default(),
                                .max_tokens = 32,
                                .batch = 32,
                                .meaning = meaning_options_default(),
                                .judge = judge_default()};
    o.sampling.temperature = 1;
    return o;
}

static int check_options(const struct sampled_options *o, struct plumb_error *e)
{
    if (o->samples < 0 || o->samples > 10000)
        return error_set(e, PLUMB_INPUT, "%d samples a question; expected 0 to 10000", o->samples);
    if (o->samples == 0 && o->given == GIVEN_MAJORITY)
        return error_set(e, PLUMB_INPUT,
                         "the answer of the majority needs samples: ask for 10 or more, or for "
                         "the greedy answer");
    if (o->samples > 0 && !(o->sampling.temperature > 0))
        return error_set(e, PLUMB_INPUT,
                         "samples at temperature %g would all be the same: expected more than 0",
                         o->sampling.temperature);
    if (o->judge.rule == CORRECT_COMMAND && !o->judge.command)
        return error_set(e, PLUMB_INPUT,
                         "answers are to be judged by a command, but none is given");
    if (!(o->judge.f1_threshold > 0 && o->judge.f1_threshold <= 1))
        return error_set(e, PLUMB_INPUT, "an F1 of %g as threshold; expected above 0, up to 1",
                         o->judge.f1_threshold);
    return sampler_options_check(&o->sampling, e);
}

int sampling_open(struct model *m, const struct answer_prompt *prompt,
                  const struct sampled_options *o, struct sampling **out, struct plumb_error *e)
{
    *out = NULL;
    int status = check_options(o, e);
    if (status != PLUMB_OK)
        return status;
    struct sampling *s = mem_zalloc(1, sizeof *s);
    if (!s)
        return error_memory(e, "sampled answers");
    *s = (struct sampling){.m = m, .prompt = prompt, .o = o};
    if (o->samples > 0 && o->meaning.by != MEANING_STRING)
        status = meaning_open(m, prompt->chat, &o->meaning, &s->meaning, e);
    if (status == PLUMB_OK)
        *out = s;
    else
        mem_free(s);
    return status;
}

void sampling_close(struct sampling *s)
{
    if (!s)
        return;
    meaning_close(s->meaning);
    mem_free(s);
}

static void answer_free(struct sampled_answer *a)
{
    mem_free(a->text);
    *a = (struct sampled_answer){0};
}

void sampled_free(struct sampled *s, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        answer_free(&s[i].given);
        for (size_t k = 0; s[i].drawn && k < s[i].n; k++)
            answer_free(&s[i].drawn[k]);
        mem_free(s[i].drawn);
        s[i] = (struct sampled){0};
    }
}

/* ---- texts ------------------------------------------------------------------------------------- */

/* The prompts of a handful of questions. */
struct asked {
    struct token_list *ids;          /* [n] */
    struct generate_prompt *prompts; /* [n] */
    uint64_t *streams;               /* [n] by the question's text: 32 bits, as generate.h wants */
    size_t n;
};

static void asked_free(struct asked *a)
{
    for (size_t i = 0; a->ids && i < a->n; i++)
        token_list_free(&a->ids[i]);
    mem_free(a->ids);
    mem_free(a->prompts);
    mem_free(a->streams);
    *a = (struct asked){0};
}

static int ask(const struct sampling *s, const struct free_question *q, size_t n, struct asked *out,
               struct plumb_error *e)
{
    *out = (struct asked){.ids = mem_zalloc(n, sizeof *out->ids),
                          .prompts = mem_zalloc(n, sizeof *out->prompts),
                          .streams = mem_zalloc(n, sizeof *out->streams),
                          .n = n};
    int status =
        out->ids && out->prompts && out->streams ? PLUMB_OK : error_memory(e, "the prompts");
    for (size_t i = 0; i < n && status == PLUMB_OK; i++) {
        status = answer_prompt_encode(s->prompt, &q[i], &out->ids[i], e);
        out->prompts[i] = (struct generate_prompt){out->ids[i].ids, out->ids[i].count};
        out->streams[i] = q[i].hash.low & UINT32_MAX;
    }
    return status;
}

/* What a generated text says. */
static int read_answer(const struct generated *g, const struct free_question *q,
                       struct sampled_answer *out, struct plumb_error *e)
{
    struct buffer text = BUFFER_EMPTY;
    answer_read(g->text, g->text_size, &text);
    *out = (struct sampled_answer){.text = mem_strndup(buffer_string(&text), text.size),
                                   .mean_logprob = generated_mean_logprob(g),
                                   .mean_entropy = generated_mean_entropy(g),
                                   .tokens = g->n,
                                   .letter = -1,
                                   .same = -1,
                                   .cluster = -1,
                                   .right = -1};
    const bool failed = text.failed || !out->text;
    buffer_free(&text);
    if (failed)
        return error_memory(e, "an answer");
    if (q->n_options > 0)
        out->letter = option_letter(out->text, q->options, q->n_options);
    return PLUMB_OK;
}

/* n_samples texts of each question into drawn of out, or one greedy text into given. */
static int make(const struct sampling *s, const struct asked *a, int n_samples, bool greedy,
                const struct generate_listener *l, struct sampled *out, struct plumb_error *e)
{
    static const char *const line_end[] = {"\n"};
    struct generate_options how = generate_options_default();
    how.max_tokens = s->o->max_tokens;
    how.entropies = true;
    how.streams = a->streams;
    how.batch = s->o->batch;
    if (!greedy)
        how.sampling = s->o->sampling;
    if (!s->prompt
             ->chat) { /* a template ends an answer itself, and may begin it with an empty line */
        how.stops = line_end;
        how.n_stops = 1;
    }
    size_t texts;
    struct generated *g =
        size_mul(a->n, (size_t)n_samples, &texts) ? mem_zalloc(texts, sizeof *g) : NULL;
    if (!g)
        return error_memory(e, "sampled answers");
    int status = generate_samples(s->m, a->prompts, a->n, n_samples, &how, l, g, e);
    for (size_t i = 0; status == PLUMB_OK && i < texts; i++) {
        struct sampled *x = &out[i / (size_t)n_samples];
        status = read_answer(&g[i], x->q, greedy ? &x->given : &x->drawn[i % (size_t)n_samples], e);
    }
    generated_free(g, texts);
    mem_free(g);
    return status;
}

/* ---- classes ----------------------------------------------------------------------------------- */

/* The draws, then the answer given where there is one already. */
static struct sampled_answer *answer_at(struct sampled *x, size_t i)
{
    return i < x->n ? &x->drawn[i] : &x->given;
}

/* What makes answers equal: the letter that they name, or their text after normalisation. Null: cannot be read. */
static char *answer_key(const struct sampled_answer *a, const struct free_question *q, bool *failed)
{
    if (q->n_options > 0) {
        const char letter[2] = {(char)('A' + a->letter), '\0'};
        char *key = a->letter >= 0 ? mem_strdup(letter) : NULL;
        *failed = *failed || (a->letter >= 0 && !key);
        return key;
    }
    struct buffer text = BUFFER_EMPTY;
    answer_normalise(a->text, strlen(a->text), &text);
    char *key = text.size > 0 ? mem_strdup(buffer_string(&text)) : NULL;
    *failed = *failed || text.failed || (text.size > 0 && !key);
    buffer_free(&text);
    return key;
}

static int equal_classes(struct sampled *x, size_t n, struct plumb_error *e)
{
    char **keys = mem_zalloc(n, sizeof(char *)); // NOLINT(bugprone-sizeof-expression)
    int *cluster = mem_array(n, sizeof *cluster);
    bool failed = !keys || !cluster;
    for (size_t i = 0; i < n && !failed; i++)
        keys[i] = answer_key(answer_at(x, i), x->q, &failed);
    if (!failed) {
        clusters_by_key((const char *const *)keys, n, cluster);
        for (size_t i = 0; i < n; i++)
            answer_at(x, i)->same = answer_at(x, i)->cluster = cluster[i];
    }
    for (size_t i = 0; keys && i < n; i++)
        mem_free(keys[i]);
    mem_free(keys);
    mem_free(cluster);
    return failed ? error_memory(e, "classes of answers") : PLUMB_OK;
}

/* Classes by meaning, of one text of each class of equal answers. The answer given comes last, so that it changes nothing for
   the draws. */
static int meaning_of(const struct sampling *s, struct sampled *x, size_t n, struct plumb_error *e)
{
    const char **text = mem_array(n, sizeof *text);
    int *cluster = mem_array(n, sizeof *cluster), found = 0, n_clusters;
    int status = text && cluster ? PLUMB_OK : error_memory(e, "classes of answers");
    for (size_t i = 0; status == PLUMB_OK && i < n; i++)
        if (answer_at(x, i)->same == found) /* classes are numbered as they are first seen */
            text[found++] = answer_at(x, i)->text;
    const size_t before = meaning_passes(s->meaning);
    if (status == PLUMB_OK)
        status = meaning_classes(s->meaning, x->q, text, (size_t)found, cluster, &n_clusters, e);
    for (size_t i = 0; status == PLUMB_OK && i < n; i++) {
        struct sampled_answer *a = answer_at(x, i);
        a->cluster = a->same >= 0 ? cluster[a->same] : -1;
    }
    x->meaning_texts = meaning_passes(s->meaning) - before;
    mem_free(text);
    mem_free(cluster);
    return status;
}

static void count_clusters(struct sampled *x)
{
    for (size_t i = 0; i < x->n; i++)
        if (x->drawn[i].cluster >= x->n_clusters)
            x->n_clusters = x->drawn[i].cluster + 1;
}

/* The first draw of the class that most draws are in. */
static int give_majority(struct sampled *x, struct plumb_error *e)
{
    size_t i = 0;
    while (i < x->n && x->drawn[i].same != x->consistency.most)
        i++;
    const struct sampled_answer *from = &x->drawn[i < x->n ? i : 0];
    x->given = *from;
    x->given.text = mem_strdup(from->text);
    return x->given.text ? PLUMB_OK : error_memory(e, "an answer");
}

static int classify(const struct sampling *s, struct sampled *x, struct plumb_error *e)
{
    const bool majority = s->o->given == GIVEN_MAJORITY;
    const size_t n = x->n + !majority;
    int *same = mem_array(x->n, sizeof *same);
    int status = same ? equal_classes(x, n, e) : error_memory(e, "classes of answers");
    for (size_t i = 0; status == PLUMB_OK && i < x->n; i++)
        same[i] = x->drawn[i].same;
    if (status == PLUMB_OK)
        status = consistency_measure(same, x->n, &x->consistency, e);
    /* Letters say all there is to say. */
    if (status == PLUMB_OK && s->meaning && x->q->n_options == 0)
        status = meaning_of(s, x, n, e);
    if (status == PLUMB_OK && majority)
        status = give_majority(x, e);
    count_clusters(x);
    mem_free(same);
    return status;
}

/* ---- right or wrong ---------------------------------------------------------------------------- */

static int judge_one(const struct sampling *s, const struct free_question *q,
                     struct sampled_answer *a, struct plumb_error *e)
{
    if (q->n_options > 0 && s->o->judge.rule != CORRECT_COMMAND) {
        a->right = q->gold < 0 ? -1 : a->letter == q->gold;
        return PLUMB_OK;
    }
    return judge_answer(&s->o->judge, q, a->text, &a->right, e);
}

/* Equal answers are judged once: a command may be slow. */
static int judge_all(const struct sampling *s, struct sampled *x, struct plumb_error *e)
{
    int status = judge_one(s, x->q, &x->given, e);
    for (size_t i = 0; i < x->n && status == PLUMB_OK; i++) {
        struct sampled_answer *a = &x->drawn[i];
        const struct sampled_answer *twin = strcmp(a->text, x->given.text) == 0 ? &x->given : NULL;
        for (size_t k = 0; k < i && !twin; k++)
            twin = strcmp(a->text, x->drawn[k].text) == 0 ? &x->drawn[k] : NULL;
        if (twin)
            a->right = twin->right;
        else
            status = judge_one(s, x->q, a, e);
    }
    return status;
}

int sampling_run(struct sampling *s, const struct free_question *questions, size_t n,
                 bool (*go_on)(void *user), void *user, struct sampled *out, struct plumb_error *e)
{
    const struct generate_listener l = {.go_on = go_on, .user = user};
    const size_t draws = (size_t)s->o->samples;
    struct asked a;
    memset(out, 0, n * sizeof *out);
    int status = ask(s, questions, n, &a, e);
    for (size_t i = 0; i < n && status == PLUMB_OK; i++) {
        out[i] = (struct sampled){
            .q = &questions[i], .drawn = mem_zalloc(draws, sizeof *out[i].drawn), .n = draws};
        if (!out[i].drawn)
            status = error_memory(e, "sampled answers");
    }
    if (status == PLUMB_OK && s->o->given == GIVEN_GREEDY)
        status = make(s, &a, 1, true, &l, out, e);
    if (status == PLUMB_OK && draws > 0)
        status = make(s, &a, s->o->samples, false, &l, out, e);
    asked_free(&a);
    for (size_t i = 0; i < n && status == PLUMB_OK; i++) {
        status = classify(s, &out[i], e);
        if (status == PLUMB_OK)
            status = judge_all(s, &out[i], e);
        if (status == PLUMB_OK && go_on && !go_on(user))
            status = error_set(e, PLUMB_NO, "stopped");
    }
    if (status != PLUMB_OK)
        sampled_free(out, n);
    return status;
}
