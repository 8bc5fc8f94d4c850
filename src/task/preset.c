/*
 * preset.c - the exact texts of the prompt presets; docs/prompts.md shows them rendered.
 *
 * `daca` is the prompt of DACA (arXiv 2505.16690, official code), trailing space included. `clean`
 * is ours: the same shape as MMLU's own few-shot prompt, ending in "Answer:" so that the letter's
 * token carries the space, as it does in running text. Nothing in a question is trimmed or
 * rewritten. Knows nothing of tokens and models.
 */
#include "task/preset.h"

#include <stdio.h>
#include <string.h>

#include "base/utf8.h"

/* How the parts of a prompt are set, in this order: instruction, examples, then the question with its context, options
 * and cue. */
struct layout {
    const char *after_instruction;
    const char *before_context, *after_context;
    const char *before_question, *after_question;
    const char *after_letter, *after_option; /* null: options are not listed */
    const char *cue;                         /* up to the answer position */
    const char *before_letter; /* of an answer: the letter's token text is before_letter + letter */
    const char *after_example;
};

static const struct layout layout_clean = {.after_instruction = "\n\n",
                                           .before_context = "",
                                           .after_context = "\n",
                                           .before_question = "",
                                           .after_question = "\n",
                                           .after_letter = ". ",
                                           .after_option = "\n",
                                           .cue = "Answer:",
                                           .before_letter = " ",
                                           .after_example = "\n\n"};
static const struct layout layout_daca = {.after_instruction = "\n",
                                          .before_context = "Context: ",
                                          .after_context = "\n",
                                          .before_question = "Question: ",
                                          .after_question = "\n",
                                          .after_letter = ": ",
                                          .after_option = "\n",
                                          .cue = "Answer: ",
                                          .before_letter = "",
                                          .after_example = "\n\n"};
/* ARC's prompt in lm-evaluation-harness (arc_easy.yaml): the answer is an option's text. */
static const struct layout layout_texts = {.after_instruction = "\n\n",
                                           .before_context = "",
                                           .after_context = "\n",
                                           .before_question = "Question: ",
                                           .after_question = "\n",
                                           .cue = "Answer:",
                                           .before_letter = " ",
                                           .after_example = "\n\n"};

struct preset_text {
    const char *name;
    const char *instruction;
    const struct layout *layout;
};

static const struct preset_text texts[] = {
    [PRESET_CLEAN] = {"clean", "The following are multiple choice questions (with answers).",
                      &layout_clean},
    [PRESET_DACA] = {"daca",
                     "The following are multi choice questions. Give ONLY the correct option, no "
                     "other words or explanation:",
                     &layout_daca},
    [PRESET_CHAT] = {"chat",
                     "Answer the following multiple choice question with the letter of the right "
                     "option only.",
                     &layout_clean},
};
/* Only `clean` has one. */
static const struct preset_text text_answers = {"clean, answers as text", "", &layout_texts};

enum { PRESET_COUNT = sizeof texts / sizeof *texts };

int preset_parse(const char *name, enum preset_kind *out, struct plumb_error *e)
{
    for (int k = 0; k < PRESET_COUNT; k++)
        if (!strcmp(name, texts[k].name)) {
            *out = (enum preset_kind)k;
            return PLUMB_OK;
        }
    return error_set(e, PLUMB_INPUT, "unknown preset \"%.40s\", expected clean, daca or chat",
                     name);
}

const char *preset_name(enum preset_kind k)
{
    return texts[k].name;
}

static const struct preset_text *texts_of(const struct preset *p)
{
    return p->answers_text ? &text_answers : &texts[p->kind];
}

static const struct layout *layout_of(const struct preset *p)
{
    return texts_of(p)->layout;
}

static const char *instruction_of(const struct preset *p)
{
    return p->instruction ? p->instruction : texts_of(p)->instruction;
}

void preset_letter(const struct preset *p, int i, char out[4])
{
    snprintf(out, 4, "%s%c", layout_of(p)->before_letter, 'A' + i);
}

void preset_answer_text(const struct preset *p, const struct question *q, int i, struct buffer *out)
{
    buffer_puts(out, layout_of(p)->before_letter);
    buffer_puts(out, q->options[i]);
}

static void add_question(const struct layout *t, const struct question *q, struct buffer *out)
{
    if (*q->context) {
        buffer_puts(out, t->before_context);
        buffer_puts(out, q->context);
        buffer_puts(out, t->after_context);
    }
    buffer_puts(out, t->before_question);
    buffer_puts(out, q->text);
    buffer_puts(out, t->after_question);
    for (int i = 0; i < q->n_options && t->after_letter; i++) {
        buffer_putc(out, (char)('A' + i));
        buffer_puts(out, t->after_letter);
        buffer_puts(out, q->options[i]);
        buffer_puts(out, t->after_option);
    }
}

/* "{group}" in an instruction stands for the group's name, underscores as spaces. */
static void add_instruction(const char *instruction, const char *group, struct buffer *out)
{
    static const char mark[] = "{group}";
    for (const char *hole; (hole = strstr(instruction, mark));
         instruction = hole + sizeof mark - 1) {
        buffer_add(out, instruction, (size_t)(hole - instruction));
        for (const char *c = group; *c; c++)
            buffer_putc(out, *c == '_' ? ' ' : *c);
    }
    buffer_puts(out, instruction);
}

/* The group's number in the examples' set, or -1 where that set does not know it: then all of its
 * items serve. */
static int find_group(const struct question_set *s, const char *group)
{
    for (int g = 0; group && g < s->n_groups; g++)
        if (!strcmp(s->groups[g], group))
            return g;
    return -1;
}

static int add_examples(const struct preset *p, const char *group, struct buffer *out,
                        struct plumb_error *e)
{
    const struct layout *t = layout_of(p);
    const struct question_set *s = p->shots_from;
    int from = find_group(s, group), found = 0;
    for (size_t i = 0; i < s->count && found < p->shots; i++) {
        const struct question *q = &s->items[i];
        char letter[4];
        if (from >= 0 && q->group != from)
            continue;
        if (q->gold < 0)
            return error_set(e, PLUMB_INPUT,
                             "example %s of %s has no gold answer, expected one for a shot: use a "
                             "set with answers, or fewer shots",
                             q->id, s->name);
        preset_letter(p, q->gold, letter);
        add_question(t, q, out);
        buffer_puts(out, t->cue);
        if (p->answers_text)
            preset_answer_text(p, q, q->gold, out);
        else
            buffer_puts(out, letter);
        buffer_puts(out, t->after_example);
        found++;
    }
    if (found < p->shots)
        return error_set(e, PLUMB_INPUT,
                         "%d shots asked for, but %s holds only %d example%s%s%s: ask for fewer "
                         "shots, or give more examples",
                         p->shots, s->name, found, found == 1 ? "" : "s",
                         from >= 0 ? " of group " : "", from >= 0 ? group : "");
    return PLUMB_OK;
}

static int check_preset(const struct preset *p, struct plumb_error *e)
{
    const char *instruction = instruction_of(p);
    size_t n = strlen(instruction);
    if (utf8_check(instruction, n) < n)
        return error_set(e, PLUMB_INPUT, "the instruction is not valid UTF-8");
    if (p->answers_text && p->kind != PRESET_CLEAN)
        return error_set(e, PLUMB_INPUT,
                         "the preset %s asks for letters; texts are scored with the preset clean",
                         preset_name(p->kind));
    if (p->shots < 0)
        return error_set(e, PLUMB_INPUT, "found %d shots, expected 0 or more", p->shots);
    if (p->shots && !p->shots_from)
        return error_set(e, PLUMB_INPUT,
                         "%d shots asked for, but no questions to take them from: name a file of "
                         "examples with answers (--shots-from)",
                         p->shots);
    return PLUMB_OK;
}

int preset_header(const struct preset *p, const char *group, struct buffer *out,
                  struct plumb_error *e)
{
    const char *instruction = instruction_of(p);
    int status = check_preset(p, e);
    if (status)
        return status;
    if (*instruction) {
        add_instruction(instruction, group ? group : "", out);
        buffer_puts(out, layout_of(p)->after_instruction);
    }
    if (p->shots && (status = add_examples(p, group, out, e)))
        return status;
    return out->failed ? error_memory(e, "the prompt") : PLUMB_OK;
}

const char *preset_answer_begin(const struct preset *p)
{
    return p->kind == PRESET_CHAT ? layout_of(p)->cue : "";
}

int preset_question(const struct preset *p, const struct question *q, struct buffer *out,
                    struct plumb_error *e)
{
    add_question(layout_of(p), q, out);
    if (p->kind != PRESET_CHAT)
        buffer_puts(out, layout_of(p)->cue);
    return out->failed ? error_memory(e, "the prompt") : PLUMB_OK;
}

static struct hash128 hash_text(const char *s)
{
    return hash_bytes(s ? s : "", s ? strlen(s) : 0);
}

/* Hashes the texts themselves, so that a wording changed here changes the hash without anyone
 * remembering to. */
struct hash128 preset_hash(const struct preset *p)
{
    const struct layout *t = layout_of(p);
    struct hash128 parts[] = {
        hash_text(texts_of(p)->name),
        hash_text(instruction_of(p)),
        hash_text(t->after_instruction),
        hash_text(t->before_context),
        hash_text(t->after_context),
        hash_text(t->before_question),
        hash_text(t->after_question),
        hash_text(t->after_letter),
        hash_text(t->after_option),
        hash_text(t->cue),
        hash_text(t->before_letter),
        hash_text(t->after_example),
        {(uint64_t)p->shots, 0},
        p->shots && p->shots_from ? p->shots_from->hash : (struct hash128){0, 0},
        hash_text(p->system ? p->system : ""),
    };
    /* a system's message came later: without one the hash is what it was */
    size_t counted = sizeof parts - (p->system && *p->system ? 0 : sizeof *parts);
    return hash_bytes(parts, counted);
}
