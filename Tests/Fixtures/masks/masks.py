"""Prunes with masks and scores that Python made out of prn's own files, and reads prn's exports back.

    python masks.py PRN

PRN is the program. What Python chooses and what prn makes of it must be the same, unit by unit, in every format. Prints
one line per format; exits with 1 at the first difference.

numpy 2.4.6, h5py 3.16.0, safetensors 0.8.0, torch 2.13.0+cpu.
"""
import csv
import json
import os
import subprocess
import sys
import tempfile

import h5py
import numpy as np
from safetensors.torch import load_file

ROOT = os.path.normpath(os.path.join(os.path.dirname(os.path.abspath(__file__)), "../../.."))
MODEL, TEXT = f"{ROOT}/data/tiny-llama", f"{ROOT}/data/calibration.txt"


def main(prn):
    with tempfile.TemporaryDirectory() as folder:
        def run(*statements):
            text = "; ".join([f'm = load "{MODEL}"', *statements])
            subprocess.run([prn, "--quiet", "-c", text], check=True, cwd=folder)

        def artifact(name):
            return h5py.File(f"{folder}/.prn/vars/main/{name}.h5")

        def same(what, name, ffn=None, attention=None):
            with artifact(name) as f:
                for module, wanted in ("ffn", ffn), ("attention", attention):
                    if (wanted is not None) != (module in f):
                        sys.exit(f"{what}: {module} is {'not ' if wanted is not None else ''}there")
                    if wanted is not None and not np.array_equal(f[f"{module}/keep"][...], wanted):
                        sys.exit(f"{what}: {module}/keep differs")
            print(f"{what}\tequal")

        run(f'cal = text "{TEXT}" model=m samples=4 length=64',
            "s = flap (capture m cal sites=attn.heads,ffn.act keep=moments)", "mk = mask s rate=20%")
        with artifact("s") as f:
            score = f["ffn/score"][...]
            units = f["attention/score"].shape
        # The lowest tenth of each layer goes.
        keep = (np.argsort(np.argsort(score, axis=1), axis=1) >= score.shape[1] // 10).astype(np.uint8)
        heads = np.ones(units, np.uint8)
        heads[1, 2] = 0

        for kind in np.uint8, np.bool_, np.int64, np.float16, np.float64:
            np.save(f"{folder}/keep.npy", np.asfortranarray(keep.astype(kind)) if kind is np.int64 else keep.astype(kind))
            run("x = mask ./keep.npy model=m")
            same(f"npy {np.dtype(kind)}", "x", keep)
            with h5py.File(f"{folder}/own.h5", "w") as f:
                f["a/keep"], f["other"] = keep.astype(kind), score
            run('x = mask ./own.h5 model=m dataset="a/keep"')
            same(f"h5 {np.dtype(kind)}", "x", keep)
        with h5py.File(f"{folder}/both.h5", "w", userblock_size=1024) as f:
            f["ffn/keep"], f["attention/keep"] = keep, heads
        run("x = mask ./both.h5 model=m")
        same("h5 with both modules", "x", keep, heads)
        with open(f"{folder}/list.csv", "w", newline="") as f:
            rows = csv.writer(f)
            rows.writerow(["layer", "neuron", "why"])
            rows.writerows([layer, neuron, 'a "quoted", reason'] for layer, neuron in np.argwhere(keep == 0))
        run("x = mask ./list.csv model=m")
        same("csv list", "x", keep)

        # Ranks are scores: one rate per layer leaves the same neurons as a mask of them does.
        np.save(f"{folder}/rank.npy", np.argsort(np.argsort(score, axis=1), axis=1).astype(np.float32))
        run("x = mask ./rank.npy model=m rate=10% scope=layer")
        with artifact("x") as f:
            count = (f["ffn/keep"][0] == 0).sum()
        same("npy scores", "x", np.argsort(np.argsort(score, axis=1), axis=1) >= count)

        run("export mk to=./mk.csv", "export mk to=./mk.json", "export mk to=./arrays as=npy")
        with artifact("mk") as f:
            ffn, attention = f["ffn/keep"][...], f["attention/keep"][...]
        with open(f"{folder}/mk.json") as f:
            if [row["keep"] for row in json.load(f) if row["neuron"] is not None] != ffn.ravel().tolist():
                sys.exit("exported json differs")
        if not np.array_equal(np.load(f"{folder}/arrays/ffn_keep.npy"), ffn):
            sys.exit("exported npy differs")
        run("x = mask ./mk.csv model=m")
        same("csv there and back", "x", ffn, attention)

        # Zeroing the parts that the table names is what `export as=masked` does.
        run("export (prune m mk) to=./masked as=masked")
        weights, masked = load_file(f"{MODEL}/model.safetensors"), load_file(f"{folder}/masked/model.safetensors")
        with open(f"{folder}/mk.csv", newline="") as f:
            for row in csv.DictReader(f):
                if row["keep"] == "0":
                    for part in row["tensors"].split():
                        name, index = part.split("[")
                        exec(f"weights[name][{index} = 0")
        if any(not weights[name].equal(masked[name]) for name in weights if "_proj" in name):
            sys.exit("the tensors' parts differ from what a masked export zeroes")
        print("parts of tensors\tequal")


main(os.path.abspath(sys.argv[1]))
