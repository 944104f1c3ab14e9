/// A name as a command is given it: `mk`, or `mk@-1` for what it was bound to before.
public struct BoundName: Sendable, Equatable {
  public let name: String
  /// How many bindings before the present one.
  public let back: Int

  /// Nil when the text names nothing.
  public init?(_ text: String) {
    let parts = text.split(separator: "@", maxSplits: 1, omittingEmptySubsequences: false).map(String.init)
    let position = parts.count == 1 ? 0 : Int(parts[1])
    guard isValidName(parts[0]), let position, position <= 0, position != .min else { return nil }
    name = parts[0]
    back = -position
  }
}
