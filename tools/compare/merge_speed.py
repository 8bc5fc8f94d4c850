#!/usr/bin/env python3
"""How long `plumb merge` takes beside `cp` of the model that it writes, on the same disk, and how much memory.

  python3 tools/compare/merge_speed.py PLUMB BASE POST SCRATCH [--method linear] [--repeat 5] [--mergekit MERGEKIT-YAML]
  python3 tools/compare/merge_speed.py --make BASE POST     makes POST: BASE with the low bits of every BF16 weight changed

Merges and copies are interleaved; the best of each counts, so that another program's load tells on both. plumb's merge ends
with fsync, so the copy is made durable too (`cp` and `sync`), and its time without that is shown beside. The merge reads two
models and writes one; the copy reads one and writes one. Memory is the child's largest resident set, mapped pages of the
inputs included.

Needs: numpy for --make; mergekit for its comparison.
"""

import argparse
import os
import pathlib
import shutil
import subprocess
import tempfile
import time


def make_post(base, post):
    import numpy

    post.mkdir()
    for source in base.iterdir():
        if source.suffix != ".safetensors":
            shutil.copy(source, post)
            continue
        raw = numpy.fromfile(source, numpy.uint8)
        weights = raw[8 + int.from_bytes(raw[:8].tobytes(), "little"):].view(numpy.uint16)
        weights ^= ((numpy.arange(weights.size, dtype=numpy.uint32) * numpy.uint32(2654435761)) >> 28).astype(numpy.uint16)
        raw.tofile(post / source.name)


def run(*command):
    """Wall seconds, processor seconds and the largest resident set in MiB."""
    begin = time.monotonic()
    child = subprocess.Popen([str(c) for c in command], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    _, status, usage = os.wait4(child.pid, 0)
    if status:
        raise SystemExit(f"{command[0]} failed")
    return time.monotonic() - begin, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024


def show(name, runs, size):
    wall = min(r[0] for r in runs)
    print(f"{name:16} best {wall:6.2f} s ({size / wall / 1e6:5.0f} MB/s written), processor {min(r[1] for r in runs):5.2f} s, "
          f"memory {max(r[2] for r in runs):5.0f} MiB; all: {' '.join(f'{r[0]:.2f}' for r in runs)}", flush=True)
    return wall


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("places", nargs="+", type=pathlib.Path)
    parser.add_argument("--make", action="store_true")
    parser.add_argument("--method", default="linear")
    parser.add_argument("--repeat", type=int, default=5)
    parser.add_argument("--mergekit", type=pathlib.Path)
    o = parser.parse_args()
    if o.make:
        return make_post(*o.places)
    plumb, base, post, scratch = o.places
    files = sorted(post.glob("*.safetensors"))
    size = sum(f.stat().st_size for f in files)
    runs = {"plumb merge": [], "cp and sync": [], "cp": [], "mergekit": []}
    for f in [*files, *base.glob("*.safetensors")]:
        subprocess.run(["cat", f], stdout=subprocess.DEVNULL, check=True)  # all from the page cache
    for i in range(o.repeat):
        with tempfile.TemporaryDirectory(dir=scratch) as folder:
            runs["plumb merge"].append(run(plumb, "merge", base, post, "-o", f"{folder}/out", "--method", o.method, "--t", "0.3"))
        with tempfile.TemporaryDirectory(dir=scratch) as folder:
            copied = run("cp", *files, folder)
            synced = run("sync", *[f"{folder}/{f.name}" for f in files])
            runs["cp"].append(copied)
            runs["cp and sync"].append((copied[0] + synced[0], copied[1] + synced[1], copied[2]))
        if o.mergekit and i < 2:
            with tempfile.TemporaryDirectory(dir=scratch) as folder:
                config = pathlib.Path(folder) / "merge.yml"
                models = f"models:\n- model: {base.resolve()}\n  parameters: {{weight: 0.7}}\n- model: {post.resolve()}\n"
                models += "  parameters: {weight: 0.3}\n"
                own = "parameters: {t: 0.3}\n" if o.method == "slerp" else ""
                if o.method == "slerp":
                    models = f"models:\n- model: {base.resolve()}\n- model: {post.resolve()}\n"
                config.write_text(f"merge_method: {o.method}\nbase_model: {base.resolve()}\n{models}{own}dtype: bfloat16\n")
                runs["mergekit"].append(run(o.mergekit, config, f"{folder}/out", "--no-copy-tokenizer"))
    best = {name: show(name, r, size) for name, r in runs.items() if r}
    print(f"{o.method}: {100 * best['cp and sync'] / best['plumb merge']:.0f} % of the speed of cp and sync, "
          f"{100 * best['cp'] / best['plumb merge']:.0f} % of cp alone")


if __name__ == "__main__":
    main()
