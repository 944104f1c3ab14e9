"""heads.safetensors: what MoDeGPT makes of the heads of some of the tiny models, written with torch on whole heads.

    python3 Tests/Fixtures/transformer/heads.py

A head that keeps some rotary pairs is a whole head with zeros in the others' rows; values v of which directions are left are
whole values B A v. So nothing here has another shape, no weight is folded into another, and B A is made from the roots of
second moments as the paper has them. In double precision; half of the features go, rounded up to pairs; the captures are of
the model as it was. Logits of the first sequence.
"""

import json
import pathlib

import torch
from safetensors.torch import save_file
from transformers import AutoModelForCausalLM

here = pathlib.Path(__file__).parent


def power(C, exponent):
    values, vectors = torch.linalg.eigh(C)
    return vectors @ torch.diag(values.clamp(min=0) ** exponent) @ vectors.T


class Heads:
    def __init__(self, name):
        self.model = AutoModelForCausalLM.from_pretrained(
            here / name, dtype=torch.float64, attn_implementation="eager").eval()
        config = self.model.config
        self.size = getattr(config, "head_dim", None) or config.hidden_size // config.num_attention_heads
        self.groups, self.heads = config.num_key_value_heads, config.num_attention_heads
        self.sequences = [torch.tensor([row]) for row in json.loads((here / name / "sequences.json").read_text())]
        self.layers = [layer.self_attn for layer in self.model.model.layers]
        self.seen = {}
        hooks = []
        for number, layer in enumerate(self.layers):
            for site in ("q_proj", "k_proj"):
                hooks.append(getattr(layer, site).register_forward_hook(
                    lambda module, given, made, key=(site, number): self.see(key, made)))
            for site in ("v_proj", "o_proj"):
                hooks.append(getattr(layer, site).register_forward_hook(
                    lambda module, given, made, key=(site, number): self.see(key, given[0])))
        for tokens in self.sequences:
            self.model(tokens)
        for hook in hooks:
            hook.remove()
        self.seen = {key: torch.cat(rows) for key, rows in self.seen.items()}
        self.kept = int((0.5 * self.size / 2 + 0.5) // 1) * 2
        self.before = {name: value.clone() for name, value in self.model.state_dict().items()}

    def see(self, key, values):
        self.seen.setdefault(key, []).append(values[0])

    def queries_of(self, group):
        count = self.heads // self.groups
        return range(group * count, (group + 1) * count)

    def features(self, head):
        return slice(head * self.size, (head + 1) * self.size)

    def logits(self):
        result = self.model(self.sequences[0]).logits[0].float().contiguous()
        self.model.load_state_dict(self.before)
        return result

    def rotary(self, together):
        half = self.size // 2
        for number, layer in enumerate(self.layers):
            q = self.seen["q_proj", number].square().mean(0)
            k = self.seen["k_proj", number].square().mean(0)
            for group in range(self.groups):
                score = 0
                key = k[self.features(group)]
                for head in self.queries_of(group):
                    query = q[self.features(head)]
                    score = score + (
                        (query[:half] + query[half:]) * (key[:half] + key[half:])
                        if together else query[:half] * key[:half] + query[half:] * key[half:])
                gone = score.argsort(descending=True, stable=True)[self.kept // 2 :]
                for head, proj in [*((head, layer.q_proj) for head in self.queries_of(group)), (group, layer.k_proj)]:
                    for place in (*gone, *(gone + half)):
                        proj.weight[head * self.size + place] = 0
                        if proj.bias is not None:
                            proj.bias[head * self.size + place] = 0
        return self.logits()

    def values(self, how):
        for number, layer in enumerate(self.layers):
            x, z = self.seen["v_proj", number], self.seen["o_proj", number]
            W = layer.o_proj.weight
            projections = []
            for group in range(self.groups):
                heads = [self.features(head) for head in self.queries_of(group)]
                M = torch.cat([W[:, head].T for head in heads], dim=1)
                if how.startswith("attended"):
                    C = sum(z[:, head].T @ z[:, head] for head in heads)
                else:
                    V = layer.v_proj.weight[self.features(group)]
                    C = V @ x.T @ x @ V.T
                if how == "grouped":
                    M = torch.eye(self.size, dtype=torch.float64)
                U = torch.linalg.svd(power(C, 0.5) @ M).U[:, : self.kept]
                projections.append(power(C, 0.5) @ U @ U.T @ power(C, -0.5))
            for group, P in enumerate(projections):
                rows = self.features(group)
                layer.v_proj.weight[rows] = P @ layer.v_proj.weight[rows]
                if layer.v_proj.bias is not None:
                    layer.v_proj.bias[rows] = P @ layer.v_proj.bias[rows]
            if how == "attended_ls":
                left = torch.cat([z[:, self.features(head)] @ projections[group].T
                                  for group in range(self.groups) for head in self.queries_of(group)], dim=1)
                W.copy_((torch.linalg.pinv(left, rtol=1e-9) @ z @ W.T).T)
        return self.logits()


with torch.no_grad():
    tensors = {}
    for name in ["llama", "gqa-tied", "llama3", "biased", "qwen2"]:
        model = Heads(name)
        dense = model.logits()
        made = {"columns": model.rotary(False), "pairs": model.rotary(True)}
        hows = ["attended", "attended_ls"] + ([] if name in ("biased", "qwen2") else ["joint", "grouped"])
        made.update({how: model.values(how) for how in hows})
        for how, logits in made.items():
            tensors[f"{name}/{how}"] = logits
            print(name, how, (logits - dense).abs().max().item(), dense.abs().max().item())
    save_file(tensors, here / "heads.safetensors")
