import Kernel

// What every result needs when it writes itself.

extension ArtifactWriter {
  /// The texts that a value was made from, by their hashes.
  func calibration(_ texts: [String]) throws {
    try text("calibration_texts", JSONValue.array(texts.map(JSONValue.string)).canonical)
  }

  /// A one-dimensional default plot over positions.
  func preview(title: String, values: [Float], axis: String) throws {
    try preview(
      title: title, signal: values, shape: [values.count], axes: [(axis, values.indices.map(Float.init))])
  }

  /// A layer-by-something default plot, thinned to at most 4096 points by taking evenly spaced columns.
  func preview(title: String, rows: [[Float]], axis: String, rowAxis: String = "layer") throws {
    guard let width = rows.map(\.count).min(), width > 0 else { return }
    let shown = min(width, max(1, 4096 / rows.count))
    let columns = (0..<shown).map { $0 * width / shown }
    try preview(
      title: title, signal: rows.flatMap { row in columns.map { row[$0] } }, shape: [rows.count, shown],
      axes: [(rowAxis, rows.indices.map(Float.init)), (axis, columns.map(Float.init))])
  }
}

/// So many significant digits, of a positive number.
func formatted(_ value: Double, digits: Int) -> String {
  guard value.isFinite, value > 0 else { return "\(value)" }
  var scale = 1.0
  let (least, most) = (Double((0..<(digits - 1)).reduce(1) { power, _ in power * 10 }), 1e15)
  while value * scale < least, scale < most { scale *= 10 }
  let rounded = (value * scale).rounded() / scale
  return rounded == rounded.rounded() && rounded < 1e9 ? String(Int(rounded)) : "\(rounded)"
}

/// A number with as many digits as a reader can use.
func formatted(_ value: Double) -> String {
  guard value.isFinite else { return "\(value)" }
  if value == value.rounded(), abs(value) < 1e9 { return String(Int(value)) }
  let scale: Double = abs(value) >= 1000 ? 10 : abs(value) >= 1 ? 1e4 : 1e6
  return "\((value * scale).rounded() / scale)"
}

extension ArtifactReader {
  /// The texts that the value was made from, by their hashes.
  func calibration() throws -> [String] {
    try JSONValue(parsing: text("calibration_texts")).arrayValue?.compactMap(\.stringValue) ?? []
  }

  /// The object this one refers to.
  func onlyChild(_ what: String) throws -> ArtifactReference {
    guard let child = try children.first else {
      throw Diagnostic("an object does not name its \(what)", kind: .store)
    }
    return child
  }
}

/// `layer_03`: what belongs to a layer in a file.
func layerName(_ layer: Int) -> String { "layer_" + (layer < 10 ? "0" : "") + "\(layer)" }
