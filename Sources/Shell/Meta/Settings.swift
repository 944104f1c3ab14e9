import Kernel

/// What `set` shows and changes. Each setting is declared once: its name, legal values, and how it is read and changed.
final class Settings {
  struct Rule {
    var name: String
    var legal: String
    var meaning: String
    /// The legal values, where they can be listed.
    var choices: [String] = []
    var value: () -> String
    /// - Throws: `Diagnostic` without the setting's name.
    var change: (Literal) throws -> Void
  }

  private(set) var rules: [Rule] = []

  /// The values of a closed set, with change applied to the chosen one.
  static func choice<T: RawRepresentable & CaseIterable>(
    _ name: String, _ meaning: String, of type: T.Type, value: @escaping () -> T, change: @escaping (T) -> Void
  ) -> Rule where T.RawValue == String {
    let names = T.allCases.map(\.rawValue)
    return Rule(
      name: name, legal: names.joined(separator: " | "), meaning: meaning, choices: names, value: { value().rawValue }
    ) {
      literal in
      let text = PlainText.of(literal)
      guard let chosen = T(rawValue: text) else {
        throw Diagnostic(
          "`\(text)` is not one of \(names.joined(separator: ", "))",
          hint: nearest(to: text, among: names).map { "did you mean `\($0)`?" }, kind: .usage)
      }
      change(chosen)
    }
  }

  func add(_ rule: Rule) { rules.append(rule) }

  /// The settings, or the values that one of them may have.
  func completions(of name: String?) -> [Completion] {
    guard let name else { return rules.map { Completion($0.name, .word, $0.meaning) } }
    return (rules.first { $0.name == name }?.choices ?? []).map { Completion($0, .choice) }
  }

  var table: TableData {
    TableData(
      columns: ["setting", "value", "legal values", "meaning"],
      rows: rules.map { [.text($0.name), .text($0.value()), .text($0.legal), .text($0.meaning)] })
  }

  func described(_ name: String) throws -> String {
    let rule = try rule(name)
    return "\(rule.name) = \(rule.value())  (\(rule.legal)): \(rule.meaning)"
  }

  func set(_ name: String, _ value: Literal) throws {
    let rule = try rule(name)
    do { try rule.change(value) } catch let problem as Diagnostic {
      throw Diagnostic("\(name): \(problem.summary)", hint: problem.hint, argument: "value", kind: .usage)
    }
  }

  private func rule(_ name: String) throws -> Rule {
    guard let rule = rules.first(where: { $0.name == name }) else {
      let names = rules.map(\.name)
      throw Diagnostic(
        "there is no setting `\(name)`",
        hint: nearest(to: name, among: names).map { "did you mean `\($0)`?" }
          ?? "settings: \(names.joined(separator: ", "))",
        argument: "key", kind: .usage)
    }
    return rule
  }
}
