/*
 * clusters.c - see clusters.h.
 */
#include "answer/clusters.h"

#include <math.h>
#include <string.h>

#include "base/memory.h"
#include "base/sum.h"

int clusters_by_key(const char *const *keys, size_t n, int *cluster)
{
    int count = 0;
    for (size_t i = 0; i < n; i++) {
        cluster[i] = -1;
        for (size_t j = 0; keys[i] && j < i && cluster[i] < 0; j++)
            if (keys[j] && strcmp(keys[i], keys[j]) == 0)
                cluster[i] = cluster[j];
        if (keys[i] && cluster[i] < 0)
            cluster[i] = count++;
    }
    return count;
}

int clusters_greedy(size_t n, const struct equivalence *by, int *cluster, int *n_clusters,
                    struct plumb_error *e)
{
    enum { NONE = -1, OPEN = -2 };
    size_t *others = mem_array(n, sizeof *others);
    bool *same = mem_zalloc(n, sizeof *same);
    int status = others && same ? PLUMB_OK : error_memory(e, "classes of answers");
    *n_clusters = 0;
    for (size_t i = 0; i < n; i++)
        cluster[i] = cluster[i] == NONE ? NONE : OPEN;
    for (size_t i = 0; i < n && status == PLUMB_OK; i++) {
        if (cluster[i] != OPEN)
            continue;
        size_t count = 0;
        cluster[i] = (*n_clusters)++;
        for (size_t j = i + 1; j < n; j++)
            if (cluster[j] == OPEN)
                others[count++] = j;
        if (count > 0)
            status = by->ask(by->user, i, others, count, same, e);
        for (size_t k = 0; k < count && status == PLUMB_OK; k++)
            if (same[k])
                cluster[others[k]] = cluster[i];
    }
    mem_free(others);
    mem_free(same);
    return status;
}

void cluster_masses(const int *cluster, const double *ll, size_t n, int n_clusters, double *p)
{
    bool weighted = ll != NULL;
    double largest = -INFINITY;
    struct sum total = {0};
    for (size_t i = 0; ll && i < n; i++)
        if (cluster[i] >= 0) {
            weighted = weighted && !isnan(ll[i]);
            largest = ll[i] > largest ? ll[i] : largest;
        }
    weighted = weighted && isfinite(largest);
    for (int c = 0; c < n_clusters; c++) {
        struct sum mass = {0};
        for (size_t i = 0; i < n; i++)
            if (cluster[i] == c)
                sum_add(&mass, weighted ? exp(ll[i] - largest) : 1);
        p[c] = sum_value(mass);
        sum_add(&total, p[c]);
    }
    for (int c = 0; c < n_clusters; c++)
        p[c] = sum_value(total) > 0 ? p[c] / sum_value(total) : 0;
}

double cluster_entropy(const double *p, int n_clusters)
{
    struct sum h = {0};
    for (int c = 0; c < n_clusters; c++)
        if (p[c] > 0)
            sum_add(&h, -p[c] * log(p[c]));
    return sum_value(h) > 0 ? sum_value(h) : 0;
}
