"""Tries to break prn: kill -9, signals, full and read-only disks, fuzzed inputs, several processes in one workspace.

    make torture [SIZE=1.0]         a tenth of the size takes about a tenth of the time

Goes on where it was stopped: what is done is in .build/torture/done.json. Every trial has a seed of its own, printed when
it fails; `torture.py PRN --only PHASE --seed N` repeats one. Python's own library is all it needs.
"""

import argparse
import collections
import concurrent.futures
import hashlib
import json
import os
import pathlib
import random
import shutil
import signal
import struct
import subprocess
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
SCRIPT = (ROOT / "Tests/Torture/torture.prn").read_text()
MODEL = ROOT / "Tests/Fixtures/parity/model"
PIECES = ["|>", "[", "]", "(", ")", "{", "}", "=", ",", ":", '"', "'", "@-1", "_", "!", "&", "..", "%", "\\u{", "time ",
          "for x in 1,2 {", "none", "-9223372036854775808", "9223372036854775808", "1e999", "NaN", "null", "\0",
          "\x1b[31m", "\u202e", "\ufeff", "\n", "\r\n", "\t", "é", "\\", "# %%", "0", "-1", "1e308"]
CRASHES = ("Fatal error", "Illegal instruction", "Segmentation", "stack trace", "something unexpected")


class Failed(Exception):
    pass


def require(holds, what):
    if not holds:
        raise Failed(what)


class Torture:
    def __init__(self, prn, work):
        self.prn, self.work = prn, work
        self.environment = dict(os.environ, HOME=str(work), PRN_HISTFILE="", SWIFT_BACKTRACE="enable=no")
        self.environment.pop("PRN_WORKSPACE", None)
        self.reference = None
        # What the trials of a phase really met, told at its end.
        self.met = collections.Counter()

    def run(self, *words, cwd, timeout=300, prefix=(), **more):
        return subprocess.run([*prefix, self.prn, *words], cwd=cwd, env=self.environment, capture_output=True,
                              timeout=timeout, stdin=subprocess.DEVNULL, **more)

    def folder(self, name):
        folder = self.work / name
        if not folder.exists():
            folder.mkdir(parents=True)
            (folder / "data").symlink_to(ROOT / "data")
            (folder / "torture.prn").write_text(SCRIPT)
        return folder

    def made(self, folder):
        """Hashes of the objects and of what was exported. A model's card says where its sources lie: here, in each folder."""
        files = [*(folder / ".prn/objects").rglob("*.h5"), *(p for p in (folder / "out").rglob("*") if p.is_file())]
        here = str(folder).encode()
        return {str(p.relative_to(folder)): hashlib.sha256(p.read_bytes().replace(here, b".")).hexdigest() for p in files}

    def expected(self):
        """What an undisturbed run makes, and how long it takes."""
        if self.reference is None:
            folder = self.work / "whole"
            shutil.rmtree(folder, ignore_errors=True)
            start = time.monotonic()
            done = self.run("run", "torture.prn", "-q", "--threads", "1", cwd=self.folder("whole"))
            require(done.returncode == 0, done.stderr.decode())
            self.reference = self.made(folder), time.monotonic() - start
        return self.reference

    def check(self, folder):
        """The store is whole, whatever happened to those who wrote in it."""
        done = self.run("fsck", cwd=folder)
        out = done.stdout.decode()
        require(done.returncode == 0, f"fsck exits {done.returncode}: {out}")
        for word in ("damaged", "dangling", "stray"):
            require(word not in out, f"fsck: {out}")

    def interrupted(self, folder, chance, number):
        """One run stopped by a signal. Returns its exit status, or None when it was done before."""
        _, seconds = self.expected()
        process = subprocess.Popen([self.prn, "run", "torture.prn", "-q"], cwd=folder, env=self.environment,
                                   stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
        try:
            _, err = process.communicate(timeout=0.02 + chance.random() * seconds * 0.4)
            require(process.returncode == 0, err.decode(errors="replace"))
            return None
        except subprocess.TimeoutExpired:
            process.send_signal(number)
            process.communicate(timeout=60)
            return process.returncode

    def finish(self, folder):
        """An undisturbed run in a workspace in which others were stopped comes to the same bytes and leaves nothing."""
        done = self.run("run", "torture.prn", "-q", "--threads", "2", cwd=folder)
        require(done.returncode == 0, done.stderr.decode())
        found, (wanted, _) = self.made(folder), self.expected()
        odd = [name for name in {*found, *wanted} if found.get(name) != wanted.get(name)]
        require(not odd, f"other bytes: {odd[:5]}")
        require(self.run("gc", "--apply", cwd=folder).returncode == 0, "gc fails")
        for name in ("partial", "locks", "tmp"):
            left = [p for p in (folder / ".prn" / name).iterdir() if p.name != "sources"]
            require(not left, f"left in {name}: {left[:3]}")
        require(not list((folder / "out").glob("*.part-*")) and not list(folder.glob("*.part-*")), "half an export is left")
        shutil.rmtree(folder)

    # Phases: each trial takes its seed.

    def kill(self, seed):
        folder = self.folder("killed")
        status = self.interrupted(folder, random.Random(seed), signal.SIGKILL)
        self.met["runs killed" if status is not None else "runs that were done before"] += 1
        self.check(folder)
        if status is None:
            self.finish(folder)

    def signal(self, seed):
        chance = random.Random(seed)
        folder = self.folder("signalled")
        number = chance.choice([signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
        status = self.interrupted(folder, chance, number)
        self.check(folder)
        if status in (None, 0):
            # Done before the signal came, or as it came.
            return self.finish(folder)
        # A signal that comes before the program listens ends it as the system does.
        require(status in (128 + number, -number), f"signal {number}: exit {status}")

    def disk(self, seed):
        chance = random.Random(seed)
        folder = self.folder("disk")
        way = seed % 3
        if way == 0:
            # A limit on the size of files stands in for a full disk where none can be mounted.
            line = f"ulimit -f {chance.randrange(1, 400)}; exec \"$0\" run torture.prn -q"
            done = subprocess.run(["bash", "-c", line, self.prn], cwd=folder, env=self.environment, capture_output=True)
        elif way == 1:
            # The disk is told by the kernel, not by us: its kind and its size in bytes.
            # Some are too small for any capture, others fill up in the middle of the first.
            size = chance.choice([chance.randrange(1, 3000), chance.randrange(9300, 10200)])
            line = (f"mkdir -p .full && mount -t tmpfs -o size={size}k none .full && "
                    "stat -f -c '%T %S %b' .full > .disk && exec \"$0\" run torture.prn -q -w .full/ws")
        else:
            self.run("-q", "-c", "m = load ./data/tiny-llama", cwd=folder)
            line = ("mount --bind .prn .prn && mount -o remount,ro,bind .prn && "
                    "{ ! touch .prn/x 2>.disk; } && exec \"$0\" run torture.prn -q")
        if way != 0:
            (folder / ".disk").unlink(missing_ok=True)
            done = subprocess.run(["unshare", "-m", "bash", "-c", line, self.prn], cwd=folder, env=self.environment,
                                  capture_output=True)
        err = done.stderr.decode(errors="replace")
        if "unshare:" in err or "mount:" in err:
            self.met[f"not tried, for {err.strip().splitlines()[0]}"] += 1
            return
        if way == 0:
            self.met["limits of a file"] += 1
        elif way == 1:
            kind, block, blocks = (folder / ".disk").read_text().split()
            room = int(block) * int(blocks)
            require(kind == "tmpfs" and 0 < room <= (size + 4) * 1024, f"no small disk was mounted: {kind} of {room} bytes")
            self.met["small disks mounted"] += 1
            self.met["disks full while prn wrote" if "no space left" in err else "disks refused as too small"] += 1
        else:
            require("Read-only" in (folder / ".disk").read_text(), "the workspace was not read-only")
            self.met["read-only workspaces"] += 1
        require(done.returncode in (1, 5) and err.count("error:") == 1, f"exit {done.returncode}: {err[-600:]}")
        if way != 1 and (folder / ".prn").exists():
            self.check(folder)

    def input(self, seed):
        chance = random.Random(seed)
        with tempfile.TemporaryDirectory(dir=self.work) as name:
            folder = pathlib.Path(name)
            (folder / "data").symlink_to(ROOT / "data")
            if seed % 4:
                lines = SCRIPT.splitlines(keepends=True)
                (folder / "x.prn").write_bytes(mutated("".join(lines[:chance.randrange(1, len(lines) + 1)]).encode(), chance))
                words = ["check", "x.prn"]
            else:
                shutil.copytree(MODEL, folder / "model")
                place = folder / "model" / chance.choice(["config.json", "tokenizer.json", "model.safetensors"])
                place.write_bytes(mutated_file(place, chance))
                (folder / "t.txt").write_bytes(mutated(b"The cat sat on the mat.\n" * 4, chance))
                words = ["-q", "-c", "m = load ./model; c = text ./t.txt model=m; e = eval m c length=8"]
            done = self.run(*words, cwd=folder, timeout=60)
            err = done.stderr.decode(errors="replace")
            require(done.returncode in (0, 1, 2, 5), f"exit {done.returncode}: {err[-600:]}")
            require(not any(word in err for word in CRASHES), err[-600:])
            require((done.returncode == 0) == ("error:" not in err), f"exit {done.returncode}: {err[-600:]}")

    def shells(self, seed):
        """Six sessions of one workspace, with gc and fsck beside them."""
        folder = self.folder("shared")
        # The exports of two sessions would replace each other's; one session writes them.
        lines = [line for line in SCRIPT.splitlines() if not line.startswith(("export", "plot"))]
        (folder / "torture.prn").write_text("\n".join(lines))

        def session(number):
            return self.run("run", "torture.prn", "-q", "--session", str(number), cwd=folder, timeout=900)

        with concurrent.futures.ThreadPoolExecutor(6) as pool:
            sessions = [pool.submit(session, number) for number in range(1, 7)]
            while not all(one.done() for one in sessions):
                for words in (["gc", "--apply"], ["fsck"], ["ls"]):
                    done = self.run(*words, cwd=folder)
                    require(done.returncode == 0, f"{words}: {done.stdout.decode()}{done.stderr.decode()}")
                time.sleep(0.2)
        for one in sessions:
            require(one.result().returncode == 0, one.result().stderr.decode())
        self.check(folder)
        found = {name: value for name, value in self.made(folder).items() if name.startswith(".prn")}
        wanted = {name: value for name, value in self.expected()[0].items() if name.startswith(".prn")}
        odd = [name for name in {*found, *wanted} if found.get(name) != wanted.get(name)]
        require(not odd, f"other bytes: {odd[:5]}")
        shutil.rmtree(folder)


def mutated(data, chance):
    data = bytearray(data)
    for _ in range(chance.randrange(1, 4)):
        start = chance.randrange(len(data) + 1)
        end = min(len(data), start + chance.randrange(12))
        way = chance.randrange(6)
        piece = chance.choice(PIECES).encode()
        if way == 0:
            del data[start:end]
        elif way == 1:
            data[start:start] = data[start:end] * chance.choice([1, 1, 1, 200])
        elif way == 2:
            data[start:start] = piece * chance.choice([1, 1, 1, 10_000])
        elif way == 3:
            data[start:end] = piece
        elif way == 4 and start < len(data):
            data[start] ^= 1 << chance.randrange(8)
        elif chance.randrange(8) == 0:
            del data[start:]
    return bytes(data)


def mutated_file(place, chance):
    """Of weights the header is changed; half the time its length with it."""
    data = place.read_bytes()
    if place.suffix != ".safetensors":
        return mutated(data, chance)
    length = struct.unpack("<Q", data[:8])[0]
    header = mutated(data[8:8 + length], chance)
    start = struct.pack("<Q", len(header)) if chance.randrange(2) else data[:8]
    return start + header + data[8 + length:]


# Trials of each phase at full size.
PHASES = {"input": 10_000, "kill": 300, "signal": 60, "disk": 30, "shells": 2}


def main():
    words = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    words.add_argument("prn")
    words.add_argument("--size", type=float, default=1.0, help="share of the trials")
    words.add_argument("--work", type=pathlib.Path, default=ROOT / ".build/torture")
    words.add_argument("--only", choices=PHASES)
    words.add_argument("--seed", type=int, help="repeat this trial")
    options = words.parse_args()
    options.work.mkdir(parents=True, exist_ok=True)
    torture = Torture(str(pathlib.Path(options.prn).resolve()), options.work.resolve())
    memory = options.work / "done.json"
    done = json.loads(memory.read_text()) if memory.exists() else {}
    failures = 0
    for phase, trials in PHASES.items():
        if options.only not in (None, phase):
            continue
        count = max(1, round(trials * options.size))
        first = done.get(phase, 0)
        seeds = range(first, count) if options.seed is None else [options.seed]
        start = time.monotonic()
        for seed in seeds:
            try:
                getattr(torture, phase)(seed)
            except (Failed, subprocess.TimeoutExpired) as error:
                failures += 1
                print(f"FAILED {phase} seed {seed}: {error}", flush=True)
                if phase in ("kill", "signal", "disk", "shells"):
                    kept = options.work / f"failed-{phase}-{seed}"
                    for name in ("killed", "signalled", "disk", "shared"):
                        if (options.work / name).exists() and not kept.exists():
                            (options.work / name).rename(kept)
            if options.seed is None:
                done[phase] = seed + 1
                memory.write_text(json.dumps(done))
        met = "".join(f"; {number} {what}" for what, number in sorted(torture.met.items()))
        torture.met.clear()
        print(f"{phase}: {len(seeds)} trials, seeds {first}..<{count}, {time.monotonic() - start:.0f} s{met}", flush=True)
    if options.seed is None and not failures:
        shutil.rmtree(options.work)
    print("nothing broke" if failures == 0 else f"{failures} trials failed")
    sys.exit(failures > 0)


if __name__ == "__main__":
    main()
