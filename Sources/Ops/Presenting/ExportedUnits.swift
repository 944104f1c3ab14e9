import Foundation
import Kernel
import Transformer

extension PerModule {
  /// One row per structural unit, with the parts of the model's tensors that belong to it. `mask PATH` reads it back.
  func unitTable<Element>(_ name: String, _ structure: Structure, cell: (Element) -> TableData.Cell) -> TableData
  where Value == [[Element]]? {
    var rows: [[TableData.Cell]] = []
    for layer in 0..<structure.layers {
      for module in modules() {
        let spans = structure.spans.filter { $0.layer == layer && $0.module == module }
        for (unit, value) in (self[module]?[layer] ?? []).enumerated() {
          let numbers = Module.allCases.map { $0 == module ? TableData.Cell.integer(unit) : .missing }
          let parts = spans.map { $0.part(of: unit) }.joined(separator: " ")
          rows.append([.integer(layer)] + numbers + [cell(value), .text(parts)])
        }
      }
    }
    return TableData(columns: ["layer"] + Module.allCases.map(\.axis) + [name, "tensors"], rows: rows)
  }
}

extension Mask {
  public func exportedTable(_ request: ShowRequest) throws -> TableData? {
    keep.unitTable("keep", structure) { .integer($0 ? 1 : 0) }
  }
}

extension Scores {
  public func exportedTable(_ request: ShowRequest) throws -> TableData? {
    guard score.modules().isEmpty, let block else {
      return score.unitTable("score", structure) { .known(Double($0)) }
    }
    return TableData(
      columns: ["layer", "score"],
      rows: block.enumerated().map { [.integer($0.offset), .known($0.element)] })
  }
}

extension Mask: Exportable {
  public static let exportForms = [ExportForm("npy")]

  public func export(_ request: ExportRequest) throws -> [String] {
    try keep.exportArrays("keep", to: request.path, structure) { ($0 ? 1 : 0) as UInt8 }
    return []
  }
}

extension Scores: Exportable {
  public static let exportForms = [ExportForm("npy")]

  public func export(_ request: ExportRequest) throws -> [String] {
    try score.exportArrays("score", to: request.path, structure) { $0 }
    if let block {
      let bytes = NumPyArray.bytes(of: block.map { Float($0) }, rows: 1, columns: block.count)
      try Data(bytes).write(to: URL(fileURLWithPath: request.path + "/block_score.npy"))
    }
    return []
  }
}

extension PerModule {
  /// `ffn_keep.npy` and the like, [layer, unit], rows of narrow blocks filled up with zeros; `tensors.json` says where the
  /// units stand in the model's tensors.
  fileprivate func exportArrays<Element, Number: NumPyNumber>(
    _ name: String, to folder: String, _ structure: Structure, number: (Element) -> Number
  ) throws where Value == [[Element]]? {
    for module in modules() {
      let rows = (self[module] ?? []).map { $0.map(number) }
      let width = rows.map(\.count).max() ?? 0
      let padded = rows.flatMap { $0 + Array(repeating: .zero, count: width - $0.count) }
      let bytes = NumPyArray.bytes(of: padded, rows: rows.count, columns: width)
      try Data(bytes).write(to: URL(fileURLWithPath: "\(folder)/\(module.rawValue)_\(name).npy"))
    }
    let spans = structure.spans.map { span in
      JSONValue.object([
        "layer": .integer(span.layer), "module": .string(span.module.rawValue), "tensor": .string(span.tensor),
        "axis": .integer(span.axis), "start": .integer(span.start), "width": .integer(span.width),
      ])
    }
    let lines = spans.map(\.canonical).joined(separator: ",\n")
    try Data("[\(lines)]\n".utf8).write(to: URL(fileURLWithPath: folder + "/tensors.json"))
  }
}
