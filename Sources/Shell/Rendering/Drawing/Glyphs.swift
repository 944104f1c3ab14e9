import Glibc

/// Letters as outlines, the same on every machine: what text in PDF and PNG is drawn with, and what all text is measured
/// by.
enum Glyphs {
  private struct Glyph: Sendable {
    /// In ems.
    var advance: Double
    /// In ems, y upwards.
    var outline: Drawing.Outline
  }

  private static let all: [Unicode.Scalar: Glyph] = {
    var found: [Unicode.Scalar: Glyph] = [:]
    for line in glyphOutlines.split(separator: "\n") {
      let words = line.split(separator: " ", maxSplits: 2)
      guard words.count >= 2, let code = UInt32(words[0], radix: 16), let scalar = Unicode.Scalar(code),
        let advance = Double(words[1])
      else { continue }
      found[scalar] = Glyph(advance: advance / 1024, outline: outline(words.count > 2 ? words[2] : ""))
    }
    return found
  }()

  /// Reads `M684 1294L342 632Q…Z`.
  private static func outline(_ text: Substring) -> Drawing.Outline {
    var outline = Drawing.Outline()
    var rest = text
    while let word = rest.popFirst() {
      let digits = rest.prefix { $0 == " " || $0 == "-" || $0.isNumber }
      rest = rest.dropFirst(digits.count)
      let numbers = digits.split(separator: " ").compactMap { Double($0).map { $0 / 1024 } }
      switch (word, numbers.count) {
      case ("M", 2): outline.steps.append(.move(numbers[0], numbers[1]))
      case ("L", 2): outline.steps.append(.line(numbers[0], numbers[1]))
      case ("Q", 4): outline.steps.append(.curve(numbers[0], numbers[1], numbers[2], numbers[3]))
      case ("Z", _): outline.steps.append(.close)
      default: break
      }
    }
    return outline
  }

  private static func glyph(_ scalar: Unicode.Scalar) -> Glyph? { all[scalar] ?? all["?"] }

  /// The width of `text` in letters of a size.
  static func width(_ text: String, size: Double = 12) -> Double {
    text.unicodeScalars.reduce(0) { $0 + (glyph($1)?.advance ?? 0) } * size
  }

  /// The start of `text` that fits `width`, with a mark where something was cut off.
  static func cut(_ text: String, to width: Double, size: Double = 12) -> String {
    guard Glyphs.width(text, size: size) > width else { return text }
    var kept = text
    while !kept.isEmpty, Glyphs.width(kept + "...", size: size) > width { kept.removeLast() }
    return kept + "..."
  }

  /// The letters of a label where they stand.
  static func outline(of label: Drawing.Label) -> Drawing.Outline {
    let shift: Double
    switch label.anchor {
    case .start: shift = 0
    case .middle: shift = -width(label.text, size: label.size) / 2
    case .end: shift = -width(label.text, size: label.size)
    }
    let (cosine, sine) = (cos(label.turn * .pi / 180), sin(label.turn * .pi / 180))
    var at = shift
    var out = Drawing.Outline()
    for scalar in label.text.unicodeScalars {
      guard let glyph = glyph(scalar) else { continue }
      func point(_ x: Double, _ y: Double) -> (Double, Double) {
        let (right, down) = (at + x * label.size, -y * label.size)
        return (label.x + right * cosine - down * sine, label.y + right * sine + down * cosine)
      }
      for step in glyph.outline.steps {
        switch step {
        case .move(let x, let y):
          let p = point(x, y)
          out.steps.append(.move(p.0, p.1))
        case .line(let x, let y):
          let p = point(x, y)
          out.steps.append(.line(p.0, p.1))
        case .curve(let a, let b, let x, let y):
          let (c, p) = (point(a, b), point(x, y))
          out.steps.append(.curve(c.0, c.1, p.0, p.1))
        case .close: out.steps.append(.close)
        }
      }
      at += glyph.advance * label.size
    }
    return out
  }
}
