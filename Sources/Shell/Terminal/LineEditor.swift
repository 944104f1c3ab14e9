import CEditLine
import Glibc

/// What reading a line can end with.
enum LineEvent: Equatable {
  case line(String)
  /// Ctrl-C: the line is thrown away.
  case interrupted
  /// Ctrl-D on an empty line, or the end of the input.
  case end
}

/// Candidates for the word in front of the cursor.
struct CompletionList {
  /// What each candidate replaces: the last `replaced` characters before the cursor.
  var replaced: Int
  var candidates: [Candidate]
  struct Candidate {
    /// The whole replacement.
    var text: String
    /// Shown in a list, with a note what it is.
    var note: String
    /// Whether something always follows it, behind a space.
    var goesOn = false
  }
}

/// Line editing with libedit. Only made when standard input is a terminal.
final class LineEditor {
  private let edit: OpaquePointer
  private let history: OpaquePointer
  private var prompt: UnsafeMutablePointer<CChar>
  private let marksPastes: Bool
  /// Lines of the statement typed before the current one, for completion.
  var before = ""
  /// Finds candidates for the text in front of the cursor.
  var complete: (String) -> CompletionList = { _ in CompletionList(replaced: 0, candidates: []) }

  /// nil when libedit cannot drive this terminal.
  /// - Parameter isDumb: the terminal understands no escape sequences.
  init?(history entries: [String], isDumb: Bool) {
    marksPastes = !isDumb
    // Letters beyond ASCII vanish in the C locale, and terminals send UTF-8 whatever the locale is called.
    setlocale(LC_CTYPE, "")
    if String(cString: nl_langinfo(Int32(CODESET))) != "UTF-8" { setlocale(LC_CTYPE, "C.UTF-8") }
    guard let edit = prn_edit_open("prn"), let history = history_init() else { return nil }
    self.edit = edit
    self.history = history
    prompt = strdup("")
    prn_history_set_size(history, Int32(History.limit))
    for entry in entries { prn_history_enter(history, entry) }
    prn_edit_use_history(edit, history)
    prn_edit_prompt(edit) { edit in LineEditor.of(edit)?.prompt }
    prn_edit_add_function(edit, "prn-complete", "complete the word before the cursor") { edit, _ in
      LineEditor.of(edit)?.completeWord() ?? UInt8(CC_ERROR)
    }
    prn_edit_add_function(edit, "prn-paste", "insert pasted text as it is") { edit, _ in
      LineEditor.of(edit)?.insertPaste() ?? UInt8(CC_ERROR)
    }
    prn_edit_bind(edit, "\t", "prn-complete")
    prn_edit_bind(edit, "\u{1B}[200~", "prn-paste")
    prn_edit_bind(edit, "^R", "em-inc-search-prev")
    prn_edit_bind(edit, "\u{1B}[3~", "ed-delete-next-char")
    prn_edit_bind(edit, "\u{1B}[1;5C", "em-next-word")
    prn_edit_bind(edit, "\u{1B}[1;5D", "ed-prev-word")
    prn_edit_set_context(edit, Unmanaged.passUnretained(self).toOpaque())
  }

  deinit {
    el_end(edit)
    history_end(history)
    free(prompt)
  }

  private static func of(_ edit: OpaquePointer?) -> LineEditor? {
    guard let edit, let context = prn_edit_context(edit) else { return nil }
    return Unmanaged<LineEditor>.fromOpaque(context).takeUnretainedValue()
  }

  /// Makes a statement reachable with the Up key.
  func remember(_ statement: String) { prn_history_enter(history, statement) }

  /// Reads one line, without its newline. A paste may hold several.
  func readLine(prompt text: String) -> LineEvent {
    free(prompt)
    prompt = strdup(text)
    if marksPastes { LineEditor.show("\u{1B}[?2004h") }
    defer { if marksPastes { LineEditor.show("\u{1B}[?2004l") } }
    var count: Int32 = 0
    guard let line = el_wgets(edit, &count), count > 0 else { return Interrupts.isStopping ? .interrupted : .end }
    var out = String.UnicodeScalarView()
    for index in 0..<Int(count) {
      if let scalar = Unicode.Scalar(UInt32(bitPattern: line[index])) { out.append(scalar) }
    }
    if out.last == "\n" { out.removeLast() }
    return .line(String(out))
  }

  /// An empty screen, with the prompt on top.
  func clearScreen() { LineEditor.show("\u{1B}[H\u{1B}[2J") }

  private static func show(_ text: String) {
    _ = Array(text.utf8).withUnsafeBytes { write(STDOUT_FILENO, $0.baseAddress, $0.count) }
  }

  // MARK: - Keys

  private var textBeforeCursor: String {
    guard let info = el_wline(edit)?.pointee, let start = info.buffer, let cursor = info.cursor else { return "" }
    var out = String.UnicodeScalarView()
    for index in 0..<(cursor - start) {
      if let scalar = Unicode.Scalar(UInt32(bitPattern: start[index])) { out.append(scalar) }
    }
    return String(out)
  }

  private var isBeforeSpace: Bool {
    guard let info = el_wline(edit)?.pointee, let cursor = info.cursor, let end = info.lastchar, cursor < end else {
      return false
    }
    return cursor.pointee == wchar_t(bitPattern: 32)
  }

  /// Inserts what all candidates share; lists them when that is nothing new. Text right of the cursor stays.
  private func completeWord() -> UInt8 {
    let list = complete(before + textBeforeCursor)
    guard let first = list.candidates.first else { return UInt8(CC_ERROR) }
    var common = list.candidates.dropFirst().reduce(first.text) { $0.commonPrefix(with: $1.text) }
    let typed = String(textBeforeCursor.suffix(list.replaced))
    if list.candidates.count == 1, first.goesOn, !isBeforeSpace { common += " " }
    if common.count > typed.count || (list.candidates.count == 1 && common != typed) {
      if !common.hasPrefix(typed) {
        el_deletestr(edit, Int32(typed.unicodeScalars.count))
        insert(common)
      } else {
        insert(String(common.dropFirst(typed.count)))
      }
      return UInt8(CC_REFRESH)
    }
    if list.candidates.count == 1 { return UInt8(CC_ERROR) }
    LineEditor.show("\n" + LineEditor.columns(list.candidates))
    return UInt8(CC_REDISPLAY)
  }

  private func insert(_ text: String) {
    var wide = text.unicodeScalars.map { wchar_t(bitPattern: $0.value) }
    wide.append(0)
    el_winsertstr(edit, wide)
  }

  /// At most forty candidates, each with its note.
  private static func columns(_ candidates: [CompletionList.Candidate]) -> String {
    let width = candidates.prefix(40).map { DisplayWidth.of($0.text) }.max() ?? 0
    let room = max(20, (Int(prn_terminal_columns(STDOUT_FILENO)) - 1).clampedBelow(to: 40)) - width - 4
    var out = ""
    for candidate in candidates.prefix(40) {
      let note = DisplayWidth.cut(candidate.note, to: max(0, room), mark: "...")
      out +=
        "  " + DisplayWidth.padded(candidate.text, to: width, right: false) + (note.isEmpty ? "" : "  " + note) + "\n"
    }
    return candidates.count > 40 ? out + "  \(candidates.count - 40) more\n" : out
  }

  /// Reads a bracketed paste to its end and inserts it: newlines and tabs are text, not keys.
  private func insertPaste() -> UInt8 {
    var pasted: [Unicode.Scalar] = []
    let end = Array("\u{1B}[201~".unicodeScalars)
    while pasted.count < 1_000_000 {
      var character: wchar_t = 0
      guard el_wgetc(edit, &character) == 1 else { break }
      guard let scalar = Unicode.Scalar(UInt32(bitPattern: character)) else { continue }
      pasted.append(scalar)
      if scalar == "~", pasted.suffix(end.count).elementsEqual(end) {
        pasted.removeLast(end.count)
        break
      }
    }
    var text = ""
    for scalar in pasted {
      switch scalar {
      case "\r": text += "\n"
      case "\t": text += "  "
      default: if scalar == "\n" || scalar.value >= 0x20 { text.unicodeScalars.append(scalar) }
      }
    }
    while text.hasSuffix("\n") { text.removeLast() }
    insert(text)
    return UInt8(CC_REFRESH)
  }
}

extension Int {
  fileprivate func clampedBelow(to lower: Int) -> Int { Swift.max(self, lower) }
}

extension String {
  func commonPrefix(with other: String) -> String {
    String(zip(self, other).prefix { $0 == $1 }.map(\.0))
  }
}
