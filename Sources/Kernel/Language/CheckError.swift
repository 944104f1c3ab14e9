/// What can be wrong with a script that parses. Cases carry facts; the wording is below, once.
enum CheckError: Explained {
  case unknownOp(String, suggestion: String?)
  case notAnOp(String, isVariable: Bool)
  case unknownVariable(String, suggestion: String?, op: String?)
  case opAsVariable(String)
  case unknownParameter(
    op: String, name: String, suggestion: ParameterDeclaration?, isPositional: Bool, takesLabels: Bool)
  case repeatedArgument(op: String, name: String)
  case missingParameter(op: String, ParameterDeclaration)
  case missingInput(op: String, InputDeclaration)
  case tooManyInputs(op: String, text: String, takes: Int)
  case wrongInput(op: String, InputDeclaration, found: String, name: String?, keyword: String?)
  case notOneValue(op: String, InputDeclaration, found: String)
  case mismatch(op: String, name: String, Mismatch)
  case outOfRange(op: String, name: String, range: String, found: Literal)
  case valueAsParameter(op: String, name: String, kind: String, found: String)
  case missingFile(String, advice: String?)
  case bareWordAsPath(String)
  case valueAsPath(String)
  case notALiteral(String, found: String)
  case arithmetic(String, variable: String)
  case reservedName(String, isOp: Bool)
  case longName(limit: Int)
  case strayParameter(String, of: String)
  case repeatedParam(String)
  case unknownOverride(String, suggestion: String?)
  case badOverride(String, text: String)
  case noField(String, type: String, fields: [String], suggestion: String?)
  case noFormerBinding(String, back: Int)
  case noSuchPosition(Int, count: Int)
  case notSelectable(String)
  case noSuchCell(String, legal: [String])
  case noCoordinate(String, legal: [String])
  case notIterable(String)
  case emptySweep
  case repeatedCell(String)
  case repeatedLabel(String)
  case emptyPath
  case sweepTooLarge(limit: Int)
  case sweepWithoutValue
  case notAnOperand(String, wanted: [String])
  case noAlgebra
  case pipeIntoNothing
  case includeCycle([String])
  case tooManyIncludes(Int)
  case unreadableFile(String)
  case incomparable(String, String)
  case noResult
  case metaArguments(MetaWord, text: String?)
  case notAMetaParameter(MetaWord, name: String, value: String, suggestion: String?)
  case notAVariable(MetaWord, text: String)
  case notAType(String, suggestion: String?)
  case notAnEnding(String, endings: [String])
  case notAChoice(MetaWord, name: String, found: String, choices: [String])
  case cellNotAValue(String)

  /// The refusal of a literal by a parameter.
  init(binding name: String, of op: String, _ error: any Error) {
    switch error {
    case let mismatch as Mismatch: self = .mismatch(op: op, name: name, mismatch)
    case let range as OutOfRange: self = .outOfRange(op: op, name: name, range: range.range, found: range.found)
    default: self = .mismatch(op: op, name: name, Mismatch(expected: "another value", found: .none))
    }
  }

  var diagnostic: Diagnostic {
    switch self {
    case .unknownOp(let name, let suggestion):
      return usage("there is no op `\(name)`", hint: didYouMean(suggestion))
    case .notAnOp(let name, let isVariable):
      return usage(
        isVariable ? "`\(name)` is a variable and takes no arguments" : "`\(name)` is not an op",
        hint: isVariable ? nil : "meta words stand at the start of a statement")
    case .unknownVariable(let name, let suggestion, let op):
      return usage(
        "there is no variable `\(name)`", hint: didYouMean(suggestion) ?? op.map { "did you mean the op `\($0)`?" })
    case .opAsVariable(let name):
      return usage(
        "`\(name)` is an op, not a variable", hint: "a call as an argument stands in parentheses: `(\(name) …)`")
    case .unknownParameter(let op, let name, let suggestion, let isPositional, let takesLabels):
      if isPositional {
        return usage(
          "the input `\(name)` of `\(op)` is given by position", hint: "write the value without `\(name)=`", name)
      }
      let hint = suggestion.map { parameter in
        let value = parameter.defaultValue.map { ", default \($0.rendered)" } ?? ""
        return "did you mean `\(parameter.name)`?  (\(parameter.meaning)\(value))"
      }
      let labels = takesLabels ? "values are labelled in a list: `\(op) [\(name): …]`" : nil
      return usage("`\(op)` has no parameter `\(name)`", hint: hint ?? labels, name)
    case .repeatedArgument(let op, let name): return usage("`\(name)` of `\(op)` is given twice", name)
    case .missingParameter(let op, let parameter):
      return usage("`\(op)` needs `\(parameter.name)=`, \(parameter.kind)", hint: parameter.meaning)
    case .missingInput(let op, let input):
      let form = input.isNamed ? "`\(input.name)=`, " : ""
      return usage("`\(op)` needs \(form)\(article(input.typeName))", hint: input.meaning)
    case .tooManyInputs(let op, let text, let takes):
      let count = takes == 0 ? "no inputs" : takes == 1 ? "one input" : "\(takes) inputs"
      return usage("`\(op)` takes \(count); `\(text)` is one too many", hint: "parameters are written `name=value`")
    case .wrongInput(let op, let input, let found, let name, let keyword):
      let given = name.map { "`\($0)` is \(article(found))" } ?? "found \(article(found))"
      return usage(
        "`\(op)` wants \(article(input.typeName)) here, but \(given)",
        hint: keyword.map { "did you mean `\($0)=\(name ?? "…")`?" }, input.name)
    case .notOneValue(let op, let input, let found):
      return usage(
        "`\(op)` wants one \(input.typeName) here, found \(found)", hint: "sweep over it: `for x in … { … }`",
        input.name)
    case .mismatch(let op, let name, let mismatch):
      return usage(
        "`\(name)` of `\(op)` is \(mismatch.expected), not \(shown(mismatch.found))", hint: mismatch.hint, name)
    case .outOfRange(let op, let name, let range, let found):
      return usage("`\(name)` of `\(op)` is \(range), not \(found.rendered)", name)
    case .valueAsParameter(let op, let name, let kind, let found):
      return usage("`\(name)` of `\(op)` is \(kind), not \(article(found))", name)
    case .missingFile(let path, let advice): return usage("there is no file or folder `\(path)`", hint: advice)
    case .bareWordAsPath(let word):
      return usage(
        "`\(word)` is neither a variable nor a file", hint: "a file of that name to be written is `./\(word)`")
    case .valueAsPath(let word):
      return usage(
        "`\(word)` is a value; a file's name has a `/` or an ending", hint: "a file of that name is `./\(word)`")
    case .notALiteral(let text, let found):
      return usage("`\(text)` is \(article(found)); a number, a word or a path is wanted here")
    case .arithmetic(let text, let variable):
      return usage(
        "`\(text)` reads as a path, and `\(variable)` is a variable: the language has no arithmetic",
        hint: "a path is written `./\(text)`")
    case .reservedName(let name, let isOp):
      return usage(
        "`\(name)` is \(isOp ? "an op" : "a word of the language") and cannot name a value", hint: "choose another name"
      )
    case .longName(let limit): return usage("a name has at most \(limit) letters", hint: "choose a shorter one")
    case .strayParameter(let name, let word):
      return usage(
        "`\(name)=` stands on a line of its own, and `\(word)` above has a parameter of that name",
        hint: "a line that goes on ends in `\\`; a variable is written `\(name) = …` at the margin")
    case .repeatedParam(let name): return usage("`param \(name)` is declared twice")
    case .unknownOverride(let name, let suggestion):
      return usage("the script has no `param \(name)`", hint: didYouMean(suggestion))
    case .badOverride(let name, let text): return usage("`\(text)` is not a value for `param \(name)`")
    case .noField(let name, let type, let fields, let suggestion):
      let isSweep = type.hasPrefix("sweep of")
      let has =
        isSweep
        ? "has cells, such as `x[0]` or `x[rate=20%]`"
        : fields.isEmpty ? "has no fields" : "has \(fields.sorted().joined(separator: ", "))"
      return usage("\(article(type)) has no field `\(name)`", hint: didYouMean(suggestion) ?? "\(article(type)) \(has)")
    case .noFormerBinding(let name, let back): return usage("`\(name)` has no binding \(back) before the present one")
    case .noSuchPosition(let position, let count): return usage("there is no position \(position) among \(count)")
    case .notSelectable(let found): return usage("\(article(found)) has no parts to select with `[ ]`")
    case .noSuchCell(let text, let legal):
      return usage("the sweep has no cell with `\(text)`", hint: "there are \(legal.joined(separator: ", "))")
    case .noCoordinate(let name, let legal):
      return usage("the sweep has no coordinate `\(name)`", hint: "there are \(legal.joined(separator: ", "))")
    case .notIterable(let found): return usage("`for` runs over a list or a sweep, not over \(article(found))")
    case .emptySweep: return usage("`for` over an empty list makes nothing")
    case .repeatedCell(let cell):
      return usage("`for` meets \(cell) twice, and its cells could not be told apart")
    case .repeatedLabel(let label):
      return usage(
        "`\(label)` labels two items of the list, which could not be told apart",
        hint: "give each a label of its own: `[a: …, b: …]`")
    case .emptyPath: return usage("the path is empty")
    case .sweepTooLarge(let limit): return usage("the sweep has more than \(limit) cells")
    case .sweepWithoutValue: return usage("a `for` used as a value ends in an expression")
    case .notAnOperand(let found, let wanted):
      let kinds = wanted.map { $0 + "s" }.joined(separator: " or ")
      return usage("`|`, `&`, `^` and `!` combine \(kinds), not \(article(found))")
    case .noAlgebra: return usage("`|`, `&`, `^` and `!` are not available: no op combines values")
    case .pipeIntoNothing: return usage("`|>` is followed by an op")
    case .includeCycle(let files): return usage("`include` goes in a circle: \(files.joined(separator: " -> "))")
    case .tooManyIncludes(let limit): return usage("the script includes more than \(limit) files")
    case .unreadableFile(let path): return usage("`\(path)` cannot be read")
    case .incomparable(let left, let right): return usage("\(left) and \(right) cannot be compared so")
    case .metaArguments(let word, let text):
      guard let text else { return usage("`\(word.name)` needs more: \(word.usage)") }
      return usage(
        "`\(text)` is one argument too many: \(word.usage)",
        hint: word.arguments.first?.kind == .value ? "an expression stands in parentheses: `\(word.name) (…)`" : nil)
    case .notAMetaParameter(let word, let name, let value, let suggestion):
      // A word without parameters takes its arguments one behind the other.
      let isPlain = word.parameters.isEmpty && word.arguments.count > 1
      return usage(
        "`\(word.name)` has no parameter `\(name)`",
        hint: didYouMean(isPlain ? "\(word.name) \(name) \(value)" : suggestion) ?? word.usage)
    case .notAVariable(let word, let text): return usage("`\(word.name)` wants the name of a variable, not `\(text)`")
    case .notAType(let name, let suggestion): return usage("there is no type `\(name)`", hint: didYouMean(suggestion))
    case .notAnEnding(let path, let endings):
      return usage("`\(path)` does not end in \(endings.map { "." + $0 }.joined(separator: " or "))")
    case .notAChoice(let word, let name, let found, let choices):
      return usage(
        "`\(name)` of `\(word.name)` is one of \(choices.joined(separator: ", ")), not `\(found)`",
        hint: didYouMean(suggested(for: found, among: choices)))
    case .cellNotAValue(let found): return usage("each cell of a sweep makes one value, not \(article(found))")
    case .noResult: return usage("there is no last result yet")
    }
  }

  private func usage(_ summary: String, hint: String? = nil, _ argument: String? = nil) -> Diagnostic {
    Diagnostic(summary, hint: hint, argument: argument, kind: .usage)
  }

  private func didYouMean(_ word: String?) -> String? { word.map { "did you mean `\($0)`?" } }

  private func shown(_ literal: Literal) -> String {
    switch literal {
    case .symbol(let word): return "`\(word)`"
    default: return literal.rendered
    }
  }
}

/// "a mask", "an artifact".
func article(_ noun: String) -> String {
  let plural = noun.hasSuffix("s") || noun.hasPrefix("a ") || noun.hasPrefix("the ") || noun.first?.isNumber == true
  if plural { return noun }
  return ("aeiou".contains(noun.first ?? "x") ? "an " : "a ") + noun
}
