/// A picture as shapes, from which files of every format are written: SVG, PDF and PNG show the same.
///
/// Lengths are in units of 1/96 inch, y points down. There are no clocks, fonts or libraries of the machine in it, so
/// equal figures give equal bytes everywhere.
struct Drawing {
  let width: Double
  let height: Double
  private(set) var shapes: [Shape] = []

  enum Shape {
    case fill(Outline, Colour)
    case stroke(Outline, Pen)
    case disc(x: Double, y: Double, radius: Double, fill: Colour, pen: Pen?)
    /// An area whose neighbours share its edges: no gap may show between them.
    case tile(Box, Colour)
    case text(Label)
    /// Colours from the bottom to the top of a box.
    case ramp(Box, [Colour])
    /// Cells in colour, row by row; nil is transparent.
    case cells(Box, rows: Int, columns: Int, [Colour?])
  }

  struct Box {
    var x, y, width, height: Double
  }

  struct Pen {
    var colour: Colour
    var width: Double
    /// Lengths of dashes and gaps.
    var dash: [Double] = []
  }

  struct Label {
    enum Anchor: String { case start, middle, end }
    var text: String
    var x, y: Double
    var size: Double
    var isBold: Bool
    var colour: Colour
    var anchor: Anchor
    /// Degrees, clockwise.
    var turn: Double
  }

  /// Corners and curves.
  struct Outline {
    enum Step {
      case move(Double, Double)
      case line(Double, Double)
      /// A quadratic curve: its control point, its end.
      case curve(Double, Double, Double, Double)
      case close
    }
    var steps: [Step] = []

    init() {}
    init(_ points: [(Double, Double)], isClosed: Bool = false) {
      for (index, point) in points.enumerated() {
        steps.append(index == 0 ? .move(point.0, point.1) : .line(point.0, point.1))
      }
      if isClosed { steps.append(.close) }
    }
    init(_ box: Box) {
      self.init(
        [
          (box.x, box.y), (box.x + box.width, box.y), (box.x + box.width, box.y + box.height),
          (box.x, box.y + box.height),
        ], isClosed: true)
    }
  }

  init(width: Double, height: Double) {
    self.width = width
    self.height = height
    add(.fill(Outline(Box(x: 0, y: 0, width: width, height: height)), Paint.paper))
  }

  mutating func add(_ shape: Shape) { shapes.append(shape) }

  mutating func line(_ x1: Double, _ y1: Double, _ x2: Double, _ y2: Double, _ pen: Pen) {
    add(.stroke(Outline([(x1, y1), (x2, y2)]), pen))
  }

  mutating func rect(_ x: Double, _ y: Double, _ width: Double, _ height: Double, _ colour: Colour) {
    add(.fill(Outline(Box(x: x, y: y, width: width, height: height)), colour))
  }

  /// A label or title in `Paint.text`, marks on an axis in `Paint.soft`.
  mutating func text(
    _ x: Double, _ y: Double, _ text: String, _ style: TextStyle = .label, anchor: Label.Anchor = .start,
    turn: Double = 0
  ) {
    add(
      .text(
        Label(
          text: text, x: x, y: y, size: style.size, isBold: style == .title,
          colour: style == .tick ? Paint.soft : Paint.text, anchor: anchor, turn: turn)))
  }

  enum TextStyle {
    case title, label, tick
    var size: Double {
      switch self {
      case .title: 14
      case .label: 12
      case .tick: 11
      }
    }
  }
}

/// The colours of what is not data, on paper.
enum Paint {
  static let paper = Colour(0xFFFFFF)
  static let text = Colour(0x1C1F23)
  static let soft = Colour(0x5B636D)
  static let grid = Drawing.Pen(colour: Colour(0xE3E6EA), width: 1)
  static let axis = Drawing.Pen(colour: soft, width: 1)
  static let reference = Drawing.Pen(colour: soft, width: 1.5, dash: [6, 4])
}
