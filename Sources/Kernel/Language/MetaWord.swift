/// A word that acts on the session instead of making a value: declared like an op, executed by the shell.
public struct MetaWord: Sendable {
  /// What an argument of a meta word is.
  public enum Kind: Sendable, Equatable {
    /// Any expression; it is computed first.
    case value
    /// A variable, by its name; its value need not be computed.
    case variable
    /// What help can be had on: an op, a type, a parameter, a word of the language.
    case topic
    /// The name of an artifact type.
    case type
    /// A bare word or a string: a setting, a column, a pattern.
    case word
    case literal
    case path
  }

  public struct Argument: Sendable {
    public let name: String
    public let kind: Kind
    public let isRequired: Bool
  }

  public struct Parameter: Sendable {
    public let name: String
    public let kind: Kind
    public let choices: [String]?
    /// How a file name may end.
    public let endings: [String]?
    public let meaning: String

    public init(
      _ name: String, _ kind: Kind, _ meaning: String, choices: [String]? = nil, endings: [String]? = nil
    ) {
      self.name = name
      self.kind = kind
      self.choices = choices
      self.endings = endings
      self.meaning = meaning
    }
  }

  public let name: String
  /// One line ending with a full stop.
  public let meaning: String
  public let arguments: [Argument]
  public let parameters: [Parameter]

  /// `show VALUE [rows=] [layers=]`.
  public var usage: String {
    var parts = [name]
    if name == "time" { parts.append("STATEMENT") }
    for argument in arguments {
      let text = argument.name.uppercased()
      parts.append(argument.isRequired ? text : "[\(text)]")
    }
    parts += parameters.map { $0.name == "to" && name == "export" ? "\($0.name)=" : "[\($0.name)=]" }
    return parts.joined(separator: " ")
  }

  /// Every meta word, in the order of help.
  public static let all: [MetaWord] = [
    MetaWord(
      "help", "Explain the language, or a word: an op, a type, a parameter, a command.", [optional("topic", .topic)]),
    MetaWord("vars", "List the variables, or those of one type.", [optional("type", .type)]),
    MetaWord(
      "show", "Print a value.", [required("value", .value)],
      [
        Parameter("rows", .literal, "how many rows of a table to print"),
        Parameter("layers", .literal, "which layers to print, such as 0..3"),
        Parameter("by", .word, "what to set apart: the label or task of a report"),
        Parameter("network", .word, "which network to print all of, as LAYER:NETWORK"),
      ]),
    MetaWord("info", "Print what a value is: type, shape, key, size, cost.", [required("value", .variable)]),
    MetaWord(
      "why", "Say why a value was computed, and what changed since it last was.", [required("value", .variable)]),
    MetaWord(
      "plot", "Draw a value.", [required("value", .value)],
      [
        Parameter("x", .word, "the column along the horizontal axis"),
        Parameter("y", .word, "the column along the vertical axis"),
        Parameter("by", .word, "the column that tells the lines apart"),
        Parameter("layers", .literal, "which layers to draw, such as 0..3"),
        Parameter("title", .literal, "what stands above the picture"),
        Parameter("x_label", .literal, "what the horizontal axis is called"),
        Parameter("y_label", .literal, "what the vertical axis is called"),
        Parameter("width", .literal, "width of the file's picture in units of 1/96 inch, 720 by default"),
        Parameter("height", .literal, "its height, 420 by default"),
        Parameter("scale", .word, "how the vertical axis is divided", choices: ["linear", "log"]),
        Parameter(
          "as", .word, "the format, when the file name does not say it", choices: ["svg", "pdf", "png", "term"]),
        Parameter(
          "to", .path, "the file to write; without it the terminal, or NAME.svg when there is none",
          endings: ["svg", "pdf", "png"]),
      ]),
    MetaWord(
      "export", "Write a value for other programs.", [required("value", .value)],
      [
        Parameter("to", .path, "the file or folder to write"),
        Parameter(
          "as", .word, "the format, when the file name does not say it",
          choices: ["csv", "tsv", "json", "md", "h5", "script"]),
      ]),
    MetaWord("time", "Run a statement and print how long it took.", []),
    MetaWord(
      "history", "Print former statements: the last N, or those holding a word.", [optional("pattern", .literal)]),
    MetaWord("set", "Print or change a setting.", [optional("key", .word), optional("value", .literal)]),
    MetaWord("source", "Run the statements of a file in this session.", [required("file", .path)]),
    MetaWord("pin", "Keep a value from being collected.", [required("value", .variable)]),
    MetaWord("unpin", "Let a pinned value be collected again.", [required("value", .variable)]),
    MetaWord("drop", "Forget a name.", [required("name", .variable)]),
    MetaWord("sync", "Take over what other processes have bound names to.", []),
    MetaWord("verify", "Make a value again and compare it with the stored one.", [required("value", .variable)]),
    MetaWord("du", "Print what the store occupies, by type and by name.", []),
    MetaWord("gc", "List the values that no name needs.", []),
    MetaWord("fsck", "Read and check every object of the store.", []),
    MetaWord("quit", "Leave the shell.", []),
  ]

  public static func named(_ name: String) -> MetaWord? { all.first { $0.name == name } }

  private init(_ name: String, _ meaning: String, _ arguments: [Argument], _ parameters: [Parameter] = []) {
    self.name = name
    self.meaning = meaning
    self.arguments = arguments
    self.parameters = parameters
  }

  private static func required(_ name: String, _ kind: Kind) -> Argument {
    Argument(name: name, kind: kind, isRequired: true)
  }
  private static func optional(_ name: String, _ kind: Kind) -> Argument {
    Argument(name: name, kind: kind, isRequired: false)
  }
}

extension MetaWord {
  /// `export` with the forms that values have of their own: their names come first, and what they take is added.
  func extended(by forms: [ExportForm]) -> MetaWord {
    guard name == "export" else { return self }
    var parameters = parameters.map { parameter in
      parameter.name == "as"
        ? Parameter("as", parameter.kind, parameter.meaning, choices: choices(of: forms) + (parameter.choices ?? []))
        : parameter
    }
    for parameter in forms.flatMap(\.parameters) where !parameters.contains(where: { $0.name == parameter.name }) {
      parameters.append(parameter)
    }
    return MetaWord(name, meaning, arguments, parameters)
  }

  /// The names of forms, each once: several types may have a form of one name.
  private func choices(of forms: [ExportForm]) -> [String] {
    var met: Set<String> = []
    return forms.map(\.name).filter { met.insert($0).inserted }
  }
}
