import Foundation

// Where a value comes from, and what made it differ from the one its name had before.

/// One thing that differs between two steps.
public struct StepDifference: Sendable, Equatable {
  /// The op whose call differs: the step itself, or one further up.
  public let op: String
  /// The parameter, input or other field: `seed`.
  public let field: String
  /// Nil when one of the two does not have the field.
  public let before: JSONValue?
  public let after: JSONValue?

  /// `seed: 0 -> 1`
  public var text: String {
    func shown(_ value: JSONValue?) -> String {
      switch value {
      case .none: return "none"
      case .string(let text): return text.count == 64 && text.allSatisfy(\.isHexDigit) ? String(text.prefix(12)) : text
      case .some(let value): return value.asWritten
      }
    }
    return "\(field): \(shown(before)) -> \(shown(after))"
  }
}

extension Store {
  /// What differs between the value a name has, or had `back` bindings ago, and the one before; empty when there was none.
  ///
  /// A changed input is followed to the step that made it, so that what is named is what somebody changed.
  public func why(_ name: String, back: Int = 0) throws -> [StepDifference] {
    let former = try bindings(of: name).dropLast(back)
    guard let current = former.last else { throw StoreFailure.missingName(name).diagnostic }
    return try former.dropLast().last.map { try differences(from: $0.step, to: current.step) } ?? []
  }

  /// What differs between two steps, given as what their keys are hashes of.
  public func differences(from before: JSONValue, to after: JSONValue) throws -> [StepDifference] {
    var found = [StepDifference]()
    var seen = Set<[String]>()
    compare(before, after, makers: try makers(), seen: &seen, into: &found)
    return found
  }

  /// The step that first made each content, as far as the journals know.
  private func makers() throws -> [String: JSONValue] {
    var makers: [String: JSONValue] = [:]
    for entry in try journal.entries() where entry["event"] == "publish" {
      if let content = entry["content"]?.stringValue, makers[content] == nil { makers[content] = entry["record"] }
    }
    return makers
  }

  private func compare(
    _ before: JSONValue, _ after: JSONValue, makers: [String: JSONValue], seen: inout Set<[String]>,
    into found: inout [StepDifference]
  ) {
    let op = after["op"]?.stringValue ?? ""
    func note(_ field: String, _ a: JSONValue?, _ b: JSONValue?) {
      let difference = StepDifference(op: op, field: field, before: a, after: b)
      if a?.canonical != b?.canonical, !found.contains(difference) { found.append(difference) }
    }
    guard before["op"] == after["op"] else { return note("op", before["op"], after["op"]) }
    let (a, b) = (before.objectValue ?? [:], after.objectValue ?? [:])
    for field in Set(a.keys).union(b.keys).sorted() where a[field]?.canonical != b[field]?.canonical {
      let (old, new) = (a[field]?.objectValue, b[field]?.objectValue)
      guard old != nil || new != nil else {
        note(field, a[field], b[field])
        continue
      }
      for part in Set((old ?? [:]).keys).union((new ?? [:]).keys).sorted() {
        let (x, y) = (old?[part], new?[part])
        guard field == "inputs", let left = Ancestor.contents(x), let right = Ancestor.contents(y),
          left.count == right.count
        else {
          note(part, x, y)
          continue
        }
        for (one, other) in zip(left, right) where one != other {
          // Seen before: `!` of `!` of a mask is the mask, so that makers can lead in a circle.
          guard seen.insert([one, other]).inserted else { continue }
          if let first = makers[one], let second = makers[other], first != second {
            compare(first, second, makers: makers, seen: &seen, into: &found)
          } else {
            note(part, .string(one), .string(other))
          }
        }
      }
    }
  }

  /// How long the value that a name has took when it was last made; nil when no journal tells.
  public func seconds(of name: String) throws -> Double? {
    try explained { try bindings(of: name).last.flatMap { try journal.seconds(of: $0.key) } }
  }

  /// What is known of an object without its payload.
  public struct ObjectInfo: Sendable {
    public let path: String
    public let reference: ArtifactReference
    public let type: ArtifactType
    public let summary: String
    public let call: String
    public let step: JSONValue
    public let facts: RecordedFacts
    public let warnings: [String]
    public let children: [ArtifactReference]
    /// Bytes on disk, children included.
    public let bytes: Int
    /// The journal line of its making: time, host, seconds, place.
    public let made: Journal.Entry
  }

  /// - Throws: `Diagnostic` when the object is missing or damaged.
  public func info(_ key: String) throws -> ObjectInfo {
    guard let found = try find(key), let header = try header(of: key) else {
      throw StoreFailure.missingObject(key: key).diagnostic
    }
    let file = try HDF5File(reading: objectPath(key))
    let (step, warnings) = try used(key) {
      (try ObjectReader.json("provenance/step", in: file), try ObjectReader.json("provenance/warnings", in: file))
    }
    let made = try journal.entries().last { $0["event"] == "publish" && $0["key"] == .string(key) }
    return ObjectInfo(
      path: objectPath(key), reference: header.reference, type: header.type, summary: header.summary, call: header.call,
      step: step, facts: header.facts, warnings: warnings.arrayValue?.compactMap(\.stringValue) ?? [],
      children: header.children, bytes: found.bytes, made: made ?? [:])
  }

  /// All steps behind an object, each after those it used; the object's own is last. It is read from the object itself,
  /// so a copied file tells its whole history.
  public func ancestry(of key: String) throws -> [Ancestor] {
    Ancestor.ordered(try lineage(of: [ArtifactReference(key: key, content: "")]), to: key)
  }
}
