/*
 * abstain_fit.c - `plumb abstain fit`: chooses the threshold, says what it means, stores it, draws it.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "abstain/threshold.h"
#include "base/memory.h"
#include "base/random.h"
#include "cli/abstain.h"
#include "cli/output.h"
#include "cli/result.h"
#include "metric/binomial.h"
#include "report/abstain.h"

enum { GRID_MOST = 100 };

/* Labelled questions, parted into those that give the grid and those that are tested. */
struct parts {
    double *confidence;
    uint8_t *wrong;
    size_t n, n_grid;
    double *grid; /* null: the fixed one */
    void *memory[3];
};

static void parts_free(struct parts *p)
{
    for (int i = 0; i < 3; i++)
        mem_free(p->memory[i]);
}

/* Deals the labelled questions at random: `held` of them to the front. */
static void deal(double *confidence, uint8_t *wrong, size_t n, size_t held, uint64_t seed)
{
    struct random r = random_start(seed, 0);
    for (size_t i = 0; i < held; i++) {
        const size_t j = i + (size_t)random_below(&r, n - i);
        const double c = confidence[i];
        const uint8_t w = wrong[i];
        confidence[i] = confidence[j];
        wrong[i] = wrong[j];
        confidence[j] = c;
        wrong[j] = w;
    }
}

/* At most a hundred quantiles of the confidences of the front part, ascending, each once. The highest is the one that is most
   surely good enough by the front part's own p-values: from a stricter one a fixed sequence could stumble over few answers. */
static size_t quantiles(const double *c, const uint8_t *wrong, size_t n, double alpha, double *grid)
{
    double best = 2;
    size_t m = 0, chosen = 0;
    for (size_t q = 0; q < GRID_MOST; q++) {
        const double v = c[q * n / GRID_MOST];
        if (m > 0 && v <= grid[m - 1])
            continue;
        size_t answered = 0, errors = 0;
        for (size_t i = 0; i < n; i++)
            if (c[i] >= v) {
                answered++;
                errors += wrong[i];
            }
        const double p = binomial_cdf((double)errors, (double)answered, alpha);
        if (p < best) {
            best = p;
            chosen = m;
        }
        grid[m++] = v;
    }
    return chosen + 1;
}

/* A question while the front part is sorted. */
struct labelled {
    double confidence;
    uint8_t wrong;
};
static int ascending(const void *a, const void *b)
{
    const double x = ((const struct labelled *)a)->confidence,
                 y = ((const struct labelled *)b)->confidence;
    return (x > y) - (x < y);
}

static bool sort_front(double *confidence, uint8_t *wrong, size_t n)
{
    struct labelled *rows = mem_array(n, sizeof *rows);
    if (!rows)
        return false;
    for (size_t i = 0; i < n; i++)
        rows[i] = (struct labelled){confidence[i], wrong[i]};
    qsort(rows, n, sizeof *rows, ascending);
    for (size_t i = 0; i < n; i++) {
        confidence[i] = rows[i].confidence;
        wrong[i] = rows[i].wrong;
    }
    mem_free(rows);
    return true;
}

static int parts_create(const struct abstain_options *o, const struct signals *s, struct parts *out,
                        struct plumb_error *e)
{
    const size_t n = s->labelled, held = (size_t)floor(o->split_grid * (double)n);
    *out = (struct parts){0};
    if (o->split_grid > 0 && (held < 1 || held >= n))
        return error_set(e, PLUMB_INPUT,
                         "--split-grid %g of %zu labelled questions leaves %zu and %zu; expected "
                         "at least one in each part",
                         o->split_grid, n, held, n - held);
    out->memory[0] = out->confidence = mem_array(n, sizeof *out->confidence);
    out->memory[1] = out->wrong = mem_array(n, sizeof *out->wrong);
    out->memory[2] = out->grid = mem_array(GRID_MOST, sizeof *out->grid);
    if (!out->confidence || !out->wrong || !out->grid) {
        parts_free(out);
        return error_memory(e, "the labelled questions");
    }
    signals_labelled(s, SIGNAL_PROBABILITY, out->confidence, out->wrong, NULL);
    out->n = n - held;
    if (held == 0) {
        out->grid = NULL;
        return PLUMB_OK;
    }
    deal(out->confidence, out->wrong, n, held, o->seed);
    if (!sort_front(out->confidence, out->wrong, held)) {
        parts_free(out);
        return error_memory(e, "the labelled questions");
    }
    out->n_grid = quantiles(out->confidence, out->wrong, held, o->target_error, out->grid);
    out->confidence += held;
    out->wrong += held;
    return PLUMB_OK;
}

/* The sets are calibrated on all labelled questions. */
static int fit_sets(const struct abstain_options *o, const struct signals *s, struct threshold *t,
                    struct plumb_error *e)
{
    static const char *const names[CONFORMAL_SCORES] = {"lac", "aps", "raps"};
    struct conformal_options how = conformal_options_default();
    int score = 0;
    while (score < CONFORMAL_SCORES && strcmp(o->sets, names[score]) != 0)
        score++;
    if (score == CONFORMAL_SCORES)
        return error_set(e, PLUMB_INPUT, "--sets %s: expected lac, aps or raps", o->sets);
    if (!s->p)
        return error_set(e, PLUMB_INPUT,
                         "--sets needs the probabilities of all options; this file has one "
                         "confidence a question");
    how.score = (enum conformal_score)score;
    how.alpha = o->alpha;
    how.by_class = o->by_class;
    double *p = mem_array(s->labelled, (size_t)s->k * sizeof *p);
    int32_t *label = mem_array(s->labelled, sizeof *label);
    int status = p && label ? PLUMB_OK : error_memory(e, "the sets");
    for (size_t i = 0, at = 0; status == PLUMB_OK && i < s->n; i++)
        if (s->right[i] >= 0) {
            memcpy(p + at * (size_t)s->k, s->p + i * (size_t)s->k, (size_t)s->k * sizeof *p);
            label[at++] = s->label[i];
        }
    if (status == PLUMB_OK)
        status = conformal_fit(p, label, s->labelled, s->k, &how, &t->sets, e);
    t->has_sets = status == PLUMB_OK;
    mem_free(p);
    mem_free(label);
    return status;
}

static int choose(const struct abstain_options *o, const struct signals *s, const char *source,
                  struct threshold *t, struct plumb_error *e)
{
    struct parts p;
    *t = (struct threshold){.method = (enum risk_method)o->method,
                            .target_error = o->target_error,
                            .delta = o->delta,
                            .split_grid = o->split_grid,
                            .seed = o->seed,
                            .caveat_error = o->caveat_error,
                            .caveat = {.threshold = INFINITY},
                            .words = (enum word_table)o->words};
    if (source)
        snprintf(t->source, sizeof t->source, "%s", source);
    int status = parts_create(o, s, &p, e);
    if (status != PLUMB_OK)
        return status;
    struct risk_options how = {.method = t->method,
                               .target_error = o->target_error,
                               .delta = o->delta,
                               .grid = p.grid,
                               .n_grid = p.n_grid};
    status = risk_control(p.confidence, p.wrong, p.n, &how, &t->choice, NULL, e);
    how.target_error = o->caveat_error;
    if (status == PLUMB_OK && o->caveat_error > 0)
        status = risk_control(p.confidence, p.wrong, p.n, &how, &t->caveat, NULL, e);
    parts_free(&p);
    return status == PLUMB_OK && o->sets ? fit_sets(o, s, t, e) : status;
}

/* ---- the file ---- */

/* Without a calibration the confidence is as the model gives it: a calibration of temperature 1 says so, and for which model. */
static void neutral_calibration(const struct trace_header *h, struct buffer *out)
{
    char created[32];
    struct json_writer w = json_writer_start(out, 2);
    calibration_time(created);
    json_write_object(&w);
    json_write_key(&w, "plumb");
    json_write_integer(&w, CALIBRATION_VERSION);
    json_write_member_string(&w, "created", created);
    json_write_member_string(&w, "program", "plumb " PLUMB_VERSION);
    for (int side = 0; side < 2; side++) {
        json_write_key(&w, side ? "post" : "base");
        json_write_object(&w);
        json_write_member_string(&w, "name", h->model);
        json_write_member_string(&w, "fingerprint", h->model_fingerprint);
        json_write_member_string(&w, "architecture", h->architecture);
        json_write_member_string(&w, "tokenizer_hash", h->tokenizer_hash);
        json_write_member_string(&w, "precision", h->precision);
        json_write_end(&w, '}');
    }
    json_write_member_string(&w, "preset", h->preset);
    json_write_member_string(&w, "preset_hash", h->preset_hash);
    json_write_member_string(&w, "score", trace_score_name(h->score));
    json_write_key(&w, "task");
    json_write_object(&w);
    json_write_member_string(&w, "name", h->task);
    json_write_member_string(&w, "hash", h->task_hash);
    json_write_end(&w, '}');
    json_write_member_string(&w, "method", "vanilla");
    json_write_member_string(&w, "reason",
                             "No calibration was given: the confidence is the model's own.");
    json_write_key(&w, "temperature");
    json_write_double(&w, 1);
    json_write_end(&w, '}');
}

static int store(const struct abstain_options *o, const struct abstain_input *in,
                 const struct threshold *t, struct plumb_error *e)
{
    struct buffer text = BUFFER_EMPTY, neutral = BUFFER_EMPTY;
    struct json_document *value = NULL;
    struct calibration own = {0};
    struct json_writer w = json_writer_start(&text, 2);
    if (!in->has_calibration && !in->has_identity)
        return error_set(e, PLUMB_INPUT,
                         "%s does not say which model and prompt it is of, so its threshold cannot "
                         "be stored; give a trace, or --calibration",
                         in->path);
    threshold_write(t, &w);
    int status = text.failed ? error_memory(e, "the threshold")
                             : json_parse(text.data, text.size, "the threshold", &value, e);
    if (status == PLUMB_OK && !in->has_calibration) {
        neutral_calibration(&in->identity, &neutral);
        status = neutral.failed ? error_memory(e, "the threshold")
                                : calibration_parse(neutral.data, neutral.size, in->path, &own, e);
    }
    if (status == PLUMB_OK)
        status = calibration_rewrite(in->has_calibration ? &in->calibration : &own, "thresholds",
                                     json_root(value), o->output, e);
    calibration_free(&own);
    if (value)
        json_close(value);
    buffer_free(&text);
    buffer_free(&neutral);
    return status;
}

/* ---- what is said ---- */

static const char grid_words[] =
    "The thresholds to try were fixed beforehand; a fixed sequence begins at the strictest that "
    "enough questions reach, which looks at confidences, not at answers.";
static const char split_words[] =
    "The thresholds to try, and the one to begin with, came from other questions than those "
    "tested: "
    "the guarantee is exact, as far as the questions are exchangeable.";

static const char cross_words[] = "But this confidence was made with the answers to these very "
                                  "questions, each one's without its own fold: the "
                                  "guarantee is then approximate. For an exact one let the stored "
                                  "probe judge other labelled questions "
                                  "(plumb abstain probe --apply), and fit there.";

static int print_json(const struct abstain_input *in, const struct threshold *t)
{
    char words[1024];
    struct result r;
    const struct risk_options how = {
        .method = t->method, .target_error = t->target_error, .delta = t->delta};
    risk_words(&t->choice, &how, words, sizeof words);
    result_start(&r);
    json_write_object(&r.json);
    result_text(&r, "trace", in->path);
    result_bool(&r, "calibrated", in->has_calibration);
    result_text(&r, "source", abstain_source(in));
    result_integer(&r, "missing", (int64_t)in->missing);
    result_integer(&r, "questions", (int64_t)in->signals.n);
    result_integer(&r, "labelled", (int64_t)in->signals.labelled);
    result_text(&r, "guarantee", words);
    json_write_key(&r.json, "thresholds");
    threshold_write(t, &r.json);
    json_write_end(&r.json, '}');
    return result_print(&r);
}

static void print_words(const struct abstain_options *o, const struct abstain_input *in,
                        const struct threshold *t)
{
    char words[1024];
    const struct risk_choice *c = &t->choice;
    struct risk_options how = {
        .method = t->method, .target_error = t->target_error, .delta = t->delta};
    risk_words(c, &how, words, sizeof words);
    if (abstain_source(in))
        printf("%zu labelled questions of %s, confidence by %s.\n", in->signals.labelled, in->path,
               abstain_source(in));
    else
        printf("%zu labelled questions of %s, confidence %s.\n", in->signals.labelled, in->path,
               in->has_calibration ? "calibrated" : "as the model gives it, not calibrated");
    if (in->missing)
        printf("%zu questions have no confidence there: they count as 0, and are declined.\n",
               in->missing);
    putchar('\n');
    options_wrap(words, 0, 0, stdout);
    if (t->method != RISK_PLAIN && t->method != RISK_SGR)
        options_wrap(t->split_grid > 0 ? split_words : grid_words, 0, 0, stdout);
    if (in->confidence.n && confidence_is_cross_validated(&in->confidence.sources[in->source]))
        options_wrap(cross_words, 0, 0, stdout);
    if (c->found)
        printf("\nAnswered %zu, declined %zu, wrong among the answered %zu: refusal rate %.1f %%, "
               "error rate %.1f %%.\n",
               c->answered, c->n - c->answered, c->wrong,
               100 * (double)(c->n - c->answered) / (double)c->n,
               100 * (double)c->wrong / (double)c->answered);
    if (t->caveat_error > 0 && threshold_caveat(t) < c->threshold) {
        putchar('\n');
        printf("With a caveat from %.4g up: at most %.3g %% of all answers together are wrong, by "
               "the same method.\n",
               t->caveat.threshold, 100 * t->caveat_error);
    } else if (t->caveat_error > 0) {
        printf("\nNo lower threshold meets --caveat-error %.3g: there is no band of caveats.\n",
               t->caveat_error);
    }
    if (t->has_sets)
        printf("\nSets (%s, by %zu questions) hold the right option %.3g %% of the time "
               "over questions like these%s.\n",
               o->sets, t->sets.n, 100 * (1 - o->alpha),
               t->sets.options.by_class ? ", for each option as the right one" : "");
}

static int show(const struct abstain_options *o, const struct abstain_input *in,
                const struct threshold *t)
{
    if (o->json)
        return print_json(in, t);
    print_words(o, in, t);
    return PLUMB_OK;
}

static int draw(const struct abstain_options *o, const struct abstain_input *in,
                const struct threshold *t, struct plumb_error *e)
{
    const struct trace *trace = in->scores.trace;
    const struct abstain_page page = {
        .signals = &in->signals,
        .threshold = t,
        .model = in->has_identity ? in->identity.model : in->scores.name,
        .task = trace ? trace->header.task : in->path,
        .calibration = in->has_calibration ? in->calibration.method : NULL,
        .source = abstain_source(in),
    };
    return abstain_page_write(&page, o->report, e);
}

int abstain_fit(const struct abstain_options *o, const char *trace, struct plumb_error *e)
{
    struct abstain_input in;
    struct threshold t;
    int status = abstain_open(trace, o->calibration, o, &in, e);
    if (status == PLUMB_OK && o->confidence)
        status = abstain_use_source(&in, o->confidence, o->source, e);
    if (status == PLUMB_OK && in.signals.labelled == 0)
        status = error_set(e, PLUMB_INPUT,
                           "%s: none of the %zu questions has a known right answer; a threshold at "
                           "error %g with delta %g needs at least %zu that are answered",
                           trace, in.signals.n, o->target_error, o->delta,
                           risk_least_answered(o->target_error, o->delta));
    if (status == PLUMB_OK)
        status = choose(o, &in.signals, abstain_source(&in), &t, e);
    if (status == PLUMB_OK && o->output)
        status = store(o, &in, &t, e);
    if (status == PLUMB_OK && o->report)
        status = draw(o, &in, &t, e);
    if (status == PLUMB_OK)
        status = show(o, &in, &t);
    if (status == PLUMB_OK && !t.choice.found)
        status = PLUMB_NO;
    abstain_close(&in);
    return status;
}
