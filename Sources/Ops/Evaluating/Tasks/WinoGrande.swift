import Kernel

extension Task {
  /// Sakaguchi et al. 2020: whom a pronoun stands for. The choices are put in place of the gap, and the rest of the
  /// sentence is scored after each.
  static let winogrande = Task(name: "winogrande", version: 1, isNormalised: false) { record in
    record.has("sentence", "option1", "option2")
  } item: { record in
    let sentence = Scalars(try record.text("sentence"))
    guard let gap = sentence.firstIndex(of: "_") else {
      throw Diagnostic("\(record.place): `sentence` has no gap `_`")
    }
    let start = Scalars(sentence[..<gap]).text
    return TaskItem(
      contexts: [start + (try record.text("option1")), start + (try record.text("option2"))],
      continuation: Scalars(sentence[(gap + 1)...]).stripped.text, gold: try record.gold("answer", among: ["1", "2"]))
  }
}
