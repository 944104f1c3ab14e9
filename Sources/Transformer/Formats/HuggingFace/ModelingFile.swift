/// The Python file that goes with `as=hf`: with it, transformers loads blocks of different sizes
/// (`AutoModelForCausalLM.from_pretrained(folder, trust_remote_code=True)`). Tried with transformers 4.49 and 5.23.
let modelingFile = """
  # A LLaMA whose blocks have sizes of their own: the list `prn_layers` in config.json.
  import torch
  from torch import nn
  from transformers import LlamaConfig, LlamaForCausalLM


  class PrnConfig(LlamaConfig):
      model_type = "prn"

      def __init__(self, *args, prn_layers=None, **kwargs):
          super().__init__(*args, **kwargs)
          self.prn_layers = prn_layers or []


  class NoAttention(nn.Module):
      # A block without attention units: only what its output bias adds, or a linear map for blocks that are gone.
      def __init__(self, old, hidden, size):
          super().__init__()
          self.layer_idx, self.head_dim = old.layer_idx, old.head_dim
          for name in ("q_proj", "k_proj", "v_proj"):
              setattr(self, name, nn.Linear(hidden, 0, bias=size["qkv_bias"]))
          self.is_bridge = size.get("bridge", False)
          self.o_proj = nn.Linear(hidden if self.is_bridge else 0, hidden, bias=size["o_bias"])

      def forward(self, hidden_states, *args, **kwargs):
          cache = kwargs.get("past_key_values", kwargs.get("past_key_value"))
          if cache is not None:  # the cache counts tokens by what its layers hold
              batch, tokens, _ = hidden_states.shape
              nothing = hidden_states.new_zeros(batch, 1, tokens, self.head_dim)
              cache.update(nothing, nothing, self.layer_idx)
          if self.is_bridge:
              return self.o_proj(hidden_states), None
          result = torch.zeros_like(hidden_states)
          return (result if self.o_proj.bias is None else result + self.o_proj.bias), None


  class PrnForCausalLM(LlamaForCausalLM):
      config_class = PrnConfig

      def __init__(self, config):
          super().__init__(config)
          hidden, base = config.hidden_size, self.model.layers[0].self_attn.head_dim
          for layer, size in zip(self.model.layers, config.prn_layers):
              attention, mlp = layer.self_attn, layer.mlp
              if size["heads"] == 0:
                  layer.self_attn = NoAttention(attention, hidden, size)
              else:
                  queries, keys = size["heads"] * base, size["kv_heads"] * base
                  attention.q_proj = nn.Linear(hidden, queries, bias=size["qkv_bias"])
                  attention.k_proj = nn.Linear(hidden, keys, bias=size["qkv_bias"])
                  attention.v_proj = nn.Linear(hidden, keys, bias=size["qkv_bias"])
                  attention.o_proj = nn.Linear(queries, hidden, bias=size["o_bias"])
              mlp.intermediate_size = size["ffn"]
              mlp.gate_proj = nn.Linear(hidden, size["ffn"], bias=size["gate_up_bias"])
              mlp.up_proj = nn.Linear(hidden, size["ffn"], bias=size["gate_up_bias"])
              mlp.down_proj = nn.Linear(size["ffn"], hidden, bias=size["down_bias"])
          self.post_init()

  """
