import Foundation

/// A process, as the names of its temporary files and its locks tell it: `4242-1a2b3c4d`.
package struct ProcessTag: Equatable {
  let number: Int32
  /// The start of the machine and the process namespace in which the number means that process: containers of one machine
  /// count their processes apart, and so do machines that share a disk.
  package let space: String

  package static let own: ProcessTag = {
    let start = (try? Files.text("/proc/sys/kernel/random/boot_id")) ?? ""
    let namespace = (try? Files.target(ofLink: "/proc/self/ns/pid")) ?? ""
    return ProcessTag(number: getpid(), space: String(SHA256.hex(of: start + namespace).prefix(8)))
  }()

  private init(number: Int32, space: String) {
    self.number = number
    self.space = space
  }

  /// Nil when `text` is not a tag.
  package init?(_ text: some StringProtocol) {
    let parts = text.split(separator: "-", omittingEmptySubsequences: false)
    guard parts.count == 2, let number = Int32(parts[0]), number > 0, parts[1].count == 8,
      parts[1].allSatisfy({ $0.isHexDigit && !$0.isUppercase })
    else { return nil }
    self.init(number: number, space: String(parts[1]))
  }

  package var text: String { "\(number)-\(space)" }

  /// Whether the process runs; nil when that cannot be known from here.
  var isRunning: Bool? {
    if space != ProcessTag.own.space { return nil }
    return kill(number, 0) == 0 || errno == EPERM
  }

  /// The tag in the name of a temporary file, `3fa9….4242-1a2b3c4d.h5`; nil for a name that is none of ours.
  static func owner(ofTemporary name: String) -> ProcessTag? {
    let parts = name.split(separator: ".", omittingEmptySubsequences: false)
    return parts.count == 3 ? ProcessTag(parts[1]) : nil
  }
}

/// Whether `text` is a step key, the name of everything in the store that belongs to one step.
func isKey(_ text: some StringProtocol) -> Bool {
  text.utf8.count == 64 && text.allSatisfy { $0.isASCII && $0.isHexDigit && !$0.isUppercase }
}
