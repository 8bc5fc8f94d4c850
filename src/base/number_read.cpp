/*
 * number_read.cpp - number.h by way of std::from_chars, whose implementation in libstdc++ is fast_float (Lemire, "Number
 * parsing at a gigabyte per second", 2021). C++ because C has nothing of the kind; no exception leaves it.
 */
#include <charconv>
#include <cstring>

extern "C" {
#include "base/number.h"
}

extern "C" bool number_read(const char *s, size_t n, double *out)
{
    double value;
    const char *end = s + n;
    if (n > 1 && s[0] == '+' && s[1] != '-' && s[1] != '+')
        s++;
    /* nan(...) is C's, and nobody's data */
    const std::from_chars_result r = std::from_chars(s, end, value);
    if (r.ec != std::errc() || r.ptr != end || (n > 3 && end[-1] == ')'))
        return false;
    *out = value;
    return true;
}
