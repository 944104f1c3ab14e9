import Foundation

// Looking through the whole workspace for damage.

/// Something `check` found.
public struct StoreFinding: Sendable, Equatable {
  public enum Kind: String, Sendable {
    /// An object is not what was written. Its next use sets it aside and makes it anew.
    case damaged
    /// An object was written by a newer version; it is left alone.
    case tooNew = "too new"
    /// A part of an object is missing; its next use makes it anew.
    case incomplete
    /// A name points at nothing.
    case dangling
    /// A file that does not belong where it is.
    case stray
    /// Left over from a process that died; removed.
    case leftover
  }
  public let kind: Kind
  /// Relative to the workspace.
  public let path: String
  /// One sentence.
  public let text: String
  /// Whether the store itself is at fault: exit code 4.
  public var isSerious: Bool { kind == .damaged || kind == .tooNew }
}

extension Store {
  /// Reads every byte of every object, compares it with its hashes, and looks for names and files that are out of place.
  /// Nothing is moved or changed, except that leftovers of dead processes are removed.
  public func check(progress: (_ done: Int, _ total: Int) throws -> Void = { _, _ in }) throws -> [StoreFinding] {
    var findings = [StoreFinding]()
    let keys = objectKeys()
    for (index, key) in keys.enumerated() {
      try progress(index, keys.count)
      if let finding = examine(key) { findings.append(finding) }
    }
    try progress(keys.count, keys.count)
    findings += strays()
    for session in sessions() {
      for name in names(in: session) where !Files.exists("\(root)/vars/\(session)/\(name).h5") {
        let text = "the object `\(name)` names is not in the store; running its step makes it again"
        findings.append(StoreFinding(kind: .dangling, path: "vars/\(session)/\(name).h5", text: text))
      }
    }
    for path in removeOrphans() {
      findings.append(StoreFinding(kind: .leftover, path: path, text: "left by a process that died; removed"))
    }
    return findings
  }

  private func examine(_ key: String) -> StoreFinding? {
    let path = "objects/\(key.prefix(2))/\(key).h5"
    do {
      let file = try HDF5File(reading: objectPath(key))
      let header = try Store.header(in: file, key: key)
      try ObjectReader(file, key: key, store: nil).verify()
      let missing = header.children.filter { !Files.exists(objectPath($0.key)) }
      guard let first = missing.first else { return nil }
      let text = "\(missing.count) of its parts are missing, \(first.key.prefix(12)) first"
      return StoreFinding(kind: .incomplete, path: path, text: text)
    } catch {
      let error = Store.judged(error, key: key)
      if let failure = error as? StoreFailure {
        return StoreFinding(kind: .tooNew, path: path, text: failure.diagnostic.summary)
      }
      let text = (error as? any Explained)?.diagnostic.summary ?? "\(error)"
      return StoreFinding(kind: .damaged, path: path, text: text)
    }
  }

  private func strays() -> [StoreFinding] {
    var findings = [StoreFinding]()
    func stray(_ path: String, _ text: String) { findings.append(StoreFinding(kind: .stray, path: path, text: text)) }
    for folder in Files.names(in: root + "/objects") {
      if Files.status("\(root)/objects/\(folder)")?.isFolder != true {
        stray("objects/" + folder, "not an object of this store")
      }
      for name in Files.names(in: "\(root)/objects/\(folder)") {
        let key = name.prefix(64)
        let isKey = key.count == 64 && key.allSatisfy { $0.isHexDigit && !$0.isUppercase }
        if !isKey || name != key + ".h5" || !name.hasPrefix(folder) {
          stray("objects/\(folder)/\(name)", "not an object of this store")
        }
      }
    }
    let known = [
      "workspace.json", "objects", "vars", "journal", "partial", "locks", "tmp", "trash", "quarantine", "inputs",
      "sources.json", "index.h5", "pins",
    ]
    for name in Files.names(in: root) where !known.contains(name) { stray(name, "not a part of a workspace") }
    return findings
  }
}
