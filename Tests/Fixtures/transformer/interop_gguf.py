"""Reads exported GGUF files with the `gguf` package and llama.cpp, and compares them with transformers.

    python interop_gguf.py FILE.gguf MODEL_FOLDER TEXT

MODEL_FOLDER is the same model written by `export as=hf` or `as=masked`; TEXT is a text file to score. Exits with 1 when
logits differ by more than 1e-4 relative, when greedy generation differs, or when the mean loss differs by more than
1e-3. The file must be written with type=f32. Tried with gguf 0.19.0 and llama-cpp-python 0.3.36.
"""
import sys

import numpy
import torch
import transformers
from gguf import GGUFReader
from llama_cpp import Llama, llama_model_quantize, llama_model_quantize_default_params


def loss(logits, tokens):
    logits = torch.tensor(numpy.asarray(logits), dtype=torch.float64)
    return torch.nn.functional.cross_entropy(logits[:-1], torch.tensor(tokens[1:])).item()


def main(path, folder, text):
    reader = GGUFReader(path)
    architecture = bytes(reader.fields["general.architecture"].parts[-1]).decode()
    model = Llama(path, n_ctx=512, logits_all=True, type_k=0, type_v=0, verbose=False)
    words = open(text, encoding="utf-8").read()[:1200]
    tokenizer = transformers.PreTrainedTokenizerFast(tokenizer_file=folder + "/tokenizer.json")
    tokens = tokenizer.encode(words)[:256]
    good = model.tokenize(words.encode(), add_bos=True)[:256] == tokens
    print(path, architecture, len(reader.tensors), "tensors; tokens", "equal" if good else "DIFFER")

    reference = transformers.AutoModelForCausalLM.from_pretrained(
        folder, torch_dtype=torch.float32, trust_remote_code=True).eval()
    with torch.no_grad():
        wanted = reference(torch.tensor([tokens]), use_cache=False).logits[0].numpy()
    model.eval(tokens)
    found = model.scores[: len(tokens)]
    error = abs(found - wanted).max() / abs(wanted).max()
    losses = loss(found, tokens), loss(wanted, tokens)
    good = good and error < 1e-4 and abs(numpy.exp(losses[0]) / numpy.exp(losses[1]) - 1) < 1e-3
    print(f"  logits {error:.1e}, perplexity {numpy.exp(losses[0]):.5f}, transformers {numpy.exp(losses[1]):.5f}")

    prompt = tokens[:16]
    settings = dict(max_new_tokens=24, do_sample=False, eos_token_id=None, pad_token_id=0)
    continued = reference.generate(torch.tensor([prompt]), **settings)[0, len(prompt):].tolist()
    model.reset()
    model.eval(prompt)
    generated = []
    while len(generated) < len(continued):
        generated.append(int(model.scores[model.n_tokens - 1].argmax()))
        model.eval(generated[-1:])
    good = good and generated == continued
    print("  greedy generation", "equal" if generated == continued else "DIFFERS")

    for name, number in (("Q8_0", 7), ("Q4_K_M", 15)):
        parameters = llama_model_quantize_default_params()
        parameters.ftype = number
        copy = path + "." + name
        status = llama_model_quantize(path.encode(), copy.encode(), parameters)
        quantized = Llama(copy, n_ctx=512, logits_all=True, type_k=0, type_v=0, verbose=False)
        quantized.eval(tokens)
        print(f"  {name}: status {status}, perplexity {numpy.exp(loss(quantized.scores[: len(tokens)], tokens)):.5f}")
        good = good and status == 0
    return good


if __name__ == "__main__":
    sys.exit(0 if main(*sys.argv[1:4]) else 1)
