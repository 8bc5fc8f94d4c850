/*
 * tokenizer.h - text to token ids and back.
 *
 * Reads tokenizer.json (byte-level BPE, and SentencePiece-style BPE with byte fallback) and the GGUF kinds "gpt2" and
 * "llama". Immutable after opening and safe for many threads. An unknown component of the pipeline is refused by name.
 */
#ifndef MODEL_TOKENIZER_H
#define MODEL_TOKENIZER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buffer.h"
#include "base/error.h"
#include "base/hash.h"
#include "model/gguf.h"

struct tokenizer;

struct token_list {
    int32_t *ids;
    size_t count, capacity;
};
void token_list_free(struct token_list *l);
int token_list_add(struct token_list *l, int32_t id); /* PLUMB_OK or PLUMB_MACHINE */

/* `path` names a tokenizer.json. */
int tokenizer_open_json(const char *path, struct tokenizer **out, struct plumb_error *e);
/* From the keys of an open GGUF file, which may be closed afterwards. */
int tokenizer_open_gguf(const struct gguf *g, struct tokenizer **out, struct plumb_error *e);
void tokenizer_close(struct tokenizer *t);

struct tokenizer_options {
    bool
        add_special; /* apply the post-processor: <s> in front where the model wants it, and so on */
    bool
        parse_special; /* let "<|im_end|>" in the text become that token; otherwise it is text like any other */
};

/* Appends the ids of n bytes of UTF-8 text to *out. Invalid UTF-8 is PLUMB_INPUT with the offset. */
int tokenizer_encode(const struct tokenizer *t, const char *text, size_t n,
                     struct tokenizer_options options, struct token_list *out,
                     struct plumb_error *e);

/* As tokenizer_encode with parse_special, but bytes with plain[i] = 1 ([n]) are never part of a special token. Text between
   special tokens is encoded in one piece whatever `plain` says, so that merges do not stop at a border. */
int tokenizer_encode_marked(const struct tokenizer *t, const char *text, size_t n,
                            const uint8_t *plain, bool add_special, struct token_list *out,
                            struct plumb_error *e);

/* Appends the text of the ids, as Hugging Face's decoder would (invalid byte runs become U+FFFD). */
int tokenizer_decode(const struct tokenizer *t, const int32_t *ids, size_t n, bool skip_special,
                     struct buffer *out, struct plumb_error *e);

int32_t tokenizer_size(const struct tokenizer *t); /* one more than the largest id */
int32_t tokenizer_find(const struct tokenizer *t, const char *token,
                       size_t n); /* raw vocabulary form; -1 if absent */
const char *tokenizer_token(const struct tokenizer *t, int32_t id,
                            size_t *n); /* raw form ("\u0120the"); null if unused */
/* The bytes that this id adds in the middle of a text (" the"; one byte for <0x0A>). */
void tokenizer_piece(const struct tokenizer *t, int32_t id, struct buffer *out);
bool tokenizer_is_special(const struct tokenizer *t, int32_t id);
int32_t tokenizer_bos(
    const struct tokenizer *t); /* the id that add_special puts in front; -1 if none */
int32_t tokenizer_eos(const struct tokenizer *t);      /* -1 if unknown */
const char *tokenizer_kind(const struct tokenizer *t); /* "byte-level BPE", "SentencePiece BPE" */
struct hash128 tokenizer_hash(const struct tokenizer *t); /* of the content that decides the ids */

#endif
