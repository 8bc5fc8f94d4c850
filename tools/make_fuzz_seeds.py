#!/usr/bin/env python3
"""Makes the seeds of the fuzz targets gguf, safetensors, probe and lens_state: small files, good and bad, one for each kind of check.

No requirements. Usage: python3 tools/make_fuzz_seeds.py tests/fuzz/corpus
The bad cases follow the list of ggml's test-gguf and of the reference safetensors reader.
"""
import json
import os
import struct
import sys

U8, I8, U16, I16, U32, I32, F32, BOOL, STRING, ARRAY, U64, I64, F64 = range(13)
FORMATS = {U8: "B", I8: "b", U16: "H", I16: "h", U32: "I", I32: "i", F32: "f", BOOL: "B", U64: "Q", I64: "q", F64: "d"}
TOP = 2**64 - 1


def text(s, size=None):
    s = s if isinstance(s, bytes) else s.encode()
    return struct.pack("<Q", len(s) if size is None else size) + s


def value(kind, v):
    return text(v) if kind == STRING else struct.pack("<" + FORMATS[kind], v)


def key(name, kind, v):
    return text(name) + struct.pack("<I", kind) + value(kind, v)


def array(name, kind, values, count=None):
    head = struct.pack("<IIQ", ARRAY, kind, len(values) if count is None else count)
    return text(name) + head + b"".join(value(kind, v) for v in values)


def tensor(name, shape, kind=0, offset=0, rank=None):
    return (text(name) + struct.pack("<I", len(shape) if rank is None else rank)
            + b"".join(struct.pack("<Q", d) for d in shape) + struct.pack("<IQ", kind, offset))


def gguf(keys=(), tensors=(), data=b"", alignment=32, magic=b"GGUF", version=3, n_tensors=None, n_keys=None):
    head = magic + struct.pack("<IQQ", version, len(tensors) if n_tensors is None else n_tensors,
                               len(keys) if n_keys is None else n_keys)
    head += b"".join(keys) + b"".join(tensors)
    if tensors:
        head += b"\0" * (-len(head) % alignment)
    return head + data


every_kind = [key("k%d" % k, k, 1 if k != STRING else "one") for k in range(13) if k != ARRAY]
every_array = [array("a%d" % k, k, [1, 0] if k != STRING else ["x", "", "\u00e9"]) for k in range(13) if k != ARRAY]
blocks = {2: (32, 18), 3: (32, 20), 6: (32, 22), 7: (32, 24), 8: (32, 34), 10: (256, 84), 11: (256, 110),
          12: (256, 144), 13: (256, 176), 14: (256, 210)}


def of_every_type():
    infos, data = [], b""
    for kind, (elements, size) in blocks.items():
        infos.append(tensor("t%d" % kind, [elements], kind, len(data)))
        data += bytes(range(size)) + b"\0" * (-size % 32)
    return gguf(tensors=infos, data=data)


GGUF = {
    "good_empty": gguf(),
    "good_keys": gguf(every_kind + every_array),
    "good_types": of_every_type(),
    "good_tensors": gguf([key("general.architecture", STRING, "llama")],
                         [tensor("x", [2, 3]), tensor("y", [4], 1, 32), tensor("z", [2], 30, 64)], bytes(range(68))),
    "good_version_2": gguf(version=2, tensors=[tensor("x", [1])], data=b"\0" * 4),
    "good_align_64": gguf([key("general.alignment", U32, 64)], [tensor("x", [1]), tensor("y", [1], 0, 64)],
                          b"\0" * 68, alignment=64),
    "good_align_1": gguf([key("general.alignment", U32, 1)], [tensor("x", [1], 24), tensor("y", [1], 24, 1)],
                         b"ab", alignment=1),
    "good_zero_dim": gguf(tensors=[tensor("x", [0, 3])]),
    "good_scalar": gguf(tensors=[tensor("x", [])], data=b"\0" * 4),
    "good_split": gguf([key("split.no", U16, 0), key("split.count", U16, 1), key("split.tensors.count", I32, 0)]),
    "header_bad_magic": gguf(magic=b"FUGG"),
    "header_bad_version_0": gguf(version=0),
    "header_bad_version_1": gguf(version=1),
    "header_bad_version_future": gguf(version=4),
    "header_big_endian": b"GGUF" + struct.pack(">IQQ", 3, 0, 0),
    "header_bad_n_tensors": gguf(n_tensors=TOP),
    "header_bad_n_kv": gguf(n_keys=TOP),
    "header_short": gguf()[:19],
    "kv_bad_key_size": gguf([text("k", TOP) + b"\4\0\0\0\0\0\0\0"]),
    "kv_empty_key": gguf([key("", U32, 1)]),
    "kv_bad_type": gguf([text("k") + struct.pack("<II", 13, 0)]),
    "kv_bad_bool": gguf([key("k", BOOL, 2)]),
    "kv_bad_string_size": gguf([text("k") + struct.pack("<I", STRING) + text("abc", TOP)]),
    "kv_bad_array_size": gguf([array("k", U64, [1], 2**61 + 1)]),
    "kv_bad_strings_size": gguf([array("k", STRING, ["a"], 2**60 + 1)]),
    "kv_bad_string_in_array": gguf([text("k") + struct.pack("<IIQ", ARRAY, STRING, 1) + text("abc", TOP)]),
    "kv_nested_array": gguf([text("k") + struct.pack("<IIQ", ARRAY, ARRAY, 1) + struct.pack("<IQ", U8, 0)]),
    "kv_duplicate_key": gguf([key("k", U32, 1), key("k", U32, 2)]),
    "kv_bad_align": gguf([key("general.alignment", U32, 13)]),
    "kv_zero_align": gguf([key("general.alignment", U32, 0)]),
    "kv_huge_align": gguf([key("general.alignment", U32, 2**31)]),
    "kv_wrong_type_align": gguf([key("general.alignment", I32, 32)]),
    "tensors_bad_name_size": gguf(tensors=[tensor("n" * 64, [1])], data=b"\0" * 4),
    "tensors_empty_name": gguf(tensors=[tensor("", [1])], data=b"\0" * 4),
    "tensors_nul_name": gguf(tensors=[tensor("a\0b", [1])], data=b"\0" * 4),
    "tensors_bad_n_dims": gguf(tensors=[tensor("x", [1] * 5)], data=b"\0" * 4),
    "tensors_huge_n_dims": gguf(tensors=[tensor("x", [1], rank=2**32 - 1)], data=b"\0" * 4),
    "tensors_bad_shape": gguf(tensors=[tensor("x", [TOP])], data=b"\0" * 4),
    "tensors_ne_too_big": gguf(tensors=[tensor("x", [2**32, 2**32])], data=b"\0" * 4),
    "tensors_nbytes_too_big": gguf(tensors=[tensor("x", [2**61 + 4], 27)], data=b"\0" * 32),
    "tensors_bad_type": gguf(tensors=[tensor("x", [32], 43)], data=b"\0" * 32),
    "tensors_removed_type": gguf(tensors=[tensor("x", [32], 4)], data=b"\0" * 32),
    "tensors_bad_row": gguf(tensors=[tensor("x", [16, 2], 2)], data=b"\0" * 32),
    "tensors_bad_offset": gguf(tensors=[tensor("x", [1], 0, 1)], data=b"\0" * 32),
    "tensors_duplicate_name": gguf(tensors=[tensor("x", [1]), tensor("x", [1], 0, 32)], data=b"\0" * 36),
    "tensors_inconsistent_align": gguf([key("general.alignment", U32, 64)],
                                       [tensor("x", [8]), tensor("y", [8], 0, 32)], b"\0" * 128),
    "data_not_enough": gguf(tensors=[tensor("x", [8])], data=b"\0" * 31),
    "data_missing": gguf(tensors=[tensor("x", [8])])[:-1],
    "data_size_overflow": gguf(tensors=[tensor("x", [2**63 - 64], 24), tensor("y", [2**63 - 64], 24, 2**63 - 64)],
                               data=b"\0" * 64),
    "data_pad_overflow": gguf(tensors=[tensor("x", [64], 24, 2**64 - 32)], data=b"\0" * 64),
    "data_overlap": gguf(tensors=[tensor("x", [9]), tensor("y", [1], 0, 32)], data=b"\0" * 64),
}


def st(header, data=b"", size=None):
    header = header if isinstance(header, bytes) else json.dumps(header, separators=(",", ":")).encode()
    return struct.pack("<Q", len(header) if size is None else size) + header + data


def info(dtype, shape, begin, end):
    return {"dtype": dtype, "shape": shape, "data_offsets": [begin, end]}


one = info("U8", [1], 0, 1)
SAFETENSORS = {
    "good_empty": st({}),
    "good_metadata": st({"__metadata__": {"format": "pt", "\u00e9": "\n"}}),
    "good_two": st({"b": info("F32", [2], 4, 12), "a": info("BF16", [2], 0, 4)}, bytes(12)),
    "good_types": st({t: info(t, [2], 16 * i, 16 * i + 16) for i, t in enumerate(["F64", "I64", "U64"])}, bytes(48)),
    "good_scalar_zero_dim": st({"s": info("F16", [], 0, 2), "z": info("F32", [0, 9], 2, 2)}, bytes(2)),
    "good_padded": st(b"{}      "),
    "short_file": b"\2\0\0\0",
    "header_too_long": st(b"{}", size=100000001),
    "header_beyond_file": st(b"{}", size=3),
    "header_top": st(b"{}", size=TOP),
    "header_empty": st(b""),
    "header_no_object": st(b"[]"),
    "header_leading_space": st(b" {}"),
    "header_open": st(b'{"x":'),
    "header_trailing": st(b"{} x"),
    "header_not_utf8": st(b'{"\xff":1}'),
    "header_duplicate": st(b'{"x":%s,"x":%s}' % ((json.dumps(one).encode(),) * 2), b"a"),
    "metadata_number": st({"__metadata__": {"a": 1}}),
    "metadata_array": st({"__metadata__": []}),
    "tensor_array": st({"x": []}),
    "tensor_no_dtype": st({"x": {"shape": [1], "data_offsets": [0, 1]}}, b"a"),
    "tensor_no_shape": st({"x": {"dtype": "U8", "data_offsets": [0, 1]}}, b"a"),
    "tensor_no_offsets": st({"x": {"dtype": "U8", "shape": [1]}}, b"a"),
    "tensor_nul_name": st({"a\0b": one}, b"a"),
    "dtype_unknown": st({"x": info("Q4_K", [1], 0, 1)}, b"a"),
    "dtype_f4": st({"x": info("F4", [2], 0, 1)}, b"a"),
    "shape_negative": st({"x": info("U8", [-1], 0, 1)}, b"a"),
    "shape_fraction": st({"x": info("U8", [1.5], 0, 1)}, b"a"),
    "shape_rank_9": st({"x": info("U8", [1] * 9, 0, 1)}, b"a"),
    "shape_overflow": st({"x": info("U8", [2**32, 2**32], 0, 0)}),
    "bytes_overflow": st({"x": info("F32", [2**62], 0, 0)}),
    "offsets_one": st({"x": {"dtype": "U8", "shape": [1], "data_offsets": [0]}}, b"a"),
    "offsets_reversed": st({"x": info("U8", [1], 1, 0)}, b"a"),
    "offsets_huge": st({"x": info("U8", [2**63 - 1], 0, 2**63 - 1)}, b"a"),
    "offsets_beyond": st({"x": info("U8", [1], 2**64, 2**64 + 1)}, b"a"),
    "size_mismatch": st({"x": info("F32", [2], 0, 4)}, bytes(4)),
    "hole": st({"x": info("U8", [1], 0, 1), "y": info("U8", [1], 2, 3)}, b"abc"),
    "overlap": st({"x": info("U8", [2], 0, 2), "y": info("U8", [2], 1, 3)}, b"abc"),
    "cut_short": st({"x": info("U8", [4], 0, 4)}, b"abc"),
    "not_covered": st({"x": info("U8", [1], 0, 1)}, b"ab"),
}



def floats(tensors, notes, kind="F64"):
    """A safetensors file of constant tensors {name: (shape, number)} with metadata."""
    header, data = {"__metadata__": notes}, b""
    for name, (shape, number) in tensors.items():
        count = 1
        for size in shape:
            count *= size
        part = struct.pack("<" + ("d" if kind == "F64" else "f"), number) * count
        header[name] = info(kind, shape, len(data), len(data) + len(part))
        data += part
    return st(header, data)


def probe(units=0, d=3, scale=1.0, **changes):
    note = {"version": 1, "model_fingerprint": "0" * 32, "model": "m", "preset": "clean", "preset_hash": "1" * 32,
            "score": "letters", "precision": "f32", "task": "t", "task_hash": "2" * 32, "target": "right",
            "kept_together": "group", "layer": 1, "hidden_size": 2, "features": 1, "folds": 2, "seed": 0,
            "questions": 4, "strength": 0.1, "question_alone": False, "nested": {"auroc": 0.75}}
    note.update(changes)
    tensors = {"mean": ([d], 0.0), "scale": ([d], scale), "weight": ([d], 0.5), "bias": ([1], -1.0)}
    if units:
        tensors.update({"hidden": ([units, d], 0.1), "hidden_bias": ([units], 0.0), "out": ([units], 1.0),
                        "out_bias": ([1], 0.0)})
    return floats(tensors, {"plumb_probe": json.dumps(note)})


PROBE = {
    "logistic": probe(), "network": probe(units=2), "no_layer": probe(layer=-1, hidden_size=0, features=3),
    "other_version": probe(version=2), "more_features": probe(features=9), "layer_without_states": probe(hidden_size=0, features=3),
    "scale_nought": probe(scale=0.0), "not_finite": probe(scale=float("inf")), "no_note": st({}), "note_cut": st(
        {"__metadata__": {"plumb_probe": '{"version": 1'}}),
}


def lens_state(parts, steps="7", fit="a fit", number=2.0, layers=2, d=3):  # the last byte: even for SGD, odd for AdamW
    names = ["", "first.", "second."][:parts]
    tensors = {name + kind: ([layers * d * (d if kind == "weight" else 1)], number)
               for name in names for kind in ("weight", "bias")}
    return floats(tensors, {"format": "plumb-lens-state", "fit": fit, "steps": steps}, "F32")


LENS_STATE = {
    "sgd": lens_state(2), "adamw": lens_state(3, number=0.5), "other_fit": lens_state(2, fit="b"),
    "no_steps": lens_state(2, steps="0"), "steps_in_words": lens_state(2, steps="7x"), "too_small": lens_state(2, d=2),
    "not_finite": lens_state(2, number=float("inf")), "no_notes": st({}),
}

for target, seeds in {"gguf": GGUF, "safetensors": SAFETENSORS, "probe": PROBE, "lens_state": LENS_STATE}.items():
    folder = os.path.join(sys.argv[1], target)
    os.makedirs(folder, exist_ok=True)
    for name, data in seeds.items():
        with open(os.path.join(folder, name), "wb") as out:
            out.write(data)
