/*
 * trace.h - the trace: what a model said about every question, at every layer, in one safetensors
 * file.
 *
 * The layout is documented in docs/trace-format.md. A file is laid out and sized before the run and
 * filled in place through a shared mapping of PATH.partial; trace_finish renames it to PATH. So a
 * killed run resumes, and a finished file is byte-identical however often it was killed.
 */
#ifndef TRACE_TRACE_H
#define TRACE_TRACE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "base/hash.h"

/* What stands in `logits`: the logits of the option letters, or how probable the model holds each
   option's text after the question. */
enum trace_score {
    TRACE_SCORE_LETTERS,
    TRACE_SCORE_TEXT,           /* sum of the log-likelihoods of the option's tokens, nats */
    TRACE_SCORE_TEXT_PER_BYTE,  /* the sum / bytes of the option's text */
    TRACE_SCORE_TEXT_PER_TOKEN, /* the sum / tokens of the option's text */
    TRACE_SCORES
};
const char *trace_score_name(enum trace_score s); /* "text-per-byte" */

/* The shape and provenance of a trace: what is in the header. Strings belong to whoever made it. */
struct trace_header {
    size_t n;                 /* N items */
    int n_options;            /* K: the largest option count of any item */
    int n_layers;             /* L decoder blocks; 0 = no lens */
    int n_hidden;             /* S layers whose hidden states are kept */
    const int *hidden_layers; /* [S], 1..L: after block l; 0 = the embeddings */
    int hidden_size;          /* D */
    bool with_entropy;        /* full-vocabulary entropies at every layer */

    const char *model;             /* name for people (folder or file name) */
    const char *model_fingerprint; /* 32 hex digits */
    const char *architecture;
    const char *tokenizer_hash;
    const char *preset;
    const char *preset_hash;
    const char *chat_hash; /* of the model's own template; null where the preset uses none */
    const char *task;
    const char *task_hash;
    const char *precision;  /* "f32" or "bf16" */
    const char *arithmetic; /* instruction level that computed it; bits may differ between levels */
    const char *lens;       /* "letters", "vocab", "none" */
    const char *
        tuned_lens; /* hash of the tuned lens (model/lens.h) through which `lens` was read; null: the logit lens */
    enum trace_score score; /* what the logits are */
    int permutation; /* shift of the order in which the prompts list the options; 0 = their own (option_order.h) */
    const char *
        steering; /* hash of the steering of the run (steering.h), of which model_fingerprint is then as well; null: none */
    const char *program;       /* "plumb 0.1.0" */
    const char *const *groups; /* [n_groups] group names; `group` holds indices into these */
    int n_groups;
    size_t first; /* shard: the items are [first, first + n) of the whole task */
    size_t total; /* items of the whole task */

    /* Only of a trace that was imported (import.h). */
    const char *imported;        /* the format that it was read from; null: plumb recorded it */
    bool imported_probabilities; /* `imported` holds probabilities, otherwise logits */
    bool hashes_places; /* item_hash is of places or ids in the source, not of question texts */
};

/* One open trace; the arrays are views into the mapping. Arrays that the header does not ask for
   are null. */
struct trace {
    struct trace_header header; /* strings owned by the trace */
    float *logits;              /* [N, K] final option logits; -inf padding */
    float *lens;                /* [N, L, K] */
    float *entropy;             /* [N, L] nats */
    float *option_mass;         /* [N]; null where imported */
    float *text_log_likelihood; /* [N, K] sums; these four only where the score is of texts */
    int32_t *text_bytes;        /* [N, K] of the option's text, 0 padding */
    int32_t *text_characters;   /* [N, K] code points */
    int32_t *text_tokens;       /* [N, K] tokens that the sum is over */
    uint16_t *hidden;           /* [N, S, D] f16 */
    int32_t *label;             /* [N], -1 unknown */
    int32_t *options;           /* [N] */
    int32_t *group;             /* [N] */
    uint64_t *item_hash;        /* [N, 2]: hash of question text and options */
    double *imported;           /* [N, K] the numbers as they stood in the source; only there */
    uint8_t *done;              /* [N] */
    struct trace_file *file;
};

/* Creates PATH.partial, or opens the one that is there when its header is byte-identical (then
   *resumed counts the items already done). Another header there, or a finished PATH of another
   header: PLUMB_INPUT, both left alone. A finished PATH with this very header: PLUMB_OK with
   *resumed == n, opened read-only. */
int trace_create(const char *path, const struct trace_header *h, struct trace *out, size_t *resumed,
                 struct plumb_error *e);
/* Marks items as done, in the order that survives a power cut: the arrays reach the disk before the
   flags do. Two waits for the disk a call: call it for what a second or so of work has filled, not
   for every item. items null: the first n. */
int trace_commit(struct trace *t, const size_t *items, size_t n, struct plumb_error *e);
/* msync: what is done so far survives a crash. */
int trace_flush(struct trace *t, struct plumb_error *e);
/* Every item must be done and hold numbers; fsync, rename, close. After a failure the trace is
   still open, and its file still there: trace_close it. */
int trace_finish(struct trace *t, struct plumb_error *e);

/* Read-only (writing into the arrays crashes), everything checked, every item done. */
int trace_open(const char *path, struct trace *out, struct plumb_error *e);
/* Idempotent; leaves a .partial for the next run. */
void trace_close(struct trace *t);

/* Joins shards (any order) of one task and model into one trace, byte-identical to the unsharded
   run. */
int trace_join(const char *const *paths, size_t n, const char *out, struct plumb_error *e);

#endif
