import Foundation

/// What could stand at the cursor, by grammar position.
public struct Completion: Sendable, Equatable {
  public enum Kind: String, Sendable { case op, meta, parameter, choice, variable, field, path, column, word }
  public var text: String
  public var kind: Kind
  /// One line for a list of candidates.
  public var meaning: String

  public init(_ text: String, _ kind: Kind, _ meaning: String = "") {
    self.text = text
    self.kind = kind
    self.meaning = meaning
  }
}

/// Candidates and the bytes of the text they replace. Text right of the cursor is never touched.
public struct Completions: Sendable, Equatable {
  public var range: Range<Int>
  public var candidates: [Completion]
}

/// What only the shell knows and completion offers.
public struct CompletionSources {
  /// The columns of a table variable, for `x=` and `y=` of `plot`.
  public var columns: (_ variable: String) -> [String] = { _ in [] }
  /// The settings, or the legal values of one.
  public var settings: (_ name: String?) -> [Completion] = { _ in [] }
  /// What a stored value is, in a few words.
  public var summary: (ArtifactHandle) -> String? = { _ in nil }
  public init() {}
}

extension Session {
  /// Completes `text` at the byte offset `cursor`.
  public func completions(
    _ text: String, cursor: Int, sources: CompletionSources = CompletionSources()
  ) -> Completions {
    let bytes = Array(text.utf8)
    let end = min(max(0, cursor), bytes.count)
    let head = String(decoding: bytes[..<end], as: UTF8.self)
    return CursorContext(session: self, head: head, sources: sources).completions()
  }
}

/// Reads the tokens left of the cursor: which statement, which call, which argument.
private struct CursorContext {
  let session: Session
  let sources: CompletionSources
  private let tokens: [Token]
  private let head: String
  private let end: Int
  /// Where an unfinished string begins, its quote included.
  private let openString: Int?

  init(session: Session, head: String, sources: CompletionSources) {
    self.session = session
    self.sources = sources
    self.head = head
    end = head.utf8.count
    var tokens = Lexer(Source(name: "", text: head)).tokens.filter { $0.kind != .end }.dropTrailingLineEnd(at: end)
    let bytes = Array(head.utf8)
    if let last = tokens.last, case .literal(.string) = last.kind, last.range.upperBound == end,
      last.range.count == 1 || bytes[last.range.lowerBound] != bytes[end - 1] || last.range.isEmpty
    {
      openString = last.range.lowerBound
      tokens.removeLast()
    } else {
      openString = nil
    }
    self.tokens = tokens
  }

  func completions() -> Completions {
    // Inside a comment nothing is completed.
    if let last = head.split(separator: "\n", omittingEmptySubsequences: false).last, last.contains("#") {
      return Completions(range: end..<end, candidates: [])
    }
    if let openString {
      let range = openString + 1..<end
      let wantsPath = candidates(tokens, prefix: "").contains { $0.kind == .path }
      return Completions(range: range, candidates: wantsPath ? paths(text(range)) : [])
    }
    var before = tokens
    var range = end..<end
    if let last = tokens.last, last.range.upperBound == end {
      switch last.kind {
      case .name:
        // A dotted symbol is one word.
        var count = 1
        while tokens.count >= count + 2, tokens[tokens.count - count - 1].is(.dot),
          tokens[tokens.count - count - 2].name != nil
        {
          count += 2
        }
        before.removeLast(count)
        range = tokens[tokens.count - count].range.lowerBound..<end
      case .symbol(.dot) where tokens.count > 1 && tokens[tokens.count - 2].name != nil:
        before.removeLast(2)
        range = tokens[tokens.count - 2].range.lowerBound..<end
      case .literal(.path):
        before.removeLast()
        range = last.range
      default: break
      }
    }
    let prefix = text(range)
    return Completions(range: range, candidates: matching(candidates(before, prefix: prefix), prefix))
  }

  private func text(_ range: Range<Int>) -> String { Span(Source(name: "", text: head), range).text }

  /// Exact prefixes first; others only when there are none.
  private func matching(_ all: [Completion], _ prefix: String) -> [Completion] {
    let exact = all.filter { $0.text.hasPrefix(prefix) }
    if !exact.isEmpty || prefix.isEmpty { return exact }
    return all.filter { candidate in
      var rest = Substring(candidate.text.lowercased())
      return prefix.lowercased().allSatisfy { letter in
        guard let index = rest.firstIndex(of: letter) else { return false }
        rest = rest[rest.index(after: index)...]
        return true
      }
    }
  }

  // MARK: position

  private func candidates(_ before: [Token], prefix: String) -> [Completion] {
    if prefix.contains("/") { return paths(prefix) }
    let statement = Array(before[(statementStart(before))...])
    if let fields = fields(prefix) { return fields }
    guard let last = statement.last else { return ops() + metaWords() + variables(of: nil) + keywordCandidates }
    if let name = keyword(statement) { return values(of: name.keyword, call: name.call, statement, prefix) }
    switch last.kind {
    case .symbol(.assign), .symbol(.openParenthesis): return ops() + variables(of: nil)
    case .symbol(.pipe):
      guard let type = pipedType(statement.dropLast()) else { return ops() }
      return session.catalog.signatures.filter { $0.positional.first?.accepts.contains { $0.name == type } ?? false }
        .map { Completion($0.name, .op, $0.summary) }
    case .symbol(.colon), .symbol(.openBracket): return ops() + variables(of: nil)
    case .symbol(.or), .symbol(.and), .symbol(.xor), .symbol(.not):
      let operands = session.catalog.algebra.flatMap(session.catalog.signature)?.positional.first?.accepts ?? []
      return variables(of: operands.map(\.name)) + operands.flatMap { ops(making: $0.name) }
    case .symbol(.at) where statement.count > 1: return statement[statement.count - 2].name.map(formerValues) ?? []
    case .symbol(.dot), .symbol(.at): return []
    default: return arguments(statement, prefix)
    }
  }

  private var keywordCandidates: [Completion] {
    ["param", "for", "include", "assert"].map { Completion($0, .word) }
  }

  /// The index after the last statement end that is not inside brackets.
  private func statementStart(_ tokens: [Token]) -> Int {
    (tokens.lastIndex { $0.kind == .lineEnd || $0.is(.openBrace) }).map { $0 + 1 } ?? 0
  }

  /// The op or meta word whose arguments are being written: the innermost open call.
  private func callStart(_ statement: [Token]) -> Int? {
    var depth = 0
    var index = statement.count - 1
    while index >= 0 {
      switch statement[index].kind {
      case .symbol(.closeParenthesis), .symbol(.closeBracket): depth += 1
      case .symbol(.openParenthesis), .symbol(.openBracket):
        if depth == 0 { return nil }
        depth -= 1
      case .name(let name) where depth == 0 && isCallable(name):
        if index == 0 { return index }
        if case .symbol(let symbol) = statement[index - 1].kind {
          switch symbol {
          case .assign:
            // `how=flap` names a choice; `x = flap` begins a call.
            if index == 2 { return index }
          case .openParenthesis, .openBracket, .pipe, .colon, .comma, .or, .and, .xor, .not: return index
          default: break
          }
        }
        if statement[index - 1].is("time") { return index }
      default: break
      }
      index -= 1
    }
    return nil
  }

  private func isCallable(_ name: String) -> Bool {
    session.catalog.signature(name) != nil || MetaWord.named(name) != nil
  }

  /// The `name=` the cursor stands behind, commas of its bare list included.
  private func keyword(_ statement: [Token]) -> (keyword: String, call: String)? {
    guard let start = callStart(statement), let call = statement[start].name else { return nil }
    var index = statement.count - 1
    while index > start {
      if statement[index].is(.assign), let name = statement[index - 1].name {
        let rest = statement[(index + 1)...]
        guard rest.isEmpty || rest.last?.is(.comma) == true else { return nil }
        return (name, call)
      }
      index -= 1
    }
    return nil
  }

  /// The type of what stands left of `|>`: that of a call's op, or of a variable.
  private func pipedType(_ left: ArraySlice<Token>) -> String? {
    let left = Array(left)
    if let start = callStart(left), let op = left[start].name.flatMap(session.catalog.signature) {
      return op.output.name
    }
    return left.last?.name.flatMap { session.value(named: $0)?.nodes.first?.type.name }
  }

  // MARK: candidates

  private func arguments(_ statement: [Token], _ prefix: String) -> [Completion] {
    guard let start = callStart(statement), let call = statement[start].name else { return [] }
    let given = Set(
      statement.indices.compactMap { index -> String? in
        index > start && index + 1 < statement.count && statement[index + 1].is(.assign) ? statement[index].name : nil
      })
    guard let op = session.catalog.signature(call) else {
      return metaArguments(call, given, Array(statement[(start + 1)...]), prefix)
    }
    let keywords =
      op.named.map { ($0.name, $0.meaning) } + op.parameters.map { ($0.name, $0.meaning) }
    let wanted = op.positional.flatMap { $0.accepts.map(\.name) }
    let files = op.positional.contains { $0.isExternal } && given.isEmpty ? paths(prefix) : []
    return files + (wanted.isEmpty ? [] : variables(of: wanted))
      + keywords.filter { !given.contains($0.0) }.map { Completion($0.0 + "=", .parameter, $0.1) }
  }

  private func metaArguments(_ name: String, _ given: Set<String>, _ rest: [Token], _ prefix: String) -> [Completion] {
    guard let word = session.catalog.metaWord(name) else { return [] }
    if word.name == "time" { return ops() + variables(of: nil) }
    let parameters = word.parameters.filter { !given.contains($0.name) }.map {
      Completion($0.name + "=", .parameter, $0.meaning)
    }
    if word.name == "set" {
      // A setting may be two words with a point between them.
      let words = rest.compactMap(\.name)
      return words.isEmpty ? sources.settings(nil) : sources.settings(words.joined(separator: "."))
    }
    switch word.arguments.first?.kind {
    case .value, .variable: return (rest.isEmpty ? variables(of: nil) : []) + parameters
    case .topic: return ops() + metaWords() + types()
    case .type: return types()
    case .path: return paths(prefix)
    case .word, .literal, nil: return parameters
    }
  }

  private func types() -> [Completion] {
    session.catalog.artifactTypes.keys.sorted().map { Completion($0, .word, "a type") }
  }

  private func values(of keyword: String, call: String, _ statement: [Token], _ prefix: String) -> [Completion] {
    if let op = session.catalog.signature(call) {
      if let input = op.input(keyword) {
        return input.isExternal ? paths(prefix) : variables(of: input.accepts.map(\.name))
      }
      guard let parameter = op.parameter(keyword) else { return [] }
      if let choices = parameter.choices {
        return choices.map { Completion($0, .choice, parameter.choiceMeanings[$0] ?? "") }
      }
      return parameter.words == .path ? paths(prefix) : literals()
    }
    guard let parameter = session.catalog.metaWord(call)?.parameters.first(where: { $0.name == keyword }) else {
      return []
    }
    let subject = callStart(statement).flatMap { start in
      start + 1 < statement.count ? statement[start + 1].name : nil
    }
    if let choices = parameter.choices {
      let legal = call == "export" ? subject.flatMap(forms) : nil
      return choices.filter { legal?.contains($0) ?? true }.map { Completion($0, .choice) }
    }
    if parameter.kind == .path { return paths(prefix) }
    guard let subject else { return [] }
    return sources.columns(subject).map { Completion($0, .column, "a column of \(subject)") }
  }

  /// The formats that a variable's value can be exported in.
  private func forms(_ variable: String) -> Set<String>? {
    guard let type = session.value(named: variable)?.nodes.first?.type else { return nil }
    let own = (session.catalog.artifactTypes[type.name] as? any Exportable.Type)?.exportForms.map(\.name) ?? []
    let tables = session.catalog.artifactTypes[type.name] is any Showable.Type ? ["csv", "tsv", "json", "md"] : []
    return Set(own + tables + ["h5", "script"])
  }

  /// `mk.` with what can stand behind the point; nil when the word is not a variable with fields.
  private func fields(_ prefix: String) -> [Completion]? {
    guard let dot = prefix.firstIndex(of: ".") else { return nil }
    let name = String(prefix[..<dot])
    switch session.value(named: name) {
    case .artifact(let node)?:
      return session.catalog.fields(of: node.type).sorted { $0.key < $1.key }.map {
        Completion("\(name).\($0.key)", .field, $0.value)
      }
    case .list(let items)?:
      return items.compactMap { item in item.label.map { Completion("\(name).\($0)", .field, item.value.described) } }
    default: return nil
    }
  }

  /// `mk@` with the bindings before the present one.
  private func formerValues(_ name: String) -> [Completion] {
    let former = StoreNames(session: session)
    return (1...9).compactMap { back in
      former.value(named: name, back: back).map { Completion("-\(back)", .variable, described($0)) }
    }
  }

  /// The type of a stored value and what tells it from others of that type.
  private func described(_ handle: ArtifactHandle) -> String {
    sources.summary(handle).map { "\(handle.type.name)  \($0)" } ?? handle.type.name
  }

  private func ops(making type: String? = nil) -> [Completion] {
    session.catalog.signatures.filter { type == nil || $0.output.name == type }.map {
      Completion($0.name, .op, $0.summary)
    }
  }

  private func metaWords() -> [Completion] { MetaWord.all.map { Completion($0.name, .meta, $0.meaning) } }

  /// Variables of the wanted types; all of them for nil.
  private func variables(of types: [String]?) -> [Completion] {
    session.names.compactMap { name in
      guard let value = session.value(named: name) else { return nil }
      if let types {
        guard !value.nodes.isEmpty, value.nodes.allSatisfy({ types.contains($0.type.name) }) else { return nil }
        if case .field = value { return nil }
      }
      return Completion(name, .variable, value.handle.map(described) ?? value.described)
    }
  }

  /// Variables holding a literal.
  private func literals() -> [Completion] {
    session.environment.names.compactMap { name in
      guard case .literal(let literal)? = session.environment[name] else { return nil }
      return Completion(name, .variable, literal.rendered)
    }
  }

  private func paths(_ prefix: String) -> [Completion] {
    let slash = prefix.lastIndex(of: "/").map { prefix.index(after: $0) } ?? prefix.startIndex
    let folder = String(prefix[..<slash])
    let start = String(prefix[slash...])
    let real = expandingHome(folder)
    let found = (try? FileManager.default.contentsOfDirectory(atPath: real.isEmpty ? "." : real)) ?? []
    return found.sorted().filter { $0.hasPrefix(start) && (!$0.hasPrefix(".") || start.hasPrefix(".")) }.map { name in
      var isFolder: ObjCBool = false
      _ = FileManager.default.fileExists(atPath: real + name, isDirectory: &isFolder)
      return Completion(folder + name + (isFolder.boolValue ? "/" : ""), .path)
    }
  }
}

extension [Token] {
  /// Without the statement end the lexer adds at the end of the text.
  fileprivate func dropTrailingLineEnd(at end: Int) -> [Token] {
    if let last, last.kind == .lineEnd, last.range == end..<end { return dropLast() }
    return self
  }
}
