import Foundation

@testable import Kernel
@testable import Ops

/// The context of a step, for machinery that is given its values by hand: no script, no op, no inputs.
final class StepBench {
  let folder = NSTemporaryDirectory() + "prn-step-\(UUID().uuidString)"
  /// The work that was reported, "2/6 layer".
  private(set) var reported: [String] = []

  deinit { try? FileManager.default.removeItem(atPath: folder) }

  private var steps = 0

  /// Every run is a step of its own: it finds the children of earlier ones, and no checkpoints.
  func run<Result>(_ work: @escaping (any RunContext) throws -> Result) throws -> Result {
    steps += 1
    var found: Result?
    let record: JSONValue = ["op": "bench", "parameters": ["step": .integer(steps)]]
    let listener = Listener()
    defer { reported = listener.heard }
    let store = try Store(workspace: folder + "/.prn", types: catalog.artifactTypes)
    _ = try store.perform(
      StepRecipe(
        key: SHA256.hex(of: record.canonical), record: record, op: "bench", revision: 1, parameters: [:], inputs: [],
        externals: [], outputType: ResultTable.self, facts: [:], call: "bench", estimate: Resources(), isFresh: false,
        place: nil,
        run: { context in
          found = try work(context)
          return ResultTable(names: ["x"], columns: [.numbers([0])], keys: [])
        }),
      observer: listener)
    guard let found else { throw Diagnostic("the step was not run") }
    return found
  }

  private final class Listener: StepObserver {
    var heard: [String] = []
    let isCancelled = false
    func progress(_ done: Int, of total: Int, _ unit: String) { heard.append("\(done)/\(total) \(unit)") }
    func resumed(at done: Int, of total: Int, _ unit: String) {}
    func warned(_ sentence: String) {}
    func waiting(forProcess pid: Int) {}
  }
}
