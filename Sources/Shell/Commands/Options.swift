import Kernel

/// What the command line asks for.
struct Invocation: Equatable {
  var command: Command
  var options = Options()
}

enum Command: Equatable {
  case shell
  /// Run a script; `overrides` replace the values of its `param` lines.
  case run(path: String, overrides: [Override])
  case inline(String)
  case check(path: String, overrides: [Override])
  case list
  case info(String)
  case why(String)
  case du
  case gc
  case fsck
  case verify(String)
  /// The words after `export`: `NAME to=PATH as=FORMAT` as in the language, or `FILE.prn to=FILE.ipynb`.
  case export([String])
  /// Formats scripts in place.
  case format([String])
  /// Answers requests of another program.
  case serve
  case installKernel
  case reference
  case version
  case help(String?)

  struct Override: Equatable {
    var name: String
    var value: String
  }
}

struct Options: Equatable {
  var workspace: String?
  var session: String?
  var threads: Int?
  var memory: Int?
  /// Whether the run is shared with the other processes of `mpirun`.
  var mpi = false
  var isDryRun = false
  /// nil: use what the store has; empty: recompute everything; else the names to recompute.
  var fresh: [String]?
  var keepGoing = false
  var json = false
  var format: TableFormat?
  var report: String?
  var force = false
  var quiet = false
  var color = ColourChoice.auto
  var progress = ProgressStyle.auto
  var cell: String?
  var steps: Set<Int>?
  var strict = false
  var rehash = false
  var apply = false
  var check = false
  var emptyTrash = false
  /// Seconds.
  var older: Double?
  var keepUnder: Int?
  var stdio = false
  var prefix: String?
}

/// How progress is shown while a step runs.
enum ProgressStyle: String, CaseIterable, Sendable {
  case auto, plain, none
}

/// One option of the command line, declared once: parsing, help and the tests read it.
struct OptionRule {
  var name: String
  var short: Character?
  /// The word for its value in help; nil for a switch. A value in brackets may be left out (`--fresh`, `--fresh=nets`).
  var value: String?
  var meaning: String
  /// The commands that obey it, by the words that `CommandRule` lists; nil for all.
  var commands: [String]?
  /// - Throws: `Diagnostic` without the option's name; the parser adds it.
  var apply: @Sendable (inout Options, String) throws -> Void

  var isOptionalValue: Bool { value?.hasPrefix("[") ?? false }

  /// The commands that carry statements out: the shell, a script, statements given, and requests of another program.
  private static let running = ["", "run", "-c", "serve"]

  static let all: [OptionRule] = [
    .init("workspace", "w", "DIR", "keep the store in DIR instead of .prn in or above this folder") {
      if $1.isEmpty { throw wrong($1, "a folder") }
      $0.workspace = $1
    },
    .init("session", nil, "NAME", "keep variable names apart from other sessions") { $0.session = try word($1) },
    .init("threads", "t", "N", "use N processor threads; results do not depend on it") { $0.threads = try count($1) },
    .init("memory", "m", "BYTES", "refuse steps that would need more memory, such as 2GiB") {
      $0.memory = try size($1)
    },
    .init("mpi", nil, nil, "run: share the work with the other processes that mpirun has started", of: ["run"]) {
      options, _ in
      options.mpi = true
    },
    .init("dry-run", "n", nil, "check, and print what would run and why; run nothing", of: ["", "run", "-c"]) {
      options, _ in
      options.isDryRun = true
    },
    .init(
      "fresh", nil, "[=NAME]", "recompute all steps, or those of NAME, and say whether anything changed", of: running
    ) {
      $0.fresh = $1.isEmpty ? [] : ($0.fresh ?? []) + $1.split(separator: ",").map(String.init)
    },
    .init("keep-going", "k", nil, "finish the other cells of a sweep when one fails", of: running) { options, _ in
      options.keepGoing = true
    },
    .init("cell", nil, "CELL", "run one `# %%` cell, by number or title, with what it needs", of: ["run"]) {
      if $1.isEmpty { throw wrong($1, "the number or title of a cell") }
      $0.cell = $1
    },
    .init("step", nil, "N[,N...]", "make steps of a script by number; what they need must be in the store", of: ["run"])
    {
      $0.steps = Set(try $1.split(separator: ",", omittingEmptySubsequences: false).map { try count(String($0)) })
    },
    .init("json", nil, nil, "print events as JSON Lines on standard output") { options, _ in options.json = true },
    .init("format", "f", "FORMAT", "tables as box, ascii, tsv, csv, md or json") { $0.format = try choice($1) },
    .init("report", "r", "FILE", "write an HTML report of the run", of: ["", "run", "-c"]) {
      if $1.isEmpty { throw wrong($1, "a file") }
      $0.report = $1
    },
    .init(
      "force", nil, nil, "let export, plot and --report replace files that prn did not write",
      of: running + ["check", "export", "kernel"]
    ) { options, _ in options.force = true },
    .init("quiet", "q", nil, "no progress, no line per step, no banner") { options, _ in options.quiet = true },
    .init("color", nil, "WHEN", "auto, always or never") { $0.color = try choice($1) },
    .init("progress", nil, "HOW", "auto, plain (a line each minute) or none") { $0.progress = try choice($1) },
    .init("strict", nil, nil, "stop at a damaged object instead of recomputing it") { options, _ in
      options.strict = true
    },
    .init("rehash", nil, nil, "read external files again even when they look unchanged") { options, _ in
      options.rehash = true
    },
    .init("check", nil, nil, "fmt: change nothing, and say which files would be", of: ["fmt"]) { options, _ in
      options.check = true
    },
    .init("apply", nil, nil, "gc: move what was listed to the trash", of: ["gc"]) { options, _ in options.apply = true
    },
    .init("empty-trash", nil, nil, "gc: free what is in the trash now instead of after a week", of: ["gc"]) {
      options, _ in
      options.emptyTrash = true
    },
    .init("older", nil, "TIME", "gc: only values unused for TIME, such as 30d", of: ["gc"]) {
      $0.older = try duration($1)
    },
    .init(
      "keep-under", nil, "BYTES", "gc: the cheapest values to recompute, until the store is below BYTES", of: ["gc"]
    ) {
      $0.keepUnder = try size($1)
    },
    .init("stdio", nil, nil, "serve: requests on standard input, answers on standard output", of: ["serve"]) {
      options, _ in
      options.stdio = true
    },
    .init(
      "prefix", nil, "DIR", "kernel install: below DIR/share/jupyter, such as that of a virtual environment",
      of: ["kernel"]
    ) {
      if $1.isEmpty { throw wrong($1, "a folder") }
      $0.prefix = $1
    },
  ]

  init(
    _ name: String, _ short: Character?, _ value: String?, _ meaning: String, of commands: [String]? = nil,
    apply: @escaping @Sendable (inout Options, String) throws -> Void
  ) {
    (self.name, self.short, self.value, self.meaning) = (name, short, value, meaning)
    (self.commands, self.apply) = (commands, apply)
  }

  /// "-t, --threads N".
  var usage: String {
    let long = "--" + name + (value.map { $0.hasPrefix("[") ? $0 : " " + $0 } ?? "")
    return (short.map { "-\($0), " } ?? "    ") + long
  }

  // MARK: - Values

  private static func wrong(_ text: String, _ wanted: String, _ hint: String? = nil) -> Diagnostic {
    Diagnostic("`\(text)` is not \(wanted)", hint: hint, kind: .usage)
  }

  private static func count(_ text: String) throws -> Int {
    guard let value = Int(text), value >= 1 else { throw wrong(text, "a whole number of at least 1") }
    return value
  }

  private static func word(_ text: String) throws -> String {
    let isWord =
      !text.isEmpty && text.allSatisfy { $0.isASCII && ($0.isLetter || $0.isNumber || $0 == "_" || $0 == "-") }
    guard isWord else { throw wrong(text, "a name of letters, digits, `_` and `-`") }
    return text
  }

  private static func choice<T: RawRepresentable & CaseIterable>(_ text: String) throws -> T
  where T.RawValue == String {
    guard let value = T(rawValue: text) else {
      let names = T.allCases.map(\.rawValue)
      throw wrong(
        text, "one of \(names.joined(separator: ", "))", nearest(to: text, among: names).map { "did you mean `\($0)`?" }
      )
    }
    return value
  }

  /// "2GiB", "500M", "1048576".
  static func size(_ text: String) throws -> Int {
    let units: [(String, Double)] = [
      ("KiB", 1024), ("MiB", 1_048_576), ("GiB", 1_073_741_824), ("TiB", 1_099_511_627_776),
      ("k", 1e3), ("M", 1e6), ("G", 1e9), ("B", 1), ("", 1),
    ]
    for (unit, factor) in units where text.hasSuffix(unit) {
      let digits = String(text.dropLast(unit.count))
      if let value = Double(digits), value > 0, value * factor < 9e18 { return Int(value * factor) }
    }
    throw wrong(text, "a size such as 2GiB")
  }

  /// "30d", "12h", "90min", "45s".
  static func duration(_ text: String) throws -> Double {
    for (unit, factor) in [("min", 60.0), ("d", 86400), ("h", 3600), ("s", 1)] where text.hasSuffix(unit) {
      if let value = Double(text.dropLast(unit.count)), value >= 0, value.isFinite { return value * factor }
    }
    throw wrong(text, "a time such as 30d")
  }
}
