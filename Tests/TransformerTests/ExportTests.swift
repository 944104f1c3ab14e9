import Foundation
import Numerics
import Testing

@testable import Transformer

/// Exported folders, read back by our own loader. `Tests/Fixtures/transformer/interop.py` reads them with transformers.
@Suite struct ExportTests {
  private func roundTrip(_ model: LanguageModel, _ format: ModelFormat) throws -> LanguageModel {
    let folder = try TemporaryFolder()
    try model.export(to: folder.path + "/out", as: format)
    // The mapping outlives the folder's names.
    return try LanguageModel(folder.path + "/out")
  }

  @Test("both formats read back give the same logits", arguments: ModelFixture.likeLlama, folderFormats)
  func exportsReadBack(_ fixture: ModelFixture, _ format: ModelFormat) throws {
    let whole = try fixture.model()
    guard whole.configuration.slidingWindow == nil || format.name == "masked" else { return }
    let model = try whole.pruned(by: somePruning(whole.configuration))
    let sequences = try fixture.sequences()
    let back = try roundTrip(model, format)
    #expect(relativeError(try back.logits(sequences), try model.logits(sequences)) < 1e-5)
    if format.name == "hf" {
      #expect(back.configuration.family.name == "prn")
      #expect(back.totalParameters == model.totalParameters)
      #expect(back.configuration.blocks[1].units.attention == 0)
    } else {
      #expect(back.configuration.family.name == whole.configuration.family.name)
      #expect(back.totalParameters == whole.totalParameters)
    }
  }

  @Test("a masked export of any other family reads back", arguments: ModelFixture.others)
  func maskedExportsReadBack(_ fixture: ModelFixture) throws {
    let whole = try fixture.model()
    let model = try whole.pruned(by: somePruning(whole.configuration))
    let sequences = try fixture.sequences()
    let back = try roundTrip(model, .masked)
    #expect(relativeError(try back.logits(sequences), try model.logits(sequences)) < 1e-5)
    #expect(back.configuration.family.name == whole.configuration.family.name)
    #expect(throws: ModelError.self) { try roundTrip(model, .huggingFace) }
  }

  @Test(
    "compensation goes along", arguments: ["llama", "gqa-tied", "llama3", "qwen2", "phi3", "biased", "gpt2"],
    folderFormats)
  func compensationGoesAlong(_ name: String, _ format: ModelFormat) throws {
    let fixture = ModelFixture(name: name)
    let whole = try fixture.model()
    guard name != "gpt2" || format.name == "masked" else { return }
    var pruning = somePruning(whole.configuration, compensated: true)
    pruning.blocks[0].ffn.weight = try whole.loadBlock(0)[.ffn].output.weight.gathering(
      columns: pruning.blocks[0].ffn.kept
    )
    .map { $0 * 1.01 }
    let model = try whole.pruned(by: pruning)
    let sequences = try fixture.sequences()
    let back = try roundTrip(model, format)
    #expect(relativeError(try back.logits(sequences), try model.logits(sequences)) < 1e-5)
  }

  @Test func anExportedModelCanBePrunedAndExportedAgain() throws {
    let fixture = ModelFixture(name: "qwen2")
    let whole = try fixture.model()
    let once = try roundTrip(whole.pruned(by: somePruning(whole.configuration, compensated: true)), .huggingFace)
    let twice = try once.pruned(by: somePruning(once.configuration, compensated: true))
    let sequences = try fixture.sequences()
    for format in folderFormats {
      #expect(relativeError(try roundTrip(twice, format).logits(sequences), try twice.logits(sequences)) < 1e-5)
    }
  }

  @Test func unchangedWeightsKeepTheirBytes() throws {
    let model = try ModelFixture(name: "llama").model()
    let back = try roundTrip(model, .masked)
    for name in model.checkpoint.tensorNames {
      let (old, new) = (try model.checkpoint.info(name), try back.checkpoint.info(name))
      #expect(old.type == new.type)
      let before = try model.checkpoint.withBytes(of: name) { [UInt8]($0) }
      let after = try back.checkpoint.withBytes(of: name) { [UInt8]($0) }
      #expect(before == after)
    }
  }

  /// transformers 4.49 knows no tokenizer for our class, and puts another BOS token before a LLaMA folder's texts.
  @Test(arguments: [
    ("tokenizer.json", "PreTrainedTokenizerFast"), ("tokenizer.model", "LlamaTokenizer"), ("vocab.json", nil),
  ])
  func theTokenizerNamesItsClassWhereTheSourceDoesNot(_ file: String, _ name: String?) throws {
    let folder = try TemporaryFolder()
    let source = folder.path + "/source"
    try FileManager.default.copyItem(atPath: ModelFixture(name: "llama").folder, toPath: source)
    try Data("{}".utf8).write(to: URL(fileURLWithPath: "\(source)/\(file)"))
    try LanguageModel(source).export(to: folder.path + "/out", as: .masked)
    let written = try? String(contentsOfFile: folder.path + "/out/tokenizer_config.json", encoding: .utf8)
    #expect(written == name.map { "{\n  \"tokenizer_class\": \"\($0)\"\n}\n" })
  }

  /// A class that is not transformers' own is found through `auto_map`, and its code lies beside the weights.
  @Test func codeThatTheConfigurationNamesGoesAlong() throws {
    let folder = try TemporaryFolder()
    let source = folder.path + "/source"
    try FileManager.default.copyItem(atPath: ModelFixture(name: "llama").folder, toPath: source)
    for (name, text) in [
      (
        "config.json",
        #"{"auto_map": {"AutoModelForCausalLM": "modeling_own.Own"},"#
          + (try String(contentsOfFile: source + "/config.json", encoding: .utf8)).dropFirst()
      ),
      ("tokenizer_config.json", #"{"auto_map": {"AutoTokenizer": ["tokenization_own.Own", null]}}"#),
      ("modeling_own.py", "# model"), ("tokenization_own.py", "# tokenizer"), ("setup.py", "# of no use"),
    ] { try Data(text.utf8).write(to: URL(fileURLWithPath: "\(source)/\(name)")) }
    try LanguageModel(source).export(to: folder.path + "/masked", as: .masked)
    let names = try FileManager.default.contentsOfDirectory(atPath: folder.path + "/masked")
    #expect(names.filter { $0.hasSuffix(".py") }.sorted() == ["modeling_own.py", "tokenization_own.py"])
  }

  @Test func whatAClassCannotExpressIsRefusedAndLeavesNothing() throws {
    let folder = try TemporaryFolder()
    let whole = try ModelFixture(name: "gpt2").model()
    let gpt2 = try whole.pruned(by: somePruning(whole.configuration))
    #expect(throws: ModelError.self) { try gpt2.export(to: folder.path + "/a", as: .huggingFace) }
    let mistral = try ModelFixture(name: "mistral-window").model()
    let biased = try mistral.pruned(by: somePruning(mistral.configuration, compensated: true))
    #expect(throws: ModelError.self) { try biased.export(to: folder.path + "/b", as: .masked) }
    #expect(try FileManager.default.contentsOfDirectory(atPath: folder.path).isEmpty)
  }

  /// Material for `interop.py`: set PRN_INTEROP to a folder, run this test, then the script on what it holds.
  @Test(.enabled(if: interopFolder != nil)) func foldersForTransformers() throws {
    let root = try #require(interopFolder)
    try FileManager.default.createDirectory(atPath: root, withIntermediateDirectories: true)
    // transformers has no class for chatglm3.
    for fixture in ModelFixture.all where fixture.name != "chatglm3" {
      let whole = try fixture.model()
      let sequences = try fixture.sequences()
      let prunings = [
        ("plain", somePruning(whole.configuration)),
        ("compensated", somePruning(whole.configuration, compensated: true)),
        ("depth", withoutBlocks([0], whole.configuration)), ("bridge", bridge(over: 1, whole.configuration)),
      ]
      for (kind, pruning) in prunings {
        let model = try whole.pruned(by: pruning)
        for format in folderFormats {
          let folder = "\(root)/\(fixture.name)-\(kind)-\(format.name)"
          try? FileManager.default.removeItem(atPath: folder)
          do {
            try model.export(to: folder, as: format)
          } catch ModelError.cannotExport {
            continue
          }
          let logits = try model.logits(sequences)
          let tokens = (0..<sequences.count).flatMap { i -> [Float] in
            let own = sequences.tokens[sequences[i]].map(Float.init)
            return own + Array(repeating: -1, count: sequences.longest - own.count)
          }
          try Safetensors.write(
            [
              TensorSource("tokens", type: .f32, shape: [sequences.count, sequences.longest]) { try $0.append(tokens) },
              TensorSource("logits", type: .f32, shape: [logits.rows, logits.columns]) { try $0.append(logits.values) },
            ], to: folder + "/prn-check.safetensors")
        }
      }
    }
  }
}

private let folderFormats = ModelFormat.all.filter { $0.suffixes.isEmpty }
private let interopFolder = ProcessInfo.processInfo.environment["PRN_INTEROP"]
