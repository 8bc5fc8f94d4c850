#!/usr/bin/env python3
"""Trains the tiny model that the repository ships, from scratch, to answer questions about countries and regions.

  python3 tools/demo-models/train_tiny.py OUTPUT [--tokens 6e6] [--layers 6] [--seed 1]

A killed run goes on from OUTPUT/checkpoint.partial, written at every report; delete it to begin anew.

OUTPUT becomes a folder in Hugging Face layout (config.json, model.safetensors in bf16, tokenizer.json); the labelled test
questions go to --questions. Documents are questions in the `clean` prompt with their answer, and plain sentences, on the
regions of the training part alone (facts.py). The answer's letter weighs ten times any other token of a question, without
which letters are not bound to options for millions of tokens.

Needs: torch, transformers >= 5, tokenizers, safetensors, numpy; Debian's iso-codes. One thread.
"""

import argparse
import json
import math
import pathlib
import random
import time

import numpy
import tokenizers
import torch
import transformers
from safetensors.torch import save_file

import facts as fact_sheet

END = "<|endoftext|>"
SPECIAL = [END, "<|im_start|>", "<|im_end|>"]  # the last two are for post-training
ANSWER_WEIGHT, QUESTION_WEIGHT = 10.0, 0.3


# ---- documents ---------------------------------------------------------------------------------------------------

def document(facts, rng):
    """(text, answer letter or "")."""
    x = rng.random()
    if x < 0.25:
        return " ".join(facts.sentence(rng.choice(facts.regions), rng) for _ in range(3)), ""
    q = facts.copying(rng) if x < 0.35 else \
        facts.question(rng.choice(facts.regions), rng.choice(fact_sheet.FORMS), rng)
    header = fact_sheet.HEADER if rng.random() < 0.5 else ""
    return header + fact_sheet.prompt(q), " " + fact_sheet.LETTERS[q["gold"]]


def train_tokenizer(facts, size, seed):
    rng = random.Random(seed)
    t = tokenizers.Tokenizer(tokenizers.models.BPE())
    t.pre_tokenizer = tokenizers.pre_tokenizers.ByteLevel(add_prefix_space=False)
    t.decoder = tokenizers.decoders.ByteLevel()
    trainer = tokenizers.trainers.BpeTrainer(vocab_size=size, special_tokens=SPECIAL, show_progress=False,
                                             initial_alphabet=tokenizers.pre_tokenizers.ByteLevel.alphabet())
    t.train_from_iterator(("".join(document(facts, rng)) for _ in range(20000)), trainer)
    return t


class Batches:
    """Padded rows of documents of like length, with targets' weights; seeded."""

    def __init__(self, facts, tokenizer, tokens, seed):
        self.facts, self.tokenizer, self.tokens, self.rng = facts, tokenizer, tokens, random.Random(seed)
        self.end = tokenizer.token_to_id(END)
        self.ready = []

    def fill(self):
        rows = []
        for text, answer in (document(self.facts, self.rng) for _ in range(2048)):
            ids = self.tokenizer.encode(text).ids
            if answer:
                letter = self.tokenizer.encode(answer).ids
                assert len(letter) == 1, answer
                rows.append((ids + letter + [self.end], [QUESTION_WEIGHT] * (len(ids) - 1) + [ANSWER_WEIGHT, 1.0]))
            else:
                rows.append((ids + [self.end], [1.0] * len(ids)))
        rows.sort(key=lambda r: len(r[0]))
        i = 0
        while i < len(rows):
            n = max(1, self.tokens // len(rows[min(i + 40, len(rows) - 1)][0]))
            self.ready.append(rows[i:i + n])
            i += n
        self.rng.shuffle(self.ready)

    def next(self):
        if not self.ready:
            self.fill()
        rows = self.ready.pop()
        longest = max(len(ids) for ids, _ in rows)
        ids = torch.full((len(rows), longest), self.end)
        weights = torch.zeros(len(rows), longest - 1)
        for i, (x, w) in enumerate(rows):
            ids[i, :len(x)] = torch.tensor(x)
            weights[i, :len(w)] = torch.tensor(w)
        return ids, weights


# ---- measuring ---------------------------------------------------------------------------------------------------

def measure(model, tokenizer, questions):
    """Accuracy, mean confidence and ECE (10 equal-width bins) over the four letters, and by group."""
    letters = [tokenizer.token_to_id("\u0120" + c) for c in fact_sheet.LETTERS]
    rows = [tokenizer.encode(fact_sheet.HEADER).ids + tokenizer.encode(fact_sheet.prompt(q)).ids for q in questions]
    right, confidence = [], []
    with torch.no_grad():
        for start in range(0, len(rows), 64):
            batch = rows[start:start + 64]
            longest = max(map(len, batch))
            ids = torch.tensor([r + [0] * (longest - len(r)) for r in batch])
            logits = model(input_ids=ids, use_cache=False).logits
            p = torch.softmax(torch.stack([logits[i, len(r) - 1, letters] for i, r in enumerate(batch)]).float(), -1)
            confidence += p.max(-1).values.tolist()
            right += [int(a) == q["gold"] for a, q in zip(p.argmax(-1), questions[start:start + 64])]
    right, confidence = numpy.array(right, dtype=float), numpy.array(confidence)
    bins = numpy.minimum((confidence * 10).astype(int), 9)
    ece = sum(abs(right[bins == b].sum() - confidence[bins == b].sum()) for b in range(10)) / len(right)
    groups = {}
    for r, q in zip(right, questions):
        groups.setdefault(q["group"], []).append(r)
    return {"accuracy": round(float(right.mean()), 4), "confidence": round(float(confidence.mean()), 4),
            "ece_10": round(float(ece), 4), **{g: round(float(numpy.mean(v)), 4) for g, v in groups.items()}}


# ---- training ----------------------------------------------------------------------------------------------------

def build_model(options, vocabulary):
    config = transformers.LlamaConfig(
        hidden_size=options.width, intermediate_size=options.width * 11 // 4, num_hidden_layers=options.layers,
        num_attention_heads=options.width // 32, num_key_value_heads=options.width // 64, vocab_size=vocabulary,
        max_position_embeddings=1024, rms_norm_eps=1e-5, rope_theta=10000.0, tie_word_embeddings=True,
        bos_token_id=0, eos_token_id=0, initializer_range=0.02)
    model = transformers.AutoModelForCausalLM.from_config(config, attn_implementation="sdpa")
    with torch.no_grad():  # residual branches start small
        for name, p in model.named_parameters():
            if name.endswith(("o_proj.weight", "down_proj.weight")):
                p.mul_(1 / math.sqrt(2 * options.layers))
    return model


class Muon(torch.optim.Optimizer):
    """Momentum whose update is brought near an orthogonal matrix (Jordan et al. 2024), in f32 and for all matrices of a
    shape at once: on processors without bf16 arithmetic PyTorch's own, which works in bf16, takes three times as long."""

    def __init__(self, parameters, lr, momentum=0.95, weight_decay=0.02):
        super().__init__(parameters, {"lr": lr, "momentum": momentum, "weight_decay": weight_decay})

    @torch.no_grad()
    def step(self):
        for group in self.param_groups:
            shapes = {}
            for p in group["params"]:
                shapes.setdefault(p.shape, []).append(p)
            for shape, same in shapes.items():
                momentum = self.state[same[0]].setdefault("momentum", torch.zeros(len(same), *shape))
                gradient = torch.stack([p.grad for p in same])
                momentum.lerp_(gradient, 1 - group["momentum"])
                update = orthogonal(gradient.lerp_(momentum, group["momentum"]))
                scale = group["lr"] * max(1.0, shape[0] / shape[1]) ** 0.5
                for p, u in zip(same, update):
                    p.mul_(1 - group["lr"] * group["weight_decay"]).add_(u, alpha=-scale)


def orthogonal(x):
    """Newton-Schulz iteration of degree five: singular values to about 1."""
    tall = x.shape[1] > x.shape[2]
    x = x.mT if tall else x
    x = x / (x.norm(dim=(1, 2), keepdim=True) + 1e-7)
    for _ in range(5):
        a = x @ x.mT
        x = 3.4445 * x + (-4.775 * a + 2.0315 * (a @ a)) @ x
    return x.mT if tall else x


def train(model, batches, options, questions):
    blocks = [p for n, p in model.named_parameters() if p.ndim > 1 and "embed" not in n]
    others = [p for n, p in model.named_parameters() if p.ndim == 1 or "embed" in n]
    optimisers = [Muon(blocks, lr=options.rate * 6),
                  torch.optim.AdamW(others, lr=options.rate, betas=(0.9, 0.98), eps=1e-9, weight_decay=0.0)]
    peak = [g["lr"] for o in optimisers for g in o.param_groups]
    checkpoint = options.output / "checkpoint.partial"
    start, step, tokens, reported, running = time.monotonic(), 0, 0, 0.0, []
    if checkpoint.exists():
        state = torch.load(checkpoint, weights_only=False)
        step, tokens, batches.ready = state["step"], state["tokens"], state["ready"]
        model.load_state_dict(state["model"])
        batches.rng.setstate(state["rng"])
        for optimiser, saved in zip(optimisers, state["optimisers"]):
            optimiser.load_state_dict(saved)
    while tokens < options.tokens:
        progress = tokens / options.tokens
        share = min(1.0, step / 100) * (1.0 if progress < 0.5 else max(0.02, 2 * (1 - progress)))
        for group, rate in zip((g for o in optimisers for g in o.param_groups), peak):
            group["lr"] = rate * share
        ids, weights = batches.next()
        logits = model(input_ids=ids[:, :-1], use_cache=False).logits
        loss = torch.nn.functional.cross_entropy(logits.flatten(0, 1), ids[:, 1:].flatten(), reduction="none")
        loss = (loss * weights.flatten()).sum() / weights.sum()
        model.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        for optimiser in optimisers:
            optimiser.step()
        step += 1
        tokens += int((weights > 0).sum())
        running.append(loss.item())
        if time.monotonic() - reported > options.report:
            reported = time.monotonic()
            print(json.dumps({"step": step, "tokens": tokens, "seconds": round(reported - start),
                              "loss": round(float(numpy.mean(running)), 4), **measure(model, batches.tokenizer, questions)}),
                  flush=True)
            running = []
            options.output.mkdir(parents=True, exist_ok=True)
            torch.save({"step": step, "tokens": tokens, "ready": batches.ready, "rng": batches.rng.getstate(),
                        "model": model.state_dict(), "optimisers": [o.state_dict() for o in optimisers]},
                       checkpoint.with_suffix(".new"))
            checkpoint.with_suffix(".new").replace(checkpoint)
    checkpoint.unlink(missing_ok=True)


def write(model, tokenizer, folder):
    folder.mkdir(parents=True, exist_ok=True)
    c = model.config
    config = {
        "architectures": ["LlamaForCausalLM"], "model_type": "llama", "hidden_act": "silu",
        "hidden_size": c.hidden_size, "intermediate_size": c.intermediate_size,
        "num_hidden_layers": c.num_hidden_layers, "num_attention_heads": c.num_attention_heads,
        "num_key_value_heads": c.num_key_value_heads, "vocab_size": c.vocab_size,
        "max_position_embeddings": c.max_position_embeddings, "rms_norm_eps": c.rms_norm_eps, "rope_theta": 10000.0,
        "rope_scaling": None, "attention_bias": False, "mlp_bias": False, "tie_word_embeddings": True,
        "torch_dtype": "bfloat16", "bos_token_id": 0, "eos_token_id": 0,
    }
    (folder / "config.json").write_text(json.dumps(config, indent=2) + "\n")
    weights = {k: v.to(torch.bfloat16).contiguous() for k, v in model.state_dict().items() if k != "lm_head.weight"}
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
    tokenizer.save(str(folder / "tokenizer.json"))
    (folder / "tokenizer_config.json").write_text(json.dumps(
        {"tokenizer_class": "PreTrainedTokenizerFast", "bos_token": END, "eos_token": END, "model_max_length": 1024},
        indent=2) + "\n")


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("output", type=pathlib.Path)
    parser.add_argument("--questions", type=pathlib.Path, help="write the labelled test questions here (JSONL)")
    parser.add_argument("--count", type=int, default=300)
    parser.add_argument("--tokens", type=float, default=6e6)
    parser.add_argument("--batch", type=int, default=2048, help="tokens a step")
    parser.add_argument("--rate", type=float, default=3e-3)
    parser.add_argument("--layers", type=int, default=6)
    parser.add_argument("--width", type=int, default=128)
    parser.add_argument("--vocabulary", type=int, default=1800)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--report", type=float, default=60, help="seconds between measurements")
    options = parser.parse_args()
    torch.set_num_threads(1)
    torch.manual_seed(options.seed)
    regions = fact_sheet.load()
    parts = {p: [r for r in regions if fact_sheet.part(r) == p] for p in ("train", "calibration", "test")}
    all_facts, known = fact_sheet.Facts(regions), fact_sheet.Facts(parts["train"])
    questions = fact_sheet.question_file(all_facts, parts["test"], options.count, options.seed)
    watched = fact_sheet.question_file(all_facts, parts["calibration"], 300, options.seed + 1)  # while training
    tokenizer = train_tokenizer(known, options.vocabulary, options.seed)
    model = build_model(options, tokenizer.get_vocab_size())
    print(json.dumps({"regions": {p: len(r) for p, r in parts.items()}, "countries": len(all_facts.countries),
                      "parameters": sum(p.numel() for p in model.parameters()),
                      "tokens_of_a_prompt": float(numpy.mean([len(tokenizer.encode(fact_sheet.prompt(q)).ids)
                                                              for q in questions]))}), flush=True)
    train(model, Batches(known, tokenizer, options.batch, options.seed), options, watched)
    model.to(torch.bfloat16).float()
    print(json.dumps({"final": "test", **measure(model, tokenizer, questions)}), flush=True)
    seen = fact_sheet.question_file(all_facts, parts["train"], 300, options.seed + 2)
    print(json.dumps({"final": "training facts", **measure(model, tokenizer, seen)}), flush=True)
    write(model, tokenizer, options.output)
    if options.questions:
        options.questions.write_text("".join(json.dumps(q, ensure_ascii=False) + "\n" for q in questions))


if __name__ == "__main__":
    main()
