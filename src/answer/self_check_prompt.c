/*
 * self_check_prompt.c - see self_check_prompt.h.
 *
 * Every ask begins with the question, so that the asks of one question share that beginning.
 */
#include "answer/self_check_prompt.h"

#include <string.h>

#include "base/utf8.h"

void self_check_prompt_free(struct self_check_prompt *p)
{
    buffer_free(&p->user);
    buffer_free(&p->reply);
    buffer_free(&p->again);
    buffer_free(&p->cue);
}

/* ---- parts ------------------------------------------------------------------------------------ */

static void add_question(const struct self_check_item *q, struct buffer *out)
{
    if (q->context && *q->context)
        buffer_printf(out, "Context: %s\n", q->context);
    buffer_printf(out, "Question: %s\n", q->question);
    if (q->n_choices > 0)
        buffer_puts(out, "Choices:\n");
    for (int i = 0; i < q->n_choices; i++)
        buffer_printf(out, "- %s\n", q->choices[i]);
}

static const char p_true_cue[] = "The possible answer is:";

static void add_p_true(enum p_true_layout layout, const struct self_check_item *q,
                       struct buffer *out)
{
    const bool brainstormed = layout == P_TRUE_BRAINSTORMED;
    add_question(q, out);
    if (brainstormed) {
        buffer_puts(out, "Brainstormed Answers: ");
        for (int i = 0; i < q->n_ideas; i++)
            buffer_printf(out, "%s\n", q->ideas[i]);
        buffer_printf(out, "%s\n", q->answer); /* the most likely answer comes last */
    }
    buffer_printf(out, "Possible answer: %s\nIs the possible answer:\n", q->answer);
    buffer_puts(out, brainstormed ? "A) True\nB) False" : " (A) True\n (B) False");
}

static void add_shots(const struct self_check_wording *w, struct buffer *out)
{
    for (int i = 0; i < w->n_shots; i++) {
        add_p_true(w->layout, &w->shots[i].item, out);
        buffer_printf(out, "\n%s %c\n\n", p_true_cue, w->shots[i].right ? 'A' : 'B');
    }
}

/* The survey's terms, from the surest down (abstain/stated.h knows their values). */
static const char expressions[] =
    "Almost certain, Highly likely, Very good chance, We believe, Probably, Probable, Likely, "
    "Better than even, About even, Probably not, We doubt, Unlikely, Little chance, "
    "Chances are slight, Improbable, Highly unlikely, Almost no chance";

/* The reply of one step begins with its guess, or with the answer that is judged in its place. */
static void add_guess(const char *answer, bool own, const char *key, struct self_check_prompt *out)
{
    if (own)
        buffer_puts(&out->cue, "Guess:");
    else
        buffer_printf(&out->cue, "Guess: %s\n%s", answer, key);
}

static void add_top_k(int k, const char *answer, bool own, struct self_check_prompt *out)
{
    buffer_printf(&out->user,
                  "Give your %d best guesses, each with the probability from 0.0 to 1.0 that it is "
                  "correct. Write these lines and nothing else:",
                  k);
    for (int i = 1; i <= k; i++)
        buffer_printf(&out->user, "\nG%d: <guess, as short as possible>\nP%d: <number>", i, i);
    if (own)
        buffer_puts(&out->cue, "G1:");
    else
        buffer_printf(&out->cue, "G1: %s\nP1:", answer);
}

static void ask_probability_of_answer(struct self_check_prompt *out)
{
    buffer_puts(&out->again, "How probable is it that this answer is correct? Write only a number "
                             "from 0.0 to 1.0.");
    buffer_puts(&out->cue, "Probability:");
}

static void ask_to_think(struct self_check_prompt *out)
{
    buffer_puts(&out->user, "Think about it step by step, in a few sentences. Then write the "
                            "answer alone on a line that begins with \"Answer:\".");
}

/* The thoughts, and below them the answer that is judged: their own conclusion was cut off. */
static void add_thoughts(const char *thoughts, const char *answer, struct self_check_prompt *out)
{
    buffer_puts(&out->reply, thoughts ? thoughts : "");
    buffer_printf(&out->reply, "\nAnswer: %s", answer);
}

/* ---- the asks --------------------------------------------------------------------------------- */

static void write_prompt(enum self_check_ask ask, const struct self_check_wording *w,
                         const struct self_check_item *item, const char *thoughts,
                         struct self_check_prompt *out)
{
    if (ask == ASK_P_TRUE) {
        add_shots(w, &out->user);
        add_p_true(w->layout, item, &out->user);
        buffer_puts(&out->cue, p_true_cue);
        return;
    }
    add_question(item, &out->user);
    switch (ask) {
    case ASK_P_IK:
        buffer_puts(&out->user, "Do you know the answer to this question? Answer Yes or No.");
        buffer_puts(&out->cue, "Answer:");
        break;
    case ASK_VERBALISED:
        buffer_puts(&out->user, "Give your best guess, and the probability from 0.0 to 1.0 that it "
                                "is correct. Write these two lines and nothing else:\n"
                                "Guess: <guess, as short as possible>\nProbability: <number>");
        add_guess(item->answer, w->own_guess, "Probability:", out);
        break;
    case ASK_VERBALISED_TOP_K:
        add_top_k(w->k, item->answer, w->own_guess, out);
        break;
    case ASK_LINGUISTIC:
        buffer_printf(&out->user,
                      "Give your best guess, and say how likely it is to be correct with one of "
                      "these expressions: %s. Write these two lines and nothing else:\n"
                      "Guess: <guess, as short as possible>\nConfidence: <expression>",
                      expressions);
        add_guess(item->answer, w->own_guess, "Confidence:", out);
        break;
    case ASK_VERBALISED_TWICE:
        buffer_puts(&out->user, "Give your best guess, as short as possible, and nothing else.");
        buffer_printf(&out->reply, "Answer: %s", item->answer);
        ask_probability_of_answer(out);
        break;
    case ASK_REASONING:
        ask_to_think(out);
        break;
    case ASK_VERBALISED_REASON:
        ask_to_think(out);
        add_thoughts(thoughts, item->answer, out);
        ask_probability_of_answer(out);
        break;
    case ASK_JUDGE:
        ask_to_think(out);
        add_thoughts(thoughts, item->answer, out);
        buffer_puts(&out->again, "Look at the reasoning again. Is the answer:\n (A) True\n (B) "
                                 "False");
        buffer_puts(&out->cue, "The answer is:");
        break;
    case ASK_P_TRUE: /* above */
    case ASKS:
    default:
        break;
    }
}

static int check_text(const char *s, const char *what, const char *question, struct plumb_error *e)
{
    const size_t n = s ? strlen(s) : 0;
    const size_t good = n ? utf8_check(s, n) : 0;
    return good == n
               ? PLUMB_OK
               : error_set(e, PLUMB_INPUT, "question \"%.60s\": %s is not valid UTF-8 at byte %zu",
                           question, what, good);
}

static int check_item(const struct self_check_item *q, struct plumb_error *e)
{
    int status = check_text(q->context, "its context", q->question, e);
    if (status == PLUMB_OK)
        status = check_text(q->question, "the question", q->question, e);
    if (status == PLUMB_OK)
        status = check_text(q->answer, "the answer", q->question, e);
    for (int i = 0; i < q->n_choices && status == PLUMB_OK; i++)
        status = check_text(q->choices[i], "a choice", q->question, e);
    for (int i = 0; i < q->n_ideas && status == PLUMB_OK; i++)
        status = check_text(q->ideas[i], "a brainstormed answer", q->question, e);
    return status;
}

int self_check_prompt_make(enum self_check_ask ask, const struct self_check_wording *w,
                           const struct self_check_item *item, const char *thoughts,
                           struct self_check_prompt *out, struct plumb_error *e)
{
    buffer_clear(&out->user);
    buffer_clear(&out->reply);
    buffer_clear(&out->again);
    buffer_clear(&out->cue);
    int status = check_item(item, e);
    if (status != PLUMB_OK)
        return status;
    write_prompt(ask, w, item, thoughts, out);
    const bool failed =
        out->user.failed || out->reply.failed || out->again.failed || out->cue.failed;
    return failed ? error_memory(e, "a prompt") : PLUMB_OK;
}

static void add_buffer(struct buffer *out, const struct buffer *b)
{
    buffer_add(out, buffer_string(b), b->size);
}

void self_check_prompt_plain(const struct self_check_prompt *p, struct buffer *out)
{
    add_buffer(out, &p->user);
    buffer_putc(out, '\n');
    if (p->again.size > 0) {
        add_buffer(out, &p->reply);
        buffer_putc(out, '\n');
        add_buffer(out, &p->again);
        buffer_putc(out, '\n');
    }
    add_buffer(out, &p->cue);
}

struct hash128 self_check_wording_hash(const struct self_check_wording *w)
{
    /* Of a rendered example of every ask, so that a wording changed above changes the hash. */
    static const char *const two[] = {"c", "d"};
    const struct self_check_item item = {.context = "x",
                                         .question = "q",
                                         .choices = two,
                                         .n_choices = 2,
                                         .answer = "a",
                                         .ideas = two,
                                         .n_ideas = 2};
    struct self_check_prompt p = {0};
    struct buffer all = BUFFER_EMPTY;
    struct plumb_error e;
    for (int ask = 0; ask < ASKS; ask++)
        if (self_check_prompt_make((enum self_check_ask)ask, w, &item, "r", &p, &e) == PLUMB_OK)
            self_check_prompt_plain(&p, &all);
    const struct hash128 out = hash_bytes(buffer_string(&all), all.size);
    self_check_prompt_free(&p);
    buffer_free(&all);
    return out;
}
