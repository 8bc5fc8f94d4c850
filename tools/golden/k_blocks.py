"""Random, valid ggml K-quant blocks: quantised weights without a quantiser.

The gguf package unpacks K-quants but cannot make them. Any bytes are valid codes and scales, so blocks are drawn at random
and only the half-precision scales of each block are set, such that the unpacked values have the wanted size and a mean
near 0. Layouts: ggml's block_q2_K ... block_q6_K.
"""

import gguf
import numpy

ROW = 256  # values a block
# bytes a block; offset of d; offset of dmin or None; dmin / d that centres the values (mean code)
LAYOUT = {
    "Q2_K": (84, 80, 82, 1.5),
    "Q3_K": (110, 108, None, 0.0),
    "Q4_K": (144, 0, 2, 7.5),
    "Q5_K": (176, 0, 2, 15.5),
    "Q6_K": (210, 208, None, 0.0),
}


def random_blocks(kind, shape, rms, generator):
    """(bytes [rows, bytes of a row] u8, the values that they unpack to [rows, columns] f32)."""
    size, at_d, at_dmin, ratio = LAYOUT[kind]
    rows, columns = shape
    assert columns % ROW == 0, (kind, shape)
    raw = generator.integers(0, 256, (rows, columns // ROW, size), dtype=numpy.uint8)

    def set_scale(d):
        d = d * generator.uniform(0.7, 1.3, raw.shape[:2])  # blocks differ
        for at, value in ((at_d, d), (at_dmin, d * ratio)):
            if at is not None:
                raw[:, :, at:at + 2] = value.astype("<f2")[..., None].view(numpy.uint8)

    def values():
        return gguf.dequantize(raw.reshape(rows, -1), gguf.GGMLQuantizationType[kind]).reshape(shape)

    set_scale(0.01)
    set_scale(0.01 * rms / float(numpy.sqrt(numpy.mean(values() ** 2))))
    return raw.reshape(rows, -1), values()
