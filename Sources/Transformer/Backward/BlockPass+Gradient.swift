import Numerics

/// What a branch's derivative needs from its forward pass.
struct BranchTrace {
  /// The residual stream that enters the branch.
  let input: Matrix<Float>
  /// What the input maps made: queries and keys rotated, the gate not activated.
  let projected: Matrix<Float>
  /// The input of the output map.
  let mixed: Matrix<Float>
}

extension BlockPass {
  /// The forward pass, from the residual stream that enters the block, which stays as it is, up to the input of the last
  /// output map.
  func trace(_ input: Matrix<Float>) throws -> PerModule<BranchTrace> {
    let attention = try trace(input, block[.attention])
    let residual = kept.matrix(.residual, tokens, input.columns)
    residual.assign(input)
    try add(attention.mixed, block[.attention], to: residual)
    return PerModule(attention: attention, ffn: try trace(residual, block[.ffn]))
  }

  private func trace(_ input: Matrix<Float>, _ branch: Branch) throws -> BranchTrace {
    let projected = try projected(normalized(input, branch), branch)
    return BranchTrace(input: input, projected: projected, mixed: try mixed(projected, branch))
  }

  /// The derivative by the input of the output map: `∂L/∂y · Wo`, where y leaves the branch.
  func mixedGradient(_ gradient: Matrix<Float>, _ branch: Branch) -> Matrix<Float> {
    let result = scratch.matrix(.mixedGradient, tokens, branch.output.inputs)
    branch.output.applyBackward(gradient, into: result)
    return result
  }

  /// Turns the derivative by what leaves a branch into that by what enters it: the residual sum passes its derivative on
  /// and adds that of the branch.
  ///
  /// - Parameters:
  ///   - dMixed: the derivative by the input of the output map.
  ///   - gradient: on entry by what leaves, on return by what enters: tokens × d.
  func goBack(
    _ trace: BranchTrace, _ branch: Branch, _ dMixed: Matrix<Float>, through gradient: Matrix<Float>
  ) throws {
    guard !branch.units.isEmpty else { return }
    let dProjected = scratch.matrix(.projectedGradient, tokens, branch.input.outputs)
    switch branch.mix {
    case .attention:
      attention.gradient(trace.projected, dMixed, into: dProjected)
      rotate(dProjected, branch, direction: -1)
    case .gated:
      let (gate, up) = (branch.rows(of: .gate), branch.rows(of: .up))
      gatedGradient(
        trace.projected.columns(gate), trace.projected.columns(up), dMixed, into: dProjected.columns(gate),
        dProjected.columns(up))
    case .ungated: ungatedGradient(trace.projected, dMixed, into: dProjected)
    }
    let dx = scratch.matrix(.normalizedGradient, tokens, gradient.columns)
    branch.input.applyBackward(dProjected, into: dx)
    addNormGradient(trace.input, branch.norm, block.configuration, dx, to: gradient)
    try pulse()
  }
}
