/*
 * pattern.c - the regular expressions of tokenizers: Oniguruma's syntax, matched by PCRE2.
 *
 * tokenizer.json holds patterns for Oniguruma (syntax: doc/RE of that library). Where the two differ the text is
 * translated: \s, \w, \b and \v have other members, ^ and $ are always those of a line. What cannot be translated
 * exactly is refused with its offset.
 *
 * What a letter is comes from PCRE2's Unicode tables (version 14 in PCRE2 10.42); of characters that were assigned later
 * a reference with newer tables may think otherwise.
 *
 * A matched text can be long and one character over and over, so nothing may recurse on the machine's stack: the
 * compiled form (JIT) uses a fixed block of it; where that is too small PCRE2's interpreter takes over, whose frames
 * live on the heap up to a limit.
 */
#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>

#include "model/tokenizer_private.h"

#include <string.h>

#include "base/memory.h"
#include "base/utf8.h"

/* Backtracking steps for one match. A run of a million blanks before a letter needs about a million with the usual
   patterns; what needs far more is a pattern that explodes. */
#define STEP_LIMIT 100000000u
#define HEAP_LIMIT_KIB (1024u * 1024u)

/* White space of Oniguruma: PCRE2's \s has U+180E besides. */
#define SPACE_MEMBERS "\\t-\\r\\x{85}\\p{Z}"
/* Word characters of Oniguruma, found by asking it about every code point. Outside a class its table for Latin-1 counts
   the superscripts and fractions too. */
#define WORD_MEMBERS "\\p{Alphabetic}\\p{M}\\p{Nd}\\p{Pc}"
#define LATIN_MEMBERS "\\x{b2}\\x{b3}\\x{b9}\\x{bc}-\\x{be}"
#define WORD "[" WORD_MEMBERS LATIN_MEMBERS "]"
#define NO_WORD "[^" WORD_MEMBERS LATIN_MEMBERS "]"

struct pattern {
    pcre2_code *code;
    bool compiled; /* by the JIT */
};

struct pattern_matcher {
    pcre2_general_context *memory;
    pcre2_match_context *limits;
    pcre2_match_data *data;
};

static void *pcre_alloc(size_t size, void *user)
{
    (void)user;
    return mem_alloc(size);
}

static void pcre_free(void *p, void *user)
{
    (void)user;
    mem_free(p);
}

/* ---- translation ---- */

struct translation {
    const char *text;
    size_t size, at;
    const char *what;
    struct buffer out;
    struct plumb_error *e;
};

static int refuse(const struct translation *t, size_t at, const char *reason)
{
    int shown = (int)(t->size < 200 ? t->size : 200);
    return error_set(t->e, PLUMB_INPUT,
                     "%s: %s at offset %zu of the pattern '%.*s', which is not supported", t->what,
                     reason, at, shown, t->text);
}

static int peek(const struct translation *t, size_t ahead)
{
    return ahead < t->size - t->at ? (unsigned char)t->text[t->at + ahead] : -1;
}

static void copy(struct translation *t, size_t n)
{
    buffer_add(&t->out, t->text + t->at, n);
    t->at += n;
}

static void replace(struct translation *t, size_t n, const char *by)
{
    buffer_puts(&t->out, by);
    t->at += n;
}

/* \p{...}, \x{...}: copied up to the brace. */
static int copy_braces(struct translation *t)
{
    const char *end = peek(t, 2) == '{' ? memchr(t->text + t->at, '}', t->size - t->at) : NULL;
    if (!end)
        return refuse(t, t->at, "an escape without braces");
    copy(t, (size_t)(end - (t->text + t->at)) + 1);
    return PLUMB_OK;
}

/* \xHH and \uHHHH */
static int copy_hexadecimal(struct translation *t, size_t digits)
{
    for (size_t i = 0; i < digits; i++) {
        int c = peek(t, 2 + i);
        if (!((c >= '0' && c <= '9') || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F')))
            return refuse(t, t->at, "an incomplete hexadecimal escape");
    }
    buffer_printf(&t->out, "\\x{%.*s}", (int)digits, t->text + t->at + 2);
    t->at += 2 + digits;
    return PLUMB_OK;
}

static int translate_escape(struct translation *t, bool in_class)
{
    int c = peek(t, 1);
    switch (c) {
    case 's':
        replace(t, 2, in_class ? SPACE_MEMBERS : "[" SPACE_MEMBERS "]");
        return PLUMB_OK;
    case 'S':
        replace(t, 2, in_class ? "\\S\\x{180e}" : "[^" SPACE_MEMBERS "]");
        return PLUMB_OK;
    case 'w':
        replace(t, 2, in_class ? WORD_MEMBERS : WORD);
        return PLUMB_OK;
    case 'W':
        if (in_class)
            return refuse(t, t->at, "\\W inside a class");
        replace(t, 2, NO_WORD);
        return PLUMB_OK;
    case 'b':
        replace(t, 2,
                in_class ? "\\x08" : "(?:(?<=" WORD ")(?!" WORD ")|(?<!" WORD ")(?=" WORD "))");
        return PLUMB_OK;
    case 'B':
        if (in_class)
            return refuse(t, t->at, "\\B inside a class");
        replace(t, 2, "(?:(?<=" WORD ")(?=" WORD ")|(?<!" WORD ")(?!" WORD "))");
        return PLUMB_OK;
    case 'h':
        replace(t, 2, in_class ? "0-9a-fA-F" : "[0-9a-fA-F]");
        return PLUMB_OK;
    case 'v':
        replace(t, 2, "\\x0b");
        return PLUMB_OK;
    case 'd':
    case 'D':
    case 'n':
    case 'r':
    case 't':
    case 'f':
    case 'a':
    case 'e':
        copy(t, 2);
        return PLUMB_OK;
    case 'A':
    case 'z':
    case 'Z':
        if (in_class)
            return refuse(t, t->at, "an anchor inside a class");
        copy(t, 2);
        return PLUMB_OK;
    case 'p':
    case 'P':
        return copy_braces(t);
    case 'x':
        return peek(t, 2) == '{' ? copy_braces(t) : copy_hexadecimal(t, 2);
    case 'u':
        return copy_hexadecimal(t, 4);
    default:
        if (c < 0 || (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'))
            return refuse(t, t->at, "an escape");
        copy(t, 1);
        if (c >= 0x80) { /* a plain character may be escaped; PCRE2 wants no backslash there */
            t->out.size--;
            return PLUMB_OK;
        }
        copy(t, 1);
        return PLUMB_OK;
    }
}

static int translate_class(struct translation *t)
{
    size_t start = t->at;
    copy(t, 1);
    if (peek(t, 0) == '^')
        copy(t, 1);
    bool first = true;
    while (t->at < t->size) {
        int c = peek(t, 0);
        if (c == ']' && !first) {
            copy(t, 1);
            return PLUMB_OK;
        }
        first = false;
        if (c == '\\') {
            int status = translate_escape(t, true);
            if (status)
                return status;
        } else if (c == '[') {
            return refuse(t, t->at, "a class inside a class");
        } else if (c == '&' && peek(t, 1) == '&') {
            return refuse(t, t->at, "an intersection of classes");
        } else {
            copy(t, 1);
        }
    }
    return refuse(t, start, "a class without end");
}

/* "(?": groups, look-around and the option i. Elsewhere than in front, "(?i)" would end at another place in
   Oniguruma, so it must enclose what it changes: "(?i:...)". */
static int translate_group(struct translation *t)
{
    size_t start = t->at;
    if (peek(t, 1) != '?') {
        if (peek(t, 1) == '*')
            return refuse(t, start, "a verb");
        copy(t, 1);
        return PLUMB_OK;
    }
    int c = peek(t, 2);
    if (c == ':' || c == '=' || c == '!' || c == '>' || c == '<') {
        copy(t, 3);
        return PLUMB_OK;
    }
    size_t i = 2;
    while (peek(t, i) == 'i' || peek(t, i) == '-')
        i++;
    if (i == 2 || (peek(t, i) != ':' && (peek(t, i) != ')' || start != 0)))
        return refuse(t, start, "a group option");
    copy(t, i + 1);
    return PLUMB_OK;
}

/* "{2}", "{1,3}", "{,3}": the possessive and lazy forms of an exact count mean other things in Oniguruma. */
static int translate_interval(struct translation *t)
{
    size_t i = 1, digits = 0;
    bool comma = false;
    for (int c = peek(t, i); (c >= '0' && c <= '9') || (c == ',' && !comma); c = peek(t, ++i)) {
        comma = comma || c == ',';
        digits += c != ',';
    }
    if (peek(t, i) != '}' || digits == 0)
        return refuse(t, t->at, "a brace that is no interval");
    if (peek(t, i + 1) == '+' || (peek(t, i + 1) == '?' && !comma))
        return refuse(t, t->at, "an interval with a suffix");
    if (peek(t, 1) == ',') {
        buffer_puts(&t->out, "{0");
        t->at++;
        i--;
    }
    copy(t, i + 1);
    return PLUMB_OK;
}

static int translate(struct translation *t)
{
    while (t->at < t->size) {
        int status = PLUMB_OK, c = peek(t, 0);
        if (c == '\\')
            status = translate_escape(t, false);
        else if (c == '[')
            status = translate_class(t);
        else if (c == '(')
            status = translate_group(t);
        else if (c == '{')
            status = translate_interval(t);
        else
            copy(t, 1);
        if (status)
            return status;
    }
    return PLUMB_OK;
}

/* A plain string: everything but letters, digits and characters beyond ASCII by its number. */
static void quote(struct translation *t)
{
    while (t->at < t->size) {
        int c = peek(t, 0);
        if (c >= 0x80 || (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') ||
            (c >= 'A' && c <= 'Z')) {
            copy(t, 1);
        } else {
            buffer_printf(&t->out, "\\x{%x}", (unsigned)c);
            t->at++;
        }
    }
}

/* ---- compiling ---- */

static int compile_translated(struct pattern *p, const struct translation *t, struct plumb_error *e)
{
    pcre2_general_context *memory = pcre2_general_context_create(pcre_alloc, pcre_free, NULL);
    pcre2_compile_context *context = memory ? pcre2_compile_context_create(memory) : NULL;
    int code = PCRE2_ERROR_NOMEMORY;
    size_t offset = 0;
    if (context) {
        pcre2_set_newline(context, PCRE2_NEWLINE_LF);
        p->code = pcre2_compile((PCRE2_SPTR)buffer_string(&t->out), t->out.size,
                                PCRE2_UTF | PCRE2_UCP | PCRE2_MULTILINE | PCRE2_NEVER_BACKSLASH_C,
                                &code, &offset, context);
    }
    pcre2_compile_context_free(context);
    pcre2_general_context_free(memory);
    if (p->code) {
        /* Without the JIT (no executable memory, another processor) the interpreter does the same, slower. */
        p->compiled = pcre2_jit_compile(p->code, PCRE2_JIT_COMPLETE) == 0;
        return PLUMB_OK;
    }
    /* ERR21: PCRE2's own "failed to allocate heap memory" */
    if (code == PCRE2_ERROR_NOMEMORY || code == PCRE2_ERROR_HEAP_FAILED)
        return error_memory(e, "a pattern");
    char reason[128] = "";
    pcre2_get_error_message(code, (PCRE2_UCHAR *)reason, sizeof reason);
    int shown = (int)(t->size < 200 ? t->size : 200);
    return error_set(
        e, PLUMB_INPUT,
        "%s: the pattern '%.*s' cannot be compiled: %s at offset %zu of its translation", t->what,
        shown, t->text, reason, offset);
}

int pattern_compile(const char *text, size_t n, bool literal, const char *what,
                    struct pattern **out, struct plumb_error *e)
{
    *out = NULL;
    if (utf8_check(text, n) != n)
        return error_set(e, PLUMB_INPUT, "%s: the pattern is not UTF-8 at offset %zu", what,
                         utf8_check(text, n));
    struct translation t = {.text = text, .size = n, .what = what, .e = e};
    int status = PLUMB_OK;
    if (literal)
        quote(&t);
    else
        status = translate(&t);
    if (status == PLUMB_OK && t.out.failed)
        status = error_memory(e, "a pattern");
    struct pattern *p = status == PLUMB_OK ? mem_zalloc(1, sizeof *p) : NULL;
    if (status == PLUMB_OK && !p)
        status = error_memory(e, "a pattern");
    if (status == PLUMB_OK)
        status = compile_translated(p, &t, e);
    buffer_free(&t.out);
    if (status) {
        pattern_free(p);
        return status;
    }
    *out = p;
    return PLUMB_OK;
}

void pattern_free(struct pattern *p)
{
    if (!p)
        return;
    pcre2_code_free(p->code);
    mem_free(p);
}

/* ---- matching ---- */

struct pattern_matcher *pattern_matcher_create(void)
{
    struct pattern_matcher *m = mem_zalloc(1, sizeof *m);
    if (!m)
        return NULL;
    m->memory = pcre2_general_context_create(pcre_alloc, pcre_free, NULL);
    m->limits = m->memory ? pcre2_match_context_create(m->memory) : NULL;
    m->data = m->memory ? pcre2_match_data_create(1, m->memory) : NULL;
    if (!m->limits || !m->data) {
        pattern_matcher_free(m);
        return NULL;
    }
    pcre2_set_match_limit(m->limits, STEP_LIMIT);
    pcre2_set_depth_limit(m->limits, STEP_LIMIT);
    pcre2_set_heap_limit(m->limits, HEAP_LIMIT_KIB);
    return m;
}

void pattern_matcher_free(struct pattern_matcher *m)
{
    if (!m)
        return;
    pcre2_match_data_free(m->data);
    pcre2_match_context_free(m->limits);
    pcre2_general_context_free(m->memory);
    mem_free(m);
}

struct pattern_scan pattern_scan_start(const struct pattern *p, const char *text, size_t n)
{
    return (struct pattern_scan){.pattern = p, .text = text, .size = n};
}

static int match_at(const struct pattern_scan *s, struct pattern_matcher *m)
{
    const struct pattern *p = s->pattern;
    int found = PCRE2_ERROR_JIT_STACKLIMIT;
    if (p->compiled)
        found =
            pcre2_jit_match(p->code, (PCRE2_SPTR)s->text, s->size, s->at, 0, m->data, m->limits);
    if (found == PCRE2_ERROR_JIT_STACKLIMIT)
        found = pcre2_match(p->code, (PCRE2_SPTR)s->text, s->size, s->at,
                            PCRE2_NO_UTF_CHECK | PCRE2_NO_JIT, m->data, m->limits);
    return found;
}

int pattern_scan_next(struct pattern_scan *s, struct pattern_matcher *m, size_t *start, size_t *end,
                      bool *found, struct plumb_error *e)
{
    *found = false;
    while (s->at <= s->size) {
        int result = match_at(s, m);
        if (result == PCRE2_ERROR_NOMATCH) {
            s->at = s->size + 1;
            return PLUMB_OK;
        }
        if (result == PCRE2_ERROR_NOMEMORY)
            return error_memory(e, "matching a pattern");
        if (result < 0)
            return error_set(e, PLUMB_INPUT,
                             "the tokenizer's pattern needs too many steps on this text, from byte "
                             "%zu of a piece of "
                             "%zu bytes (PCRE2 error %d); break the text up",
                             s->at, s->size, result);
        const size_t *range = pcre2_get_ovector_pointer(m->data);
        size_t from = range[0], to = range[1];
        if (to < from) /* \K inside look-ahead can do that; the translation refuses \K */
            to = from;
        if (from == to && s->matched && s->last_end == to) {
            uint32_t ignored;
            int length =
                s->at < s->size ? utf8_decode(s->text + s->at, s->size - s->at, &ignored) : 1;
            s->at += length > 0 ? (size_t)length : 1;
            continue;
        }
        s->at = s->last_end = to;
        s->matched = *found = true;
        *start = from;
        *end = to;
        return PLUMB_OK;
    }
    return PLUMB_OK;
}
