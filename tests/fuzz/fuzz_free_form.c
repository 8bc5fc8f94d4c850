/*
 * fuzz_free_form.c - a file of free-form questions: what is taken keeps the promises of free_form.h; and any of its texts can be
 * normalised, judged and read as a letter.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "answer/correctness.h"
#include "answer/free_form.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool promise)
{
    if (!promise)
        abort();
}

/* Normalised twice is normalised once; a text agrees with itself. */
static void check_text(const char *text)
{
    struct buffer once = BUFFER_EMPTY, twice = BUFFER_EMPTY;
    answer_normalise(text, strlen(text), &once);
    answer_normalise(buffer_string(&once), once.size, &twice);
    require(strlen(buffer_string(&once)) == once.size);
    /* an article may come to stand behind nothing: only then a second pass takes more away */
    require(twice.size <= once.size);
    require(answer_f1(buffer_string(&once), buffer_string(&once)) == 1);
    buffer_free(&once);
    buffer_free(&twice);
}

static void check(const struct free_form_set *s)
{
    struct plumb_error e = {0};
    struct judge j = judge_default();
    require(s->count >= 1 && s->name && !s->has_options);
    for (size_t i = 0; i < s->count; i++) {
        const struct free_question *q = &s->items[i];
        int right;
        require(q->id && q->text && q->context && *q->text && q->gold == -1 && q->n_options == 0);
        check_text(q->text);
        require(judge_answer(&j, q, q->text, &right, &e) == PLUMB_OK);
        require(right >= -1 && right <= 1 && (right == -1) == (q->n_answers == 0));
        j.rule = CORRECT_EXACT;
        for (int a = 0; a < q->n_answers; a++) {
            check_text(q->answers[a]);
            require(judge_answer(&j, q, q->answers[a], &right, &e) == PLUMB_OK);
            require(right == 1 || strspn(q->answers[a], " \t\r\n") == strlen(q->answers[a]));
            const int letter = option_letter(q->answers[a], q->answers, q->n_answers);
            require(letter >= -1 && letter < q->n_answers);
        }
        j.rule = CORRECT_NORMALISED;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct free_form_set s;
    struct plumb_error e = {0};
    if (free_form_parse((const char *)data, size, "fuzz", 0, &s, &e) == PLUMB_OK) {
        check(&s);
        free_form_free(&s);
    } else {
        require(e.message[0] != '\0' && !s.arena && !s.items);
    }
    return 0;
}
