"""What the plain versions of scripts share: texts, a model of transformers, a pass with hooks, and a model made smaller."""
import copy
import os
import sys

import numpy as np
import torch
import transformers
from tokenizers import Tokenizer

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "Fixtures", "parity"))
import reference as ref  # noqa: E402

BATCH = 4


def texts(options, random_starts=True):
    """(calibration, held out), windows × length."""
    tokenizer = Tokenizer.from_file(options.model + "/tokenizer.json")
    calib, held = (tokenizer.encode(open(path, encoding="utf8").read()).ids
                   for path in (options.calib, options.test))
    n, samples = options.length, options.samples
    windows = ref.windows(calib, samples, n)[0] if random_starts else ref.disjoint(calib, n)[:samples]
    return torch.tensor(windows), torch.tensor(ref.disjoint(held, n)[:options.held])


def load(folder):
    model = transformers.AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32).eval()
    for parameter in model.parameters():
        parameter.requires_grad_(False)
    return model


def perplexity(model, windows):
    total = 0.0
    with torch.no_grad():
        for batch in windows.split(BATCH):
            logits = model(batch, use_cache=False).logits[:, :-1]
            total += float(torch.nn.functional.cross_entropy(
                logits.reshape(-1, logits.shape[-1]), batch[:, 1:].reshape(-1), reduction="sum"))
    return float(np.exp(total / (windows.shape[0] * (windows.shape[1] - 1))))


def walk(model, windows, looks):
    """One pass; `looks` are (module, function of its input as tokens × width)."""
    hooks = [module.register_forward_pre_hook(lambda _, inputs, look=look: look(inputs[0].flatten(0, 1)))
             for module, look in looks]
    with torch.no_grad():
        for batch in windows.split(BATCH):
            model.model(batch, use_cache=False)
    for hook in hooks:
        hook.remove()


class Moments:
    def __init__(self):
        self.count, self.sum, self.squares = 0, 0, 0

    def __call__(self, x):
        self.count += len(x)
        self.sum = self.sum + x.sum(0).double()
        self.squares = self.squares + (x * x).sum(0).double()

    @property
    def mean(self):
        return self.sum / self.count

    @property
    def variance(self):
        return self.squares / self.count - self.mean ** 2


def narrowed(linear, rows=None, columns=None, bias=None):
    weight = linear.weight
    if rows is not None:
        weight = weight[rows]
    if columns is not None:
        weight = weight[:, columns]
    new = torch.nn.Linear(weight.shape[1], weight.shape[0], bias=bias is not None)
    new.weight = torch.nn.Parameter(weight.clone(), requires_grad=False)
    if bias is not None:
        new.bias = torch.nn.Parameter(bias.float(), requires_grad=False)
    return new


def pruned(model, shape, units, neurons, W_o=None, W_down=None, bias_o=None, bias_down=None):
    """A smaller copy; `W_o` and `W_down` are whole, with the refitted columns."""
    model = copy.deepcopy(model)
    for l, block in enumerate(model.model.layers):
        attention, ffn = block.self_attn, block.mlp
        if W_o is not None:
            attention.o_proj.weight.copy_(W_o[l])
        if W_down is not None:
            ffn.down_proj.weight.copy_(W_down[l])
        rows = torch.as_tensor(np.repeat(units[l], shape.width))
        pairs = torch.as_tensor(np.repeat(units[l], attention.head_dim))
        keep = torch.as_tensor(neurons[l])
        attention.q_proj, attention.k_proj, attention.v_proj = (
            narrowed(attention.q_proj, rows), narrowed(attention.k_proj, pairs), narrowed(attention.v_proj, pairs))
        attention.o_proj = narrowed(attention.o_proj, columns=rows, bias=None if bias_o is None else bias_o[l])
        ffn.gate_proj, ffn.up_proj = narrowed(ffn.gate_proj, keep), narrowed(ffn.up_proj, keep)
        ffn.down_proj = narrowed(ffn.down_proj, columns=keep, bias=None if bias_down is None else bias_down[l])
    return model


def outputs(model):
    return [(block.self_attn.o_proj, block.mlp.down_proj) for block in model.model.layers]


def mean_biases(model, means, units, neurons, shape):
    """W of what goes, times its mean."""
    bias_o, bias_down = [], []
    for l, (output, down) in enumerate(outputs(model)):
        gone = torch.as_tensor(~np.repeat(units[l], shape.width)), torch.as_tensor(~neurons[l])
        bias_o.append(output.weight.double() @ (means[l][0] * gone[0]))
        bias_down.append(down.weight.double() @ (means[l][1] * gone[1]))
    return dict(bias_o=bias_o, bias_down=bias_down)
