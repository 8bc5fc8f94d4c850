#!/usr/bin/env python3
"""Real sample logs of lm-evaluation-harness, for the tests of its reader: the demo's model over the demo's first questions.

  python3 tools/golden/make_lm_eval.py tests/data/trace [--count 40]

Writes samples_TASK_TIME.jsonl as `lm_eval run --log_samples` writes them, for a multiple_choice task (a prompt and four
continuations a question) and a loglikelihood task (the right continuation alone), with the time replaced by a fixed one.
Without network.

Needs: torch, lm_eval 0.4, transformers, accelerate.
"""

import argparse
import os
import pathlib
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parents[2]
TASK = """task: {name}
dataset_path: json
dataset_kwargs: {{data_files: {{test: {docs}}}}}
output_type: {kind}
test_split: test
doc_to_text: "{{{{question}}}}\\nAnswer:"
{target}
num_fewshot: 0
metric_list: [{{metric: acc, aggregation: mean, higher_is_better: true}}]
"""
TASKS = {
    "regions": ("multiple_choice", 'doc_to_target: "{{gold}}"\ndoc_to_choice: "{{choices}}"'),
    "regions_greedy": ("loglikelihood", 'doc_to_target: " {{choices[gold]}}"'),
}


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=pathlib.Path)
    parser.add_argument("--count", type=int, default=40)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        scratch = pathlib.Path(scratch)
        docs = scratch / "docs.jsonl"
        with open(ROOT / "demo/questions.jsonl", encoding="utf-8") as f:
            docs.write_text("".join(f.readlines()[:options.count]), encoding="utf-8")
        for name, (kind, target) in TASKS.items():
            (scratch / f"{name}.yaml").write_text(TASK.format(name=name, docs=docs, kind=kind, target=target))
        environment = {**os.environ, "HF_HUB_OFFLINE": "1", "HF_DATASETS_OFFLINE": "1", "HF_HOME": str(scratch / "cache")}
        subprocess.run([sys.executable, "-m", "lm_eval", "run", "--model", "hf", "--model_args",
                        f"pretrained={ROOT / 'demo/base'},dtype=float32", "--device", "cpu", "--batch_size", "8",
                        "--include_path", str(scratch), "--tasks", ",".join(TASKS), "--log_samples",
                        "--output_path", str(scratch / "out")], check=True, env=environment)
        for name in TASKS:
            (path,) = scratch.glob(f"out/*/samples_{name}_2*.jsonl")
            (options.folder / f"samples_{name}_2026-01-01T00-00-00.000000.jsonl").write_bytes(path.read_bytes())


if __name__ == "__main__":
    main()
