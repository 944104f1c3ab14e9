"""surgeon.safetensors: what LLM Surgeon makes of some of the tiny models, by PyTorch's gradients and explicit inverses.

    python surgeon.py

For each model, of windows of more than one token: `MODEL.costs`, of rows and then of columns of every map, block by block,
in the first shot (0 for what is dead); `MODEL.kfac.attention` and `MODEL.kfac.ffn`, their sums over units; after two shots
`MODEL.live`, 1 for rows and columns that are left, and `MODEL.logits`. All in double precision; no refit, no Cholesky.
Made with torch 2.13.0, transformers 5.24.0, safetensors 0.8.0.
"""
import json
import pathlib

import torch
from safetensors.torch import save_file
from transformers import AutoModelForCausalLM

here = pathlib.Path(__file__).parent
RATE, SHOTS, DAMP = 0.25, 2, 0.01


class Map:
    """Some outputs of a module of a model, and sums over tokens."""

    def __init__(self, module, isTransposed, rows, isUnitRow):
        self.module, self.isTransposed, self.rows, self.isUnitRow = module, isTransposed, rows, isUnitRow
        self.clear()

    def clear(self):
        self.A, self.G, self.tokens = 0, 0, 0

    @property
    def W(self):
        weight = self.module.weight.detach()
        weight = (weight.T if self.isTransposed else weight)[self.rows]
        if self.module.bias is None:
            return weight.clone()
        return torch.cat([weight, self.module.bias.detach()[self.rows, None]], 1)

    def put(self, W):
        if self.module.bias is not None:
            self.module.bias.data[self.rows] = W[:, -1]
            W = W[:, :-1]
        if self.isTransposed:
            self.module.weight.data[:, self.rows] = W.T
        else:
            self.module.weight.data[self.rows] = W

    @property
    def inputs(self):
        return self.W.shape[1] - (self.module.bias is not None)

    def add(self, a, g):
        if self.module.bias is not None:
            a = torch.cat([a, torch.ones_like(a[:, :1])], 1)
        g = g[:, self.rows]
        self.A, self.G, self.tokens = self.A + a.T @ a, self.G + g.T @ g, self.tokens + len(a)

    def live(self):
        W, n = self.W, self.inputs
        rows = [i for i in range(len(W)) if W[i].any() and self.G[i, i] > 0]
        columns = [j for j in range(n) if W[:, j].any() and self.A[j, j] > 0]
        return rows, columns

    def problem(self):
        """Live rows and columns, W, and curvature with its damped inverses."""
        rows, columns = self.live()
        places = columns + ([self.inputs] if self.module.bias is not None else [])
        W = self.W[rows][:, places]
        A, G = (self.A / self.tokens)[places][:, places], (self.G / self.tokens)[rows][:, rows]
        inverse = lambda M: torch.linalg.inv(M + DAMP * M.diagonal().mean() * torch.eye(len(M), dtype=M.dtype))
        return rows, columns, places, W, A, G, inverse(A), inverse(G)

    def costs(self):
        rows, columns, _, W, A, G, Ai, Gi = self.problem()
        byRow = torch.zeros(len(self.W), dtype=W.dtype)
        byColumn = torch.zeros(self.inputs, dtype=W.dtype)
        byRow[rows] = torch.stack([w @ A @ w for w in W]) / Gi.diagonal() / 2
        byColumn[columns] = torch.stack([w @ G @ w for w in W.T[: len(columns)]]) / Ai.diagonal()[: len(columns)] / 2
        return byRow, byColumn

    def cut(self, R, C):
        """Without rows R and columns C of the whole map."""
        rows, columns, places, W, A, G, Ai, Gi = self.problem()
        r, c = [rows.index(i) for i in R], [columns.index(j) for j in C]
        new = W.clone()
        if r:
            new -= Gi[:, r] @ torch.linalg.inv(Gi[r][:, r]) @ W[r]
        if c:
            new -= W[:, c] @ torch.linalg.inv(Ai[c][:, c]) @ Ai[c]
        new[r] = 0
        new[:, c] = 0
        whole = torch.zeros_like(self.W)
        whole[torch.tensor(rows)[:, None], torch.tensor(places)] = new
        self.put(whole)


def maps(name, model):
    if name == "gpt2":
        d = model.config.n_embd
        return [
            m for layer in model.transformer.h for m in
            [Map(layer.attn.c_attn, True, slice(k * d, k * d + d), True) for k in range(3)]
            + [Map(layer.attn.c_proj, True, slice(None), False), Map(layer.mlp.c_fc, True, slice(None), True),
               Map(layer.mlp.c_proj, True, slice(None), False)]]
    return [
        Map(getattr(part, f"{key}_proj"), False, slice(None), key not in ("o", "down"))
        for layer in model.model.layers
        for part, keys in ((layer.self_attn, "q k v o"), (layer.mlp, "gate up down")) for key in keys.split()]


def watch(all, model, sequences):
    seen, hooks = {}, []
    for module in {m.module for m in all}:
        def hook(module, args, output):
            output.retain_grad()
            seen[module] = args[0].detach()[0], output
        hooks.append(module.register_forward_hook(hook))
    for m in all:
        m.clear()
    for s in sequences:
        logits = model(torch.tensor([s]), use_cache=False).logits[0, :-1]
        torch.nn.functional.cross_entropy(logits, torch.tensor(s[1:])).backward()
        for m in all:
            a, output = seen[m.module]
            m.add(a, output.grad[0])
    for h in hooks:
        h.remove()


def shoot(all, share, base):
    lines, left, gone = [], [], [([], []) for _ in all]
    for k, m in enumerate(all):
        rows, columns = m.live()
        byRow, byColumn = m.costs()
        left.append([len(rows), len(columns)])
        lines += [(byRow[i].item(), k, 0, i) for i in rows] + [(byColumn[j].item(), k, 1, j) for j in columns]
    lines.sort()
    for place, (cost, k, axis, i) in enumerate(lines):
        if left[k][axis] == 1:
            continue
        after = [list(pair) for pair in left]
        after[k][axis] -= 1
        if sum(r * c for r, c in after) < (1 - share) * base - 0.5:
            break
        left = after
        gone[k][axis].append(i)
    # What decides must not be rounding.
    assert lines[place][0] > lines[place - 1][0] * (1 + 1e-3), (lines[place - 1], lines[place])
    for m, (R, C) in zip(all, gone):
        m.cut(R, C)


result = {}
for name in ("gqa-tied", "qwen2", "gpt2"):
    model = AutoModelForCausalLM.from_pretrained(here / name, dtype=torch.float64, attn_implementation="eager").eval()
    sequences = [s for s in json.loads((here / name / "sequences.json").read_text()) if len(s) > 1]
    all = maps(name, model)
    base = sum(len(m.W) * m.inputs for m in all)
    for shot in range(SHOTS):
        watch(all, model, sequences)
        if shot == 0:
            costs = [m.costs() for m in all]
            perBlock = 6 if name == "gpt2" else 7
            units = {"attention": getattr(model.config, "num_key_value_heads", model.config.num_attention_heads)}
            units["ffn"] = 4 * model.config.n_embd if name == "gpt2" else model.config.intermediate_size
            for module, places in (("attention", range(4)), ("ffn", range(4, perBlock))):
                result[f"{name}.kfac.{module}"] = torch.stack([
                    sum(costs[b + p][0 if all[b + p].isUnitRow else 1].reshape(units[module], -1).sum(1) for p in places)
                    for b in range(0, len(all), perBlock)]).float().contiguous()
            result[f"{name}.costs"] = torch.cat([c for pair in costs for c in pair]).float()
        shoot(all, RATE * (shot + 1) / SHOTS, base)
    flags = []
    for m in all:
        W = m.W[:, : m.inputs]
        flags += [W.abs().sum(1) > 0, W.abs().sum(0) > 0]
    result[f"{name}.live"] = torch.cat(flags).float()
    with torch.no_grad():
        logits = [model(torch.tensor([s]), use_cache=False).logits[0] for s in sequences]
    result[f"{name}.logits"] = torch.cat(logits).float().contiguous()
    left = sum((W.abs().sum(1) > 0).sum() * (W.abs().sum(0) > 0).sum() for W in (m.W[:, : m.inputs] for m in all))
    print(name, "left", (left / base).item())
save_file(result, here / "surgeon.safetensors")
