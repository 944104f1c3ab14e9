/// What a session tells its surroundings while it works; the shell turns it into lines, progress bars, JSON and reports.
public enum SessionEvent {
  /// A statement is about to be carried out.
  case statement(Span)
  /// A step will be computed.
  case started(StepInfo)
  case progress(StepInfo, done: Int, total: Int, unit: String)
  /// A step goes on where an interrupted run stopped.
  case resumed(StepInfo, done: Int, total: Int, unit: String)
  case warned(StepInfo, String)
  /// Another process is computing the same step.
  case waiting(StepInfo, process: Int)
  /// The store had the value.
  case cached(StepInfo, StoredStep)
  /// The value was computed. `hasChanged` is set when `--fresh` replaced a value: whether its content differs.
  case finished(StepInfo, StoredStep, seconds: Double, hasChanged: Bool?)
  case failed(StepInfo, Diagnostic)
  case cancelled(StepInfo)
  /// A name of the workspace was bound.
  case bound(name: String, PlanValue)
  /// The value of an expression statement.
  case value(PlanValue, Span)
  /// The time of a statement under `time`.
  case timed(Span, seconds: Double)
  /// An `assert` that held.
  case asserted(Span)
}

/// A step as events name it.
public struct StepInfo {
  /// The variable it is bound to, when the statement is an assignment of this very step.
  public var name: String?
  public var op: String
  public var type: ArtifactType
  /// Nil until the inputs exist.
  public var key: String?
  /// The sweep cell, for lines such as `rate=20%`.
  public var coordinates: [Coordinate]
  /// Its place among the steps of the plan, from 1.
  public var index: Int
  public var total: Int
  public var span: Span
  /// The steps whose work it did on its way, or the one that did its own.
  public var with: [StepInfo] = []
}

/// Hears the events of a session and can stop it.
public protocol SessionObserver: AnyObject {
  func handle(_ event: SessionEvent)
  /// Polled while steps run; true stops them.
  var isCancelled: Bool { get }
}

/// Executes the meta words of a script: the shell.
public protocol MetaHandler: AnyObject {
  /// Refuses what can be known to be impossible before anything runs.
  /// - Parameters:
  ///   - reads: the files and folders that earlier steps of the script read, and the script's own files.
  /// - Throws: `Explained` errors; the checker adds the span of the statement or of `argument`.
  func check(_ call: MetaCall, reads: [String], in session: Session) throws
  /// - Throws: `Explained` errors; the session adds the span of the statement or of `argument`.
  func perform(_ call: MetaCall, in session: Session) throws
}

extension MetaHandler {
  public func check(_ call: MetaCall, reads: [String], in session: Session) throws {}
}

/// How a run ended.
public struct Outcome {
  /// What went wrong, in order; empty when all is well.
  public var diagnostics: [Diagnostic]
  /// Statements carried out.
  public var executed: Int
  /// Statements of the script, when it was refused by the check.
  public var checked: Int
  /// Whether the check refused it, so that nothing was run.
  public var isRefused: Bool

  /// The exit code of the process (DESIGN.md section 4). An `assert` or a damaged store outranks nothing: the first
  /// failure decides.
  public var exitCode: Int32 { Int32(diagnostics.first?.kind.rawValue ?? 0) }

  /// The errors as printed.
  public var rendered: String {
    if diagnostics.isEmpty { return "" }
    if isRefused { return Diagnostic.rendered(diagnostics, statements: checked) }
    return diagnostics.map(\.rendered).joined(separator: "\n")
  }
}
