import Foundation
import Kernel

/// Reading scripts.
enum ScriptFile {
  static let largest = 16 << 20

  /// - Parameter path: a file, or `-` for standard input.
  /// - Throws: `Diagnostic` of kind `usage` naming the file.
  static func read(_ path: String) throws -> Source {
    if path.isEmpty { throw Diagnostic("the path of the script is empty", kind: .usage) }
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

  /// Gives a script another text, as a whole or not at all: the file behind links, with the mode it has.
  /// - Throws: `Diagnostic` when it is no regular file, or cannot be written.
  static func rewrite(_ path: String, _ text: String) throws {
    let place = OutputPlace(path)
    guard place.kind == .file else { throw Diagnostic("\(path) is not a regular file", kind: .usage) }
    let temporary = "\(place.path).prn-\(UUID().uuidString.prefix(13)).part"
    var info = stat()
    guard stat(place.path, &info) == 0,
      FileManager.default.createFile(
        atPath: temporary, contents: Data(text.utf8), attributes: [.posixPermissions: Int(info.st_mode & 0o7777)]),
      rename(temporary, place.path) == 0
    else {
      let failure = OutputFailure(code: errno)
      unlink(temporary)
      throw Diagnostic("\(path) cannot be written: \(failure.reason)")
    }
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
