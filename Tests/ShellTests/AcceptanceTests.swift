import Foundation
import Ops
import Testing

@testable import Kernel
@testable import Shell

/// What a user was promised, tried from outside: sweeps that survive, files that other programs read.
@Suite(.serialized) struct AcceptanceTests {
  let folder: String

  init() throws {
    folder = try Program.temporaryFolder()
    try FileManager.default.createSymbolicLink(
      atPath: folder + "/data", withDestinationPath: Program.root + "/data")
  }

  private func prn(_ words: String...) throws -> Program.Result { try Program.run(words, in: folder) }
  private func write(_ text: String, to name: String) throws {
    try text.write(toFile: folder + "/" + name, atomically: true, encoding: .utf8)
  }

  @Test func helpSaysEveryParameterWithItsDefaultAndAnExampleThatRuns() throws {
    let help = try prn("help", "canica").out
    for parameter in try #require(catalog.signature("canica")).parameters {
      #expect(help.contains("\(parameter.name)=" + (parameter.defaultValue?.rendered ?? "")), "\(parameter.name)")
    }
    let example = try #require(help.firstMatch(of: /example\n((?:  .*\n)+)/))
    let result = try prn("-q", "-c", String(example.1))
    #expect(result.status == 0, "\(result.err)")
  }

  @Test func aTypoOnTheLastLineIsFoundBeforeAnythingRuns() throws {
    let lines = (1...19).map { "cal\($0) = text ./data/calibration.txt model=m samples=8 length=64 seed=\($0)" }
    try write((["m = load ./data/tiny-llama"] + lines + ["s = flapp cal1"]).joined(separator: "\n"), to: "f.prn")
    let began = Date()
    let result = try prn("run", "f.prn")
    #expect(Date().timeIntervalSince(began) < 1)
    #expect(result.status == 2 && result.err.contains("f.prn:21:5: error:"), "\(result.err)")
    #expect(!FileManager.default.fileExists(atPath: folder + "/.prn/objects"))
  }

  @Test func aScriptThatMayBeExecutedIsACommand() throws {
    try write("#!/usr/bin/env prn\nparam rate = 20%\nshow rate\n", to: "f.prn")
    chmod(folder + "/f.prn", 0o755)
    let process = Process()
    process.executableURL = URL(fileURLWithPath: folder + "/f.prn")
    process.arguments = ["rate=40%"]
    process.currentDirectoryURL = URL(fileURLWithPath: folder)
    let path = (Program.path as NSString).deletingLastPathComponent
    process.environment = Program.environment(folder, ["PATH": path + ":/usr/bin:/bin"])
    let out = Pipe()
    process.standardOutput = out
    try process.run()
    #expect(String(decoding: out.fileHandleForReading.readDataToEndOfFile(), as: UTF8.self) == "40%\n")
    process.waitUntilExit()
    #expect(process.terminationStatus == 0)
  }

  // MARK: - Sweeps

  private static let sweep = """
    m = load ./data/tiny-llama
    cal = text ./data/calibration.txt model=m samples=4 length=64
    held = text ./data/test.txt model=m samples=64 length=128
    s = flap (capture m cal sites=attn.heads,ffn.act keep=moments)
    runs = for rate in 2%,4%,6%,8%,10%,12%,14%,16%,18%,20%,22%,24%,26%,28%,30%,32% {
      eval (prune m (mask s rate=rate)) held length=128
    }
    t = compare runs
    show t
    """

  /// The cells of the sweep by what the events say of them.
  private func cells(_ events: String) -> (made: Int, cached: Int) {
    let steps = events.split(separator: "\n").compactMap { try? JSONValue(parsing: String($0)) }
      .filter { $0["event"] == "step" && $0["op"] == "eval" }
    return (steps.count { $0["status"] == "run" }, steps.count { $0["status"] == "cached" })
  }

  @Test func aKilledSweepComputesOnlyTheCellsThatAreMissing() throws {
    try write(AcceptanceTests.sweep, to: "sweep.prn")
    let process = Process()
    process.executableURL = URL(fileURLWithPath: Program.path)
    process.arguments = ["run", "sweep.prn", "--json"]
    process.currentDirectoryURL = URL(fileURLWithPath: folder)
    process.environment = Program.environment(folder)
    let out = Pipe()
    process.standardOutput = out
    process.standardError = FileHandle.nullDevice
    try process.run()
    var events = ""
    while cells(events).made < 7 {
      let more = out.fileHandleForReading.availableData
      if more.isEmpty { break }
      events += String(decoding: more, as: UTF8.self)
    }
    kill(process.processIdentifier, SIGKILL)
    process.waitUntilExit()
    events += String(decoding: out.fileHandleForReading.readDataToEndOfFile(), as: UTF8.self)
    let before = cells(events).made
    try #require(before >= 7 && before < 16)

    let rest = try prn("run", "sweep.prn", "--json")
    let (made, cached) = cells(rest.out)
    #expect(rest.status == 0 && made + cached == 16)
    // The kill may fall between a cell's end and its event.
    #expect(cached == before || cached == before + 1, "\(cached) of \(before) cells were kept")
    #expect(try prn("-q", "-c", "show t").out.split(separator: "\n").count == 17)
  }

  @Test func aCellThatFailsCostsOneRow() throws {
    // No window is as long as the last cell wants it.
    let lengths = (1...15).map { "\(16 + $0)" } + ["100000"]
    try write(
      """
      m = load ./data/tiny-llama
      held = text ./data/test.txt model=m samples=2 length=64
      runs = for length in \(lengths.joined(separator: ",")) { eval m held length=length }
      show runs
      """, to: "bad.prn")
    let result = try prn("run", "bad.prn", "--keep-going", "-q")
    #expect(result.status == 1, "\(result.err)")
    #expect(result.err.contains("100000"))
    let rows = result.out.split(separator: "\n").dropFirst()
    #expect(rows.count == 16 && rows.count { $0.contains("\t\t") || $0.hasSuffix("\t") } == 1, "\(result.out)")
  }

  // MARK: - Files

  private func study() throws {
    let script = """
      m = load ./data/tiny-llama
      cal = text ./data/calibration.txt model=m samples=4 length=64
      acts = capture m cal sites=ffn.act keep=moments
      mk = mask (flap acts) rate=20%
      nets = canica (capture m cal sites=ffn.gate,ffn.up keep=stream) components=8 per_run=2 iterations=10
      t = compare [dense: eval m cal length=64]
      """
    let result = try prn("-q", "-c", script)
    #expect(result.status == 0, "\(result.err)")
  }

  @Test func filesTellTheirCallAndTheirLineageInPlainText() throws {
    try study()
    let file = try HDF5File(reading: folder + "/.prn/vars/main/nets.h5")
    let call = try #require(try file.attribute("prn_call").stringValue)
    #expect(call.hasPrefix("canica ") && call.contains(" components=8 ") && call.utf8.allSatisfy { $0 < 128 })
    let described = try file.describe("provenance/calls")
    var bytes = [UInt8](repeating: 0, count: described.count * described.elementSize)
    try bytes.withUnsafeMutableBytes {
      try file.read("provenance/calls", type: .string, into: $0)
    }
    let width = described.elementSize
    let lines = (0..<described.count).map { row in
      String(decoding: bytes[row * width..<(row + 1) * width].filter { $0 != 0 }, as: UTF8.self)
    }
    #expect(lines.map { $0.split(separator: " ")[2] } == ["load", "text", "capture", "canica"])
    // In one way, and as the statement says it.
    #expect(lines.last?.hasSuffix(" = " + call) == true)
    // Every value is named as the steps after it name their inputs.
    for (line, next) in zip(lines, lines.dropFirst()) { #expect(next.contains(line.prefix(8)), "\(lines)") }
    // The maps lie in files of their own, one a layer.
    let children = try file.describe("child").shape
    #expect(children == [6])
    let names = FileManager.default.enumerator(atPath: folder + "/.prn/objects")?.compactMap { $0 as? String } ?? []
    let shapes = names.filter { $0.hasSuffix(".h5") }.compactMap { name -> [Int]? in
      let part = try? HDF5File(reading: folder + "/.prn/objects/" + name)
      guard (try? part?.attribute("prn_type").stringValue) == "networks.layer" else { return nil }
      return try? part?.describe("z").shape
    }
    #expect(shapes == Array(repeating: [2, 8, 2, 384], count: 6))
  }

  @Test func aMaskKeepsWhatItsRateSays() throws {
    try study()
    let file = try HDF5File(reading: folder + "/.prn/vars/main/mk.h5")
    var keep = [UInt8](repeating: 0, count: 6 * 384)
    try keep.withUnsafeMutableBytes { try file.read("ffn/keep", type: .uint8, into: $0) }
    var parameters = [Int64](repeating: 0, count: 6)
    try parameters.withUnsafeMutableBytes { try file.read("structure/block_parameters", type: .int64, into: $0) }
    let removed = try keep.count { $0 == 0 } * #require(file.attribute("neuron_parameters").intValue)
    let rate = try #require(Double(try prn("-q", "-c", "mk.rate").out.dropLast(2)))
    #expect(abs(Double(removed) / Double(parameters.reduce(0, +)) - rate / 100) < 1e-9)
    #expect(try file.attribute("DIMENSION_LABELS", of: "ffn/keep") == ["layer", "neuron"])
  }

  @Test func everyFileNamesWhatAReaderShouldPlotFirst() throws {
    try study()
    for name in ["cal", "mk", "nets", "t"] {
      let file = try HDF5File(reading: folder + "/.prn/vars/main/\(name).h5")
      #expect(try file.attribute("default") == "preview" && file.attribute("NX_class") == "NXroot")
      #expect(try file.attribute("NX_class", of: "preview") == "NXdata")
      #expect(try file.attribute("signal", of: "preview") == "signal")
      #expect(try file.attribute("title", of: "preview").stringValue?.isEmpty == false)
      let axes = try #require(try file.attribute("axes", of: "preview").arrayValue?.compactMap(\.stringValue))
      let shape = try file.describe("preview/signal").shape
      #expect(try axes.map { try file.describe("preview/" + $0).shape } == shape.map { [$0] }, "\(name)")
      // xarray takes dimensions of one name for one: what is cut short has names of its own.
      #expect(axes.allSatisfy { $0.hasPrefix("shown_") })
    }
  }

  @Test func aReaderThatHoldsAFileIsInNobodysWay() throws {
    try study()
    // As h5py and silx do it.
    let held = open(folder + "/.prn/vars/main/mk.h5", O_RDONLY)
    #expect(held >= 0 && flock(held, LOCK_SH) == 0)
    defer { close(held) }
    let result = try prn("-q", "--fresh", "-c", "mk = mask (flap acts) rate=20%; other = mask (flap acts) rate=30%")
    #expect(result.status == 0 && !result.err.contains("lock"), "\(result.err)")
  }

  @Test func collectingFreesWhatItPromised() throws {
    try study()
    #expect(try prn("-q", "-c", "mk = mask (flap acts) rate=30%; drop nets").status == 0)
    func total() throws -> Int {
      let line = try prn("du").out.split(separator: "\n").first { $0.hasPrefix("total\tobjects") }
      return try #require(line?.split(separator: "\t").compactMap { Int($0) }.last)
    }
    #expect(try prn("gc").err.contains("nothing to collect"))  // Nothing is older than an hour.
    for name in FileManager.default.enumerator(atPath: folder + "/.prn/objects")?.compactMap({ $0 as? String }) ?? [] {
      try FileManager.default.setAttributes(
        [.modificationDate: Date(timeIntervalSinceNow: -7200)], ofItemAtPath: folder + "/.prn/objects/" + name)
    }
    let before = try total()
    let listed = try prn("gc").out.split(separator: "\n").dropFirst().map {
      $0.split(separator: "\t", omittingEmptySubsequences: false)
    }
    #expect(try total() == before)
    let promised = listed.compactMap { $0.count > 2 ? Int($0[2]) : nil }.reduce(0, +)
    #expect(promised > 0 && listed.contains { $0[0] == "nets" && Double($0[4]) != nil }, "\(listed)")
    #expect(try prn("gc", "--apply", "--empty-trash").status == 0)
    #expect(try total() == before - promised)
    #expect(try prn("-q", "-c", "show mk; show acts; show t").status == 0)
    #expect(try prn("fsck").status == 0)
  }
}

extension StoppingTests {
  /// Two shells at one step: the second waits, and takes what the first made, or goes on where a killed one stopped.
  @Test(arguments: [false, true]) func whoComesSecondWaits(_ kills: Bool) throws {
    let script = folder + "/long.prn"
    try StoppingTests.long.replacingOccurrences(of: "samples=128", with: "samples=512")
      .write(toFile: script, atomically: true, encoding: .utf8)
    let environment = Program.environment(folder)
    let first = try PseudoTerminal(["run", script], in: folder, environment: environment)
    #expect(first.sees("corpus"))
    Thread.sleep(forTimeInterval: 0.5)
    let second = try PseudoTerminal(["run", script], in: folder, environment: environment)
    #expect(second.sees("waits for process"))
    if kills {
      first.signal(SIGKILL)
    } else {
      #expect(first.exitStatus(within: 120) == 0)
      #expect(second.sees("cached", within: 60))
    }
    #expect(second.exitStatus(within: 120) == 0)
  }
}
