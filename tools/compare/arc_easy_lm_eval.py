#!/usr/bin/env python3
"""ARC-Easy through lm-evaluation-harness and transformers, against what `plumb trace --score text` recorded.

  python3 tools/compare/arc_easy_lm_eval.py FOLDER arc_easy_test.jsonl [--first 0] [--count N] [-o SAMPLES.jsonl]
  python3 tools/compare/arc_easy_lm_eval.py --compare TRACE SAMPLES.jsonl [SAMPLES.jsonl ...]

The first form runs the harness's own multiple_choice task on a local file: its arc_easy.yaml with another source of the
questions (prompt "Question: {question}\\nAnswer:", options behind a space, no examples), prints acc (largest sum), acc_norm
(largest sum / characters) and acc_bytes (largest sum / bytes), and writes the log-likelihoods of every question. The second
form compares these with a trace over the whole file: accuracies, how often the choices are the same, how far the
log-likelihoods are apart. Without network.

Needs: torch, lm_eval 0.4, transformers, accelerate; safetensors, numpy for --compare.
"""

import argparse
import json
import os
import pathlib
import tempfile

import numpy

TASK = {
    "task": "arc_easy_local", "dataset_path": "json", "output_type": "multiple_choice", "test_split": "test",
    "doc_to_text": "Question: {{question}}\nAnswer:", "doc_to_target": "{{gold}}", "doc_to_choice": "{{choices}}",
    "num_fewshot": 0,
    "metric_list": [{"metric": m, "aggregation": "mean", "higher_is_better": True}
                    for m in ("acc", "acc_norm", "acc_bytes")],
}


def read(path):
    with open(path, encoding="utf-8") as f:
        return [json.loads(line) for line in f]


def harness(options):
    os.environ["HF_HUB_OFFLINE"] = os.environ["HF_DATASETS_OFFLINE"] = "1"
    import lm_eval
    import torch
    from lm_eval.models.huggingface import HFLM
    torch.set_num_threads(options.threads)
    folder, questions = options.paths
    docs = read(questions)[options.first:options.first + options.count if options.count else None]
    with tempfile.TemporaryDirectory() as scratch:
        data = pathlib.Path(scratch) / "docs.jsonl"
        data.write_text("".join(json.dumps(d) + "\n" for d in docs), encoding="utf-8")
        task = {**TASK, "dataset_kwargs": {"data_files": {"test": str(data)}}}
        model = HFLM(pretrained=str(folder), dtype="float32", device="cpu", batch_size=options.batch)
        result = lm_eval.simple_evaluate(model=model, tasks=[task], log_samples=True, bootstrap_iters=0)
    samples = sorted(result["samples"]["arc_easy_local"], key=lambda s: s["doc_id"])
    with open(options.output, "w", encoding="utf-8") as f:
        for doc, sample in zip(docs, samples, strict=True):
            f.write(json.dumps({"first": options.first, "id": doc["id"], "question": doc["question"],
                                "choices": doc["choices"], "gold": doc["gold"],
                                "sums": [float(r[0]) for r in sample["filtered_resps"]]}) + "\n")
    print(json.dumps({"n": len(docs), "first": options.first, "lm_eval": lm_eval.__version__,
                      **{k: v for k, v in result["results"]["arc_easy_local"].items() if k.startswith("acc")}}))


def accuracies(rows):
    """rows: [(sums, choices, gold)]"""
    def right(size):
        return sum(int(numpy.argmax(numpy.array(s) / numpy.array([size(c) for c in choices])) == gold)
                   for s, choices, gold in rows) / len(rows)
    return {"acc": right(lambda c: 1.0), "acc_norm": right(lambda c: float(len(c))),
            "acc_bytes": right(lambda c: float(len(c.encode())))}


def compare(options):
    from safetensors.numpy import load_file
    trace = load_file(options.paths[0])
    ours, theirs, apart, same = [], [], 0.0, 0
    for path in options.paths[1:]:
        for i, sample in enumerate(read(path)):
            sums = trace["text_log_likelihood"][sample["first"] + i][:len(sample["choices"])].tolist()
            ours.append((sums, sample["choices"], sample["gold"]))
            theirs.append((sample["sums"], sample["choices"], sample["gold"]))
            apart = max(apart, max(abs(a - b) for a, b in zip(sums, sample["sums"], strict=True)))
            same += int(numpy.argmax(sums) == numpy.argmax(sample["sums"]))
    print(json.dumps({"n": len(ours), "plumb": accuracies(ours), "lm_eval": accuracies(theirs),
                      "same_choice": same / len(ours), "largest_difference": apart}, indent=1))


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("paths", type=pathlib.Path, nargs="+", metavar="FOLDER QUESTIONS")
    parser.add_argument("--compare", action="store_true")
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--count", type=int, default=0)
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("-o", "--output", type=pathlib.Path, default="samples.jsonl")
    options = parser.parse_args()
    if options.compare:
        compare(options)
    elif len(options.paths) == 2:
        harness(options)
    else:
        parser.error("expected FOLDER QUESTIONS")


if __name__ == "__main__":
    main()
