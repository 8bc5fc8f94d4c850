/*
 * options.c - the table of options at work: parsing by getopt_long, and the help text. Knows no
 * verb.
 */
#include "cli/options.h"

#include <assert.h>
#include <errno.h>
#include <getopt.h>
#include <math.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "cli/suggest.h"

enum { COLUMNS = 100, FIRST_LONG = 256 };

const struct option_row options_common[] = {
    {'h', "help", OPTION_FLAG, NULL, offsetof(struct common_options, help), "show this text"},
    {'q', "quiet", OPTION_FLAG, NULL, offsetof(struct common_options, quiet),
     "no progress and no remarks on stderr"},
    {'v', "verbose", OPTION_FLAG, NULL, offsetof(struct common_options, verbose),
     "more remarks on stderr"},
    {0},
};

/* The verb's rows and the common ones, as getopt_long wants them. */
struct parser {
    const struct option_row *rows[OPTIONS_MAX];
    struct option longs[OPTIONS_MAX + 1];
    char shorts[3 * OPTIONS_MAX + 2];
    int count;
};

static void parser_add(struct parser *p, const struct option_row *rows)
{
    for (; rows && rows->name; rows++) {
        assert(p->count < OPTIONS_MAX);
        p->longs[p->count] =
            (struct option){rows->name, rows->kind == OPTION_FLAG ? no_argument : required_argument,
                            NULL, FIRST_LONG + p->count};
        if (rows->letter) {
            char *end = p->shorts + strlen(p->shorts);
            *end++ = rows->letter;
            if (rows->kind != OPTION_FLAG)
                *end++ = ':';
            *end = '\0';
        }
        p->rows[p->count++] = rows;
    }
}

static const struct option_row *parser_find(const struct parser *p, int code)
{
    if (code >= FIRST_LONG && code - FIRST_LONG < p->count)
        return p->rows[code - FIRST_LONG];
    for (int i = 0; i < p->count; i++)
        if (p->rows[i]->letter && p->rows[i]->letter == code)
            return p->rows[i];
    return NULL;
}

static int bad_value(const struct option_row *row, const char *found, const char *expected,
                     struct plumb_error *e)
{
    return error_set(e, PLUMB_INPUT, "--%s '%s': expected %s", row->name, found, expected);
}

/* Whole decimal numbers only: "12", not "12k", " 12" or "-1". */
static bool read_count(const char *text, size_t most, size_t *out)
{
    char *end;
    errno = 0;
    unsigned long long v = strtoull(text, &end, 10);
    if (text[0] < '0' || text[0] > '9' || *end || errno || v > most)
        return false;
    *out = (size_t)v;
    return true;
}

/* The index of `word` among "a|b|c", or -1. */
static int read_choice(const char *choices, const char *word)
{
    size_t n = strlen(word);
    int index = 0;
    for (const char *c = choices; c; index++) {
        const char *bar = strchr(c, '|');
        size_t length = bar ? (size_t)(bar - c) : strlen(c);
        if (length == n && memcmp(c, word, n) == 0)
            return index;
        c = bar ? bar + 1 : NULL;
    }
    return -1;
}

static int store(const struct option_row *row, const char *value, void *into, struct plumb_error *e)
{
    char *at = (char *)into + row->offset;
    size_t count;
    switch (row->kind) {
    case OPTION_FLAG:
        memcpy(at, &(bool){true}, sizeof(bool));
        break;
    case OPTION_TEXT:
        memcpy(at, &value, sizeof value);
        break;
    case OPTION_TEXTS: {
        struct option_texts *texts = (struct option_texts *)(void *)at;
        if (texts->count == OPTION_TEXTS_MAX)
            return error_set(e, PLUMB_INPUT, "--%s '%s': expected at most %d of them", row->name,
                             value, OPTION_TEXTS_MAX);
        texts->words[texts->count++] = value;
        break;
    }
    case OPTION_INT:
        if (!read_count(value, 1000000000, &count))
            return bad_value(row, value, "a whole number, 0 or more", e);
        memcpy(at, &(int){(int)count}, sizeof(int));
        break;
    case OPTION_SIZE:
        if (!read_count(value, SIZE_MAX / 2, &count))
            return bad_value(row, value, "a whole number, 0 or more", e);
        memcpy(at, &count, sizeof count);
        break;
    case OPTION_NUMBER: {
        char *end;
        double number = strtod(value, &end);
        if (end == value || *end || !isfinite(number))
            return bad_value(row, value, "a number", e);
        memcpy(at, &number, sizeof number);
        break;
    }
    case OPTION_CHOICE: {
        int index = read_choice(row->value, value);
        if (index < 0)
            return error_set(e, PLUMB_INPUT, "--%s '%s': expected one of %s", row->name, value,
                             row->value);
        memcpy(at, &index, sizeof index);
        break;
    }
    }
    return PLUMB_OK;
}

/* getopt_long found no such option, or more than one that the word abbreviates. */
static int unknown(const struct parser *p, const char *word, struct plumb_error *e)
{
    const char *names[OPTIONS_MAX];
    char name[64];
    int length = (int)strcspn(word + 2, "=");
    snprintf(name, sizeof name, "%.*s", length, word + 2);
    for (int i = 0; i < p->count; i++) {
        names[i] = p->rows[i]->name;
        if (p->rows[i]->kind == OPTION_FLAG && strcmp(name, names[i]) == 0)
            return error_set(e, PLUMB_INPUT, "--%s takes no value, found '%s'", name, word);
    }
    const char *near = suggest(name, names, (size_t)p->count);
    return near ? error_set(e, PLUMB_INPUT, "unknown option --%.*s; did you mean --%s?", length,
                            word + 2, near)
                : error_set(e, PLUMB_INPUT, "unknown option --%.*s", length, word + 2);
}

int options_parse(const struct option_row *rows, int argc, char **argv, void *into,
                  struct operands *operands, struct plumb_error *e)
{
    struct parser p = {.shorts = ":"}; /* ':' tells a missing value from an unknown option */
    parser_add(&p, rows);
    parser_add(&p, options_common);
    opterr = 0;
    optind = 0; /* glibc: start afresh */
    for (;;) {
        int code = getopt_long(argc, argv, p.shorts, p.longs, NULL);
        if (code == -1)
            break;
        if (code == ':') {
            const struct option_row *row = parser_find(&p, optopt);
            return error_set(e, PLUMB_INPUT, "--%s needs a value: --%s %s", row->name, row->name,
                             row->value);
        }
        if (code == '?') /* a letter is in optopt; a long option is the word that was just passed */
            return optopt && optopt < FIRST_LONG
                       ? error_set(e, PLUMB_INPUT, "unknown option -%c", optopt)
                       : unknown(&p, argv[optind - 1], e);
        int status = store(parser_find(&p, code), optarg, into, e);
        if (status != PLUMB_OK)
            return status;
    }
    *operands = (struct operands){argv + optind, argc - optind};
    return PLUMB_OK;
}

void options_wrap(const char *text, int indent, int at, FILE *to)
{
    while (*text) {
        size_t n = strcspn(text, " \n");
        if (at > indent && at + 1 + (int)n > COLUMNS) {
            fputc('\n', to);
            at = 0;
        }
        if (at < indent) {
            fprintf(to, "%*s", indent - at, "");
            at = indent;
        } else if (at > indent) {
            fputc(' ', to);
            at++;
        }
        fprintf(to, "%.*s", (int)n, text);
        at += (int)n;
        text += n;
        if (*text == '\n') {
            fputc('\n', to);
            at = 0;
        }
        text += *text != '\0';
    }
    fputc('\n', to);
}

void options_help(const struct option_row *rows, FILE *to)
{
    enum { WORDS_AT = 30 };
    for (; rows && rows->name; rows++) {
        char letter[8] = "    ";
        if (rows->letter)
            snprintf(letter, sizeof letter, "-%c, ", rows->letter);
        int at = fprintf(to, "  %s--%s%s%s", letter, rows->name, rows->value ? " " : "",
                         rows->value ? rows->value : "");
        if (at > WORDS_AT - 2) {
            fputc('\n', to);
            at = 0;
        }
        options_wrap(rows->words, WORDS_AT, at, to);
    }
}
