"""slice.safetensors: what SliceGPT makes of some of the tiny models, written with projections and transformers' modules.

    python3 Tests/Fixtures/transformer/slice.py

In the basis of the unpruned model a stream that is sliced to the directions Q is the stream times Q Qᵀ, and nothing else
changes; so there are no bases, shortcuts or folded norms here. All in double precision, 12 of 16 directions kept.
"""

import json
import pathlib

import torch
from safetensors.torch import save_file
from transformers import AutoModelForCausalLM

here = pathlib.Path(__file__).parent
WIDTH = 12


def projection(gram):
    Q = torch.linalg.eigh(gram).eigenvectors[:, -WIDTH:]
    return Q @ Q.T


def gram(streams):
    return sum(x[0].T @ x[0] for x in streams)


class Llama:
    def __init__(self, model):
        self.model, self.layers = model, model.model.layers

    def embed(self, tokens):
        return self.model.model.embed_tokens(tokens)

    def branches(self, layer):
        block = self.layers[layer]

        def attention(x):
            places = torch.arange(x.shape[1])[None]
            mask = torch.full((x.shape[1],) * 2, -torch.inf, dtype=x.dtype).triu(1)[None, None]
            turned = self.model.model.rotary_emb(x, places)
            return block.self_attn(block.input_layernorm(x), position_embeddings=turned, attention_mask=mask)[0]

        return [attention, lambda x: block.mlp(block.post_attention_layernorm(x))]

    def head(self, x):
        return self.model.lm_head(self.model.model.norm(x))


class GPT2:
    """Norms subtract the mean, so the streams are centred and what is written is, too."""

    def __init__(self, model):
        self.model, self.layers = model, model.transformer.h

    def embed(self, tokens):
        base = self.model.transformer
        return self.centred(base.wte(tokens) + base.wpe(torch.arange(tokens.shape[1]))[None])

    def centred(self, x):
        return x - x.mean(-1, keepdim=True)

    def branches(self, layer):
        block = self.layers[layer]

        def attention(x):
            mask = torch.full((x.shape[1],) * 2, -torch.inf, dtype=x.dtype).triu(1)[None, None]
            return self.centred(block.attn(block.ln_1(x), attention_mask=mask)[0])

        return [attention, lambda x: self.centred(block.mlp(block.ln_2(x)))]

    def head(self, x):
        return self.model.lm_head(self.model.transformer.ln_f(x))


def own(model, sequences):
    streams = [model.embed(tokens) for tokens in sequences]
    for layer in range(len(model.layers)):
        for branch in model.branches(layer):
            P = projection(gram(streams))
            streams = [x @ P for x in streams]
            streams = [x + branch(x) for x in streams]
    return torch.cat([model.head(x)[0] for x in streams])


def run(model, sequences, P, look=lambda streams: None):
    streams = [model.embed(tokens) @ P for tokens in sequences]
    for layer in range(len(model.layers)):
        for branch in model.branches(layer):
            look(streams)
            streams = [x + branch(x) @ P for x in streams]
    look(streams)
    return torch.cat([model.head(x)[0] for x in streams])


def shared(model, sequences):
    pooled = []
    whole = torch.eye(model.embed(sequences[0]).shape[-1], dtype=torch.float64)
    run(model, sequences, whole, look=lambda streams: pooled.append(gram(streams)))
    return run(model, sequences, projection(sum(pooled)))


with torch.no_grad():
    tensors = {}
    for name in ["llama", "gqa-tied", "biased", "qwen2", "gpt2"]:
        loaded = AutoModelForCausalLM.from_pretrained(
            here / name, dtype=torch.float64, attn_implementation="eager").eval()
        model = (GPT2 if name == "gpt2" else Llama)(loaded)
        sequences = [torch.tensor([row]) for row in json.loads((here / name / "sequences.json").read_text())]
        whole = torch.eye(model.embed(sequences[0]).shape[-1], dtype=torch.float64)
        dense = torch.cat([loaded(tokens).logits[0] for tokens in sequences])
        assert (run(model, sequences, whole) - dense).abs().max() < 1e-10, name
        tensors[f"{name}/own"] = own(model, sequences).float().contiguous()
        tensors[f"{name}/shared"] = shared(model, sequences).float().contiguous()
        print(name, *((tensors[f"{name}/{k}"] - dense).abs().max().item() for k in ("own", "shared")), dense.abs().max().item())
    save_file(tensors, here / "slice.safetensors")
