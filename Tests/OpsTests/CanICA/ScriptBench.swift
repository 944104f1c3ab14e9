import Foundation
import Kernel
import Numerics

@testable import Ops

/// Runs statements of the language on the bundled model, in a workspace of its own that goes away with it; one test at a
/// time. A suite whose tests all begin with the same statements keeps one in a static constant.
final class ScriptBench: SessionObserver, MetaHandler, @unchecked Sendable {
  private static let root = NSTemporaryDirectory() + "prn-ops-\(ProcessInfo.processInfo.processIdentifier)"
  /// What a static bench leaves goes when the process ends.
  private static let cleaning: Void = { atexit { try? FileManager.default.removeItem(atPath: ScriptBench.root) } }()

  let folder = ScriptBench.root + "/" + UUID().uuidString

  init() { ScriptBench.cleaning }

  /// The last component is the project's data folder.
  static let data = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
    .deletingLastPathComponent().deletingLastPathComponent().appendingPathComponent("data").path

  /// The bundled model, two texts, and kinds of their tokens.
  static let labelledTexts = """
    m = load DATA/tiny-llama
    cal = text DATA/calibration.txt model=m samples=24 length=128 take=order
    held = text DATA/test.txt model=m samples=24 length=128 take=order
    kc = kinds cal model=m labels=DATA/calibration.labels.tsv
    kh = kinds held model=m labels=DATA/test.labels.tsv

    """

  private(set) var warnings: [String] = []
  private(set) var computed: [String] = []
  private(set) var resumed: [String] = []
  /// With which others each named step was computed.
  private(set) var company: [String: [String]] = [:]
  /// Stops the work when an op reports that so many units are done.
  var stop: (op: String, done: Int)?
  /// Stops the work when this op starts, once its check and its estimate are over.
  var stopsAtStart: String?
  /// Stops the work when this op has all but one of its units done.
  var stopsAtEnd: String?
  private(set) var isCancelled = false

  deinit { try? FileManager.default.removeItem(atPath: folder) }

  func handle(_ event: SessionEvent) {
    switch event {
    case .warned(_, let sentence): warnings.append(sentence)
    case .finished(let info, _, _, _):
      computed.append(info.op)
      if let name = info.name, !info.with.isEmpty { company[name] = info.with.map { $0.name ?? $0.op } }
    case .resumed(let info, let done, let total, let unit): resumed.append("\(info.op) \(done)/\(total) \(unit)")
    case .started(let info): if info.op == stopsAtStart { isCancelled = true }
    case .progress(let info, let done, let total, _):
      if let stop, stop.op == info.op, done >= stop.done { isCancelled = true }
      if info.op == stopsAtEnd, total > 1, done >= total - 1 { isCancelled = true }
    default: break
    }
  }

  func perform(_ call: MetaCall, in session: Session) throws {}

  private func store() throws -> Store {
    try Store(workspace: folder + "/.prn", types: catalog.artifactTypes)
  }

  /// `DATA` in the text stands for the data folder.
  @discardableResult
  func run(_ text: String) throws -> Outcome {
    isCancelled = false
    let session = Session(catalog: catalog, store: try store(), observer: self, meta: self)
    return session.run(Source(name: "test.prn", text: text.replacingOccurrences(of: "DATA", with: ScriptBench.data)))
  }

  /// The value of a name that `text` binds.
  func value<A: Artifact>(_ name: String, _ text: String, as type: A.Type = A.self) throws -> A {
    let outcome = try run(text)
    if let first = outcome.diagnostics.first { throw first }
    return try value(name)
  }

  /// The value of a name that is bound already.
  func value<A: Artifact>(_ name: String, as type: A.Type = A.self) throws -> A {
    guard let value = try store().value(named: name, back: 0)?.load() as? A else {
      throw Diagnostic("\(name) is no value of type \(A.type.name)")
    }
    return value
  }

  /// The one sentence that says why `text` cannot be carried out.
  func refusal(_ text: String) throws -> String? {
    let found = try run(text).diagnostics
    return found.count == 1 ? found[0].summary : nil
  }

  /// Names and bytes of what `text` makes in an empty workspace with so many threads.
  static func objects(of text: String, threads: Int) throws -> [String: Data] {
    let before = Parallel.threads
    defer { Parallel.threads = before }
    Parallel.threads = threads
    let bench = ScriptBench()
    if let first = try bench.run(text).diagnostics.first { throw first }
    return try bench.objects()
  }

  /// The same, one statement a run, so that no step knows of later ones.
  static func objects(ofEachIn text: String) throws -> [String: Data] {
    let bench = ScriptBench()
    let lines = text.split(separator: "\n")
    for count in lines.indices {
      if let first = try bench.run(lines[...count].joined(separator: "\n")).diagnostics.first { throw first }
    }
    return try bench.objects()
  }

  func content(_ name: String) throws -> String? { try store().value(named: name, back: 0)?.reference.content }

  /// Whether an unfinished step has saved something of itself.
  var hasCheckpoints: Bool {
    let left = try? FileManager.default.subpathsOfDirectory(atPath: folder + "/.prn/partial")
    return left?.contains { $0.contains("/") } ?? false
  }

  /// Names and bytes of every object of the store.
  func objects() throws -> [String: Data] {
    let root = folder + "/.prn/objects"
    let paths = try FileManager.default.subpathsOfDirectory(atPath: root).filter { $0.hasSuffix(".h5") }
    return Dictionary(
      uniqueKeysWithValues: try paths.map { ($0, try Data(contentsOf: URL(fileURLWithPath: root + "/" + $0))) })
  }
}
