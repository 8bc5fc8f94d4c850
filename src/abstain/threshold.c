/*
 * threshold.c - see threshold.h.
 */
#include "abstain/threshold.h"

#include <math.h>
#include <string.h>

static const char *const set_names[CONFORMAL_SCORES] = {"lac", "aps", "raps"};

double threshold_caveat(const struct threshold *t)
{
    return t->caveat.found && t->caveat.threshold < t->choice.threshold ? t->caveat.threshold
                                                                        : t->choice.threshold;
}

/* ---- writing ---- */

static void put_choice(struct json_writer *w, const struct risk_choice *c)
{
    json_write_key(w, "found");
    json_write_bool(w, c->found);
    json_write_member_double(w, "threshold", c->threshold); /* null where none was found */
    json_write_member_integer(w, "n", (int64_t)c->n);
    if (c->found) {
        json_write_member_integer(w, "answered", (int64_t)c->answered);
        json_write_member_integer(w, "wrong", (int64_t)c->wrong);
        json_write_member_double(w, "p", c->p);
        json_write_member_double(w, "upper", c->upper);
    } else {
        json_write_member_double(w, "smallest_target", c->smallest_target);
        json_write_member_integer(w, "labels_needed", (int64_t)c->labels_needed);
    }
}

static void put_sets(struct json_writer *w, const struct conformal *c)
{
    json_write_object(w);
    json_write_member_string(w, "score", set_names[c->options.score]);
    json_write_member_double(w, "alpha", c->options.alpha);
    json_write_key(w, "by_class");
    json_write_bool(w, c->options.by_class);
    json_write_member_double(w, "lambda", c->options.lambda);
    json_write_member_integer(w, "kreg", (int64_t)c->options.kreg);
    json_write_member_integer(w, "n", (int64_t)c->n);
    json_write_key(w, "qhat"); /* null: every option */
    json_write_array(w);
    for (int j = 0; j < c->k; j++)
        json_write_double(w, c->qhat[j]);
    json_write_end(w, ']');
    json_write_end(w, '}');
}

void threshold_write(const struct threshold *t, struct json_writer *w)
{
    char words[1024];
    const struct risk_options o = {
        .method = t->method, .target_error = t->target_error, .delta = t->delta};
    risk_words(&t->choice, &o, words, sizeof words);
    json_write_array(w);
    json_write_object(w);
    json_write_member_string(w, "method", risk_method_name(t->method));
    json_write_member_double(w, "target_error", t->target_error);
    json_write_member_double(w, "delta", t->delta);
    json_write_member_double(w, "split_grid", t->split_grid);
    json_write_member_integer(w, "seed", (int64_t)t->seed);
    json_write_member_string(w, "words", word_table_name(t->words));
    if (*t->source)
        json_write_member_string(w, "source", t->source);
    put_choice(w, &t->choice);
    json_write_member_string(w, "guarantee", words);
    if (t->caveat_error > 0) {
        json_write_key(w, "caveat");
        json_write_object(w);
        json_write_member_double(w, "target_error", t->caveat_error);
        put_choice(w, &t->caveat);
        json_write_end(w, '}');
    }
    if (t->has_sets) {
        json_write_key(w, "sets");
        put_sets(w, &t->sets);
    }
    json_write_end(w, '}');
    json_write_end(w, ']');
}

/* ---- reading ---- */

static int wrong_member(const char *what, const char *key, const char *expected,
                        struct plumb_error *e)
{
    return error_set(
        e, PLUMB_INPUT,
        "%s: \"thresholds\": \"%s\" is missing or wrong; expected %s; plumb abstain fit "
        "-o writes it anew",
        what, key, expected);
}

static size_t read_count(struct json v, const char *key)
{
    int64_t n = 0;
    return json_integer(json_get(v, key), &n) && n > 0 ? (size_t)n : 0;
}

static int read_choice(struct json v, const char *what, struct risk_choice *c,
                       struct plumb_error *e)
{
    *c =
        (struct risk_choice){.threshold = INFINITY, .p = NAN, .upper = NAN, .smallest_target = NAN};
    if (!json_bool(json_get(v, "found"), &c->found))
        return wrong_member(what, "found", "true or false", e);
    if (c->found && (!json_number(json_get(v, "threshold"), &c->threshold) ||
                     !(c->threshold >= 0 && c->threshold <= 1)))
        return wrong_member(what, "threshold", "a number from 0 to 1", e);
    c->n = read_count(v, "n");
    c->answered = read_count(v, "answered");
    c->wrong = read_count(v, "wrong");
    (void)json_number(json_get(v, "p"), &c->p); /* for people: may be missing */
    (void)json_number(json_get(v, "upper"), &c->upper);
    (void)json_number(json_get(v, "smallest_target"), &c->smallest_target);
    c->labels_needed = read_count(v, "labels_needed");
    return PLUMB_OK;
}

static int read_sets(struct json v, const char *what, struct conformal *c, struct plumb_error *e)
{
    const struct json qhat = json_get(v, "qhat");
    int64_t kreg;
    int score = 0;
    *c = (struct conformal){.options = conformal_options_default(), .n = read_count(v, "n")};
    while (score < CONFORMAL_SCORES && !json_is_string(json_get(v, "score"), set_names[score]))
        score++;
    if (score == CONFORMAL_SCORES)
        return wrong_member(what, "sets.score", "lac, aps or raps", e);
    c->options.score = (enum conformal_score)score;
    if (!json_number(json_get(v, "alpha"), &c->options.alpha) ||
        !json_bool(json_get(v, "by_class"), &c->options.by_class) ||
        !json_number(json_get(v, "lambda"), &c->options.lambda) ||
        !json_integer(json_get(v, "kreg"), &kreg) || kreg < 0 || kreg > CONFORMAL_OPTIONS_MOST)
        return wrong_member(what, "sets", "alpha, by_class, lambda, kreg", e);
    c->options.kreg = (int)kreg;
    if (json_size(qhat) < 1 || json_size(qhat) > CONFORMAL_OPTIONS_MOST)
        return wrong_member(what, "sets.qhat", "1 to 26 numbers", e);
    c->k = (int)json_size(qhat);
    for (struct json_iterator i = json_each(qhat); json_next(&i);) {
        c->qhat[i.index] = INFINITY;
        if (json_exists(i.value) && !json_number(i.value, &c->qhat[i.index]))
            return wrong_member(what, "sets.qhat", "numbers, or null for every option", e);
    }
    return PLUMB_OK;
}

int threshold_read(struct json thresholds, const char *what, struct threshold *out,
                   struct plumb_error *e)
{
    const struct json v = json_at(thresholds, 0), caveat = json_get(v, "caveat"),
                      sets = json_get(v, "sets");
    const char *name;
    size_t n;
    *out = (struct threshold){.seed = read_count(v, "seed"), .caveat = {.threshold = INFINITY}};
    if (json_size(thresholds) == 0)
        return error_set(e, PLUMB_INPUT,
                         "%s holds no threshold; plumb abstain fit TRACE --calibration %s -o FILE "
                         "puts one in",
                         what, what);
    if (!json_string(json_get(v, "method"), &name, &n) || !risk_method_find(name, &out->method))
        return wrong_member(what, "method", "ltt, ltt-bonferroni, crc, sgr or plain", e);
    if (!json_string(json_get(v, "words"), &name, &n) || !word_table_find(name, &out->words))
        return wrong_member(what, "words", "icd203, ipcc or kent", e);
    if (!json_number(json_get(v, "target_error"), &out->target_error) ||
        !(out->target_error > 0 && out->target_error < 1))
        return wrong_member(what, "target_error", "a rate between 0 and 1", e);
    if (!json_number(json_get(v, "delta"), &out->delta))
        return wrong_member(what, "delta", "a number", e);
    (void)json_number(json_get(v, "split_grid"), &out->split_grid);
    if (json_string(json_get(v, "source"), &name, &n)) {
        if (n >= sizeof out->source)
            return wrong_member(what, "source", "a name of less than 64 bytes", e);
        memcpy(out->source, name, n + 1);
    }
    int status = read_choice(v, what, &out->choice, e);
    if (status == PLUMB_OK && json_exists(caveat)) {
        if (!json_number(json_get(caveat, "target_error"), &out->caveat_error))
            return wrong_member(what, "caveat.target_error", "a number", e);
        status = read_choice(caveat, what, &out->caveat, e);
    }
    if (status == PLUMB_OK && json_exists(sets)) {
        out->has_sets = true;
        status = read_sets(sets, what, &out->sets, e);
    }
    return status;
}
