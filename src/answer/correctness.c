/*
 * correctness.c - see correctness.h. The user's command runs in judge_command.c.
 */
#include "answer/correctness.h"

#include <math.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <utf8proc.h>

#include "answer/judge_command.h"
#include "base/memory.h"
#include "base/utf8.h"
#include "jinja/characters.h"

struct judge judge_default(void)
{
    return (struct judge){.rule = CORRECT_NORMALISED, .f1_threshold = 0.5};
}

void judge_words(const struct judge *j, struct buffer *out)
{
    switch (j->rule) {
    case CORRECT_EXACT:
        buffer_puts(out, "exact match");
        break;
    case CORRECT_F1:
        buffer_printf(out, "F1 of the words at least %g", j->f1_threshold);
        break;
    case CORRECT_COMMAND:
        buffer_printf(out, "command: %s", j->command);
        break;
    case CORRECT_NORMALISED:
    default:
        buffer_puts(out, "match after normalisation (lower case; no punctuation, no articles)");
        break;
    }
}

/* ---- normalisation ----------------------------------------------------------------------------- */

/* string.punctuation of Python, and Unicode's categories of punctuation. */
static bool is_punctuation(uint32_t c)
{
    if (c < 128)
        return c > ' ' && c < 127 && !(c >= '0' && c <= '9') && !(c >= 'A' && c <= 'Z') &&
               !(c >= 'a' && c <= 'z');
    switch (utf8proc_category((utf8proc_int32_t)c)) {
    case UTF8PROC_CATEGORY_PC:
    case UTF8PROC_CATEGORY_PD:
    case UTF8PROC_CATEGORY_PS:
    case UTF8PROC_CATEGORY_PE:
    case UTF8PROC_CATEGORY_PI:
    case UTF8PROC_CATEGORY_PF:
    case UTF8PROC_CATEGORY_PO:
        return true;
    default:
        return false;
    }
}

static bool is_article(const char *word, size_t n)
{
    static const char *const articles[] = {"a", "an", "the"};
    for (size_t i = 0; i < sizeof articles / sizeof *articles; i++)
        if (strlen(articles[i]) == n && memcmp(word, articles[i], n) == 0)
            return true;
    return false;
}

/* The word that stands in `out` from `start` on is done: an article goes. */
static size_t end_word(struct buffer *out, size_t begin, size_t start)
{
    if (out->failed || out->size == start)
        return start;
    if (is_article(out->data + start, out->size - start)) {
        out->size = start > begin ? start - 1 : start;
        out->data[out->size] = '\0';
    }
    return out->size;
}

void answer_normalise(const char *text, size_t n, struct buffer *out)
{
    const size_t begin = out->size;
    size_t start = begin; /* of the word that is being written, behind its space */
    bool in_word = false;
    for (size_t i = 0; i < n;) {
        uint32_t c;
        const int length = utf8_decode(text + i, n - i, &c);
        i += length > 0 ? (size_t)length : 1;
        if (character_is_space(c)) {
            if (in_word)
                end_word(out, begin, start);
            in_word = false;
        } else if (!is_punctuation(c)) {
            if (!in_word && out->size > begin)
                buffer_putc(out, ' ');
            if (!in_word)
                start = out->size;
            in_word = true;
            buffer_utf8(out, character_lower(c));
        }
    }
    if (in_word)
        end_word(out, begin, start);
}

/* ---- F1 ---------------------------------------------------------------------------------------- */

struct word {
    const char *s;
    size_t n;
};

static int by_bytes(const void *a, const void *b)
{
    const struct word *x = a, *y = b;
    const size_t n = x->n < y->n ? x->n : y->n;
    const int order = memcmp(x->s, y->s, n);
    return order ? order : (x->n > y->n) - (x->n < y->n);
}

/* The words of a normalised text, sorted. */
static struct word *words_of(const char *text, size_t *count)
{
    const size_t most = strlen(text) / 2 + 1;
    struct word *words = mem_array(most, sizeof *words);
    *count = 0;
    if (!words)
        return NULL;
    for (const char *at = text; *at;) {
        const size_t n = strcspn(at, " ");
        if (n > 0 && *count < most)
            words[(*count)++] = (struct word){at, n};
        at += n + (at[n] == ' ');
    }
    qsort(words, *count, sizeof *words, by_bytes);
    return words;
}

double answer_f1(const char *normalised, const char *other)
{
    size_t n, m, same = 0;
    struct word *a = words_of(normalised, &n), *b = words_of(other, &m);
    double f1 = NAN;
    if (a && b) {
        for (size_t i = 0, j = 0; i < n && j < m;) {
            const int order = by_bytes(&a[i], &b[j]);
            same += order == 0;
            i += order <= 0;
            j += order >= 0;
        }
        /* 2 P R / (P + R) with P = same / n, R = same / m */
        f1 = n + m == 0 ? 1 : 2 * (double)same / (double)(n + m);
    }
    mem_free(a);
    mem_free(b);
    return f1;
}

/* ---- judging ----------------------------------------------------------------------------------- */

static struct word trimmed(const char *text)
{
    struct word t = {text, strlen(text)};
    while (t.n > 0 && strchr(" \t\r\n", *t.s)) {
        t.s++;
        t.n--;
    }
    while (t.n > 0 && strchr(" \t\r\n", t.s[t.n - 1]))
        t.n--;
    return t;
}

static bool is_exact(const char *answer, const char *gold)
{
    const struct word a = trimmed(answer), b = trimmed(gold);
    return a.n > 0 && by_bytes(&a, &b) == 0;
}

/* Against one right answer, both normalised. */
static int is_right(const struct judge *j, const char *answer, const char *gold,
                    struct plumb_error *e)
{
    if (j->rule == CORRECT_NORMALISED)
        return *answer && strcmp(answer, gold) == 0;
    const double f1 = answer_f1(answer, gold);
    if (isnan(f1)) {
        error_memory(e, "the words of an answer");
        return -1;
    }
    return *answer && f1 >= j->f1_threshold;
}

int judge_answer(const struct judge *j, const struct free_question *q, const char *answer,
                 int *right, struct plumb_error *e)
{
    *right = -1;
    if (j->rule == CORRECT_COMMAND)
        return judge_command(j->command, q, answer, right, e);
    if (q->n_answers == 0)
        return PLUMB_OK;
    struct buffer given = BUFFER_EMPTY, gold = BUFFER_EMPTY;
    int found = 0;
    answer_normalise(answer, strlen(answer), &given);
    for (int i = 0; i < q->n_answers && found == 0; i++) {
        buffer_clear(&gold);
        answer_normalise(q->answers[i], strlen(q->answers[i]), &gold);
        found = j->rule == CORRECT_EXACT
                    ? is_exact(answer, q->answers[i])
                    : is_right(j, buffer_string(&given), buffer_string(&gold), e);
    }
    const bool failed = given.failed || gold.failed;
    buffer_free(&given);
    buffer_free(&gold);
    if (failed || found < 0)
        return error_memory(e, "an answer");
    *right = found;
    return PLUMB_OK;
}
