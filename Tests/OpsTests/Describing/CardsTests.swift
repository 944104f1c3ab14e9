import Foundation
import Kernel
import Numerics
import Testing

@testable import Ops

private let start =
  ScriptBench.labelledTexts + """
    nets = canica (capture m cal sites=ffn.gate,ffn.up keep=stream layers=0,1) components=8 per_run=24
    d = describe nets cal model=m test=held labels=[kc, kh] nulls=4 checks=64
    x = lesion m held of=nets labels=kh layers=0 nulls=9
    g = connect nets nulls=2

    """

@Suite(.serialized) struct CardsTests {
  private static let bench = ScriptBench()
  private var bench: ScriptBench { Self.bench }

  @Test func aCardHoldsWhatDescriptionLesionAndGraphSay() throws {
    let cards: Cards = try bench.value("c", start + "c = cards d lesions=x graph=g")
    let (lesions, graph) = (try #require(cards.lesions), try #require(cards.graph))
    #expect(cards.rows.count == 16)
    for (line, row) in zip(cards.descriptions.lines, cards.rows) {
      let node = graph.nodes[row.node]
      #expect(node.layer == line.layers[0] && String(node.network) == line.name && node.module == row.module)
      guard line.layers == [0] else {
        #expect(row.lesion == -1 && row.change.isNaN && row.verdict == nil)
        continue
      }
      let lesion = lesions.rows[row.lesion]
      #expect(lesion.name == line.name && row.change == lesion.change && row.holm == lesion.holm)
      #expect(lesions.kinds.contains(row.hurts) && row.verdict != nil)
    }
    // The network of spaces and newlines speaks of arithmetic, and its lesion hurts arithmetic.
    let best = try #require(
      cards.descriptions.lines.indices.max { cards.descriptions.lines[$0].auroc < cards.descriptions.lines[$1].auroc })
    let spaces = try #require(cards.descriptions.lines.firstIndex { $0.rules.contains("space") && $0.layers == [0] })
    #expect(cards.descriptions.lines[best].auroc > 0.9 && cards.rows[spaces].hurts == "arithmetic")
    #expect(cards.rows[spaces].agreement > cards.rows[spaces].randomAgreement)
    let shown = try #require(
      try cards.table(ShowRequest(name: "c", network: "0:\(cards.descriptions.lines[spaces].name)")))
    let names = shown.rows.map { row in if case .text(let name) = row[0] { name } else { "" } }
    #expect(names.contains("without it") && names.contains("events and lesion") && names.contains("active with"))
  }

  /// Log odds of kinds by counting tokens.
  @Test func kindsAreCountedAtEvents() throws {
    let d: Descriptions = try bench.value("d", start)
    let kinds: Clusters = try bench.value("kc", start)
    let part = try d.part(0)
    let label = kinds.label[0]
    for (i, set) in part.sets.enumerated() {
      let isEvent = part.courses.row(i).prefix(part.fitTokens).map { Double($0) > set.threshold }
      let events = isEvent.count { $0 }
      let a0 = max(10, Double(events) / 10)
      let known = label.prefix(isEvent.count).count { $0 >= 0 }
      let inside = label.indices.prefix(isEvent.count).count { label[$0] >= 0 && isEvent[$0] }
      for (kind, name) in part.kinds.enumerated() {
        let own = try #require(kinds.kinds?.names.firstIndex(of: name))
        let all = label.indices.prefix(isEvent.count).count { label[$0] == Int32(own) }
        let y1 = label.indices.prefix(isEvent.count).count { label[$0] == Int32(own) && isEvent[$0] }
        let a = a0 * Double(all) / Double(known)
        let (in1, in0) = (Double(y1) + a, Double(all - y1) + a)
        let (n1, n0) = (Double(inside) + a0, Double(known - inside) + a0)
        #expect(abs(set.kindOdds[kind] - Foundation.log(in1 * (n0 - in0) / ((n1 - in1) * in0))) < 1e-9)
      }
      #expect(
        set.keyZ[0].count == 20 && set.keyZ[0].allSatisfy { $0.count == 2 } && part.signals == ["ffn.gate", "ffn.up"])
      // The strongest first, by the larger of the two.
      let sizes = set.keyZ[0].map { max(abs($0[0]), abs($0[1])) }
      #expect(sizes == sizes.sorted(by: >))
    }
  }

  private static let deep = """
    deep = autoencode (capture m cal sites=ffn.gate,ffn.up keep=stream layers=0,1) components=4 decoder=deep epochs=2 per_run=24

    """

  @Test func pagesTellWhatTheCardsHold() throws {
    let cards: Cards = try bench.value("c", start + Self.deep + "c = cards d lesions=x graph=g code=deep")
    let deep: Networks = try bench.value("deep", start + Self.deep)
    let folder = bench.folder + "/cards"
    try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
    _ = try cards.export(ExportRequest(name: "c", path: folder, form: ExportForm("html")))
    func page(_ name: String) throws -> String { try String(contentsOfFile: folder + "/" + name, encoding: .utf8) }
    for name in try FileManager.default.contentsOfDirectory(atPath: folder) {
      let text = try page(name)
      #expect(!text.contains("<script") && !text.contains("http"))
      #expect(name == "index.html" || text.utf8.count < 40_000, "\(name) has \(text.utf8.count) bytes")
      let opened = text.matches(of: #/<(svg|table|details|ul|p|h2)[ >]/#).count
      #expect(opened == text.matches(of: #/<\/(svg|table|details|ul|p|h2)>/#).count, "\(name)")
    }
    let first = try page("layer0-0.html")
    for heading in ["It is active", "When", "It writes", "Without it", "Active together with", "Key units"] {
      #expect(first.contains("<h2>\(heading)</h2>"), "\(heading)")
    }
    #expect(!(try page("layer1-0.html")).contains("<h2>Without it</h2>"))
    let index = try page("index.html")
    for heading in ["What breaks without each", "Described and needed", "Active together", "Non-linear gain"] {
      #expect(index.contains("<h2>\(heading)</h2>"), "\(heading)")
    }
    for fit in deep.codes { #expect(index.contains(DescriptionPage.number(try #require(fit).gain, digits: 3))) }
  }

  /// Estimates know their random sets by kind too.
  @Test func estimatedLesionsConfirmAndContradictToo() throws {
    let text = start + "y = lesion m held of=nets labels=kh how=estimate nulls=9\nc = cards d lesions=y"
    let cards: Cards = try bench.value("c", text)
    #expect(cards.rows.allSatisfy { $0.verdict != nil && $0.randomAgreement.isFinite })
  }

  @Test func cardsWithoutLesionsAndGraphAreTheDescriptions() throws {
    let cards: Cards = try bench.value("c", start + "c = cards d")
    #expect(cards.rows.allSatisfy { $0.lesion == -1 && $0.node == -1 && $0.verdict == nil })
    #expect(cards.summary.hasSuffix("described better than random sets"))
  }

  @Test(arguments: [
    (
      "y = lesion m held of=nets nulls=0 mode=only layers=0\nc = cards d lesions=y",
      "the lesions are of mode=only; a card tells what is lost without one network"
    ),
    (
      "y = lesion m held of=nets nulls=0 key=10% layers=0\nc = cards d lesions=y",
      "the lesion of network 0 of layer 0 takes out 39 units, and its description is of 20"
    ),
    (
      "n = canica (capture m cal sites=ffn.gate,ffn.up keep=stream layers=0) components=4 per_run=24\ny = lesion m held of=n nulls=0\nc = cards d lesions=y",
      "the lesions are of other networks"
    ),
    (
      "n = canica (capture m cal sites=ffn.gate,ffn.up keep=stream layers=0) components=4 per_run=24\nc = cards d graph=(connect n nulls=1)",
      "the graph is of other networks"
    ),
    ("c = cards d code=nets", "code= takes networks of autoencode, and these have no such fit"),
  ]) func whatDoesNotBelongTogetherIsRefused(_ statement: String, _ expected: String) throws {
    #expect(try bench.refusal(start + statement) == expected)
  }
}
