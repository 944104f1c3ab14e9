"""Reference arrays for what networks do: Tests/OpsTests/Methods/NetworkMethodTests.swift. Run: python networks.py

Pinned: numpy 2.4.6, scipy 1.17.1, scikit-learn 1.9.1. The format is that of generate.py. Nothing here calls the
program; formulas without a library function are written out.
"""

from pathlib import Path

import numpy as np
import scipy
import sklearn
from scipy.stats import false_discovery_control, t as student
from sklearn.metrics import adjusted_mutual_info_score, roc_auc_score

assert (np.__version__, scipy.__version__, sklearn.__version__) == ("2.4.6", "1.17.1", "1.9.1")


def write(name, arrays):
    lines = []
    for key, value in arrays.items():
        value = np.atleast_2d(np.asarray(value, dtype=float))
        lines.append(f"{key} {value.shape[0]} {value.shape[1]}")
        lines.append(" ".join(repr(float(x)) for x in value.ravel()))
    (Path(__file__).parent / name).write_text("\n".join(lines) + "\n")


def log_odds(y1, y0, f, a0):
    a = np.where(f > 0, a0 * f, 0.5)
    odds = lambda y: np.log((y + a) / (y.sum() + a0 - y - a))
    delta = odds(y1) - odds(y0)
    return delta, delta / np.sqrt(1 / (y1 + a) + 1 / (y0 + a))


def means(levels, y, rounds):
    """Backfitted shrunk means; levels: facts x tokens."""
    fit = np.full(len(y), y.mean())
    parts = [np.zeros(len(y)) for _ in levels]
    for _ in range(rounds):
        for index, level in enumerate(levels):
            residual = y - fit + parts[index]
            count = np.bincount(level)
            mean = np.bincount(level, residual) / np.maximum(count, 1) * count / (count + 8)
            fit += mean[level] - parts[index]
            parts[index] = mean[level]
    return fit


def holm(p):
    order = np.argsort(p, kind="stable")
    adjusted = np.empty(len(p))
    adjusted[order] = np.maximum.accumulate(np.minimum(1, p[order] * (len(p) - np.arange(len(p)))))
    return adjusted


rng = np.random.default_rng(14)
Z = np.round(rng.standard_normal((40, 9)), 6)
S = np.round(rng.standard_normal((3, 9)), 6)
standard = (Z - Z.mean(0)) / Z.std(0, ddof=1)
score = np.round(rng.standard_normal(60), 1)
positive = rng.random(60) < 0.3
a, b = rng.integers(0, 4, 80), rng.integers(0, 7, 80)
b[:30] = a[:30]
p = np.round(rng.random(25) ** 3, 6)
y1, y0 = np.array([7.0, 0, 3, 1, 9]), np.array([20.0, 5, 4, 0, 70])
f = np.array([0.2, 0.1, 0.1, 0.0, 0.6])
delta, z = log_odds(y1, y0, f, 10)
levels = np.stack([rng.integers(0, 5, 50), rng.integers(0, 3, 50)])
y = np.round(rng.standard_normal(50) + levels[0], 6)

random, observed = np.round(rng.standard_normal(9), 6), np.array([0.1, 2.0, -5.0, 40.0])
deviation = (observed - random.mean()) / (random.std(ddof=1) * np.sqrt(1 + 1 / len(random)))

write("networks.txt", {
    "random": random, "observed": observed, "student": 2 * student.sf(abs(deviation), len(random) - 1),
    "Z": Z, "S": S, "courses": standard @ np.linalg.pinv(S), "score": score, "positive": positive,
    "auroc": roc_auc_score(positive, score), "a": a, "b": b, "ami": adjusted_mutual_info_score(a, b), "p": p,
    "bh": false_discovery_control(p), "holm": holm(p), "y1": y1, "y0": y0, "f": f, "delta": delta, "z": z,
    "levels": levels, "y": y, "fitted": means(levels, y, 2),
})
