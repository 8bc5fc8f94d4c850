#!/usr/bin/env python3
"""Reference perplexity of a model folder on a text, from transformers in f32, by both usual windowings.

  python3 tools/compare/perplexity_reference.py FOLDER TEXT [--tokens 20000] [--bos ID] [--protocol A|B|both]
  python3 tools/compare/perplexity_reference.py --make-text MMLU/test TEXT

Protocol A: windows of 2048 tokens that do not overlap; every token of a window but its first is scored. Protocol B:
windows of 512 tokens; of each the second half is scored (tokens 256 to 511). The last, short window is left out of both.
With --bos the first token of every window is replaced by it. Prints one JSON object a protocol: perplexity, mean negative
log-likelihood in nats, tokens scored, and the share of scored tokens that were the model's first choice.

--make-text writes 20,000 tokens' worth of real prose: the questions of MMLU's history subjects, in file order.

Needs: torch, transformers >= 5, tokenizers.
"""

import argparse
import csv
import json
import math
import pathlib

import tokenizers
import torch
import transformers

PROTOCOLS = {"A": (2048, 1), "B": (512, 256)}  # window, first scored token
SUBJECTS = ("high_school_european_history", "high_school_us_history", "high_school_world_history")


def make_text(mmlu, path, characters=120000):
    parts = []
    for subject in SUBJECTS:
        with open(mmlu / f"{subject}_test.csv", newline="", encoding="utf-8") as f:
            parts += [row[0] for row in csv.reader(f)]
    path.write_text("\n\n".join(parts)[:characters] + "\n", encoding="utf-8")


def perplexity(model, ids, window, first, bos):
    total = hits = scored = 0
    for start in range(0, len(ids) - window + 1, window):
        x = torch.tensor([ids[start:start + window]])
        targets = x[0, first:].clone()
        if bos is not None:
            x[0, 0] = bos
        with torch.no_grad():
            logits = model(input_ids=x, use_cache=False).logits[0, first - 1:-1]
        total += torch.nn.functional.cross_entropy(logits, targets, reduction="none").double().sum().item()
        hits += int((logits.argmax(-1) == targets).sum())
        scored += len(targets)
    return {"perplexity": math.exp(total / scored), "nll": total / scored, "tokens": scored, "first_choice": hits / scored}


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("folder", type=pathlib.Path, nargs="?")
    parser.add_argument("text", type=pathlib.Path)
    parser.add_argument("--make-text", type=pathlib.Path, metavar="MMLU")
    parser.add_argument("--tokens", type=int, default=20000)
    parser.add_argument("--bos", type=int)
    parser.add_argument("--protocol", choices=("A", "B", "both"), default="both")
    parser.add_argument("--threads", type=int, default=1)
    options = parser.parse_args()
    if options.make_text:
        make_text(options.make_text, options.text)
        return
    torch.set_num_threads(options.threads)
    transformers.logging.disable_progress_bar()
    tokenizer = tokenizers.Tokenizer.from_file(str(options.folder / "tokenizer.json"))
    model = transformers.AutoModelForCausalLM.from_pretrained(options.folder, dtype=torch.float32,
                                                             attn_implementation="sdpa")
    ids = tokenizer.encode(options.text.read_text(encoding="utf-8"), add_special_tokens=False).ids[:options.tokens]
    for name, (window, first) in PROTOCOLS.items():
        if options.protocol in (name, "both"):
            print(json.dumps({"protocol": name, "model": options.folder.name,
                              **perplexity(model, ids, window, first, options.bos)}), flush=True)


if __name__ == "__main__":
    main()
