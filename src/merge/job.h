/*
 * job.h - a merge as people write it down, on a command line or in mergekit's YAML, made into a recipe and the paths of its
 * models.
 */
#ifndef MERGE_JOB_H
#define MERGE_JOB_H

#include "merge/recipe.h"

struct merge_job {
    struct merge_recipe recipe; /* what it points to belongs to the arena */
    const char **paths;         /* [n_paths] the recipe's models by number */
    int n_paths;
    int like; /* the model that gives configuration, tokenizer and format: POST (the last one that is merged) */
    int tokenizer_from; /* -1 = like */
    struct arena *arena;
};

/* How it stands on the command line; null where nothing is said. */
struct merge_words {
    const char *method;
    const char *const
        *models; /* [n_models] linear, slerp, nuslerp: all are merged; task vectors: BASE first */
    int n_models;
    const char *base;    /* nuslerp: the model that task vectors are taken from */
    const char *t;       /* "0.3", or values along the depth "0,0.2,0.5" */
    const char *filter;  /* "mlp=0.2,attn=0.6,*=0.4": t by tensor (lambda for task vectors) */
    const char *weight;  /* one for each merged model: "0.5,0.3" */
    const char *density; /* one for all, or one for each: "0.5" */
    const char *lambda;
    int normalise, rescale; /* 1, 0, -1 = the method's default */
    uint64_t seed;
    const char *dtype; /* "bf16", "f16", "f32", or mergekit's "bfloat16" ... */
};
int merge_job_from_words(const struct merge_words *w, struct merge_job *out, struct plumb_error *e);

/* mergekit's YAML, for the methods that plumb has. Model paths stay as they are written. Unknown fields are refused by name,
   with their line. `text` is the file's, `path` its name for messages. */
int merge_job_from_yaml(const char *text, size_t n, const char *path, struct merge_job *out,
                        struct plumb_error *e);

void merge_job_free(struct merge_job *j);

/* Shared by both: F32, F16 or BF16 by the names that people use; false: none of them. */
bool merge_type_parse(const char *name, enum dtype *out);
/* One number that holds everywhere, or [n] along the depth, for tensors that fit `filter` (null = all), put behind the rules
   that are there. The values are copied into the arena. */
int merge_value_add(struct arena *a, struct merge_value *v, const char *filter,
                    const double *values, size_t n, struct plumb_error *e);

#endif
