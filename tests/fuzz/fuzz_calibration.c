/*
 * fuzz_calibration.c - calibration.json: whatever is taken must give a probability for any logits, and be read again after it
 * was written with a member changed.
 */
#include <stdint.h>
#include <stdlib.h>

#include "calibrate/calibration.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_calibrator(const struct calibrator *c)
{
    static const double rows[][4] = {{1, 2, 3, 4}, {0, 0, 0, 0}, {-700, 700, 0, 1}};
    const int k = c->k ? c->k : 4;
    double z[26] = {0};
    if (calibrator_fault(c))
        abort();
    for (size_t i = 0; i < 3; i++) {
        for (int j = 0; j < k; j++)
            z[j] = rows[i][j % 4];
        for (int g = -1; g < c->n_groups; g++) {
            const double p = calibrator_confidence(c, z, k, g, NULL);
            if (c->form == CALIBRATOR_TEMPERATURE && !(p >= 0 && p <= 1))
                abort();
        }
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct plumb_error e = {0};
    struct calibration c, again;
    struct buffer text = BUFFER_EMPTY;
    if (calibration_parse((const char *)data, size, "fuzz", &c, &e)) {
        if (!*e.message)
            abort();
        return 0;
    }
    check_calibrator(&c.calibrator);
    if (calibration_print_with(&c, "words", json_root(c.document), &text, &e) == PLUMB_OK &&
        calibration_parse(text.data, text.size, "again", &again, &e) == PLUMB_OK)
        calibration_free(&again);
    buffer_free(&text);
    calibration_free(&c);
    return 0;
}
