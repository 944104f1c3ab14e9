import Kernel
import Numerics

struct MakeCards: Op {
  static let name = "cards"
  static let summary =
    "Put what is known of networks or groups side by side, and see whether lesions confirm what describes them."
  static let reference: String? =
    "rank correlation of kinds of text, by events and by lesion, against lesions of random sets"
  static let example = """
    param windows = 16
    m = load ./data/tiny-llama
    cal = text ./data/calibration.txt model=m samples=windows length=128 take=order
    held = text ./data/test.txt model=m samples=windows length=128 take=order
    kc = kinds cal model=m labels=./data/calibration.labels.tsv
    kh = kinds held model=m labels=./data/test.labels.tsv
    nets = canica (capture m cal sites=ffn.gate,ffn.up layers=0 keep=stream) components=4 per_run=16
    d = describe nets cal model=m test=held labels=[kc, kh] nulls=4
    x = lesion m held of=nets labels=kh nulls=9
    show (cards d lesions=x graph=(connect nets nulls=4))
    """

  @Input("descriptions of networks or groups") var descriptions: Descriptions
  @Input("what the model loses without each of them", named: true) var lesions: Lesions?
  @Input("which networks are active together", named: true) var graph: NetworkGraph?
  @Input("networks that `autoencode` found, to show what they explain beyond principal components", named: true)
  var code: Networks?

  init() {}

  func estimate(within limit: Int) throws -> Resources {
    // The descriptions of all parts stay, with a card for each.
    Resources(memory: descriptions.lines.count << 13)
  }

  func run(_ context: any RunContext) throws -> Cards {
    if let lesions {
      guard lesions.mode == Lesion.Mode.each.rawValue else {
        throw Diagnostic(
          "the lesions are of mode=\(lesions.mode); a card tells what is lost without one \(descriptions.noun)",
          argument: "lesions")
      }
      guard lesions.described == [descriptions.described] else {
        throw Diagnostic("the lesions are of other \(descriptions.noun)s", argument: "lesions")
      }
    }
    if let graph, graph.described != descriptions.described {
      throw Diagnostic("the graph is of other \(descriptions.noun)s", argument: "graph")
    }
    if let code, code.codes.allSatisfy({ $0 == nil }) {
      throw Diagnostic("code= takes networks of autoencode, and these have no such fit", argument: "code")
    }
    return Cards(
      descriptions: descriptions, lesions: lesions, graph: graph, code: code,
      references: .init(
        descriptions: $descriptions.references[0], lesions: $lesions.references.first, graph: $graph.references.first,
        code: $code.references.first),
      rows: try rows())
  }

  private func rows() throws -> [Cards.Row] {
    var parts: [Int: LayerDescription] = [:]
    return try descriptions.lines.map { line in
      let part = try parts[line.part] ?? descriptions.part(line.part)
      parts[line.part] = part
      var row = Cards.Row()
      if let lesions, let index = lesions.rows.firstIndex(where: { $0.layers == part.layers && $0.name == line.name }) {
        let lesion = lesions.rows[index]
        guard lesion.units == line.keys else {
          throw Diagnostic(
            "the lesion of \(descriptions.noun) \(line.name) of \(LayerNetworks.title(part.layers)) takes out \(lesion.units) units, and its description is of \(line.keys)",
            hint: "give both the same key=", argument: "lesions")
        }
        row.lesion = index
        (row.change, row.z, row.holm) = (lesion.change, lesion.z, lesion.holm)
        if let set = part.sets.first(where: { $0.name == line.name }) { judge(&row, set, part.kinds, lesion, lesions) }
      }
      if let graph, let number = Int(line.name),
        let node = graph.nodes.firstIndex(where: { $0.layer == part.layers[0] && $0.network == number })
      {
        (row.node, row.module) = (node, graph.nodes[node].module)
      }
      return row
    }
  }

  /// Whether the kinds of text at whose tokens a set is active are those that its lesion hurts.
  private func judge(
    _ row: inout Cards.Row, _ set: SetDescription, _ kinds: [String], _ lesion: Lesions.Row, _ lesions: Lesions
  ) {
    guard set.kindOdds.count == kinds.count, !lesion.byKind.isEmpty else { return }
    let most = argsort(lesion.byKind.map { $0.isNaN ? -.infinity : $0 }, descending: true).first
    row.hurts = most.map { lesions.kinds[$0] } ?? ""
    func inOrder(_ changes: [Double]) -> [Double] {
      kinds.map { kind in lesions.kinds.firstIndex(of: kind).map { changes[$0] } ?? .nan }
    }
    let found = KindAgreement(
      odds: set.kindOdds, changes: inOrder(lesion.byKind), random: lesion.nullByKind.map(inOrder))
    (row.agreement, row.randomAgreement) = (found.own, median(found.random))
    row.verdict = found.verdict
  }
}
