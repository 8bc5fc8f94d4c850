"""Writes the pages that the tests look at: every kind of input, and what could break a page."""
import json
import math
import subprocess

HOSTILE = '<b onclick=alert(1)>&amp;'


def numbers(seed):
    """Numbers in [0, 1): a linear congruential generator, the same everywhere."""
    while True:
        seed = (seed * 6364136223846793005 + 1442695040888963407) % 2 ** 64
        yield (seed >> 11) / 2 ** 53


def confidences(path, n, right, groups=()):
    """A table of conf,correct; right(confidence, u) says whether the answer is right."""
    draw = numbers(n + 1)
    with path.open('w', encoding='utf-8') as out:
        out.write('conf,correct' + (',group' if groups else '') + '\n')
        for i in range(n):
            c = 0.25 + 0.75 * next(draw) ** 0.5
            group = f',{groups[i % len(groups)]}' if groups else ''
            out.write(f'{c:.6f},{int(right(c, next(draw)))}{group}\n')
    return path


def logits(path, n, sharpness):
    """Option scores of four options; the right answers follow a softmax of sharpness 1."""
    draw = numbers(7)
    with path.open('w', encoding='utf-8') as out:
        out.write('z0,z1,z2,z3,label,group\n')
        for i in range(n):
            z = [3 * next(draw) for _ in range(4)]
            weights = [math.exp(v) for v in z]
            u, label = next(draw) * sum(weights), 0
            while label < 3 and u > weights[label]:
                u -= weights[label]
                label += 1
            out.write(','.join(f'{sharpness * v:.6f}' for v in z) + f',{label},subject {i % 5}\n')
    return path


def trace(program, model, folder):
    questions, out = folder / 'questions.jsonl', folder / 'tiny.safetensors'
    with questions.open('w', encoding='utf-8') as f:
        for i in range(24):
            f.write(json.dumps({'question': f'Is {i} odd?', 'choices': ['yes', 'no'], 'gold': (i + 1) % 2,
                                'group': 'low' if i < 12 else 'high'}) + '\n')
    subprocess.run([program, 'trace', model, questions, '-o', out, '--preset', 'daca', '--instruction', '', '-q'],
                   check=True, stdout=subprocess.DEVNULL)
    return out


def make(program, gallery, model, folder):
    """Pairs of a page and the command that writes it; each was run once."""
    honest = confidences(folder / 'honest.csv', 400, lambda c, u: u < c)
    groups = [f'{HOSTILE} {i}' for i in range(12)]
    files = {
        'single': [confidences(folder / f'over {HOSTILE[:2]}.csv', 600, lambda c, u: u < c ** 3, groups)],
        'one-row': [confidences(folder / 'one.csv', 1, lambda c, u: True)],
        'all-right': [confidences(folder / 'right.csv', 30, lambda c, u: True)],
        'all-wrong': [confidences(folder / 'wrong.csv', 30, lambda c, u: False)],
        'pair': [logits(folder / 'base.csv', 500, 1), logits(folder / 'post.csv', 500, 2)],
        'many': [honest] + [confidences(folder / f'model-{i}.csv', 200, lambda c, u: u < c ** 2) for i in range(7)],
        'trace': [trace(program, model, folder)],
    }
    made = [(folder / 'gallery.html', [gallery, folder / 'gallery.html'])]
    for name, inputs in files.items():
        page = folder / f'{name}.html'
        made.append((page, [program, 'report', *inputs, '-q', '--bootstrap', '20', '-o', page]))
    for _, command in made:
        subprocess.run(command, check=True)
    return made
