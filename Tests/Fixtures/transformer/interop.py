"""Reads exported folders with transformers and compares them with what prn computed.

    python interop.py FOLDER...

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
from transformers import AutoModelForCausalLM


def check(folder):
    expected = load_file(os.path.join(folder, "prn-check.safetensors"))
    # A stock class must do without remote code; only as=hf brings some.
    remote = os.path.exists(os.path.join(folder, "modeling_prn.py"))
    model = AutoModelForCausalLM.from_pretrained(folder, torch_dtype=torch.float32, trust_remote_code=remote).eval()
    rows = []
    with torch.no_grad():
        for padded in expected["tokens"]:
            tokens = padded[padded >= 0].long()[None]
            rows.append(model(tokens, use_cache=False).logits[0])
    found = torch.cat(rows)
    error = ((found - expected["logits"]).abs().max() / expected["logits"].abs().max()).item()
    prompt = expected["tokens"][:1, :4].long()
    settings = dict(max_new_tokens=6, do_sample=False, eos_token_id=None, pad_token_id=0)
    same = torch.equal(model.generate(prompt, use_cache=True, **settings),
                       model.generate(prompt, use_cache=False, **settings))
    good = error < 1e-4 and same
    print(f"{'ok  ' if good else 'BAD '} {os.path.basename(folder)} {type(model).__name__} "
          f"error {error:.1e} cached generation {'equal' if same else 'differs'}")
    return good


if __name__ == "__main__":
    transformers.logging.set_verbosity_error()
    print("transformers", transformers.__version__)
    results = [check(folder) for folder in sorted(sys.argv[1:])]
    sys.exit(0 if results and all(results) else 1)
