"""Saliencies of the tiny models from PyTorch's gradients: saliency.safetensors.

    python saliency.py

For each model and rule the scores of units, `MODEL.RULE.attention` and `MODEL.RULE.ffn` (blocks x units), and of blocks,
`MODEL.RULE.block`. L is the mean over sequences of their mean losses, acc the mean over sequences of the squared
gradient of each one's mean loss. Made with torch 2.13.0, transformers 5.24.0, safetensors 0.8.0.
"""
import json, os

import torch
from safetensors.torch import save_file
from transformers import AutoModelForCausalLM

HERE = os.path.dirname(os.path.abspath(__file__))
RULES = {
    "param_first": lambda w, g, acc, axis: (w * g).abs().sum(axis),
    "param_second": lambda w, g, acc, axis: (w * acc * w).abs().sum(axis),
    "param_mix": lambda w, g, acc, axis: (w * g - 0.5 * w * acc * w).abs().sum(axis),
    "vectorize": lambda w, g, acc, axis: (w * g).sum(axis).abs(),
}
NORMS = {"gpt2": ("ln_1", "ln_2"), "olmo2": ("post_attention_layernorm", "post_feedforward_layernorm")}


def gradients(name):
    model = AutoModelForCausalLM.from_pretrained(
        os.path.join(HERE, name), dtype=torch.float64, attn_implementation="eager").eval()
    with open(os.path.join(HERE, name, "sequences.json")) as file:
        sequences = [s for s in json.load(file) if len(s) > 1]
    total = {n: [torch.zeros_like(p), torch.zeros_like(p)] for n, p in model.named_parameters()}
    gates = []
    inner = {}
    layers = next(m for n, m in model.named_modules() if n.endswith((".h", ".layers")))

    def keep(key):
        def hook(module, args):
            args[0].retain_grad()
            inner[key] = args[0]
        return hook

    for i, layer in enumerate(layers):
        (layer.attn.c_proj if name == "gpt2" else layer.self_attn.o_proj).register_forward_pre_hook(keep((i, "attention")))
        (layer.mlp.c_proj if name == "gpt2" else layer.mlp.down_proj).register_forward_pre_hook(keep((i, "ffn")))
    for s in sequences:
        model.zero_grad()
        logits = model(torch.tensor([s]), use_cache=False).logits[0, :-1]
        torch.nn.functional.cross_entropy(logits, torch.tensor(s[1:])).backward()
        for n, p in model.named_parameters():
            total[n][0] += p.grad / len(sequences)
            total[n][1] += p.grad**2 / len(sequences)
        gates.append({key: (z * z.grad).sum((0, 1)).detach() for key, z in inner.items()})
    return model, layers, total, gates


def maps(name, model, total, i):
    """(module, weight outputs x inputs, g, acc, whether units are its rows) of every map of block i."""
    def triple(parameter, rows=slice(None)):
        w, (g, acc) = dict(model.named_parameters())[parameter], total[parameter]
        return [t[:, rows].T if name == "gpt2" else t[rows] for t in (w.detach(), g, acc)]
    if name == "gpt2":
        d = model.config.n_embd
        for k in range(3):
            yield ("attention", *triple(f"transformer.h.{i}.attn.c_attn.weight", slice(k * d, (k + 1) * d)), True)
        yield ("attention", *triple(f"transformer.h.{i}.attn.c_proj.weight"), False)
        yield ("ffn", *triple(f"transformer.h.{i}.mlp.c_fc.weight"), True)
        yield ("ffn", *triple(f"transformer.h.{i}.mlp.c_proj.weight"), False)
    else:
        base = f"model.layers.{i}"
        for part in ("q", "k", "v"):
            yield ("attention", *triple(f"{base}.self_attn.{part}_proj.weight"), True)
        yield ("attention", *triple(f"{base}.self_attn.o_proj.weight"), False)
        for part in ("gate", "up"):
            yield ("ffn", *triple(f"{base}.mlp.{part}_proj.weight"), True)
        yield ("ffn", *triple(f"{base}.mlp.down_proj.weight"), False)


result = {}
for name in ("gqa-tied", "qwen2", "olmo2", "gpt2"):
    model, layers, total, gates = gradients(name)
    units = {"attention": getattr(model.config, "num_key_value_heads", model.config.num_attention_heads)}
    units["ffn"] = 4 * model.config.n_embd if name == "gpt2" else model.config.intermediate_size
    for rule, score in RULES.items():
        rows = {"attention": [], "ffn": [], "block": []}
        for i in range(len(layers)):
            sums = {module: 0 for module in units}
            for module, w, g, acc, isRow in maps(name, model, total, i):
                sums[module] = sums[module] + score(w, g, acc, 1 if isRow else 0).reshape(units[module], -1).sum(1)
            block = sum(s.sum() for s in sums.values())
            prefix = f"transformer.h.{i}." if name == "gpt2" else f"model.layers.{i}."
            for norm in NORMS.get(name, ("input_layernorm", "post_attention_layernorm")):
                parameter = f"{prefix}{norm}.weight"
                w, (g, acc) = dict(model.named_parameters())[parameter].detach(), total[parameter]
                block = block + score(w[None], g[None], acc[None], 0).sum()
            for module in units:
                rows[module].append(sums[module])
            rows["block"].append(block[None])
        for key, value in rows.items():
            result[f"{name}.{rule}.{key}"] = torch.stack(value).float().contiguous()
    for module in units:
        rows = [sum(g[i, module].reshape(units[module], -1).sum(1).abs() for g in gates) for i in range(len(layers))]
        result[f"{name}.gate.{module}"] = torch.stack(rows).float().contiguous()
save_file(result, os.path.join(HERE, "saliency.safetensors"))
