"""How good a model's letters are, in Python, to watch a training; plumb itself judges the finished models (criteria.py)."""

import numpy
import torch

import facts as fact_sheet


def ids(tokenizer):
    """The tokens " A" to " D"."""
    return [tokenizer.token_to_id("\u0120" + c) for c in fact_sheet.LETTERS]


def ece(confidence, right, bins=10):
    """Expected calibration error over equal-width bins that are closed on the right."""
    bin_of = numpy.clip(numpy.ceil(confidence * bins).astype(int) - 1, 0, bins - 1)
    return float(sum(abs(right[bin_of == b].sum() - confidence[bin_of == b].sum()) for b in range(bins)) / len(right))


def measure(model, tokenizer, questions):
    """Accuracy, mean confidence and ECE over the four letters in the `clean` prompt; accuracy by group."""
    rows = [tokenizer.encode(fact_sheet.HEADER).ids + tokenizer.encode(fact_sheet.prompt(q)).ids for q in questions]
    right, confidence = [], []
    with torch.no_grad():
        for start in range(0, len(rows), 64):
            batch = rows[start:start + 64]
            longest = max(map(len, batch))
            padded = torch.tensor([r + [0] * (longest - len(r)) for r in batch])
            logits = model(input_ids=padded, use_cache=False).logits
            p = torch.softmax(torch.stack([logits[i, len(r) - 1, ids(tokenizer)] for i, r in enumerate(batch)]).float(), -1)
            confidence += p.max(-1).values.tolist()
            right += [int(a) == q["gold"] for a, q in zip(p.argmax(-1), questions[start:start + 64])]
    right, confidence = numpy.array(right, dtype=float), numpy.array(confidence)
    groups = {}
    for r, q in zip(right, questions):
        groups.setdefault(q["group"], []).append(r)
    return {"accuracy": round(float(right.mean()), 4), "confidence": round(float(confidence.mean()), 4),
            "ece_10": round(ece(confidence, right), 4), **{g: round(float(numpy.mean(v)), 4) for g, v in groups.items()}}
