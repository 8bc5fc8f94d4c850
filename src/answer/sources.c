/*
 * sources.c - see sources.h.
 */
#include "answer/sources.h"

#include <math.h>
#include <string.h>

#include "answer/clusters.h"
#include "base/memory.h"
#include "base/sum.h"

static const struct answer_source_row rows[ANSWER_SOURCES] = {
    [SOURCE_AGREEMENT] = {"agreement", "agreement", true, true, false},
    [SOURCE_ENTROPY] = {"entropy", "entropy of the samples", true, true, false},
    [SOURCE_FSD] = {"fsd", "first-second distance", true, true, false},
    [SOURCE_SUPPORT] = {"support", "samples equal to the answer", true, true, false},
    [SOURCE_SEMANTIC_ENTROPY] = {"semantic-entropy", "semantic entropy", false, true, true},
    [SOURCE_CLUSTER_ENTROPY] = {"cluster-entropy", "cluster entropy", false, true, true},
    [SOURCE_SEMANTIC_SUPPORT] = {"semantic-support", "mass of its meaning", true, true, true},
    [SOURCE_LIKELIHOOD] = {"likelihood", "mean token log p", false, false, false},
    [SOURCE_TOKEN_ENTROPY] = {"token-entropy", "mean token entropy", false, false, false},
    [SOURCE_CAPABILITY] = {"capability", "share of right samples", true, true, false},
};

const struct answer_source_row *answer_source(enum answer_source s)
{
    return &rows[s];
}

int answer_source_find(const char *name, size_t n)
{
    for (int s = 0; s < ANSWER_SOURCES; s++)
        if (strlen(rows[s].name) == n && memcmp(rows[s].name, name, n) == 0)
            return s;
    return -1;
}

static double support(const struct sampled *x)
{
    size_t equal = 0;
    for (size_t i = 0; i < x->n; i++)
        equal += x->given.same >= 0 && x->drawn[i].same == x->given.same;
    return (double)equal / (double)x->n;
}

static double capability(const struct sampled *x)
{
    size_t right = 0;
    for (size_t i = 0; i < x->n; i++) {
        if (x->drawn[i].right < 0)
            return NAN;
        right += x->drawn[i].right == 1;
    }
    return (double)right / (double)x->n;
}

/* Masses of the classes of meaning, weighted or counted; null: no memory, or no class. */
static double *masses_of(const struct sampled *x, bool weighted)
{
    if (x->n_clusters == 0)
        return NULL;
    int *cluster = mem_array(x->n, sizeof *cluster);
    double *ll = mem_array(x->n, sizeof *ll), *p = mem_array((size_t)x->n_clusters, sizeof *p);
    if (cluster && ll && p) {
        for (size_t i = 0; i < x->n; i++) {
            cluster[i] = x->drawn[i].cluster;
            ll[i] = x->drawn[i].mean_logprob;
        }
        cluster_masses(cluster, weighted ? ll : NULL, x->n, x->n_clusters, p);
    } else {
        mem_free(p);
        p = NULL;
    }
    mem_free(cluster);
    mem_free(ll);
    return p;
}

static double semantic(const struct sampled *x, enum answer_source s)
{
    double *p = masses_of(x, s != SOURCE_CLUSTER_ENTROPY), value = NAN;
    if (!p)
        return NAN;
    if (s != SOURCE_SEMANTIC_SUPPORT)
        value = 0 - cluster_entropy(p, x->n_clusters); /* never -0 */
    else                                               /* a class that no draw is in has no mass */
        value = x->given.cluster >= 0 && x->given.cluster < x->n_clusters ? p[x->given.cluster] : 0;
    if (s == SOURCE_SEMANTIC_SUPPORT && value > 1) /* rounding of the sum */
        value = 1;
    mem_free(p);
    return value;
}

double answer_source_value(enum answer_source s, const struct sampled *x)
{
    if (rows[s].samples && x->n == 0)
        return NAN;
    switch (s) {
    case SOURCE_AGREEMENT:
        return x->consistency.agreement;
    case SOURCE_ENTROPY:
        return x->consistency.entropy;
    case SOURCE_FSD:
        return x->consistency.fsd;
    case SOURCE_SUPPORT:
        return support(x);
    case SOURCE_SEMANTIC_ENTROPY:
    case SOURCE_CLUSTER_ENTROPY:
    case SOURCE_SEMANTIC_SUPPORT:
        return semantic(x, s);
    case SOURCE_LIKELIHOOD:
        return x->given.mean_logprob;
    case SOURCE_TOKEN_ENTROPY:
        return 0 - x->given.mean_entropy;
    case SOURCE_CAPABILITY:
        return capability(x);
    case ANSWER_SOURCES:
    default:
        return NAN;
    }
}

double answer_source_passes(enum answer_source s, const struct sampled *x)
{
    size_t passes = rows[s].meaning ? x->meaning_texts : 0;
    if (!rows[s].samples) /* the answer is there anyway */
        return 0;
    for (size_t i = 0; i < x->n; i++)
        passes += x->drawn[i].tokens + 1; /* and the pass that ended it */
    return (double)passes;
}
