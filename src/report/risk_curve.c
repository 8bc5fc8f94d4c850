/*
 * risk_curve.c - see risk_curve.h.
 */
#include "report/risk_curve.h"

#include <math.h>
#include <stdlib.h>

#include "base/memory.h"

struct answer {
    double confidence;
    bool wrong;
};

static int falling(const void *a, const void *b)
{
    const double x = ((const struct answer *)a)->confidence,
                 y = ((const struct answer *)b)->confidence;
    return (x < y) - (x > y);
}

bool risk_curve_fill(struct risk_curve *c, const double *confidence, const int8_t *right, size_t n)
{
    size_t wrong = 0;
    struct answer *row = mem_array(n, sizeof *row);
    *c = (struct risk_curve){.coverage = mem_array(n, 3 * sizeof *c->coverage)};
    if (!row || !c->coverage) {
        mem_free(row);
        risk_curve_free(c);
        return false;
    }
    c->risk = c->coverage + n;
    c->threshold = c->risk + n;
    for (size_t i = 0; i < n; i++)
        if (right[i] >= 0 && !isnan(confidence[i]))
            row[c->rows++] = (struct answer){confidence[i], right[i] == 0};
    qsort(row, c->rows, sizeof *row, falling);
    for (size_t i = 0; i < c->rows; i++) {
        wrong += row[i].wrong;
        if (i + 1 < c->rows && row[i + 1].confidence >= row[i].confidence)
            continue;
        c->coverage[c->n] = (double)(i + 1) / (double)c->rows;
        c->risk[c->n] = (double)wrong / (double)(i + 1);
        c->threshold[c->n++] = row[i].confidence;
    }
    mem_free(row);
    return true;
}

void risk_curve_free(struct risk_curve *c)
{
    mem_free(c->coverage);
    *c = (struct risk_curve){0};
}

size_t risk_curve_at(const struct risk_curve *c, double share)
{
    size_t i = 0;
    while (i + 1 < c->n && c->coverage[i + 1] <= share + 1e-12)
        i++;
    return i;
}
