"""Tiny random models with what transformers computes from them: logits, losses and derivatives.

    python make.py            writes the folders beside this file
    python make.py bfloat     writes bfloat.safetensors: logits and derivatives when products are of rounded numbers
    python make.py variants   writes variants.json and variants.safetensors: the same weights under another config.json,
                              and the logits they give
    python make.py wiki MODEL TEXT LENGTH COUNT
                              prints the token perplexity of a model (needs its tokenizer.json) on the first COUNT
                              windows of LENGTH tokens; wiki-llama on WikiText-2's test text, 256 tokens:
                              COUNT 200 gives 47.177528, all 1603 windows give 47.440622

Made with torch 2.13.0, transformers 5.23.0, safetensors 0.8.0, tokenizers 0.23.3.
"""
import json, math, os, sys

import torch
from safetensors.torch import save_file
from transformers import (GPT2Config, GPT2LMHeadModel, LlamaConfig, LlamaForCausalLM, MistralConfig,
                          MistralForCausalLM, Olmo2Config, Olmo2ForCausalLM, Phi3Config, Phi3ForCausalLM, Qwen2Config,
                          Qwen2ForCausalLM, Qwen3Config, Qwen3ForCausalLM)

from chatglm import ChatGLM

HERE = os.path.dirname(os.path.abspath(__file__))
SIZES = dict(vocab_size=61, hidden_size=16, intermediate_size=24, num_hidden_layers=2, num_attention_heads=4,
             max_position_embeddings=64, bos_token_id=0, eos_token_id=1)
LLAMA3 = dict(rope_type="llama3", rope_theta=10000.0, factor=8.0, low_freq_factor=1.0, high_freq_factor=4.0,
              original_max_position_embeddings=16)

MODELS = {
    "llama": lambda: LlamaForCausalLM(LlamaConfig(**SIZES, num_key_value_heads=4)),
    "gqa-tied": lambda: LlamaForCausalLM(LlamaConfig(**SIZES, num_key_value_heads=2, tie_word_embeddings=True)),
    "llama3": lambda: LlamaForCausalLM(LlamaConfig(**SIZES, num_key_value_heads=2, head_dim=6, rope_parameters=LLAMA3)),
    "linear": lambda: LlamaForCausalLM(LlamaConfig(
        **SIZES, num_key_value_heads=1, rope_parameters=dict(rope_type="linear", rope_theta=5000.0, factor=3.0))),
    "biased": lambda: LlamaForCausalLM(LlamaConfig(
        **SIZES, num_key_value_heads=4, attention_bias=True, mlp_bias=True)),
    "qwen2": lambda: Qwen2ForCausalLM(Qwen2Config(**SIZES, num_key_value_heads=2)),
    "mistral-window": lambda: MistralForCausalLM(MistralConfig(**SIZES, num_key_value_heads=2, sliding_window=5)),
    "gpt2": lambda: GPT2LMHeadModel(GPT2Config(
        vocab_size=61, n_embd=16, n_layer=2, n_head=4, n_positions=64, bos_token_id=0, eos_token_id=1)),
    "qwen3": lambda: Qwen3ForCausalLM(Qwen3Config(**SIZES, num_key_value_heads=2, head_dim=6)),
    "phi3": lambda: Phi3ForCausalLM(Phi3Config(**SIZES, num_key_value_heads=2, pad_token_id=None)),
    "olmo2": lambda: Olmo2ForCausalLM(Olmo2Config(**SIZES, num_key_value_heads=2, pad_token_id=None)),
    "chatglm3": ChatGLM,
    "wide-groups": lambda: LlamaForCausalLM(LlamaConfig(
        **SIZES | dict(hidden_size=24, num_attention_heads=6), num_key_value_heads=2, attention_bias=True)),
}


def randomise(model):
    """Weights large enough that every part matters, biases and norms included; bf16 keeps the files small."""
    with torch.no_grad():
        for name, parameter in sorted(model.named_parameters()):
            noise = torch.randn(parameter.shape)
            is_norm = parameter.dim() == 1 and name.endswith("weight")
            parameter.copy_((1 + 0.3 * noise if is_norm else 0.25 * noise).to(torch.bfloat16).float())


def reference(model, sequences):
    """Logits and next-token losses; h (the input of the last linear map of each block) and dL/dh, L = mean loss of a
    sequence, summed over sequences."""
    layers = next(m for n, m in model.named_modules() if n.endswith((".h", ".layers")))
    kept = {}

    def keep(index):
        def hook(module, inputs):
            inputs[0].retain_grad()
            kept[index] = inputs[0]
        return hook

    handles = [next(m for n, m in l.mlp.named_children() if n in ("c_proj", "down_proj", "dense_4h_to_h"))
               .register_forward_pre_hook(keep(i)) for i, l in enumerate(layers)]
    logits, losses, h, gradient = [], [], [[] for _ in layers], [[] for _ in layers]
    for tokens in sequences:
        ids = torch.tensor([tokens])
        out = model(ids, use_cache=False).logits[0]
        nll = torch.nn.functional.cross_entropy(out[:-1], ids[0, 1:], reduction="none")
        nll.mean().backward()
        logits.append(out.detach())
        losses.append(torch.cat([nll.detach(), torch.zeros(1)]))
        for i in kept:
            h[i].append(kept[i].detach()[0])
            gradient[i].append(kept[i].grad[0])
    for handle in handles:
        handle.remove()
    result = {"logits": torch.cat(logits), "losses": torch.cat(losses)}
    for i in kept:
        result[f"h.{i}"] = torch.cat(h[i])
        result[f"gradient.{i}"] = torch.cat(gradient[i])
    return {k: v.contiguous().float() for k, v in result.items()}


def main():
    for number, (name, make) in enumerate(MODELS.items()):
        torch.manual_seed(number)
        model = make().float().eval()
        randomise(model)
        folder = os.path.join(HERE, name)
        model.config.save_pretrained(folder)
        state = {k: v.to(torch.bfloat16).contiguous() for k, v in model.state_dict().items()}
        if model.config.tie_word_embeddings:
            state.pop("lm_head.weight", None)
        save_file(state, os.path.join(folder, "model.safetensors"), metadata={"format": "pt"})
        sequences = [torch.randint(0, 61, (n,)).tolist() for n in (9, 14)]
        expected = reference(model, sequences)
        save_file(expected, os.path.join(folder, "expected.safetensors"))
        with open(os.path.join(folder, "sequences.json"), "w") as file:
            json.dump(sequences, file)


VARIANTS = {
    "gpt2-by-depth": ("gpt2", dict(scale_attn_by_inverse_layer_idx=True)),
    "gpt2-unscaled": ("gpt2", dict(scale_attn_weights=False)),
    "qwen2-all-slide": ("qwen2", dict(use_sliding_window=True, sliding_window=5, max_window_layers=0)),
    "qwen2-layer-types": ("qwen2", dict(use_sliding_window=True, sliding_window=5,
                                        layer_types=["sliding_attention", "full_attention"])),
    "qwen3-slides": ("qwen3", dict(use_sliding_window=True, sliding_window=5, max_window_layers=1)),
    "phi3-window": ("phi3", dict(sliding_window=5)),
    "phi3-half-turned": ("phi3", dict(rope_parameters=dict(
        rope_type="default", rope_theta=10000.0, partial_rotary_factor=0.5))),
    "mistral-default-window": ("mistral-window", dict(sliding_window="absent")),
    "mistral-no-window": ("mistral-window", dict(sliding_window=None)),
    "llama-both-ropes": ("llama", dict(rope_scaling=dict(rope_type="linear", factor=4.0))),
    "llama-own-head": ("llama", dict(tie_word_embeddings=True)),
    "llama-empty-scaling": ("linear", dict(rope_scaling={})),
}


def variants():
    import shutil, tempfile
    from transformers import AutoModelForCausalLM
    logits = {}
    for name, (base, changes) in VARIANTS.items():
        with tempfile.TemporaryDirectory() as folder:
            shutil.copytree(os.path.join(HERE, base), folder, dirs_exist_ok=True)
            config = json.load(open(folder + "/config.json"))
            for key, value in changes.items():
                config.pop(key, None)
                if value != "absent":
                    config[key] = value
            if "layer_types" not in changes:
                config.pop("layer_types", None)
            json.dump(config, open(folder + "/config.json", "w"))
            model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32, attn_implementation="eager").eval()
            sequences = json.load(open(folder + "/sequences.json"))
            with torch.no_grad():
                logits[name] = torch.cat([model(torch.tensor([tokens])).logits[0] for tokens in sequences]).contiguous()
            VARIANTS[name] = dict(base=base, config=json.dumps(config))
    save_file(logits, os.path.join(HERE, "variants.safetensors"))
    with open(os.path.join(HERE, "variants.json"), "w") as file:
        json.dump(VARIANTS, file, indent=1)


class RoundedLinear(torch.autograd.Function):
    """x W^T and dy W of numbers rounded to bfloat16, summed in single precision."""

    @staticmethod
    def forward(context, x, weight):
        context.save_for_backward(weight)
        return x.bfloat16().float() @ weight.bfloat16().float().T

    @staticmethod
    def backward(context, dy):
        weight, = context.saved_tensors
        return dy.bfloat16().float() @ weight.bfloat16().float(), None


def bfloat():
    import transformers
    plain = torch.nn.functional.linear

    def linear(x, weight, bias=None):
        y = RoundedLinear.apply(x, weight)
        return y if bias is None else y + bias

    torch.nn.functional.linear = linear
    transformers.pytorch_utils.Conv1D.forward = lambda self, x: linear(x, self.weight.T, self.bias)
    found = {}
    for number, (name, make) in enumerate(MODELS.items()):
        torch.manual_seed(number)
        model = make().float().eval()
        randomise(model)
        sequences = json.load(open(os.path.join(HERE, name, "sequences.json")))
        expected = reference(model, sequences)
        for key in ("logits", "gradient.0"):
            found[f"{name}/{key}"] = expected[key]
    torch.nn.functional.linear = plain
    save_file(found, os.path.join(HERE, "bfloat.safetensors"))


def wiki(folder, text, length, count):
    """Disjoint windows of `length` tokens, the text tokenised once (a BOS only at its very start)."""
    from tokenizers import Tokenizer
    from transformers import AutoModelForCausalLM
    ids = Tokenizer.from_file(os.path.join(folder, "tokenizer.json")).encode(open(text).read()).ids
    model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32).eval()
    windows = torch.tensor(ids[:len(ids) // length * length]).view(-1, length)[:count]
    total = 0.0
    with torch.no_grad():
        for batch in windows.split(8):
            out = model(batch, use_cache=False).logits[:, :-1]
            total += torch.nn.functional.cross_entropy(
                out.reshape(-1, out.shape[-1]), batch[:, 1:].reshape(-1), reduction="none").double().sum().item()
    count = windows.shape[0] * (length - 1)
    print(f"tokens {len(ids)} first {ids[:4]} windows {windows.shape[0]} nll {total / count:.8f} "
          f"perplexity {math.exp(total / count):.6f}")


if __name__ == "__main__":
    if len(sys.argv) > 1 and sys.argv[1] == "wiki":
        wiki(sys.argv[2], sys.argv[3], int(sys.argv[4]), int(sys.argv[5]))
    elif sys.argv[1:] == ["bfloat"]:
        bfloat()
    elif sys.argv[1:] == ["variants"]:
        variants()
    else:
        main()
