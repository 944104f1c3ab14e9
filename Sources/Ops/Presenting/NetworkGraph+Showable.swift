import Kernel
import Numerics

extension NetworkGraph: Showable {
  public static var figureParameters: Set<String> { ["y"] }

  /// A network a row, module by module.
  public func table(_ request: ShowRequest) throws -> TableData? {
    TableData(
      columns: ["module", "layer", "network", "strength", "participation", "within_module_z"],
      rows: byModule.map { i in
        let node = nodes[i]
        return [
          .integer(node.module), .integer(node.layer), .integer(node.network), .number(node.strength),
          .number(node.participation), .number(node.withinModuleZ),
        ]
      }, keys: ["layer", "network"])
  }

  private var byModule: [Int] { nodes.indices.sorted { (nodes[$0].module, $0) < (nodes[$1].module, $1) } }

  /// The edges, networks of a module side by side; with `y=distance` their mean size by the layers between.
  public func figure(_ request: PlotRequest) throws -> Figure {
    switch request.y {
    case nil:
      let order = byModule
      let names = order.map { "\(nodes[$0].layer):\(nodes[$0].network)" }
      return Figure(
        title: "Which networks are active together", key: request.key,
        .heatMap(
          HeatMap(
            rows: PlotAxis("network, by module"), columns: PlotAxis("network, by module"), value: PlotAxis(edge),
            rowCount: order.count, columnCount: order.count,
            values: order.flatMap { i in order.map { i == $0 ? .nan : edges[i, $0] } }, rowNames: names,
            columnNames: names)))
    case "distance":
      let means = meanByDistance
      return Figure(
        title: "How edges fall with the layers between", key: request.key,
        .lines(
          LinePlot(
            x: PlotAxis("layers between two networks", isWhole: true), y: PlotAxis("mean size of edges"),
            series: [.init("", x: means.map { Double($0.distance) }, y: means.map(\.size))])))
    case .some(let y):
      throw Diagnostic("graphs have no plot of \(y); there is y=distance", argument: "y", kind: .usage)
    }
  }

  /// Mean size of the edges between networks so many layers apart.
  private var meanByDistance: [(distance: Int, size: Double)] {
    var sizes: [Int: [Double]] = [:]
    for i in nodes.indices {
      for j in nodes.indices where j > i {
        sizes[abs(nodes[i].layer - nodes[j].layer), default: []].append(abs(edges[i, j]))
      }
    }
    return sizes.keys.sorted().map { ($0, mean(sizes[$0] ?? [])) }
  }
}
