import Foundation

/// What could stand at the cursor, by grammar position.
public struct Completion: Sendable, Equatable {
  public enum Kind: String, Sendable { case op, meta, parameter, choice, variable, path, column, word }
  public var text: String
  public var kind: Kind
  /// One line for a list of candidates.
  public var meaning: String
}

/// Candidates and the bytes of the text they replace. Text right of the cursor is never touched.
public struct Completions: Sendable, Equatable {
  public var range: Range<Int>
  public var candidates: [Completion]
}

extension Session {
  /// Completes `text` at the byte offset `cursor`.
  /// - Parameter columns: the columns of a table variable, for `x=` and `y=` of `plot`.
  public func completions(
    _ text: String, cursor: Int, columns: @escaping (String) -> [String] = { _ in [] }
  ) -> Completions {
    let bytes = Array(text.utf8)
    let end = min(max(0, cursor), bytes.count)
    let head = String(decoding: bytes[..<end], as: UTF8.self)
    return CursorContext(session: self, head: head, columns: columns).completions()
  }
}

/// Reads the tokens left of the cursor: which statement, which call, which argument.
private struct CursorContext {
  let session: Session
  let columns: (String) -> [String]
  private let tokens: [Token]
  private let head: String
  private let end: Int

  init(session: Session, head: String, columns: @escaping (String) -> [String]) {
    self.session = session
    self.columns = columns
    self.head = head
    end = head.utf8.count
    tokens = Lexer(Source(name: "", text: head)).tokens.filter { $0.kind != .end }.dropTrailingLineEnd(at: end)
  }

  func completions() -> Completions {
    // Inside a comment nothing is completed.
    if let last = head.split(separator: "\n", omittingEmptySubsequences: false).last, last.contains("#") {
      return Completions(range: end..<end, candidates: [])
    }
    var before = tokens
    var range = end..<end
    var prefix = ""
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
      prefix = Span(Source(name: "", text: head), range).text
    }
    return Completions(range: range, candidates: matching(candidates(before, prefix: prefix), prefix))
  }

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
    if prefix.hasPrefix("/") || prefix.hasPrefix("./") || prefix.hasPrefix("../") || prefix.hasPrefix("~/") {
      return paths(prefix)
    }
    let statement = Array(before[(statementStart(before))...])
    guard let last = statement.last else { return ops() + metaWords() + variables(of: nil) + keywordCandidates }
    if let name = keyword(statement) { return values(of: name.keyword, call: name.call, statement) }
    switch last.kind {
    case .symbol(.assign), .symbol(.openParenthesis), .symbol(.pipe):
      return ops() + variables(of: nil)
    case .symbol(.colon), .symbol(.openBracket): return ops() + variables(of: nil)
    case .symbol(.or), .symbol(.and), .symbol(.xor), .symbol(.not):
      let operands = session.catalog.algebra.flatMap(session.catalog.signature)?.positional.first?.accepts ?? []
      return variables(of: operands.map(\.name)) + operands.flatMap { ops(making: $0.name) }
    case .symbol(.dot), .symbol(.at): return []
    default: return arguments(statement)
    }
  }

  private var keywordCandidates: [Completion] {
    ["param", "for", "include", "assert"].map { Completion(text: $0, kind: .word, meaning: "") }
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

  // MARK: candidates

  private func arguments(_ statement: [Token]) -> [Completion] {
    guard let start = callStart(statement), let call = statement[start].name else { return [] }
    let given = Set(
      statement.indices.compactMap { index -> String? in
        index > start && index + 1 < statement.count && statement[index + 1].is(.assign) ? statement[index].name : nil
      })
    guard let op = session.catalog.signature(call) else { return metaArguments(call, given) }
    let inputs = op.named.filter { !given.contains($0.name) }.map {
      Completion(text: $0.name + "=", kind: .parameter, meaning: $0.meaning)
    }
    let parameters = op.parameters.filter { !given.contains($0.name) }.map {
      Completion(text: $0.name + "=", kind: .parameter, meaning: $0.meaning)
    }
    let wanted = op.positional.flatMap { $0.accepts.map(\.name) }
    return (wanted.isEmpty ? [] : variables(of: wanted)) + inputs + parameters
  }

  private func metaArguments(_ name: String, _ given: Set<String>) -> [Completion] {
    guard let word = session.catalog.metaWord(name) else { return [] }
    if word.name == "time" { return ops() + variables(of: nil) }
    let parameters = word.parameters.filter { !given.contains($0.name) }.map {
      Completion(text: $0.name + "=", kind: .parameter, meaning: $0.meaning)
    }
    switch word.arguments.first?.kind {
    case .value, .variable: return variables(of: nil) + parameters
    case .op: return ops() + metaWords()
    case .type:
      return session.catalog.artifactTypes.keys.sorted().map { Completion(text: $0, kind: .word, meaning: "a type") }
    case .path: return paths("./")
    case .word, .literal, nil: return parameters
    }
  }

  private func values(of keyword: String, call: String, _ statement: [Token]) -> [Completion] {
    if let op = session.catalog.signature(call) {
      if let input = op.input(keyword) {
        return input.isExternal ? paths("./") : variables(of: input.accepts.map(\.name))
      }
      guard let parameter = op.parameter(keyword) else { return [] }
      if let choices = parameter.choices {
        return choices.map { Completion(text: $0, kind: .choice, meaning: parameter.meaning) }
      }
      return parameter.words == .path ? paths("./") : literals()
    }
    guard let parameter = session.catalog.metaWord(call)?.parameters.first(where: { $0.name == keyword }) else {
      return []
    }
    if let choices = parameter.choices {
      return choices.map { Completion(text: $0, kind: .choice, meaning: parameter.meaning) }
    }
    if parameter.kind == .path { return paths("./") }
    guard let start = callStart(statement), start + 1 < statement.count, let table = statement[start + 1].name else {
      return []
    }
    return columns(table).map { Completion(text: $0, kind: .column, meaning: "a column of \(table)") }
  }

  private func ops(making type: String? = nil) -> [Completion] {
    session.catalog.signatures.filter { type == nil || $0.output.name == type }.map {
      Completion(text: $0.name, kind: .op, meaning: $0.summary)
    }
  }

  private func metaWords() -> [Completion] {
    MetaWord.all.map { Completion(text: $0.name, kind: .meta, meaning: $0.meaning) }
  }

  /// Variables of the wanted types; all of them for nil.
  private func variables(of types: [String]?) -> [Completion] {
    session.names.compactMap { name in
      guard let value = session.value(named: name) else { return nil }
      if let types {
        guard !value.nodes.isEmpty, value.nodes.allSatisfy({ types.contains($0.type.name) }) else { return nil }
        if case .field = value { return nil }
      }
      return Completion(text: name, kind: .variable, meaning: value.described)
    }
  }

  /// Variables holding a literal.
  private func literals() -> [Completion] {
    session.environment.names.compactMap { name in
      guard case .literal(let literal)? = session.environment[name] else { return nil }
      return Completion(text: name, kind: .variable, meaning: literal.rendered)
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
      return Completion(text: folder + name + (isFolder.boolValue ? "/" : ""), kind: .path, meaning: "")
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
