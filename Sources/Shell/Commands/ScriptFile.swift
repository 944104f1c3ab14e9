import Foundation
import Kernel

/// Reading scripts.
enum ScriptFile {
  static let largest = 16 << 20

  /// - Parameter path: a file, or `-` for standard input.
  /// - Throws: `Diagnostic` of kind `usage` naming the file.
  static func read(_ path: String) throws -> Source {
    let name = path == "-" ? "standard input" : path
    let file = path == "-" ? STDIN_FILENO : open(path, O_RDONLY | O_CLOEXEC)
    guard file >= 0 else {
      if errno == ENOENT || errno == ENOTDIR { throw Diagnostic("there is no script \(path)", kind: .usage) }
      throw Diagnostic("the script \(path) cannot be read: \(String(cString: strerror(errno)))", kind: .usage)
    }
    defer { if path != "-" { close(file) } }
    var bytes = try bytes(of: file, named: name, atMost: largest)
    // Some editors begin a file with a byte order mark.
    if bytes.starts(with: [0xEF, 0xBB, 0xBF]) { bytes.removeFirst(3) }
    guard let text = String(validating: bytes, as: UTF8.self) else {
      throw Diagnostic("\(name) is not UTF-8 text", kind: .usage)
    }
    let folder = path == "-" ? "." : (path as NSString).deletingLastPathComponent
    return Source(name: path == "-" ? "<stdin>" : path, text: text, folder: folder.isEmpty ? "." : folder)
  }

  /// What comes through an open file, to its end.
  /// - Throws: `Diagnostic` of kind `usage`; of kind `cancelled` when a signal asks to stop.
  static func bytes(of file: Int32, named name: String, atMost limit: Int) throws -> [UInt8] {
    var bytes: [UInt8] = []
    var buffer = [UInt8](repeating: 0, count: 1 << 16)
    while true {
      let count = buffer.withUnsafeMutableBytes { Foundation.read(file, $0.baseAddress, $0.count) }
      if count == 0 { return bytes }
      if count < 0 {
        if Interrupts.isStopping { throw Diagnostic("stopped", kind: .cancelled) }
        if errno == EINTR { continue }
        throw Diagnostic("\(name) cannot be read: \(String(cString: strerror(errno)))", kind: .usage)
      }
      bytes += buffer[..<count]
      guard bytes.count <= limit else {
        throw Diagnostic("\(name) is too large: more than \(byteText(limit))", kind: .usage)
      }
    }
  }
}
