/// The modules of a block, in the order in which they run. Each is a branch of the residual stream with structural
/// units that can be removed.
public enum Module: String, CaseIterable, Sendable {
  /// Its units are attention groups: a key-value head with the query heads that share it.
  case attention
  /// Its units are the neurons of the feed-forward part.
  case ffn

  /// The linear maps of the module, the output map last.
  public var roles: [LinearRole] { LinearRole.allCases.filter { $0.module == self } }

  /// The map that leads back to the residual stream. A unit owns some of its columns.
  public var output: LinearRole {
    switch self {
    case .attention: .output
    case .ffn: .down
    }
  }

  /// Where the inputs of the output map are seen.
  public var site: Site {
    switch self {
    case .attention: .attentionHeads
    case .ffn: .activation
    }
  }

  /// Where the inputs of its other maps are seen.
  public var inputSite: Site {
    switch self {
    case .attention: .attentionIn
    case .ffn: .feedForwardIn
    }
  }
}

/// One value for each module.
public struct PerModule<Value> {
  public var attention: Value
  public var ffn: Value

  public init(attention: Value, ffn: Value) {
    self.attention = attention
    self.ffn = ffn
  }

  public init(_ make: (Module) throws -> Value) rethrows {
    attention = try make(.attention)
    ffn = try make(.ffn)
  }

  public subscript(_ module: Module) -> Value {
    get {
      switch module {
      case .attention: attention
      case .ffn: ffn
      }
    }
    _modify {
      switch module {
      case .attention: yield &attention
      case .ffn: yield &ffn
      }
    }
  }

  public func map<Other>(_ change: (Value) throws -> Other) rethrows -> PerModule<Other> {
    try PerModule<Other> { try change(self[$0]) }
  }
}

extension PerModule: Sendable where Value: Sendable {}
extension PerModule: Equatable where Value: Equatable {}
