/// What people type from habit: words of other shells, and sessions copied together with their prompts.
enum Habits {
  enum Line: Equatable {
    case statement(String)
    case clearScreen
  }

  /// The statement meant by what was typed.
  /// - Parameter isExplained: whether `help` knows a word.
  static func line(_ typed: String, isExplained: (String) -> Bool) -> Line {
    let text = withoutPrompts(typed)
    var word = text.filter { !$0.isWhitespace }
    if word.hasSuffix("()") { word.removeLast(2) }
    let bare = word.drop { ".:%\\".contains($0) }
    switch bare {
    case "clear", "cls": return .clearScreen
    case "exit", "q": return .statement("quit")
    case "ls", "who": return .statement("vars")
    case "?", "??", "h": return .statement("help")
    default: break
    }
    let name = String(word.drop { $0 == "?" }.reversed().drop { $0 == "?" }.reversed())
    if name.count < word.count, !name.isEmpty {
      return .statement(isExplained(name) ? "help \(name)" : "info \(name)")
    }
    // `.help flap`, `:quit`.
    let trimmed = text.drop(while: \.isWhitespace)
    if let first = trimmed.first, ".:%".contains(first), trimmed.dropFirst().first?.isLetter == true {
      return .statement(String(trimmed.dropFirst()))
    }
    return .statement(text)
  }

  /// A copied session is its statements: the lines behind prompts, without what was printed between them.
  static func withoutPrompts(_ text: String) -> String {
    let prompts = ["prn> ", "...> "]
    let lines = text.split(separator: "\n", omittingEmptySubsequences: false)
    func statement(_ line: Substring) -> Substring? {
      let start = line.drop { $0 == " " }
      return prompts.first(where: start.hasPrefix).map { start.dropFirst($0.count) }
    }
    guard lines.contains(where: { statement($0) != nil }) else { return text }
    // What stands before the first prompt is what was on the line already.
    let first = lines.firstIndex { statement($0) != nil } ?? 0
    return (lines[..<first] + lines[first...].compactMap(statement)).joined(separator: "\n")
  }
}
