"""What transformers computes when the first block of some tiny models is deleted: depth.safetensors.

    python depth.py

One tensor for each of the models: the logits of its sequences.json without block 0, one row per token.
Made with torch 2.13.0, transformers 5.24.0, safetensors 0.8.0.
"""
import json, os

import torch
from safetensors.torch import save_file
from transformers import AutoModelForCausalLM

HERE = os.path.dirname(os.path.abspath(__file__))
MODELS = ["gqa-tied", "biased", "qwen2", "gpt2", "qwen3", "olmo2"]


def without(name):
    folder = os.path.join(HERE, name)
    model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32, attn_implementation="eager").eval()
    layers = next(m for n, m in model.named_modules() if n.endswith((".h", ".layers")))
    del layers[0]
    for attribute in ("num_hidden_layers", "n_layer"):
        if attribute in model.config.to_dict():
            setattr(model.config, attribute, len(layers))
    with open(os.path.join(folder, "sequences.json")) as file:
        sequences = json.load(file)
    with torch.no_grad():
        return torch.cat([model(torch.tensor([s]), use_cache=False).logits[0] for s in sequences]).contiguous()


save_file({name: without(name) for name in MODELS}, os.path.join(HERE, "depth.safetensors"))
