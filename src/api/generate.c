/*
 * generate.c - the public face of generation: texts that go on from prompts, and conversations as prompts. No logic of its own.
 */
#include "model/generate.h"

#include <string.h>

#include "base/memory.h"
#include "model/chat.h"
#include "plumb.h"

_Static_assert((int)PLUMB_REASON_END == (int)GENERATE_END &&
                   (int)PLUMB_REASON_STOP == (int)GENERATE_STOP &&
                   (int)PLUMB_REASON_LENGTH == (int)GENERATE_LENGTH &&
                   (int)PLUMB_REASON_CONTEXT == (int)GENERATE_CONTEXT,
               "the two enumerations are one");
_Static_assert(sizeof(struct plumb_token_logprob) == sizeof(struct token_logprob) &&
                   offsetof(struct plumb_token_logprob, id) == offsetof(struct token_logprob, id) &&
                   offsetof(struct plumb_token_logprob, logprob) ==
                       offsetof(struct token_logprob, logprob),
               "the two structs are one");

struct plumb_generation {
    size_t n;
    struct generated *made;   /* [n] */
    struct plumb_text *texts; /* [n] views into made */
};

struct plumb_generate_options plumb_generate_options_default(void)
{
    const struct generate_options o = generate_options_default();
    return (struct plumb_generate_options){.max_tokens = o.max_tokens,
                                           .temperature = o.sampling.temperature,
                                           .top_k = o.sampling.top_k,
                                           .top_p = o.sampling.top_p,
                                           .min_p = o.sampling.min_p,
                                           .repeat_penalty = o.sampling.repeat_penalty,
                                           .seed = o.sampling.seed,
                                           .batch = o.batch};
}

static struct generate_options inside(const struct plumb_generate_options *o)
{
    return (struct generate_options){.max_tokens = o->max_tokens,
                                     .sampling = {.temperature = o->temperature,
                                                  .top_k = o->top_k,
                                                  .top_p = o->top_p,
                                                  .min_p = o->min_p,
                                                  .repeat_penalty = o->repeat_penalty,
                                                  .seed = o->seed},
                                     .stops = o->stops,
                                     .n_stops = o->n_stops,
                                     .logprobs = o->logprobs,
                                     .batch = o->batch};
}

/* The user's listener, and whether it has said that it is enough. */
struct listener {
    const struct plumb_generate_options *o;
    bool enough;
};

static void hear(void *user, size_t i, const char *text, size_t n)
{
    struct listener *l = user;
    if (!l->enough)
        l->enough = !l->o->piece(l->o->user, i, text, n);
}

static bool go_on(void *user)
{
    const struct listener *l = user;
    return !l->enough;
}

static void show(const struct generated *made, struct plumb_text *out)
{
    *out = (struct plumb_text){.text = made->text,
                               .size = made->text_size,
                               .tokens = made->tokens,
                               .logprobs = made->logprobs,
                               .top = (const struct plumb_token_logprob *)made->top,
                               .n = made->n,
                               .reason = (enum plumb_reason)made->reason,
                               .stop = made->stop};
}

int plumb_generate(plumb_model *model, const struct plumb_prompt *prompts, size_t n,
                   const struct plumb_generate_options *options, plumb_generation **out,
                   struct plumb_error *error)
{
    const struct plumb_generate_options given =
        options ? *options : plumb_generate_options_default();
    const struct generate_options o = inside(&given);
    struct listener listener = {.o = &given};
    const struct generate_listener l = {
        .piece = given.piece ? hear : NULL, .go_on = go_on, .user = &listener};
    plumb_generation *g = mem_zalloc(1, sizeof *g);
    struct generate_prompt *inputs = mem_array(n, sizeof *inputs);
    *out = NULL;
    if (g) {
        g->made = mem_zalloc(n, sizeof *g->made);
        g->texts = mem_zalloc(n, sizeof *g->texts);
    }
    int status = g && inputs && g->made && g->texts ? PLUMB_OK : error_memory(error, "the texts");
    for (size_t i = 0; i < n && status == PLUMB_OK; i++)
        inputs[i] = (struct generate_prompt){.tokens = prompts[i].ids, .n = prompts[i].n};
    if (status == PLUMB_OK)
        status = generate((struct model *)model, inputs, n, &o, &l, g->made, error);
    mem_free(inputs);
    if (status != PLUMB_OK) {
        plumb_generation_close(g);
        return status;
    }
    g->n = n;
    for (size_t i = 0; i < n; i++)
        show(&g->made[i], &g->texts[i]);
    *out = g;
    return PLUMB_OK;
}

const struct plumb_text *plumb_generation_text(const plumb_generation *generation, size_t i)
{
    return i < generation->n ? &generation->texts[i] : NULL;
}

void plumb_generation_close(plumb_generation *generation)
{
    if (!generation)
        return;
    generated_free(generation->made, generation->n);
    mem_free(generation->made);
    mem_free(generation->texts);
    mem_free(generation);
}

/* ---- conversations --------------------------------------------------------------------------- */

static int encode(const struct model *m, const struct chat_message *messages, size_t n,
                  struct token_list *out, struct plumb_error *error)
{
    const struct chat_options options = {.add_generation_prompt = true};
    const struct tokenizer *tokenizer;
    struct jinja_output text = {0};
    struct chat *chat = NULL;
    int status = model_need_tokenizer(m, &tokenizer, error);
    if (status == PLUMB_OK)
        status = chat_open(model_path(m), &chat, error);
    if (status == PLUMB_OK)
        status = chat_render(chat, messages, n, options, &text, error);
    if (status == PLUMB_OK)
        status = chat_encode(tokenizer, &text, out, error);
    jinja_output_free(&text);
    chat_close(chat);
    return status;
}

int plumb_model_encode_chat(const plumb_model *model, const struct plumb_message *messages,
                            size_t n, int32_t *ids, size_t capacity, size_t *count,
                            struct plumb_error *error)
{
    struct chat_message *inputs = mem_array(n, sizeof *inputs);
    struct token_list list = {0};
    int status = inputs ? PLUMB_OK : error_memory(error, "the messages");
    for (size_t i = 0; i < n && status == PLUMB_OK; i++)
        inputs[i] = (struct chat_message){.role = messages[i].role,
                                          .content = messages[i].content,
                                          .size = strlen(messages[i].content)};
    if (status == PLUMB_OK)
        status = encode((const struct model *)model, inputs, n, &list, error);
    *count = status == PLUMB_OK ? list.count : 0;
    const size_t copied = *count < capacity ? *count : capacity;
    if (copied)
        memcpy(ids, list.ids, copied * sizeof *ids);
    token_list_free(&list);
    mem_free(inputs);
    return status;
}
