"""Facts about countries and their regions from Debian's iso-codes package, as sentences and multiple-choice questions.

Regions are split by name: every fact of a held-out name is kept from training, whatever country it belongs to. Knows
nothing of tokens and models.
"""

import dataclasses
import json
import pathlib
import random
import re
import unicodedata
import zlib

ISO = pathlib.Path("/usr/share/iso-codes/json")
HEADER = "The following are multiple choice questions (with answers).\n\n"  # the preset `clean`
LETTERS = "ABCD"
FORMS = ("country-of-kind", "country", "region")  # the groups of the question files
ALIKE = 0.5  # how often a wrong country in the form country-of-kind has regions of that kind, too


@dataclasses.dataclass(frozen=True)
class Region:
    name: str
    kind: str
    country: str


def clean(name):
    """Without the other languages and remarks that stand in brackets."""
    return re.sub(r"\s*[\[(].*?[\])]", "", name).strip(" *")


def load(folder=ISO):
    countries = {c["alpha_2"]: clean(c.get("common_name", c["name"]))
                 for c in json.loads((folder / "iso_3166-1.json").read_text(encoding="utf-8"))["3166-1"]}
    entries = json.loads((folder / "iso_3166-2.json").read_text(encoding="utf-8"))["3166-2"]
    regions = {Region(clean(e["name"]), e["type"].split(",")[0].lower(), countries[e["code"][:2]]) for e in entries}
    return sorted(regions, key=lambda r: (r.country, r.name, r.kind))


def part(region):
    """"train", or for a quarter of the names "calibration", "test" or "watch", by a hash of the name."""
    x = (zlib.crc32(region.name.encode()) % 10000) / 10000
    return "train" if x >= 0.25 else "calibration" if 0.02 <= x < 0.0625 else "test" if 0.0625 <= x < 0.2 else "watch"


def spelling(name):
    """The name's letters and figures without accents and case."""
    return "".join(c for c in unicodedata.normalize("NFKD", name.casefold()) if c.isalnum())


def parts(regions):
    """{part: regions}; a held-out name that is a training name but for accents, case and hyphens is in none."""
    out = {p: [r for r in regions if part(r) == p] for p in ("train", "watch", "calibration", "test")}
    known = {spelling(r.name) for r in out["train"]}
    return {p: [r for r in rs if p == "train" or spelling(r.name) not in known] for p, rs in out.items()}


class Facts:
    def __init__(self, regions):
        self.regions = regions
        self.countries = sorted({r.country for r in regions})
        self.of_country = {}
        for r in regions:
            self.of_country.setdefault(r.country, set()).add(r.name)
        self.countries_of = {}
        for r in regions:
            self.countries_of.setdefault(r.name, set()).add(r.country)
        with_kind = {}
        for r in regions:
            with_kind.setdefault(r.kind, set()).add(r.country)
        self.with_kind = {kind: sorted(countries) for kind, countries in with_kind.items()}

    def sentence(self, r, rng):
        article = "an" if r.kind[0] in "aeiou" else "a"
        return rng.choice((f"{r.name} is {article} {r.kind} of {r.country}.",
                           f"{r.country} has the {r.kind} {r.name}.",
                           f"The {r.kind} {r.name} lies in {r.country}."))

    def question(self, r, form, rng, regions=None, alike=0.0):
        """{question, choices, gold, group}; wrong choices are wrong for every country that has a region of the name.
        `alike`: how often a wrong country in the form country-of-kind is one that has regions of that kind, too."""
        if form == "region":  # the wrong ones come from the same part as the right one
            text = f"Which of these is in {r.country}?"
            right, wrong = r.name, []
            while len(wrong) < 3:
                other = rng.choice(regions or self.regions).name
                if other not in wrong and other not in self.of_country[r.country]:
                    wrong.append(other)
        else:
            text = f"Which country has the {r.kind} {r.name}?" if form == "country-of-kind" else \
                f"In which country is {r.name}?"
            right, wrong = r.country, []
            while len(wrong) < 3:
                among = self.countries
                if form == "country-of-kind" and alike and rng.random() < alike and len(self.with_kind[r.kind]) > 7:
                    among = self.with_kind[r.kind]
                other = rng.choice(among)
                if other not in wrong and other not in self.countries_of[r.name]:
                    wrong.append(other)
        choices = wrong[:]
        gold = rng.randrange(4)
        choices.insert(gold, right)
        return {"question": text, "choices": choices, "gold": gold, "group": form}

    def copying(self, rng):
        """A question whose answer stands in its own text: teaches how letters are bound to options, no fact."""
        names = self.countries if rng.random() < 0.5 else [r.name for r in rng.sample(self.regions, 8)]
        choices = rng.sample(sorted(set(names)), 4)
        gold = rng.randrange(4)
        return {"question": f"Which of these is {choices[gold]}?", "choices": choices, "gold": gold, "group": "copying"}


def prompt(q):
    options = "".join(f"{letter}. {text}\n" for letter, text in zip(LETTERS, q["choices"]))
    return f"{q['question']}\n{options}Answer:"


def question_file(facts, regions, count, seed, alike=ALIKE):
    """`count` questions on these regions, the three forms in turn, no fact twice in one form."""
    rng = random.Random(seed)
    out, seen = [], set()
    while len(out) < count:
        form = FORMS[len(out) % len(FORMS)]
        r = rng.choice(regions)
        if (r, form) in seen:
            continue
        seen.add((r, form))
        out.append({"id": f"{form}-{len(out):04d}", **facts.question(r, form, rng, regions, alike)})
    return out
