/// What holds for every declaration; a test over the real catalog asks for `violations()` and expects none.
extension Catalog {
  /// Each broken law as one sentence naming the op.
  public func violations() -> [String] {
    var broken: [String] = []
    func require(_ holds: Bool, _ sentence: String) { if !holds { broken.append(sentence) } }
    let names = names
    require(Set(names).count == names.count, "two ops have one name: \(names.sorted())")
    for op in signatures {
      require(isWord(op.name), "\(op.name): the name is not lower-case letters, digits and _")
      require(!reservedWords.contains(op.name), "\(op.name): the name is a word of the language")
      require(
        op.summary.hasSuffix(".") && !op.summary.dropLast().contains(". "),
        "\(op.name): the summary is not one sentence with a full stop")
      require(op.revision >= 1, "\(op.name): the revision is below 1")
      require(!op.example.isEmpty, "\(op.name): there is no example")
      let parsed = Parser.parse(Source(name: op.name, text: op.example))
      require(parsed.diagnostics.isEmpty, "\(op.name): the example does not parse")
      require(op.example.contains(op.name), "\(op.name): the example does not call it")
      let keywords = op.inputs.map(\.name) + op.parameters.map(\.name)
      require(Set(keywords).count == keywords.count, "\(op.name): two arguments have one name")
      broken += inputViolations(op) + parameterViolations(op)
    }
    return broken
  }

  private func inputViolations(_ op: Signature) -> [String] {
    var broken: [String] = []
    for input in op.inputs {
      if !isWord(input.name) { broken.append("\(op.name) \(input.name): not lower-case letters, digits and _") }
      if !isMeaning(input.meaning) {
        broken.append("\(op.name) \(input.name): the meaning is empty or ends with a full stop")
      }
      for type in input.accepts where artifactTypes[type.name] == nil {
        broken.append("\(op.name) \(input.name): no op makes a value of type \(type.name)")
      }
    }
    if op.positional.dropLast().contains(where: { $0.arity == .many }) {
      broken.append("\(op.name): only the last positional input may take many values")
    }
    return broken
  }

  private func parameterViolations(_ op: Signature) -> [String] {
    var broken: [String] = []
    for parameter in op.parameters {
      let place = "\(op.name) \(parameter.name)"
      if !isWord(parameter.name) { broken.append("\(place): not lower-case letters, digits and _") }
      if !isMeaning(parameter.meaning) { broken.append("\(place): the meaning is empty or ends with a full stop") }
      if let choices = parameter.choices, Set(choices).count != choices.count || !choices.allSatisfy(isSymbol) {
        broken.append("\(place): the choices are not distinct ASCII words")
      }
      for choice in parameter.choices ?? [] where !isMeaning(parameter.choiceMeanings[choice] ?? "") {
        broken.append("\(place): the choice \(choice) has no meaning, or one that ends with a full stop")
      }
      if parameter.kind.hasSuffix(", or none"), parameter.choices?.contains("none") == true {
        broken.append("\(place): `none` is both a choice and the absence of one")
      }
      guard let bound = make(op.name)?.parameters[parameter.name] else { continue }
      if let value = parameter.defaultValue {
        if (try? bound.bind(value)) == nil { broken.append("\(place): the default \(value.rendered) is not legal") }
      } else if bound.standIn == nil {
        broken.append("\(place): no legal value could be guessed for a required parameter")
      }
    }
    return broken
  }

  private func isMeaning(_ text: String) -> Bool { !text.isEmpty && !text.hasSuffix(".") }
  /// `ffn.in`, `window:3`
  private func isSymbol(_ text: String) -> Bool {
    let halves = text.split(separator: ":", maxSplits: 1, omittingEmptySubsequences: false)
    guard halves.count == 1 || Int(halves[1]) != nil else { return false }
    return halves[0].split(separator: ".", omittingEmptySubsequences: false).allSatisfy { isWord(String($0)) }
  }
  private func isWord(_ text: String) -> Bool {
    guard let first = text.first, first.isASCII, first.isLetter else { return false }
    return text.allSatisfy { $0.isASCII && ($0.isLetter || $0.isNumber || $0 == "_") }
  }
}

/// A call every op must refuse.
public struct IllegalCall: Sendable, CustomStringConvertible {
  public let op: String
  public let parameter: String
  public let value: Literal
  public var description: String { "\(op) \(parameter)=\(value.rendered)" }
}

extension Catalog {
  /// For each parameter, literals of the wrong kind and literals just outside its range.
  public func illegalCalls(for op: String) -> [IllegalCall] {
    (signature(op)?.parameters ?? []).flatMap { parameter in
      parameter.illegal.map { IllegalCall(op: op, parameter: parameter.name, value: $0) }
    }
  }

  /// What binding the call says, with the parameter in `argument`; nil when it is accepted.
  public func refusal(of call: IllegalCall) -> Diagnostic? {
    guard let bound = make(call.op), let parameter = bound.parameters[call.parameter] else { return nil }
    do {
      try parameter.bind(call.value)
      return nil
    } catch {
      return CheckError(binding: call.parameter, of: call.op, error).diagnostic
    }
  }
}
