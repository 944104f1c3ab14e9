"""Makes the small tokenizers beside this file and the token ids that the reference libraries give for nasty texts.

    pip install tokenizers==0.23.3 sentencepiece==0.2.3 transformers==5.23.0 protobuf
    python make_tokenizers.py [WIKI_LLAMA_FOLDER WIKITEXT_TEST_FILE]
    python make_tokenizers.py into FOLDER COUNT [SEED]

With two arguments it also prints the numbers that TokenizerWikiTextTests compares with. With `into` the same tokenizers
go to another folder with COUNT texts each, for TokenizerInteropTests.
The oracle is `tokenizers.Tokenizer.from_file`, since transformers 5 overrides parts of the file for LLaMA; for
tokenizer.model it is sentencepiece, and for files beside it and for vocab.json transformers.
"""

import io
import json
import random
import re
import sys
from pathlib import Path

import sentencepiece
import tokenizers
from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers

HERE = Path(__file__).parent

CORPUS = """
The pruning of a network removes what it does not need. When a neuron is silent for every text, it can be taken out
and nothing changes; when two neurons say the same, one of them is enough. It's harder to know what a network needs:
we've measured 1234 neurons in 2024, they're not alike, and I'd say that's what you'll find too. She isn't sure.
Functional networks are groups of neurons that act together, as regions of a brain do. (See figure 12, page 345.)
  Indented lines, tabs\tand   wide   gaps belong to text too...
def add(a, b):
    return a + b  # 100% of the sum
Ein Netz, das größer ist, muß nicht klüger sein. Les réseaux de neurones artificiels sont élagués où c'est nécessaire.
Нейронная сеть состоит из слоёв. 神経回路網は層からなる。神经网络由层组成。 신경망은 층으로 이루어진다. שלום עולם
naïve café déjà vu señor Ångström ½ ¾ x² + y² = z² — “quoted” ‘words’ … €100 😀 😃 👍🏽
"""

ALPHABET = [
    " ", " ", "  ", "   ", "\n", "\n\n", "\r\n", "\r", "\t", "\v", "\f", "a", "b", "the", "The", "network", "networks",
    "Hello", "HELLO", "neuron", "'s", "'S", "'\u017f", "\u017f", "'LL", "'ll", "'Re", "'ve", "'", "'d", "'M", "\u2019s",
    "1", "12", "345", "1234567", "\u00bd", "\u0663", "\u2167", "\u00b2", "e\u0301", "\u0301", "a\u0308\u0323", "\u00e9",
    "\u00f1", "n\u0303", "\ud55c\uad6d", "\u1112\u1161\u11ab", "\u4e2d\u6587", "\U0001f600",
    "\U0001f468\u200d\U0001f469\u200d\U0001f467", "\U0001f44d\U0001f3fd", "\u200b", "\u00a0", "\u3000", "\u2028",
    "\u2003", "\u202f", "\u0085", "\u1680", "\u180e", "\ufeff", "\u001c", "\u0000", "\u007f", "<s>", "</s>",
    "<|begin_of_text|>", "<|end_of_text|>", "<unk>", "<mask>", "<pad>", "<tool>", "<tool> ", "toolbox", "tool", "<0x41>",
    "\u2581", "\u2581\u2581", "!", "...", "_", "-", "<", ">", "|", "#$%", "()", "\u212b", "\ufb01", "\u0390", "\u0344",
    "\u0958", "\U0001d15e", "\u212a", "\u0915\u093f", "\u05e9\u05b8", "\u0410", "\u00df", "\u1e9b\u0323", "\u2126",
    "cafe\u0301", "na\u00efve", "\u20ac", "\u0345", "\u0f71\u0f72", "<|endoftext|>", "<|im_start|>", "camelCase",
    "HTTPServer", "a/b", "\u3042\u30ab", "\u3002", "\uff01", "\u00b5", "@name", "x=1;",
]

LLAMA3 = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+"
    r"|\s+(?!\S)|\s+"
)
QWEN2 = LLAMA3.replace("{1,3}", "")
TEKKEN = (
    r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+"
    r"|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*"
    r"|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)

# Each stage of a cut before byte level; the digits of the first two are cut one by one.
CASED = (
    "A-Za-z\u00b5\u00c0-\u00d6\u00d8-\u00f6\u00f8-\u01ba\u01bc-\u01bf\u01c4-\u0293\u0295-\u02af\u0370-\u0373\u0376\u0377"
    "\u037b-\u037d\u037f\u0386\u0388-\u038a\u038c\u038e-\u03a1\u03a3-\u03f5\u03f7-\u0481\u048a-\u052f\u0531-\u0556"
    "\u1f00-\u1f15\u2c00-\u2c7b\ufb00-\ufb06\uff21-\uff3a\uff41-\uff5a\U00010400-\U0001044f"
)
DEEPSEEK = {
    "deepseek-llm": [
        "[\r\n]", rf"\s?[{CASED}]+", "\\s?[!-/:-~\uff01-\uff0f\uff1a-\uff5e\u2018-\u201f\u3000-\u3002]+", r"\s+$",
        "[\u4e00-\u9fa5\u0800-\u4e00\uac00-\ud7ff]+",
    ],
    "deepseek-coder": [
        "[\r\n]", r"\s?\p{L}+", r"\s?\p{P}+", "[\u4e00-\u9fa5\u0800-\u4e00\uac00-\ud7ff]+",
    ],
    "deepseek-3": [
        r"\p{N}{1,3}", "[\u4e00-\u9fa5\u3040-\u309f\u30a0-\u30ff]+",
        r'[!"#$%&\'()*+,\-./:;<=>?@\[\\\]^_`{|}~][A-Za-z]+|[^'.replace("\\'", "'") + "\r\n" + r"\p{L}\p{P}\p{S}]?[\p{L}\p{M}]+"
        r"| ?[\p{P}\p{S}]+[" + "\r\n" + r"]*|\s*[" + "\r\n" + r"]+|\s+(?!\S)|\s+",
    ],
}


def texts(count=300, seed=20240613):
    draw = random.Random(seed)
    result = ["", " ", "  ", "\n", "Hello", " Hello", "  Hello</s> you", "<s>", "<s> <s>", "a<mask> b", "a <mask>  b",
              "a tool b", "toolbox tool", "<tool>", "x<tool>y"]
    while len(result) < count:
        result.append("".join(draw.choice(ALPHABET) for _ in range(draw.randint(1, 9))))
    return result


def byte_level(vocab, pattern=None, normalizer=None, ignore_merges=False, added=(), bos=None):
    tokenizer = Tokenizer(models.BPE(ignore_merges=ignore_merges))
    if normalizer:
        tokenizer.normalizer = normalizer
    if isinstance(pattern, list):
        digits = [] if pattern[:1] == [r"\p{N}{1,3}"] else [pre_tokenizers.Digits(individual_digits=True)]
        tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
            [pre_tokenizers.Split(Regex(part), "isolated") for part in pattern] + digits
            + [pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=not pattern)]
        )
    elif pattern:
        tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
            [
                pre_tokenizers.Split(Regex(pattern), "isolated"),
                pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
            ]
        )
    else:
        tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=vocab, initial_alphabet=pre_tokenizers.ByteLevel.alphabet(), show_progress=False
    )
    tokenizer.train_from_iterator([CORPUS] * 2, trainer)
    for token in added:
        (tokenizer.add_special_tokens if token.special else tokenizer.add_tokens)([token])
    if bos:
        template = processors.TemplateProcessing(
            single=f"{bos} $A", pair=f"{bos} $A {bos} $B", special_tokens=[(bos, tokenizer.token_to_id(bos))]
        )
        tokenizer.post_processor = processors.Sequence([processors.ByteLevel(trim_offsets=False), template])
    return tokenizer


def sentence_like(vocab, legacy, scheme="first", whole=False, bytes_too=True):
    """A LLaMA-2 file: byte fallback, spaces as U+2581, and merges that never cross a space unless `whole`."""
    tokenizer = Tokenizer(models.BPE(unk_token="<unk>", fuse_unk=True, byte_fallback=bytes_too))
    mark = pre_tokenizers.Metaspace(prepend_scheme="always", split=not whole)
    tokenizer.pre_tokenizer = mark
    specials = ["<unk>", "<s>", "</s>"] + ([f"<0x{b:02X}>" for b in range(256)] if bytes_too else [])
    trainer = trainers.BpeTrainer(vocab_size=vocab, special_tokens=specials, limit_alphabet=70, show_progress=False)
    tokenizer.train_from_iterator(CORPUS.split("\n") * 2, trainer)
    # The byte tokens are ordinary entries of a published file, so only the three specials stay added tokens.
    data = json.loads(tokenizer.to_str())
    data["added_tokens"] = data["added_tokens"][:3]
    data["post_processor"] = None
    if legacy:
        data["pre_tokenizer"] = None
        data["normalizer"] = {
            "type": "Sequence",
            "normalizers": [
                {"type": "Prepend", "prepend": "\u2581"},
                {"type": "Replace", "pattern": {"String": " "}, "content": "\u2581"},
            ],
        }
        data["model"]["merges"] = [" ".join(pair) for pair in data["model"]["merges"]]
    else:
        data["pre_tokenizer"] = {
            "type": "Metaspace", "replacement": "\u2581", "prepend_scheme": scheme, "split": False
        }
    tokenizer = Tokenizer.from_str(json.dumps(data))
    if legacy:
        tokenizer.decoder = decoders.Sequence(
            [decoders.Replace("\u2581", " "), decoders.ByteFallback(), decoders.Fuse(), decoders.Strip(" ", 1, 0)]
        )
    else:
        tokenizer.decoder = decoders.Sequence(
            [decoders.ByteFallback(), decoders.Metaspace(prepend_scheme=scheme, split=False)]
        )
    tokenizer.post_processor = processors.TemplateProcessing(
        single="<s> $A", pair="<s> $A <s> $B", special_tokens=[("<s>", tokenizer.token_to_id("<s>"))]
    )
    if legacy:
        tokenizer.add_tokens([AddedToken("<tool>", normalized=True), AddedToken("tool", single_word=True)])
    return tokenizer


def special(text, **flags):
    return AddedToken(text, special=True, normalized=False, **flags)


def write(name, tokenizer, strings):
    folder = HERE / name
    folder.mkdir(exist_ok=True)
    tokenizer.save(str(folder / "tokenizer.json"), pretty=False)
    tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    ids = [tokenizer.encode(text, add_special_tokens=False).ids for text in strings]
    around = [tokenizer.encode(text, add_special_tokens=True).ids for text in strings[:20]]
    draw = random.Random(7)
    size = tokenizer.get_vocab_size()
    drawn = [[draw.randrange(size) for _ in range(draw.randint(1, 8))] for _ in range(40)] + ids[:60]
    expect(folder, tokenizers.__name__ + " " + tokenizers.__version__, ids, around, [
        [row, tokenizer.decode(row, skip_special_tokens=False), tokenizer.decode(row, skip_special_tokens=True)]
        for row in drawn
    ], size)


def write_model(name, strings, **options):
    folder = HERE / name
    folder.mkdir(exist_ok=True)
    model = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(CORPUS.strip().split("\n") * 2), model_writer=model, model_type="bpe",
        normalization_rule_name="identity", num_threads=1, minloglevel=2, character_coverage=0.98, **options
    )
    (folder / "tokenizer.model").write_bytes(model.getvalue())
    processor = sentencepiece.SentencePieceProcessor(model_proto=model.getvalue())
    encode = encoder(model.getvalue(), {"<unk>": 0, "<s>": 1, "</s>": 2})
    ids = [encode(text) for text in strings]
    around = [[processor.bos_id()] + row for row in ids[:20]]
    draw = random.Random(7)
    size = processor.get_piece_size()
    drawn = [[draw.randrange(size) for _ in range(draw.randint(1, 8))] for _ in range(40)] + ids[:60]
    expect(folder, "sentencepiece " + sentencepiece.__version__, ids, around, [
        [row, processor.decode(row), processor.decode(row)] for row in drawn
    ], size)


def between(tokens):
    return re.compile("(" + "|".join(re.escape(t) for t in sorted(tokens, key=len, reverse=True)) + ")")


def encoder(model, tokens, legacy=False):
    """Encodes text in which tokens are found: sentencepiece reads what lies between them, and puts a space in front at
    the start of the text alone, or of every part when `legacy`."""
    from sentencepiece import sentencepiece_model_pb2
    bare = sentencepiece_model_pb2.ModelProto.FromString(model)
    bare.normalizer_spec.add_dummy_prefix = False
    bare = sentencepiece.SentencePieceProcessor(model_proto=bare.SerializeToString())
    whole = sentencepiece.SentencePieceProcessor(model_proto=model)
    pattern = between(tokens)

    def encode(text):
        ids = []
        for i, part in enumerate(pattern.split(text)):
            if part in tokens:
                ids.append(tokens[part])
            elif part:
                ids += (whole if i == 0 or legacy else bare).encode(part)
        return ids
    return encode


def write_side(name, strings, legacy):
    """tokenizer.model with tokens in files beside it. Between added tokens sentencepiece decides; transformers must
    agree, except where a text begins with a space, which it does not count twice."""
    from transformers import AutoTokenizer
    folder = HERE / name
    folder.mkdir(exist_ok=True)
    model = (HERE / "sentencepiece-llama" / "tokenizer.model").read_bytes()
    (folder / "tokenizer.model").write_bytes(model)
    size = sentencepiece.SentencePieceProcessor(model_proto=model).get_piece_size()
    tokens = {"<unk>": 0, "<s>": 1, "</s>": 2, "<mask>": size, "toolbox": size + 1, "<tool>": size + 2,
              "<|im_start|>": size + 3}
    plain = dict(lstrip=False, rstrip=False, single_word=False)
    (folder / "tokenizer_config.json").write_text(json.dumps(dict(
        tokenizer_class="LlamaTokenizer", bos_token="<s>", eos_token="</s>", unk_token="<unk>", add_bos_token=True,
        legacy=legacy, additional_special_tokens=["<|im_start|>"], added_tokens_decoder={
            str(size): dict(content="<mask>", special=True, normalized=False, **plain),
            str(size + 1): dict(content="toolbox", special=False, normalized=True, **plain),
            str(size + 2): dict(content="<tool>", special=False, normalized=False, **plain)})))
    (folder / "added_tokens.json").write_text(json.dumps({"<tool>": size + 2, "<mask>": size}))
    (folder / "special_tokens_map.json").write_text(json.dumps(dict(eos_token=dict(content="</s>", **plain))))
    encode = encoder(model, tokens, legacy)
    pattern = between(tokens)
    oracle = AutoTokenizer.from_pretrained(folder)
    for text in strings:
        spaced = any(part.startswith((" ", "\u2581")) for part in (pattern.split(text) if legacy else [text]))
        assert spaced or oracle.encode(text, add_special_tokens=False) == encode(text), repr(text)
    ids = [encode(text) for text in strings]
    expect(folder, "sentencepiece " + sentencepiece.__version__, ids, [[1] + row for row in ids[:20]], [], size + 4)


def write_files(name, strings, tokenizer, kind, end, more):
    """vocab.json and merges.txt alone; transformers says what they mean."""
    import transformers
    folder = HERE / name
    folder.mkdir(exist_ok=True)
    model = json.loads(tokenizer.to_str())["model"]
    vocabulary = dict(model["vocab"])
    size = len(vocabulary)
    if end:
        vocabulary["<|endoftext|>"] = size
    (folder / "vocab.json").write_text(json.dumps(vocabulary))
    (folder / "merges.txt").write_text(
        "#version: 0.2\n" + "".join(" ".join(pair) + "\n" for pair in model["merges"]), encoding="utf-8")
    config = dict(tokenizer_class=kind)
    if more:
        config["added_tokens_decoder"] = {
            str(size + i): dict(content=text, special=True, normalized=False, lstrip=False, rstrip=False,
                                single_word=False) for i, text in enumerate(more)}
    (folder / "tokenizer_config.json").write_text(json.dumps(config))
    oracle = getattr(transformers, kind).from_pretrained(folder)
    ids = [oracle.encode(text, add_special_tokens=False) for text in strings]
    expect(folder, "transformers " + transformers.__version__, ids,
           [oracle.encode(text) for text in strings[:20]], [], len(oracle))


def expect(folder, made_with, ids, around, decoded, size):
    lines = [
        '{"made_with": ' + json.dumps(made_with),
        f'"size": {size}',
        '"ids": ' + json.dumps(ids, separators=(",", ":")),
        '"with_special": ' + json.dumps(around, separators=(",", ":")),
        '"decoded": ' + json.dumps(decoded, separators=(",", ":"), ensure_ascii=False),
    ]
    (folder / "expected.json").write_text(",\n".join(lines) + "}\n", encoding="utf-8")
    print(folder.name, made_with, "size", size)


def wikitext(folder, file):
    tokenizer = Tokenizer.from_file(f"{folder}/tokenizer.json")
    text = Path(file).read_bytes()[:200_000].decode("utf-8", errors="ignore")
    ids = tokenizer.encode(text, add_special_tokens=True).ids
    digest = 0xCBF29CE484222325
    for number in ids:
        for byte in number.to_bytes(4, "little"):
            digest = (digest ^ byte) * 0x100000001B3 % 2**64
    print("wikitext bytes", len(text.encode()), "ids", len(ids), ids[:8], ids[-8:], f"{digest:#x}")


def main():
    global HERE
    if sys.argv[1:2] == ["into"]:
        HERE = Path(sys.argv[2])
        HERE.mkdir(parents=True, exist_ok=True)
        strings = texts(int(sys.argv[3]), int(sys.argv[4]) if len(sys.argv) > 4 else 1)
    else:
        strings = texts()
    (HERE / "texts.json").write_text(json.dumps(strings, ensure_ascii=True, indent=0) + "\n")
    begin, end = special("<|begin_of_text|>"), special("<|end_of_text|>")
    mask, pad = special("<mask>", lstrip=True), special("<pad>", rstrip=True)
    tool = AddedToken("tool", single_word=True, normalized=True)
    write("llama3", byte_level(620, LLAMA3, ignore_merges=True, added=[begin, end, mask, pad, tool],
                               bos="<|begin_of_text|>"), strings)
    naive = AddedToken("cafe\u0301", normalized=True)
    write("qwen2", byte_level(620, QWEN2, normalizers.NFC(), added=[end, naive, special("<s>", lstrip=True,
                                                                                     rstrip=True)]), strings)
    write("gpt2", byte_level(560, added=[special("<|end_of_text|>")]), strings)
    write("smollm", byte_level(560, [], added=[special("<|endoftext|>"), special("<|im_start|>")]), strings)
    write("tekken", byte_level(560, TEKKEN, added=[special("<s>")]), strings)
    for name, pattern in DEEPSEEK.items():
        write(name, byte_level(560, pattern, added=[special("<s>")]), strings)
    write_files("gpt2-files", strings, byte_level(560), "GPT2Tokenizer", True, [])
    write_files("qwen2-files", strings, byte_level(620, QWEN2, normalizers.NFC()), "Qwen2Tokenizer", False,
                ["<|endoftext|>", "<|im_start|>"])
    write("llama2-legacy", sentence_like(700, legacy=True), strings)
    write("llama2-first", sentence_like(700, legacy=False), strings)
    # Merges over spaces, and unknown characters that are fused because there are no byte tokens.
    write("llama2-always", sentence_like(400, legacy=False, scheme="always", whole=True, bytes_too=False), strings)
    write_model("sentencepiece-llama", strings, vocab_size=620, byte_fallback=True, add_dummy_prefix=True,
                remove_extra_whitespaces=False)
    write_model("sentencepiece-plain", strings, vocab_size=340, byte_fallback=False, add_dummy_prefix=False,
                remove_extra_whitespaces=True, user_defined_symbols=["<mask>", "tool"], split_by_whitespace=False)
    write_side("sentencepiece-side", strings, legacy=False)
    write_side("sentencepiece-legacy", strings, legacy=True)
    if len(sys.argv) == 3:
        wikitext(*sys.argv[1:])


if __name__ == "__main__":
    main()
