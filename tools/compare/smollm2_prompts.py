#!/usr/bin/env python3
"""Reference next-token logits of a real model (made for SmolLM2-135M-Instruct) on 24 prompts, from transformers in f32.

  python3 tools/compare/smollm2_prompts.py FOLDER [-o models/smollm2-reference.safetensors] [--mmlu MMLU/test] [--bos ID]

FOLDER is what gguf_to_folder.py wrote from the GGUF file. Twelve prompts are plain text, twelve are MMLU questions in the
`clean` style; without --mmlu the plain ones alone are written. The output holds, for prompt i, input_ids_i [n] i32, and
logits [prompts, V] f32 at each last position, and `entropy` [prompts] in nats; its metadata has the texts as a JSON array
under "prompts": {"header": TEXT or "", "text": TEXT}. Header and text are tokenised apart, as `plumb trace` does; special
tokens inside the text are parsed. --bos puts a token in front, as Gemma wants it (2).

Needs: torch, transformers >= 5, tokenizers, safetensors, numpy.
"""

import argparse
import csv
import json
import pathlib

import numpy
import tokenizers
import torch
import transformers
from safetensors.numpy import save_file

HEADER = "The following are multiple choice questions (with answers).\n\n"
PLAIN = [
    "The capital of France is",
    "Water boils at a temperature of",
    "Once upon a time, in a small village by the sea, there lived an old",
    "def fibonacci(n):\n    if n < 2:\n        return n\n    return",
    "Q: What is 17 + 25?\nA:",
    "The three primary colours are red, yellow and",
    "In 1969, Neil Armstrong became the first person to walk on the",
    "To be, or not to be, that is the",
    "<|im_start|>user\nName the largest planet of the solar system.<|im_end|>\n<|im_start|>assistant\n",
    "Photosynthesis is the process by which green plants use sunlight to make food from carbon dioxide and",
    "Die Hauptstadt von Deutschland ist",
    "The mitochondrion is often called the powerhouse of the",
]
SUBJECTS = ["anatomy", "astronomy", "college_biology", "computer_security", "econometrics", "global_facts",
            "high_school_geography", "international_law", "marketing", "nutrition", "philosophy", "world_religions"]


def mmlu_prompts(folder):
    for i, subject in enumerate(SUBJECTS):
        with open(folder / f"{subject}_test.csv", newline="", encoding="utf-8") as f:
            row = list(csv.reader(f))[3 * i]
        options = "".join(f"{letter}. {text}\n" for letter, text in zip("ABCD", row[1:5]))
        yield HEADER, f"{row[0]}\n{options}Answer:"


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("folder", type=pathlib.Path)
    parser.add_argument("-o", "--output", type=pathlib.Path, default="models/smollm2-reference.safetensors")
    parser.add_argument("--mmlu", type=pathlib.Path)
    parser.add_argument("--bos", type=int)
    options = parser.parse_args()
    torch.set_num_threads(1)
    transformers.logging.disable_progress_bar()
    tokenizer = tokenizers.Tokenizer.from_file(str(options.folder / "tokenizer.json"))
    model = transformers.AutoModelForCausalLM.from_pretrained(options.folder, dtype=torch.float32,
                                                             attn_implementation="eager")
    prompts = [("", text) for text in PLAIN] + (list(mmlu_prompts(options.mmlu)) if options.mmlu else [])
    out, logits = {}, []
    for i, parts in enumerate(prompts):
        ids = [] if options.bos is None else [options.bos]
        ids += [t for part in parts for t in tokenizer.encode(part, add_special_tokens=False).ids]
        with torch.no_grad():
            last = model(input_ids=torch.tensor([ids]), use_cache=False).logits[0, -1]
        out[f"input_ids_{i}"] = numpy.array(ids, dtype=numpy.int32)
        logits.append(last.numpy())
        top = int(last.argmax())
        print(f"{i:2d}  {len(ids):4d} tokens  next {tokenizer.decode([top], skip_special_tokens=False)!r:14} "
              f"logit {last[top]:.4f}  {parts[1][-50:]!r}", flush=True)
    out["logits"] = numpy.stack(logits)
    p = torch.log_softmax(torch.from_numpy(out["logits"]).double(), -1)
    out["entropy"] = (-(p.exp() * p).sum(-1)).float().numpy()
    about = [{"header": header, "text": text} for header, text in prompts]
    save_file(out, options.output, metadata={"prompts": json.dumps(about)})


if __name__ == "__main__":
    main()
