#!/usr/bin/env python3
"""Makes the items here and expected.json, by lm-evaluation-harness on the bundled model.

    python3 Tests/Fixtures/tasks/make.py TASKS WIKITEXT

TASKS is a folder with piqa.jsonl, hellaswag.jsonl and so on, in the fields of the published data sets; WIKITEXT is
wiki.test.raw. Ran with lm_eval 0.4.13, transformers 5.23.0, datasets 5.2.0 and torch 2.13.0 (CPU), single precision.
The items are a handful of each public test or validation set.
"""

import json
import pathlib
import shutil
import sys
import tempfile

import torch

HERE = pathlib.Path(__file__).parent
sys.path.insert(0, str(HERE.parents[1] / "Interop"))

from harness import lines, measured, offline, pages  # noqa: E402

MODEL = HERE.parents[2] / "data" / "tiny-llama"
COUNTS = {"piqa": 5, "hellaswag": 6, "winogrande": 5, "arc_easy": 4, "arc_challenge": 4, "openbookqa": 4, "boolq": 3}
SUBJECTS = ["anatomy", "world_religions"]


def write(name, rows):
    with open(HERE / name, "w", encoding="utf-8") as file:
        for row in rows:
            file.write(json.dumps(row, ensure_ascii=False) + "\n")


def pick(rows, count):
    """Short ones, among them what is unusual: other labels, letters beyond ASCII, marks in brackets."""
    short = [row for row in rows if len(json.dumps(row)) < 900]
    odd = [r for r in short if not json.dumps(r, ensure_ascii=False).isascii() or "[title]" in json.dumps(r)
           or len(r.get("choices", {}).get("text", [0] * 4)) != 4 or "1" in r.get("choices", {}).get("label", [])]
    return (odd[: count // 2] + [row for row in short if row not in odd])[:count]


def make_items(tasks, wikitext):
    for name, count in COUNTS.items():
        write(f"{name}.jsonl", pick(lines(f"{tasks}/{name}.jsonl"), count))
    for name, count in (("mmlu", 3), ("mmlu_dev", 2)):
        rows = lines(f"{tasks}/{name}.jsonl")
        write(f"{name}.jsonl", [r for s in SUBJECTS for r in [x for x in rows if x["subject"] == s][:count]])
    # The starts of two articles; pages keep their lines as published.
    text = open(wikitext, encoding="utf-8", newline="\n").read()
    articles = ["\n = " + page for page in text.split("\n = ") if page.strip() and not page.startswith("=")]
    with open(HERE / "pages.txt", "w", encoding="utf-8", newline="\n") as file:
        for article in articles[:2]:
            file.write("\n".join(article.split("\n")[:6]) + "\n")


def main():
    make_items(*sys.argv[1:])
    offline(HERE, pages(HERE / "pages.txt"))
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as folder:
        # The harness asks transformers for the tokens that start and end a text.
        model = pathlib.Path(folder) / "model"
        shutil.copytree(MODEL, model)
        choice = list(COUNTS) + [f"mmlu_{subject}" for subject in SUBJECTS]
        runs = [measured(model, choice, bos, 0, 512) for bos in ("tokenizer", "legacy")]
        runs += [measured(model, [f"mmlu_{s}" for s in SUBJECTS], "tokenizer", 2, 512)]
        runs += [measured(model, ["wikitext"], bos, 0, 128) for bos in ("tokenizer", "legacy")]
    # The prompts once: without a start-of-text token they are the same.
    for run in (runs[1], runs[4]):
        for task in run["tasks"].values():
            for item in task["items"]:
                del item["pairs"]
    with open(HERE / "expected.json", "w", encoding="utf-8") as file:
        json.dump(runs, file, ensure_ascii=False, indent=1)
        file.write("\n")


main()
