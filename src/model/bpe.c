/*
 * bpe.c - byte pair encoding: neighbouring symbols are merged, the pair of the smallest rank first and the leftmost of
 * equal ranks, until no pair is left (Sennrich et al. 2016).
 *
 * A piece can be a whole text (Gemma and Llama 2 do not cut at spaces). It is therefore cut first where no merge can
 * ever reach: the symbols a and b that stand next to each other in a piece can only end up in one token if some merge
 * joins a symbol that ends with a and one that begins with b. Those pairs are the junctions; a bit field keeps them by
 * hash, so that a wrong yes costs a little time and a wrong no cannot happen.
 *
 * Short segments are merged by scanning, long ones with a heap. Nothing recurses.
 */
#include "model/tokenizer_private.h"

#include <stdio.h>
#include <string.h>

#include "base/memory.h"
#include "base/size.h"
#include "base/utf8.h"

enum {
    SHORT = 32,          /* symbols that scanning merges faster than a heap */
    JUNCTION_BITS = 21,  /* 256 KiB: stays in the second-level cache */
    MAPPED_LONGEST = 512 /* bytes of a piece that may be a token as a whole; see whole_piece */
};

#define NO_RANK INT32_MAX

/* ---- the merge table ---- */

static size_t pair_hash(int32_t left, int32_t right)
{
    uint64_t x = ((uint64_t)(uint32_t)left << 32 | (uint32_t)right) * 0x9E3779B97F4A7C15u;
    return (size_t)(x ^ (x >> 32));
}

static size_t junction_bit(int32_t left, int32_t right)
{
    return (pair_hash(left, right) >> 7) & (((size_t)1 << JUNCTION_BITS) - 1);
}

int bpe_create(struct bpe *b, size_t merge_count, struct plumb_error *e)
{
    *b = (struct bpe){.unknown = -1};
    for (unsigned i = 0; i < 256; i++)
        b->byte_symbol[i] = b->byte_token[i] = -1;
    size_t slots = 64, wanted;
    if (merge_count > INT32_MAX || !size_mul(merge_count, 2, &wanted))
        return error_set(e, PLUMB_INPUT, "%zu merges: too many", merge_count);
    while (slots < wanted)
        slots *= 2;
    b->merges = mem_array(slots, sizeof *b->merges);
    b->plane_symbol = mem_array(65536, sizeof *b->plane_symbol);
    if (!b->merges || !b->plane_symbol)
        return error_memory(e, "the merge table");
    memset(b->merges, 0xFF, slots * sizeof *b->merges);
    memset(b->plane_symbol, 0xFF, 65536 * sizeof *b->plane_symbol);
    b->mask = slots - 1;
    return PLUMB_OK;
}

void bpe_put(struct bpe *b, int32_t left, int32_t right, int32_t rank, int32_t product)
{
    size_t i = pair_hash(left, right) & b->mask;
    while (b->merges[i].left >= 0 && (b->merges[i].left != left || b->merges[i].right != right))
        i = (i + 1) & b->mask;
    b->count += b->merges[i].left < 0;
    b->merges[i] = (struct bpe_merge){left, right, rank, product};
}

void bpe_expect(const struct bpe *b, int32_t left, int32_t right)
{
    __builtin_prefetch(&b->merges[pair_hash(left, right) & b->mask]);
}

static const struct bpe_merge *find_merge(const struct bpe *b, int32_t left, int32_t right)
{
    for (size_t i = pair_hash(left, right) & b->mask;; i = (i + 1) & b->mask) {
        const struct bpe_merge *m = &b->merges[i];
        if (m->left == left && m->right == right)
            return m;
        if (m->left < 0)
            return NULL;
    }
}

void bpe_free(struct bpe *b)
{
    mem_free(b->merges);
    mem_free(b->junctions);
    mem_free(b->plane_symbol);
    *b = (struct bpe){.unknown = -1};
}

/* ---- preparing ---- */

static bool is_symbol(const struct bpe *b, const struct vocabulary *v, int32_t id)
{
    if (id == b->unknown || (v->flags[id] & TOKEN_BYTE) || v->places[id].size == 0)
        return true;
    uint32_t c;
    return utf8_decode(v->text + v->places[id].offset, v->places[id].size, &c) ==
           (int)v->places[id].size;
}

/* first[id], last[id]: the symbols that the token begins and ends with, however it was merged. False where that is not
   one answer (a token that is a symbol and a product): then nothing is known of junctions. */
static bool find_ends(int32_t *first, int32_t *last, int32_t size, const struct bpe_merge *order,
                      size_t count)
{
    for (int32_t id = 0; id < size; id++)
        first[id] = last[id] = id;
    for (int pass = 0; pass < 64; pass++) {
        bool changed = false;
        for (size_t i = 0; i < count; i++) {
            const struct bpe_merge *m = &order[i];
            if (first[m->product] == first[m->left] && last[m->product] == last[m->right])
                continue;
            first[m->product] = first[m->left];
            last[m->product] = last[m->right];
            changed = true;
        }
        if (!changed)
            return true;
    }
    return false;
}

/* Can a token be a symbol, one that merging starts with, and at once the result of a merge? */
static bool symbols_are_no_products(const struct bpe *b, const struct vocabulary *v,
                                    const struct bpe_merge *order, size_t count, uint8_t *product)
{
    memset(product, 0, (size_t)v->size);
    for (size_t i = 0; i < count; i++)
        product[order[i].product] = 1;
    for (int32_t id = 0; id < v->size; id++)
        if (product[id] && is_symbol(b, v, id))
            return false;
    return true;
}

static int find_junctions(struct bpe *b, const struct vocabulary *v, const struct bpe_merge *order,
                          size_t count, struct plumb_error *e)
{
    int32_t *first = mem_array((size_t)v->size, sizeof *first),
            *last = mem_array((size_t)v->size, sizeof *last);
    uint64_t *bits = mem_zalloc(((size_t)1 << JUNCTION_BITS) / 64, sizeof *bits);
    int status = first && last && bits ? PLUMB_OK : error_memory(e, "the merge table");
    bool known = status == PLUMB_OK &&
                 symbols_are_no_products(b, v, order, count, (uint8_t *)first) &&
                 find_ends(first, last, v->size, order, count);
    for (size_t i = 0; known && i < count; i++) {
        size_t bit = junction_bit(last[order[i].left], first[order[i].right]);
        bits[bit / 64] |= (uint64_t)1 << (bit % 64);
    }
    mem_free(first);
    mem_free(last);
    if (known)
        b->junctions = bits;
    else
        mem_free(bits);
    return status;
}

/* An added token that the model does not know is never made of text. */
static int32_t find_model_token(const struct vocabulary *v, const char *s, size_t n)
{
    int32_t id = vocabulary_find(v, s, n);
    return id >= 0 && (v->flags[id] & TOKEN_MODEL) ? id : -1;
}

int bpe_prepare(struct bpe *b, const struct vocabulary *v, const struct bpe_merge *order,
                size_t count, struct plumb_error *e)
{
    for (int32_t id = 0; id < v->size; id++) {
        uint32_t c;
        if (!(v->flags[id] & TOKEN_MODEL) || v->places[id].size == 0 ||
            v->places[id].size > 3) /* 3: the basic plane */
            continue;
        if (utf8_decode(v->text + v->places[id].offset, v->places[id].size, &c) ==
            (int)v->places[id].size)
            b->plane_symbol[c] = id;
    }
    for (unsigned byte = 0; byte < 256; byte++) {
        char name[8];
        snprintf(name, sizeof name, "<0x%02X>", byte);
        b->byte_symbol[byte] = b->plane_symbol[byte_to_character((uint8_t)byte)];
        b->byte_token[byte] = b->byte_fallback ? find_model_token(v, name, 6) : -1;
        if (b->byte_token[byte] >= 0)
            v->flags[b->byte_token[byte]] |= TOKEN_BYTE;
    }
    return find_junctions(b, v, order, count, e);
}

/* ---- the working arrays ---- */

static int reserve_symbols(struct encode_scratch *scratch, size_t count, struct plumb_error *e)
{
    if (count <= scratch->symbol_capacity)
        return PLUMB_OK;
    size_t wanted;
    int32_t *larger =
        size_mul(count, 2, &wanted) ? mem_resize(scratch->symbols, wanted, sizeof *larger) : NULL;
    if (!larger)
        return error_memory(e, "the symbols of a piece");
    scratch->symbols = larger;
    scratch->symbol_capacity = wanted;
    return PLUMB_OK;
}

static int append(struct token_list *out, const int32_t *ids, size_t n, struct plumb_error *e)
{
    for (size_t i = 0; i < n; i++)
        if (token_list_add(out, ids[i]))
            return error_memory(e, "the token list");
    return PLUMB_OK;
}

/* ---- merging a short segment in place ---- */

static size_t merge_short(const struct bpe *b, int32_t *ids, size_t n)
{
    int32_t rank[SHORT], product[SHORT]; /* of the pair that begins at i */
    for (size_t i = 0; i + 1 < n; i++)
        bpe_expect(b, ids[i], ids[i + 1]);
    for (size_t i = 0; i + 1 < n; i++) {
        const struct bpe_merge *m = find_merge(b, ids[i], ids[i + 1]);
        rank[i] = m ? m->rank : NO_RANK;
        product[i] = m ? m->product : -1;
    }
    while (n > 1) {
        size_t best = 0;
        for (size_t i = 1; i + 1 < n; i++)
            if (rank[i] < rank[best])
                best = i;
        if (rank[best] == NO_RANK)
            break;
        ids[best] = product[best];
        size_t behind = n - best - 2; /* symbols after the pair */
        memmove(ids + best + 1, ids + best + 2, behind * sizeof *ids);
        if (behind) {
            memmove(rank + best + 1, rank + best + 2, (behind - 1) * sizeof *rank);
            memmove(product + best + 1, product + best + 2, (behind - 1) * sizeof *product);
        }
        n--;
        for (size_t i = best ? best - 1 : 0; i <= best && i + 1 < n; i++) {
            const struct bpe_merge *m = find_merge(b, ids[i], ids[i + 1]);
            rank[i] = m ? m->rank : NO_RANK;
            product[i] = m ? m->product : -1;
        }
    }
    return n;
}

/* ---- merging a long one with a heap ---- */

struct link {
    int32_t rank, product;   /* of the pair that begins here; NO_RANK: none, or merged away */
    uint32_t previous, next; /* neighbours that are still there; n: none */
};

/* Smallest first; an entry is rank << 32 | position. */
static void heap_push(uint64_t *heap, size_t *size, uint64_t entry)
{
    size_t i = (*size)++;
    for (size_t parent; i > 0 && heap[parent = (i - 1) / 2] > entry; i = parent)
        heap[i] = heap[parent];
    heap[i] = entry;
}

static uint64_t heap_pop(uint64_t *heap, size_t *size)
{
    uint64_t top = heap[0], entry = heap[--*size];
    size_t i = 0;
    for (;;) {
        size_t child = 2 * i + 1;
        if (child >= *size)
            break;
        if (child + 1 < *size && heap[child + 1] < heap[child])
            child++;
        if (heap[child] >= entry)
            break;
        heap[i] = heap[child];
        i = child;
    }
    heap[i] = entry;
    return top;
}

struct chain {
    const struct bpe *b;
    int32_t *ids;
    struct link *links;
    uint64_t *heap;
    size_t n, heap_size;
};

static void consider(struct chain *c, uint32_t at)
{
    struct link *l = &c->links[at];
    const struct bpe_merge *m =
        l->next < c->n ? find_merge(c->b, c->ids[at], c->ids[l->next]) : NULL;
    l->rank = m ? m->rank : NO_RANK;
    l->product = m ? m->product : -1;
    if (m)
        heap_push(c->heap, &c->heap_size, (uint64_t)(uint32_t)m->rank << 32 | at);
}

static int merge_long(const struct bpe *b, struct encode_scratch *scratch, int32_t *ids,
                      size_t *count, struct plumb_error *e)
{
    /* Every merge takes one entry and adds at most two, and there are at most n - 1 merges: 3 n entries suffice. */
    size_t n = *count, bytes, heap_bytes;
    if (n > UINT32_MAX / 2)
        return error_set(e, PLUMB_INPUT,
                         "a piece of %zu symbols cannot be merged; break the text up", n);
    if (!size_mul(n, sizeof(struct link), &bytes) ||
        !size_mul(n, 3 * sizeof(uint64_t), &heap_bytes) || !size_add(bytes, heap_bytes, &bytes))
        return error_memory(e, "merging a piece");
    if (bytes > scratch->merge_capacity) {
        mem_free(scratch->merge_work);
        scratch->merge_work = mem_alloc(bytes);
        scratch->merge_capacity = scratch->merge_work ? bytes : 0;
        if (!scratch->merge_work)
            return error_memory(e, "merging a piece");
    }
    struct chain c = {.b = b, .ids = ids, .heap = scratch->merge_work, .n = n};
    c.links = (struct link *)(c.heap + 3 * n);
    for (uint32_t i = 0; i < n; i++)
        c.links[i] = (struct link){.previous = i ? i - 1 : (uint32_t)n, .next = i + 1};
    for (uint32_t i = 0; i < n; i++)
        consider(&c, i);

    while (c.heap_size) {
        uint64_t top = heap_pop(c.heap, &c.heap_size);
        uint32_t at = (uint32_t)top;
        struct link *l = &c.links[at];
        if (l->rank != (int32_t)(top >> 32)) /* the pair is not what it was */
            continue;
        uint32_t right = l->next;
        ids[at] = l->product;
        l->next = c.links[right].next;
        if (l->next < n)
            c.links[l->next].previous = at;
        c.links[right].rank = NO_RANK;
        ids[right] = -1;
        if (l->previous < n)
            consider(&c, l->previous);
        consider(&c, at);
    }
    size_t kept = 0;
    for (size_t i = 0; i < n; i++)
        if (ids[i] >= 0)
            ids[kept++] = ids[i];
    *count = kept;
    return PLUMB_OK;
}

static bool may_join(const struct bpe *b, int32_t left, int32_t right)
{
    size_t bit = junction_bit(left, right);
    return !b->junctions || (b->junctions[bit / 64] >> (bit % 64) & 1);
}

static int merge_all(const struct bpe *b, struct encode_scratch *scratch, int32_t *ids, size_t n,
                     struct token_list *out, struct plumb_error *e)
{
    for (size_t start = 0, end; start < n; start = end) {
        for (end = start + 1; end < n && may_join(b, ids[end - 1], ids[end]); end++)
            ;
        size_t count = end - start;
        int status = PLUMB_OK;
        if (count > SHORT)
            status = merge_long(b, scratch, ids + start, &count, e);
        else if (count > 1)
            count = merge_short(b, ids + start, count);
        if (status == PLUMB_OK)
            status = append(out, ids + start, count, e);
        if (status)
            return status;
    }
    return PLUMB_OK;
}

/* ---- symbols ---- */

/* Characters to symbols. One that the vocabulary lacks becomes its bytes, or the unknown token, or nothing. */
static size_t symbols_of_characters(const struct tokenizer *t, const char *piece, size_t n,
                                    int32_t *ids)
{
    const struct bpe *b = &t->bpe;
    size_t count = 0;
    bool unknown = false; /* an unknown token is still to be written */
    for (size_t at = 0; at < n;) {
        uint32_t c;
        int decoded = utf8_decode(piece + at, n - at, &c);
        size_t length = decoded > 0 ? (size_t)decoded : 1;
        int32_t id =
            c < 65536 ? b->plane_symbol[c] : find_model_token(&t->vocabulary, piece + at, length);
        if (id >= 0) {
            if (unknown)
                ids[count++] = b->unknown;
            unknown = false;
            ids[count++] = id;
        } else {
            bool covered = b->byte_fallback;
            for (size_t i = 0; covered && i < length; i++)
                covered = b->byte_token[(unsigned char)piece[at + i]] >= 0;
            for (size_t i = 0; covered && i < length; i++)
                ids[count++] = b->byte_token[(unsigned char)piece[at + i]];
            if (!covered && b->unknown >= 0) {
                if (unknown && !b->fuse_unknown)
                    ids[count++] = b->unknown;
                unknown = true;
            }
        }
        at += length;
    }
    if (unknown)
        ids[count++] = b->unknown;
    return count;
}

/* The same for raw bytes under a byte-level vocabulary. */
static size_t symbols_of_bytes(const struct bpe *b, const char *piece, size_t n, int32_t *ids)
{
    size_t count = 0;
    bool unknown = false;
    for (size_t at = 0; at < n; at++) {
        int32_t id = b->byte_symbol[(unsigned char)piece[at]];
        if (id < 0) {
            if (unknown && !b->fuse_unknown)
                ids[count++] = b->unknown;
            unknown = b->unknown >= 0;
            continue;
        }
        if (unknown)
            ids[count++] = b->unknown;
        unknown = false;
        ids[count++] = id;
    }
    if (unknown)
        ids[count++] = b->unknown;
    return count;
}

/* ignore_merges: a piece that is a token as it stands is that token. A special token never comes from text. */
static int whole_piece(const struct tokenizer *t, struct encode_scratch *scratch, const char *piece,
                       size_t n, bool bytes, int32_t *id, struct plumb_error *e)
{
    if (!bytes) {
        *id = find_model_token(&t->vocabulary, piece, n);
        return PLUMB_OK;
    }
    char mapped[2 * MAPPED_LONGEST];
    if (n <= MAPPED_LONGEST) {
        size_t size = 0;
        for (size_t i = 0; i < n; i++)
            size += (size_t)utf8_encode(byte_to_character((uint8_t)piece[i]), mapped + size);
        *id = find_model_token(&t->vocabulary, mapped, size);
        return PLUMB_OK;
    }
    buffer_clear(&scratch->mapped);
    for (size_t i = 0; i < n; i++)
        buffer_utf8(&scratch->mapped, byte_to_character((uint8_t)piece[i]));
    if (scratch->mapped.failed)
        return error_memory(e, "a piece");
    *id = find_model_token(&t->vocabulary, buffer_string(&scratch->mapped), scratch->mapped.size);
    return PLUMB_OK;
}

int bpe_encode(const struct tokenizer *t, struct encode_scratch *scratch, const char *piece,
               size_t n, bool bytes, struct token_list *out, struct plumb_error *e)
{
    const struct bpe *b = &t->bpe;
    if (b->ignore_merges) {
        int32_t id = -1;
        int status = whole_piece(t, scratch, piece, n, bytes, &id, e);
        if (status)
            return status;
        if (id >= 0 && !(t->vocabulary.flags[id] & TOKEN_SPECIAL))
            return append(out, &id, 1, e);
    }
    /* At most one symbol a byte, and an unknown token that is still to be written. */
    int status = reserve_symbols(scratch, n + 1, e);
    if (status)
        return status;
    size_t count = bytes ? symbols_of_bytes(b, piece, n, scratch->symbols)
                         : symbols_of_characters(t, piece, n, scratch->symbols);
    return merge_all(b, scratch, scratch->symbols, count, out, e);
}
