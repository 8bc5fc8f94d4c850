/*
 * forward.h - the forward pass: many token sequences at once through one model, the residual stream
 * in hand.
 *
 * A batch is ragged: every item is a sequence of its own length, attention never crosses items, and
 * the linear layers see all rows of the batch as one matrix. An item may continue a prefix
 * (instruction, few-shot examples) whose keys and values were computed once. The promise: the
 * residuals of an item are bit-identical for any thread count, batch composition and order, and
 * with or without a beginning that it shares.
 */
#ifndef MODEL_FORWARD_H
#define MODEL_FORWARD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "model/model.h"

struct forward; /* workspace of one caller: grows to the largest batch seen */

int forward_create(const struct model *m, struct forward **out, struct plumb_error *e);
void forward_destroy(struct forward *f);

/* From here on every run, prefix and head of this workspace is steered; null: as the model is. The steering is the caller's
   and must fit the model (steering_check) and outlive its use; prefixes and sequences made under one steering are for that one.
   Hooks and residuals see the steered stream. */
struct steering;
void forward_steer(struct forward *f, const struct steering *s);

struct forward_hook;

/* An immutable, shareable beginning: the keys and values of every layer. hook may be null; an edit
   of the residual stream that items get must be given to their prefixes too. */
struct prefix;
int prefix_create(struct forward *f, const struct prefix *parent /* or null */,
                  const int32_t *tokens, int n, const struct forward_hook *hook,
                  struct prefix **out, struct plumb_error *e);
void prefix_destroy(struct prefix *p);     /* its parent lives on */
int prefix_length(const struct prefix *p); /* tokens, parents included */

/* A text that grows: the keys and values of what has been run stay, and an item that names the
 * sequence goes on behind it, so that each further token costs one row. The bits are those of
 * running the whole text at once. Memory: 8 bytes x layers x key-value heads x head_dim a position.
 *
 * One limit: where positions depend on the whole text's length (dynamic and longrope scaling beyond
 * the trained context, config_sharing_limit), going on across it is PLUMB_INPUT; truncate to 0 and
 * run the whole text. A longrope text that was begun beyond the limit goes on as any other. */
struct sequence;
/* Room for `capacity` tokens after the prefix (or null), which must outlive the sequence. */
int sequence_create(const struct forward *f, const struct prefix *prefix, int capacity,
                    struct sequence **out, struct plumb_error *e);
void sequence_destroy(struct sequence *s);
int sequence_length(const struct sequence *s); /* tokens, prefix included */
/* Can n more tokens go on (as to the limit above)? */
bool sequence_goes_on(const struct sequence *s, const struct forward *f, int n);
void sequence_truncate(struct sequence *s,
                       int length); /* forgets what stands behind; never the prefix */

struct forward_item {
    const struct prefix *prefix; /* null: starts at position 0 */
    const int32_t *tokens;       /* [n_tokens] after the prefix and what is shared */
    int n_tokens;                /* >= 1 */
    int n_shared; /* so many tokens behind the prefix are those with which the item before this
                     one in the batch goes on, too: they are computed there, and missing in
                     `tokens`. 0 = none. Both items have the same prefix, and no sequence. Sorted
                     prompts share all that they can in this way. */
    int n_wanted; /* residuals of the last n_wanted positions are wanted; usually 1; may be 0 */
    int n_answering; /* so many of the last tokens are steered, where not all are: those that answer; 0 = n_wanted */
    struct sequence
        *sequence; /* null, or what this item goes on (then prefix is null); no two items
                                  the same one. It grows by the tokens when the run succeeds. */
};

/* Called after the embedding (layer 0) and after every block l = 1..L. x [n_rows, D] f32 may be
   read and written. At l = L only the wanted rows are there. item[r], position[r] (absolute) tell
   whose row it is. */
struct forward_hook {
    void (*call)(void *user, int layer, float *x, size_t n_rows, const int32_t *item,
                 const int32_t *position);
    void *user;
    /* Null, or shown what the neurons of each dense MLP say: act(gate x) * up x (act(up x) where nothing is gated), [n, F]
       with row stride ld, of rows [first, first + n) of the batch; in the last block the wanted rows alone are there, and
       counted. block counts from 0. `call` may be null then. */
    void (*inner)(void *user, int block, size_t first, size_t n, const float *activations,
                  size_t ld);
};

/* Runs the batch. R = sum of n_wanted, rows in item order. `residual`, [L + 1, R, D] f32 or null,
   receives the wanted rows of every layer (0 = embeddings); `final`, [R, D] or null, those of the
   last. hook may be null. */
int forward_run(struct forward *f, const struct forward_item *items, size_t n_items,
                const struct forward_hook *hook, float *residual, float *final,
                struct plumb_error *e);

/* From the states x [n_rows, D] after block `layer` on (0 = the embeddings), which an earlier run gave: the bits of the same
   run from the beginning, for a fraction of its time. Every token is wanted; no sequences. A steering of lower layers must be
   in x already; that of `layer` itself is added here. final as in forward_run. */
int forward_run_from(struct forward *f, const struct forward_item *items, size_t n_items, int layer,
                     const float *x, float *final, struct plumb_error *e);

/* Heads. x [R, D] are residuals after any block; each applies the model's own final norm,
 * unembedding and soft-cap, in f32. */
/* A few rows of the unembedding: out [R, k]. Bit-identical to the same columns of head_logits. */
struct head; /* k chosen rows of the unembedding, packed */
int head_create(const struct model *m, const int32_t *tokens, int k, struct head **out,
                struct plumb_error *e);
void head_destroy(struct head *h);
int head_apply(struct forward *f, const struct head *h, const float *x, size_t R, float *out,
               struct plumb_error *e);
int head_logits(struct forward *f, const float *x, size_t R, float *out /* [R, V] */,
                struct plumb_error *e);
/* The two steps of head_logits apart, for whoever changes what stands between them: out [R, D] is the final norm of x, which
   is not out; and out [R, V] the logits of such rows. */
void head_normed(const struct forward *f, const float *x, size_t R, float *out);
int head_unembed(struct forward *f, const float *normed, size_t R, float *out,
                 struct plumb_error *e);
/* Without keeping [R, V]: log of the full softmax's normaliser, and the entropy in nats; either may
 * be null. */
int head_summary(struct forward *f, const float *x, size_t R, float *log_sum_exp /* [R] */,
                 float *entropy /* [R] */, struct plumb_error *e);
/* log softmax of one token a row, log_prob [R] in nats; best [R], or null, gets the most probable
   token of each row (the lowest id of equals). The logits are made a part of the rows at a time.
   PLUMB_INPUT: a target outside the vocabulary. */
int head_targets(struct forward *f, const float *x, size_t R, const int32_t *targets /* [R] */,
                 double *log_prob, int32_t *best, struct plumb_error *e);

#endif
