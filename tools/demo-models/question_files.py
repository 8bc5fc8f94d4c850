#!/usr/bin/env python3
"""Writes the embedded pair's questions: calibration.jsonl (500, no gold), test.jsonl (1,500), questions.jsonl (300).

  python3 tools/demo-models/question_files.py FOLDER

Calibration and test questions are about regions of different parts (facts.part), neither of which was trained on in any
form. questions.jsonl, for a quick look, is the first 300 of the test. Needs Debian's iso-codes.
"""

import collections
import json
import pathlib
import sys

import facts as fact_sheet


def write(path, questions):
    path.write_text("".join(json.dumps(q, ensure_ascii=False) + "\n" for q in questions), encoding="utf-8")


def main():
    folder = pathlib.Path(sys.argv[1])
    regions = fact_sheet.load()
    parts, every = fact_sheet.parts(regions), fact_sheet.Facts(regions)
    test = fact_sheet.question_file(every, parts["test"], 1500, 1)
    calibration = fact_sheet.question_file(every, parts["calibration"], 500, 1)
    for q in calibration:
        del q["gold"]
    write(folder / "test.jsonl", test)
    write(folder / "questions.jsonl", test[:300])
    write(folder / "calibration.jsonl", calibration)
    print(json.dumps({"regions": {p: len(r) for p, r in parts.items()},
                      "test": collections.Counter(q["group"] for q in test)}))


if __name__ == "__main__":
    main()
