import Numerics

/// What a block's derivative needs from its forward pass.
struct BlockTrace {
  /// The residual stream that enters the block.
  let input: Matrix<Float>
  /// Rotated.
  let queryKeyValue: Matrix<Float>
  /// The residual stream after attention.
  let residual: Matrix<Float>
  /// Before the activation function.
  let gateUp: Matrix<Float>
  /// The input of the down projection.
  let h: Matrix<Float>
}

extension BlockPass {
  /// The forward pass up to h, from the residual stream that enters the block, which stays as it is.
  func trace(_ input: Matrix<Float>) throws -> BlockTrace {
    let heads = try heads(input)
    let residual = kept.matrix(.residual, tokens, block.hiddenSize)
    residual.assign(input)
    try addAttention(heads, to: residual)
    let gateUp = try gateUp(residual).gateUp
    return BlockTrace(
      input: input, queryKeyValue: kept.matrix(.queryKeyValue, tokens, block.queryKeyValue.rows), residual: residual,
      gateUp: gateUp, h: activation(gateUp))
  }

  /// `∂L/∂h = ∂L/∂y · W_down`, where y leaves the block.
  func activationGradient(_ gradient: Matrix<Float>) -> Matrix<Float> {
    let result = scratch.matrix(.activationGradient, tokens, block.neurons.count)
    multiply(gradient, block.down, into: result)
    return result
  }

  /// Turns the derivative by what leaves the block into that by what enters it.
  ///
  /// - Parameters:
  ///   - dh: the derivative by h.
  ///   - gradient: on entry by what leaves, on return by what enters: tokens × d.
  func goBack(_ trace: BlockTrace, _ dh: Matrix<Float>, through gradient: Matrix<Float>) throws {
    let dx = scratch.matrix(.normalizedGradient, tokens, block.hiddenSize)

    // Feed-forward: each residual sum passes its derivative on and adds that of its branch.
    if !block.neurons.isEmpty {
      let dGateUp = scratch.matrix(.gateUpGradient, tokens, block.gateUp.rows)
      let (up, dUp) = (trace.gateUp.columns(block.upColumns), dGateUp.columns(block.upColumns))
      if block.isGated {
        let gate = 0..<block.neurons.count
        gatedGradient(trace.gateUp.columns(gate), up, dh, into: dGateUp.columns(gate), dUp)
      } else {
        ungatedGradient(up, dh, into: dUp)
      }
      multiply(dGateUp, block.gateUp, into: dx)
      addNormGradient(trace.residual, block.postNorm, block.configuration, dx, to: gradient)
      try pulse()
    }

    if block.heads > 0 {
      let dHeads = scratch.matrix(.headsGradient, tokens, block.heads * block.headSize)
      multiply(gradient, block.output, into: dHeads)
      let dQueryKeyValue = scratch.matrix(.queryKeyValueGradient, tokens, block.queryKeyValue.rows)
      attention.gradient(trace.queryKeyValue, dHeads, into: dQueryKeyValue)
      rotate(dQueryKeyValue, direction: -1)
      multiply(dQueryKeyValue, block.queryKeyValue, into: dx)
      addNormGradient(trace.input, block.inputNorm, block.configuration, dx, to: gradient)
      try pulse()
    }
  }
}
