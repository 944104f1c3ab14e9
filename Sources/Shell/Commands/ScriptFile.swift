import Foundation
import Kernel

/// Reading scripts.
enum ScriptFile {
  static let largest = 16 << 20

  /// - Parameter path: a file, or `-` for standard input.
  /// - Throws: `Diagnostic` of kind `usage` naming the file.
  static func read(_ path: String) throws -> Source {
    let data: Data
    if path == "-" {
      data = FileHandle.standardInput.readDataToEndOfFile()
    } else {
      var isFolder: ObjCBool = false
      guard FileManager.default.fileExists(atPath: path, isDirectory: &isFolder) else {
        throw Diagnostic("there is no script \(path)", kind: .usage)
      }
      if isFolder.boolValue { throw Diagnostic("\(path) is a folder, not a script", kind: .usage) }
      guard let contents = FileManager.default.contents(atPath: path) else {
        throw Diagnostic("the script \(path) cannot be read", kind: .usage)
      }
      data = contents
    }
    guard data.count <= largest else { throw Diagnostic("\(path) is too large for a script", kind: .usage) }
    guard let text = String(validating: data, as: UTF8.self) else {
      throw Diagnostic("the script \(path) is not UTF-8 text", kind: .usage)
    }
    let folder = path == "-" ? "." : (path as NSString).deletingLastPathComponent
    return Source(name: path == "-" ? "<stdin>" : path, text: text, folder: folder.isEmpty ? "." : folder)
  }
}
