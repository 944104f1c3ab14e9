"""Draws what benchmarks kept with --json: how many times as fast prn is as what one would use else.

    python figure.py OUT.svg FILE.json [FILE.json ...]

matplotlib, its version in Tests/requirements.txt; the same rows give the same bytes.
"""
import json
import sys

import matplotlib

matplotlib.use("svg")
matplotlib.rcParams.update({"svg.hashsalt": "prn", "svg.fonttype": "none", "font.size": 9})
import matplotlib.pyplot as plt  # noqa: E402


def main(out, *paths):
    kept = [json.load(open(path)) for path in paths]
    rows = [row for one in kept for row in one["rows"] if row.get("ratio") and row["peer"]][::-1]
    figure, axes = plt.subplots(figsize=(8, 0.8 + 0.22 * len(rows)), layout="constrained")
    axes.barh(range(len(rows)), [row["ratio"] - 1 for row in rows], left=1, height=0.7,
              color=["#4477aa" if row["ratio"] >= 1 else "#cc6677" for row in rows])
    for i, row in enumerate(rows):
        is_ahead = row["ratio"] >= 1
        axes.annotate(f"{row['ratio']:.2f}", (row["ratio"], i), xytext=(3 if is_ahead else -3, 0), va="center",
                      textcoords="offset points", ha="left" if is_ahead else "right", fontsize=8)
    axes.set_yticks(range(len(rows)), [f"{row['what']}, {row['peer']}" for row in rows])
    axes.set_xscale("log")
    ticks = [t for t in (0.25, 0.5, 1, 2, 4, 8, 16, 32) if t <= 1.3 * max(row["ratio"] for row in rows)]
    axes.set_xticks(ticks, [f"{t:g}" for t in ticks])
    axes.minorticks_off()
    axes.set_xlim(right=1.3 * max(row["ratio"] for row in rows))
    axes.axvline(1, color="black", linewidth=0.8)
    axes.set_xlabel("times as fast as the program named")
    axes.set_title("; ".join(dict.fromkeys(one["machine"] for one in kept)), fontsize=7, wrap=True)
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
    figure.savefig(out, metadata={"Date": None})


if __name__ == "__main__":
    if len(sys.argv) < 3:
        sys.exit(__doc__)
    main(*sys.argv[1:])
