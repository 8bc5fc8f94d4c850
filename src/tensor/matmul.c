/*
 * matmul.c - packed weights and the strip back end.
 *
 * Layout: panels of NR rows of W, each panel [K, NR], so that a tile reads NR consecutive weights a
 * step; the last panel is padded with zeros. X is packed per call into strips of MR rows, [K, MR].
 * K is cut into blocks of DEPTH steps: a block's sum is formed in registers and added to Y, so the
 * order of every sum is fixed by K alone (and is the blocked summation that loses less than one
 * long sum). Work is handed out in pieces of (block of rows, few panels), first come, first served.
 * A product of few rows takes no strips: it is the reading of the weights that takes the time, so
 * each thread reads its share of them once, from end to end.
 */
#include "tensor/matmul.h"

#include <assert.h>
#include <stdatomic.h>
#include <string.h>

#include "base/memory.h"
#include "base/size.h"
#include "tensor/dtype.h"
#include "tensor/onednn.h"

enum {
    DEPTH = 384, /* a strip block of 6 x 384 floats and a panel block of 384 x 16 stay in the first
                    cache */
    ROW_BLOCK = 144, /* strips of this many rows stay in the second cache: 144 x 384 x 4 = 221 KB */
    PANEL_GROUP = 8, /* panels a piece of work */
    FEW = 8 * KERNEL_FEW_ROWS, /* up to so many rows, packing them and expanding bf16 costs more
                                  than reading the weights once for every four of them */
};

struct matrix {
    const struct kernels *kernels;
    enum weight_type type;
    size_t N, K, panels;
    float *f32; /* [panels, K, NR], or null */
    uint16_t
        *bf16; /* [panels, K, NR], or null; row-major [N, K] until sealed where oneDNN takes over */
    struct onednn_weights *onednn;
    bool for_onednn;
};

int matrix_create(enum level level, enum weight_type type, bool exact_only, size_t N, size_t K,
                  struct matrix **out, struct plumb_error *e)
{
    *out = NULL;
    const struct kernels *k = kernels_for(level);
    size_t padded, elements;
    if (!size_align(N, (size_t)k->columns, &padded) || !size_mul(padded, K, &elements) || N == 0 ||
        K == 0)
        return error_set(e, PLUMB_INPUT, "a weight matrix of %zu x %zu cannot be held", N, K);
    struct matrix *w = mem_zalloc(1, sizeof *w);
    if (!w)
        return error_memory(e, "a weight matrix");
    *w = (struct matrix){.kernels = k, .type = type, .N = N, .K = K};
    w->panels = padded / (size_t)k->columns;
    w->for_onednn =
        !exact_only && type == WEIGHT_BF16 && level == LEVEL_AVX512BF16 && onednn_has_bf16();
    if (type == WEIGHT_F32)
        w->f32 = mem_aligned(elements, sizeof *w->f32);
    else
        w->bf16 = mem_aligned(elements, sizeof *w->bf16);
    if (!w->f32 && !w->bf16) {
        mem_free(w);
        return error_set(
            e, PLUMB_MACHINE,
            "not enough memory for a weight matrix of %zu x %zu: use --precision bf16, a "
            "smaller model or a larger machine",
            N, K);
    }
    /* The padding of the last panel. */
    size_t last = (w->panels - 1) * K * (size_t)k->columns, tail = K * (size_t)k->columns;
    if (w->f32)
        memset(w->f32 + last, 0, tail * sizeof *w->f32);
    else
        memset(w->bf16 + last, 0, tail * sizeof *w->bf16);
    *out = w;
    return PLUMB_OK;
}

/* One row into its column of a panel: strided, for rows that come out of order. */
static void put_row(struct matrix *w, size_t i, const float *from)
{
    const size_t NR = (size_t)w->kernels->columns, K = w->K, at = i / NR * K * NR + i % NR;
    for (size_t k = 0; k < K; k++) {
        if (w->f32)
            w->f32[at + k * NR] = from[k];
        else
            w->bf16[at + k * NR] = f32_to_bf16(from[k]);
    }
}

/* A whole panel from NR rows: written from end to end. */
static void put_panel(struct matrix *w, size_t panel, const float *rows)
{
    const size_t NR = (size_t)w->kernels->columns, K = w->K;
    size_t at = panel * K * NR;
    for (size_t k = 0; k < K; k++)
        for (size_t r = 0; r < NR; r++, at++) {
            if (w->f32)
                w->f32[at] = rows[r * K + k];
            else
                w->bf16[at] = f32_to_bf16(rows[r * K + k]);
        }
}

void matrix_put_rows(struct matrix *w, size_t row, size_t n, const float *rows)
{
    assert(row + n <= w->N);
    const size_t NR = (size_t)w->kernels->columns, K = w->K;
    if (w->for_onednn) {
        for (size_t i = 0; i < n * K; i++)
            w->bf16[row * K + i] = f32_to_bf16(rows[i]);
        return;
    }
    for (size_t r = 0; r < n;) {
        if ((row + r) % NR == 0 && n - r >= NR) {
            put_panel(w, (row + r) / NR, rows + r * K);
            r += NR;
        } else {
            put_row(w, row + r, rows + r * K);
            r++;
        }
    }
}

int matrix_seal(struct matrix *w, struct plumb_error *e)
{
    if (!w->for_onednn || w->onednn)
        return PLUMB_OK;
    int status = onednn_pack(w->N, w->K, true, w->bf16, &w->onednn, e);
    if (status == PLUMB_OK) {
        mem_free(w->bf16);
        w->bf16 = NULL;
    }
    return status;
}

void matrix_destroy(struct matrix *w)
{
    if (!w)
        return;
    mem_free(w->f32);
    mem_free(w->bf16);
    onednn_free(w->onednn);
    mem_free(w);
}

size_t matrix_rows(const struct matrix *w)
{
    return w->N;
}

size_t matrix_columns(const struct matrix *w)
{
    return w->K;
}

bool matrix_uses_team(const struct matrix *w)
{
    return !w->onednn;
}

size_t matrix_bytes(const struct matrix *w)
{
    if (w->onednn)
        return onednn_bytes(w->onednn);
    return w->panels * (size_t)w->kernels->columns * w->K * (w->f32 ? 4 : 2);
}

void workspace_init(struct workspace *s, int threads)
{
    *s = (struct workspace){0};
    team_init(&s->team, threads);
}

void workspace_free(struct workspace *s)
{
    mem_free(s->strips);
    *s = (struct workspace){0};
}

/* Y's rows [first, last) of the panels [p0, p1). `scratch` holds one expanded panel block. */
static void multiply_piece(const struct matrix *w, const float *strips, size_t M, size_t first,
                           size_t last, size_t p0, size_t p1, float *y, size_t ldy, float *scratch)
{
    const struct kernels *k = w->kernels;
    const size_t MR = (size_t)k->rows, NR = (size_t)k->columns, K = w->K;
    float edge[KERNEL_MAX_ROWS * KERNEL_MAX_COLUMNS] = {0};
    for (size_t k0 = 0; k0 < K; k0 += DEPTH) {
        size_t depth = K - k0 < DEPTH ? K - k0 : DEPTH;
        enum tile_mode mode = k0 ? TILE_ADD : TILE_STORE;
        for (size_t p = p0; p < p1; p++) {
            const float *panel;
            if (w->f32) {
                panel = w->f32 + (p * K + k0) * NR;
            } else {
                k->expand(w->bf16 + (p * K + k0) * NR, depth * NR, scratch);
                panel = scratch;
            }
            size_t columns = w->N - p * NR < NR ? w->N - p * NR : NR;
            for (size_t i = first; i < last; i += MR) {
                int rows = (int)(M - i < MR ? M - i : MR);
                const float *strip = strips + i * K + k0 * MR;
                float *c = y + i * ldy + p * NR;
                if (columns == NR) {
                    k->tile(depth, strip, panel, c, ldy, rows, mode);
                    continue;
                }
                /* The last, narrow panel goes through a full-width buffer: same operations, no
                 * stores past N. */
                if (mode == TILE_ADD)
                    for (int r = 0; r < rows; r++)
                        memcpy(edge + (size_t)r * NR, c + (size_t)r * ldy, columns * sizeof *c);
                k->tile(depth, strip, panel, edge, NR, rows, mode);
                for (int r = 0; r < rows; r++)
                    memcpy(c + (size_t)r * ldy, edge + (size_t)r * NR, columns * sizeof *c);
            }
        }
    }
}

static int reserve_strips(struct workspace *s, size_t floats, struct plumb_error *e)
{
    if (floats <= s->strips_capacity)
        return PLUMB_OK;
    mem_free(s->strips);
    s->strips_capacity = 0;
    s->strips = mem_aligned(floats, sizeof *s->strips);
    if (!s->strips)
        return error_memory(e, "the packed rows of a matrix product");
    s->strips_capacity = floats;
    return PLUMB_OK;
}

/* ---- few rows ---- */

struct product {
    const struct matrix *w;
    const float *x;
    size_t ldx, M;
    float *y;
    size_t ldy;
    float *strips;
    atomic_size_t next; /* piece that nobody has taken */
};

/* A contiguous share of the panels, a few of them at a time through all of K. */
static void few_share(void *context, int share, int shares)
{
    const struct product *p = context;
    const struct matrix *w = p->w;
    const size_t NR = (size_t)w->kernels->columns, K = w->K;
    size_t first, last;
    team_share(w->panels, share, shares, &first, &last);
    for (size_t panel = first; panel < last; panel += KERNEL_FEW_PANELS) {
        const size_t end = panel + KERNEL_FEW_PANELS < last ? panel + KERNEL_FEW_PANELS : last,
                     columns = (end * NR < w->N ? end * NR : w->N) - panel * NR;
        for (size_t k0 = 0; k0 < K; k0 += DEPTH)
            for (size_t row = 0; row < p->M; row += KERNEL_FEW_ROWS) {
                const struct few f = {
                    .x = p->x + row * p->ldx + k0,
                    .y = p->y + row * p->ldy + panel * NR,
                    .ldx = p->ldx,
                    .ldy = p->ldy,
                    .depth = K - k0 < DEPTH ? K - k0 : DEPTH,
                    .panel = K * NR,
                    .columns = columns,
                    .rows = (int)(p->M - row < KERNEL_FEW_ROWS ? p->M - row : KERNEL_FEW_ROWS),
                    .add = k0 > 0};
                const size_t at = (panel * K + k0) * NR;
                if (w->f32)
                    w->kernels->few_f32(&f, w->f32 + at);
                else
                    w->kernels->few_bf16(&f, w->bf16 + at);
            }
    }
}

/* ---- many rows ---- */

static void pack_share(void *context, int share, int shares)
{
    struct product *p = context;
    const struct kernels *k = p->w->kernels;
    const size_t MR = (size_t)k->rows, K = p->w->K;
    size_t first, last;
    team_share((p->M + MR - 1) / MR, share, shares, &first, &last);
    for (size_t i = first; i < last; i++)
        k->pack_strip(p->x + i * MR * p->ldx, p->ldx,
                      (int)(p->M - i * MR < MR ? p->M - i * MR : MR), K, p->strips + i * MR * K);
}

static void strips_share(void *context, int share, int shares)
{
    (void)share;
    (void)shares;
    struct product *p = context;
    const struct matrix *w = p->w;
    _Alignas(64) float scratch[DEPTH * KERNEL_MAX_COLUMNS];
    const size_t MR = (size_t)w->kernels->rows, row_block = ROW_BLOCK / MR * MR,
                 blocks = (p->M + row_block - 1) / row_block,
                 groups = (w->panels + PANEL_GROUP - 1) / PANEL_GROUP;
    for (size_t piece; (piece = atomic_fetch_add(&p->next, 1)) < blocks * groups;) {
        size_t block = piece / groups, group = piece % groups;
        size_t first = block * row_block,
               last = first + row_block < p->M ? first + row_block : p->M;
        size_t p0 = group * PANEL_GROUP;
        size_t p1 = p0 + PANEL_GROUP < w->panels ? p0 + PANEL_GROUP : w->panels;
        multiply_piece(w, p->strips, p->M, first, last, p0, p1, p->y, p->ldy, scratch);
    }
}

static int multiply_packed(const struct matrix *w, const float *x, size_t ldx, size_t M, float *y,
                           size_t ldy, struct workspace *s, struct plumb_error *e)
{
    assert(ldx >= w->K && ldy >= w->N);
    struct product p = {.w = w, .x = x, .ldx = ldx, .M = M, .y = y, .ldy = ldy};
    if (M <= FEW) {
        team_run(&s->team, few_share, &p);
        return PLUMB_OK;
    }
    const size_t MR = (size_t)w->kernels->rows, n_strips = (M + MR - 1) / MR;
    int status = reserve_strips(s, n_strips * MR * w->K, e);
    if (status != PLUMB_OK)
        return status;
    p.strips = s->strips;
    team_run(&s->team, pack_share, &p);
    team_run(&s->team, strips_share, &p);
    return PLUMB_OK;
}

/* Rows to bf16, dense, into the strips' memory; oneDNN then multiplies. y must be dense (ldy == N).
 */
static int multiply_onednn(const struct matrix *w, const float *x, size_t ldx, size_t M, float *y,
                           size_t ldy, struct workspace *s, struct plumb_error *e)
{
    assert(ldy == w->N);
    (void)ldy;
    int status = reserve_strips(s, (M * w->K + 1) / 2, e);
    if (status != PLUMB_OK)
        return status;
    uint16_t *rows = (uint16_t *)(void *)s->strips;
#pragma omp parallel for num_threads(s->team.threads) schedule(static)
    for (size_t i = 0; i < M; i++)
        for (size_t k = 0; k < w->K; k++)
            rows[i * w->K + k] = f32_to_bf16(x[i * ldx + k]);
    return onednn_multiply(w->onednn, rows, M, y, s->team.threads, e);
}

int matmul(const struct matrix *w, const float *x, size_t ldx, size_t M, float *y, size_t ldy,
           struct workspace *s, struct plumb_error *e)
{
    if (M == 0)
        return PLUMB_OK;
    if (w->onednn)
        return multiply_onednn(w, x, ldx, M, y, ldy, s, e);
    return multiply_packed(w, x, ldx, M, y, ldy, s, e);
}
