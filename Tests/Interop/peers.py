"""What the scripts of this folder share: prn as a program, other programs' logits and greedy texts, and claims."""
import os
import subprocess

import h5py
import numpy
import torch
import transformers

try:
    import llama_cpp
except ImportError:
    llama_cpp = None

ROOT = os.path.abspath(os.path.join(os.path.dirname(__file__), "../.."))
failures = []


def claim(holds, text):
    print(("ok   " if holds else "BAD  ") + text, flush=True)
    if not holds:
        failures.append(text)


class Prn:
    """Scripts run by prn in one workspace, and the files that its names stand for."""

    def __init__(self, program, folder):
        self.program, self.folder, self.count = os.path.abspath(program), folder, 0

    def run(self, script):
        self.count += 1
        path = f"{self.folder}/{self.count}.prn"
        with open(path, "w") as file:
            file.write(script)
        done = subprocess.run(
            [self.program, "--workspace", self.folder + "/workspace", "--progress", "none", "run", path],
            stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
        if done.returncode:
            raise SystemExit(f"{script}\n{done.stderr}")

    def open(self, name):
        return h5py.File(f"{self.folder}/workspace/vars/main/{name}.h5")

    def figure(self, name):
        with self.open(name) as report:
            return float(report["metric/value"][0])

    def evaluated(self, path, text):
        """The perplexity of a model by its path; `text` is a statement about the model x."""
        self.run(f"x = load {path}\nx_text = {text}\nx_loss = eval x x_text\n")
        return self.figure("x_loss")


def perplexity(logits, windows):
    """exp of the mean loss of every token of a window but the first."""
    losses = [torch.nn.functional.cross_entropy(torch.as_tensor(row[:-1], dtype=torch.float64),
                                                torch.as_tensor(window[1:], dtype=torch.long))
              for row, window in zip(logits, windows)]
    return float(torch.stack(losses).mean().exp())


def difference(found, expected):
    """The largest difference, relative to the largest number of `expected`."""
    return max(float(abs(a - b).max() / abs(b).max()) for a, b in zip(found, expected))


def transformers_model(folder):
    """A stock class must do without remote code; only as=hf brings some."""
    trusted = os.path.exists(f"{folder}/modeling_prn.py")
    return transformers.AutoModelForCausalLM.from_pretrained(
        folder, torch_dtype=torch.float32, trust_remote_code=trusted).eval()


def transformers_logits(model, windows):
    with torch.no_grad():
        return [model(torch.tensor([window]), use_cache=False).logits[0].numpy() for window in windows]


def transformers_greedy(model, prompt, count, use_cache=True):
    # Without a mask generate() takes tokens that are the padding's for padding, such as <s> where both are 0.
    made = model.generate(
        torch.tensor([prompt]), attention_mask=torch.ones(1, len(prompt), dtype=torch.long), max_new_tokens=count,
        do_sample=False, eos_token_id=None, pad_token_id=0, use_cache=use_cache)
    return made[0, len(prompt):].tolist()


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


def llama_quantised(path, copy, number):
    """Writes a quantised copy by llama.cpp; true when it says that it did. 7 is Q8_0, 15 is Q4_K_M."""
    parameters = llama_cpp.llama_model_quantize_default_params()
    parameters.ftype = number
    return llama_cpp.llama_model_quantize(path.encode(), copy.encode(), parameters) == 0
