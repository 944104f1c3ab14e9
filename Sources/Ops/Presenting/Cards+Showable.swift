import Foundation
import Kernel
import Numerics

extension Cards: Showable {
  public static var tableParameters: Set<String> { ["layers", "network"] }
  public static var figureParameters: Set<String> { ["layers"] }

  /// One row per network: what describes it, what it writes, what is lost without it, and whether these fit together; with
  /// `network=LAYER:NAME` all that is known of one.
  public func table(_ request: ShowRequest) throws -> TableData? {
    if let name = request.network { return try card(name) }
    let shown = try chosen(request.layers)
    return TableData(
      columns: [
        "layer", descriptions.noun, "active_at", "auroc", "random", "better", "writes", "fidelity", "change", "z",
        "holm",
        "most_hurt", "agreement", "random_agreement", "verdict", "module",
      ],
      rows: shown.map { index in
        let (line, row) = (descriptions.lines[index], rows[index])
        return [
          descriptions.layerCell(line), .text(line.name), .text(line.rules), .known(line.auroc), .known(line.random),
          .bool(line.isBetter), .text(line.writes), .known(line.fidelity), .known(row.change), .known(row.z),
          .known(row.holm), row.hurts.isEmpty ? .missing : .text(row.hurts), .known(row.agreement),
          .known(row.randomAgreement), row.verdict.map { .text($0.rawValue) } ?? .missing,
          row.module < 0 ? .missing : .integer(row.module),
        ]
      })
  }

  /// How well the kinds of text of a network's events go with those that its lesion hurts, what random sets give beside it;
  /// without lesions what there is of the descriptions.
  public func figure(_ request: PlotRequest) throws -> Figure {
    let shown = try chosen(request.layers).filter { rows[$0].agreement.isFinite }
    guard !shown.isEmpty else { return try descriptions.figure(request) }
    let order = shown.count > 24 ? argsort(shown.map { rows[$0].agreement }, descending: true).map { shown[$0] } : shown
    let y = PlotAxis("rank correlation over kinds of text")
    let groups = [
      ("events and lesion", order.map { rows[$0].agreement }),
      ("events and random lesions, median", order.map { rows[$0].randomAgreement }),
    ]
    let content: Figure.Content =
      if shown.count > 24 {
        .lines(
          LinePlot(
            x: PlotAxis("\(descriptions.noun)s from best to worst confirmed", isWhole: true), y: y,
            series: groups.map { name, values in
              .init(name, x: values.indices.map { Double($0 + 1) }, y: values)
            }))
      } else {
        .bars(
          BarPlot(
            x: PlotAxis(descriptions.noun), y: y, names: order.map { descriptions.label(descriptions.lines[$0]) },
            groups: groups.map { .init($0.0, values: $0.1) }))
      }
    return Figure(title: "Does a lesion hurt what a \(descriptions.noun) is active at?", key: request.key, content)
  }

  private func chosen(_ layers: Positions?) throws -> [Int] {
    let shown = try descriptions.chosen(layers)
    return descriptions.lines.indices.filter { index in
      shown.contains { $0.part == descriptions.lines[index].part && $0.name == descriptions.lines[index].name }
    }
  }

  private func card(_ name: String) throws -> TableData? {
    guard var table = try descriptions.table(ShowRequest(name: "cards", network: name)) else { return nil }
    let line = try descriptions.found(name).line
    let index = descriptions.lines.firstIndex { $0.part == line.part && $0.name == line.name } ?? 0
    let row = rows[index]
    func text(_ value: Double) -> String { value.isNaN ? "unknown" : formatted((value * 1000).rounded() / 1000) }
    if let lesions, row.lesion >= 0 {
      let lesion = lesions.rows[row.lesion]
      table.rows.append([
        .text("without it"),
        .text(
          "loss \(text(row.change)) nats, random sets \(text(mean(lesion.null))), z \(text(row.z)), Holm \(text(row.holm))"
        ),
      ])
      let order = argsort(lesion.byKind.map { $0.isNaN ? -.infinity : $0 }, descending: true)
      let hurt = order.filter { !lesion.byKind[$0].isNaN }.map { "\(lesions.kinds[$0]) \(text(lesion.byKind[$0]))" }
      if !hurt.isEmpty { table.rows.append([.text("by kind"), .text(hurt.joined(separator: ", "))]) }
      if let verdict = row.verdict {
        table.rows.append([
          .text("events and lesion"),
          .text("\(verdict.rawValue): \(text(row.agreement)), random sets \(text(row.randomAgreement))"),
        ])
      }
    }
    if row.node >= 0, let graph {
      let near = graph.neighbours(of: row.node).map { "\(graph.label($0.node)) \(text($0.edge))" }
      table.rows.append([.text("active with"), .text("\(near.joined(separator: ", ")); module \(row.module)")])
    }
    return table
  }
}

extension NetworkGraph {
  func label(_ node: Int) -> String { "\(nodes[node].layer):\(nodes[node].network)" }

  /// The five strongest edges to networks of other layers.
  func neighbours(of node: Int) -> [(node: Int, edge: Double)] {
    let others = nodes.indices.filter { nodes[$0].layer != nodes[node].layer }
    return argsort(others.map { abs(edges[node, $0]) }, descending: true).prefix(5).map { place in
      (others[place], edges[node, others[place]])
    }
  }
}
