// Look-ups by several names: families call the same quantity differently. The first name that is present counts.

extension JSONFields {
  func firstName(_ names: [String]) -> String? { names.first { self[$0] != nil } }

  func text(_ names: [String]) throws -> String? { try firstName(names).flatMap { try optionalText($0) } }

  func flag(_ name: String) throws -> Bool { try optionalBool(name) ?? false }

  func number(_ names: [String], or fallback: Double) throws -> Double {
    try firstName(names).map { try double($0) } ?? fallback
  }

  /// A whole number above zero and small enough for sizes to be multiplied.
  func size(_ names: [String], or fallback: Int? = nil) throws -> Int {
    guard let name = firstName(names) else {
      if let fallback { return fallback }
      throw error(names.first ?? "", "is missing")
    }
    return try checked(positive(name), name)
  }

  /// A whole number, zero allowed.
  func natural(_ name: String) throws -> Int {
    guard let number = try optionalNatural(name) else { throw error(name, "is missing") }
    return number
  }

  func optionalNatural(_ name: String) throws -> Int? {
    guard let number = try optionalInteger(name).map({ try checked($0, name) }) else { return nil }
    guard number >= 0 else { throw error(name, "must not be negative") }
    return number
  }

  private func checked(_ number: Int, _ name: String) throws -> Int {
    guard number < 1 << 28 else { throw error(name, "is too large: \(number)") }
    return number
  }
}
