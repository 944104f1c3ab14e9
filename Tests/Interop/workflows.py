"""A script as a Snakemake workflow: the same objects as `prn run`, two jobs at a time against one, and a job that dies.

    python Tests/Interop/workflows.py .build/release/prn

Needs `snakemake` on the path, or its place in SNAKEMAKE. Tried with snakemake 9.27.1.
"""
import hashlib
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile
import time

ROOT = os.path.abspath(os.path.join(os.path.dirname(__file__), "..", ".."))
PRN = os.path.abspath(sys.argv[1])
SNAKEMAKE = os.environ.get("SNAKEMAKE") or shutil.which("snakemake")
SCRIPT = f"""
param length = 128
m = load {ROOT}/data/tiny-llama
cal = text {ROOT}/data/test.txt model=m samples=64 length=128
held = text {ROOT}/data/calibration.txt model=m
acts = capture m cal sites=attn.heads,ffn.act keep=moments
scores = flap acts
runs = for rate in 10%,20%,30%,40% {{ eval (prune m (mask scores rate=rate) comp=bias acts=acts) held length=length }}
t = compare runs baseline=(eval m held length=length)
"""
# The second cell asks for longer windows than the model has positions.
FAILING = f"""
m = load {ROOT}/data/tiny-llama
held = text {ROOT}/data/test.txt model=m samples=4 length=64
runs = for length in 32, 100000, 64 {{ eval m held length=length }}
"""


def objects(folder):
    files = pathlib.Path(folder, ".prn/objects").rglob("*.h5")
    return {file.name: hashlib.sha256(file.read_bytes()).hexdigest() for file in files}


def workflow(script, jobs, prn=PRN, folder=None):
    """The folder in which a script was run by so many jobs, the seconds that took, and how it ended."""
    folder = folder or tempfile.mkdtemp()
    pathlib.Path(folder, "f.prn").write_text(script)
    subprocess.run([PRN, "export", "f.prn", "to=Snakefile", "-q"], cwd=folder, check=True)
    command = [SNAKEMAKE, "--cores", str(jobs), "--keep-going", "--quiet", "all", "--config", f"prn={prn}"]
    start = time.perf_counter()
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True)
    return folder, time.perf_counter() - start, done


if not SNAKEMAKE:
    print("workflows: snakemake is not installed; left out")
    sys.exit()
version = subprocess.run([SNAKEMAKE, "--version"], capture_output=True, text=True).stdout.strip()
whole = tempfile.mkdtemp()
pathlib.Path(whole, "f.prn").write_text(SCRIPT)
subprocess.run([PRN, "run", "f.prn", "-q"], cwd=whole, check=True, stdout=subprocess.DEVNULL)
times = {}
for jobs in 1, 2:
    folder, times[jobs], done = workflow(SCRIPT, jobs)
    if done.returncode != 0 or objects(folder) != objects(whole):
        sys.exit(f"workflows: {jobs} jobs made other objects than `prn run`\n{done.stderr}")
    shutil.rmtree(folder)
print(f"workflows: snakemake {version}: {len(objects(whole))} objects, the same bytes as of `prn run`")
print(
    f"workflows: one job at a time {times[1]:.1f} s, two {times[2]:.1f} s, ratio {times[2] / times[1]:.2f}"
    f" on {os.cpu_count()} processors, load {os.getloadavg()[0]:.1f}"
)



def left(folder):
    return [*pathlib.Path(folder, ".prn/tmp").iterdir(), *pathlib.Path(folder, ".prn/quarantine").glob("*")]


folder, _, done = workflow(FAILING, 2)
# Model, text and the two other cells.
if done.returncode == 0 or len(objects(folder)) != 4 or left(folder):
    sys.exit(f"workflows: after a job that failed: {done.returncode}, {objects(folder)}, {left(folder)}")
print("workflows: of three cells one fails; the others are there, and nothing half")

# The third job of the sweep is killed while it works.
killing = pathlib.Path(tempfile.mkdtemp(), "prn")
killing.write_text(
    f"""#!/bin/bash
case "$*" in *12,13,14) {PRN} "$@" & sleep 1; kill -9 $!; wait $! ;; *) exec {PRN} "$@" ;; esac
"""
)
killing.chmod(0o755)
folder, _, done = workflow(SCRIPT, 2, prn=killing)
made = objects(folder)
damage = subprocess.run([PRN, "fsck", "-q"], cwd=folder, capture_output=True, text=True)
if done.returncode == 0 or damage.returncode != 0 or any(objects(whole).get(name) != made[name] for name in made):
    sys.exit(f"workflows: after a job that was killed: {done.returncode}, {damage.stdout}")
lacking = len(objects(whole)) - len(made)
_, _, done = workflow(SCRIPT, 2, folder=folder)
if done.returncode != 0 or objects(folder) != objects(whole):
    sys.exit(f"workflows: what a killed job left was not gone on with\n{done.stderr}")
print(f"workflows: one job killed with -9; {lacking} objects of its own and after it are missing, and made by the next run")
