#!/usr/bin/env python3
"""Makes the items here and expected.json, by lm-evaluation-harness on the bundled model.

    python3 Tests/Fixtures/tasks/make.py TASKS WIKITEXT

TASKS is a folder with piqa.jsonl, hellaswag.jsonl and so on, in the fields of the published data sets; WIKITEXT is
wiki.test.raw. Ran with lm_eval 0.4.13, transformers 5.23.0, datasets 5.2.0 and torch 2.13.0 (CPU), single precision.
The items are a handful of each public test or validation set.
"""

import json
import os
import pathlib
import shutil
import sys
import tempfile

os.environ["HF_HUB_OFFLINE"] = "1"

import datasets  # noqa: E402
import torch  # noqa: E402

HERE = pathlib.Path(__file__).parent
MODEL = HERE.parents[2] / "data" / "tiny-llama"
COUNTS = {"piqa": 5, "hellaswag": 6, "winogrande": 5, "arc_easy": 4, "arc_challenge": 4, "openbookqa": 4, "boolq": 3}
SUBJECTS = ["anatomy", "world_religions"]


def lines(path):
    return [json.loads(line) for line in open(path, encoding="utf-8")]


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


def rolled_pages():
    pages, page = [], ""
    for line in open(HERE / "pages.txt", encoding="utf-8", newline="\n"):
        title = line.replace("= = =", "===").replace("= =", "==").strip()
        if title.startswith("= ") and title.endswith(" ="):
            pages, page = pages + [page], ""
        page += line
    return [{"page": page} for page in pages + [page] if page.strip()]


def load(path, name=None, **_):
    path = path.split("/")[-1]
    files = {"piqa": "piqa", "hellaswag": "hellaswag", "winogrande": "winogrande", "openbookqa": "openbookqa",
             "super_glue": "boolq", "ai2_arc": "arc_easy" if name == "ARC-Easy" else "arc_challenge"}
    if path == "wikitext_document_level":
        rows = dev = rolled_pages()
    elif path == "mmlu":
        rows = [r for r in lines(HERE / "mmlu.jsonl") if r["subject"] == name]
        dev = [r for r in lines(HERE / "mmlu_dev.jsonl") if r["subject"] == name]
    else:
        rows = dev = lines(HERE / (files[path] + ".jsonl"))
    every = {split: datasets.Dataset.from_list(rows) for split in ("train", "validation", "test")}
    return datasets.DatasetDict({**every, "dev": datasets.Dataset.from_list(dev)})


def measured(model, tasks, bos, shots, length):
    import lm_eval
    from lm_eval.models.huggingface import HFLM

    lm = HFLM(pretrained=str(model), dtype="float32", device="cpu", batch_size=1, add_bos_token=bos, max_length=length)
    result = lm_eval.simple_evaluate(
        model=lm, tasks=tasks, num_fewshot=shots, log_samples=True, bootstrap_iters=0)
    entry = {"bos": "tokenizer" if bos else "legacy", "shots": shots, "length": length, "tasks": {}}
    for task, samples in result["samples"].items():
        figures = {key.split(",")[0]: value for key, value in result["results"][task].items()
                   if isinstance(value, float)}
        items = []
        for sample in sorted(samples, key=lambda s: s["doc_id"]):
            asked = list(sample["arguments"].values()) if isinstance(sample["arguments"], dict) else sample["arguments"]
            pairs = [list(a.values()) if isinstance(a, dict) else list(a) for a in asked]
            found = [r[0][0] if isinstance(r[0], (list, tuple)) else r[0] for r in sample["resps"]]
            items.append({"pairs": pairs, "log_likelihoods": found})
        entry["tasks"][task] = {"figures": figures, "items": items}
    return entry


def main():
    make_items(*sys.argv[1:])
    datasets.load_dataset = load
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as folder:
        # The harness asks transformers for the tokens that start and end a text.
        model = pathlib.Path(folder) / "model"
        shutil.copytree(MODEL, model)
        choice = list(COUNTS) + [f"mmlu_{subject}" for subject in SUBJECTS]
        runs = [measured(model, choice, bos, 0, 512) for bos in (True, False)]
        runs += [measured(model, [f"mmlu_{s}" for s in SUBJECTS], True, 2, 512)]
        runs += [measured(model, ["wikitext"], bos, 0, 128) for bos in (True, False)]
    # The prompts once: without a start-of-text token they are the same.
    for run in (runs[1], runs[4]):
        for task in run["tasks"].values():
            for item in task["items"]:
                del item["pairs"]
    with open(HERE / "expected.json", "w", encoding="utf-8") as file:
        json.dump(runs, file, ensure_ascii=False, indent=1)
        file.write("\n")


main()
