import Foundation
import Kernel
import Testing

@testable import Shell

/// The command as scripts and other programs meet it: exit codes, streams, events.
@Suite(.serialized) struct CommandTests {
  let folder: String
  init() throws { folder = try Program.temporaryFolder() }

  static let model = Program.root + "/data/tiny-llama"
  static let text = Program.root + "/data/calibration.txt"
  static var study: String {
    """
    m = load "\(model)"
    cal = text "\(text)" model=m samples=2 length=32 seed=0
    acts = capture m cal sites=attn.heads,ffn.act keep=moments
    mk = mask (flap acts) rate=20%
    """
  }

  func prn(_ words: String..., input: String = "") throws -> Program.Result {
    try Program.run(words, in: folder, input: input)
  }

  @Test func aTypoRunsNothingAndLeavesNoWorkspace() throws {
    let result = try prn("-c", "x = kmens acts")
    #expect(result.status == 2 && result.out == "")
    #expect(result.err.contains("did you mean `kmeans`?") && result.err.contains("^^^^^"))
    #expect(!FileManager.default.fileExists(atPath: folder + "/.prn"))
  }

  @Test func exitCodesSayWhatKindOfFailureItWas() throws {
    #expect(try prn("--no-such").status == 2)
    #expect(try prn("run", "no_such.prn").status == 2)
    #expect(try prn("-c", "assert 1 > 2").status == 3)
    #expect(try prn("-c", "show 20%").status == 0)
    #expect(try prn("-c", CommandTests.study + "\nsource ./no_such.prn").status != 0)
    #expect(try prn("info", "nothing").status == 2)
  }

  @Test func aSecondRunIsServedFromTheStoreWhateverNamesAndCommentsSay() throws {
    #expect(try prn("-c", CommandTests.study).status == 0)
    let renamed = "# a comment\n" + CommandTests.study.replacingOccurrences(of: "acts", with: "other")
    let second = try prn("-c", renamed)
    let lines = second.err.split(separator: "\n")
    #expect(second.status == 0 && !lines.isEmpty)
    #expect(lines.allSatisfy { $0.contains("cached") }, "\(second.err)")
  }

  @Test func pipesHoldNoEscapesAndNoCarriageReturns() throws {
    let result = try prn("-c", CommandTests.study + "\nshow mk\nvars\nx = kmeans")
    let good = try prn("-c", CommandTests.study + "\nshow mk\nvars")
    for text in [result.err, good.out, good.err] {
      #expect(!text.utf8.contains(0x1B) && !text.utf8.contains(13))
    }
    #expect(good.out.hasPrefix("layer\t"))
  }

  @Test func everyEventIsOneLineOfJSON() throws {
    let result = try prn("-c", CommandTests.study + "\nshow mk\nshow mk.rate", "--json")
    let events = try result.out.split(separator: "\n").map { try JSONValue(parsing: String($0)) }
    #expect(events.last?["event"] == "end" && events.last?["exit"] == 0)
    #expect(events.allSatisfy { $0["v"] == 1 })
    #expect(
      events.contains { $0["event"] == "step" && $0["name"] == "mk" && $0["status"] == "run" && $0["key"] != nil })
    let failed = try prn("-c", "x = kmens y", "--json")
    let last = try failed.out.split(separator: "\n").map { try JSONValue(parsing: String($0)) }
    #expect(last.contains { $0["event"] == "error" && $0["line"] == 1 && $0["column"] == 5 })
    #expect(last.last?["exit"] == 2)
  }

  @Test func aDryRunWritesNothing() throws {
    let result = try prn("-c", CommandTests.study, "--dry-run")
    #expect(result.status == 0 && result.out.contains("acts\tcapture\trun\tdepends on m"))
    #expect(!FileManager.default.fileExists(atPath: folder + "/.prn/objects"))
    #expect(try prn("-c", CommandTests.study).status == 0)
    let again = try prn("-c", CommandTests.study, "--dry-run")
    #expect(again.out.contains("acts\tcapture\tcached"))
    let fresh = try prn("-c", CommandTests.study, "--dry-run", "--fresh")
    #expect(fresh.out.contains("acts\tcapture\trun\tasked for by --fresh\t"))
  }

  @Test func aDryRunPicksWhatARunWouldPick() throws {
    try """
    a = 1
    # %% model
    m = load "\(CommandTests.model)"
    # %% text
    cal = text "\(CommandTests.text)" model=m samples=2 length=32
    """.write(toFile: folder + "/c.prn", atomically: true, encoding: .utf8)
    func rows(_ words: String...) throws -> [Substring] {
      let result = try Program.run(["-n", "run", "c.prn"] + words, in: folder)
      #expect(result.status == 0, "\(result.err)")
      return result.out.split(separator: "\n").dropFirst().map { $0.prefix { $0 != "\t" } }
    }
    #expect(try rows("--cell", "1") == [])
    #expect(try rows("--cell", "model") == ["m"])
    #expect(try rows("--cell", "3") == ["m", "cal"])
    #expect(try rows("--step", "2") == ["cal"])
    for words in [["--cell", "9"], ["--step", "99"], ["--fresh=mm"]] {
      #expect(try Program.run(["-n", "run", "c.prn"] + words, in: folder).status == 2, "\(words)")
      #expect(try Program.run(["run", "c.prn"] + words, in: folder).status == 2, "\(words)")
    }
  }

  @Test func aNameThatIsDroppedIsGone() throws {
    #expect(try prn("-q", "-c", "m = load \"\(CommandTests.model)\"").status == 0)
    #expect(try prn("unpin", "m").status == 2)
    let missing = try prn("-c", "drop m\nshow m")
    #expect(missing.status == 2 && missing.err.contains("there is no variable `m`"), "\(missing.err)")
    let dropped = try prn("-c", "pin m\ndrop m")
    #expect(dropped.status == 0 && dropped.err.contains("stays pinned"), "\(dropped.err)")
    #expect(try prn("-q", "-c", "m = load \"\(CommandTests.model)\"\nunpin m").status == 0)
  }

  @Test func anErrorOfASweepNamesItsCell() throws {
    let script = "for n in 1,3 { assert n < 3 }"
    #expect(try prn("-c", script).err.contains(", in the cell n=3\n"))
    #expect(try prn("-c", script, "--json").out.contains("\"cell\":{\"n\":3}"))
  }

  @Test func whyNamesWhatChangedAndNothingElse() throws {
    #expect(try prn("-c", CommandTests.study).status == 0)
    #expect(try prn("-c", CommandTests.study.replacingOccurrences(of: "seed=0", with: "seed=1")).status == 0)
    #expect(try prn("why", "mk").out == "seed: 0 -> 1\n")
  }

  @Test func parametersAreReplacedFromTheCommandLine() throws {
    try "#!/usr/bin/env prn\nparam rate = 20%\nshow rate\n".write(
      toFile: folder + "/f.prn", atomically: true, encoding: .utf8)
    #expect(try prn("run", "f.prn", "rate=40%").out == "40%\n")
    #expect(try prn("f.prn").out == "20%\n")
    let wrong = try prn("f.prn", "rat=40%")
    #expect(wrong.status == 2 && wrong.err.contains("did you mean `rate`?"))
  }

  @Test func theReportIsWrittenEvenWhenTheRunFails() throws {
    let result = try prn("-c", CommandTests.study + "\nshow mk\nassert mk.rate > 90%", "--report", "r.html")
    #expect(result.status == 3)
    // Long names may break behind `_`.
    let html = try String(contentsOfFile: folder + "/r.html", encoding: .utf8).replacing("<wbr>", with: "")
    for part in ["capture m cal", "the assertion does not hold", "neurons_kept", "class=\"lineage\""] {
      #expect(html.contains(part), "\(part)")
    }
    #expect(html.utf8.count < 5_000_000)
  }

  @Test func anExportedScriptMakesTheSameValueAgain() throws {
    #expect(try prn("-c", CommandTests.study + "\nexport mk to=./again.prn").status == 0)
    let first = try prn("info", "mk").out
    let other = try prn("run", "again.prn", "--workspace", folder + "/other")
    #expect(other.status == 0, "\(other.err)")
    let second = try prn("info", "mk", "--workspace", folder + "/other").out
    func content(_ info: String) -> String? {
      info.split(separator: "\n").first { $0.hasPrefix("content") }.map(String.init)
    }
    #expect(content(first) != nil && content(first) == content(second))
  }

  @Test func aValueMadeAgainIsTheSame() throws {
    #expect(try prn("-c", CommandTests.study).status == 0)
    let result = try prn("verify", "mk")
    #expect(result.status == 0 && result.out == "content\tsame\nbytes\tsame\n", "\(result.out)\(result.err)")
  }

  @Test func theStoreIsListedCheckedAndWeighed() throws {
    #expect(try prn("-c", CommandTests.study).status == 0)
    #expect(
      try prn("ls").out.split(separator: "\n").map { $0.split(separator: "\t")[0] } == [
        "name", "acts", "cal", "m", "mk",
      ])
    #expect(try prn("fsck").status == 0)
    #expect(try prn("du").out.contains("total\tobjects"))
    #expect(try prn("gc").err.contains("nothing to collect"))
  }

  @Test func aDamagedObjectIsFoundAndMadeAgain() throws {
    #expect(try prn("-c", CommandTests.study).status == 0)
    let info = try prn("info", "acts").out
    let path = try #require(info.split(separator: "\n").first { $0.hasPrefix("file\t") }?.dropFirst(5))
    chmod(String(path), 0o644)
    let handle = try #require(FileHandle(forUpdatingAtPath: String(path)))
    let size = try handle.seekToEnd()
    try handle.seek(toOffset: size / 2)
    let bytes = try #require(try handle.read(upToCount: 64))
    try handle.seek(toOffset: size / 2)
    handle.write(Data(bytes.map { ~$0 }))
    try handle.close()
    #expect(try prn("fsck").status == 4)
    let again = try prn("-c", CommandTests.study)
    #expect(again.status == 0, "\(again.err)")
    #expect(try prn("fsck").status == 0)
  }

  @Test func twoCleanWorkspacesHoldTheSameBytesWhateverTheThreads() throws {
    var sums: [[String]] = []
    for threads in ["1", "2"] {
      let place = folder + "/w\(threads)"
      #expect(try prn("-c", CommandTests.study, "--workspace", place, "--threads", threads).status == 0)
      let objects = try FileManager.default.subpathsOfDirectory(atPath: place + "/objects").filter {
        $0.hasSuffix(".h5")
      }.sorted()
      sums.append(
        try objects.map {
          "\($0) \(try Data(contentsOf: URL(fileURLWithPath: place + "/objects/" + $0)).base64EncodedString().hashValue)"
        })
    }
    #expect(sums[0] == sums[1] && !sums[0].isEmpty)
  }

  /// `cat text | prn -c 'c = text - model=m'`: read once, and still there when the step is verified.
  @Test func aDashReadsThePipe() throws {
    let folder = try Program.temporaryFolder()
    defer { try? FileManager.default.removeItem(atPath: folder) }
    let script = "m = load \(Program.root)/data/tiny-llama; a = text - model=m; b = text - model=m join=papers"
    let result = try Program.run(["-c", script, "--quiet"], in: folder, input: "Some words.\n \nMore words.\n")
    #expect(result.status == 0, "\(result.err)")
    #expect(try Program.run(["verify", "b"], in: folder).out.contains("bytes\tsame"))
    #expect(try Program.run(["fsck"], in: folder).status == 0)
    let empty = try Program.run(["-c", script, "--quiet"], in: folder)
    #expect(empty.status == 1)
    #expect(empty.err.contains("nothing came through standard input"))
  }
}

/// Stopping: by Ctrl-C, by SIGTERM and by a kill that asks nobody.
@Suite(.serialized) struct StoppingTests {
  let folder: String
  init() throws { folder = try Program.temporaryFolder() }

  /// A capture that takes a while, one layer after the other.
  static var long: String {
    """
    m = load "\(CommandTests.model)"
    cal = text "\(CommandTests.text)" model=m samples=128 length=128 seed=0
    acts = capture m cal sites=attn.heads,ffn.act keep=moments,gram
    """
  }

  @Test func ctrlCReturnsToThePromptAndTheSessionGoesOn() throws {
    let terminal = try PseudoTerminal([], in: folder, environment: Program.environment(folder))
    #expect(terminal.sees("prn> "))
    let before = terminal.modesAtFirst
    terminal.send("m = load \"\(CommandTests.model)\"\r")
    #expect(terminal.sees("model llama") && terminal.sees("prn> "))
    terminal.send("cal = text \"\(CommandTests.text)\" model=m samples=512 length=128 seed=0\r")
    #expect(terminal.sees("corpus 512") && terminal.sees("prn> "))
    terminal.send("acts = capture m cal sites=attn.heads,ffn.act keep=moments,gram\r")
    Thread.sleep(forTimeInterval: 0.7)
    let pressed = Date()
    terminal.send("\u{3}")
    #expect(terminal.sees("prn> ", within: 20))
    #expect(Date().timeIntervalSince(pressed) < 5)  // A second on a free machine.
    terminal.send("vars\r")
    #expect(terminal.sees("corpus") && terminal.sees("prn> "))
    #expect(terminal.leave() == 0)
    #expect(terminal.modes == before)
  }

  @Test func aKilledRunLosesNothingThatWasFinishedAndResumes() throws {
    let script = folder + "/long.prn"
    try StoppingTests.long.write(toFile: script, atomically: true, encoding: .utf8)
    let environment = Program.environment(folder)
    for pause in [0.4, 0.8, 1.2, 1.6] {
      let terminal = try PseudoTerminal(["run", script], in: folder, environment: environment)
      Thread.sleep(forTimeInterval: pause)
      terminal.signal(SIGKILL)
      _ = terminal.exitStatus()
      let check = try Program.run(["fsck"], in: folder)
      #expect(check.status == 0, "\(check.out)\(check.err)")
    }
    let rest = try Program.run(["run", script], in: folder)
    #expect(rest.status == 0, "\(rest.err)")
    let clean = try Program.run(["run", script, "--workspace", folder + "/clean"], in: folder)
    #expect(clean.status == 0)
    func content(_ words: [String]) throws -> Substring? {
      try Program.run(["info", "acts"] + words, in: folder).out.split(separator: "\n").first { $0.hasPrefix("content") }
    }
    #expect(try content([]) == content(["--workspace", folder + "/clean"]))
  }

  @Test func aScriptStoppedByASignalSaysSoInItsExitCode() throws {
    let script = folder + "/long.prn"
    try StoppingTests.long.replacingOccurrences(of: "samples=128", with: "samples=1024")
      .write(toFile: script, atomically: true, encoding: .utf8)
    for (number, expected) in [(SIGINT, Int32(130)), (SIGTERM, Int32(143))] {
      let terminal = try PseudoTerminal(["run", script], in: folder, environment: Program.environment(folder))
      #expect(terminal.sees("corpus"))
      Thread.sleep(forTimeInterval: 0.3)
      terminal.signal(number)
      #expect(terminal.exitStatus() == expected)
    }
  }
}

/// The notebooks a newcomer reads, as a test.
@Suite(.serialized) struct NotebookTests {
  static let notebooks: [String] = ["notebooks", "scripts"].flatMap { folder in
    ScriptTests.scripts(in: Program.root + "/" + folder).map { folder + "/" + $0 }
  }

  @Test(arguments: notebooks) func theNotebookRuns(_ name: String) throws {
    let workspace = try Program.temporaryFolder()
    defer { try? FileManager.default.removeItem(atPath: workspace) }
    // Notebooks name the bundled data by paths from the project's folder, and write pictures beside it: a copy keeps it clean.
    try FileManager.default.createDirectory(
      atPath: workspace + "/Tests/Fixtures", withIntermediateDirectories: true)
    for part in ["data", "notebooks", "scripts", "Tests/Fixtures/tasks"]
    where FileManager.default.fileExists(atPath: Program.root + "/" + part) {
      try FileManager.default.createSymbolicLink(
        atPath: workspace + "/" + part, withDestinationPath: Program.root + "/" + part)
    }
    let result = try Program.run(["run", name], in: workspace)
    #expect(result.status == 0, "\(result.err)")
  }
}
