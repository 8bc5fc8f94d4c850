/*
 * fuzz_scores.c - CSV, JSONL and sample logs: an even first byte reads the rest as it is, an odd one asks for the columns
 * "post" of a CSV. A table that is taken must keep the promises of scores.h.
 */
#include <math.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/utf8.h"
#include "trace/scores_build.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool promise)
{
    if (!promise)
        abort();
}

static void check_row(const struct scores *s, size_t i)
{
    const double *row = s->values + i * (size_t)s->k;
    const double padding = s->kind == SCORES_LOGITS ? -INFINITY : 0;
    require(s->group[i] >= 0 && s->group[i] < s->n_groups);
    require(s->options[i] >= 1 && s->options[i] <= s->k);
    if (s->kind == SCORES_CONFIDENCE)
        require(s->correct[i] >= -1 && s->correct[i] <= 1);
    else
        require(s->options[i] >= 2 && s->label[i] >= -1 && s->label[i] < s->options[i]);
    for (int j = 0; j < s->k; j++)
        if (j >= s->options[i])
            require(row[j] == padding);
        else if (s->kind != SCORES_LOGITS)
            require(!isfinite(row[j]) || (row[j] >= 0 && row[j] <= 1));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct scores s;
    struct plumb_error e = {0};
    if (!size)
        return 0;
    if (scores_parse((const char *)data + 1, size - 1, "fuzz", data[0] % 2 ? "post" : NULL, &s,
                     &e)) {
        require(*e.message && !s.arena);
        return 0;
    }
    require(s.n >= 1 && s.k >= 1 && s.n_groups >= 1 && s.argmax_ties <= s.n);
    require((s.kind == SCORES_CONFIDENCE) == (s.label == NULL));
    for (int g = 0; g < s.n_groups; g++)
        require(utf8_check(s.groups[g], strlen(s.groups[g])) == strlen(s.groups[g]));
    for (size_t i = 0; i < s.n; i++)
        check_row(&s, i);
    scores_free(&s);
    return 0;
}
