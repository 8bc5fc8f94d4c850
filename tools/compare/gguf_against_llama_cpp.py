#!/usr/bin/env python3
"""Checks the golden GGUF files against llama.cpp: are they the files that it means, and does it compute the same?

  python3 tools/compare/gguf_against_llama_cpp.py [CASE ...]

Needs: cyllama (Python bindings that carry llama.cpp), numpy, safetensors. Prints for each case the largest difference of
any logit, over all positions of all golden sequences. llama.cpp is not the reference here: it rounds activations to the
weights' type (quantised, F16 and BF16 cases differ by 1e-2 to 5e-1), takes GELU from a table in f16 (1e-3 to 8e-3), and
chooses longrope's factors by the size of its context, here 256, not by the length of the sequence (phi3-longrope and phi4-mini
differ on the sequence of 7 tokens). Everything else agrees to 6e-5. It has no q and k norms for a small command-r.
"""

import pathlib
import sys

import numpy
from cyllama.llama import llama_cpp
from safetensors.numpy import load_file

ROOT = pathlib.Path(__file__).resolve().parents[2] / "tests" / "golden" / "models"


class Model(llama_cpp.LlamaModel):
    """The binding's get_logits_ith asks its model for n_vocab, which it lacks."""

    @property
    def n_vocab(self):
        return self.get_vocab().n_vocab


def logits_of(model, ids, vocabulary):
    p = llama_cpp.LlamaContextParams()
    p.n_ctx, p.n_batch, p.n_ubatch, p.n_threads, p.n_threads_batch = 256, 256, 256, 1, 1
    p.type_k = p.type_v = 0  # f32
    p.flash_attn_type = 0
    context = llama_cpp.LlamaContext(model, p, verbose=False)
    batch = llama_cpp.LlamaBatch(n_tokens=len(ids), embd=0, n_seq_max=1)
    for i, t in enumerate(ids):
        batch.add(int(t), i, [0], True)
    context.decode(batch)
    rows = [numpy.array(context.get_logits_ith(i), dtype=numpy.float32)[:vocabulary] for i in range(len(ids))]
    context.close()
    return numpy.stack(rows)


def main():
    cases = sys.argv[1:] or sorted(p.parent.name for p in ROOT.glob("*/model.gguf"))
    for case in cases:
        golden = load_file(ROOT / case / "golden.safetensors")
        p = llama_cpp.LlamaModelParams()
        p.n_gpu_layers = 0
        p.use_extra_bufts = False
        try:
            model = Model(str(ROOT / case / "model.gguf"), p, verbose=False)
        except Exception as e:  # the binding reports what llama.cpp printed
            print(f"{case:24s} does not load: {e}")
            continue
        worst = []
        i = 0
        while f"input_ids_{i}" in golden:
            want = golden[f"logits_{i}"]
            worst.append(float(numpy.abs(logits_of(model, golden[f"input_ids_{i}"], want.shape[1]) - want).max()))
            i += 1
        print(f"{case:24s} {'  '.join(f'{w:8.1e}' for w in worst)}  {'' if max(worst) < 1e-2 else 'DIFFERS'}", flush=True)


if __name__ == "__main__":
    main()
