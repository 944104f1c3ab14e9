#!/usr/bin/env python3
"""Compares prn with lm-evaluation-harness and transformers on one model, item by item and token by token.

    python Tests/Interop/harness.py PRN [MODEL TASKS WIKITEXT] [--limit 200] [--pages 4] [--tasks piqa,boolq]
        [--starts tokenizer,legacy,always]

TASKS is a folder with piqa.jsonl, hellaswag.jsonl and so on, in the fields of the published data sets; WIKITEXT is
wiki.test.raw. Not given, they are the model and the data beside the project; what is not there is said, and nothing
compared. For prompts that start as the tokenizer has it, with nothing added, and with BOS in any case: the choice of
every item, with and without normalisation, and each task's accuracy are the same; log-likelihoods agree to 1e-3 nat, or
1e-5 of their size where that is more (the harness sums in single precision; on its longest answers prn is some seventy
times nearer to transformers in double); perplexities of whole pages to 1e-4; greedy texts of 64 tokens after 20 prompts
are the same. The versions are those of Tests/requirements.txt.
"""

import argparse
import json
import os
import pathlib
import sys
import tempfile
import time

os.environ["HF_HUB_OFFLINE"] = "1"

import datasets  # noqa: E402
import torch  # noqa: E402

import peers  # noqa: E402

# How a text starts: prn's `bos=`, and `add_bos_token` of the harness.
STARTS = {"tokenizer": None, "legacy": False, "always": True}
NAMES = ["piqa", "hellaswag", "winogrande", "arc_easy", "arc_challenge", "openbookqa", "boolq"]


def lines(path):
    return [json.loads(line) for line in open(path, encoding="utf-8")]


def pages(path, count=None):
    """The articles of a raw WikiText file, lines as published."""
    found, page = [], ""
    for line in open(path, encoding="utf-8", newline="\n"):
        title = line.replace("= = =", "===").replace("= =", "==").strip()
        if title.startswith("= ") and title.endswith(" ="):
            found, page = found + [page], ""
        page += line
    return [page for page in found + [page] if page.strip()][:count]


def offline(folder, articles):
    """What stands for `datasets.load_dataset`: the same rows from local files, whichever split is asked for."""
    folder = pathlib.Path(folder)

    def load(path, name=None, **_):
        path = path.split("/")[-1]
        files = {"super_glue": "boolq", "ai2_arc": "arc_easy" if name == "ARC-Easy" else "arc_challenge"}
        if path == "wikitext_document_level":
            rows = dev = [{"page": page} for page in articles]
        elif path == "mmlu":
            rows = [r for r in lines(folder / "mmlu.jsonl") if r["subject"] == name]
            dev = [r for r in lines(folder / "mmlu_dev.jsonl") if r["subject"] == name]
        else:
            rows = dev = lines(folder / (files.get(path, path) + ".jsonl"))
        every = {split: datasets.Dataset.from_list(rows) for split in ("train", "validation", "test")}
        return datasets.DatasetDict({**every, "dev": datasets.Dataset.from_list(dev)})

    datasets.load_dataset = load


def measured(model, tasks, bos, shots, length, limit=None, batch=1):
    """Figures and items of the harness: of every item the (context, continuation) pairs and their log-likelihoods."""
    import lm_eval
    from lm_eval.models.huggingface import HFLM

    lm = HFLM(
        pretrained=str(model), dtype="float32", device="cpu", batch_size=batch, add_bos_token=STARTS[bos],
        max_length=length)
    result = lm_eval.simple_evaluate(
        model=lm, tasks=tasks, num_fewshot=shots, log_samples=True, bootstrap_iters=0, limit=limit)
    entry = {"bos": bos, "shots": shots, "length": length, "tasks": {}}
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


def greedy(model, prompts, bos, count):
    """The ids that transformers says after each prompt."""
    import transformers

    tokenizer = transformers.AutoTokenizer.from_pretrained(model)
    network = peers.load(model)

    def started(prompt):
        ids = tokenizer(prompt, add_special_tokens=bos != "legacy")["input_ids"]
        return ids if bos != "always" or ids[:1] == [tokenizer.bos_token_id] else [tokenizer.bos_token_id] + ids

    return [peers.greedy(network, started(prompt), count) for prompt in prompts]


def named(model, folder):
    """The model's folder, or a copy that names its start and end tokens where only config.json does.

    The harness asks transformers for them; without a name it cannot start."""
    model = pathlib.Path(model).resolve()
    if (model / "tokenizer_config.json").exists():
        return model
    copy = pathlib.Path(folder) / "named"
    copy.mkdir()
    for file in model.iterdir():
        (copy / file.name).symlink_to(file)
    config = json.loads((model / "config.json").read_text())
    added = {t["id"]: t["content"] for t in json.loads((model / "tokenizer.json").read_text())["added_tokens"]}
    (copy / "tokenizer_config.json").write_text(json.dumps({
        "tokenizer_class": "PreTrainedTokenizerFast",
        **{f"{end}_token": added[config[f"{end}_token_id"]] for end in ("bos", "eos")}}))
    return copy


def words(path, count):
    """The first eight words of paragraphs, spread over the text."""
    paragraphs = [line.split() for line in open(path, encoding="utf-8") if len(line.split()) > 40]
    return [" ".join(p[:8]) for p in paragraphs[:: max(1, len(paragraphs) // count)][:count]]


def compare(arguments):
    claim = peers.Claims()
    articles = pages(arguments.wikitext, arguments.pages)
    offline(arguments.tasks_folder, articles)
    names = arguments.tasks.split(",")
    with tempfile.TemporaryDirectory() as folder:
        part, asked = pathlib.Path(folder, "pages.txt"), pathlib.Path(folder, "tasks")
        part.write_text("".join(articles), encoding="utf-8", newline="\n")
        asked.mkdir()
        for name in names:
            for file in [name] + (["mmlu_dev"] if name == "mmlu" else []):
                (asked / f"{file}.jsonl").symlink_to(pathlib.Path(arguments.tasks_folder, f"{file}.jsonl").resolve())
        subjects = ["mmlu_" + s for s in dict.fromkeys(r["subject"] for r in lines(asked / "mmlu.jsonl"))] \
            if "mmlu" in names else []
        prompts = words(arguments.wikitext, 20)
        model = named(arguments.model, folder)
        prn = peers.Prn(arguments.prn, folder)
        load = f"m = load {model}\n"
        for bos in arguments.starts.split(","):
            print(f"bos={bos}", flush=True)
            started = time.time()
            prn.run(load + f"r = eval m tasks={asked} limit={arguments.limit} bos={bos}")
            seconds, figures = time.time() - started, prn.figures("r")
            with prn.open("r") as report:
                length = json.loads(report["protocol"][()])["max_length"]
                mine = [{key: report[f"item/{key}"][:][where] for key in ("log_likelihood", "chosen", "gold")}
                        for where in (report["item/task"][:] == i for i in range(len(report["task/name"])))]
                mine = dict(zip([n.decode() for n in report["task/name"][:]], mine))
            started = time.time()
            flat = [name for name in names if name != "mmlu"] + subjects
            theirs = measured(model, flat, bos, 0, length, arguments.limit, 8)["tasks"]
            print(f"  {sum(len(t['items']) for t in theirs.values())} items: prn {seconds:.1f} s, "
                  f"lm_eval {time.time() - started:.1f} s", flush=True)
            for task, entry in theirs.items():
                own, worst, other, away = mine[task], 0.0, 0, False
                for i, item in enumerate(entry["items"]):
                    found = item["log_likelihoods"]
                    for a, b in zip(own["log_likelihood"][i], found):
                        worst, away = max(worst, abs(a - b)), away or abs(a - b) > max(1e-3, 1e-5 * abs(b))
                    other += int(own["chosen"][i]) != max(range(len(found)), key=found.__getitem__)
                accuracies = [metric for metric in ("acc", "acc_norm") if f"{task}.{metric}" in figures]
                same = all(abs(figures[f"{task}.{metric}"] - entry["figures"][metric]) < 1e-9 for metric in accuracies)
                claim(len(own["gold"]) == len(entry["items"]) and other == 0 and not away and same,
                      f"{task}: {len(entry['items'])} items, largest difference {worst:.1e} nat, {other} other choices, "
                      f"{' and '.join(accuracies)} {'equal' if same else 'differ'}")
            prn.run(load + f"t = text {part} model=m join=pages\nw = eval m t bos={bos} "
                    "metric=word_perplexity,byte_perplexity")
            with prn.open("w") as report:
                length = json.loads(report["protocol"][()])["max_length"]
            rolled = measured(model, ["wikitext"], bos, 0, length)["tasks"]["wikitext"]["figures"]
            for metric, value in prn.figures("w").items():
                away = abs(value / rolled[metric] - 1)
                claim(away < 1e-4, f"{metric} {value:.6f} and {rolled[metric]:.6f}, {away:.1e} apart")
            quoted = ", ".join(json.dumps(p, ensure_ascii=False) for p in prompts)
            prn.run(load + f"g = generate m [{quoted}] tokens=64 bos={bos}")
            with prn.open("g") as texts:
                ids, counts = texts["token/id"][:].tolist(), texts["text/tokens"][:].tolist()
            same = 0
            for expected, count in zip(greedy(model, prompts, bos, 64), counts):
                own, ids = ids[:count], ids[count:]
                same += own == expected
            claim(same == len(prompts), f"{same} of {len(prompts)} greedy texts of 64 tokens are the same")
    return claim.wrong


if __name__ == "__main__":
    beside = os.path.join(peers.ROOT, "..", "shared")
    parser = argparse.ArgumentParser()
    parser.add_argument("prn")
    for name, place in (("model", "models/wiki-llama"), ("tasks_folder", "data/tasks"),
                        ("wikitext", "data/wikitext-2-raw/wiki.test.raw")):
        parser.add_argument(name, nargs="?", default=os.path.normpath(os.path.join(beside, place)))
    parser.add_argument("--limit", type=int, default=200)
    parser.add_argument("--pages", type=int, default=4)
    parser.add_argument("--tasks", default=",".join(NAMES + ["mmlu"]))
    parser.add_argument("--starts", default=",".join(STARTS))
    given = parser.parse_args()
    absent = [path for path in (given.model, given.tasks_folder, given.wikitext) if not os.path.exists(path)]
    if absent:
        print(f"skipped: {', '.join(absent)} is not there")
        sys.exit(0)
    sys.exit(1 if compare(given) else 0)
