/*
 * tokenizer_private.h - the parts of a tokenizer, shared by the tokenizer files of this room and by nobody else.
 *
 * A text goes through these stages, the ones that Hugging Face's tokenizer.json names:
 *
 *     added tokens -> normalizer -> added tokens (normalized) -> pre-tokenizer -> byte pair merges -> template
 *
 * Everything below is filled while the tokenizer is opened and only read afterwards; what a call changes lives in
 * struct encode_scratch.
 */
#ifndef MODEL_TOKENIZER_PRIVATE_H
#define MODEL_TOKENIZER_PRIVATE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buffer.h"
#include "base/error.h"
#include "base/hash.h"
#include "base/json.h"
#include "model/tokenizer.h"

/* ---- vocabulary.c: id <-> text ---- */

enum token_flag {
    TOKEN_USED = 1,    /* the id has a text */
    TOKEN_ADDED = 2,   /* matched in the text before anything else */
    TOKEN_SPECIAL = 4, /* left out by decoding without special tokens */
    TOKEN_BYTE = 8,    /* <0xNN>, stands for one byte */
    TOKEN_MODEL = 16,  /* text can become this token by merging */
};

struct token_place {
    uint32_t offset, size; /* into vocabulary.text */
};

struct vocabulary {
    char *text; /* every token followed by a NUL */
    size_t text_size, text_capacity;
    struct token_place *places;    /* [size] */
    uint8_t *flags;                /* [size] of enum token_flag */
    int32_t size, capacity;        /* ids 0 .. size - 1 */
    struct vocabulary_slot *slots; /* text -> id, open addressing; slots = mask + 1 */
    size_t mask, used;
};

/* Room for `count` tokens of `bytes` bytes together, with ids below `id_limit`. */
int vocabulary_create(struct vocabulary *v, size_t count, size_t bytes, size_t id_limit,
                      struct plumb_error *e);
/* Refuses an id or a text that is already there. */
int vocabulary_put(struct vocabulary *v, int64_t id, const char *s, size_t n, uint8_t flags,
                   struct plumb_error *e);
int32_t vocabulary_find(const struct vocabulary *v, const char *s, size_t n); /* -1 if absent */
/* For many look-ups: the hash once, then three steps (0, 1, 2) that fetch what the search will touch, for a whole batch
   each, then the search. */
uint64_t vocabulary_hash(const char *s, size_t n);
void vocabulary_expect(const struct vocabulary *v, uint64_t hash, int step);
int32_t vocabulary_find_hashed(const struct vocabulary *v, const char *s, size_t n, uint64_t hash);
const char *vocabulary_text(const struct vocabulary *v, int32_t id, size_t *n); /* null if unused */
void vocabulary_free(struct vocabulary *v);

/* ---- pattern.c: regular expressions ---- */

struct pattern;         /* compiled once, shared by all threads */
struct pattern_matcher; /* one a call */

/* `text` in Oniguruma's syntax (what tokenizer.json means), or a plain string when `literal`. `what` names it in errors. */
int pattern_compile(const char *text, size_t n, bool literal, const char *what,
                    struct pattern **out, struct plumb_error *e);
void pattern_free(struct pattern *p);

struct pattern_matcher *pattern_matcher_create(void); /* null without memory */
void pattern_matcher_free(struct pattern_matcher *m);

/* One pass over a text, from match to match, as Hugging Face iterates them: an empty match right behind a match is
   skipped. */
struct pattern_scan {
    const struct pattern *pattern;
    const char *text;
    size_t size, at, last_end;
    bool matched;
};
struct pattern_scan pattern_scan_start(const struct pattern *p, const char *text, size_t n);
/* Sets *start, *end and *found. An error only when a limit of the matcher is hit. */
int pattern_scan_next(struct pattern_scan *s, struct pattern_matcher *m, size_t *start, size_t *end,
                      bool *found, struct plumb_error *e);

/* ---- added_tokens.c: tokens that are cut out of the text first ---- */

struct added_token {
    const char *text; /* what is looked for; owned by the set */
    size_t size;
    int32_t id;
    bool single_word, strip_left, strip_right, special, normalized;
};

struct added_set {              /* one matcher; ready after added_set_prepare */
    struct added_token *tokens; /* sorted by text */
    size_t count, capacity;
    uint32_t first[257]; /* tokens whose first byte is b: first[b] .. first[b + 1] - 1 */
};

int added_set_add(struct added_set *s, const struct added_token *token, struct plumb_error *e);
int added_set_prepare(struct added_set *s, struct plumb_error *e);
void added_set_free(struct added_set *s);

/* The next token at or after *at. false: none; then the rest of the text is plain. [*from, *to) is the range that the
   token takes from the text, blanks that it strips included; plain text before it is [floor, *from). `floor` is where
   the previous token's range ended. *at moves behind the token itself. */
bool added_set_next(const struct added_set *s, bool with_special, const char *text, size_t n,
                    size_t floor, size_t *at, size_t *from, size_t *to, int32_t *id);

/* ---- normalize.c ---- */

enum normalizer_kind {
    NORMALIZE_NFC,
    NORMALIZE_NFD,
    NORMALIZE_NFKC,
    NORMALIZE_NFKD,
    NORMALIZE_LOWERCASE,
    NORMALIZE_STRIP,
    NORMALIZE_PREPEND,
    NORMALIZE_REPLACE,
};

struct normalizer {
    enum normalizer_kind kind;
    bool left, right; /* STRIP */
    char *text;       /* PREPEND: what; REPLACE: by what */
    size_t size;
    struct pattern *pattern; /* REPLACE */
};

/* *out is `text` itself or a view into scratch; valid until the next call with the same scratch. */
struct encode_scratch;
int normalizers_run(const struct normalizer *list, size_t count, struct encode_scratch *scratch,
                    const char *text, size_t n, const char **out, size_t *out_size,
                    struct plumb_error *e);
bool text_is_space(uint32_t code_point); /* White_Space of Unicode */

/* ---- pretokenize.c ---- */

enum split_behavior {
    SPLIT_REMOVED,
    SPLIT_ISOLATED,
    SPLIT_MERGED_WITH_PREVIOUS,
    SPLIT_MERGED_WITH_NEXT,
    SPLIT_CONTIGUOUS,
};

enum pretokenizer_kind {
    PRETOKENIZE_SPLIT, /* cut at the matches of a pattern */
    PRETOKENIZE_SPACE, /* a space in front of a piece that has none */
    PRETOKENIZE_BYTES, /* every byte becomes the character that stands for it in a byte-level vocabulary */
    PRETOKENIZE_METASPACE, /* spaces become `mark`, and one in front */
};

enum prepend_scheme { PREPEND_ALWAYS, PREPEND_FIRST, PREPEND_NEVER };

struct pretokenizer {
    enum pretokenizer_kind kind;
    struct pattern *pattern;      /* SPLIT */
    enum split_behavior behavior; /* SPLIT */
    bool invert;                  /* SPLIT: the pattern describes pieces, not separators */
    enum prepend_scheme prepend;  /* METASPACE */
    char mark[5];                 /* METASPACE: one character in UTF-8, NUL-terminated */
};

/* The pattern of GPT-2's encoder, which ByteLevel with use_regex means. */
extern const char *const pattern_gpt2;

/* Cuts the text and gives every piece to the merges. `at_start`: the text begins where the user's text begins. */
int pretokenizers_run(const struct tokenizer *t, struct encode_scratch *scratch, const char *text,
                      size_t n, bool at_start, struct token_list *out, struct plumb_error *e);

/* ---- bpe.c ---- */

struct bpe_merge {
    int32_t left, right; /* left -1: a free slot */
    int32_t rank;        /* the smaller goes first */
    int32_t product;
};

struct bpe {
    struct bpe_merge *merges; /* open addressing; slots = mask + 1 */
    size_t mask, count;
    uint64_t
        *junctions; /* a bit for every pair of symbols that some merge can join; null: not known */
    int32_t byte_symbol[256]; /* byte-level: the id that stands for a byte, or -1 */
    int32_t byte_token[256];  /* byte fallback: the id of <0xNN>, or -1 */
    int32_t *plane_symbol;    /* [65536] id of a one-character token of the basic plane, or -1 */
    int32_t unknown;          /* id, or -1 */
    bool byte_fallback, fuse_unknown, ignore_merges;
};

int bpe_create(struct bpe *b, size_t merge_count, struct plumb_error *e);
void bpe_expect(const struct bpe *b, int32_t left,
                int32_t right); /* a bpe_put of this pair comes soon */
void bpe_put(struct bpe *b, int32_t left, int32_t right, int32_t rank,
             int32_t product); /* the last one wins */
/* Fills the symbol tables and the junctions; after the last bpe_put and after the vocabulary is complete. `order` is
   the merges in any order, [count]. */
int bpe_prepare(struct bpe *b, const struct vocabulary *v, const struct bpe_merge *order,
                size_t count, struct plumb_error *e);
void bpe_free(struct bpe *b);
/* `bytes`: the piece is raw bytes for a byte-level vocabulary; otherwise it is characters. */
int bpe_encode(const struct tokenizer *t, struct encode_scratch *scratch, const char *piece,
               size_t n, bool bytes, struct token_list *out, struct plumb_error *e);

/* ---- decoder.c ---- */

enum decoder_kind {
    DECODE_REPLACE,
    DECODE_BYTE_FALLBACK,
    DECODE_FUSE,
    DECODE_STRIP,
    DECODE_BYTES,
    DECODE_METASPACE,
};

struct decoder {
    enum decoder_kind kind;
    struct pattern *pattern; /* REPLACE */
    char *text;              /* REPLACE: by what */
    size_t size;
    char mark[5];       /* STRIP, METASPACE: one character */
    size_t start, stop; /* STRIP: at most so many from each end */
    bool drop_first;    /* METASPACE: the mark of the first token gives no space */
};

/* The bytes <-> characters table of byte-level vocabularies (GPT-2's encoder.py). */
uint32_t byte_to_character(uint8_t byte);
int character_to_byte(uint32_t code_point); /* -1 if it stands for none */

/* ---- the whole ---- */

enum tokenizer_family { FAMILY_PLAIN, FAMILY_BYTE_LEVEL, FAMILY_SENTENCEPIECE };

struct tokenizer {
    struct vocabulary vocabulary;
    struct added_set raw, normalized; /* searched before and after the normalizer */
    struct normalizer *normalizers;
    size_t normalizer_count;
    struct pretokenizer *pretokenizers;
    size_t pretokenizer_count;
    struct bpe bpe;
    struct decoder *decoders;
    size_t decoder_count;
    bool joined_by_space;     /* no decoder at all: tokens are joined by spaces */
    int32_t *prefix, *suffix; /* what add_special puts around the ids */
    size_t prefix_count, suffix_count;
    int32_t eos;
    enum tokenizer_family family;
    struct hash128 hash;
};

/* What one call to encode needs; grows, is never shared. */
struct encode_scratch {
    struct pattern_matcher *matcher;
    struct buffer normal[2]; /* normalizers write from one into the other */
    struct buffer mapped;    /* byte-level text of a piece */
    int32_t *code_points;    /* canonical decomposition */
    size_t code_point_capacity;
    int32_t *symbols; /* the merges' working arrays, cut from one block */
    size_t symbol_capacity;
    void *merge_work;
    size_t merge_capacity;
};

/* Steps in opening that both file kinds share (tokenizer.c). */
struct tokenizer *tokenizer_new(void);
int tokenizer_finish(struct tokenizer *t, struct plumb_error *e); /* sorts the added tokens */
/* A tokenizer.json in memory; `what` names it in errors. The files beside one are not looked at. */
int tokenizer_from_json(const char *text, size_t n, const char *what, struct tokenizer **out,
                        struct plumb_error *e);
/* The hash of vocabulary, merges and of `pipeline`, a text that says everything else. */
int tokenizer_compute_hash(struct tokenizer *t, const struct bpe_merge *order, size_t count,
                           const char *pipeline, size_t n, struct plumb_error *e);
int tokenizer_add_token(struct tokenizer *t, const struct added_token *token,
                        struct plumb_error *e);
struct normalizer *tokenizer_add_normalizer(struct tokenizer *t,
                                            enum normalizer_kind kind); /* null without memory */
struct pretokenizer *tokenizer_add_pretokenizer(struct tokenizer *t, enum pretokenizer_kind kind);
struct decoder *tokenizer_add_decoder(struct tokenizer *t, enum decoder_kind kind);
int tokenizer_add_split(struct tokenizer *t, const char *pattern, size_t n, bool literal,
                        enum split_behavior behavior, bool invert, struct plumb_error *e);
int tokenizer_add_replace(struct tokenizer *t, bool decoding, const char *pattern, size_t n,
                          bool literal, const char *by, size_t by_size, struct plumb_error *e);

/* tokenizer_components.c: normalizer, pre-tokenizer, post-processor and decoder of a tokenizer.json; after the
   vocabulary is there. */
int components_read(struct tokenizer *t, struct json root, struct plumb_error *e);
/* Refuses an object that has a member outside `known`, a list that ends with a null. */
int json_only_keys(struct json object, const char *where, const char *const *known,
                   struct plumb_error *e);

/* tokenizer_gguf_patterns.c: what a value of tokenizer.ggml.pre stands for; a list that ends with a null, or null. */
enum gguf_cut {
    CUT_NFC = 1,          /* the model's own tokenizer normalises */
    CUT_WHOLE_PIECES = 2, /* ignore_merges */
    CUT_BOS = 4,          /* <s> in front unless the file says otherwise */
};
const char *const *gguf_cut_patterns(const char *name, size_t n, unsigned *flags);

/* spm.c: merges of a scored SentencePiece vocabulary. `scores` by id; only ids with `mergeable` take part. */
int spm_merges(struct tokenizer *t, const float *scores, const uint8_t *mergeable,
               struct plumb_error *e);

#endif
