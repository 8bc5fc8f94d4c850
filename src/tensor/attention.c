/*
 * attention.c - softmax(q k^T scale) v in strips of MR query rows.
 *
 * A strip's rows are (query, head) pairs of one key-value head, so grouped heads share the reading
 * of K and V. The whole row of scores is kept (no running maximum): two passes cost less here than
 * rescaling, and the order of every sum stays fixed by position alone. The scratch of a strip is its
 * queries and MR rows of scores.
 */
#include "tensor/attention.h"

#include <assert.h>
#include <math.h>
#include <stdatomic.h>
#include <string.h>

#include "base/memory.h"

static size_t panels(const struct kernels *k, size_t n)
{
    return (n + (size_t)k->columns - 1) / (size_t)k->columns;
}

static size_t head_keys_size(const struct kernels *k, const struct attention_shape *s, size_t n)
{
    return panels(k, n) * (size_t)s->head_dim * (size_t)k->columns;
}

static size_t head_values_size(const struct kernels *k, const struct attention_shape *s, size_t n)
{
    return panels(k, (size_t)s->head_dim) * n * (size_t)k->columns;
}

size_t attention_keys_size(const struct kernels *k, const struct attention_shape *s, size_t n)
{
    return head_keys_size(k, s, n) * (size_t)s->n_kv_heads;
}

size_t attention_values_size(const struct kernels *k, const struct attention_shape *s, size_t n)
{
    return head_values_size(k, s, n) * (size_t)s->n_kv_heads;
}

void attention_pack_head(const struct kernels *kernels, const struct attention_shape *s, int h,
                         const float *k, const float *v, size_t ld, size_t at, size_t n,
                         size_t capacity, float *keys, float *values)
{
    const size_t NR = (size_t)kernels->columns, hd = (size_t)s->head_dim;
    assert(at + n <= capacity);
    float *head = keys + (size_t)h * head_keys_size(kernels, s, capacity);
    for (size_t done = 0; done < n;) {
        const size_t j0 = (at + done) % NR, room = NR - j0,
                     width = n - done < room ? n - done : room;
        float *to = head + (at + done) / NR * NR * hd;
        const float *from = k + done * ld;
        for (size_t d = 0; d < hd; d++, to += NR) {
            if (j0 == 0) /* what follows the last key is read, and must be a number */
                memset(to, 0, NR * sizeof *to);
            for (size_t j = 0; j < width; j++)
                to[j0 + j] = from[j * ld + d];
        }
        done += width;
    }
    head = values + (size_t)h * head_values_size(kernels, s, capacity);
    for (size_t d0 = 0; d0 < hd; d0 += NR) {
        size_t width = hd - d0 < NR ? hd - d0 : NR;
        float *to = head + d0 * capacity + at * NR;
        for (size_t j = 0; j < n; j++, to += NR) {
            memcpy(to, v + j * ld + d0, width * sizeof *to);
            memset(to + width, 0, (NR - width) * sizeof *to);
        }
    }
}

/* One thread's scratch. */
struct strip {
    float *q;      /* [MR, head_dim] scaled */
    float *scores; /* [MR, stride], then the softmax's numerators */
    size_t stride;
};

/* Rows of a strip: MR consecutive (query, head in group) pairs, counted row = query * group + head.
 */
static void strip_run(const struct kernels *k, const struct attention_shape *s,
                      const struct attention_item *item, int kv_head, size_t row0, int rows,
                      const struct strip *scratch)
{
    const size_t NR = (size_t)k->columns, hd = (size_t)s->head_dim;
    const size_t group = (size_t)(s->n_heads / s->n_kv_heads);
    const float *q[KERNEL_MAX_ROWS];
    size_t position[KERNEL_MAX_ROWS], low[KERNEL_MAX_ROWS];
    float *out[KERNEL_MAX_ROWS], sum[KERNEL_MAX_ROWS];
    assert(rows >= 1 && rows <= k->rows);
    for (size_t i = 0; i < (size_t)rows; i++) {
        size_t query = (row0 + i) / group, head = (size_t)kv_head * group + (row0 + i) % group;
        q[i] = item->q + query * item->ldq + head * hd;
        out[i] = item->out + query * item->ldo + head * hd;
        position[i] = item->position + query;
        low[i] = s->window > 0 && position[i] + 1 > (size_t)s->window
                     ? position[i] + 1 - (size_t)s->window
                     : 0;
    }
    for (size_t i = 0; i < (size_t)rows; i++) {
        memcpy(scratch->q + i * hd, q[i], hd * sizeof *scratch->q);
        k->scale(scratch->q + i * hd, s->scale, hd);
    }
    const size_t start = low[0],
                 end = position[rows - 1] + 1; /* keys that any row of the strip sees */
    for (size_t i = (size_t)rows; i < (size_t)k->rows; i++) { /* the tile reads them */
        memset(scratch->q + i * hd, 0, hd * sizeof *scratch->q);
        memset(scratch->scores + i * scratch->stride + start, 0,
               (end - start) * sizeof *scratch->scores);
    }

    for (int g = 0; g < item->n_segments; g++) {
        const struct attention_segment *seg = &item->segments[g];
        if (seg->first >= end || seg->first + seg->n <= start)
            continue;
        const float *keys = seg->keys + (size_t)kv_head * head_keys_size(k, s, seg->capacity);
        size_t j0 = start > seg->first ? (start - seg->first) / NR * NR : 0;
        for (size_t j = j0; j < seg->n && seg->first + j < end; j += NR)
            k->tile_rows(hd, scratch->q, hd, keys + j * hd, scratch->scores + seg->first + j,
                         scratch->stride, rows, TILE_STORE);
    }

    for (size_t i = 0; i < (size_t)rows; i++) {
        float *row = scratch->scores + i * scratch->stride;
        const size_t n = position[i] + 1 - low[i];
        if (s->soft_cap > 0)
            k->soft_cap(row + low[i], s->soft_cap, n);
        sum[i] = k->softmax_numerators(row + low[i], n);
        /* what this row does not see, but another of the strip does */
        memset(row + start, 0, (low[i] - start) * sizeof *row);
        memset(row + position[i] + 1, 0, (end - position[i] - 1) * sizeof *row);
    }

    float block[KERNEL_MAX_ROWS * KERNEL_MAX_COLUMNS];
    for (size_t d0 = 0; d0 < hd; d0 += NR) {
        memset(block, 0, (size_t)rows * NR * sizeof *block);
        for (int g = 0; g < item->n_segments; g++) {
            const struct attention_segment *seg = &item->segments[g];
            if (seg->first >= end || seg->first + seg->n <= start)
                continue;
            size_t from = start > seg->first ? start - seg->first : 0;
            size_t to = end - seg->first < seg->n ? end - seg->first : seg->n;
            const float *values = seg->values +
                                  (size_t)kv_head * head_values_size(k, s, seg->capacity) +
                                  d0 * seg->capacity + from * NR;
            k->tile_rows(to - from, scratch->scores + seg->first + from, scratch->stride, values,
                         block, NR, rows, TILE_CONTINUE);
        }
        size_t width = hd - d0 < NR ? hd - d0 : NR;
        for (size_t i = 0; i < (size_t)rows; i++)
            for (size_t d = 0; d < width; d++)
                out[i][d0 + d] = block[i * NR + d] / sum[i];
    }
}

/* A piece of work: up to STRIPS strips of one item and key-value head. */
enum { STRIPS = 8 };

struct piece {
    size_t item, row0;
    int kv_head;
};

struct attention {
    const struct kernels *k;
    const struct attention_shape *s;
    const struct attention_item *items;
    struct piece *pieces;
    size_t n_pieces;
    float *scratch;        /* [threads, floats] in the order q, scores */
    size_t floats, stride; /* of a thread; of a row of scores */
    atomic_size_t next;    /* piece that nobody has taken */
};

static size_t count_pieces(const struct attention_shape *s, const struct attention_item *items,
                           size_t n_items, size_t rows_a_piece, struct piece *out)
{
    size_t n = 0;
    const size_t group = (size_t)(s->n_heads / s->n_kv_heads);
    for (size_t i = 0; i < n_items; i++)
        for (int h = 0; h < s->n_kv_heads; h++)
            for (size_t row = 0; row < items[i].n_q * group; row += rows_a_piece, n++)
                if (out)
                    out[n] = (struct piece){i, row, h};
    return n;
}

static void attention_share(void *context, int share, int shares)
{
    (void)shares;
    struct attention *a = context;
    const size_t MR = (size_t)a->k->rows, group = (size_t)(a->s->n_heads / a->s->n_kv_heads);
    float *own = a->scratch + a->floats * (size_t)share;
    const struct strip strip = {
        .q = own, .scores = own + MR * (size_t)a->s->head_dim, .stride = a->stride};
    for (size_t p; (p = atomic_fetch_add(&a->next, 1)) < a->n_pieces;) {
        const struct attention_item *item = &a->items[a->pieces[p].item];
        size_t rows = item->n_q * group, end = a->pieces[p].row0 + STRIPS * MR;
        for (size_t row = a->pieces[p].row0; row < end && row < rows; row += MR)
            strip_run(a->k, a->s, item, a->pieces[p].kv_head, row,
                      (int)(rows - row < MR ? rows - row : MR), &strip);
    }
}

int attention_run(const struct kernels *k, const struct attention_shape *s,
                  const struct attention_item *items, size_t n_items, struct team *team,
                  struct plumb_error *e)
{
    const size_t MR = (size_t)k->rows, NR = (size_t)k->columns;
    struct attention a = {.k = k, .s = s, .items = items};
    size_t longest = 0;
    for (size_t i = 0; i < n_items; i++)
        if (items[i].position + items[i].n_q > longest)
            longest = items[i].position + items[i].n_q;
    a.stride = (longest + 2 * NR) / NR * NR;
    a.n_pieces = count_pieces(s, items, n_items, STRIPS * MR, NULL);
    a.pieces = mem_array(a.n_pieces, sizeof *a.pieces);
    a.floats = (MR * (size_t)s->head_dim + MR * a.stride + 15) / 16 * 16;
    a.scratch = mem_aligned(a.floats * (size_t)team->threads, sizeof *a.scratch);
    if (!a.pieces || !a.scratch) {
        mem_free(a.pieces);
        mem_free(a.scratch);
        return error_memory(e, "the scores of attention");
    }
    count_pieces(s, items, n_items, STRIPS * MR, a.pieces);
    team_run(team, attention_share, &a);
    mem_free(a.pieces);
    mem_free(a.scratch);
    return PLUMB_OK;
}
