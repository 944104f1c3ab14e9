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
    options.measured = request.measured
    let remarks = try network.export(
      to: request.path, as: format, options,
      pulse: { try request.progress(0, 1, "tensor") })
    if request.form.isFolder { try UnitMap.write(in: request.path) }
    return remarks
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
