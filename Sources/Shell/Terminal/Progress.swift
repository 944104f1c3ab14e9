import Foundation
import Kernel

/// The line that says how far a step is.
///
/// On a terminal it appears after two seconds, changes at most five times a second and is wiped before anything else is
/// printed. Elsewhere nothing is shown, or with `--progress=plain` one line a minute.
final class Progress: @unchecked Sendable {
  private let stream: OutputStream
  private let style: ProgressStyle
  private let clock: @Sendable () -> Double
  private let lock = NSLock()
  private var name = ""
  private var started = 0.0
  private var firstDone: (done: Int, at: Double)?
  private var lastDrawn = -Double.infinity
  private var isShown = false

  static let delay = 2.0
  static let interval = 0.2
  static let plainInterval = 60.0

  init(
    stream: OutputStream, style: ProgressStyle,
    clock: @escaping @Sendable () -> Double = { ProcessInfo.processInfo.systemUptime }
  ) {
    self.stream = stream
    self.style = style
    self.clock = clock
  }

  private var isLive: Bool { style == .auto && stream.isTerminal && !stream.isDumb }

  /// Work on the step of `name` begins.
  func begin(_ name: String) {
    lock.withLock {
      self.name = name
      started = clock()
      lastDrawn = style == .plain ? started : -.infinity
      firstDone = nil
    }
  }

  func update(_ done: Int, of total: Int, _ unit: String) {
    guard isLive || style == .plain else { return }
    lock.withLock {
      let now = clock()
      if firstDone == nil { firstDone = (done, now) }
      if isLive {
        guard now - started >= Progress.delay, now - lastDrawn >= Progress.interval else { return }
        lastDrawn = now
        let text = Progress.text(name, done, total, unit, since: firstDone, started: started, now: now)
        try? stream.write("\r\u{1B}[K" + DisplayWidth.cut(text, to: max(10, stream.size.columns - 1), mark: ""))
        isShown = true
      } else if now - lastDrawn >= Progress.plainInterval {
        lastDrawn = now
        try? stream.write(Progress.text(name, done, total, unit, since: firstDone, started: started, now: now) + "\n")
      }
    }
  }

  /// Wipes the line, so that something else can be printed.
  func clear() {
    lock.withLock {
      if isShown { try? stream.write("\r\u{1B}[K") }
      isShown = false
    }
  }

  /// `acts  layer 5/32  16%  1.2 layers/s  22.5 s left`.
  ///
  /// - Parameter since: the first report, so that work taken over from a checkpoint does not count as speed.
  static func text(
    _ name: String, _ done: Int, _ total: Int, _ unit: String, since: (done: Int, at: Double)?, started: Double,
    now: Double
  ) -> String {
    var parts = [name, "\(unit) \(done)/\(total)"]
    let share = total > 0 ? Double(done) / Double(total) : 0
    parts.append(NumberText.fixed(share * 100, 0) + "%")
    let gained = done - (since?.done ?? 0)
    let elapsed = now - (since?.at ?? started)
    if gained > 0, elapsed > 0 {
      let rate = Double(gained) / elapsed
      parts.append(
        rate >= 1
          ? NumberText.significant(rate, 3) + " \(unit)s/s" : NumberText.significant(1 / rate, 3) + " s per \(unit)")
      if share >= 0.03, done < total { parts.append(NumberText.duration(Double(total - done) / rate) + " left") }
    } else {
      parts.append(NumberText.duration(now - started))
    }
    return parts.joined(separator: "  ")
  }
}
