import Numerics

/// One block running over one batch. A branch passes the stages in the order of the methods:
///
///     norm(x)  →  projected = norm(x) Wᵀ + b  →  mixed = attention(rotate(projected)), act(gate) ∘ up or act(up)
///     x ← x + mixed Woᵀ + b
///
/// In a family whose branches end with their norms, the first stage leaves x as it is and the last adds norm(mixed Woᵀ + b).
///
/// Work is cut by sizes alone, so the bits do not depend on the number of threads.
struct BlockPass {
  let block: Block
  let batch: Batch
  let rotation: RotationTables?
  let scratch: Scratch
  /// Keys and values of what stands before the batch; each pass adds its own.
  let cache: KeyValueCache?
  /// Where what the backward pass needs is kept: what the maps read and what they make.
  let kept: Scratch
  /// Called between chunks of work; may throw to stop.
  let pulse: () throws -> Void

  init(
    _ block: Block, _ batch: Batch, _ rotation: RotationTables?, _ scratch: Scratch, kept: Scratch? = nil,
    cache: KeyValueCache? = nil, pulse: @escaping () throws -> Void
  ) {
    self.block = block
    self.batch = batch
    self.rotation = rotation
    self.scratch = scratch
    self.cache = cache
    self.kept = kept ?? scratch
    self.pulse = pulse
  }

  var tokens: Int { batch.rows.count }

  /// The residual stream behind the branch's norm; the stream itself where the norm comes last.
  ///
  /// - Parameter x: tokens × d, the stream that enters the branch.
  func normalized(_ x: Matrix<Float>, _ branch: Branch) -> Matrix<Float> {
    if block.configuration.family.normsOutput { return x }
    let normalized = scratch.matrix(.normalized, tokens, x.columns)
    normalize(x, branch.norm, block.configuration, into: normalized)
    return normalized
  }

  /// What the input maps make of the normalised stream: queries and keys already normed, not yet rotated, the gate not yet
  /// activated.
  func projected(_ normalized: Matrix<Float>, _ branch: Branch) throws -> Matrix<Float> {
    if case .passing = branch.mix {
      let passed = kept.matrix(.projected(branch.module), tokens, normalized.columns)
      passed.assign(normalized)
      return passed
    }
    let projected = kept.matrix(.projected(branch.module), tokens, branch.input.outputs)
    try branch.input.apply(normalized.columns(0..<branch.input.inputs), into: projected, pulse: pulse)
    if case .attention = branch.mix {
      for part in normedParts(branch) {
        let raw = kept.matrix(.unnormalized(part.role), tokens, part.columns.count)
        raw.assign(projected.columns(part.columns))
        part.normalize(raw, into: projected.columns(part.columns))
      }
    }
    return projected
  }

  /// The input of the output map: all heads side by side, or h. Queries and keys are rotated where they stand.
  func mixed(_ projected: Matrix<Float>, _ branch: Branch) throws -> Matrix<Float> {
    if case .passing = branch.mix { return projected }
    let mixed = kept.matrix(.mixed(branch.module), tokens, branch.output.inputs)
    switch branch.mix {
    case .attention:
      rotate(projected, branch, direction: 1)
      let own = attention.keysAndValues(projected)
      attention.run(projected, cache?.adding(own, layer: block.layer) ?? own, into: mixed)
      try pulse()
    case .gated(let activation):
      activate(
        projected.columns(branch.rows(of: .gate)), times: projected.columns(branch.rows(of: .up)), activation,
        into: mixed)
    case .ungated(let activation): activate(projected, times: nil, activation, into: mixed)
    case .passing: break
    }
    return mixed
  }

  /// The columns of `projected` that pass a norm of their own.
  func normedParts(_ branch: Branch) -> [NormedPart] {
    branch.outputNorms.keys.sorted { $0.rawValue < $1.rawValue }.map { NormedPart(branch, $0, layer: block.layer) }
  }

  /// `x ← x + mixed Woᵀ + b`, or `x ← x Sᵀ + mixed Woᵀ + b`
  func add(_ mixed: Matrix<Float>, _ branch: Branch, to x: Matrix<Float>) throws {
    if block.configuration.family.normsOutput {
      let normalized = scratch.matrix(.normalized, tokens, x.columns)
      normalize(try branchOutput(mixed, branch), branch.norm, block.configuration, into: normalized)
      x.add(normalized)
      return
    }
    if let shortcut = branch.shortcut {
      let turned = scratch.matrix(.turned, tokens, shortcut.outputs)
      try shortcut.apply(x.columns(0..<shortcut.inputs), into: turned, pulse: pulse)
      x.columns(0..<shortcut.outputs).assign(turned)
      x.columns(shortcut.outputs..<x.columns).clear()
    }
    let (read, written) = (mixed.columns(0..<branch.output.inputs), x.columns(0..<branch.output.outputs))
    try branch.output.apply(read, into: written, adding: true, pulse: pulse)
  }

  /// `mixed Woᵀ + b`
  func branchOutput(_ mixed: Matrix<Float>, _ branch: Branch) throws -> Matrix<Float> {
    let output = scratch.matrix(.branchOutput, tokens, branch.output.outputs)
    if mixed.columns == 0 { output.assign(Matrix(rows: tokens, columns: output.columns)) }
    try branch.output.apply(mixed, into: output, pulse: pulse)
    return output
  }

  /// What a site between the maps shows of `projected`.
  func signal(_ site: Site, of projected: Matrix<Float>, _ branch: Branch) -> Matrix<Float> {
    let part = projected.columns(branch.rows(of: site.role))
    guard site == .gate else { return part }
    let gate = scratch.matrix(.gate, tokens, part.columns)
    activate(part, times: nil, block.configuration.activation, into: gate)
    return gate
  }

  var attention: Attention { Attention(block, batch.spans, scratch.scores) }

  /// Turns queries and keys in place by their positions, or back with `direction` -1.
  func rotate(_ projected: Matrix<Float>, _ branch: Branch, direction: Float) {
    guard let rotation else { return }
    let size = branch.heads.size.key
    let queries = (0..<branch.columns(.queries) / size).map(block.configuration.keyValueHead)
    let keys = 0..<branch.columns(.keys) / size
    turn(
      projected, heads: queries.count + keys.count, headSize: size,
      pairs: branch.heads.pairs.map { pairs in (queries + keys).map { pairs[$0] } }, batch.positions, rotation,
      direction)
  }

  /// `values` at the width of the unpruned model, zeros where units are gone.
  func scattered(_ values: Matrix<Float>, _ branch: Branch, _ space: Space, _ use: Scratch.Use) -> Matrix<Float> {
    if space == .model { return values }
    let width = block.configuration.size(space, layer: block.layer)
    let values = branch.units.isEmpty ? Matrix(rows: values.rows, columns: 0) : values
    guard values.columns < width else { return values }
    let result = scratch.matrix(use, values.rows, width)
    scatter(values, to: branch.originals(space), in: result)
    return result
  }
}

extension Branch {
  /// What the branch's maps read of a residual stream, tokens × d: the stream behind the norm, or as it is where the norm
  /// comes last.
  public func normalized(_ x: Matrix<Float>) -> Matrix<Float> {
    if configuration.family.normsOutput { return x }
    let result = Matrix<Float>(rows: x.rows, columns: x.columns)
    normalize(x, norm, configuration, into: result)
    return result
  }
}
