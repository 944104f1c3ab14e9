"""How fast a real model is judged and speaks: prn against transformers and llama.cpp, alternating in one run.

    python scoring.py PRN MODEL TEXT [--windows 32] [--length 512] [--rounds 3] [--json FILE]

MODEL is a folder such as `make smollm2` makes, TEXT is cut into windows in order. Judging is the whole work: load, tokens
cut, every window scored; of prn the whole process, of the others without the time their libraries take to be imported.
`prefill` and `decode` are tokens a second of a prompt of 256 tokens, and one by one after it, with a cache (`measure` of
prn). Perplexities must agree to 1e-4, else nothing is printed. llama.cpp gets the model as F32 and BF16 GGUF written by prn.
The environment's OPENBLAS_CORETYPE is dropped. Prints medians, and the median of the ratios of pairs. Nothing else should run.
"""
import argparse
import os
import statistics
import sys
import tempfile
import time

os.environ.pop("OPENBLAS_CORETYPE", None)
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "Interop"))
import torch  # noqa: E402
import transformers  # noqa: E402

import peers  # noqa: E402
from rows import Rows  # noqa: E402

PROMPT, TOKENS = 256, 64
TYPES = {"f32": torch.float32, "bf16": torch.bfloat16}


class Prn:
    name = "prn"

    def __init__(self, program, model, text, windows, length, precision, folder):
        self.prn = peers.Prn(program, folder)
        self.start = f'm = load "{model}" precision={precision}\n'
        self.score = f'held = text "{text}" model=m samples={windows} length={length} take=order\nr = eval m held length={length}'

    def judged(self):
        # A workspace of its own each time: what is done is not done again.
        self.prn.workspace += "."
        start = time.perf_counter()
        self.prn.run(self.start + self.score)
        return time.perf_counter() - start, self.prn.figures("r")["token_perplexity"]

    def windows(self, length):
        return torch.as_tensor(self.prn.open("held")["tokens"][...].astype("int64")).view(-1, length)

    def spoken(self):
        self.prn.run(self.start + f"s = measure m length={PROMPT} tokens={TOKENS} runs=3")
        figures = self.prn.figures("s")
        return figures["prefill_tokens_per_s"], figures["decode_tokens_per_s"]


class Transformers:
    name = "transformers"

    def __init__(self, model, windows, precision):
        self.folder, self.windows, self.type = model, windows, TYPES[precision]

    def load(self):
        return transformers.AutoModelForCausalLM.from_pretrained(self.folder, dtype=self.type).eval()

    def judged(self):
        start = time.perf_counter()
        model, losses = self.load(), []
        with torch.no_grad():
            for batch in self.windows.split(4):
                logits = model(batch, use_cache=False).logits[:, :-1].float()
                losses.append(torch.nn.functional.cross_entropy(
                    logits.reshape(-1, logits.shape[-1]), batch[:, 1:].reshape(-1), reduction="sum"))
        count = self.windows.shape[0] * (self.windows.shape[1] - 1)
        return time.perf_counter() - start, float((torch.stack(losses).double().sum() / count).exp())

    def spoken(self):
        model, prompt = self.load(), self.windows[:1, :PROMPT]
        speeds = []
        for _ in range(3):
            with torch.no_grad():
                start = time.perf_counter()
                step = model(prompt, use_cache=True)
                middle = time.perf_counter()
                for token in self.windows[0, :TOKENS]:
                    step = model(token.view(1, 1), past_key_values=step.past_key_values, use_cache=True)
                speeds.append((PROMPT / (middle - start), TOKENS / (time.perf_counter() - middle)))
        return [statistics.median(s) for s in zip(*speeds)]


class LlamaCpp:
    name = "llama.cpp"

    def __init__(self, file, windows):
        self.file, self.windows = file, windows.tolist()

    def load(self, all):
        return peers.llama_cpp.Llama(
            self.file, n_ctx=len(self.windows[0]), n_batch=len(self.windows[0]), n_threads=os.cpu_count(),
            n_threads_batch=os.cpu_count(), logits_all=all, verbose=False)

    def judged(self):
        start = time.perf_counter()
        model = self.load(True)
        losses = []
        for window in self.windows:
            model.reset()
            model.eval(window)
            logits = torch.from_numpy(model.scores[:len(window) - 1])
            losses.append(torch.nn.functional.cross_entropy(logits, torch.tensor(window[1:]), reduction="sum"))
        count = len(self.windows) * (len(self.windows[0]) - 1)
        return time.perf_counter() - start, float((torch.stack(losses).double().sum() / count).exp())

    def spoken(self):
        model, prompt, speeds = self.load(False), self.windows[0][:PROMPT], []
        for _ in range(3):
            model.reset()
            start = time.perf_counter()
            model.eval(prompt)
            middle = time.perf_counter()
            for token in self.windows[0][:TOKENS]:
                model.eval([token])
            speeds.append((PROMPT / (middle - start), TOKENS / (time.perf_counter() - middle)))
        return [statistics.median(s) for s in zip(*speeds)]


def compare(given, precision, folder, rows):
    """Adds a row for every figure and every other program."""
    own = Prn(given.prn, given.model, given.text, given.windows, given.length, precision, folder)
    found = own.judged()[1]
    windows = own.windows(given.length)
    others = [Transformers(given.model, windows, precision)]
    if peers.llama_cpp:
        file = f"{folder}/model-{precision}.gguf"
        own.prn.run(f'm = load "{given.model}"\nexport m to="{file}" type={precision}')
        others.append(LlamaCpp(file, windows))
    rounds = [[program.judged() for program in [own] + others] for _ in range(given.rounds)]
    for program, (_, value) in zip([own] + others, rounds[0]):
        # A type of eight bits of mantissa moves a loss by some 1e-3, each program in its way.
        if abs(value / found - 1) > (1e-4 if precision == "f32" else 1e-2):
            sys.exit(f"{program.name} finds a perplexity of {value}, prn {found}")
    programs = [own] + others

    def row(what, figures, unit, ratio):
        """`figures`: what every program gave, round by round."""
        for i, other in enumerate(others, 1):
            rows(f"{what}, {precision}", statistics.median(f[0] for f in figures), other.name,
                 statistics.median(f[i] for f in figures), unit, statistics.median(ratio(f[0], f[i]) for f in figures))

    row("judging", [[seconds for seconds, _ in r] for r in rounds], "s", lambda a, b: b / a)
    speeds = [[program.spoken() for program in programs] for _ in range(given.rounds)]
    for k, what in enumerate(("a prompt", "token by token")):
        row(what, [[speed[k] for speed in s] for s in speeds], "tokens/s", lambda a, b: a / b)


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    for name in ("prn", "model", "text"):
        parser.add_argument(name, type=os.path.abspath)
    for name, value in (("windows", 32), ("length", 512), ("rounds", 3)):
        parser.add_argument(f"--{name}", type=int, default=value)
    parser.add_argument("--precisions", default="f32,bf16")
    parser.add_argument("--json")
    given = parser.parse_args()
    torch.set_num_threads(os.cpu_count())
    versions = f"torch {torch.__version__}, transformers {transformers.__version__}"
    if peers.llama_cpp:
        versions += f", llama-cpp-python {peers.llama_cpp.__version__}"
    rows = Rows(f"{versions}, {torch.get_num_threads()} threads, load {os.getloadavg()[0]:.1f}")
    for precision in given.precisions.split(","):
        with tempfile.TemporaryDirectory() as folder:
            compare(given, precision, folder, rows)
    rows.save(given.json)
