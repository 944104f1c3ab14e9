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
    return try network.export(
      to: request.path, as: format, ModelFormat.Options(request.parameters),
      pulse: { try request.progress(0, 1, "tensor") })
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
    }
  }
}

extension ModelFormat.Options {
  /// - Throws: `Diagnostic` naming the parameter that is out of range.
  fileprivate init(_ parameters: [String: Literal]) throws {
    self.init(type: parameters["type"]?.text.flatMap(GGUFType.init(rawValue:)))
    guard let given = parameters["align"] else { return }
    guard case .integer(let align) = given, 1...4096 ~= align else {
      throw Diagnostic(
        "align= is a whole number from 1 to 4096, not \(given.rendered)", argument: "align", kind: .usage)
    }
    self.align = align
  }
}
