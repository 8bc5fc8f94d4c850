/*
 * prompt.c - see prompt.h.
 */
#include "answer/prompt.h"

#include <string.h>

#include "base/memory.h"
#include "model/tokenizer.h"
#include "task/preset.h"

static const char instruction_plain[] = "Answer each question with a few words.";
static const char instruction_chat[] =
    "Answer the question with a few words: only the answer, no sentence and no explanation.";

/* General knowledge, of several kinds of answer; written for plumb. */
static const struct {
    const char *question, *answer;
} examples[] = {
    {"who painted the Mona Lisa", "Leonardo da Vinci"},
    {"what is the capital of Japan", "Tokyo"},
    {"how many legs does a spider have", "eight"},
    {"when did the Second World War end", "1945"},
    {"which planet is known as the red planet", "Mars"},
};
enum { EXAMPLES = sizeof examples / sizeof *examples };

static int check_shots(const struct answer_prompt_options *o, struct plumb_error *e)
{
    const size_t there = o->shots_from ? o->shots_from->count : EXAMPLES;
    if (o->shots > 0 && (size_t)o->shots > there)
        return error_set(e, PLUMB_INPUT, "%d examples asked for, but %s holds only %zu: %s",
                         o->shots, o->shots_from ? o->shots_from->name : "plumb", there,
                         o->shots_from ? "ask for fewer" : "give a file of them (--shots-from)");
    for (int i = 0; o->shots_from && i < o->shots; i++)
        if (o->shots_from->items[i].n_answers == 0)
            return error_set(e, PLUMB_INPUT,
                             "example %s has no answer, expected one for a shot: use a set with "
                             "answers, or fewer shots",
                             o->shots_from->items[i].id);
    return PLUMB_OK;
}

int answer_prompt_open(const struct model *m, const struct answer_prompt_options *o,
                       struct answer_prompt *out, struct plumb_error *e)
{
    *out = (struct answer_prompt){.o = *o, .m = m};
    int status = model_need_tokenizer(m, &out->tokenizer, e);
    if (status == PLUMB_OK)
        status = check_shots(o, e);
    if (status != PLUMB_OK || o->template == ANSWER_PLAIN)
        return status;
    struct plumb_error why = {0};
    status = chat_open(model_path(m), &out->chat, &why);
    if (status == PLUMB_INPUT && o->template == ANSWER_AUTO) {
        out->chat = NULL; /* none, or none that can be read */
        return PLUMB_OK;
    }
    return status == PLUMB_OK ? status : error_set(e, status, "%s", why.message);
}

void answer_prompt_close(struct answer_prompt *p)
{
    chat_close(p->chat);
    *p = (struct answer_prompt){0};
}

/* ---- the texts --------------------------------------------------------------------------------- */

static void add_question(const char *context, const char *text, struct buffer *out)
{
    if (*context)
        buffer_printf(out, "%s\n", context);
    buffer_printf(out, "Question: %s\nAnswer:", text);
}

static void open_header(const struct answer_prompt *p, struct buffer *out)
{
    const struct answer_prompt_options *o = &p->o;
    const char *instruction = o->instruction ? o->instruction : instruction_plain;
    const int shots = o->shots >= 0 ? o->shots : o->shots_from ? 0 : EXAMPLES;
    if (*instruction)
        buffer_printf(out, "%s\n\n", instruction);
    for (int i = 0; i < shots; i++) {
        const struct free_question *q = o->shots_from ? &o->shots_from->items[i] : NULL;
        add_question(q ? q->context : "", q ? q->text : examples[i].question, out);
        buffer_printf(out, " %s\n\n", q ? q->answers[0] : examples[i].answer);
    }
}

/* Of a question without options: what stands before the answer. */
static void open_text(const struct answer_prompt *p, const struct free_question *q,
                      struct buffer *out)
{
    if (!p->chat) {
        open_header(p, out);
        add_question(q->context, q->text, out);
        return;
    }
    const char *instruction = p->o.instruction ? p->o.instruction : instruction_chat;
    if (*instruction)
        buffer_printf(out, "%s\n\n", instruction);
    if (*q->context)
        buffer_printf(out, "%s\n", q->context);
    buffer_printf(out, "Question: %s", q->text);
}

static struct preset preset_of(const struct answer_prompt *p)
{
    return (struct preset){.kind = p->chat ? PRESET_CHAT : PRESET_CLEAN,
                           .instruction = p->o.instruction,
                           .shots = p->o.shots > 0 && p->o.shots_from ? p->o.shots : 0,
                           .shots_from = p->o.shots_from ? p->o.shots_from->with_options : NULL};
}

static int option_text(const struct answer_prompt *p, const struct free_question *q,
                       struct buffer *out, struct plumb_error *e)
{
    const struct preset preset = preset_of(p);
    const struct question view = {.id = q->id,
                                  .context = q->context,
                                  .text = q->text,
                                  .options = q->options,
                                  .n_options = q->n_options,
                                  .gold = q->gold};
    int status = preset_header(&preset, q->group ? q->group : "", out, e);
    return status == PLUMB_OK ? preset_question(&preset, &view, out, e) : status;
}

static int encode_chat(const struct answer_prompt *p, const struct buffer *text, const char *begin,
                       struct token_list *out, struct plumb_error *e)
{
    const struct chat_message message = {"user", buffer_string(text), text->size};
    struct jinja_output rendered = {0};
    int status = chat_render(
        p->chat, &message, 1,
        (struct chat_options){.add_generation_prompt = true, .no_thinking = true}, &rendered, e);
    if (status == PLUMB_OK && *begin)
        status = chat_continue(&rendered, begin, e);
    if (status == PLUMB_OK)
        status = chat_encode(p->tokenizer, &rendered, out, e);
    jinja_output_free(&rendered);
    return status;
}

int answer_prompt_encode(const struct answer_prompt *p, const struct free_question *q,
                         struct token_list *out, struct plumb_error *e)
{
    const struct preset preset = preset_of(p);
    const char *begin = q->n_options > 0 ? preset_answer_begin(&preset) : "";
    struct buffer text = BUFFER_EMPTY;
    int status = PLUMB_OK;
    if (q->n_options > 0)
        status = option_text(p, q, &text, e);
    else
        open_text(p, q, &text);
    if (status == PLUMB_OK && text.failed)
        status = error_memory(e, "a prompt");
    if (status == PLUMB_OK)
        status = p->chat
                     ? encode_chat(p, &text, begin, out, e)
                     : tokenizer_encode(p->tokenizer, buffer_string(&text), text.size,
                                        (struct tokenizer_options){.add_special = true}, out, e);
    buffer_free(&text);
    return status == PLUMB_OK ? status : error_prefix(e, "question %s", q->id);
}

int answer_prompt_hash(const struct answer_prompt *p, bool has_options, struct hash128 *out,
                       struct plumb_error *e)
{
    static const char *const options[] = {"one", "two"};
    const struct free_question sample = {.id = "",
                                         .context = "context",
                                         .text = "question",
                                         .options = has_options ? options : NULL,
                                         .n_options = has_options ? 2 : 0,
                                         .gold = -1};
    struct token_list ids = {0};
    int status = answer_prompt_encode(p, &sample, &ids, e);
    struct hash128 parts[2] = {{0}};
    if (status == PLUMB_OK)
        parts[0] = hash_bytes(ids.ids, ids.count * sizeof *ids.ids);
    if (p->chat)
        parts[1] = chat_hash(p->chat);
    *out = hash_bytes(parts, sizeof parts);
    token_list_free(&ids);
    return status;
}

void answer_read(const char *text, size_t n, struct buffer *out)
{
    const char *end = text + n;
    while (text < end && strchr(" \t\r\n", *text))
        text++;
    const char *stop = memchr(text, '\n', (size_t)(end - text));
    if (!stop)
        stop = end;
    while (stop > text && strchr(" \t\r", stop[-1]))
        stop--;
    buffer_add(out, text, (size_t)(stop - text));
}
