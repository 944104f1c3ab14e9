import Foundation
import Testing

@testable import Shell

/// A sweep with a name is a value like any other.
@Suite(.serialized) struct SweepTests {
  let folder: String
  init() throws {
    folder = try Program.temporaryFolder()
    #expect(try prn("-c", sweep("10%,20%")).status == 0)
  }

  private func sweep(_ rates: String) -> String {
    CommandTests.study + "\ns = flap acts\nruns = for rate in \(rates) { mask s rate=rate }"
  }

  private func prn(_ words: String...) throws -> Program.Result { try Program.run(words + ["-q"], in: folder) }

  @Test func theNextSessionHasItAndEveryWordTakesIt() throws {
    let shown = try prn("-c", "show runs")
    #expect(shown.out.hasPrefix("rate\t") && shown.out.split(separator: "\n").count == 3, "\(shown)")
    for statement in [
      "info runs", "why runs", "pin runs", "unpin runs", "show runs[rate=20%]", "t = compare runs", "verify runs",
      "plot runs y=total_rate to=runs.svg", "export runs to=runs.csv", "x = for mk in runs { mk | !mk }",
    ] {
      let result = try prn("-c", statement)
      #expect(result.status == 0, "\(statement): \(result.err)")
    }
    #expect(try prn("ls").out.contains("runs\tsweep\t2 cells (mask) over rate"))
    #expect(try prn("verify", "runs").status == 0)
    #expect(try prn("pin", "runs").status == 0)
    #expect(try prn("unpin", "runs").status == 0)
    #expect(try prn("fsck").status == 0)
    let table = try String(contentsOfFile: folder + "/runs.csv", encoding: .utf8)
    #expect(table.hasPrefix("rate,layers,mask.rate,") && table.split(separator: "\n").count == 3)
  }

  @Test func aPlotOfMasksShowsWhatTheyRemoveOverWhatVaries() throws {
    let events = try prn("-c", "plot runs to=runs.svg", "--json").out
    #expect(events.contains("\"title\":\"Share of the block parameters removed over rate\""), "\(events)")
  }

  @Test func theRowsOfAllTablesOfASweepAreShown() throws {
    let made = try prn("-c", "ts = for rate in 5%,10% { compare runs[0] (mask s rate=rate) }")
    #expect(made.status == 0, "\(made)")
    let rows = try prn("-c", "show ts").out.split(separator: "\n").map { $0.split(separator: "\t") }
    #expect(rows.count > 3 && rows[0].first == "rate" && rows[0].count > 3, "\(rows)")
    #expect(Set(rows.dropFirst().map { $0[0] }).count == 2)
    #expect(try prn("-c", "plot ts y=\(rows[0].last ?? "") to=ts.svg").status == 0)
  }

  /// As a label shows it, with spaces, or with commas.
  @Test func aCellIsTakenByItsLabel() throws {
    let cells = "c = for rate in 10%,20%, scope in layer,global { mask s rate=rate scope=scope }"
    #expect(try prn("-c", cells).status == 0)
    for label in ["rate=20% scope=layer", "rate=20%, scope=layer"] {
      let shown = try prn("-c", "show c[\(label)]")
      #expect(shown.status == 0, "\(shown)")
    }
  }

  @Test func onlyTheCellsThatAreMissingAreComputed() throws {
    let result = try Program.run(["-c", sweep("10%,20%,30%,40%"), "--json"], in: folder)
    let made = result.out.split(separator: "\n").filter {
      $0.contains("\"event\":\"step\"") && $0.contains("\"op\":\"mask\"") && $0.contains("\"status\":\"run\"")
    }
    #expect(result.status == 0 && made.count == 2, "\(made)")
    let why = try prn("why", "runs")
    #expect(why.status == 0 && why.out.contains("rate"), "\(why)")
  }

  @Test func whatIsNoTableOfASweepIsRefused() throws {
    for statement in [
      "export runs to=./runs.h5", "export runs to=./runs.prn", "plot runs y=no_such", "show runs layers=0",
    ] {
      #expect(try prn("-c", statement).status != 0, "\(statement)")
    }
  }
}
