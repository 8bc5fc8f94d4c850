/*
 * merge.c - see merge.h.
 */
#include "merge/merge.h"

#include <math.h>
#include <omp.h>
#include <stdio.h>
#include <string.h>

#include "base/buffer.h"
#include "base/memory.h"
#include "merge/pair.h"
#include "model/model_write.h"

/* Blocks that are written with one call: the system's work for a call, and for each page of a file that is written piece by
   piece, is more than that for the bytes. */
enum { STRETCH = 32 };

/* Elements of a tensor whose pages are given back stretch by stretch; those of others wait for its end, which takes less time. */
enum { LARGE = 1 << 23 };

/* What one tensor's blocks share while they are made. */
struct pour {
    const struct merge_plan *plan;
    const struct merge_item *item;
    struct model_writer *writer;
    size_t i;                /* of the tensor in the output */
    struct merge_sums *sums; /* [blocks] */
    struct merge_failure failure;
    bool is_pair; /* two BF16 inputs, a weighted sum, BF16: the fast way */
    struct merge_pair pair;
    const uint8_t *from[2]; /* of the pair: [elements] BF16 */
};

/* The first of n values that the type cannot hold, n where it holds all: those that round to infinity, half a step beyond
   the largest number. */
static size_t first_unfit(const float *x, size_t n, enum dtype type)
{
    const float too_large = type == DTYPE_F16    ? 65520.0f
                            : type == DTYPE_BF16 ? 0x1.ffp127f
                                                 : INFINITY;
    int unfit = 0;
#pragma omp simd reduction(| : unfit)
    for (size_t j = 0; j < n; j++)
        unfit |= !(fabsf(x[j]) < too_large);
    if (!unfit)
        return n;
    size_t j = 0;
    while (fabsf(x[j]) < too_large)
        j++;
    return j;
}

/* One block of the result into `out`, in its type. room: for floats. */
static int make_block(const struct pour *p, size_t block, float *room, uint8_t *out,
                      struct plumb_error *e)
{
    const struct merge_tensor *m = &p->item->merge;
    const size_t first = block * MERGE_BLOCK;
    const size_t n = m->elements - first < MERGE_BLOCK ? m->elements - first : MERGE_BLOCK;
    if (p->is_pair && merge_pair_block(&p->pair, p->from[0] + 2 * first, p->from[1] + 2 * first, n,
                                       (uint16_t *)out, &p->sums[block]))
        return PLUMB_OK;
    /* Where the fast way met what is unfit, this one says what and where. */
    const int status = merge_block(m, first, n, room, room + MERGE_BLOCK, &p->sums[block], e);
    if (status != PLUMB_OK)
        return status;
    const size_t unfit = first_unfit(room, n, p->item->type);
    if (unfit < n)
        return error_set(e, PLUMB_INPUT,
                         "tensor '%s', element %zu: the merge is %g, too large for %s; choose "
                         "f32, or weights that lead less far",
                         p->item->x->name, first + unfit, (double)room[unfit],
                         dtype_name(p->item->type));
    model_write_round(p->item->type, room, n, out);
    return PLUMB_OK;
}

/* What was read of elements [first, end) is given back to the files, so that its pages do not pile up. Where
   rows stand in another order this is a guess, and costs nothing but time. */
static void forget(const struct pour *p, size_t first, size_t end)
{
    for (int m = 0; m < p->plan->n_models; m++) {
        const struct tensor *x = p->item->views[m].x;
        const size_t block = dtype_block_elements(x->type), bytes = dtype_block_bytes(x->type);
        file_map_forget(&model_tensors(p->plan->models[m])->files[x->file],
                        x->data + first / block * bytes, (end - first) / block * bytes);
    }
}

/* Blocks [from, to), written at once. room: one block of the result and one of each input as floats, then `to - from` of the
   result in its type. */
static void pour_stretch(struct pour *p, size_t from, size_t to, float *room)
{
    const struct merge_tensor *m = &p->item->merge;
    const size_t size = dtype_block_bytes(p->item->type), first = from * MERGE_BLOCK;
    const size_t end = to * MERGE_BLOCK < m->elements ? to * MERGE_BLOCK : m->elements;
    uint8_t *out = room ? (uint8_t *)(room + (size_t)(m->n_inputs + 2) * MERGE_BLOCK) : NULL;
    struct plumb_error e = {0};
    int status = room ? PLUMB_OK : error_memory(&e, "blocks of a tensor");
    for (size_t b = from; b < to && status == PLUMB_OK; b++)
        status = make_block(p, b, room, out + (b - from) * MERGE_BLOCK * size, &e);
    if (status == PLUMB_OK)
        status = model_writer_put(p->writer, p->i, first * size, out, (end - first) * size, &e);
    if (status != PLUMB_OK)
        merge_failure_note(&p->failure, from, status, &e);
    if (m->elements >= LARGE)
        forget(p, first, end);
}

/* Is the prepared tensor one for the fast way? */
static void find_pair(struct pour *p)
{
    const struct merge_item *item = p->item;
    p->is_pair = item->type == DTYPE_BF16 && merge_as_pair(&item->merge, &p->pair);
    for (int i = 0; i < 2 && p->is_pair; i++) {
        p->from[i] = merge_view_as_stored(&item->views[p->pair.model[i]], DTYPE_BF16);
        p->is_pair = p->from[i] != NULL;
    }
}

static int pour_tensor(struct merge_plan *plan, size_t i, struct model_writer *w, int threads,
                       struct merge_sums *all, struct plumb_error *e)
{
    struct merge_item *item = &plan->items[i];
    if (item->copied)
        return model_writer_put(w, i, 0, item->x->data, item->x->bytes, e);
    int status = merge_tensor_prepare(&item->merge, threads, e);
    if (status != PLUMB_OK)
        return status;
    const size_t blocks = (item->merge.elements + MERGE_BLOCK - 1) / MERGE_BLOCK;
    const size_t room = (size_t)(item->merge.n_inputs + 2 + STRETCH) * MERGE_BLOCK;
    const size_t stretch = blocks < 2 * STRETCH * (size_t)threads
                               ? blocks / (2 * (size_t)threads) + 1 /* some for each */
                               : STRETCH;
    struct pour p = {
        .plan = plan, .item = item, .writer = w, .i = i, .failure = MERGE_FAILURE_NONE};
    p.sums = mem_zalloc(blocks ? blocks : 1, sizeof *p.sums);
    if (!p.sums)
        return error_memory(e, "the sums of a tensor");
    find_pair(&p);
#pragma omp parallel num_threads(threads)
    {
        float *mine = mem_aligned(room, sizeof *mine);
#pragma omp for schedule(dynamic)
        for (size_t b = 0; b < blocks; b += stretch)
            pour_stretch(&p, b, b + stretch < blocks ? b + stretch : blocks, mine);
        mem_free(mine);
    }
    *all = (struct merge_sums){0};
    for (size_t b = 0; b < blocks; b++)
        merge_sums_add(all, &p.sums[b]);
    mem_free(p.sums);
    merge_tensor_compare(&item->merge, all);
    for (int m = 0; m < plan->n_models; m++) /* what was read is given back to the file */
        file_map_forget(&model_tensors(plan->models[m])->files[item->views[m].x->file],
                        item->views[m].x->data, item->views[m].x->bytes);
    return merge_failure_tell(&p.failure, e);
}

static void add_to_report(struct merge_report *r, const struct merge_item *item)
{
    const struct merge_tensor *m = &item->merge;
    if (item->copied)
        return;
    r->lerped += m->is_lerp;
    if (isfinite(m->cosine) && !(m->cosine >= r->smallest_cosine)) { /* also while that is NaN */
        r->smallest_cosine = m->cosine;
        snprintf(r->smallest_name, sizeof r->smallest_name, "%s", item->x->name);
    }
    if (m->arc_gap > r->largest_arc_gap)
        r->largest_arc_gap = m->arc_gap;
}

static int pour_all(struct merge_plan *p, struct model_writer *w,
                    const struct merge_write_options *o, struct merge_report *report,
                    struct plumb_error *e)
{
    const int threads = o->threads > 0 ? o->threads : omp_get_max_threads();
    struct merge_sums whole = {0};
    size_t total = 0;
    for (size_t i = 0; i < p->n; i++)
        total += p->items[i].x->elements;
    size_t done = 0;
    for (size_t i = 0; i < p->n; i++) {
        struct merge_sums sums = {0};
        const int status = pour_tensor(p, i, w, threads, &sums, e);
        if (status != PLUMB_OK)
            return status;
        merge_sums_add(&whole, &sums);
        add_to_report(report, &p->items[i]);
        done += p->items[i].x->elements;
        if (!progress_report(o->progress, done >> 20, total >> 20, "M weights", NULL))
            return error_set(e, PLUMB_NO, "stopped; nothing was written");
    }
    report->relative_change = whole.aa > 0 ? sqrt(whole.change / whole.aa) : NAN;
    return PLUMB_OK;
}

int merge_write(struct merge_plan *p, const char *out, const struct merge_write_options *o,
                struct merge_report *report, struct plumb_error *e)
{
    const struct model_write_options write = {.tokenizer_from = o->tokenizer_from,
                                              .shard_bytes = o->shard_bytes};
    struct model_writer *w = NULL;
    struct buffer card = BUFFER_EMPTY;
    *report =
        (struct merge_report){.tensors = p->n, .smallest_cosine = NAN, .relative_change = NAN};
    struct tensor *plan = mem_array(p->n, sizeof *plan);
    if (!plan)
        return error_memory(e, "the plan of a merge");
    for (size_t i = 0; i < p->n; i++) {
        plan[i] = *p->items[i].x;
        plan[i].type = p->items[i].type;
        size_t bytes;
        if (dtype_bytes(plan[i].type, plan[i].elements, &bytes))
            report->bytes += bytes;
    }
    int status = model_writer_open(out, p->models[p->like], plan, p->n, &write, &w, e);
    mem_free(plan);
    if (status == PLUMB_OK)
        status = pour_all(p, w, o, report, e);
    if (status == PLUMB_OK)
        status = merge_card(p, report, &card, e);
    if (status == PLUMB_OK)
        status = model_writer_note(w, "merge_card.json", card.data, card.size, e);
    buffer_free(&card);
    if (status == PLUMB_OK)
        return model_writer_commit(w, e);
    model_writer_abandon(w);
    return status;
}
