/*
 * steer_data.c - see steer_data.h.
 */
#include "layers/steer_data.h"

#include <math.h>
#include <string.h>

#include "base/hash.h"
#include "base/memory.h"
#include "base/random.h"
#include "model/config.h"
#include "tensor/dtype.h"

/* ---- The split -------------------------------------------------------------------------------- */

enum { CHOOSES, JUDGES, NEITHER };

static int part_of(const struct steer_split *s, const void *hash)
{
    return hash_table_get(s->parts, hash, sizeof(struct hash128), NEITHER);
}

static int put_parts(struct steer_split *s, const struct question_set *set, const size_t *rows,
                     size_t n, int part, struct plumb_error *e)
{
    for (size_t i = 0; i < n; i++)
        if (hash_table_put(s->parts, (const char *)&set->items[rows[i]].hash,
                           sizeof(struct hash128), part) < 0)
            return error_memory(e, "the split of the questions");
    return PLUMB_OK;
}

/* chooses[i] for the labelled rows: the first round(share n) of a seeded order; of groups, so many that they hold as many
   rows or just more. */
static int draw_rows(const struct question_set *set, const size_t *rows, size_t n,
                     const struct steer_split_options *o, uint8_t *chooses, struct plumb_error *e)
{
    const size_t units = o->by_group ? (size_t)set->n_groups : n,
                 wanted = (size_t)lround(o->share * (double)n);
    struct random r = random_start(o->seed, 0);
    size_t *order = mem_array(units, sizeof *order), taken = 0;
    if (!order)
        return error_memory(e, "the split of the questions");
    for (size_t i = 0; i < units; i++)
        order[i] = i;
    for (size_t u = 0; u < units && taken < wanted; u++) {
        const size_t j = u + (size_t)random_below(&r, units - u), unit = order[j];
        order[j] = order[u];
        order[u] = unit;
        if (!o->by_group) {
            chooses[unit] = 1;
            taken++;
        }
        for (size_t i = 0; o->by_group && i < n; i++)
            if ((size_t)set->items[rows[i]].group == unit) {
                chooses[i] = 1;
                taken++;
            }
    }
    mem_free(order);
    return PLUMB_OK;
}

static size_t labelled_rows(const struct question_set *set, size_t *rows)
{
    size_t n = 0;
    for (size_t i = 0; i < set->count; i++)
        if (set->items[i].gold >= 0)
            rows[n++] = i;
    return n;
}

static int split_one(const struct question_set *task, const struct steer_split_options *o,
                     struct steer_split *s, struct plumb_error *e)
{
    const size_t n = labelled_rows(task, s->judge);
    uint8_t *chooses = mem_zalloc(n, 1);
    int status = chooses ? draw_rows(task, s->judge, n, o, chooses, e)
                         : error_memory(e, "the split of the questions");
    for (size_t i = 0; i < n && status == PLUMB_OK; i++)
        if (chooses[i])
            s->fit[s->n_fit++] = s->judge[i];
        else
            s->judge[s->n_judge++] = s->judge[i];
    mem_free(chooses);
    return status;
}

/* A question that stands in both parts judges. */
static void drop_judged(struct steer_split *s, const struct question_set *task)
{
    size_t kept = 0;
    for (size_t i = 0; i < s->n_fit; i++)
        if (part_of(s, &task->items[s->fit[i]].hash) == CHOOSES)
            s->fit[kept++] = s->fit[i];
    s->in_both = s->n_fit - kept;
    s->n_fit = kept;
}

int steer_split_create(const struct question_set *task, const struct question_set *test,
                       const struct steer_split_options *o, struct steer_split *out,
                       struct plumb_error *e)
{
    const struct question_set *judged = test ? test : task;
    *out = (struct steer_split){.fit = mem_array(task->count, sizeof *out->fit),
                                .judge = mem_array(judged->count, sizeof *out->judge),
                                .parts = hash_table_create(task->count + judged->count)};
    int status = out->fit && out->judge && out->parts
                     ? PLUMB_OK
                     : error_memory(e, "the split of the questions");
    if (status == PLUMB_OK && !test && !(o->share > 0 && o->share < 1))
        status = error_set(e, PLUMB_INPUT,
                           "a split of %g: expected the share of the questions that choose, "
                           "between 0 and 1",
                           o->share);
    if (status == PLUMB_OK && test) {
        out->n_fit = labelled_rows(task, out->fit);
        out->n_judge = labelled_rows(test, out->judge);
    } else if (status == PLUMB_OK) {
        status = split_one(task, o, out, e);
    }
    if (status == PLUMB_OK)
        status = put_parts(out, task, out->fit, out->n_fit, CHOOSES, e);
    if (status == PLUMB_OK)
        status = put_parts(out, judged, out->judge, out->n_judge, JUDGES, e);
    if (status == PLUMB_OK) {
        out->unlabelled = task->count - out->n_fit - (test ? 0 : out->n_judge) +
                          (test ? test->count - out->n_judge : 0);
        drop_judged(out, task);
        if (out->n_fit < 2 || out->n_judge < 2)
            status = error_set(e, PLUMB_INPUT,
                               "%zu questions with an answer to choose on, without %zu that judge "
                               "as well, and %zu to judge on; expected two or more of each: give "
                               "more questions, another --split, or others to judge on with --test",
                               out->n_fit, out->in_both, out->n_judge);
    }
    if (status != PLUMB_OK)
        steer_split_free(out);
    return status;
}

void steer_split_free(struct steer_split *s)
{
    mem_free(s->fit);
    mem_free(s->judge);
    if (s->parts)
        hash_table_destroy(s->parts);
    *s = (struct steer_split){0};
}

/* ---- Traces ----------------------------------------------------------------------------------- */

int steer_source_check(const struct steer_source *s, const struct model *m,
                       const struct preset *preset, struct plumb_error *e)
{
    const struct trace_header *h = &s->trace->header;
    struct hash128 fingerprint;
    char found[33], asked[33];
    if (h->imported)
        return error_set(e, PLUMB_INPUT,
                         "%s was imported and holds final answers only: record the layers with "
                         "plumb trace MODEL QUESTIONS --hidden all",
                         s->path);
    if (h->steering)
        return error_set(e, PLUMB_INPUT, "%s is of a steered model: trace again without --steer",
                         s->path);
    int status = model_fingerprint(m, &fingerprint, e);
    if (status != PLUMB_OK)
        return status;
    hash_hex(fingerprint, found);
    if (strcmp(found, h->model_fingerprint) != 0)
        return error_set(e, PLUMB_INPUT, "%s is of another model (%.60s, %s) than --model %s (%s)",
                         s->path, h->model, h->model_fingerprint, model_path(m), found);
    if (h->score != TRACE_SCORE_LETTERS)
        return error_set(e, PLUMB_INPUT,
                         "%s scores by %s: trace again with --score letters --hidden all", s->path,
                         trace_score_name(h->score));
    hash_hex(preset_hash(preset), asked);
    if (strcmp(h->preset, preset_name(preset->kind)) != 0 || strcmp(asked, h->preset_hash) != 0)
        return error_set(e, PLUMB_INPUT,
                         "%s asked with another prompt (%s, %s) than this search would (%s, %s): "
                         "give the --preset, --instruction, --system, --shots and --shots-from of "
                         "the trace",
                         s->path, h->preset, h->preset_hash, preset_name(preset->kind), asked);
    if (!s->trace->hidden || h->n_hidden < 1)
        return error_set(e, PLUMB_INPUT, "%s keeps no hidden states: trace again with --hidden all",
                         s->path);
    return PLUMB_OK;
}

/* Where a layer stands among those that the trace keeps; -1: it does not. */
static int kept_at(const struct trace_header *h, int layer)
{
    for (int i = 0; i < h->n_hidden; i++)
        if (h->hidden_layers[i] == layer)
            return i;
    return -1;
}

static int need_layer(const struct steer_source *s, int layer, const char *what,
                      struct plumb_error *e)
{
    if (kept_at(&s->trace->header, layer) >= 0)
        return PLUMB_OK;
    return error_set(e, PLUMB_INPUT,
                     "%s keeps no hidden states after layer %d, %s: trace again with --hidden all, "
                     "or choose other layers with --layers and --from",
                     s->path, layer, what);
}

/* ---- Depth ------------------------------------------------------------------------------------ */

/* The phases by the questions that do not judge. */
static int find_phase(const struct steer_source *s, const struct steer_split *split, uint64_t seed,
                      struct phase *out, struct plumb_error *e)
{
    struct reading r;
    struct profile p;
    struct profile_options how = profile_options_default();
    int status = reading_of_trace(s->trace, s->path, &r, e);
    if (status != PLUMB_OK)
        return status;
    int32_t *label = mem_array(r.n, sizeof *label);
    if (!label)
        return error_memory(e, "the labels");
    for (size_t i = 0; i < r.n; i++)
        label[i] = part_of(split, s->trace->item_hash + 2 * i) == JUDGES ? -1 : r.label[i];
    r.label = label;
    r.hidden = NULL; /* no grouping loss */
    r.n_hidden = 0;
    how.draws = 0;
    how.seed = seed;
    status = profile_create(&r, &how, &p, e);
    if (status == PLUMB_OK) {
        status = phase_detect(&p, out, e);
        profile_free(&p);
    }
    mem_free(label);
    return status;
}

static int choose_layers(const struct steer_source *s, struct steer_depth *out,
                         struct plumb_error *e)
{
    const struct trace_header *h = &s->trace->header;
    const int first = out->from < 1 ? 1 : out->from;
    int *kept = mem_array((size_t)h->n_hidden, sizeof *kept), n = 0;
    out->layers = mem_array(STEER_DEPTH_MOST, sizeof *out->layers);
    if (!kept || !out->layers) {
        mem_free(kept);
        return error_memory(e, "the layers");
    }
    for (int i = 0; i < h->n_hidden; i++)
        if (h->hidden_layers[i] >= first)
            kept[n++] = h->hidden_layers[i];
    out->n_layers = n < STEER_DEPTH_MOST ? n : STEER_DEPTH_MOST;
    for (int i = 0; i < out->n_layers; i++)
        out->layers[i] =
            n <= STEER_DEPTH_MOST ? kept[i] : kept[i * (n - 1) / (STEER_DEPTH_MOST - 1)];
    mem_free(kept);
    return PLUMB_OK;
}

int steer_depth_find(const struct steer_source *s, const struct steer_split *split, int from_wanted,
                     const int *layers_wanted, int n_wanted, uint64_t seed, struct steer_depth *out,
                     struct plumb_error *e)
{
    *out = (struct steer_depth){0};
    int status = find_phase(s, split, seed, &out->phase, e);
    if (status != PLUMB_OK)
        return status;
    const int last = s->trace->header.n_layers;
    out->from = from_wanted >= 0            ? from_wanted
                : out->phase.peak < last    ? out->phase.peak
                : out->phase.plateau < last ? out->phase.plateau
                                            : last - 1;
    status = need_layer(s, out->from, "from which updates are taken", e);
    if (status == PLUMB_OK)
        status = need_layer(s, last, "the last", e);
    for (int i = 0; i < n_wanted && status == PLUMB_OK; i++)
        status = need_layer(s, layers_wanted[i], "which --layers names", e);
    if (status == PLUMB_OK && layers_wanted) {
        out->layers = mem_array((size_t)n_wanted, sizeof *out->layers);
        if (!out->layers)
            return error_memory(e, "the layers");
        memcpy(out->layers, layers_wanted, (size_t)n_wanted * sizeof *out->layers);
        out->n_layers = n_wanted;
    } else if (status == PLUMB_OK) {
        status = choose_layers(s, out, e);
    }
    if (status != PLUMB_OK)
        steer_depth_free(out);
    return status;
}

void steer_depth_free(struct steer_depth *d)
{
    mem_free(d->layers);
    *d = (struct steer_depth){0};
}

/* ---- States ----------------------------------------------------------------------------------- */

/* The layers of depth, `from` and the last, rising, without repeats. layers: room for two more. */
static int needed_layers(const struct steer_depth *d, int last, int *layers)
{
    int n = 0;
    for (int l = 0; l <= last; l++) {
        bool needed = l == d->from || l == last;
        for (int i = 0; i < d->n_layers; i++)
            needed = needed || d->layers[i] == l;
        if (needed)
            layers[n++] = l;
    }
    return n;
}

/* Confidence and correctness of the model's answer; ties take the first option. */
static void read_answer(const struct trace *t, size_t i, int8_t *right, double *confidence)
{
    const float *z = t->logits + i * (size_t)t->header.n_options;
    int best = 0;
    double total = 0;
    for (int j = 1; j < t->options[i]; j++)
        if (z[j] > z[best])
            best = j;
    for (int j = 0; j < t->options[i]; j++)
        total += exp((double)z[j] - (double)z[best]);
    *confidence = 1 / total;
    *right = (int8_t)(t->label[i] < 0 ? -1 : t->label[i] == best);
}

static size_t count_rows(const struct steer_source *s, const struct steer_split *split)
{
    size_t n = 0;
    for (size_t i = 0; i < s->trace->header.n; i++)
        n += part_of(split, s->trace->item_hash + 2 * i) != JUDGES;
    return n;
}

/* Adds the states of one trace behind row `at`. */
static int read_states(const struct steer_source *s, const struct steer_split *split,
                       struct steer_pool *p, size_t *at, struct plumb_error *e)
{
    const struct trace *t = s->trace;
    const size_t d = (size_t)t->header.hidden_size, kept = (size_t)t->header.n_hidden;
    for (int l = 0; l < p->view.n_layers; l++) {
        const int place = kept_at(&t->header, p->layers[l]);
        const int status = need_layer(s, p->layers[l], "which this search needs", e);
        if (status != PLUMB_OK)
            return status;
        float *x = (float *)(uintptr_t)p->states[l].x;
        size_t row = *at;
        for (size_t i = 0; i < t->header.n; i++) {
            if (part_of(split, t->item_hash + 2 * i) == JUDGES)
                continue;
            const uint16_t *h = t->hidden + (i * kept + (size_t)place) * d;
            for (size_t j = 0; j < d; j++)
                x[row * d + j] = f16_to_f32(h[j]);
            read_answer(t, i, &p->right[row], &p->confidence[row]);
            row++;
        }
    }
    *at += count_rows(s, split);
    return PLUMB_OK;
}

int steer_pool_create(const struct steer_source *sources, int n, const struct steer_split *split,
                      const struct steer_depth *depth, struct steer_pool *out,
                      struct plumb_error *e)
{
    const size_t d = (size_t)sources[0].trace->header.hidden_size;
    *out = (struct steer_pool){0};
    for (int i = 0; i < n; i++)
        out->n += count_rows(&sources[i], split);
    if (out->n < 2)
        return error_set(e, PLUMB_INPUT,
                         "%s holds %zu questions that do not judge; expected two or more: the "
                         "directions are fitted on the questions of --task that choose, or on "
                         "others",
                         sources[0].path, out->n);
    out->layers = mem_array((size_t)depth->n_layers + 2, sizeof *out->layers);
    out->right = mem_array(out->n, sizeof *out->right);
    out->confidence = mem_array(out->n, sizeof *out->confidence);
    bool good = out->layers && out->right && out->confidence;
    const int layers =
        good ? needed_layers(depth, sources[0].trace->header.n_layers, out->layers) : 0;
    if (good)
        out->states = mem_zalloc((size_t)layers, sizeof *out->states);
    good = good && out->states;
    for (int l = 0; l < layers && good; l++) {
        out->states[l] = (struct states){out->n, d, mem_array(out->n, d * sizeof(float))};
        good = out->states[l].x != NULL;
        out->view.n_layers = l + 1;
    }
    size_t at = 0;
    int status = good ? PLUMB_OK : error_memory(e, "the hidden states");
    out->view.layers = out->layers;
    out->view.states = out->states;
    out->view.right = out->right;
    out->view.confidence = out->confidence;
    for (int i = 0; i < n && status == PLUMB_OK; i++)
        status = read_states(&sources[i], split, out, &at, e);
    if (status != PLUMB_OK)
        steer_pool_free(out);
    return status;
}

void steer_pool_free(struct steer_pool *p)
{
    for (int l = 0; p->states && l < p->view.n_layers; l++)
        mem_free((void *)(uintptr_t)p->states[l].x);
    mem_free(p->states);
    mem_free(p->layers);
    mem_free(p->right);
    mem_free(p->confidence);
    *p = (struct steer_pool){0};
}
