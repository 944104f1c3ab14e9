import Kernel
import Transformer

/// A table with a row per structural unit: `layer` and `neuron`, `unit` or `head`, and perhaps `keep` or `score`. What
/// `export mk to=x.csv` writes is one.
struct UnitTable {
  private let file: UnitFile
  /// By column name.
  private let columns: [String: Int]
  private let rows: [(line: Int, row: [String])]

  /// The columns that number units, with the module they number.
  private static let numbering: [(column: String, module: Module)] = [
    ("neuron", .ffn), ("unit", .attention), ("head", .attention),
  ]

  init(_ file: UnitFile, _ bytes: [UInt8]) throws {
    self.file = file
    let text = bytes.starts(with: [0xEF, 0xBB, 0xBF]) ? Array(bytes.dropFirst(3)) : bytes
    let header = text.prefix { $0 != 0x0A }
    let separator: UInt8 = header.contains(0x09) ? 0x09 : 0x2C
    let all = try separatedRows(text, by: separator, file: file.name)
    columns = Dictionary(
      (all.first?.row ?? []).enumerated().map { ($1.trimmed.lowercased(), $0) }, uniquingKeysWith: { first, _ in first }
    )
    rows = Array(all.dropFirst())
    guard columns["layer"] != nil, UnitTable.numbering.contains(where: { columns[$0.column] != nil }) else {
      throw Diagnostic(
        "\(file.name) is neither HDF5 nor NumPy nor a table with the columns layer and neuron or unit",
        argument: "path")
    }
    guard !rows.isEmpty else { throw Diagnostic("\(file.name) has no rows", argument: "path") }
    let width = all[0].row.count
    if let long = rows.first(where: { $0.row.count > width }) {
      throw Diagnostic(
        "\(file.name) line \(long.line) has \(long.row.count) cells, and the header names \(width)", argument: "path")
    }
  }

  func values(_ kind: UnitFile.Kind) throws -> PerUnit<Double> {
    let column = columns[kind.rawValue]
    if column == nil, kind == .score || columns[UnitFile.Kind.score.rawValue] != nil {
      throw Diagnostic(
        kind == .score ? "\(file.name) has no column `score` to rank by" : "\(file.name) holds scores and no mask",
        hint: kind == .score ? nil : "scores need a rate= or a threshold=", argument: "path")
    }
    if column == nil, let flags = columnOfFlags {
      throw Diagnostic(
        "\(file.name) lists what goes, as it has no column `keep`, and its column `\(flags)` holds 0 and 1",
        hint: "name that column keep, or leave it out", argument: "path")
    }
    var values = PerUnit<Double>()
    var seen: Set<[Int]> = []
    for (line, row) in rows {
      func wrong(_ problem: String) -> Diagnostic {
        Diagnostic("\(file.name) line \(line) \(problem)", argument: "path")
      }
      let (layer, module, unit) = try place(row, wrong)
      guard seen.insert([layer, Module.allCases.firstIndex(of: module) ?? 0, unit]).inserted else {
        throw wrong("names \(module.unitName) \(unit) of layer \(layer) again")
      }
      let text = column.map { cell(row, $0) }
      guard let value = text.map(UnitTable.number) ?? 0 else {
        throw wrong("has `\(text ?? "")` for \(kind.rawValue), which is no number")
      }
      if values[module] == nil {
        values[module] = file.structure.units[module].map { Array(repeating: kind.absent, count: $0) }
      }
      values[module]?[layer][unit] = value
    }
    return values
  }

  /// A column, beside those that number units, in which every row says yes or no: a mask under another name.
  private var columnOfFlags: String? {
    let numbers = ["layer"] + UnitTable.numbering.map(\.column)
    return columns.filter { name, index in
      !name.isEmpty && !numbers.contains(name)
        && rows.allSatisfy { ["0", "1", "0.0", "1.0", "true", "false"].contains(cell($0.row, index).lowercased()) }
    }.min { $0.value < $1.value }?.key
  }

  /// Which unit a row is about.
  private func place(_ row: [String], _ wrong: (String) -> Diagnostic) throws -> (Int, Module, Int) {
    func whole(_ column: String) throws -> Int? {
      guard let index = columns[column], !cell(row, index).isEmpty else { return nil }
      // pandas writes 3.0 for whole numbers in a column with gaps.
      guard let number = Double(cell(row, index)), let whole = Int(exactly: number) else {
        throw wrong("has `\(cell(row, index))` for \(column), which is no whole number")
      }
      return whole
    }
    guard let layer = try whole("layer") else { throw wrong("names no layer") }
    let structure = file.structure
    guard (0..<structure.layers).contains(layer) else {
      throw wrong("names layer \(layer), and the model has 0 to \(structure.layers - 1)")
    }
    let named = try UnitTable.numbering.compactMap { column, module in
      try whole(column).map { (column: column, module: module, number: $0) }
    }
    guard named.count == 1, let (column, module, number) = named.first else {
      throw wrong(named.isEmpty ? "names no neuron and no unit" : "names a neuron and an attention unit at once")
    }
    guard column != "head" || file.headsPerUnit == 1 else {
      throw wrong(
        "names a head, and the heads of this model go in units of \(file.headsPerUnit); name them by a column unit")
    }
    guard structure.units[module][layer] > number, number >= 0 else {
      throw wrong(
        "names \(column) \(number), and layer \(layer) has 0 to \(structure.units[module][layer] - 1)")
    }
    return (layer, module, number)
  }

  private func cell(_ row: [String], _ index: Int) -> String { index < row.count ? row[index].trimmed : "" }

  /// A number, a truth value as pandas writes it, or nothing.
  private static func number(_ text: String) -> Double? {
    switch text.lowercased() {
    case "true": 1
    case "false": 0
    case "": .nan
    default: Double(text)
    }
  }
}

extension String {
  fileprivate var trimmed: String { Scalars(self).stripped.text }
}
