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
