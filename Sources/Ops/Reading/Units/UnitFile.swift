import Foundation
import Kernel
import Transformer

/// One number per structural unit, out of a file that any program may have written: a mask, scores, or a list.
///
/// | file | what is read |
/// |---|---|
/// | HDF5 | `attention/keep` and `ffn/keep` (or `score`), as this program's own files have them; or one dataset |
/// | NumPy | one array; its width tells the module |
/// | CSV, TSV | rows with `layer`, `neuron` or `unit`, and `keep` or `score`; without those a list of what goes |
struct UnitFile {
  /// What the numbers are.
  enum Kind: String {
    /// 1 = keep, 0 = drop. A unit the file does not name is kept.
    case keep
    /// Higher = keep. A layer the file does not name has no scores.
    case score

    /// What stands for a unit that the file does not name.
    var absent: Double { self == .keep ? 1 : .nan }
  }

  let path: String
  /// The dataset of an HDF5 file, where it is not to be found by name.
  let dataset: String?
  let structure: Structure
  /// Query heads of one attention unit.
  let headsPerUnit: Int

  var name: String { (path as NSString).lastPathComponent }

  /// - Throws: one sentence naming the file, and the line, array or unit that does not fit the model.
  func values(_ kind: Kind) throws -> PerUnit<Double> {
    let bytes = try readFile(path)
    if isHDF5(bytes) { return try checked(hdf5(kind), kind) }
    guard dataset == nil else {
      throw Diagnostic("dataset= names a part of an HDF5 file, and \(name) is none", argument: "dataset")
    }
    if bytes.starts(with: NumPyArray.signature) {
      let array = try NumPyArray(bytes, name: name)
      return try checked(matrix(array.shape, array.values, name), kind)
    }
    return try checked(UnitTable(self, bytes).values(kind), kind)
  }

  /// The signature stands at the start, or after a block of 512, 1024, 2048, … bytes that belongs to the program.
  private func isHDF5(_ bytes: [UInt8]) -> Bool {
    let signature: [UInt8] = [0x89] + Array("HDF\r\n".utf8) + [0x1A, 0x0A]
    let places = sequence(first: 512) { $0 * 2 }.prefix { $0 < bytes.count }
    return ([0] + places).contains { bytes[$0...].starts(with: signature) }
  }

  private func hdf5(_ kind: Kind) throws -> PerUnit<Double> {
    let file = ForeignNumbers(path: path)
    if let dataset {
      let (shape, values) = try file.numbers(dataset, argument: "dataset")
      return try matrix(shape, values, "`\(dataset)` of \(name)")
    }
    let found = try file.datasets()
    let named = Module.allCases.filter { found.contains("\($0.rawValue)/\(kind.rawValue)") }
    if named.isEmpty {
      guard found.count == 1, let only = found.first else {
        let list = found.prefix(8).joined(separator: ", ") + (found.count > 8 ? ", …" : "")
        throw Diagnostic(
          found.isEmpty ? "\(name) has no dataset" : "\(name) has no ffn/\(kind.rawValue); it has \(list)",
          hint: "say which, for example dataset=\"\(found.first ?? "scores")\"", argument: "path")
      }
      let (shape, values) = try file.numbers(only)
      return try matrix(shape, values, "`\(only)` of \(name)")
    }
    return try named.reduce(into: PerUnit<Double>()) { result, module in
      let path = "\(module.rawValue)/\(kind.rawValue)"
      let (shape, values) = try file.numbers(path)
      result[module] = try rows(shape, values, module, "`\(path)` of \(name)")
    }
  }

  /// An array that does not say what it is of: its width tells.
  private func matrix(_ shape: [Int], _ values: [Double], _ what: String) throws -> PerUnit<Double> {
    let fitting = Module.allCases.filter { shape == self.shape(of: $0) }
    guard fitting.count == 1, let module = fitting.first else {
      if fitting.count > 1 {
        throw Diagnostic(
          "\(what) fits neurons and attention units alike",
          hint: "write it as ffn/keep or attention/keep of an HDF5 file", argument: "path")
      }
      throw misfit(shape, what)
    }
    var result = PerUnit<Double>()
    result[module] = try rows(shape, values, module, what)
    return result
  }

  /// The rows of a padded array, cut to the units that each block has.
  private func rows(_ shape: [Int], _ values: [Double], _ module: Module, _ what: String) throws -> [[Double]] {
    guard shape == self.shape(of: module) else { throw misfit(shape, what) }
    return structure.units[module].enumerated().map { layer, count in
      Array(values[(layer * shape[1])..<(layer * shape[1] + count)])
    }
  }

  private func shape(of module: Module) -> [Int] { [structure.layers, structure.units[module].max() ?? 0] }

  private func misfit(_ shape: [Int], _ what: String) -> Diagnostic {
    Diagnostic(
      "\(what) is \(shape.map(String.init).joined(separator: " x ")), and the model has \(structure.summary(of: Module.allCases))",
      argument: "path")
  }

  /// - Throws: when a mask holds anything but 0 and 1, or a layer has scores for some of its units only.
  private func checked(_ values: PerUnit<Double>, _ kind: Kind) throws -> PerUnit<Double> {
    for module in values.modules() {
      for (layer, row) in (values[module] ?? []).enumerated() {
        switch kind {
        case .keep:
          if let unit = row.firstIndex(where: { $0 != 0 && $0 != 1 }) {
            throw Diagnostic(
              "\(name) has \(formatted(row[unit])) for \(module.unitName) \(unit) of layer \(layer), "
                + "and a mask holds 0 and 1", hint: "scores need a rate= or a threshold=", argument: "path")
          }
        case .score:
          let left = structure.left(module, layer: layer)
          let absent = left.count { row[$0].isNaN }
          if absent > 0, absent < left.count {
            throw Diagnostic(
              "\(name) has no score for \(absent) of the \(left.count) \(module.unitName)s of layer \(layer)",
              argument: "path")
          }
        }
      }
    }
    return values
  }
}
