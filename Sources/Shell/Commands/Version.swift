import Foundation
import Ops

/// What this program is and runs on.
enum Version {
  static let number = "0.1.0"

  static var facts: [(name: String, value: String)] {
    [
      ("prn", number), ("blas", Processor.description), ("cores", "\(ProcessInfo.processInfo.activeProcessorCount)"),
      ("memory", NumberText.bytes(Int(clamping: ProcessInfo.processInfo.physicalMemory))), ("system", system),
    ]
  }

  /// Now, in UTC: "2026-11-22 04:57 UTC".
  static func date() -> String {
    let text = ISO8601DateFormatter().string(from: Date())
    return text.prefix(16).replacing("T", with: " ") + " UTC"
  }

  private static var system: String {
    var name = utsname()
    guard uname(&name) == 0 else { return "unknown" }
    func text<T>(_ field: T) -> String {
      withUnsafeBytes(of: field) { String(decoding: $0.prefix { $0 != 0 }, as: UTF8.self) }
    }
    return "\(text(name.sysname)) \(text(name.release)) \(text(name.machine))"
  }
}
