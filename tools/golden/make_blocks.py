#!/usr/bin/env python3
"""Makes tests/golden/blocks.bin: number conversions and ggml blocks by programs that share no code with plumb.

Needs: pip install numpy gguf torch. Usage: python3 tools/golden/make_blocks.py tests/golden/blocks.bin

Layout (little-endian), records until the end of the file: 8 bytes name (NUL-padded), u32 n1, u32 n2, n1 bytes of input,
n2 bytes of expected output. For "Q4_0" and so on: blocks, and f32 by gguf.quants.dequantize. "F32F16" and "F32BF16": f32,
and the halves that numpy and torch round them to. "F16SUM": no input; the 64-bit FNV-1a hash of the bit patterns of all
65,536 halves as numpy turns them into f32, NaN left out.
"""
import struct
import sys

import gguf
import numpy as np
import torch
from gguf.quants import dequantize, quantize

rng = np.random.default_rng(20261021)
T = gguf.GGMLQuantizationType
records = []


def record(name, data, expected):
    records.append(name.encode().ljust(8, b"\0") + struct.pack("<II", len(data), len(expected)) + data + expected)


def scales(n):
    """Halves as real files have them, some negative, some subnormal, some zero."""
    s = (rng.standard_normal(n) * 0.05).astype(np.float16)
    s[rng.random(n) < 0.1] *= np.float16(1e-4)
    s[rng.random(n) < 0.05] = 0
    return s


def random_blocks(kind, n, scale_places):
    elements, size = gguf.GGML_QUANT_SIZES[kind]
    blocks = rng.integers(0, 256, (n, size), dtype=np.uint8)
    for place in scale_places:
        blocks[:, place:place + 2] = scales(n).view(np.uint8).reshape(n, 2)
    return blocks


# where the halves stand in a block (ggml-common.h)
places = {T.Q4_0: [0], T.Q4_1: [0, 2], T.Q5_0: [0], T.Q5_1: [0, 2], T.Q8_0: [0],
          T.Q2_K: [80, 82], T.Q3_K: [108], T.Q4_K: [0, 2], T.Q5_K: [0, 2], T.Q6_K: [208]}
for kind, halves in places.items():
    elements = gguf.GGML_QUANT_SIZES[kind][0]
    blocks = random_blocks(kind, 1024 // elements, halves)
    try:
        x = (rng.standard_normal((1, 1024)) * 0.1).astype(np.float32)
        blocks = np.concatenate([blocks, quantize(x, kind).reshape(1024 // elements, -1)])
    except NotImplementedError:  # the package unpacks the K types only
        blocks = np.concatenate([blocks, random_blocks(kind, 1024 // elements, halves)])
    values = dequantize(blocks.reshape(1, -1), kind).astype(np.float32)
    assert np.isfinite(values).all() and values.size == 2048
    record(kind.name, blocks.tobytes(), values.tobytes())

# floats at and beside every kind of rounding: random ones, ties between halves, the ends of the ranges
halves = rng.integers(0, 0x7C00, 300).astype(np.uint16)
low = halves.view(np.float16).astype(np.float64)
high = (halves + 1).view(np.float16).astype(np.float64)
ties = ((low + high) / 2)[np.isfinite(low + high)].astype(np.float32)
truncated = (rng.integers(0, 0x7F80, 300).astype(np.uint32) << 16 | 0x8000).view(np.float32)
special = np.array([0, 65504, 65519.996, 65520, 1e30, 2.0**-24, 2.0**-25, 2.0**-14, 2.0**-15, 3.4e38, 1e-45, np.inf],
                   dtype=np.float32)
f = np.concatenate([(rng.standard_normal(300) * np.exp2(rng.integers(-30, 20, 300))).astype(np.float32), ties,
                    np.nextafter(ties, np.float32(0)), np.nextafter(ties, np.float32(np.inf)), truncated, special])
f = np.concatenate([f, -f])
with np.errstate(over="ignore"):
    record("F32F16", f.tobytes(), f.astype(np.float16).tobytes())
record("F32BF16", f.tobytes(), torch.from_numpy(f).to(torch.bfloat16).view(torch.int16).numpy().tobytes())

every = np.arange(65536, dtype=np.uint16).view(np.float16).astype(np.float32)
total = 0xCBF29CE484222325
for byte in every[~np.isnan(every)].tobytes():
    total = (total ^ byte) * 0x100000001B3 % 2**64
record("F16SUM", b"", struct.pack("<Q", total))

with open(sys.argv[1], "wb") as out:
    out.write(b"".join(records))
