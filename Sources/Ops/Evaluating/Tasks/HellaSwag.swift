extension Task {
  /// Zellers et al. 2019: how a scene goes on.
  static let hellaswag = Task(name: "hellaswag", version: 1, isNormalised: true) { record in
    record.has("ctx_a", "ctx_b", "activity_label", "endings")
  } item: { record in
    let scene = Scalars(try record.text("ctx_a")) + [" "] + Scalars(try record.text("ctx_b")).capitalized
    let endings = try record.texts("endings")
    return TaskItem(
      cleaned(Scalars(try record.text("activity_label") + ": ") + scene),
      choices: endings.map { cleaned(Scalars($0)) }, gold: try record.gold("label", of: endings.count))
  }

  /// Without the marks of the part from WikiHow: `[title]`, `[step]` and the like.
  private static func cleaned(_ text: Scalars) -> String {
    withoutBrackets(text.stripped.replacing(" [title]", with: ". ")).replacing("  ", with: " ").text
  }

  /// `re.sub(r"\[.*?\]", "", text)`: a bracket closes on its line.
  private static func withoutBrackets(_ text: Scalars) -> Scalars {
    var result: Scalars = []
    var at = 0
    while at < text.count {
      let end = text[at] == "[" ? text[at...].firstIndex { $0 == "]" || $0 == "\n" } : nil
      if let end, text[end] == "]" {
        at = end + 1
      } else {
        result.append(text[at])
        at += 1
      }
    }
    return result
  }
}
