/*
 * fit.c - `plumb fit`: fits calibrators to a base model and the model made from it, compares and recommends.
 */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "calibrate/calibration.h"
#include "calibrate/recommend.h"
#include "cli/fit_table.h"
#include "cli/result.h"
#include "cli/verb.h"

struct fit_verb_options {
    struct common_options common;
    const char *base, *post, *pairs, *permuted, *methods, *use, *output;
    int by, draws, threads, ise, from, tau_layers, mode, weight;
    size_t seed;
    double split, lambda;
    bool labels, json;
};

enum { MOST_PERMUTED = 24 }; /* further traces: 26 options have 25 other orders */

#define AT(field) offsetof(struct fit_verb_options, field)
static const struct option_row options[] = {
    {0, "base", OPTION_TEXT, "TRACE", AT(base), "of the base model"},
    {0, "post", OPTION_TEXT, "TRACE", AT(post),
     "of the post-trained model, over the same questions in the same preset"},
    {0, "pairs", OPTION_TEXT, "FILE", AT(pairs),
     "instead of two traces: a CSV subject,index,gold,base_A,...,post_A,..."},
    {0, "permuted", OPTION_TEXT, "TRACE ...", AT(permuted),
     "of the post-trained model with the options in other orders (plumb trace --permute cyclic): "
     "adds CAPE, the mean over the orders"},
    {0, "labels", OPTION_FLAG, NULL, AT(labels),
     "also fit the methods that need right answers; then all are fitted on one part of the "
     "questions and judged on the other"},
    {0, "split", OPTION_NUMBER, "SHARE", AT(split), "with --labels: the part to fit on; 0.3"},
    {0, "seed", OPTION_SIZE, "N", AT(seed), "of the split and of the resamples: 0"},
    {0, "by", OPTION_CHOICE, "all|group", AT(by),
     "one temperature for all questions, or one for each group"},
    {0, "methods", OPTION_TEXT, "LIST", AT(methods),
     "only these, with commas between them; one that cannot be fitted is then an error"},
    {0, "use", OPTION_TEXT, "METHOD", AT(use), "write this method, not the recommended one"},
    {'o', "output", OPTION_TEXT, "FILE", AT(output), "write calibration.json"},
    {0, "draws", OPTION_INT, "N", AT(draws), "resamples for the intervals: 1000; 0 for none"},
    {0, "mode", OPTION_CHOICE, "split|soft", AT(mode),
     "of Dual-Align: confidence where the models agree and process where they do not, or both "
     "everywhere, weighted by their divergence"},
    {0, "weight", OPTION_CHOICE, "last|peak|max", AT(weight),
     "with --mode soft: the divergence of the last layer, its jump at the peak, or the largest"},
    {0, "lambda", OPTION_NUMBER, "X", AT(lambda), "with --mode split: weight of the process; 1"},
    {0, "ise", OPTION_CHOICE, "mean|sum|mixture|last", AT(ise),
     "how Dual-Align puts the entropies of the layers together"},
    {0, "from", OPTION_CHOICE, "peak|after-peak", AT(from),
     "where Dual-Align's entropies begin: at the layer at which the models part, or behind it"},
    {0, "tau-layers", OPTION_CHOICE, "all|last", AT(tau_layers),
     "Dual-Align's temperature divides the logits of all layers, or of the last alone"},
    {0, "threads", OPTION_INT, "N", AT(threads),
     "0, the default: as many as there are; the result does not depend on it"},
    {0, "json", OPTION_FLAG, NULL, AT(json), "one JSON document"},
    {0},
};

/* "daca,agreement" as bits. */
static int parse_methods(const char *list, uint32_t *out, struct plumb_error *e)
{
    *out = 0;
    for (const char *at = list; at;) {
        const char *comma = strchr(at, ',');
        const size_t n = comma ? (size_t)(comma - at) : strlen(at);
        enum method m;
        if (!fit_method_find(at, n, &m)) {
            char known[512] = "";
            size_t used = 0;
            for (int i = 0; i < METHODS; i++)
                used += (size_t)snprintf(known + used, sizeof known - used, "%s%s", i ? ", " : "",
                                         method_name((enum method)i));
            return error_set(e, PLUMB_INPUT, "no method '%.*s'; there are: %s",
                             (int)(n < 40 ? n : 40), at, known);
        }
        *out |= 1U << m;
        at = comma ? comma + 1 : NULL;
    }
    return PLUMB_OK;
}

static int make_options(const struct fit_verb_options *o, struct fit_options *out,
                        struct plumb_error *e)
{
    *out = fit_options_default();
    out->labels = o->labels;
    out->split = o->split;
    out->seed = o->seed;
    out->by_group = o->by != 0;
    out->draws = o->draws;
    out->threads = o->threads;
    out->dual.mode = (enum dual_mode)o->mode;
    out->dual.weight = (enum dual_weight)o->weight;
    out->dual.lambda = o->lambda;
    out->dual.ise =
        (struct ise_options){(enum ise)o->ise, (enum ise_from)o->from, o->tau_layers != 0};
    if (o->draws > 1000000)
        return error_set(e, PLUMB_INPUT, "--draws %d: expected at most 1000000", o->draws);
    if (o->lambda < 0)
        return error_set(e, PLUMB_INPUT, "--lambda %g: expected at least 0", o->lambda);
    if (!o->labels && o->split != 0.3)
        return error_set(e, PLUMB_INPUT,
                         "--split needs --labels: without them nothing is held back");
    return o->methods ? parse_methods(o->methods, &out->methods, e) : PLUMB_OK;
}

/* The traces of --permuted: its value, and the words without an option behind it (a shell's post.trace.shift*). */
static int read_permuted(const struct fit_verb_options *o, const struct operands *words,
                         struct pair *p, struct plumb_error *e)
{
    const char *paths[MOST_PERMUTED + 1] = {o->permuted};
    if (!o->permuted)
        return words->count ? error_set(e, PLUMB_INPUT,
                                        "what is '%s'? Traces are named by --base, --post and "
                                        "--permuted",
                                        words->words[0])
                            : PLUMB_OK;
    if (o->pairs)
        return error_set(e, PLUMB_INPUT, "--permuted needs traces: --base and --post");
    for (int i = 0; i < words->count; i++)
        paths[1 + i] = words->words[i];
    return pair_read_permuted(o->post, paths, 1 + (size_t)words->count, p, e);
}

static int read_pair(const struct fit_verb_options *o, struct pair *out, struct plumb_error *e)
{
    if (o->pairs && (o->base || o->post))
        return error_set(e, PLUMB_INPUT,
                         "--pairs is both models at once: leave out --base and "
                         "--post, or --pairs");
    if (o->pairs)
        return pair_read_csv(o->pairs, out, e);
    if (!o->base || !o->post)
        return error_set(e, PLUMB_INPUT,
                         "needs two traces: --base TRACE --post TRACE, or a table: --pairs FILE");
    return pair_read_traces(o->base, o->post, out, e);
}

/* The method to write: the recommended one, or the one asked for. */
static int choose(const struct fit_verb_options *o, const struct fit *f, struct recommendation *r,
                  struct plumb_error *e)
{
    enum method m;
    *r = recommend(f);
    if (!o->use)
        return PLUMB_OK;
    if (!fit_method_find(o->use, strlen(o->use), &m))
        return error_set(e, PLUMB_INPUT, "--use %s: no such method", o->use);
    r->result = fit_find(f, m);
    if (!r->result)
        return error_set(e, PLUMB_INPUT, "--use %s: it is not among the methods that were fitted%s",
                         o->use, method_uses_labels(m) ? "; it needs --labels" : "");
    snprintf(r->reason, sizeof r->reason, "Chosen by --use.");
    return PLUMB_OK;
}

static int show(const struct fit_verb_options *o, const struct pair *p, const struct fit *f,
                const struct recommendation *r, struct plumb_error *e)
{
    if (!o->json)
        return fit_table_print(p, f, r, o->output, stdout)
                   ? PLUMB_OK
                   : error_set(e, PLUMB_MACHINE, "the table could not be printed");
    struct result result;
    result_start(&result);
    fit_table_json(p, f, r, &result);
    return result_print(&result);
}

static int fit(const struct fit_verb_options *o, const struct operands *words,
               struct plumb_error *e)
{
    struct pair pair = {0};
    struct fit f = {0};
    struct fit_options how;
    struct recommendation r = {0};
    char created[32];
    int status = make_options(o, &how, e);
    if (status == PLUMB_OK)
        status = read_pair(o, &pair, e);
    if (status == PLUMB_OK)
        status = read_permuted(o, words, &pair, e);
    if (status == PLUMB_OK)
        status = fit_run(&pair, &how, &f, e);
    if (status == PLUMB_OK)
        status = choose(o, &f, &r, e);
    if (status == PLUMB_OK && o->output && r.result) {
        calibration_time(created);
        const struct calibration_source s = {&pair, &how, &f, r.result, r.reason, created};
        status = calibration_write(&s, o->output, e);
    }
    if (status == PLUMB_OK)
        status = show(o, &pair, &f, &r, e);
    if (status == PLUMB_OK && !r.result)
        status = PLUMB_NO;
    fit_free(&f);
    pair_free(&pair);
    return status;
}

static int run(int argc, char **argv)
{
    const struct fit_options how = fit_options_default();
    struct fit_verb_options o = {.split = how.split, .draws = how.draws, .lambda = how.dual.lambda};
    struct operands words;
    struct plumb_error e = {0};
    int status;
    if (!verb_parse(&verb_fit, argc, argv, &o, 0, MOST_PERMUTED, &words, &status))
        return status;
    status = fit(&o, &words, &e);
    if (status == PLUMB_OK || (status == PLUMB_NO && !*e.message))
        return status;
    return verb_fail(&verb_fit, &e);
}

static const char *const synopses[] = {"--base TRACE --post TRACE [options]",
                                       "--pairs FILE.csv [options]", NULL};
static const char *const examples[][2] = {
    {"plumb fit --base base.trace --post post.trace -o calibration.json",
     "without a label: fit, compare, write the recommended one"},
    {"plumb fit --base base.trace --post post.trace --labels --split 0.3",
     "against the methods that need labels, judged on the other 70 %"},
    {"plumb fit --base base.trace --post post.trace --permuted post.trace.shift*",
     "beside them CAPE, of traces made with plumb trace --permute cyclic"},
    {"plumb fit --pairs llama31-8b-mmlu.csv --methods daca,agreement,confidence --by group",
     "from a table of logits; one temperature for each subject"},
    {NULL},
};
const struct verb verb_fit = {
    .name = "fit",
    .summary = "fit calibrators to a base and a post-trained model; compare, recommend",
    .synopses = synopses,
    .description =
        "Finds temperatures that make a post-trained model's confidence true. Most need no right "
        "answer, only the base model's opinion of the same questions.\n"
        "Where right answers are known, every calibrator is judged: ECE, smooth ECE, NLL, Brier, "
        "with bootstrap intervals. With --labels the methods that need them are fitted too, and "
        "everything is judged on questions that were not fitted on. CAPE, with --permuted, is no "
        "calibration: it runs the model once for each order of the options, and may change "
        "answers.\n"
        "Exit status 1: no method can be recommended.",
    .options = options,
    .examples = examples,
    .run = run,
};
