import Numerics
import Ops
import Testing
import Transformer

extension ScoredLayer {
  /// A block with these scores and nothing protected.
  init(
    attention: [Double], neurons: [Double], attentionParameters: Int, neuronParameters: Int, parameters: Int
  ) {
    self.init(
      units: PerModule(
        attention: ScoredUnits(scores: attention, parameters: attentionParameters),
        ffn: ScoredUnits(scores: neurons, parameters: neuronParameters)),
      parameters: parameters)
  }
}

@Suite struct SelectionTests {
  func model(_ seed: UInt64, layers L: Int = 3, units: Int = 4, neurons n: Int = 10) -> [ScoredLayer] {
    var random = SplitMix(seed)
    return (0..<L).map { _ in
      ScoredLayer(
        attention: random.normals(units), neurons: random.normals(n), attentionParameters: 32, neuronParameters: 12,
        parameters: 32 * units + 12 * n)
    }
  }

  func blocks(_ layers: [ScoredLayer]) -> Int { layers.reduce(0) { $0 + $1.parameters } }

  @Test("3.3 AL-AM equals a literal search over thresholds", arguments: 0..<20) func globalEqualsThresholdSearch(
    seed: Int
  ) throws {
    let layers = model(UInt64(seed), units: 3, neurons: 7)
    let rate = 0.1 + 0.02 * Double(seed)
    let whole = Double(blocks(layers))
    let found = try selectGlobally(layers, model: 10_000, rate: rate, base: .block)
    // All units by descending score; the kept prefix is the one whose weight is nearest to (1 − r) of all.
    var all = layers.enumerated().flatMap { l, layer in
      Module.allCases.flatMap { module in
        layer.units[module].scores.map { (score: $0, weight: layer.units[module].parameters) }
      }
    }
    all.sort { $0.score > $1.score }
    var best = (distance: Double.infinity, threshold: Double.infinity)
    var sum = 0
    for unit in all {
      sum += unit.weight
      let distance = abs(Double(sum) - (1 - rate) * whole)
      if distance < best.distance { best = (distance, unit.score) }
    }
    for (layer, keep) in zip(layers, found.layers) where found.guarded == 0 {
      #expect(keep.attention == layer.attention.scores.map { $0 >= best.threshold })
      #expect(keep.ffn == layer.ffn.scores.map { $0 >= best.threshold })
    }
    let largestWeight = 32.0
    #expect(found.guarded > 0 || abs(found.blockRate - rate) * whole <= largestWeight / 2)
    #expect(abs(found.totalRate - Double(found.removed) / 10_000) < 1e-15)
  }

  @Test("00.4 ties go by layer, then attention before neurons, then index") func ties() throws {
    let layer = ScoredLayer(
      attention: [1, 1], neurons: [1, 1, 1], attentionParameters: 10, neuronParameters: 10, parameters: 50)
    let found = try selectGlobally([layer, layer], model: 100, rate: 0.3, base: .block)
    // Three units go: both attention units, one neuron; the second attention unit comes back and is not replaced.
    #expect(found.layers[0].attention == [false, true])
    #expect(found.layers[0].ffn == [false, true, true])
    #expect(found.guarded == 1)
    #expect(found.removed == 20)
    #expect(found.layers[1] == LayerKeep(attention: [true, true], ffn: [true, true, true]))
  }

  @Test("00.4 an emptied layer keeps its best unit and its saving is not spent elsewhere") func guardKeepsTheBest()
    throws
  {
    let poor = ScoredLayer(
      attention: [], neurons: [1, 3, 2], attentionParameters: 0, neuronParameters: 1, parameters: 3)
    let rich = ScoredLayer(
      attention: [], neurons: [10, 11, 12], attentionParameters: 0, neuronParameters: 1, parameters: 3)
    let found = try selectGlobally([poor, rich], model: 6, rate: 0.5, base: .block)
    #expect(found.layers.map(\.ffn) == [[false, true, false], [true, true, true]])
    #expect(found.guarded == 1 && found.removed == 2)
    #expect(found.largestPruned == 2)
  }

  @Test(
    "2.4 LLaMA-2-7B at 10, 20 and 30% of all parameters loses the stated numbers of neurons",
    arguments: [(0.1, 54_837), (0.2, 109_675), (0.3, 164_512)]) func sevenBillion(rate: Double, expected: Int) throws
  {
    var random = SplitMix(7)
    let layers = (0..<32).map { l in
      let layer = ScoredLayer(
        attention: [], neurons: random.normals(11_008), attentionParameters: 0, neuronParameters: 3 * 4096,
        parameters: 4 * 4096 * 4096 + 3 * 4096 * 11_008)
      return l < 3 || l >= 30 ? layer.protected : layer
    }
    let found = try selectGlobally(layers, model: 6_738_415_616, rate: rate, base: .total)
    #expect(found.removed == expected * 12_288)
    #expect(found.layers[0].ffn.allSatisfy { $0 } && found.layers[31].ffn.allSatisfy { $0 })
    #expect(abs(found.totalRate - rate) < 12_288 / 6.7e9)
  }

  @Test("a rate beyond what protection leaves names the largest possible") func rateTooHigh() throws {
    var layers = model(3)
    layers[0] = layers[0].protected
    let whole = Double(blocks(layers))
    let largest = Double(2 * (3 * 32 + 9 * 12)) / whole
    #expect(throws: SelectionError.rateTooHigh(0.9, largest: largest, base: .block)) {
      try selectGlobally(layers, model: 1000, rate: 0.9, base: .block)
    }
    #expect(SelectionError.rateTooHigh(0.9, largest: 0.4567, base: .block).description.contains("45.67% at most"))
    #expect(throws: SelectionError.rateOutOfRange(1.5)) {
      try selectGlobally(layers, model: 1000, rate: 1.5, base: .block)
    }
    #expect(throws: SelectionError.self) { try uniformRates(layers, model: 1000, rate: 0.9, base: .block) }
    // What is said to be possible is, and the layer in the way is named.
    let poor = ScoredLayer(
      attention: [], neurons: (0..<7).map(Double.init), attentionParameters: 0, neuronParameters: 1, parameters: 9000)
    let words = try #require(throws: SelectionError.self) {
      try uniformRates([layers[1], poor], model: 10_000, rate: 0.5, base: .block)
    }.description
    #expect(words.hasSuffix("shared or last of its group in layer 1 leaves 0.07% at most"))
  }

  @Test("nothing is pruned at rate zero, and protected units never are") func protection() throws {
    var layers = model(4)
    #expect(try selectGlobally(layers, model: 1, rate: 0, base: .block).removed == 0)
    layers[1].units.ffn.protected = (0..<10).map { $0 < 5 }
    layers[1].units.ffn.scores = layers[1].ffn.scores.map { $0 - 100 }
    let found = try selectGlobally(layers, model: 1, rate: 0.2, base: .block)
    #expect(found.layers[1].ffn == (0..<10).map { $0 < 5 })
  }

  @Test("a threshold prunes what does not exceed it") func threshold() throws {
    let layers = model(5)
    let found = try selectBelow(threshold: 0, layers, model: 1)
    for (layer, keep) in zip(layers, found.layers) {
      #expect(keep.ffn == layer.ffn.scores.map { $0 > 0 })
    }
    let rate = 0.3
    let global = try selectGlobally(layers, model: 1, rate: rate, base: .block)
    let same = try selectBelow(threshold: try #require(global.largestPruned), layers, model: 1)
    #expect(same.layers == global.layers)
  }

  @Test("each window of layers meets the rate by itself") func windows() throws {
    var layers = model(6, layers: 6, neurons: 40)
    for l in 0..<3 { layers[l].units.ffn.scores = layers[l].ffn.scores.map { $0 - 50 } }
    let found = try selectGlobally(layers, model: 1, rate: 0.3, base: .block, window: 3)
    for window in [0..<3, 3..<6] {
      var removed = 0
      for l in window {
        removed += found.layers[l].ffn.count { !$0 } * 12
        removed += found.layers[l].attention.count { !$0 } * 32
      }
      let whole = Double(blocks(Array(layers[window])))
      #expect(abs(Double(removed) - 0.3 * whole) < 32)
    }
    #expect(
      try selectGlobally(layers, model: 1, rate: 0.3, base: .block, window: 6)
        == selectGlobally(layers, model: 1, rate: 0.3, base: .block))
  }

  @Test("a score that is not a number is named") func notANumber() {
    var layers = model(8)
    layers[1].units.ffn.scores[4] = .nan
    #expect(throws: SelectionError.scoreIsNotANumber(layer: 1, unit: "neuron", index: 4)) {
      try selectGlobally(layers, model: 1, rate: 0.1, base: .block)
    }
    #expect(throws: SelectionError.scoreIsNotANumber(layer: 1, unit: "neuron", index: 4)) {
      try selectPerLayer(layers, model: 1, rates: [0.1, 0.1, 0.1])
    }
  }
}

@Suite struct LayerSelectionTests {
  @Test("5.8 heads are rounded first, then neurons so that the block meets its target") func coupledCounts() throws {
    let d = 4096
    let layer = ScoredLayer(
      attention: (0..<32).map(Double.init), neurons: (0..<11_008).map(Double.init), attentionParameters: 4 * d * 128,
      neuronParameters: 3 * d, parameters: 4 * d * d + 3 * d * 11_008)
    let counts = try layerCounts(layer, rate: 0.3, layer: 0)
    #expect(counts.attention == 10)
    let P: Double = 0.3 * Double(layer.parameters)
    let rest: Double = P - Double(10 * 4 * d * 128)
    #expect(counts.ffn == Int((rest / Double(3 * d)).rounded()))
    let found = try selectPerLayer([layer], model: 1, rates: [0.3])
    #expect(abs(Double(found.removed) - P) <= Double(3 * d) / 2)
    let loose = try layerCounts(layer, rate: 0.3, couple: false, layer: 0)
    #expect(loose == LayerCounts(attention: 10, ffn: 3302))
  }

  @Test("halves round up") func halvesRoundUp() throws {
    let layer = ScoredLayer(
      attention: [1, 2, 3, 4, 5], neurons: [], attentionParameters: 1, neuronParameters: 1, parameters: 5)
    #expect(try layerCounts(layer, rate: 0.3, layer: 0).attention == 2)
    #expect(try layerCounts(layer, rate: 0.5, layer: 0).attention == 3)
  }

  @Test("the lowest scores of each layer go, ties by index") func lowestGo() throws {
    let layer = ScoredLayer(
      attention: [], neurons: [2, 1, 1, 1, 5, 0], attentionParameters: 0, neuronParameters: 1, parameters: 6)
    let found = try selectPerLayer([layer, layer], model: 12, rates: [0.5, 1 / 6.0])
    #expect(
      found.layers.map(\.ffn) == [
        [true, false, false, true, true, false], [true, true, true, true, true, false],
      ])
  }

  @Test("5.7 groups lose equal parts, the first ones take the remainder, the shared group is exempt") func groups()
    throws
  {
    let group = NeuronGroups(group: [0, 0, 0, 0, 1, 1, 1, 1, 2, 2, 2, 2, 3, 3, 3, 3], count: 3)
    let layer = ScoredLayer(
      attention: [], neurons: (0..<16).map { Double(16 - $0) }, attentionParameters: 0, neuronParameters: 1,
      parameters: 16)
    let found = try selectPerLayer([layer], model: 16, rates: [7.0 / 16], groups: [group])
    #expect(partition(7, sizes: [4, 4, 4]) == [3, 2, 2])
    #expect(
      found.layers[0].ffn == [
        true, false, false, false, true, true, false, false, true, true, false, false, true, true, true, true,
      ])
    #expect(partition(5, sizes: [3, 2, 2]) == [2, 2, 1])
  }

  @Test("5.7 a group must keep a neuron, and the error names the largest rate") func groupLimit() throws {
    let group = NeuronGroups(group: [0, 0, 1, 1, 2, 2], count: 2)
    let layer = ScoredLayer(
      attention: [], neurons: [1, 2, 3, 4, 5, 6], attentionParameters: 0, neuronParameters: 1, parameters: 6)
    #expect(try selectPerLayer([layer], model: 6, rates: [2.0 / 6], groups: [group]).removed == 2)
    let largest = largestRate(layer, groups: group)
    #expect(largest > 2.0 / 6 && largest < 2.5 / 6)
    #expect(throws: SelectionError.layerRateTooHigh(0.5, largest: largest, layer: 0)) {
      try selectPerLayer([layer], model: 6, rates: [0.5], groups: [group])
    }
  }

  @Test("the same rate everywhere meets the whole target although some layers are protected")
  func uniformRatesMeetTarget() throws {
    var random = SplitMix(11)
    var layers = (0..<6).map { _ in
      ScoredLayer(
        attention: random.normals(4), neurons: random.normals(100), attentionParameters: 96, neuronParameters: 12,
        parameters: 4 * 96 + 1200)
    }
    layers[0] = layers[0].protected
    for base in RateBase.allCases {
      let rates = try uniformRates(layers, model: 12_000, rate: 0.2, base: base)
      #expect(rates[0] == 0 && Set(rates.dropFirst()).count == 1)
      let found = try selectPerLayer(layers, model: 12_000, rates: rates)
      let achieved: Double = base == .total ? found.totalRate : found.blockRate
      #expect(abs(achieved - 0.2) < 30.0 / 9504)
    }
  }

  @Test("without attention scores the neurons bear the whole block's target") func neuronsBearTheTarget() throws {
    let layer = ScoredLayer(
      attention: [], neurons: (0..<704).map(Double.init), attentionParameters: 0, neuronParameters: 768,
      parameters: 4 * 256 * 256 + 704 * 768)
    let found = try selectPerLayer([layer], model: 1, rates: [0.3])
    #expect(abs(found.blockRate - 0.3) * Double(layer.parameters) <= 384)
  }

  @Test("every rate up to the largest is possible", arguments: 0..<10) func largestRateIsSafe(seed: Int) throws {
    var random = SplitMix(UInt64(seed))
    let units = 1 + seed % 4
    let layer = ScoredLayer(
      attention: random.normals(units), neurons: random.normals(12 + seed), attentionParameters: 30,
      neuronParameters: 5,
      parameters: 30 * units + 5 * (12 + seed))
    let largest = largestRate(layer)
    for step in 0...50 {
      let counts = try layerCounts(layer, rate: largest * Double(step) / 50, layer: 0)
      #expect(counts.ffn < layer.ffn.scores.count && counts.attention < max(units, 1))
    }
  }
}
