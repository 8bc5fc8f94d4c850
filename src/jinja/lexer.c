/*
 * lexer.c - a template's text to tokens.
 *
 * The rules of whitespace are those of Jinja's lexer with trim_blocks and lstrip_blocks: a block or a comment takes the
 * line break behind it and the blanks before it on its line; "-" at either end takes all whitespace there, "+" none.
 */
#include "jinja/syntax.h"

#include <stdio.h>
#include <string.h>

#include "base/utf8.h"
#include "jinja/characters.h"

struct lexer {
    struct source *out;
    const char *text;
    size_t size, at;
    int line;
    bool line_starting; /* what came before `at` ended a line */
    struct plumb_error *e;
};

static int fail_at(struct lexer *l, int line, const char *message)
{
    return error_set(l->e, PLUMB_INPUT, "%s:%d: %s", l->out->what, line, message);
}

static int add_token(struct lexer *l, struct token t)
{
    struct source *s = l->out;
    if (s->count == s->capacity) {
        size_t capacity = s->capacity ? s->capacity * 2 : 256;
        struct token *larger = mem_resize(s->tokens, capacity, sizeof *larger);
        if (!larger)
            return error_memory(l->e, "the tokens of a template");
        s->tokens = larger;
        s->capacity = capacity;
    }
    s->tokens[s->count++] = t;
    return PLUMB_OK;
}

static int add(struct lexer *l, enum token_kind kind, int op, size_t from, size_t to)
{
    return add_token(
        l, (struct token){
               .kind = kind, .line = l->line, .op = op, .s = l->text + from, .n = to - from});
}

/* Moves to `to`, counting lines. */
static void move(struct lexer *l, size_t to)
{
    for (; l->at < to; l->at++)
        l->line += l->text[l->at] == '\n';
}

static size_t skip_space(const struct lexer *l, size_t at)
{
    uint32_t c;
    for (int n; at < l->size && (n = utf8_decode(l->text + at, l->size - at, &c)) > 0 &&
                character_is_space(c);)
        at += (size_t)n;
    return at;
}

static size_t drop_space_before(const struct lexer *l, size_t from, size_t end)
{
    while (end > from) {
        size_t start = end - 1;
        uint32_t c;
        while (start > from && ((unsigned char)l->text[start] & 0xC0) == 0x80)
            start--;
        utf8_decode(l->text + start, end - start, &c);
        if (!character_is_space(c))
            break;
        end = start;
    }
    return end;
}

static bool is_at(const struct lexer *l, size_t at, const char *s)
{
    size_t n = strlen(s);
    return l->size - at >= n && memcmp(l->text + at, s, n) == 0;
}

/* The end of "%}" or "#}" with its sign at `at`, whitespace that it takes included; 0: there is none here. */
static size_t closing(const struct lexer *l, size_t at, const char *mark)
{
    char sign = l->text[at];
    size_t p = at + (sign == '-' || sign == '+');
    if (!is_at(l, p, mark))
        return 0;
    p += 2;
    if (sign == '-')
        return skip_space(l, p);
    bool trims = mark[0] != '}' && sign != '+';
    if (mark[0] == '}' && sign == '+')
        return 0;
    return p + (trims && p < l->size && l->text[p] == '\n');
}

/* The text in [from, to) before a tag whose sign stands behind its two characters. */
static int add_data(struct lexer *l, size_t from, size_t to, bool print, char sign)
{
    size_t end = to;
    if (sign == '-') {
        end = drop_space_before(l, from, to);
    } else if (sign != '+' && !print) {
        size_t start = to;
        while (start > from && l->text[start - 1] != '\n')
            start--;
        if ((start > from || l->line_starting) && skip_space(l, start) >= to)
            end = start;
    }
    if (end > from) {
        int status = add(l, TOKEN_DATA, 0, from, end);
        if (status != PLUMB_OK)
            return status;
    }
    move(l, to);
    return PLUMB_OK;
}

static bool is_name(char c, bool first)
{
    return c == '_' || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c & 0x80) ||
           (!first && c >= '0' && c <= '9');
}

static size_t digits(const struct lexer *l, size_t at)
{
    size_t p = at;
    while (p < l->size && ((l->text[p] >= '0' && l->text[p] <= '9') ||
                           (l->text[p] == '_' && p > at && p + 1 < l->size &&
                            l->text[p + 1] >= '0' && l->text[p + 1] <= '9')))
        p++;
    return p;
}

static int lex_number(struct lexer *l)
{
    size_t start = l->at, end = digits(l, start), p = end;
    bool real = false;
    if (p + 1 < l->size && l->text[p] == '.' && digits(l, p + 1) > p + 1) {
        end = p = digits(l, p + 1);
        real = true;
    }
    if (p < l->size && (l->text[p] == 'e' || l->text[p] == 'E')) {
        p++;
        if (p < l->size && (l->text[p] == '+' || l->text[p] == '-'))
            p++;
        if (digits(l, p) > p) {
            end = digits(l, p);
            real = true;
        }
    }
    int status = add(l, real ? TOKEN_FLOAT : TOKEN_INTEGER, 0, start, end);
    move(l, end);
    return status;
}

static int lex_text(struct lexer *l)
{
    size_t p = l->at + 1;
    char quote = l->text[l->at];
    while (p < l->size && l->text[p] != quote)
        p += l->text[p] == '\\' ? 2 : 1;
    if (p >= l->size)
        return fail_at(l, l->line, "a string has no closing quote");
    int status = add(l, TOKEN_TEXT, 0, l->at, p + 1);
    move(l, p + 1);
    return status;
}

static int lex_operator(struct lexer *l, char *stack, size_t *depth)
{
    static const char *const two[] = {"//", "**", "==", "!=", ">=", "<=", NULL};
    const char c = l->text[l->at];
    int op = (unsigned char)c;
    size_t n = 1;
    for (int i = 0; two[i]; i++)
        if (is_at(l, l->at, two[i])) {
            op = OP2(two[i][0], two[i][1]);
            n = 2;
        }
    if (n == 1 && !strchr("+-/*%~[](){}><=.:|,;", c)) {
        char message[64];
        snprintf(message, sizeof message, "unexpected character '%c' in a tag",
                 c >= 32 && c < 127 ? c : '?');
        return fail_at(l, l->line, message);
    }
    enum { DEEPEST = 256 };
    if (c == '(' || c == '[' || c == '{') {
        if (*depth == DEEPEST)
            return fail_at(l, l->line, "brackets nest too deep");
        stack[(*depth)++] = (char)(c == '(' ? ')' : c == '[' ? ']' : '}');
    } else if (c == ')' || c == ']' || c == '}') {
        if (*depth == 0 || stack[--*depth] != c)
            return fail_at(l, l->line, "a closing bracket has no partner");
    }
    int status = add(l, TOKEN_OPERATOR, op, l->at, l->at + n);
    move(l, l->at + n);
    return status;
}

/* The inside of a tag, up to and with its end. */
static int lex_tag(struct lexer *l, bool print)
{
    char stack[256];
    size_t depth = 0;
    int status = PLUMB_OK, first = l->line;
    while (status == PLUMB_OK) {
        move(l, skip_space(l, l->at));
        if (l->at >= l->size)
            return fail_at(l, first, print ? "\"{{\" is never closed" : "\"{%\" is never closed");
        size_t end = depth ? 0 : closing(l, l->at, print ? "}}" : "%}");
        char c = l->text[l->at];
        if (end) {
            status = add(l, print ? TOKEN_PRINT_END : TOKEN_BLOCK_END, 0, l->at, end);
            l->line_starting = l->text[end - 1] == '\n';
            move(l, end);
            return status;
        }
        if (c >= '0' && c <= '9') {
            status = lex_number(l);
        } else if (is_name(c, true)) {
            size_t p = l->at;
            while (p < l->size && is_name(l->text[p], false))
                p++;
            status = add(l, TOKEN_NAME, 0, l->at, p);
            move(l, p);
        } else if (c == '"' || c == '\'') {
            status = lex_text(l);
        } else {
            status = lex_operator(l, stack, &depth);
        }
    }
    return status;
}

static int lex_comment(struct lexer *l)
{
    int first = l->line;
    for (size_t p = l->at; p < l->size; p++) {
        size_t end = closing(l, p, "#}");
        if (!end)
            continue;
        l->line_starting = l->text[end - 1] == '\n';
        move(l, end);
        return PLUMB_OK;
    }
    return fail_at(l, first, "\"{#\" is never closed");
}

/* "{%", sign, `word`, sign, "%}" at `at`: the place behind it, or 0. *sign is the first sign. */
static size_t word_tag(const struct lexer *l, size_t at, const char *word, char *sign)
{
    if (!is_at(l, at, "{%"))
        return 0;
    at += 2;
    *sign = at < l->size ? l->text[at] : 0;
    at = skip_space(l, at + (*sign == '-' || *sign == '+'));
    if (!is_at(l, at, word))
        return 0;
    at = skip_space(l, at + strlen(word));
    if (at >= l->size)
        return 0;
    if (word[0] == 'r' && is_at(l, at, "%}")) /* "raw" keeps the line break behind it */
        return at + 2;
    return closing(l, at, "%}");
}

static int lex_raw(struct lexer *l)
{
    size_t from = l->at;
    char sign;
    for (size_t p = from; p < l->size; p++) {
        size_t end = word_tag(l, p, "endraw", &sign);
        if (!end)
            continue;
        int status = add_data(l, from, p, false, sign);
        l->line_starting = l->text[end - 1] == '\n';
        move(l, end);
        return status;
    }
    return fail_at(l, l->line, "\"{% raw %}\" is never closed");
}

static int lex_template(struct lexer *l)
{
    int status = PLUMB_OK;
    while (status == PLUMB_OK && l->at < l->size) {
        size_t from = l->at, p = from;
        while (p < l->size && !is_at(l, p, "{%") && !is_at(l, p, "{{") && !is_at(l, p, "{#"))
            p++;
        if (p == l->size) {
            status = add(l, TOKEN_DATA, 0, from, p);
            move(l, p);
            break;
        }
        char kind = l->text[p + 1], sign = p + 2 < l->size ? l->text[p + 2] : 0, raw_sign;
        size_t raw = word_tag(l, p, "raw", &raw_sign);
        status = add_data(l, from, p, kind == '{', sign);
        if (status != PLUMB_OK)
            break;
        if (raw) {
            l->line_starting = l->text[raw - 1] == '\n';
            move(l, raw);
            status = lex_raw(l);
            continue;
        }
        size_t inside = p + 2 + (sign == '-' || sign == '+');
        if (kind != '#')
            status = add(l, kind == '{' ? TOKEN_PRINT_BEGIN : TOKEN_BLOCK_BEGIN, 0, p, p + 2);
        move(l, inside);
        if (status == PLUMB_OK)
            status = kind == '#' ? lex_comment(l) : lex_tag(l, kind == '{');
    }
    return status == PLUMB_OK ? add(l, TOKEN_END, 0, l->size, l->size) : status;
}

int source_read(const char *text, size_t n, const char *what, struct source *out,
                struct plumb_error *e)
{
    *out = (struct source){.what = what, .text = mem_alloc(n + 1)};
    if (!out->text)
        return error_memory(e, "a template");
    size_t valid = utf8_check(text, n);
    if (valid < n)
        return error_set(e, PLUMB_INPUT, "%s: invalid UTF-8 at byte %zu of the template", what,
                         valid);
    for (size_t i = 0; i < n; i++)
        if (text[i] != '\r')
            out->text[out->size++] = text[i];
        else if (i + 1 == n || text[i + 1] != '\n')
            out->text[out->size++] = '\n';
    out->size -= out->size > 0 && out->text[out->size - 1] == '\n';
    out->text[out->size] = 0;
    struct lexer l = {
        .out = out, .text = out->text, .size = out->size, .line = 1, .line_starting = true, .e = e};
    return lex_template(&l);
}

void source_free(struct source *s)
{
    mem_free(s->tokens);
    mem_free(s->text);
    *s = (struct source){0};
}
