"""Times prn against its peers, alternating in one run, and prints the ratios. `make bench` runs it.

    python bench.py PRN_BENCH [--json FILE] [name ...]     names: forward block backward, each also with -bf16;
                                             assign kmeans oneshot greedy networks

Peers: PyTorch and transformers (CPU, f32 or bf16), SciPy, scikit-learn; versions in Tests/requirements.txt. OPENBLAS_CORETYPE is
unset first: some environments force slow kernels on OpenBLAS. Peak memory is that of each whole process so far. `of peak`
is the speed of a pass in multiplications and additions of linear maps, over that of one large product of floats in the same
run (bf16 can exceed it); `GEMM` the share of the processors' time that prn spent in products.
"""

import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time

os.environ.pop("OPENBLAS_CORETYPE", None)
import numpy as np  # noqa: E402
import torch  # noqa: E402

from rows import Rows  # noqa: E402

ROOT = os.path.abspath(os.path.join(os.path.dirname(__file__), "..", ".."))
ROUNDS = int(os.environ.get("PRN_BENCH_ROUNDS", "5"))
torch.set_num_threads(os.cpu_count())


class Prn:
    """The prn-bench process, asked line by line."""

    def __init__(self, path):
        self.process = subprocess.Popen([path], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.blas = json.loads(self.process.stdout.readline())["blas"]

    def __call__(self, *words):
        self.process.stdin.write(" ".join(map(str, words)) + "\n")
        self.process.stdin.flush()
        answer = json.loads(self.process.stdout.readline())
        if "error" in answer:
            sys.exit(f"prn-bench {words}: {answer['error']}")
        return answer

    def peak(self):
        for line in open(f"/proc/{self.process.pid}/status"):
            if line.startswith("VmHWM"):
                return int(line.split()[1]) / 1024


def compare(name, peer, ours, theirs, unit="s", work=1.0, rounds=ROUNDS, operations=0.0):
    """Alternates the two (after one warm-up each if there are several rounds) and prints medians, the median of the pairwise
    ratios, and the part of the processors' time that prn spent in matrix products. `operations` are those of one call."""
    if rounds > 1:
        ours(), theirs()
    answers = [(ours(), theirs()) for _ in range(rounds)]
    share = statistics.median(answer["products"] for answer, _ in answers)
    pairs = [(answer["seconds"], seconds) for answer, seconds in answers]
    mine, other = (statistics.median(pair[i] for pair in pairs) for i in (0, 1))
    more = dict(of_peak=f"{operations / mine / PEAK:.0%}") if operations else {}
    measured = (mine, other) if work == 1 else (work / mine, work / other)
    ROWS(name, measured[0], peer, measured[1], unit, statistics.median(pair[1] / pair[0] for pair in pairs),
         GEMM=f"{share:.0%}", **more, MiB=round(prn.peak()), peer_MiB=resource.getrusage(resource.RUSAGE_SELF).ru_maxrss >> 10)


def timed(body):
    start = time.perf_counter()
    body()
    return time.perf_counter() - start


def operations(model, count):
    """Multiplications and additions of the linear maps, for so many tokens."""
    return 2.0 * count * sum(m.weight.numel() for m in model.modules() if isinstance(m, torch.nn.Linear))


def tokens(count, vocabulary):
    return torch.tensor([(i * 7919 + 13) % vocabulary for i in range(count)])


# Of the products; in PyTorch also of everything else.
PRECISIONS = {"f32": torch.float32, "bf16": torch.bfloat16}


def load(folder, precision):
    from transformers import AutoModelForCausalLM

    return AutoModelForCausalLM.from_pretrained(folder, dtype=PRECISIONS[precision]).eval()


def small_model():
    shared = os.path.join(ROOT, "..", "shared", "models", "wiki-llama")
    return shared if os.path.isdir(shared) else os.path.join(ROOT, "data", "tiny-llama")


def forward(precision="f32"):
    folder, window, count = small_model(), 256, 64
    model = load(folder, precision)
    batch = tokens(window * count, model.config.vocab_size).view(-1, window)

    def peer():
        with torch.no_grad():
            for part in batch.split(8):
                model(part, labels=part).loss.item()

    compare(
        f"forward {os.path.basename(folder)} {precision}", "transformers",
        lambda: prn("forward", folder, window, count, precision),
        lambda: timed(peer), unit="tokens/s", work=window * count, operations=operations(model, window * count))


def backward(precision="f32"):
    folder, window, count = small_model(), 256, 32
    model = load(folder, precision)
    for parameter in model.parameters():
        parameter.requires_grad_(False)
    batch = tokens(window * count, model.config.vocab_size).view(-1, window)

    def peer():
        # Gradients by activations only: the embeddings are the leaves, h is kept by a hook.
        for part in batch.split(4):
            kept = []

            def keep(module, arguments):
                arguments[0].retain_grad()
                kept.append(arguments[0])

            hooks = [layer.mlp.down_proj.register_forward_pre_hook(keep) for layer in model.model.layers]
            x = model.model.embed_tokens(part).requires_grad_(True)
            model(inputs_embeds=x, labels=part).loss.backward()
            for hook in hooks:
                hook.remove()
            assert all(h.grad is not None for h in kept)

    compare(
        f"backward {os.path.basename(folder)} {precision}", "transformers",
        lambda: prn("backward", folder, window, count, precision),
        lambda: timed(peer), unit="tokens/s", work=window * count)


def block(precision="f32"):
    from transformers import LlamaConfig, LlamaForCausalLM

    config = LlamaConfig(
        hidden_size=4096, intermediate_size=11008, num_hidden_layers=1, num_attention_heads=32, num_key_value_heads=32,
        vocab_size=256, max_position_embeddings=2048, rms_norm_eps=1e-5, tie_word_embeddings=False)
    torch.manual_seed(0)
    model = LlamaForCausalLM(config).eval()
    with tempfile.TemporaryDirectory() as folder:
        model.save_pretrained(folder)
        model = model.to(PRECISIONS[precision])
        x = model.model.embed_tokens(tokens(512, 256)[None]).detach()
        positions = torch.arange(512)[None]
        rotary = model.model.rotary_emb(x, positions)
        layer = model.model.layers[0]

        def peer():
            with torch.no_grad():
                layer(x, attention_mask=None, position_ids=positions, position_embeddings=rotary)

        compare(
            f"block of LLaMA-2-7B, {precision}", "transformers", lambda: prn("block", folder, 512, precision),
            lambda: timed(peer), unit="tokens/s", work=512, operations=operations(layer, 512))


def assign():
    from scipy.optimize import linear_sum_assignment

    # SciPy solves the problem expanded to one sink per place. At 9632 neurons that takes minutes, so it runs once there.
    rng = np.random.default_rng(1)
    for neurons, rounds in [(2408, 3), (9632, 1)]:
        scores = np.exp(2 * rng.standard_normal((7, neurons)))
        expanded = np.repeat(scores, neurons // 7, axis=0)
        mine = statistics.median(prn("assign", neurons, 7)["seconds"] for _ in range(5))
        peer = statistics.median(timed(lambda: linear_sum_assignment(expanded, maximize=True)) for _ in range(rounds))
        ROWS(f"assign {neurons} x 7", mine, "SciPy", peer)
        if os.environ.get("PRN_BENCH_QUICK"):
            return


def kmeans():
    from sklearn.cluster import KMeans

    rng = np.random.default_rng(0)
    rows, columns, k = 131072, 64, 7
    data = (rng.standard_normal((40, columns))[rng.integers(0, 40, rows)] + rng.standard_normal((rows, columns))).astype(np.float32)
    with tempfile.NamedTemporaryFile() as file:
        data.tofile(file.name)
        start = data[:k].copy()
        compare(
            f"kmeans {rows} x {columns}, k {k}", "scikit-learn", lambda: prn("kmeans", file.name, rows, columns, k),
            lambda: timed(lambda: KMeans(k, init=start, n_init=1, max_iter=300, tol=1e-4).fit(data)))


def brain(name, d, n, removed, rounds):
    """Algorithms 1 (greedy) and 2 (oneshot) of FANG's appendix, written straightforwardly in PyTorch f64. Every removal
    of Algorithm 1 costs the same, so at most 300 of them are timed and the rest reckoned from these."""
    torch.manual_seed(0)
    x = torch.randn(2 * n, n, dtype=torch.float64) * (0.2 + torch.rand(n, dtype=torch.float64))
    gram, w = x.T @ x, torch.randn(d, n, dtype=torch.float64)
    del x

    def inverse():
        h = gram + 0.01 * gram.diagonal().mean() * torch.eye(n, dtype=torch.float64)
        return torch.linalg.inv(h)

    def oneshot():
        g = inverse()
        gone = ((w * w).sum(0) / g.diagonal()).argsort()[:removed]
        return w - (g[:, gone] @ torch.linalg.solve(g[gone][:, gone], w[:, gone].T)).T

    def greedy():
        start = time.perf_counter()
        g, v = inverse(), w.clone()
        alive = torch.ones(n, dtype=torch.bool)
        prepared = time.perf_counter()
        counted = min(removed, 300)
        for _ in range(counted):
            e = (v * v).sum(0) / g.diagonal()
            e[~alive] = torch.inf
            j = int(e.argmin())
            alive[j] = False
            row = g[j] / g[j, j]
            v -= torch.outer(v[:, j], row)
            g -= torch.outer(g[:, j].clone(), row)
            g[j, j] = 1
        return prepared - start + (time.perf_counter() - prepared) * removed / counted

    with tempfile.NamedTemporaryFile() as file:
        np.concatenate([w.numpy().ravel(), gram.numpy().ravel()]).tofile(file.name)
        compare(
            f"obc {name} n {n}, {removed} gone", "PyTorch", lambda: prn(name, file.name, d, n, removed),
            greedy if name == "greedy" else lambda: timed(oneshot), rounds=rounds)


def oneshot():
    brain("oneshot", 1024, 2816, 845, 3)
    if os.environ.get("PRN_BENCH_LARGE"):
        brain("oneshot", 4096, 11008, 3302, 1)


def greedy():
    brain("greedy", 1024, 2816, 845, 1)
    if os.environ.get("PRN_BENCH_LARGE"):
        brain("greedy", 4096, 11008, 3302, 1)


def networks():
    """One layer of 7B shape: the authors' method in PyTorch (SVD in f32, parallel cube FastICA in f64)."""
    rows, columns, k = (7600, 22016, 128) if os.environ.get("PRN_BENCH_LARGE") else (1900, 5504, 64)
    generator = torch.Generator().manual_seed(0)
    sources = torch.empty(160, columns).exponential_(generator=generator)
    sources *= torch.sign(torch.randn(160, columns, generator=generator)) * (torch.rand(160, columns, generator=generator) < 0.1)
    x = torch.randn(rows, 160, generator=generator) @ sources + 0.5 * torch.randn(rows, columns, generator=generator)

    def symmetric(w):
        values, vectors = torch.linalg.eigh(w @ w.T)
        return (vectors / values.clamp_min(1e-300).sqrt()) @ vectors.T @ w

    def peer():
        z = (x - x.mean(0)) / x.std(0)
        u = torch.linalg.svd(z.T, full_matrices=False)[0]
        b = u[:, :k].T.double()
        b = b - b.mean(1, keepdim=True)
        left, singular, _ = torch.linalg.svd(b, full_matrices=False)
        y = columns**0.5 * (left / singular).T @ b
        w = symmetric(torch.randn(k, k, dtype=torch.float64, generator=torch.Generator().manual_seed(327)))
        for _ in range(300):
            s = w @ y
            new = symmetric((s**3) @ y.T / columns - (3 * s**2).mean(1)[:, None] * w)
            change = ((new * w).sum(1).abs() - 1).abs().max()
            w = new
            if change < 1e-4:
                break
        return w @ y

    def with_scikit():
        from sklearn.decomposition import FastICA

        z = (x - x.mean(0)) / x.std(0)
        values, vectors = torch.linalg.eigh((z @ z.T).double())
        b = (vectors[:, -k:].T @ z.double()) / values[-k:].sqrt()[:, None]
        FastICA(k, algorithm="parallel", whiten="unit-variance", fun="cube", max_iter=300, tol=1e-4, random_state=0).fit(b.T.numpy())

    with tempfile.NamedTemporaryFile() as file:
        x.numpy().tofile(file.name)
        ours = lambda: prn("networks", file.name, rows, columns, k)  # noqa: E731
        compare(f"networks {rows} x {columns}", "PyTorch, as the authors'", ours, lambda: timed(peer), rounds=1)
        compare(f"networks {rows} x {columns}", "scikit-learn", ours, lambda: timed(with_scikit), rounds=1)


if __name__ == "__main__":
    program, *names = sys.argv[1:]
    kept = names.pop(names.index("--json") + 1) if "--json" in names else None
    names = [name for name in names if name != "--json"]
    prn = Prn(program)
    PEAK = 2.0 * 4096**3 / prn("product", 4096)["seconds"]
    ROWS = Rows(f"{prn.blas}, PyTorch {torch.__version__}, {torch.get_num_threads()} threads, "
                f"{PEAK / 1e9:.0f} GFLOP/s in one product of floats, load {os.getloadavg()[0]:.1f}")
    known = dict(
        forward=forward, block=block, backward=backward, assign=assign, kmeans=kmeans, oneshot=oneshot, greedy=greedy,
        networks=networks,
        **{f"{body.__name__}-bf16": lambda body=body: body("bf16") for body in (forward, block, backward)})
    for name in names or known:
        known[name]()
    ROWS.save(kept)
