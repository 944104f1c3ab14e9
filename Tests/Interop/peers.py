"""What the comparisons with other programs share: prn with a workspace of its own, claims that hold or do not, and exported
models in transformers and llama.cpp."""
import os
import subprocess
import sys

import h5py
import numpy
import torch
import transformers

try:
    import llama_cpp
except ImportError:
    llama_cpp = None

ROOT = os.path.abspath(os.path.join(os.path.dirname(__file__), "../.."))


class Prn:
    """The program, with its workspace in a folder."""

    def __init__(self, program, folder):
        self.program, self.workspace = os.path.abspath(program), f"{folder}/workspace"

    def run(self, statements):
        done = subprocess.run(
            [self.program, "--workspace", self.workspace, "--progress", "none", "-q", "-c", statements],
            capture_output=True, text=True)
        if done.returncode:
            sys.exit(done.stdout + done.stderr)

    def open(self, name):
        """The file of a value."""
        return h5py.File(f"{self.workspace}/vars/main/{name}.h5")

    def figures(self, name):
        """The metrics of a report by their names."""
        with self.open(name) as report:
            return dict(zip([n.decode() for n in report["metric/name"][:]], report["metric/value"][:].tolist()))


class Claims:
    """Prints what holds and what does not, and counts the latter."""

    def __init__(self):
        self.wrong = 0

    def __call__(self, holds, text):
        print(("ok   " if holds else "BAD  ") + text, flush=True)
        self.wrong += not holds


def perplexity(logits, windows):
    """exp of the mean loss of every token of a window but the first."""
    losses = [torch.nn.functional.cross_entropy(torch.as_tensor(row[:-1], dtype=torch.float64),
                                                torch.as_tensor(window[1:], dtype=torch.long))
              for row, window in zip(logits, windows)]
    return float(torch.stack(losses).mean().exp())


def difference(found, expected):
    """The largest difference of some logits, relative to the largest number of `expected`."""
    return max(float(abs(a - b).max() / abs(b).max()) for a, b in zip(map(numpy.asarray, found), map(numpy.asarray, expected)))


# transformers


def load(folder):
    """An exported folder in transformers. Only one that brings code of its own needs trust: a stock class must do
    without."""
    trusted = os.path.exists(f"{folder}/modeling_prn.py")
    return transformers.AutoModelForCausalLM.from_pretrained(
        folder, torch_dtype=torch.float32, trust_remote_code=trusted).eval()


def logits(model, windows):
    """The logits of every token of some windows."""
    with torch.no_grad():
        return [model(torch.tensor([window]), use_cache=False).logits[0] for window in windows]


def greedy(model, prompt, count, **settings):
    """The ids that transformers says after those of a prompt."""
    prompt = torch.tensor([prompt])
    # Without a mask generate() takes tokens that are the padding's for padding, such as <s> where both are 0.
    with torch.no_grad():
        made = model.generate(prompt, attention_mask=torch.ones_like(prompt), max_new_tokens=count, do_sample=False,
                              **settings)
    return made[0, prompt.shape[1]:].tolist()


# llama.cpp


def llama(path, length=512):
    return llama_cpp.Llama(path, n_ctx=length, n_batch=length, logits_all=True, type_k=0, type_v=0, verbose=False)


def llama_logits(model, windows):
    result = []
    for window in windows:
        model.reset()
        model.eval(window)
        result.append(numpy.array(model.scores[: len(window)]))
    return result


def llama_greedy(model, prompt, count):
    """Token by token, the likeliest; the sampler of llama.cpp is not asked."""
    model.reset()
    model.eval(prompt)
    made = []
    while len(made) < count:
        made.append(int(model.scores[model.n_tokens - 1].argmax()))
        model.eval(made[-1:])
    return made


def quantised(path, copy, number):
    """Lets llama.cpp write a quantised copy, 7 for Q8_0 and 15 for Q4_K_M; true when it says that it did."""
    parameters = llama_cpp.llama_model_quantize_default_params()
    parameters.ftype = number
    return llama_cpp.llama_model_quantize(path.encode(), copy.encode(), parameters) == 0
