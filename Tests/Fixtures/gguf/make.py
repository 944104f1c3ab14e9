"""Makes blocks.gguf and blocks.safetensors: blocks of every kind that prn reads, and the numbers that gguf's own
`quants.dequantize` gives for them; and some folders of ../transformer as GGUF files, with the names that gguf's own table
gives their tensors and the keys that llama.cpp's converter writes.

    python make.py

A block is random bytes with finite scales, so that every bit counts. Made with gguf 0.19.0, numpy 2.4.6, safetensors
0.8.0 and transformers 5.24.0.
"""
import os

import numpy
from gguf import GGML_QUANT_SIZES, GGMLQuantizationType as Kind, GGUFWriter, MODEL_ARCH_NAMES, get_tensor_name_map, quants
from safetensors.numpy import save_file
from safetensors.torch import load_file
from transformers import AutoConfig, AutoModelForCausalLM

FOLDER = os.path.dirname(os.path.abspath(__file__))
# Where halves stand in a block that must be finite.
SCALES = {Kind.Q4_0: [0], Kind.Q4_1: [0, 2], Kind.Q5_0: [0], Kind.Q5_1: [0, 2], Kind.Q8_0: [0], Kind.Q4_K: [0, 2],
          Kind.Q5_K: [0, 2], Kind.Q6_K: [208]}


def blocks():
    random = numpy.random.default_rng(11)
    writer = GGUFWriter(os.path.join(FOLDER, "blocks.gguf"), "none")
    expected = {}
    for kind, places in SCALES.items():
        numbers, size = GGML_QUANT_SIZES[kind]
        rows, blocks = 3, 2
        data = random.integers(0, 256, (rows, blocks, size), dtype=numpy.uint8)
        for place in places:
            halves = random.normal(0, 0.5, (rows, blocks)).astype("<f2")
            # The smallest and the largest halves, and zero.
            halves[0, 0], halves[1, 0], halves[2, 1] = 6e-8, 65504, 0
            data[:, :, place:place + 2] = halves[..., None].view(numpy.uint8)
        data = data.reshape(rows, blocks * size)
        writer.add_tensor(kind.name.lower(), data, raw_dtype=kind)
        expected[kind.name.lower()] = quants.dequantize(data, kind)
    plain = random.normal(0, 1, (3, 8)).astype(numpy.float32)
    for kind in (Kind.F32, Kind.F16, Kind.BF16):
        data = quants.quantize(plain, kind)
        writer.add_tensor(kind.name.lower(), data, raw_dtype=kind)
        expected[kind.name.lower()] = quants.dequantize(data, kind)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    save_file({name: numpy.ascontiguousarray(value, dtype=numpy.float32) for name, value in expected.items()},
              os.path.join(FOLDER, "blocks.safetensors"))


# Names of llama.cpp's architectures by those of the folders.
MODELS = {"gqa-tied": "llama", "llama3": "llama", "qwen2": "qwen2", "qwen3": "qwen3", "olmo2": "olmo2", "phi3": "phi3"}


def paired(weight, heads):
    """Rows of a query or key map as llama.cpp wants them in its architecture `llama`: what turns together is adjacent."""
    return weight.reshape(heads, 2, weight.shape[0] // heads // 2, *weight.shape[1:]).swapaxes(1, 2).reshape(weight.shape)


def model(name, architecture):
    folder = os.path.join(FOLDER, "../transformer", name)
    config = AutoConfig.from_pretrained(folder)
    heads, groups = config.num_attention_heads, config.num_key_value_heads
    size = getattr(config, "head_dim", None) or config.hidden_size // heads
    writer = GGUFWriter(os.path.join(FOLDER, name + ".gguf"), architecture)
    writer.add_vocab_size(config.vocab_size)
    writer.add_context_length(config.max_position_embeddings)
    writer.add_embedding_length(config.hidden_size)
    writer.add_block_count(config.num_hidden_layers)
    writer.add_feed_forward_length(config.intermediate_size)
    writer.add_head_count(heads)
    writer.add_head_count_kv(groups)
    writer.add_layer_norm_rms_eps(config.rms_norm_eps)
    writer.add_rope_freq_base(config.rope_parameters["rope_theta"])
    writer.add_rope_dimension_count(size)
    if size * heads != config.hidden_size:
        writer.add_key_length(size)
        writer.add_value_length(size)
    table = get_tensor_name_map(next(key for key, value in MODEL_ARCH_NAMES.items() if value == architecture),
                                config.num_hidden_layers)
    rotation = AutoModelForCausalLM.from_pretrained(folder).model.rotary_emb.inv_freq.numpy()
    plain = config.rope_parameters["rope_theta"] ** (-numpy.arange(0, size, 2) / size)
    if abs(plain / rotation - 1).max() > 1e-3:
        writer.add_tensor("rope_freqs.weight", (plain / rotation).astype(numpy.float32))
    for key, value in load_file(os.path.join(folder, "model.safetensors")).items():
        value = value.float().numpy()
        if architecture == "llama" and "q_proj" in key:
            value = paired(value, heads)
        if architecture == "llama" and "k_proj" in key:
            value = paired(value, groups)
        writer.add_tensor(table.get_name(key, try_suffixes=(".weight", ".bias")), numpy.ascontiguousarray(value))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


if __name__ == "__main__":
    blocks()
    for name, architecture in MODELS.items():
        model(name, architecture)
