#!/usr/bin/env python3
"""Makes tests/golden/types.gguf with the writer of the gguf package: a value of every kind, a tensor of every type.

Needs: pip install numpy gguf. Usage: python3 tools/golden/make_gguf.py tests/golden/blocks.bin tests/golden/types.gguf

The quantised tensors hold the blocks of blocks.bin, so that their floats are known from there.
"""
import struct
import sys

import gguf
import numpy as np

V = gguf.GGUFValueType
w = gguf.GGUFWriter(sys.argv[2], "test")
w.add_key_value("v.u8", 200, V.UINT8)
w.add_key_value("v.i8", -100, V.INT8)
w.add_key_value("v.u16", 60000, V.UINT16)
w.add_key_value("v.i16", -30000, V.INT16)
w.add_key_value("v.u32", 4000000000, V.UINT32)
w.add_key_value("v.i32", -2000000000, V.INT32)
w.add_key_value("v.f32", 0.1, V.FLOAT32)
w.add_key_value("v.bool", True, V.BOOL)
w.add_key_value("v.string", "na\u00efve \u65e5\u672c", V.STRING)
w.add_key_value("v.u64", 2**64 - 1, V.UINT64)
w.add_key_value("v.i64", -(2**63), V.INT64)
w.add_key_value("v.f64", 0.1, V.FLOAT64)
w.add_array("a.strings", ["one", "", "three"])
w.add_array("a.ints", [1, -2, 3])
w.add_array("a.floats", [0.5, -0.25])
w.add_array("a.bools", [True, False])

data = open(sys.argv[1], "rb").read()
at = 0
while at < len(data):
    name = data[at:at + 8].rstrip(b"\0").decode()
    size, expected = struct.unpack("<II", data[at + 8:at + 16])
    blocks = data[at + 16:at + 16 + size]
    at += 16 + size + expected
    kind = getattr(gguf.GGMLQuantizationType, name, None)
    if kind is not None:
        w.add_tensor(name, np.frombuffer(blocks, np.uint8).reshape(2, -1), raw_dtype=kind)
values = np.arange(-3, 3).reshape(2, 3)
for name, kind in {"F32": np.float32, "F16": np.float16, "F64": np.float64, "I8": np.int8, "I16": np.int16,
                   "I32": np.int32, "I64": np.int64}.items():
    w.add_tensor(name, values.astype(kind))
bfloats = (values.astype(np.float32).view(np.uint32) >> 16).astype(np.uint16)
w.add_tensor("BF16", bfloats.view(np.uint8).reshape(2, 6), raw_dtype=gguf.GGMLQuantizationType.BF16)
w.write_header_to_file()
w.write_kv_data_to_file()
w.write_tensors_to_file()
w.close()
