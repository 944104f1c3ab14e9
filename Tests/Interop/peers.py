"""What the comparisons with other programs share: prn with a workspace of its own, claims that hold or do not, and exported
folders in transformers."""
import os
import subprocess
import sys

import h5py
import torch
import transformers

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
