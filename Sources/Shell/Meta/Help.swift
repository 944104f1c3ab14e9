import Kernel

/// The text of `help`, generated from the declarations.
enum Help {
  /// Everything there is to say on a word: as an op, a word of the session, a topic, a command, a type, a parameter, a
  /// choice.
  /// - Throws: `Diagnostic` when the word is none of these.
  static func text(_ word: String?, _ catalog: Catalog) throws -> String {
    guard let word else { return overview(catalog) }
    let parts = [
      catalog.signature(word).map(Reference.help), catalog.metaWord(word).map(Reference.help),
      topics.first { $0.name == word }.map { $0.text(catalog) + "\n" }, command(word), type(word, catalog),
      parameter(word, catalog), choice(word, catalog),
    ].compactMap { $0 }
    guard parts.isEmpty else { return parts.joined(separator: "\n") }
    let known = catalog.names + MetaWord.all.map(\.name) + topics.map(\.name) + catalog.artifactTypes.keys.sorted()
    throw Diagnostic(
      "there is no help on `\(word)`",
      hint: (catalog.suggestion(for: word) ?? nearest(to: word, among: known)).map { "did you mean `\($0)`?" }
        ?? "`help` lists everything",
      argument: "topic", kind: .usage)
  }

  /// Two columns, the second in line; behind what is too long for the first it begins on a line of its own.
  private static func list(_ entries: [(String, String)]) -> String {
    let width = entries.map(\.0.count).filter { $0 <= widest }.max() ?? 0
    return entries.map { left, right in
      if right.isEmpty { return "  \(left)\n" }
      let gap = left.count > width ? "\n" + String(repeating: " ", count: width + 2) : ""
      return "  " + DisplayWidth.padded(left, to: width, right: false) + gap + "  " + right + "\n"
    }.joined()
  }

  /// Columns of the first column, so that on a narrow terminal as many are left for the second.
  private static let widest = 35

  private static func overview(_ catalog: Catalog) -> String {
    "A line is `name = op args key=value`.\n\nops\n" + list(catalog.signatures.map { ($0.name, $0.summary) })
      + "\nwords of the session\n" + list(MetaWord.all.map { ($0.name, $0.meaning) })
      + "\nthe language\n" + list(topics.map { ($0.name, $0.title) })
      + "\n`help WORD` tells more: of these, of types (`help mask`), parameters (`help rate`) and choices (`help wifv`).\n"
  }

  // MARK: - Words of declarations

  private static func types(_ catalog: Catalog) -> String {
    "Values have these types; each is made by the ops behind it.\n"
      + list(catalog.artifactTypes.keys.sorted().map { ($0, makers(of: $0, catalog)) })
  }

  private static func makers(of type: String, _ catalog: Catalog) -> String {
    catalog.signatures.filter { $0.output.name == type }.map(\.name).joined(separator: ", ")
  }

  private static func type(_ name: String, _ catalog: Catalog) -> String? {
    guard let type = catalog.artifactTypes[name] else { return nil }
    let takers = catalog.signatures.filter { op in op.inputs.contains { $0.accepts.contains { $0.name == name } } }
    var rows = [("made by", makers(of: name, catalog))]
    if !takers.isEmpty { rows.append(("taken by", takers.map(\.name).joined(separator: ", "))) }
    if let showable = type as? any Showable.Type {
      rows.append(
        (
          "show",
          showable.tableParameters.union(showable.groupings.isEmpty ? [] : ["by"]).sorted().map { $0 + "=" }.joined(
            separator: " ")
        ))
      rows.append(("plot", showable.figureParameters.sorted().map { $0 + "=" }.joined(separator: " ")))
    }
    if let forms = (type as? any Exportable.Type)?.exportForms {
      rows.append(("export as=", forms.map(\.name).joined(separator: ", ")))
    }
    var out = "values of type \(name)\n" + list(rows.filter { !$0.1.isEmpty })
    let fields = catalog.fields(of: type.type).sorted { $0.key < $1.key }.map { ("x.\($0.key)", $0.value) }
    if !fields.isEmpty { out += "\nfields\n" + list(fields) }
    return out
  }

  private static func parameter(_ name: String, _ catalog: Catalog) -> String? {
    var rows: [(String, String)] = []
    var choices: [(String, String)] = []
    for op in catalog.signatures {
      if let input = op.inputs.first(where: { $0.name == name && $0.isNamed }) {
        rows.append(("\(op.name) \(name)=", "\(input.typeName): \(input.meaning)"))
      }
      guard let parameter = op.parameter(name) else { continue }
      let range = [parameter.range, parameter.unit.map { "in \($0)" }].compactMap { $0 }.joined(separator: "; ")
      let standard = parameter.defaultValue.map { "default \($0.rendered)" } ?? "required"
      let legal =
        parameter.choices == nil ? [parameter.kind, range].filter { !$0.isEmpty }.joined(separator: "; ") : ""
      rows.append(
        (
          "\(op.name) \(name)=",
          "\(parameter.meaning) (\([legal, standard].filter { !$0.isEmpty }.joined(separator: "; ")))"
        ))
      for choice in parameter.choices ?? [] where !choices.contains(where: { $0.0 == choice }) {
        choices.append((choice, parameter.choiceMeanings[choice] ?? ""))
      }
    }
    for word in catalog.metaWords {
      guard let parameter = word.parameters.first(where: { $0.name == name }) else { continue }
      rows.append(("\(word.name) \(name)=", parameter.meaning))
    }
    guard !rows.isEmpty else { return nil }
    return "\(name)= is a parameter of\n" + list(rows) + (choices.isEmpty ? "" : "\nchoices\n" + list(choices))
  }

  private static func choice(_ word: String, _ catalog: Catalog) -> String? {
    let rows =
      catalog.signatures.flatMap { op in
        op.parameters.filter { $0.choices?.contains(word) == true }.map {
          ("\(op.name) \($0.name)=\(word)", $0.choiceMeanings[word] ?? $0.meaning)
        }
      }
      + catalog.metaWords.flatMap { meta in
        meta.parameters.filter { $0.choices?.contains(word) == true }.map {
          ("\(meta.name) \($0.name)=\(word)", $0.meaning)
        }
      }
    return rows.isEmpty ? nil : "\(word) can be chosen in\n" + list(rows)
  }

  private static func command(_ name: String) -> String? {
    guard let rule = CommandRule.all.first(where: { $0.name == name && !name.isEmpty }) else { return nil }
    let own = OptionRule.all.filter { $0.meaning.hasPrefix(name + ": ") }
    return "prn \([rule.name, rule.arguments].filter { !$0.isEmpty }.joined(separator: " "))\n  \(rule.meaning)\n"
      + list(own.map { ($0.usage, String($0.meaning.dropFirst(name.count + 2))) })
      + "  `prn help` lists the options that all commands share\n"
  }

  // MARK: - The language

  private struct Topic: Sendable {
    var name: String
    var title: String
    var text: @Sendable (Catalog) -> String

    init(name: String, title: String, text: @escaping @Sendable (Catalog) -> String) {
      (self.name, self.title, self.text) = (name, title, text)
    }
    init(name: String, title: String, text: String) { self.init(name: name, title: title) { _ in text } }
  }

  private static let topics = [
    Topic(
      name: "for", title: "Run statements for every value of a list; the result is a sweep.",
      text: """
        NAME = for x in VALUES, y in VALUES { STATEMENTS }
          Runs the block for every combination; its last expression is the value of the cell.
          Each cell is a step of its own: a sweep that was stopped computes only what is missing.

        example
          runs = for rate in 10%,20% {
            mk = mask s rate=rate
            eval (prune m mk) held length=128
          }
        """),
    Topic(
      name: "param", title: "Declare a value that the command line can replace.",
      text: """
        param NAME = VALUE ["MEANING"]
          `prn run f.prn NAME=OTHER` runs the script with another value.
        """),
    Topic(
      name: "include", title: "Read the statements of another script.",
      text: "include \"FILE\"\n  The path is relative to this file."),
    Topic(
      name: "assert", title: "Stop with exit code 3 unless a comparison holds.",
      text: "assert A < B\n  Compares with < <= == != >= >: numbers, or fields such as mk.rate."),
    Topic(
      name: "values", title: "Ratios, sizes, ranges, lists, fields and mask algebra.",
      text: """
        20%  0.2        the same ratio; a bare 20 is refused where a ratio is wanted
        2GiB 500M 3min  sizes and times
        0..2,-1         positions; negative numbers count from the end
        [a: x, b: y]    a list with labels
        x.rate  x@-1    a field of a value; what x was bound to before
        a | b  a & b  a ^ b  !a    combine masks
        x |> op         gives x to op as its first input
        data/x  ./x     a path; one with spaces stands in quotes
        """),
    Topic(
      name: "types", title: "The types of values, and the ops that make them.", text: { types($0) }),
    Topic(
      name: "cells", title: "The parts of a notebook.",
      text: """
        # %% TITLE              begins a cell of statements
        # %% [markdown] TITLE   one whose comments are prose
          `prn run f.prn --cell 3` or `--cell 'TITLE'` runs one, with what it needs of the others.
        """),
    Topic(
      name: "errors", title: "What the exit codes mean.",
      text: """
        0    done
        1    a step failed; what was finished is kept
        2    nothing was run: the command, the script or a file it names is wrong
        3    an assert does not hold
        4    the store is damaged, or written by a newer prn
        5    refused before it ran, for memory or disk
        130  stopped by Ctrl-C; 143 by a termination signal
        """),
    Topic(
      name: "commands", title: "What `prn` can be called with outside the shell.", text: "`prn help` lists them."),
  ]

  /// What `prn help` prints.
  static let usage: String = {
    let commands = CommandRule.all.map { rule -> (String, String) in
      (["prn", rule.name, rule.arguments].filter { !$0.isEmpty }.joined(separator: " "), rule.meaning)
    }
    let options = OptionRule.all.map { ($0.usage, $0.meaning) } + [("-h, --help", "this text")]
    return """
      prn is a pruning notebook: a small language, a shell and a store for structured pruning of language models.

      usage
      \(list(commands))
      options
      \(list(options))
      `prn help WORD` explains an op, a type, a parameter or a command; `help` inside the shell lists them.
      Exit codes: 0 done; 1 a step failed; 2 nothing was run, the input is wrong; 3 an assert does not hold;
      4 the store is damaged or too new; 5 refused for memory or disk; 130, 143 stopped by a signal.

      """
  }()
}
