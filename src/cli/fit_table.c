/*
 * fit_table.c - prints fits: one table of methods, one of Dual-Align's ablations, and one plain sentence.
 */
#include "cli/fit_table.h"

#include <math.h>
#include <string.h>

#include "calibrate/fit_json.h"
#include "cli/options.h"
#include "cli/output.h"

static void number_cell(struct table *t, double v, int digits)
{
    if (isnan(v))
        table_cell(t, "-");
    else /* what rounds to 0 has no sign */
        table_cell(t, "%.*f", digits, fabs(v) < 0.5 * pow(10, -digits) ? 0 : v);
}

static void interval_cell(struct table *t, const struct fit_value *v)
{
    if (isnan(v->low) || isnan(v->high))
        table_cell(t, "%s", "");
    else
        table_cell(t, "[%.3f, %.3f]", v->low, v->high);
}

/* What was fitted: a temperature, how many groups have one, or how many parameters. */
static void fitted_cell(struct table *t, const struct fit_result *r)
{
    const struct calibrator *c = &r->calibrator;
    if (!method_has_calibrator(r->method))
        table_cell(t, "-");
    else if (c->n_groups)
        table_cell(t, "%d groups", c->n_groups);
    else if (c->form == CALIBRATOR_TEMPERATURE)
        table_cell(t, "%.4f%s", c->tau, r->rim == TEMPERATURE_INSIDE ? "" : " !");
    else
        table_cell(t, "%zu par.", c->n_parameters);
}

static void add_result(struct table *t, const struct fit_result *r, bool chosen)
{
    table_cell(t, "%s%s", chosen ? "* " : "  ", method_words(r->method));
    table_cell(t, "%s", method_uses_labels(r->method) ? "yes" : "no");
    fitted_cell(t, r);
    if (!r->judged)
        return;
    number_cell(t, r->value[FIT_ACCURACY].value, 4);
    number_cell(t, r->value[FIT_ECE_10].value, 4);
    interval_cell(t, &r->value[FIT_ECE_10]);
    number_cell(t, r->value[FIT_SMECE].value, 4);
    number_cell(t, r->value[FIT_NLL].value, 4);
    number_cell(t, r->value[FIT_BRIER].value, 4);
}

static bool is_judged(const struct fit *f)
{
    for (int i = 0; i < f->n_results; i++)
        if (f->result[i].judged)
            return true;
    return false;
}

static bool print_methods(const struct fit *f, const struct recommendation *r, FILE *to)
{
    static const char *const heads[] = {"  method", "labels", "fitted", "acc.", "ECE",
                                        "95 %",     "smECE",  "NLL",    "Brier"};
    const bool judged = is_judged(f);
    struct table *t = table_create(judged ? "llrrrlrrr" : "llr");
    for (int i = 0; i < (judged ? 9 : 3); i++)
        table_cell(t, "%s", heads[i]);
    for (int i = 0; i < f->n_results; i++)
        if (f->result[i].fitted)
            add_result(t, &f->result[i], &f->result[i] == r->result);
    return table_print(t, to);
}

static bool print_ablation(const struct fit *f, FILE *to)
{
    if (!f->dual.points)
        return true;
    struct table *t = table_create("lrr");
    fputs("\nDual-Align, term by term:\n", to);
    table_cell(t, "  loss");
    table_cell(t, "temperature");
    table_cell(t, "loss at it");
    for (int l = 0; l < DUAL_LOSSES; l++) {
        const struct dual_fit *fit = &f->dual.fit[l];
        table_cell(t, "%s%s", l == (int)f->dual.chosen ? "* " : "  ",
                   dual_loss_words((enum dual_loss)l));
        number_cell(t, fit->defined ? fit->tau : NAN, 4);
        number_cell(t, fit->defined ? fit->loss : NAN, 6);
    }
    return table_print(t, to);
}

/* "14,042 questions in 57 groups; ... The models agree on 60.4 %. ..." */
static void print_pair(const struct pair *p, const struct fit *f, FILE *to)
{
    const struct fit_diagnostics *d = &f->diagnostics;
    char n[32], fitted[32], judged[32];
    struct buffer b = BUFFER_EMPTY;
    buffer_printf(&b, "%s questions", human_grouped(d->n, n));
    if (p->n_groups > 1)
        buffer_printf(&b, " in %d groups", p->n_groups);
    if (d->n_test)
        buffer_printf(&b, " to fit on; judged on %s of %s others whose answers are known",
                      human_grouped(d->n_judged, judged), human_grouped(d->n_test, fitted));
    else if (d->n_fit < d->n)
        buffer_printf(&b, ", %s to fit on and %s to judge on", human_grouped(d->n_fit, fitted),
                      human_grouped(d->n_judged, judged));
    else if (d->n_judged)
        buffer_puts(&b, "; fitted without labels and judged on the same questions");
    buffer_printf(&b,
                  ". The models agree on %.1f %%. Mean confidence: base %.3f, post-trained %.3f.",
                  100 * d->agreement, d->base_confidence, d->post_confidence);
    if (d->n_judged)
        buffer_printf(&b, " Base: accuracy %.3f, ECE %.3f.", d->base_accuracy, d->base_ece);
    options_wrap(buffer_string(&b), 0, 0, to);
    fputc('\n', to);
    buffer_free(&b);
}

/* What the heads of the table mean. */
static void print_legend(const struct fit *f, FILE *to)
{
    fputs("  fitted: temperature or number of parameters (! at its limit)", to);
    if (is_judged(f))
        fputs(". ECE: 10 bins; 95 %: basic bootstrap", to);
    fputs("\n", to);
    const struct fit_result *cape = fit_find(f, METHOD_CAPE);
    char changed[32], judged[32];
    if (cape && cape->judged)
        fprintf(to, "  CAPE: mean over %d orders of the options; it changes %s of %s answers\n",
                cape->orders, human_grouped(cape->reordered, changed),
                human_grouped(cape->n_judged, judged));
    else if (cape)
        fprintf(to, "  CAPE: mean over %d orders of the options; it may change answers\n",
                cape->orders);
}

static void print_remarks(const struct fit *f, FILE *to)
{
    for (int i = 0; i < f->n_results; i++)
        if (!f->result[i].fitted) {
            char text[1200];
            snprintf(text, sizeof text, "not fitted: %s", f->result[i].reason);
            options_wrap(text, 2, 0, to);
        }
    for (int i = 0; i < f->n_warnings; i++) {
        char text[FIT_WARNING_SIZE + 16];
        snprintf(text, sizeof text, "warning: %s", f->warning[i]);
        options_wrap(text, 2, 0, to);
    }
}

/* One plain sentence, and the reason. */
static void print_recommendation(const struct fit *f, const struct recommendation *r,
                                 const char *written, FILE *to)
{
    char text[1024], tau[64] = "", gain[96] = "";
    const struct fit_result *m = r->result;
    if (!m) {
        options_wrap(r->reason, 0, 0, to);
        return;
    }
    if (method_has_calibrator(m->method) && m->calibrator.form == CALIBRATOR_TEMPERATURE &&
        !m->calibrator.n_groups)
        snprintf(tau, sizeof tau, " (divide the logits by %.4f)", m->calibrator.tau);
    if (m->judged)
        snprintf(gain, sizeof gain, ", which takes the ECE from %.3f to %.3f",
                 f->diagnostics.post_ece, m->value[FIT_ECE_10].value);
    snprintf(text, sizeof text, "Use %s%s%s. %s%s%s", method_words(m->method), tau, gain, r->reason,
             written ? " Written to " : "", written ? written : "");
    options_wrap(text, 0, 0, to);
}

bool fit_table_print(const struct pair *p, const struct fit *f, const struct recommendation *r,
                     const char *written, FILE *to)
{
    print_pair(p, f, to);
    bool good = print_methods(f, r, to);
    print_legend(f, to);
    good = print_ablation(f, to) && good;
    fputc('\n', to);
    print_remarks(f, to);
    print_recommendation(f, r, written, to);
    return good && !ferror(to);
}

void fit_table_json(const struct pair *p, const struct fit *f, const struct recommendation *r,
                    struct result *out)
{
    struct json_writer *w = &out->json;
    json_write_object(w);
    result_text(out, "task", p->task);
    result_integer(out, "questions", (int64_t)p->n);
    result_text(out, "base", p->base_model.name);
    result_text(out, "post", p->post_model.name);
    json_write_key(w, "methods");
    fit_write_methods(w, f);
    result_text(out, "recommended", r->result ? method_name(r->result->method) : NULL);
    result_text(out, "reason", r->reason);
    json_write_key(w, "diagnostics");
    json_write_object(w);
    fit_write_diagnostics(w, f, r->result);
    json_write_end(w, '}');
    json_write_key(w, "ablation");
    fit_write_ablation(w, f, false);
    result_double(out, "fit_seconds", f->seconds);
    json_write_end(w, '}');
}
