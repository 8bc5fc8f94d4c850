/*
 * run.c - questions to trace.
 *
 * Plan: make the prompts of the items that are still to do, group by group; the longest common beginning of a group's token
 * ids is its prefix, and the prompts are sorted, so that each shares with the one before it all that it shares with any (a
 * text that several questions refer to, the same opening words). Then take them in this order into batches, run the forward
 * pass, read the lens off the residuals of the last position, fill the trace, commit. What a batch holds never changes a
 * result.
 */
#include "trace/run.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "model/config.h"
#include "model/lens.h"
#include "model/steering.h"
#include "model/tokenizer.h"
#include "task/option_order.h"
#include "tensor/dtype.h"
#include "tensor/peak.h"
#include "trace/run_private.h"

enum {
    FIRST_BATCH_ROWS = 256,
    LARGEST_BATCH_ROWS = 2048,
};
static const double batch_seconds = 2.0;

struct trace_run_options trace_run_options_default(void)
{
    return (struct trace_run_options){.preset = {.kind = PRESET_CLEAN}};
}

struct preset run_preset(const struct trace_run_options *o)
{
    struct preset p = o->preset;
    p.answers_text = o->score != TRACE_SCORE_LETTERS;
    return p;
}

/* ---- header ---------------------------------------------------------------------------------- */

static const char *lens_name(enum trace_lens l)
{
    return l == TRACE_LENS_VOCAB ? "vocab" : l == TRACE_LENS_NONE ? "none" : "letters";
}

struct header_text {
    char fingerprint[33], tokenizer[33], preset[33], chat[33], task[33], steering[33];
};

/* A steered model is another model: what is fitted to the one is not for the other. */
static int fingerprint_run(const struct run *r, struct header_text *text)
{
    struct hash128 fingerprint, steering;
    int status = model_fingerprint(r->m, &fingerprint, r->e);
    if (status != PLUMB_OK)
        return status;
    hash_hex(fingerprint, text->fingerprint);
    if (!r->o->steering)
        return PLUMB_OK;
    status = steering_hash(r->o->steering, &steering, r->e);
    if (status != PLUMB_OK)
        return status;
    const struct hash128 both[] = {fingerprint, steering};
    hash_hex(steering, text->steering);
    hash_hex(hash_bytes(both, sizeof both), text->fingerprint);
    return PLUMB_OK;
}

static int make_header(struct run *r, struct trace_header *h, struct header_text *text)
{
    const struct config *c = model_config(r->m);
    const struct trace_run_options *o = r->o;
    const enum trace_lens lens = o->score == TRACE_SCORE_LETTERS ? o->lens : TRACE_LENS_NONE;
    const struct preset preset = run_preset(o);
    int status = fingerprint_run(r, text);
    if (status != PLUMB_OK)
        return status;
    hash_hex(tokenizer_hash(model_tokenizer(r->m)), text->tokenizer);
    hash_hex(preset_hash(&preset), text->preset);
    if (r->prompt_maker.chat)
        hash_hex(chat_hash(r->prompt_maker.chat), text->chat);
    hash_hex(r->questions->hash, text->task);
    const size_t total = r->questions->count, shards = o->shards > 1 ? o->shards : 1;
    const size_t first = total * o->shard / shards, end = total * (o->shard + 1) / shards;
    if (o->shard >= shards || first == end)
        return error_set(r->e, PLUMB_INPUT, "shard %zu of %zu holds no question of %zu",
                         o->shard + 1, shards, total);
    for (int i = 0; i < o->n_hidden; i++)
        if (o->hidden_layers[i] < 0 || o->hidden_layers[i] > c->n_layers ||
            (i > 0 && o->hidden_layers[i] <= o->hidden_layers[i - 1]))
            return error_set(r->e, PLUMB_INPUT,
                             "hidden layer %d: expected ascending layers from 0 to %d",
                             o->hidden_layers[i], c->n_layers);
    r->n_letters = 0;
    for (size_t i = 0; i < total; i++)
        if (r->questions->items[i].n_options > r->n_letters)
            r->n_letters = r->questions->items[i].n_options;
    if (o->permutation && o->score != TRACE_SCORE_LETTERS)
        return error_set(r->e, PLUMB_INPUT,
                         "another order of the options needs the score letters: where texts are "
                         "scored, no options are listed");
    if (o->permutation < 0 || o->permutation >= r->n_letters)
        return error_set(r->e, PLUMB_INPUT,
                         "option order %d: %s has at most %d options a question; expected 0 to %d",
                         o->permutation, r->questions->name, r->n_letters, r->n_letters - 1);
    *h = (struct trace_header){
        .n = end - first,
        .n_options = r->n_letters,
        .n_layers = lens == TRACE_LENS_NONE ? 0 : c->n_layers,
        .n_hidden = o->n_hidden,
        .hidden_layers = o->hidden_layers,
        .hidden_size = o->n_hidden > 0 ? c->hidden : 0,
        .with_entropy = lens == TRACE_LENS_VOCAB,
        .model = model_name(r->m),
        .model_fingerprint = text->fingerprint,
        .architecture = c->architecture->hf[0],
        .tokenizer_hash = text->tokenizer,
        .preset = preset_name(o->preset.kind),
        .preset_hash = text->preset,
        .chat_hash = r->prompt_maker.chat ? text->chat : NULL,
        .task = r->questions->name,
        .task_hash = text->task,
        .precision = precision_name(model_precision(r->m)),
        .arithmetic = model_arithmetic(r->m),
        .lens = lens_name(lens),
        .tuned_lens = o->tuned && lens != TRACE_LENS_NONE ? lens_hash(o->tuned) : NULL,
        .score = o->score,
        .permutation = o->permutation,
        .steering = o->steering ? text->steering : NULL,
        .program = "plumb " PLUMB_VERSION,
        .groups = r->questions->groups,
        .n_groups = r->questions->n_groups,
        .first = first,
        .total = total,
    };
    return PLUMB_OK;
}

/* What the questions alone decide. The same bytes are written again when a run is resumed. */
static void fill_known(struct run *r)
{
    const struct trace_header *h = &r->trace->header;
    for (size_t i = 0; i < h->n; i++) {
        const struct question *q = &r->questions->items[h->first + i];
        r->trace->label[i] = q->gold;
        r->trace->options[i] = q->n_options;
        r->trace->group[i] = q->group;
        r->trace->item_hash[2 * i] = q->hash.low;
        r->trace->item_hash[2 * i + 1] = q->hash.high;
    }
}

/* ---- plan ------------------------------------------------------------------------------------ */

static int make_prompt(struct run *r, const struct buffer *header, size_t item, struct prompt *out,
                       struct buffer *text)
{
    struct token_list ids = {0};
    const int status =
        prompt_make(&r->prompt_maker, header, &r->questions->items[r->trace->header.first + item],
                    text, &ids, r->e);
    *out = (struct prompt){.item = item, .tokens = ids.ids, .n = (int)ids.count};
    return status;
}

/* How many tokens two prompts begin with. */
static int common_beginning(const struct prompt *a, const struct prompt *b)
{
    int same = 0;
    while (same < a->n && same < b->n && a->tokens[same] == b->tokens[same])
        same++;
    return same;
}

/* By tokens; equal prompts by their place, so that there is one order. */
static int compare_prompts(const void *left, const void *right)
{
    const struct prompt *a = left, *b = right;
    const int same = common_beginning(a, b);
    if (same < a->n && same < b->n)
        return a->tokens[same] < b->tokens[same] ? -1 : 1;
    return a->n != b->n ? (a->n < b->n ? -1 : 1) : (a->item < b->item ? -1 : 1);
}

/* What the prompts of a group share; each keeps at least one token of its own. */
static void plan_sharing(const struct run *r, struct group_plan *g)
{
    struct prompt *p = r->prompts + g->first;
    int shortest = p[0].n, longest = 0;
    for (size_t i = 0; i < g->count; i++) {
        shortest = p[i].n < shortest ? p[i].n : shortest;
        longest = p[i].n > longest ? p[i].n : longest;
    }
    if (g->count < 2 || r->o->no_prefix_sharing ||
        longest > config_sharing_limit(model_config(r->m)))
        return;
    qsort(p, g->count, sizeof *p, compare_prompts);
    g->neighbours = true;
    g->shared = common_beginning(&p[0], &p[g->count - 1]); /* what the ends share, all share */
    if (g->shared >= shortest)
        g->shared = shortest - 1;
    if (g->shared < SHORTEST_PREFIX)
        g->shared = 0;
}

static int plan_group(struct run *r, int group, struct buffer *text)
{
    const struct trace_header *h = &r->trace->header;
    struct group_plan plan = {.first = r->n_prompts};
    struct buffer header = BUFFER_EMPTY;
    int status = PLUMB_OK;
    for (size_t i = 0; i < h->n && status == PLUMB_OK; i++) {
        if (r->questions->items[h->first + i].group != group || r->trace->done[i])
            continue;
        if (plan.count == 0)
            status = preset_header(&r->o->preset, r->questions->groups[group], &header, r->e);
        if (status == PLUMB_OK) {
            status = make_prompt(r, &header, i, &r->prompts[r->n_prompts], text);
            plan.count++;
            r->n_prompts++;
        }
    }
    buffer_free(&header);
    if (status != PLUMB_OK || plan.count == 0)
        return status;
    plan_sharing(r, &plan);
    r->groups[r->n_groups++] = plan;
    return PLUMB_OK;
}

static int make_plan(struct run *r)
{
    struct buffer text = BUFFER_EMPTY;
    int status = PLUMB_OK;
    r->prompts = mem_zalloc(r->trace->header.n, sizeof *r->prompts);
    r->groups = mem_zalloc((size_t)r->questions->n_groups, sizeof *r->groups);
    if (!r->prompts || !r->groups)
        return error_memory(r->e, "the prompts");
    for (int g = 0; g < r->questions->n_groups && status == PLUMB_OK; g++)
        status = plan_group(r, g, &text);
    buffer_free(&text);
    return status;
}

/* ---- run ------------------------------------------------------------------------------------- */

/* The logits of the letters, by place in the prompt, to the options that stood there. */
static void put_options(const float *by_place, int shift, int k, float *out)
{
    for (int place = 0; place < k; place++)
        out[option_at_place(place, shift, k)] = by_place[place];
}

/* What the head reads: the residuals of layers 1..L [L, R, D], the inner ones through their translators. *out is null, and
   the residuals themselves are read, where there is no tuned lens. */
static int translate(struct run *r, size_t R, const float *residual, float **out)
{
    const size_t L = (size_t)model_config(r->m)->n_layers, D = (size_t)model_config(r->m)->hidden;
    int status = PLUMB_OK;
    *out = NULL;
    if (!r->trace->header.tuned_lens)
        return PLUMB_OK;
    float *read = mem_array(L * R, D * sizeof *read);
    if (!read)
        return error_memory(r->e, "the lens");
    for (size_t l = 1; l < L && status == PLUMB_OK; l++)
        status =
            lens_apply(r->o->tuned, (int)l, residual + l * R * D, R, read + (l - 1) * R * D, r->e);
    memcpy(read + (L - 1) * R * D, residual + L * R * D, R * D * sizeof *read);
    *out = read;
    return status;
}

/* The lens and the rest of what a batch's residuals [L + 1, R, D] say. */
static int record(struct run *r, const size_t *prompts, size_t R, const float *residual)
{
    const struct config *c = model_config(r->m);
    const struct trace_header *h = &r->trace->header;
    const size_t K = (size_t)r->n_letters, L = (size_t)c->n_layers, D = (size_t)c->hidden;
    const int shift = h->permutation;
    const size_t first_layer = h->n_layers > 0 ? 1 : L, layers = L + 1 - first_layer;
    float *lens = mem_array(layers * R * K, sizeof *lens), *summary = mem_array(R, sizeof *summary);
    float *entropy = h->with_entropy ? mem_array(L * R, sizeof *entropy) : NULL;
    float *translated = NULL;
    int status = lens && summary && (entropy || !h->with_entropy)
                     ? translate(r, R, residual, &translated)
                     : error_memory(r->e, "the lens");
    const float *read = translated ? translated : residual + R * D; /* of layers 1..L */
    if (status == PLUMB_OK)
        status =
            head_apply(r->f, r->letters, read + (first_layer - 1) * R * D, layers * R, lens, r->e);
    if (status == PLUMB_OK)
        status = head_summary(r->f, residual + L * R * D, R, summary, NULL, r->e);
    if (status == PLUMB_OK && entropy)
        status = head_summary(r->f, read, L * R, NULL, entropy, r->e);
    for (size_t i = 0; i < R && status == PLUMB_OK; i++) {
        const size_t item = r->prompts[prompts[i]].item, k = (size_t)r->trace->options[item];
        const float *final = lens + ((layers - 1) * R + i) * K;
        double mass = 0;
        for (size_t j = 0; j < k; j++)
            mass += exp((double) final[j] - (double)summary[i]);
        r->trace->option_mass[item] = (float)mass;
        put_options(final, shift, (int)k, r->trace->logits + item * K);
        for (size_t l = 0; l < layers && h->n_layers > 0; l++) {
            put_options(lens + (l * R + i) * K, shift, (int)k, r->trace->lens + (item * L + l) * K);
            if (entropy)
                r->trace->entropy[item * L + l] = entropy[l * R + i];
        }
        for (int s = 0; s < h->n_hidden; s++) {
            const float *x = residual + ((size_t)h->hidden_layers[s] * R + i) * D;
            uint16_t *to = r->trace->hidden + (item * (size_t)h->n_hidden + (size_t)s) * D;
            for (size_t d = 0; d < D; d++)
                to[d] = f32_to_f16(x[d]);
        }
    }
    mem_free(translated);
    mem_free(lens);
    mem_free(summary);
    mem_free(entropy);
    return status;
}

static int run_batch(struct run *r, const size_t *prompts, const struct forward_item *items,
                     size_t n)
{
    const struct config *c = model_config(r->m);
    float *residual =
        mem_array((size_t)(c->n_layers + 1) * n * (size_t)c->hidden, sizeof *residual);
    size_t *done = mem_array(n, sizeof *done);
    int status = residual && done ? forward_run(r->f, items, n, NULL, residual, NULL, r->e)
                                  : error_memory(r->e, "the residuals of a batch");
    if (status == PLUMB_OK)
        status = record(r, prompts, n, residual);
    for (size_t i = 0; i < n && status == PLUMB_OK; i++) {
        done[i] = r->prompts[prompts[i]].item;
        r->report->tokens += (size_t)r->prompts[prompts[i]].n;
        r->report->tokens_run += (size_t)items[i].n_tokens;
    }
    if (status == PLUMB_OK)
        status = trace_commit(r->trace, done, n, r->e);
    mem_free(residual);
    mem_free(done);
    return status;
}

static int enter_group(struct run *r, struct group_plan *g)
{
    if (g->shared == 0 || g->prefix)
        return PLUMB_OK;
    r->report->tokens_run += (size_t)g->shared;
    return prefix_create(r->f, NULL, r->prompts[g->first].tokens, g->shared, NULL, &g->prefix,
                         r->e);
}

/* Tokens behind the group's prefix that a prompt shares with the one before it. */
static int shared_with_neighbour(const struct run *r, const struct group_plan *g,
                                 const struct prompt *p)
{
    if (!g->neighbours)
        return 0;
    int same = common_beginning(p - 1, p);
    if (r->o->steering && same == p[-1].n)
        same--; /* its last token may be steered, which is for it alone */
    const int shared = (same < p->n ? same : p->n - 1) - g->shared;
    return shared >= SHORTEST_SHARED ? shared : 0;
}

/* Takes prompts [*next ...) into a batch of about `rows` rows; groups from *group on. */
static int take_batch(struct run *r, size_t *next, size_t *group, size_t rows, size_t *prompts,
                      struct forward_item *items, size_t *n)
{
    size_t taken = 0;
    *n = 0;
    while (*next < r->n_prompts && (*n == 0 || taken < rows)) {
        struct group_plan *g = &r->groups[*group];
        if (*next == g->first + g->count) {
            ++*group;
            continue;
        }
        int status = enter_group(r, g);
        if (status != PLUMB_OK)
            return status;
        const struct prompt *p = &r->prompts[*next];
        const bool first = *n == 0 || *next == g->first; /* of the batch, of the group */
        const int shared = first ? 0 : shared_with_neighbour(r, g, p), from = g->shared + shared;
        items[*n] = (struct forward_item){.prefix = g->prefix,
                                          .tokens = p->tokens + from,
                                          .n_tokens = p->n - from,
                                          .n_shared = shared,
                                          .n_wanted = 1};
        prompts[*n] = (*next)++;
        taken += (size_t)items[(*n)++].n_tokens;
    }
    return PLUMB_OK;
}

static void leave_groups(struct run *r, size_t next)
{
    for (size_t g = 0; g < r->n_groups; g++)
        if (r->groups[g].prefix && r->groups[g].first + r->groups[g].count <= next) {
            prefix_destroy(r->groups[g].prefix);
            r->groups[g].prefix = NULL;
        }
}

static bool tell(struct run *r, size_t done)
{
    char note[64] = "";
    const double rate =
        r->report->seconds > 0
            ? model_flops_per_token(r->m) * (double)r->report->tokens_run / r->report->seconds
            : 0;
    r->report->peak_share = r->peak > 0 ? rate / r->peak : 0;
    if (r->report->peak_share > 0)
        snprintf(note, sizeof note, "%.0f %% of this machine's peak", 100 * r->report->peak_share);
    return progress_report(r->o->progress, r->report->resumed + done, r->trace->header.n,
                           "questions", *note ? note : NULL);
}

int run_batches(struct run *r, size_t total, run_batch_call *batch, void *user)
{
    size_t done = 0, rows = FIRST_BATCH_ROWS;
    int status = PLUMB_OK;
    const double start = clock_seconds();
    while (status == PLUMB_OK && done < total) {
        const double before = clock_seconds();
        const size_t run_before = r->report->tokens_run;
        status = batch(r, user, rows, &done);
        if (status != PLUMB_OK)
            break;
        const double now = clock_seconds();
        const double rate = (double)(r->report->tokens_run - run_before) / (now - before);
        const double wanted = rate * batch_seconds;
        rows = wanted < 1 ? 1 : wanted > LARGEST_BATCH_ROWS ? LARGEST_BATCH_ROWS : (size_t)wanted;
        r->report->seconds = now - start;
        if (!tell(r, done) && done < total)
            status =
                error_set(r->e, PLUMB_NO,
                          "stopped after %zu of %zu questions; the same command goes on from there",
                          r->report->resumed + done, r->trace->header.n);
    }
    return status;
}

/* What a batch of letters works with; the arrays hold any batch. */
struct letters_work {
    size_t *prompts;
    struct forward_item *items;
    size_t group;
};

static int letters_batch(struct run *r, void *user, size_t rows, size_t *done)
{
    struct letters_work *w = user;
    size_t n;
    int status = take_batch(r, done, &w->group, rows, w->prompts, w->items, &n);
    if (status == PLUMB_OK)
        status = run_batch(r, w->prompts, w->items, n);
    if (status == PLUMB_OK)
        leave_groups(r, *done);
    return status;
}

static int run_letters(struct run *r, const int32_t *letters)
{
    int status = make_plan(r);
    if (status == PLUMB_OK)
        status = head_create(r->m, letters, r->n_letters, &r->letters, r->e);
    if (status != PLUMB_OK)
        return status;
    struct letters_work work = {
        .prompts = mem_array(r->n_prompts, sizeof *work.prompts),
        .items = mem_array(r->n_prompts, sizeof *work.items),
    };
    status = work.prompts && work.items ? run_batches(r, r->n_prompts, letters_batch, &work)
                                        : error_memory(r->e, "a batch");
    mem_free(work.prompts);
    mem_free(work.items);
    return status;
}

static void run_release(struct run *r)
{
    leave_groups(r, r->n_prompts);
    for (size_t i = 0; i < r->n_prompts; i++)
        mem_free(r->prompts[i].tokens);
    mem_free(r->prompts);
    mem_free(r->groups);
    head_destroy(r->letters);
    prompt_maker_close(&r->prompt_maker);
    forward_destroy(r->f);
}

int trace_run(struct model *m, const struct question_set *questions, const char *path,
              const struct trace_run_options *o, struct trace_run_report *report,
              struct plumb_error *e)
{
    struct run r = {.m = m, .questions = questions, .o = o, .report = report, .e = e};
    struct trace trace = {0};
    struct trace_header header;
    struct header_text text;
    int32_t letters[QUESTION_MAX_OPTIONS];
    *report = (struct trace_run_report){0};
    if (!model_tokenizer(m))
        return trace_letter_tokens(m, &o->preset, 1, letters, e);
    int status = prompt_maker_open(m, &o->preset, o->permutation, &r.prompt_maker, e);
    if (status == PLUMB_OK)
        status = make_header(&r, &header, &text);
    if (status == PLUMB_OK && o->score == TRACE_SCORE_LETTERS)
        status = trace_letter_tokens(m, &o->preset, r.n_letters, letters, e);
    if (status == PLUMB_OK)
        status = trace_create(path, &header, &trace, &report->resumed, e);
    if (status != PLUMB_OK) {
        run_release(&r);
        return status;
    }
    report->items = header.n;
    r.trace = &trace;
    if (report->resumed < header.n) {
        fill_known(&r);
        status = forward_create(m, &r.f, e);
        if (status == PLUMB_OK)
            forward_steer(r.f, o->steering);
        if (status == PLUMB_OK && o->progress)
            r.peak =
                peak_flops(model_level(m), model_precision(m) == PRECISION_BF16, model_threads(m));
        if (status == PLUMB_OK)
            status = o->score == TRACE_SCORE_LETTERS ? run_letters(&r, letters) : run_texts(&r);
        if (status == PLUMB_OK)
            status = trace_finish(&trace, e);
    }
    run_release(&r);
    trace_close(&trace);
    return status;
}
