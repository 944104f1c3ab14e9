import Kernel
import Transformer

/// Multiple-choice tasks as lm-evaluation-harness scores them: each choice by the log-likelihood of its tokens after the
/// prompt.
struct TaskProtocol {
  let network: LanguageModel
  let tokenizer: Tokenizer
  let files: TaskFiles
  /// Items of each task or subject, the first ones; nil for all.
  let limit: Int?
  /// Examples before each question.
  let shots: Int
  let bos: StartOfText
  /// The most tokens the model is shown.
  let length: Int

  /// Identifies the items asked: reports of the same ones can be compared, whatever files they came from.
  var items: String {
    let asked = files.subtasks.flatMap { subtask in
      [subtask.name]
        + subtask.items.prefix(limit ?? .max).flatMap { _, _, item in
          item.prompts.flatMap { [$0.context, $0.continuation] } + ["\(item.gold)"]
        }
    }
    return SHA256.hex(of: asked.joined(separator: "\u{0}"))
  }

  func run(_ context: any RunContext) throws -> TaskItems {
    var pairs: [ContinuationPair] = []
    var scored: [(subtask: Int, number: Int, item: TaskItem)] = []
    for (index, subtask) in files.subtasks.enumerated() {
      let preamble = try preamble(of: subtask)
      for (number, place, item) in subtask.items.prefix(limit ?? .max) {
        try context.checkCancelled()
        for prompt in item.prompts {
          let pair = try encoded(preamble + prompt.context, prompt.continuation)
          guard !pair.continuation.isEmpty else {
            throw Diagnostic("\(place) has a choice that tokenises to nothing: `\(prompt.continuation)`")
          }
          guard pair.continuation.count <= length else {
            throw Diagnostic("\(place) has a choice of \(pair.continuation.count) tokens; the model takes \(length)")
          }
          pairs.append(pair)
        }
        scored.append((index, number, item))
      }
    }
    let cut = pairs.count { $0.context.count + $0.continuation.count > length + 1 }
    if cut > 0 {
      context.warn(
        "\(cut) of \(pairs.count) prompts are longer than the model's \(length) tokens and are cut on the left")
    }
    var found = try continuationLogLikelihoods(network, pairs, length: length, context)[...]
    let items = try scored.map { subtask, number, item in
      let choices = Array(found.prefix(item.prompts.count))
      found = found.dropFirst(choices.count)
      guard choices.allSatisfy(\.isFinite) else {
        throw Diagnostic(
          "the model gives item \(number + 1) of \(files.subtasks[subtask].name) a probability that is no number")
      }
      return TaskItems.Item(
        subtask: subtask, number: number, gold: item.gold, logLikelihoods: choices,
        characters: files.subtasks[subtask].task.isNormalised ? item.characters : nil)
    }
    return TaskItems(
      subtasks: files.subtasks.map { .init(name: $0.name, task: $0.task.name, isNormalised: $0.task.isNormalised) },
      items: items)
  }

  /// What stands before each question of a subject.
  private func preamble(of subtask: TaskFiles.Subtask) throws -> String {
    guard let subject = subtask.subject else {
      if shots == 0 { return "" }
      throw Diagnostic(
        "shots= takes examples from a dev file, which \(subtask.task.name) does not have", argument: "shots")
    }
    let examples = shots == 0 ? [] : files.examples[subject] ?? []
    guard examples.count >= shots else {
      throw Diagnostic(
        "\(subtask.name) has \(examples.count) examples, fewer than \(shots)",
        hint: "give the file of its examples too, called …_dev", argument: "shots")
    }
    return Task.preamble(subject: subject, examples: Array(examples.prefix(shots)))
  }

  /// Context and continuation are tokenised together and cut after as many tokens as the context has by itself. White
  /// space at the context's end goes to the continuation.
  func encoded(_ context: String, _ continuation: String) throws -> ContinuationPair {
    let scalars = Scalars(context)
    let start = Scalars(scalars.trimmedEnd)
    let rest = Scalars(scalars[start.count...]).text + continuation
    func tokens(_ text: String) throws -> [Int32] {
      try tokenizer.started(tokenizer.encode(text, addSpecial: false), bos)
    }
    guard !start.isEmpty else {
      return ContinuationPair(
        context: [try tokenizer.startOfText()], continuation: try tokenizer.encode(rest, addSpecial: false))
    }
    let own = try tokens(start.text)
    let both = try tokens(start.text + rest)
    return ContinuationPair(context: own, continuation: Array(both.dropFirst(own.count)))
  }
}
