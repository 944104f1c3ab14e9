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
    score.unitTable("score", structure) { $0.isNaN ? .missing : .number(Double($0)) }
  }
}
