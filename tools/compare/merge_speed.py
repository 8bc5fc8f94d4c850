#!/usr/bin/env python3
"""How long `plumb merge` takes beside `cp` of the same bytes on the same disk, and how much memory.

  python3 tools/compare/merge_speed.py PLUMB BASE POST SCRATCH [--method linear] [--repeat 7] [--cold]
                                       [--mergekit MERGEKIT-YAML]
  python3 tools/compare/merge_speed.py --make BASE POST     makes POST: BASE with the low bits of every BF16 weight changed
  python3 tools/compare/merge_speed.py --shape FOLDER       makes FOLDER: random weights of the shape of Llama-3.2-1B, BF16

The merge reads two models, writes one, and ends with fsync. So there are two copies to compare with, both made durable by
`sync`: of one model (it writes as much as the merge and reads half as much), and of both models (it reads as much and writes
twice as much). All are interleaved; the best of each counts, and the median stands beside it. What was written before is removed
and the disk left alone for a moment before each run. --cold takes the inputs out of the page cache before each run; without it
they are in it.

Memory: the largest resident set, and the largest part of it that is no page of a file (RssAnon, looked at every 5 ms).

Needs: numpy for --make and --shape; mergekit for its comparison; Linux.
"""

import argparse
import json
import os
import pathlib
import shutil
import statistics
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


def make_shape(folder):
    import numpy

    hidden, inner, layers, heads, kv, vocabulary = 2048, 8192, 16, 32, 8, 128256
    config = {"architectures": ["LlamaForCausalLM"], "model_type": "llama", "hidden_act": "silu", "hidden_size": hidden,
              "intermediate_size": inner, "num_hidden_layers": layers, "num_attention_heads": heads,
              "num_key_value_heads": kv, "head_dim": 64, "vocab_size": vocabulary, "max_position_embeddings": 131072,
              "rms_norm_eps": 1e-5, "rope_theta": 500000.0, "tie_word_embeddings": True, "torch_dtype": "bfloat16"}
    shapes = {"model.embed_tokens.weight": (vocabulary, hidden), "model.norm.weight": (hidden,)}
    for i in range(layers):
        at = f"model.layers.{i}."
        shapes |= {at + "input_layernorm.weight": (hidden,), at + "post_attention_layernorm.weight": (hidden,),
                   at + "self_attn.q_proj.weight": (hidden, hidden), at + "self_attn.o_proj.weight": (hidden, hidden),
                   at + "self_attn.k_proj.weight": (kv * 64, hidden), at + "self_attn.v_proj.weight": (kv * 64, hidden),
                   at + "mlp.gate_proj.weight": (inner, hidden), at + "mlp.up_proj.weight": (inner, hidden),
                   at + "mlp.down_proj.weight": (hidden, inner)}
    header, end = {}, 0
    for name, shape in shapes.items():
        size = 2 * int(numpy.prod(shape))
        header[name] = {"dtype": "BF16", "shape": list(shape), "data_offsets": [end, end + size]}
        end += size
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    folder.mkdir()
    (folder / "config.json").write_text(json.dumps(config, indent=2) + "\n")
    random = numpy.random.default_rng(1)
    with open(folder / "model.safetensors", "wb") as out:
        out.write(len(text).to_bytes(8, "little") + text)
        while end > 0:
            weights = (random.standard_normal(1 << 22, dtype=numpy.float32) * 0.02).view(numpy.uint32)
            out.write((weights >> 16).astype(numpy.uint16).tobytes()[:end])
            end -= 2 << 22


class Run:
    """Wall and processor seconds, and the largest resident sets in MiB."""

    def __init__(self, *commands):
        self.wall = self.processor = self.memory = self.anonymous = 0.0
        for command in commands:
            self.add([str(word) for word in command])

    def add(self, command):
        begin = time.monotonic()
        child = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        while True:
            pid, status, usage = os.wait4(child.pid, os.WNOHANG)
            if pid:
                break
            self.look(child.pid)
            time.sleep(0.005)
        if status:
            raise SystemExit(f"{command[0]} failed")
        self.wall += time.monotonic() - begin
        self.processor += usage.ru_utime + usage.ru_stime
        self.memory = max(self.memory, usage.ru_maxrss / 1024)

    def look(self, pid):
        try:
            with open(f"/proc/{pid}/status", encoding="ascii") as lines:
                for line in lines:
                    if line.startswith("RssAnon"):
                        self.anonymous = max(self.anonymous, int(line.split()[1]) / 1024)
        except OSError:
            pass


def show(name, runs, size):
    wall = min(r.wall for r in runs)
    print(f"{name:20} best {wall:6.2f} s, median {statistics.median(r.wall for r in runs):6.2f} s, "
          f"{size / wall / 1e6:5.0f} MB/s written, processor {min(r.processor for r in runs):5.2f} s, memory "
          f"{max(r.memory for r in runs):5.0f} MiB, {max(r.anonymous for r in runs):5.0f} of it no file's; all: "
          f"{' '.join(f'{r.wall:.2f}' for r in runs)}", flush=True)


def write_config(path, method, base, post):
    models = f"models:\n- model: {base}\n  parameters: {{weight: 0.7}}\n- model: {post}\n  parameters: {{weight: 0.3}}\n"
    if method == "slerp":
        models = f"models:\n- model: {base}\n- model: {post}\nparameters: {{t: 0.3}}\n"
    path.write_text(f"merge_method: {method}\nbase_model: {base}\n{models}dtype: bfloat16\n")


def compare(o, plumb, base, post, scratch):
    one, both = sorted(post.glob("*.safetensors")), sorted([*post.glob("*.safetensors"), *base.glob("*.safetensors")])
    size = sum(f.stat().st_size for f in one)

    def prepare():
        os.sync()
        time.sleep(0.5)
        for f in both:
            if o.cold:
                with open(f, "rb") as opened:
                    os.posix_fadvise(opened.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
            else:
                subprocess.run(["cat", f], stdout=subprocess.DEVNULL, check=True)

    def copy(files, folder):
        names = []
        for i, f in enumerate(files):
            names.append(f"{folder}/{i}")
        return Run(*(["cp", f, n] for f, n in zip(files, names)), ["sync", *names])

    def merge(folder):
        return Run([plumb, "merge", base, post, "-o", f"{folder}/out", "--method", o.method, "--t", "0.3", "-q"])

    def mergekit(folder):
        config = pathlib.Path(folder) / "merge.yml"
        write_config(config, o.method, base.resolve(), post.resolve())
        return Run([o.mergekit, config, f"{folder}/out", "--no-copy-tokenizer"], ["sync", "-f", folder])

    kinds = {"plumb merge": merge, "cp and sync": lambda folder: copy(one, folder),
             "cp and sync of both": lambda folder: copy(both, folder)}
    runs = {name: [] for name in [*kinds, "mergekit"]}
    for i in range(o.repeat):
        for name, kind in kinds.items():
            prepare()
            with tempfile.TemporaryDirectory(dir=scratch) as folder:
                runs[name].append(kind(folder))
        if o.mergekit and i < 2:
            prepare()
            with tempfile.TemporaryDirectory(dir=scratch) as folder:
                runs["mergekit"].append(mergekit(folder))
    for name, r in runs.items():
        if r:
            show(name, r, size * (2 if name.endswith("both") else 1))
    for name in ("cp and sync", "cp and sync of both"):
        best, middle = (f(r.wall for r in runs[name]) / f(r.wall for r in runs["plumb merge"])
                        for f in (min, statistics.median))
        print(f"{o.method}: {100 * best:.0f} % of the speed of {name} (best), {100 * middle:.0f} % (median)")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("places", nargs="+", type=pathlib.Path)
    parser.add_argument("--make", action="store_true")
    parser.add_argument("--shape", action="store_true")
    parser.add_argument("--method", default="linear")
    parser.add_argument("--repeat", type=int, default=7)
    parser.add_argument("--cold", action="store_true")
    parser.add_argument("--mergekit", type=pathlib.Path)
    o = parser.parse_args()
    if o.make:
        make_post(*o.places)
    elif o.shape:
        make_shape(*o.places)
    else:
        compare(o, *o.places)


if __name__ == "__main__":
    main()
