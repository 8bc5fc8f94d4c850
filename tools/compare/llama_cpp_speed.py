#!/usr/bin/env python3
"""Speed beside llama.cpp: prefill of a prompt and making one token after the other, in turn with `plumb bench`, best of each.

    python3 tools/compare/llama_cpp_speed.py PLUMB MODEL MODEL.gguf [--threads N] [--rounds N] [--prompt N] [--tokens N]

MODEL is what plumb opens, MODEL.gguf the same weights for llama.cpp. Needs: pip install llama-cpp-python, which compiles llama.cpp for the
machine at hand.
"""

import argparse
import json
import os
import random
import subprocess
import time

import llama_cpp


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("plumb")
    parser.add_argument("model")
    parser.add_argument("gguf")
    parser.add_argument("--threads", type=int, default=len(os.sched_getaffinity(0)))
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--prompt", type=int, default=512)
    parser.add_argument("--tokens", type=int, default=32)
    options = parser.parse_args()
    llama_cpp.llama_backend_init()
    model = llama_cpp.llama_model_load_from_file(options.gguf.encode(), llama_cpp.llama_model_default_params())
    if not model:
        raise SystemExit(f"llama.cpp cannot open {options.gguf}")
    parameters = llama_cpp.llama_context_default_params()
    parameters.n_ctx = options.prompt + options.tokens + 64
    parameters.n_batch = parameters.n_ubatch = options.prompt
    parameters.n_threads = parameters.n_threads_batch = options.threads
    context = llama_cpp.llama_init_from_model(model, parameters)
    vocabulary = llama_cpp.llama_vocab_n_tokens(llama_cpp.llama_model_get_vocab(model))
    print("llama-cpp-python", llama_cpp.__version__, llama_cpp.llama_print_system_info().decode(), flush=True)

    rng = random.Random(1)

    def run(n):
        tokens = (llama_cpp.llama_token * n)(*[rng.randrange(vocabulary) for _ in range(n)])
        start = time.perf_counter()
        if llama_cpp.llama_decode(context, llama_cpp.llama_batch_get_one(tokens, n)) != 0:
            raise SystemExit("llama_decode failed")
        llama_cpp.llama_synchronize(context)
        return time.perf_counter() - start

    def forget():
        llama_cpp.llama_memory_clear(llama_cpp.llama_get_memory(context), True)

    best = {"llama.cpp": [0.0, 0.0], "plumb": [0.0, 0.0]}

    def keep(name, prefill, decode):
        best[name] = [max(best[name][0], prefill), max(best[name][1], decode)]
        print(f"{name}: prefill {prefill:.1f} tokens/s, one prompt's next tokens {decode:.1f} tokens/s", flush=True)

    run(options.prompt)  # warms up
    for _ in range(options.rounds):
        forget()
        prefill = options.prompt / run(options.prompt)
        forget()
        run(16)
        decode = options.tokens / sum(run(1) for _ in range(options.tokens))
        keep("llama.cpp", prefill, decode)
        out = subprocess.run(
            [options.plumb, "bench", options.model, "--precision", "bf16", "--threads", str(options.threads), "--prompt", str(options.prompt),
             "--rounds", "1", "--json", "--quiet"], stdout=subprocess.PIPE, check=True).stdout
        measured = json.loads(out)
        keep("plumb", measured["prefill_tokens_per_second"], measured["decode"][0]["tokens_per_second"])
    for i, what in enumerate(("prefill", "one prompt's next tokens")):
        ours, theirs = best["plumb"][i], best["llama.cpp"][i]
        print(f"{what}: plumb {ours:.1f}, llama.cpp {theirs:.1f} tokens/s: {ours / theirs:.2f} times")


if __name__ == "__main__":
    main()
