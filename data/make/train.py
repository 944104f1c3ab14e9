"""Makes ../tiny-llama: a byte-level BPE and a LLaMA-architecture model, both trained on train.txt.

    python generate.py && python train.py

Used once, at making time. Training runs in float32; what is saved is rounded to bfloat16.
"""

import argparse
import json
import math
import re
import time

import numpy as np
import torch
from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers, processors, trainers
from transformers import AutoModelForCausalLM, LlamaConfig, LlamaForCausalLM

from perplexity import HERE, MODEL, TRAIN, model_nll, perplexity, windows

BOS, EOS = "<|begin_of_text|>", "<|end_of_text|>"
SPLIT = (r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*"
         r"|\s*[\r\n]+|\s+(?!\S)|\s+")
CONFIG = dict(
    vocab_size=1024, hidden_size=128, intermediate_size=384, num_hidden_layers=6,
    num_attention_heads=8, num_key_value_heads=4, head_dim=16, max_position_embeddings=512,
    rms_norm_eps=1e-5, initializer_range=0.04, tie_word_embeddings=False, use_cache=True,
    bos_token_id=0, eos_token_id=1,
)


def make_tokenizer(text):
    """LLaMA-3's layout at a vocabulary of 1024."""
    tokenizer = Tokenizer(models.BPE(ignore_merges=True))
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence([
        pre_tokenizers.Split(Regex(SPLIT), "isolated"),
        pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
    ])
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.train_from_iterator(re.findall(r".+?\n\n", text, re.S), trainers.BpeTrainer(
        vocab_size=CONFIG["vocab_size"], special_tokens=[BOS, EOS], show_progress=False,
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet())))
    tokenizer.post_processor = processors.Sequence([
        processors.ByteLevel(trim_offsets=False),
        processors.TemplateProcessing(single=f"{BOS} $A", pair=f"{BOS} $A {BOS}:1 $B:1",
                                      special_tokens=[(BOS, tokenizer.token_to_id(BOS))]),
    ])
    return tokenizer


def save(model, tokenizer):
    """Writes the whole model folder, the weights rounded to bfloat16 (the trained copy stays in float32)."""
    MODEL.mkdir(exist_ok=True)
    rounded = LlamaForCausalLM(model.config)
    rounded.load_state_dict(model.state_dict())
    rounded.to(torch.bfloat16).save_pretrained(MODEL)
    config = json.loads((MODEL / "config.json").read_text())
    for key in ("rope_parameters", "dtype", "transformers_version"):
        config.pop(key, None)
    config |= {"torch_dtype": "bfloat16", "rope_theta": 10000.0, "rope_scaling": None}  # as transformers 4 and 5 both read them
    (MODEL / "model.safetensors").chmod(0o644)
    write_json("config.json", dict(sorted(config.items())))
    write_json("generation_config.json", {"_from_model_config": True, "bos_token_id": 0, "eos_token_id": 1})
    write_json("tokenizer_config.json", {
        "bos_token": BOS, "eos_token": EOS, "clean_up_tokenization_spaces": False,
        "model_max_length": CONFIG["max_position_embeddings"], "tokenizer_class": "PreTrainedTokenizerFast",
    })
    tokenizer.save(str(MODEL / "tokenizer.json"))


def write_json(name, value):
    (MODEL / name).write_text(json.dumps(value, indent=2) + "\n")


def main():
    args = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    args.add_argument("--steps", type=int, default=4000)
    args.add_argument("--minutes", type=float, default=1e9, help="end within this time, with fewer steps if it must be")
    args.add_argument("--batch", type=int, default=4, help="sequences a step")
    args.add_argument("--length", type=int, default=256, help="tokens a sequence")
    args.add_argument("--rate", type=float, default=2.5e-3, help="peak learning rate")
    args.add_argument("--threads", type=int, default=1)
    args.add_argument("--save-every", type=float, default=200, help="seconds")
    args = args.parse_args()
    torch.set_num_threads(args.threads)
    torch.manual_seed(0)
    rng = np.random.default_rng(0)

    text = TRAIN.read_bytes().decode()
    tokenizer = make_tokenizer(text)
    ids = np.array(tokenizer.encode(text).ids)
    print(f"{len(ids)} tokens, {len(text.encode()) / len(ids):.2f} bytes each", flush=True)
    ends = [i for t, i in tokenizer.get_vocab().items() if t.endswith("ĊĊ")]
    starts = np.flatnonzero(np.isin(ids, ends))  # the token before a passage's first
    starts = starts[starts < len(ids) - args.length]

    model = LlamaForCausalLM(LlamaConfig(**CONFIG))
    print(f"{sum(p.numel() for p in model.parameters())} parameters", flush=True)
    matrices = [p for p in model.parameters() if p.dim() > 1]
    norms = [p for p in model.parameters() if p.dim() == 1]
    optimizer = torch.optim.AdamW([{"params": matrices, "weight_decay": 0.1}, {"params": norms, "weight_decay": 0.0}],
                                  lr=args.rate, betas=(0.9, 0.95))
    warmup = min(100, 1 + args.steps // 10)
    watched = windows(tokenizer, HERE.parent / "calibration.txt")[:64]

    began = saved = time.time()
    for step in range(args.steps):
        done = max(step / args.steps, (time.time() - began) / (60 * args.minutes))
        if done >= 1:
            print(f"out of time at step {step}")
            break
        for group in optimizer.param_groups:  # linear warm-up, then a cosine down to 2 %
            group["lr"] = args.rate * min((step + 1) / warmup, 0.02 + 0.49 * (1 + math.cos(math.pi * done)))
        # Half of the sequences begin anywhere; half begin a passage, after <|begin_of_text|>.
        at = np.where(np.arange(args.batch) % 2, rng.choice(starts, args.batch),
                      rng.integers(0, len(ids) - args.length, args.batch))
        x = ids[at[:, None] + np.arange(args.length)]
        x[1::2, 0] = 0
        x = torch.from_numpy(x)
        logits = model(x, use_cache=False).logits[:, :-1]
        loss = torch.nn.functional.cross_entropy(logits.flatten(0, 1), x[:, 1:].flatten())
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        if step % 50 == 0:
            print(f"step {step:5d}  loss {loss.item():.4f}  {time.time() - began:.0f} s", flush=True)
        if step % 500 == 499:
            print(f"             calibration perplexity {perplexity(model_nll(model, watched)):.4f}", flush=True)
        if time.time() - saved > args.save_every:
            save(model, tokenizer)
            saved = time.time()

    save(model, tokenizer)
    model = AutoModelForCausalLM.from_pretrained(MODEL, dtype=torch.float32).eval()
    print(f"test perplexity, after rounding: "
          f"{perplexity(model_nll(model, windows(tokenizer, HERE.parent / 'test.txt'))):.4f}")


if __name__ == "__main__":
    main()
