/// The Python file that goes with `as=hf`: with it, transformers loads blocks of different sizes
/// (`AutoModelForCausalLM.from_pretrained(folder, trust_remote_code=True)`). Tried with transformers 4.49, 5.23 and 5.24.
///
/// - Parameters:
///   - isSliced: whether the residual stream is turned and sliced before every branch.
///   - hasNarrowHeads: whether heads of some block lost rotary pairs or directions of their values.
func modelingFile(for family: Family, isSliced: Bool = false, hasNarrowHeads: Bool = false) -> String {
  let base = family.baseClass ?? Family.llama.className
  let stem = base.hasSuffix("ForCausalLM") ? String(base.dropLast("ForCausalLM".count)) : "GPT2"
  return """
    # A \(stem) whose blocks have sizes of their own: the list `prn_layers` in config.json.
    \(isSliced ? "import inspect\n" : "")import torch
    from torch import nn
    from transformers import \(stem)Config, \(base)
    \(family.isTransposed ? "from transformers.pytorch_utils import Conv1D\n" : "")

    class PrnConfig(\(stem)Config):
        model_type = "\(family.modelTypes[0])"

        def __init__(self, *args, prn_layers=None, prn_width=None, prn_heads=None, **kwargs):
            super().__init__(*args, **kwargs)
            self.prn_layers, self.prn_width, self.prn_heads = prn_layers or [], prn_width, prn_heads


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

    \(family.isTransposed ? noNeurons : linearMap)\(hasNarrowHeads ? narrowAttention : "")\(isSliced ? slicedLayer : "")
    class PrnForCausalLM(\(base)):
        config_class = PrnConfig\(hasNarrowHeads ? "\n    _supports_flash_attn = _supports_flash_attn_2 = False" : "")

        def __init__(self, config):
            super().__init__(config)
    \(family.isTransposed ? transposedSurgery : surgery)\(isSliced ? slicing : "")
            self.post_init()

    """
}

/// A linear map of a block.
private let linearMap = """

  def linear(name, inputs, outputs, size):
      # A linear map, or W = B A as two: A, then B with the bias.
      part = {"o_proj": "o", "down_proj": "down"}.get(name, "qkv" if name[0] in "qkv" else "gate_up")
      bias, rank = size[part + "_bias"], size.get("ranks", {}).get(name)
      if rank is None:
          return nn.Linear(inputs, outputs, bias=bias)
      return nn.Sequential(nn.Linear(inputs, rank, bias=False), nn.Linear(rank, outputs, bias=bias))


  """

private let surgery = """
          hidden, base = config.prn_width or config.hidden_size, self.model.layers[0].self_attn.head_dim
          for place, (layer, size) in enumerate(zip(self.model.layers, config.prn_layers)):
              attention, mlp = layer.self_attn, layer.mlp
              head = (config.prn_heads or {place: None})[place] or {}
              key, value = 2 * len(head["pairs"][0]) if head.get("pairs") else base, head.get("value", base)
              mixed = hidden if size.get("bridge") else size["heads"] * value
              maps = dict(
                  q_proj=linear("q_proj", hidden, size["heads"] * key, size),
                  k_proj=linear("k_proj", hidden, size["kv_heads"] * key, size),
                  v_proj=linear("v_proj", hidden, size["kv_heads"] * value, size),
                  o_proj=linear("o_proj", mixed, hidden, size))
              if size["heads"] == 0:
                  adds = lambda self, x: self.o_proj.bias
                  if size.get("bridge"):
                      adds = lambda self, x: self.o_proj(x)
                  norms = {name: norm for name in ("q_norm", "k_norm") if (norm := getattr(attention, name, None))}
                  layer.self_attn = NoAttention(attention, adds, **maps, **norms)
              elif head:
                  layer.self_attn = NarrowAttention(attention, size, head, **maps)
              else:
                  attention.num_key_value_groups = size["heads"] // size["kv_heads"]
                  for name, value in maps.items():
                      setattr(attention, name, value)
              mlp.intermediate_size = size["ffn"]
              mlp.gate_proj = linear("gate_proj", hidden, size["ffn"], size)
              mlp.up_proj = linear("up_proj", hidden, size["ffn"], size)
              mlp.down_proj = linear("down_proj", size["ffn"], hidden, size)
  """

/// Attention of heads that have lost features.
private let narrowAttention = """

  class NarrowAttention(nn.Module):
      # Queries and keys have some of the rotary pairs of their key-value head, values fewer directions. Each pair turns as it
      # did, and the scores are scaled as those of whole heads.
      def __init__(self, old, size, head, **maps):
          super().__init__()
          self.layer_idx, self.head_dim, self.scaling = old.layer_idx, old.head_dim, old.scaling
          self.heads, self.groups = size["heads"], size["heads"] // size["kv_heads"]
          self.q_norm, self.k_norm = getattr(old, "q_norm", None), getattr(old, "k_norm", None)
          half = old.head_dim // 2
          self.features = [[*pairs, *(pair + half for pair in pairs)] for pairs in head["pairs"] or []]
          for name, value in maps.items():
              setattr(self, name, value)

      def split(self, x, heads, norm=None):
          if norm is not None and norm.weight.numel() == x.shape[-1]:
              x, norm = norm(x), None
          x = x.view(*x.shape[:-1], heads, -1).transpose(1, 2)
          return x if norm is None else norm(x)

      def turn(self, x, cos, sin):
          x, rest = x[..., : cos.shape[-1]], x[..., cos.shape[-1] :]
          a, b = x.chunk(2, dim=-1)
          return torch.cat([x * cos + torch.cat([-b, a], dim=-1) * sin, rest], dim=-1)

      def forward(self, hidden_states, position_embeddings, attention_mask=None, **kwargs):
          queries = self.split(self.q_proj(hidden_states), self.heads, self.q_norm)
          keys = self.split(self.k_proj(hidden_states), self.heads // self.groups, self.k_norm)
          values = self.split(self.v_proj(hidden_states), self.heads // self.groups)
          if self.features:
              cos, sin = (table[:, :, self.features].transpose(1, 2) for table in position_embeddings)
          else:
              cos, sin = (table[:, None].expand(-1, keys.shape[1], -1, -1) for table in position_embeddings)
          queries = self.turn(queries, *(table.repeat_interleave(self.groups, dim=1) for table in (cos, sin)))
          keys = self.turn(keys, cos, sin)
          cache = next((kwargs[key] for key in ("past_key_values", "past_key_value") if key in kwargs), None)
          if cache is not None:
              keys, values = cache.update(keys, values, self.layer_idx)
          keys, values = (part.repeat_interleave(self.groups, dim=1) for part in (keys, values))
          if attention_mask is not None:
              attention_mask = attention_mask[..., : keys.shape[-2]]
          mixed = nn.functional.scaled_dot_product_attention(
              queries, keys, values, attn_mask=attention_mask, scale=self.scaling,
              is_causal=attention_mask is None and queries.shape[-2] > 1)
          return self.o_proj(mixed.transpose(1, 2).flatten(2)), None


  """

/// A block in a sliced stream, from the parts of the class's own.
private let slicedLayer = """

  class SlicedLayer(nn.Module):
      # The residual stream is turned into another basis on its way around attention and MLP, and sliced to its main
      # directions; norms have no weights and divide by the root mean square over all directions of the whole stream.
      def __init__(self, old, config, leaving, returns_tuple):
          super().__init__()
          self.self_attn, self.mlp = old.self_attn, old.mlp
          self.attention_shortcut = nn.Linear(config.prn_width, config.prn_width, bias=False)
          self.ffn_shortcut = nn.Linear(config.prn_width, leaving, bias=False)
          self.whole, self.epsilon, self.returns_tuple = config.hidden_size, config.rms_norm_eps, returns_tuple
          if hasattr(old, "attention_type"):
              self.attention_type = old.attention_type

      def norm(self, x):
          wide = x.float()
          return (wide * torch.rsqrt(wide.square().sum(-1, keepdim=True) / self.whole + self.epsilon)).to(x.dtype)

      def forward(self, hidden_states, **kwargs):
          x = self.attention_shortcut(hidden_states) + self.self_attn(
              hidden_states=self.norm(hidden_states), **kwargs)[0]
          x = self.ffn_shortcut(x) + self.mlp(self.norm(x))
          return (x,) if self.returns_tuple else x


  """

/// The layers in a sliced stream, which is whole again behind the last block.
private let slicing = """

          # A layer of transformers 4 returns a tuple, one of 5 the stream alone.
          returns_tuple = "layer_outputs" in inspect.getsource(type(self.model).forward)
          self.model.embed_tokens = nn.Embedding(config.vocab_size, hidden, config.pad_token_id)
          mlp.down_proj = linear("down_proj", size["ffn"], config.hidden_size, size)
          for place, layer in enumerate(self.model.layers):
              leaving = config.hidden_size if place + 1 == len(self.model.layers) else hidden
              self.model.layers[place] = SlicedLayer(layer, config, leaving, returns_tuple)
  """

/// A block without neurons: transformers' Conv1D cannot multiply nothing.
private let noNeurons = """

  class NoNeurons(nn.Module):
      # A block without neurons: only what its output bias adds.
      def __init__(self, old):
          super().__init__()
          self.c_fc, self.c_proj = old.c_fc, old.c_proj

      def forward(self, hidden_states):
          return torch.zeros_like(hidden_states) + self.c_proj.bias


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
              if size["ffn"] == 0:
                  block.mlp = NoNeurons(mlp)
  """
