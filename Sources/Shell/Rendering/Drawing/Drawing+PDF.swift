import Kernel

extension Drawing {
  /// One page of PDF 1.4. Text is drawn as outlines: nothing is left to the fonts of a reader, and no journal asks for
  /// them to be embedded.
  func pdf(title: String, description: String) -> [UInt8] {
    let n = { (value: Double) in NumberText.trimmed(value, 3) }
    // 96 units are an inch, 72 points are one; y turns round.
    var page = "0.75 0 0 -0.75 0 \(n(height * 0.75)) cm\n1 j\n"
    for shape in shapes { page += Drawing.operators(shape) }
    let content = Deflate.zlib(Array(page.utf8))
    var file = PDFFile()
    file.object("<< /Type /Catalog /Pages 2 0 R >>")
    file.object("<< /Type /Pages /Kids [3 0 R] /Count 1 >>")
    file.object(
      "<< /Type /Page /Parent 2 0 R /MediaBox [0 0 \(n(width * 0.75)) \(n(height * 0.75))] /Resources << >> /Contents 4 0 R >>"
    )
    file.stream("<< /Length \(content.count) /Filter /FlateDecode >>", content)
    file.object("<< /Title \(PDFFile.text(title)) /Subject \(PDFFile.text(description)) /Producer (prn) >>")
    return file.finished(information: 5)
  }

  private static func operators(_ shape: Shape) -> String {
    let n = { (value: Double) in NumberText.trimmed(value, 3) }
    func colour(_ colour: Colour, _ word: String) -> String {
      [colour.red, colour.green, colour.blue].map { n(Double($0) / 255) }.joined(separator: " ") + " \(word)\n"
    }
    func path(_ outline: Outline) -> String {
      var at = (x: 0.0, y: 0.0)
      return outline.steps.map { step -> String in
        switch step {
        case .move(let x, let y):
          at = (x, y)
          return "\(n(x)) \(n(y)) m\n"
        case .line(let x, let y):
          at = (x, y)
          return "\(n(x)) \(n(y)) l\n"
        case .curve(let a, let b, let x, let y):
          // PDF has cubic curves only.
          let first = (at.x + (a - at.x) * 2 / 3, at.y + (b - at.y) * 2 / 3)
          let second = (x + (a - x) * 2 / 3, y + (b - y) * 2 / 3)
          at = (x, y)
          return "\(n(first.0)) \(n(first.1)) \(n(second.0)) \(n(second.1)) \(n(x)) \(n(y)) c\n"
        case .close: return "h\n"
        }
      }.joined()
    }
    func pen(_ pen: Pen) -> String {
      colour(pen.colour, "RG") + "\(n(pen.width)) w [\(pen.dash.map(n).joined(separator: " "))] 0 d\n"
    }
    switch shape {
    case .fill(let outline, let fill): return colour(fill, "rg") + path(outline) + "f\n"
    case .stroke(let outline, let line): return pen(line) + path(outline) + "S\n"
    case .disc(let x, let y, let radius, let fill, let edge):
      return colour(fill, "rg") + (edge.map(pen) ?? "") + path(.circle(x, y, radius)) + (edge == nil ? "f\n" : "B\n")
    case .tile(let box, let fill): return colour(fill, "rg") + path(Outline(box)) + "f\n"
    case .text(let label):
      let outline = path(Glyphs.outline(of: label))
      guard label.isBold else { return colour(label.colour, "rg") + outline + "f\n" }
      return colour(label.colour, "rg") + pen(Pen(colour: label.colour, width: label.size / 28)) + outline + "B\n"
    case .ramp(let box, let colours):
      let steps = Drawing.rampSteps
      return (0..<steps).map { step in
        let height = box.height / Double(steps)
        let tile = Box(x: box.x, y: box.y + Double(step) * height, width: box.width, height: height * 1.02)
        let share = 1 - (Double(step) + 0.5) / Double(steps)
        return colour(Palette.colour(colours, at: share), "rg") + path(Outline(tile)) + "f\n"
      }.joined()
    case .cells(let box, let rows, let columns, let colours):
      let data = colours.flatMap { colour -> [UInt8] in
        let shown = colour ?? Paint.paper
        return [shown.red, shown.green, shown.blue]
      }
      let hex = Deflate.zlib(data).reduce(into: "") { text, byte in
        let digits = Array("0123456789abcdef")
        text.append(digits[Int(byte >> 4)])
        text.append(digits[Int(byte & 15)])
      }
      return "q \(n(box.width)) 0 0 \(n(-box.height)) \(n(box.x)) \(n(box.y + box.height)) cm\n"
        + "BI /W \(columns) /H \(rows) /CS /RGB /BPC 8 /F [/AHx /Fl] ID\n\(hex)>\nEI Q\n"
    }
  }

  static let rampSteps = 64
}

/// The objects of a PDF file, and where they lie.
private struct PDFFile {
  private var bytes = Array("%PDF-1.4\n%\u{E9}\u{E8}\n".utf8)
  private var places: [Int] = []

  mutating func object(_ text: String) {
    places.append(bytes.count)
    bytes += Array("\(places.count) 0 obj\n\(text)\nendobj\n".utf8)
  }

  mutating func stream(_ dictionary: String, _ content: [UInt8]) {
    places.append(bytes.count)
    bytes +=
      Array("\(places.count) 0 obj\n\(dictionary)\nstream\n".utf8) + content + Array("\nendstream\nendobj\n".utf8)
  }

  /// With the table of objects at its end. There is no date and no identifier: equal pictures are equal files.
  func finished(information: Int) -> [UInt8] {
    func padded(_ place: Int) -> String {
      String(repeating: "0", count: max(0, 10 - String(place).count)) + "\(place)"
    }
    var out = bytes
    let rows = places.map { "\(padded($0)) 00000 n \n" }.joined()
    out += Array(
      "xref\n0 \(places.count + 1)\n0000000000 65535 f \n\(rows)trailer\n<< /Size \(places.count + 1) /Root 1 0 R /Info \(information) 0 R >>\nstartxref\n\(bytes.count)\n%%EOF\n"
        .utf8)
    return out
  }

  /// Text as UTF-16 in hexadecimal digits, so that nothing needs escaping.
  static func text(_ text: String) -> String {
    let digits = Array("0123456789abcdef")
    return "<feff"
      + text.utf16.flatMap { unit in [12, 8, 4, 0].map { digits[Int(unit >> UInt16($0) & 15)] } }.map(String.init)
      .joined()
      + ">"
  }
}
