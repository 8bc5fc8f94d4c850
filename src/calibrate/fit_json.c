/*
 * fit_json.c - results of a fit, written as JSON.
 */
#include "calibrate/fit_json.h"

#include <math.h>

void calibrator_write(struct json_writer *w, const struct calibrator *c)
{
    json_write_object(w);
    json_write_member_string(w, "form", calibrator_form_name(c->form));
    if (c->k)
        json_write_member_integer(w, "options", c->k);
    if (c->form == CALIBRATOR_ENSEMBLE)
        json_write_member_double(w, "temperature", c->tau);
    json_write_key(w, "values");
    json_write_array(w);
    for (size_t i = 0; i < c->n_parameters; i++)
        json_write_double(w, c->parameters[i]);
    json_write_end(w, ']');
    json_write_end(w, '}');
}

void calibrator_write_groups(struct json_writer *w, const struct calibrator *c)
{
    json_write_object(w);
    for (int g = 0; g < c->n_groups; g++)
        json_write_member_double(w, c->groups[g], c->group_tau[g]);
    json_write_end(w, '}');
}

static void put_interval(struct json_writer *w, const char *key, const struct fit_value *v)
{
    json_write_key(w, key);
    json_write_array(w);
    json_write_double(w, v->low);
    json_write_double(w, v->high);
    json_write_end(w, ']');
}

static void put_intervals(struct json_writer *w, const struct fit_value *v)
{
    json_write_object(w);
    for (int m = 0; m < FIT_METRICS; m++)
        if (isfinite(v[m].low) && isfinite(v[m].high))
            put_interval(w, fit_metric_key((enum fit_metric)m), &v[m]);
    json_write_end(w, '}');
}

static void put_fitted(struct json_writer *w, const struct fit_result *r)
{
    static const char *const rims[] = {[TEMPERATURE_INSIDE] = NULL,
                                       [TEMPERATURE_AT_LEAST] = "least",
                                       [TEMPERATURE_AT_MOST] = "most"};
    const struct calibrator *c = &r->calibrator;
    json_write_key(w, "temperature");
    if (c->form == CALIBRATOR_TEMPERATURE && method_has_calibrator(r->method))
        json_write_double(w, c->tau);
    else
        json_write_null(w);
    if (c->form != CALIBRATOR_TEMPERATURE) {
        json_write_key(w, "parameters");
        calibrator_write(w, c);
    }
    if (c->n_groups) {
        json_write_key(w, "by_group");
        calibrator_write_groups(w, c);
    }
    if (r->rim != TEMPERATURE_INSIDE)
        json_write_member_string(w, "at_limit", rims[r->rim]);
    if (r->orders) {
        json_write_member_integer(w, "orders", (int64_t)r->orders);
        if (r->judged)
            json_write_member_integer(w, "changed_answers", (int64_t)r->reordered);
    }
}

static void put_result(struct json_writer *w, const struct fit_result *r)
{
    json_write_object(w);
    json_write_member_string(w, "name", method_name(r->method));
    if (r->fitted) {
        put_fitted(w, r);
    } else {
        json_write_key(w, "temperature");
        json_write_null(w);
        json_write_member_string(w, "reason", r->reason);
    }
    json_write_key(w, "labels_used");
    json_write_bool(w, method_uses_labels(r->method));
    json_write_member_integer(w, "n_fit", (int64_t)r->n_fit);
    json_write_member_integer(w, "n_judged", (int64_t)r->n_judged);
    for (int m = 0; m < FIT_METRICS; m++)
        json_write_member_double(w, fit_metric_key((enum fit_metric)m),
                                 r->judged ? r->value[m].value : NAN);
    if (r->judged) {
        json_write_key(w, "ci");
        put_intervals(w, r->value);
    }
    json_write_end(w, '}');
}

void fit_write_methods(struct json_writer *w, const struct fit *f)
{
    json_write_array(w);
    for (int i = 0; i < f->n_results; i++)
        put_result(w, &f->result[i]);
    json_write_end(w, ']');
}

void fit_write_ablation(struct json_writer *w, const struct fit *f, bool with_curves)
{
    json_write_array(w);
    for (int l = 0; f->dual.points && l < DUAL_LOSSES; l++) {
        const struct dual_fit *fit = &f->dual.fit[l];
        json_write_object(w);
        json_write_member_string(w, "loss", dual_loss_name((enum dual_loss)l));
        json_write_member_double(w, "temperature", fit->defined ? fit->tau : NAN);
        json_write_member_double(w, "value", fit->defined ? fit->loss : NAN);
        if (with_curves && fit->defined) {
            json_write_key(w, "curve");
            json_write_array(w);
            for (int at = 0; at < f->dual.points; at++)
                json_write_double(w, fit->curve[at]);
            json_write_end(w, ']');
        }
        json_write_end(w, '}');
    }
    json_write_end(w, ']');
}

void fit_write_diagnostics(struct json_writer *w, const struct fit *f,
                           const struct fit_result *chosen)
{
    const struct fit_diagnostics *d = &f->diagnostics;
    json_write_member_integer(w, "n", (int64_t)d->n);
    json_write_member_integer(w, "n_fit", (int64_t)d->n_fit);
    json_write_member_integer(w, "n_judged", (int64_t)d->n_judged);
    json_write_member_double(w, "agreement", d->agreement);
    json_write_member_double(w, "base_confidence", d->base_confidence);
    json_write_member_double(w, "post_confidence", d->post_confidence);
    json_write_member_double(w, "divergence", d->divergence);
    json_write_member_double(w, "base_accuracy", d->base_accuracy);
    json_write_member_double(w, "post_accuracy", d->post_accuracy);
    json_write_member_double(w, "base_ece", d->base_ece);
    json_write_member_double(w, "post_ece_before", d->post_ece);
    const bool judged = chosen && chosen->judged;
    json_write_member_double(w, "post_ece_after", judged ? chosen->value[FIT_ECE_10].value : NAN);
    if (judged) {
        json_write_key(w, "intervals");
        put_intervals(w, chosen->value);
    }
    json_write_member_integer(w, "base_ties", (int64_t)d->base_ties);
    json_write_member_integer(w, "post_ties", (int64_t)d->post_ties);
    if (f->divergence.layers) {
        json_write_key(w,
                       "peak_layers"); /* how many questions have their peak at layer 1, 2, ... */
        json_write_array(w);
        for (int l = 0; l < f->divergence.layers; l++)
            json_write_integer(w, (int64_t)f->divergence.peak_count[l]);
        json_write_end(w, ']');
    }
    json_write_key(w, "warnings");
    json_write_array(w);
    for (int i = 0; i < f->n_warnings; i++)
        json_write_string(w, f->warning[i]);
    json_write_end(w, ']');
}
