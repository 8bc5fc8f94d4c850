/*
 * layers_neurons.c - `plumb layers --neurons MODEL`: which neurons write where the head does not look.
 */
#include <math.h>
#include <stdio.h>

#include "base/file.h"
#include "cli/layers.h"
#include "cli/output.h"
#include "cli/progress_line.h"
#include "cli/result.h"
#include "cli/verb.h"
#include "layers/neurons.h"
#include "model/config.h"
#include "model/tokenizer.h"

/* ---- the tables ------------------------------------------------------------------------------ */

/* The place of v among all neurons' values, the largest (or smallest) first. */
static size_t place(const struct neurons *n, const struct neuron *of, bool by_norm)
{
    size_t before = 1;
    for (size_t i = 0; i < n->n; i++)
        before += by_norm ? n->all[i].norm > of->norm : n->all[i].logit_var < of->logit_var;
    return before;
}

static void cell(struct table *t, const char *format, double v)
{
    char text[32];
    snprintf(text, sizeof text, format, v);
    table_cell(t, "%s", isnan(v) ? "-" : text);
}

static bool print_list(const struct neurons *n, const size_t *which, size_t count, bool top)
{
    static const char *const head[] = {"block", "neuron", "|w|", "place", "LogitVar", "place",
                                       "rho",   "chance", "TE",  "DE",    "1 - DE/TE"};
    struct table *t = table_create("rrrrrrrrrrr");
    for (size_t i = 0; i < sizeof head / sizeof *head; i++)
        table_cell(t, "%s", head[i]);
    for (size_t i = 0; i < count; i++) {
        const struct neuron *x = &n->all[which[i]];
        table_cell(t, "%d", x->block);
        table_cell(t, "%zu", x->index);
        table_cell(t, "%.3f", x->norm);
        table_cell(t, "%zu", place(n, x, true));
        cell(t, "%.2e", x->logit_var);
        table_cell(t, "%zu", place(n, x, false));
        table_cell(t, "%.3f", x->rho);
        cell(t, "%.3f", top ? n->chance_high[i] : NAN);
        cell(t, "%.2e", x->total);
        cell(t, "%.2e", x->direct);
        cell(t, "%+.2f", x->share);
    }
    return table_print(t, stdout);
}

/* Neurons of the list whose rho is above the 95 % point of chance for their place. */
static size_t beyond_chance(const struct neurons *n)
{
    size_t count = 0;
    while (count < n->n_top && n->all[n->top[count]].rho > n->chance_high[count])
        count++;
    return count;
}

/* "8.197, 8.194 and 8.3": those that pass both tests. */
static size_t name_both(const struct neurons *n, struct buffer *out)
{
    size_t count = 0, at = 0;
    for (size_t i = 0; i < n->n_top; i++)
        count += neurons_regulates(n, i);
    for (size_t i = 0; i < n->n_top; i++)
        if (neurons_regulates(n, i)) {
            const struct neuron *x = &n->all[n->top[i]];
            buffer_printf(out, "%s%d.%zu",
                          at == 0           ? ""
                          : at + 1 == count ? " and "
                                            : ", ",
                          x->block, x->index);
            at++;
        }
    return count;
}

static bool print_verdict(const struct neurons *n)
{
    struct buffer line = BUFFER_EMPTY, names = BUFFER_EMPTY;
    const size_t beyond = beyond_chance(n), both = name_both(n, &names);
    if (beyond == 0)
        buffer_puts(&line, "No neuron writes more into the null space than the largest of as many "
                           "random directions would.");
    else
        buffer_printf(&line,
                      "The first %zu of the list write%s more into the null space than chance: "
                      "above the 95 %% point of their places among as many random directions.",
                      beyond, beyond == 1 ? "s" : "");
    if (n->tokens && beyond && n->n_controls > 2)
        buffer_printf(&line,
                      " Of these, %zu also let%s clearly more of the effect through the final norm "
                      "than the drawn neurons (three standard deviations above their mean)%s%s. "
                      "Only such are entropy neurons.",
                      both, both == 1 ? "s" : "", both ? ": " : "", buffer_string(&names));
    const bool good = !line.failed && !names.failed;
    fputc('\n', stdout);
    options_wrap(good ? buffer_string(&line) : "", 0, 0, stdout);
    buffer_free(&line);
    buffer_free(&names);
    return good;
}

static int show_tables(const struct model *m, const struct neurons *n, struct plumb_error *e)
{
    char all[32], tokens[32], line[768];
    const double *s = n->singular;
    printf("%s%s%s: %s neurons of %s %d of %d\n", style_on(stdout, STYLE_BOLD), model_name(m),
           style_off(stdout), human_grouped(n->n, all), n->blocks > 1 ? "the blocks from" : "block",
           n->layers - n->blocks + 1, n->layers);
    snprintf(line, sizeof line,
             "Null space: the %zu of %zu directions that the head sees least; singular values "
             "%.4g to %.4g, the next is %.4g, the median %.4g.",
             n->k, n->hidden, s[0], s[n->k - 1], s[n->k], s[n->hidden / 2]);
    options_wrap(line, 0, 0, stdout);
    printf("\nThe largest shares of the null space\n");
    bool good = print_list(n, n->top, n->n_top, true);
    if (n->tokens && good) {
        printf("\nDrawn from the others\n");
        good = print_list(n, n->control, n->n_controls, false);
    }
    if (!good || !print_verdict(n))
        return error_memory(e, "the table");
    snprintf(line, sizeof line,
             "rho: share of the output weights w in the null space. chance: 95 %% point of the "
             "rho at that place among %s random directions. LogitVar: variance over the vocabulary "
             "of the cosine of w and the word's row of the head. place: among all, largest |w| and "
             "smallest LogitVar first.",
             human_grouped(n->n, all));
    fputc('\n', stdout);
    options_wrap(line, 0, 0, stdout);
    if (n->tokens)
        snprintf(line, sizeof line,
                 "TE: mean over %s tokens of the change of the loss, in nats and without its sign, "
                 "when the neuron says its mean (loss %.3f); DE: the same with the final norm held "
                 "still%s.",
                 human_grouped(n->tokens, tokens), n->loss,
                 n->blocks > 1 ? "; later blocks are held still" : "");
    else
        snprintf(line, sizeof line,
                 "Add --text FILE to see what taking these neurons out does to the loss.");
    options_wrap(line, 0, 0, stdout);
    return PLUMB_OK;
}

/* ---- JSON ------------------------------------------------------------------------------------ */

static void write_list(struct result *r, const char *key, const struct neurons *n,
                       const size_t *which, size_t count, bool top)
{
    json_write_key(&r->json, key);
    json_write_array(&r->json);
    for (size_t i = 0; i < count; i++) {
        const struct neuron *x = &n->all[which[i]];
        json_write_object(&r->json);
        result_integer(r, "block", x->block);
        result_integer(r, "neuron", (int64_t)x->index);
        result_double(r, "norm", x->norm);
        result_integer(r, "norm_place", (int64_t)place(n, x, true));
        result_double(r, "logit_var", x->logit_var);
        result_integer(r, "logit_var_place", (int64_t)place(n, x, false));
        result_double(r, "rho", x->rho);
        if (top) {
            result_double(r, "chance_mean", n->chance_mean[i]);
            result_double(r, "chance_95", n->chance_high[i]);
            result_bool(r, "both_tests", neurons_regulates(n, i));
        }
        result_double(r, "total_effect", x->total);
        result_double(r, "direct_effect", x->direct);
        result_double(r, "norm_share", x->share);
        json_write_end(&r->json, '}');
    }
    json_write_end(&r->json, ']');
}

static void write_numbers(struct result *r, const char *key, const double *v, size_t n)
{
    json_write_key(&r->json, key);
    json_write_array(&r->json);
    for (size_t i = 0; i < n; i++)
        json_write_double(&r->json, v[i]);
    json_write_end(&r->json, ']');
}

static int show_json(const struct model *m, const struct neurons *n)
{
    struct result r;
    size_t known;
    result_start(&r);
    json_write_object(&r.json);
    result_text(&r, "model", model_name(m));
    result_integer(&r, "layers", n->layers);
    result_integer(&r, "blocks", n->blocks);
    result_integer(&r, "neurons", (int64_t)n->n);
    result_integer(&r, "null_space", (int64_t)n->k);
    result_integer(&r, "tokens", (int64_t)n->tokens);
    result_double(&r, "loss", n->tokens ? n->loss : NAN);
    result_integer(&r, "beyond_chance", (int64_t)beyond_chance(n));
    result_double(&r, "norm_share_beyond", neurons_share(n, n->top, beyond_chance(n), &known));
    result_double(&r, "norm_share_controls", neurons_share(n, n->control, n->n_controls, &known));
    write_list(&r, "top", n, n->top, n->n_top, true);
    write_list(&r, "controls", n, n->control, n->n_controls, false);
    write_numbers(&r, "singular_values", n->singular, n->hidden);
    json_write_key(&r.json, "null_space_basis");
    json_write_array(&r.json);
    for (size_t i = 0; i < n->k; i++) {
        json_write_array(&r.json);
        for (size_t j = 0; j < n->hidden; j++)
            json_write_double(&r.json, n->null_space[i * n->hidden + j]);
        json_write_end(&r.json, ']');
    }
    json_write_end(&r.json, ']');
    json_write_end(&r.json, '}');
    return result_print(&r);
}

/* ---- the work -------------------------------------------------------------------------------- */

static int read_tokens(const struct model *m, const char *file, struct token_list *ids,
                       struct plumb_error *e)
{
    const struct tokenizer *tokenizer;
    struct file_map text = {0};
    int status = file_map_open(file, &text, e);
    if (status == PLUMB_OK)
        status = model_need_tokenizer(m, &tokenizer, e);
    if (status == PLUMB_OK) {
        status = tokenizer_encode(tokenizer, (const char *)text.data, text.size,
                                  (struct tokenizer_options){.add_special = true}, ids, e);
        if (status == PLUMB_INPUT)
            error_prefix(e, "%s", file);
    }
    file_map_close(&text);
    return status;
}

int layers_neurons(const char *path, const struct layers_verb_options *o, struct plumb_error *e)
{
    struct model_options open = model_options_default();
    struct neurons_options how = neurons_options_default();
    struct token_list ids = {0};
    struct model *m = NULL;
    struct neurons n = {0};
    struct progress_line line;
    progress_line_start(&line, o->common.quiet);
    open.precision = (enum precision)o->precision;
    open.threads = o->threads;
    open.progress = how.progress = &line.progress;
    how.blocks = o->blocks;
    how.null = o->null;
    how.top = o->top;
    how.controls = o->controls;
    how.seed = o->seed;
    how.tokens = o->tokens;
    int status = model_open(path, &open, &m, e);
    if (status == PLUMB_OK && o->text)
        status = read_tokens(m, o->text, &ids, e);
    how.ids = ids.ids;
    how.n_ids = ids.count;
    if (status == PLUMB_OK)
        status = neurons_find(m, &how, &n, e);
    progress_line_end(&line);
    if (status == PLUMB_OK)
        status = o->json ? show_json(m, &n) : show_tables(m, &n, e);
    neurons_free(&n);
    token_list_free(&ids);
    model_close(m);
    return status;
}
