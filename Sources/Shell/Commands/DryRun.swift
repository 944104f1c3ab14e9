import Kernel

/// `--dry-run`: what every step would do.
struct DryRun {
  let session: Session
  let store: Store
  let console: Console

  func show(_ plan: Plan) throws {
    let rows = try session.dryRun(plan)
    console.show(
      TableData(
        columns: ["step", "op", "status", "reason", "time", "size"],
        rows: try rows.map { row in
          let cell = row.coordinates.map { "\($0.name)=\($0.value.rendered)" }.joined(separator: " ")
          let name = (row.name ?? row.op) + (cell.isEmpty ? "" : "[\(cell)]")
          let (status, reason) = try words(row)
          return [
            .text(name), .text(row.op), .text(status), .text(reason),
            row.stored.map { .seconds($0.seconds) } ?? .missing,
            row.stored.map { .bytes($0.bytes) } ?? .missing,
          ]
        }), name: "dry run", showsAll: true)
    let waiting = rows.count { $0.status != .cached }
    console.remark("\(rows.count) steps: \(rows.count - waiting) cached, \(waiting) to run; nothing was run")
  }

  private func words(_ row: DryRunRow) throws -> (String, String) {
    switch row.status {
    case .cached: return ("cached", "")
    case .after(let name): return ("run", "depends on \(name)")
    case .run:
      guard let name = row.name else { return ("run", "not in the store") }
      return ("run", try store.bindings(of: name).isEmpty ? "never computed" : "differs from the last \(name)")
    }
  }
}
