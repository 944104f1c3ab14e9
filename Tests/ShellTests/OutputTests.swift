import Foundation
import Glibc
import Kernel
import Testing

@testable import Shell

/// What `export`, `plot` and `--report` may write over, and what they leave.
@Suite(.serialized) struct OutputTests {
  let folder: String

  init() throws {
    folder = try Program.temporaryFolder()
    #expect(try prn(CommandTests.study + "\np = prune m mk").status == 0)
  }

  @discardableResult
  func prn(_ statements: String, _ words: String...) throws -> Program.Result {
    try Program.run(["-c", statements, "-q"] + words, in: folder)
  }
  func write(_ text: String, _ name: String) throws {
    try text.write(toFile: folder + "/" + name, atomically: false, encoding: .utf8)
  }
  func text(_ name: String) -> String? { try? String(contentsOfFile: folder + "/" + name, encoding: .utf8) }
  func names(_ name: String) throws -> [String] {
    try FileManager.default.contentsOfDirectory(atPath: folder + "/" + name).sorted()
  }

  @Test(arguments: ["export mk to=./x.csv", "plot mk to=./x.svg", "export mk to=./x.prn", "export mk to=./x.h5"])
  func aFileOfTheUserStaysUnlessForced(_ statement: String) throws {
    let name = "x." + (statement.split(separator: ".").last ?? "")
    try write("mine", name)
    #expect(try prn(statement).status == 2)
    #expect(text(name) == "mine")
    #expect(try prn(statement, "--force").status == 0)
    #expect(text(name) != "mine")
    #expect(try prn(statement).status == 0)
  }

  @Test func anOutputThatWasEditedIsTheUsers() throws {
    #expect(try prn("export mk to=./mk.csv").status == 0)
    #expect(try prn("export mk to=./mk.csv").status == 0)
    try write("edited", "mk.csv")
    #expect(try prn("export mk to=./mk.csv").status == 2)
    #expect(text("mk.csv") == "edited")
  }

  @Test func whatAnotherWorkspaceWroteIsNoFileOfTheUsers() throws {
    #expect(try prn("export mk to=./mk.csv\nexport p to=./out as=hf").status == 0)
    let script = CommandTests.study + "\np = prune m mk\nexport mk to=./mk.csv\nexport p to=./out as=hf"
    #expect(try prn(script, "-w", "other").status == 0)
    try write("edited", "mk.csv")
    #expect(try prn(script, "-w", "third").status == 2)
    #expect(text("mk.csv") == "edited")
  }

  @Test func aWorkspaceThatWroteOutputsIsInOrder() throws {
    #expect(try prn("export mk to=./mk.csv").status == 0)
    let check = try Program.run(["fsck"], in: folder)
    #expect(check.status == 0 && !check.out.contains("stray"), "\(check.out)")
  }

  @Test func whatARunReadsIsNoTargetEvenWhenForced() throws {
    let copied = folder + "/model"
    try FileManager.default.copyItem(atPath: CommandTests.model, toPath: copied)
    try write("the cat sat on the mat\n", "cat.txt")
    let script = "m = load ./model\nc = text ./cat.txt model=m samples=1 length=4\n"
    try write(script + "export c to=./s.prn as=csv\n", "s.prn")
    #expect(try Program.run(["run", "s.prn", "--force"], in: folder).status == 2)
    #expect(try prn(script + "export c to=./cat.txt as=csv", "--force").status == 2)
    #expect(try prn(script).status == 0)
    for statement in ["export mk to=./cat.txt", "export mk to=./model/config.json", "export p to=./model as=hf"] {
      #expect(try prn(statement, "--force").status == 2, "\(statement)")
    }
    #expect(try prn("show 1", "--force", "--report", "cat.txt").status == 2)
    #expect(text("cat.txt") == "the cat sat on the mat\n")
    #expect(try prn("export mk to=./.prn/sources.json", "--force").status == 2)
  }

  @Test func whatAScriptIncludesIsNoTargetEither() throws {
    try write("m = load \(CommandTests.model)\n", "part.prn")
    try write("include \"./part.prn\"\nexport m to=./part.prn as=json\n", "whole.prn")
    #expect(try Program.run(["run", "whole.prn", "--force"], in: folder).status == 2)
    try write("include \"./part.prn\"\n", "whole.prn")
    #expect(try Program.run(["run", "whole.prn", "--force", "--report", "part.prn"], in: folder).status == 2)
    #expect(text("part.prn")?.hasPrefix("m = load") == true)
  }

  @Test func belowAFileNothingIsWrittenAndTheNextOutputIsUnharmed() throws {
    try write("mine", "x.txt")
    let refused = try prn("export mk to=./x.txt/mk.csv")
    #expect(refused.status == 2 && refused.err.contains("Not a directory"), "\(refused.err)")
    // What an older version wrote down of such a place.
    let record = text(".prn/outputs.jsonl") ?? ""
    try write(record + "{\"staging\":\"\(folder)/x.txt/.prn-0.part\"}\n", ".prn/outputs.jsonl")
    #expect(try prn("export mk to=./mk.csv").status == 0)
  }

  @Test func aLinkIsWrittenThroughAlsoToWhatIsStillToBeMade() throws {
    try FileManager.default.createSymbolicLink(atPath: folder + "/link.csv", withDestinationPath: "made.csv")
    #expect(try prn("export mk to=./link.csv").status == 0)
    #expect(text("made.csv") != nil)
    #expect(try FileManager.default.destinationOfSymbolicLink(atPath: folder + "/link.csv") == "made.csv")
  }

  @Test func aSecondExportTakesOnlyWhatTheFirstWrote() throws {
    #expect(try prn("export p to=./a/b/out as=hf").status == 0)
    try write("table 3", "a/b/out/NOTES.md")
    #expect(try prn("export p to=./a/b/out as=masked").status == 0)
    let found = try names("a/b/out")
    #expect(found.contains("NOTES.md") && !found.contains("modeling_prn.py"))
    #expect(try names("a/b") == ["out"])
    try write("{}", "a/b/out/config.json")
    #expect(try prn("export p to=./a/b/out as=masked").status == 2)
    #expect(text("a/b/out/config.json") == "{}")
  }

  @Test func aFolderOfOtherWeightsIsNotMixedUp() throws {
    try FileManager.default.createDirectory(atPath: folder + "/other", withIntermediateDirectories: true)
    try write("", "other/model-00001-of-00002.safetensors")
    #expect(try prn("export p to=./other as=masked").status == 2)
    #expect(try prn("export p to=./other as=masked", "--force").status == 1)
    #expect(try names("other") == ["model-00001-of-00002.safetensors"])
  }

  /// What would be refused after the work is refused before it.
  @Test(arguments: ["README.md", "tokenizer.json", "prn_units.json", "generation_config.json"])
  func whatIsInTheWayIsFoundBeforeAnythingRuns(_ name: String) throws {
    try FileManager.default.createDirectory(atPath: folder + "/own", withIntermediateDirectories: true)
    try write("mine", "own/" + name)
    let refused = try prn("export p to=./own as=masked")
    #expect(refused.status == 2 && refused.err.contains("nothing was run"), "\(refused.err)")
    #expect(try names("own") == [name])
  }

  /// The mask that a user sets for new files holds for all of them.
  @Test func outputsObeyTheMaskOfTheUser() throws {
    let shell = Process()
    shell.executableURL = URL(fileURLWithPath: "/bin/sh")
    let script = "export p to=./own as=masked; export p to=./own.gguf; export mk to=./own.csv; plot mk to=./own.svg"
    shell.arguments = ["-c", "umask 027; exec \"$0\" \"$@\"", Program.path, "-q", "-c", script, "--report", "own.html"]
    shell.currentDirectoryURL = URL(fileURLWithPath: folder)
    shell.environment = Program.environment(folder)
    try shell.run()
    shell.waitUntilExit()
    #expect(shell.terminationStatus == 0)
    let written = try names("own").map { "own/" + $0 } + ["own.gguf", "own.csv", "own.svg", "own.html"]
    for name in written {
      let mode = try FileManager.default.attributesOfItem(atPath: folder + "/" + name)[.posixPermissions] as? Int
      #expect(mode == 0o640, "\(name)")
    }
  }

  /// A script is rewritten where it lies; what is no file stays what it is.
  @Test func formattingKeepsLinksModesAndDevices() throws {
    try write("x=1\n", "a.prn")
    chmod(folder + "/a.prn", 0o640)
    try FileManager.default.createSymbolicLink(atPath: folder + "/b.prn", withDestinationPath: "a.prn")
    #expect(try Program.run(["fmt", "b.prn"], in: folder).status == 0)
    #expect(text("a.prn") == "x = 1\n")
    #expect(try FileManager.default.destinationOfSymbolicLink(atPath: folder + "/b.prn") == "a.prn")
    let mode = try FileManager.default.attributesOfItem(atPath: folder + "/a.prn")[.posixPermissions] as? Int
    #expect(mode == 0o640)
    mkfifo(folder + "/fifo", 0o600)
    let writer = Process()
    writer.executableURL = URL(fileURLWithPath: "/bin/sh")
    writer.arguments = ["-c", "echo x=1 > fifo"]
    writer.currentDirectoryURL = URL(fileURLWithPath: folder)
    try writer.run()
    let refused = try Program.run(["fmt", "fifo"], in: folder)
    writer.waitUntilExit()
    #expect(refused.status == 2 && refused.err.contains("fifo is not a regular file"), "\(refused.err)")
    let type = try FileManager.default.attributesOfItem(atPath: folder + "/fifo")[.type] as? FileAttributeType
    #expect(type != .typeRegular)
  }

  @Test func aNameThatIsTooLongIsFoundBeforeAnythingRuns() throws {
    let name = String(repeating: "n", count: 256)
    for statement in ["export mk to=./\(name) as=csv", "export p to=./\(name) as=masked"] {
      let refused = try prn(statement)
      #expect(refused.status == 2 && refused.err.contains("File name too long"), "\(refused.err)")
    }
  }

  @Test func aNameThatEndsInASlashIsThatOfAFolder() throws {
    #expect(try prn("export mk to=./x/ as=csv").err.contains("names a folder, and a file is written"))
    #expect(try prn("export p to=./x/ as=masked").status == 0)
  }

  @Test func whatAScriptWritesAndReadsCanBeMadeAgainAfterItIsGone() throws {
    let script = "m = load \(CommandTests.model)\nexport m to=./m.gguf\ng = load ./m.gguf"
    for _ in 0..<2 {
      let run = try prn(script)
      #expect(run.status == 0, "\(run.err)")
      try FileManager.default.removeItem(atPath: folder + "/m.gguf")
    }
  }

  @Test func aKernelThatSomebodyChangedStaysUnlessForced() throws {
    #expect(try Program.run(["kernel", "install", "--prefix", "env"], in: folder).status == 0)
    #expect(try Program.run(["kernel", "install", "--prefix", "env"], in: folder).status == 0)
    let name = "env/share/jupyter/kernels/prn/kernel.json"
    try write("{\"argv\":[\"mine\"]}", name)
    #expect(try Program.run(["kernel", "install", "--prefix", "env"], in: folder).status == 2)
    #expect(text(name) == "{\"argv\":[\"mine\"]}")
    #expect(try Program.run(["kernel", "install", "--prefix", "env", "--force"], in: folder).status == 0)
  }

  @Test func anEmptyFolderIsAFineTargetAndAFileNameIsNot() throws {
    try FileManager.default.createDirectory(atPath: folder + "/empty", withIntermediateDirectories: true)
    #expect(try prn("export p to=./empty as=masked").status == 0)
    #expect(try prn("export p to=./m.safetensors").status == 2)
    #expect(!FileManager.default.fileExists(atPath: folder + "/m.safetensors"))
  }

  @Test func devicesAndPipesAreWrittenThrough() throws {
    #expect(try prn("export mk to=/dev/null as=csv").status == 0)
    #expect(try prn("export mk to=/dev/full as=csv").status == 1)
    #expect(try prn("export mk to=/dev/stdout as=csv").out.hasPrefix("layer,"))
    mkfifo(folder + "/fifo", 0o600)
    // Somebody reads all the while: a pipe holds less than a mask.
    let reader = Process()
    reader.executableURL = URL(fileURLWithPath: "/bin/sh")
    reader.arguments = ["-c", "cat fifo > copy"]
    reader.currentDirectoryURL = URL(fileURLWithPath: folder)
    try reader.run()
    #expect(try prn("export mk to=./fifo as=csv").status == 0)
    reader.waitUntilExit()
    #expect(text("copy")?.hasPrefix("layer,") == true)
  }

  @Test func whatAKilledExportLeftIsRemovedByTheNext() throws {
    #expect(try prn("export mk to=./mk.csv").status == 0)
    let left = folder + "/.prn-0123.part"
    try FileManager.default.createDirectory(atPath: left, withIntermediateDirectories: true)
    try write("half", ".prn-0123.part/model.safetensors")
    let unknown = folder + "/.prn-4567.part"
    try FileManager.default.createDirectory(atPath: unknown, withIntermediateDirectories: true)
    let record = try #require(text(".prn/outputs.jsonl"))
    try write(record + "{\"staging\":\"\(left)\"}\n", ".prn/outputs.jsonl")
    #expect(try prn("export mk to=./mk.csv").status == 0)
    #expect(!FileManager.default.fileExists(atPath: left) && FileManager.default.fileExists(atPath: unknown))
  }

  // MARK: - Exports that do not come to their end

  /// The bytes of every file of a folder, or of one file.
  private func bytes(_ name: String) throws -> [String: Data] {
    var files: [String: Data] = [:]
    for file in (try? names(name)) ?? [""] {
      files[file] = try Data(contentsOf: URL(fileURLWithPath: "\(folder)/\(name)" + (file.isEmpty ? "" : "/\(file)")))
    }
    return files
  }

  private func parts(_ name: String) throws -> [String] {
    try names(name).filter { $0.hasPrefix(".prn-") || $0.contains(".part") }
  }

  /// A disk with room for one and a half exports, where the system lets us have one.
  @Test(arguments: ["out as=masked", "out as=hf", "m.gguf"])
  func aFullDiskLeavesTheOldExportWhole(_ target: String) throws {
    let name = "disk/" + (target.split(separator: " ").first ?? "")
    #expect(try prn("q = prune m (mask (flap acts) rate=10%)\nexport p to=./\(target)").status == 0)
    let size = try bytes(String(name.dropFirst(5))).values.reduce(0) { $0 + $1.count }
    try FileManager.default.createDirectory(atPath: folder + "/disk", withIntermediateDirectories: true)
    guard mount("tmpfs", folder + "/disk", "tmpfs", 0, "size=\(size * 3 / 2048)k") == 0 else { return }
    defer { umount2(folder + "/disk", Int32(MNT_DETACH)) }
    #expect(try prn("export p to=./disk/\(target)").status == 0)
    let before = try bytes(name)
    let failed = try prn("export q to=./disk/\(target)")
    #expect(failed.status == 1 && failed.err.lowercased().contains("no space left"), "\(failed.err)")
    #expect(try bytes(name) == before)
    #expect(try parts("disk") == [])
    #expect(try prn("back = load ./\(name)\nshow back.parameters").status == 0)
  }

  /// Where no disk can be mounted, a limit on the size of files stands for it.
  @Test(arguments: ["out as=masked", "m.gguf"])
  func aLimitOnFilesLeavesTheOldExportWhole(_ target: String) throws {
    let name = String(target.split(separator: " ").first ?? "")
    #expect(try prn("q = prune m (mask (flap acts) rate=10%)\nexport p to=./\(target)").status == 0)
    let before = try bytes(name)
    let process = Process()
    process.executableURL = URL(fileURLWithPath: "/bin/sh")
    process.arguments = ["-c", "ulimit -f 100; exec \"$0\" -q -c \"$1\"", Program.path, "export q to=./\(target)"]
    process.currentDirectoryURL = URL(fileURLWithPath: folder)
    process.environment = Program.environment(folder)
    process.standardError = FileHandle.nullDevice
    try process.run()
    process.waitUntilExit()
    #expect(process.terminationStatus == 1)
    #expect(try bytes(name) == before)
    #expect(try parts("") == [])
  }

  @Test func aKilledExportLeavesTheOldOneWholeAndTheNextTidiesUp() throws {
    #expect(try prn("q = prune m (mask (flap acts) rate=10%)\nexport p to=./out as=masked").status == 0)
    let before = try bytes("out")
    var isKilled = false
    for _ in 0..<10 where !isKilled {
      let process = Process()
      process.executableURL = URL(fileURLWithPath: Program.path)
      process.arguments = ["-q", "-c", "export q to=./out as=masked"]
      process.currentDirectoryURL = URL(fileURLWithPath: folder)
      process.environment = Program.environment(folder)
      try process.run()
      while process.isRunning, try parts("").isEmpty { usleep(200) }
      kill(process.processIdentifier, SIGKILL)
      process.waitUntilExit()
      isKilled = process.terminationReason == .uncaughtSignal
      // It was quicker than we.
      if !isKilled { #expect(try prn("export p to=./out as=masked").status == 0) }
    }
    #expect(isKilled)
    #expect(try bytes("out") == before)
    #expect(try prn("export q to=./out as=masked").status == 0)
    #expect(try bytes("out") != before)
    #expect(try parts("") == [])
  }

  // MARK: - What a folder says of its model

  @Test func theCardQuotesTheReportsOfThisModelAndOfTheUnprunedOne() throws {
    let statements = """
      held = text "\(CommandTests.text)" model=m samples=2 length=32 take=order
      dense = eval m held
      loss = eval p held
      other = eval (prune m (mask (flap acts) rate=10%)) held
      export p to=./out as=hf
      """
    #expect(try prn(statements).status == 0)
    let card = try #require(text("out/README.md"))
    #expect(card.contains("## What was measured"))
    let lines = card.split(separator: "\n").filter { $0.hasPrefix("- this model") || $0.hasPrefix("- the unpruned") }
    #expect(lines.count == 2, "\(card)")
    #expect(
      lines.contains { $0.hasPrefix("- the unpruned model, `dense`: token_perplexity ") })
    #expect(
      lines.contains {
        $0.hasPrefix("- this model, `loss`: token_perplexity ") && $0.contains(" on calibration.txt (SHA-256 `")
      })
    #expect(try prn("export mk to=./mk.csv\nexport p to=./out as=masked").status == 0)
  }

  /// `prn_units.h5` is `prn_units.json` for those who read HDF5.
  @Test(arguments: ["hf", "masked", "uniform"]) func theMapOfUnitsIsThereAsHDF5(_ form: String) throws {
    #expect(try prn("export p to=./out as=\(form)").status == 0)
    let map = try JSONValue(parsing: try #require(text("out/prn_units.json")))["blocks"]?.arrayValue ?? []
    let file = try HDF5File(reading: folder + "/out/prn_units.h5")
    #expect(try file.members(of: "").count == map.count && map.count > 1)
    for (layer, block) in map.enumerated() {
      let group = "layer_0\(layer)"
      for name in ["heads", "kv_heads", "neurons"] {
        let wanted = (block[name]?.arrayValue ?? []).compactMap(\.intValue)
        let count = try file.describe("\(group)/\(name)").count
        var found = [Int32](repeating: -1, count: count)
        try found.withUnsafeMutableBytes { try file.read("\(group)/\(name)", type: .int32, into: $0) }
        #expect(found.map(Int.init) == wanted)
      }
      #expect(try file.attribute("block", of: group).intValue == block["block"]?.intValue)
    }
  }

  @Test func aScriptMayLoadWhatItExportsAndRunAgain() throws {
    let script = "export p to=./pruned as=masked\nagain = load ./pruned\nshow again.parameters"
    for _ in 0..<2 { #expect(try prn(script).status == 0) }
    #expect(try prn("again = load ./pruned\nexport again to=./pruned").status == 2)
    #expect(try prn("export again to=./pruned").status == 2)
  }

  @Test func aValueInSeveralFilesIsNotWrittenAsAHollowOne() throws {
    #expect(try prn("export acts to=./acts.h5").status == 2)
    #expect(!FileManager.default.fileExists(atPath: folder + "/acts.h5"))
  }
}
