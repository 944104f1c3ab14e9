import Foundation
import Numerics
import Testing

@testable import Transformer

/// Two factors of rank 3 in the place of some maps of every block but the last.
func someFactors(_ configuration: Configuration) -> Pruning {
  var pruning = Pruning.keepingAll(configuration)
  for layer in 0..<configuration.layers - 1 {
    for (place, role) in configuration.roles.enumerated() where (place + layer) % 3 != 2 {
      var stream = RandomStream(seed: layer, name: role.rawValue)
      func random(_ rows: Int, _ columns: Int) -> Matrix<Float> {
        Matrix(
          rows: rows, columns: columns,
          values: (0..<rows * columns).map { _ in Float.random(in: -0.3...0.3, using: &stream) })
      }
      pruning.blocks[layer][role.module].factors[role] = Factors(
        outer: random(configuration.size(role.rows, layer: layer), 3),
        inner: random(3, configuration.size(role.columns, layer: layer)))
    }
  }
  return pruning
}

/// Maps of two factors in the class with sizes per block, read back by our own loader. `Tests/Interop/exports.py` has
/// transformers read them.
@Suite struct FactorExportTests {
  private func roundTrip(_ model: LanguageModel, as format: ModelFormat = .huggingFace) throws -> LanguageModel {
    let folder = try TemporaryFolder()
    try model.export(to: folder.path + "/out", as: format)
    return try LanguageModel(folder.path + "/out")
  }

  @Test(
    "the model read back is the same, counts the same, and can be pruned like it",
    arguments: ModelFixture.likeLlama + [ModelFixture(name: "qwen3")], [false, true])
  func readsBack(_ fixture: ModelFixture, isPruned: Bool) throws {
    let whole = try fixture.model()
    let sequences = try fixture.sequences()
    var model = try whole.pruned(by: someFactors(whole.configuration))
    if isPruned { model = try model.pruned(by: somePruning(whole.configuration, compensated: true)) }
    let back = try roundTrip(model)
    #expect(relativeError(try back.logits(sequences), try model.logits(sequences)) < 1e-6)
    #expect(back.blockParameters == model.blockParameters)
    #expect(back.totalParameters == model.totalParameters + compensation(model))
    #expect(back.configuration.blocks[0].ranks.values.allSatisfy { $0 == 3 })
    // What can be done to the one can be done to the other, and written again; a refit is one matrix.
    var later = somePruning(back.configuration)
    later.blocks[1].ffn.weight = Matrix(
      rows: whole.configuration.hiddenSize, columns: later.blocks[1].ffn.kept.count,
      values: (0..<whole.configuration.hiddenSize * later.blocks[1].ffn.kept.count).map { Float($0 % 7) * 0.02 })
    let cut = try back.pruned(by: later)
    if !isPruned {
      #expect(relativeError(try cut.logits(sequences), try model.pruned(by: later).logits(sequences)) < 1e-6)
      #expect(try cut.blockParameters == model.pruned(by: later).blockParameters)
    }
    for format in [ModelFormat.huggingFace, .masked] where format.name == "hf" || fixture.name != "qwen3" {
      let third = try roundTrip(cut, as: format)
      #expect(relativeError(try third.logits(sequences), try cut.logits(sequences)) < 1e-5)
    }
  }

  /// Compensation biases, which are tensors like others once they are written.
  private func compensation(_ model: LanguageModel) -> Int {
    let d = model.configuration.hiddenSize
    return model.pruning.blocks.reduce(0) { sum, block in
      Module.allCases.reduce(sum) { $0 + (block[$1].bias == nil ? 0 : d) }
    } - biasesThatWere(model)
  }

  /// Output biases of the checkpoint that compensation was added to.
  private func biasesThatWere(_ model: LanguageModel) -> Int {
    let d = model.configuration.hiddenSize
    return model.pruning.blocks.enumerated().reduce(0) { sum, entry in
      Module.allCases.reduce(sum) { sum, module in
        let isThere = model.configuration.blocks[entry.offset].biases.contains(module.output)
        return sum + (entry.element[module].bias != nil && isThere && !entry.element[module].removesAll ? d : 0)
      }
    }
  }

  @Test func classesWithoutSizesPerBlockAreRefusedByName() throws {
    for name in ["gpt2", "chatglm3"] {
      let whole = try ModelFixture(name: name).model()
      let model = try whole.pruned(by: someFactors(whole.configuration))
      let error = try #require(throws: ModelError.self) { _ = try roundTrip(model) }
      #expect("\(error)".contains("two factors of maps") || name == "chatglm3", "\(error)")
      _ = try roundTrip(model, as: .masked)
    }
  }

  @Test(
    "a list of ranks that does not fit is refused by name",
    arguments: [
      (#""q_proj": 3"#, #""q_proj": 4"#, "q_proj.0.weight"), (#""q_proj": 3"#, #""x_proj": 3"#, "x_proj"),
      (#""q_proj": 3"#, #""q_proj": 0"#, "q_proj"), (#""q_proj": 3"#, #""q_proj": "a""#, "q_proj"),
    ])
  func badRanks(_ old: String, _ new: String, _ named: String) throws {
    let whole = try ModelFixture(name: "llama").model()
    let folder = try TemporaryFolder()
    try whole.pruned(by: someFactors(whole.configuration)).export(to: folder.path + "/out", as: .huggingFace)
    let path = folder.path + "/out/config.json"
    let text = try String(contentsOfFile: path, encoding: .utf8)
    #expect(text.contains(old))
    try text.replacingOccurrences(of: old, with: new).write(toFile: path, atomically: true, encoding: .utf8)
    let error = #expect(throws: (any Error).self) { _ = try LanguageModel(folder.path + "/out") }
    #expect(error.map { "\($0)" }?.contains(named) == true, "\(error.map { "\($0)" } ?? "")")
  }
}
