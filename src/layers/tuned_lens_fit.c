/*
 * tuned_lens_fit.c - the fit of a tuned lens: windows of a text in a seeded order, one step after the other; then both lenses
 * judged on the part of the text that was held out.
 */
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/hash.h"
#include "base/memory.h"
#include "base/random.h"
#include "layers/tuned_lens_state.h"
#include "model/config.h"
#include "model/forward.h"
#include "tensor/linear_algebra.h"

enum { ROWS_A_RUN = 2048, USUAL_WINDOW = 256 };
static const double seconds_a_state = 60; /* how often the state is written */

struct tuned_lens_options tuned_lens_options_default(void)
{
    return (struct tuned_lens_options){
        .optimizer = {.momentum = 0.9, .weight_decay = 1e-3, .clip = 1.0, .steps = 250},
        .tokens = 4096,
        .held_out = 0.1,
        .judged = 16384};
}

void tuned_lens_report_free(struct tuned_lens_report *r)
{
    mem_free(r->kl_logit);
    *r = (struct tuned_lens_report){0};
}

/* Everything of one fit or judgement. */
struct fit {
    struct model *m;
    const struct tuned_lens_options *o;
    const int32_t *ids;
    size_t window, windows; /* tokens of one; all of them */
    size_t train;           /* windows to train on: the first ones; the others are held out */
    size_t batch;           /* windows of a step */
    size_t a_run;           /* windows that go through the model together */
    struct tuned_lens *work;
    struct forward *forward;
    float *residual; /* [L + 1, a_run * window, D] */
    struct forward_item *items;
    size_t *order; /* [train] of the epoch in hand */
    size_t epoch;
    bool ordered;
    char note[48]; /* of the last whole step, for the progress line */
    struct plumb_error *e;
};

static int plan(struct fit *f, size_t n)
{
    const struct tuned_lens_options *o = f->o;
    const size_t context = (size_t)model_config(f->m)->context;
    f->window = o->window > 0 ? (size_t)o->window : USUAL_WINDOW;
    if (o->window <= 0 && f->window > context)
        f->window = context;
    if (f->window > context || f->window < 2)
        return error_set(f->e, PLUMB_INPUT,
                         "a window of %zu tokens; expected 2 to %zu, the model's context",
                         f->window, context);
    f->windows = n / f->window;
    const size_t held = (size_t)ceil(o->held_out * (double)f->windows);
    f->train = f->windows > held ? f->windows - held : 0;
    if (f->train == 0 || held == 0)
        return error_set(f->e, PLUMB_INPUT,
                         "the text has %zu tokens, %zu windows of %zu; expected one to train on "
                         "and one to judge at least: give a longer text or a smaller window",
                         n, f->windows, f->window);
    f->batch = o->tokens / f->window > 0 ? o->tokens / f->window : 1;
    return PLUMB_OK;
}

static int prepare(struct fit *f)
{
    const struct config *c = model_config(f->m);
    f->a_run = f->window < ROWS_A_RUN ? ROWS_A_RUN / f->window : 1;
    f->residual = mem_aligned(((size_t)c->n_layers + 1) * f->a_run * f->window,
                              (size_t)c->hidden * sizeof *f->residual);
    f->items = mem_zalloc(f->a_run, sizeof *f->items);
    f->order = mem_array(f->train, sizeof *f->order);
    if (!f->residual || !f->items || !f->order)
        return error_memory(f->e, "the residuals of a batch");
    int status = forward_create(f->m, &f->forward, f->e);
    return status == PLUMB_OK ? tuned_lens_create(f->m, &f->work, f->e) : status;
}

static void release(struct fit *f)
{
    tuned_lens_destroy(f->work);
    forward_destroy(f->forward);
    mem_free(f->residual);
    mem_free(f->items);
    mem_free(f->order);
}

/* Residuals of the given windows, and what they say of the lens. */
static int pass(struct fit *f, const size_t *windows, size_t n, const struct lens_values *v,
                const struct tuned_lens_sums *sums, struct lens_values *gradient)
{
    for (size_t i = 0; i < n; i++)
        f->items[i] = (struct forward_item){.tokens = f->ids + windows[i] * f->window,
                                            .n_tokens = (int)f->window,
                                            .n_wanted = (int)f->window};
    const int status = forward_run(f->forward, f->items, n, NULL, f->residual, NULL, f->e);
    return status == PLUMB_OK
               ? tuned_lens_pass(f->work, v, f->residual, n * f->window, sums, gradient, f->e)
               : status;
}

/* ---- training ---- */

/* Which window stands at place `at` of the endless sequence: every epoch has an order of its own (Fisher and Yates). */
static size_t window_at(struct fit *f, size_t at)
{
    const size_t epoch = at / f->train;
    if (!f->ordered || epoch != f->epoch) {
        struct random r = random_start(f->o->seed, epoch);
        for (size_t i = 0; i < f->train; i++)
            f->order[i] = i;
        for (size_t i = f->train; i > 1; i--) {
            const size_t j = (size_t)random_below(&r, i), kept = f->order[i - 1];
            f->order[i - 1] = f->order[j];
            f->order[j] = kept;
        }
        f->epoch = epoch;
        f->ordered = true;
    }
    return f->order[at % f->train];
}

/* What a state is of: two fits with the same hash go through the same numbers. */
static int name_fit(const struct fit *f, char hex[33])
{
    const struct tuned_lens_optimizer_options *p = &f->o->optimizer;
    struct hash128 fingerprint;
    int status = model_fingerprint(f->m, &fingerprint, f->e);
    if (status != PLUMB_OK)
        return status;
    struct hash_state *s = hash_create();
    if (!s)
        return error_memory(f->e, "the state of a fit");
    const double numbers[] = {(double)p->kind,
                              p->learning_rate,
                              p->momentum,
                              p->weight_decay,
                              p->clip,
                              (double)p->steps,
                              (double)f->batch,
                              (double)f->window,
                              (double)f->train,
                              (double)f->o->seed,
                              (double)model_precision(f->m)};
    hash_add(s, &fingerprint, sizeof fingerprint);
    hash_add(s, numbers, sizeof numbers);
    hash_add(s, f->ids, f->train * f->window * sizeof *f->ids);
    hash_add(s, model_arithmetic(f->m), strlen(model_arithmetic(f->m)));
    if (f->o->origin)
        hash_add(s, f->o->origin, strlen(f->o->origin));
    hash_hex(hash_finish(s), hex);
    return PLUMB_OK;
}

/* How a step ended. */
enum outcome {
    STEP_DONE,
    STEP_DONE_AND_STOP, /* the job was asked to stop */
    STEP_CUT,           /* so early that the step is not whole */
};

/* The gradient of the mean loss of one step's windows; *loss the mean over tokens and layers. */
static int step_gradient(struct fit *f, int step, const struct lens_values *v, double *kl,
                         struct lens_values *g, double *loss, enum outcome *outcome)
{
    const size_t d = v->hidden, layers = (size_t)v->layers,
                 all = f->batch * (size_t)f->o->optimizer.steps;
    const struct tuned_lens_sums sums = {.kl = kl};
    size_t windows[ROWS_A_RUN];
    int status = PLUMB_OK;
    *outcome = STEP_DONE;
    memset(kl, 0, layers * sizeof *kl);
    memset(g->weight, 0, layers * d * d * sizeof(float));
    memset(g->bias, 0, layers * d * sizeof(float));
    for (size_t i = 0, n; i < f->batch && status == PLUMB_OK && *outcome == STEP_DONE; i += n) {
        n = f->batch - i < f->a_run ? f->batch - i : f->a_run;
        for (size_t k = 0; k < n; k++)
            windows[k] = window_at(f, (size_t)step * f->batch + i + k);
        status = pass(f, windows, n, v, &sums, g);
        if (status == PLUMB_OK && !progress_report(f->o->progress, (size_t)step * f->batch + i + n,
                                                   all, "windows", f->note))
            *outcome = i + n < f->batch ? STEP_CUT : STEP_DONE_AND_STOP;
    }
    const double tokens = (double)(f->batch * f->window);
    const float scale = (float)(1 / tokens);
    for (size_t i = 0; i < layers * d * d; i++)
        g->weight[i] *= scale;
    for (size_t i = 0; i < layers * d; i++)
        g->bias[i] *= scale;
    *loss = 0;
    for (size_t l = 0; l < layers; l++)
        *loss += kl[l] / tokens / (double)layers;
    return status;
}

/* The steps from `step` on. PLUMB_NO: stopped, and the state is written. */
static int take_steps(struct fit *f, const char *fit, int step, struct lens_values *v,
                      struct tuned_lens_moments *moments, struct lens_values *g, double *kl)
{
    const struct tuned_lens_options *o = f->o;
    const int steps = o->optimizer.steps;
    const bool adamw = o->optimizer.kind == TUNED_LENS_ADAMW;
    double written = clock_seconds();
    int status = PLUMB_OK;
    while (step < steps && status == PLUMB_OK) {
        enum outcome outcome;
        double loss;
        status = step_gradient(f, step, v, kl, g, &loss, &outcome);
        if (status != PLUMB_OK)
            break;
        if (!isfinite(loss))
            return error_set(f->e, PLUMB_NO,
                             "the fit ran away at step %d: give a smaller learning rate", step + 1);
        if (outcome != STEP_CUT) {
            tuned_lens_step(&o->optimizer, step++, g, v, moments);
            snprintf(f->note, sizeof f->note, "step %d of %d: KL %.4f nats", step, steps, loss);
        }
        const bool stop = outcome != STEP_DONE && step < steps;
        if (o->state && step > 0 && (stop || clock_seconds() - written > seconds_a_state)) {
            status = tuned_lens_state_write(o->state, fit, step, v, moments, adamw, f->e);
            written = clock_seconds();
        }
        if (status == PLUMB_OK && stop)
            status = error_set(f->e, PLUMB_NO, "stopped after %d of %d steps%s", step, steps,
                               o->state && step > 0 ? "; the same command goes on from there" : "");
    }
    return status;
}

static int train(struct fit *f, struct lens_values *v, struct tuned_lens_moments *moments,
                 struct lens_values *g, double *kl, struct tuned_lens_report *report)
{
    const bool adamw = f->o->optimizer.kind == TUNED_LENS_ADAMW;
    char fit[33];
    int step = 0;
    int status = name_fit(f, fit);
    if (status == PLUMB_OK && f->o->state)
        status = tuned_lens_state_read(f->o->state, fit, &step, v, moments, adamw, f->e);
    report->resumed = step;
    const double begin = clock_seconds();
    if (status == PLUMB_OK)
        status = take_steps(f, fit, step, v, moments, g, kl);
    report->seconds = clock_seconds() - begin;
    return status;
}

/* ---- judging ---- */

/* Means of one lens over the windows [first, first + n). */
static int judge_lens(struct fit *f, size_t first, size_t n, const struct lens_values *v,
                      double *kl, double *share)
{
    const struct tuned_lens_sums sums = {.kl = kl, .first = share};
    const size_t layers = (size_t)model_config(f->m)->n_layers;
    size_t windows[ROWS_A_RUN];
    int status = PLUMB_OK;
    for (size_t i = 0, count; i < n && status == PLUMB_OK; i += count) {
        count = n - i < f->a_run ? n - i : f->a_run;
        for (size_t k = 0; k < count; k++)
            windows[k] = first + i + k;
        status = pass(f, windows, count, v, &sums, NULL);
        if (status == PLUMB_OK &&
            !progress_report(f->o->progress, i + count, n, "windows judged", NULL) && i + count < n)
            status = error_set(f->e, PLUMB_NO, "stopped while the lens was judged");
    }
    for (size_t l = 0; l < layers; l++) {
        kl[l] /= (double)(n * f->window);
        share[l] /= (double)(n * f->window);
    }
    return status;
}

static int judge(struct fit *f, size_t first, const struct lens_values *v,
                 struct tuned_lens_report *r)
{
    const size_t layers = (size_t)model_config(f->m)->n_layers, most = f->o->judged / f->window;
    size_t n = f->windows - first;
    if (n > most)
        n = most > 0 ? most : 1;
    r->tokens_judged = n * f->window;
    r->layers = (int)layers;
    r->window = (int)f->window;
    r->kl_logit = mem_zalloc(layers, 4 * sizeof *r->kl_logit);
    if (!r->kl_logit)
        return error_memory(f->e, "the judgement of a lens");
    r->kl_tuned = r->kl_logit + layers;
    r->first_logit = r->kl_tuned + layers;
    r->first_tuned = r->first_logit + layers;
    const int status = judge_lens(f, first, n, NULL, r->kl_logit, r->first_logit);
    return status == PLUMB_OK ? judge_lens(f, first, n, v, r->kl_tuned, r->first_tuned) : status;
}

/* ---- the two jobs ---- */

static int check_options(const struct tuned_lens_options *o, struct plumb_error *e)
{
    const struct tuned_lens_optimizer_options *p = &o->optimizer;
    if (p->steps < 1 || p->steps > 1 << 24)
        return error_set(e, PLUMB_INPUT, "%d steps; expected 1 or more", p->steps);
    if (!(p->learning_rate >= 0) || !(p->weight_decay >= 0) || !(p->clip >= 0) ||
        !isfinite(p->learning_rate) || !isfinite(p->weight_decay))
        return error_set(
            e, PLUMB_INPUT,
            "learning rate %g, weight decay %g, clip %g; expected numbers of 0 or more",
            p->learning_rate, p->weight_decay, p->clip);
    if (!(o->held_out > 0 && o->held_out < 1))
        return error_set(e, PLUMB_INPUT, "a held-out share of %g; expected more than 0, below 1",
                         o->held_out);
    return PLUMB_OK;
}

int tuned_lens_fit(struct model *m, const int32_t *ids, size_t n,
                   const struct tuned_lens_options *o, struct lens_values *out,
                   struct tuned_lens_report *report, struct plumb_error *e)
{
    struct fit f = {.m = m, .o = o, .ids = ids, .e = e};
    struct tuned_lens_moments moments = {0};
    struct lens_values gradient = {0};
    const int layers = model_config(m)->n_layers;
    const size_t d = (size_t)model_config(m)->hidden;
    *report = (struct tuned_lens_report){.steps = o->optimizer.steps,
                                         .learning_rate = tuned_lens_rate(&o->optimizer),
                                         .tokens_text = n};
    *out = (struct lens_values){0};
    int status = check_options(o, e);
    if (status == PLUMB_OK)
        status = plan(&f, n);
    if (status == PLUMB_OK)
        status = prepare(&f);
    if (status == PLUMB_OK)
        status = lens_values_create(layers, d, out, e);
    if (status == PLUMB_OK)
        status = lens_values_create(layers, d, &gradient, e);
    if (status == PLUMB_OK)
        status = lens_values_create(layers, d, &moments.first, e);
    if (status == PLUMB_OK && o->optimizer.kind == TUNED_LENS_ADAMW)
        status = lens_values_create(layers, d, &moments.second, e);
    double *kl = status == PLUMB_OK ? mem_array((size_t)layers, sizeof *kl) : NULL;
    if (status == PLUMB_OK && !kl)
        status = error_memory(e, "the losses of the layers");
    if (status == PLUMB_OK)
        status = train(&f, out, &moments, &gradient, kl, report);
    if (status == PLUMB_OK) {
        report->tokens_step = f.batch * f.window;
        report->tokens_trained = report->tokens_step * (size_t)o->optimizer.steps;
        status = judge(&f, f.train, out, report);
    }
    mem_free(kl);
    lens_values_free(&gradient);
    lens_values_free(&moments.first);
    lens_values_free(&moments.second);
    release(&f);
    if (status != PLUMB_OK) {
        lens_values_free(out);
        tuned_lens_report_free(report);
    }
    return status;
}

int tuned_lens_judge(struct model *m, const int32_t *ids, size_t n,
                     const struct tuned_lens_options *o, const struct lens_values *v,
                     struct tuned_lens_report *report, struct plumb_error *e)
{
    struct fit f = {.m = m, .o = o, .ids = ids, .e = e};
    *report = (struct tuned_lens_report){.tokens_text = n};
    int status = plan(&f, n);
    f.train = 0; /* all of the text is judged */
    if (status == PLUMB_OK)
        status = prepare(&f);
    if (status == PLUMB_OK)
        status = judge(&f, 0, v, report);
    release(&f);
    if (status != PLUMB_OK)
        tuned_lens_report_free(report);
    return status;
}
