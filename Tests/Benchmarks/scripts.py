"""Whole scripts of prn against the same work written plainly in PyTorch and scikit-learn (plain.py), one after the other.

    python scripts.py PRN MODEL CALIB TEST [flap] [fang] [canica] [--samples 32] [--held 32] [--length 512] [--rounds 1]
        [--json FILE]

MODEL is a folder such as `make smollm2` makes, a LLaMA. The scripts are scripts/*.prn; of prn the whole process with an empty
workspace is timed, of the others everything but the import of their libraries. Perplexities stand beside each other: where
nothing is drawn at random they must agree to 1e-3, else the script ends with 1. Nothing else should run.
"""
import argparse
import os
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
import sklearn  # noqa: E402
import torch  # noqa: E402
import transformers  # noqa: E402

import peers  # noqa: E402
from plain import canica, fang, flap  # noqa: E402
from rows import Rows  # noqa: E402

transformers.utils.logging.disable_progress_bar()
warnings.filterwarnings("ignore", category=UserWarning)

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
