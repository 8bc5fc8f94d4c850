#!/usr/bin/env python3
"""Post-trains the base model of the embedded pair: supervised tuning on conversations, then preference optimisation.

  python3 tools/demo-models/post_train.py BASE OUTPUT                 supervised, then DPO: the model `post`
  python3 tools/demo-models/post_train.py BASE OUTPUT --light         a short supervised tuning alone: `post-light`

Supervised (SFT): the assistant's words alone are learnt, in three kinds of example: multiple-choice questions in the chat
template, the same in the `clean` prompt, open questions in the chat template. Preference optimisation (DPO, Rafailov et al.
2023): loss = -log sigmoid(beta * ((log p(chosen) - log r(chosen)) - (log p(rejected) - log r(rejected)))), p the model,
r the supervised model, frozen; chosen is the answer with the right letter, rejected the one with a wrong letter drawn from
the supervised model's own distribution. Every fact is of the training part, with its name loosened and with dropout, as in
pre-training. Plain AdamW, a warm-up, then a rate that falls in a line to a tenth.

Needs: requirements.txt; Debian's iso-codes. One thread.
"""

import argparse
import dataclasses
import json
import pathlib
import random
import time

import numpy
import torch

import facts as fact_sheet
import letters
import tiny_llama
from documents import END, loosened
from pretrain import DROPOUT

TURN, END_OF_TURN = "<|im_start|>", "<|im_end|>"
TEMPLATE = ("{% for message in messages %}" + TURN + "{{ message.role }}\n{{ message.content }}" + END_OF_TURN +
            "\n{% endfor %}{% if add_generation_prompt %}" + TURN + "assistant\n{% endif %}")
# Of conversations, half begin with the first, which is the preset `chat`'s own line; the others share the other half.
INSTRUCTIONS = ("Answer the following multiple choice question with the letter of the right option only.",
                "Give the letter of the right option.", "Which option is right?", "Choose the right answer.")


@dataclasses.dataclass(frozen=True)
class Example:
    ids: list  # prompt and response
    start: int  # where the response begins


@dataclasses.dataclass(frozen=True)
class Pair:
    """Two responses to one prompt, "Answer: B" and "Answer: C", or " B" and " C", compared up to the letter."""
    ids: list  # prompt and response, up to the letter
    chosen: int  # tokens
    rejected: int
    before: float = 0.0  # the reference's log r(chosen) - log r(rejected)


class Examples:
    """Prompts and responses on facts of the training part; seeded."""

    def __init__(self, facts, tokenizer, seed):
        self.facts, self.tokenizer, self.rng = facts, tokenizer, random.Random(seed)

    def question(self):
        r = self.rng.choice(self.facts.regions)
        q = self.facts.question(r, self.rng.choice(fact_sheet.FORMS), self.rng, alike=fact_sheet.ALIKE)
        return {**q, "name": r.name}

    def example(self, prompt, response, names):
        """The two are tokenized as one text, as in use, but for the names, which are loosened as in pre-training."""
        pieces = loosened(prompt, names, self.rng)
        before = [i for e in self.tokenizer.encode_batch_fast(pieces[:-1]) for i in e.ids]
        start = len(before) + len(self.tokenizer.encode(pieces[-1]).ids)
        return Example(before + self.tokenizer.encode(pieces[-1] + response).ids, start)

    def chat(self, user, assistant, names):
        return self.example(f"{TURN}user\n{user}{END_OF_TURN}\n{TURN}assistant\n", assistant + END_OF_TURN, names)

    def choice_prompt(self, q):
        """A function from a letter to the example that answers with it: in chat three times out of four."""
        names = set(q["choices"]) if q["group"] == "region" else {q["name"]}
        first = INSTRUCTIONS[0] if self.rng.random() < 0.5 else self.rng.choice(INSTRUCTIONS[1:])
        body = fact_sheet.prompt(q).removesuffix("\nAnswer:")
        if self.rng.random() < 0.75:
            return lambda letter: self.chat(f"{first}\n\n{body}", f"Answer: {letter}", names)
        return lambda letter: self.example(fact_sheet.HEADER + fact_sheet.prompt(q), f" {letter}{END}", names)

    def supervised(self):
        if self.rng.random() < 0.15:
            r = self.rng.choice(self.facts.regions)
            article = "an" if r.kind[0] in "aeiou" else "a"
            ask = self.rng.choice((f"In which country is {r.name}?", f"What is {r.name}?", f"Where is {r.name}?"))
            return self.chat(ask, f"{r.name} is {article} {r.kind} of {r.country}.", {r.name})
        q = self.question()
        return self.choice_prompt(q)(fact_sheet.LETTERS[q["gold"]])


def padded(examples):
    """ids [n, longest], and 1 where a response's token is the target [n, longest - 1]."""
    longest = max(len(e.ids) for e in examples)
    ids, mask = torch.zeros(len(examples), longest, dtype=torch.long), torch.zeros(len(examples), longest - 1)
    for i, e in enumerate(examples):
        ids[i, :len(e.ids)] = torch.tensor(e.ids)
        mask[i, e.start - 1:len(e.ids) - 1] = 1
    return ids, mask


def log_probabilities(model, ids):
    """Of every next token [n, longest - 1]."""
    logits = model(input_ids=ids[:, :-1], use_cache=False).logits
    return torch.log_softmax(logits, -1).gather(-1, ids[:, 1:, None])[..., 0]


def sorted_batches(items, size, length, rng):
    """`items` in batches of like length, in random order: sorted within stretches of 16 batches."""
    out = []
    for i in range(0, len(items), 16 * size):
        stretch = sorted(items[i:i + 16 * size], key=length)
        out += [stretch[j:j + size] for j in range(0, len(stretch), size)]
    rng.shuffle(out)
    return out


def descend(model, batches, loss_of, rate, log, report=300):
    """One pass of AdamW over the batches; loss_of gives a loss and the share that the log shows (probability of the whole
    response; pairs whose margin has grown)."""
    optimiser = torch.optim.AdamW(model.parameters(), lr=rate, betas=(0.9, 0.98), weight_decay=0.0)
    start, running, reported = time.monotonic(), [], time.monotonic()
    model.train()
    for step, batch in enumerate(batches):
        share = min((step + 1) / 20, max(0.1, 1 - step / len(batches)))
        for group in optimiser.param_groups:
            group["lr"] = rate * share
        loss, remark = loss_of(batch)
        optimiser.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimiser.step()
        running.append((loss.item(), remark))
        if time.monotonic() - reported > report or step == len(batches) - 1:
            reported = time.monotonic()
            means = [round(float(x), 4) for x in numpy.mean(running, 0)]
            log(step=step + 1, of=len(batches), seconds=round(reported - start), loss=means[0], share=means[1])
            model.train()
            running = []
    model.eval()


def tune(model, examples, count, batch, rate, log):
    """Supervised: the mean cross-entropy of the responses' tokens."""
    def loss_of(rows):
        ids, mask = padded(rows)
        lp = log_probabilities(model, ids)
        return -(lp * mask).sum() / mask.sum(), float((lp.detach() * mask).sum(-1).exp().mean())
    rows = [examples.supervised() for _ in range(count)]
    descend(model, sorted_batches(rows, batch, lambda e: len(e.ids), examples.rng), loss_of, rate, log)


def next_logits(model, rows):
    """Behind each row of tokens [n, vocabulary]."""
    longest = max(map(len, rows))
    ids = torch.tensor([r + [0] * (longest - len(r)) for r in rows])
    states = model.model(input_ids=ids, use_cache=False).last_hidden_state
    return model.lm_head(states[torch.arange(len(rows)), torch.tensor([len(r) - 1 for r in rows])])


def margins(model, pairs):
    """log p(chosen) - log p(rejected) of each pair [n]: the two responses part at the letter, which is their last token, so
    what stands before it cancels out, and so does the softmax's denominator."""
    z, rows = next_logits(model, [p.ids for p in pairs]), torch.arange(len(pairs))
    return z[rows, [p.chosen for p in pairs]] - z[rows, [p.rejected for p in pairs]]


def preference_pairs(model, examples, count):
    """The rejected letter is drawn from the model's distribution over the three wrong ones."""
    letter_ids, pairs = letters.ids(examples.tokenizer), []
    with torch.no_grad():
        while len(pairs) < count:
            questions = [examples.question() for _ in range(64)]
            right = [examples.choice_prompt(q)(fact_sheet.LETTERS[q["gold"]]).ids for q in questions]
            ats = [max(i for i, t in enumerate(ids) if t in letter_ids) for ids in right]
            z = next_logits(model, [ids[:at] for ids, at in zip(right, ats)])[:, letter_ids].double()
            for ids, at, q, row in zip(right, ats, questions, z):
                wrong = [i for i in range(4) if i != q["gold"]]
                other = examples.rng.choices(wrong, weights=torch.softmax(row[wrong], -1).tolist())[0]
                pairs.append(Pair(ids[:at], ids[at], letter_ids[other], float(row[q["gold"]] - row[other])))
    return pairs[:count]


def prefer(model, examples, count, batch, rate, beta, log):
    """DPO against the model as it comes in, whose margins the pairs keep."""
    def loss_of(rows):
        gain = margins(model, rows) - torch.tensor([p.before for p in rows])
        return -torch.nn.functional.logsigmoid(beta * gain).mean(), float((gain > 0).double().mean())
    pairs = preference_pairs(model, examples, count)
    descend(model, sorted_batches(pairs, batch, lambda p: len(p.ids), examples.rng), loss_of, rate, log)


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("base", type=pathlib.Path)
    parser.add_argument("output", type=pathlib.Path)
    parser.add_argument("--light", action="store_true", help="a short supervised tuning and nothing else")
    parser.add_argument("--examples", type=int, default=5120)
    parser.add_argument("--light-examples", type=int, default=640)
    parser.add_argument("--rate", type=float, default=1e-3, help="of the supervised tuning")
    parser.add_argument("--light-rate", type=float, default=2e-4)
    parser.add_argument("--pairs", type=int, default=3840)
    parser.add_argument("--pair-rate", type=float, default=5e-4)
    parser.add_argument("--beta", type=float, default=0.1)
    parser.add_argument("--batch", type=int, default=32)
    parser.add_argument("--seed", type=int, default=3)
    parser.add_argument("--watch", type=int, default=600, help="questions to measure between the stages")
    options = parser.parse_args()
    torch.set_num_threads(1)
    torch.manual_seed(options.seed)
    parts = fact_sheet.parts(fact_sheet.load())
    watched = fact_sheet.question_file(fact_sheet.Facts(fact_sheet.load()), parts["watch"], 600, 2)[:options.watch]
    model, tokenizer = tiny_llama.read(options.base)
    tiny_llama.add_dropout(model, DROPOUT)

    def log(**what):
        model.eval()
        print(json.dumps({**what, **letters.measure(model, tokenizer, watched)}), flush=True)

    log(stage="base")
    examples = Examples(fact_sheet.Facts(parts["train"]), tokenizer, options.seed)
    count, rate = (options.light_examples, options.light_rate) if options.light else (options.examples, options.rate)
    tune(model, examples, count, options.batch, rate, log)
    log(stage="supervised")
    if not options.light:
        prefer(model, examples, options.pairs, options.batch, options.pair_rate, options.beta, log)
        log(stage="preferences")
    model.to(torch.bfloat16).float()
    tiny_llama.write(model, tokenizer, options.output, TEMPLATE, END_OF_TURN)


if __name__ == "__main__":
    main()
