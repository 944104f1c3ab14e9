import Numerics

/// What a branch's derivative needs from its forward pass.
struct BranchTrace {
  /// The residual stream that enters the branch.
  let input: Matrix<Float>
  /// What the input maps made: queries and keys rotated, the gate not activated.
  let projected: Matrix<Float>
  /// The input of the output map.
  let mixed: Matrix<Float>
  /// Queries and keys as the maps made them, where they pass norms.
  let unnormalized: [LinearRole: Matrix<Float>]
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
    var unnormalized: [LinearRole: Matrix<Float>] = [:]
    for part in normedParts(branch) {
      unnormalized[part.role] = kept.matrix(.unnormalized(part.role), tokens, part.columns.count)
    }
    return BranchTrace(
      input: input, projected: projected, mixed: try mixed(projected, branch), unnormalized: unnormalized)
  }

  /// The derivative by the input of the output map: `∂L/∂y · Wo`, where y leaves that map.
  func mixedGradient(
    _ gradient: Matrix<Float>, _ trace: BranchTrace, _ branch: Branch
  ) throws -> Matrix<Float> {
    let result = scratch.matrix(.mixedGradient, tokens, branch.output.inputs)
    guard block.configuration.family.normsOutput else {
      branch.output.applyBackward(gradient.columns(0..<branch.output.outputs), into: result)
      return result
    }
    let dOutput = scratch.matrix(.branchOutputGradient, tokens, gradient.columns)
    dOutput.assign(Matrix(rows: tokens, columns: gradient.columns))
    addNormGradient(try branchOutput(trace.mixed, branch), branch.norm, block.configuration, gradient, to: dOutput)
    branch.output.applyBackward(dOutput, into: result)
    return result
  }

  /// Turns the derivative by what leaves a branch into that by what enters it: the residual sum passes its derivative on
  /// and adds that of the branch.
  ///
  /// - Parameters:
  ///   - dMixed: the derivative by the input of the output map.
  ///   - gradient: on entry by what leaves, on return by what enters: tokens × d.
  ///   - look: shown what the derivatives by the branch's weights are made of.
  func goBack(
    _ trace: BranchTrace, _ branch: Branch, _ dMixed: Matrix<Float>, through gradient: Matrix<Float>,
    look: ((BranchGradient) throws -> Void)? = nil
  ) throws {
    guard branch.output.inputs > 0 else { return turnBack(gradient, branch) }
    let dProjected = scratch.matrix(.projectedGradient, tokens, branch.input.outputs)
    switch branch.mix {
    case .attention:
      attention.gradient(trace.projected, dMixed, into: dProjected)
      rotate(dProjected, branch, direction: -1)
      for part in normedParts(branch) {
        guard let raw = trace.unnormalized[part.role] else { continue }
        let dRaw = scratch.matrix(.unnormalizedGradient, tokens, part.columns.count)
        part.gradient(raw, dProjected.columns(part.columns), into: dRaw)
        dProjected.columns(part.columns).assign(dRaw)
      }
    case .gated:
      let (gate, up) = (branch.rows(of: .gate), branch.rows(of: .up))
      gatedGradient(
        trace.projected.columns(gate), trace.projected.columns(up), dMixed, into: dProjected.columns(gate),
        dProjected.columns(up))
    case .ungated: ungatedGradient(trace.projected, dMixed, into: dProjected)
    case .passing: break
    }
    // The stream may be narrower here than elsewhere.
    let dx = scratch.matrix(.normalizedGradient, tokens, gradient.columns)
    let width: Int
    if case .passing = branch.mix {
      width = dMixed.columns
      dx.columns(0..<width).assign(dMixed)
    } else {
      width = branch.input.inputs
      branch.input.applyBackward(dProjected, into: dx.columns(0..<width))
    }
    dx.columns(width..<dx.columns).clear()
    if !branch.units.isEmpty { try look?(shown(trace, branch, dMixed, dProjected, dx, gradient)) }
    turnBack(gradient, branch)
    if block.configuration.family.normsOutput {
      gradient.add(dx)
    } else {
      addNormGradient(trace.input, branch.norm, block.configuration, dx, to: gradient)
    }
    try pulse()
  }

  /// The derivative by what enters the way around a branch, from that by what leaves it.
  private func turnBack(_ gradient: Matrix<Float>, _ branch: Branch) {
    guard let shortcut = branch.shortcut else { return }
    let turned = scratch.matrix(.turned, tokens, shortcut.inputs)
    shortcut.applyBackward(gradient.columns(0..<shortcut.outputs), into: turned)
    gradient.columns(0..<shortcut.inputs).assign(turned)
    gradient.columns(shortcut.inputs..<gradient.columns).clear()
  }

  private func shown(
    _ trace: BranchTrace, _ branch: Branch, _ dMixed: Matrix<Float>, _ dProjected: Matrix<Float>, _ dx: Matrix<Float>,
    _ gradient: Matrix<Float>
  ) throws -> BranchGradient {
    let normsOutput = block.configuration.family.normsOutput
    let normalized = normalized(trace.input, branch)
    var normed = normalized
    if normsOutput {
      normed = scratch.matrix(.normalized, tokens, gradient.columns)
      normalize(try branchOutput(trace.mixed, branch), branch.norm, block.configuration, into: normed)
    }
    return BranchGradient(
      layer: block.layer, branch: branch, normalized: normalized.columns(0..<branch.input.inputs),
      projectedGradient: dProjected, mixed: trace.mixed, mixedGradient: dMixed,
      outputGradient: normsOutput
        ? scratch.matrix(.branchOutputGradient, tokens, gradient.columns)
        : gradient.columns(0..<branch.output.outputs),
      norm: (normed, normsOutput ? gradient : dx))
  }
}
