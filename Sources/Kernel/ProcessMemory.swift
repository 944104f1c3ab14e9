import CSystem
import Foundation

/// The memory of this process that is resident, mapped files included; 0 where the system does not tell.
public enum ProcessMemory {
  /// Now.
  public static var resident: Int { bytes("VmRSS:") }

  /// The most since the last restart.
  public static var peak: Int { bytes("VmHWM:") }

  /// Forgets the peak that was before.
  /// - Returns: whether the system allows it.
  @discardableResult
  public static func restart() -> Bool {
    guard let file = FileHandle(forWritingAtPath: "/proc/self/clear_refs") else { return false }
    return (try? file.write(contentsOf: Data("5".utf8))) != nil
  }

  /// Gives the system back what was freed.
  public static func release() { malloc_trim(0) }

  private static func bytes(_ field: String) -> Int {
    let status = (try? String(contentsOfFile: "/proc/self/status", encoding: .utf8)) ?? ""
    let line = status.split(separator: "\n").first { $0.hasPrefix(field) }
    return (line?.split(whereSeparator: \.isWhitespace).dropFirst().first.flatMap { Int($0) } ?? 0) * 1024
  }
}
