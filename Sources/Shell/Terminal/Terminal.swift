import CEditLine
import Glibc

/// One of the two output streams: what it is connected to, and how to write to it.
struct OutputStream: Sendable {
  let descriptor: Int32
  let isTerminal: Bool
  /// Whether the terminal understands cursor movement and colours at all.
  let isDumb: Bool
  /// Whether characters beyond ASCII can be shown.
  let isUnicode: Bool
  let colour: TextPictureStyle.ColourDepth

  /// Columns and rows of the window now; the usual 80 x 24 when it does not say.
  var size: (columns: Int, rows: Int) {
    let (columns, rows) = (Int(prn_terminal_columns(descriptor)), Int(prn_terminal_rows(descriptor)))
    return (columns > 0 ? columns : 80, rows > 0 ? rows : 24)
  }

  /// Writes all of `text`.
  /// - Throws: `WriteFailed` when the reader went away or the disk is full.
  func write(_ text: String) throws { try write(Array(text.utf8)) }

  func write(_ bytes: [UInt8]) throws {
    var start = 0
    while start < bytes.count {
      let written = bytes.withUnsafeBytes {
        Glibc.write(descriptor, $0.baseAddress?.advanced(by: start), bytes.count - start)
      }
      if written < 0 {
        if errno == EINTR || errno == EAGAIN { continue }
        throw WriteFailed(code: errno)
      }
      start += written
    }
  }
}

/// The stream does not take more text.
struct WriteFailed: Error {
  var code: Int32
  var isBrokenPipe: Bool { code == EPIPE }
}

/// When colour is used.
enum ColourChoice: String, CaseIterable, Sendable {
  case auto, always, never
}

extension OutputStream {
  /// Judges a stream: `--color` over a non-empty `NO_COLOR` over `TERM=dumb` over being a terminal.
  init(descriptor: Int32, choice: ColourChoice, environment: [String: String]) {
    // mpirun gives its ranks a terminal of its own, wherever their text goes.
    let isTerminal = isatty(descriptor) == 1 && environment["OMPI_COMM_WORLD_RANK"] == nil
    let term = environment["TERM"] ?? ""
    let isDumb = term == "dumb" || term.isEmpty
    let isPlain = !(environment["NO_COLOR"] ?? "").isEmpty || isDumb || !isTerminal
    let locale = ["LC_ALL", "LC_CTYPE", "LANG"].lazy.compactMap { environment[$0] }.first { !$0.isEmpty } ?? ""
    let folded = locale.lowercased()
    let depth: TextPictureStyle.ColourDepth =
      ["truecolor", "24bit"].contains(environment["COLORTERM"] ?? "") ? .full : .palette
    self.init(
      descriptor: descriptor, isTerminal: isTerminal, isDumb: isDumb,
      isUnicode: folded.contains("utf-8") || folded.contains("utf8"),
      colour: choice == .never || (choice == .auto && isPlain) ? .none : depth)
  }
}

/// The environment of the process, read once by the shell and by nothing below it.
enum ProcessEnvironment {
  static func variables() -> [String: String] {
    var out: [String: String] = [:]
    var entry = environ
    while let text = entry.pointee {
      let line = String(cString: text)
      if let equals = line.firstIndex(of: "=") {
        out[String(line[..<equals])] = String(line[line.index(after: equals)...])
      }
      entry = entry.advanced(by: 1)
    }
    return out
  }
}
