import Numerics

// How much memory work on a model takes, for what says beforehand whether there is enough. Each number is what the code it
// names allocates at its peak; files that are mapped count as long as their pages are not given back.
extension LanguageModel {
  /// `loadBlock`: the largest block's weights, with the stored tensor that is being read, and a module's weights once more
  /// where some of its units are taken out or other matrices stand for its maps.
  public var blockBytes: Int {
    (0..<layers).map { layer in
      let weights = configuration.linearParameters(layer: layer) * precision.bytesPerWeight
      let tensors = layout.slots.filter { $0.place?.layer == layer }.map { storedBytes($0.name) }
      let modules = Module.allCases.map { module in
        let left = leftUnits(module, layer: layer).count
        let head = module == .attention ? headSizes(layer: layer) : nil
        let isWhole =
          left == configuration.units(module, layer: layer) && head == nil
          && pruning[layer]?[module].maps.isEmpty != false
        return isWhole ? 0 : left * configuration.parametersPerUnit(module, head: head) * precision.bytesPerWeight
      }
      return weights + (tensors.max() ?? 0) + (modules.max() ?? 0)
    }.max() ?? 0
  }

  /// The numbers that `BlockPass` keeps of one token: behind the norm, and on both sides of each mix.
  private var numbersPerToken: Int { configuration.hiddenSize + Module.allCases.reduce(0) { $0 + mixNumbers($1) } }

  /// The numbers on both sides of a module's mix.
  private func mixNumbers(_ module: Module) -> Int {
    (0..<layers).map { layer in
      configuration.inputRoles(module).reduce(configuration.size(module.output.columns, layer: layer)) {
        $0 + configuration.size($1.rows, layer: layer)
      }
    }.max() ?? 0
  }

  /// Tokens of a batch of sequences of at most `longest` tokens.
  private func batch(_ tokens: Int, _ longest: Int) -> Int { min(tokens, max(1024, longest)) }

  private func scoreBytes(_ longest: Int) -> Int { 4 * Parallel.threads * Attention.queryTile * longest }

  /// `Walk`, its block included: hidden states of all tokens, and what one batch needs on its way through a block.
  /// - Parameter longest: tokens of the longest sequence.
  public func walkBytes(tokens: Int, longest: Int) -> Int {
    statesBytes(tokens) + 4 * batch(tokens, longest) * numbersPerToken + scoreBytes(longest) + blockBytes
  }

  /// What of a walk is there when a batch has passed a module.
  public func passedBytes(_ module: Module, tokens: Int, longest: Int) -> Int {
    4 * batch(tokens, longest) * mixNumbers(module)
  }

  /// The residual stream of so many tokens.
  public func statesBytes(_ tokens: Int) -> Int { 4 * tokens * configuration.hiddenSize }

  /// `Head.losses`: a tile of the head's weights, its logits, and the normalised states of one reading.
  public func headBytes(tokens: Int) -> Int {
    let (words, d) = (min(Head.vocabularyTile, configuration.vocabularySize), configuration.hiddenSize)
    let tile = words * d * precision.bytesPerWeight + 4 * min(Head.tokenTile, tokens) * words
    return max(
      storedBytes(layout.head),
      tile + 4 * min(Head.tokensPerReading, tokens) * d
        + storedBytes(layout.head) * words / max(1, configuration.vocabularySize))
  }

  /// `weights(staying:)`: the head and the blocks where they stay, else what reading them takes.
  /// - Parameter tokens: how many pass the head together.
  public func stayingBytes(_ memory: Int, tokens: Int) -> Int {
    let head = configuration.vocabularySize * configuration.hiddenSize * precision.bytesPerWeight
    let keepsHead = head <= memory / 2
    let blocks = blockParameters * precision.bytesPerWeight
    let keepsBlocks = blocks <= memory - (keepsHead ? head : 0)
    return (keepsHead ? head : 0) + headBytes(tokens: tokens) + (keepsBlocks ? blocks : blockBytes)
  }

  /// `gradients`: the weights that stay, the inputs of all blocks and, of one or of all of them, what a batch leaves.
  /// - Parameters:
  ///   - memory: as there.
  ///   - together: whether all tokens are one batch, as in `branchGradients`.
  public func gradientBytes(tokens: Int, longest: Int, memory: Int, together: Bool = false) -> Int {
    let tokens = together ? tokens : batch(tokens, longest)
    let trace = 4 * tokens * numbersPerToken
    // The derivatives of both sides of a mix, one module after the other, and the stream on its way.
    return stayingBytes(memory, tokens: tokens) + (trace * layers <= memory ? trace * layers : trace) + trace / 2
      + (layers + 4) * statesBytes(tokens) + 2 * scoreBytes(longest)
  }

  /// Gram matrices, in double precision, of what the maps of a module read and of what each of them gives.
  public func mapGramBytes(layer: Int) -> PerModule<Int> {
    PerModule { module in
      let units = leftUnits(module, layer: layer).count
      func size(_ space: Space) -> Int {
        1 + (space.module == nil ? configuration.hiddenSize : configuration.size(space, units: units))
      }
      let roles = configuration.roles.filter { $0.module == module }
      let sizes = [size(.model), size(module.output.columns)] + roles.map { size($0.rows) }
      return units == 0 ? 0 : sizes.reduce(0) { $0 + $1 * $1 * MemoryLayout<Double>.stride }
    }
  }

  /// The largest tensor as it is stored.
  public var largestStoredBytes: Int { layout.slots.map { storedBytes($0.name) }.max() ?? 0 }

  /// A tokenizer that is being read, from the size of its file: some 200 bytes for each token and each merge, of which
  /// a `tokenizer.json` has up to 50 in a kilobyte (Llama 3), besides the file itself; the others are lists of short words.
  public var tokenizerBytes: Int {
    func size(_ name: String) -> Int { checkpoint.files.size(of: name) ?? 0 }
    return max(12 * size("tokenizer.json"), 24 * max(size("tokenizer.model"), size("vocab.json")))
  }

  private func storedBytes(_ name: String) -> Int {
    (try? checkpoint.info(ByteString(name)))?.byteRange.count ?? 0
  }
}
