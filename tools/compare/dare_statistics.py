#!/usr/bin/env python3
"""What two programs' DARE merges have in common, though their random numbers differ: how much is kept, how large, how independent.

    plumb merge demo/base demo/post -o dare --method dare-linear --density 0.3 --dtype f32
    tools/compare/dare_statistics.py demo/base demo/post dare theirs

For each merged folder, over all weights that differ between BASE and POST: the share kept; the sum of |change| over POST's; mean
and variance of what was kept, over those of POST's changes; then how often two merges keep the same element, beside the
product of their shares. Needs numpy; safetensors files in F32 or BF16.
"""
import json
import pathlib
import sys

import numpy as np


def weights(folder):
    found = {}
    for path in sorted(pathlib.Path(folder).glob("*.safetensors")):
        raw = path.read_bytes()
        size = int.from_bytes(raw[:8], "little")
        for name, x in json.loads(raw[8:8 + size]).items():
            if name == "__metadata__":
                continue
            begin, end = x["data_offsets"]
            bits = raw[8 + size + begin:8 + size + end]
            found[name] = (np.frombuffer(bits, "<f4") if x["dtype"] == "F32" else
                           (np.frombuffer(bits, "<u2").astype(np.uint32) << 16).view(np.float32)).astype(np.float64)
    return found


def main():
    base, post, *merged = (weights(folder) for folder in sys.argv[1:])
    names = [n for n in base if n in post and all(n in m for m in merged)]
    change = np.concatenate([post[n] - base[n] for n in names])
    moves = change != 0
    print(f"{len(names)} tensors, {moves.sum()} weights differ between the parents")
    masks = []
    for folder, m in zip(sys.argv[3:], merged):
        found = np.concatenate([m[n] - base[n] for n in names])[moves]
        kept = found != 0
        masks.append(kept)
        print(f"{folder}: kept {kept.mean():.5f}, sum of sizes {np.abs(found).sum() / np.abs(change).sum():.6f} of POST's; "
              f"of what was kept, mean size {np.abs(found[kept]).mean() / np.abs(change[moves]).mean():.4f} and variance "
              f"{found[kept].var() / change[moves].var():.4f} of POST's")
    if len(masks) == 2:
        print(f"both keep {(masks[0] & masks[1]).mean():.5f}, product of shares {masks[0].mean() * masks[1].mean():.5f}")


if __name__ == "__main__":
    main()
