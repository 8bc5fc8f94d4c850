/*
 * abstain_probe.c - `plumb abstain probe`: trains a probe on the hidden states of a trace, or lets a stored one judge another trace.
 */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "abstain/confidence.h"
#include "abstain/features.h"
#include "abstain/probe_file.h"
#include "base/file.h"
#include "base/memory.h"
#include "cli/abstain.h"
#include "cli/abstain_rights.h"
#include "cli/layer_list.h"
#include "cli/output.h"
#include "cli/progress_line.h"
#include "cli/result.h"
#include "report/abstain_probe.h"

enum { SPLIT_AUTO, SPLIT_GROUP, SPLIT_QUESTION };

/* What the training reads, of one trace. */
struct probe_job {
    struct abstain_input in;
    int8_t *right;                /* [n questions] by the target */
    size_t n;                     /* labelled questions */
    uint32_t *row;                /* [n] */
    uint8_t *y;                   /* [n] */
    struct hash128 *group, *item; /* [n] what may stay together */
    size_t groups;
    double *own;   /* [n] the option probability, to compare with */
    double *plain; /* [n questions, FEATURES] */
    int *layers, n_layers;
    bool by_group;
    int folds;
    struct probe_data data;
};

static void job_free(struct probe_job *j)
{
    mem_free(j->right);
    mem_free(j->row);
    mem_free(j->y);
    mem_free(j->group);
    mem_free(j->item);
    mem_free(j->own);
    mem_free(j->plain);
    mem_free(j->layers);
    abstain_close(&j->in);
}

/* ---- reading ---- */

static bool is_stored(const struct trace_header *h, int layer)
{
    for (int s = 0; s < h->n_hidden; s++)
        if (h->hidden_layers[s] == layer)
            return true;
    return false;
}

/* "none", or those that are asked for; null: all that are stored. */
static int choose_layers(const char *wanted, const struct trace *t, const char *path,
                         struct probe_job *j, struct plumb_error *e)
{
    if (wanted && strcmp(wanted, "none") == 0)
        return PLUMB_OK;
    const struct trace_header *h = t ? &t->header : NULL;
    if (!h || h->n_hidden == 0)
        return error_set(e, PLUMB_INPUT,
                         "%s holds no hidden states: plumb trace --hidden all records them (or "
                         "--hidden 4,8,12 for some layers); --layers none trains on the model's "
                         "own numbers alone",
                         path);
    if (wanted && strcmp(wanted, "all") != 0) {
        const int status = layer_list_parse(wanted, h->hidden_layers[h->n_hidden - 1], &j->layers,
                                            &j->n_layers, e);
        for (int l = 0; status == PLUMB_OK && l < j->n_layers; l++)
            if (!is_stored(h, j->layers[l]))
                return error_set(e, PLUMB_INPUT,
                                 "%s holds no hidden states after layer %d; it holds %d layers, %d "
                                 "to %d",
                                 path, j->layers[l], h->n_hidden, h->hidden_layers[0],
                                 h->hidden_layers[h->n_hidden - 1]);
        return status;
    }
    j->layers = mem_array((size_t)h->n_hidden, sizeof *j->layers);
    if (!j->layers)
        return error_memory(e, "the layers");
    j->n_layers = h->n_hidden;
    memcpy(j->layers, h->hidden_layers, (size_t)h->n_hidden * sizeof *j->layers);
    return PLUMB_OK;
}

/* The model's own numbers of every question. */
static int make_plain(struct probe_job *j, bool question_alone, struct plumb_error *e)
{
    const struct scores *s = &j->in.scores;
    if (question_alone || s->kind == SCORES_CONFIDENCE)
        return PLUMB_OK;
    j->plain = mem_array(s->n, FEATURES * sizeof *j->plain);
    if (!j->plain)
        return error_memory(e, "the features");
    for (size_t i = 0; i < s->n; i++)
        features_fill(s, i, j->plain + i * FEATURES);
    return PLUMB_OK;
}

static int open_job(const char *path, const struct abstain_options *o, bool question_alone,
                    struct probe_job *j, struct plumb_error *e)
{
    *j = (struct probe_job){0};
    int status = abstain_open(path, NULL, o, &j->in, e);
    if (status == PLUMB_OK)
        status = rights_read(o->target, &j->in, &j->right, e);
    if (status == PLUMB_OK)
        status = make_plain(j, question_alone, e);
    return status;
}

/* The groups are kept together where there are as many as folds; with fewer each question stands for itself, and the leak check
   says what whole groups would give. */
static int choose_split(const struct abstain_options *o, struct probe_job *j, struct plumb_error *e)
{
    j->groups = folds_count_keys(j->group, j->n);
    const size_t least = o->split == SPLIT_GROUP ? PROBE_LEAST_FOLDS : (size_t)o->folds;
    j->by_group = o->split != SPLIT_QUESTION && j->groups >= least;
    if (o->split == SPLIT_GROUP && !j->by_group)
        return error_set(e, PLUMB_INPUT,
                         "--split group needs at least %d groups; the labelled questions of %s are "
                         "of %zu",
                         (int)PROBE_LEAST_FOLDS, j->in.path, j->groups);
    j->folds = j->by_group && (size_t)o->folds > j->groups ? (int)j->groups : o->folds;
    return PLUMB_OK;
}

/* The labelled questions alone. */
static int select_rows(const struct abstain_options *o, struct probe_job *j, struct plumb_error *e)
{
    const struct scores *s = &j->in.scores;
    j->row = mem_array(s->n, sizeof *j->row);
    j->y = mem_array(s->n, sizeof *j->y);
    j->group = mem_array(s->n, sizeof *j->group);
    j->item = mem_array(s->n, sizeof *j->item);
    j->own = mem_array(s->n, sizeof *j->own);
    if (!j->row || !j->y || !j->group || !j->item || !j->own)
        return error_memory(e, "the labelled questions");
    size_t right = 0;
    for (size_t i = 0; i < s->n; i++) {
        if (j->right[i] < 0)
            continue;
        right += j->right[i] == 1;
        j->row[j->n] = (uint32_t)i;
        j->y[j->n] = j->right[i] == 1;
        j->item[j->n] = s->item_hash[i];
        j->group[j->n] = folds_group_key(s->groups[s->group[i]], s->item_hash[i]);
        j->own[j->n++] = j->in.signals.value[SIGNAL_PROBABILITY][i];
    }
    if (j->n == 0)
        return error_set(e, PLUMB_INPUT,
                         "%s: none of the %zu questions has a known right answer; a probe learns "
                         "from at least %d that have (--target FILE takes them from elsewhere)",
                         j->in.path, s->n, 4 * o->folds);
    if (right == 0 || right == j->n)
        return error_set(e, PLUMB_INPUT,
                         "%s: of %zu labelled questions %zu are right and %zu wrong; a probe needs "
                         "some of each",
                         j->in.path, j->n, right, j->n - right);
    return choose_split(o, j, e);
}

/* plain: [n, FEATURES] of the rows in use. */
static void fill_data(struct probe_job *j, size_t n, const double *plain)
{
    const struct trace *t = j->in.scores.trace;
    j->data = (struct probe_data){
        .n = n,
        .right = j->y,
        .key = j->by_group ? j->group : j->item,
        .item = j->item,
        .check_key = j->groups < 2 ? NULL
                     : j->by_group ? j->item
                                   : j->group,
        .check_folds = j->by_group || j->groups > (size_t)j->folds ? j->folds : (int)j->groups,
        .row = j->row,
        .layers = j->layers,
        .n_layers = j->n_layers,
        .plain = plain,
        .n_plain = plain ? FEATURES : 0};
    if (t && t->header.n_hidden) {
        j->data.hidden = t->hidden;
        j->data.n_stored = t->header.n_hidden;
        j->data.hidden_size = t->header.hidden_size;
        j->data.stored = t->header.hidden_layers;
    }
}

/* ---- the confidence file ---- */

static const char *source_name(bool question_alone, bool network)
{
    if (question_alone)
        return network ? "p_ik-mlp" : "p_ik";
    return network ? "probe-mlp" : "probe";
}

static const char *source_words(bool question_alone, bool network)
{
    if (question_alone)
        return network ? "P(IK), network" : "P(IK)";
    return network ? "probe, network" : "probe";
}

static void put_details(struct json_writer *w, const struct probe_origin *origin, int layer,
                        bool network, bool left_out)
{
    json_write_object(w);
    json_write_member_string(w, "kind", network ? "network" : "logistic");
    json_write_member_integer(w, "layer", layer);
    json_write_member_string(w, "position", probe_position(origin->score));
    json_write_member_string(w, "target", origin->target);
    json_write_member_string(w, "trained_on", origin->task);
    json_write_member_string(w, "kept_together", origin->key);
    json_write_member_integer(w, "folds", origin->folds);
    json_write_member_integer(w, "seed", (int64_t)origin->seed);
    json_write_key(w, "cross_validated");
    json_write_bool(w, left_out);
    json_write_member_string(w, "questions",
                             left_out
                                 ? "each judged by a probe that was chosen and trained without "
                                   "its fold"
                                 : "judged by the stored probe");
    json_write_end(w, '}');
}

/* Values [n questions], NaN = missing; fold [n questions] or null, -1 = none. */
static int write_confidences(const struct probe_job *j, const struct probe_origin *origin,
                             int layer, const double *const values[2], const int *fold,
                             const char *path, struct plumb_error *e)
{
    const struct scores *s = &j->in.scores;
    struct confidence_file f;
    struct buffer details[2] = {BUFFER_EMPTY, BUFFER_EMPTY};
    int count = 0;
    int status = confidence_create(s->n, (values[0] != NULL) + (values[1] != NULL), &f, e);
    for (int k = 0; status == PLUMB_OK && k < 2; k++) {
        if (!values[k])
            continue;
        struct json_writer w = json_writer_start(&details[k], 0);
        put_details(&w, origin, layer, k == 1, fold != NULL);
        f.sources[count] =
            (struct confidence_source){.name = source_name(origin->question_alone, k == 1),
                                       .words = source_words(origin->question_alone, k == 1),
                                       .passes = 1,
                                       .probability = true,
                                       .details = buffer_string(&details[k])};
        memcpy(f.value[count++], values[k], s->n * sizeof(double));
    }
    if (status == PLUMB_OK) {
        const struct trace *t = s->trace;
        f.model = t ? t->header.model_fingerprint : NULL;
        f.model_name = t ? t->header.model : NULL;
        f.task = t ? t->header.task_hash : NULL;
        f.task_name = t ? t->header.task : s->name;
        f.judged = origin->target;
        memcpy(f.item, s->item_hash, s->n * sizeof *f.item);
        memcpy(f.right, j->right, s->n);
        for (size_t i = 0; i < s->n; i++) {
            char text[32];
            f.group[i] = s->groups[s->group[i]];
            if (!fold || fold[i] < 0)
                continue;
            snprintf(text, sizeof text, "{\"fold\": %d}", fold[i]);
            f.extra[i] = confidence_keep(&f, text);
        }
        status = details[0].failed || details[1].failed ? error_memory(e, "the confidences")
                                                        : confidence_write(&f, path, e);
    }
    confidence_free(&f);
    buffer_free(&details[0]);
    buffer_free(&details[1]);
    return status;
}

/* Questions that the probe was trained on get the value that did not see them; the others, without a known answer, the stored
   probe's. */
static int write_trained(struct probe_job *j, const struct probe_result *r,
                         const struct probe_origin *origin, bool logistic, const char *path,
                         struct plumb_error *e)
{
    const size_t n = j->in.scores.n;
    double *all[2] = {mem_array(n, sizeof(double)), mem_array(n, sizeof(double))};
    int *fold = mem_array(n, sizeof *fold);
    uint32_t *every = mem_array(n, sizeof *every);
    int status = all[0] && all[1] && fold && every ? PLUMB_OK : error_memory(e, "the confidences");
    if (status == PLUMB_OK) {
        struct probe_data data = j->data;
        data.n = n;
        data.row = every;
        data.plain = j->plain;
        for (size_t i = 0; i < n; i++) {
            every[i] = (uint32_t)i;
            fold[i] = -1;
        }
        status = probe_apply(&r->probe, &data, all[0], r->network ? all[1] : NULL, e);
    }
    if (status == PLUMB_OK) {
        for (size_t i = 0; i < j->n; i++) {
            fold[j->row[i]] = r->fold[i];
            all[0][j->row[i]] = r->logistic[i];
            if (r->network)
                all[1][j->row[i]] = r->network[i];
        }
        const double *const values[2] = {logistic ? all[0] : NULL, r->network ? all[1] : NULL};
        status = write_confidences(j, origin, r->probe.layer, values, fold, path, e);
    }
    mem_free(all[0]);
    mem_free(all[1]);
    mem_free(fold);
    mem_free(every);
    return status;
}

/* ---- what is said ---- */

static void layer_text(int layer, char out[32])
{
    if (layer == PROBE_NO_LAYER)
        snprintf(out, 32, "none");
    else
        snprintf(out, 32, "%d", layer);
}

static void put_auroc(struct result *r, const char *key, const struct auroc *a)
{
    json_write_key(&r->json, key);
    json_write_object(&r->json);
    result_double(r, "auroc", a->value);
    result_double(r, "low", a->low);
    result_double(r, "high", a->high);
    json_write_end(&r->json, '}');
}

static int print_json(const struct probe_job *j, const struct probe_result *p,
                      const struct probe_origin *origin, const struct auroc *own)
{
    struct result r;
    result_start(&r);
    json_write_object(&r.json);
    result_text(&r, "trace", j->in.path);
    result_integer(&r, "labelled", (int64_t)j->n);
    result_text(&r, "position", probe_position(origin->score));
    result_text(&r, "kept_together", origin->key);
    result_integer(&r, "folds", origin->folds);
    result_integer(&r, "seed", (int64_t)origin->seed);
    result_integer(&r, "layer", p->probe.layer);
    result_double(&r, "strength", p->probe.strength);
    put_auroc(&r, "nested", &p->nested);
    if (p->network)
        put_auroc(&r, "nested_network", &p->nested_network);
    put_auroc(&r, "option_probability", own);
    if (p->has_check)
        put_auroc(&r, "dealt_the_other_way", &p->check);
    json_write_key(&r.json, "curve");
    json_write_array(&r.json);
    for (int c = 0; c < p->n_candidates; c++) {
        json_write_object(&r.json);
        if (p->curve[c].layer == PROBE_NO_LAYER) {
            json_write_key(&r.json, "layer");
            json_write_null(&r.json);
        } else {
            result_integer(&r, "layer", p->curve[c].layer);
        }
        result_double(&r, "strength", p->curve[c].strength);
        result_double(&r, "loss", p->curve[c].loss);
        put_auroc(&r, "left_out", &p->curve[c].left_out);
        json_write_end(&r.json, '}');
    }
    json_write_end(&r.json, ']');
    json_write_end(&r.json, '}');
    return result_print(&r);
}

static int print_curve(const struct probe_result *p, struct plumb_error *e)
{
    struct table *t = table_create("rrrll");
    static const char *const heads[] = {"layer", "C", "log loss", "AUROC", ""};
    for (int i = 0; i < 5; i++)
        table_cell(t, "%s", heads[i]);
    for (int c = 0; c < p->n_candidates; c++) {
        const struct probe_layer *l = &p->curve[c];
        char layer[32];
        layer_text(l->layer, layer);
        table_cell(t, "%s", layer);
        table_cell(t, "%g", l->strength);
        table_cell(t, "%.4f", l->loss);
        table_cell(t, "%.4f [%.4f, %.4f]", l->left_out.value, l->left_out.low, l->left_out.high);
        table_cell(t, "%s", c == p->best ? "chosen" : "");
    }
    return table_print(t, stdout) ? PLUMB_OK
                                  : error_set(e, PLUMB_MACHINE, "the table could not be printed");
}

static void print_auroc(const char *what, const struct auroc *a)
{
    printf("%-44s %.4f [%.4f, %.4f]\n", what, a->value, a->low, a->high);
}

/* The chosen layer dealt both ways. */
static void print_check(const struct probe_job *j, const struct probe_result *p)
{
    char text[400], layer[32];
    const double dealt = p->curve[p->best].left_out.value;
    const double grouped = j->by_group ? dealt : p->check.value,
                 single = j->by_group ? p->check.value : dealt;
    layer_text(p->probe.layer, layer);
    snprintf(text, sizeof text,
             "Leak check: the probe of layer %s has %.4f with whole groups left out and %.4f with "
             "questions dealt singly%s.",
             layer, grouped, single,
             single - grouped > 0.03
                 ? ": the higher figure does not hold for questions of new groups"
                 : "");
    putchar('\n');
    options_wrap(text, 0, 0, stdout);
}

static int print_words(const struct probe_job *j, const struct probe_result *p,
                       const struct probe_origin *origin, const struct auroc *own, bool logistic,
                       struct plumb_error *e)
{
    char text[640];
    size_t right = 0;
    for (size_t i = 0; i < j->n; i++)
        right += j->y[i];
    snprintf(text, sizeof text,
             "%zu labelled questions of %s, %zu right. Hidden states at %s. %d folds, seed %llu; "
             "%s.",
             j->n, j->in.path, right, probe_position(origin->score), origin->folds,
             (unsigned long long)origin->seed,
             j->by_group ? "a group's questions stay in one fold"
                         : "questions dealt singly, a question that stands twice in one fold");
    options_wrap(text, 0, 0, stdout);
    putchar('\n');
    const int status = print_curve(p, e);
    if (status != PLUMB_OK)
        return status;
    printf("\n%sAUROC of questions that the probe did not see, with DeLong's 95 %% interval.\n\n",
           p->curve[0].layer == PROBE_NO_LAYER
               ? "Layer none: the model's own numbers without hidden states.\n"
               : "");
    if (logistic)
        print_auroc("probe, chosen and trained without the fold", &p->nested);
    if (p->network)
        print_auroc("network, the same", &p->nested_network);
    print_auroc("option probability, the same questions", own);
    if (p->has_check)
        print_check(j, p);
    return PLUMB_OK;
}

static int draw(const struct abstain_options *o, const struct probe_job *j,
                const struct probe_result *p, const struct probe_origin *origin,
                const struct auroc *own, struct plumb_error *e)
{
    const struct probe_page page = {.result = p,
                                    .origin = origin,
                                    .own = own,
                                    .labelled = j->n,
                                    .network_alone = o->kind == PROBE_NETWORK};
    return probe_page_write(&page, o->report, e);
}

/* ---- the verb ---- */

static struct probe_origin origin_of(const struct abstain_options *o, const struct probe_job *j)
{
    const struct trace *t = j->in.scores.trace;
    static const struct trace_header unknown = {.model_fingerprint = "",
                                                .model = "",
                                                .preset = "",
                                                .preset_hash = "",
                                                .precision = "",
                                                .task = "",
                                                .task_hash = ""};
    const struct trace_header *h = t ? &t->header : &unknown;
    return (struct probe_origin){.model_fingerprint = h->model_fingerprint,
                                 .model = h->model,
                                 .preset = h->preset,
                                 .preset_hash = h->preset_hash,
                                 .score = trace_score_name(h->score),
                                 .precision = h->precision,
                                 .task = h->task,
                                 .task_hash = h->task_hash,
                                 .target = o->target ? o->target : "the likeliest option is right",
                                 .key = j->by_group ? "group" : "question",
                                 .question_alone = o->question_alone,
                                 .folds = j->folds,
                                 .seed = o->seed};
}

static int train(const struct abstain_options *o, struct probe_job *j, struct probe_result *out,
                 struct plumb_error *e)
{
    struct progress_line line;
    struct probe_options how = probe_options_default();
    double *plain = j->plain ? mem_array(j->n, FEATURES * sizeof *plain) : NULL;
    if (j->plain && !plain)
        return error_memory(e, "the features");
    for (size_t i = 0; plain && i < j->n; i++)
        memcpy(plain + i * FEATURES, j->plain + (size_t)j->row[i] * FEATURES,
               FEATURES * sizeof *plain);
    fill_data(j, j->n, plain);
    how.kind = (enum probe_kind)o->kind;
    how.folds = j->folds;
    how.seed = o->seed;
    how.threads = o->threads;
    progress_line_start(&line, o->common.quiet);
    how.progress = &line.progress;
    const int status = probe_train(&j->data, &how, out, e);
    progress_line_end(&line);
    mem_free(plain);
    j->data.plain = NULL;
    return status;
}

static int train_verb(const struct abstain_options *o, const char *trace, struct plumb_error *e)
{
    struct probe_job j;
    struct probe_result r = {0};
    struct probe_origin origin = {0};
    struct auroc own;
    const bool logistic = o->kind != PROBE_NETWORK;
    int status = open_job(trace, o, o->question_alone, &j, e);
    if (status == PLUMB_OK)
        status = file_check_output(o->output, e);
    if (status == PLUMB_OK)
        status = file_check_output(o->confidence, e);
    if (status == PLUMB_OK)
        status = file_check_output(o->report, e);
    if (status == PLUMB_OK)
        status = choose_layers(o->layers, j.in.scores.trace, trace, &j, e);
    if (status == PLUMB_OK)
        status = select_rows(o, &j, e);
    if (status == PLUMB_OK)
        status = train(o, &j, &r, e);
    if (status == PLUMB_OK) {
        origin = origin_of(o, &j);
        status = auroc_measure(j.own, j.y, j.n, &own, e);
    }
    if (status == PLUMB_OK && o->output)
        status = probe_file_write(&r, &j.data, &origin, o->output, e);
    if (status == PLUMB_OK && o->confidence)
        status = write_trained(&j, &r, &origin, logistic, o->confidence, e);
    if (status == PLUMB_OK && o->report)
        status = draw(o, &j, &r, &origin, &own, e);
    if (status == PLUMB_OK)
        status = o->json ? print_json(&j, &r, &origin, &own)
                         : print_words(&j, &r, &origin, &own, logistic, e);
    probe_result_free(&r);
    job_free(&j);
    return status;
}

/* A probe reads the states of one model after one kind of prompt. */
static int check_probe(const struct probe_file *f, const char *path, const struct probe_job *j,
                       bool force, struct plumb_error *e)
{
    const struct trace *t = j->in.scores.trace;
    const struct probe_origin *o = &f->origin;
    if (force)
        return PLUMB_OK;
    if (!t)
        return error_set(e, PLUMB_INPUT,
                         "%s is no trace, so it does not say which model it is of; add --force if "
                         "the probe is for it",
                         j->in.path);
    if (strcmp(t->header.model_fingerprint, o->model_fingerprint) != 0)
        return error_set(
            e, PLUMB_INPUT,
            "%s was trained on the hidden states of %s, and %s is of another model, %s: "
            "train a probe for it",
            path, o->model, j->in.path, t->header.model);
    if (strcmp(trace_score_name(t->header.score), o->score) != 0 ||
        strcmp(t->header.preset_hash, o->preset_hash) != 0)
        return error_set(
            e, PLUMB_INPUT,
            "%s was trained with preset %s and --score %s, and %s was recorded with %s "
            "and %s; add --force to try all the same",
            path, o->preset, o->score, j->in.path, t->header.preset,
            trace_score_name(t->header.score));
    return PLUMB_OK;
}

static int print_applied(const struct abstain_options *o, const struct probe_file *f,
                         const struct probe_job *j, const double *p)
{
    struct auroc a = {.value = (double)NAN};
    struct plumb_error e = {0};
    size_t labelled = 0;
    const size_t n = j->in.scores.n;
    double *score = mem_array(n, sizeof *score);
    uint8_t *right = mem_array(n, sizeof *right);
    for (size_t i = 0; score && right && i < n; i++)
        if (j->right[i] >= 0) {
            score[labelled] = p[i];
            right[labelled++] = j->right[i] == 1;
        }
    int status = score && right ? auroc_measure(score, right, labelled, &a, &e) : PLUMB_MACHINE;
    mem_free(score);
    mem_free(right);
    if (status != PLUMB_OK)
        return status;
    if (o->json) {
        struct result r;
        result_start(&r);
        json_write_object(&r.json);
        result_text(&r, "trace", j->in.path);
        result_integer(&r, "questions", (int64_t)n);
        result_integer(&r, "labelled", (int64_t)labelled);
        put_auroc(&r, "probe", &a);
        json_write_end(&r.json, '}');
        return result_print(&r);
    }
    char layer[32];
    layer_text(f->probe.layer, layer);
    printf("%zu questions of %s judged by the probe of layer %s, trained on %zu of %s.\n", n,
           j->in.path, layer, f->n, f->origin.task);
    const struct trace *t = j->in.scores.trace;
    if (!isnan(a.value))
        printf("AUROC %.4f [%.4f, %.4f] on the %zu that are labelled; %.4f was expected.\n",
               a.value, a.low, a.high, labelled, f->nested_auroc);
    if (t && strcmp(t->header.task_hash, f->origin.task_hash) == 0)
        printf("It was trained on these very questions: the figure flatters it.\n");
    return PLUMB_OK;
}

static int apply_verb(const struct abstain_options *o, const char *trace, struct plumb_error *e)
{
    struct probe_file f;
    struct probe_job j = {0};
    double *p[2] = {NULL, NULL};
    int status = probe_file_read(o->apply, &f, e);
    if (status != PLUMB_OK)
        return status;
    status = open_job(trace, o, f.origin.question_alone, &j, e);
    if (status == PLUMB_OK)
        status = check_probe(&f, o->apply, &j, o->force, e);
    const size_t n = j.in.scores.n;
    if (status == PLUMB_OK) {
        j.row = mem_array(n, sizeof *j.row);
        p[0] = mem_array(n, sizeof(double));
        p[1] = f.probe.network.units ? mem_array(n, sizeof(double)) : NULL;
        if (!j.row || !p[0] || (f.probe.network.units && !p[1]))
            status = error_memory(e, "the confidences");
    }
    if (status == PLUMB_OK) {
        for (size_t i = 0; i < n; i++)
            j.row[i] = (uint32_t)i;
        fill_data(&j, n, j.plain);
        status = probe_apply(&f.probe, &j.data, p[0], p[1], e);
        if (status != PLUMB_OK)
            error_prefix(e, "%s", trace);
    }
    if (status == PLUMB_OK && o->confidence)
        status = write_confidences(&j, &f.origin, f.probe.layer,
                                   (const double *const[2]){p[0], p[1]}, NULL, o->confidence, e);
    if (status == PLUMB_OK)
        status = print_applied(o, &f, &j, p[0]);
    mem_free(p[0]);
    mem_free(p[1]);
    job_free(&j);
    probe_file_free(&f);
    return status;
}

int abstain_probe(const struct abstain_options *o, const char *trace, struct plumb_error *e)
{
    return o->apply ? apply_verb(o, trace, e) : train_verb(o, trace, e);
}
