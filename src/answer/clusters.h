/*
 * clusters.h - classes of sampled answers that mean the same, and the entropy over these meanings.
 *
 * Semantic entropy: Farquhar et al. 2024 (Nature 630), with the definitions of its published code (jlko/semantic_uncertainty):
 * greedy classes in the order of the samples; with ll_i the mean token log-likelihood of sample i,
 *   p_C = sum over i in C of exp(ll_i) / sum over all i of exp(ll_i),   entropy = - sum over C of p_C ln p_C;
 * without likelihoods p_C = n_C / n (cluster assignment entropy). Two things are ours. A class takes only later answers that have
 * no class yet, where the published code lets them move. And every sample counts once, so that the masses add up to 1.
 *
 * Pure functions; what "means the same" is decided by whoever is asked (meaning.h).
 */
#ifndef ANSWER_CLUSTERS_H
#define ANSWER_CLUSTERS_H

#include <stdbool.h>
#include <stddef.h>

#include "base/error.h"

/* Which of the later answers others [n_others] mean the same as answer `opener`: same [n_others]. All are asked at once, so that
   a model can be asked in one batch. */
struct equivalence {
    int (*ask)(void *user, size_t opener, const size_t *others, size_t n_others, bool *same,
               struct plumb_error *e);
    void *user;
};

/* Classes by equal keys, in the order in which they are first seen; a null key: -1, no answer. Returns how many. Keys are texts
   after normalisation. O(n^2) comparisons: for samples of one question. */
int clusters_by_key(const char *const *keys, size_t n, int *cluster /* [n] */);

/* Greedy classes: each answer without a class opens one and takes all later answers without a class that are equivalent to it.
   cluster [n]: -1 on entry: no answer, left alone; anything else: to be filled. *n_clusters: how many. */
int clusters_greedy(size_t n, const struct equivalence *by, int *cluster, int *n_clusters,
                    struct plumb_error *e);

/* Masses of the classes, p [n_clusters], sum 1 (all 0 where no answer has a class). ll [n]: mean token log-likelihoods, nats;
   null: each sample weighs the same, as does every sample if one that has a class lacks a likelihood (NAN). */
void cluster_masses(const int *cluster, const double *ll, size_t n, int n_clusters, double *p);
/* In nats; 0 for one class or none. */
double cluster_entropy(const double *p, int n_clusters);

#endif
