"""Reads exported models with transformers and llama.cpp and compares them with what prn computed.

    python exports.py FOLDER...

Each FOLDER holds an exported folder or a `model.gguf` and, beside its files, `prn-check.safetensors` with `tokens` (as
numbers, sequences padded with -1: sequences x length), `logits` (one row per token that is not padding) and `greedy`, what
prn makes of the first four tokens; ExportTests writes them when PRN_INTEROP names a folder. Exits with 1 when a relative
difference exceeds 1e-4, when greedy texts differ, with transformers with a cache and without, or when a stock class needs
code of its own. Without llama-cpp-python the files are skipped by name. Tried with transformers 4.49.0 and 5.23.0 and
llama-cpp-python 0.3.36.
"""
import os
import sys

import numpy
import transformers
from safetensors.numpy import load_file

from peers import (difference, llama, llama_cpp, llama_greedy, llama_logits, transformers_greedy, transformers_logits,
                   transformers_model)


def check(folder):
    expected = load_file(os.path.join(folder, "prn-check.safetensors"))
    sequences = [[int(token) for token in row if token >= 0] for row in expected["tokens"]]
    greedy = expected["greedy"].astype(int).flatten().tolist()
    prompt, path = sequences[0][:4], os.path.join(folder, "model.gguf")
    if os.path.exists(path):
        if llama_cpp is None:
            print(f"skipped {os.path.basename(folder)}: llama-cpp-python is not installed")
            return True
        model = llama(path, 64)
        found, made, kind = llama_logits(model, sequences), [llama_greedy(model, prompt, len(greedy))], "llama.cpp"
    else:
        model = transformers_model(folder)
        found, kind = transformers_logits(model, sequences), type(model).__name__
        made = [transformers_greedy(model, prompt, len(greedy), use_cache) for use_cache in (True, False)]
    error = difference([numpy.concatenate(found)], [expected["logits"]])
    same = all(one == greedy for one in made)
    good = error < 1e-4 and same
    print(f"{'ok  ' if good else 'BAD '} {os.path.basename(folder)} {kind} error {error:.1e} "
          f"greedy texts {'equal' if same else 'differ'}")
    return good


if __name__ == "__main__":
    transformers.logging.set_verbosity_error()
    print("transformers", transformers.__version__)
    results = [check(folder) for folder in sorted(sys.argv[1:])]
    print(f"{sum(results)} of {len(results)} are right")
    sys.exit(0 if results and all(results) else 1)
