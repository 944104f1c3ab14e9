"""FLAP, OBC and FANG once more, in double precision and without a line of the product: what parity.py compares with.

Written from the equations alone and as plainly as they allow; nothing here is fast.

numpy 2.4.6, scipy 1.17.1, torch 2.13.0+cpu, transformers 5.23.0.
"""
import random

import numpy as np
import torch
from scipy.optimize import linear_sum_assignment
from transformers import AutoModelForCausalLM, logging
from transformers.models.glm import modeling_glm as glm
from transformers.models.llama import modeling_llama as llama
from transformers.pytorch_utils import Conv1D

logging.disable_progress_bar()

# ------------------------------------------------------------------------------------------------------- the model


PARTS = llama.LlamaRMSNorm, glm.GlmRMSNorm, llama.LlamaRotaryEmbedding, glm.GlmRotaryEmbedding
AS_IT_COMES = [part.forward for part in PARTS]


def as_it_comes():
    """Takes `in_double` back."""
    for part, forward in zip(PARTS, AS_IT_COMES):
        part.forward = forward


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

    for part, forward in zip(PARTS, [norm, norm, rotation, rotation]):
        part.forward = forward


def load(folder, dtype=torch.float64):
    model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32, attn_implementation="sdpa")
    return model.to(dtype).eval()


def windows(ids, samples, length, seed=0):
    """The papers' calibration windows: CPython's generator, both ends of randint included."""
    generator = random.Random(seed)
    starts = [generator.randint(0, len(ids) - length - 1) for _ in range(samples)]
    return [ids[s:s + length] for s in starts], starts


def blocks(model):
    return model.transformer.h if hasattr(model, "transformer") else model.model.layers


def parts(block):
    """The norms before attention and FFN, the first map of the FFN, and the output maps of both."""
    if hasattr(block, "ln_1"):
        return block.ln_1, block.ln_2, block.mlp.c_fc, (block.attn.c_proj, block.mlp.c_proj)
    first = block.mlp.gate_proj if hasattr(block.mlp, "gate_proj") else block.mlp.gate_up_proj
    return (block.input_layernorm, block.post_attention_layernorm, first,
            (block.self_attn.o_proj, block.mlp.down_proj))


def matrix(module):
    """The weight as d x columns; GPT-2 stores it the other way round."""
    return module.weight.T if isinstance(module, Conv1D) else module.weight


def change(module, W=None, bias=None):
    """Replaces the weight, and adds to the bias, of an output map."""
    with torch.no_grad():
        if W is not None:
            matrix(module).copy_(torch.from_numpy(W))
        if bias is not None:
            bias = torch.from_numpy(bias)
            module.bias = torch.nn.Parameter(bias if module.bias is None else module.bias + bias)


SITES = ("block.in", "attn.heads", "ffn.resid", "ffn.in", "ffn.act", "block.out")


def activations(model, sequences, gradients=False):
    """Every site of every layer, tokens x features; with gradients also dL/dh at ffn.act, L = mean loss of a window."""
    layers = blocks(model)
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
        first_norm, second_norm, first, (output, down) = parts(block)
        handles += [
            first_norm.register_forward_pre_hook(keep(l, "block.in")),
            output.register_forward_pre_hook(keep(l, "attn.heads")),
            second_norm.register_forward_pre_hook(keep(l, "ffn.resid")),
            first.register_forward_pre_hook(keep(l, "ffn.in")),
            down.register_forward_pre_hook(keep(l, "ffn.act")),
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
        self.d, self.layers = config.hidden_size, config.num_hidden_layers
        self.n = getattr(config, "intermediate_size", None) or config.n_inner
        self.is_gated = hasattr(config, "intermediate_size")
        self.units = getattr(config, "num_key_value_heads", config.num_attention_heads)
        g = config.num_attention_heads // self.units
        head = getattr(config, "head_dim", None) or self.d // config.num_attention_heads
        self.width = g * head
        self.unit = self.d * head * (2 * g + 2)
        self.neuron = (3 if self.is_gated else 2) * self.d
        self.block = self.units * self.unit + self.n * self.neuron


def weights(model):
    """(W_o, W_down) of every layer, d x columns, double."""
    return [tuple(matrix(module).detach().double().numpy().copy() for module in parts(b)[3]) for b in blocks(model)]


def pruned(folder, units, neurons, width, W_o=None, W_down=None, bias_o=None, bias_down=None):
    """The model with dropped columns set to zero, the rest replaced where given, and biases added."""
    model = load(folder)
    old = weights(model)
    for l, block in enumerate(blocks(model)):
        for i, (module, keep, W, bias) in enumerate(zip(
                parts(block)[3], (np.repeat(units[l], width), neurons[l]), (W_o, W_down), (bias_o, bias_down))):
            change(module, (old[l][i] if W is None else W[l]) * keep, None if bias is None else bias[l])
    return model


# ---------------------------------------------------------------------------------------------------- FLAP, methods 3


def fluctuation(metric, X, W):
    if metric == "wifv":
        return X.var(0) * (W**2).sum(0)
    if metric == "ifv":
        return X.var(0)
    return np.abs(W).mean(0) * np.sqrt((X**2).mean(0))


def program_fluctuation(X, length):
    """What FLAP's own program sums up instead of the variance: every window about the mean of all up to it, the first
    left out."""
    samples = X.reshape(-1, length, X.shape[1])
    means = np.cumsum(samples.mean(1), 0) / np.arange(1, len(samples) + 1)[:, None]
    total = sum((s / (s + 1)) * ((x - means[s])**2).sum(0) for s, x in enumerate(samples))
    return total / (len(samples) - 1)


def standardised(S):
    return (S - S.mean()) / S.std(ddof=1)


def by_unit(S, width):
    return S.reshape(-1, width)


def half_up(x):
    return int(np.floor(x + 0.5 + 1e-9))


def al_am(attention, ffn, shape, target):
    """All layers and modules in one list; the prefix nearest to the target in parameters goes, and the best of a layer
    that would be left empty stays."""
    pieces = []
    for l in range(shape.layers):
        z = by_unit(standardised(attention[l]), shape.width).mean(1)
        pieces += [(z[u], l, 0, u, shape.unit) for u in range(shape.units)]
        z = standardised(ffn[l])
        pieces += [(z[j], l, 1, j, shape.neuron) for j in range(shape.n)]
    pieces.sort()
    total = np.cumsum([0] + [p[4] for p in pieces])
    cut = int(np.argmin(np.abs(total - target)))
    units = np.ones((shape.layers, shape.units), bool)
    neurons = np.ones((shape.layers, shape.n), bool)
    for _, l, kind, i, _ in pieces[:cut]:
        (neurons if kind else units)[l, i] = False
    gap = pieces[cut][0] - pieces[cut - 1][0]
    for _, l, kind, i, _ in reversed(pieces[:cut]):
        keep = (neurons if kind else units)[l]
        keep[i] |= not keep.any()
    return units, neurons, gap


def counts(shape, rate):
    units = min(half_up(rate * shape.units), shape.units - 1)
    return units, max(half_up((rate * shape.block - units * shape.unit) / shape.neuron), 0)


def lowest(S, count):
    keep = np.ones(len(S), bool)
    keep[np.argsort(S, kind="stable")[:count]] = False
    return keep


def partition(total, sizes):
    """In proportion: the floor to each, the rest by largest remainder, ties to the first."""
    parts = total * sizes // sizes.sum()
    order = np.argsort(-(total * sizes % sizes.sum()), kind="stable")
    parts[order[:total - parts.sum()]] += 1
    return parts


def lowest_in_groups(S, group, count):
    keep = np.ones(len(S), bool)
    members = [np.flatnonzero(group == k) for k in range(group.max() + 1)]
    for own, share in zip(members, partition(count, np.array([len(m) for m in members]))):
        keep[own] = lowest(S[own], share)
    return keep


def per_layer(unit_scores, neuron_scores, shape, rates, groups=None):
    units, neurons = [], []
    for l in range(shape.layers):
        a, p = counts(shape, rates[l])
        units.append(lowest(unit_scores[l], a))
        neurons.append(lowest(neuron_scores[l], p) if groups is None else lowest_in_groups(neuron_scores[l], groups[l], p))
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


def group_sizes(n, K):
    """(of the K groups, of the shared one); what does not divide goes to the first groups."""
    m = n // (K + 1)
    return np.array([(n - m) // K + (k < (n - m) % K) for k in range(K)]), m


def optimum(S, sizes):
    """The best balanced assignment by an LAP in which each group stands as many times as it has places."""
    columns = np.repeat(np.arange(len(sizes)), sizes)
    rows, picked = linear_sum_assignment(S.T[:, columns], maximize=True)
    return S.T[rows, columns[picked]].sum(), columns[picked]


def context_weights(h, labels, tau=None, relative=None, how="context"):
    """Eq. 6 and its ablations."""
    K = labels.max() + 1
    if how in ("uniform", "matched"):
        return np.full((K, K), 1 / K) if how == "uniform" else np.eye(K)
    c = np.array([h[labels == k].mean(0) for k in range(K)])
    D = np.linalg.norm(c[:, None] - c[None], axis=2)
    tau = tau if tau is not None else relative * D.sum() / (K * (K - 1))
    D = D if how == "context" else D.max() - D
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


def greedy_in_groups(W, h, labels, alpha, group):
    """The order of removal in each group, its members by number."""
    orders = []
    for k in range(len(alpha)):
        members = np.flatnonzero(group == k)
        orders.append(members[greedy(W[:, members], group_hessian(h, labels, alpha, k, members))])
    return orders


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


# -------------------------------------------------------------------------------------------------- CanICA, methods 2


def signals(block, x):
    """What canica reads: the activated gate and the up projection, or without a gate what goes into the activation."""
    x = torch.from_numpy(x)
    with torch.no_grad():
        y = parts(block)[2](x)
        if hasattr(block.mlp, "gate_proj"):
            y = [torch.nn.functional.silu(y), block.mlp.up_proj(x)]
        elif hasattr(block.mlp, "gate_up_proj"):
            gate, up = y.chunk(2, -1)
            y = [torch.nn.functional.silu(gate), up]
        else:
            y = [y]
    return [part.numpy() for part in y]


def standard_signals(parts):
    """Signals side by side (tokens x signals), each with mean 0 and standard deviation 1 (ddof 1)."""
    X = np.concatenate(parts, 1)
    return (X - X.mean(0)) / X.std(0, ddof=1)


def whitened(Z, k):
    """The k leading right singular vectors, centred and whitened symmetrically: rows of Y with Y Yᵀ = N I."""
    B = np.linalg.svd(Z, full_matrices=False)[2][:k]
    B = B - B.mean(1, keepdims=True)
    values, E = np.linalg.eigh(B @ B.T)
    return np.sqrt(Z.shape[1]) * (E / np.sqrt(values)) @ E.T @ B


def turn_of_one_step(Y):
    """How far one more step of FastICA (cube) would turn what it found."""
    A = Y**3 @ Y.T / Y.shape[1] - 3 * np.eye(len(Y))
    values, E = np.linalg.eigh(A @ A.T)
    return np.abs(np.abs(np.diag((E / np.sqrt(values)) @ E.T @ A)) - 1).max()
