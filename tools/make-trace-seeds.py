#!/usr/bin/env python3
"""Write the seeds of tests/fuzz/corpus/trace: a good trace, a small shard, and good ones broken in one place each.

Standard library only. Run it again when the trace's header gains a field.
"""
import json
import struct
from pathlib import Path

FOLDER = Path(__file__).resolve().parents[1] / 'tests' / 'fuzz' / 'corpus' / 'trace'
INF = float('-inf')


def metadata(n, k, layers, hidden, first, total, groups):
    return {
        'format': 'plumb-trace', 'version': '1', 'program': 'plumb', 'model': 'tiny', 'model_fingerprint': '0' * 32,
        'architecture': 'llama', 'tokenizer_hash': '1' * 32, 'precision': 'f32', 'arithmetic': 'avx2',
        'preset': 'clean', 'preset_hash': '2' * 32, 'task': 'quiz', 'task_hash': '3' * 32,
        'lens': 'letters' if layers else 'none', 'items': str(n), 'first': str(first), 'total': str(total),
        'options': str(k), 'layers': str(layers), 'entropy': 'true' if layers else 'false',
        'hidden_size': '2' if hidden else '0', 'hidden_layers': json.dumps(hidden), 'groups': json.dumps(groups)}


def build(header, data):
    text = json.dumps(header).encode()
    text += b' ' * (-(8 + len(text)) % 64)
    return struct.pack('<Q', len(text)) + text + data


def good(n, k, layers, hidden, first, total, groups):
    row = [1.5, 0.25] + [INF] * (k - 2)
    parts = [('item_hash', 'U64', [n, 2], struct.pack(f'<{2 * n}Q', *range(2 * n))),
             ('logits', 'F32', [n, k], struct.pack(f'<{n * k}f', *(row * n)))]
    if layers:
        parts += [('lens', 'F32', [n, layers, k], struct.pack(f'<{n * layers * k}f', *(row * n * layers))),
                  ('entropy', 'F32', [n, layers], bytes(4 * n * layers))]
    parts += [('option_mass', 'F32', [n], bytes(4 * n)), ('label', 'I32', [n], struct.pack(f'<{n}i', *([-1] * n))),
              ('options', 'I32', [n], struct.pack(f'<{n}i', *([2] * n))), ('group', 'I32', [n], bytes(4 * n))]
    if hidden:
        parts += [('hidden', 'F16', [n, len(hidden), 2], bytes(4 * n * len(hidden)))]
    parts += [('done', 'U8', [n], b'\1' * n)]
    header, data = {'__metadata__': metadata(n, k, layers, hidden, first, total, groups)}, b''
    for name, dtype, shape, values in parts:
        header[name] = {'dtype': dtype, 'shape': shape, 'data_offsets': [len(data), len(data) + len(values)]}
        data += values
    return header, data


def main():
    FOLDER.mkdir(parents=True, exist_ok=True)
    header, data = good(2, 5, 3, [0, 3], 0, 2, ['a', 'b\u00e9'])
    whole = build(header, data)
    seeds = {'full': whole, 'truncated': whole[:-1], 'length-huge': b'\xff' * 8 + whole[8:100],
             'small-shard': build(*good(1, 2, 0, [], 1, 2, ['all']))}

    def broken(name, change, extra=b''):
        copy = json.loads(json.dumps(header))
        change(copy)
        seeds[name] = build(copy, data + extra)

    end = len(data)
    broken('overlap', lambda h: h['item_hash'].update(data_offsets=[8, 40]))
    broken('overflow', lambda h: h['item_hash'].update(shape=[1 << 62, 16]))
    broken('items-huge', lambda h: h['__metadata__'].update(items=str(2**63 - 1), total=str(2**64 - 1)))
    broken('extra-tensor', lambda h: h.update(z={'dtype': 'F4', 'shape': [3, 2], 'data_offsets': [end, end + 3]}), b'abc')
    seeds['duplicate'] = build(header, data).replace(b'"done"', b'"label"').replace(b'    ', b'   ', 1)
    for name, content in seeds.items():
        (FOLDER / name).write_bytes(content)


if __name__ == '__main__':
    main()
