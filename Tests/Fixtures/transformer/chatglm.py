"""ChatGLM3 in PyTorch, written from the description of its graph and not from its code: RMSNorm before each branch; query,
key and value in one map with a bias, in this order; few key-value groups; the first half of every head turned, neighbours
in pairs; gate and up in one map, gate first, SiLU. Modules are called as the tensors of a checkpoint."""
import json
import os
from types import SimpleNamespace

import torch
from torch import nn

SETTINGS = dict(
    model_type="chatglm", architectures=["ChatGLMModel"], num_layers=2, hidden_size=32, num_attention_heads=4,
    multi_query_attention=True, multi_query_group_num=2, kv_channels=8, ffn_hidden_size=24, padded_vocab_size=61,
    seq_length=64, layernorm_epsilon=1e-5, add_qkv_bias=True, add_bias_linear=False, rmsnorm=True,
    post_layer_norm=True, original_rope=True, apply_residual_connection_post_layernorm=False, torch_dtype="bfloat16")


def sizes():
    return SimpleNamespace(**SETTINGS)


class Norm(nn.Module):
    def __init__(self, size, epsilon):
        super().__init__()
        self.weight, self.epsilon = nn.Parameter(torch.ones(size)), epsilon

    def forward(self, x):
        return self.weight * x / (x.square().mean(-1, keepdim=True) + self.epsilon).sqrt()


def turn(x):
    """Heads are tokens x heads x features; features 2i and 2i + 1 below the half turn by position / 10000^(4i / size)."""
    tokens, _, size = x.shape
    pairs = size // 4
    angle = torch.arange(tokens)[:, None] * 10000.0 ** (-torch.arange(pairs) / pairs)
    turned = torch.view_as_complex(x[..., :size // 2].reshape(tokens, -1, pairs, 2).contiguous())
    turned = torch.view_as_real(turned * torch.polar(torch.ones_like(angle), angle)[:, None])
    return torch.cat([turned.flatten(-2), x[..., size // 2:]], -1)


class Attention(nn.Module):
    def __init__(self, c):
        super().__init__()
        self.c = c
        width, shared = c.num_attention_heads * c.kv_channels, c.multi_query_group_num * c.kv_channels
        self.query_key_value = nn.Linear(c.hidden_size, width + 2 * shared, bias=True)
        self.dense = nn.Linear(width, c.hidden_size, bias=False)

    def forward(self, x):
        c = self.c
        heads, groups, size = c.num_attention_heads, c.multi_query_group_num, c.kv_channels
        q, k, v = self.query_key_value(x).split([heads * size, groups * size, groups * size], -1)
        q = turn(q.view(-1, heads, size))
        k = turn(k.view(-1, groups, size)).repeat_interleave(heads // groups, 1)
        v = v.view(-1, groups, size).repeat_interleave(heads // groups, 1)
        scores = torch.einsum("ihd,jhd->hij", q, k) / size ** 0.5
        scores = scores.masked_fill(torch.ones(len(x), len(x)).triu(1).bool(), float("-inf"))
        return self.dense(torch.einsum("hij,jhd->ihd", scores.softmax(-1), v).flatten(1))


class FeedForward(nn.Module):
    def __init__(self, c):
        super().__init__()
        self.dense_h_to_4h = nn.Linear(c.hidden_size, 2 * c.ffn_hidden_size, bias=False)
        self.dense_4h_to_h = nn.Linear(c.ffn_hidden_size, c.hidden_size, bias=False)

    def forward(self, x):
        gate, up = self.dense_h_to_4h(x).chunk(2, -1)
        return self.dense_4h_to_h(nn.functional.silu(gate) * up)


class Layer(nn.Module):
    def __init__(self, c):
        super().__init__()
        self.input_layernorm = Norm(c.hidden_size, c.layernorm_epsilon)
        self.self_attention = Attention(c)
        self.post_attention_layernorm = Norm(c.hidden_size, c.layernorm_epsilon)
        self.mlp = FeedForward(c)

    def forward(self, x):
        x = x + self.self_attention(self.input_layernorm(x))
        return x + self.mlp(self.post_attention_layernorm(x))


class ChatGLM(nn.Module):
    def __init__(self):
        super().__init__()
        c = self.config = sizes()
        c.tie_word_embeddings, c.save_pretrained = False, save_settings
        base = self.transformer = nn.Module()
        base.embedding, base.encoder = nn.Module(), nn.Module()
        base.embedding.word_embeddings = nn.Embedding(c.padded_vocab_size, c.hidden_size)
        base.encoder.layers = nn.ModuleList(Layer(c) for _ in range(c.num_layers))
        base.encoder.final_layernorm = Norm(c.hidden_size, c.layernorm_epsilon)
        base.output_layer = nn.Linear(c.hidden_size, c.padded_vocab_size, bias=False)

    def forward(self, ids, use_cache=False):
        x = self.transformer.embedding.word_embeddings(ids[0])
        for layer in self.transformer.encoder.layers:
            x = layer(x)
        logits = self.transformer.output_layer(self.transformer.encoder.final_layernorm(x))
        return SimpleNamespace(logits=logits[None])


def save_settings(folder):
    os.makedirs(folder, exist_ok=True)
    with open(os.path.join(folder, "config.json"), "w") as file:
        json.dump(SETTINGS, file, indent=2)
