import Foundation
import Testing

/// Scripts with their expected output beside them.
///
///     # expect: TEXT          the next line of standard output; `...` stands for anything
///     # expect error: TEXT    the next line of standard error
///     # expect exit: N        the exit code; 0 without it
///     # arguments: WORDS      further words of the command line; `{tmp}` is an empty folder
///
/// Scripts in `errors/` show one message each: they run with --quiet and their whole standard error is compared.
@Suite(.serialized) struct ScriptTests {
  static let folder = Program.root + "/Tests/Scripts"

  static func scripts(in folder: String) -> [String] {
    ((try? FileManager.default.contentsOfDirectory(atPath: folder)) ?? []).filter { $0.hasSuffix(".prn") }.sorted()
  }

  @Test(arguments: scripts(in: folder)) func theScriptPrintsWhatItExpects(_ name: String) throws {
    try check(name, in: ScriptTests.folder, comparesAllErrors: false)
  }

  @Test(arguments: scripts(in: folder + "/errors")) func theMistakeGetsItsMessage(_ name: String) throws {
    try check(name, in: ScriptTests.folder + "/errors", comparesAllErrors: true)
  }

  private func check(_ name: String, in folder: String, comparesAllErrors: Bool) throws {
    let script = try Expectations(path: folder + "/" + name)
    let workspace = try Program.temporaryFolder()
    defer { try? FileManager.default.removeItem(atPath: workspace) }
    let result = try Program.run(
      ["run", name, "--workspace", workspace + "/.prn"] + (comparesAllErrors ? ["--quiet"] : [])
        + script.arguments.map { $0.replacingOccurrences(of: "{tmp}", with: workspace) }, in: folder)
    #expect(result.status == script.status, "standard error:\n\(result.err)")
    compare(script.output, result.out.lines, "standard output")
    if comparesAllErrors {
      compare(script.errors, result.err.lines, "standard error")
    } else {
      for line in script.errors {
        #expect(result.err.lines.contains { line.matchesLine($0) }, "missing: \(line)\nin: \(result.err)")
      }
    }
  }

  private func compare(_ expected: [String], _ found: [String], _ what: String) {
    #expect(expected.count == found.count, "\(what) was:\n\(found.joined(separator: "\n"))")
    for (line, other) in zip(expected, found) {
      #expect(line.matchesLine(other), "\(what): expected \(line), found \(other)")
    }
  }
}

/// What a script says about itself.
struct Expectations {
  var output: [String] = []
  var errors: [String] = []
  var status: Int32 = 0
  var arguments: [String] = []

  init(path: String) throws {
    for line in try String(contentsOfFile: path, encoding: .utf8).split(separator: "\n").map(String.init) {
      func text(after mark: String) -> String? {
        guard let range = line.range(of: mark) else { return nil }
        let rest = line[range.upperBound...]
        return String(rest.first == " " ? rest.dropFirst() : rest)
      }
      if let text = text(after: "# expect error:") {
        errors.append(text)
      } else if let text = text(after: "# expect exit:") {
        status = Int32(text) ?? -1
      } else if let text = text(after: "# expect:") {
        output.append(text)
      } else if let text = text(after: "# arguments:") {
        arguments = text.split(separator: " ").map(String.init)
      }
    }
  }
}

extension String {
  fileprivate var lines: [String] {
    var lines = split(separator: "\n", omittingEmptySubsequences: false).map(String.init)
    if lines.last == "" { lines.removeLast() }
    return lines
  }

  /// Whether `line` is this text, `...` standing for anything.
  fileprivate func matchesLine(_ line: String) -> Bool {
    let parts = components(separatedBy: "...")
    guard parts.count > 1, let first = parts.first, let last = parts.last else { return self == line }
    guard line.hasPrefix(first), line.hasSuffix(last), line.count >= first.count + last.count else { return false }
    var rest = line.dropFirst(first.count).dropLast(last.count)
    for part in parts.dropFirst().dropLast() where !part.isEmpty {
      guard let range = rest.range(of: part) else { return false }
      rest = rest[range.upperBound...]
    }
    return true
  }
}
