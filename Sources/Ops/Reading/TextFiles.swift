import Foundation
import Kernel
import Transformer

/// Texts of files outside the store: plain text, or JSON lines with a field `text`, packed with gzip or not.
struct TextFiles {
  /// What counts in a folder.
  static let patterns = [
    "*.txt", "*.raw", "*.jsonl", "*.json", "*.txt.gz", "*.raw.gz", "*.jsonl.gz", "*.json.gz",
  ]

  /// One text: a whole plain file, or one record.
  struct Document {
    let bytes: [UInt8]
    let path: String
    /// Whether it is a record, as opposed to a file whose lines may be rows or whose titles may start pages.
    let isRecord: Bool
  }

  let documents: [Document]

  /// - Parameter memory: bytes that packed files may unpack to, each.
  init(_ files: [ExternalFile], memory: Int = .max) throws {
    documents = try files.flatMap { try $0.paths(matching: TextFiles.patterns) }
      .flatMap { try TextFiles.documents($0, memory) }
  }

  /// The text as it is; records, and files where there are several, with an empty line between them.
  var whole: [UInt8] { Array(documents.map(\.bytes).joined(separator: [0x0A, 0x0A])) }

  /// Records, and lines with their newlines as the data sets publish them: a line of white space only is an empty row.
  var rows: [[UInt8]] { documents.flatMap { $0.isRecord ? [$0.bytes] : $0.bytes.rows } }

  /// What a tokenizer refused, by the file and the place in it; nil when no file is to blame.
  func located(_ error: TokenizerError) -> Diagnostic? {
    guard case .invalidUTF8 = error else { return nil }
    return documents.lazy.compactMap { document in
      document.bytes.withUnsafeBufferPointer(firstInvalidUTF8).map { offset in
        let line = document.bytes[..<offset].count { $0 == 0x0A } + 1
        return Diagnostic("\(document.path) is not UTF-8: byte \(offset), in line \(line)", argument: "path")
      }
    }.first
  }

  private static func documents(_ path: String, _ memory: Int) throws -> [Document] {
    var bytes = try readFile(path)
    var name = (path as NSString).lastPathComponent
    if bytes.starts(with: [0x1f, 0x8b]) {
      bytes = try gunzipped(bytes, name: name, atMost: memory)
      if name.hasSuffix(".gz") { name = String(name.dropLast(3)) }
    }
    guard name.hasSuffix(".jsonl") || name.hasSuffix(".json") else {
      return [Document(bytes: bytes, path: path, isRecord: false)]
    }
    return try Record.lines(bytes, file: name).map { record in
      Document(bytes: Array(try record.text(record.has("page") ? "page" : "text").utf8), path: path, isRecord: true)
    }
  }
}

extension ExternalFile {
  /// The file itself, or the files of a folder that count, by name.
  func paths(matching patterns: [String]) throws -> [String] {
    var isFolder: ObjCBool = false
    guard FileManager.default.fileExists(atPath: path, isDirectory: &isFolder), isFolder.boolValue else {
      return [path]
    }
    let names = try FileManager.default.contentsOfDirectory(atPath: path)
      .filter { name in patterns.contains { fnmatch($0, name, 0) == 0 } }
      .sorted { Array($0.utf8).lexicographicallyPrecedes(Array($1.utf8)) }
    return names.map { path + "/" + $0 }
  }
}

extension [UInt8] {
  /// Lines with their newlines; a line of ASCII white space only is an empty row.
  fileprivate var rows: [[UInt8]] {
    var rows: [[UInt8]] = []
    var rest = self[...]
    while !rest.isEmpty {
      let end = rest.firstIndex(of: 0x0A).map { $0 + 1 } ?? rest.endIndex
      let row = rest[..<end]
      rows.append(row.allSatisfy { $0 == 0x20 || (0x09...0x0D).contains($0) } ? [] : [UInt8](row))
      rest = rest[end...]
    }
    return rows
  }
}

/// The bytes of a file.
/// - Throws: a sentence naming the file and what the system said.
func readFile(_ path: String) throws -> [UInt8] {
  do {
    return Array(try Data(contentsOf: URL(fileURLWithPath: path)))
  } catch {
    throw Diagnostic("\(path) cannot be read", argument: "path")
  }
}
