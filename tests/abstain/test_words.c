/*
 * test_words.c - terms at and between the edges of each table, bands, what a decline says; and reading stated confidence, with every
 * defect that other readers were measured to have.
 */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <cmocka.h>

#include "abstain/stated.h"
#include "abstain/words.h"

static void terms_follow_their_tables(void **state)
{
    static const struct {
        enum word_table table;
        double p;
        const char *term;
    } rows[] = {
        {WORDS_ICD203, 0, "almost no chance"},
        {WORDS_ICD203, .03, "almost no chance"},
        {WORDS_ICD203, .05, "very unlikely"},
        {WORDS_ICD203, .3, "unlikely"},
        {WORDS_ICD203, .5, "roughly even chance"},
        {WORDS_ICD203, .55, "likely"},
        {WORDS_ICD203, .87, "very likely"},
        {WORDS_ICD203, .95, "almost certain"},
        {WORDS_ICD203, 1, "almost certain"},
        {WORDS_IPCC, .995, "virtually certain"},
        {WORDS_IPCC, .99, "extremely likely"},
        {WORDS_IPCC, .92, "very likely"},
        {WORDS_IPCC, .7, "likely"},
        {WORDS_IPCC, .66, "about as likely as not"},
        {WORDS_IPCC, .6, "about as likely as not"},
        {WORDS_IPCC, .33, "about as likely as not"},
        {WORDS_IPCC, .2, "unlikely"},
        {WORDS_IPCC, .07, "very unlikely"},
        {WORDS_IPCC, .02, "extremely unlikely"},
        {WORDS_IPCC, 0, "exceptionally unlikely"},
        {WORDS_IPCC, 1, "virtually certain"},
        {WORDS_KENT, 1, "certain"},
        {WORDS_KENT, .9999, "almost certain"},
        {WORDS_KENT, .93, "almost certain"},
        {WORDS_KENT, .75, "probable"},
        {WORDS_KENT, .61, "chances about even"},
        {WORDS_KENT, .62, "probable"},
        {WORDS_KENT, .3, "probably not"},
        {WORDS_KENT, .15, "almost certainly not"},
        {WORDS_KENT, .17, "probably not"},
        {WORDS_KENT, 0, "impossible"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        assert_string_equal(words_term(rows[i].table, rows[i].p), rows[i].term);
    assert_null(words_term(WORDS_IPCC, NAN));
    assert_null(words_term(WORDS_KENT, 1.01));
}

static void every_probability_has_a_term_and_terms_rise(void **state)
{
    (void)state;
    for (int t = 0; t < WORD_TABLES; t++) {
        size_t n, last = 0;
        const struct word_term *terms = word_table_terms((enum word_table)t, &n);
        for (int i = 0; i <= 10000; i++) {
            const char *term = words_term((enum word_table)t, i / 10000.);
            size_t k = 0;
            while (k < n && strcmp(terms[k].term, term) != 0)
                k++;
            assert_true(k < n && k >= last);
            last = k;
        }
    }
}

static void the_number_stands_beside_the_word_and_never_claims_certainty(void **state)
{
    char text[WORDS_TEXT];
    (void)state;
    assert_string_equal(words_write(WORDS_ICD203, .874, text), "very likely (0.87)");
    assert_string_equal(words_write(WORDS_IPCC, .9999, text), "virtually certain (>0.99)");
    assert_string_equal(words_number(.001, text), "<0.01");
    assert_string_equal(words_number(1, text), "1.00");
    assert_string_equal(words_number(NAN, text), "?");
}

static void three_bands_and_a_missing_confidence_declines(void **state)
{
    (void)state;
    assert_int_equal(words_band(.8, .8, .5), BAND_ANSWER);
    assert_int_equal(words_band(.79, .8, .5), BAND_CAVEAT);
    assert_int_equal(words_band(.49, .8, .5), BAND_DECLINE);
    assert_int_equal(words_band(.79, .8, .8), BAND_DECLINE);
    assert_int_equal(words_band(NAN, .8, .5), BAND_DECLINE);
    assert_int_equal(words_band(1, INFINITY, INFINITY), BAND_DECLINE);
}

static void a_decline_names_its_reason_and_guesses_only_when_asked(void **state)
{
    char text[600];
    struct decline d = {DECLINE_BELOW_THRESHOLD, WORDS_ICD203, .41, .72, NULL};
    (void)state;
    words_decline(&d, text, sizeof text);
    assert_non_null(strstr(text, "unlikely (0.41)"));
    assert_non_null(strstr(text, "from 0.72 up"));
    assert_null(strstr(text, "guess:"));
    d.best_guess = "B";
    words_decline(&d, text, sizeof text);
    assert_non_null(strstr(text, "If I had to guess: B, at 0.41."));
    for (int r = 0; r < DECLINE_REASONS; r++) {
        d.reason = (enum decline_reason)r;
        words_decline(&d, text, sizeof text);
        assert_non_null(strstr(text, "More context, a search or a person"));
        words_decline(&d, text, 20); /* a short buffer is filled, not overrun */
        assert_true(strlen(text) < 20);
    }
}

/* NaN: missing. */
static const struct {
    const char *text, *key;
    double value;
} stated[] = {
    {"Probability: 0.85", "Probability", .85},
    {"Probability: .85", "Probability", .85},
    {"Probability: 85%", "Probability", .85},
    {"Probability: 85 percent.", "Probability", .85},
    {"Probability: 85/100", "Probability", .85},
    {"8 out of 10", NULL, .8},
    {"Probability: 1", "Probability", 1},
    {"Probability: 1.", "Probability", 1},
    {"Probability: 0", "Probability", 0},
    {"Probability: 1%", "Probability", .01},
    {"Probability: 85", "Probability", .85},
    {"Probability: around 0.8", "Probability", .8},
    {"probability = 0,85", "Probability", .85},
    {"**Probability**: 0.9", "Probability", .9},
    {"Probability:\n\n 0.9\n", "Probability", .9},
    {"Guess: Paris\nProbability: 0.2\nGuess: Rome\nProbability: 0.7", "Probability", .7},
    {"Probability: 0.8\nThis probability reflects 3 facts.", "Probability", .8},
    {"G1: Paris P1: 0.6 G2: Rome P2: 0.3", "P2", .3},
    {"The 3rd guess, G1", NULL, NAN},
    {"between 80 and 90", NULL, .9},
    {"80-90%", NULL, .9},
    {"5e-1", NULL, .5},
    {"Probability: -0.5", "Probability", NAN},
    {"Probability: 851", "Probability", NAN},
    {"Probability: 3/0", "Probability", NAN},
    {"Probability: 1.2.3.4e", "Probability", NAN},
    {"Probability: I cannot say", "Probability", NAN},
    {"0.7 and more", "Probability", NAN},
    {"", NULL, NAN},
    /* TruthTorchLM read "0.95" as 0.0095; lm-polygraph missed "1", ".9" and "85%". */
    {"Probability: 0.95", "Probability", .95},
    {"Probability: .9", "Probability", .9},
    /* expressions: lm-polygraph gave 0.70 and 0.20 */
    {"Confidence: Probably Not", "Confidence", .25},
    {"Confidence: Highly Unlikely", "Confidence", .05},
    {"Confidence: We Beleive", "Confidence", .75},
    {"Confidence: almost  certain", "Confidence", .95},
    {"Confidence: not likely", "Confidence", .3},
    {"Confidence: not at all likely", "Confidence", .3},
    {"Confidence: it isn't likely", "Confidence", .3},
    {"Confidence: not unlikely", "Confidence", .8},
    {"Confidence: almost certainly not", "Confidence", .07},
    {"Confidence: Likely\nConfidence: About Even", "Confidence", .5},
    {"Confidence: unlikelyish", "Confidence", NAN},
    {"It is not known; likely", NULL, .7},
    {"Confidence: very likely (0.9)", "Confidence", .9},
};

static void stated_confidence_is_read_or_missing(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof stated / sizeof *stated; i++) {
        double p = -1;
        const bool found =
            stated_probability(stated[i].text, strlen(stated[i].text), stated[i].key, &p);
        if (found != !isnan(stated[i].value) || (found && fabs(p - stated[i].value) > 1e-12))
            fail_msg("\"%s\" read as %g, expected %g", stated[i].text, found ? p : NAN,
                     stated[i].value);
        assert_true(found || p == -1);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(terms_follow_their_tables),
        cmocka_unit_test(every_probability_has_a_term_and_terms_rise),
        cmocka_unit_test(the_number_stands_beside_the_word_and_never_claims_certainty),
        cmocka_unit_test(three_bands_and_a_missing_confidence_declines),
        cmocka_unit_test(a_decline_names_its_reason_and_guesses_only_when_asked),
        cmocka_unit_test(stated_confidence_is_read_or_missing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
