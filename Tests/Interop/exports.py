"""Reads exported folders with transformers and compares them with what prn computed.

    python exports.py FOLDER...

Each FOLDER holds an exported model and, beside its files, `prn-check.safetensors` with `tokens` (as numbers, sequences
padded with -1: sequences x length) and `logits` (one row per token that is not padding), written by the ExportTests
when PRN_INTEROP names a folder. Exits with 1 when a relative difference exceeds 1e-4, when cached generation differs
from uncached, or when a masked export needs code of its own. Tried with transformers 4.49.0 and 5.23.0.
"""
import os
import sys

import torch
import transformers
from safetensors.torch import load_file

import peers


def check(folder, claim):
    expected = load_file(os.path.join(folder, "prn-check.safetensors"))
    model = peers.load(folder)
    windows = [padded[padded >= 0].long().tolist() for padded in expected["tokens"]]
    found = torch.cat(peers.logits(model, windows))
    error = ((found - expected["logits"]).abs().max() / expected["logits"].abs().max()).item()
    settings = dict(eos_token_id=None, pad_token_id=0)
    cached, uncached = (peers.greedy(model, windows[0][:4], 6, use_cache=cache, **settings) for cache in (True, False))
    claim(error < 1e-4 and cached == uncached,
          f"{os.path.basename(folder)} {type(model).__name__} error {error:.1e} cached generation "
          f"{'equal' if cached == uncached else 'differs'}")


if __name__ == "__main__":
    transformers.logging.set_verbosity_error()
    print("transformers", transformers.__version__)
    claim, folders = peers.Claims(), sorted(sys.argv[1:])
    for folder in folders:
        check(folder, claim)
    sys.exit(1 if claim.wrong or not folders else 0)
