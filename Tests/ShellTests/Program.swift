import Foundation
import Glibc

/// The built `prn` and how tests run it.
enum Program {
  /// Beside the test bundle, where the build puts it.
  static let path: String = {
    let bundle =
      (try? FileManager.default.destinationOfSymbolicLink(atPath: "/proc/self/exe")) ?? CommandLine.arguments[0]
    let beside = (bundle as NSString).deletingLastPathComponent + "/prn"
    return FileManager.default.isExecutableFile(atPath: beside) ? beside : root + "/.build/debug/prn"
  }()

  /// The project's folder.
  static let root: String = {
    URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent()
      .path
  }()

  static func temporaryFolder() throws -> String {
    let folder = FileManager.default.temporaryDirectory.appendingPathComponent("prn-test-\(UUID().uuidString)").path
    try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
    return folder
  }

  struct Result {
    var status: Int32
    var out: String
    var err: String
  }

  /// Nothing of the developer's own environment but what finding libraries takes.
  static func environment(_ folder: String, _ more: [String: String] = [:]) -> [String: String] {
    var environment = ["HOME": folder, "LANG": "C.UTF-8", "TERM": "xterm-256color"]
    for name in ["PATH", "LD_LIBRARY_PATH", "OPENBLAS_CORETYPE"] {
      environment[name] = ProcessInfo.processInfo.environment[name]
    }
    return environment.merging(more) { $1 }
  }

  /// Runs `prn`, or another program, to its end, with pipes for its streams.
  static func run(
    _ words: [String], of program: String = path, in folder: String, environment more: [String: String] = [:],
    input: String = ""
  ) throws -> Result {
    let process = Process()
    process.executableURL = URL(fileURLWithPath: program)
    process.arguments = words
    process.currentDirectoryURL = URL(fileURLWithPath: folder)
    process.environment = environment(folder, more)
    // Files, not pipes: a full pipe nobody reads yet would stop the program.
    let names = ["out", "err", "in"].map { NSTemporaryDirectory() + "prn-\(UUID().uuidString).\($0)" }
    defer { for name in names { unlink(name) } }
    try Data(input.utf8).write(to: URL(fileURLWithPath: names[2]))
    for name in names.prefix(2) { try Data().write(to: URL(fileURLWithPath: name)) }
    process.standardOutput = FileHandle(forWritingAtPath: names[0])
    process.standardError = FileHandle(forWritingAtPath: names[1])
    process.standardInput = FileHandle(forReadingAtPath: names[2])
    try process.run()
    process.waitUntilExit()
    func text(_ name: String) throws -> String { try String(contentsOfFile: name, encoding: .utf8) }
    return Result(status: process.terminationStatus, out: try text(names[0]), err: try text(names[1]))
  }
}
