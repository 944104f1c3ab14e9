"""FLAP, FANG and CanICA as one would write them in PyTorch and scikit-learn: hooks on transformers' model in f32, sums in f32 for
moments and Gram matrices and in f64 for inverses, KMeans, randomized_svd and fastica of scikit-learn (what nilearn calls). What is
neither product nor search (windows, counts, masks, allocation) is that of Fixtures/parity/reference.py.

Each function takes the options of scripts.py and gives the perplexities of the script of its name.
"""
import copy

import numpy as np
import sklearn.cluster
import sklearn.decomposition
import torch
from sklearn.utils.extmath import randomized_svd

from plain_model import BATCH, Moments, load, mean_biases, outputs, perplexity, pruned, ref, texts, walk

GROUPS, TAU, COMPONENTS, PER_RUN = 7, 0.3, 128, 8

# FLAP


def fluctuation(moments, weight):
    return (moments.variance * (weight.double() ** 2).sum(0)).numpy()


def flap(options):
    model = load(options.model)
    shape = ref.Shape(model.config)
    cal, held = texts(options)
    moments = [(Moments(), Moments()) for _ in range(shape.layers)]
    walk(model, cal, [pair for layer, look in zip(outputs(model), moments) for pair in zip(layer, look)])
    scores = [[fluctuation(m, linear.weight) for m, linear in zip(look, layer)] for look, layer in zip(moments, outputs(model))]
    units, neurons, _ = ref.al_am(*zip(*scores), shape, options.rate * shape.block * shape.layers)
    bias = mean_biases(model, [[m.mean for m in look] for look in moments], units, neurons, shape)
    return dict(dense=perplexity(model, held), with_bias=perplexity(pruned(model, shape, units, neurons, **bias), held),
                without_bias=perplexity(pruned(model, shape, units, neurons), held))


# FANG


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
    sizes, m = ref.group_sizes(n, GROUPS)
    rest = np.setdiff1d(np.arange(n), ref.shared_neurons(S, m))
    group = np.full(n, -1)
    group[rest] = ref.optimum(S[:, rest], sizes)[1]
    return group


def fang(options):
    model = load(options.model)
    shape = ref.Shape(model.config)
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
    rates = ref.clip(1 - cosines / cal.numel(), options.rate, (shape.n - shape.n // (GROUPS + 1) - GROUPS) / shape.n)

    heads, contexts = [Gram() for _ in layers], [Contexts(labels[l], group[l]) for l in layers]
    maps = outputs(model)
    walk(model, cal, [pair for l in layers for pair in ((maps[l][0], heads[l]), (maps[l][1], contexts[l]))])
    o, f, W_o, W_down = ([], []), ([], []), [], []
    for l in layers:
        (output, down), (a, p) = (linear.weight for linear in maps[l]), ref.counts(shape, rates[l])
        G, inverses = inverse(heads[l].gram), contexts[l].inverses()
        o[0].append(ref.lowest(unit_losses(output, G, shape.width), a))
        o[1].append(ref.lowest_in_groups(contexts[l].o_fang(down, inverses), group[l], p))
        W_o.append(refit(output, G, np.repeat(o[0][l], shape.width)))
        W_down.append(contexts[l].refitted(down, inverses, o[1][l]))
        f[0].append(ref.lowest(fluctuation(heads[l], output).reshape(shape.units, -1).sum(1), a))
        f[1].append(ref.lowest_in_groups(contexts[l].f_fang(down), group[l], p))
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

            a, p = ref.counts(shape, rates[l])
            output, down = block.self_attn.o_proj, block.mlp.down_proj
            heads = Gram()
            run(output, heads)
            G = inverse(heads.gram)
            units.append(ref.lowest(unit_losses(output.weight, G, shape.width), a))
            output.weight.copy_(refit(output.weight, G, np.repeat(units[l], shape.width)))
            context = Contexts(labels[l], group[l])
            run(down, context)
            inverses = context.inverses()
            neurons.append(ref.lowest_in_groups(context.o_fang(down.weight, inverses), group[l], p))
            down.weight.copy_(context.refitted(down.weight, inverses, neurons[l]))
            batches = run()
    return pruned(cut, shape, units, neurons)


# CanICA


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
    shape = ref.Shape(model.config)
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
        keep[np.argsort(M.ravel(), kind="stable")[:ref.half_up(options.rate * total / shape.neuron)]] = False
        return keep.reshape(M.shape)

    neurons, other = (chosen(largest[name]) for name in ("stacked", "canonical"))
    zero = torch.zeros(shape.units * shape.width, dtype=torch.double)
    bias = mean_biases(model, [[zero, look.mean] for look in means], units, neurons, shape)
    return dict(dense=perplexity(model, held), with_bias=perplexity(pruned(model, shape, units, neurons, **bias), held),
                without_bias=perplexity(pruned(model, shape, units, neurons), held),
                canonical=perplexity(pruned(model, shape, units, other), held))
