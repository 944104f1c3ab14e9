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
        columns: ["step", "op", "status", "reason", "time", "memory", "disk"],
        rows: try rows.map { row in
          let cell = row.coordinates.map { "\($0.name)=\($0.value.rendered)" }.joined(separator: " ")
          let name = (row.name ?? row.op) + (cell.isEmpty ? "" : "[\(cell)]")
          let (status, reason) = try words(row)
          // What will be made takes about what it took under this name before.
          let seconds = try row.stored?.seconds ?? row.name.flatMap { try store.seconds(of: $0) }
          let disk = row.stored?.bytes ?? row.estimate.map(\.disk)
          return [
            .text(name), .text(row.op), .text(status), .text(reason), .init(seconds: seconds),
            row.estimate.map { $0.memory > 0 ? .bytes($0.memory) : .missing } ?? .missing,
            disk.map { $0 > 0 ? .bytes($0) : .missing } ?? .missing,
          ]
        }), name: "dry run", showsAll: true)
    let waiting = rows.count { $0.status != .cached }
    console.remark("\(counted(rows.count, "step")): \(rows.count - waiting) cached, \(waiting) to run; nothing was run")
  }

  private func words(_ row: DryRunRow) throws -> (String, String) {
    switch row.status {
    case .cached: return ("cached", "")
    case .anew: return ("run", "asked for by --fresh")
    case .after(let name): return ("run", "depends on \(name)")
    case .run:
      guard let name = row.name else { return ("run", "not in the store") }
      guard let last = try store.bindings(of: name).last, let record = row.record else {
        return ("run", "never computed")
      }
      let differences = try store.differences(from: last.step, to: record).map(\.text)
      return ("run", differences.isEmpty ? "not in the store any more" : differences.joined(separator: "; "))
    }
  }
}
