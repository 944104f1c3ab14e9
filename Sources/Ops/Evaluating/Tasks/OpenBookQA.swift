extension Task {
  /// Mihaylov et al. 2018: elementary science.
  static let openBookQA = Task(name: "openbookqa", version: 1, isNormalised: true) { record in
    record.has("question_stem", "choices")
  } item: { record in
    let choices = try record.choices()
    return TaskItem(
      try record.text("question_stem"), choices: choices.texts,
      gold: try record.gold("answerKey", among: choices.labels))
  }
}
