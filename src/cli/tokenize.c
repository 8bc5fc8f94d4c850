/*
 * tokenize.c - `plumb tokenize`: shows the ids and pieces that a text becomes.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/file.h"
#include "base/memory.h"
#include "cli/output.h"
#include "cli/result.h"
#include "cli/verb.h"
#include "model/tokenizer.h"

struct tokenize_options {
    struct common_options common;
    bool json, ids, special, no_bos;
};

#define AT(field) offsetof(struct tokenize_options, field)
static const struct option_row options[] = {
    {0, "special", OPTION_FLAG, NULL, AT(special),
     "read \"<|im_end|>\" and the like in the text as that token; otherwise it is text like any "
     "other"},
    {0, "no-bos", OPTION_FLAG, NULL, AT(no_bos),
     "add nothing in front or behind, not even where the model wants it"},
    {0, "ids", OPTION_FLAG, NULL, AT(ids), "only the ids, on one line"},
    {0, "json", OPTION_FLAG, NULL, AT(json), "one JSON document"},
    {0},
};

static bool ends_with(const char *s, const char *ending)
{
    size_t n = strlen(s), m = strlen(ending);
    return n >= m && strcmp(s + n - m, ending) == 0;
}

/* MODEL: a folder with a tokenizer.json, a tokenizer.json itself, or a GGUF file. */
static int open_tokenizer(const char *path, struct tokenizer **out, struct plumb_error *e)
{
    if (ends_with(path, ".gguf")) {
        struct gguf *g;
        int status = gguf_open(path, &g, e);
        if (status != PLUMB_OK)
            return status;
        status = tokenizer_open_gguf(g, out, e);
        gguf_close(g);
        return status;
    }
    if (!file_is_folder(path))
        return tokenizer_open_json(path, out, e);
    char *inside = file_join(path, "tokenizer.json");
    if (!inside)
        return error_memory(e, "a file name");
    int status = tokenizer_open_json(inside, out, e);
    mem_free(inside);
    return status;
}

static int read_input(struct buffer *text, struct plumb_error *e)
{
    char block[65536];
    size_t n;
    while ((n = fread(block, 1, sizeof block, stdin)) > 0)
        buffer_add(text, block, n);
    if (ferror(stdin))
        return error_system(e, errno, "read", "standard input");
    return text->failed ? error_memory(e, "the text") : PLUMB_OK;
}

static void print_ids(const struct token_list *tokens)
{
    for (size_t i = 0; i < tokens->count; i++)
        printf(i ? " %d" : "%d", tokens->ids[i]);
    putchar('\n');
}

static int print_json(const struct tokenizer *t, const struct token_list *tokens)
{
    struct result r;
    struct buffer piece = BUFFER_EMPTY;
    result_start(&r);
    json_write_object(&r.json);
    result_text(&r, "tokenizer", tokenizer_kind(t));
    result_integer(&r, "count", (int64_t)tokens->count);
    json_write_key(&r.json, "ids");
    json_write_array(&r.json);
    for (size_t i = 0; i < tokens->count; i++)
        json_write_integer(&r.json, tokens->ids[i]);
    json_write_end(&r.json, ']');
    json_write_key(&r.json, "pieces");
    json_write_array(&r.json);
    for (size_t i = 0; i < tokens->count; i++) {
        buffer_clear(&piece);
        tokenizer_piece(t, tokens->ids[i], &piece);
        json_write_string_n(&r.json, buffer_string(&piece), piece.size);
    }
    json_write_end(&r.json, ']');
    json_write_end(&r.json, '}');
    buffer_free(&piece);
    return result_print(&r);
}

static int print_table(const struct tokenizer *t, const struct token_list *tokens)
{
    struct table *table = table_create("rrll");
    struct buffer piece = BUFFER_EMPTY, shown = BUFFER_EMPTY;
    table_cell(table, "#");
    table_cell(table, "id");
    table_cell(table, "piece");
    table_cell(table, "%s", "");
    for (size_t i = 0; i < tokens->count; i++) {
        buffer_clear(&piece);
        buffer_clear(&shown);
        tokenizer_piece(t, tokens->ids[i], &piece);
        output_visible(&shown, buffer_string(&piece), piece.size);
        table_cell(table, "%zu", i);
        table_cell(table, "%d", tokens->ids[i]);
        table_cell(table, "\"%s\"", buffer_string(&shown));
        table_cell(table, "%s", tokenizer_is_special(t, tokens->ids[i]) ? "special" : "");
    }
    bool good = !piece.failed && !shown.failed && table_print(table, stdout);
    buffer_free(&piece);
    buffer_free(&shown);
    return good ? PLUMB_OK : PLUMB_MACHINE;
}

static int run(int argc, char **argv)
{
    struct tokenize_options o = {0};
    struct operands words;
    struct plumb_error e = {0};
    int status;
    if (!verb_parse(&verb_tokenize, argc, argv, &o, 2, 2, &words, &status))
        return status;

    struct tokenizer *t = NULL;
    struct buffer input = BUFFER_EMPTY;
    struct token_list tokens = {0};
    const char *text = words.words[1];
    size_t n = strlen(text);
    status = open_tokenizer(words.words[0], &t, &e);
    if (status == PLUMB_OK && strcmp(text, "-") == 0) {
        status = read_input(&input, &e);
        text = buffer_string(&input);
        n = input.size;
    }
    if (status == PLUMB_OK)
        status = tokenizer_encode(t, text, n, (struct tokenizer_options){!o.no_bos, o.special},
                                  &tokens, &e);
    if (status != PLUMB_OK)
        status = verb_fail(&verb_tokenize, &e);
    else if (o.json)
        status = print_json(t, &tokens);
    else if (o.ids)
        print_ids(&tokens);
    else
        status = print_table(t, &tokens);
    token_list_free(&tokens);
    buffer_free(&input);
    tokenizer_close(t);
    return status;
}

static const char *const synopses[] = {"MODEL TEXT [options]", "MODEL - [options] < FILE", NULL};
static const char *const examples[][2] = {
    {"plumb tokenize Qwen2.5-0.5B \"The capital of France is\"", "a table of ids and pieces"},
    {"plumb tokenize model.gguf - --ids < prompt.txt", "only the ids of a file's text"},
    {NULL},
};
const struct verb verb_tokenize = {
    .name = "tokenize",
    .summary = "show the tokens of a text",
    .synopses = synopses,
    .description =
        "Shows the ids and pieces that a text becomes under a model's tokenizer. MODEL is a folder "
        "in Hugging Face "
        "layout, a tokenizer.json, or a .gguf file; the text \"-\" is read from standard input.",
    .options = options,
    .examples = examples,
    .run = run,
};
