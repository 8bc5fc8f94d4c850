/*
 * card.c - the merge card: what was merged, how, and how far the inputs lie apart, tensor by tensor.
 */
#include "base/json.h"
#include "merge/merge.h"
#include "model/config.h"

static void write_fingerprint(struct json_writer *j, const struct model *m)
{
    struct hash128 h;
    struct plumb_error ignored;
    char text[33] = "";
    if (model_fingerprint(m, &h, &ignored) == PLUMB_OK)
        hash_hex(h, text);
    json_write_key(j, "fingerprint");
    json_write_string(j, text);
}

static void write_inputs(struct json_writer *j, const struct merge_plan *p)
{
    json_write_key(j, "models");
    json_write_array(j);
    for (int i = 0; i < p->n_models; i++) {
        json_write_object(j);
        json_write_key(j, "name");
        json_write_string(j, model_name(p->models[i]));
        json_write_key(j, "architecture");
        json_write_string(j, model_config(p->models[i])->architecture->name);
        write_fingerprint(j, p->models[i]);
        json_write_key(j, "role");
        json_write_string(j, i == p->recipe->base ? "base" : "merged");
        json_write_end(j, '}');
    }
    json_write_end(j, ']');
}

static void write_number(struct json_writer *j, const char *key, double v)
{
    json_write_key(j, key);
    json_write_double(j, v);
}

static void write_numbers(struct json_writer *j, const char *key, const double *v, int n)
{
    json_write_key(j, key);
    json_write_array(j);
    for (int i = 0; i < n; i++)
        json_write_double(j, v[i]);
    json_write_end(j, ']');
}

/* The numbers that this tensor was merged with, after lists and filters: for each merged model, in their order. */
static void write_applied(struct json_writer *j, const struct merge_tensor *m)
{
    const bool arc = m->method == MERGE_SLERP || m->method == MERGE_NUSLERP;
    if (m->method == MERGE_SLERP)
        write_number(j, "t", m->t);
    else
        write_numbers(j, "weights", m->weight, m->n_inputs);
    if (arc) {
        json_write_key(j, "straight"); /* the arc was taken as a line */
        json_write_bool(j, m->is_lerp);
        write_numbers(j, "factors", (double[]){m->first_factor, m->second_factor}, 2);
    }
    if (merge_needs_base(m->method))
        write_number(j, "lambda", m->lambda);
    if (m->method != MERGE_TIES && m->method != MERGE_DARE_LINEAR && m->method != MERGE_DARE_TIES)
        return;
    write_numbers(j, "densities", m->density, m->n_inputs);
    if (m->method != MERGE_TIES)
        write_numbers(j, "rescaled_by", m->factor, m->n_inputs); /* what was kept of each change */
}

static void write_tensor(struct json_writer *j, const struct merge_item *item)
{
    const struct merge_tensor *m = &item->merge;
    json_write_object(j);
    json_write_key(j, "name");
    json_write_string(j, item->x->name);
    json_write_key(j, "type");
    json_write_string(j, dtype_name(item->type));
    if (item->copied) {
        json_write_key(j, "copied");
        json_write_bool(j, true);
        json_write_end(j, '}');
        return;
    }
    write_number(j, "cosine", m->cosine);
    write_number(j, "relative_change", m->relative_change);
    write_applied(j, m);
    json_write_end(j, '}');
}

int merge_card(const struct merge_plan *p, const struct merge_report *report, struct buffer *out,
               struct plumb_error *e)
{
    const struct merge_recipe *r = p->recipe;
    struct json_writer w = json_writer_start(out, 2), *j = &w;
    json_write_object(j);
    json_write_key(j, "program");
    json_write_string(j, "plumb " PLUMB_VERSION);
    json_write_key(j, "method");
    json_write_string(j, merge_method_name(r->method));
    json_write_key(j, "normalise");
    json_write_bool(j, merge_normalises(r));
    json_write_key(j, "seed");
    json_write_integer(j, (int64_t)r->seed);
    write_inputs(j, p);
    json_write_key(j, "merged"); /* places in "models", in the order of weights and densities */
    json_write_array(j);
    for (int i = 0; i < r->n_inputs; i++)
        json_write_integer(j, r->inputs[i]);
    json_write_end(j, ']');
    write_number(j, "relative_change", report->relative_change);
    write_number(j, "smallest_cosine", report->smallest_cosine);
    write_number(j, "largest_slerp_lerp_gap", report->largest_arc_gap);
    json_write_key(j, "tensors");
    json_write_array(j);
    for (size_t i = 0; i < p->n; i++)
        write_tensor(j, &p->items[i]);
    json_write_end(j, ']');
    json_write_end(j, '}');
    buffer_putc(out, '\n');
    return out->failed ? error_memory(e, "the merge card") : PLUMB_OK;
}
