"""Runs parity.prn and computes every number in it once more, from the model's files, in double precision.

    python parity.py PRN [model=DIR] [calib=FILE] [test=FILE] [samples=32] [length=128] [windows=none] [workspace=DIR]

PRN is the program; the paths are the bundled model's and its texts' unless given. Without model=, the models of models.py
follow the bundled one; model= can also name one of them. Prints one line per quantity with the
largest difference over all layers: relative to the largest number of the layer, and, for quantities that are never
negative, the largest relative difference of any one number. Exits with 1 when a mask differs or a bound is passed.

Only k-means' centres and labels and the window text's tokenizer are taken over; the labels are checked against the
centres. Everything after them is recomputed from them.

numpy 2.4.6, scipy 1.17.1, torch 2.13.0+cpu, transformers 5.23.0, tokenizers 0.23.3, h5py 3.16.0.
"""
import os
import subprocess
import sys
import tempfile

import h5py
import numpy as np
import torch
from tokenizers import Tokenizer

import models
import reference as ref

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.normpath(os.path.join(HERE, "../../.."))

# Activations are single precision in the product and double here, so they differ by a few ulp (6e-8) for each of the
# hundreds of terms of a product, over all the blocks before; sums over tokens average that out. Gram matrices are summed
# from single-precision products, about 3e-7 off, and a refit enlarges that by the condition number of H: 1e3 to 1e4
# with 1 % damping. From the stored Gram matrix itself a refit must agree to rounding.
#
# These bounds were set on the bundled model. On wiki-llama (16 windows of 128) two rows pass theirs slightly: W_output
# of the two cascades, 1.0e-4 and 1.1e-4, where cond(H) is 1e4. A single-precision Gram matrix made by numpy moves the
# refit of the same layers by as much (up to 9.5e-5), a double one of the stored values by 1.8e-6 at most.
BOUNDS = {"activations": 1e-5, "moments": 1e-5, "gram": 1e-5, "scores": 1e-4, "weights": 1e-4, "perplexity": 1e-6,
          "rates": 1e-6, "rounding": 2e-7}


class Artifacts:
    def __init__(self, workspace):
        self.root = workspace

    def open(self, name):
        return h5py.File(os.path.join(self.root, "vars/main", name + ".h5"))

    def part(self, name, site, layer):
        key = self.open(name)[site + "/child_key"][layer].decode()
        return h5py.File(os.path.join(self.root, "objects", key[:2], key + ".h5"))

    def child(self, name, index):
        key = self.open(name)["child_key"][index].decode()
        return h5py.File(os.path.join(self.root, "objects", key[:2], key + ".h5"))

    def perplexity(self, name):
        return float(self.open(name)["metric/value"][0])

    def keep(self, name):
        file = self.open(name)
        return file["attention/keep"][:].astype(bool), file["ffn/keep"][:].astype(bool)


class Table:
    def __init__(self):
        self.rows, self.failures = {}, []

    def compare(self, name, found, expected, bound, positive=False):
        found, expected = np.asarray(found, float), np.asarray(expected, float)
        assert found.shape == expected.shape, (name, found.shape, expected.shape)
        same = found == expected  # infinities too
        difference = np.where(same, 0, np.abs(np.where(same, 0, found) - np.where(same, 0, expected)))
        finite = np.abs(expected[np.isfinite(expected)])
        whole = difference.max() / max(finite.max(), 1e-300)
        each = (difference / np.maximum(np.where(np.isfinite(expected), np.abs(expected), 1), 1e-300)).max() if positive else np.nan
        old = self.rows.get(name, (0, 0 if positive else np.nan, bound))
        self.rows[name] = (max(old[0], whole), max(old[1], each) if positive else np.nan, bound)
        if not whole <= BOUNDS[bound]:
            self.failures.append(f"{name}: {whole:.2g} is above {BOUNDS[bound]:g}")

    def equal(self, name, found, expected, note=""):
        wrong = int((np.asarray(found) != np.asarray(expected)).sum())
        old = self.rows.get(name, (0, "", note))
        self.rows[name] = (old[0] + wrong, "", note or old[2])
        if wrong:
            self.failures.append(f"{name}: {wrong} of {np.size(expected)} differ")

    def show(self):
        print(f"{'quantity':46}  {'of the largest':>14}  {'each':>9}  bound")
        for name, (whole, each, bound) in self.rows.items():
            if each == "":
                print(f"{name:46}  {'equal' if whole == 0 else f'{whole} DIFFER':>14}  {'':>9}  {bound}")
            else:
                shown = "" if np.isnan(each) else f"{each:.1e}"
                print(f"{name:46}  {whole:14.1e}  {shown:>9}  {BOUNDS[bound]:g}")


CANICA = """# %% canica
signals = capture m cal sites={sites} keep=stream
nets = canica signals components=16 per_run=16 seed=0
lead = canica signals components=16 per_run=16 ica=none
"""


def main(program, options):
    model_path = options.get("model", ROOT + "/data/tiny-llama")
    twin = model_path
    if model_path in models.MAKERS:
        model_path, twin = models.make(model_path, tempfile.mkdtemp())
    print(f"---- {os.path.basename(model_path)}", flush=True)
    calib = options.get("calib", ROOT + "/data/calibration.txt")
    test = options.get("test", ROOT + "/data/test.txt")
    samples, length = int(options.get("samples", 32)), int(options.get("length", 128))
    count = options.get("windows", "none")
    workspace = options.get("workspace") or tempfile.mkdtemp() + "/.prn"
    arguments = [f"model={model_path}", f"calib={calib}", f"test={test}", f"samples={samples}", f"length={length}",
                 f"windows={count}"]
    shape = ref.Shape(ref.load(twin).config)
    script = os.path.join(tempfile.mkdtemp(), "parity.prn")
    with open(script, "w") as file:
        file.write(open(HERE + "/parity.prn").read())
        file.write("\n" + CANICA.format(sites="ffn.gate,ffn.up" if shape.is_gated else "ffn.up"))
    subprocess.run([program, "--workspace", workspace, "--progress", "none", "run", script, *arguments],
                   check=True, stdout=subprocess.DEVNULL)
    found, table = Artifacts(workspace), Table()

    # ---- tokens
    tokenizer = Tokenizer.from_file(model_path + "/tokenizer.json")
    ids = tokenizer.encode(open(calib, encoding="utf8").read()).ids
    sequences, _ = ref.windows(ids, samples, length)
    table.equal("calibration windows", found.open("cal")["tokens"][:], np.concatenate(sequences))
    held = ref.disjoint(tokenizer.encode(open(test, encoding="utf8").read()).ids, length)
    held = held if count == "none" else held[:int(count)]

    # ---- the model in single precision as it comes, then in double precision
    ref.as_it_comes()
    stock = ref.perplexity(ref.load(twin, torch.float32), held)
    table.compare("perplexity, dense (transformers f32)", found.perplexity("dense"), stock, "perplexity", True)
    ref.in_double()
    model = ref.load(twin)
    table.compare("perplexity, dense", found.perplexity("dense"), ref.perplexity(model, held), "perplexity", True)
    W = ref.weights(model)
    layers = range(shape.layers)
    sites = ref.activations(model, sequences, gradients=True)
    X = {"attn.heads": [s["attn.heads"] for s in sites], "ffn.act": [s["ffn.act"] for s in sites]}
    h = X["ffn.act"]
    for site, rows in X.items():
        for l in layers:
            part = found.part("acts", site, l)
            table.compare(f"{site} values", part["values"][:], rows[l], "activations")
            table.compare(f"{site} mean", part["mean"][:], rows[l].mean(0), "moments")
            table.compare(f"{site} variance", part["var"][:], rows[l].var(0), "moments", True)
            table.compare(f"{site} Gram", part["gram"][:], rows[l].T @ rows[l], "gram")

    def evaluate(name, units, neurons, **changes):
        changed = ref.pruned(twin, units, neurons, shape.width, **changes)
        expected = ref.perplexity(changed, held)
        value = found.perplexity(name)
        table.compare(f"perplexity, {name}", value, expected, "perplexity", True)
        print(f"  {name}: {value:.5f}, here {expected:.5f}", flush=True)

    def compare_model(name, fitted_o, fitted_down, units, neurons, note="", bound="weights"):
        file = found.open(name)
        for l in layers:
            for which, keep, fitted in (("output", np.repeat(units[l], shape.width), fitted_o[l]),
                                        ("down", neurons[l], fitted_down[l])):
                path = f"delta/layer_{l:02}/{which}_weight"
                if path in file:
                    table.compare(f"{name}: refitted W_{which}{note}", file[path][:], fitted[:, keep], bound)

    def compare_biases(name, bias, label, bound="moments"):
        file = found.open(name)
        for l in layers:
            for which, value in (("output", bias["bias_o"][l]), ("down", bias["bias_down"][l])):
                path = f"delta/layer_{l:02}/{which}_bias"
                if path in file:
                    table.compare(f"{label}, {which}", file[path][:], value, bound)
                else:
                    assert not value.any()

    def stored_weight(name, layer, module, fitted):
        """The refit with zeros where columns are gone; the given one where nothing was refitted."""
        path = f"delta/layer_{layer:02}/{('output', 'down')[module]}_weight"
        if path not in found.open(name):
            return fitted
        whole = np.zeros_like(fitted)
        whole[:, fitted.any(0)] = found.open(name)[path][:]
        return whole

    # ---- FLAP
    flap = {}
    for metric in ("wifv", "ifv", "wifn"):
        flap[metric] = [[ref.fluctuation(metric, X[s][l], W[l][i]) for l in layers]
                        for i, s in enumerate(("attn.heads", "ffn.act"))]
        for l in layers:
            units = ref.by_unit(flap[metric][0][l], shape.width).sum(1)
            table.compare(f"flap {metric}, units", found.open(metric)["attention/score"][l], units, "scores", True)
            table.compare(f"flap {metric}, neurons", found.open(metric)["ffn/score"][l], flap[metric][1][l], "scores", True)
    attention, ffn = flap["wifv"]
    units, neurons, gap = ref.al_am(attention, ffn, shape, 0.2 * shape.block * shape.layers)
    for name, mask in zip(("units", "neurons"), zip(found.keep("across"), (units, neurons))):
        table.equal(f"AL-AM mask 20%, {name}", *mask, note=f"gap at the cut {gap:.1e}")
    table.equal("AL-AM mask from its own threshold", np.hstack(found.keep("again")), np.hstack([units, neurons]))
    parameters = sum(p.numel() for p in model.parameters())
    of_all = ref.al_am(attention, ffn, shape, 0.1 * parameters)
    table.equal("AL-AM mask 10% of all parameters", np.hstack(found.keep("of_all")), np.hstack(of_all[:2]),
                note=f"gap at the cut {of_all[2]:.1e}")
    for l in layers:
        own = [ref.program_fluctuation(X[s][l], length) * (W[l][i]**2).sum(0) for i, s in enumerate(("attn.heads", "ffn.act"))]
        table.compare("flap compat=flap, units", found.open("own")["attention/score"][l], ref.by_unit(own[0], shape.width).sum(1), "scores", True)
        table.compare("flap compat=flap, neurons", found.open("own")["ffn/score"][l], own[1], "scores", True)
    bias = {"bias_o": [], "bias_down": []}
    for l in layers:
        bias["bias_o"].append(W[l][0] @ (X["attn.heads"][l].mean(0) * ~np.repeat(units[l], shape.width)))
        bias["bias_down"].append(W[l][1] @ (h[l].mean(0) * ~neurons[l]))
    compare_biases("biased", bias, "FLAP bias")
    evaluate("ppl_bias", units, neurons, **bias)
    evaluate("ppl_bare", units, neurons)
    bias = pruned_stream(twin, sequences, units, neurons, shape)
    compare_biases("streamed", bias, "bias of the pruned stream")
    evaluate("ppl_streamed", units, neurons, **bias)
    summed = [ref.by_unit(a, shape.width).sum(1) for a in attention]
    for name, mask in zip(("units", "neurons"), zip(found.keep("within"), ref.per_layer(summed, ffn, shape, [0.2] * shape.layers))):
        table.equal(f"UL mask 20%, {name}", *mask)

    # ---- OBC
    gram = {s: [x.T @ x for x in rows] for s, rows in X.items()}
    unit_loss = [ref.unit_losses(W[l][0], gram["attn.heads"][l], shape.width) for l in layers]
    once = [ref.one_shot(W[l][1], gram["ffn.act"][l]) for l in layers]
    for l in layers:
        table.compare("obc one-shot, units", found.open("once")["attention/score"][l], unit_loss[l], "scores", True)
        table.compare("obc one-shot, neurons", found.open("once")["ffn/score"][l], once[l], "scores", True)
        columns = ref.by_unit(ref.one_shot(W[l][0], gram["attn.heads"][l]), shape.width).sum(1)
        table.compare("obc head_score=sum", found.open("sums")["attention/score"][l], columns, "scores", True)
    ranks = [[], []]
    for l in layers:
        for i, (W_l, H, width, module) in enumerate(((W[l][0], gram["attn.heads"][l], shape.width, "attention"),
                                                     (W[l][1], gram["ffn.act"][l], 1, "ffn"))):
            order = ref.greedy(W_l, H, width)
            ranks[i].append(np.argsort(order))
            stored = np.argsort(found.open("steps")[f"{module}/score"][l], kind="stable")
            table.equal(f"obc greedy order, {module}", stored, order)
    for name, cut, scores in (("once", "cut_once", (unit_loss, once)), ("steps", "cut_steps", ranks)):
        units, neurons = ref.per_layer(*scores, shape, [0.3] * shape.layers)
        table.equal(f"obc mask 30%, {name}", np.hstack(found.keep(cut)), np.hstack([units, neurons]))
        W_o = [ref.refit(W[l][0], gram["attn.heads"][l], np.repeat(units[l], shape.width)) for l in layers]
        W_down = [ref.refit(W[l][1], gram["ffn.act"][l], neurons[l]) for l in layers]
        compare_model(f"fit_{name}", W_o, W_down, units, neurons)
        evaluate(f"ppl_{name}", units, neurons, W_o=W_o, W_down=W_down)
        if name == "once":
            stored = [[found.part("acts", s, l)["gram"][:] for l in layers] for s in ("attn.heads", "ffn.act")]
            from_stored = ([ref.refit(W[l][0], stored[0][l], np.repeat(units[l], shape.width)) for l in layers],
                           [ref.refit(W[l][1], stored[1][l], neurons[l]) for l in layers])
            compare_model("fit_once", *from_stored, units, neurons, note=" from the stored Gram", bound="rounding")
            for l in layers:
                again = ref.least_squares(W[l][1], h[l], neurons[l])
                table.compare("eq. 10 against least squares by QR (here)", again, W_down[l], "weights")
            centred = [[ref.refit(W[l][i], np.cov(X[s][l].T, ddof=0) * len(X[s][l]), keep(l)) for l in layers] for i, (s, keep) in
                       enumerate((("attn.heads", lambda l: np.repeat(units[l], shape.width)), ("ffn.act", lambda l: neurons[l])))]
            bias = {name: [(W[l][i] - centred[i][l]) @ X[s][l].mean(0) for l in layers]
                    for i, (name, s) in enumerate((("bias_o", "attn.heads"), ("bias_down", "ffn.act")))}
            compare_model("fit_centred", *centred, units, neurons)
            # The bias goes with the refit, and is off as the refit is; with the refit as stored it must agree as means do.
            compare_biases("fit_centred", bias, "bias of the centred refit", "weights")
            stored = {name: [bias[name][l] + (centred[i][l] - stored_weight("fit_centred", l, i, centred[i][l])) @ X[s][l].mean(0)
                             for l in layers] for i, (name, s) in enumerate((("bias_o", "attn.heads"), ("bias_down", "ffn.act")))}
            compare_biases("fit_centred", stored, "bias of the centred refit as stored")
            evaluate("ppl_centred", units, neurons, W_o=centred[0], W_down=centred[1], **bias)
            losses = [np.linalg.norm(h[l] @ (W[l][1] - W_down[l]).T) for l in layers]
            plain = [np.linalg.norm(h[l] @ (W[l][1] * ~neurons[l]).T) for l in layers]
            print("  error left by the refit, of the error without it:",
                  " ".join(f"{a / b:.2f}" for a, b in zip(losses, plain)))

    # ---- FANG
    clusters, groups = found.open("cl"), found.open("gr")
    labels = clusters["label"][:]
    group = groups["ffn/group"][:]
    K = 7
    sizes, m = ref.group_sizes(shape.n, K)
    alphas = {"nine": dict(tau=9), "third": dict(relative=0.3), "reverse": dict(relative=0.3, how="reverse"),
              "uniform": dict(how="uniform"), "matched": dict(how="matched")}
    alphas = {name: [ref.context_weights(h[l], labels[l], **how) for l in layers] for name, how in alphas.items()}
    for l in layers:
        x = sites[l]["ffn.in"]
        table.compare("ffn.in values", found.part("ctx", "ffn.in", l)["values"][:], x, "activations")
        basis, center = clusters["basis"][l].astype(float), clusters["center"][l].astype(float)
        centred = x - x.mean(0)
        values = np.linalg.eigvalsh(centred.T @ centred)[::-1][:len(basis)].sum()
        table.compare("PCA: variance in the basis", ((centred @ basis.T)**2).sum(), values, "moments", True)
        y = centred @ basis.T
        distance = ((y[:, None] - center[None])**2).sum(2)
        nearest = distance.argmin(1)
        # A token as far from one centre as from another may fall either way in single precision.
        ties = distance[np.arange(len(y)), labels[l]] <= distance.min(1) * (1 + 1e-5)
        table.equal("k-means: every token at its nearest centre", ties, np.ones(len(y), bool),
                    note=f"{int((nearest != labels[l]).sum())} of {len(y)} tied")
        means = np.array([y[labels[l] == k].mean(0) for k in range(K)])
        table.compare("k-means: centres are means", center, means, "activations")
        S = ref.taylor(h[l], sites[l]["gradient"], labels[l], length)
        stored = found.open("S")[f"affinity/layer_{l:02}"][:]
        table.compare("Taylor S", stored, S, "scores", True)
        table.equal("shared group", np.flatnonzero(group[l] < 0), ref.shared_neurons(S, m))
        rest = np.flatnonzero(group[l] >= 0)
        best, assigned = ref.optimum(S[:, rest], sizes)
        table.compare("assignment: optimum", groups["objective"][l], best, "scores", True)
        table.compare("assignment: value of the groups", S[group[l][rest], rest].sum(), best, "scores", True)
        table.equal("assignment: groups against scipy's", group[l][rest], assigned)
        part = found.part("near", "ffn.act", l)
        for k in range(K):
            members = np.flatnonzero(group[l] == k)
            expected = [h[l][labels[l] == c][:, members] for c in range(K)]
            table.compare("Gram blocks of groups", part[f"gram/group_{k}"][:], [e.T @ e for e in expected], "gram")
        stored_alpha = alpha_of(part["cluster/mean"][:], 0.3)
        table.compare("alpha (tau=30%) from the stored means", stored_alpha, alphas["third"][l], "scores", True)
        for name, alpha in alphas.items():
            o = ref.o_fang(W[l][1], h[l], labels[l], alpha[l], group[l])
            f = ref.f_fang(W[l][1], h[l], labels[l], alpha[l], group[l])
            table.compare(f"O-FANG scores, {name}", found.open(f"o_{name}")["ffn/score"][l], o, "scores", True)
            table.compare(f"F-FANG scores, {name}", found.open(f"f_{name}")["ffn/score"][l], f, "scores", True)
        ranks = found.open("steps_near")["ffn/score"][l]
        for order in ref.greedy_in_groups(W[l][1], h[l], labels[l], alphas["third"][l], group[l]):
            table.equal("obc greedy order in groups", np.sort(order)[np.argsort(ranks[np.sort(order)], kind="stable")], order)
    FC = np.array([ref.complexity(s["block.in"], s["block.out"]) for s in sites])
    table.compare("functional complexity", found.open("al")["complexity"][:], FC, "scores", True)
    rates = ref.clip(FC, 0.3, (shape.n - m - K) / shape.n)
    table.compare("allocation (eq. 8, clip)", found.open("al")["rate"][:], rates, "rates", True)
    for name, score in (("o", ref.o_fang), ("f", ref.f_fang)):
        alpha = alphas["third"]
        scores = [score(W[l][1], h[l], labels[l], alpha[l], group[l]) for l in layers]
        units, neurons = ref.per_layer(unit_loss if name == "o" else summed, scores, shape, rates, group)
        table.equal(f"{name.upper()}-FANG mask 30%", np.hstack(found.keep(f"cut_{name}")), np.hstack([units, neurons]))
        if name == "o":
            W_o = [ref.refit(W[l][0], gram["attn.heads"][l], np.repeat(units[l], shape.width)) for l in layers]
            W_down = [ref.refit_in_groups(W[l][1], h[l], labels[l], alpha[l], group[l], neurons[l]) for l in layers]
            compare_model("fit_o", W_o, W_down, units, neurons)
            evaluate("ppl_o", units, neurons, W_o=W_o, W_down=W_down)
            for l in layers:
                shared = (group[l] < 0)[neurons[l]]
                stored = found.open("fit_o")[f"delta/layer_{l:02}/down_weight"][:]
                table.equal("shared columns, bit for bit", stored[:, shared], W[l][1][:, group[l] < 0].astype("f4"))
        else:
            bias = {"bias_o": [W[l][0] @ (X["attn.heads"][l].mean(0) * ~np.repeat(units[l], shape.width)) for l in layers],
                    "bias_down": [W[l][1] @ (h[l].mean(0) * ~neurons[l]) for l in layers]}
            evaluate("ppl_f", units, neurons, **bias)

    # ---- sequential
    for name, grouped in (("seq", False), ("seq_fang", True)):
        units, neurons, W_o, W_down = cascade(twin, sequences, shape, rates if grouped else [0.3] * shape.layers,
                                              labels if grouped else None, group if grouped else None)
        file = found.open(name)
        table.equal(f"cascade mask 30%, {name}", np.hstack([file["attention/keep"][:], file["ffn/keep"][:]]).astype(bool),
                    np.hstack([units, neurons]))
        compare_model(name, W_o, W_down, units, neurons)
        evaluate(f"ppl_{name}", units, neurons, W_o=W_o, W_down=W_down)

    units, neurons, bias_o, bias_down = cascade_flap(twin, sequences, shape, 0.2)
    file = found.open("seq_flap")
    table.equal("cascade mask 20%, seq_flap", np.hstack([file["attention/keep"][:], file["ffn/keep"][:]]).astype(bool),
                np.hstack([units, neurons]))
    evaluate("ppl_seq_flap", units, neurons, bias_o=bias_o, bias_down=bias_down)
    units, neurons, *_ = cascade(twin, sequences, shape, [0.3] * shape.layers, None, None, refits=False)
    file = found.open("seq_bare")
    table.equal("cascade mask 30%, comp=none", np.hstack([file["attention/keep"][:], file["ffn/keep"][:]]).astype(bool),
                np.hstack([units, neurons]))
    evaluate("ppl_seq_bare", units, neurons)

    # ---- CanICA
    run = 16 * length
    for l, block in enumerate(ref.blocks(model)):
        Z = [ref.standard_signals(ref.signals(block, sites[l]["ffn.in"][r:r + run])) for r in range(0, samples * length, run)]
        white = [ref.whitened(z, 16) for z in Z]
        sums = sum((y**2).sum(0) for y in white).reshape(-1, shape.n).sum(0) * (1 - 1 / Z[0].shape[1])
        for name in ("lead", "nets"):
            table.compare(f"canica sum of z^2, {name}", found.open(name)["sum_z2"][l], sums, "scores", True)
        part = found.child("nets", l)
        z = part["z"][:].reshape(len(Z), 16, -1).astype(float)
        for y, own, signals, course in zip(white, z, Z, np.split(part["timecourse"][:], len(Z), 1)):
            inside = own @ y.T @ y / y.shape[1]
            table.compare("canica networks lie in the subspace", inside, own, "scores")
            table.compare("canica networks are uncorrelated", own @ own.T / (own.shape[1] - 1), np.eye(16), "scores")
            table.compare("canica time courses", course, own @ signals.T / own.shape[1], "scores")
            if found.open("nets")["stats/converged"][l] == 1:
                table.compare("canica one more step does not turn (1e-4)", 1 + ref.turn_of_one_step(own * np.sqrt(own.shape[1] / (own.shape[1] - 1))), 1, "scores")
        table.equal("canica max |z|", found.open("nets")["max_abs_z"][l], np.abs(part["z"][:]).max((0, 1, 2)))
        table.equal("canica memberships", found.open("nets")["memberships"][l], (np.abs(part["z"][:]) > 3).any(2).sum((0, 1)))

    table.show()
    for failure in table.failures:
        print("FAILED", failure)
    return 1 if table.failures else 0


def alpha_of(means, relative):
    D = np.linalg.norm(means[:, None] - means[None], axis=2)
    e = np.exp(-D / (relative * D.sum() / (len(D) * (len(D) - 1))))
    return e / e.sum(1, keepdims=True)


def pruned_stream(path, sequences, units, neurons, shape):
    """Biases from the means that the blocks show when all before them are pruned, without biases."""
    model = ref.load(path)
    W = ref.weights(model)
    biases = [], []
    for l, block in enumerate(ref.blocks(model)):
        for i, (site, module) in enumerate(zip(("attn.heads", "ffn.act"), ref.parts(block)[3])):
            keep = neurons[l] if i else np.repeat(units[l], shape.width)
            x = ref.activations(model, sequences)[l][site]
            biases[i].append(W[l][i] @ (x.mean(0) * ~keep))
            ref.change(module, W[l][i] * keep)
    return {"bias_o": biases[0], "bias_down": biases[1]}


def cascade(path, sequences, shape, rates, labels, group, refits=True):
    """Block by block: heads from what the pruned blocks before give, then neurons from what the pruned heads give."""
    model = ref.load(path)
    W = ref.weights(model)
    units = np.ones((shape.layers, shape.units), bool)
    neurons = np.ones((shape.layers, shape.n), bool)
    W_o, W_down = [], []

    def fitted(W, H, keep):
        return ref.refit(W, H, keep) if refits else W * keep

    for l, block in enumerate(ref.blocks(model)):
        output, down = ref.parts(block)[3]
        a, p = ref.counts(shape, rates[l])
        x = ref.activations(model, sequences)[l]["attn.heads"]
        units[l] = ref.lowest(ref.unit_losses(W[l][0], x.T @ x, shape.width), a)
        W_o.append(fitted(W[l][0], x.T @ x, np.repeat(units[l], shape.width)))
        ref.change(output, W_o[l])
        h = ref.activations(model, sequences)[l]["ffn.act"]
        if group is None:
            neurons[l] = ref.lowest(ref.one_shot(W[l][1], h.T @ h), p)
            W_down.append(fitted(W[l][1], h.T @ h, neurons[l]))
        else:
            alpha = ref.context_weights(h, labels[l], relative=0.3)
            neurons[l] = ref.lowest_in_groups(ref.o_fang(W[l][1], h, labels[l], alpha, group[l]), group[l], p)
            W_down.append(ref.refit_in_groups(W[l][1], h, labels[l], alpha, group[l], neurons[l]))
        ref.change(down, W_down[l])
    return units, neurons, W_o, W_down


def cascade_flap(path, sequences, shape, rate):
    """The same with FLAP: what goes is replaced by its mean over the tokens as the pruned blocks before give them."""
    model = ref.load(path)
    W = ref.weights(model)
    a, p = ref.counts(shape, rate)
    kept, biases = ([], []), ([], [])
    for l, block in enumerate(ref.blocks(model)):
        for i, (site, linear) in enumerate(zip(("attn.heads", "ffn.act"), ref.parts(block)[3])):
            x = ref.activations(model, sequences)[l][site]
            scores = ref.fluctuation("wifv", x, W[l][i])
            keep = ref.lowest(scores if i else ref.by_unit(scores, shape.width).sum(1), p if i else a)
            columns = keep if i else np.repeat(keep, shape.width)
            kept[i].append(keep)
            biases[i].append(W[l][i] @ (x.mean(0) * ~columns))
            ref.change(linear, W[l][i] * columns, biases[i][-1])
    return np.array(kept[0]), np.array(kept[1]), *biases


if __name__ == "__main__":
    if len(sys.argv) < 2:
        sys.exit(__doc__)
    given = dict(word.split("=", 1) for word in sys.argv[2:])
    wanted = [given] if "model" in given else [given] + [
        {"model": name, "samples": "32", "length": "64", "windows": "24"} for name in models.MAKERS]
    sys.exit(max([main(sys.argv[1], options) for options in wanted]))
