#!/usr/bin/env python3
"""Check pages that plumb wrote, with an XML parser that knows nothing of plumb (expat).

    check_page.py PROGRAM GALLERY MODEL    the reports of made-up files and of a trace of MODEL by PROGRAM, and the page that
                                           GALLERY writes

Well-formed; ids unique and every reference to one met; every figure with title, description and a table of numbers; headings
in order; tables with heads; nothing from outside; hostile names nowhere as markup; the same bytes again.
"""
import os
import re
import subprocess
import sys
import tempfile
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import pages

SVG = '{http://www.w3.org/2000/svg}'


def text_of(element):
    return ''.join(element.itertext()).strip()


def faults(path):
    """Yield what is wrong with the page."""
    raw = path.read_text(encoding='utf-8')
    root = ElementTree.fromstring(raw.replace('<!DOCTYPE html>', '', 1))
    parent = {child: p for p in root.iter() for child in p}
    ids = [e.get('id') for e in root.iter() if e.get('id')]
    if len(ids) != len(set(ids)):
        yield f'ids twice: {sorted(i for i in set(ids) if ids.count(i) > 1)}'
    wanted = set(re.findall(r'url\(#([^)]+)\)', raw)) | {h[1:] for e in root.iter('a') for h in [e.get('href')]}
    for e in root.iter():
        wanted |= set((e.get('aria-labelledby') or '').split())
    if wanted - set(ids):
        yield f'no such id: {sorted(wanted - set(ids))}'
    if root.get('lang') != 'en' or not text_of(root.find('head/title')):
        yield 'no language or no title'
    if len(list(root.iter('h1'))) != 1:
        yield 'not one h1'
    levels = [int(e.tag[1]) for e in root.iter() if re.fullmatch('h[1-6]', str(e.tag))]
    if any(b > a + 1 for a, b in zip(levels, levels[1:])):
        yield f'headings skip a level: {levels}'
    policy = [m.get('content') for m in root.iter('meta') if m.get('http-equiv') == 'Content-Security-Policy']
    if not policy or "default-src 'none'" not in policy[0]:
        yield 'no content security policy'
    for address in re.findall(r'(?:https?:)?//[\w.]+[^\s"<]*', raw):
        if address != 'http://www.w3.org/2000/svg':
            yield f'an address from outside: {address}'
    if len(list(root.iter('script'))) != 1 or any(k.startswith('on') for e in root.iter() for k in e.attrib):
        yield 'script that is not ours'
    charts = [e for e in root.iter(f'{SVG}svg') if e.get('role') == 'img']
    if not charts:
        yield 'no figure'
    for chart in charts:
        kinds = [c.tag for c in chart]
        if kinds[:2] != [f'{SVG}title', f'{SVG}desc'] or not text_of(chart[0]) or not text_of(chart[1]):
            yield 'a figure without title or description'
            continue
        figure = parent[chart]
        if figure.tag != 'figure' or figure.find('details/div/table') is None:
            yield f'{text_of(chart[0])}: no table behind the figure'
        for e in chart.iter():
            for name, value in e.attrib.items():
                if name not in ('class', 'id') and re.search(r'\b(nan|inf)\b', value, re.I):
                    yield f'{text_of(chart[0])}: {name}="{value}"'
    for table in root.iter('table'):
        columns = len(table.findall('thead/tr/th'))
        if columns == 0 or table.find('caption') is None:
            yield 'a table without head or caption'
        for row in table.findall('tbody/tr'):
            if sum(int(c.get('colspan', '1')) for c in row) != columns:
                yield f'{text_of(table.find("caption"))}: a row with {len(row)} of {columns} cells'


def check(path, name):
    found = list(faults(path))
    for fault in found:
        print(f'{name}: {fault}')
    return len(found)


def stripped(path):
    """The bytes, but for the line that shows the command."""
    return re.sub(rb'<code>plumb report.*?</code>', b'', path.read_bytes())


def main(program, gallery, model):
    wrong = 0
    with tempfile.TemporaryDirectory() as folder:
        for path, command in pages.make(program, gallery, model, Path(folder)):
            wrong += check(path, path.name)
            first = stripped(path)
            more = ['--threads', '1'] if 'report' in command else []
            subprocess.run([*command, *more], check=True, env={**os.environ, 'LC_ALL': 'de_DE.UTF-8'})
            if stripped(path) != first:
                print(f'{path.name}: other bytes the second time, with one thread and in another locale')
                wrong += 1
    print(f'{wrong} faults')
    return 1 if wrong else 0


if __name__ == '__main__':
    sys.exit(main(*sys.argv[1:]))
