"""Random models with what the bundled one lacks; parity.py computes every step on them too.

    grouped    LLaMA: 8 query heads on 2 key-value heads of a size that is not d / heads, biases on every map, a tied head,
               a width that 8 does not divide
    gpt2       no gate, biases, transposed weights, learned positions, a tied head
    chatglm3   stacked maps, rotation of the first half of each head by neighbours; computed once more by the GLM class of
               transformers, which draws the same graph

torch 2.13.0+cpu, transformers 5.23.0, tokenizers 0.23.3, safetensors 0.8.0.
"""
import json
import os

import torch
from safetensors.torch import save_file
from tokenizers import Tokenizer, decoders, models, pre_tokenizers
from transformers import GlmConfig, GlmForCausalLM, GPT2Config, GPT2LMHeadModel, LlamaConfig, LlamaForCausalLM

NO_ENDS = dict(bos_token_id=None, eos_token_id=None, pad_token_id=None)
MAKERS = {
    "grouped": lambda: LlamaForCausalLM(LlamaConfig(
        vocab_size=256, hidden_size=80, intermediate_size=90, num_hidden_layers=3, num_attention_heads=8, head_dim=12,
        num_key_value_heads=2, max_position_embeddings=128, attention_bias=True, mlp_bias=True,
        tie_word_embeddings=True, **NO_ENDS)),
    "gpt2": lambda: GPT2LMHeadModel(GPT2Config(
        vocab_size=256, n_embd=72, n_layer=3, n_head=6, n_inner=150, n_positions=128, **NO_ENDS)),
    "chatglm3": lambda: GlmForCausalLM(GlmConfig(
        vocab_size=256, hidden_size=64, intermediate_size=100, num_hidden_layers=3, num_attention_heads=8, head_dim=16,
        num_key_value_heads=2, max_position_embeddings=128, rms_norm_eps=1e-5, attention_bias=True, **NO_ENDS)),
}


def make(name, folder):
    """Writes the model; returns (the folder of the program, the folder of transformers)."""
    torch.manual_seed(7)
    model = MAKERS[name]()
    with torch.no_grad():
        for key, parameter in sorted(model.named_parameters()):
            noise = torch.randn(parameter.shape)
            is_norm = parameter.dim() == 1 and key.endswith("weight")
            parameter.copy_((1 + 0.2 * noise if is_norm else 0.15 * noise).to(torch.bfloat16).float())
    twin = f"{folder}/{name}"
    model.save_pretrained(twin)
    own = twin
    if name == "chatglm3":
        own = f"{folder}/{name}-own"
        os.makedirs(own)
        save_chatglm(model, own)
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    tokenizer = Tokenizer(models.BPE(vocab={c: i for i, c in enumerate(alphabet)}, merges=[]))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.save(own + "/tokenizer.json")
    return own, twin


def save_chatglm(model, folder):
    """The same weights under the names of ChatGLM3, whose queries, keys and values are one map."""
    c, old = model.config, model.state_dict()
    new = {"transformer.embedding.word_embeddings.weight": old["model.embed_tokens.weight"],
           "transformer.encoder.final_layernorm.weight": old["model.norm.weight"],
           "transformer.output_layer.weight": old["lm_head.weight"]}
    for l in range(c.num_hidden_layers):
        a, b = f"model.layers.{l}.", f"transformer.encoder.layers.{l}."
        for kind in ("weight", "bias"):
            new[f"{b}self_attention.query_key_value.{kind}"] = torch.cat(
                [old[f"{a}self_attn.{p}_proj.{kind}"] for p in "qkv"])
        for mine, theirs in (("self_attention.dense", "self_attn.o_proj"), ("mlp.dense_h_to_4h", "mlp.gate_up_proj"),
                             ("mlp.dense_4h_to_h", "mlp.down_proj"), ("input_layernorm", "input_layernorm"),
                             ("post_attention_layernorm", "post_attention_layernorm")):
            new[f"{b}{mine}.weight"] = old[f"{a}{theirs}.weight"]
    save_file({k: v.contiguous() for k, v in new.items()}, folder + "/model.safetensors", metadata={"format": "pt"})
    config = {
        "model_type": "chatglm", "architectures": ["ChatGLMModel"], "num_layers": c.num_hidden_layers,
        "hidden_size": c.hidden_size, "num_attention_heads": c.num_attention_heads, "multi_query_attention": True,
        "multi_query_group_num": c.num_key_value_heads, "kv_channels": c.head_dim,
        "ffn_hidden_size": c.intermediate_size, "padded_vocab_size": c.vocab_size,
        "seq_length": c.max_position_embeddings, "layernorm_epsilon": c.rms_norm_eps, "rmsnorm": True,
        "post_layer_norm": True, "original_rope": True, "add_qkv_bias": True, "add_bias_linear": False}
    with open(folder + "/config.json", "w") as file:
        json.dump(config, file)
