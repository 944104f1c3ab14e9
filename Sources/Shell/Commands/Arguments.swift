import Kernel

extension Invocation {
  /// Reads the words after the program's name.
  /// - Throws: `Diagnostic` of kind `usage` naming the word at fault.
  init(_ words: [String]) throws {
    var options = Options()
    var given: [OptionRule] = []
    var positional: [String] = []
    var inline: String?
    var wantsHelp = false
    var wantsVersion = false
    var index = 0
    var isOnlyPositional = false

    /// The value of an option: glued on, or the next word.
    func value(_ rule: OptionRule, glued: String?) throws -> String {
      guard let wanted = rule.value else {
        if glued != nil { throw Diagnostic("--\(rule.name) takes no value", kind: .usage) }
        return ""
      }
      if let glued { return glued }
      if rule.isOptionalValue { return "" }
      index += 1
      guard index < words.count else { throw Diagnostic("--\(rule.name) needs a value: \(wanted)", kind: .usage) }
      return words[index]
    }
    func set(_ rule: OptionRule, glued: String?) throws {
      let text = try value(rule, glued: glued)
      given.append(rule)
      do { try rule.apply(&options, text) } catch let problem as Diagnostic {
        throw Diagnostic("--\(rule.name): \(problem.summary)", hint: problem.hint, kind: .usage)
      }
    }

    while index < words.count {
      let word = words[index]
      if isOnlyPositional || word == "-" || !word.hasPrefix("-") {
        positional.append(word)
      } else if word == "--" {
        isOnlyPositional = true
      } else if word == "-h" || word == "--help" {
        wantsHelp = true
      } else if word == "--version" || word == "-V" {
        wantsVersion = true
      } else if word == "-c" {
        index += 1
        guard index < words.count else { throw Diagnostic("-c needs the statements to run", kind: .usage) }
        inline = words[index]
      } else if word.hasPrefix("--") {
        let parts = word.dropFirst(2).split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false).map(
          String.init)
        guard let rule = OptionRule.all.first(where: { $0.name == parts[0] }) else {
          let near = nearest(to: parts[0], among: OptionRule.all.map(\.name))
          throw Diagnostic("unknown option `--\(parts[0])`", hint: near.map { "did you mean `--\($0)`?" }, kind: .usage)
        }
        try set(rule, glued: parts.count > 1 ? parts[1] : nil)
      } else {
        let letters = Array(word.dropFirst())
        for (place, letter) in letters.enumerated() {
          guard let rule = OptionRule.all.first(where: { $0.short == letter }) else {
            throw Diagnostic("unknown option `-\(letter)`", hint: "`prn help` lists the options", kind: .usage)
          }
          let rest = String(letters[(place + 1)...])
          try set(rule, glued: rule.value != nil && !rest.isEmpty ? rest : nil)
          if rule.value != nil { break }
        }
      }
      index += 1
    }

    self.options = options
    let name: String
    if wantsVersion || wantsHelp {
      command = wantsVersion ? .version : .help(positional.first)
      return
    } else if let inline {
      guard positional.isEmpty else {
        throw Diagnostic("`\(positional[0])` is one word too many: -c runs the statements it is given", kind: .usage)
      }
      command = .inline(inline)
      name = "-c"
    } else {
      command = try Command(positional)
      let first = positional.first ?? ""
      name = CommandRule.all.contains { $0.name == first } ? first : "run"
    }
    for rule in given { try rule.require(command: name) }
    if options.steps != nil, options.cell != nil {
      throw Diagnostic("--cell and --step both say what to run", kind: .usage)
    }
    if options.isDryRun, options.report != nil {
      throw Diagnostic("--dry-run runs nothing that --report could tell of", kind: .usage)
    }
    if options.mpi { try checkShared() }
    if command == .serve, !options.stdio {
      throw Diagnostic("`prn serve` needs to know where", hint: "`prn serve --stdio`", kind: .usage)
    }
  }

  /// What several processes can share: the run of a script that each of them can read, in one order.
  private func checkShared() throws {
    if case .run(path: "-", _) = command {
      throw Diagnostic("--mpi needs a script that every process can read, and standard input is one's", kind: .usage)
    }
    if options.isDryRun { throw Diagnostic("--dry-run runs nothing that --mpi could share", kind: .usage) }
    if options.keepGoing {
      throw Diagnostic(
        "--keep-going and --mpi exclude each other: a step that fails ends the run on all ranks", kind: .usage)
    }
  }
}

extension OptionRule {
  /// - Throws: when the command would not obey it.
  fileprivate func require(command name: String) throws {
    guard let commands, !commands.contains(name) else { return }
    func shown(_ name: String) -> String { name.isEmpty ? "the shell" : "`prn \(name)`" }
    throw Diagnostic(
      "\(shown(name)) does not take --\(self.name)",
      hint: "it belongs to \(commands.map(shown).joined(separator: ", "))",
      kind: .usage)
  }
}

/// A subcommand as help lists it.
struct CommandRule {
  var name: String
  var arguments: String
  var meaning: String

  static let all: [CommandRule] = [
    .init(name: "", arguments: "", meaning: "the interactive shell"),
    .init(
      name: "run", arguments: "FILE [NAME=VALUE ...]",
      meaning: "run a script, replacing the values of its `param` lines"),
    .init(name: "-c", arguments: "STATEMENTS", meaning: "run the statements given"),
    .init(name: "fmt", arguments: "FILE ...", meaning: "write scripts the one way: spaces, indentation, blank lines"),
    .init(name: "check", arguments: "FILE [NAME=VALUE ...]", meaning: "check a script without running it"),
    .init(name: "ls", arguments: "", meaning: "list the names and their values"),
    .init(name: "info", arguments: "NAME", meaning: "what a value is and how it was made"),
    .init(name: "why", arguments: "NAME", meaning: "why its step was run, and what had changed"),
    .init(name: "export", arguments: "NAME to=PATH [as=FORMAT]", meaning: "write a value for other programs"),
    .init(
      name: "export", arguments: "FILE.prn to=FILE.ipynb",
      meaning: "write a script as a Jupyter notebook, with its results from the store; the other way round, too"),
    .init(
      name: "export", arguments: "FILE.prn [NAME=VALUE ...] to=Snakefile",
      meaning: "write a script as jobs for Snakemake, or as to=FILE.slurm for Slurm"),
    .init(name: "verify", arguments: "NAME", meaning: "recompute a value and compare it with the stored one"),
    .init(name: "pin", arguments: "NAME", meaning: "keep a value from being collected"),
    .init(name: "unpin", arguments: "NAME", meaning: "let a pinned value be collected again"),
    .init(name: "drop", arguments: "NAME", meaning: "forget a name; its value stays until `gc`"),
    .init(name: "du", arguments: "", meaning: "the space values take"),
    .init(
      name: "gc", arguments: "[--apply]", meaning: "list values nothing refers to; with --apply, move them to the trash"
    ),
    .init(name: "fsck", arguments: "", meaning: "read and check every object of the store"),
    .init(name: "serve", arguments: "--stdio", meaning: "answer another program: JSON Lines in and out"),
    .init(
      name: "kernel", arguments: "install [--prefix DIR]", meaning: "let Jupyter find prn as a language of notebooks"),
    .init(name: "docs", arguments: "", meaning: "print the reference of all ops as Markdown"),
    .init(name: "help", arguments: "[WORD]", meaning: "this text, or help on an op or a word of the language"),
    .init(name: "version", arguments: "", meaning: "version, libraries and processor"),
  ]
}

extension Command {
  /// Reads what is left when the options are taken out.
  fileprivate init(_ words: [String]) throws {
    guard let first = words.first else {
      self = .shell
      return
    }
    let rest = Array(words.dropFirst())
    func one(_ what: String) throws -> String {
      guard let word = rest.first else { throw Diagnostic("`prn \(first)` needs \(what)", kind: .usage) }
      guard rest.count == 1 else {
        throw Diagnostic("`\(rest[1])` is one word too many for `prn \(first)`", kind: .usage)
      }
      return word
    }
    func none() throws {
      if let extra = rest.first { throw Diagnostic("`\(extra)` is one word too many for `prn \(first)`", kind: .usage) }
    }
    switch first {
    case "run", "check":
      guard let path = rest.first else { throw Diagnostic("`prn \(first)` needs a script", kind: .usage) }
      let overrides = try Command.overrides(rest.dropFirst())
      self = first == "run" ? .run(path: path, overrides: overrides) : .check(path: path, overrides: overrides)
    case "ls":
      try none()
      self = .list
    case "info": self = .info(try one("a name"))
    case "why": self = .why(try one("a name"))
    case "du":
      try none()
      self = .du
    case "gc":
      try none()
      self = .gc
    case "fsck":
      try none()
      self = .fsck
    case "verify": self = .verify(try one("a name"))
    case "export":
      guard rest.count >= 2 else { throw Diagnostic("`prn export` needs a name and `to=PATH`", kind: .usage) }
      self = .export(rest)
    case "pin", "unpin", "drop": self = .inline("\(first) \(try one("a name"))")
    case "fmt":
      guard !rest.isEmpty else { throw Diagnostic("`prn fmt` needs a script", kind: .usage) }
      self = .format(rest)
    case "serve":
      try none()
      self = .serve
    case "kernel":
      let word = try one("`install`")
      guard word == "install" else {
        throw Diagnostic("`prn kernel` knows `install`, not `\(word)`", kind: .usage)
      }
      self = .installKernel
    case "docs":
      try none()
      self = .reference
    case "version":
      try none()
      self = .version
    case "help": self = .help(rest.isEmpty ? nil : try one("a word"))
    default:
      guard first.hasSuffix(".prn") || first.contains("/") || first == "-" else {
        let near = nearest(to: first, among: CommandRule.all.map(\.name))
        throw Diagnostic(
          "`\(first)` is neither a command of prn nor a script",
          hint: near.map { "did you mean `prn \($0)`?" } ?? "`prn help` lists the commands", kind: .usage)
      }
      self = .run(path: first, overrides: try Command.overrides(rest[...]))
    }
  }

  /// - Throws: `Diagnostic` of kind `usage`, also when a name is given twice.
  static func overrides(_ words: ArraySlice<String>) throws -> [Override] {
    var names: Set<String> = []
    return try words.map { word in
      let parts = word.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false).map(String.init)
      guard parts.count == 2, !parts[0].isEmpty else {
        throw Diagnostic("`\(word)` is not of the form NAME=VALUE", kind: .usage)
      }
      guard names.insert(parts[0]).inserted else { throw Diagnostic("`\(parts[0])=` is given twice", kind: .usage) }
      return Override(name: parts[0], value: parts[1])
    }
  }
}
