/*
 * words.c - see words.h.
 */
#include "abstain/words.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

static const char *const table_names[WORD_TABLES] = {"icd203", "ipcc", "kent"};

static const struct word_term icd203[] = {
    {"almost no chance", 0.01, 0.05},    {"very unlikely", 0.05, 0.20}, {"unlikely", 0.20, 0.45},
    {"roughly even chance", 0.45, 0.55}, {"likely", 0.55, 0.80},        {"very likely", 0.80, 0.95},
    {"almost certain", 0.95, 0.99},
};
static const struct word_term ipcc[] = {
    {"exceptionally unlikely", 0, 0.01},
    {"extremely unlikely", 0, 0.05},
    {"very unlikely", 0, 0.10},
    {"unlikely", 0, 0.33},
    {"about as likely as not", 0.33, 0.66},
    {"more likely than not", 0.50, 1},
    {"likely", 0.66, 1},
    {"very likely", 0.90, 1},
    {"extremely likely", 0.95, 1},
    {"virtually certain", 0.99, 1},
};
static const struct word_term kent[] = {
    {"impossible", 0, 0},
    {"almost certainly not", 0.02, 0.12},
    {"probably not", 0.20, 0.40},
    {"chances about even", 0.40, 0.60},
    {"probable", 0.63, 0.87},
    {"almost certain", 0.87, 0.99},
    {"certain", 1, 1},
};

#define COUNT(a) (sizeof(a) / sizeof *(a))

const char *word_table_name(enum word_table t)
{
    return table_names[t];
}

bool word_table_find(const char *name, enum word_table *out)
{
    for (int t = 0; t < WORD_TABLES; t++)
        if (strcmp(name, table_names[t]) == 0) {
            *out = (enum word_table)t;
            return true;
        }
    return false;
}

const struct word_term *word_table_terms(enum word_table t, size_t *n)
{
    switch (t) {
    case WORDS_IPCC:
        *n = COUNT(ipcc);
        return ipcc;
    case WORDS_KENT:
        *n = COUNT(kent);
        return kent;
    case WORDS_ICD203:
    case WORD_TABLES:
    default:
        *n = COUNT(icd203);
        return icd203;
    }
}

/* The last range that begins at or below p; below and above the table its outermost terms. */
static const char *icd203_term(double p)
{
    size_t i = 0;
    while (i + 1 < COUNT(icd203) && p >= icd203[i + 1].low)
        i++;
    return icd203[i].term;
}

/* "> 66 %" and "< 33 %" leave their edges out; "33-66 %" holds both of its. */
static const char *ipcc_term(double p)
{
    const struct word_term *best = NULL;
    for (size_t i = 0; i < COUNT(ipcc); i++) {
        const struct word_term *t = &ipcc[i];
        const bool both = t->low > 0 && t->high < 1;
        const bool holds = both         ? p >= t->low && p <= t->high
                           : t->low > 0 ? p > t->low
                                        : p < t->high;
        if (holds && (!best || t->high - t->low < best->high - best->low))
            best = t;
    }
    return best ? best->term : NULL;
}

static const char *kent_term(double p)
{
    if (p <= 0 || p >= 1)
        return p >= 1 ? "certain" : "impossible";
    size_t best = 1;
    double nearest = INFINITY;
    for (size_t i = 1; i + 1 < COUNT(kent); i++) {
        const double away = fmax(0, fmax(kent[i].low - p, p - kent[i].high));
        if (away <= nearest) {
            nearest = away;
            best = i;
        }
    }
    return kent[best].term;
}

const char *words_term(enum word_table t, double p)
{
    if (!(p >= 0 && p <= 1))
        return NULL;
    return t == WORDS_IPCC ? ipcc_term(p) : t == WORDS_KENT ? kent_term(p) : icd203_term(p);
}

const char *words_number(double p, char out[WORDS_TEXT])
{
    if (!(p >= 0 && p <= 1))
        snprintf(out, WORDS_TEXT, "?");
    else if (p < 1 && p >= 0.995)
        snprintf(out, WORDS_TEXT, ">0.99");
    else if (p > 0 && p < 0.005)
        snprintf(out, WORDS_TEXT, "<0.01");
    else
        snprintf(out, WORDS_TEXT, "%.2f", p);
    return out;
}

const char *words_write(enum word_table t, double p, char out[WORDS_TEXT])
{
    char number[WORDS_TEXT];
    const char *term = words_term(t, p);
    words_number(p, number);
    snprintf(out, WORDS_TEXT, "%s (%.8s)", term ? term : "unknown", number);
    return out;
}

const char *word_band_name(enum word_band b)
{
    static const char *const names[WORD_BANDS] = {"answer", "caveat", "decline"};
    return names[b];
}

enum word_band words_band(double confidence, double answer_at, double caveat_at)
{
    if (confidence >= answer_at)
        return BAND_ANSWER;
    return confidence >= caveat_at ? BAND_CAVEAT : BAND_DECLINE;
}

const char *decline_reason_name(enum decline_reason r)
{
    static const char *const names[DECLINE_REASONS] = {"below-threshold", "no-threshold",
                                                       "several-options", "no-confidence"};
    return names[r];
}

static void reason_text(const struct decline *d, char *out, size_t size)
{
    char word[WORDS_TEXT], limit[WORDS_TEXT];
    words_write(d->table, d->confidence, word);
    switch (d->reason) {
    case DECLINE_NO_THRESHOLD:
        snprintf(out, size,
                 "I will not answer: no threshold keeps my errors as rare as was asked for.");
        break;
    case DECLINE_SEVERAL_OPTIONS:
        snprintf(out, size,
                 "I cannot tell: more or fewer than one option remains possible; the "
                 "likeliest is only %s.",
                 word);
        break;
    case DECLINE_NO_CONFIDENCE:
        snprintf(out, size, "I cannot say how sure I am, so I will not answer.");
        break;
    case DECLINE_BELOW_THRESHOLD:
    case DECLINE_REASONS:
    default:
        snprintf(out, size,
                 "I do not know: that my best guess is right is %s, and I answer only from %s up.",
                 word, words_number(d->threshold, limit));
        break;
    }
}

void words_decline(const struct decline *d, char *out, size_t size)
{
    char reason[256], guess[WORDS_TEXT];
    reason_text(d, reason, sizeof reason);
    snprintf(out, size, "%s More context, a search or a person who knows could help.", reason);
    const size_t used = strlen(out);
    if (d->best_guess && used < size)
        snprintf(out + used, size - used, " If I had to guess: %.200s, at %s.", d->best_guess,
                 words_number(d->confidence, guess));
}
