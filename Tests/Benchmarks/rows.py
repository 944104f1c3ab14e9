"""What the benchmarks share: rows of what was measured, printed as they come and kept for `--json`; figure.py draws them."""
import json


class Rows:
    def __init__(self, machine):
        self.machine, self.rows = machine, []
        print(machine, flush=True)

    def __call__(self, what, prn, peer=None, theirs=None, unit="s", ratio=None, **more):
        """`ratio` is prn's advantage, the median over pairs where there are several; `more` is printed and kept as it is."""
        line = f"{what:<54} prn {prn:10.3f} {unit}"
        if theirs is not None:
            ratio = ratio or (theirs / prn if unit == "s" else prn / theirs)
            line += f"   {peer} {theirs:10.3f} {unit}   ratio {ratio:5.2f}"
        print(line + "".join(f"   {key.replace('_', ' ')} {value}" for key, value in more.items()), flush=True)
        self.rows.append(dict(what=what, prn=prn, peer=peer, theirs=theirs, unit=unit, ratio=ratio, **more))

    def save(self, path):
        if path:
            with open(path, "w") as file:
                json.dump(dict(machine=self.machine, rows=self.rows), file, indent=1)
