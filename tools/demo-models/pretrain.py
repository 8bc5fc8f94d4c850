#!/usr/bin/env python3
"""Trains the base model of the embedded pair from scratch, to answer questions about countries and regions.

  python3 tools/demo-models/pretrain.py OUTPUT [--work FOLDER]

Two stages. First a model of six blocks, on easy questions: it must find out that a letter stands for an option. Then it is
grown to eight blocks (tiny_llama.grown) and goes on with harder questions, with dropout and with region names in many
tokenizations, so that it does not learn the training part's names by heart and becomes surer of itself than it is right about
others. The small model is left in FOLDER/small, and a stage that finished is not run again; a killed stage goes on from
FOLDER/*.partial, written at every report. Delete FOLDER to begin anew.

Needs: requirements.txt; Debian's iso-codes. One thread.
"""

import argparse
import json
import pathlib

import torch

import documents
import facts as fact_sheet
import letters
import tiny_llama
import training

DROPOUT = 0.1
# (tokens, share of the peak learning rate). The second stage was to end at 2.2 million; the machine was busy, and the line
# was bent twice, while the model was in training, to end sooner.
FIRST = ((3e6, 1.0), (6e6, 0.0))
SECOND = ((0.8e6, 1.0), (1372612, 0.590991), (1397562, 0.528340), (1.5e6, 0.02))


def first_stage(options, known, watched):
    torch.manual_seed(options.seed)
    tokenizer = documents.train_tokenizer(known, options.vocabulary, options.seed)
    model = tiny_llama.build(options.layers, options.width, tokenizer.get_vocab_size())
    batches = training.Batches(known, documents.first_stage, tokenizer, options.batch, options.seed)
    run = training.Run(model, batches, options.rate)
    training.train(run, FIRST, options.work / "small.partial", watched, options.report)
    tiny_llama.write(model, tokenizer, options.work / "small")


def second_stage(options, known, watched):
    torch.manual_seed(options.seed + 1)
    small, tokenizer = tiny_llama.read(options.work / "small")
    model = tiny_llama.grown(small)
    tiny_llama.add_dropout(model, DROPOUT)
    batches = training.Batches(known, documents.second_stage, tokenizer, options.batch, options.seed + 1)
    run = training.Run(model, batches, options.grown_rate)
    training.train(run, SECOND, options.work / "grown.partial", watched, options.report)
    model.to(torch.bfloat16).float()
    print(json.dumps({"final": "watched facts", **letters.measure(model, tokenizer, watched)}), flush=True)
    tiny_llama.write(model, tokenizer, options.output)


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("output", type=pathlib.Path)
    parser.add_argument("--work", type=pathlib.Path, default=pathlib.Path("build/demo-models"))
    parser.add_argument("--batch", type=int, default=2048, help="tokens a step")
    parser.add_argument("--rate", type=float, default=3e-3)
    parser.add_argument("--grown-rate", type=float, default=2e-3)
    parser.add_argument("--layers", type=int, default=6)
    parser.add_argument("--width", type=int, default=128)
    parser.add_argument("--vocabulary", type=int, default=1800)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--report", type=float, default=120, help="seconds between measurements")
    options = parser.parse_args()
    torch.set_num_threads(1)
    parts = fact_sheet.parts(fact_sheet.load())
    known = fact_sheet.Facts(parts["train"])
    every = fact_sheet.Facts(fact_sheet.load())
    watched = fact_sheet.question_file(every, parts["watch"], 600, 2)
    print(json.dumps({"regions": {p: len(r) for p, r in parts.items()}, "countries": len(every.countries)}), flush=True)
    if not (options.work / "small" / "config.json").exists():
        first_stage(options, known, watched)
    second_stage(options, known, watched)


if __name__ == "__main__":
    main()
