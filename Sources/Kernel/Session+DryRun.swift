/// What a step would do if the plan were run now.
public struct DryRunRow {
  public enum Status: Sendable, Equatable {
    case cached
    /// There is a value of its key, and `--fresh` asks for another.
    case anew
    /// Its inputs are known and there is no value of its key.
    case run
    /// It depends on a step that would run, so its key is not known yet.
    case after(String)
  }
  public var name: String?
  public var op: String
  public var type: ArtifactType
  public var coordinates: [Coordinate]
  public var status: Status
  public var key: String?
  /// What the store has, when it has it.
  public var stored: StoredStep?
  /// What its key is the hash of, once its inputs are known.
  public var record: JSONValue?
  /// What it would need, as far as its inputs tell.
  public var estimate: Resources?
  public var span: Span
}

extension Session {
  /// Looks every step of a plan up without running any.
  /// - Throws: when what is to be carried out is not in it.
  public func dryRun(_ plan: Plan) throws -> [DryRunRow] {
    if let unknown = unknownChoice(of: plan) { throw unknown }
    let wanted = Set(Execution(session: self, plan: plan).wanted.map(ObjectIdentifier.init))
    let names = plan.names
    defer { for node in plan.steps { node.handle = nil } }
    var rows: [DryRunRow] = []
    for (index, node) in plan.steps.enumerated() {
      guard let step = node.step else { continue }
      let name = names[ObjectIdentifier(node)]
      let info = StepInfo(
        name: name, op: step.bound.signature.name, type: node.type, key: nil, coordinates: step.coordinates,
        index: index + 1, total: plan.steps.count, span: step.span)
      var row = DryRunRow(
        name: name, op: info.op, type: node.type, coordinates: step.coordinates, status: .run, key: nil, stored: nil,
        span: step.span)
      let missing = node.needs.first { $0.handle == nil }
      if let missing {
        row.status = .after(names[ObjectIdentifier(missing)] ?? missing.op ?? missing.type.name)
      } else {
        let runner = StepRunner(session: self, node: node, step: step, info: info, place: nil)
        let recipe = try runner.prepared()
        row.key = recipe.key
        row.record = recipe.record
        if let stored = try store.find(recipe.key) {
          // Made anew it has the same content, so that what follows is as it is.
          node.handle = stored.handle
          row.status = recipe.isFresh ? .anew : .cached
          row.stored = stored
        }
        if row.status != .cached { row.estimate = try? runner.estimate() }
      }
      if wanted.contains(ObjectIdentifier(node)) { rows.append(row) }
    }
    return rows
  }
}
