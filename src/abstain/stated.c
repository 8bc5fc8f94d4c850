/*
 * stated.c - see stated.h.
 */
#include "abstain/stated.h"

#include <string.h>

#include "base/number.h"

struct span {
    const char *at;
    size_t n;
};

/* ASCII only, in every locale; bytes of other characters count as letters. */
static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}
static bool is_word(char c)
{
    return is_digit(c) || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' ||
           (unsigned char)c >= 0x80;
}
static bool is_space(char c)
{
    return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}
static char lower(char c)
{
    return c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c;
}

/* How many bytes of s, from `at` on, are this phrase as whole words; 0 where it is not there. A space in the phrase stands for any
   run of spaces and hyphens. */
static size_t phrase_at(struct span s, size_t at, const char *phrase)
{
    size_t i = at;
    if (at > 0 && is_word(s.at[at - 1]))
        return 0;
    for (const char *p = phrase; *p; p++) {
        if (*p == ' ') {
            const size_t before = i;
            while (i < s.n && (is_space(s.at[i]) || s.at[i] == '-'))
                i++;
            if (i == before)
                return 0;
        } else if (i < s.n && lower(s.at[i]) == lower(*p)) {
            i++;
        } else {
            return 0;
        }
    }
    return i < s.n && is_word(s.at[i]) ? 0 : i - at;
}

/* ---- the place ---- */

/* Markdown's bold and quotes may stand between the key and its colon. */
static bool is_ornament(char c)
{
    return is_space(c) || c == '*' || c == '"' || c == '`';
}

/* What stands behind the last key with a colon or an equals sign, else behind the last key; at = null where there is none. */
static struct span behind_key(struct span s, const char *key)
{
    size_t plain = 0, marked = 0;
    for (size_t i = 0; i < s.n; i++) {
        const size_t n = phrase_at(s, i, key);
        if (n == 0)
            continue;
        size_t j = i + n;
        while (j < s.n && is_ornament(s.at[j]) && s.at[j] != '\n')
            j++;
        plain = i + n;
        if (j < s.n && (s.at[j] == ':' || s.at[j] == '='))
            marked = j + 1;
    }
    const size_t from = marked ? marked : plain;
    return from ? (struct span){s.at + from, s.n - from} : (struct span){NULL, 0};
}

/* The first line that holds anything. */
static struct span first_line(struct span s)
{
    size_t from = 0;
    while (from < s.n && is_ornament(s.at[from]))
        from++;
    size_t to = from;
    while (to < s.n && s.at[to] != '\n')
        to++;
    return (struct span){s.at + from, to - from};
}

static struct span place_of(const char *text, size_t n, const char *key)
{
    const struct span all = {text, n};
    if (!key)
        return all;
    const struct span behind = behind_key(all, key);
    return behind.at ? first_line(behind) : behind;
}

/* ---- numbers ---- */

/* Digits, at most one point (or the comma of "0,85"), an exponent. Bytes read; 0 = no number here. */
static size_t number_at(struct span s, size_t at, double *out)
{
    char digits[64];
    size_t i = at, n = 0;
    bool point = false, any = false;
    while (i < s.n && n + 1 < sizeof digits) {
        const char c = s.at[i];
        const bool next_digit = i + 1 < s.n && is_digit(s.at[i + 1]);
        const bool comma = c == ',' && i == at + 1 && s.at[at] == '0';
        if (is_digit(c))
            any = true;
        else if (!point && next_digit && (c == '.' || comma))
            point = true;
        else
            break;
        digits[n++] = comma ? '.' : c;
        i++;
    }
    if (!any)
        return 0;
    size_t j = i;
    if (j < s.n && lower(s.at[j]) == 'e') {
        j++;
        if (j < s.n && (s.at[j] == '-' || s.at[j] == '+'))
            j++;
        const size_t exponent = j;
        while (j < s.n && is_digit(s.at[j]))
            j++;
        if (j > exponent && n + (j - i) < sizeof digits) {
            memcpy(digits + n, s.at + i, j - i);
            n += j - i;
            i = j;
        }
    }
    return number_read(digits, n, out) ? i - at : 0;
}

static size_t skip_space(struct span s, size_t i)
{
    while (i < s.n && is_space(s.at[i]))
        i++;
    return i;
}

/* What follows a number and changes it: "%", "percent", "/ 100", "out of 100". Bytes of it, and the value; false: no probability. */
static bool finish_number(struct span s, size_t *at, double *v)
{
    size_t i = skip_space(s, *at);
    double of;
    if (*at + 1 < s.n && s.at[*at] == '.' && is_digit(s.at[*at + 1]))
        return false; /* "1.2.3" */
    const size_t percent = phrase_at(s, i, "percent"), out_of = phrase_at(s, i, "out of");
    if (i < s.n && s.at[i] == '%') {
        *at = i + 1;
        *v /= 100;
    } else if (percent) {
        *at = i + percent;
        *v /= 100;
    } else if (out_of || (i < s.n && s.at[i] == '/')) {
        i = skip_space(s, i + (out_of ? out_of : 1));
        const size_t n = number_at(s, i, &of);
        *at = i + n; /* whatever it is, it is no number of its own */
        if (n == 0 || !(of > 0))
            return false;
        *v /= of;
    } else if (*at < s.n && is_word(s.at[*at])) {
        return false;
    } else if (*v > 1) {
        *v /= 100;
    }
    return *v >= 0 && *v <= 1;
}

static bool last_number(struct span s, double *out)
{
    bool found = false;
    for (size_t i = 0; i < s.n;) {
        double v;
        const char before = i > 0 ? s.at[i - 1] : ' ';
        const bool starts =
            is_digit(s.at[i]) || (s.at[i] == '.' && i + 1 < s.n && is_digit(s.at[i + 1]));
        const size_t n = starts ? number_at(s, i, &v) : 0;
        if (n == 0) {
            i++;
            continue;
        }
        /* A minus sign is one where no digit or letter stands before it: "80-90" is a range. */
        const bool negative = before == '-' && (i < 2 || !is_word(s.at[i - 2]));
        size_t end = i + n;
        if (!negative && !is_word(before) && before != '.' && finish_number(s, &end, &v)) {
            *out = v;
            found = true;
        }
        i = end;
    }
    return found;
}

/* ---- expressions ---- */

static const struct {
    const char *phrase;
    double value;
} expressions[] = {
    /* the survey */
    {"almost certain", .95},
    {"highly likely", .9},
    {"very good chance", .8},
    {"we believe", .75},
    {"we beleive", .75}, /* as the prompt of lm-polygraph spells it */
    {"probably", .7},
    {"probable", .7},
    {"likely", .7},
    {"better than even", .6},
    {"about even", .5},
    {"probably not", .25},
    {"we doubt", .2},
    {"unlikely", .2},
    {"little chance", .1},
    {"chances are slight", .1},
    {"improbable", .1},
    {"highly unlikely", .05},
    {"almost no chance", .02},
    /* ICD 203 */
    {"remote", .03},
    {"very unlikely", .125},
    {"highly improbable", .125},
    {"roughly even chance", .5},
    {"very likely", .875},
    {"highly probable", .875},
    {"nearly certain", .97},
    /* IPCC */
    {"virtually certain", .995},
    {"extremely likely", .975},
    {"more likely than not", .75},
    {"about as likely as not", .495},
    {"extremely unlikely", .025},
    {"exceptionally unlikely", .005},
    /* Kent */
    {"certain", 1},
    {"chances about even", .5},
    {"almost certainly not", .07},
    {"almost certainly", .93},
    {"impossible", 0},
};

/* The longest expression that begins here. */
static size_t expression_at(struct span s, size_t at, double *value)
{
    size_t longest = 0;
    for (size_t i = 0; i < sizeof expressions / sizeof *expressions; i++) {
        const size_t n = phrase_at(s, at, expressions[i].phrase);
        if (n > longest) {
            longest = n;
            *value = expressions[i].value;
        }
    }
    return longest;
}

/* Does a "not" stand before `at`, with nothing but words of degree between? */
static bool negated(struct span s, size_t at)
{
    static const char *const degrees[] = {"very", "so",     "that", "too",  "really", "all",
                                          "at",   "at all", "a",    "even", "quite",  "entirely"};
    static const char *const negations[] = {"not", "never", "isn't", "isnt", "hardly", "cannot be"};
    for (size_t i = at; i > 0; i--) {
        const size_t from = i - 1;
        if (from > 0 && (is_word(s.at[from - 1]) || s.at[from - 1] == '\''))
            continue;
        if (!is_word(s.at[from]))
            continue;
        for (size_t k = 0; k < sizeof negations / sizeof *negations; k++) {
            const size_t n = phrase_at(s, from, negations[k]);
            if (n && from + n <= at)
                return true;
        }
        bool degree = false;
        for (size_t k = 0; k < sizeof degrees / sizeof *degrees; k++)
            degree = degree || phrase_at(s, from, degrees[k]) > 0;
        if (!degree)
            return false;
    }
    return false;
}

static bool last_expression(struct span s, double *out)
{
    bool found = false;
    for (size_t i = 0; i < s.n;) {
        double v;
        const size_t n = expression_at(s, i, &v);
        if (n == 0) {
            i++;
            continue;
        }
        *out = negated(s, i) ? 1 - v : v;
        found = true;
        i += n;
    }
    return found;
}

bool stated_expression(const char *text, size_t n, const char *key, double *out)
{
    const struct span s = place_of(text, n, key);
    return s.at && last_expression(s, out);
}

bool stated_probability(const char *text, size_t n, const char *key, double *out)
{
    const struct span s = place_of(text, n, key);
    return s.at && (last_number(s, out) || last_expression(s, out));
}
