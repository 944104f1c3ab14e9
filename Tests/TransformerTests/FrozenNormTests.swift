import Numerics
import Testing

@testable import Transformer

/// What leaves a module adds up, column by column, to what its branch adds to the stream.
@Suite struct FrozenNormTests {
  @Test("a norm with its own divisors is the norm", arguments: ["gqa-tied", "olmo2", "gpt2"])
  func ownDivisors(_ name: String) throws {
    let fixture = ModelFixture(name: name)
    let model = try fixture.model()
    let states = try model.finalStates(try fixture.sequences())
    let unembedding = try Unembedding(model)
    let frozen = unembedding.frozenNorm.applied(to: states)
    frozen.scaleRows(by: unembedding.frozenNorm.scales(of: states).map(Float.init))
    if let bias = try model.norm(model.layout.finalNorm).bias { frozen.addToRows(bias) }
    #expect(relativeError(frozen, unembedding.normalized(states)) < 1e-6)
    let logits = try unembedding.logits(unembedding.normalized(states))
    #expect(logits.values == (try model.logits(fixture.sequences())).values)
  }

  @Test("columns add up to what a branch adds", arguments: ["gqa-tied", "olmo2", "gpt2"])
  func columnsAddUp(_ name: String) throws {
    let fixture = ModelFixture(name: name)
    let model = try fixture.model()
    let walk = try Walk(model, try fixture.sequences())
    try walk.embed()
    for _ in 0..<model.layers {
      let block = try model.loadBlock(walk.layer)
      for module in Module.allCases {
        let output = ModuleOutput(block, module)
        let added = Matrix<Float>(rows: walk.states.rows, columns: walk.states.columns)
        let before = walk.states.copy()
        try walk.run(module, of: block, advancing: true, sites: [module.site]) { tap in
          added.rows(tap.rows).assign(output.scaled(tap.values) * output.weight.T)
        }
        if !block.configuration.family.normsOutput, let bias = block[module].output.bias { added.addToRows(bias) }
        #expect(relativeError(added, walk.states - before) < 1e-4)
      }
    }
  }
}
