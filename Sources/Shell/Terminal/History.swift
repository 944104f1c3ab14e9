import Foundation
import Kernel

/// Former statements, in a file of one JSON string per line, so that a statement of several lines stays one entry and
/// the file can be read and searched by people.
struct History {
  static let limit = 10_000

  let path: String?
  private(set) var entries: [String]

  /// `PRN_HISTFILE`, else `$XDG_STATE_HOME/prn/history`, else `~/.local/state/prn/history`. Empty `PRN_HISTFILE`: no file.
  static func path(_ environment: [String: String]) -> String? {
    if let chosen = environment["PRN_HISTFILE"] { return chosen.isEmpty ? nil : chosen }
    if let state = environment["XDG_STATE_HOME"], state.hasPrefix("/") { return state + "/prn/history" }
    return environment["HOME"].map { $0 + "/.local/state/prn/history" }
  }

  /// Reads what is there; a line that is not a JSON string (torn by a crash) is passed over.
  init(path: String?) {
    self.path = path
    guard let path, let data = FileManager.default.contents(atPath: path) else {
      entries = []
      return
    }
    let lines = String(decoding: data, as: UTF8.self).split(separator: "\n")
    entries = lines.suffix(History.limit).compactMap { (try? JSONValue(parsing: String($0)))?.stringValue }
  }

  /// Adds a statement, unless it starts with a space, is empty or repeats the last one.
  /// - Returns: whether it was added.
  @discardableResult
  mutating func add(_ statement: String) -> Bool {
    var text = statement[...]
    while text.last?.isNewline == true { text.removeLast() }
    guard let first = text.first, first != " ", !text.allSatisfy(\.isWhitespace), entries.last != String(text) else {
      return false
    }
    entries.append(String(text))
    append(String(text))
    return true
  }

  /// One write, so that two shells never tear each other's lines. A history that cannot be written is not worth an error.
  private func append(_ text: String) {
    guard let path else { return }
    let folder = (path as NSString).deletingLastPathComponent
    if !folder.isEmpty {
      try? FileManager.default.createDirectory(
        atPath: folder, withIntermediateDirectories: true, attributes: [.posixPermissions: 0o700])
    }
    let descriptor = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0o600)
    guard descriptor >= 0 else { return }
    defer { close(descriptor) }
    let line = Array((History.quoted(text) + "\n").utf8)
    _ = line.withUnsafeBytes { write(descriptor, $0.baseAddress, line.count) }
  }

  /// JSON that keeps letters readable: only what JSON demands is escaped.
  static func quoted(_ text: String) -> String {
    var out = "\""
    for scalar in text.unicodeScalars {
      switch scalar {
      case "\"": out += "\\\""
      case "\\": out += "\\\\"
      case "\n": out += "\\n"
      case "\t": out += "\\t"
      case "\r": out += "\\r"
      default:
        if scalar.value < 0x20 {
          let digits = String(scalar.value, radix: 16)
          out += "\\u" + String(repeating: "0", count: 4 - digits.count) + digits
        } else {
          out.unicodeScalars.append(scalar)
        }
      }
    }
    return out + "\""
  }
}
