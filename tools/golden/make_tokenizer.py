#!/usr/bin/env python3
"""Makes tests/golden/tokenizer/: a tiny tokenizer.json for every pipeline that the supported families use, and the ids
and texts that Hugging Face's tokenizers gives for a list of texts.

Needs: pip install tokenizers. Usage: python3 tools/golden/make_tokenizer.py tests/data/tokenizer tests/golden/tokenizer
       [folder with NAME/tokenizer.json of real models: their ids alone are written]

texts.json  the texts
KIND.json   a tokenizer of some 400 tokens, trained on these texts
KIND.ids    one line a text: ids without the template, "|", ids with it, "|", ids without it where special tokens in the
            text are left as text; "=" stands for the first list again
KIND.text   JSON list: what decoding the first list gives
"""
import json
import pathlib
import random
import sys
import unicodedata

from tokenizers import Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers

data, out = pathlib.Path(sys.argv[1]), pathlib.Path(sys.argv[2])
real = pathlib.Path(sys.argv[3]) if len(sys.argv) > 3 else None

# ---- texts ----

ENGLISH = """The question is not whether a model can answer, but whether it knows when it cannot. In 1998, about 12,345 of the
67890 answers were wrong; they'd been "certain" (p = 0.97). We've measured it: the temperature that you'll fit is larger than
one, isn't it? Calibration doesn't change the order of the options, it's only the spread that changes.\n\tif (x >= 10) {\n
\t\treturn x * 2; // twice\n\t}\n\nSTATES of MATTER: solid, liquid, gas. HTTPServer parseJSON camelCase snake_case 3.14159 2^10.
Größe, façade, naïve, Ångström; привет мир; 你好，世界。日本語のテキスト; 한국어 문장; नमस्ते दुनिया; مرحبا بالعالم; ½ cup; x² + y².
"""


def random_texts(count, seed):
    """Strings over pools that hit the corners of the patterns; only characters of Unicode 14 and older."""
    r = random.Random(seed)
    assert unicodedata.unidata_version == "14.0.0", "make these with Python 3.11"
    known = [c for c in range(1, 0x110000) if unicodedata.category(chr(c)) not in ("Cn", "Cs", "Co")]
    pools = [
        known, [c for c in known if c < 128], [c for c in known if c < 0x250],
        [0x300, 0x301, 0x316, 0x323, 0x41, 0x61, 0x6F, 0x1112, 0x1161, 0x11A8, 0xAC00, 0xE9, 0x3A9, 0x2126, 0xFB01],
        [ord(c) for c in " \n\t\r\u3000\xa0\u180e\u2028 \x85a1"], [ord(c) for c in "'sStTrReEvVmMlLdD \u017f\u212a"],
        [ord(c) for c in "0123456789\u0661\u0662\xbd\xb2 "], list(range(0x1F600, 0x1F640)) + [0x200D, 0xFE0F],
        [0x2581, 32, 97], [ord(c) for c in "<|im_start|>end<s></s><pad>"],
    ]
    texts = []
    for _ in range(count):
        parts = []
        for _ in range(r.randint(1, 4)):
            pool = r.choice(pools)
            parts += [chr(r.choice(pool)) for _ in range(r.randint(1, 8))]
        texts.append("".join(parts))
    return texts


common = (data / "common.inp").read_text("utf-8").split("\n__ggml_vocab_test__\n")
gemma = (data / "gemma-4.inp").read_text("utf-8").split("\n__ggml_vocab_test__\n")
corpus = [ENGLISH] * 3 + common + gemma
texts = common + [t for t in gemma if t not in common] + ENGLISH.split(". ") + random_texts(100, 20261122)
texts += ["<|im_start|>user\nHi<|im_end|>", "a<s>b</s> c", "  <s>  x  </s>  y", "<think> no </think>", "a<mask>b <mask> c",
          "\u2581a \u2581 b", "x    <|endoftext|>   y", "wordword word words", "\u0130STANBUL \ufb01ne \u2460"]

# ---- building ----

BYTES = sorted(pre_tokenizers.ByteLevel.alphabet())
LLAMA3 = (r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|"
          r"\s+(?!\S)|\s+")
QWEN2 = LLAMA3.replace(r"\p{N}{1,3}", r"\p{N}")
CAPITALS, SMALLS = r"[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]", r"[\p{Ll}\p{Lm}\p{Lo}\p{M}]"
HEAD, BLANKS = r"[^\r\n\p{L}\p{N}]?", r"\s*[\r\n]+|\s+(?!\S)|\s+"
TEKKEN = (rf"{HEAD}{CAPITALS}*{SMALLS}+|{HEAD}{CAPITALS}+{SMALLS}*|\p{{N}}| ?[^\s\p{{L}}\p{{N}}]+[\r\n/]*|{BLANKS}")
GPT4O = (rf"{HEAD}{CAPITALS}*{SMALLS}+(?i:'s|'t|'re|'ve|'m|'ll|'d)?|{HEAD}{CAPITALS}+{SMALLS}*(?i:'s|'t|'re|'ve|'m|'ll|'d)?|"
         rf"\p{{N}}{{1,3}}| ?[^\s\p{{L}}\p{{N}}]+[\r\n/]*|{BLANKS}")
DEEPSEEK3 = (r"""[!"#$%&'()*+,\-./:;<=>?@\[\\\]^_`{|}~][A-Za-z]+|[^\r\n\p{L}\p{P}\p{S}]?[\p{L}\p{M}]+| ?[\p{P}\p{S}]+[\r\n]*|"""
             r"\s*[\r\n]+|\s+(?!\S)|\s+")
GPT2_DECODER = {"type": "ByteLevel", "add_prefix_space": True, "trim_offsets": True, "use_regex": True}
SP_DECODER = {"type": "Sequence", "decoders": [
    {"type": "Replace", "pattern": {"String": "\u2581"}, "content": " "}, {"type": "ByteFallback"}, {"type": "Fuse"},
    {"type": "Strip", "content": " ", "start": 1, "stop": 0}]}


def byte_level(prefix=False, regex=True):
    return {"type": "ByteLevel", "add_prefix_space": prefix, "trim_offsets": True, "use_regex": regex}


def split(pattern, behavior="Isolated", invert=False, kind="Regex"):
    return {"type": "Split", "pattern": {kind: pattern}, "behavior": behavior, "invert": invert}


def sequence(kind, *parts):
    return {"type": "Sequence", kind: list(parts)}


def template(prefix, suffix, ids):
    piece = [{"SpecialToken": {"id": t, "type_id": 0}} for t in prefix]
    piece += [{"Sequence": {"id": "A", "type_id": 0}}]
    piece += [{"SpecialToken": {"id": t, "type_id": 0}} for t in suffix]
    return {"type": "TemplateProcessing", "single": piece, "pair": [],
            "special_tokens": {t: {"id": t, "ids": [ids[t]], "tokens": [t]} for t in prefix + suffix}}


def added(content, special=True, **flags):
    return {"content": content, "single_word": False, "lstrip": False, "rstrip": False, "normalized": False,
            "special": special} | flags


def train(normalizer, pretokenizer, size, alphabet):
    """Vocabulary and merges over the corpus, cut as the pipeline cuts it."""
    t = Tokenizer(models.BPE())
    shell = {"version": "1.0", "truncation": None, "padding": None, "added_tokens": [], "normalizer": normalizer,
             "pre_tokenizer": pretokenizer, "post_processor": None, "decoder": None,
             "model": {"type": "BPE", "vocab": {}, "merges": []}}
    t = Tokenizer.from_str(json.dumps(shell))
    t.train_from_iterator(corpus, trainers.BpeTrainer(vocab_size=size, initial_alphabet=alphabet, show_progress=False))
    model = json.loads(t.to_str())["model"]
    return sorted(model["vocab"], key=model["vocab"].get), model["merges"]


def all_cuts(vocab, merges):
    """As converters of SentencePiece models do: every cut of a token into two tokens is a merge, by the token's rank."""
    rank = {a + b: i for i, (a, b) in reversed(list(enumerate(merges)))}
    known = set(vocab)
    found = []
    for token, r in rank.items():
        found += [(r, i, token[:i], token[i:]) for i in range(1, len(token)) if token[:i] in known and token[i:] in known]
    return [[a, b] for _, _, a, b in sorted(found)]


def make(kind, normalizer, pretokenizer, decoder, tokens, *, size=330, first=(), byte_fallback=False, unk=None,
         fuse=False, ignore=False, prefix=(), suffix=(), strings=False, cuts=False, chain=False, alphabet=None):
    if alphabet is None:
        alphabet = [] if byte_fallback else BYTES
    vocab, merges = train(normalizer, pretokenizer, size, alphabet)
    if byte_fallback: # rare characters must need it
        keep = [v for v in vocab if len(v) > 1 or ord(v) < 0x250 or v == "\u2581"]
        parts = set(keep)
        merges = [m for m in merges if m[0] in parts and m[1] in parts and m[0] + m[1] in parts]
        products = {a + b for a, b in merges}
        vocab = [v for v in keep if len(v) == 1 or v in products]
    if cuts:
        merges = all_cuts(vocab, merges)
    names = list(first) + ([f"<0x{b:02X}>" for b in range(256)] if byte_fallback else []) + vocab
    ids = {n: i for i, n in enumerate(names)}
    listed = []
    for token in tokens:
        ids.setdefault(token["content"], len(ids))
        listed.append({"id": ids[token["content"]]} | token)
    model_vocab = {n: ids[n] for n in names}
    post = template(list(prefix), list(suffix), ids) if prefix or suffix else None
    if chain:
        post = sequence("processors", byte_level(), post)
    model = {"type": "BPE", "dropout": None, "unk_token": unk, "continuing_subword_prefix": None,
             "end_of_word_suffix": None, "fuse_unk": fuse, "byte_fallback": byte_fallback, "ignore_merges": ignore,
             "vocab": model_vocab, "merges": [" ".join(m) for m in merges] if strings else merges}
    whole = {"version": "1.0", "truncation": None, "padding": None,
             "added_tokens": sorted(listed, key=lambda t: t["id"]), "normalizer": normalizer,
             "pre_tokenizer": pretokenizer, "post_processor": post, "decoder": decoder, "model": model}
    (out / f"{kind}.json").write_text(json.dumps(whole, ensure_ascii=False, separators=(",", ":")), "utf-8")
    write_ids(kind, Tokenizer.from_str(json.dumps(whole)))


def write_ids(kind, t):
    def line(lists):
        return "|".join("=" if i and x == lists[0] else " ".join(map(str, x)) for i, x in enumerate(lists))
    lines, decoded = [], []
    for text in texts:
        t.encode_special_tokens = True
        as_text = t.encode(text, add_special_tokens=False).ids
        t.encode_special_tokens = False
        plain = t.encode(text, add_special_tokens=False).ids
        lines.append(line([plain, t.encode(text, add_special_tokens=True).ids, as_text]))
        decoded.append(t.decode(plain, skip_special_tokens=False))
    (out / f"{kind}.ids").write_text("\n".join(lines) + "\n", "utf-8")
    if len(t.get_vocab()) < 2000:
        (out / f"{kind}.text").write_text(json.dumps(decoded, ensure_ascii=False, separators=(",", ":")), "utf-8")


out.mkdir(parents=True, exist_ok=True)
(out / "texts.json").write_text(json.dumps(texts, ensure_ascii=False, indent=0), "utf-8")

IM = [added("<|endoftext|>"), added("<|im_start|>"), added("<|im_end|>")]
THINK = [added("<think>", False), added("</think>", False)]
RUNS = [added(" " * n, False, normalized=True) for n in range(8, 1, -1)]
S = [added("<unk>"), added("<s>"), added("</s>")]
SPACE = {"type": "Replace", "pattern": {"String": " "}, "content": "\u2581"}
LEGACY = sequence("normalizers", {"type": "Prepend", "prepend": "\u2581"}, SPACE)
META = {"type": "Metaspace", "replacement": "\u2581"}

make("gpt2", None, byte_level(), GPT2_DECODER, IM[:1], strings=True)
make("llama3", None, sequence("pretokenizers", split(LLAMA3), byte_level(regex=False)), GPT2_DECODER, IM, ignore=True,
     prefix=["<|endoftext|>"], chain=True)
make("qwen2", {"type": "NFC"}, sequence("pretokenizers", split(QWEN2), byte_level(regex=False)), GPT2_DECODER, IM + THINK)
make("gpt-neox", {"type": "NFC"}, byte_level(), GPT2_DECODER, IM[:1] + RUNS, strings=True)
make("phi2", None, byte_level(True), GPT2_DECODER, IM[:1] + RUNS[:3])
make("smollm", None, sequence("pretokenizers", {"type": "Digits", "individual_digits": True}, byte_level()), GPT2_DECODER,
     IM, first=["<|endoftext|>", "<|im_start|>", "<|im_end|>"])
make("falcon", None, sequence("pretokenizers", {"type": "Punctuation", "behavior": "Contiguous"}, byte_level(),
                              {"type": "Digits", "individual_digits": False}, split("[0-9][0-9][0-9]")),
     GPT2_DECODER, IM[:1])
make("deepseek-coder", sequence("normalizers"),
     sequence("pretokenizers", split(r"[\r\n]"), split(r"\s?\p{L}+"), split(r"\s?\p{P}+"),
              split("[\u4e00-\u9fa5\u0800-\u4e00\uac00-\ud7ff]+"), {"type": "Digits", "individual_digits": True},
              byte_level(regex=False)), GPT2_DECODER, IM, prefix=["<|im_start|>"], suffix=["<|im_end|>"])
make("deepseek-v3", sequence("normalizers"),
     sequence("pretokenizers", split(r"\p{N}{1,3}"), split("[\u4e00-\u9fa5\u3040-\u309f\u30a0-\u30ff]+"), split(DEEPSEEK3),
              byte_level(regex=False)), GPT2_DECODER, IM)
make("tekken", None, sequence("pretokenizers", split(TEKKEN), byte_level(regex=False)), GPT2_DECODER, S, ignore=True,
     prefix=["<s>"])
make("gpt-4o", None, sequence("pretokenizers", split(GPT4O), byte_level(regex=False)), GPT2_DECODER, IM)
make("llama2", LEGACY, None, SP_DECODER, S, first=["<unk>", "<s>", "</s>"], byte_fallback=True, unk="<unk>", fuse=True,
     prefix=["<s>"], cuts=True, size=260, strings=True)
make("phi3", LEGACY, None, SP_DECODER, S[:2] + [added("</s>", False, rstrip=True), added("<|im_start|>", rstrip=True),
                                                 added("<|im_end|>", rstrip=True)],
     first=["<unk>", "<s>", "</s>"], byte_fallback=True, unk="<unk>", size=260)
make("mistral", None, META | {"prepend_scheme": "first", "split": False}, SP_DECODER, S, first=["<unk>", "<s>", "</s>"],
     byte_fallback=True, unk="<unk>", fuse=True, prefix=["<s>"], size=260)
make("metaspace", None, META | {"prepend_scheme": "always", "split": True}, META | {"prepend_scheme": "always"}, S,
     first=["<unk>", "<s>", "</s>"], unk="<unk>", alphabet=[], suffix=["</s>"], size=380)
make("gemma", SPACE, split(" ", "MergedWithPrevious", kind="String"),
     {"type": "Sequence", "decoders": SP_DECODER["decoders"][:3]}, S + [added("<mask>", False)],
     first=["<pad>", "<unk>", "<s>", "</s>"], byte_fallback=True, unk="<unk>", fuse=True, prefix=["<s>"], cuts=True, size=260)
make("words", sequence("normalizers", {"type": "NFKC"}, {"type": "Lowercase"},
                       {"type": "Strip", "strip_left": True, "strip_right": False}),
     {"type": "Whitespace"}, None,
     [added("<unk>"), added("<mask>", lstrip=True), added("word", False, single_word=True, normalized=True),
      added("</s>", lstrip=True, rstrip=True)],
     first=["<unk>"], unk="<unk>", alphabet=[], size=300)
make("cuts", sequence("normalizers", {"type": "NFKD"}, {"type": "Replace", "pattern": {"Regex": r"\s\s+"}, "content": " "}),
     sequence("pretokenizers", {"type": "WhitespaceSplit"}, {"type": "Punctuation"}, split("a", "MergedWithNext", kind="String"),
              split(r"\p{L}+", "MergedWithPrevious", True), split("z", "Removed"), split("e+", "Contiguous")),
     {"type": "Fuse"}, [added("<unk>")], first=["<unk>"], unk="<unk>", fuse=True, alphabet=[], size=300)

for folder in sorted(real.iterdir()) if real else []:
    if (folder / "tokenizer.json").exists():
        write_ids("real-" + folder.name, Tokenizer.from_file(str(folder / "tokenizer.json")))
