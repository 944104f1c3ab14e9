import CSystem
import Foundation

// What statements wrote for people and other programs, and what they may not write over.
extension Store {
  /// `.prn/outputs.jsonl`: a line per file written, and one per folder in which files were put together. Lines are only
  /// ever added, each by one write, so processes need not know of each other.
  private var outputsFile: String { root + "/outputs.jsonl" }

  /// Whether a file is one that prn wrote, in this workspace or another, and nobody changed since.
  public func wrote(_ path: String) throws -> Bool {
    let known = try explained { try outputs() }.compactMap {
      $0["path"]?.stringValue == path ? $0["content"]?.stringValue : nil
    }
    let all = known + [OutputMark.read(path)].compactMap { $0 }
    guard !all.isEmpty, let content = try? Sources.hash(of: path) else { return false }
    return all.contains(content)
  }

  /// Writes down that `file` is about to get its place at `path`. Before, so that a run killed between the two leaves no
  /// file that nobody wrote.
  public func noteOutput(_ file: String, as path: String) throws {
    let content = try explained { try Sources.hash(of: file) }
    try note(["path": .string(path), "content": .string(content)])
    OutputMark.write(content, to: file)
  }

  /// Writes down that a folder is about to be made in which an output is put together.
  public func noteStaging(_ path: String) throws { try note(["staging": .string(path)]) }

  /// The folders in which outputs were put together, as far as a killed run left them and they can be reached.
  public func leftStagings() throws -> [String] {
    try explained {
      try outputs().compactMap { $0["staging"]?.stringValue }.filter { (try? Files.exists($0)) ?? false }
    }
  }

  private func outputs() throws -> [Journal.Entry] {
    (try Files.text(outputsFile) ?? "").split(separator: "\n").compactMap {
      try? JSONValue(parsing: String($0)).objectValue
    }
  }

  private func note(_ entry: Journal.Entry) throws {
    try explained {
      try prepare()
      try Files.append(JSONValue.object(entry).canonical, to: outputsFile)
    }
  }

  /// Whether a path is a text that was loaded, the folder of a model that was loaded, or one of its files.
  public func isSource(_ path: String) throws -> Bool { try explained { try sources.holds(path) } }

  /// Whether a file of this name would count as a part of a folder that was loaded.
  public func isPartOfSource(_ path: String) throws -> Bool { try explained { try sources.holdsPart(path) } }

  /// The external files and folders behind an object, as far as they are still where they were.
  public func sources(behind key: String) throws -> [String] {
    try ancestry(of: key).flatMap { ancestor in
      (ancestor.step["inputs"]?.objectValue ?? [:]).values.flatMap { $0.arrayValue ?? [] }
        .compactMap { $0.stringValue ?? $0["content"]?.stringValue }
    }.compactMap { try? source(content: $0) }
  }
}

/// The hash of what prn wrote, in an extended attribute of the file, where another workspace finds it. File systems
/// without attributes leave it out; copies mostly do, too, and so belong to whoever made them.
private enum OutputMark {
  private static let name = "user.prn.content"

  static func write(_ content: String, to file: String) {
    _ = content.withCString { setxattr(file, name, $0, strlen($0), 0) }
  }

  static func read(_ file: String) -> String? {
    var bytes = [UInt8](repeating: 0, count: 256)
    let count = getxattr(file, name, &bytes, bytes.count)
    return count > 0 ? String(decoding: bytes.prefix(count), as: UTF8.self) : nil
  }
}
