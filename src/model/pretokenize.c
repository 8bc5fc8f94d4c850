/*
 * pretokenize.c - cutting a text into the pieces that merges never cross.
 *
 * Every stage takes a piece and hands smaller pieces to the next stage; the last one hands them to the merges. The depth
 * of the recursion is the number of stages, whatever the text. The five ways to treat a separator are those of Hugging
 * Face's SplitDelimiterBehavior.
 */
#include "model/tokenizer_private.h"

#include <string.h>

#include "base/memory.h"
#include "base/utf8.h"

const char *const pattern_gpt2 =
    "'s|'t|'re|'ve|'m|'ll|'d| ?\\p{L}+| ?\\p{N}+| ?[^\\s\\p{L}\\p{N}]+|\\s+(?!\\S)|\\s+";

/* What does not change from stage to stage. */
struct run {
    const struct tokenizer *t;
    struct encode_scratch *scratch;
    struct token_list *out;
    struct plumb_error *e;
};

static int run_stage(const struct run *r, size_t stage, const char *text, size_t n, bool at_start,
                     bool bytes);

/* ---- split ---- */

struct splitter {
    const struct run *run;
    size_t next_stage;
    const char *text;
    bool at_start, bytes;
    enum split_behavior behavior;
    /* One range is held back until it is known whether a neighbour joins it. */
    bool holding, holding_match;
    size_t start, end;
};

static int emit(const struct splitter *s, size_t start, size_t end)
{
    if (start == end)
        return PLUMB_OK;
    return run_stage(s->run, s->next_stage, s->text + start, end - start, s->at_start && start == 0,
                     s->bytes);
}

static int hold(struct splitter *s, size_t start, size_t end, bool match)
{
    int status = s->holding ? emit(s, s->start, s->end) : PLUMB_OK;
    s->holding = true;
    s->holding_match = match;
    s->start = start;
    s->end = end;
    return status;
}

/* Takes the ranges of the text in order; together they cover it. */
static int feed(struct splitter *s, size_t start, size_t end, bool match)
{
    bool joins = false;
    switch (s->behavior) {
    case SPLIT_REMOVED:
        return match ? PLUMB_OK : emit(s, start, end);
    case SPLIT_ISOLATED:
        return emit(s, start, end);
    case SPLIT_MERGED_WITH_PREVIOUS:
        joins = match && !s->holding_match;
        break;
    case SPLIT_MERGED_WITH_NEXT:
        joins = !match && s->holding_match;
        break;
    case SPLIT_CONTIGUOUS:
        joins = match == s->holding_match;
        break;
    }
    if (!s->holding || !joins)
        return hold(s, start, end, match);
    s->end = end;
    s->holding_match = match;
    return PLUMB_OK;
}

static int run_split(const struct run *r, size_t stage, const char *text, size_t n, bool at_start,
                     bool bytes)
{
    const struct pretokenizer *p = &r->t->pretokenizers[stage];
    struct splitter s = {.run = r,
                         .next_stage = stage + 1,
                         .text = text,
                         .at_start = at_start,
                         .bytes = bytes,
                         .behavior = p->behavior};
    struct pattern_scan scan = pattern_scan_start(p->pattern, text, n);
    size_t last = 0;
    for (;;) {
        size_t start = 0, end = 0;
        bool found;
        int status = pattern_scan_next(&scan, r->scratch->matcher, &start, &end, &found, r->e);
        if (status == PLUMB_OK && !found)
            break;
        if (status == PLUMB_OK && last != start)
            status = feed(&s, last, start, p->invert);
        if (status == PLUMB_OK)
            status = feed(&s, start, end, !p->invert);
        if (status)
            return status;
        last = end;
    }
    int status = last != n ? feed(&s, last, n, p->invert) : PLUMB_OK;
    if (status == PLUMB_OK && s.holding)
        status = emit(&s, s.start, s.end);
    return status;
}

/* ---- the stages that rewrite ---- */

static int run_rewritten(const struct run *r, size_t stage, struct buffer *b, bool at_start)
{
    int status = b->failed ? error_memory(r->e, "cutting a text") : PLUMB_OK;
    if (status == PLUMB_OK)
        status = run_stage(r, stage + 1, buffer_string(b), b->size, at_start, false);
    buffer_free(b);
    return status;
}

static int run_space(const struct run *r, size_t stage, const char *text, size_t n, bool at_start)
{
    if (text[0] == ' ')
        return run_stage(r, stage + 1, text, n, at_start, false);
    struct buffer b = BUFFER_EMPTY;
    buffer_putc(&b, ' ');
    buffer_add(&b, text, n);
    return run_rewritten(r, stage, &b, at_start);
}

static int run_bytes(const struct run *r, size_t stage, const char *text, size_t n, bool at_start)
{
    /* As the last stage it costs nothing: the merges begin with the bytes themselves. */
    if (stage + 1 == r->t->pretokenizer_count)
        return run_stage(r, stage + 1, text, n, at_start, true);
    struct buffer b = BUFFER_EMPTY;
    for (size_t i = 0; i < n; i++)
        buffer_utf8(&b, byte_to_character((uint8_t)text[i]));
    return run_rewritten(r, stage, &b, at_start);
}

static int run_metaspace(const struct run *r, size_t stage, const char *text, size_t n,
                         bool at_start)
{
    const struct pretokenizer *p = &r->t->pretokenizers[stage];
    size_t mark_size = strlen(p->mark);
    bool marked = text[0] == ' ' || (n >= mark_size && memcmp(text, p->mark, mark_size) == 0);
    struct buffer b = BUFFER_EMPTY;
    if (!marked && (p->prepend == PREPEND_ALWAYS || (p->prepend == PREPEND_FIRST && at_start)))
        buffer_add(&b, p->mark, mark_size);
    size_t last = 0;
    for (const char *space; (space = memchr(text + last, ' ', n - last));
         last = (size_t)(space - text) + 1) {
        buffer_add(&b, text + last, (size_t)(space - (text + last)));
        buffer_add(&b, p->mark, mark_size);
    }
    buffer_add(&b, text + last, n - last);
    return run_rewritten(r, stage, &b, at_start);
}

static int run_stage(const struct run *r, size_t stage, const char *text, size_t n, bool at_start,
                     bool bytes)
{
    if (n == 0)
        return PLUMB_OK;
    if (stage == r->t->pretokenizer_count)
        return bpe_encode(r->t, r->scratch, text, n, bytes, r->out, r->e);
    switch (r->t->pretokenizers[stage].kind) {
    case PRETOKENIZE_SPLIT:
        return run_split(r, stage, text, n, at_start, bytes);
    case PRETOKENIZE_SPACE:
        return run_space(r, stage, text, n, at_start);
    case PRETOKENIZE_BYTES:
        return run_bytes(r, stage, text, n, at_start);
    case PRETOKENIZE_METASPACE:
        return run_metaspace(r, stage, text, n, at_start);
    }
    return PLUMB_OK;
}

int pretokenizers_run(const struct tokenizer *t, struct encode_scratch *scratch, const char *text,
                      size_t n, bool at_start, struct token_list *out, struct plumb_error *e)
{
    const struct run r = {.t = t, .scratch = scratch, .out = out, .e = e};
    return run_stage(&r, 0, text, n, at_start, false);
}
