#!/usr/bin/env python3
"""P(True) of a confidence file against transformers: same prompts, written anew; float32.

    plumb trace MODEL q.jsonl -o post.trace --score text-per-byte
    plumb abstain check MODEL q.jsonl --trace post.trace --sources p-true,p-true-raw --choices hidden --precision f32 -o check.jsonl
    python3 tools/compare/p_true_reference.py MODEL check.jsonl [--plain] [--tolerance 1e-3]

Layout: lm-polygraph's (Kadavath et al. 2022). With a chat template the cue begins the assistant's answer. The letters' variants
are the tokens that decode to the letter with any number of spaces in front. Status 1 where a probability differs by more than the
tolerance. Needs: torch, transformers.
"""
import argparse
import json
import sys

import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

LAYOUT = 'Question: {}\nPossible answer: {}\nIs the possible answer:\n (A) True\n (B) False'
CUE = 'The possible answer is:'


def variants(tokenizer, letter):
    """Ids whose text, in the middle of a text, is the letter behind zero or more spaces."""
    anchor = tokenizer.encode('x', add_special_tokens=False)
    found = []
    for token in range(len(tokenizer)):
        if token in tokenizer.all_special_ids:
            continue
        text = tokenizer.decode(anchor + [token], clean_up_tokenization_spaces=False)[1:]
        if text.lstrip(' ') == letter:
            found.append(token)
    return found


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('model')
    parser.add_argument('check')
    parser.add_argument('--plain', action='store_true', help='as --template plain of plumb')
    parser.add_argument('--tolerance', type=float, default=1e-3)
    arguments = parser.parse_args()
    tokenizer = AutoTokenizer.from_pretrained(arguments.model)
    model = AutoModelForCausalLM.from_pretrained(arguments.model, dtype=torch.float32).eval()
    a, b = variants(tokenizer, 'A'), variants(tokenizer, 'B')
    chat = bool(tokenizer.chat_template) and not arguments.plain
    worst = {'p-true': 0.0, 'p-true-raw': 0.0}
    with open(arguments.check, encoding='utf-8') as lines:
        next(lines)
        rows = [json.loads(line) for line in lines]
    for row in rows:
        user = LAYOUT.format(row['question'], row['answer'])
        if chat:
            text = tokenizer.apply_chat_template([{'role': 'user', 'content': user}], tokenize=False,
                                                 add_generation_prompt=True) + CUE
            ids = tokenizer(text, return_tensors='pt', add_special_tokens=False).input_ids
        else:
            ids = tokenizer(user + '\n' + CUE, return_tensors='pt').input_ids
        with torch.no_grad():
            p = torch.softmax(model(ids).logits[0, -1].double(), -1)
        true, false = p[a].sum().item(), p[b].sum().item()
        for name, value in (('p-true', true / (true + false)), ('p-true-raw', true)):
            if row['confidence'].get(name) is not None:
                worst[name] = max(worst[name], abs(value - row['confidence'][name]))
    print(f'{len(rows)} questions, tokens of A {a}, of B {b}; largest difference: '
          + ', '.join(f'{name} {value:.2e}' for name, value in worst.items()))
    return int(max(worst.values()) > arguments.tolerance)


if __name__ == '__main__':
    sys.exit(main())
