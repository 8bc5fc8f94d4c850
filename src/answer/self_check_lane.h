/*
 * self_check_lane.h - a text that is asked about again and again: each new text goes on from what it begins with like the one
 * before, so that a second pass costs only what is new.
 *
 * The promise is that of model/forward.h: the bits are those of running each whole text at once.
 */
#ifndef ANSWER_SELF_CHECK_LANE_H
#define ANSWER_SELF_CHECK_LANE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buffer.h"
#include "base/error.h"
#include "base/progress.h"
#include "model/forward.h"
#include "model/sampler.h"
#include "model/tokenizer.h"

/* What the texts of many lanes begin with, computed once. */
struct lane_prefix {
    struct prefix *computed; /* null: none */
    int32_t *tokens;         /* [n] */
    int n;
};
/* The common beginning of two texts; none where it is too short to be worth it. */
int lane_prefix_create(struct forward *f, const struct token_list *a, const struct token_list *b,
                       struct lane_prefix *out, struct plumb_error *e);
void lane_prefix_free(struct lane_prefix *p);

struct lane {
    struct sequence *sequence;
    const struct lane_prefix *prefix; /* that the sequence stands on; null: none */
    struct token_list held;           /* what has been run, prefix included */
    int capacity;                     /* positions of the sequence behind the prefix */
};
void lane_free(struct lane *l);

/* Makes the lane ready for `text` [n] and up to `room` tokens behind it: *item is what is left to run, at least the last token,
   wanted; its tokens are a view into the lane. `shared` may be null. `whole`: nothing is reused (to test that it is the
   same). After forward_run has failed the lane may only be freed. */
int lane_take(struct lane *l, struct forward *f, const struct model *m,
              const struct lane_prefix *shared, const struct token_list *text, int room, bool whole,
              struct forward_item *item, struct plumb_error *e);

/* A greedy text behind each of n lanes, which lane_take has made ready with that much room. */
struct lane_writing {
    struct lane *lane;
    struct forward_item item; /* of lane_take */
    int room;                 /* at most so many tokens */
    struct buffer text;       /* out: what was written; appended */
    int passes;               /* out: forward passes */
    size_t tokens_run;        /* out: tokens that went through the model */
};
struct lane_writer {
    const struct model *m;
    struct forward *f;
    struct sampler *greedy;
    const struct token_list *ends;
    const char *const *stops; /* [n_stops] a text ends before the first of these */
    int n_stops;
    bool one_line;                   /* or at the end of the first line that holds anything */
    const struct progress *progress; /* asked, with `done` of `total`, whether to go on */
    size_t done, total;
};
/* PLUMB_NO: progress asked to stop. */
int lanes_write(const struct lane_writer *o, struct lane_writing *w, size_t n,
                struct plumb_error *e);

#endif
