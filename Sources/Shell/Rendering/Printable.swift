import Kernel

extension TableData {
  /// With all its words printable.
  var printable: TableData {
    var table = self
    table.columns = columns.map(\.printable)
    table.rows = rows.map { row in
      row.map { cell in
        if case .text(let text) = cell { .text(text.printable) } else { cell }
      }
    }
    return table
  }
}

extension Figure {
  /// With all its words printable.
  var printable: Figure {
    var figure = self
    figure.title = title.printable
    switch content {
    case .lines(var plot):
      (plot.x, plot.y) = (plot.x.printable, plot.y.printable)
      for index in plot.series.indices { plot.series[index].name = plot.series[index].name.printable }
      figure.content = .lines(plot)
    case .heatMap(var map):
      (map.rows, map.columns, map.value) = (map.rows.printable, map.columns.printable, map.value.printable)
      (map.rowNames, map.columnNames) = (map.rowNames.map(\.printable), map.columnNames.map(\.printable))
      figure.content = .heatMap(map)
    case .bars(var plot):
      (plot.x, plot.y) = (plot.x.printable, plot.y.printable)
      plot.names = plot.names.map(\.printable)
      for index in plot.groups.indices { plot.groups[index].name = plot.groups[index].name.printable }
      figure.content = .bars(plot)
    }
    return figure
  }
}

extension PlotAxis {
  var printable: PlotAxis {
    var axis = self
    axis.label = label.printable
    return axis
  }
}
