import Foundation
import Numerics
import Testing

@testable import Transformer

/// Exported folders, read back by our own loader. `Tests/Interop/exports.py` reads them with others.
@Suite struct ExportTests {
  private func roundTrip(_ model: LanguageModel, _ format: ModelFormat) throws -> LanguageModel {
    let folder = try TemporaryFolder()
    try model.export(to: folder.path + "/out", as: format, .init(align: 1))
    // The mapping outlives the folder's names.
    return try LanguageModel(folder.path + "/out")
  }

  @Test("both formats read back give the same logits", arguments: ModelFixture.likeLlama, folderFormats)
  func exportsReadBack(_ fixture: ModelFixture, _ format: ModelFormat) throws {
    let whole = try fixture.model()
    let model = try whole.pruned(by: somePruning(whole.configuration))
    let sequences = try fixture.sequences()
    let back = try roundTrip(model, format)
    #expect(relativeError(try back.logits(sequences), try model.logits(sequences)) < 1e-5)
    #expect(back.configuration.slidingWindow == whole.configuration.slidingWindow)
    if format.name == "hf" {
      #expect(back.configuration.family.name == (fixture.name == "mistral-window" ? "prn_mistral" : "prn"))
      #expect(back.totalParameters == model.totalParameters)
      #expect(back.configuration.blocks[1].units.attention == 0)
    } else if format.name == "uniform" {
      #expect(Set(back.configuration.blocks.map { [$0.units.attention, $0.units.ffn] }).count == 1)
      #expect(back.totalParameters < whole.totalParameters)
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
  }

  /// GPT-2 and Qwen 3 have classes with sizes per block, too. OLMo 2 norms its queries across all heads, and ChatGLM3's class
  /// is not transformers' own.
  @Test("a sliced export of other families reads back", arguments: ["gpt2", "qwen3", "olmo2"], [false, true])
  func slicedExportsOfOthersReadBack(_ name: String, isCompensated: Bool) throws {
    let fixture = ModelFixture(name: name)
    let whole = try fixture.model()
    var pruning = somePruning(whole.configuration, compensated: isCompensated)
    let sequences = try fixture.sequences()
    if name == "olmo2" {
      let message = "block 0 lost heads, and olmo2 models norm their queries and keys across all heads"
      let model = try whole.pruned(by: pruning)
      for format in [ModelFormat.huggingFace, .uniform] {
        #expect(try refusal { _ = try roundTrip(model, format) }.hasPrefix(message))
      }
      for layer in pruning.blocks.indices { pruning.blocks[layer].attention.keep = [true, true] }
    }
    let model = try whole.pruned(by: pruning)
    let back = try roundTrip(model, .huggingFace)
    #expect(relativeError(try back.logits(sequences), try model.logits(sequences)) < 1e-5)
    #expect(back.configuration.family.name == "prn_" + name)
    let again = try back.pruned(by: somePruning(back.configuration).keepingAttention(name == "olmo2"))
    let third = try roundTrip(again, .huggingFace)
    #expect(relativeError(try third.logits(sequences), try again.logits(sequences)) < 1e-5)
  }

  @Test func widthsThatNoClassHasAreRefusedAndHeadsThatDoNotDivideBecomeGranite() throws {
    let sequences = try ModelFixture(name: "llama").sequences()
    let llama = try ModelFixture(name: "llama").model()
    var pruning = Pruning.keepingAll(llama.configuration)
    for layer in pruning.blocks.indices { pruning.blocks[layer].attention.keep[1 + layer] = false }
    let model = try llama.pruned(by: pruning)
    let folder = try TemporaryFolder()
    // Three heads of four do not divide 16.
    let remarks = try model.export(to: folder.path + "/out", as: .uniform, .init(align: 1))
    #expect(remarks.contains { $0.contains("granite") })
    let back = try LanguageModel(folder.path + "/out")
    #expect(back.configuration.family.name == "granite")
    #expect(relativeError(try back.logits(sequences), try model.logits(sequences)) < 1e-5)
    let config = try ModelFiles(folder: folder.path + "/out").json("config.json")
    #expect(config["attention_multiplier"] == .number(0.5) && config["num_attention_heads"] == .integer(3))

    let gpt2 = try ModelFixture(name: "gpt2").model()
    let cut = try gpt2.pruned(by: somePruning(gpt2.configuration))
    #expect(try refusal { _ = try roundTrip(cut, .uniform) }.contains("has heads that share the stream"))
    let chatGLM3 = try ModelFixture(name: "chatglm3").model()
    let cutGLM = try chatGLM3.pruned(by: somePruning(chatGLM3.configuration))
    #expect(try refusal { _ = try roundTrip(cutGLM, .huggingFace) }.contains("computes what their blocks do"))
    let same = try ModelFixture(name: "chatglm3").sequences()
    #expect(relativeError(try roundTrip(cutGLM, .uniform).logits(same), try cutGLM.logits(same)) < 1e-5)
    for name in ["qwen3", "olmo2"] {
      let model = try ModelFixture(name: name).model()
      #expect(
        try refusal { try model.export(to: folder.path + "/x.gguf", as: .gguf) }.contains("norms its queries and keys"))
    }
  }

  private func refusal(_ body: () throws -> Void) throws -> String {
    do { try body() } catch ModelError.cannotExport(let reason) { return reason }
    return ""
  }

  @Test func whatIsLeftIsMappedAndTheCardSaysHowToLoadIt() throws {
    let whole = try ModelFixture(name: "gqa-tied").model()
    let model = try whole.pruned(by: somePruning(whole.configuration))
    let folder = try TemporaryFolder()
    for format in folderFormats {
      let out = folder.path + "/" + format.name
      try model.export(to: out, as: format, .init(shard: 2000, origin: ["- made by a test"]))
      let files = try ModelFiles(folder: out)
      let blocks = try files.json("prn_units.json")["blocks"]
      guard case .array(let entries)? = blocks else { throw ModelError.file(path: out, reason: "has no map") }
      #expect(
        entries[0]["kv_heads"] == .array([.integer(0)]) && entries[0]["heads"] == .array([.integer(0), .integer(1)]))
      #expect(entries[1]["heads"] == .array([]))
      #expect(entries[0]["neurons"] == .array(model.pruning.blocks[0].ffn.kept.map { .integer($0) }))
      let card = String(decoding: try files.bytes("README.md"), as: UTF8.self)
      #expect(card.contains("- made by a test") && card.contains("AutoModelForCausalLM"))
      #expect(card.contains("trust_remote_code=True") == (format.name == "hf"))
      let index = try #require(try files.fields("model.safetensors.index.json"))
      #expect(Checkpoint.indexed(in: out).count > 1)
      #expect(try index.object("metadata").integer("total_size") > 2000)
    }
  }

  /// Whatever stops an export, no file has its final name before it is whole.
  @Test func anInterruptedExportLeavesNoFileOfItsName() throws {
    struct Stopped: Error {}
    let model = try ModelFixture(name: "llama").model()
    let folder = try TemporaryFolder()
    for (name, format) in [("m.gguf", ModelFormat.gguf), ("out", .huggingFace)] {
      var left = 5
      #expect(throws: Stopped.self) {
        try model.export(to: folder.path + "/" + name, as: format) {
          left -= 1
          if left == 0 { throw Stopped() }
        }
      }
    }
    let names = try FileManager.default.subpathsOfDirectory(atPath: folder.path)
    #expect(names.filter { $0.hasSuffix("gguf") || $0.hasSuffix("safetensors") || $0.hasSuffix("json") } == [])
  }

  @Test(
    "compensation goes along", arguments: ["llama", "gqa-tied", "llama3", "qwen2", "phi3", "biased", "gpt2"],
    folderFormats)
  func compensationGoesAlong(_ name: String, _ format: ModelFormat) throws {
    let fixture = ModelFixture(name: name)
    let whole = try fixture.model()
    guard name != "gpt2" || format.name != "uniform" else { return }
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
    let gpt2 = try ModelFixture(name: "gpt2").model()
    let cut = try gpt2.pruned(by: somePruning(gpt2.configuration))
    #expect(throws: ModelError.self) { try cut.export(to: folder.path + "/a", as: .uniform, .init(align: 1)) }
    let mistral = try ModelFixture(name: "mistral-window").model()
    let biased = try mistral.pruned(by: somePruning(mistral.configuration, compensated: true))
    #expect(throws: ModelError.self) { try biased.export(to: folder.path + "/b", as: .masked) }
    #expect(try FileManager.default.contentsOfDirectory(atPath: folder.path).isEmpty)
  }

  /// Material for `Tests/Interop/exports.py`: set PRN_INTEROP to a folder, run this test, then the script on what it holds.
  @Test(.enabled(if: interopFolder != nil)) func modelsForOthers() throws {
    let root = try #require(interopFolder)
    try FileManager.default.createDirectory(atPath: root, withIntermediateDirectories: true)
    for fixture in ModelFixture.all {
      let whole = try fixture.model()
      var models = [
        ("whole", Pruning.none), ("plain", somePruning(whole.configuration)),
        ("compensated", somePruning(whole.configuration, compensated: true)),
        ("neurons", somePruning(whole.configuration).keepingAttention(true)),
        ("depth", withoutBlocks([0], whole.configuration)), ("bridge", bridge(over: 1, whole.configuration)),
        ("zeros", otherMaps(whole.configuration)),
      ].map { ($0, whole, $1) }
      if !whole.configuration.family.normsOutput {
        models += [
          ("turned", whole, randomSlicing(whole.configuration, width: 12, isShared: false)),
          ("narrow", whole, randomSlicing(whole.configuration, width: 12, isShared: true)),
        ]
      }
      var bare = withoutBlocks([0], whole.configuration)
      bare.blocks[0].ffn.bias = (0..<whole.configuration.hiddenSize).map { Float($0 - 7) * 0.01 }
      models.append(("bias-alone", whole, bare))
      let hasPairs = whole.configuration.obstacleToPairs == nil
      let heads = narrowHeads(whole.configuration, pairs: hasPairs ? 1 : nil, values: 3)
      models.append(("heads", whole, heads.followed(by: somePruning(whole.configuration), whole.configuration)))
      models.append(("heads-alone", whole, heads))
      let factors = twoFactors(whole)
      models.append(("factors", whole, factors))
      models.append(
        (
          "factors-units", whole,
          factors.followed(by: somePruning(whole.configuration, compensated: true), whole.configuration)
        ))
      models.append(("factors-heads", whole, factors.followed(by: heads, whole.configuration)))
      if !whole.configuration.family.normsOutput {
        let turned = randomSlicing(whole.configuration, width: 12, isShared: false)
        models.append(("heads-turned", whole, Pruning(blocks: heads.blocks, slicing: turned.slicing)))
        models.append(("factors-turned", whole, Pruning(blocks: factors.blocks, slicing: turned.slicing)))
      }
      if whole.configuration.queriesPerUnit > 1 {
        let queries = try fixture.model(.float32, .query)
        models.append(("query", queries, somePruning(queries.configuration)))
      }
      for (kind, whole, pruning) in models {
        let model = try whole.pruned(by: pruning)
        for format in ModelFormat.all {
          // transformers has no class for chatglm3.
          if fixture.name == "chatglm3", format.suffixes.isEmpty { continue }
          let folder = "\(root)/\(fixture.name)-\(kind)-\(format.name)"
          try? FileManager.default.removeItem(atPath: folder)
          do {
            if format.suffixes.isEmpty {
              try model.export(to: folder, as: format)
            } else {
              try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
              try model.export(to: folder + "/model.gguf", as: format, .init(type: .f32))
            }
          } catch ModelError.cannotExport {
            try? FileManager.default.removeItem(atPath: folder)
            continue
          }
          try writeCheck(model, try fixture.sequences(), to: folder + "/prn-check.safetensors")
        }
      }
    }
  }

  private func writeCheck(_ model: LanguageModel, _ sequences: Sequences, to path: String) throws {
    let logits = try model.logits(sequences)
    let tokens = (0..<sequences.count).flatMap { i -> [Float] in
      let own = sequences.tokens[sequences[i]].map(Float.init)
      return own + Array(repeating: -1, count: sequences.longest - own.count)
    }
    let (decoder, text) = (try Decoder(model, memory: .max), KeyValueCache(capacity: 10))
    var added = Array(sequences.tokens[sequences[0]].prefix(4))
    var greedy: [Float] = []
    for _ in 0..<6 {
      let next = try decoder.logits(adding: added, to: text)
      let best = try #require(next.indices.max { next[$0] < next[$1] })
      greedy.append(Float(best))
      added = [Int32(best)]
    }
    try Safetensors.write(
      [
        TensorSource("tokens", type: .f32, shape: [sequences.count, sequences.longest]) { try $0.append(tokens) },
        TensorSource("logits", type: .f32, shape: [logits.rows, logits.columns]) { try $0.append(logits.values) },
        TensorSource("greedy", type: .f32, shape: [greedy.count]) { try $0.append(greedy) },
      ], to: path)
  }
}

extension Pruning {
  /// The same with all heads kept, or this.
  fileprivate func keepingAttention(_ keeps: Bool) -> Pruning {
    Pruning(
      blocks: !keeps
        ? blocks
        : blocks.map { block in
          var block = block
          block.attention.keep = block.attention.keep.map { _ in true }
          return block
        })
  }
}

private let folderFormats = ModelFormat.all.filter { $0.suffixes.isEmpty }
private let interopFolder = ProcessInfo.processInfo.environment["PRN_INTEROP"]
