"""A pruned model, elsewhere and back: what transformers, llama.cpp and peft make of what prn exports.

    python models.py PRN [FOLDER]

Prunes the bundled model evenly and unevenly, exports it as hf, uniform, masked and gguf, and compares perplexity, logits
and greedy texts with prn's own; tunes the folders with LoRA, merges, and lets prn evaluate the result; quantises the files
with llama.cpp and lets prn read those. Writes to FOLDER, a temporary one by default. Exits with 1 when something differs
by more than it says. Without llama-cpp-python or peft the parts that need them are skipped by name.

Tried with transformers 5.23.0 and 4.49.0, peft 0.21.2 and 0.14.0, and llama-cpp-python 0.3.36.
"""
import os
import sys
import tempfile

import torch
import transformers

import peers

try:
    import peft
except ImportError:
    peft = None

ROOT = peers.ROOT
PROMPT = "Once upon a time"
WINDOW = 128
SCRIPT = """
m = load {root}/data/tiny-llama
cal = text {root}/data/calibration.txt model=m samples=16 length=128 seed=0
acts = capture m cal sites=attn.heads,ffn.act keep=moments
even = prune m (mask (flap acts) rate=20% scope=layer) comp=bias acts=acts
uneven = prune m (mask (flap acts) rate=20% scope=global) comp=bias acts=acts
held = text {root}/data/test.txt model=m samples=24 length=128 take=order
even_loss = eval even held
uneven_loss = eval uneven held
even_text = generate even ["{prompt}"] tokens=24
uneven_text = generate uneven ["{prompt}"] tokens=24
"""
claim = peers.Claims()


def measured(prn, name):
    """The perplexity of a report."""
    return prn.figures(name)["token_perplexity"]


def evaluated(prn, path):
    """The perplexity of a model by its path, on the same windows."""
    prn.run(f"x = load {path}\nheld = text {ROOT}/data/test.txt model=x samples=24 length={WINDOW} take=order\n"
            "x_loss = eval x held\n")
    return measured(prn, "x_loss")


def tuned(folder, target, windows, kind):
    """LoRA on the queries and values, a few steps, merged and saved as another folder."""
    model = peers.load(folder)
    config = peft.LoraConfig(r=4, lora_alpha=8, target_modules=["q_proj", "v_proj"])
    model = peft.get_peft_model(model, config)
    optimizer = torch.optim.AdamW((p for p in model.parameters() if p.requires_grad), lr=1e-3)
    batch = torch.tensor(windows[:8])
    losses = []
    for _ in range(6):
        loss = model(batch, labels=batch).loss
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()
        losses.append(loss.item())
    claim(losses[-1] < losses[0], f"{kind}: LoRA lowers the loss, {losses[0]:.3f} to {losses[-1]:.3f}")
    merged = model.merge_and_unload().eval()
    merged.save_pretrained(target)
    for name in ("tokenizer.json", "tokenizer_config.json", "modeling_prn.py"):
        if os.path.exists(f"{folder}/{name}"):
            with open(f"{folder}/{name}") as source, open(f"{target}/{name}", "w") as copy:
                copy.write(source.read())
    return merged


def main(program, folder):
    prn = peers.Prn(program, folder)
    prn.run(SCRIPT.format(root=ROOT, prompt=PROMPT) + "".join(
        f"export {name} to={folder}/{name}-{kind}{'.gguf type=f32' if kind == 'gguf' else ' as=' + kind}\n"
        for name, kinds in (("even", ("hf", "uniform", "masked", "gguf")), ("uneven", ("hf", "uniform", "gguf")))
        for kind in kinds))
    tokens = prn.open("held")["tokens"][...].astype(int)
    windows = [tokens[start:start + WINDOW].tolist() for start in range(0, len(tokens), WINDOW)]
    tokenizer = transformers.PreTrainedTokenizerFast(tokenizer_file=ROOT + "/data/tiny-llama/tokenizer.json")
    prompt = tokenizer.encode(PROMPT)

    for name, kinds in (("even", ("hf", "uniform", "masked")), ("uneven", ("hf", "uniform"))):
        wanted, own = measured(prn, name + "_loss"), prn.open(name + "_text")["token/id"][...].tolist()
        for kind in kinds:
            model = peers.load(f"{folder}/{name}-{kind}")
            logits = peers.logits(model, windows)
            found = peers.perplexity(logits, windows)
            claim(abs(found / wanted - 1) < 1e-4, f"{name} {kind}: perplexity {found:.5f}, prn {wanted:.5f} "
                                                  f"({type(model).__name__})")
            made = peers.greedy(model, prompt, 24, pad_token_id=0)[:len(own)]
            claim(made == own, f"{name} {kind}: greedy text of transformers is prn's")
        if peers.llama_cpp is None:
            print("skipped: llama-cpp-python is not installed")
            continue
        path = f"{folder}/{name}-gguf.gguf"
        file = peers.llama(path)
        claim(file.tokenize(PROMPT.encode(), add_bos=True, special=True) == prompt, f"{name} gguf: tokens of the prompt")
        numbers = peers.llama_logits(file, windows)
        error = peers.difference(numbers, logits)
        claim(error < 1e-4, f"{name} gguf: logits of llama.cpp and transformers differ by {error:.1e}")
        found = peers.perplexity(numbers, windows)
        claim(abs(found / wanted - 1) < 1e-3, f"{name} gguf: perplexity {found:.5f}, prn {wanted:.5f}")
        claim(peers.llama_greedy(file, prompt, len(own)) == own, f"{name} gguf: greedy text of llama.cpp is prn's")
        text = file.create_completion(prompt, max_tokens=len(own), temperature=0, repeat_penalty=1)["choices"][0]["text"]
        said = prn.open(name + "_text")["text/continuation"][0].decode()
        claim(text.strip() == said.strip(), f"{name} gguf: create_completion at temperature 0 says the same")
        found = evaluated(prn, path)
        claim(abs(found / wanted - 1) < 1e-5, f"{name} gguf: read back by prn, perplexity {found:.5f}")
        for word, number in (("Q8_0", 7), ("Q4_K_M", 15)):
            copy = f"{folder}/{name}-{word}.gguf"
            done = peers.quantised(path, copy, number)
            theirs, ours = peers.perplexity(peers.llama_logits(peers.llama(copy), windows), windows), evaluated(prn, copy)
            # llama.cpp rounds what enters a quantised map, too.
            claim(done and abs(ours / theirs - 1) < 0.02,
                  f"{name} {word}: perplexity {ours:.4f} in prn, {theirs:.4f} in llama.cpp")

    if peft is None:
        print("skipped: peft is not installed")
    else:
        for name in ("even-uniform", "uneven-hf"):
            merged = tuned(f"{folder}/{name}", f"{folder}/{name}-merged", windows, name)
            wanted = peers.perplexity(peers.logits(merged, windows), windows)
            found = evaluated(prn, f"{folder}/{name}-merged")
            claim(abs(found / wanted - 1) < 1e-4, f"{name}: merged and read back by prn, perplexity {found:.5f}, "
                                                  f"transformers {wanted:.5f}")
    prn.run(f"x = load {folder}/uneven-hf\nacts = capture x (text {ROOT}/data/calibration.txt model=x samples=4 length=64) "
            "sites=attn.heads,ffn.act keep=moments\ny = prune x (mask (flap acts) rate=10%)\n"
            f"export y to={folder}/again.gguf\n")
    claim(os.path.exists(f"{folder}/again.gguf"), "an exported model is pruned and exported again")


if __name__ == "__main__":
    transformers.logging.set_verbosity_error()
    with tempfile.TemporaryDirectory() as temporary:
        place = os.path.abspath(sys.argv[2]) if len(sys.argv) > 2 else temporary
        os.makedirs(place, exist_ok=True)
        main(sys.argv[1], place)
        sys.exit(1 if claim.wrong else 0)
