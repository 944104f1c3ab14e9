"""Scripts under mpirun: 1, 2 and 4 ranks make the objects of a run by itself, one rank is killed, and what cannot be is
refused.

    python Tests/Interop/mpi.py .build/release/prn

Needs `mpirun` of Open MPI on the path (Debian: openmpi-bin); tried with 4.1.4. Without it, nothing is tried.
"""
import glob
import hashlib
import os
import pathlib
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time

ROOT = os.path.abspath(os.path.join(os.path.dirname(__file__), "..", ".."))
PRN = os.path.abspath(sys.argv[1])
MPIRUN = shutil.which("mpirun")
START = f"""
m = load {ROOT}/data/tiny-llama
cal = text {ROOT}/data/calibration.txt model=m samples=32 length=256 take=order
held = text {ROOT}/data/test.txt model=m samples=64 length=128 take=order
"""
SCRIPTS = {
    "flap": START
    + """
acts = capture m cal sites=attn.heads,ffn.act keep=moments
p = prune m (mask (flap acts) rate=20%) comp=bias acts=acts
r = eval p held length=128
c = cascade m cal by=flap rate=20%
r2 = eval c held length=128
""",
    "fang": START
    + """
ctx = capture m cal sites=ffn.in,block.in,block.out keep=values
cl = kmeans ctx k=7 pca=64
S = taylor m cal by=cl
gr = assign S shared=1
al = allocate ctx rate=30% how=clip
grouped = capture m cal sites=attn.heads,ffn.act keep=moments,gram by=cl groups=gr
p = prune m (mask (obc grouped weight=context tau=30%) rates=al within=gr) comp=ls acts=grouped
r = eval p held length=128
""",
    "canica": START
    + """
acts = capture m cal sites=ffn.gate,ffn.up keep=stream
nets = canica acts components=8 per_run=8
p = prune m (mask (score nets how=max_abs_z) rate=20%) comp=bias acts=(capture m cal sites=ffn.act keep=moments)
r = eval p held length=128
""",
}
LONG = f"""
m = load {ROOT}/data/tiny-llama
cal = text {ROOT}/data/calibration.txt model=m samples=256 length=256
acts = capture m cal sites=attn.heads,ffn.act keep=moments,gram
cl = kmeans (capture m cal sites=ffn.in keep=stream) k=7 pca=64
r = eval m cal length=256
"""


def ranks(count, words, folder, program=PRN):
    environment = {**os.environ, "OMPI_ALLOW_RUN_AS_ROOT": "1", "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM": "1"}
    command = [MPIRUN, "--oversubscribe", "-n", str(count), program, *words]
    return subprocess.Popen(
        command, cwd=folder, env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        text=True,
    )


def ended(process, seconds=600):
    out, err = process.communicate(timeout=seconds)
    return process.returncode, out, err


def alone(words, folder):
    done = subprocess.run([PRN, *words], cwd=folder, stdin=subprocess.DEVNULL, capture_output=True, text=True)
    return done.returncode, done.stdout, done.stderr


def objects(workspace):
    files = pathlib.Path(workspace, "objects").rglob("*.h5")
    return {file.name: hashlib.sha256(file.read_bytes()).hexdigest() for file in files}


def fail(text):
    sys.exit(f"mpi: {text}")


def leftovers(workspace):
    return [*pathlib.Path(workspace, "tmp").iterdir(), *pathlib.Path(workspace, "quarantine").glob("*")]


if not MPIRUN:
    print("mpi: mpirun is not installed; left out")
    sys.exit()
version = subprocess.run([MPIRUN, "--version"], capture_output=True, text=True).stdout.splitlines()[0]

# The same bytes.
for name, script in SCRIPTS.items():
    folder = tempfile.mkdtemp()
    pathlib.Path(folder, "f.prn").write_text(script)
    code, _, said = alone(["run", "f.prn", "-q", "--threads", "1", "-w", "whole"], folder)
    if code != 0:
        fail(f"{name} by itself: {said}")
    whole, seconds = objects(folder + "/whole"), {}
    for count in 1, 2, 4:
        start = time.perf_counter()
        code, _, err = ended(ranks(count, ["run", "f.prn", "-q", "--mpi", "--threads", "1", "-w", str(count)], folder))
        seconds[count] = time.perf_counter() - start
        if code != 0 or err != said or leftovers(f"{folder}/{count}"):
            fail(f"{name}, {count} ranks: {code}, {err}")
        if objects(f"{folder}/{count}") != whole:
            fail(f"{name}: {count} ranks made other objects than a run by itself")
    times = ", ".join(f"{count}: {seconds[count]:.1f} s" for count in seconds)
    print(f"mpi: {version}: {name}: {len(whole)} objects, the same bytes with 1, 2 and 4 ranks ({times})")
    shutil.rmtree(folder)



def printed(text):
    """Without the seconds at the ends of lines."""
    return [re.sub(r"\t[0-9.]+$", "", line) for line in text.splitlines()]


# Every op, as the tests have it; what is measured anew is another object each time.
count = 0
for script in sorted(glob.glob(f"{ROOT}/Tests/Scripts/*.prn")):
    text = pathlib.Path(script).read_text()
    if "# arguments:" in text or "# expect exit:" in text:
        continue
    folder, name = tempfile.mkdtemp(), os.path.basename(script)
    one = alone(["run", name, "-q", "-w", folder + "/1"], os.path.dirname(script))
    three = ended(ranks(3, ["run", name, "-q", "--mpi", "-w", folder + "/3"], os.path.dirname(script)))
    (ours, theirs) = (objects(folder + "/3"), objects(folder + "/1"))
    differ = {key for key in ours.keys() | theirs.keys() if ours.get(key) != theirs.get(key)}
    measured = len(re.findall(r"^.*\bmeasure\b", re.sub("#.*", "", text), re.M))
    if one[0] != three[0] or (not measured and (differ or printed(one[1]) != printed(three[1]))):
        fail(f"{name}: 3 ranks: {three}, by itself: {one}; {len(differ)} objects differ")
    count += 1
    shutil.rmtree(folder)
print(f"mpi: {count} scripts of the tests: three ranks make the objects and print the lines of one")

# One rank dies.
folder = tempfile.mkdtemp()
pathlib.Path(folder, "f.prn").write_text(LONG)
code, _, err = alone(["run", "f.prn", "-q", "-w", "whole"], folder)
process = ranks(3, ["run", "f.prn", "-q", "--mpi", "-w", "killed"], folder)
victim = None
while victim is None and process.poll() is None:
    time.sleep(0.05)
    for entry in glob.glob("/proc/[0-9]*/environ"):
        try:
            environ = pathlib.Path(entry).read_bytes().split(b"\0")
            words = pathlib.Path(entry).with_name("cmdline").read_bytes().split(b"\0")
        except OSError:
            continue
        if b"OMPI_COMM_WORLD_RANK=2" in environ and words[0].decode() == PRN and b"killed" in words:
            # In the middle of a step.
            if list(pathlib.Path(folder, "killed", "objects").rglob("*.h5"))[2:]:
                victim = int(entry.split("/")[2])
if victim is None:
    fail("the run was over before a rank could be killed")
os.kill(victim, signal.SIGKILL)
start = time.perf_counter()
code, _, err = ended(process, 30)
seconds = time.perf_counter() - start
made = objects(folder + "/killed")
damage = subprocess.run([PRN, "fsck", "-q", "-w", "killed"], cwd=folder, capture_output=True, text=True)
whole = objects(folder + "/whole")
# mpirun says it; what the others say after that, it drops.
if code == 0 or not re.search("rank 2 .*signal 9", err) or seconds > 10:
    fail(f"after a rank was killed: code {code} in {seconds:.1f} s, {err}")
if damage.returncode != 0 or any(whole.get(name) != made[name] for name in made) or len(made) == len(whole):
    fail(f"after a rank was killed: {len(made)} of {len(whole)} objects, {damage.stdout}")
code, _, err = ended(ranks(3, ["run", "f.prn", "--mpi", "-w", "killed"], folder))
if code != 0 or objects(folder + "/killed") != whole or "cached" not in err:
    fail(f"what the killed run left was not gone on with: {err}")
print(
    f"mpi: one of three ranks killed with -9: the others left within {seconds:.1f} s, {len(made)} of {len(whole)} objects"
    " were there, and the next run made the rest"
)
shutil.rmtree(folder)

# What is wrong is said once, by rank 0, be it on all ranks or on one.
folder = tempfile.mkdtemp()
mistakes = {
    "a mistake in the script": ("x = flap 3\n", ["run", "g.prn", "--mpi"], 2),
    "an assertion": (START + "assert cal.windows == 33\n", ["run", "g.prn", "-q", "--mpi"], None),
    "a missing file": ("m = load ./nowhere\n", ["run", "g.prn", "--mpi"], None),
}
for what, (script, words, expected) in mistakes.items():
    pathlib.Path(folder, "g.prn").write_text(script)
    by_itself = alone([word for word in words if word != "--mpi"], folder)
    code, out, err = ended(ranks(3, words, folder), 60)
    lines = [line for line in by_itself[2].splitlines() if "error:" in line]
    if code != by_itself[0] or not lines or any(err.count(line) != 1 for line in lines):
        fail(f"{what}: code {code} instead of {by_itself[0]}, {err}")
odd = pathlib.Path(folder, "odd.sh")
pathlib.Path(folder, "g.prn").write_text(SCRIPTS["flap"])
one_alone = {
    "PRN_BLAS_CORE=Prescott exec": "rank 1 has another OpenBLAS kernels than rank 0",
    "PRN_WORKSPACE=elsewhere exec": "rank 1 gave up: rank 1 does not see the object",
}
for line, wanted in one_alone.items():
    odd.write_text(f'#!/bin/sh\nif [ "$OMPI_COMM_WORLD_RANK" = 1 ]; then {line} {PRN} "$@"; fi\nexec {PRN} "$@"\n')
    odd.chmod(0o755)
    code, out, err = ended(ranks(3, ["run", "g.prn", "-q", "--mpi"], folder, program=str(odd)), 60)
    if code == 0 or err.count(wanted) != 1:
        fail(f"{line}: code {code}, {err}")
shutil.rmtree(folder)
print(f"mpi: {len(mistakes)} mistakes and {len(one_alone)} of one rank alone are said once, with the code of a run by itself")

# What cannot be.
folder = tempfile.mkdtemp()
pathlib.Path(folder, "f.prn").write_text("show 1\n")
fake = pathlib.Path(folder, "lib")
fake.mkdir()
zlib = next(iter(glob.glob("/lib/*/libz.so.1") + glob.glob("/usr/lib/*/libz.so.1")))
os.symlink(zlib, fake / "libmpi.so.40")
refusals = [
    ({}, ["run", "f.prn", "--mpi"], "has started none"),
    ({"OMPI_COMM_WORLD_SIZE": "2", "LD_LIBRARY_PATH": str(fake)}, ["run", "f.prn", "--mpi"], "another library"),
    ({}, ["--mpi"], "does not take --mpi"),
    ({}, ["-c", "show 1", "--mpi"], "does not take --mpi"),
    ({}, ["run", "-", "--mpi"], "standard input"),
    ({}, ["run", "f.prn", "--mpi", "--dry-run"], "--dry-run"),
]
for environment, words, wanted in refusals:
    done = subprocess.run(
        [PRN, *words], cwd=folder, env={**os.environ, **environment}, stdin=subprocess.DEVNULL, capture_output=True,
        text=True,
    )
    if done.returncode != 2 or wanted not in done.stderr:
        fail(f"{words} with {environment}: {done.returncode}, {done.stderr}")
shutil.rmtree(folder)
print(f"mpi: {len(refusals)} calls that cannot be are refused")
