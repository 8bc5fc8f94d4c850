/*
 * fit.c - splits the questions, runs the methods, by group where asked, judges them, and says what to beware of.
 */
#include "calibrate/fit.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/progress.h"
#include "base/random.h"
#include "calibrate/consistency.h"
#include "calibrate/methods.h"
#include "calibrate/moment_match.h"
#include "calibrate/softmax.h"
#include "metric/sum.h"

struct fit_options fit_options_default(void)
{
    return (struct fit_options){.split = 0.3,
                                .draws = 1000,
                                .dual = dual_align_options_default(),
                                .adam = daca_adam_options_default()};
}

struct scores pair_scores(const struct pair *p, bool base)
{
    return (struct scores){.kind = SCORES_LOGITS,
                           .format = SCORES_TRACE,
                           .n = p->n,
                           .k = p->k,
                           .values = base ? p->base : p->post,
                           .options = p->options,
                           .label = p->label,
                           .group = p->group,
                           .groups = p->groups,
                           .n_groups = p->n_groups,
                           .argmax_ties = base ? p->base_ties : p->post_ties,
                           .name = p->name};
}

static void warn(struct fit *f, const char *format, ...) __attribute__((format(printf, 2, 3)));
static void warn(struct fit *f, const char *format, ...)
{
    va_list args;
    if (f->n_warnings >= FIT_WARNINGS)
        return;
    va_start(args, format);
    vsnprintf(f->warning[f->n_warnings++], FIT_WARNING_SIZE, format, args);
    va_end(args);
}

/* The questions to fit on and to judge on; `fit` is the whole pair where nothing is split. */
struct parts {
    const struct pair *fit, *judge; /* judge null: no labels */
    const struct pair *labelled;    /* what methods that need labels are fitted on */
    struct pair own_fit, own_judge; /* what was made for them; freed by parts_free */
};

static void parts_free(struct parts *p)
{
    if (p->own_fit.arena)
        pair_free(&p->own_fit);
    if (p->own_judge.arena)
        pair_free(&p->own_judge);
}

/* The first round(share * n) of a seeded order, each part again in file order. */
static int split_rows(const struct pair *p, double share, uint64_t seed, struct parts *out,
                      struct plumb_error *e)
{
    const size_t first = (size_t)lround(share * (double)p->n);
    if (!first || first >= p->n)
        return error_set(e, PLUMB_INPUT,
                         "%s: a split of %g leaves %zu of %zu questions to fit on; both parts need "
                         "questions",
                         p->name, share, first, p->n);
    uint32_t *order = mem_array(p->n, 2 * sizeof *order);
    uint8_t *to_fit = mem_zalloc(p->n, 1);
    if (!order || !to_fit) {
        mem_free(order);
        mem_free(to_fit);
        return error_memory(e, "the split of the questions");
    }
    struct random r = random_start(seed, 0);
    for (size_t i = 0; i < p->n; i++)
        order[i] = (uint32_t)i;
    for (size_t i = 0; i < first; i++) {
        const size_t j = i + (size_t)random_below(&r, p->n - i);
        const uint32_t t = order[i];
        order[i] = order[j];
        order[j] = t;
        to_fit[order[i]] = 1;
    }
    size_t n_fit = 0, n_judge = 0;
    for (size_t i = 0; i < p->n; i++)
        if (to_fit[i])
            order[n_fit++] = (uint32_t)i;
        else
            order[p->n + n_judge++] = (uint32_t)i;
    int status = pair_select(p, order, n_fit, &out->own_fit, e);
    if (status == PLUMB_OK)
        status = pair_select(p, order + p->n, n_judge, &out->own_judge, e);
    mem_free(order);
    mem_free(to_fit);
    out->labelled = &out->own_fit;
    out->judge = &out->own_judge;
    return status;
}

static int make_parts(const struct pair *p, const struct fit_options *o, struct parts *out,
                      struct plumb_error *e)
{
    const struct pair *answered = o->test ? o->test : p;
    *out = (struct parts){.fit = p, .labelled = p, .judge = answered->labelled ? answered : NULL};
    if (o->test && !o->test->labelled)
        return error_set(e, PLUMB_INPUT, "%s: no question has a known right answer to judge by",
                         o->test->name);
    if (!o->labels)
        return PLUMB_OK;
    if (!answered->labelled)
        return error_set(e, PLUMB_INPUT,
                         "%s: no question has a known right answer; leave out --labels for the "
                         "methods that need none",
                         p->name);
    if (!(o->split > 0 && o->split < 1))
        return error_set(e, PLUMB_INPUT,
                         "a split of %g: expected the share of the questions to fit on, between 0 "
                         "and 1",
                         o->split);
    const int status = split_rows(answered, o->split, o->seed, out, e);
    if (!o->test)
        out->fit = out->labelled;
    if (status == PLUMB_OK && (!out->own_fit.labelled || !out->own_judge.labelled))
        return error_set(e, PLUMB_INPUT,
                         "%s: %zu of %zu questions have a known right answer: too few to fit on "
                         "some and judge on others",
                         answered->name, answered->labelled, answered->n);
    return status;
}

/* One method on one set of questions. */
static int fit_one(struct fit_context *c, enum method m, struct fit_result *out,
                   struct plumb_error *e)
{
    return method_rows[m].fit(c, out, e);
}

/* The temperature of one group; false where the group alone cannot be fitted. */
static bool fit_group(const struct fit_context *whole, enum method m, const uint32_t *rows,
                      size_t n, struct fit_result *out)
{
    struct pair part = {0};
    struct plumb_error e = {0};
    *out = (struct fit_result){.method = m};
    if (!n || pair_select(whole->pair, rows, n, &part, &e) != PLUMB_OK)
        return false;
    struct fit_context c = {.pair = &part, .options = whole->options};
    const bool good = fit_one(&c, m, out, &e) == PLUMB_OK;
    fit_context_free(&c);
    pair_free(&part);
    return good;
}

/* A temperature for each group beside the common one that `out` already holds. */
static int fit_groups(const struct fit_context *c, enum method m, struct fit_result *out,
                      struct plumb_error *e)
{
    const struct pair *p = c->pair;
    struct calibrator by_group = calibrator_of_temperature(out->calibrator.tau);
    uint32_t *rows = mem_array(p->n, sizeof *rows);
    if (!rows || !calibrator_allocate(&by_group, 0, p->n_groups)) {
        mem_free(rows);
        return error_memory(e, "the temperatures of the groups");
    }
    bool good = true;
    for (int g = 0; good && g < p->n_groups; g++) {
        struct fit_result one;
        size_t n = 0;
        for (size_t i = 0; i < p->n; i++)
            if (p->group[i] == g)
                rows[n++] = (uint32_t)i;
        const bool own = fit_group(c, m, rows, n, &one);
        by_group.group_tau[g] = own ? one.calibrator.tau : out->calibrator.tau;
        out->groups_left += !own;
        out->groups_at_rim += own && one.rim != TEMPERATURE_INSIDE;
        by_group.groups[g] = mem_strdup(p->groups[g]);
        good = by_group.groups[g] != NULL;
    }
    mem_free(rows);
    if (!good) {
        calibrator_free(&by_group);
        return error_memory(e, "the temperatures of the groups");
    }
    calibrator_free(&out->calibrator);
    out->calibrator = by_group;
    return PLUMB_OK;
}

static void keep_reason(struct fit_result *r, const struct plumb_error *e)
{
    snprintf(r->reason, sizeof r->reason, "%s", e->message);
    r->fitted = false;
}

/* Is it to be run, when no list was given? */
static bool applies(enum method m, const struct pair *p, const struct fit_options *o)
{
    const struct method_row *row = &method_rows[m];
    if (m == METHOD_CAPE) /* of the questions to judge on: nothing is fitted */
        return (o->test ? o->test : p)->cape != NULL;
    return m != METHOD_DACA_ADAM && (!row->uses_labels || o->labels) &&
           (!row->needs_lens || p->layers > 1);
}

/* `labelled`: the context of the methods that need labels; the same one where they see the same questions. */
static int run_methods(struct fit_context *free_of_labels, struct fit_context *labelled,
                       struct fit *f, struct plumb_error *e)
{
    const struct fit_options *o = free_of_labels->options;
    for (int m = 0; m < METHODS; m++) {
        const bool named = (o->methods >> m & 1U) != 0;
        struct fit_context *c = method_rows[m].uses_labels ? labelled : free_of_labels;
        if (o->methods ? !named : !applies((enum method)m, c->pair, o))
            continue;
        if (method_rows[m].uses_labels && !o->labels)
            return error_set(e, PLUMB_INPUT,
                             "%s needs labels: add --labels, and the questions are split to fit "
                             "on some and judge on the others",
                             method_rows[m].words);
        struct fit_result *r = &f->result[f->n_results++];
        struct plumb_error why = {0};
        *r = (struct fit_result){.method = (enum method)m, .fitted = true};
        int status = fit_one(c, (enum method)m, r, &why);
        if (status == PLUMB_OK && o->by_group && method_rows[m].one_temperature)
            status = fit_groups(c, (enum method)m, r, &why);
        if (status == PLUMB_OK)
            continue;
        if (named || status != PLUMB_INPUT)
            return error_set(e, status, "%s", why.message);
        keep_reason(r, &why);
    }
    return PLUMB_OK;
}

/* Internal consistency has no calibrator: the shares themselves are the confidence. */
static int judge_consistency(const struct pair *p, const struct fit_options *o,
                             struct fit_result *r, struct plumb_error *e)
{
    double *share = mem_array(p->n, sizeof *share);
    int8_t *correct = mem_alloc(p->n);
    int32_t *one = mem_array(p->n, sizeof *one);
    int status = share && correct && one ? internal_consistency(p, share, e)
                                         : error_memory(e, "internal consistency");
    if (status == PLUMB_OK) {
        struct scores s = pair_scores(p, false);
        for (size_t i = 0; i < p->n; i++) {
            correct[i] = (int8_t)(p->label[i] < 0 ? -1 : p->label[i] == p->post_choice[i]);
            one[i] = 1;
        }
        s.kind = SCORES_CONFIDENCE;
        s.k = 1;
        s.values = share;
        s.options = one;
        s.label = NULL;
        s.correct = correct;
        status = fit_judge(&s, o->draws, o->seed, o->threads, r->value, &r->n_judged, e);
    }
    mem_free(one);
    mem_free(correct);
    mem_free(share);
    return status;
}

/* CAPE gives probabilities of its own. */
static int judge_cape(const struct pair *p, const struct fit_options *o, struct fit_result *r,
                      struct plumb_error *e)
{
    struct scores s = pair_scores(p, false);
    s.kind = SCORES_PROBABILITIES;
    s.values = p->cape;
    s.argmax_ties = 0;
    for (size_t i = 0; i < p->n; i++)
        r->reordered += p->label[i] >= 0 &&
                        argmax_first(pair_row(p, p->cape, i), p->options[i]) != p->post_choice[i];
    return fit_judge(&s, o->draws, o->seed, o->threads, r->value, &r->n_judged, e);
}

static int judge_result(const struct pair *p, const struct fit_options *o, struct fit_result *r,
                        struct plumb_error *e)
{
    int status;
    if (r->method == METHOD_CONSISTENCY) {
        status = judge_consistency(p, o, r, e);
    } else if (r->method == METHOD_CAPE) {
        status = judge_cape(p, o, r, e);
    } else {
        const struct scores raw = pair_scores(p, false);
        struct scores s;
        status = calibrator_apply(&r->calibrator, &raw, &s, e);
        if (status == PLUMB_OK) {
            status = fit_judge(&s, o->draws, o->seed, o->threads, r->value, &r->n_judged, e);
            scores_free(&s);
        }
    }
    r->judged = status == PLUMB_OK;
    return status;
}

static double mean_divergence(const struct pair *p)
{
    struct sum s = {0};
    for (size_t i = 0; i < p->n; i++) {
        double base[SOFTMAX_MOST], post[SOFTMAX_MOST];
        (void)softmax_at(pair_row(p, p->base, i), p->options[i], 1, base);
        (void)softmax_at(pair_row(p, p->post, i), p->options[i], 1, post);
        sum_add(&s, jensen_shannon(base, post, p->options[i]));
    }
    return sum_value(s) / (double)p->n;
}

static int diagnose(const struct pair *whole, const struct parts *parts,
                    const struct fit_options *o, struct fit_diagnostics *d, struct plumb_error *e)
{
    const struct pair *p = parts->fit;
    *d = (struct fit_diagnostics){.n = whole->n,
                                  .n_fit = p->n,
                                  .n_judged = parts->judge ? parts->judge->labelled : 0,
                                  .labelled = whole->labelled,
                                  .n_test = o->test ? o->test->labelled : 0,
                                  .agreement = (double)p->agreeing / (double)p->n,
                                  .base_confidence = mean_confidence(p, p->base, 1),
                                  .post_confidence = mean_confidence(p, p->post, 1),
                                  .divergence = mean_divergence(p),
                                  .base_ties = whole->base_ties,
                                  .post_ties = whole->post_ties};
    d->base_ece = d->post_ece = d->base_accuracy = d->post_accuracy = NAN;
    for (int base = 0; parts->judge && base < 2; base++) {
        struct fit_value v[FIT_METRICS];
        size_t n;
        const struct scores s = pair_scores(parts->judge, base != 0);
        const int status = fit_judge(&s, 0, o->seed, o->threads, v, &n, e);
        if (status != PLUMB_OK)
            return status;
        *(base ? &d->base_ece : &d->post_ece) = v[FIT_ECE_10].value;
        *(base ? &d->base_accuracy : &d->post_accuracy) = v[FIT_ACCURACY].value;
    }
    return PLUMB_OK;
}

static void warn_of_results(struct fit *f)
{
    for (int i = 0; i < f->n_results; i++) {
        const struct fit_result *r = &f->result[i];
        if (r->fitted && r->rim != TEMPERATURE_INSIDE)
            warn(f, "%s: the temperature ran to the limit of %g; do not trust it",
                 method_words(r->method),
                 r->rim == TEMPERATURE_AT_MOST ? TEMPERATURE_MOST : TEMPERATURE_LEAST);
        if (r->groups_left || r->groups_at_rim)
            warn(f,
                 "%s: %zu groups could not be fitted alone and take the common temperature; %zu "
                 "ran to a limit",
                 method_words(r->method), r->groups_left, r->groups_at_rim);
    }
}

/* What whoever reads the numbers must know about the pair. The limits are ours. */
static void warn_of_pair(const struct pair *p, struct fit *f)
{
    const struct fit_diagnostics *d = &f->diagnostics;
    const double agreeing = d->agreement * (double)d->n_fit;
    if (d->n_fit < 100)
        warn(f, "only %zu questions to fit on; with fewer than 100 a temperature is a guess",
             d->n_fit);
    if (agreeing < 50)
        warn(f, "the models agree on only %.0f questions; DACA rests on these alone", agreeing);
    if (d->agreement > 0.9)
        warn(f,
             "the models agree on %.1f %% of the questions: a lightly tuned pair; they err "
             "together, so agreement says little of accuracy",
             100 * d->agreement);
    if (d->base_ece > 0.06)
        warn(f,
             "the base model is not calibrated itself (ECE %.3f, %s-confident); methods that "
             "follow it inherit that",
             d->base_ece, d->base_confidence > d->base_accuracy ? "over" : "under");
    if (strcmp(p->base_model.tokenizer_hash, p->post_model.tokenizer_hash) != 0)
        warn(f, "the two models have different tokenizers; are they really a pair?");
    if (strcmp(p->base_model.precision, p->post_model.precision) != 0)
        warn(f, "the base model was traced in %s and the post-trained one in %s",
             p->base_model.precision, p->post_model.precision);
    if (*p->base_model.fingerprint &&
        strcmp(p->base_model.fingerprint, p->post_model.fingerprint) == 0)
        warn(f, "base and post-trained model are the same model");
    if ((double)(d->base_ties + d->post_ties) > 0.05 * (double)d->n)
        warn(f,
             "tied largest logits on %zu questions (base) and %zu (post); the first letter is "
             "taken",
             d->base_ties, d->post_ties);
}

static int run_parts(const struct pair *p, const struct parts *parts, const struct fit_options *o,
                     struct fit *out, struct plumb_error *e)
{
    struct fit_context c = {.pair = parts->fit, .options = o},
                       labelled = {.pair = parts->labelled, .options = o};
    const double start = clock_seconds();
    const bool same = parts->labelled == parts->fit;
    int status = run_methods(&c, same ? &c : &labelled, out, e);
    fit_context_free(&labelled);
    if (status == PLUMB_OK && parts->fit->layers)
        status = fit_context_divergence(&c, e);
    out->seconds = clock_seconds() - start;
    out->divergence = c.divergence; /* handed over */
    out->dual = c.dual;
    c.divergence = (struct divergence){0};
    c.dual = (struct dual_align){0};
    fit_context_free(&c);
    if (status == PLUMB_OK)
        status = diagnose(p, parts, o, &out->diagnostics, e);
    for (int i = 0; status == PLUMB_OK && parts->judge && i < out->n_results; i++)
        if (out->result[i].fitted)
            status = judge_result(parts->judge, o, &out->result[i], e);
    if (status == PLUMB_OK) {
        warn_of_pair(p, out);
        warn_of_results(out);
    }
    return status;
}

int fit_run(const struct pair *p, const struct fit_options *o, struct fit *out,
            struct plumb_error *e)
{
    struct parts parts;
    *out = (struct fit){0};
    if (p->n < 2)
        return error_set(e, PLUMB_INPUT,
                         "%s: one question; a temperature needs more, best 100 "
                         "and more",
                         p->name);
    int status = make_parts(p, o, &parts, e);
    if (status == PLUMB_OK) {
        struct temperature unused; /* refuses equal logits before any method runs */
        status = confidence_match(parts.fit, &unused, e);
    }
    if (status == PLUMB_OK)
        status = run_parts(p, &parts, o, out, e);
    parts_free(&parts);
    if (status != PLUMB_OK)
        fit_free(out);
    return status;
}

void fit_free(struct fit *f)
{
    for (int i = 0; i < f->n_results; i++)
        calibrator_free(&f->result[i].calibrator);
    divergence_free(&f->divergence);
    dual_align_free(&f->dual);
    *f = (struct fit){0};
}

const struct fit_result *fit_find(const struct fit *f, enum method m)
{
    for (int i = 0; i < f->n_results; i++)
        if (f->result[i].method == m)
            return &f->result[i];
    return NULL;
}
