import Kernel

/// Items of multiple-choice tasks with what a model made of them.
public struct TaskItems: Sendable {
  /// A task, or one subject of a task.
  public struct Subtask: Sendable, Equatable {
    /// `piqa`, `mmlu_anatomy`.
    let name: String
    /// The task it is a part of: `mmlu`; `name` when it is the whole.
    let task: String
    /// Whether the task defines `acc_norm`.
    let isNormalised: Bool
  }

  public struct Item: Sendable {
    /// Which of `subtasks`.
    let subtask: Int
    /// Its place in the task's files, from 0.
    let number: Int
    let gold: Int
    /// log p of each choice after its prompt, in nats.
    let logLikelihoods: [Double]
    /// Code points of each choice; nil where the task has no `acc_norm`.
    let characters: [Int]?

    /// The most likely choice; the first of equals.
    var chosen: Int { firstMaximum(logLikelihoods) }

    /// The choice that is most likely per code point.
    var chosenPerCharacter: Int? {
      characters.map { characters in firstMaximum(zip(logLikelihoods, characters).map { $0 / Double($1) }) }
    }

    var acc: Double? { chosen == gold ? 1 : 0 }
    var accNorm: Double? { chosenPerCharacter.map { $0 == gold ? 1 : 0 } }
  }

  let subtasks: [Subtask]
  let items: [Item]

  /// The accuracies of each task and subject that has them, called `TASK.name`; and over several tasks their mean, called
  /// `mean.…`, in which a task without this accuracy counts by its `acc`.
  func averages(
    of accuracy: KeyPath<Item, Double?>, named name: String, mean: String
  ) -> [(name: String, samples: Samples)] {
    let tasks = subtasks.map(\.task).uniqued
    var result: [(name: String, samples: Samples)] = []
    for task in tasks {
      let members = items.filter { subtasks[$0.subtask].task == task && $0[keyPath: accuracy] != nil }
      guard !members.isEmpty else { continue }
      let places = members.map(\.subtask).uniqued
      result.append(
        (
          "\(task).\(name)",
          Samples(
            members.compactMap { $0[keyPath: accuracy] }, strata: members.map { places.firstIndex(of: $0.subtask) ?? 0 }
          )
        ))
      for place in places where subtasks[place].name != task {
        let own = members.filter { $0.subtask == place }
        result.append(("\(subtasks[place].name).\(name)", Samples(own.compactMap { $0[keyPath: accuracy] })))
      }
    }
    guard tasks.count > 1, !result.isEmpty else { return result }
    // Each task weighs the same, however many items it has.
    let places = items.map { tasks.firstIndex(of: subtasks[$0.subtask].task) ?? 0 }
    var counts = [Double](repeating: 0, count: tasks.count)
    for place in places { counts[place] += 1 }
    let weights = places.map { 1 / (counts[$0] * Double(tasks.count)) }
    let values = zip(items, weights).map { item, weight in (item[keyPath: accuracy] ?? item.acc ?? 0) * weight }
    return [("mean.\(mean)", Samples(values, weights: weights, strata: places))] + result
  }
}

/// The index of the largest value; the first of equals.
func firstMaximum<Value: Comparable>(_ values: [Value]) -> Int {
  values.indices.reduce(0) { values[$1] > values[$0] ? $1 : $0 }
}

// MARK: - The file

extension TaskItems {
  func write(to writer: any ArtifactWriter) throws {
    try writer.strings("task/name", subtasks.map(\.name), axis: "task")
    try writer.strings("task/of", subtasks.map(\.task), axis: "task")
    try writer.vector("task/normalised", subtasks.map { $0.isNormalised ? UInt8(1) : 0 }, axis: "task")
    try writer.vector("item/task", items.map { Int32($0.subtask) }, axis: "item", meaning: "index into task/name")
    try writer.vector("item/number", items.map { Int32($0.number) }, axis: "item", meaning: "place in the task's files")
    try writer.vector("item/gold", items.map { Int32($0.gold) }, axis: "item", meaning: "the right choice")
    try writer.vector("item/chosen", items.map { Int32($0.chosen) }, axis: "item", meaning: "most likely choice")
    try writer.vector(
      "item/chosen_norm", items.map { Int32($0.chosenPerCharacter ?? -1) }, axis: "item",
      meaning: "choice most likely per character, -1 where the task has no acc_norm")
    let width = items.map(\.logLikelihoods.count).max() ?? 0
    let choices: [Double] = items.flatMap { padded($0.logLikelihoods, width, .nan) }
    try writer.array(
      "item/log_likelihood", choices, shape: [items.count, width], axes: ["item", "choice"],
      meaning: "log-likelihood of each choice, NaN where there is none", units: "nat")
    let characters: [Int32] = items.flatMap { padded($0.characters?.map(Int32.init) ?? [], width, -1) }
    try writer.array(
      "item/characters", characters, shape: [items.count, width], axes: ["item", "choice"],
      meaning: "code points of each choice, -1 where there is none or the task has no acc_norm")
    try writer.preview(
      title: "log-likelihood of the right choice", values: items.prefix(4096).map { Float($0.logLikelihoods[$0.gold]) },
      axis: "item")
  }

  init(from reader: any ArtifactReader) throws {
    let names = try reader.strings("task/name")
    let tasks = try reader.strings("task/of")
    let normalised = try reader.array("task/normalised", as: UInt8.self)
    let subtasks = names.indices.map { Subtask(name: names[$0], task: tasks[$0], isNormalised: normalised[$0] == 1) }
    let subtask = try reader.array("item/task", as: Int32.self)
    let number = try reader.array("item/number", as: Int32.self)
    let gold = try reader.array("item/gold", as: Int32.self)
    let width = try reader.shape("item/log_likelihood").last ?? 0
    let choices = try reader.array("item/log_likelihood", as: Double.self)
    let characters = try reader.array("item/characters", as: Int32.self)
    items = gold.indices.map { index in
      let row = (index * width)..<((index + 1) * width)
      let found = choices[row].filter { !$0.isNaN }
      return Item(
        subtask: Int(subtask[index]), number: Int(number[index]), gold: Int(gold[index]), logLikelihoods: found,
        characters: subtasks[Int(subtask[index])].isNormalised ? characters[row].prefix(found.count).map(Int.init) : nil
      )
    }
    self.subtasks = subtasks
  }

  private func padded<Value>(_ values: [Value], _ width: Int, _ filler: Value) -> [Value] {
    values + Array(repeating: filler, count: width - values.count)
  }
}
