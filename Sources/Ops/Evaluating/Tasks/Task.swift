import Transformer

/// A multiple-choice task of lm-evaluation-harness: which records are its items, and what the model is asked.
struct Task: Sendable {
  let name: String
  /// The version the harness gives the task.
  let version: Int
  /// Whether it also counts the choice that is most likely per character.
  let isNormalised: Bool
  /// Whether it comes in files of its subjects, and with examples in files called `…dev…`.
  var isDivided = false
  /// Whether a record is an item of this task; the file's name decides only between tasks with the same fields.
  let recognises: @Sendable (Record) -> Bool
  /// - Throws: when the record lacks something, above all the right answer.
  let item: @Sendable (Record) throws -> TaskItem

  /// Every task, in the order in which a record is tried.
  static let all = [piqa, hellaswag, winogrande, arcEasy, arcChallenge, openBookQA, boolQ, mmlu]
}

/// One question of a task.
struct TaskItem: Sendable {
  /// For each choice what the model is shown and what it should continue with.
  let prompts: [Prompt]
  /// The right choice.
  let gold: Int
  /// Code points of each choice.
  let characters: [Int]
  /// The subject, of a task that has them.
  let subject: String?

  struct Prompt: Sendable, Equatable {
    var context: String
    let continuation: String
  }

  /// One context and several choices, each after one space.
  init(_ context: String, choices: [String], gold: Int, subject: String? = nil) {
    prompts = choices.map { Prompt(context: context, continuation: " " + $0) }
    characters = choices.map(\.unicodeScalars.count)
    self.gold = gold
    self.subject = subject
  }

  /// Several contexts and one continuation after one space.
  init(contexts: [String], continuation: String, gold: Int) {
    prompts = contexts.map { Prompt(context: $0, continuation: " " + continuation) }
    characters = contexts.map(\.unicodeScalars.count)
    self.gold = gold
    subject = nil
  }
}
