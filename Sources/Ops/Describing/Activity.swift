import Kernel
import Numerics
import Transformer

/// How active some sets are at every row of a text, and random sets in their place.
struct Activity {
  var sets: [SetDescription] = []
  /// The signals of a unit that maps have a z for; none when sets have no maps.
  var signals: [String] = []
  /// Course of each set, at every row of the text.
  var courses: [[Double]] = []
  /// `random[draw][set]`
  var random: [[[Double]]] = []
  /// Whether a course is 1 at events and 0 elsewhere.
  var isLabel = false
  /// Of clusters: adjusted mutual information with each fact, on the text it is judged on.
  var information: [Double]?
}

/// What can tell how active sets of a layer, or of layers that belong together, are on a text.
protocol ActivitySource {
  /// What the units of the sets belong to; nil when they are sets of tokens.
  var module: Module? { get }
  /// The layers that are looked at together.
  var parts: [[Int]] { get }
  /// Moves a walk on by a layer and gives what activity is made of, row by row; nil when nothing has to be looked at.
  var look: ((Walk) throws -> [Matrix<Float>])? { get }
  /// - Parameter layers: of each layer of the part, what `look` gave.
  func activity(of part: [Int], _ layers: [[Matrix<Float>]]) throws -> Activity
}

/// Random sets in the place of those that are described.
struct RandomDraws {
  let count: Int
  let seed: Int
  let context: any RunContext

  /// - Parameter name: of what the draws stand for.
  func map<Result>(_ name: String, _ draw: (inout RandomStream) throws -> Result) throws -> [Result] {
    try (0..<count).map { index in
      try context.checkCancelled()
      var stream = RandomStream(seed: seed, name: "describe \(name) random \(index)")
      return try draw(&stream)
    }
  }
}
