import Foundation
import Testing

@testable import Shell

/// Streams, scripts and texts as the world hands them over.
@Suite(.serialized) struct StreamTests {
  let folder: String
  init() throws { folder = try Program.temporaryFolder() }

  /// Runs a line of `sh` with `$PRN`.
  func shell(_ line: String, _ environment: [String: String] = [:]) throws -> Program.Result {
    let process = Process()
    process.executableURL = URL(fileURLWithPath: "/bin/bash")
    process.arguments = ["-c", line]
    process.currentDirectoryURL = URL(fileURLWithPath: folder)
    process.environment = Program.environment(folder, environment.merging(["PRN": Program.path]) { $1 })
    let (out, err) = (Pipe(), Pipe())
    (process.standardOutput, process.standardError) = (out, err)
    try process.run()
    let text = (out.fileHandleForReading.readDataToEndOfFile(), err.fileHandleForReading.readDataToEndOfFile())
    process.waitUntilExit()
    return .init(
      status: process.terminationStatus, out: String(decoding: text.0, as: UTF8.self),
      err: String(decoding: text.1, as: UTF8.self))
  }

  @Test(arguments: ["$PRN run - <&-", "$PRN < /", "$PRN <&-", "$PRN run /"])
  func anInputThatCannotBeReadIsOneSentence(_ line: String) throws {
    let result = try shell(line)
    #expect(result.status == 2 && result.err.hasPrefix("error: ") && !result.err.contains("Fatal"), "\(result)")
  }

  @Test(arguments: ["$PRN -c 'show 1' > /dev/full", "$PRN ls > /dev/full", "$PRN -c 'show 1' >&-"])
  func outputThatIsLostFailsTheRun(_ line: String) throws {
    let result = try shell(line)
    #expect(result.status == 1 && result.err.contains("standard output cannot be written"), "\(result)")
  }

  @Test func aReaderThatStopsEarlyIsNoError() throws {
    #expect(try shell("$PRN help | head -1 > /dev/null; exit ${PIPESTATUS[0]}").status == 0)
  }

  @Test func aScriptMayComeFromAPipeAndBeginWithAMark() throws {
    #expect(try shell("$PRN run <(printf 'show 1')").out == "1\n")
    #expect(try shell("printf '\\xef\\xbb\\xbf# %%%% Cell\\r\\nshow 1\\r\\n' > s.prn; $PRN s.prn").out == "1\n")
  }

  @Test func aTextMayComeThroughAnyDescriptorAndStaysInTheWorkspace() throws {
    let load = "m = load \(CommandTests.model)"
    for line in [
      "yes word | head -50 | $PRN -q -c '\(load); t = text /dev/stdin model=m'",
      "$PRN -q -c '\(load); t = text /dev/fd/9 model=m' 9< <(yes word | head -50)",
    ] {
      let result = try shell(line)
      #expect(result.status == 0, "\(result.err)")
      #expect(try shell("$PRN -q verify t").out == "content\tsame\nbytes\tsame\n")
    }
  }

  @Test(arguments: ["<&-", "< /", "< /dev/null"]) func aTextThatDoesNotComeIsOneSentence(_ input: String) throws {
    let result = try shell("$PRN -q -c 'm = load \(CommandTests.model); t = text - model=m' \(input)")
    #expect(result.status == 1 && result.err.contains("standard input") && !result.err.contains("Fatal"), "\(result)")
  }

  @Test func namesThatAreNotTextAreRefusedAndLeaveNothing() throws {
    let result = try shell(
      "d=$(printf 'a\\xe9'); mkdir $d; cd $d; $PRN -c 'show 1'; r=$?; cd ..; ls -A | wc -l; exit $r")
    #expect(result.status == 2 && result.out == "1\n")
    #expect(try shell("$PRN run $(printf 'a\\xe9.prn')").err.contains("not UTF-8"))
  }

  @Test func aTightAddressSpaceIsRefusedAtOnce() throws {
    #expect(try shell("ulimit -v 204800; timeout -s KILL 20 $PRN -c 'show 1'").status == 5)
  }

  @Test(arguments: [
    "text \"./no\\u{1b}[31m\\u{9b}\\u{202e}\" model=1", "show \"a\\u{1b}[31m\\u{202e}\"", "x = no\u{1b}[31m",
    "\u{202e}",
  ])
  func nothingFromOutsideSteersTheTerminal(_ statement: String) throws {
    let result = try Program.run(["-c", statement], in: folder)
    for text in [result.out, result.err] {
      let raw = text.unicodeScalars.filter { $0.value != 10 && ($0.value < 32 || (0x7F..<0xA0).contains($0.value)) }
      #expect(raw.isEmpty && !text.unicodeScalars.contains("\u{202e}"))
    }
  }

  @Test func lettersStayInTheCLocale() throws {
    for locale in [["LANG": "C"], ["LANG": ""], ["LC_ALL": "xx_YY.UTF-8"]] {
      let terminal = try PseudoTerminal([], in: folder, environment: Program.environment(folder, locale))
      #expect(terminal.sees("prn> "))
      terminal.send("show \"données\"\r")
      #expect(terminal.sees("données\r\n"), "\(locale)")
      #expect(terminal.leave() == 0)
    }
  }

  @Test(arguments: [
    "x = m " + String(repeating: "|> flap ", count: 10_000),
    "x = " + String(repeating: "(", count: 10_000) + "1" + String(repeating: ")", count: 10_000),
    "x = " + String(repeating: "!", count: 10_000) + "m",
    "for " + (0..<10_000).map { "a\($0) in 1" }.joined(separator: ", ") + " { show 1 }",
    String(repeating: "time ", count: 10_000) + "show 1", "x = [1][-9223372036854775808]",
    "x = 1\ny = x@-9223372036854775808", String(repeating: "x", count: 300) + " = 1",
  ])
  func hostileTextIsOneSentence(_ text: String) throws {
    let script = folder + "/hostile.prn"
    try text.write(toFile: script, atomically: false, encoding: .utf8)
    let result = try Program.run(["check", "hostile.prn"], in: folder)
    #expect(result.status == 2 && result.err.utf8.count < 4000, "\(result.err.prefix(300))")
  }
}
