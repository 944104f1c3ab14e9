import Kernel
import Transformer

/// A JSON object of a file that knows its place, for errors.
struct Record: Sendable {
  var fields: JSON
  let file: String
  let line: Int

  /// `piqa.jsonl line 3`
  var place: String { "\(file) line \(line)" }

  subscript(_ name: String) -> JSON? { fields[ByteString(name)] }

  func has(_ names: String...) -> Bool { names.allSatisfy { self[$0] != nil } }

  var names: [String] {
    guard case .object(let members) = fields else { return [] }
    return members.map { $0.key.description }
  }

  /// - Throws: when the field is missing or no text.
  func text(_ name: String) throws -> String {
    guard let value = self[name] else { throw Diagnostic("\(place) has no field `\(name)`") }
    guard case .string(let text) = value else { throw Diagnostic("\(place): `\(name)` is \(value.kind), not a text") }
    return text.text
  }

  /// - Throws: when the field is missing or no list of texts.
  func texts(_ name: String) throws -> [String] {
    guard let value = self[name] else { throw Diagnostic("\(place) has no field `\(name)`") }
    guard let texts = value.texts else { throw Diagnostic("\(place): `\(name)` is not a list of texts") }
    return texts
  }

  /// The objects of a file of JSON lines; blank lines, and a byte order mark at the start, are passed over.
  static func lines(_ bytes: [UInt8], file: String) throws -> [Record] {
    let text = bytes.starts(with: [0xEF, 0xBB, 0xBF]) ? bytes[3...] : bytes[...]
    return try text.split(separator: 0x0A, omittingEmptySubsequences: false).enumerated().compactMap { index, line in
      guard !line.allSatisfy({ $0 == 0x20 || $0 == 0x09 || $0 == 0x0D }) else { return nil }
      do {
        let value = try JSON.parse(Array(line))
        guard case .object = value else {
          throw Diagnostic("\(file) line \(index + 1) is \(value.kind), not an object")
        }
        return Record(fields: value, file: file, line: index + 1)
      } catch let error as JSONError {
        throw Diagnostic("\(file) line \(index + 1) is not JSON: \(error)")
      }
    }
  }
}

extension JSON {
  /// A list of texts; nil for anything else.
  var texts: [String]? {
    guard case .array(let items) = self else { return nil }
    let texts = items.compactMap { item -> String? in if case .string(let text) = item { text.text } else { nil } }
    return texts.count == items.count ? texts : nil
  }
}
