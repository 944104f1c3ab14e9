"""Makes the small tokenizers beside this file and the token ids that the reference libraries give for nasty texts.

    pip install tokenizers==0.23.3 sentencepiece==0.2.3
    python make_tokenizers.py [WIKI_LLAMA_FOLDER WIKITEXT_TEST_FILE]

With the two arguments it also prints the numbers that TokenizerWikiTextTests compares with.
The oracle is `tokenizers.Tokenizer.from_file`; transformers 5 overrides parts of the file for LLaMA.
"""

import io
import json
import random
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
    "cafe\u0301", "na\u00efve", "\u20ac", "\u0345", "\u0f71\u0f72",
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


def texts():
    draw = random.Random(20240613)
    result = ["", " ", "  ", "\n", "Hello", " Hello", "  Hello</s> you", "<s>", "<s> <s>", "a<mask> b", "a <mask>  b",
              "a tool b", "toolbox tool", "<tool>", "x<tool>y"]
    while len(result) < 300:
        result.append("".join(draw.choice(ALPHABET) for _ in range(draw.randint(1, 9))))
    return result


def byte_level(vocab, pattern=None, normalizer=None, ignore_merges=False, added=(), bos=None):
    tokenizer = Tokenizer(models.BPE(ignore_merges=ignore_merges))
    if normalizer:
        tokenizer.normalizer = normalizer
    if pattern:
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
    ids = [processor.encode(text) for text in strings]
    around = [[processor.bos_id()] + processor.encode(text) for text in strings[:20]]
    draw = random.Random(7)
    size = processor.get_piece_size()
    drawn = [[draw.randrange(size) for _ in range(draw.randint(1, 8))] for _ in range(40)] + ids[:60]
    expect(folder, "sentencepiece " + sentencepiece.__version__, ids, around, [
        [row, processor.decode(row), processor.decode(row)] for row in drawn
    ], size)


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
    write("tekken", byte_level(560, TEKKEN, added=[special("<s>")]), strings)
    write("llama2-legacy", sentence_like(700, legacy=True), strings)
    write("llama2-first", sentence_like(700, legacy=False), strings)
    # Merges over spaces, and unknown characters that are fused because there are no byte tokens.
    write("llama2-always", sentence_like(400, legacy=False, scheme="always", whole=True, bytes_too=False), strings)
    write_model("sentencepiece-llama", strings, vocab_size=620, byte_fallback=True, add_dummy_prefix=True,
                remove_extra_whitespaces=False)
    write_model("sentencepiece-plain", strings, vocab_size=340, byte_fallback=False, add_dummy_prefix=False,
                remove_extra_whitespaces=True, user_defined_symbols=["<mask>", "tool"], split_by_whitespace=False)
    if len(sys.argv) == 3:
        wikitext(*sys.argv[1:])


if __name__ == "__main__":
    main()
