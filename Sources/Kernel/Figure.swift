/// A picture as data: what is drawn, with its units, and nothing about how. The shell renders it as SVG or on a terminal.
public struct Figure: Sendable, Equatable {
  public enum Content: Sendable, Equatable {
    case lines(LinePlot)
    case heatMap(HeatMap)
    case bars(BarPlot)
  }

  /// What is shown, as people say it.
  public var title: String
  /// Key of the artifact whose numbers are shown; it travels inside the picture.
  public var key: String?
  public var content: Content

  public init(title: String, key: String? = nil, _ content: Content) {
    self.title = title
    self.key = key
    self.content = content
  }
}

/// What an axis measures.
public struct PlotAxis: Sendable, Equatable {
  public enum Spacing: Sendable, Equatable { case linear, logarithmic }
  public var label: String
  /// Shown in brackets behind the label: "tokens", "%".
  public var unit: String?
  public var spacing: Spacing
  /// Whether values are ratios that read better as percentages.
  public var isRatio: Bool
  /// Whether only whole numbers mean something: layers, tokens.
  public var isWhole: Bool

  public init(
    _ label: String, unit: String? = nil, spacing: Spacing = .linear, isRatio: Bool = false, isWhole: Bool = false
  ) {
    self.isWhole = isWhole
    self.label = label
    self.unit = unit
    self.spacing = spacing
    self.isRatio = isRatio
  }
}

/// Curves over a common x axis.
public struct LinePlot: Sendable, Equatable {
  public struct Series: Sendable, Equatable {
    public var name: String
    public var x: [Double]
    /// A value that is not finite leaves a gap.
    public var y: [Double]
    /// Confidence interval of each y, as lower and upper ends.
    public var interval: [ClosedRange<Double>]?

    public init(_ name: String, x: [Double], y: [Double], interval: [ClosedRange<Double>]? = nil) {
      self.name = name
      self.x = x
      self.y = y
      self.interval = interval
    }
  }

  public var x: PlotAxis
  public var y: PlotAxis
  public var series: [Series]
  /// How many points have no place: a logarithmic axis begins above 0.
  public var unplaced: Int { y.spacing == .logarithmic ? series.reduce(0) { $0 + $1.y.count { $0 <= 0 } } : 0 }
  /// A horizontal line to compare with, such as the unpruned model.
  public var reference: Reference?

  public struct Reference: Sendable, Equatable {
    public var name: String
    public var y: Double
    public init(_ name: String, y: Double) {
      self.name = name
      self.y = y
    }
  }

  public init(x: PlotAxis, y: PlotAxis, series: [Series], reference: Reference? = nil) {
    self.x = x
    self.y = y
    self.series = series
    self.reference = reference
  }
}

/// A matrix in colour.
public struct HeatMap: Sendable, Equatable {
  /// What the colours mean.
  public enum Scale: Sendable, Equatable {
    /// Magnitudes, from the smallest to the largest value.
    case sequential
    /// Signed values, with the neutral colour at 0.
    case diverging
  }

  /// Names along the vertical axis, first row on top; empty means 0, 1, 2 …
  public var rowNames: [String]
  public var columnNames: [String]
  public var rows: PlotAxis
  public var columns: PlotAxis
  /// What the colour measures.
  public var value: PlotAxis
  public var scale: Scale
  public var rowCount: Int
  public var columnCount: Int
  /// Row-major, `rowCount * columnCount`.
  public var values: [Double]

  public init(
    rows: PlotAxis, columns: PlotAxis, value: PlotAxis, scale: Scale = .sequential, rowCount: Int, columnCount: Int,
    values: [Double], rowNames: [String] = [], columnNames: [String] = []
  ) {
    precondition(
      values.count == rowCount * columnCount, "a heat map of \(rowCount) x \(columnCount) needs that many values")
    self.rows = rows
    self.columns = columns
    self.value = value
    self.scale = scale
    self.rowCount = rowCount
    self.columnCount = columnCount
    self.values = values
    self.rowNames = rowNames
    self.columnNames = columnNames
  }
}

/// One bar per name, or one per name and group.
public struct BarPlot: Sendable, Equatable {
  public struct Group: Sendable, Equatable {
    public var name: String
    public var values: [Double]
    public var interval: [ClosedRange<Double>]?
    public init(_ name: String, values: [Double], interval: [ClosedRange<Double>]? = nil) {
      self.name = name
      self.values = values
      self.interval = interval
    }
  }

  public var x: PlotAxis
  public var y: PlotAxis
  public var names: [String]
  public var groups: [Group]

  public init(x: PlotAxis, y: PlotAxis, names: [String], groups: [Group]) {
    self.x = x
    self.y = y
    self.names = names
    self.groups = groups
  }
}
