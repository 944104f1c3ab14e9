"""FLAP, OBC and FANG once more, in double precision and without a line of the product: what parity.py compares with.

Written from the equations alone and as plainly as they allow; nothing here is fast.

numpy 2.4.6, scipy 1.17.1, torch 2.13.0+cpu, transformers 5.23.0.
"""
import random

import numpy as np
import torch
from scipy.optimize import linear_sum_assignment
from transformers import AutoModelForCausalLM, logging
from transformers.models.llama import modeling_llama as llama

logging.disable_progress_bar()

# ------------------------------------------------------------------------------------------------------- the model


def in_double():
    """transformers computes norms and rotations in single precision whatever the weights are; here all is double."""

    def norm(self, x):
        return self.weight * x * torch.rsqrt(x.pow(2).mean(-1, keepdim=True) + self.variance_epsilon)

    def rotation(self, x, position_ids):
        d = 2 * self.inv_freq.shape[0]
        theta = self.config.rope_parameters["rope_theta"]
        frequency = theta ** (-torch.arange(0, d, 2, dtype=torch.float64) / d)
        angle = position_ids[..., None].double() * frequency
        angle = torch.cat([angle, angle], -1)
        return angle.cos(), angle.sin()

    llama.LlamaRMSNorm.forward = norm
    llama.LlamaRotaryEmbedding.forward = rotation


def load(folder, dtype=torch.float64):
    model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32, attn_implementation="sdpa")
    return model.to(dtype).eval()


def windows(ids, samples, length, seed=0):
    """The papers' calibration windows: CPython's generator, both ends of randint included."""
    generator = random.Random(seed)
    starts = [generator.randint(0, len(ids) - length - 1) for _ in range(samples)]
    return [ids[s:s + length] for s in starts], starts


SITES = ("block.in", "attn.heads", "ffn.resid", "ffn.in", "ffn.act", "block.out")


def activations(model, sequences, gradients=False):
    """Every site of every layer, tokens x features; with gradients also dL/dh at ffn.act, L = mean loss of a window."""
    layers = model.model.layers
    kept = [{site: [] for site in SITES + ("gradient",)} for _ in layers]
    alive = []

    def keep(layer, site):
        def hook(module, inputs, *rest):
            x = inputs[0]
            if site == "ffn.act" and gradients:
                x.retain_grad()
                alive.append((layer, x))
            kept[layer][site].append(x.detach()[0])
        return hook

    handles = []
    for l, block in enumerate(layers):
        handles += [
            block.input_layernorm.register_forward_pre_hook(keep(l, "block.in")),
            block.self_attn.o_proj.register_forward_pre_hook(keep(l, "attn.heads")),
            block.post_attention_layernorm.register_forward_pre_hook(keep(l, "ffn.resid")),
            block.mlp.gate_proj.register_forward_pre_hook(keep(l, "ffn.in")),
            block.mlp.down_proj.register_forward_pre_hook(keep(l, "ffn.act")),
            block.register_forward_hook(
                lambda module, inputs, output, l=l: kept[l]["block.out"].append(
                    (output[0] if isinstance(output, tuple) else output).detach()[0]))]
    for tokens in sequences:
        ids = torch.tensor([tokens])
        with torch.set_grad_enabled(gradients):
            logits = model(ids, use_cache=False).logits[0]
        if gradients:
            torch.nn.functional.cross_entropy(logits[:-1], ids[0, 1:]).backward()
            for layer, x in alive:
                kept[layer]["gradient"].append(x.grad[0])
            alive.clear()
            model.zero_grad(set_to_none=True)
    for handle in handles:
        handle.remove()
    return [{s: torch.cat([v.reshape(-1, v.shape[-1]) for v in row]).numpy() for s, row in layer.items() if row}
            for layer in kept]


def perplexity(model, sequences):
    """exp of the mean loss; each window is mean negative log-likelihood over its length - 1 targets."""
    losses = []
    with torch.no_grad():
        for start in range(0, len(sequences), 16):
            ids = torch.tensor(sequences[start:start + 16])
            logits = model(ids, use_cache=False).logits
            losses += [torch.nn.functional.cross_entropy(x[:-1], y[1:]).item() for x, y in zip(logits, ids)]
    return float(np.exp(np.mean(losses)))


def disjoint(ids, length):
    return [ids[s:s + length] for s in range(0, len(ids) - length + 1, length)]


class Shape:
    """What a piece is and what it weighs."""

    def __init__(self, config):
        self.d, self.n, self.layers = config.hidden_size, config.intermediate_size, config.num_hidden_layers
        self.units = config.num_key_value_heads
        g = config.num_attention_heads // self.units
        head = getattr(config, "head_dim", None) or self.d // config.num_attention_heads
        self.width = g * head
        self.unit = self.d * head * (2 * g + 2)
        self.neuron = 3 * self.d
        self.block = self.units * self.unit + self.n * self.neuron


def weights(model):
    """(W_o, W_down) of every layer, d x columns, double."""
    return [(b.self_attn.o_proj.weight.detach().double().numpy().copy(),
             b.mlp.down_proj.weight.detach().double().numpy().copy()) for b in model.model.layers]


def pruned(folder, units, neurons, width, W_o=None, W_down=None, bias_o=None, bias_down=None):
    """The model with dropped columns set to zero, the rest replaced where given, and biases added."""
    model = load(folder)
    with torch.no_grad():
        for l, block in enumerate(model.model.layers):
            for module, keep, W, bias in (
                    (block.self_attn.o_proj, np.repeat(units[l], width), W_o, bias_o),
                    (block.mlp.down_proj, neurons[l], W_down, bias_down)):
                if W is not None:
                    module.weight.copy_(torch.from_numpy(W[l]))
                module.weight[:, ~torch.from_numpy(keep)] = 0
                if bias is not None:
                    module.bias = torch.nn.Parameter(torch.from_numpy(bias[l]))
    return model


# ---------------------------------------------------------------------------------------------------- FLAP, methods 3


def fluctuation(metric, X, W):
    if metric == "wifv":
        return X.var(0) * (W**2).sum(0)
    if metric == "ifv":
        return X.var(0)
    return np.abs(W).mean(0) * np.sqrt((X**2).mean(0))


def standardised(S):
    return (S - S.mean()) / S.std(ddof=1)


def by_unit(S, width):
    return S.reshape(-1, width)


def half_up(x):
    return int(np.floor(x + 0.5 + 1e-9))


def al_am(attention, ffn, shape, rate):
    """All layers and modules in one list; the prefix nearest to the target in parameters goes."""
    pieces = []
    for l in range(shape.layers):
        z = by_unit(standardised(attention[l]), shape.width).mean(1)
        pieces += [(z[u], l, 0, u, shape.unit) for u in range(shape.units)]
        z = standardised(ffn[l])
        pieces += [(z[j], l, 1, j, shape.neuron) for j in range(shape.n)]
    pieces.sort()
    total = np.cumsum([0] + [p[4] for p in pieces])
    cut = int(np.argmin(np.abs(total - rate * shape.block * shape.layers)))
    units = np.ones((shape.layers, shape.units), bool)
    neurons = np.ones((shape.layers, shape.n), bool)
    for _, l, kind, i, _ in pieces[:cut]:
        (neurons if kind else units)[l, i] = False
    gap = pieces[cut][0] - pieces[cut - 1][0]
    for l in range(shape.layers):
        assert units[l].any() and neurons[l].any(), "the guard is not reached by these tests"
    return units, neurons, gap


def counts(shape, rate):
    units = min(half_up(rate * shape.units), shape.units - 1)
    return units, max(half_up((rate * shape.block - units * shape.unit) / shape.neuron), 0)


def lowest(S, count):
    keep = np.ones(len(S), bool)
    keep[np.argsort(S, kind="stable")[:count]] = False
    return keep


def per_layer(unit_scores, neuron_scores, shape, rates, groups=None):
    units, neurons = [], []
    for l in range(shape.layers):
        a, p = counts(shape, rates[l])
        units.append(lowest(unit_scores[l], a))
        if groups is None:
            neurons.append(lowest(neuron_scores[l], p))
            continue
        K = groups[l].max() + 1
        keep = np.ones(shape.n, bool)
        for k in range(K):
            members = np.flatnonzero(groups[l] == k)
            keep[members] = lowest(neuron_scores[l][members], p // K + (k < p % K))
        neurons.append(keep)
    return np.array(units), np.array(neurons)


# ----------------------------------------------------------------------------------------------------- OBC, methods 4


def damped(H, damp=0.01):
    return H + damp * np.diag(H).mean() * np.eye(len(H))


def one_shot(W, H):
    """Eq. 9."""
    return (W**2).sum(0) / np.diag(np.linalg.inv(damped(H)))


def unit_losses(W, H, width):
    G = np.linalg.inv(damped(H))
    S = [slice(u, u + width) for u in range(0, W.shape[1], width)]
    return np.array([np.trace(W[:, s] @ np.linalg.inv(G[s, s]) @ W[:, s].T) for s in S])


def greedy(W, H, width=1):
    """Algorithm 1 to the letter: W and G are updated after each removal. Returns the order."""
    W, G = W.copy(), np.linalg.inv(damped(H))
    left = list(range(W.shape[1] // width))
    order = []
    while len(left) > 1:
        columns = [slice(u * width, (u + 1) * width) for u in left]
        if width == 1:
            loss = (W[:, left]**2).sum(0) / np.diag(G)[left]
        else:
            loss = [np.trace(W[:, s] @ np.linalg.solve(G[s, s], W[:, s].T)) for s in columns]
        best = left[int(np.argmin(loss))]
        s = slice(best * width, (best + 1) * width)
        step = np.linalg.solve(G[s, s], G[s, :])
        W, G = W - W[:, s] @ step, G - G[:, s] @ step
        W[:, s] = 0
        G[:, s] = G[s, :] = 0
        left.remove(best)
        order.append(best)
    return order + left


def refit(W, H, keep):
    """Eq. 10."""
    if keep.all():
        return W.copy()
    G = np.linalg.inv(damped(H))
    M = np.flatnonzero(~keep)
    return (W - W[:, M] @ np.linalg.solve(G[np.ix_(M, M)], G[M])) * keep


def least_squares(W, X, keep, damp=0.01):
    """The same from the tokens: min |WX - W'X|^2 + lambda |W - W'|^2 by QR, W' zero where dropped."""
    penalty = np.sqrt(damp * (X**2).sum(0).mean()) * np.eye(X.shape[1])
    A = np.vstack([X, penalty])
    out = np.zeros_like(W)
    out[:, keep] = np.linalg.lstsq(A[:, keep], A @ W.T, rcond=None)[0].T
    return out


# ---------------------------------------------------------------------------------------------------- FANG, methods 5


def taylor(h, gradient, labels, length):
    """Eq. 5; the last position of a window has no target and does not count."""
    counted = np.arange(len(labels)) % length != length - 1
    K = labels.max() + 1
    product = np.abs(h * gradient)
    return np.array([product[counted & (labels == k)].mean(0) for k in range(K)])


def shared_neurons(S, m):
    top = [set(np.argsort(-row, kind="stable")[:m].tolist()) for row in S]
    frequency = np.array([sum(j in t for t in top) for j in range(S.shape[1])])
    share = (S / S.sum(1, keepdims=True)).sum(0)
    order = sorted(range(S.shape[1]), key=lambda j: (-frequency[j], -share[j], j))
    return np.sort(order[:m])


def optimum(S, sizes):
    """The best balanced assignment by an LAP in which each group stands as many times as it has places."""
    columns = np.repeat(np.arange(len(sizes)), sizes)
    rows, picked = linear_sum_assignment(S.T[:, columns], maximize=True)
    return S.T[rows, columns[picked]].sum(), columns[picked]


def context_weights(h, labels, tau=None, relative=None):
    """Eq. 6."""
    K = labels.max() + 1
    c = np.array([h[labels == k].mean(0) for k in range(K)])
    D = np.linalg.norm(c[:, None] - c[None], axis=2)
    tau = tau if tau is not None else relative * D.sum() / (K * (K - 1))
    e = np.exp(-D / tau)
    return e / e.sum(1, keepdims=True)


def group_hessian(h, labels, alpha, k, members):
    """Eq. 11."""
    X = h[:, members]
    return (X * alpha[k, labels][:, None]).T @ X


def o_fang(W, h, labels, alpha, group):
    S = np.full(W.shape[1], np.inf)
    for k in range(len(alpha)):
        members = np.flatnonzero(group == k)
        S[members] = one_shot(W[:, members], group_hessian(h, labels, alpha, k, members))
    return S


def f_fang(W, h, labels, alpha, group):
    """Eq. 15, token by token; the shared group counts every token once."""
    square = (h - h.mean(0))**2
    K = len(alpha)
    total = np.array([square[labels == c].sum(0) for c in range(K)])
    weight = np.vstack([alpha, np.ones(K)])[np.where(group < 0, K, group)]
    return (W**2).sum(0) * (weight.T * total).sum(0)


def refit_in_groups(W, h, labels, alpha, group, keep):
    out = W.copy()
    for k in range(len(alpha)):
        members = np.flatnonzero(group == k)
        out[:, members] = refit(W[:, members], group_hessian(h, labels, alpha, k, members), keep[members])
    return out


def complexity(x, y):
    """FC of eq. 8."""
    cosine = (x * y).sum(1) / np.linalg.norm(x, axis=1) / np.linalg.norm(y, axis=1)
    return 1 - cosine.mean()


def clip(FC, sp, cap):
    """Eq. 8 with the mean kept: shift, clip, and find the shift by bisection. All blocks are of one size here."""
    u = (FC.max() - FC) / (FC.max() - FC.min())
    high = np.minimum(1.5 * sp, cap)
    low, top = -2.0, 2.0
    for _ in range(200):
        delta = (low + top) / 2
        s = np.clip(sp * (0.5 + u) + delta, 0.5 * sp, high)
        low, top = (delta, top) if s.mean() < sp else (low, delta)
    return s
