/*
 * tokenizer_files.h - the texts, ids and tokenizers that the tests of tokenizers read.
 */
#ifndef TESTS_TOKENIZER_FILES_H
#define TESTS_TOKENIZER_FILES_H

#include <stdbool.h>
#include <stddef.h>

#include "model/tokenizer.h"

/* Paths; valid until the fourth call from now. */
const char *data_file(const char *name);   /* in tests/data/tokenizer */
const char *golden_file(const char *name); /* in tests/golden/tokenizer */
/* In $PLUMB_SHARED/data/tokenizers; null, with a message, where it is absent. */
const char *shared_file(const char *name);

/* Opens a tokenizer.json or a .gguf; fails the running test where it cannot. */
struct tokenizer *open_tokenizer(const char *path);
/* Ids of n bytes; fails the running test on an error. */
struct token_list encode(const struct tokenizer *t, const char *text, size_t n, bool add_special,
                         bool parse_special);

struct lines {
    struct {
        const char *s;
        size_t n;
    } * at;
    size_t count;
    void *memory;
};
/* The file cut at every `separator`; fails the running test where it cannot be read. */
struct lines read_lines(const char *path, const char *separator);
void lines_free(struct lines *l);
/* The strings of a JSON array in a file. */
struct lines read_strings(const char *path);

/* Reads numbers separated by spaces, up to `end` or a '|'; returns where it stopped. */
const char *read_ids(const char *s, const char *end, struct token_list *out);

extern const char *const tiny_kinds[]; /* names in tests/golden/tokenizer; ends with null */

#endif
