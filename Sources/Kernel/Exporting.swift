/// A value that other programs can load, written in forms of its own.
public protocol Exportable: Artifact {
  /// The forms, the default first.
  static var exportForms: [ExportForm] { get }
  /// Refuses parameters that are wrong whatever the value is, before anything runs.
  /// - Throws: `Diagnostic` naming the parameter.
  static func checkExport(as form: ExportForm, _ parameters: [String: Literal]) throws
  /// Writes the value to the place that the request names.
  /// - Returns: what the user should know about what was written, one sentence each.
  func export(_ request: ExportRequest) throws -> [String]
}

/// One way to write a value: an `as=` word of `export`.
public struct ExportForm: Sendable {
  public let name: String
  /// How the name of the file may end; empty when a folder is written.
  public let suffixes: [String]
  /// What else `export` takes for this form.
  public let parameters: [MetaWord.Parameter]

  public var isFolder: Bool { suffixes.isEmpty }

  public init(_ name: String, suffixes: [String] = [], parameters: [MetaWord.Parameter] = []) {
    self.name = name
    self.suffixes = suffixes
    self.parameters = parameters
  }
}

/// Where and how to write a value for others.
public struct ExportRequest {
  public let name: String
  /// The file to make, or an empty folder to fill.
  public let path: String
  public let form: ExportForm
  /// Those of the form that were given.
  public let parameters: [String: Literal]
  /// How the value was made, in lines of Markdown.
  public let origin: [String]
  /// What was measured of the value, in lines of Markdown.
  public let measured: [String]
  /// Reports done, total and unit; throws when the user cancelled.
  public let progress: (Int, Int, String) throws -> Void

  public init(
    name: String, path: String, form: ExportForm, parameters: [String: Literal] = [:],
    origin: [String] = [], measured: [String] = [],
    progress: @escaping (Int, Int, String) throws -> Void = { _, _, _ in }
  ) {
    self.name = name
    self.path = path
    self.form = form
    self.parameters = parameters
    self.origin = origin
    self.measured = measured
    self.progress = progress
  }
}

extension Exportable {
  public static func checkExport(as form: ExportForm, _ parameters: [String: Literal]) throws {}
}
