/*
 * dtype.c - the table of element types, and the conversions of the plain ones.
 *
 * Knows bytes and numbers, nothing of files. The block types are unpacked in blocks.c. Files and
 * hosts are little-endian.
 */
#include "tensor/dtype.h"

#include <assert.h>

#include "base/size.h"
#include "tensor/blocks.h"

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "plain types are copied as they stand");

struct dtype_facts {
    const char *name;
    uint16_t elements; /* a block */
    uint16_t bytes;    /* a block */
};

static const struct dtype_facts facts[DTYPE_COUNT] = {
    [DTYPE_F32] = {"F32", 1, 4},         [DTYPE_F16] = {"F16", 1, 2},
    [DTYPE_BF16] = {"BF16", 1, 2},       [DTYPE_Q4_0] = {"Q4_0", 32, 18},
    [DTYPE_Q4_1] = {"Q4_1", 32, 20},     [DTYPE_Q5_0] = {"Q5_0", 32, 22},
    [DTYPE_Q5_1] = {"Q5_1", 32, 24},     [DTYPE_Q8_0] = {"Q8_0", 32, 34},
    [DTYPE_Q2_K] = {"Q2_K", 256, 84},    [DTYPE_Q3_K] = {"Q3_K", 256, 110},
    [DTYPE_Q4_K] = {"Q4_K", 256, 144},   [DTYPE_Q5_K] = {"Q5_K", 256, 176},
    [DTYPE_Q6_K] = {"Q6_K", 256, 210},   [DTYPE_F64] = {"F64", 1, 8},
    [DTYPE_I64] = {"I64", 1, 8},         [DTYPE_I32] = {"I32", 1, 4},
    [DTYPE_I16] = {"I16", 1, 2},         [DTYPE_I8] = {"I8", 1, 1},
    [DTYPE_U64] = {"U64", 1, 8},         [DTYPE_U32] = {"U32", 1, 4},
    [DTYPE_U16] = {"U16", 1, 2},         [DTYPE_U8] = {"U8", 1, 1},
    [DTYPE_BOOL] = {"BOOL", 1, 1},       [DTYPE_F8_E4M3] = {"F8_E4M3", 1, 1},
    [DTYPE_F8_E5M2] = {"F8_E5M2", 1, 1},
};

const char *dtype_name(enum dtype t)
{
    assert((unsigned)t < DTYPE_COUNT);
    return facts[t].name;
}

size_t dtype_block_elements(enum dtype t)
{
    assert((unsigned)t < DTYPE_COUNT);
    return facts[t].elements;
}

size_t dtype_block_bytes(enum dtype t)
{
    assert((unsigned)t < DTYPE_COUNT);
    return facts[t].bytes;
}

bool dtype_bytes(enum dtype t, size_t n, size_t *out)
{
    assert((unsigned)t < DTYPE_COUNT);
    if (n % facts[t].elements != 0)
        return false;
    return size_mul(n / facts[t].elements, facts[t].bytes, out);
}

bool dtype_is_float(enum dtype t)
{
    return (unsigned)t <= DTYPE_Q6_K;
}

static inline float float_of_bits(uint32_t u)
{
    float f;
    memcpy(&f, &u, sizeof f);
    return f;
}

static inline uint32_t bits_of_float(float f)
{
    uint32_t u;
    memcpy(&u, &f, sizeof u);
    return u;
}

/*
 * Without branches or selections, so that gcc vectorises the loop over a tensor (four times as fast). The exponent is moved from bias 15
 * to bias 127; infinity and NaN are moved on to the top. A subnormal half becomes 2^-14 + value by
 * setting an exponent, and 2^-14 is then subtracted: exact, and never a subnormal float, so that it
 * holds under flush-to-zero too.
 */
static inline float half_to_float(uint16_t h)
{
    const uint32_t magnitude = (uint32_t)(h & 0x7fff) << 13;
    const uint32_t exponent = magnitude & 0x0f800000u;
    const uint32_t top = 0u - (exponent == 0x0f800000u), tiny = 0u - (exponent == 0); /* masks */
    const uint32_t normal = magnitude + 0x38000000u + (top & 0x38000000u);
    const float subnormal = float_of_bits(magnitude + 0x38800000u) - float_of_bits(0x38800000u);
    const uint32_t bits = (bits_of_float(subnormal) & tiny) | (normal & ~tiny);
    return float_of_bits(bits | (uint32_t)(h & 0x8000) << 16);
}

float f16_to_f32(uint16_t h)
{
    return half_to_float(h);
}

uint16_t f32_to_f16(float f)
{
    const uint32_t bits = bits_of_float(f);
    const uint32_t sign = bits >> 16 & 0x8000;
    const uint32_t magnitude = bits & 0x7fffffff;
    if (magnitude > 0x7f800000u) /* NaN: the upper payload bits stay, and it becomes quiet */
        return (uint16_t)(sign | 0x7e00 | (magnitude >> 13 & 0x3ff));
    if (magnitude >= 0x477ff000u) /* 65520 and above round to infinity */
        return (uint16_t)(sign | 0x7c00);
    /* 2^-25 and below round to zero: the tie, 2^-25 itself, goes to the even one, and that is zero */
    if (magnitude < 0x33000001u)
        return (uint16_t)sign;

    /* Below 2^-14 the half is subnormal: the significand, its hidden bit written out, moves further
     * right. */
    const uint32_t exponent = magnitude >> 23;
    uint32_t kept, shift;
    if (exponent < 113) {
        kept = (magnitude & 0x7fffff) | 0x800000;
        shift = 126 - exponent;
    } else {
        kept = magnitude - (112u << 23);
        shift = 13;
    }
    /* Nearest, ties to even; a carry out of the significand rightly raises the exponent. */
    const uint32_t odd = kept >> shift & 1;
    kept += (1u << (shift - 1)) - 1 + odd;
    return (uint16_t)(sign | kept >> shift);
}

static void halves_to_f32(const uint8_t *from, size_t n, float *to)
{
    VECTOR_LOOP
    for (size_t i = 0; i < n; i++) {
        uint16_t h;
        memcpy(&h, from + 2 * i, sizeof h);
        to[i] = half_to_float(h);
    }
}

static void bfloats_to_f32(const uint8_t *from, size_t n, float *to)
{
    VECTOR_LOOP
    for (size_t i = 0; i < n; i++) {
        uint16_t h;
        memcpy(&h, from + 2 * i, sizeof h);
        to[i] = bf16_to_f32(h);
    }
}

void dtype_to_f32(enum dtype t, const void *from, size_t n, float *to)
{
    assert(dtype_is_float(t));
    assert(n % facts[t].elements == 0);
    switch (t) {
    case DTYPE_F32:
        if (n > 0)
            memcpy(to, from, n * sizeof(float));
        break;
    case DTYPE_F16:
        halves_to_f32(from, n, to);
        break;
    case DTYPE_BF16:
        bfloats_to_f32(from, n, to);
        break;
    default:
        blocks_to_f32(t, from, n / facts[t].elements, to);
        break;
    }
}
