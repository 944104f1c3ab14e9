/// How many there are of something, for people: "1 page", "2 pages".
/// - Parameter noun: one of them; more of them end in `s`.
public func counted(_ count: Int, _ noun: String) -> String { "\(count) \(noun)\(count == 1 ? "" : "s")" }
