/*
 * self_check.c - see self_check.h.
 *
 * Questions are taken in batches; of a batch, one ask after the other, all questions at once. Each question has a lane
 * (self_check_lane.h) along which its asks go on from the question that they all begin with; examples of P(True) stand in front
 * of it, so that ask has a lane of its own.
 */
#include "answer/self_check.h"

#include <math.h>
#include <string.h>

#include "abstain/stated.h"
#include "answer/self_check_choice.h"
#include "answer/self_check_guess.h"
#include "answer/self_check_lane.h"
#include "base/memory.h"
#include "model/chat.h"
#include "model/config.h"
#include "model/forward.h"
#include "model/text_end.h"

enum { LANE_QUESTION, LANE_EXAMPLES, LANES };

struct check {
    struct model *m;
    const struct tokenizer *tokenizer;
    const struct self_check_options *o;
    struct chat *chat; /* null: plain */
    struct forward *f;
    struct sampler *greedy;
    struct token_list ends;
    struct choice letters, yes_no;
    struct lane_prefix prefix[LANES];
    struct self_check_prompt prompt; /* scratch, as is text */
    struct buffer text;
    size_t done, total;
    struct plumb_error *e;
};

/* A question in hand. */
struct hand {
    const struct self_check_item *item;
    struct self_check_result *out;
    struct lane lanes[LANES];
    int thought_passes;
    size_t thought_run, thought_prompt;
};

/* ---- names ------------------------------------------------------------------------------------ */

static const struct {
    const char *name, *words;
    enum self_check_ask ask;
} sources[SELF_CHECKS] = {
    [SELF_CHECK_P_TRUE] = {"p-true", "P(True)", ASK_P_TRUE},
    [SELF_CHECK_P_TRUE_RAW] = {"p-true-raw", "P(True) raw", ASK_P_TRUE},
    [SELF_CHECK_P_IK_PROMPTED] = {"p-ik-prompted", "P(IK) asked", ASK_P_IK},
    [SELF_CHECK_VERBALISED] = {"verbalised-1s", "said, 1 step", ASK_VERBALISED},
    [SELF_CHECK_VERBALISED_TOP_K] = {"verbalised-topk", "said, top-k", ASK_VERBALISED_TOP_K},
    [SELF_CHECK_LINGUISTIC] = {"linguistic", "said in words", ASK_LINGUISTIC},
    [SELF_CHECK_VERBALISED_TWICE] = {"verbalised-2s", "said, 2 steps", ASK_VERBALISED_TWICE},
    [SELF_CHECK_VERBALISED_REASON] = {"verbalised-2s-cot", "said, thought", ASK_VERBALISED_REASON},
    [SELF_CHECK_JUDGE] = {"judge", "P(True) judge", ASK_JUDGE},
};

const char *self_check_name(enum self_check s)
{
    return sources[s].name;
}

const char *self_check_words(enum self_check s)
{
    return sources[s].words;
}

static int unknown_source(const char *name, size_t n, struct plumb_error *e)
{
    struct buffer known = BUFFER_EMPTY;
    for (int s = 0; s < SELF_CHECKS; s++)
        buffer_printf(&known, "%s%s", s ? ", " : "", sources[s].name);
    const int status = error_set(e, PLUMB_INPUT, "no source \"%.*s\"; there are %s, and all",
                                 n < 40 ? (int)n : 40, name, buffer_string(&known));
    buffer_free(&known);
    return status;
}

/* The number of the source of that name, or -1. */
static int find_source(const char *name, size_t n)
{
    for (int s = 0; s < SELF_CHECKS; s++)
        if (strlen(sources[s].name) == n && memcmp(sources[s].name, name, n) == 0)
            return s;
    return -1;
}

int self_check_parse(const char *names, bool wanted[SELF_CHECKS], struct plumb_error *e)
{
    static const char all[] = "all";
    for (int s = 0; s < SELF_CHECKS; s++)
        wanted[s] = strcmp(names, all) == 0;
    if (wanted[0])
        return PLUMB_OK;
    for (const char *at = names;;) {
        const size_t n = strcspn(at, ",");
        const int s = find_source(at, n);
        if (s < 0)
            return unknown_source(at, n, e);
        wanted[s] = true;
        if (!at[n])
            return PLUMB_OK;
        at += n + 1;
    }
}

struct self_check_options self_check_options_default(void)
{
    return (struct self_check_options){.wording = {.k = 4},
                                       .reasoning_tokens = 96,
                                       .number_tokens = 16,
                                       .guess_tokens = 24,
                                       .batch = 16};
}

void self_check_results_free(struct self_check_result *r, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        for (int s = 0; s < SELF_CHECKS; s++)
            mem_free(r[i].said[s]);
        mem_free(r[i].thoughts);
        r[i] = (struct self_check_result){0};
    }
}

static bool asks(const struct check *c, enum self_check_ask ask)
{
    for (int s = 0; s < SELF_CHECKS; s++)
        if (c->o->wanted[s] && sources[s].ask == ask)
            return true;
    return ask == ASK_REASONING && (asks(c, ASK_VERBALISED_REASON) || asks(c, ASK_JUDGE));
}

/* ---- a prompt as tokens ----------------------------------------------------------------------- */

static int encode_chat(struct check *c, struct token_list *out)
{
    const struct chat_options options = {.add_generation_prompt = true, .no_thinking = true};
    const struct self_check_prompt *p = &c->prompt;
    const struct chat_message messages[] = {
        {"user", buffer_string(&p->user), p->user.size},
        {"assistant", buffer_string(&p->reply), p->reply.size},
        {"user", buffer_string(&p->again), p->again.size},
    };
    struct jinja_output text = {0};
    int status = chat_render(c->chat, messages, p->again.size > 0 ? 3 : 1, options, &text, c->e);
    if (status == PLUMB_OK && p->cue.size > 0)
        status = chat_continue(&text, buffer_string(&p->cue), c->e);
    if (status == PLUMB_OK)
        status = chat_encode(c->tokenizer, &text, out, c->e);
    jinja_output_free(&text);
    return status;
}

static int encode(struct check *c, enum self_check_ask ask, const struct self_check_item *item,
                  const char *thoughts, struct token_list *out)
{
    int status = self_check_prompt_make(ask, &c->o->wording, item, thoughts, &c->prompt, c->e);
    out->count = 0;
    if (status != PLUMB_OK)
        return status;
    if (c->chat)
        return encode_chat(c, out);
    buffer_clear(&c->text);
    self_check_prompt_plain(&c->prompt, &c->text);
    if (c->text.failed)
        return error_memory(c->e, "a prompt");
    return tokenizer_encode(c->tokenizer, c->text.data, c->text.size,
                            (struct tokenizer_options){.add_special = true}, out, c->e);
}

/* The prompt of an ask, its lane made ready. *room: tokens that may follow; cut to what the context holds. */
static int take(struct check *c, enum self_check_ask ask, struct hand *h, int *room,
                struct forward_item *item, size_t *n_tokens)
{
    const int context = model_config(c->m)->context;
    const bool examples = ask == ASK_P_TRUE && c->o->wording.n_shots > 0;
    const int which = examples ? LANE_EXAMPLES : LANE_QUESTION;
    struct token_list text = {0};
    int status = encode(c, ask, h->item, h->out->thoughts, &text);
    const int left = context - (int)text.count, least = *room > 0 ? 1 : 0;
    if (status == PLUMB_OK && (text.count == 0 || left < least))
        status = error_set(c->e, PLUMB_INPUT,
                           "question \"%.60s\": what is asked about it has %zu tokens; the model's "
                           "context holds %d",
                           h->item->question, text.count, context);
    *room = *room < left ? *room : left;
    *n_tokens = text.count;
    if (status == PLUMB_OK)
        status = lane_take(&h->lanes[which], c->f, c->m, &c->prefix[which], &text, *room,
                           c->o->no_sharing, item, c->e);
    token_list_free(&text);
    return status;
}

/* ---- what is read off one position ------------------------------------------------------------ */

static void put_choice(enum self_check_ask ask, double first, double second,
                       struct self_check_result *out)
{
    const double p = choice_share(first, second);
    if (ask == ASK_P_TRUE) {
        out->log_true = first;
        out->log_false = second;
        out->value[SELF_CHECK_P_TRUE] = p;
        out->value[SELF_CHECK_P_TRUE_RAW] = exp(first);
    } else {
        out->value[ask == ASK_P_IK ? SELF_CHECK_P_IK_PROMPTED : SELF_CHECK_JUDGE] = p;
    }
}

/* What an ask cost, for every source that it serves. */
static void put_cost(enum self_check_ask ask, struct hand *h, int passes, size_t run, size_t prompt)
{
    const bool thought = ask == ASK_VERBALISED_REASON || ask == ASK_JUDGE;
    for (int s = 0; s < SELF_CHECKS; s++)
        if (sources[s].ask == ask) {
            h->out->passes[s] = passes + (thought ? h->thought_passes : 0);
            h->out->run[s] = run + (thought ? h->thought_run : 0);
            h->out->prompt[s] = prompt + (thought ? h->thought_prompt : 0);
        }
}

static int read_choices(const struct check *c, enum self_check_ask ask, struct hand *hands,
                        size_t n, const struct forward_item *items, const size_t *prompt)
{
    const struct choice *words = ask == ASK_P_IK ? &c->yes_no : &c->letters;
    float *residual = mem_array(n * (size_t)model_config(c->m)->hidden, sizeof *residual);
    double *first = mem_array(n, sizeof *first), *second = mem_array(n, sizeof *second);
    int status = residual && first && second
                     ? forward_run(c->f, items, n, NULL, NULL, residual, c->e)
                     : error_memory(c->e, "a batch");
    if (status == PLUMB_OK)
        status = choice_read(c->f, words, residual, n, first, second, c->e);
    for (size_t i = 0; i < n && status == PLUMB_OK; i++) {
        put_choice(ask, first[i], second[i], hands[i].out);
        put_cost(ask, &hands[i], 1, (size_t)items[i].n_tokens, prompt[i]);
    }
    mem_free(residual);
    mem_free(first);
    mem_free(second);
    return status;
}

static int ask_choice(struct check *c, enum self_check_ask ask, struct hand *hands, size_t n)
{
    struct forward_item *items = mem_array(n, sizeof *items);
    size_t *prompt = mem_array(n, sizeof *prompt);
    int status = items && prompt ? PLUMB_OK : error_memory(c->e, "a batch");
    for (size_t i = 0; i < n && status == PLUMB_OK; i++) {
        int room = 0;
        status = take(c, ask, &hands[i], &room, &items[i], &prompt[i]);
    }
    if (status == PLUMB_OK)
        status = read_choices(c, ask, hands, n, items, prompt);
    mem_free(items);
    mem_free(prompt);
    return status;
}

/* ---- what is written -------------------------------------------------------------------------- */

static enum self_check source_of(enum self_check_ask ask)
{
    int s = 0;
    while (s < SELF_CHECKS && sources[s].ask != ask)
        s++;
    return (enum self_check)s;
}

/* Spaces, line breaks and the beginning of a bold "Answer:" at the end of the thoughts. */
static void trim_thoughts(struct buffer *b)
{
    while (b->size > 0 && strchr(" \t\r\n*#", b->data[b->size - 1]))
        b->size--;
    if (b->data)
        b->data[b->size] = '\0';
}

static int put_thoughts(const struct check *c, struct lane_writing *w, size_t prompt,
                        struct hand *h)
{
    trim_thoughts(&w->text);
    h->thought_passes = w->passes;
    h->thought_run = w->tokens_run;
    h->thought_prompt = prompt;
    h->out->thoughts = mem_strndup(buffer_string(&w->text), w->text.size);
    return h->out->thoughts ? PLUMB_OK : error_memory(c->e, "a text");
}

static bool guesses_itself(const struct check *c, enum self_check_ask ask)
{
    return c->o->wording.own_guess &&
           (ask == ASK_VERBALISED || ask == ASK_VERBALISED_TOP_K || ask == ASK_LINGUISTIC);
}

/* Tokens that an ask may take. */
static int room_of(const struct check *c, enum self_check_ask ask)
{
    const struct self_check_options *o = c->o;
    if (ask == ASK_REASONING)
        return o->reasoning_tokens;
    if (!guesses_itself(c, ask))
        return o->number_tokens;
    return (ask == ASK_VERBALISED_TOP_K ? o->wording.k : 1) * (o->guess_tokens + o->number_tokens);
}

static int put_number(const struct check *c, enum self_check_ask ask, const struct lane_writing *w,
                      size_t prompt, struct hand *h)
{
    const enum self_check s = source_of(ask);
    const struct self_check_wording *how = &c->o->wording;
    const char *text = buffer_string(&w->text);
    double p = (double)NAN;
    bool found;
    if (guesses_itself(c, ask))
        found = self_check_guess_read(ask, how->k, text, w->text.size, h->item->answer, &p,
                                      &h->out->other[s]);
    else if (ask == ASK_LINGUISTIC)
        found = stated_expression(text, w->text.size, NULL, &p);
    else
        found = stated_probability(text, w->text.size, NULL, &p);
    h->out->value[s] = found ? p : (double)NAN;
    h->out->said[s] = mem_strndup(text, w->text.size);
    put_cost(ask, h, w->passes, w->tokens_run, prompt);
    return h->out->said[s] ? PLUMB_OK : error_memory(c->e, "a text");
}

static int write_all(struct check *c, enum self_check_ask ask, struct lane_writing *w, size_t n)
{
    static const char *const thoughts_end[] = {"Answer:", "\nQuestion:"};
    static const char *const guesses_end[] = {"\nGuess:", "\nG1:", "\nQuestion:"};
    const bool think = ask == ASK_REASONING, guess = guesses_itself(c, ask);
    const struct lane_writer how = {
        .m = c->m,
        .f = c->f,
        .greedy = c->greedy,
        .ends = &c->ends,
        .stops = think ? thoughts_end : guesses_end,
        .n_stops = think   ? 2
                   : guess ? 3
                           : 0,
        .one_line = !think && !guess,
        .progress = c->o->progress,
        .done = c->done,
        .total = c->total,
    };
    return lanes_write(&how, w, n, c->e);
}

static int ask_text(struct check *c, enum self_check_ask ask, struct hand *hands, size_t n)
{
    const bool think = ask == ASK_REASONING;
    struct lane_writing *w = mem_zalloc(n, sizeof *w);
    size_t *prompt = mem_array(n, sizeof *prompt);
    int status = w && prompt ? PLUMB_OK : error_memory(c->e, "a batch");
    for (size_t i = 0; i < n && status == PLUMB_OK; i++) {
        w[i].lane = &hands[i].lanes[LANE_QUESTION];
        w[i].room = room_of(c, ask);
        status = take(c, ask, &hands[i], &w[i].room, &w[i].item, &prompt[i]);
    }
    if (status == PLUMB_OK)
        status = write_all(c, ask, w, n);
    for (size_t i = 0; i < n && status == PLUMB_OK; i++) {
        /* the tokens of one pass: the whole prompt; of every other pass: one */
        const size_t whole = prompt[i] + (size_t)(w[i].passes > 0 ? w[i].passes - 1 : 0);
        status = think ? put_thoughts(c, &w[i], whole, &hands[i])
                       : put_number(c, ask, &w[i], whole, &hands[i]);
    }
    for (size_t i = 0; w && i < n; i++)
        buffer_free(&w[i].text);
    mem_free(w);
    mem_free(prompt);
    return status;
}

/* ---- the run ---------------------------------------------------------------------------------- */

static bool reads_a_choice(enum self_check_ask ask)
{
    return ask == ASK_P_TRUE || ask == ASK_P_IK || ask == ASK_JUDGE;
}

static int run_batch(struct check *c, struct hand *hands, size_t n)
{
    int status = PLUMB_OK;
    for (int a = 0; a < ASKS && status == PLUMB_OK; a++) {
        const enum self_check_ask ask = (enum self_check_ask)a;
        if (asks(c, ask))
            status =
                reads_a_choice(ask) ? ask_choice(c, ask, hands, n) : ask_text(c, ask, hands, n);
    }
    /* one pass serves two sources; the one that was not asked for goes */
    for (size_t i = 0; i < n && status == PLUMB_OK; i++)
        for (int s = 0; s < SELF_CHECKS; s++)
            if (!c->o->wanted[s])
                hands[i].out->value[s] = (double)NAN;
    return status;
}

/* What the prompts of all questions begin with: what those of two that have nothing in common do. */
static int open_prefix(struct check *c, enum self_check_ask ask, struct lane_prefix *out)
{
    static const struct self_check_item two[] = {{.question = "Who?", .answer = "a"},
                                                 {.question = "1 + 1", .answer = "2"}};
    struct token_list a = {0}, b = {0};
    int status = encode(c, ask, &two[0], "", &a);
    if (status == PLUMB_OK)
        status = encode(c, ask, &two[1], "", &b);
    if (status == PLUMB_OK)
        status = lane_prefix_create(c->f, &a, &b, out, c->e);
    token_list_free(&a);
    token_list_free(&b);
    return status;
}

int self_check_uses_chat(const struct model *m, enum self_check_template t, bool *chat,
                         struct plumb_error *e)
{
    struct chat *opened = NULL;
    struct plumb_error quiet = {0};
    int status = t == SELF_CHECK_PLAIN ? PLUMB_OK : chat_open(model_path(m), &opened, &quiet);
    *chat = opened != NULL;
    chat_close(opened);
    if (status == PLUMB_INPUT && t == SELF_CHECK_AUTO)
        return PLUMB_OK; /* none, or none that can be read: plain */
    if (status != PLUMB_OK)
        return error_set(e, status, "%s", quiet.message);
    return PLUMB_OK;
}

static int check_options(const struct check *c)
{
    const struct self_check_options *o = c->o;
    bool any = false;
    for (int s = 0; s < SELF_CHECKS; s++)
        any |= o->wanted[s];
    if (!any)
        return error_set(c->e, PLUMB_INPUT, "no source of confidence asked for");
    if (o->wording.k < 1 || o->wording.k > 9)
        return error_set(c->e, PLUMB_INPUT, "top-%d guesses asked for; expected 1 to 9",
                         o->wording.k);
    if (o->reasoning_tokens < 1 || o->number_tokens < 1 || o->guess_tokens < 1)
        return error_set(c->e, PLUMB_INPUT,
                         "%d tokens of reasoning, %d for a number and %d for a guess; expected 1 "
                         "or more of each",
                         o->reasoning_tokens, o->number_tokens, o->guess_tokens);
    if (o->batch < 1 || o->batch > 4096)
        return error_set(c->e, PLUMB_INPUT, "a batch of %d questions; expected 1 to 4096",
                         o->batch);
    return PLUMB_OK;
}

static int open_check(struct check *c)
{
    const struct sampler_options greedy = sampler_options_default();
    bool chat = false;
    int status = check_options(c);
    if (status == PLUMB_OK)
        status = model_need_tokenizer(c->m, &c->tokenizer, c->e);
    if (status == PLUMB_OK)
        status = self_check_uses_chat(c->m, c->o->template, &chat, c->e);
    if (status == PLUMB_OK && chat)
        status = chat_open(model_path(c->m), &c->chat, c->e);
    if (status == PLUMB_OK && (asks(c, ASK_P_TRUE) || asks(c, ASK_JUDGE)))
        status = choice_open(c->m, "A", "B", &c->letters, c->e);
    if (status == PLUMB_OK && asks(c, ASK_P_IK))
        status = choice_open(c->m, "Yes", "No", &c->yes_no, c->e);
    if (status == PLUMB_OK)
        status = sampler_create(&greedy, model_config(c->m)->vocabulary, &c->greedy, c->e);
    if (status == PLUMB_OK)
        status = end_tokens(model_path(c->m), c->tokenizer, &c->ends, c->e);
    if (status == PLUMB_OK)
        status = forward_create(c->m, &c->f, c->e);
    if (status == PLUMB_OK && !c->o->no_sharing)
        status = open_prefix(c, ASK_P_IK, &c->prefix[LANE_QUESTION]);
    if (status == PLUMB_OK && !c->o->no_sharing && c->o->wording.n_shots > 0 && asks(c, ASK_P_TRUE))
        status = open_prefix(c, ASK_P_TRUE, &c->prefix[LANE_EXAMPLES]);
    return status;
}

static void close_check(struct check *c)
{
    for (int l = 0; l < LANES; l++)
        lane_prefix_free(&c->prefix[l]);
    forward_destroy(c->f);
    token_list_free(&c->ends);
    sampler_destroy(c->greedy);
    choice_close(&c->letters);
    choice_close(&c->yes_no);
    chat_close(c->chat);
    self_check_prompt_free(&c->prompt);
    buffer_free(&c->text);
}

static int run_questions(struct check *c, const struct self_check_item *items, size_t n,
                         struct self_check_result *results)
{
    const size_t most = n < (size_t)c->o->batch ? n : (size_t)c->o->batch;
    struct hand *hands = mem_zalloc(most, sizeof *hands);
    int status = hands ? PLUMB_OK : error_memory(c->e, "a batch");
    for (size_t first = 0; first < n && status == PLUMB_OK; first += most) {
        const size_t count = n - first < most ? n - first : most;
        for (size_t i = 0; i < count; i++)
            hands[i] = (struct hand){.item = &items[first + i], .out = &results[first + i]};
        status = run_batch(c, hands, count);
        for (size_t i = 0; i < count; i++)
            for (int l = 0; l < LANES; l++)
                lane_free(&hands[i].lanes[l]);
        if (status == PLUMB_OK && c->o->batch_done)
            status = c->o->batch_done(c->o->user, first, count, results + first, c->e);
        c->done = first + count;
        if (status == PLUMB_OK && !progress_report(c->o->progress, c->done, n, "questions", NULL) &&
            c->done < n)
            status = error_set(c->e, PLUMB_NO, "stopped");
    }
    mem_free(hands);
    return status;
}

int self_check_run(struct model *m, const struct self_check_item *items, size_t n,
                   const struct self_check_options *o, struct self_check_result *results,
                   struct self_check_report *report, struct plumb_error *e)
{
    struct check c = {.m = m, .o = o, .total = n, .e = e};
    const double start = clock_seconds();
    *report = (struct self_check_report){0};
    for (size_t i = 0; i < n; i++) {
        results[i] = (struct self_check_result){.log_true = (double)NAN, .log_false = (double)NAN};
        for (int s = 0; s < SELF_CHECKS; s++)
            results[i].value[s] = (double)NAN;
    }
    int status = open_check(&c);
    if (status == PLUMB_OK)
        status = run_questions(&c, items, n, results);
    report->chat = c.chat != NULL;
    report->seconds = clock_seconds() - start;
    close_check(&c);
    return status;
}
