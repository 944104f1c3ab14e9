/// The Python file that goes with `as=hf`: with it, transformers loads blocks of different sizes
/// (`AutoModelForCausalLM.from_pretrained(folder, trust_remote_code=True)`). Tried with transformers 4.49, 5.23 and 5.24.
func modelingFile(for family: Family) -> String {
  let base = family.baseClass ?? Family.llama.className
  let stem = base.hasSuffix("ForCausalLM") ? String(base.dropLast("ForCausalLM".count)) : "GPT2"
  return """
    # A \(stem) whose blocks have sizes of their own: the list `prn_layers` in config.json.
    import torch
    from torch import nn
    from transformers import \(stem)Config, \(base)
    \(family.isTransposed ? "from transformers.pytorch_utils import Conv1D\n" : "")

    class PrnConfig(\(stem)Config):
        model_type = "\(family.modelTypes[0])"

        def __init__(self, *args, prn_layers=None, **kwargs):
            super().__init__(*args, **kwargs)
            self.prn_layers = prn_layers or []


    class NoAttention(nn.Module):
        # A block without attention units: only what its output bias adds, or a linear map for blocks that are gone.
        def __init__(self, old, bias, **maps):
            super().__init__()
            self.layer_idx, self.head_dim = old.layer_idx, old.head_dim
            for name, value in maps.items():
                setattr(self, name, value)
            self.bias = bias

        def forward(self, hidden_states, *args, **kwargs):
            cache = next((kwargs[key] for key in ("cache", "past_key_values", "past_key_value") if key in kwargs), None)
            if cache is not None:  # the cache counts tokens by what its layers hold
                batch, tokens, _ = hidden_states.shape
                nothing = hidden_states.new_zeros(batch, 1, tokens, self.head_dim)
                cache.update(nothing, nothing, self.layer_idx)
            result, bias = torch.zeros_like(hidden_states), self.bias(self, hidden_states)
            return (result if bias is None else result + bias), None


    class PrnForCausalLM(\(base)):
        config_class = PrnConfig

        def __init__(self, config):
            super().__init__(config)
    \(family.isTransposed ? transposedSurgery : surgery)
            self.post_init()

    """
}

private let surgery = """
          hidden, base = config.hidden_size, self.model.layers[0].self_attn.head_dim
          for layer, size in zip(self.model.layers, config.prn_layers):
              attention, mlp = layer.self_attn, layer.mlp
              queries, keys = size["heads"] * base, size["kv_heads"] * base
              maps = dict(
                  q_proj=nn.Linear(hidden, queries, bias=size["qkv_bias"]),
                  k_proj=nn.Linear(hidden, keys, bias=size["qkv_bias"]),
                  v_proj=nn.Linear(hidden, keys, bias=size["qkv_bias"]),
                  o_proj=nn.Linear(hidden if size.get("bridge") else queries, hidden, bias=size["o_bias"]))
              if size["heads"] == 0:
                  adds = lambda self, x: self.o_proj.bias
                  if size.get("bridge"):
                      adds = lambda self, x: self.o_proj(x)
                  norms = {name: norm for name in ("q_norm", "k_norm") if (norm := getattr(attention, name, None))}
                  layer.self_attn = NoAttention(attention, adds, **maps, **norms)
              else:
                  attention.num_key_value_groups = size["heads"] // size["kv_heads"]
                  for name, value in maps.items():
                      setattr(attention, name, value)
              mlp.intermediate_size = size["ffn"]
              mlp.gate_proj = nn.Linear(hidden, size["ffn"], bias=size["gate_up_bias"])
              mlp.up_proj = nn.Linear(hidden, size["ffn"], bias=size["gate_up_bias"])
              mlp.down_proj = nn.Linear(size["ffn"], hidden, bias=size["down_bias"])
  """

/// GPT-2's linear maps are stored with inputs as rows, and those of attention in one.
private let transposedSurgery = """
          hidden = config.n_embd
          for block, size in zip(self.transformer.h, config.prn_layers):
              attention, mlp = block.attn, block.mlp
              queries = size["heads"] * attention.head_dim
              maps = dict(c_attn=Conv1D(3 * queries, hidden), c_proj=Conv1D(hidden, queries))
              if queries == 0:
                  block.attn = NoAttention(attention, lambda self, x: self.c_proj.bias, **maps)
              else:
                  attention.split_size = queries
                  for name, value in maps.items():
                      setattr(attention, name, value)
              mlp.c_fc, mlp.c_proj = Conv1D(size["ffn"], hidden), Conv1D(hidden, size["ffn"])
  """
