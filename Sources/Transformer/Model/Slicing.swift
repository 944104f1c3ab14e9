import Numerics

/// The directions of the residual stream that are left (SliceGPT, Ashkboos et al. 2024): a basis Q, d×d', of the stream
/// that enters each branch. Columns of a basis are orthonormal.
///
/// A branch reads Qᵀx and writes in the basis R of the stream that it makes; on the way around it the stream is turned:
///
///     x ← (Qᵀ R)ᵀ x + Rᵀ W_o mix(W diag(n) Q norm(x))         norm(x) = x / √(Σ x² / d + ε)
///
/// with d the width of the unpruned model. Norms that subtract the mean lose that, too: the mean is taken out of the
/// embeddings and of what output maps write.
public struct Slicing: Sendable {
  /// Either one basis that serves everywhere, to the end of the model; or one for each branch, in the order of running. The
  /// stream that leaves the last block is then that of the unpruned model.
  public let bases: [Matrix<Float>]

  /// - Parameter bases: d×d' each.
  public init(bases: [Matrix<Float>]) { self.bases = bases }

  /// Whether one basis serves everywhere, so that nothing has to be turned.
  public var isShared: Bool { bases.count == 1 }

  /// d', what is left of the stream between blocks.
  public var width: Int { bases[0].columns }

  /// The basis of the stream that enters a branch.
  public func entering(_ module: Module, layer: Int) -> Matrix<Float> { bases[isShared ? 0 : place(module, layer)] }

  /// The basis of the stream that leaves a branch; nil where that is the stream of the unpruned model.
  public func leaving(_ module: Module, layer: Int) -> Matrix<Float>? {
    if isShared { return bases[0] }
    let next = place(module, layer) + 1
    return next < bases.count ? bases[next] : nil
  }

  /// The basis of the stream that leaves the last block; nil where that is the stream of the unpruned model.
  public var last: Matrix<Float>? { isShared ? bases[0] : nil }

  private func place(_ module: Module, _ layer: Int) -> Int {
    layer * Module.allCases.count + (Module.allCases.firstIndex(of: module) ?? 0)
  }
}

/// How wide the residual stream is at both ends of a branch.
struct StreamWidths {
  let entering: Int
  let leaving: Int
  /// Whether slicing turns the stream on its way around the branch.
  let isTurned: Bool
  /// Whether it stands in the directions of the unpruned model.
  let isWhole: Bool

  /// The whole stream.
  init(_ configuration: Configuration) {
    (entering, leaving) = (configuration.hiddenSize, configuration.hiddenSize)
    (isTurned, isWhole) = (false, true)
  }

  /// Of a sliced stream, which is whole again behind the last branch unless one basis serves everywhere.
  init(_ width: Int, isShared: Bool, _ module: Module, layer: Int, _ configuration: Configuration) {
    let isLast = layer == configuration.layers - 1 && module == Module.allCases.last
    entering = width
    leaving = isLast && !isShared ? configuration.hiddenSize : width
    isTurned = !isShared
    isWhole = false
  }

  /// Of a stream that the checkpoint's own maps turn.
  init(turnedTo width: Int, _ module: Module, layer: Int, _ configuration: Configuration) {
    let turned = StreamWidths(width, isShared: false, module, layer: layer, configuration)
    (entering, leaving) = (turned.entering, turned.leaving)
    (isTurned, isWhole) = (false, false)
  }

  /// Parameters of the map that turns it.
  var shortcut: Int { isTurned ? entering * leaving : 0 }
}

extension Pruning {
  func widths(_ module: Module, layer: Int, _ configuration: Configuration) -> StreamWidths {
    slicing.map { StreamWidths($0.width, isShared: $0.isShared, module, layer: layer, configuration) }
      ?? configuration.streamWidths(module, layer: layer)
  }
}

extension LanguageModel {
  /// d', what is left of the residual stream; nil when all is.
  public var slicedWidth: Int? { pruning.slicing?.width ?? configuration.streamWidth }

  /// Whether the stream has another basis in every branch.
  public var isTurned: Bool { configuration.streamWidth != nil || pruning.slicing?.isShared == false }

  /// Linear parameters that the blocks would have with so much of the residual stream, the maps that turn it included.
  public func blockParameters(slicedTo width: Int, isShared: Bool) -> Int {
    let pruning = pruning.blocks.isEmpty ? Pruning.keepingAll(configuration) : pruning
    return pruning.blocks.indices.reduce(configuration.blockParameters) { left, layer in
      left
        - pruning.removedParameters(layer: layer, configuration) {
          StreamWidths(width, isShared: isShared, $0, layer: layer, configuration)
        }
    }
  }
}

extension Pruning {
  /// Whether the bases fit, and nothing follows a slicing that is made of the whole stream.
  func checkSlicing(_ configuration: Configuration, after earlier: Pruning) throws {
    if earlier.slicing != nil || configuration.streamWidth != nil {
      if slicing != nil { throw ModelError.cannotFollow("a slicing of the residual stream", "another") }
      for (layer, block) in blocks.enumerated() {
        let whats = [
          (block.hasFactors, "two factors of maps"), (block.hasOtherMaps, "other matrices of maps"),
          (block.attention.bridge != nil, "a map"),
        ]
        if let what = whats.first(where: \.0)?.1 {
          throw ModelError.cannotFollow("a slicing of the residual stream", "\(what) in block \(layer)")
        }
      }
    }
    guard let slicing else { return }
    if configuration.family.normsOutput {
      throw ModelError.cannotFollow("a norm that comes last, as in \(configuration.family.name),", "a slicing")
    }
    let (count, d) = (slicing.bases.count, configuration.hiddenSize)
    let branches = configuration.layers * Module.allCases.count
    guard count == 1 || count == branches else {
      throw ModelError.pruningMismatch(layer: 0, what: "bases", found: count, expected: branches)
    }
    for basis in slicing.bases where basis.rows != d || basis.columns != slicing.width || basis.columns > d {
      throw ModelError.pruningMismatch(layer: 0, what: "rows of a basis", found: basis.rows, expected: d)
    }
  }
}

extension BranchPruning {
  /// This pruning of a branch that writes in basis R, as one of the branch that writes the whole stream: what is added to
  /// the stream there becomes what it is here, R b.
  func inUnslicedStream(_ R: Matrix<Float>?) -> BranchPruning {
    guard let R else { return self }
    var result = self
    result.bias = bias.map { (R * Matrix(rows: $0.count, columns: 1, values: $0)).values }
    result.weight = weight.map { R * $0 }
    return result
  }
}

// MARK: - Branches

extension Branch {
  /// This branch of the unpruned stream in the bases of the streams that enter and leave it. The norm's weight, and its
  /// bias, go into the maps that read it.
  ///
  /// - Parameters:
  ///   - Q: d×d'.
  ///   - R: d×e; nil for the stream of the unpruned model.
  ///   - isTurned: whether the two differ, so that the stream passes QᵀR on its way around.
  public func sliced(entering Q: Matrix<Float>, leaving R: Matrix<Float>?, isTurned: Bool = true) -> Branch {
    let d = norm.weight.count
    let reading = Q.copy()
    reading.scaleRows(by: norm.weight)
    let writing = R ?? Matrix<Float>.identity(d)
    let centred = norm.bias == nil ? writing : writing.copy()
    if norm.bias != nil { centred.subtractColumnMeans() }
    // A map that stands for blocks reads the stream itself.
    var output = output
    if case .passing = mix { output = output.reading(reading, adding: norm.bias) }
    return Branch(
      configuration: configuration, module: module, units: units, heads: heads,
      norm: Norm(weight: Array(repeating: 1, count: d), bias: nil, isFolded: true), outputNorms: outputNorms,
      input: input.reading(reading, adding: norm.bias), output: output.writing(centred.T),
      shortcut: isTurned ? LinearMap((R?.T ?? writing) * Q, bias: nil, precision: output.precision) : nil)
  }
}

extension Block {
  /// This block of the unpruned stream with a branch that reads the stream in basis Q and writes the whole of it.
  public func slicing(_ module: Module, to Q: Matrix<Float>) -> Block {
    var block = self
    block.branches[module] = branches[module].sliced(entering: Q, leaving: nil)
    return block
  }

  func sliced(by slicing: Slicing) -> Block {
    Block(
      configuration: configuration, layer: layer,
      branches: PerModule {
        branches[$0].sliced(
          entering: slicing.entering($0, layer: layer), leaving: slicing.leaving($0, layer: layer),
          isTurned: !slicing.isShared)
      })
  }
}

extension LinearMap {
  /// W Q: the same map of a stream in another basis.
  ///
  /// - Parameter shift: what is added to the stream before W.
  fileprivate func reading(_ Q: Matrix<Float>, adding shift: [Float]?) -> LinearMap {
    var bias = bias
    if let shift, outputs > 0 {
      let moved = (weight * Matrix(rows: shift.count, columns: 1, values: shift)).values
      bias = sum(bias, moved)
    }
    return LinearMap(
      parts.map { Part(outer: $0.outer?.weight, inner: $0.inner.weight * Q, precision: precision) }, bias: bias,
      precision: precision)
  }

  /// R W and R b.
  fileprivate func writing(_ R: Matrix<Float>) -> LinearMap {
    LinearMap(
      parts.map { part in
        part.outer.map { Part(outer: R * $0.weight, inner: part.inner.weight, precision: precision) }
          ?? Part(inner: R * part.inner.weight, precision: precision)
      }, bias: bias.map { (R * Matrix(rows: $0.count, columns: 1, values: $0)).values }, precision: precision)
  }
}

// MARK: - Streams

extension Matrix<Float> {
  /// Every row x becomes Qᵀx, in its first columns; the others become 0.
  public func turn(into Q: Matrix<Float>) {
    for range in Parallel.ranges(rows, of: 2048) {
      let part = rows(range)
      multiply(part.copy(), Q, into: part.columns(0..<Q.columns))
      part.columns(Q.columns..<columns).clear()
    }
  }

  /// The mean of every row is taken off it.
  public func subtractRowMeans() {
    let means = (0..<rows).map { i in row(i).reduce(0.0) { $0 + Double($1) } / Double(Swift.max(columns, 1)) }
    for (i, mean) in means.enumerated() {
      rows(i..<i + 1).addToRows(Array(repeating: Float(mean), count: columns), scaledBy: -1)
    }
  }

  /// The mean of every column is taken off it.
  fileprivate func subtractColumnMeans() {
    addToRows(columnMoments.mean.map { Float($0) }, scaledBy: -1)
  }

  /// All elements become 0.
  func clear() {
    withUnsafeMutablePointer { start, stride in
      for i in 0..<rows { (start + i * stride).update(repeating: 0, count: columns) }
    }
  }
}
