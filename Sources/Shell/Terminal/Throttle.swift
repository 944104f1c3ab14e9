import Foundation

/// Lets an event of each kind through once per interval.
struct Throttle {
  let interval: Double
  private var last: [Int: Double] = [:]
  init(interval: Double) { self.interval = interval }

  mutating func allows(_ kind: Int, _ always: Bool) -> Bool {
    let now = ProcessInfo.processInfo.systemUptime
    guard always || now - (last[kind] ?? -.infinity) >= interval else { return false }
    last[kind] = now
    return true
  }
}
