/*
 * answer.h - what the files of `plumb answer` share: its options, and the summary.
 */
#ifndef CLI_ANSWER_H
#define CLI_ANSWER_H

#include "answer/answers_file.h"
#include "cli/options.h"

struct answer_options {
    struct common_options common;
    const char *output, *sources, *instruction, *shots_from, *judge_command;
    size_t limit, seed;
    int samples, max_tokens, given, clusters, rotations, layer, correct, template, shots, top_k,
        batch, precision, threads;
    double temperature, top_p, min_p, cosine, f1;
    bool strict, json;
};

/* Each returns the exit status. */
int answer_show(const struct answer_options *o, const struct confidence_file *f,
                const struct answers_report *r);
int answer_show_json(const struct answer_options *o, const struct confidence_file *f,
                     const struct answers_report *r);

#endif
