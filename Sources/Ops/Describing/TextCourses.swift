import Kernel
import Numerics
import Transformer

/// The courses of networks on a text, by dual regression, layer by layer.
struct TextCourses {
  let networks: Networks
  let run: Int
  let model: LanguageModel
  let sequences: Sequences
  let context: any RunContext

  /// Tokens × all networks, part after part.
  func found() throws -> Matrix<Double> {
    let signals = NetworkSignals(networks, model.configuration)
    let parts = networks.partLayers
    let all = 0..<sequences.tokens.count
    var found = try context.checkpoints(of: "courses", count: parts.count) { try $0.matrix("course") }
    let missing = parts.indices.filter { found[$0] == nil }
    let walk = ResumableWalk(network: model, sequences: sequences, context: context)
    var held: [Int: [Matrix<Float>]] = [:]
    let wanted = Set(missing.flatMap { parts[$0] }).sorted()
    try walk.visit(wanted, of: Set(parts.joined()).sorted(), pulse: { _ in try context.checkCancelled() }) { walk in
      let layer = walk.layer
      held[layer] = try signals.step(
        walk, texts: [all], pulse: { _ in try context.progress(layer, of: model.layers, "layer") })
      for part in missing where parts[part].last == layer {
        let columns = NetworkSignals.columns(parts[part].map { held[$0] ?? [] })
        let S = Matrix<Double>(try networks.part(part).maps(run: run))
        let courses = try at(LayerNetworks.title(parts[part]), argument: "text") {
          try networkCourses(signals.scaled(columns, all), maps: S)
        }
        try context.checkpoint("courses-\(part)") { try $0.write(courses, "course") }
        found[part] = courses
      }
      held = held.filter { entry in
        missing.contains { (parts[$0].last ?? 0) > layer && parts[$0].contains(entry.key) }
      }
    }
    return sideBySide(parts.indices.compactMap { found[$0] })
  }
}

/// Columns of all matrices, one after the other.
func sideBySide(_ parts: [Matrix<Double>]) -> Matrix<Double> {
  let result = Matrix<Double>(rows: parts.first?.rows ?? 0, columns: parts.reduce(0) { $0 + $1.columns })
  var start = 0
  for part in parts {
    result.columns(start..<(start + part.columns)).assign(part)
    start += part.columns
  }
  return result
}

extension ArtifactWriter {
  fileprivate func write(_ courses: Matrix<Double>, _ name: String) throws {
    try array(name, courses.values, shape: [courses.rows, courses.columns], axes: ["token", "network"])
  }
}

extension ArtifactReader {
  fileprivate func matrix(_ name: String) throws -> Matrix<Double> {
    let shape = try shape(name)
    return Matrix(rows: shape[0], columns: shape[1], values: try array(name, as: Double.self))
  }
}
