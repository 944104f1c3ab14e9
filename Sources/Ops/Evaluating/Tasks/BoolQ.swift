extension Task {
  /// Clark et al. 2019, as SuperGLUE has it: yes or no, after a passage.
  static let boolQ = Task(name: "boolq", version: 2, isNormalised: false) { record in
    record.has("question", "passage")
  } item: { record in
    TaskItem(
      "\(try record.text("passage"))\nQuestion: \(try record.text("question"))?\nAnswer:", choices: ["no", "yes"],
      gold: try record.gold("label", of: 2))
  }
}
