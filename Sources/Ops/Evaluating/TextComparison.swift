import Kernel

/// What several models made of the same prompts, prompt by prompt.
enum TextComparison {
  /// - Throws: when two were made under different conditions.
  static func table(_ rows: [Compared<Texts>], baseline: Texts?) throws -> ResultTable {
    guard let first = rows.first?.value else { throw Diagnostic("compare needs at least one text", argument: "values") }
    for other in rows.dropFirst().map(\.value) {
      guard let name = first.conditions.keys.sorted().first(where: { first.conditions[$0] != other.conditions[$0] })
      else { continue }
      func shown(_ texts: Texts) -> String { texts.conditions[name]?.canonical ?? "none" }
      throw Diagnostic(
        name == "prompts"
          ? "the texts are of different prompts"
          : "the texts were made under different conditions: \(name): \(shown(first)) vs \(shown(other))",
        argument: "values")
    }
    let cells = first.texts.indices.flatMap { place in rows.map { ($0.label, $0.value.texts[place], place) } }
    var columns: [(name: String, column: ResultTable.Column)] = [
      ("label", .words(cells.map(\.0))), ("prompt", .words(cells.map(\.1.prompt))),
      ("text", .words(cells.map(\.1.text))),
    ]
    if let baseline {
      let agreeing = cells.map { _, text, place in
        zip(text.tokens, baseline.texts[place].tokens).prefix { $0 == $1 }.count
      }
      columns.append(("tokens_as_baseline", .numbers(agreeing.map(Double.init))))
    }
    return ResultTable(names: columns.map(\.name), columns: columns.map(\.column), keys: ["label", "prompt"])
  }
}
