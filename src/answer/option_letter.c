/*
 * option_letter.c - which option an answer in words names; correctness.h says how it is read.
 */
#include <ctype.h>
#include <string.h>
#include <strings.h>

#include "answer/correctness.h"
#include "task/questions.h"

static bool is_word_byte(char c)
{
    return isalnum((unsigned char)c) || (c & 0x80) || c == '\'';
}

/* The letter that stands at s, or -1. Alone on its line, or marked off; in running text only where it can be no word. */
static int letter_at(const char *s, int n_options)
{
    while (*s && strchr(" \t\r\n*_\"'`([{", *s))
        s++;
    const char c = (char)toupper((unsigned char)*s);
    if (c < 'A' || c >= 'A' + n_options || is_word_byte(s[1]))
        return -1;
    const char *behind = s + 1 + strspn(s + 1, " \t");
    const bool alone = !*behind || *behind == '\n' || *behind == '\r',
               marked = strchr(".):,;]}*_\"`-", s[1]) && s[1];
    if (alone || marked)
        return c - 'A';
    /* "B is right": an upper-case letter that is no English word by itself. */
    const bool word = c == 'A' || c == 'I';
    return isupper((unsigned char)*s) && !word ? c - 'A' : -1;
}

/* Behind the last "answer is", "answer:" or "option". */
static int letter_behind_cue(const char *answer, int n_options)
{
    static const char *const cues[] = {"answer is", "answer:", "option"};
    int found = -1;
    const char *last = NULL;
    for (size_t c = 0; c < sizeof cues / sizeof *cues; c++) {
        const size_t n = strlen(cues[c]);
        for (const char *at = answer; *at; at++) {
            if (strncasecmp(at, cues[c], n) != 0 || at < last)
                continue;
            const char *behind = at + n + (at[n] == ':');
            const int letter = letter_at(behind, n_options);
            if (letter >= 0) {
                found = letter;
                last = at;
            }
        }
    }
    return found;
}

/* The one option whose text the answer is; -1 for none or several. */
static int option_by_text(const char *answer, const char *const *options, int n_options)
{
    struct buffer given = BUFFER_EMPTY, text = BUFFER_EMPTY;
    int found = -1;
    answer_normalise(answer, strlen(answer), &given);
    for (int i = 0; i < n_options && given.size > 0; i++) {
        buffer_clear(&text);
        answer_normalise(options[i], strlen(options[i]), &text);
        if (strcmp(buffer_string(&given), buffer_string(&text)) != 0)
            continue;
        if (found >= 0) {
            found = -1;
            break;
        }
        found = i;
    }
    buffer_free(&given);
    buffer_free(&text);
    return found;
}

int option_letter(const char *answer, const char *const *options, int n_options)
{
    if (n_options > QUESTION_MAX_OPTIONS)
        n_options = QUESTION_MAX_OPTIONS;
    int letter = letter_at(answer, n_options);
    if (letter < 0)
        letter = option_by_text(answer, options, n_options);
    if (letter < 0)
        letter = letter_behind_cue(answer, n_options);
    return letter;
}
