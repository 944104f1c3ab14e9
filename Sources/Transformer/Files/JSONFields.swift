/// What is wrong with one field of a JSON file.
public struct FieldError: Error, Equatable, CustomStringConvertible, Sendable {
  /// The name of the file, `config.json`.
  public let file: String
  /// The path of the field, `rope_scaling.factor`; empty for the file as a whole.
  public let field: String
  /// The rest of the sentence: "is missing", "must be a positive whole number".
  public let problem: String

  public init(file: String, field: String, problem: String) {
    self.file = file
    self.field = field
    self.problem = problem
  }

  public var description: String { field.isEmpty ? "\(file) \(problem)" : "\(file): `\(field)` \(problem)" }
}

/// An object of a JSON file that remembers where it stands, so that errors name the file and the field.
///
/// The `optional…` accessors answer `nil` when the field is absent or null; a field of the wrong kind is always an error.
public struct JSONFields: Sendable {
  public let file: String
  public let path: String
  public let members: [JSON.Member]
  private let index: [ByteString: Int]

  /// - Parameter path: where the object stands in the file, empty at the top.
  public init(_ value: JSON, file: String, path: String = "") throws {
    guard case .object(let members) = value else {
      throw FieldError(file: file, field: path, problem: "must be an object")
    }
    self.file = file
    self.path = path
    self.members = members
    index = Dictionary(members.enumerated().map { ($1.key, $0) }, uniquingKeysWith: { _, last in last })
  }

  /// The value, `nil` when absent or null.
  public subscript(_ key: String) -> JSON? {
    guard let position = index[ByteString(key)] else { return nil }
    let value = members[position].value
    return value == .null ? nil : value
  }

  /// True also for a field that is there and null.
  public func names(_ key: String) -> Bool { index[ByteString(key)] != nil }

  public func optionalInteger(_ key: String) throws -> Int? {
    guard let value = self[key] else { return nil }
    guard case .integer(let number) = value else { throw error(key, "must be a whole number, not \(value.kind)") }
    return number
  }

  public func integer(_ key: String) throws -> Int { try required(key, optionalInteger(key)) }

  public func optionalPositive(_ key: String) throws -> Int? {
    guard let value = self[key] else { return nil }
    guard case .integer(let number) = value, number > 0 else { throw error(key, "must be a positive whole number") }
    return number
  }

  public func positive(_ key: String) throws -> Int { try required(key, optionalPositive(key)) }

  public func optionalDouble(_ key: String) throws -> Double? {
    switch self[key] {
    case nil: return nil
    case .integer(let number): return Double(number)
    case .number(let number) where number.isFinite: return number
    default: throw error(key, "must be a number")
    }
  }

  public func double(_ key: String) throws -> Double { try required(key, optionalDouble(key)) }

  public func optionalBool(_ key: String) throws -> Bool? {
    guard let value = self[key] else { return nil }
    guard case .bool(let flag) = value else { throw error(key, "must be true or false, not \(value.kind)") }
    return flag
  }

  public func bool(_ key: String) throws -> Bool { try required(key, optionalBool(key)) }

  public func optionalBytes(_ key: String) throws -> ByteString? {
    guard let value = self[key] else { return nil }
    guard case .string(let text) = value else { throw error(key, "must be a text, not \(value.kind)") }
    return text
  }

  public func bytes(_ key: String) throws -> ByteString { try required(key, optionalBytes(key)) }

  public func optionalText(_ key: String) throws -> String? { try optionalBytes(key)?.text }

  public func text(_ key: String) throws -> String { try required(key, optionalText(key)) }

  public func optionalArray(_ key: String) throws -> [JSON]? {
    guard let value = self[key] else { return nil }
    guard case .array(let elements) = value else { throw error(key, "must be a list, not \(value.kind)") }
    return elements
  }

  public func array(_ key: String) throws -> [JSON] { try required(key, optionalArray(key)) }

  public func optionalObject(_ key: String) throws -> JSONFields? {
    guard let value = self[key] else { return nil }
    return try JSONFields(value, file: file, path: name(of: key))
  }

  public func object(_ key: String) throws -> JSONFields { try required(key, optionalObject(key)) }

  /// The objects of a list, `nil` when it is absent or null.
  public func optionalObjects(_ key: String) throws -> [JSONFields]? {
    try optionalArray(key)?.enumerated().map {
      try JSONFields($0.element, file: file, path: "\(name(of: key))[\($0.offset)]")
    }
  }

  /// An error about one field of this object.
  public func error(_ key: String, _ problem: String) -> FieldError {
    FieldError(file: file, field: name(of: key), problem: problem)
  }

  private func name(of key: String) -> String { path.isEmpty ? key : "\(path).\(key)" }

  private func required<Value>(_ key: String, _ value: Value?) throws -> Value {
    guard let value else { throw error(key, "is missing") }
    return value
  }
}
