import Numerics

/// One block running over one batch. The methods stand in the order in which they happen:
///
///     heads = attention(rotate(norm(x) Wqkvᵀ + b))      x ← x + heads Woᵀ + b
///     h = act(norm(x) Wgᵀ) ∘ (norm(x) Wuᵀ)              x ← x + h Wdᵀ + b
///
/// Work is cut by sizes alone, so the bits do not depend on the number of threads.
struct BlockPass {
  let block: Block
  let batch: Batch
  let rotation: RotationTables?
  let scratch: Scratch
  /// Where what the backward pass needs is kept: queries, keys and values, gate and up, h.
  let kept: Scratch
  /// Called between pieces of work; may throw to stop.
  let pulse: () throws -> Void

  init(
    _ block: Block, _ batch: Batch, _ rotation: RotationTables?, _ scratch: Scratch, kept: Scratch? = nil,
    pulse: @escaping () throws -> Void
  ) {
    self.block = block
    self.batch = batch
    self.rotation = rotation
    self.scratch = scratch
    self.kept = kept ?? scratch
    self.pulse = pulse
  }

  var tokens: Int { batch.rows.count }

  /// All heads side by side, before the output projection.
  ///
  /// - Parameter x: tokens × d, the residual stream that enters the block.
  func heads(_ x: Matrix<Float>) throws -> Matrix<Float> {
    let normalized = scratch.matrix(.normalized, tokens, block.hiddenSize)
    normalize(x, block.inputNorm, block.configuration, into: normalized)
    let queryKeyValue = kept.matrix(.queryKeyValue, tokens, block.queryKeyValue.rows)
    try linear(normalized, block.queryKeyValue, block.queryKeyValueBias, into: queryKeyValue)
    rotate(queryKeyValue, direction: 1)
    let heads = scratch.matrix(.heads, tokens, block.heads * block.headSize)
    attention.run(queryKeyValue, into: heads)
    try pulse()
    return heads
  }

  var attention: Attention { Attention(block, batch.sequences, scratch.scores) }

  /// `x ← x + heads Woᵀ + b`
  func addAttention(_ heads: Matrix<Float>, to x: Matrix<Float>) throws {
    try linear(heads, block.output, block.outputBias, into: x, adding: true)
  }

  /// The normalised residual stream and what gate and up make of it, before the activation function.
  ///
  /// - Parameter x: tokens × d, the residual stream after attention.
  func gateUp(_ x: Matrix<Float>) throws -> (input: Matrix<Float>, gateUp: Matrix<Float>) {
    let normalized = scratch.matrix(.normalized, tokens, block.hiddenSize)
    normalize(x, block.postNorm, block.configuration, into: normalized)
    let gateUp = kept.matrix(.gateUp, tokens, block.gateUp.rows)
    try linear(normalized, block.gateUp, block.gateUpBias, into: gateUp)
    return (normalized, gateUp)
  }

  /// h, the input of the down projection.
  func activation(_ gateUp: Matrix<Float>) -> Matrix<Float> {
    let h = kept.matrix(.activation, tokens, block.neurons.count)
    let up = gateUp.columns(block.upColumns)
    if block.isGated {
      activate(gateUp.columns(0..<block.neurons.count), times: up, block.configuration.activation, into: h)
    } else {
      activate(up, times: nil, block.configuration.activation, into: h)
    }
    return h
  }

  /// The gate after the activation function, for those who look at it; the forward pass does not need it by itself.
  func activatedGate(_ gateUp: Matrix<Float>) -> Matrix<Float> {
    let gate = scratch.matrix(.gate, tokens, block.neurons.count)
    activate(gateUp.columns(0..<block.neurons.count), times: nil, block.configuration.activation, into: gate)
    return gate
  }

  /// `x ← x + h Wdᵀ + b`
  func addFeedForward(_ h: Matrix<Float>, to x: Matrix<Float>) throws {
    try linear(h, block.down, block.downBias, into: x, adding: true)
  }

  /// `y = x Wᵀ + b`, or `y += x Wᵀ + b`, with a pulse after every 256 rows of a large product.
  func linear(
    _ x: Matrix<Float>, _ W: Matrix<Float>, _ bias: [Float]?, into y: Matrix<Float>, adding: Bool = false
  ) throws {
    let step = 256 * W.count > 1 << 32 ? 256 : max(x.rows, 1)
    for rows in Parallel.ranges(x.rows, of: step) {
      if x.columns > 0 {
        multiply(x.rows(rows), W.T, into: y.rows(rows), beta: adding ? 1 : 0)
      }
      try pulse()
    }
    if let bias { addToRows(y, bias) }
  }

  /// Turns queries and keys in place by their positions, or back with `direction` -1.
  func rotate(_ queryKeyValue: Matrix<Float>, direction: Float) {
    guard let rotation else { return }
    let heads = block.heads + block.keyValueHeads
    turn(queryKeyValue, heads: heads, headSize: block.headSize, batch.positions, rotation, direction)
  }
}
