"""Token perplexity of the bundled model, whole and by kind, and of a bigram model over the same tokens, on ../test.txt.

    python perplexity.py            needs train.txt (python generate.py writes it)

The model: the whole file, tokenised once with <|begin_of_text|> at the very start, cut into disjoint windows of
128 tokens (the remainder dropped); the mean over windows of the mean NLL over each window's 127 targets; exp.
The bigram model: counts on train.txt, smoothed by interpolated Kneser-Ney (discount 0.75), over the same targets.
"""

from pathlib import Path

import numpy as np
import torch
from tokenizers import Tokenizer

HERE = Path(__file__).resolve().parent
MODEL, TEST, TRAIN = HERE.parent / "tiny-llama", HERE.parent / "test.txt", HERE / "train.txt"
WINDOW = 128


def cut(values):
    """n × 128, the remainder dropped."""
    return values[: len(values) // WINDOW * WINDOW].reshape(-1, WINDOW)


def windows(tokenizer, path):
    """The file's tokens, n × 128."""
    return cut(np.array(tokenizer.encode(path.read_bytes().decode()).ids))


def kinds(tokenizer, path):
    """For each token of `windows`, the kind of the passage its first byte lies in; "" between passages. n × 128."""
    text = path.read_bytes().decode()
    byte = np.cumsum([0] + [len(c.encode()) for c in text])  # of each character
    rows = [row.split("\t") for row in path.with_suffix(".labels.tsv").read_text().splitlines()[1:]]
    starts, ends = np.array([[int(start), int(end)] for start, end, _ in rows]).T
    at = byte[[start for start, _ in tokenizer.encode(text).offsets]]
    passage = np.searchsorted(starts, at, side="right") - 1
    return cut(np.where(at < ends[passage], np.array([kind for *_, kind in rows])[passage], ""))


@torch.no_grad()
def model_nll(model, blocks, batch=64):
    """Of each window's 127 targets. n × 127."""
    nll = []
    for x in torch.from_numpy(blocks).split(batch):
        logits = model(x).logits[:, :-1].float()
        loss = torch.nn.functional.cross_entropy(logits.flatten(0, 1), x[:, 1:].flatten(), reduction="none")
        nll.append(loss.view(len(x), -1).double())
    return torch.cat(nll).numpy()


def perplexity(nll):
    """The windows are equally long, so the mean of their means is the mean."""
    return float(np.exp(nll.mean()))


def bigram_nll(train, blocks, vocab, discount=0.75):
    counts = np.zeros((vocab, vocab))
    np.add.at(counts, (train[:-1], train[1:]), 1)
    seen = counts > 0
    unigram = (seen.sum(0) + 1) / (seen.sum() + vocab)  # in how many contexts a token appears, plus one
    total = np.maximum(counts.sum(1, keepdims=True), 1)
    left = np.where(counts.sum(1, keepdims=True) > 0, discount * seen.sum(1, keepdims=True) / total, 1.0)
    p = np.maximum(counts - discount, 0) / total + left * unigram
    assert np.allclose(p.sum(1), 1)
    return -np.log(p[blocks[:, :-1], blocks[:, 1:]])


def main():
    from transformers import AutoModelForCausalLM

    tokenizer = Tokenizer.from_file(str(MODEL / "tokenizer.json"))
    model = AutoModelForCausalLM.from_pretrained(MODEL, dtype=torch.float32).eval()
    blocks = windows(tokenizer, TEST)
    print(f"parameters          {sum(p.numel() for p in model.parameters())}")
    print(f"test windows        {len(blocks)} of {WINDOW} tokens")
    rows = [("model", model_nll(model, blocks))]
    if TRAIN.exists():
        train = np.array(tokenizer.encode(TRAIN.read_bytes().decode()).ids)
        rows.append(("bigram", bigram_nll(train, blocks, tokenizer.get_vocab_size())))
        print(f"bigrams counted on  {len(train)} tokens")
    labels = kinds(tokenizer, TEST)[:, 1:]
    for name, nll in rows:
        print(f"{name} perplexity".ljust(20) + f"{perplexity(nll):.4f}")
        for kind in sorted(set(labels.flat) - {""}):
            print(f"  {kind:18}{perplexity(nll[labels == kind]):.4f}  ({(labels == kind).sum()} targets)")


if __name__ == "__main__":
    main()
