import Foundation
import Testing

@testable import Shell

/// The shell in a terminal of its own.
@Suite(.serialized) struct InteractiveTests {
  let folder: String
  init() throws { folder = try Program.temporaryFolder() }

  func shell(_ words: [String] = [], _ more: [String: String] = [:]) throws -> PseudoTerminal {
    try PseudoTerminal(words, in: folder, environment: Program.environment(folder, more))
  }

  @Test func ctrlDOnAnEmptyLineLeavesWithZeroAndTheTerminalAsItWas() throws {
    let terminal = try shell()
    let before = terminal.modesAtFirst
    #expect(terminal.sees("prn> "))
    #expect(terminal.leave() == 0)
    #expect(terminal.modes == before)
  }

  @Test func ctrlCThrowsHalfALineAway() throws {
    let terminal = try shell(["-q"])
    #expect(terminal.sees("prn> "))
    terminal.send("help no_such")
    #expect(terminal.sees("no_such"))
    terminal.send("\u{3}")
    #expect(terminal.sees("prn> "))
    terminal.send("history\r")
    #expect(terminal.sees("prn> "))
    terminal.send("quit\r")
    #expect(terminal.exitStatus() == 0)
    #expect(!terminal.seen.contains("error"))
  }

  @Test func anUnfinishedStatementGoesOnAndIsOneHistoryEntry() throws {
    let terminal = try shell(["-q"])
    #expect(terminal.sees("prn> "))
    terminal.send("help (\r")
    #expect(terminal.sees("...> "))
    terminal.send("\u{3}")
    #expect(terminal.sees("prn> "))
    terminal.send("x = [1,\r")
    #expect(terminal.sees("...> "))
    terminal.send("2]\r")
    #expect(terminal.sees("prn> "))
    terminal.send("quit\r")
    #expect(terminal.exitStatus() == 0)
    let path = folder + "/.local/state/prn/history"
    #expect(History(path: path).entries.contains("x = [1,\n2]"))
    #expect(try FileManager.default.attributesOfItem(atPath: path)[.posixPermissions] as? Int == 0o600)
  }

  @Test func aPasteWithNewlinesAndTabsIsOneEditableEntry() throws {
    let terminal = try shell(["-q"])
    #expect(terminal.sees("prn> "))
    terminal.send("\u{1B}[200~help for\r\thelp assert\u{1B}[201~")
    #expect(terminal.sees("assert"))
    terminal.send("\r")
    #expect(terminal.sees("Compares with"))
    terminal.send("quit\r")
    #expect(terminal.exitStatus() == 0)
    #expect(History(path: folder + "/.local/state/prn/history").entries.first == "help for\n  help assert")
  }

  @Test func lettersBeyondASCIIAreKept() throws {
    let terminal = try shell(["-q"])
    #expect(terminal.sees("prn> "))
    terminal.send("x = \"h\u{e9} \u{65e5}\u{672c}\"\r")
    #expect(terminal.sees("prn> "))
    terminal.send("show x\r")
    #expect(terminal.sees("\n") && terminal.sees("h\u{e9} \u{65e5}\u{672c}") && terminal.sees("prn> "))
    #expect(terminal.leave() == 0)
  }

  /// An op that is completed has a space behind it.
  @Test(arguments: [("hist\t", "history"), ("x = (fl\tacts)", "x = (flap acts)")])
  func theTabKeyCompletesWhatIsUnique(_ keys: String, _ line: String) throws {
    let terminal = try shell(["-q"])
    #expect(terminal.sees("prn> "))
    terminal.send(keys + "\r")
    #expect(terminal.sees("prn> "))
    #expect(terminal.leave() == 0)
    #expect(History(path: folder + "/.local/state/prn/history").entries == [line])
  }

  @Test func noColourMeansNoEscapeForColour() throws {
    let terminal = try shell(["-c", "help nothing_like_it"], ["NO_COLOR": "1"])
    #expect(terminal.exitStatus() == 2 || terminal.sees("error"))
    #expect(!terminal.seen.contains("\u{1B}[1;31m"))
  }

  @Test func terminationLeavesWith143() throws {
    let terminal = try shell(["-q"])
    #expect(terminal.sees("prn> "))
    terminal.signal(SIGTERM)
    #expect(terminal.exitStatus() == 143)
    #expect(terminal.modes == terminal.modesAtFirst)
  }

  @Test func theBannerIsForPeopleOnly() throws {
    #expect(try Program.run(["-c", "help for"], in: folder).err == "")
    let piped = try Program.run([], in: folder, input: "help assert\n")
    #expect(piped.status == 0 && piped.err == "" && piped.out.hasPrefix("assert A < B"))
  }
}
