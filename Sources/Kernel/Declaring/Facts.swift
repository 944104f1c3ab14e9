import Foundation

/// Facts of any type, as plans carry them, the store keeps them and `info` shows them. Empty when nothing is known.
public typealias RecordedFacts = [String: JSONValue]

/// The facts of a type of which nothing is known beforehand.
public struct NoFacts: Codable, Sendable {
  public init() {}
}

extension RecordedFacts {
  /// Typed facts under the names of their properties.
  init(recording facts: some Encodable) throws {
    let json = try JSONEncoder().encode(facts)
    self = try JSONDecoder().decode(RecordedFacts.self, from: json)
  }

  /// The typed facts; nil when what was recorded does not say enough.
  func typed<F: Decodable>() -> F? {
    try? JSONDecoder().decode(F.self, from: Data(JSONValue.object(self).canonical.utf8))
  }
}
