import Kernel
import Transformer

extension Model: Exportable {
  public static var exportForms: [ExportForm] {
    ModelFormat.all.map { format in
      ExportForm(format.name, suffixes: format.suffixes, parameters: format.options.map(\.parameter))
    }
  }

  public static func checkExport(as form: ExportForm, _ parameters: [String: Literal]) throws {
    _ = try ModelFormat.Options(parameters)
  }

  public func export(_ request: ExportRequest) throws -> [String] {
    guard let format = ModelFormat.all.first(where: { $0.name == request.form.name }) else { return [] }
    var options = try ModelFormat.Options(request.parameters)
    options.origin =
      request.origin + ["- compensation: \(compensation)", "- SHA-256 of the unpruned model: `\(source)`"]
      + calibration.map { "- SHA-256 of a calibration text: `\($0)`" }
    options.writeMap = { try $0.writeHDF5(to: $1 + "/prn_units.h5") }
    return try network.export(
      to: request.path, as: format, options,
      pulse: { try request.progress(0, 1, "tensor") })
  }
}

extension UnitMap {
  /// One dataset per kind of unit, [block, unit] of the unpruned model: the place in the folder's tensors.
  fileprivate func writeHDF5(to path: String) throws {
    let file = try HDF5File(creating: path)
    func write(_ name: String, _ places: [Int?], _ shape: [Int], _ meaning: String) throws {
      try places.map { Int32($0 ?? -1) }.withUnsafeBytes {
        try file.write(name, $0, type: .int32, shape: shape)
      }
      try file.setAttribute(
        "long_name", .string(meaning + ", by the numbers of the unpruned model; -1 = gone"), of: name)
    }
    try write("block", blocks, [blocks.count], "number of each block")
    for (name, places) in [("heads", heads), ("kv_heads", keyValueHeads), ("neurons", neurons)] {
      let width = places.map(\.count).max() ?? 0
      let padded = places.flatMap { $0 + [Int?](repeating: nil, count: width - $0.count) }
      try write(name, padded, [places.count, width], "place of each of the \(name) in its block, [block, unit]")
    }
    try file.close()
  }
}

extension ModelFormat.Option {
  var parameter: MetaWord.Parameter {
    switch self {
    case .type:
      MetaWord.Parameter(
        rawValue, .word, "how matrices are stored, when not as in the checkpoint",
        choices: GGUFType.written.map(\.rawValue))
    case .align:
      MetaWord.Parameter(
        rawValue, .literal, "pad pruned maps with zeros to rows of multiples of this, 32 by default; 1 pads nothing")
    case .shard:
      MetaWord.Parameter(rawValue, .literal, "gigabytes of weights in one file, 5 by default; more are cut in several")
    }
  }
}

extension ModelFormat.Options {
  /// - Throws: `Diagnostic` naming the parameter that is out of range.
  fileprivate init(_ parameters: [String: Literal]) throws {
    self.init(type: parameters["type"]?.text.flatMap(GGUFType.init(rawValue:)))
    if let given = parameters["align"] {
      guard case .integer(let align) = given, 1...4096 ~= align else {
        throw Diagnostic(
          "align= is a whole number from 1 to 4096, not \(given.rendered)", argument: "align", kind: .usage)
      }
      self.align = align
    }
    if let given = parameters["shard"] {
      let size: Double? =
        switch given {
        case .integer(let number): Double(number)
        case .number(let number): number
        default: nil
        }
      guard let size, size >= 0.001, size <= 1000 else {
        throw Diagnostic(
          "shard= is a number of gigabytes from 0.001 to 1000, not \(given.rendered)", argument: "shard", kind: .usage)
      }
      shard = Int(size * 1e9)
    }
  }
}
