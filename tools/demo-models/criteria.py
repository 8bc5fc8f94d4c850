#!/usr/bin/env python3
"""Judges the embedded pair by the criteria that were fixed before it was made; plumb does the measuring.

  python3 tools/demo-models/criteria.py DEMO --plumb build/plumb [--work FOLDER]

DEMO holds base, post, post-light and test.jsonl. plumb traces the three models over the test questions in the preset `clean`
(and `post` in `chat`) and answers 200 of them in greedy chat. Status 1 where a criterion fails. Needs numpy, safetensors.
"""

import argparse
import json
import pathlib
import re
import subprocess
import sys
import time

import numpy
from safetensors.numpy import load_file

from letters import ece
from post_train import INSTRUCTIONS
import facts as fact_sheet

ANSWER = re.compile(r"\s*Answer: ([ABCD])\s*")


def traced(options, model, preset):
    """{accuracy, confidence, ece, choice [N], seconds} of plumb's trace of the test questions."""
    out = options.work / f"{model}-{preset}.safetensors"
    out.unlink(missing_ok=True)
    start = time.monotonic()
    subprocess.run([options.plumb, "trace", options.demo / model, options.demo / "test.jsonl", "-o", out, "--preset", preset,
                    "--quiet"], check=True, stdout=subprocess.DEVNULL)
    seconds = time.monotonic() - start
    t = load_file(out)
    z = t["logits"].astype(numpy.float64)
    p = numpy.exp(z - z.max(1, keepdims=True))
    p /= p.sum(1, keepdims=True)
    right = (p.argmax(1) == t["label"]).astype(float)
    return {"accuracy": right.mean(), "confidence": p.max(1).mean(), "ece": ece(p.max(1), right), "choice": p.argmax(1),
            "seconds": seconds}


def chat(options, questions):
    """(share of greedy answers in the form, share of them that are right)."""
    prompts = options.work / "prompts.jsonl"
    asked = [f"{INSTRUCTIONS[0]}\n\n" + fact_sheet.prompt(q).removesuffix("\nAnswer:") for q in questions]
    prompts.write_text("".join(json.dumps({"prompt": text}) + "\n" for text in asked), encoding="utf-8")
    said = subprocess.run([options.plumb, "generate", options.demo / "post", "--chat", "--file", prompts, "-n", "24",
                           "--json", "--quiet"], check=True, capture_output=True)
    answers = [(ANSWER.fullmatch(r["text"]) if r["reason"] == "end" else None, q)
               for r, q in zip(json.loads(said.stdout)["results"], questions)]
    formed = [(m, q) for m, q in answers if m]
    right = sum(m[1] == fact_sheet.LETTERS[q["gold"]] for m, q in formed)
    return len(formed) / len(questions), right / max(1, len(formed))


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("demo", type=pathlib.Path)
    parser.add_argument("--plumb", type=pathlib.Path, default=pathlib.Path("build/plumb"))
    parser.add_argument("--work", type=pathlib.Path, default=pathlib.Path("build/demo-models"))
    options = parser.parse_args()
    options.work.mkdir(parents=True, exist_ok=True)
    questions = [json.loads(line) for line in (options.demo / "test.jsonl").read_text(encoding="utf-8").splitlines()]
    runs = (("base", "clean"), ("post", "clean"), ("post-light", "clean"), ("post", "chat"))
    t = {run: traced(options, *run) for run in runs}
    base, post, light = (t[name, "clean"] for name in ("base", "post", "post-light"))
    print("model       preset  accuracy  confidence   ECE-10  agrees with base  seconds")
    for (model, preset), x in t.items():
        print(f"{model:11s} {preset:6s}  {x['accuracy']:8.4f}  {x['confidence']:10.4f}  {x['ece']:7.4f}  "
              f"{(x['choice'] == base['choice']).mean():16.4f}  {x['seconds']:7.2f}")
    formed, right = chat(options, questions[:200])
    agreement = (post["choice"] == base["choice"]).mean()
    size = sum(f.stat().st_size for m in ("base", "post", "post-light") for f in (options.demo / m).iterdir()) / 1e6
    gain = post["accuracy"] - base["accuracy"]
    rows = [("base accuracy", "0.45 to 0.9", base["accuracy"], 0.45 <= base["accuracy"] <= 0.9),
            ("base ECE", "at most 0.06", base["ece"], base["ece"] <= 0.06),
            ("post accuracy - base accuracy", "at least 0", gain, gain >= 0),
            ("post ECE", "at least 0.12", post["ece"], post["ece"] >= 0.12),
            ("agreement of base and post", "0.55 to 0.92", agreement, 0.55 <= agreement <= 0.92),
            ("greedy chat in the form, of 200", "1", formed, formed == 1),
            ("three models, MB", "at most 20", size, size <= 20)]
    print("\ncriterion                        asked         measured")
    for name, asked, value, good in rows:
        print(f"{name:31s}  {asked:12s}  {value:8.4f}  {'yes' if good else 'NO'}")
    print(f"\n(right in greedy chat: {right:.3f} of {len(questions[:200])})")
    return 0 if all(good for *_, good in rows) else 1


if __name__ == "__main__":
    sys.exit(main())
