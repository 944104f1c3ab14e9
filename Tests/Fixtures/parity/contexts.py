"""Do k-means' clusters match the kinds of context the bundled text is made of? Adjusted Rand index per layer.

    python contexts.py PRN [samples=32] [length=128] [seed=0] [sites=ffn.in,ffn.resid] [k=7,8]

Runs PRN on data/tiny-llama and data/calibration.txt, and labels every token of the windows by the passage of
data/calibration.labels.tsv that its first byte lies in (tokens of the blank line between two passages go with the one
before). 1 is a perfect match, 0 what chance gives. The second figure leaves out the first 8 tokens of each window,
which a model reads without context; the third is the purity, the share of tokens whose cluster's commonest kind is theirs.

numpy 2.4.6, scikit-learn 1.9.1, tokenizers 0.23.3, h5py 3.16.0.
"""
import os
import random
import subprocess
import sys
import tempfile

import h5py
import numpy as np
from sklearn.metrics import adjusted_rand_score
from tokenizers import Tokenizer

ROOT = os.path.normpath(os.path.join(os.path.dirname(os.path.abspath(__file__)), "../../.."))
DATA = ROOT + "/data"


def kinds(samples, length, seed):
    text = open(DATA + "/calibration.txt", encoding="utf8").read()
    encoding = Tokenizer.from_file(DATA + "/tiny-llama/tokenizer.json").encode(text)
    byte = np.concatenate([[0], np.cumsum([len(c.encode()) for c in text])])
    rows = [line.split("\t") for line in open(DATA + "/calibration.labels.tsv").read().splitlines()[1:]]
    starts = np.array([int(r[0]) for r in rows])
    names = sorted({r[2] for r in rows})
    kind = np.array([names.index(r[2]) for r in rows])
    first = byte[[a for a, _ in encoding.offsets]]
    of_token = kind[np.maximum(np.searchsorted(starts, first, side="right") - 1, 0)]
    generator = random.Random(seed)
    windows = [generator.randint(0, len(of_token) - length - 1) for _ in range(samples)]
    return names, np.concatenate([of_token[s:s + length] for s in windows]), np.concatenate(
        [encoding.ids[s:s + length] for s in windows])


def main(program, options):
    samples, length, seed = (int(options.get(o, d)) for o, d in (("samples", 32), ("length", 128), ("seed", 0)))
    sites = options.get("sites", "ffn.in,ffn.resid").split(",")
    ks = [int(k) for k in options.get("k", "7,8").split(",")]
    names, truth, tokens = kinds(samples, length, seed)
    late = np.arange(len(truth)) % length >= 8
    lines = [f"m = load {DATA}/tiny-llama",
             f"cal = text {DATA}/calibration.txt model=m samples={samples} length={length} seed={seed}",
             f"ctx = capture m cal sites={','.join(sites)} keep=values"]
    for site in sites:
        lines += [f"cl_{site.replace('.', '_')}_{k} = kmeans ctx k={k} pca=64 seed=0 site={site}" for k in ks]
    with tempfile.TemporaryDirectory() as folder:
        subprocess.run([program, "--workspace", folder + "/.prn", "-c", "\n".join(lines)], check=True,
                       stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        bound = folder + "/.prn/vars/main/"
        assert (h5py.File(bound + "cal.h5")["tokens"][:] == tokens).all()
        print(f"{len(truth)} tokens of {len(names)} kinds: {', '.join(names)}")
        print(f"{'site':10} {'k':>2} {'layer':>5} {'index':>6} {'late':>6} {'purity':>6}")
        for site in sites:
            for k in ks:
                labels = h5py.File(f"{bound}cl_{site.replace('.', '_')}_{k}.h5")["label"][:]
                for layer, label in enumerate(labels):
                    common = sum(np.bincount(truth[label == c], minlength=len(names)).max() for c in range(k))
                    print(f"{site:10} {k:2} {layer:5} {adjusted_rand_score(truth, label):6.3f} "
                          f"{adjusted_rand_score(truth[late], label[late]):6.3f} {common / len(truth):6.3f}")


if __name__ == "__main__":
    if len(sys.argv) < 2:
        sys.exit(__doc__)
    main(sys.argv[1], dict(word.split("=", 1) for word in sys.argv[2:]))
