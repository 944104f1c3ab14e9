import Kernel
import Numerics

/// Losses of windows of running text.
public struct WindowLosses: Sendable {
  /// Mean negative log-likelihood of each window, nats per target.
  public let loss: [Double]
  /// Targets scored in each window.
  public let targets: [Int32]
  /// Negative log-likelihood of every target, window by window, when it was to be kept.
  let tokens: [Float]?
  /// By kind, when the text has labels.
  let kinds: Kinds?

  /// What the windows hold of each kind of text.
  struct Kinds: Sendable {
    let names: [String]
    /// Sum of the losses of each kind's targets in each window, in nats, and their number.
    let loss: [[Double]]
    let targets: [[Double]]

    init(names: [String], loss: [[Double]], targets: [[Double]]) {
      self.names = names
      self.loss = loss
      self.targets = targets
    }

    /// - Parameters:
    ///   - losses: of every target, window by window.
    ///   - kinds: of every target, as an index into `names`; -1 for none.
    init(_ names: [String], losses: [[Double]], kinds: [[Int32]]) {
      var sums = names.map { _ in [Double](repeating: 0, count: losses.count) }
      var counts = sums
      for (window, (values, kinds)) in zip(losses, kinds).enumerated() {
        for (value, kind) in zip(values, kinds) where kind >= 0 {
          sums[Int(kind)][window] += value
          counts[Int(kind)][window] += 1
        }
      }
      self.init(names: names, loss: sums, targets: counts)
    }
  }

  init(loss: [Double], targets: [Int32], tokens: [Float]? = nil, kinds: Kinds? = nil) {
    self.loss = loss
    self.targets = targets
    self.tokens = tokens
    self.kinds = kinds
  }
}

// MARK: - The file

extension WindowLosses {
  func write(to writer: any ArtifactWriter) throws {
    try writer.vector("window/nll", loss, axis: "window", meaning: "mean negative log-likelihood", units: "nat/token")
    try writer.vector("window/tokens", targets, axis: "window", meaning: "targets scored")
    if let tokens {
      try writer.array(
        "token/nll", tokens, shape: [loss.count, tokens.count / max(1, loss.count)], axes: ["window", "target"],
        meaning: "negative log-likelihood", units: "nat")
    }
    if let kinds {
      try writer.strings("label/name", kinds.names, axis: "label")
      let shape = [kinds.names.count, loss.count]
      try writer.array(
        "label/nll", Array(kinds.loss.joined()), shape: shape, axes: ["label", "window"],
        meaning: "sum of the losses of the label's targets", units: "nat")
      try writer.array(
        "label/tokens", Array(kinds.targets.joined()), shape: shape, axes: ["label", "window"],
        meaning: "targets with the label")
    }
    try writer.preview(
      title: "mean negative log-likelihood per window", values: loss.prefix(4096).map { Float($0) }, axis: "window")
  }

  init(from reader: any ArtifactReader) throws {
    loss = try reader.array("window/nll", as: Double.self)
    targets = try reader.array("window/tokens", as: Int32.self)
    tokens = reader.has("token/nll") ? try reader.array("token/nll", as: Float.self) : nil
    kinds = reader.has("label/name") ? try Kinds(from: reader, windows: loss.count) : nil
  }
}

extension WindowLosses.Kinds {
  fileprivate init(from reader: any ArtifactReader, windows: Int) throws {
    func rows(_ path: String) throws -> [[Double]] {
      let values = try reader.array(path, as: Double.self)
      return Parallel.ranges(values.count, of: max(1, windows)).map { Array(values[$0]) }
    }
    self.init(
      names: try reader.strings("label/name"), loss: try rows("label/nll"), targets: try rows("label/tokens"))
  }
}
