import Kernel
import Numerics
import Testing
import Transformer

@testable import Ops

private let start = """
  m = load DATA/tiny-llama
  cal = text DATA/calibration.txt model=m samples=32 length=64 take=order
  acts = capture m cal sites=ffn.gate,ffn.up keep=stream layers=0,5
  nets = canica acts components=4 per_run=32

  """

/// What sets write into the stream, against what the model's own passes give.
@Suite(.serialized) struct WritesTests {
  let bench = ScriptBench()

  /// Even windows are described; a set's events are where its stored course is above its threshold.
  private func events(_ part: LayerDescription, _ i: Int) -> [Bool] {
    part.courses.row(i).prefix(part.fitTokens).map { Double($0) > part.sets[i].threshold }
  }

  private func described() throws -> Sequences {
    let corpus: Corpus = try bench.value("cal", start)
    return Sequences(stride(from: 0, to: corpus.windows, by: 2).map { Array(corpus[$0]) })
  }

  private func centred(_ values: [Double]) -> [Double] {
    let center = mean(values)
    return values.map { $0 - center }
  }

  @Test func aNetworkWritesWhatItsNeuronsHoldAtItsEvents() throws {
    let d: Descriptions = try bench.value("d", start + "d = describe nets cal model=m nulls=3")
    let model = try LanguageModel(ScriptBench.data + "/tiny-llama")
    let sequences = try described()
    let final = try model.finalStates(sequences)
    let norm = try Unembedding(model).frozenNorm
    let scales = norm.scales(of: final)
    for (index, layer) in [0, 5].enumerated() {
      let part = try d.part(index)
      let writes = try #require(try d.writes(index))
      let walk = try Walk(model, sequences)
      try walk.embed()
      while walk.layer < layer { try walk.step() }
      let h = Matrix<Float>(rows: sequences.tokens.count, columns: 384)
      let block = try model.loadBlock(layer)
      try walk.step(sites: [.activation]) { tap in h.rows(tap.rows).assign(tap.values) }
      let W = block.outputWeight(.ffn)
      for (i, set) in writes.sets.enumerated() {
        let isEvent = events(part, i)
        func mean(_ wanted: Bool, _ j: Int) -> Double {
          Numerics.mean(isEvent.indices.filter { isEvent[$0] == wanted }.map { Double(h[$0, j]) })
        }
        let keys = part.sets[i].keys[0].map(Int.init)
        let contrast = keys.map { mean(true, $0) - mean(false, $0) }
        let v = (0..<W.rows).map { row in zip(keys, contrast).reduce(0) { $0 + Double(W[row, $1.0]) * $1.1 } }
        #expect(zip(v, set.stream).allSatisfy { abs($0 - Double($1)) < 1e-4 })
        let r = Numerics.mean(isEvent.indices.filter { isEvent[$0] }.map { scales[$0] })
        let direction = Matrix<Float>([v.map { Float($0 * r) }])
        let u = centred(
          try Unembedding(model).logits(norm.applied(to: direction)).row(0).map(Double.init))
        #expect(zip(u, set.logits).allSatisfy { abs($0 - Double($1)) < 1e-3 })
        #expect(abs(set.largest - (u.map(abs).max() ?? 0)) < 1e-3)
        let order = argsort(set.logits, descending: true)
        #expect(set.words.prefix(3).map(\.token) == Array(order.prefix(3)))
        #expect(set.words[10].token == order.last && set.words.count == 20)
        #expect(set.null.count == 3 && set.null.allSatisfy { $0 > 0 })
      }
    }
  }

  /// The masked model's logits at the events, less the dense model's, against the direct path.
  @Test func fidelityIsWhatTheMaskedModelShows() throws {
    let d: Descriptions = try bench.value("d", start + "d = describe nets cal model=m nulls=1 checks=9999")
    let model = try LanguageModel(ScriptBench.data + "/tiny-llama")
    let sequences = try described()
    let dense = try model.logits(sequences)
    let final = try model.finalStates(sequences)
    let unembedding = try Unembedding(model)
    let scales = unembedding.frozenNorm.scales(of: final)
    for (index, layer) in [0, 5].enumerated() {
      let part = try d.part(index)
      let writes = try #require(try d.writes(index))
      for i in [0, 3] {
        let keys = part.sets[i].keys[0].map(Int.init)
        var pruning = Pruning.keepingAll(model.configuration)
        for unit in keys { pruning.blocks[layer].ffn.keep[unit] = false }
        let masked = try model.pruned(by: pruning).logits(sequences)
        let isEvent = events(part, i)
        let rows = isEvent.indices.filter { isEvent[$0] }
        #expect(writes.sets[i].checked == rows.count)
        let whole = (masked - dense).gathering(rows: rows).columnMoments.mean
        let walk = try Walk(model, sequences)
        try walk.embed()
        while walk.layer < layer { try walk.step() }
        let h = Matrix<Float>(rows: sequences.tokens.count, columns: 384)
        let W = try model.loadBlock(layer).outputWeight(.ffn).gathering(columns: keys)
        try walk.step(sites: [.activation]) { tap in h.rows(tap.rows).assign(tap.values) }
        let lost = h.gathering(rows: rows).gathering(columns: keys) * W.T
        lost.scaleRows(by: rows.map { Float(-scales[$0]) })
        let change = Matrix<Float>([lost.columnMoments.mean.map(Float.init)])
        let direct = try unembedding.logits(unembedding.frozenNorm.applied(to: change)).row(0)
        #expect(abs(writes.sets[i].fidelity - correlation(direct.map(Double.init), whole)) < 1e-4)
      }
    }
    // The last layer's way to the head has nothing in between but the norm.
    #expect(d.lines.filter { $0.layers == [5] }.allSatisfy { $0.fidelity > 0.8 })
    let direct = d.lines.filter { $0.layers == [5] }.map(\.fidelity)
    let far = d.lines.filter { $0.layers == [0] }.map(\.fidelity)
    #expect(mean(direct) > mean(far))
  }

  @Test func groupsAndHeadsWriteTooAndClustersDoNot() throws {
    let text =
      start + """
        cl = kmeans (capture m cal sites=ffn.in keep=values) k=3 pca=8
        gr = assign (taylor m cal by=cl)
        dg = describe gr cal model=m layers=5 nulls=2 checks=16
        heads = canica (capture m cal sites=attn.heads keep=stream layers=3) components=2 per_run=32
        dh = describe heads cal model=m nulls=1 checks=16 key=50%
        dc = describe cl cal model=m layers=0 nulls=2
        """
    let groups: Descriptions = try bench.value("dg", text)
    let writes = try #require(try groups.writes(0))
    #expect(writes.sets.count == groups.lines.count)
    #expect(writes.sets.allSatisfy { !$0.words.isEmpty && !$0.fidelity.isNaN })
    let heads: Descriptions = try bench.value("dh", text)
    #expect(try #require(try heads.writes(0)).sets.allSatisfy { $0.largest > 0 && (1...16).contains($0.checked) })
    let clusters: Descriptions = try bench.value("dc", text)
    #expect(try clusters.writes(0) == nil && clusters.lines.allSatisfy { $0.fidelity.isNaN && !$0.isLarger })
    let refusal = #expect(throws: Diagnostic.self) { try clusters.table(ShowRequest(name: "dc", by: "writes")) }
    #expect(refusal?.argument == "by")
    #expect(
      try bench.refusal(text + "\ndd = describe cl cal model=m checks=4")
        == "checks= is for networks and groups: a cluster has no units to take out")
  }

  @Test func aNetworkWithoutUnitsWritesNothing() throws {
    let d: Descriptions = try bench.value("d", start + "d = describe nets cal model=m nulls=2 key=1000 checks=0")
    let writes = try #require(try d.writes(0))
    #expect(writes.sets.allSatisfy { $0.words.isEmpty && $0.largest.isNaN && $0.checked == 0 })
    #expect(writes.sets.allSatisfy { $0.stream.allSatisfy { $0 == 0 } })
    let table = try #require(try d.table(ShowRequest(name: "d", by: "writes")))
    #expect(table.rows.allSatisfy { $0[3] == .missing && $0[6] == .missing })
  }
}
