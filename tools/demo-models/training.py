"""The pre-training loop: batches of documents, Muon for the blocks' matrices and AdamW for the rest, and a checkpoint that
a killed run goes on from."""

import json
import random
import time

import numpy
import torch

import letters
from documents import END

ANSWER_WEIGHT, QUESTION_WEIGHT = 10.0, 0.3  # without them, letters are not bound to options for millions of tokens


class Batches:
    """Padded rows of documents of like length, with targets' weights; seeded."""

    def __init__(self, facts, document, tokenizer, tokens, seed):
        self.facts, self.document, self.tokenizer, self.tokens = facts, document, tokenizer, tokens
        self.rng, self.ready, self.end = random.Random(seed), [], tokenizer.token_to_id(END)

    def fill(self):
        rows = []
        for pieces, answer in (self.document(self.facts, self.rng) for _ in range(2048)):
            ids = [i for e in self.tokenizer.encode_batch_fast(pieces) for i in e.ids]
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


class Run:
    """A model, its optimisers and its place in the data, as one thing that can be saved."""

    def __init__(self, model, batches, rate):
        blocks = [p for n, p in model.named_parameters() if p.ndim > 1 and "embed" not in n]
        others = [p for n, p in model.named_parameters() if p.ndim == 1 or "embed" in n]
        self.model, self.batches, self.step, self.tokens = model, batches, 0, 0
        self.optimisers = [Muon(blocks, lr=rate * 6),
                           torch.optim.AdamW(others, lr=rate, betas=(0.9, 0.98), eps=1e-9, weight_decay=0.0)]
        self.groups = [g for o in self.optimisers for g in o.param_groups]
        self.peak = [g["lr"] for g in self.groups]

    def save(self, path):
        path.parent.mkdir(parents=True, exist_ok=True)
        torch.save({"step": self.step, "tokens": self.tokens, "ready": self.batches.ready,
                    "rng": self.batches.rng.getstate(), "torch": torch.get_rng_state(), "model": self.model.state_dict(),
                    "optimisers": [o.state_dict() for o in self.optimisers]}, path.with_suffix(".new"))
        path.with_suffix(".new").replace(path)

    def load(self, path):
        state = torch.load(path, weights_only=False)
        self.step, self.tokens, self.batches.ready = state["step"], state["tokens"], state["ready"]
        self.batches.rng.setstate(state["rng"])
        torch.set_rng_state(state["torch"])
        self.model.load_state_dict(state["model"])
        for optimiser, saved in zip(self.optimisers, state["optimisers"]):
            optimiser.load_state_dict(saved)

    def descend(self, share):
        """One step with `share` of the peak learning rate; the loss."""
        for group, rate in zip(self.groups, self.peak):
            group["lr"] = rate * share
        ids, weights = self.batches.next()
        logits = self.model(input_ids=ids[:, :-1], use_cache=False).logits
        loss = torch.nn.functional.cross_entropy(logits.flatten(0, 1), ids[:, 1:].flatten(), reduction="none")
        loss = (loss * weights.flatten()).sum() / weights.sum()
        self.model.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(self.model.parameters(), 1.0)
        for optimiser in self.optimisers:
            optimiser.step()
        self.step += 1
        self.tokens += int((weights > 0).sum())
        return loss.item()


def train(run, schedule, checkpoint, watched, seconds):
    """`schedule`: points (tokens, share of the peak rate) of a broken line, constant before the first, on top of a warm-up of
    100 steps; training ends with the last. Reports on the questions `watched` and saves every `seconds`."""
    total = schedule[-1][0]
    if checkpoint.exists():
        run.load(checkpoint)
    start = reported = time.monotonic()
    running = []
    run.model.train()
    while run.tokens < total:
        running.append(run.descend(min(1.0, run.step / 100, max(0.02, float(numpy.interp(run.tokens, *zip(*schedule)))))))
        if time.monotonic() - reported > seconds:
            reported = time.monotonic()
            run.save(checkpoint)
            run.model.eval()
            print(json.dumps({"step": run.step, "tokens": run.tokens, "seconds": round(reported - start),
                              "processor": round(time.process_time()), "loss": round(float(numpy.mean(running)), 4),
                              **letters.measure(run.model, run.batches.tokenizer, watched)}), flush=True)
            run.model.train()
            running = []
    run.model.eval()
