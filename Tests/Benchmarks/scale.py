"""Time and memory of every step: on a model's shape with few blocks, or on the notebooks.

    python scale.py PRN PRN_BENCH SHAPE BLOCKS WINDOWS LENGTH [STUDY] [--memory 8GiB]
    SHAPE: 7b, 70b, small; STUDY: methods (if none is given), networks (of 16 windows or more), systems
    python scale.py PRN notebooks [NAME ...]

A step's memory is the peak of the whole process while it ran, its estimate what `--memory` is held against; the journal of
the workspace has both. The model is made once, in .build/made-up.
"""

import glob
import json
import os
import subprocess
import sys
import tempfile

ROOT = os.path.abspath(os.path.join(os.path.dirname(__file__), "..", ".."))
os.environ.pop("OPENBLAS_CORETYPE", None)

# Every method once; what they share is captured once.
START = """
m    = load "{model}"
cal  = text {calibration} model=m samples={windows} length={length}
held = text {test} model=m samples={windows} length={length}
"""
STUDIES = {
    "methods": """
dense = eval m held
acts = capture m cal sites=attn.heads,ffn.act keep=moments
s    = flap acts
cut  = prune m (mask s rate=20%) comp=bias acts=acts
grams = capture m cal sites=attn.heads,ffn.act keep=moments,gram
once = obc grams
ctx  = capture m cal sites=ffn.in keep=stream
cl   = kmeans ctx k=7 pca=64 restarts=1
S    = taylor m cal by=cl
gr   = assign S shared=1
both = capture m cal sites=ffn.gate,ffn.up keep=stream
nets = canica both components=32 per_run=2
""",
    "networks": """
both = capture m cal sites=ffn.gate,ffn.up keep=stream
nets = canica both components=32 per_run={windows} seed=0
code = autoencode both components=512 rank=512 per_run={windows} epochs=30 seed=0
deep = autoencode both components=512 rank=512 per_run={windows} epochs=30 decoder=deep seed=0
d    = describe nets cal model=m nulls=4
g    = connect nets
fast = lesion m cal of=nets how=estimate nulls=99
few  = canica both components=4 per_run={windows} seed=0
x    = lesion m cal of=few layers=0 nulls=0
""",
    "systems": """
ends = capture m cal sites=block.in,block.out keep=moments
depth = score ends how=block_influence
without = ablate m cal
first = saliency m cal how=param_first
gates = saliency m cal how=gate
grams = capture m cal sites=attn.in,attn.heads,ffn.in,ffn.act keep=moments,gram
wanda = score grams how=wanda
lever = score grams how=leverage
svd  = lowrank m acts=grams rate=20%
turned = capture m cal sites=attn.q,attn.k keep=moments
pairs = lowrank m acts=turned rate=20% of=rotary
values = lowrank m acts=grams rate=20% of=values
own  = slice m cal rate=20%
shared = slice m cal rate=20% basis=shared
each = cascade m cal by=wanda rate=20%
""",
}


def steps(folder):
    """What was computed, oldest first."""
    lines = []
    for path in glob.glob(folder + "/.prn/journal/*.jsonl"):
        lines += [json.loads(line) for line in open(path)]
    lines.sort(key=lambda line: line["clock"])
    return [line for line in lines if line.get("event") == "step" and line.get("status") == "finished"]


def run(prn, script, folder, *words):
    return subprocess.run([prn, "run", script, "-q", "-f", "tsv", "--workspace", folder + "/.prn", *words], cwd=ROOT,
                          stdout=subprocess.DEVNULL).returncode


def table(rows):
    print(f"{'op':<12} {'seconds':>9} {'estimate MiB':>13} {'peak MiB':>10} {'ratio':>6}")
    for op, seconds, estimate, peak in rows:
        off = "" if 1 <= estimate / peak <= 1.2 else "  *"
        print(f"{op:<12} {seconds:>9.2f} {estimate / 2**20:>13.0f} {peak / 2**20:>10.0f} {estimate / peak:>6.2f}{off}")


prn = os.path.abspath(sys.argv[1])
if sys.argv[2] == "notebooks":
    names = sys.argv[3:] or ["quickstart", "masks", "obc", "fang", "canica", "evaluation", "networks", "systems"]
    worst = {}
    for name in names:
        folder = tempfile.mkdtemp()
        if run(prn, f"notebooks/{name}.prn", folder) != 0:
            print(f"{name} failed", file=sys.stderr)
        for step in steps(folder):
            row = (step["op"], step["seconds"], step["estimate"], step["memory"])
            kept = worst.setdefault(step["op"], (row, row))
            worst[step["op"]] = min(kept[0], row, key=lambda r: r[2] / r[3]), max(kept[1], row, key=lambda r: r[2] / r[3])
    print("the step with the smallest ratio of each op, then the one with the largest")
    table([row for _, pair in sorted(worst.items()) for row in pair])
else:
    bench, shape, blocks, windows, length, *words = sys.argv[2:]
    study = words.pop(0) if words[:1] and words[0] in STUDIES else "methods"
    model = f"{ROOT}/.build/made-up/{shape}-{blocks}"
    if not os.path.exists(model + "/config.json"):
        subprocess.run([bench, "model", shape, blocks, model, ROOT + "/data/tiny-llama"], check=True)
    folder = tempfile.mkdtemp(dir=ROOT + "/.build")
    test, calibration = f"{folder}/test.txt", f"{folder}/calibration.txt"
    for path, name in (test, "test"), (calibration, "calibration"):
        text = open(f"{ROOT}/data/{name}.txt").read()
        # Three bytes a token.
        open(path, "w").write(text * (1 + 4 * int(windows) * int(length) // len(text)))
    script = f"{folder}/scale.prn"
    open(script, "w").write((START + STUDIES[study]).format(
        model=model, test=test, calibration=calibration, windows=windows, length=length))
    status = run(prn, script, folder, *words)
    version = subprocess.run([prn, "version", "-f", "tsv"], capture_output=True, text=True).stdout
    print(f"{study}: {shape}, {blocks} blocks, {windows} x {length} tokens; load {os.getloadavg()[0]:.1f}")
    print("".join(line + "\n" for line in version.splitlines() if line.split("\t")[0] in ("prn", "blas", "memory")), end="")
    table([(step["op"], step["seconds"], step["estimate"], step["memory"]) for step in steps(folder)])
    sys.exit(status)
