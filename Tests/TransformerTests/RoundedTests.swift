import Foundation
import Numerics
import Testing

@testable import Transformer

/// Models whose products are of numbers rounded to bfloat16, against PyTorch with the same roundings.
@Suite struct RoundedTests {
  private func gradient(_ model: LanguageModel, _ sequences: Sequences, layer: Int) throws -> Matrix<Float> {
    let width = model.configuration.units(.ffn, layer: layer)
    let gradient = Matrix<Float>(rows: sequences.tokens.count, columns: width)
    _ = try model.gradients(sequences, memory: 1 << 30) { tap in
      if tap.layer == layer { gradient.rows(tap.rows).assign(tap.gradient) }
    }
    return gradient
  }

  @Test("logits and ∂L/∂h equal PyTorch's of rounded numbers", arguments: ModelFixture.all)
  func equalsPyTorch(_ fixture: ModelFixture) throws {
    let (model, sequences) = (try fixture.model(.bfloat16), try fixture.sequences())
    let expected = try fixture.expectedRounded("logits")
    #expect(relativeError(try model.logits(sequences), expected) < 1e-5)
    // The rounding itself is a hundred times as large, so that this cannot pass by not rounding.
    #expect(relativeError(try fixture.expected("logits"), expected) > 1e-3)
    #expect(
      relativeError(try gradient(model, sequences, layer: 0), try fixture.expectedRounded("gradient.0")) < 5e-5)
  }

  @Test func pruningKeepsThePrecision() throws {
    let fixture = ModelFixture(name: "gqa-tied")
    let (model, sequences) = (try fixture.model(.bfloat16), try fixture.sequences())
    let blocks = (0..<model.layers).map { layer in
      PerModule { module in
        BranchPruning(keep: (0..<model.configuration.units(module, layer: layer)).map { $0 != 1 })
      }
    }
    let pruned = try model.pruned(by: Pruning(blocks: blocks))
    #expect(pruned.precision == .bfloat16)
    let rounded = try pruned.logits(sequences)
    let plain = try fixture.model().pruned(by: Pruning(blocks: blocks)).logits(sequences)
    let apart = relativeError(rounded, plain)
    #expect(apart > 1e-4 && apart < 0.05)
  }

  @Test func losesNothingByThreads() throws {
    let fixture = ModelFixture(name: "llama3")
    let (model, sequences) = (try fixture.model(.bfloat16), try fixture.sequences())
    let results = try [1, 2].map { threads in
      let before = Parallel.threads
      Parallel.threads = threads
      defer { Parallel.threads = before }
      return try (model.losses(sequences), gradient(model, sequences, layer: 0).values)
    }
    #expect(results[0].0 == results[1].0)
    #expect(results[0].1 == results[1].1)
  }
}
