"""Makes the tiny model in this folder and expected.safetensors, what reference.py computes from it.

    python make.py PRN

A random LLaMA with grouped-query attention (2 blocks, d 32, FFN 48, 4 query and 2 key-value heads), a byte-level
tokenizer without merges, a text in four alphabets. PRN, the program, gives the k-means labels that everything after the
clustering is computed from; they are stored too, so that the test sees whether it starts from the same ones.

numpy 2.4.6, scipy 1.17.1, torch 2.13.0+cpu, transformers 5.23.0, tokenizers 0.23.3, safetensors 0.8.0, h5py 3.16.0.
"""
import os
import random
import subprocess
import sys
import tempfile

import h5py
import numpy as np
import torch
from safetensors.numpy import save_file
from tokenizers import Tokenizer, decoders, models, pre_tokenizers
from transformers import LlamaConfig, LlamaForCausalLM

import reference as ref

HERE = os.path.dirname(os.path.abspath(__file__))
SCRIPT = """
m   = load {here}/model
cal = text {here}/text.txt model=m samples=24 length=32 seed=0
ctx = capture m cal sites=ffn.in keep=values
cl  = kmeans ctx k=3 pca=16 seed=0
gr  = assign (taylor m cal by=cl) shared=1 how=exact
"""


def make_text():
    generator = random.Random(1)
    alphabets = ["0123456789+-=", "abcdefgh ", "XYZW;:{}", "mnopqrst.,"]
    lines = []
    for _ in range(60):
        letters = generator.choice(alphabets)
        lines.append("".join(generator.choice(letters) for _ in range(generator.randint(20, 60))))
    with open(HERE + "/text.txt", "w") as file:
        file.write("\n".join(lines) + "\n")


def make_model():
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    tokenizer = Tokenizer(models.BPE(vocab={c: i for i, c in enumerate(alphabet)}, merges=[]))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    os.makedirs(HERE + "/model", exist_ok=True)
    torch.manual_seed(5)
    model = LlamaForCausalLM(LlamaConfig(
        vocab_size=256, hidden_size=32, intermediate_size=48, num_hidden_layers=2, num_attention_heads=4,
        num_key_value_heads=2, max_position_embeddings=64, bos_token_id=None, eos_token_id=None))
    with torch.no_grad():
        for name, parameter in sorted(model.named_parameters()):
            noise = torch.randn(parameter.shape)
            parameter.copy_(1 + 0.2 * noise if parameter.dim() == 1 else 0.25 * noise)
    model.to(torch.bfloat16).save_pretrained(HERE + "/model")
    os.remove(HERE + "/model/generation_config.json")
    tokenizer.save(HERE + "/model/tokenizer.json", pretty=False)


def labelled(program):
    """(labels, groups) of every layer as the program finds them."""
    with tempfile.TemporaryDirectory() as folder:
        script = folder + "/labels.prn"
        with open(script, "w") as file:
            file.write(SCRIPT.format(here=HERE))
        subprocess.run([program, "--workspace", folder + "/.prn", "run", script], check=True, stdout=subprocess.DEVNULL)
        names = folder + "/.prn/vars/main/"
        return h5py.File(names + "cl.h5")["label"][:], h5py.File(names + "gr.h5")["ffn/group"][:]


def main(program):
    make_text()
    make_model()
    labels, groups = labelled(program)
    ref.in_double()
    folder = HERE + "/model"
    model = ref.load(folder)
    shape = ref.Shape(model.config)
    ids = Tokenizer.from_file(folder + "/tokenizer.json").encode(open(HERE + "/text.txt").read()).ids
    sequences, _ = ref.windows(ids, 24, 32)
    sites = ref.activations(model, sequences, gradients=True)
    W = ref.weights(model)
    layers = range(shape.layers)
    x, h = [s["attn.heads"] for s in sites], [s["ffn.act"] for s in sites]
    out = {"tokens": np.concatenate(sequences), "labels": labels, "groups": groups}

    def put(name, rows):
        for l, row in enumerate(rows):
            out[f"{name}.{l}"] = row

    # FLAP
    for metric in ("wifv", "ifv", "wifn"):
        put(f"{metric}.units", [ref.by_unit(ref.fluctuation(metric, x[l], W[l][0]), shape.width).sum(1) for l in layers])
        put(f"{metric}.neurons", [ref.fluctuation(metric, h[l], W[l][1]) for l in layers])
    attention = [ref.fluctuation("wifv", x[l], W[l][0]) for l in layers]
    ffn = [ref.fluctuation("wifv", h[l], W[l][1]) for l in layers]
    summed = [ref.by_unit(a, shape.width).sum(1) for a in attention]
    units, neurons, gap = ref.al_am(attention, ffn, shape, 0.4)
    print(f"AL-AM: {(~units).sum()} units, {(~neurons).sum()} neurons, gap {gap:.2g}")
    out.update({"across.units": units, "across.neurons": neurons})
    put("bias", [W[l][1] @ (h[l].mean(0) * ~neurons[l]) for l in layers])
    units, neurons = ref.per_layer(summed, ffn, shape, [0.2] * shape.layers)
    out.update({"within.units": units, "within.neurons": neurons})

    # OBC
    gram_x, gram_h = [a.T @ a for a in x], [a.T @ a for a in h]
    put("gram", gram_h)
    unit_loss = [ref.unit_losses(W[l][0], gram_x[l], shape.width) for l in layers]
    once = [ref.one_shot(W[l][1], gram_h[l]) for l in layers]
    put("obc.units", unit_loss)
    put("obc.neurons", once)
    put("greedy", [ref.greedy(W[l][1], gram_h[l]) for l in layers])
    units, neurons = ref.per_layer(unit_loss, once, shape, [0.3] * shape.layers)
    out.update({"obc.keep.units": units, "obc.keep.neurons": neurons})
    put("obc.output", [ref.refit(W[l][0], gram_x[l], np.repeat(units[l], shape.width))[:, np.repeat(units[l], shape.width)] for l in layers])
    put("obc.down", [ref.refit(W[l][1], gram_h[l], neurons[l])[:, neurons[l]] for l in layers])

    # FANG
    affinity = [ref.taylor(h[l], sites[l]["gradient"], labels[l], 32) for l in layers]
    put("affinity", affinity)
    for l in layers:
        rest = np.flatnonzero(groups[l] >= 0)
        assert (np.flatnonzero(groups[l] < 0) == ref.shared_neurons(affinity[l], 12)).all()
        best, found = ref.optimum(affinity[l][:, rest], np.full(3, 12))
        assert (found == groups[l][rest]).all()
        out[f"optimum.{l}"] = np.array([best])
    alpha = [ref.context_weights(h[l], labels[l], relative=0.3) for l in layers]
    put("alpha", alpha)
    for l in layers:
        for k in range(3):
            members = np.flatnonzero(groups[l] == k)
            blocks = [h[l][labels[l] == c][:, members] for c in range(3)]
            out[f"gram.{l}.{k}"] = np.array([b.T @ b for b in blocks])
    o = [ref.o_fang(W[l][1], h[l], labels[l], alpha[l], groups[l]) for l in layers]
    put("o_fang", o)
    put("f_fang", [ref.f_fang(W[l][1], h[l], labels[l], alpha[l], groups[l]) for l in layers])
    FC = np.array([ref.complexity(s["block.in"], s["block.out"]) for s in sites])
    rates = ref.clip(FC, 0.3, (48 - 12 - 3) / 48)
    out.update({"complexity": FC, "rates": rates})
    units, neurons = ref.per_layer(unit_loss, o, shape, rates, groups)
    out.update({"fang.keep.units": units, "fang.keep.neurons": neurons})
    put("fang.down", [ref.refit_in_groups(W[l][1], h[l], labels[l], alpha[l], groups[l], neurons[l])[:, neurons[l]] for l in layers])
    save_file({k: np.ascontiguousarray(np.asarray(v), dtype=np.float32) for k, v in out.items()},
              HERE + "/expected.safetensors")
    for file in ("expected.safetensors", "model/model.safetensors"):
        os.chmod(f"{HERE}/{file}", 0o644)


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    main(sys.argv[1])
