#!/usr/bin/env python3
"""Golden renderings of chat templates, made by Python's jinja2 as transformers sets it up.

    tools/golden/make_templates.py TEMPLATES OUT [--texts FOLDER]

TEMPLATES is a folder of .jinja files (llama.cpp's models/templates). Into OUT go:
  conversations.json  the variables of every rendering
  real.json           for every template and conversation the size and FNV-1a hash of the output, or null where jinja2 raises
  cases.json          small templates, one a feature, with the whole output, or null where jinja2 raises
--texts also writes every output as a file, to look at differences.

Needs: jinja2 >= 3.1.6. The environment below repeats transformers/utils/chat_template_utils.py.
"""
import argparse
import datetime
import functools
import json
import sys
from pathlib import Path

import jinja2
import jinja2.ext
from jinja2.sandbox import ImmutableSandboxedEnvironment

sys.path.insert(0, str(Path(__file__).parent))
from template_cases import CASES, CONVERSATIONS, NOW, V


class Generation(jinja2.ext.Extension):
    tags = {'generation'}

    def parse(self, parser):
        line = next(parser.stream).lineno
        body = parser.parse_statements(['name:endgeneration'], drop_needle=True)
        return jinja2.nodes.CallBlock(self.call_method('_support'), [], [], body).set_lineno(line)

    def _support(self, caller):
        return caller()


class Namespace(jinja2.utils.Namespace):
    def __init__(*args, **kwargs):
        self, args = args[0], args[1:]
        attributes = dict(*args, **kwargs)
        for name in attributes:
            Namespace._check(name)
        jinja2.utils.Namespace.__init__(self, attributes)

    def __setitem__(self, name, value):
        Namespace._check(name)
        jinja2.utils.Namespace.__setitem__(self, name, value)

    @staticmethod
    def _check(name):
        if isinstance(name, str) and name.startswith('_'):
            raise jinja2.exceptions.SecurityError(name)


def environment():
    def raise_exception(message):
        raise jinja2.exceptions.TemplateError(message)

    def tojson(x, ensure_ascii=False, indent=None, separators=None, sort_keys=False):
        return json.dumps(x, ensure_ascii=ensure_ascii, indent=indent, separators=separators, sort_keys=sort_keys)

    def strftime_now(form):
        return datetime.datetime.fromtimestamp(NOW, datetime.timezone.utc).strftime(form)

    env = ImmutableSandboxedEnvironment(trim_blocks=True, lstrip_blocks=True,
                                        extensions=[Generation, jinja2.ext.loopcontrols])
    env.filters['tojson'] = tojson
    env.globals.update(raise_exception=raise_exception, strftime_now=strftime_now, namespace=Namespace)
    return env


ENVIRONMENT = environment()
compiled = functools.lru_cache(maxsize=4)(ENVIRONMENT.from_string)


def render(text, variables):
    """The output, or None and why there is none."""
    try:
        return compiled(text).render(**json.loads(json.dumps(variables))), None
    except Exception as reason:  # whatever Python raises, the interpreter must refuse
        return None, f'{type(reason).__name__}: {reason}'


def fnv(data):
    h = 0xCBF29CE484222325
    for byte in data:
        h = (h ^ byte) * 0x100000001B3 & 0xFFFFFFFFFFFFFFFF
    return h


def main():
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument('templates', type=Path)
    options.add_argument('out', type=Path)
    options.add_argument('--texts', type=Path)
    o = options.parse_args()
    real = {}
    for path in sorted(o.templates.glob('*.jinja')):
        source, row = path.read_text(encoding='utf-8'), []
        for name, variables in CONVERSATIONS.items():
            text, why = render(source, variables)
            row.append(None if text is None else [len(text.encode()), f'{fnv(text.encode()):016x}'])
            if o.texts:
                o.texts.mkdir(parents=True, exist_ok=True)
                (o.texts / f'{path.stem}.{name}').write_text(why if text is None else text, encoding='utf-8')
        real[path.name] = row
    cases = [{'name': name, 'template': template, 'output': render(template, V)[0]} for name, template in CASES]
    o.out.mkdir(parents=True, exist_ok=True)

    def write(name, value):
        (o.out / name).write_text(json.dumps(value, ensure_ascii=False, indent=1) + '\n', encoding='utf-8')

    write('conversations.json', {'now': NOW, 'conversations': CONVERSATIONS})
    lines = [f'  {json.dumps(c, ensure_ascii=False)}' for c in cases]
    (o.out / 'cases.json').write_text('{\n"now": %d,\n"variables": %s,\n"cases": [\n%s\n]\n}\n' % (
        NOW, json.dumps(V, ensure_ascii=False), ',\n'.join(lines)), encoding='utf-8')
    lines = [f'  {json.dumps(k)}: {json.dumps(v)}' for k, v in real.items()]
    (o.out / 'real.json').write_text('{\n' + ',\n'.join(lines) + '\n}\n', encoding='utf-8')
    count = sum(len(r) for r in real.values())
    print(f'{len(real)} templates, {len(CONVERSATIONS)} conversations each: {count} renderings, '
          f'{sum(x is None for r in real.values() for x in r)} raise; {len(cases)} cases')


if __name__ == '__main__':
    main()
