/*
 * prepare.c - what a method must know of a whole tensor before its first element: angles (SLERP), thresholds (TIES), norms (DARE).
 *
 * Every walk goes block by block, many at once; what the blocks found is put together in their order.
 */
#include <math.h>
#include <omp.h>
#include <string.h>

#include "base/memory.h"
#include "merge/operators.h"

/* Room for one block of the base and one input, and what a walk does with it. */
struct walk {
    const struct merge_tensor *m;
    int input;     /* place in inputs; -1 = both inputs (slerp) */
    void *results; /* [blocks] of what `visit` fills in */
    size_t result_size;
    const void *given; /* what earlier walks found */
    void (*visit)(const struct walk *w, size_t first, size_t n, float *a, float *b, void *result);
};

static size_t blocks_of(const struct merge_tensor *m)
{
    return (m->elements + MERGE_BLOCK - 1) / MERGE_BLOCK;
}

static int read_pair(const struct walk *w, size_t first, size_t n, float *a, float *b,
                     struct plumb_error *e)
{
    const struct merge_tensor *m = w->m;
    const int one = w->input < 0 ? m->inputs[0] : m->base,
              other = w->input < 0 ? m->inputs[1] : m->inputs[w->input];
    const int status = m->read(m->user, one, first, n, a, e);
    return status == PLUMB_OK ? m->read(m->user, other, first, n, b, e) : status;
}

static int walk_blocks(const struct walk *w, int threads, struct plumb_error *e)
{
    const size_t blocks = blocks_of(w->m);
    struct merge_failure failure = MERGE_FAILURE_NONE;
#pragma omp parallel num_threads(threads)
    {
        float *a = mem_array(2 * (size_t)MERGE_BLOCK, sizeof *a);
#pragma omp for schedule(dynamic)
        for (size_t i = 0; i < blocks; i++) {
            const size_t first = i * MERGE_BLOCK;
            const size_t n =
                w->m->elements - first < MERGE_BLOCK ? w->m->elements - first : MERGE_BLOCK;
            struct plumb_error mine = {0};
            const int status = a ? read_pair(w, first, n, a, a + MERGE_BLOCK, &mine)
                                 : error_memory(&mine, "blocks of a tensor");
            if (status == PLUMB_OK)
                w->visit(w, first, n, a, a + MERGE_BLOCK, (char *)w->results + i * w->result_size);
            else
                merge_failure_note(&failure, i, status, &mine);
        }
        mem_free(a);
    }
    return merge_failure_tell(&failure, e);
}

/* ---- angles ---- */

/* The sums over two task vectors. Differences in double are exact enough that the angle is that of the weights as stored. */
static void add_delta_sums(struct merge_sums *to, const float *base, const float *a, const float *b,
                           size_t n)
{
    for (size_t i = 0; i < n; i++) {
        const double start = (double)base[i], x = (double)a[i] - start, y = (double)b[i] - start;
        const struct merge_sums one = {x * x, y * y, x * y, (y - x) * (y - x)};
        merge_sums_add(to, &one);
    }
}

static void visit_sums(const struct walk *w, size_t first, size_t n, float *a, float *b,
                       void *result)
{
    (void)first;
    const struct merge_tensor *m = w->m;
    if (m->base >= 0 && m->method == MERGE_NUSLERP) { /* of the task vectors */
        float base[1024];
        struct merge_sums all = {0};
        for (size_t at = 0; at < n; at += 1024) {
            const size_t count = n - at < 1024 ? n - at : 1024;
            if (m->read(m->user, m->base, first + at, count, base, NULL) != PLUMB_OK)
                memset(base, 0xff, sizeof base); /* NaN: told by the sums */
            add_delta_sums(&all, base, a + at, b + at, count);
        }
        memcpy(result, &all, sizeof all);
        return;
    }
    merge_sums_of(a, b, n, result);
}

static int prepare_angle(struct merge_tensor *m, int threads, struct plumb_error *e)
{
    const size_t blocks = blocks_of(m);
    struct merge_sums *parts = mem_zalloc(blocks, sizeof *parts), all = {0};
    if (!parts)
        return error_memory(e, "the sums of a tensor");
    const struct walk w = {
        .m = m, .input = -1, .results = parts, .result_size = sizeof *parts, .visit = visit_sums};
    const int status = walk_blocks(&w, threads, e);
    for (size_t i = 0; i < blocks; i++)
        merge_sums_add(&all, &parts[i]);
    mem_free(parts);
    if (status != PLUMB_OK)
        return status;
    const double norms = sqrt(all.aa) * sqrt(all.bb);
    const double d = norms > 0 ? fmin(1, fmax(-1, all.ab / norms)) : 0;
    const double theta = acos(d), sine = sin(theta);
    double t = m->t;
    if (m->method == MERGE_NUSLERP)
        t = fabs(m->weight[0] + m->weight[1]) >= 1e-6 ? m->weight[1] / (m->weight[0] + m->weight[1])
                                                      : 0.5; /* as mergekit has it */
    /* mergekit's slerp goes straight above 0.9995 of either sign; nuslerp only where the sine is as good as 0. */
    m->is_lerp = m->method == MERGE_SLERP ? fabs(d) > 0.9995 : fabs(sine) < 1e-8;
    if (norms <= 0)
        m->is_lerp = true;
    m->first_factor = m->is_lerp ? 1 - t : t == 1 ? 0 : t == 0 ? 1 : sin((1 - t) * theta) / sine;
    m->second_factor = m->is_lerp ? t : t == 0 ? 0 : t == 1 ? 1 : sin(t * theta) / sine;
    return PLUMB_OK;
}

/* ---- TIES: the k-th largest |delta| ---- */

enum { HALF = 1 << 16 };

static uint32_t size_bits(float delta)
{
    uint32_t bits;
    memcpy(&bits, &delta, sizeof bits);
    return bits & 0x7fffffffu; /* grows with |delta| */
}

/* Which bits of |delta| are counted: all upper halves, or the lower halves of those with one upper half. */
struct counted {
    bool lower;
    uint32_t upper;
    uint64_t *
        counts; /* [threads][HALF]; whole numbers, so that their sum does not depend on who counted what */
};

static void visit_counts(const struct walk *w, size_t first, size_t n, float *a, float *b,
                         void *result)
{
    (void)first;
    (void)result;
    const struct counted *c = w->given;
    uint64_t *counts = c->counts + (size_t)omp_get_thread_num() * HALF;
    merge_delta(a, b, n, b);
    for (size_t j = 0; j < n; j++) {
        const uint32_t bits = size_bits(b[j]);
        if (!c->lower)
            counts[bits >> 16]++;
        else if (bits >> 16 == c->upper)
            counts[bits & 0xffff]++;
    }
}

/* Counts with all threads; the sums are then in the first HALF counts. */
static int count_sizes(const struct walk *w, int threads, struct plumb_error *e)
{
    const struct counted *c = w->given;
    memset(c->counts, 0, (size_t)threads * HALF * sizeof *c->counts);
    const int status = walk_blocks(w, threads, e);
    for (int t = 1; t < threads; t++)
        for (size_t i = 0; i < HALF; i++)
            c->counts[i] += c->counts[(size_t)t * HALF + i];
    return status;
}

/* The largest bucket at which `rank` elements (from the top, from 1) are reached; *rank becomes that inside the bucket. */
static uint32_t bucket_of_rank(const uint64_t *counts, size_t *rank)
{
    uint32_t i = HALF - 1;
    while (i > 0 && counts[i] < *rank)
        *rank -= counts[i--];
    return i;
}

static void visit_equal(const struct walk *w, size_t first, size_t n, float *a, float *b,
                        void *result)
{
    (void)first;
    const float threshold = *(const float *)w->given;
    size_t count = 0;
    merge_delta(a, b, n, b);
    for (size_t j = 0; j < n; j++)
        count += fabsf(b[j]) == threshold;
    memcpy(result, &count, sizeof count);
}

/* Where the first `keep` elements equal to the threshold end. */
static int find_equal_before(struct merge_tensor *m, int input, float threshold, size_t keep,
                             int threads, size_t *out, struct plumb_error *e)
{
    const size_t blocks = blocks_of(m);
    size_t *equal = mem_zalloc(blocks, sizeof *equal);
    float *a = mem_array(2 * (size_t)MERGE_BLOCK, sizeof *a);
    struct walk w = {.m = m,
                     .input = input,
                     .results = equal,
                     .result_size = sizeof *equal,
                     .given = &threshold,
                     .visit = visit_equal};
    int status = equal && a ? walk_blocks(&w, threads, e) : error_memory(e, "blocks of a tensor");
    size_t block = 0;
    *out = 0;
    while (status == PLUMB_OK && block < blocks && equal[block] < keep)
        keep -= equal[block++];
    if (status == PLUMB_OK && block < blocks && keep > 0) {
        const size_t first = block * MERGE_BLOCK;
        const size_t n = m->elements - first < MERGE_BLOCK ? m->elements - first : MERGE_BLOCK;
        float *b = a + MERGE_BLOCK;
        status = read_pair(&w, first, n, a, b, e);
        if (status == PLUMB_OK)
            merge_delta(a, b, n, b);
        for (size_t j = 0; status == PLUMB_OK && j < n && keep > 0; j++)
            if (fabsf(b[j]) == threshold && --keep == 0)
                *out = first + j + 1;
    }
    mem_free(a);
    mem_free(equal);
    return status;
}

static int prepare_trim(struct merge_tensor *m, int input, int threads, struct plumb_error *e)
{
    size_t rank = (size_t)(m->density[input] * (double)m->elements);
    if (rank == 0 && m->density[input] > 0)
        rank = 1; /* a density above 0 keeps at least one */
    if (rank == 0 || m->elements == 0) {
        m->trim[input] = (struct merge_trim){.threshold = INFINITY};
        return PLUMB_OK;
    }
    if (rank >= m->elements) {
        m->trim[input] = (struct merge_trim){.threshold = -1};
        return PLUMB_OK;
    }
    struct counted c = {.counts = mem_array((size_t)threads * HALF, sizeof *c.counts)};
    if (!c.counts)
        return error_memory(e, "the sizes of changes");
    struct walk w = {.m = m, .input = input, .given = &c, .visit = visit_counts};
    int status = count_sizes(&w, threads, e);
    if (status == PLUMB_OK) {
        c.upper = bucket_of_rank(c.counts, &rank);
        c.lower = true;
        status = count_sizes(&w, threads, e);
    }
    if (status == PLUMB_OK) {
        const uint32_t bits = c.upper << 16 | bucket_of_rank(c.counts, &rank);
        memcpy(&m->trim[input].threshold, &bits, sizeof bits);
        status = find_equal_before(m, input, m->trim[input].threshold, rank, threads,
                                   &m->trim[input].equal_before, e);
    }
    mem_free(c.counts);
    return status;
}

/* ---- DARE: the L1 norm before and after dropping ---- */

static void visit_norms(const struct walk *w, size_t first, size_t n, float *a, float *b,
                        void *result)
{
    bool keep[1024];
    double norms[2] = {0, 0}; /* all, kept */
    for (size_t at = 0; at < n; at += 1024) {
        const size_t count = n - at < 1024 ? n - at : 1024;
        merge_mask(w->m, w->input, first + at, count, keep);
        for (size_t j = 0; j < count; j++) {
            const double size = fabs((double)b[at + j] - (double)a[at + j]);
            norms[0] += size;
            norms[1] += keep[j] ? size : 0;
        }
    }
    memcpy(result, norms, sizeof norms);
}

static int prepare_factor(struct merge_tensor *m, int input, int threads, struct plumb_error *e)
{
    m->factor[input] = 1;
    if (!m->rescale)
        return PLUMB_OK;
    const size_t blocks = blocks_of(m);
    double(*parts)[2] = mem_zalloc(blocks, sizeof *parts), all = 0, kept = 0;
    if (!parts)
        return error_memory(e, "the norms of a tensor");
    const struct walk w = {.m = m,
                           .input = input,
                           .results = parts,
                           .result_size = sizeof *parts,
                           .visit = visit_norms};
    const int status = walk_blocks(&w, threads, e);
    for (size_t i = 0; i < blocks; i++) {
        all += parts[i][0];
        kept += parts[i][1];
    }
    mem_free(parts);
    if (kept > 0)
        m->factor[input] = all / kept;
    return status;
}

int merge_tensor_prepare(struct merge_tensor *m, int threads, struct plumb_error *e)
{
    int status = PLUMB_OK;
    if (threads <= 0)
        threads = omp_get_max_threads();
    switch (m->method) {
    case MERGE_SLERP:
    case MERGE_NUSLERP:
        status = prepare_angle(m, threads, e);
        break;
    case MERGE_TIES:
        for (int i = 0; i < m->n_inputs && status == PLUMB_OK; i++)
            status = prepare_trim(m, i, threads, e);
        break;
    case MERGE_DARE_LINEAR:
    case MERGE_DARE_TIES:
        for (int i = 0; i < m->n_inputs && status == PLUMB_OK; i++)
            status = prepare_factor(m, i, threads, e);
        break;
    case MERGE_LINEAR:
    case MERGE_TASK:
    default:
        break;
    }
    return status;
}
