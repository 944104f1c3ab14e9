import Kernel

extension Task {
  /// Hendrycks et al. 2021: exams in 57 subjects. The letters are the choices.
  static let mmlu = Task(name: "mmlu", version: 1, isNormalised: false, isDivided: true) { record in
    record.has("question", "choices", "subject")
  } item: { record in
    let (subject, choices) = (try record.text("subject"), try record.texts("choices"))
    guard choices.count == 4 else { throw Diagnostic("\(record.place) has \(choices.count) choices, not 4") }
    let lines = zip(letters, choices).map { "\n\($0). \($1)" }.joined()
    return TaskItem(
      Scalars(try record.text("question")).stripped.text + lines + "\nAnswer:", choices: letters,
      gold: try record.gold("answer", of: 4), subject: subject)
  }

  static let letters = ["A", "B", "C", "D"]

  /// What stands before the questions of a subject: a sentence, and examples with their answers.
  static func preamble(subject: String, examples: [TaskItem]) -> String {
    let name = subject.replacing("_", with: " ")
    let shown = examples.map { $0.prompts[$0.gold].context + $0.prompts[$0.gold].continuation + "\n\n" }
    return "The following are multiple choice questions (with answers) about \(name).\n\n" + shown.joined()
  }
}
