import Kernel

/// The text of `help`, generated from the declarations.
enum Help {
  /// - Throws: `Diagnostic` when the word is neither an op, a meta word nor a word of the language.
  static func text(_ word: String?, _ catalog: Catalog) throws -> String {
    guard let word else { return overview(catalog) }
    if let signature = catalog.signature(word) { return Reference.help(signature) }
    if let meta = catalog.metaWord(word) { return Reference.help(meta) }
    if let topic = topics.first(where: { $0.name == word }) { return topic.text + "\n" }
    let known = catalog.names + MetaWord.all.map(\.name) + topics.map(\.name)
    throw Diagnostic(
      "there is no help on `\(word)`",
      hint: catalog.suggestion(for: word).map { "did you mean `\($0)`?" }
        ?? nearest(to: word, among: known).map { "did you mean `\($0)`?" } ?? "`help` lists everything",
      argument: "op", kind: .usage)
  }

  private static func overview(_ catalog: Catalog) -> String {
    let ops = catalog.signatures.map { ($0.name, $0.summary) }
    let metas = MetaWord.all.map { ($0.name, $0.meaning) }
    let words = topics.map { ($0.name, $0.title) }
    let width = (ops + metas + words).map(\.0.count).max() ?? 0
    func list(_ entries: [(String, String)]) -> String {
      entries.map { "  " + DisplayWidth.padded($0.0, to: width, right: false) + "  " + $0.1 + "\n" }.joined()
    }
    return "A line is `name = op args key=value`.\n\nops\n" + list(ops) + "\nwords of the session\n" + list(metas)
      + "\nthe language\n" + list(words) + "\n`help WORD` tells more.\n"
  }

  private struct Topic {
    var name: String
    var title: String
    var text: String
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
        """),
  ]

  /// What `prn help` prints.
  static let usage: String = {
    let commands = CommandRule.all.map { rule -> (String, String) in
      (["prn", rule.name, rule.arguments].filter { !$0.isEmpty }.joined(separator: " "), rule.meaning)
    }
    let options = OptionRule.all.map { ($0.usage, $0.meaning) } + [("-h, --help", "this text")]
    func list(_ entries: [(String, String)]) -> String {
      let width = entries.map(\.0.count).max() ?? 0
      return entries.map { "  " + DisplayWidth.padded($0.0, to: width, right: false) + "  " + $0.1 + "\n" }.joined()
    }
    return """
      prn is a pruning notebook: a small language, a shell and a store for structured pruning of language models.

      usage
      \(list(commands))
      options
      \(list(options))
      `prn help OP` explains an op; `prn help` inside the shell lists them.
      Exit codes: 0 done; 1 a step failed; 2 nothing was run, the input is wrong; 3 an assert does not hold;
      4 the store is damaged or too new; 5 refused for memory or disk; 130, 143 stopped by a signal.

      """
  }()
}
