"""Whole scripts of prn against the same work written plainly in PyTorch, scikit-learn and SciPy, one after the other in one run.

    python scripts.py PRN MODEL CALIB TEST [flap] [fang] [canica] [--samples 32] [--held 32] [--length 512] [--rounds 1] [--json FILE]

MODEL is a folder such as `make smollm2` makes, a LLaMA. The scripts are scripts/*.prn; of prn the whole process with an empty
workspace is timed, of the others everything but the import of their libraries. The Python below is what one would write: hooks
on transformers' model in f32, sums in f32 for moments and Gram matrices and in f64 for inverses, models really made smaller,
KMeans, randomized_svd and fastica of scikit-learn (what nilearn calls), linear_sum_assignment of SciPy. Perplexities stand
beside each other: where nothing is drawn at random they must agree to 1e-3, else the script ends with 1. Nothing else should run.
"""
import argparse
import copy
import os
import random
import resource
import statistics
import subprocess
import sys
import tempfile
import time
import warnings

os.environ.pop("OPENBLAS_CORETYPE", None)
HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "Interop"))
import numpy as np  # noqa: E402
import sklearn.cluster  # noqa: E402
import sklearn.decomposition  # noqa: E402
import torch  # noqa: E402
import transformers  # noqa: E402
from scipy.optimize import linear_sum_assignment  # noqa: E402
from sklearn.utils.extmath import randomized_svd  # noqa: E402
from tokenizers import Tokenizer  # noqa: E402

import peers  # noqa: E402
from rows import Rows  # noqa: E402

transformers.utils.logging.disable_progress_bar()
warnings.filterwarnings("ignore", category=UserWarning)
GROUPS, TAU, COMPONENTS, PER_RUN, BATCH = 7, 0.3, 128, 8, 4


# ------------------------------------------------------------------------------------------------- text, model, judgement


def texts(options, random_starts=True):
    """(calibration, held out), windows × length."""
    tokenizer = Tokenizer.from_file(options.model + "/tokenizer.json")
    calib, held = (tokenizer.encode(open(path, encoding="utf8").read()).ids
                   for path in (options.calib, options.test))
    n, samples = options.length, options.samples
    draw = random.Random(0)
    starts = [draw.randint(0, len(calib) - n - 1) for _ in range(samples)] if random_starts else range(0, samples * n, n)
    return (torch.tensor([calib[s:s + n] for s in starts]),
            torch.tensor([held[s:s + n] for s in range(0, options.held * n, n)]))


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


# ------------------------------------------------------------------------------------------------------------- surgery


class Shape:
    def __init__(self, model):
        c = model.config
        self.d, self.n, self.layers, self.units = (
            c.hidden_size, c.intermediate_size, c.num_hidden_layers, c.num_key_value_heads)
        self.head = getattr(c, "head_dim", None) or c.hidden_size // c.num_attention_heads
        self.queries = c.num_attention_heads // self.units
        self.width = self.queries * self.head
        self.unit, self.neuron = self.d * self.head * (2 * self.queries + 2), 3 * self.d
        self.block = self.units * self.unit + self.n * self.neuron


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
        pairs = torch.as_tensor(np.repeat(units[l], shape.head))
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


# ---------------------------------------------------------------------------------------------------------------- FLAP


def fluctuation(moments, weight):
    return (moments.variance * (weight.double() ** 2).sum(0)).numpy()


def compete(scores, shape, rate):
    """FLAP's AL-AM: standardised scores of all layers in one list, until the parameters are gone."""
    z = [[(s - s.mean()) / s.std(ddof=1) for s in layer] for layer in scores]
    a = np.stack([layer[0].reshape(shape.units, -1).mean(1) for layer in z])
    f = np.stack([layer[1] for layer in z])
    cost = np.concatenate([np.full(a.size, shape.unit), np.full(f.size, shape.neuron)])
    order = np.argsort(np.concatenate([a.ravel(), f.ravel()]), kind="stable")
    total = np.concatenate([[0], np.cumsum(cost[order])])
    keep = np.ones(len(order), bool)
    keep[order[:np.abs(total - rate * shape.block * shape.layers).argmin()]] = False
    units, neurons = keep[:a.size].reshape(a.shape), keep[a.size:].reshape(f.shape)
    for l in range(shape.layers):
        units[l, a[l].argmax()] |= not units[l].any()
        neurons[l, f[l].argmax()] |= not neurons[l].any()
    return units, neurons


def flap(options):
    model = load(options.model)
    shape = Shape(model)
    cal, held = texts(options)
    moments = [(Moments(), Moments()) for _ in range(shape.layers)]
    walk(model, cal, [pair for layer, look in zip(outputs(model), moments) for pair in zip(layer, look)])
    scores = [[fluctuation(m, linear.weight) for m, linear in zip(look, layer)] for look, layer in zip(moments, outputs(model))]
    units, neurons = compete(scores, shape, options.rate)
    bias = mean_biases(model, [[m.mean for m in look] for look in moments], units, neurons, shape)
    return dict(dense=perplexity(model, held), with_bias=perplexity(pruned(model, shape, units, neurons, **bias), held),
                without_bias=perplexity(pruned(model, shape, units, neurons), held))


# ---------------------------------------------------------------------------------------------------------------- FANG


def lowest(scores, count):
    keep = np.ones(len(scores), bool)
    keep[np.argsort(scores, kind="stable")[:count]] = False
    return keep


def half_up(x):
    return int(np.floor(x + 0.5 + 1e-9))


def counts(shape, rate):
    units = min(half_up(rate * shape.units), shape.units - 1)
    return units, max(half_up((rate * shape.block - units * shape.unit) / shape.neuron), 0)


def lowest_in_groups(scores, group, count):
    keep = np.ones(len(scores), bool)
    members = [np.flatnonzero(group == k) for k in range(GROUPS)]
    sizes = np.array([len(m) for m in members])
    shares = count * sizes // sizes.sum()
    shares[np.argsort(-(count * sizes % sizes.sum()), kind="stable")[:count - shares.sum()]] += 1
    for own, share in zip(members, shares):
        keep[own] = lowest(scores[own], share)
    return keep


def inverse(H):
    H = H.double()
    return torch.linalg.inv(H + 0.01 * H.diag().mean() * torch.eye(len(H), dtype=H.dtype))


def unit_losses(W, G, width):
    W = W.double()
    slices = [slice(u, u + width) for u in range(0, W.shape[1], width)]
    return np.array([float(torch.trace(W[:, s] @ torch.linalg.solve(G[s, s], W[:, s].T))) for s in slices])


def refit(W, G, keep):
    """FANG eq. 10 from the inverse G of the Gram matrix."""
    gone = torch.as_tensor(np.flatnonzero(~keep))
    new = W.double() - W[:, gone].double() @ torch.linalg.solve(G[gone][:, gone], G[gone])
    new[:, gone] = 0
    return new.float()


class Contexts:
    """What a layer shows of neurons by cluster: means, and for every group the Gram matrices of its neurons."""

    def __init__(self, labels, group):
        self.labels, self.start, self.count = torch.as_tensor(labels), 0, np.bincount(labels, minlength=GROUPS)
        self.members = [torch.as_tensor(np.flatnonzero(group == k)) for k in range(GROUPS)]
        self.group, self.sum, self.squares = group, 0, 0
        self.grams = [[0] * GROUPS for _ in range(GROUPS)]

    def __call__(self, x):
        labels = self.labels[self.start:self.start + len(x)]
        self.start += len(x)
        which = torch.nn.functional.one_hot(labels, GROUPS).float().T
        self.sum = self.sum + (which @ x).double()
        self.squares = self.squares + (which @ (x * x)).double()
        for k, members in enumerate(self.members):
            for c in range(GROUPS):
                rows = x[labels == c][:, members]
                self.grams[k][c] = self.grams[k][c] + rows.T @ rows

    def weights(self):
        """FANG eq. 6, tau relative to the mean distance of clusters."""
        means = self.sum.numpy() / self.count[:, None]
        D = np.linalg.norm(means[:, None] - means[None], axis=2)
        e = np.exp(-D / (TAU * D.sum() / (GROUPS * (GROUPS - 1))))
        return e / e.sum(1, keepdims=True)

    def mean(self):
        return self.sum.sum(0) / int(self.count.sum())

    def inverses(self):
        """Of every group's weighted Gram matrix (FANG eq. 11)."""
        return [inverse(sum(float(a) * g for a, g in zip(alpha, grams))) for alpha, grams in zip(self.weights(), self.grams)]

    def o_fang(self, W, inverses):
        scores = np.full(W.shape[1], np.inf)
        for members, G in zip(self.members, inverses):
            scores[members] = ((W[:, members].double() ** 2).sum(0) / G.diag()).numpy()
        return scores

    def refitted(self, W, inverses, keep):
        W = W.clone()
        for members, G in zip(self.members, inverses):
            W[:, members] = refit(W[:, members], G, keep[members.numpy()])
        return W

    def f_fang(self, W):
        """FANG eq. 15; the shared group counts every token once."""
        mean = self.mean()
        deviation = (self.squares - 2 * mean * self.sum + torch.as_tensor(self.count)[:, None] * mean ** 2).numpy()
        weight = np.vstack([self.weights(), np.ones(GROUPS)])[np.where(self.group < 0, GROUPS, self.group)]
        return (W.double() ** 2).sum(0).numpy() * (weight.T * deviation).sum(0)


class Gram(Moments):
    def __init__(self):
        super().__init__()
        self.gram = 0

    def __call__(self, x):
        super().__call__(x)
        self.gram = self.gram + x.T @ x


def clusters(values):
    reduced = sklearn.decomposition.PCA(64, random_state=0).fit_transform(values)
    return sklearn.cluster.KMeans(GROUPS, n_init=10, random_state=0).fit_predict(reduced).astype(np.int64)


def taylor(model, windows, labels, shape):
    """FANG eq. 5: mean |h ∂L/∂h| of every cluster, layers × clusters × neurons."""
    S = torch.zeros(shape.layers, GROUPS, shape.n, dtype=torch.double)
    counted = torch.zeros(shape.layers, GROUPS, 1, dtype=torch.double)
    held, length = [], windows.shape[1]
    hooks = [down.register_forward_pre_hook(lambda _, inputs: (inputs[0].retain_grad(), held.append(inputs[0])) and None)
             for _, down in outputs(model)]
    model.model.embed_tokens.weight.requires_grad_(True)
    for start in range(0, len(windows), BATCH):
        batch = windows[start:start + BATCH]
        logits = model(batch, use_cache=False).logits[:, :-1]
        loss = torch.nn.functional.cross_entropy(logits.reshape(-1, logits.shape[-1]), batch[:, 1:].reshape(-1))
        (loss * len(batch)).backward()
        for l, h in enumerate(held):
            product = (h.detach() * h.grad)[:, :-1].abs().flatten(0, 1)
            own = torch.as_tensor(labels[l].reshape(-1, length)[start:start + len(batch), :-1].reshape(-1))
            which = torch.nn.functional.one_hot(own, GROUPS).float().T
            S[l] += (which @ product).double()
            counted[l] += which.sum(1, keepdim=True)
        held.clear()
        model.zero_grad(set_to_none=True)
    for hook in hooks:
        hook.remove()
    model.model.embed_tokens.weight.requires_grad_(False)
    return (S / counted).numpy()


def assigned(S, n):
    """The neurons most clusters want are shared (-1), the others go to groups of equal size with the most affinity."""
    m = n // (GROUPS + 1)
    frequency = np.bincount(np.argsort(-S, axis=1, kind="stable")[:, :m].ravel(), minlength=n)
    share = (S / S.sum(1, keepdims=True)).sum(0)
    shared = np.lexsort((np.arange(n), -share, -frequency))[:m]
    group = np.full(n, -1)
    rest = np.setdiff1d(np.arange(n), shared)
    sizes = [len(part) for part in np.array_split(rest, GROUPS)]
    places = np.repeat(np.arange(GROUPS), sizes)
    rows, columns = linear_sum_assignment(S.T[rest][:, places], maximize=True)
    group[rest[rows]] = places[columns]
    return group


def clipped(FC, rate, cap):
    """FANG eq. 8, shifted until the mean is the rate."""
    u, low, top = (FC.max() - FC) / (FC.max() - FC.min()), -2.0, 2.0
    for _ in range(100):
        shift = (low + top) / 2
        s = np.clip(rate * (0.5 + u) + shift, 0.5 * rate, min(1.5 * rate, cap))
        low, top = (shift, top) if s.mean() < rate else (low, shift)
    return s


def fang(options):
    model = load(options.model)
    shape = Shape(model)
    cal, held = texts(options)
    layers = range(shape.layers)
    values, streams, cosines = [[] for _ in layers], {}, np.zeros(shape.layers)

    def stream(l):
        def look(x):
            if l > 0:
                cosines[l - 1] += float(torch.nn.functional.cosine_similarity(streams.pop(l - 1), x).sum())
            streams[l] = x
        return look

    blocks = model.model.layers
    walk(model, cal, [(b.mlp.gate_proj, values[l].append) for l, b in enumerate(blocks)]
         + [(b.input_layernorm, stream(l)) for l, b in enumerate(blocks)] + [(model.model.norm, stream(shape.layers))])
    labels = [clusters(torch.cat(values[l]).numpy()) for l in layers]
    del values
    S = taylor(model, cal, labels, shape)
    group = [assigned(S[l], shape.n) for l in layers]
    rates = clipped(1 - cosines / cal.numel(), options.rate, (shape.n - shape.n // (GROUPS + 1) - GROUPS) / shape.n)

    heads, contexts = [Gram() for _ in layers], [Contexts(labels[l], group[l]) for l in layers]
    maps = outputs(model)
    walk(model, cal, [pair for l in layers for pair in ((maps[l][0], heads[l]), (maps[l][1], contexts[l]))])
    o, f, W_o, W_down = ([], []), ([], []), [], []
    for l in layers:
        (output, down), (a, p) = (linear.weight for linear in maps[l]), counts(shape, rates[l])
        G, inverses = inverse(heads[l].gram), contexts[l].inverses()
        o[0].append(lowest(unit_losses(output, G, shape.width), a))
        o[1].append(lowest_in_groups(contexts[l].o_fang(down, inverses), group[l], p))
        W_o.append(refit(output, G, np.repeat(o[0][l], shape.width)))
        W_down.append(contexts[l].refitted(down, inverses, o[1][l]))
        f[0].append(lowest(fluctuation(heads[l], output).reshape(shape.units, -1).sum(1), a))
        f[1].append(lowest_in_groups(contexts[l].f_fang(down), group[l], p))
    bias = mean_biases(model, [[heads[l].mean, contexts[l].mean()] for l in layers], *f, shape)
    return dict(dense=perplexity(model, held),
                o_fang=perplexity(pruned(model, shape, *o, W_o=W_o, W_down=W_down), held),
                f_fang=perplexity(pruned(model, shape, *f, **bias), held),
                o_fang_sequential=perplexity(cascade(model, cal, shape, rates, labels, group), held))


def cascade(model, cal, shape, rates, labels, group):
    """O-FANG block by block, heads before neurons, as SparseGPT's programs walk: every block runs again after each change."""
    whole, cut = model, copy.deepcopy(model)
    batches, units, neurons = [whole.model.embed_tokens(batch) for batch in cal.split(BATCH)], [], []
    positions = torch.arange(cal.shape[1])[None]
    rotation = cut.model.rotary_emb(batches[0], positions)
    with torch.no_grad():
        for l, block in enumerate(cut.model.layers):
            def run(linear=None, look=None):
                hook = linear and linear.register_forward_pre_hook(lambda _, inputs: look(inputs[0].flatten(0, 1)))
                results = [block(x, position_embeddings=rotation, position_ids=positions) for x in batches]
                if hook:
                    hook.remove()
                return [r[0] if isinstance(r, tuple) else r for r in results]

            a, p = counts(shape, rates[l])
            output, down = block.self_attn.o_proj, block.mlp.down_proj
            heads = Gram()
            run(output, heads)
            G = inverse(heads.gram)
            units.append(lowest(unit_losses(output.weight, G, shape.width), a))
            output.weight.copy_(refit(output.weight, G, np.repeat(units[l], shape.width)))
            context = Contexts(labels[l], group[l])
            run(down, context)
            inverses = context.inverses()
            neurons.append(lowest_in_groups(context.o_fang(down.weight, inverses), group[l], p))
            down.weight.copy_(context.refitted(down.weight, inverses, neurons[l]))
            batches = run()
    return pruned(cut, shape, units, neurons)


# -------------------------------------------------------------------------------------------------------------- CanICA


def networks(space):
    """Largest |z| of every signal over the networks in a space, components × signals."""
    sources = sklearn.decomposition.fastica(
        space.T.astype(np.float64), n_components=COMPONENTS, algorithm="parallel", whiten="unit-variance", fun="cube",
        max_iter=300, tol=1e-4, random_state=0)[2]
    return np.abs((sources - sources.mean(0)) / sources.std(0, ddof=1)).max(1)


def leading(Z, count):
    return randomized_svd(Z, count, n_iter=4, random_state=0)[2]


def canica(options):
    model = load(options.model)
    shape = Shape(model)
    cal, held = texts(options, random_starts=False)
    largest = {name: np.zeros((shape.layers, shape.n)) for name in ("stacked", "canonical")}
    for run in cal.split(PER_RUN):
        seen = [[[], []] for _ in range(shape.layers)]
        hooks = [module.register_forward_hook(lambda m, i, y, kept=kept: kept.append(y.flatten(0, 1)))
                 for l, b in enumerate(model.model.layers) for module, kept in zip((b.mlp.act_fn, b.mlp.up_proj), seen[l])]
        walk(model, run, [])
        for hook in hooks:
            hook.remove()
        for l in range(shape.layers):
            X = torch.cat([torch.cat(part) for part in seen[l]], 1).numpy()
            seen[l] = None
            Z = (X - X.mean(0)) / X.std(0, ddof=1)
            bases = np.concatenate([leading(z, COMPONENTS) for z in np.split(Z, len(run))])
            for name, space in (("stacked", leading(Z, COMPONENTS)), ("canonical", leading(bases, COMPONENTS))):
                z = networks(space).reshape(2, shape.n).max(0)
                largest[name][l] = np.maximum(largest[name][l], z)
    means = [Moments() for _ in range(shape.layers)]
    walk(model, cal, [(down, look) for (_, down), look in zip(outputs(model), means)])
    total = sum(p.numel() for p in model.parameters())
    units = np.ones((shape.layers, shape.units), bool)

    def chosen(M):
        M = M.copy()
        M[[0, -1]] = np.inf
        keep = np.ones(M.size, bool)
        keep[np.argsort(M.ravel(), kind="stable")[:half_up(options.rate * total / shape.neuron)]] = False
        return keep.reshape(M.shape)

    neurons, other = (chosen(largest[name]) for name in ("stacked", "canonical"))
    zero = torch.zeros(shape.units * shape.width, dtype=torch.double)
    bias = mean_biases(model, [[zero, look.mean] for look in means], units, neurons, shape)
    return dict(dense=perplexity(model, held), with_bias=perplexity(pruned(model, shape, units, neurons, **bias), held),
                without_bias=perplexity(pruned(model, shape, units, neurons), held),
                canonical=perplexity(pruned(model, shape, units, other), held))


# ------------------------------------------------------------------------------------------------------------ comparing

# What is drawn at random (starts of k-means and ICA) differs; everything else must not.
SCRIPTS = {"flap": (flap, ("dense", "with_bias", "without_bias")), "fang": (fang, ("dense",)), "canica": (canica, ("dense",))}


def ours(name, options, folder):
    prn = peers.Prn(options.prn, folder)
    values = dict(model=options.model, calib=options.calib, test=options.test, rate=options.rate, samples=options.samples,
                  held_samples=options.held, length=options.length)
    start = time.perf_counter()
    done = subprocess.run(
        [prn.program, "--workspace", prn.workspace, "--progress", "none", "-q", "run", f"{HERE}/scripts/{name}.prn"]
        + [f"{key}={value}" for key, value in values.items()], capture_output=True, text=True)
    seconds = time.perf_counter() - start
    if done.returncode:
        sys.exit(done.stdout + done.stderr)
    return seconds, prn


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for word in ("prn", "model", "calib", "test"):
        parser.add_argument(word)
    parser.add_argument("names", nargs="*", choices=[[], *SCRIPTS], default=[])
    for word, value in (("samples", 32), ("held", 32), ("length", 512), ("rounds", 1)):
        parser.add_argument(f"--{word}", type=int, default=value)
    parser.add_argument("--rate", type=float, default=0.2)
    parser.add_argument("--json")
    options = parser.parse_args()
    torch.set_num_threads(os.cpu_count())
    rows = Rows(f"torch {torch.__version__}, transformers {transformers.__version__}, scikit-learn {sklearn.__version__}, "
                f"{os.cpu_count()} threads, load {os.getloadavg()[0]:.1f}")
    claims = peers.Claims()
    for name in options.names or SCRIPTS:
        plain, exact = SCRIPTS[name]
        pairs = []
        for _ in range(options.rounds):
            with tempfile.TemporaryDirectory() as folder:
                mine, prn = ours(name, options, folder)
                start = time.perf_counter()
                expected = plain(options)
                pairs.append((mine, time.perf_counter() - start))
                found = {key: prn.figures(key)["token_perplexity"] for key in expected}
        for key, value in expected.items():
            if key in exact:
                claims(abs(found[key] / value - 1) < 1e-3, f"{name}: {key} {found[key]:.4f}, plainly {value:.4f}")
            else:
                print(f"     {name}: {key} {found[key]:.4f}, plainly {value:.4f}")
        mine, theirs = (statistics.median(pair[i] for pair in pairs) for i in (0, 1))
        rows(f"{name}.prn, whole process", mine, "PyTorch and scikit-learn", theirs,
             ratio=statistics.median(pair[1] / pair[0] for pair in pairs), perplexities=found, plainly=expected,
             peak_MiB={who: resource.getrusage(which).ru_maxrss >> 10 for who, which in
                       (("prn", resource.RUSAGE_CHILDREN), ("plainly", resource.RUSAGE_SELF))})
    rows.save(options.json)
    return claims.wrong


if __name__ == "__main__":
    sys.exit(main())
