"""Reads exported models with transformers and llama.cpp and compares them with what prn computed.

    python exports.py FOLDER...

Each FOLDER holds an exported folder or a `model.gguf` and, beside its files, `prn-check.safetensors` with `tokens` (as
numbers, sequences padded with -1: sequences x length), `logits` (one row per token that is not padding) and `greedy`, what
prn makes of the first four tokens; ExportTests writes them when PRN_INTEROP names a folder. Exits with 1 when a relative
difference exceeds 1e-4, when greedy texts differ, with transformers with a cache and without, or when a stock class needs
code of its own. Without llama-cpp-python the files are skipped by name. Tried with transformers 4.49.0 and 5.23.0 and
llama-cpp-python 0.3.36.
"""
import json
import os
import re
import sys

import numpy
import transformers
from safetensors.numpy import load_file

import peers


def needed(folder):
    """The class of transformers that runs the folder, or that its own class is made from."""
    path = os.path.join(folder, "modeling_prn.py")
    if os.path.exists(path):
        return re.search(r"^from transformers import (\w+)Config", open(path).read(), re.MULTILINE)[1] + "Config"
    with open(os.path.join(folder, "config.json")) as file:
        return json.load(file)["architectures"][0]


def check(folder, claim):
    expected = load_file(os.path.join(folder, "prn-check.safetensors"))
    sequences = [[int(token) for token in row if token >= 0] for row in expected["tokens"]]
    greedy = expected["greedy"].astype(int).flatten().tolist()
    prompt, path, name = sequences[0][:4], os.path.join(folder, "model.gguf"), os.path.basename(folder)
    if os.path.exists(path):
        if peers.llama_cpp is None:
            return print(f"skipped {name}: llama-cpp-python is not installed")
        model, kind = peers.llama(path, 64), "llama.cpp"
        found, made = peers.llama_logits(model, sequences), [peers.llama_greedy(model, prompt, len(greedy))]
    elif not hasattr(transformers, needed(folder)):
        return print(f"skipped {name}: transformers {transformers.__version__} has no {needed(folder)}")
    else:
        model = peers.load(folder)
        found, kind, settings = peers.logits(model, sequences), type(model).__name__, dict(eos_token_id=None, pad_token_id=0)
        made = [peers.greedy(model, prompt, len(greedy), use_cache=cache, **settings) for cache in (True, False)]
    error = peers.difference([numpy.concatenate(found)], [expected["logits"]])
    same = all(one == greedy for one in made)
    claim(error < 1e-4 and same, f"{name} {kind} error {error:.1e} greedy texts {'equal' if same else 'differ'}")


if __name__ == "__main__":
    transformers.logging.set_verbosity_error()
    print("transformers", transformers.__version__)
    claim, folders = peers.Claims(), sorted(sys.argv[1:])
    for folder in folders:
        check(folder, claim)
    sys.exit(1 if claim.wrong or not folders else 0)
