import Foundation
import Testing

/// The README, typed in order: what it says comes out comes out.
@Suite(.serialized) struct ReadmeTests {
  let folder: String
  private let lines: [String]

  init() throws {
    folder = try Program.temporaryFolder()
    for part in ["data", "notebooks"] {
      try FileManager.default.createSymbolicLink(
        atPath: folder + "/" + part, withDestinationPath: Program.root + "/" + part)
    }
    lines = try String(contentsOfFile: Program.root + "/README.md", encoding: .utf8)
      .split(separator: "\n", omittingEmptySubsequences: false).map(String.init)
  }

  /// Statements of the session with the lines that follow them.
  private var session: [(statement: String, printed: [String])] {
    var found: [(statement: String, printed: [String])] = []
    for line in lines.drop(while: { $0 != "    $ prn" }).dropFirst().prefix(while: { $0.hasPrefix("    ") }) {
      let text = String(line.dropFirst(4))
      if text.hasPrefix("prn> ") {
        found.append((String(text.dropFirst(5)), []))
      } else {
        found[found.count - 1].printed.append(text)
      }
    }
    return found
  }

  /// The commands in blocks that begin with `prn `, without their remarks.
  private var commands: [String] {
    lines.filter { $0.hasPrefix("    prn ") }.map { line in
      var line = line.trimmingCharacters(in: .whitespaces)
      if let remark = line.range(of: "  #") ?? line.range(of: "   or ") { line = String(line[..<remark.lowerBound]) }
      return line
    }.filter { !$0.hasPrefix("prn kernel") }
  }

  /// Sizes and times differ between machines: what a step line says before them.
  private func said(_ line: String) -> String {
    line.split(separator: "  ").prefix(2).map { $0.trimmingCharacters(in: .whitespaces) }.joined(separator: "  ")
  }

  @Test func whatTheReadmeShowsIsWhatComesOut() throws {
    defer { try? FileManager.default.removeItem(atPath: folder) }
    #expect(session.count == 9)
    for (statement, printed) in session {
      let result = try Program.run(["-c", statement, "--format", "box"], in: folder)
      #expect(result.status == (printed.contains { $0.contains("error:") } ? 2 : 0), "\(statement): \(result.err)")
      let text = result.err.replacingOccurrences(of: "-c:1:", with: "<shell>:1:") + result.out
      let found = text.split(separator: "\n").map(String.init)
      #expect(found.map(said) == printed.map(said), "\(statement)")
    }
    for command in commands {
      let result = try shell(command)
      #expect(result.status == 0, "\(command): \(result.err)")
    }
    let exports = lines.filter { $0.hasPrefix("    export ") }.map { $0.split(separator: "#")[0] }
    let texts = lines.filter { $0.hasPrefix("said = ") || $0.hasPrefix("compare [dense: said") }
    #expect(exports.count == 4 && texts.count == 2)
    for statement in exports.map({ $0.trimmingCharacters(in: .whitespaces) }) + texts {
      let result = try Program.run(["-q", "-c", statement], in: folder)
      #expect(result.status == 0, "\(statement): \(result.err)")
    }
  }

  private func shell(_ line: String) throws -> Program.Result {
    let process = Process()
    process.executableURL = URL(fileURLWithPath: "/bin/sh")
    process.arguments = ["-c", line]
    process.currentDirectoryURL = URL(fileURLWithPath: folder)
    let path = (Program.path as NSString).deletingLastPathComponent
    process.environment = Program.environment(folder, ["PATH": path + ":/usr/bin:/bin"])
    let errors = Pipe()
    (process.standardOutput, process.standardError) = (FileHandle.nullDevice, errors)
    try process.run()
    let text = String(decoding: errors.fileHandleForReading.readDataToEndOfFile(), as: UTF8.self)
    process.waitUntilExit()
    return .init(status: process.terminationStatus, out: "", err: text)
  }
}
