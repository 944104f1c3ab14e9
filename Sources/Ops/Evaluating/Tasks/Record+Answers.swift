import Kernel
import Transformer

// The right answer of an item, in the ways files write it.

extension Record {
  /// A number, a number as text, or true and false: which of `count` choices is right.
  /// - Throws: when there is none, as in test sets whose answers are withheld.
  func gold(_ name: String, of count: Int) throws -> Int {
    let found: Int?
    switch self[name] {
    case .integer(let number): found = number
    case .number(let number): found = Int(exactly: number)
    case .bool(let value): found = value ? 1 : 0
    case .string(let text): found = Int(text.text)
    default: found = nil
    }
    guard let found, (0..<count).contains(found) else { throw withoutGold(name) }
    return found
  }

  /// Which of `labels` the text in `name` is.
  func gold(_ name: String, among labels: [String]) throws -> Int {
    guard case .string(let text)? = self[name],
      let place = labels.firstIndex(of: Scalars(Scalars(text.text).trimmedStart).text)
    else { throw withoutGold(name) }
    return place
  }

  private func withoutGold(_ name: String) -> Diagnostic {
    let what =
      switch self[name] {
      case nil, .null?: "is missing"
      case .integer(let number)?: "is \(number)"
      case .string(let text)?: "is `\(text)`"
      case let value?: "is \(value.kind)"
      }
    return Diagnostic("\(place) has no right answer among its choices: `\(name)` \(what)")
  }

  /// Texts and labels of `choices`, as {text, label} of lists.
  func choices() throws -> (texts: [String], labels: [String]) {
    let texts = self["choices"]?["text"]?.texts ?? []
    let labels = self["choices"]?["label"]?.texts ?? []
    guard !texts.isEmpty, texts.count == labels.count else {
      throw Diagnostic("\(place): `choices` has not one label for each text")
    }
    return (texts, labels)
  }
}
