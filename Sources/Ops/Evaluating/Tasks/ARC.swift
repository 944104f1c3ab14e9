extension Task {
  /// Clark et al. 2018: questions of school exams. Both halves have the same fields, so the file's name tells them apart.
  static let arcEasy = arc("arc_easy", word: "easy")
  static let arcChallenge = arc("arc_challenge", word: "challenge")

  private static func arc(_ name: String, word: String) -> Task {
    Task(name: name, version: 1, isNormalised: true) { record in
      record.has("question", "choices", "answerKey") && record.namesItself(word)
    } item: { record in
      let choices = try record.choices()
      return TaskItem(
        "Question: \(try record.text("question"))\nAnswer:", choices: choices.texts,
        gold: try record.gold("answerKey", among: choices.labels))
    }
  }
}

extension Record {
  /// Whether the item's name or the file's holds a word: `ARC-Easy-Test.jsonl`.
  fileprivate func namesItself(_ word: String) -> Bool {
    if case .string(let id)? = self["id"], id.text.lowercased().contains(word) { return true }
    return file.lowercased().contains(word)
  }
}
