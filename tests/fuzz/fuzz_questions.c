/*
 * fuzz_questions.c - question files: an even first byte reads the rest as JSONL, an odd one as CSV. A set that is taken
 * must keep the promises of questions.h and render as a prompt.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/utf8.h"
#include "task/preset.h"
#include "task/questions_build.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_text(const char *s)
{
    size_t n = strlen(s);
    if (utf8_check(s, n) != n)
        abort();
}

static void check_question(const struct question_set *s, const struct question *q)
{
    if (q->n_options < 2 || q->n_options > QUESTION_MAX_OPTIONS || q->gold < -1 ||
        q->gold >= q->n_options || q->group < 0 || q->group >= s->n_groups || !*q->text)
        abort();
    check_text(q->id);
    check_text(q->text);
    check_text(q->context);
    for (int i = 0; i < q->n_options; i++)
        check_text(q->options[i]);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct question_set s;
    struct plumb_error e = {0};
    if (!size)
        return 0;
    enum question_format format = data[0] % 2 ? QUESTION_CSV : QUESTION_JSONL;
    if (questions_parse((const char *)data + 1, size - 1, format, "fuzz", 0, &s, &e)) {
        if (!*e.message)
            abort();
        return 0;
    }
    for (size_t i = 0; i < s.count; i++)
        check_question(&s, &s.items[i]);
    struct buffer b = BUFFER_EMPTY;
    struct preset p = {.kind = PRESET_DACA, .shots = 1, .shots_from = &s};
    (void)preset_header(&p, s.groups[s.n_groups - 1], &b, &e);
    (void)preset_question(&p, &s.items[0], &b, &e);
    buffer_free(&b);
    questions_free(&s);
    return 0;
}
