"""What stands around the numbers: start-up, cutting text, hashing, writing, drawing, checking, and a full store.

    python around.py PRN MODEL TEXT [--artifacts 20000] [--cells 100000] [--json FILE]

MODEL is a folder such as `make smollm2` makes; TEXT is repeated until it has 16 MB. Tokens must equal those of `tokenizers`.
Where a step is timed, the seconds are those of prn's journal; where a command is, those of the whole process, the median of
five. Files are in the page cache. Nothing else should run.
"""
import argparse
import glob
import hashlib
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time

HERE = os.path.dirname(os.path.abspath(__file__))
os.environ.pop("OPENBLAS_CORETYPE", None)
sys.path.insert(0, os.path.join(HERE, "..", "Interop"))
import h5py  # noqa: E402
import numpy as np  # noqa: E402
import tokenizers  # noqa: E402

import peers  # noqa: E402
from rows import Rows  # noqa: E402

ROOT = peers.ROOT
SMALL = f'm = load "{ROOT}/data/tiny-llama"\ncal = text "{ROOT}/data/calibration.txt" model=m samples=8 length=128\n'


def timed(body, rounds=1):
    """(median seconds, what the last call gave)."""
    seconds = []
    for _ in range(rounds):
        start = time.perf_counter()
        result = body()
        seconds.append(time.perf_counter() - start)
    return statistics.median(seconds), result


def steps(prn):
    """op: seconds, of the last step of each op that was made."""
    found = {}
    for path in sorted(glob.glob(prn.workspace + "/journal/*.jsonl")):
        for line in open(path):
            entry = json.loads(line)
            if entry.get("event") == "step" and entry["status"] == "finished":
                found[entry["op"]] = entry["seconds"]
    return found


def command(prn, *words):
    return lambda: subprocess.run([prn.program, "--workspace", prn.workspace, *words], check=True, capture_output=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for word in ("prn", "model", "text"):
        parser.add_argument(word)
    parser.add_argument("--artifacts", type=int, default=20000)
    parser.add_argument("--cells", type=int, default=100000)
    parser.add_argument("--json")
    options = parser.parse_args()
    claims, row = peers.Claims(), Rows(f"tokenizers {tokenizers.__version__}, h5py {h5py.__version__}, load {os.getloadavg()[0]:.1f}")

    with tempfile.TemporaryDirectory() as folder:
        prn = peers.Prn(options.prn, folder)
        row("start-up: prn --version", timed(command(prn, "--version"), 5)[0])
        prn.run(SMALL)
        row("start-up: one statement that is already made", timed(command(prn, "-q", "-c", SMALL), 5)[0])

        text, path = open(options.text, encoding="utf8").read(), folder + "/text.txt"
        text = text * -(-16_000_000 // len(text.encode()))
        with open(path, "w", encoding="utf8") as file:
            file.write(text)
        size = os.path.getsize(path) / 1e6
        prn.run(f'm = load "{options.model}"\nt = text "{path}" model=m')
        seconds, encoding = timed(lambda: tokenizers.Tokenizer.from_file(options.model + "/tokenizer.json").encode(text))
        ids, cut = np.array(encoding.ids), prn.open("t")["tokens"][:]
        claims(len(cut) > 0 and np.array_equal(cut, ids[:len(cut)]), f"{len(cut)} tokens, the same")
        row("tokens: MB of text cut a second", size / steps(prn)["text"], "tokenizers", size / seconds, "MB/s")
        largest = max(glob.glob(options.model + "/*.safetensors"), key=os.path.getsize)
        prn.workspace = folder + "/hashed"
        seconds, _ = timed(lambda: hashlib.sha256(open(largest, "rb").read()).hexdigest())
        prn.run(f'm = load "{options.model}"')
        size = os.path.getsize(largest) / 1e6
        row("hashes: MB of weights a second, by `load`", size / steps(prn)["load"], "hashlib", size / seconds, "MB/s")

        taken = {}
        for keep in ("moments", "values"):
            prn.run(f'm = load "{options.model}"\ncal = text "{path}" model=m samples=8 length=512\n'
                    f"{keep} = capture m cal sites=ffn.act keep={keep}")
            taken[keep] = steps(prn)["capture"]
        keys = prn.open("values")["ffn.act/child_key"][:]
        values = [h5py.File(f"{prn.workspace}/objects/{key[:2]}/{key}.h5")["values"][:] for key in map(bytes.decode, keys)]

        def write():
            for layer, array in enumerate(values):
                with h5py.File(f"{folder}/{layer}.h5", "w") as file:
                    file["values"] = array
                with open(f"{folder}/{layer}.h5", "rb") as file:
                    os.fsync(file.fileno())
        size = sum(array.nbytes for array in values) / 1e6
        row("writes: MB a second, keep=values beyond keep=moments", size / (taken["values"] - taken["moments"]),
            "h5py, no hashes", size / timed(write)[0], "MB/s")

        script = folder + "/sweep.prn"
        with open(script, "w") as file:
            side = round(options.cells ** 0.5)
            numbers = ",".join(map(str, range(side)))
            file.write(SMALL + "acts = capture m cal sites=ffn.act keep=moments\n"
                       f"cells = for a in {numbers}, b in {numbers} {{ mask (score acts how=random seed=a) rate=20% }}\n")
        row(f"check: a sweep of {side * side} cells", timed(command(prn, "check", script))[0])

        store = peers.Prn(options.prn, folder + "/full")
        seeds = ",".join(map(str, range(options.artifacts)))
        start = SMALL + "acts = capture m cal sites=ffn.act keep=moments\n"
        seconds, _ = timed(lambda: store.run(start + f"s = for seed in {seeds} {{ score acts how=random seed=seed }}"))
        row(f"a store of {options.artifacts} artifacts: filling it", seconds)
        for words in (["ls"], ["du"], ["gc"], ["fsck"]):
            row(f"a store of {options.artifacts} artifacts: prn {words[0]}", timed(command(store, *words))[0])
        row("the script again, all of it made", timed(
            lambda: store.run(start + f"s = for seed in {seeds} {{ score acts how=random seed=seed }}"))[0])
    row.save(options.json)
    return claims.wrong


if __name__ == "__main__":
    sys.exit(main())
