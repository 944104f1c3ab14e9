extension Task {
  /// Bisk et al. 2020: which of two ways reaches a goal.
  static let piqa = Task(name: "piqa", version: 1, isNormalised: true) { record in
    record.has("goal", "sol1", "sol2")
  } item: { record in
    TaskItem(
      "Question: \(try record.text("goal"))\nAnswer:", choices: [try record.text("sol1"), try record.text("sol2")],
      gold: try record.gold("label", of: 2))
  }
}
