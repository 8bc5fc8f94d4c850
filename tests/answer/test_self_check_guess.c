/*
 * test_self_check_guess.c - of a reply with the model's own guess, the number counts for the answer that is judged, and for no other.
 */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <cmocka.h>

#include "answer/self_check_guess.h"

static const struct {
    const char *words; /* what the case shows */
    enum self_check_ask ask;
    const char *reply, *answer;
    double expected; /* NaN: missing */
    bool other;
} cases[] = {
    {"two lines", ASK_VERBALISED, " Chad\nProbability: 0.8", "Chad", 0.8, false},
    {"one line", ASK_VERBALISED, " Chad Probability: 80%", "Chad", 0.8, false},
    {"case, article and full stop", ASK_VERBALISED, " the chad.\nProbability: .5", "Chad", 0.5,
     false},
    {"another answer", ASK_VERBALISED, " Peru\nProbability: 0.9", "Chad", NAN, true},
    {"the answer, no number", ASK_VERBALISED, " Chad\nI am sure.", "Chad", NAN, false},
    {"nothing at all", ASK_VERBALISED, "", "Chad", NAN, false},
    {"no guess but a number", ASK_VERBALISED, "\nProbability: 0.9", "Chad", NAN, false},
    {"an empty answer is no match", ASK_VERBALISED, "\nProbability: 0.9", "", NAN, false},
    {"an expression", ASK_LINGUISTIC, " Chad\nConfidence: Probably not", "Chad", 0.25, false},
    {"the first of k", ASK_VERBALISED_TOP_K, " Chad\nP1: 0.6\nG2: Peru\nP2: 0.3", "Chad", 0.6,
     false},
    {"the second of k", ASK_VERBALISED_TOP_K, " Peru\nP1: 0.6\nG2: Chad\nP2: 0.3", "Chad", 0.3,
     false},
    {"none of k", ASK_VERBALISED_TOP_K, " Peru\nP1: 0.6\nG2: Mali\nP2: 0.3", "Chad", NAN, true},
    {"behind the k-th", ASK_VERBALISED_TOP_K, " Peru\nP1: 0.6\nG2: Mali\nP2: 0.3\nG3: Chad\nP3: 1",
     "Chad", NAN, true},
    {"the number of another guess", ASK_VERBALISED_TOP_K, " Chad\nG2: Peru\nP2: 0.3", "Chad", NAN,
     false},
};

static void a_number_counts_for_its_own_guess(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        double p = NAN;
        bool other = !cases[i].other;
        const bool found = self_check_guess_read(
            cases[i].ask, 2, cases[i].reply, strlen(cases[i].reply), cases[i].answer, &p, &other);
        if (found != !isnan(cases[i].expected) || other != cases[i].other ||
            (found && fabs(p - cases[i].expected) > 1e-12))
            fail_msg("%s: found %d, p %g, other %d", cases[i].words, found, p, other);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(a_number_counts_for_its_own_guess)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
