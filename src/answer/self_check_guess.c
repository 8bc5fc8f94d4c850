/*
 * self_check_guess.c - see self_check_guess.h.
 */
#include "answer/self_check_guess.h"

#include <stdio.h>
#include <string.h>

#include "abstain/stated.h"
#include "answer/correctness.h"

/* A piece of the reply. */
struct piece {
    const char *at; /* null: not there */
    size_t n;
};

/* The rest of the line at `from`, up to the key of a number that stands on the same line. */
static struct piece line_at(const char *reply, size_t n, size_t from, const char *key)
{
    struct piece out = {reply + from, 0};
    const char *end = memchr(out.at, '\n', n - from);
    out.n = end ? (size_t)(end - out.at) : n - from;
    const char *number = memmem(out.at, out.n, key, strlen(key));
    if (number)
        out.n = (size_t)(number - out.at);
    return out;
}

/* The i-th guess; the first stands at the beginning. */
static struct piece guess_at(const char *reply, size_t n, int i, const char *key)
{
    char mark[16];
    if (i == 1)
        return line_at(reply, n, 0, key);
    snprintf(mark, sizeof mark, "G%d:", i);
    const char *found = memmem(reply, n, mark, strlen(mark));
    if (!found)
        return (struct piece){NULL, 0};
    return line_at(reply, n, (size_t)(found - reply) + strlen(mark), key);
}

/* Equal after normalisation; two empty ones are not. */
static bool is_answer(struct piece guess, const char *answer, bool *empty)
{
    struct buffer a = BUFFER_EMPTY, b = BUFFER_EMPTY;
    answer_normalise(guess.at, guess.n, &a);
    answer_normalise(answer, strlen(answer), &b);
    *empty = a.size == 0;
    const bool same = a.size > 0 && a.size == b.size && !a.failed && !b.failed &&
                      memcmp(a.data, b.data, a.size) == 0;
    buffer_free(&a);
    buffer_free(&b);
    return same;
}

bool self_check_guess_read(enum self_check_ask ask, int k, const char *reply, size_t n,
                           const char *answer, double *p, bool *other)
{
    const int guesses = ask == ASK_VERBALISED_TOP_K ? k : 1;
    *other = false;
    for (int i = 1; i <= guesses; i++) {
        char key[16];
        bool empty;
        snprintf(key, sizeof key, "P%d", i);
        const char *of = ask == ASK_VERBALISED_TOP_K ? key
                         : ask == ASK_LINGUISTIC     ? "Confidence"
                                                     : "Probability";
        const struct piece guess = guess_at(reply, n, i, of);
        if (!guess.at)
            break;
        const bool same = is_answer(guess, answer, &empty);
        *other = *other || (!same && !empty);
        if (!same)
            continue;
        *other = false;
        return ask == ASK_LINGUISTIC ? stated_expression(reply, n, of, p)
                                     : stated_probability(reply, n, of, p);
    }
    return false;
}
