import Kernel
import Transformer

/// What a capture keeps: a statistic of every site, or of one alone, as in `ffn.in:stream`. A site that is named keeps
/// what is said of it; the others keep the rest.
public struct Kept: ParameterValue, RawRepresentable, Hashable, Codable {
  public var statistic: Statistic
  /// nil for every site that is not named.
  public var site: Site?

  public init(_ statistic: Statistic, of site: Site? = nil) {
    self.statistic = statistic
    self.site = site
  }

  public init?(rawValue: String) {
    let halves = rawValue.split(separator: ":", omittingEmptySubsequences: false).map(String.init)
    guard (1...2).contains(halves.count), let statistic = halves.last.flatMap(Statistic.init(rawValue:)) else {
      return nil
    }
    self.init(statistic)
    guard halves.count == 2 else { return }
    guard let site = Site(rawValue: halves[0]) else { return nil }
    self.site = site
  }

  public var rawValue: String { site.map { "\($0.rawValue):\(statistic.rawValue)" } ?? statistic.rawValue }

  public static var kind: String { "\(Statistic.kind), or one of a single site such as ffn.in:stream" }
  public static var choices: [String]? { Statistic.choices }
  public static var choiceMeanings: [String: String] { Statistic.choiceMeanings }

  public init(literal: Literal) throws {
    switch literal {
    case .symbol(let word), .string(let word):
      guard let kept = Kept(rawValue: word) else { throw Mismatch(expected: Kept.kind, found: literal) }
      self = kept
    default: throw Mismatch(expected: Kept.kind, found: literal)
    }
  }
  public var literal: Literal { .symbol(rawValue) }
  public static var illegal: [Literal] { [.symbol("ffn.in:"), .symbol("nowhere:gram"), .integer(3)] }
}

/// Where a capture looks, and what it keeps there.
protocol SiteKeeping {
  var sites: [Site] { get }
  var keep: [Kept] { get }
}

extension SiteKeeping {
  func kept(of site: Site) -> [Statistic] {
    let own = keep.filter { $0.site == site }
    return (own.isEmpty ? keep.filter { $0.site == nil } : own).map(\.statistic)
  }

  /// The sites of which any of these is kept.
  func sites(keeping statistics: [Statistic]) -> [Site] {
    sites.filter { site in kept(of: site).contains(where: statistics.contains) }
  }
}
