/*
 * fuzz_merge_yaml.c - mergekit's configurations. A job that is taken must be whole: models by number, values in range.
 */
#include <math.h>
#include <stdint.h>
#include <stdlib.h>

#include "merge/job.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_value(const struct merge_value *v)
{
    const struct merge_place place = {
        .name = "model.layers.1.mlp.up_proj.weight", .kind = "mlp", .depth = 0.37};
    if (!isfinite(merge_value_at(v, &place, 1)))
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct merge_job job;
    struct plumb_error e = {0};
    if (merge_job_from_yaml((const char *)data, size, "fuzz", &job, &e) != PLUMB_OK) {
        if (!*e.message)
            abort();
        return 0;
    }
    const struct merge_recipe *r = &job.recipe;
    if (r->base >= job.n_paths || job.like < 0 || job.like >= job.n_paths ||
        job.tokenizer_from >= job.n_paths || r->n_inputs < 1)
        abort();
    for (int i = 0; i < r->n_inputs; i++) {
        if (r->inputs[i] < 0 || r->inputs[i] >= job.n_paths || !job.paths[r->inputs[i]])
            abort();
        check_value(&r->weight[i]);
        check_value(&r->density[i]);
    }
    check_value(&r->t);
    check_value(&r->lambda);
    merge_job_free(&job);
    return 0;
}
