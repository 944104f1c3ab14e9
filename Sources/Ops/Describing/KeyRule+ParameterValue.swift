import Kernel

extension KeyRule: ParameterValue {
  public static var kind: String { "a share such as 5%, or a size of z" }
  public init(literal: Literal) throws {
    switch literal {
    case .ratio(let value) where value > 0 && value <= 1: self = .share(value)
    case .integer(let value) where value > 0: self = .threshold(Double(value))
    case .number(let value) where value > 0 && value.isFinite: self = .threshold(value)
    default: throw Mismatch(expected: KeyRule.kind, found: literal)
    }
  }
  public var literal: Literal {
    switch self {
    case .share(let value): .ratio(value)
    case .threshold(let value): .number(value)
    }
  }
  public var canonical: JSONValue {
    switch self {
    case .share(let value): ["relative": .number(value)]
    case .threshold(let value): .number(value)
    }
  }
  public static var illegal: [Literal] { [.ratio(0), .integer(-1), .symbol("high")] }
}
