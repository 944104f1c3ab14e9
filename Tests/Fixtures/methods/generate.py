"""Reference arrays for Tests/OpsTests/Methods, from the peers themselves. Run: python generate.py

Pinned: numpy 2.4.6, scipy 1.17.1, scikit-learn 1.9.1. One file per method; in it, for every array,
a line `name rows columns` and a line with the numbers in row-major order.
"""

from pathlib import Path

import numpy as np
import scipy
import sklearn
from scipy.optimize import linear_sum_assignment
from sklearn.cluster import KMeans
from sklearn.decomposition import PCA
from sklearn.decomposition._fastica import _cube, _exp, _ica_def, _ica_par, _logcosh

assert (np.__version__, scipy.__version__, sklearn.__version__) == ("2.4.6", "1.17.1", "1.9.1")
FOLDER = Path(__file__).parent


def write(name, arrays):
    lines = []
    for key, value in arrays.items():
        value = np.atleast_2d(np.asarray(value, dtype=float))
        lines.append(f"{key} {value.shape[0]} {value.shape[1]}")
        lines.append(" ".join(repr(float(x)) for x in value.ravel()))
    (FOLDER / name).write_text("\n".join(lines) + "\n")


def assignment():
    rng = np.random.default_rng(1)
    arrays = {}
    for index, (K, n) in enumerate([(3, 12), (7, 70), (5, 43), (12, 12)]):
        S = np.exp(rng.standard_normal((K, n))) if index < 3 else rng.standard_normal((K, n))
        S = np.round(S, 6)
        capacities = np.full(K, n // K) + (np.arange(K) < n % K)
        slots = np.repeat(np.arange(K), capacities)  # one row of the square problem per place in a group
        rows, columns = linear_sum_assignment(S[slots], maximize=True)
        arrays |= {f"S{index}": S, f"capacities{index}": capacities, f"total{index}": S[slots][rows, columns].sum()}
    write("assignment.txt", arrays)


def kmeans():
    rng = np.random.default_rng(2)
    means = rng.standard_normal((5, 4)) * 2
    X = np.round(np.concatenate([m + rng.standard_normal((60, 4)) for m in means]), 5)
    start = X[[3, 4, 100, 200, 290]]
    fit = KMeans(5, init=start, n_init=1, max_iter=300, tol=1e-4, algorithm="lloyd").fit(X)
    pca = PCA(2, svd_solver="full").fit(X)
    write("kmeans.txt", {
        "X": X, "start": start, "labels": fit.labels_, "centers": fit.cluster_centers_, "inertia": fit.inertia_,
        "iterations": fit.n_iter_, "variance": pca.explained_variance_ratio_,
    })


def fastica():
    rng = np.random.default_rng(3)
    k, N = 4, 240
    S = rng.laplace(size=(k, N)) * (rng.random((k, N)) < 0.6)
    X = rng.standard_normal((k, k)) @ S
    X -= X.mean(1, keepdims=True)
    values, vectors = np.linalg.eigh(X @ X.T)
    Y = np.round(np.sqrt(N) * (vectors / np.sqrt(values)) @ vectors.T @ X, 12)
    start = np.round(rng.standard_normal((k, k)), 12)
    arrays = {"Y": Y, "start": start}
    for name, g in [("cube", _cube), ("logcosh", _logcosh), ("exp", _exp)]:
        arguments = {"alpha": 1.0} if name == "logcosh" else {}
        W, steps = _ica_par(Y, 1e-4, g, arguments, 200, start)
        arrays |= {f"parallel_{name}": W, f"steps_{name}": steps}
        W, _ = _ica_def(Y, 1e-10, g, arguments, 500, start)
        arrays[f"deflation_{name}"] = W
    write("fastica.txt", arrays)


assignment()
kmeans()
fastica()
