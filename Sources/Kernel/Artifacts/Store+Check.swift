import Foundation

// Looking through the whole workspace for damage.

/// Something `check` found.
public struct StoreFinding: Sendable, Equatable {
  public enum Kind: String, Sendable {
    /// An object is not what was written. Its next use sets it aside and makes it anew.
    case damaged
    /// Another program has changed an object and has not closed it, so it cannot be judged.
    case open
    /// An object was written by a newer version; it is left alone.
    case tooNew = "too new"
    /// A part of an object is missing; its next use makes it anew.
    case incomplete
    /// A name points at nothing.
    case dangling
    /// A name has lost its link, which is for people; what it is bound to is known.
    case unlinked = "no link"
    /// Another program wrote into an object; its value is what was written.
    case annotated
    /// A file that does not belong where it is.
    case stray
    /// Left by a process that died.
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
  /// Nothing is moved or changed.
  public func check(progress: (_ done: Int, _ total: Int) throws -> Void = { _, _ in }) throws -> [StoreFinding] {
    try explained {
      try findings(progress) + strays() + nameFindings() + sourceFindings()
        + leftovers().map {
          StoreFinding(kind: .leftover, path: $0, text: "left by a process that died; `prn gc --apply` removes it")
        }
    }
  }

  private func findings(_ progress: (_ done: Int, _ total: Int) throws -> Void) throws -> [StoreFinding] {
    var findings = [StoreFinding]()
    let keys = try objectKeys()
    for (index, key) in keys.enumerated() {
      try progress(index, keys.count)
      if let finding = try examine(key) { findings.append(finding) }
    }
    try progress(keys.count, keys.count)
    return findings
  }

  private func nameFindings() throws -> [StoreFinding] {
    var findings = [StoreFinding]()
    for session in try sessions() {
      for name in try names(in: session) {
        let path = "vars/\(session)/\(name).h5"
        let key: String?
        do { key = try bindings(of: name, in: session).last?.key } catch let failure as StoreFailure {
          let text = failure.diagnostic.summary
          findings.append(StoreFinding(kind: .damaged, path: "vars/\(session)/\(name).jsonl", text: text))
          continue
        }
        guard let key, try Files.exists(objectPath(key)) else {
          let text = "the object `\(name)` names is not in the store; running its step makes it again"
          findings.append(StoreFinding(kind: .dangling, path: path, text: text))
          continue
        }
        if try Files.target(ofLink: "\(root)/\(path)") != Store.linkTarget(key) {
          let text = "`\(name)` is \(key.prefix(12)), but not a link to it; binding it again makes the link"
          findings.append(StoreFinding(kind: .unlinked, path: path, text: text))
        }
      }
    }
    return findings
  }

  private func sourceFindings() throws -> [StoreFinding] {
    do { try sources.check() } catch let failure as StoreFailure {
      return [StoreFinding(kind: .damaged, path: "sources.json", text: failure.diagnostic.summary)]
    }
    return []
  }

  private func examine(_ key: String) throws -> StoreFinding? {
    let path = "objects/\(key.prefix(2))/\(key).h5"
    do {
      let state = try Seal.check(objectPath(key))
      let file = try HDF5File(reading: objectPath(key))
      let header = try Store.header(in: file, key: key)
      try ObjectReader(file, key: key, store: nil).verify()
      let missing = try header.children.filter { try !Files.exists(objectPath($0.key)) }
      guard let first = missing.first else {
        let text = "another program wrote into the file; the value is what was written"
        return state == .whole ? nil : StoreFinding(kind: .annotated, path: path, text: text)
      }
      let text = "\(missing.count) of its parts are missing, \(first.key.prefix(12)) first"
      return StoreFinding(kind: .incomplete, path: path, text: text)
    } catch {
      let error = Store.judged(error, key: key)
      if let failure = error as? StoreFailure {
        return StoreFinding(kind: .tooNew, path: path, text: failure.diagnostic.summary)
      }
      if case FileFailure.missing = error { return nil }
      if case HDF5Failure.held = error {
        return StoreFinding(
          kind: .open, path: path, text: "another program has changed the file and has not closed it; close it there")
      }
      guard isDamage(error) else { throw error }
      let text = (error as? any Explained)?.diagnostic.summary ?? "\(error)"
      return StoreFinding(kind: .damaged, path: path, text: text)
    }
  }

  private func strays() throws -> [StoreFinding] {
    var findings = [StoreFinding]()
    func stray(_ path: String, _ text: String) { findings.append(StoreFinding(kind: .stray, path: path, text: text)) }
    for folder in try Files.names(in: root + "/objects") {
      guard try Files.isFolder("\(root)/objects/\(folder)") else {
        stray("objects/" + folder, "not an object of this store")
        continue
      }
      for name in try Files.names(in: "\(root)/objects/\(folder)") {
        if Store.key(ofObject: name, in: folder) == nil {
          stray("objects/\(folder)/\(name)", "not an object of this store")
        }
      }
    }
    let known = [
      "workspace.json", "objects", "vars", "journal", "partial", "locks", "tmp", "trash", "quarantine", "inputs",
      "sources.json", "outputs.jsonl", "index.h5", "pins",
    ]
    for name in try Files.names(in: root) where !known.contains(name) { stray(name, "not a part of a workspace") }
    return findings
  }
}
