#!/usr/bin/env python3
"""Check the pages of `plumb layers` with an XML parser, by the rules of tests/report/check_page.py.

    check_layers_page.py PROGRAM MODEL    MODEL is traced over a few questions; its page alone, and against itself
"""
import subprocess
import sys
import tempfile
from pathlib import Path

sys.dont_write_bytecode = True
sys.path.insert(0, str(Path(__file__).resolve().parents[1] / 'report'))
import check_page  # noqa: E402
import pages  # noqa: E402


def tuned_trace(program, model, folder):
    """The same questions, read through a lens of two short steps."""
    text, lens, trace = folder / 'text.txt', folder / 'lens.safetensors', folder / 'tuned.safetensors'
    text.write_text(' '.join(f'{a} and {b} make {a + b}.' for a in range(12) for b in range(12)), encoding='utf-8')
    for words in (['lens', 'fit', model, text, '-o', lens, '--steps', '2', '--tokens', '64', '--window', '32'],
                  ['trace', model, folder / 'questions.jsonl', '-o', trace, '--preset', 'daca', '--instruction', '',
                   '--lens-file', lens]):
        subprocess.run([program, *words, '-q'], check=True, stdout=subprocess.DEVNULL)
    return trace


def main(program, model):
    wrong = 0
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        trace = pages.trace(program, model, folder)
        tuned = tuned_trace(program, model, folder)
        for case, more in {'alone': [], 'pair': ['--against', str(trace)], 'no-draws': ['--bootstrap', '0'],
                           'lenses': ['--other-lens', str(tuned)]}.items():
            page, again = folder / f'{case}.html', folder / f'{case}-again.html'
            for path, threads in ((page, '1'), (again, '2')):
                subprocess.run([program, 'layers', str(trace), '-q', '--bootstrap', '30', *more, '--threads', threads,
                                '-o', str(path)], check=True, stdout=subprocess.DEVNULL)
            found = list(check_page.faults(page))
            if page.read_bytes() != again.read_bytes():
                found.append('two runs differ')
            for fault in found:
                print(f'{case}: {fault}')
            wrong += len(found)
    return 1 if wrong else 0


if __name__ == '__main__':
    sys.exit(main(*sys.argv[1:]))
