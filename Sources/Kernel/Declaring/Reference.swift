/// The reference, generated from the declarations: `help OP` and docs/ops.md.
public enum Reference {
  /// The whole of docs/ops.md.
  public static func markdown(_ catalog: Catalog) -> String {
    var out = "# Ops\n\nGenerated from the op declarations; a test rewrites it. `prn -c 'help OP'` prints the same.\n"
    out += "\n| op | makes | |\n|---|---|---|\n"
    for op in catalog.signatures {
      out += "| [`\(op.name)`](#\(op.name)) | \(op.output.name) | \(escaped(op.summary)) |\n"
    }
    for op in catalog.signatures { out += "\n" + markdown(op) }
    out += "\n# Meta words\n\n| statement | |\n|---|---|\n"
    for word in catalog.metaWords { out += "| `\(escaped(word.usage))` | \(escaped(word.meaning)) |\n" }
    return out
  }

  private static func markdown(_ op: Signature) -> String {
    var out = "## \(op.name)\n\n\(op.summary)\n\n```\n\(usage(op))\n```\n"
    if !op.inputs.isEmpty {
      out += "\n| input | type | meaning |\n|---|---|---|\n"
      for input in op.inputs {
        out +=
          "| `\(input.isNamed ? input.name + "=" : input.name)` | \(typeText(input)) | \(escaped(input.meaning)) |\n"
      }
    }
    if !op.parameters.isEmpty {
      out += "\n| parameter | default | values | meaning |\n|---|---|---|---|\n"
      for parameter in op.parameters {
        let value = parameter.defaultValue.map { "`\($0.rendered)`" } ?? "required"
        let choices = (parameter.choices ?? []).compactMap { choice in
          parameter.choiceMeanings[choice].map { "; `\(choice)`: \($0)" }
        }.joined()
        out +=
          "| `\(parameter.name)` | \(value) | \(escaped(values(parameter))) | \(escaped(parameter.meaning + choices)) |\n"
      }
    }
    out += "\nExample:\n\n```\n\(op.example)\n```\n"
    if let reference = op.reference { out += "\nFollows \(reference).\n" }
    return out
  }

  /// What `help OP` prints.
  public static func help(_ op: Signature) -> String {
    var out = usage(op) + "\n  " + op.summary + "\n"
    let width =
      (op.inputs.map { $0.name.count + ($0.isNamed ? 1 : 0) } + op.parameters.map { entry($0).count }).max() ?? 0
    func row(_ left: String, _ right: String) -> String {
      "  " + left + String(repeating: " ", count: max(0, width - left.count) + 2) + right + "\n"
    }
    if !op.inputs.isEmpty { out += "\ninputs\n" }
    for input in op.inputs {
      out += row(input.isNamed ? input.name + "=" : input.name, "\(typeText(input)): \(input.meaning)")
    }
    if !op.parameters.isEmpty { out += "\nparameters\n" }
    for parameter in op.parameters {
      out += row(entry(parameter), "\(parameter.meaning) (\(values(parameter)))")
      for choice in parameter.choices ?? [] {
        if let meaning = parameter.choiceMeanings[choice] { out += row("", "\(choice): \(meaning)") }
      }
    }
    out += "\nexample\n" + op.example.split(separator: "\n").map { "  \($0)\n" }.joined()
    if let reference = op.reference { out += "\npaper\n  \(reference)\n" }
    return out
  }

  /// What `help WORD` prints for a meta word.
  public static func help(_ word: MetaWord) -> String {
    var out = word.usage + "\n  " + word.meaning + "\n"
    for parameter in word.parameters { out += "  \(parameter.name)=  \(parameter.meaning)\n" }
    return out
  }

  /// `mask SCORES… rate= rates=RATES within=GROUPS -> mask`.
  public static func usage(_ op: Signature) -> String {
    var parts = [op.name]
    for input in op.inputs {
      let type = input.typeName.uppercased().replacing(" OR ", with: "|")
      let plain = input.isNamed ? "\(input.name)=\(type)" : type + (input.arity == .many ? "…" : "")
      parts.append(input.isRequired ? plain : "[\(plain)]")
    }
    parts += op.parameters.map { parameter in
      if parameter.isPositional { return "\"\(parameter.name.uppercased())\"" }
      return parameter.isRequired
        ? "\(parameter.name)=" : "[\(parameter.name)=\(parameter.defaultValue?.rendered ?? "")]"
    }
    return parts.joined(separator: " ") + " -> " + op.output.name
  }

  private static func entry(_ parameter: ParameterDeclaration) -> String {
    parameter.name + "=" + (parameter.defaultValue?.rendered ?? "")
  }

  private static func typeText(_ input: InputDeclaration) -> String {
    switch input.arity {
    case .one: return input.typeName
    case .optional: return input.typeName + ", optional"
    case .many: return "one or more: " + input.typeName
    }
  }

  /// Kind or choices, range, unit.
  private static func values(_ parameter: ParameterDeclaration) -> String {
    var parts = [parameter.kind]
    if let range = parameter.range { parts.append(range) }
    if let unit = parameter.unit { parts.append("in \(unit)") }
    if parameter.isRequired { parts.append("required") }
    return parts.joined(separator: "; ")
  }

  private static func escaped(_ text: String) -> String { text.replacing("|", with: "\\|") }
}
