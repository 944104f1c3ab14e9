import Foundation
import Kernel
import Ops
import Testing

@testable import Shell

/// Parameters of the words of the session: each takes effect or is refused.
@Suite(.serialized) struct ParameterTests {
  let folder: String

  init() throws {
    folder = try Program.temporaryFolder()
    #expect(try Program.run(["-c", CommandTests.study + "\ns = flap acts", "-q"], in: folder).status == 0)
  }

  func prn(_ statement: String) throws -> Program.Result { try Program.run(["-c", statement, "-q"], in: folder) }

  @Test(arguments: [
    ("rows=99", 6), ("rows=2", 2), ("rows=0", 0), ("rows=-1", 1), ("rows=4..99", 2), ("layers=0,1", 2),
  ]) func rowsReachAsFarAsTheyCan(_ parameter: String, _ count: Int) throws {
    let result = try prn("show mk \(parameter)")
    #expect(result.status == 0 && result.out.split(separator: "\n").count == count + 1, "\(result)")
  }

  @Test(arguments: [
    "plot mk x=foo", "plot mk by=bar", "plot mk layers=0", "plot s x=layer", "plot m x=layer", "show m layers=0",
    "show 5 rows=1", "show mk rows=a", "plot mk as=term to=./x.svg", "export mk to=mk", "export mk to=./x as=hf",
    "export mk to=./x.foo", "export mk as=csv to=./x.json", "export mk as=npy to=./x.csv", "plot mk as=png to=./x.svg",
    "export mk to=\"\"", "export m to=\"\" as=hf",
  ]) func whatCannotTakeEffectIsRefusedBeforeTheRun(_ statement: String) throws {
    let result = try prn("y = 1\nshow y\n" + statement)
    #expect(result.status == 2 && result.out == "", "\(result)")
  }

  @Test(arguments: [
    ("t = compare [a: x,\n b: x]\n    baseline=x", true), ("t = compare [a: x]\nbaseline=x", true),
    ("plot x\n  to=./x.svg", true), ("t = compare [a: x]\nbaseline = x", false),
    ("t = compare [a: x] \\\n baseline=x", false),
  ]) func aParameterOnALineOfItsOwnIsNoVariable(_ text: String, _ isStray: Bool) {
    let diagnostics = Checker(catalog).check(Source(name: "t", text: "x = 1\n" + text)).diagnostics
    #expect(diagnostics.contains { $0.summary.contains("stands on a line of its own") } == isStray)
  }

  @Test func aPictureOfValuesThatAreNotThereIsDrawn() {
    let nothing = -Double.infinity ... .infinity
    let bars = Figure(
      title: "t",
      .bars(
        BarPlot(
          x: PlotAxis("x"), y: PlotAxis("y"), names: ["a", "b"],
          groups: [.init("", values: [.nan, 1], interval: [nothing, 0...2])])))
    #expect(bars.svg.contains("</svg>"))
    for values in [[-1e308, 1e308], [1e308, 1e308], [Double.leastNonzeroMagnitude, 1], [.nan, .infinity]] {
      let map = Figure(
        title: "t",
        .heatMap(
          HeatMap(
            rows: PlotAxis("r"), columns: PlotAxis("c"), value: PlotAxis("v"), rowCount: 1, columnCount: 2,
            values: values)))
      for spacing in [PlotAxis.Spacing.linear, .logarithmic] {
        let lines = Figure(
          title: "t",
          .lines(
            LinePlot(
              x: PlotAxis("x"), y: PlotAxis("y", spacing: spacing), series: [.init("", x: values, y: values)])))
        for figure in [map, lines] {
          let style = TextPictureStyle(columns: 80, rows: 24, isUnicode: true, colour: .full)
          #expect(figure.svg.contains("</svg>") && !figure.text(style).isEmpty)
        }
      }
    }
  }

  @Test func axesOfWholeNumbersAndOfShares() {
    #expect(Ticks(from: 0, to: 2, axis: PlotAxis("n", isWhole: true)).values == [0, 1, 2])
    #expect(Ticks(from: 1, to: 1, axis: PlotAxis("kept", isRatio: true)).upper == 1)
  }

  @Test func aReportKeepsWordsWhole() {
    let html = HTMLReport.html(TableData(columns: ["label"], rows: [[.text("one shot")]]))
    #expect(html.hasPrefix("<div class=\"wide\"><table>"))
    #expect(!HTMLReport(record: RunRecord()).text.contains("overflow-wrap:anywhere"))
  }
}
