"""What the base model reads: questions with their answers, and sentences; and the tokenizer that is trained on them.

A document is (pieces, answer): texts that are tokenized apart and stand one behind the other, and " A" to " D", or "" for
sentences.
"""

import random
import re

import tokenizers

import facts as fact_sheet

END = "<|endoftext|>"
SPECIAL = [END, "<|im_start|>", "<|im_end|>"]  # the last two are for post-training
SPLIT = 0.12  # how often a region's name is broken between two of its letters, in the second stage


def with_answer(q, header):
    return (fact_sheet.HEADER if header else "") + fact_sheet.prompt(q), " " + fact_sheet.LETTERS[q["gold"]]


def first_stage(facts, rng):
    """A quarter sentences, a tenth copying, the rest questions, half of them without header."""
    x = rng.random()
    if x < 0.25:
        return [" ".join(facts.sentence(rng.choice(facts.regions), rng) for _ in range(3))], ""
    q = facts.copying(rng) if x < 0.35 else \
        facts.question(rng.choice(facts.regions), rng.choice(fact_sheet.FORMS), rng)
    text, answer = with_answer(q, rng.random() < 0.5)
    return [text], answer


def second_stage(facts, rng):
    """A tenth sentences, a twentieth copying, the rest questions, three in five without header; wrong countries are harder
    (facts.ALIKE), and names are loosened."""
    x = rng.random()
    if x < 0.1:
        three = [rng.choice(facts.regions) for _ in range(3)]
        return loosened(" ".join(facts.sentence(r, rng) for r in three), {r.name for r in three}, rng), ""
    if x < 0.15:
        q, names = facts.copying(rng), set()
    else:
        r, form = rng.choice(facts.regions), rng.choice(fact_sheet.FORMS)
        q = facts.question(r, form, rng, alike=fact_sheet.ALIKE)
        names = set(q["choices"]) if form == "region" else {r.name}
    text, answer = with_answer(q, rng.random() < 0.4)
    return loosened(text, names, rng) if names else [text], answer


def loosened(text, names, rng):
    """`text` in pieces: the names are broken at random places, so that they come in many tokenizations and are known by
    their parts rather than by heart (what BPE dropout does, Provilkov et al. 2020, but seeded)."""
    pieces, last = [], 0
    for found in re.finditer("|".join(map(re.escape, sorted(names, key=len, reverse=True))), text):
        for i in range(found.start() + 1, found.end()):
            if text[i - 1] != " " and text[i] != " " and rng.random() < SPLIT:
                pieces.append(text[last:i])
                last = i
    return pieces + [text[last:]]


def train_tokenizer(facts, size, seed):
    """Byte-level BPE."""
    rng = random.Random(seed)
    t = tokenizers.Tokenizer(tokenizers.models.BPE())
    t.pre_tokenizer = tokenizers.pre_tokenizers.ByteLevel(add_prefix_space=False)
    t.decoder = tokenizers.decoders.ByteLevel()
    trainer = tokenizers.trainers.BpeTrainer(vocab_size=size, special_tokens=SPECIAL, show_progress=False,
                                             initial_alphabet=tokenizers.pre_tokenizers.ByteLevel.alphabet())
    documents = (first_stage(facts, rng) for _ in range(20000))
    t.train_from_iterator(("".join(pieces) + answer for pieces, answer in documents), trainer)
    return t
