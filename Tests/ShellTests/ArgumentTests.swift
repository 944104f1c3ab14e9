import Kernel
import Testing

@testable import Shell

@Suite struct ArgumentTests {
  func parse(_ words: String...) throws -> Invocation { try Invocation(words) }

  func problem(_ words: String...) -> Diagnostic? {
    do {
      _ = try Invocation(words)
      return nil
    } catch { return error as? Diagnostic }
  }

  @Test func nothingStartsTheShell() throws {
    #expect(try parse().command == .shell)
    #expect(try parse("-q").options.quiet)
  }

  @Test func aScriptNeedsNoSubcommand() throws {
    #expect(try parse("f.prn").command == .run(path: "f.prn", overrides: []))
    #expect(
      try parse("./tool", "rate=40%").command == .run(path: "./tool", overrides: [.init(name: "rate", value: "40%")]))
    #expect(
      try parse("run", "f.prn", "model=a=b", "--threads=2").command
        == .run(path: "f.prn", overrides: [.init(name: "model", value: "a=b")]))
  }

  @Test func optionsMayStandAnywhereAndTakeTheirValueEitherWay() throws {
    let options = try parse("--workspace", "w", "run", "-t4", "f.prn", "--memory=2GiB", "-nk", "--fresh=a,b").options
    #expect(options.workspace == "w" && options.threads == 4 && options.memory == 2 << 30)
    #expect(options.isDryRun && options.keepGoing && options.fresh == ["a", "b"])
    #expect(try parse("run", "f.prn", "--fresh").options.fresh == [])
    #expect(try parse("gc", "--older", "30d").options.older == 30 * 86400)
  }

  @Test func inlineStatementsAreOneWord() throws {
    #expect(try parse("-c", "show x").command == .inline("show x"))
    #expect(problem("-c", "show x", "y")?.summary.contains("`y`") == true)
    #expect(problem("-c")?.kind == .usage)
  }

  @Test func stepsAreNumbersOfAScript() throws {
    #expect(try parse("run", "f.prn", "--step", "3,1").options.steps == [1, 3])
    for list in ["", "1,", "0", "a", "1,-2"] { #expect(problem("run", "f.prn", "--step", list)?.kind == .usage) }
    #expect(problem("--step", "1")?.hint == "it belongs to `prn run`")
    #expect(problem("run", "f.prn", "--cell", "")?.kind == .usage)
    #expect(problem("-c", "show x", "--cell", "1")?.kind == .usage)
    #expect(problem("run", "f.prn", "--cell", "1", "--step", "1")?.kind == .usage)
  }

  @Test func severalProcessesShareTheRunOfAScript() throws {
    #expect(try parse("run", "f.prn", "rate=30%", "--mpi").options.mpi)
    #expect(try parse("f.prn", "--mpi", "--threads", "4", "--step", "2").options.mpi)
    for words in [["--mpi"], ["-c", "show x", "--mpi"], ["ls", "--mpi"], ["check", "f.prn", "--mpi"]] {
      #expect(throws: Diagnostic.self) { try Invocation(words) }
    }
    #expect(problem("run", "-", "--mpi")?.summary.contains("standard input") == true)
    #expect(problem("run", "f.prn", "--mpi", "-n")?.summary.contains("--dry-run") == true)
    #expect(problem("run", "f.prn", "--mpi", "-k")?.summary.contains("--keep-going") == true)
  }

  @Test func mistakesNameTheWordAndSuggestOne() {
    #expect(problem("--wrokspace", "x")?.hint == "did you mean `--workspace`?")
    #expect(problem("rnu", "f.prn")?.hint == "did you mean `prn run`?")
    #expect(problem("--threads", "0")?.summary == "--threads: `0` is not a whole number of at least 1")
    #expect(problem("--format=boxx")?.hint == "did you mean `box`?")
    #expect(problem("--quiet=1")?.summary == "--quiet takes no value")
    #expect(problem("run", "f.prn", "rate")?.summary == "`rate` is not of the form NAME=VALUE")
    #expect(problem("info")?.kind == .usage)
  }

  /// What a command does not obey it refuses.
  @Test func everyCommandRefusesTheOptionsOfOthers() {
    for words in [
      ["ls", "--apply"], ["ls", "--report", "x.html"], ["du", "--older", "3d"], ["fsck", "--check"], ["--stdio", "ls"],
      ["-n", "gc", "--apply"], ["-n", "gc", "--empty-trash"], ["-n", "kernel", "install"], ["-n", "verify", "m"],
      ["-n", "export", "f.prn", "to=k.ipynb"], ["-n", "fmt", "f.prn"], ["-n", "serve", "--stdio"],
      ["check", "f.prn", "-k"],
      ["-n", "-c", "show 1", "--report", "x.html"], ["run", "f.prn", "--report="], ["help", "lowrank", "slice"],
      ["drop", "x", "-n"],
    ] {
      #expect(throws: Diagnostic.self, "\(words)") { try Invocation(words) }
    }
    #expect(problem("gc", "-n")?.summary == "`prn gc` does not take --dry-run")
    #expect(problem("gc", "-n")?.hint == "it belongs to the shell, `prn run`, `prn -c`")
    let names = Set(CommandRule.all.map(\.name))
    for rule in OptionRule.all { #expect(names.isSuperset(of: rule.commands ?? []), "\(rule.name)") }
  }

  @Test func aParameterIsGivenOnce() throws {
    #expect(problem("run", "f.prn", "rate=30%", "rate=40%")?.summary == "`rate=` is given twice")
    #expect(problem("check", "f.prn", "a=1", "b=2", "a=1")?.kind == .usage)
  }

  @Test func everyOptionIsDeclaredOnceAndExplained() {
    #expect(Set(OptionRule.all.map(\.name)).count == OptionRule.all.count)
    let letters = OptionRule.all.compactMap(\.short)
    #expect(Set(letters).count == letters.count)
    #expect(OptionRule.all.allSatisfy { !$0.meaning.isEmpty && !$0.meaning.hasSuffix(".") })
  }
}
