import Foundation
import Testing

@testable import Kernel
@testable import Shell

/// Sample figures, one per kind and edge.
enum Sample {
  static let sweep = Figure(
    title: "t = compare runs baseline=dense", key: "3fa9c1d2",
    .lines(
      LinePlot(
        x: PlotAxis("rate", isRatio: true), y: PlotAxis("perplexity", unit: "per token"),
        series: ["flap", "obc", "canica", "wanda"].enumerated().map { index, name in
          let y = [0.1, 0.2, 0.3, 0.4].map { 24 + Double(index + 2) * $0 * $0 * 30 }
          return .init(name, x: [0.1, 0.2, 0.3, 0.4], y: y, interval: y.map { $0 - 0.8...$0 + 0.9 })
        }, reference: .init("dense", y: 23.4))))

  static let curves = Figure(
    title: "s = flap acts", key: "77",
    .lines(
      LinePlot(
        x: PlotAxis("units, sorted"), y: PlotAxis("score", spacing: .logarithmic),
        series: (0..<32).map { layer in
          .init(
            "layer \(layer)", x: (0..<200).map(Double.init),
            y: (0..<200).map { 1e-4 * Double(layer + 1) * Double(($0 + 1) * ($0 + 1)) })
        })))

  static func map(rows: Int, columns: Int, signed: Bool) -> Figure {
    let values = (0..<rows * columns).map { index -> Double in
      let (r, c) = (Double(index / columns), Double(index % columns))
      let wave = (r * 0.9 + c * 0.23).truncatingRemainder(dividingBy: 7) - 3.5
      return signed ? wave : abs(wave) * 0.1
    }
    return Figure(
      title: signed ? "nets z" : "nets = canica acts components=16", key: "0c",
      .heatMap(
        HeatMap(
          rows: PlotAxis("layer"), columns: PlotAxis("component"),
          value: PlotAxis(signed ? "z" : "key neurons", unit: signed ? "standard deviations" : nil, isRatio: !signed),
          scale: signed ? .diverging : .sequential, rowCount: rows, columnCount: columns, values: values)))
  }

  static let bars = Figure(
    title: "mk = mask s rate=20%", key: "ab",
    .bars(
      BarPlot(
        x: PlotAxis("layer"), y: PlotAxis("kept", isRatio: true), names: (0..<8).map { "\($0)" },
        groups: [
          .init("attention", values: [1, 0.75, 0.8, 0.5, 0.9, 0.6, 0.7, 1]),
          .init("neurons", values: [0.9, 0.7, 0.72, 0.81, 0.77, 0.66, 0.7, 0.95]),
        ])))

  static let all: [(name: String, figure: Figure)] = [
    ("sweep", sweep), ("curves", curves), ("map", map(rows: 8, columns: 16, signed: false)),
    ("signed", map(rows: 6, columns: 24, signed: true)), ("large", map(rows: 32, columns: 11008, signed: true)),
    ("bars", bars),
  ]
}

@Suite struct FigureTests {
  @Test(arguments: Sample.all.map(\.figure)) func theSameFigureGivesTheSameBytes(_ figure: Figure) {
    #expect(figure.svg == figure.svg)
    #expect(figure.svg.utf8.allSatisfy { $0 == 10 || (0x20...0x7E).contains($0) })
    #expect(figure.svg.contains("viewBox=\"0 0 720 420\""))
    #expect(figure.svg.contains("<desc>prn artifact \(figure.key ?? "")</desc>"))
    #expect(figure.svg.utf8.count < 700_000)
  }

  /// Writes the pictures for a person to look at: `PRN_PICTURES=folder swift test --filter FigureTests`.
  @Test(.enabled(if: ProcessInfo.processInfo.environment["PRN_PICTURES"] != nil)) func picturesForLooking() throws {
    let folder = ProcessInfo.processInfo.environment["PRN_PICTURES"] ?? "."
    for (name, figure) in Sample.all {
      try figure.svg.write(toFile: "\(folder)/\(name).svg", atomically: true, encoding: .utf8)
      let drawing = figure.drawing()
      try Data(drawing.png()).write(to: URL(fileURLWithPath: "\(folder)/\(name).png"))
      try Data(drawing.pdf(title: name, description: name)).write(to: URL(fileURLWithPath: "\(folder)/\(name).pdf"))
      let style = TextPictureStyle(columns: 90, rows: 26, isUnicode: true, colour: .full)
      try figure.text(style).write(toFile: "\(folder)/\(name).txt", atomically: true, encoding: .utf8)
    }
  }

  @Test(arguments: Sample.all.map(\.figure)) func filesOfEveryFormatComeOutTheSameTwice(_ figure: Figure) {
    let drawing = figure.drawing(width: 360, height: 240)
    let pdf = drawing.pdf(title: figure.title, description: figure.description)
    #expect(pdf == figure.drawing(width: 360, height: 240).pdf(title: figure.title, description: figure.description))
    #expect(pdf.starts(with: Array("%PDF-1.4\n".utf8)) && pdf.suffix(6) == Array("%%EOF\n".utf8)[...])
    let png = drawing.png(scale: 1)
    #expect(png == drawing.png(scale: 1))
    #expect(png.starts(with: [0x89, 0x50, 0x4E, 0x47]) && png[16..<24] == [0, 0, 1, 104, 0, 0, 0, 240])
    #expect(drawing.svg(title: "", description: "").contains("viewBox=\"0 0 360 240\""))
  }

  @Test func aSquareCoversItsPixelsAndHalfOfThoseAtItsEdge() {
    var drawing = Drawing(width: 4, height: 2)
    drawing.rect(1, 0, 1.5, 2, Colour(0))
    let expected: [UInt8] = [255, 255, 255, 0, 0, 0, 128, 128, 128, 255, 255, 255]
    #expect(drawing.png(scale: 1) == PNG.rgb(width: 4, height: 2, expected + expected))
  }

  @Test func aStatementChangesTitleLabelsAndScale() throws {
    func call(_ parameters: [String: Literal]) -> MetaCall {
      MetaCall(
        word: MetaWord.named("plot")!, arguments: [], parameters: parameters,
        span: Span(Source(name: "", text: ""), 0..<0),
        argumentSpans: [:])
    }
    let figure = try FigureAdjustment(
      call(["title": .string("A"), "y_label": .string("loss"), "scale": .symbol("log"), "width": .integer(400)])
    ).applied(to: Sample.sweep)
    #expect(figure.title == "A")
    guard case .lines(let plot) = figure.content else { return }
    #expect(plot.y.text == "loss" && plot.y.spacing == .logarithmic && plot.x.label == "rate")
    #expect(throws: Diagnostic.self) { try FigureAdjustment(call(["width": .integer(3)])) }
    #expect(throws: Diagnostic.self) { try FigureAdjustment(call(["scale": .symbol("log")])).applied(to: Sample.bars) }
  }

  @Test func textThatIsNotASCIIIsEscaped() {
    #expect(SVG.escaped("a<b & \"ü\"") == "a&lt;b &amp; &quot;&#252;&quot;")
  }

  @Test func aFigureWithoutFiniteValuesIsStillAPicture() {
    let empty = Figure(
      title: "x", .lines(LinePlot(x: PlotAxis("a"), y: PlotAxis("b"), series: [.init("s", x: [1], y: [.nan])])))
    #expect(empty.svg.contains("no finite values"))
    let map = Figure(
      title: "x",
      .heatMap(
        HeatMap(
          rows: PlotAxis("r"), columns: PlotAxis("c"), value: PlotAxis("v"), rowCount: 1, columnCount: 2,
          values: [.nan, .infinity])))
    #expect(map.svg.contains("</svg>"))
  }

  @Test func textPicturesStayInsideTheWindow() {
    for (_, figure) in Sample.all {
      let plain = figure.text(TextPictureStyle(columns: 60, rows: 20, isUnicode: false, colour: .none))
      #expect(plain.utf8.allSatisfy { $0 < 0x80 && $0 != 0x1B })
      #expect(plain.split(separator: "\n").allSatisfy { $0.count <= 72 })
    }
  }

  @Test func aSignedScaleIsNeutralAtZero() {
    let map = HeatMap(
      rows: PlotAxis("r"), columns: PlotAxis("c"), value: PlotAxis("z"), scale: .diverging, rowCount: 1, columnCount: 3,
      values: [-1, 0, 4])
    #expect(map.range == (-4, 4))
    #expect(map.colour(0, 1, map.range)?.hex == "#f7f7f7")
  }

  @Test func poolingKeepsPeaks() {
    var values = [Double](repeating: 0, count: 1000)
    values[567] = -9
    let map = HeatMap(
      rows: PlotAxis("r"), columns: PlotAxis("c"), value: PlotAxis("z"), scale: .diverging, rowCount: 1,
      columnCount: 1000, values: values)
    #expect(map.pooled(rows: 1, columns: 10).values.min() == -9)
  }

  @Test func ticksAreRoundNumbers() {
    let ticks = Ticks(from: 0.1, to: 0.4, axis: PlotAxis("rate", isRatio: true), count: 8, widening: false)
    #expect(ticks.labels == ["10%", "15%", "20%", "25%", "30%", "35%", "40%"])
    #expect(Ticks(from: 23.4, to: 36.1, axis: PlotAxis("y")).labels == ["20", "25", "30", "35", "40"])
    #expect(Ticks.wholeStride(count: 32, room: 10) == 5)
  }
}
