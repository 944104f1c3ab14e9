/// A pattern that is one run of characters of one set, perhaps after a white space: `\s?\p{L}+`, `[一-龥]+`, `\p{N}{1,3}`.
///
/// What it does not match stays together up to the next match.
struct RunPattern: Sendable, Equatable {
  /// `\s?` stands before the run.
  private var takesSpace = false
  private var set = CharacterSet()
  /// The longest run in characters.
  private var longest = 1

  private struct CharacterSet: Sendable, Equatable {
    var ranges: [ClosedRange<UInt32>] = []
    var categories: Set<UInt8> = []

    func contains(_ scalar: UInt32) -> Bool {
      if ranges.contains(where: { $0.contains(scalar) }) { return true }
      guard !categories.isEmpty, let category = Unicode.Scalar(scalar)?.properties.generalCategory else { return false }
      return categories.contains(category.letter)
    }
  }

  /// - Returns: `nil` for a pattern of any other form.
  init?(text: String) {
    var rest = Array(text.unicodeScalars)[...]
    func take(_ prefix: String) -> Bool {
      guard rest.starts(with: prefix.unicodeScalars) else { return false }
      rest = rest.dropFirst(prefix.unicodeScalars.count)
      return true
    }
    takesSpace = take("\\s?")
    func category() -> Bool {
      for name in ["L", "M", "N", "P", "S"] where take("\\p{\(name)}") {
        set.categories.formUnion(name.utf8)
        return true
      }
      return false
    }
    /// One character of a set, with its escape undone.
    func character() -> UInt32? {
      guard let first = rest.popFirst(), first != "[", first != "^" else { return nil }
      guard first == "\\" else { return first.value }
      switch rest.popFirst() {
      case "r": return 0x0D
      case "n": return 0x0A
      case let escaped? where !escaped.properties.isAlphabetic && escaped.properties.numericType == nil:
        return escaped.value
      default: return nil
      }
    }
    if take("[") {
      while !take("]") {
        if category() { continue }
        guard let low = character() else { return nil }
        var high = low
        if rest.first == "-", rest.dropFirst().first != "]" {
          rest.removeFirst()
          guard let last = character(), last >= low else { return nil }
          high = last
        }
        set.ranges.append(low...high)
      }
    } else if !category() {
      return nil
    }
    if take("+") {
      longest = .max
    } else if take("{1,3}") {
      longest = 3
    }
    if !rest.isEmpty { return nil }
  }

  /// Where the piece ends that starts at `start`: a match, or all up to the next one.
  func end(in bytes: UnsafePointer<UInt8>, from start: Int, count: Int) -> Int {
    if let end = match(bytes, start, count) { return end }
    var at = start
    repeat { at += scalarLength(bytes[at]) } while at < count && !starts(bytes, at, count)
    return at
  }

  private func match(_ bytes: UnsafePointer<UInt8>, _ start: Int, _ count: Int) -> Int? {
    let (scalar, length) = decodeScalar(bytes, start)
    // The white space before the run may itself belong to the set, and is then part of it when nothing else follows.
    if takesSpace, isWhiteSpace(scalar), let end = run(bytes, start + length, count) { return end }
    return run(bytes, start, count)
  }

  private func run(_ bytes: UnsafePointer<UInt8>, _ start: Int, _ count: Int) -> Int? {
    var end = start
    var number = 0
    while end < count, number < longest {
      let (scalar, length) = decodeScalar(bytes, end)
      guard set.contains(scalar) else { break }
      end += length
      number += 1
    }
    return end > start ? end : nil
  }

  private func starts(_ bytes: UnsafePointer<UInt8>, _ at: Int, _ count: Int) -> Bool {
    let (scalar, length) = decodeScalar(bytes, at)
    if set.contains(scalar) { return true }
    let next = at + length
    return takesSpace && isWhiteSpace(scalar) && next < count && set.contains(decodeScalar(bytes, next).scalar)
  }
}
