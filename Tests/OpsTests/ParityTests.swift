import Foundation
import Kernel
import Numerics
import Testing
import Transformer

@testable import Ops

/// The whole pipeline, from a model's files to masks and refitted weights, against what numpy and PyTorch compute in
/// double precision from the same files (Tests/Fixtures/parity/make.py).
///
/// Activations are single precision here, a few 1e-7 of the largest number off; sums over tokens keep that, inverses
/// enlarge it by the condition number that damping leaves. Masks, orders and groups must be equal.
@Suite struct ParityTests {
  private static let pipeline = Result { try Pipeline() }
  private let run: Pipeline

  init() throws { run = try Self.pipeline.get() }

  @Test func calibrationWindowsAreThoseOfCPythonsGenerator() throws {
    let tokens = try run.value("cal", Corpus.self).tokens.map(Float.init)
    try #expect(run.expected("tokens") == tokens)
  }

  @Test(arguments: ["wifv", "ifv", "wifn"]) func fluctuationScoresAgree(metric: String) throws {
    let scores = try run.value(metric, Scores.self).score
    for layer in 0..<2 {
      try #expect(run.error(scores.attention?[layer], "\(metric).units.\(layer)") < 2e-6)
      try #expect(run.error(scores.ffn?[layer], "\(metric).neurons.\(layer)") < 2e-6)
    }
  }

  @Test(arguments: ["across", "within"]) func fluctuationMasksAreEqual(name: String) throws {
    try run.requireEqual(run.value(name, Mask.self), name)
  }

  @Test func theBiasIsWhatTheRemovedNeuronsGaveOnAverage() throws {
    let blocks = try run.value("biased", Model.self).pruning.blocks
    for layer in 0..<2 { try #expect(run.error(blocks[layer].ffn.bias, "bias.\(layer)") < 2e-6) }
  }

  @Test func gramMatricesAgree() throws {
    let acts = try run.value("acts", Activations.self)
    for layer in 0..<2 {
      let gram = try acts.part(.activation, layer: layer).gram?.load().values
      try #expect(run.error(gram?.map { Float($0) }, "gram.\(layer)") < 2e-6)
    }
  }

  @Test func brainScoresAgree() throws {
    let scores = try run.value("once", Scores.self).score
    for layer in 0..<2 {
      try #expect(run.error(scores.attention?[layer], "obc.units.\(layer)") < 2e-5)
      try #expect(run.error(scores.ffn?[layer], "obc.neurons.\(layer)") < 2e-5)
    }
  }

  @Test func theGreedyOrderIsThatOfTheLiteralAlgorithm() throws {
    let scores = try #require(try run.value("steps", Scores.self).score.ffn)
    for layer in 0..<2 {
      let order = scores[layer].indices.sorted { scores[layer][$0] < scores[layer][$1] }
      try #expect(run.expected("greedy.\(layer)") == order.map(Float.init))
    }
  }

  @Test func brainMaskAndRefitAgree() throws {
    try run.requireEqual(run.value("cut", Mask.self), "obc.keep")
    let blocks = try run.value("fit", Model.self).pruning.blocks
    for layer in 0..<2 {
      try #expect(run.error(blocks[layer].attention.weight?.values, "obc.output.\(layer)") < 2e-5)
      try #expect(run.error(blocks[layer].ffn.weight?.values, "obc.down.\(layer)") < 2e-5)
    }
  }

  @Test func clusterLabelsAreThoseTheReferenceStartedFrom() throws { try run.requireSameLabels() }

  @Test func taylorAffinityAgrees() throws {
    try run.requireSameLabels()
    let affinity = try run.value("S", Affinity.self)
    for layer in 0..<2 {
      try #expect(run.error(affinity.score[layer].values.map { Float($0) }, "affinity.\(layer)") < 1e-5)
    }
  }

  @Test func groupsAreTheOptimumSciPyFinds() throws {
    try run.requireSameLabels()
    let groups = try run.value("gr", Groups.self)
    try #expect(run.expected("groups") == groups.group.flatMap { $0 }.map(Float.init))
    for layer in 0..<2 { try #expect(run.error([Float(groups.objective[layer])], "optimum.\(layer)") < 1e-5) }
  }

  @Test func contextWeightsAndGroupGramsAgree() throws {
    try run.requireSameLabels()
    let near = try run.value("near", Activations.self)
    for layer in 0..<2 {
      let part = try near.part(.activation, layer: layer)
      let moments = try #require(part.clusterMoments)
      let alpha = try contextWeights(
        centers: Matrix(moments.map(\.mean)), .context, temperature: .relative(0.3)
      ).alpha
      try #expect(run.error(alpha.values.map { Float($0) }, "alpha.\(layer)") < 1e-5)
      let grams = try #require(try part.groupGrams?.load())
      for group in 0..<3 {
        let found = grams[group].flatMap(\.values).map { Float($0) }
        try #expect(run.error(found, "gram.\(layer).\(group)") < 2e-6)
      }
    }
  }

  @Test(arguments: ["o_fang", "f_fang"]) func weightedScoresAgree(name: String) throws {
    try run.requireSameLabels()
    let scores = try #require(try run.value(name, Scores.self).score.ffn)
    for layer in 0..<2 { try #expect(run.error(scores[layer], "\(name).\(layer)") < 2e-5) }
  }

  @Test func complexityAndRatesAgree() throws {
    let rates = try run.value("al", Rates.self)
    try #expect(run.error(rates.complexity.map { Float($0) }, "complexity") < 1e-5)
    try #expect(run.error(rates.rate.map { Float($0) }, "rates") < 1e-5)
  }

  @Test func groupedMaskAndRefitAgreeAndSharedColumnsKeepTheirBits() throws {
    try run.requireSameLabels()
    try run.requireEqual(run.value("cut_o", Mask.self), "fang.keep")
    let groups = try run.value("gr", Groups.self)
    let fitted = try run.value("fit_o", Model.self)
    for layer in 0..<2 {
      let block = fitted.pruning.blocks[layer]
      let found = try #require(block.ffn.weight)
      try #expect(run.error(found.values, "fang.down.\(layer)") < 2e-5)
      let whole = try run.value("m", Model.self).network.loadBlock(layer).outputWeight(.ffn)
      for (place, neuron) in block.ffn.kept.enumerated() where groups.group[layer][neuron] < 0 {
        #expect(found.column(place) == whole.column(neuron))
      }
    }
  }
}

/// One run of all steps in a workspace of its own, and the numbers to compare with.
private final class Pipeline: Sendable {
  private let folder = NSTemporaryDirectory() + "prn-parity-\(UUID().uuidString)"
  private let store: Store
  private let reference: TensorFile

  init() throws {
    let fixture = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
      .appendingPathComponent("Fixtures/parity").path
    reference = try TensorFile(safetensors: fixture + "/expected.safetensors")
    store = try Store(workspace: folder + "/.prn", types: catalog.artifactTypes)
    let listener = Silence()
    let session = Session(catalog: catalog, store: store, observer: listener, meta: listener)
    let outcome = session.run(Source(name: "parity.prn", text: Pipeline.script(fixture)))
    guard outcome.diagnostics.isEmpty else { throw Diagnostic(outcome.rendered) }
  }

  deinit { try? FileManager.default.removeItem(atPath: folder) }

  private static func script(_ fixture: String) -> String {
    """
    m    = load "\(fixture)/model"
    cal  = text "\(fixture)/text.txt" model=m samples=24 length=32 seed=0
    acts = capture m cal sites=attn.heads,ffn.act keep=moments,gram
    wifv = flap acts metric=wifv
    ifv  = flap acts metric=ifv
    wifn = flap acts metric=wifn
    across = mask wifv rate=40% scope=global
    within = mask wifv rate=20% scope=layer
    biased = prune m across comp=bias acts=acts
    once  = obc acts how=oneshot
    steps = obc acts how=greedy
    cut   = mask once rate=30% scope=layer
    fit   = prune m cut comp=ls acts=acts
    ctx  = capture m cal sites=ffn.in,block.in,block.out keep=values
    cl   = kmeans ctx k=3 pca=16 seed=0
    S    = taylor m cal by=cl
    gr   = assign S shared=1 how=exact
    al   = allocate ctx rate=30% how=clip groups=3
    near = capture m cal sites=attn.heads,ffn.act keep=moments,gram by=cl groups=gr
    o_fang = obc near weight=context tau=30%
    f_fang = flap near weight=context tau=30%
    cut_o  = mask o_fang rates=al within=gr
    fit_o  = prune m cut_o comp=ls acts=near
    """
  }

  func value<Value: Artifact>(_ name: String, _: Value.Type) throws -> Value {
    try #require(try store.value(named: name, back: 0)?.load() as? Value)
  }

  func expected(_ name: String) throws -> [Float] { try reference.read(ByteString(name)) }

  /// The largest difference, relative to the largest number expected; infinite for another count or NaN.
  func error(_ found: [Float]?, _ name: String) throws -> Float {
    let expected = try expected(name)
    guard let found, found.count == expected.count else { return .infinity }
    var (worst, scale) = (Float(0), Float.leastNormalMagnitude)
    for (a, b) in zip(found, expected) where a != b {
      guard abs(a - b).isFinite else { return .infinity }
      worst = max(worst, abs(a - b))
    }
    for b in expected where b.isFinite { scale = max(scale, abs(b)) }
    return worst / scale
  }

  func requireEqual(_ mask: Mask, _ name: String) throws {
    for (module, rows) in [("units", mask.keep.attention), ("neurons", mask.keep.ffn)] {
      let flags = rows?.flatMap { $0 }.map { $0 ? Float(1) : 0 }
      try #expect(expected("\(name).\(module)") == flags, "\(name), \(module)")
    }
  }

  func requireSameLabels() throws {
    let labels = try value("cl", Clusters.self).label.flatMap { $0 }.map(Float.init)
    try #require(expected("labels") == labels, "k-means found other clusters than the reference was computed from")
  }
}

/// A surrounding that neither shows nor stops anything.
private final class Silence: SessionObserver, MetaHandler {
  var isCancelled: Bool { false }
  func handle(_ event: SessionEvent) {}
  func perform(_ call: MetaCall, in session: Session) throws {}
}
