/*
 * abstain_apply.c - `plumb abstain apply`: an answer, an answer with a caveat, or none, for every question of a trace.
 */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "abstain/threshold.h"
#include "base/file.h"
#include "base/memory.h"
#include "cli/abstain.h"
#include "cli/output.h"
#include "cli/result.h"

/* Counts that are always shown together. */
struct outcome {
    size_t n, labelled;
    size_t band[WORD_BANDS];
    size_t known[WORD_BANDS], wrong[WORD_BANDS]; /* of the labelled ones */
    size_t by_sets;                              /* whose set holds exactly one option */
};

struct decision {
    enum word_band band;
    enum decline_reason reason;
    double confidence;
    int set_size; /* -1: no sets */
};

static struct decision decide(const struct threshold *t, const struct signals *s, size_t i)
{
    struct decision d = {.confidence = s->value[SIGNAL_PROBABILITY][i], .set_size = -1};
    d.band = words_band(d.confidence, t->choice.threshold, threshold_caveat(t));
    d.reason = isinf(threshold_caveat(t)) ? DECLINE_NO_THRESHOLD : DECLINE_BELOW_THRESHOLD;
    if (t->has_sets && s->p) {
        uint8_t in[CONFORMAL_OPTIONS_MOST];
        d.set_size = conformal_set(&t->sets, s->p + i * (size_t)s->k, s->options[i], in);
    }
    return d;
}

/* A, B, ... of the option; "" where only a confidence is known. */
static const char *letter_of(const struct signals *s, size_t i, char out[2])
{
    out[0] = s->prediction && s->prediction[i] < 26 ? (char)('A' + s->prediction[i]) : '\0';
    out[1] = '\0';
    return out;
}

static void put_text(struct json_writer *w, const char *key, const char *value)
{
    json_write_member_string(w, key, value && *value ? value : NULL);
}

static void put_reason(struct json_writer *w, const struct abstain_options *o,
                       const struct threshold *t, const struct decision *d, const char *letter)
{
    char text[640];
    const struct decline decline = {.reason = d->reason,
                                    .table = t->words,
                                    .confidence = d->confidence,
                                    .threshold = threshold_caveat(t),
                                    .best_guess = o->guess && *letter ? letter : NULL};
    if (d->band == BAND_DECLINE) {
        put_text(w, "reason", decline_reason_name(d->reason));
        words_decline(&decline, text, sizeof text);
        put_text(w, "text", text);
    } else {
        put_text(w, "reason", NULL);
        put_text(w, "text", NULL);
    }
}

static void put_set(struct json_writer *w, const struct threshold *t, const struct signals *s,
                    size_t i)
{
    uint8_t in[CONFORMAL_OPTIONS_MOST];
    (void)conformal_set(&t->sets, s->p + i * (size_t)s->k, s->options[i], in);
    json_write_key(w, "set");
    json_write_array(w);
    for (int j = 0; j < s->options[i]; j++)
        if (in[j])
            json_write_string_n(w, &(char){(char)('A' + j)}, 1);
    json_write_end(w, ']');
}

/* One question, one line. A declined one keeps what would have been answered in `withheld`. */
static void put_line(struct json_writer *w, const struct abstain_options *o,
                     const struct abstain_input *in, const struct threshold *t, size_t i,
                     const struct decision *d)
{
    const struct signals *s = &in->signals;
    const bool answers = d->band != BAND_DECLINE;
    char letter[2], hash[33];
    letter_of(s, i, letter);
    json_write_object(w);
    json_write_key(w, "question");
    json_write_integer(w, (int64_t)i);
    hash_hex(in->scores.item_hash[i], hash);
    put_text(w, "item_hash", hash);
    put_text(w, "group", in->scores.groups[in->scores.group[i]]);
    put_text(w, "decision", word_band_name(d->band));
    put_text(w, "answer", answers ? letter : NULL);
    put_text(w, "withheld", answers ? NULL : letter);
    json_write_key(w, "confidence");
    json_write_double(w, d->confidence);
    put_text(w, "word", words_term(t->words, d->confidence));
    put_reason(w, o, t, d, letter);
    if (d->set_size >= 0)
        put_set(w, t, s, i);
    json_write_key(w, "right");
    if (s->right[i] < 0)
        json_write_null(w);
    else
        json_write_bool(w, s->right[i] == 1);
    json_write_end(w, '}');
}

static void count(struct outcome *c, const struct signals *s, size_t i, const struct decision *d)
{
    c->n++;
    c->band[d->band]++;
    c->by_sets += d->set_size == 1;
    if (s->right[i] < 0)
        return;
    c->labelled++;
    c->known[d->band]++;
    c->wrong[d->band] += s->right[i] == 0;
}

static int decide_all(const struct abstain_options *o, const struct abstain_input *in,
                      const struct threshold *t, struct outcome *out, struct plumb_error *e)
{
    struct file_writer file;
    struct buffer line = BUFFER_EMPTY;
    int status = o->output ? file_writer_open(o->output, &file, e) : PLUMB_OK;
    *out = (struct outcome){0};
    if (status != PLUMB_OK)
        return status;
    for (size_t i = 0; i < in->signals.n; i++) {
        const struct decision d = decide(t, &in->signals, i);
        count(out, &in->signals, i, &d);
        if (!o->output)
            continue;
        struct json_writer w = json_writer_start(&line, 0);
        buffer_clear(&line);
        put_line(&w, o, in, t, i, &d);
        buffer_putc(&line, '\n');
        fwrite(line.data, 1, line.size, file.stream); /* a failure is told by commit */
    }
    const bool failed = line.failed;
    buffer_free(&line);
    if (o->output && failed) {
        file_writer_abandon(&file);
        return error_memory(e, "the answers");
    }
    return o->output ? file_writer_commit(&file, e) : PLUMB_OK;
}

/* ---- what is said ---- */

static double share(size_t part, size_t whole)
{
    return whole ? (double)part / (double)whole : NAN;
}

/* 1 for a right answer, 0 for none, -t / (1 - t) for a wrong one, t = 1 - target error: answering pays where P(right) > t. */
static double abstention_score(const struct outcome *c, double t)
{
    const size_t answered = c->known[BAND_ANSWER] + c->known[BAND_CAVEAT],
                 wrong = c->wrong[BAND_ANSWER] + c->wrong[BAND_CAVEAT];
    return c->labelled
               ? ((double)(answered - wrong) - (double)wrong * t / (1 - t)) / (double)c->labelled
               : NAN;
}

static int print_json(const struct abstain_input *in, const struct threshold *t,
                      const struct outcome *c)
{
    struct result r;
    const size_t answered = c->band[BAND_ANSWER] + c->band[BAND_CAVEAT],
                 known = c->known[BAND_ANSWER] + c->known[BAND_CAVEAT],
                 wrong = c->wrong[BAND_ANSWER] + c->wrong[BAND_CAVEAT];
    result_start(&r);
    json_write_object(&r.json);
    result_text(&r, "trace", in->path);
    result_integer(&r, "n", (int64_t)c->n);
    result_integer(&r, "labelled", (int64_t)c->labelled);
    result_double(&r, "threshold", t->choice.threshold);
    result_integer(&r, "answered", (int64_t)answered);
    result_integer(&r, "with_caveat", (int64_t)c->band[BAND_CAVEAT]);
    result_integer(&r, "abstained", (int64_t)c->band[BAND_DECLINE]);
    result_double(&r, "refusal_rate", share(c->band[BAND_DECLINE], c->n));
    result_integer(&r, "wrong", (int64_t)wrong);
    result_double(&r, "error_rate", share(wrong, known));
    result_double(&r, "error_rate_without_caveat",
                  share(c->wrong[BAND_ANSWER], c->known[BAND_ANSWER]));
    result_double(&r, "abstention_score", abstention_score(c, 1 - t->target_error));
    if (t->has_sets)
        result_integer(&r, "sets_of_one", (int64_t)c->by_sets);
    json_write_end(&r.json, '}');
    return result_print(&r);
}

static void share_cell(struct table *t, size_t part, size_t whole)
{
    if (whole)
        table_cell(t, "%.1f %%", 100 * share(part, whole));
    else
        table_cell(t, "-");
}

static int print_table(const struct abstain_input *in, const struct threshold *t,
                       const struct outcome *c, struct plumb_error *e)
{
    static const char *const names[WORD_BANDS] = {"answered", "answered with a caveat", "declined"};
    static const char *const heads[] = {"decision", "questions", "share", "wrong", "error rate"};
    struct table *table = table_create("lrrrr");
    if (t->choice.found)
        printf("%s: answers from confidence %.4g up (%s, error at most %.3g %%).\n\n", in->path,
               t->choice.threshold, risk_method_name(t->method), 100 * t->target_error);
    else
        printf("%s: no threshold meets the target error %.3g: %s.\n\n", in->path, t->target_error,
               isinf(threshold_caveat(t)) ? "everything is declined"
                                          : "nothing is answered without a caveat");
    for (int i = 0; i < 5; i++)
        table_cell(table, "%s", heads[i]);
    for (int b = 0; b < WORD_BANDS; b++) {
        if (b == BAND_CAVEAT && t->caveat_error <= 0)
            continue;
        table_cell(table, "%s", names[b]);
        table_cell(table, "%zu", c->band[b]);
        share_cell(table, c->band[b], c->n);
        if (c->known[b])
            table_cell(table, "%zu", c->wrong[b]);
        else
            table_cell(table, "-");
        share_cell(table, c->wrong[b], c->known[b]);
    }
    if (!table_print(table, stdout))
        return error_set(e, PLUMB_MACHINE, "the table could not be printed");
    printf("\nWhat is declined would have been wrong as often as its row says; it is not an "
           "answer.\n");
    if (c->labelled) {
        const double target = 1 - t->target_error;
        printf("Abstention score %.4f (right 1, declined 0, wrong %.3g; %zu of %zu questions are "
               "labelled).\n",
               abstention_score(c, target), -target / (1 - target), c->labelled, c->n);
    } else {
        printf("No question has a known right answer: nothing can be said about errors here.\n");
    }
    if (t->has_sets)
        printf("The set of %zu questions holds exactly one option.\n", c->by_sets);
    return PLUMB_OK;
}

/* A threshold means something for the confidence that it was fitted on, and for no other. */
static int check_source(const struct abstain_options *o, struct abstain_input *in,
                        const struct threshold *t, const char *calibration, struct plumb_error *e)
{
    if (o->confidence) {
        const int status =
            abstain_use_source(in, o->confidence, o->source ? o->source : t->source, e);
        if (status != PLUMB_OK)
            return status;
    }
    const char *source = abstain_source(in);
    if (strcmp(source ? source : "", t->source) == 0)
        return PLUMB_OK;
    if (!*t->source)
        return error_set(e, PLUMB_INPUT,
                         "the threshold of %s is for the option probability, not for the source %s",
                         calibration, source);
    return error_set(e, PLUMB_INPUT,
                     "the threshold of %s is for the source %s, and this is %s: give a confidence "
                     "file that holds it with --confidence FILE --source %s",
                     calibration, t->source, source ? source : "the option probability", t->source);
}

int abstain_apply(const struct abstain_options *o, const char *calibration, const char *trace,
                  struct plumb_error *e)
{
    struct abstain_input in;
    struct threshold t = {0};
    struct outcome c;
    int status = abstain_open(trace, calibration, o, &in, e);
    if (status == PLUMB_OK)
        status = threshold_read(json_get(json_root(in.calibration.document), "thresholds"),
                                calibration, &t, e);
    if (status == PLUMB_OK)
        status = check_source(o, &in, &t, calibration, e);
    if (status == PLUMB_OK && t.has_sets && in.signals.p && in.signals.k > t.sets.k)
        status = error_set(e, PLUMB_INPUT,
                           "%s: questions with %d options; the sets of %s were fitted on up to %d",
                           trace, in.signals.k, calibration, t.sets.k);
    if (status == PLUMB_OK)
        status = decide_all(o, &in, &t, &c, e);
    if (status == PLUMB_OK)
        status = o->json ? print_json(&in, &t, &c) : print_table(&in, &t, &c, e);
    abstain_close(&in);
    return status;
}
