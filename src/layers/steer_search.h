/*
 * steer_search.h - which direction, at which layer, how strongly: the search on one part of the questions, the judgement on
 * the others, beside the controls that a direction has to beat.
 *
 *   alpha in {0, +-0.02, +-0.05, +-0.1, +-0.2, +-0.5};  h_l <- h_l + alpha s_l v at single layers, and at all of them
 *   chosen: the lowest ECE (10 bins) of those that lose at most 0.2 points of accuracy; ties: the weaker, then the first tried
 *
 * The rule is that of all rows, the clip's grid (c = q/100, q = 0..1999; arXiv 2410.19796) and the random directions included.
 * Temperature alone is fitted twice: by likelihood, as is usual, and by the same ECE, so that it has the same chance as the
 * directions. What is better on the part that chose is not yet better: only the judged part tells. Rules ours.
 */
#ifndef LAYERS_STEER_SEARCH_H
#define LAYERS_STEER_SEARCH_H

#include "base/buffer.h"
#include "layers/direction.h"
#include "layers/steer_judge.h"
#include "layers/steer_run.h"

enum steer_kind {
    STEER_AS_IS,
    STEER_UPDATE,     /* D1 */
    STEER_CONTRAST,   /* D2 */
    STEER_COMPONENT,  /* D3 */
    STEER_NULL_SPACE, /* D4 */
    STEER_RANDOM,     /* D5, a control */
    STEER_CLIP_ECE,
    STEER_CLIP_NLL,
    STEER_TEMPERATURE_NLL, /* D6, a control */
    STEER_TEMPERATURE_ECE,
    STEER_KINDS
};
const char *steer_kind_key(enum steer_kind k);   /* "null-space": for options and JSON */
const char *steer_kind_words(enum steer_kind k); /* "D4 null space": for tables */
bool steer_kind_find(const char *key, enum steer_kind *out);
static inline bool steer_kind_is_candidate(enum steer_kind k)
{
    return k >= STEER_UPDATE && k <= STEER_NULL_SPACE;
}

/* What directions are fitted on: states of the same questions after some layers. */
struct steer_states {
    int n_layers;
    const int *layers;           /* [n_layers] rising; the last is L */
    const struct states *states; /* [n_layers] */
    const int8_t *right;         /* [states.n] 1, 0, or -1 unknown: of the model's answer */
    const double *confidence;    /* [states.n] */
};

/* One part of the questions. */
struct steer_part {
    const struct steer_questions *questions;
    struct steer_labels labels;
};

struct steer_search_options {
    const int *layers; /* [n_layers] where to steer, rising; each is among the states' */
    int n_layers;
    int from;             /* p of D1 and D3; among the states' layers, below L */
    int components;       /* of D3 tried: 4 */
    int null_vectors;     /* of D4 tried; 0: round(0.01 D), 1 to 8 */
    int randoms;          /* of D5: 4 */
    double threshold;     /* of D2; negative: the median confidence */
    double accuracy_drop; /* 0.002 */
    bool all_tokens;
    int draws; /* 1000 */
    uint64_t seed;
    int threads;
    const struct progress *progress;
};
struct steer_search_options steer_search_options_default(void);

struct steer_row {
    enum steer_kind kind;
    char reason[160]; /* why there is none; "" otherwise */
    bool acts;        /* false: as it is was best, or there is none */
    int number; /* which of the components, null vectors or random directions, from 1; 0: there is one */
    int layer;                                  /* -1: all of the chosen */
    double strength;                            /* alpha, c or the temperature */
    size_t tried;                               /* settings */
    struct steer_measured fitted[STEER_VALUES]; /* on the part that chose; no intervals */
    struct steer_measured judged[STEER_VALUES];
    struct steer_measured less_as_is;          /* ECE less that of the model as it is */
    struct steer_measured less_random;         /* ECE less that of the chosen random direction */
    struct steer_measured less_temperature[2]; /* ECE less that of temperature by NLL, and by ECE */
};

enum steer_verdict { STEER_NO_DIRECTION, STEER_BEATS, STEER_NOT_MEASURABLY, STEER_WORSE };
const char *steer_verdict_key(enum steer_verdict v);

struct steer_search {
    size_t n_fit, n_judged,
        n_states; /* questions that chose, that judged, that directions were fitted on */
    int from;
    double threshold; /* as used */
    size_t counts[2]; /* of D2 at the last layer: wrong and right above the threshold */
    struct steer_row rows[STEER_KINDS];
    int best; /* the candidate with the lowest ECE on the part that chose; -1: none acts */
    enum steer_verdict verdict;
    /* The directions themselves, for steer_search_steering. */
    struct steer_directions *directions;
};

/* PLUMB_INPUT: options out of range. PLUMB_NO: progress asked to stop. */
int steer_search(const struct model *m, const struct steer_states *s, const struct steer_part *fit,
                 const struct steer_part *judge, const struct steer_search_options *o,
                 struct steer_search *out, struct plumb_error *e);
void steer_search_free(struct steer_search *s); /* idempotent */

/* Sets best and verdict from the rows: the candidate with the lowest ECE on the part that chose beats temperature alone where its
   ECE on the other part is below that of both temperatures with the whole interval, is worse where it is so above one of
   them. steer_search ends with it. */
void steer_search_verdict(struct steer_search *s);

/* What a row that acts does, to be written or applied: parts, strength, tokens and clip; not whose it is. PLUMB_INPUT: the row
   does not act, or is a temperature. */
int steer_search_steering(const struct steer_search *s, enum steer_kind k, struct steering *out,
                          struct plumb_error *e);

/* "layer 7, alpha +0.1", "component 2, all layers, alpha -0.05", "c 1.25": what a row does, in short. */
void steer_row_words(const struct steer_row *r, struct buffer *out);
/* Two or three sentences: the best direction, against temperature alone, against random directions. */
void steer_verdict_words(const struct steer_search *s, struct buffer *out);

#endif
