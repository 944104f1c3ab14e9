import Kernel
import Numerics
import Transformer

/// How far masks or scores agree, layer by layer and over all layers.
enum Agreement {
  /// Two values by their names.
  private struct Pair<Value> {
    let label: String
    let first: Value
    let second: Value
  }

  /// Every two of the values, or each against the baseline, but for the baseline itself.
  private static func pairs<Value>(
    _ values: [Compared<Value>], _ baseline: Compared<Value>?
  ) throws -> [Pair<Value>] {
    func pair(_ a: Compared<Value>, _ b: Compared<Value>) -> Pair<Value> {
      Pair(label: "\(a.label) | \(b.label)", first: a.value, second: b.value)
    }
    let found =
      baseline.map { base in
        values.filter { $0.label != base.label || $0.content != base.content }.map { pair(base, $0) }
      }
      ?? values.indices.flatMap { i in values[(i + 1)...].map { pair(values[i], $0) } }
    guard !found.isEmpty else { throw Diagnostic("there are no two values to compare", argument: "values") }
    return found
  }

  /// Jaccard's index, |A ∩ B| / |A ∪ B|, of what two masks keep and of what they remove; missing where neither has any.
  static func table(_ masks: [Compared<Mask>], baseline: Compared<Mask>?) throws -> ResultTable {
    try table(pairs(masks, baseline), \.structure) { pair in
      Module.allCases.flatMap { module in
        let (a, b) = (pair.first.keep[module], pair.second.keep[module])
        return [("kept", true), ("removed", false)].map { name, isKept in
          Measure("\(module.rawValue)_\(name)", a, b) { a, b in jaccard(a, b, of: isKept) }
        }
      }
    }
  }

  /// Spearman's rank correlation of two scores, over what both have scored.
  static func table(_ scores: [Compared<Scores>], baseline: Compared<Scores>?) throws -> ResultTable {
    try table(pairs(scores, baseline), \.structure) { pair in
      Module.allCases.map { module in
        Measure(module.rawValue, pair.first.score[module], pair.second.score[module]) { a, b in
          let both = zip(a, b).filter { !$0.isNaN && !$1.isNaN }
          return rankCorrelation(both.map { Double($0.0) }, both.map { Double($0.1) })
        }
      } + [Measure("block", blocks(pair.first), blocks(pair.second), blockAgreement)]
    }
  }

  /// The scores of whole blocks, one in each layer.
  private static func blocks(_ scores: Scores) -> [[Double]]? { scores.block.map { $0.map { [$0] } } }

  private static func blockAgreement(_ a: [Double], _ b: [Double]) -> Double {
    let both = zip(a, b).filter { $0.isFinite && $1.isFinite }
    return both.count < 2 ? .nan : rankCorrelation(both.map(\.0), both.map(\.1))
  }

  /// One column: a number for each layer and for all together; NaN where one side has nothing of the module.
  private struct Measure {
    let name: String
    let layers: [Double]?
    let all: Double

    init<Element>(
      _ name: String, _ a: [[Element]]?, _ b: [[Element]]?, _ agreement: ([Element], [Element]) -> Double
    ) {
      self.name = name
      layers = a.flatMap { a in b.map { zip(a, $0).map(agreement) } }
      all = a.flatMap { a in b.map { agreement(Array(a.joined()), Array($0.joined())) } } ?? .nan
    }
  }

  private static func table<Value>(
    _ pairs: [Pair<Value>], _ structure: (Value) -> Structure, _ measures: (Pair<Value>) -> [Measure]
  ) throws -> ResultTable {
    var labels: [String] = []
    var layers: [Double] = []
    var names: [String] = []
    var numbers: [[Double]] = []
    for pair in pairs {
      let (a, b) = (structure(pair.first), structure(pair.second))
      guard a.units == b.units else {
        throw Diagnostic("\(pair.label): the models have other layers, units or neurons", argument: "values")
      }
      let found = measures(pair)
      names = found.map(\.name)
      for layer in 0..<a.layers {
        labels.append(pair.label)
        layers.append(Double(layer))
        numbers.append(found.map { $0.layers?[layer] ?? .nan })
      }
      // All layers together: a row without a layer.
      labels.append(pair.label)
      layers.append(.nan)
      numbers.append(found.map(\.all))
    }
    // A column that is empty in every row says nothing.
    let columns = names.indices.map { column in (names[column], numbers.map { $0[column] }) }
      .filter { !$0.1.allSatisfy(\.isNaN) }
    return ResultTable(
      names: ["label", "layer"] + columns.map(\.0),
      columns: [.words(labels), .numbers(layers)] + columns.map { .numbers($0.1) }, keys: ["label", "layer"])
  }

  /// What the columns of such a table measure; nil for columns of other tables.
  static func quantity(of columns: [String]) -> String? {
    let modules = Module.allCases.map(\.rawValue)
    if columns.allSatisfy({ name in modules.contains { name == "\($0)_kept" || name == "\($0)_removed" } }) {
      return "overlap (Jaccard index)"
    }
    return columns.allSatisfy((modules + ["block"]).contains) ? "rank correlation (Spearman)" : nil
  }

  private static func jaccard(_ a: [Bool], _ b: [Bool], of kept: Bool) -> Double {
    let both = zip(a, b).count { $0 == kept && $1 == kept }
    let either = zip(a, b).count { $0 == kept || $1 == kept }
    return either == 0 ? .nan : Double(both) / Double(either)
  }
}
