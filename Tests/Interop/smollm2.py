"""A real model, pruned, in llama.cpp: what it says, how well, how large and how fast it is, before and after.

    python smollm2.py PRN [MODEL CALIBRATION TEST [FOLDER]]

MODEL is the folder that `make smollm2` makes, the texts are WikiText-2's beside the project; what is not there is said,
and nothing compared. Key-value groups and neurons that o_fang
finds least needed go, 30 % of the blocks, calibrated on 16 windows of 256 tokens; the dense and the pruned model are written
as GGUF. Claims that llama.cpp's perplexity, by its own loop over the same windows, is prn's to 1e-3, that greedy texts are
equal, and that copies quantised to Q8_0 and Q4_K_M load; prints sizes, perplexities and tokens per second. Writes to
FOLDER, a temporary one by default. Exits with 1 when a claim fails. Tried with llama-cpp-python 0.3.36.
"""
import os
import sys
import tempfile
import time

import peers

PROMPT = "The history of the city began"
WINDOW, WINDOWS, TOKENS = 512, 16, 32
SCRIPT = """
m = load {model}
cal = text {calibration} model=m samples=16 length=256 seed=0
held = text {test} model=m samples=16 length=512 take=order
ctx = capture m cal sites=ffn.in,block.in,block.out keep=values
cl = kmeans ctx k=7 pca=64 seed=0
gr = assign (taylor m cal by=cl) shared=1 how=exact
al = allocate ctx rate=30% how=clip
acts = capture m cal sites=attn.heads,ffn.act keep=moments,gram by=cl groups=gr
pruned = prune m (mask (obc acts weight=context tau=30%) rates=al within=gr) comp=ls acts=acts
dense_loss = eval m held
pruned_loss = eval pruned held
dense_text = generate m ["{prompt}"] tokens={tokens}
pruned_text = generate pruned ["{prompt}"] tokens={tokens}
export m to={folder}/dense.gguf type=f32
export pruned to={folder}/pruned.gguf type=f32
"""


claim = peers.Claims()


def speed(model, prompt):
    """Tokens per second of a prompt, and of what follows, the best of three."""
    best = [0.0, 0.0]
    for _ in range(3):
        model.reset()
        start = time.perf_counter()
        model.eval(prompt)
        middle = time.perf_counter()
        for token in prompt[:TOKENS]:
            model.eval([token])
        end = time.perf_counter()
        best = [max(best[0], len(prompt) / (middle - start)), max(best[1], TOKENS / (end - middle))]
    return best


def main(program, model, calibration, test, folder):
    prn = peers.Prn(program, folder)
    prn.run(SCRIPT.format(
        model=model, calibration=calibration, test=test, folder=folder, prompt=PROMPT, tokens=TOKENS))
    tokens = prn.open("held")["tokens"][...].astype(int)
    windows = [tokens[start:start + WINDOW].tolist() for start in range(0, WINDOW * WINDOWS, WINDOW)]
    for name in ("dense", "pruned"):
        path = f"{folder}/{name}.gguf"
        for kind, number in (("F32", None), ("Q8_0", 7), ("Q4_K_M", 15)):
            file = path if number is None else f"{folder}/{name}-{kind}.gguf"
            if number is not None:
                claim(peers.quantised(path, file, number), f"{name} {kind}: llama.cpp wrote it")
            loaded = peers.llama(file, WINDOW)
            found = peers.perplexity(peers.llama_logits(loaded, windows), windows)
            prompt = loaded.tokenize(PROMPT.encode(), add_bos=False)
            first, later = speed(loaded, windows[0][:256])
            print(f"     {name} {kind}: {os.path.getsize(file) / 1e6:.1f} MB, perplexity {found:.4f}, "
                  f"{first:.1f} tokens/s of a prompt, {later:.1f} tokens/s after it")
            if number is None:
                wanted = prn.figures(name + "_loss")["token_perplexity"]
                claim(abs(found / wanted - 1) < 1e-3, f"{name}: perplexity {found:.5f} in llama.cpp, {wanted:.5f} in prn")
                own = prn.open(name + "_text")["token/id"][...].tolist()
                claim(peers.llama_greedy(loaded, prompt, len(own)) == own, f"{name}: the greedy texts are equal")
                said = loaded.create_completion(prompt, max_tokens=TOKENS, temperature=0, repeat_penalty=1)
                print("     " + repr(PROMPT + said["choices"][0]["text"]))
            else:
                claim(len(peers.llama_greedy(loaded, prompt, 4)) == 4, f"{name} {kind}: it generates")
    return not claim.wrong


if __name__ == "__main__":
    beside = os.path.join(peers.ROOT, "..", "shared", "data", "wikitext-2-raw")
    places = [os.path.join(peers.ROOT, "data", "downloads", "smollm2"), beside + "/wiki.valid.raw", beside + "/wiki.test.raw"]
    given = [os.path.abspath(path) for path in sys.argv[2:5] + places[len(sys.argv[2:5]):]]
    absent = [path for path in given if not os.path.exists(path)]
    if absent or peers.llama_cpp is None:
        print("skipped: " + (", ".join(absent) + " is not there" if absent else "llama-cpp-python is not installed"))
        sys.exit(0)
    with tempfile.TemporaryDirectory() as temporary:
        place = os.path.abspath(sys.argv[5]) if len(sys.argv) > 5 else temporary
        os.makedirs(place, exist_ok=True)
        sys.exit(0 if main(sys.argv[1], *given, place) else 1)
