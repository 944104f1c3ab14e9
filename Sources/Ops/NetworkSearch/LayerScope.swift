import Kernel

/// Which layers are analysed together.
enum LayerScope: ParameterValue, Hashable {
  case layer
  case window(Int)
  case global

  static var kind: String { "one of layer, global, or a window of layers such as window:3" }
  static var choices: [String]? { meanings.map(\.key) }
  static var choiceMeanings: [String: String] { Dictionary(uniqueKeysWithValues: meanings.map { ($0, $1) }) }
  private static let meanings: KeyValuePairs = [
    "layer": "each layer by itself", "window:3": "so many neighbouring layers, starting at each layer in turn",
    "global": "all layers at once",
  ]

  init(literal: Literal) throws {
    let mismatch = Mismatch(expected: LayerScope.kind, found: literal)
    switch literal {
    case .symbol("layer"), .string("layer"): self = .layer
    case .symbol("global"), .string("global"): self = .global
    case .symbol(let word), .string(let word):
      let halves = word.split(separator: ":", omittingEmptySubsequences: false)
      guard halves.count == 2, halves[0] == "window", let width = Int(halves[1]), width >= 2 else { throw mismatch }
      self = .window(width)
    default: throw mismatch
    }
  }

  var name: String {
    switch self {
    case .layer: "layer"
    case .window(let width): "window:\(width)"
    case .global: "global"
    }
  }
  var literal: Literal { .symbol(name) }
  static var illegal: [Literal] { [.symbol("window"), .symbol("window:1"), .integer(3)] }

  /// The layers of each analysis.
  /// - Throws: when a window is wider than there are layers.
  func parts(of layers: [Int]) throws -> [[Int]] {
    switch self {
    case .layer: return layers.map { [$0] }
    case .global: return [layers]
    case .window(let width):
      guard width <= layers.count else {
        throw Diagnostic(
          "a window of \(width) layers does not fit into the \(layers.count) captured ones", argument: "scope")
      }
      return (0...(layers.count - width)).map { Array(layers[$0..<($0 + width)]) }
    }
  }
}
