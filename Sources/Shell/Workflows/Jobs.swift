import Kernel

/// The steps of a script as jobs that other programs run, each in a process of its own, over one store.
///
/// A job is a chain of steps: a step goes on the job of the one step it needs that nothing else uses. So what a job is
/// waited for is always its last step, whose number names it, and jobs in the order of their numbers come after what
/// they need.
///
/// What is measured anew each time would not be found again, and a file that the script writes is not there before; such
/// steps, and all that need them, are left to the run of the whole script that comes last.
struct Jobs {
  struct Job: Equatable {
    /// Numbers of steps, from 1 in the order of the plan, rising.
    var steps: [Int]
    /// The jobs to wait for, rising.
    var needs: [Int]
    /// What its steps are called, for people.
    var title: String
    /// The files and folders it reads from outside the store.
    var reads: [String]
    /// How many jobs come one after the other before it.
    var depth: Int

    var number: Int { steps.last ?? 0 }
  }

  /// By number.
  private(set) var all: [Job] = []

  init(_ plan: Plan) {
    let numbers = Dictionary(uniqueKeysWithValues: plan.steps.enumerated().map { (ObjectIdentifier($1), $0 + 1) })
    var needs: [Int: Set<Int>] = [:]
    var users: [Int: Int] = [:]
    for (number, node) in zip(1..., plan.steps) where node.isRepeatable && !node.reads.contains(where: plan.writes) {
      let wanted = Set(node.needs.compactMap { numbers[ObjectIdentifier($0)] })
      guard wanted.allSatisfy({ needs[$0] != nil }) else { continue }
      needs[number] = wanted
      for need in wanted { users[need, default: 0] += 1 }
    }
    var chains: [[Int]] = []
    var chainOf: [Int: Int] = [:]
    for number in needs.keys.sorted() {
      let own = (needs[number] ?? []).filter { users[$0] == 1 }
      if own.count == 1, let before = own.first, let chain = chainOf[before] {
        chains[chain].append(number)
        chainOf[number] = chain
      } else {
        chainOf[number] = chains.count
        chains.append([number])
      }
    }
    var names: [ObjectIdentifier: String] = [:]
    for case .bind(let name, .artifact(let node), _) in plan.statements.map(\.action) {
      names[ObjectIdentifier(node)] = names[ObjectIdentifier(node)] ?? name
    }
    var depths: [Int: Int] = [:]
    for steps in chains.sorted(by: { ($0.last ?? 0) < ($1.last ?? 0) }) {
      let nodes = steps.map { plan.steps[$0 - 1] }
      let outside = steps.reduce(into: Set<Int>()) { $0.formUnion(needs[$1] ?? []) }.subtracting(steps).sorted()
      let depth = outside.reduce(0) { max($0, (depths[$1] ?? 0) + 1) }
      depths[steps.last ?? 0] = depth
      all.append(
        Job(
          steps: steps, needs: outside,
          title: nodes.map { names[ObjectIdentifier($0)] ?? $0.op ?? $0.type.name }.joined(separator: ", "),
          reads: Set(nodes.flatMap(\.reads)).sorted(), depth: depth))
    }
  }

  /// The jobs that no other waits for.
  var last: [Job] {
    let awaited = Set(all.flatMap(\.needs))
    return all.filter { !awaited.contains($0.number) }
  }

  /// Jobs that can run at the same time, those that need nothing first.
  var byDepth: [[Job]] {
    Dictionary(grouping: all, by: \.depth).sorted { $0.key < $1.key }.map(\.value)
  }
}
