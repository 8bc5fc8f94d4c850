#!/usr/bin/env python3
"""Perplexity of a model folder on a text from transformers in f32, token for token as `plumb perplexity` defines it.

  python3 tools/compare/perplexity_reference.py --make-text MMLU/test TEXT
  python3 tools/compare/perplexity_reference.py FOLDER TEXT [--protocol gptq|llama.cpp|both] [--bos ID] [--per-token FILE]
  python3 tools/compare/perplexity_reference.py --compare OURS THEIRS

gptq: windows of 2048 tokens that do not overlap; every token of a window but its first is scored. llama.cpp: windows of 512
tokens, of which tokens 257 to 511 (counted from 0) are scored: what its perplexity tool does with its default context. A
last window that is not full is left out of both. --bos ID puts that token in front of the text, as the model's own tokenizer
would; under llama.cpp it also replaces the first token of every window, under gptq only with --bos-each.

--per-token writes FILE.PROTOCOL: a line for each scored token: place in the text, id, log-probability, the model's first
choice; `plumb perplexity --per-token` writes the same, and --compare tells how often the first choices are the same and how
far the log-probabilities are apart. --make-text writes some 20,000 tokens of prose: the questions of MMLU's history subjects.

Needs: torch, transformers >= 5, tokenizers.
"""

import argparse
import csv
import json
import math
import pathlib

PROTOCOLS = {"gptq": (2048, 1), "llama.cpp": (512, 257)}  # window, first scored token
SUBJECTS = ("high_school_european_history", "high_school_us_history", "high_school_world_history")


def make_text(mmlu, path, characters=120000):
    parts = []
    for subject in SUBJECTS:
        with open(mmlu / f"{subject}_test.csv", newline="", encoding="utf-8") as f:
            parts += [row[0] for row in csv.reader(f)]
    path.write_text("\n\n".join(parts)[:characters] + "\n", encoding="utf-8")


def score(model, ids, window, first, bos):
    """yields (place in the text, id, log-probability, first choice)"""
    import torch
    for start in range(0, len(ids) - window + 1, window):
        x = torch.tensor([ids[start:start + window]])
        targets = x[0, first:].clone()
        if bos is not None:
            x[0, 0] = bos
        with torch.no_grad():
            hidden = model.model(input_ids=x, use_cache=False).last_hidden_state[:, first - 1:-1]
            for at in range(0, len(targets), 256):
                logits = model.lm_head(hidden[0, at:at + 256])
                part = targets[at:at + 256]
                log_probability = -torch.nn.functional.cross_entropy(logits, part, reduction="none")
                yield from zip(range(start + first + at, start + window), part.tolist(), log_probability.tolist(),
                               logits.argmax(-1).tolist())


def reference(options):
    import tokenizers
    import torch
    import transformers
    torch.set_num_threads(options.threads)
    transformers.logging.disable_progress_bar()
    tokenizer = tokenizers.Tokenizer.from_file(str(options.paths[0] / "tokenizer.json"))
    model = transformers.AutoModelForCausalLM.from_pretrained(options.paths[0], dtype=torch.float32,
                                                              attn_implementation="sdpa")
    ids = tokenizer.encode(options.paths[1].read_text(encoding="utf-8"), add_special_tokens=False).ids
    if options.bos is not None:
        ids = [options.bos] + ids
    ids = ids[:options.tokens]
    for name, (window, first) in PROTOCOLS.items():
        if options.protocol not in (name, "both"):
            continue
        each = options.bos if name == "llama.cpp" or options.bos_each else None
        rows = list(score(model, ids, window, first, each))
        nll = -math.fsum(row[2] for row in rows) / len(rows)
        print(json.dumps({"protocol": name, "model": options.paths[0].name, "tokens": len(ids), "scored": len(rows),
                          "bos_each_window": each is not None, "nll": nll, "perplexity": math.exp(nll),
                          "first_choice": sum(row[1] == row[3] for row in rows) / len(rows)}), flush=True)
        if options.per_token:
            with open(f"{options.per_token}.{name}", "w", encoding="ascii") as f:
                f.writelines(f"{place}\t{token}\t{value:.6f}\t{best}\n" for place, token, value, best in rows)


def compare(ours, theirs):
    rows = []
    for path in (ours, theirs):
        with open(path, encoding="ascii") as f:
            rows.append([line.split("\t") for line in f if line[0] != "#"])
    if [row[:2] for row in rows[0]] != [row[:2] for row in rows[1]]:
        raise SystemExit("not the same tokens at the same places")
    n = len(rows[0])
    perplexities = [math.exp(-math.fsum(float(row[2]) for row in part) / n) for part in rows]
    print(json.dumps({
        "scored": n, "perplexity": perplexities, "ratio": perplexities[0] / perplexities[1],
        "same_first_choice": sum(a[3] == b[3] for a, b in zip(*[[[f.strip() for f in row] for row in part]
                                                               for part in rows])) / n,
        "largest_difference": max(abs(float(a[2]) - float(b[2])) for a, b in zip(*rows))}))


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("paths", type=pathlib.Path, nargs="+", metavar="FOLDER TEXT")
    parser.add_argument("--make-text", type=pathlib.Path, metavar="MMLU")
    parser.add_argument("--compare", action="store_true")
    parser.add_argument("--tokens", type=int, default=20000)
    parser.add_argument("--bos", type=int)
    parser.add_argument("--bos-each", action="store_true")
    parser.add_argument("--protocol", choices=(*PROTOCOLS, "both"), default="both")
    parser.add_argument("--per-token", metavar="FILE")
    parser.add_argument("--threads", type=int, default=1)
    options = parser.parse_args()
    if len(options.paths) != (1 if options.make_text else 2):
        parser.error("expected FOLDER TEXT")
    if options.make_text:
        make_text(options.make_text, options.paths[0])
    elif options.compare:
        compare(*options.paths)
    else:
        reference(options)


if __name__ == "__main__":
    main()
