import Foundation
import Testing

@testable import Shell

@Suite struct HistoryTests {
  func temporaryPath() -> String {
    FileManager.default.temporaryDirectory.appendingPathComponent("prn-history-\(UUID().uuidString)/history").path
  }

  @Test func statementsOfSeveralLinesStayOneEntry() {
    let path = temporaryPath()
    var history = History(path: path)
    history.add("runs = for r in 10%,20% {\n  mask s rate=r\n}\n")
    history.add("show \"h\u{e9}\"")
    #expect(History(path: path).entries == ["runs = for r in 10%,20% {\n  mask s rate=r\n}", "show \"h\u{e9}\""])
    let text = (try? String(contentsOfFile: path, encoding: .utf8)) ?? ""
    #expect(text == "\"runs = for r in 10%,20% {\\n  mask s rate=r\\n}\"\n\"show \\\"h\u{e9}\\\"\"\n")
  }

  @Test func theFileIsPrivate() throws {
    let path = temporaryPath()
    var history = History(path: path)
    history.add("vars")
    let mode = try FileManager.default.attributesOfItem(atPath: path)[.posixPermissions] as? Int
    #expect(mode == 0o600)
  }

  @Test func aLeadingSpaceIsNotSavedNorIsARepetition() {
    var history = History(path: nil)
    history.add(" secret")
    history.add("vars")
    history.add("vars")
    history.add("   \n")
    #expect(history.entries == ["vars"])
  }

  @Test func aTornLineIsPassedOver() throws {
    let path = temporaryPath()
    var history = History(path: path)
    history.add("one")
    let handle = try #require(FileHandle(forWritingAtPath: path))
    handle.seekToEndOfFile()
    handle.write(Data("\"tor\n\"two\"\n".utf8))
    #expect(History(path: path).entries == ["one", "two"])
  }

  @Test func theEnvironmentSaysWhereItIs() {
    #expect(History.path(["PRN_HISTFILE": "/h", "HOME": "/home/a"]) == "/h")
    #expect(History.path(["PRN_HISTFILE": "", "HOME": "/home/a"]) == nil)
    #expect(History.path(["XDG_STATE_HOME": "/state", "HOME": "/home/a"]) == "/state/prn/history")
    #expect(History.path(["HOME": "/home/a"]) == "/home/a/.local/state/prn/history")
  }
}

@Suite struct ProgressTests {
  @Test func theLineSaysUnitsRateAndTimeLeft() {
    #expect(
      Progress.text("acts", 8, 32, "layer", since: (0, 0), started: 0, now: 4)
        == "acts  layer 8/32  25%  2 layers/s  12.0 s left")
    #expect(
      Progress.text("s", 3, 4, "block", since: (2, 10), started: 10, now: 40)
        == "s  block 3/4  75%  30 s per block  30.0 s left")
    #expect(Progress.text("s", 0, 200, "window", since: (0, 0), started: 0, now: 3) == "s  window 0/200  0%  3.0 s")
    // Below 3 % an estimate would be a guess.
    #expect(!Progress.text("s", 2, 200, "window", since: (0, 0), started: 0, now: 3).contains("left"))
  }
}

@Suite struct ReportTests {
  @Test func theReportHoldsSourceTablesPicturesAndKeysEvenAfterAFailure() {
    var record = RunRecord(sourceName: "flap.prn", source: "m = load model\ns = flap m\n", replay: "prn run flap.prn")
    record.steps = [
      .init(
        name: "m", op: "load", type: "model", summary: "6 blocks", key: "aa11", content: "c1", inputs: [],
        status: .cached, seconds: 0.1, bytes: 10, line: 1),
      .init(
        name: "s", op: "flap", type: "scores", summary: "6 layers", key: "bb22", content: "c2", inputs: ["aa11"],
        status: .run, seconds: 2, bytes: 10, line: 2),
    ]
    record.outputs = [.table(name: "t", TableTests.compared), .figure(Sample.sweep), .text("a < b")].map {
      RunRecord.Output(content: $0, line: 2)
    }
    record.errors = [.init(text: "flap.prn:2:5: error: no", line: 2)]
    let html = HTMLReport(record: record).text
    for part in [
      "m = load model", "obc, one shot", "<svg", "bb22", "a &lt; b", "flap.prn:2:5", "prn run flap.prn", "lineage",
    ] {
      #expect(html.contains(part), "\(part)")
    }
    #expect(!html.contains("<script") && !html.contains("http://") || html.contains("http://www.w3.org/2000/svg"))
  }

  @Test func theReportStaysBelowFiveMegabytes() {
    var record = RunRecord(sourceName: "x.prn")
    let long = RunRecord.Output(content: .text(String(repeating: "x", count: 100_000)), line: nil)
    record.outputs = Array(repeating: long, count: 60) + [RunRecord.Output(content: .figure(Sample.sweep), line: nil)]
    let html = HTMLReport(record: record).text
    #expect(html.utf8.count <= HTMLReport.largest)
    #expect(html.contains("did not fit"))
  }
}
