// What an interrupted run saved of a step: numbered checkpoints, or, of a step that goes
// forward through stages, the latest.

extension RunContext {
  /// What an interrupted run saved as `name-0` …, by its number. Saving one may have been skipped.
  public func checkpoints<Saved>(
    of name: String, count: Int, _ read: (any ArtifactReader) throws -> Saved
  ) throws -> [Int: Saved] {
    var found: [Int: Saved] = [:]
    for number in 0..<count { found[number] = try checkpoint(named: "\(name)-\(number)").map(read) }
    return found
  }

  /// Keeps what `write` writes as the state of `name` after `stage` stages of work, in place of earlier stages.
  public func checkpoint(_ name: String, stage: Int, _ write: (any ArtifactWriter) throws -> Void) throws {
    guard try checkpoint("\(name)-\(stage)", write) else { return }
    for earlier in 0..<stage { discardCheckpoint("\(name)-\(earlier)") }
  }

  /// The latest stage of `name` that an interrupted run saved, not beyond `last`.
  public func latestStage(of name: String, through last: Int) throws -> (stage: Int, saved: any ArtifactReader)? {
    for stage in stride(from: last, to: 0, by: -1) {
      if let saved = try checkpoint(named: "\(name)-\(stage)") { return (stage, saved) }
    }
    return nil
  }
}
