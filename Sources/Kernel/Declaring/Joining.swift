import Ranks

/// An op of which several calls can be carried out at once, because what takes long is the same for all: a walk of one
/// model over one text.
///
/// The call whose turn it is takes later ones along, as its companions, and publishes their parts or saves their
/// checkpoints with its own. Each finds them when its own turn comes, so that keys, bytes and errors are those of calls
/// made one by one.
public protocol Joining: Op {
  /// Whether the work of this call can be done by `first` on its way. Inputs exist, and are not read yet.
  func canJoin(_ first: Self) -> Bool
  /// As `estimate(within:)`, for a run that takes others along.
  func estimate(within limit: Int, with companions: [Self]) throws -> Resources
  /// Runs the op, and does the work of its companions on the way.
  func run(_ context: any RunContext, with companions: [Companion<Self>]) throws -> Output
}

extension Joining {
  public func estimate(within limit: Int) throws -> Resources { try estimate(within: limit, with: []) }
  public func run(_ context: any RunContext) throws -> Output { try run(context, with: []) }
}

/// A later call whose work another does on its way.
public final class Companion<Call: Joining> {
  public let call: Call
  /// Where its parts and checkpoints go.
  public let context: any RunContext
  /// Whether something of its work was written, and nothing failed.
  private(set) var isServed = false
  private var hasFailed = false

  init(_ call: Call, _ context: any RunContext) {
    self.call = call
    self.context = context
  }

  /// Does some of its work, unless something failed before. A failure is left to its own run, where it is told as it
  /// always is. What concerns all is thrown: that the work is stopped, that the store is damaged, and, where several ranks
  /// compute, what only one of them may meet.
  /// - Parameter writing: whether something is written.
  /// - Returns: nil when it failed.
  @discardableResult
  public func attempt<Result>(writing: Bool = false, _ body: () throws -> Result) throws -> Result? {
    if hasFailed { return nil }
    do {
      let result = try body()
      if writing { isServed = true }
      return result
    } catch let error as any Explained
      where error.diagnostic.isOfOneStep && !(error is RankError) && !(writing && context.ranks.size > 1)
    {
      hasFailed = true
      isServed = false
      return nil
    }
  }
}

extension Diagnostic {
  /// Whether it says nothing of other steps.
  fileprivate var isOfOneStep: Bool { [.usage, .failure, .refused].contains(kind) }
}

extension BoundOp {
  /// Whether other calls could join it at all.
  var joins: Bool { op is any Joining }

  func canJoin(_ first: BoundOp) -> Bool {
    func open<T: Joining>(_ first: T) -> Bool { (op as? T)?.canJoin(first) ?? false }
    return (first.op as? any Joining).map { open($0) } ?? false
  }

  func estimate(within limit: Int, with companions: [BoundOp] = []) throws -> Resources {
    func open<T: Joining>(_ op: T) throws -> Resources {
      try op.estimate(within: limit, with: companions.compactMap { $0.op as? T })
    }
    guard !companions.isEmpty, let op = op as? any Joining else { return try op.estimate(within: limit) }
    return try open(op)
  }

  /// - Returns: the value, and which of the companions need not do their work again.
  func run(
    _ context: any RunContext, with companions: [(bound: BoundOp, context: any RunContext)]
  ) throws -> (value: any Artifact, served: [Bool]) {
    func open<T: Joining>(_ op: T) throws -> (any Artifact, [Bool]) {
      let all = companions.compactMap { other in (other.bound.op as? T).map { Companion($0, other.context) } }
      return (try op.run(context, with: all), all.map(\.isServed))
    }
    guard !companions.isEmpty, let op = op as? any Joining else { return (try run(context), []) }
    return try open(op)
  }
}
