import Foundation
import Numerics
import Testing

@testable import Transformer

/// GGUF files: numbers in blocks, models of several architectures, tokenizers, and what is refused.
@Suite struct GGUFTests {
  static let folder = projectFolder + "/Tests/Fixtures/gguf/"

  /// The reference is `quants.dequantize` of the gguf package; see Tests/Fixtures/gguf/make.py. The same operations in the
  /// same order give the same bits.
  @Test("numbers in blocks equal the reference's bit by bit", arguments: GGUFType.allCases.filter { $0 != .f64 })
  func blocksEqualTheReference(_ type: GGUFType) throws {
    let mapping = try MappedFile(path: Self.folder + "blocks.gguf")
    let header = try GGUFHeader(mapping.slice(0..<mapping.count), file: mapping.name)
    let file = TensorFile(mapping, tensors: header.tensors)
    let name = ByteString(type.rawValue.lowercased())
    let expected = try TensorFile(safetensors: Self.folder + "blocks.safetensors").read(name)
    #expect(expected.count == (type.plain == nil ? 6 * type.block.numbers : 24))
    #expect(try file.read(name).map(\.bitPattern) == expected.map(\.bitPattern))
    try file.requireFinite(name)
    let info = try file.info(name)
    var rows = [Float](repeating: 0, count: info.columns)
    try rows.withUnsafeMutableBufferPointer { try file.read(name, rows: 1..<2, into: $0) }
    #expect(rows == Array(expected[info.columns..<2 * info.columns]))
  }

  @Test func infiniteScalesAreFound() {
    for type in GGUFType.allCases where type.plain == nil {
      var bytes = [UInt8](repeating: 0, count: 3 * type.block.bytes)
      let scale = type == .q6K ? 208 : 0
      bytes[type.block.bytes + scale + 1] = 0x7C
      #expect(bytes.withUnsafeBytes { type.firstNonFinite($0) } == type.block.numbers)
    }
  }

  // MARK: - Numbers that prn writes

  /// What a file holds after some numbers were written to it as rows of 32.
  private func written(_ numbers: [Float], _ type: GGUFType) throws -> [Float] {
    let path = try TemporaryFolder()
    let tensor = GGUFWriter.Tensor("blk.0.x", type, [numbers.count / 32, 32]) { try $0(numbers) }
    try GGUFWriter(metadata: [], tensors: [tensor]).write(to: path.path + "/x.gguf", pulse: {})
    let mapping = try MappedFile(path: path.path + "/x.gguf")
    let header = try GGUFHeader(mapping.slice(0..<mapping.count), file: mapping.name)
    #expect(header.tensors["blk.0.x"]?.blocks == (type.plain == nil ? type : nil))
    return try TensorFile(mapping, tensors: header.tensors).read("blk.0.x")
  }

  /// Blocks of random numbers, of zeros, of ties, and of small numbers, whose scale is a subnormal half.
  private var numbers: [Float] {
    var random = RandomStream(seed: 5, name: "blocks")
    let plain = (0..<96).map { _ in Float(random.gaussian()) }
    let zeros = [Float](repeating: 0, count: 32)
    let ties = [-127] + (1..<32).map { Float($0) - 15.5 }
    return plain + zeros + ties + plain[..<32].map { $0 * 1e-5 } + plain[..<32].map { $0 * 1e4 }
  }

  /// ggml's rule (quantize_row_q8_0_ref): of 32 numbers d = max |x| / 127, kept as a half, and of each number the whole
  /// number nearest to x · 1/d, with d as it was before, ties away from zero.
  @Test func q8NumbersAreRoundedByTheRuleOfItsReference() throws {
    let (numbers, found) = (numbers, try written(numbers, .q80))
    for start in stride(from: 0, to: numbers.count, by: 32) {
      let d = numbers[start..<start + 32].map(abs).max().map { $0 / 127 } ?? 0
      for i in start..<start + 32 {
        let whole = d == 0 ? 0 : (numbers[i] * (1 / d)).rounded(.toNearestOrAwayFromZero)
        #expect(found[i] == whole * Float(Float16(d)))
        #expect(abs(found[i] - numbers[i]) <= d * 0.5001 + 127 * abs(d - Float(Float16(d))))
      }
    }
    #expect(Array(found[128..<132]) == [-127, -15, -14, -13])
  }

  @Test func halvesAreRoundedToTheNearestTiesToEven() throws {
    let ties: [Float] = [2049, 2051, -2049, -2051, 1 + 1 / 256, 1 + 3 / 256, 65504, 6e-8]
    let numbers = ties + numbers[8...]
    #expect(try written(numbers, .f16).map(\.bitPattern) == numbers.map { Float(Float16($0)).bitPattern })
    #expect(try written(numbers, .f32) == numbers)
    let rounded = try written(numbers, .bf16)
    #expect(Array(rounded[..<6]) == [2048, 2048, -2048, -2048, 1, 1 + 4 / 256])
    for (number, found) in zip(numbers, rounded) {
      let below = number.bitPattern & 0xFFFF_0000
      let candidates = [below, below + 0x10000].map { Float(bitPattern: $0) }
      let distances = candidates.map { abs(Double($0) - Double(number)) }
      let isEven = below & 0x10000 == 0
      let nearest = distances[0] == distances[1] ? (isEven ? 0 : 1) : distances[0] < distances[1] ? 0 : 1
      #expect(found == candidates[nearest])
    }
  }

  @Test func numbersThatATypeCannotHoldAreRefused() throws {
    for (type, number) in [(GGUFType.f16, Float(65505)), (.q80, 8_400_000)] {
      var many = [Float](repeating: 1, count: 64)
      many[40] = -number
      #expect(throws: ModelError.self) { try written(many, type) }
      for other in [GGUFType.f32, .bf16] { #expect(try written(many, other).allSatisfy(\.isFinite)) }
    }
  }

  /// Files that the gguf package wrote from the folders of ../transformer, against what transformers computed from those.
  @Test(arguments: ["gqa-tied", "llama3", "qwen2", "qwen3", "olmo2", "phi3"])
  func filesOfOthersGiveTheLogitsOfTheFolder(_ name: String) throws {
    let fixture = ModelFixture(name: name)
    let (model, folder) = (try LanguageModel(Self.folder + name + ".gguf"), try fixture.model())
    let sequences = try fixture.sequences()
    #expect(relativeError(try model.logits(sequences), try fixture.expected("logits")) < 1e-4)
    #expect(relativeError(try model.logits(sequences), try folder.logits(sequences)) < 1e-5)
    #expect(model.totalParameters == folder.totalParameters)
    #expect(model.configuration.isTied == folder.configuration.isTied)
    #expect(model.configuration.family.name == folder.configuration.family.name)
  }

  @Test(
    "a model and its exported file give the same logits", arguments: ModelFixture.likeLlama,
    ["whole", "even", "uneven"])
  func exportsReadBack(_ fixture: ModelFixture, _ kind: String) throws {
    let whole = try fixture.model()
    guard whole.configuration.slidingWindow == nil else { return }
    var pruning = somePruning(whole.configuration, compensated: kind == "uneven")
    if kind == "even" { pruning.blocks = pruning.blocks.map { _ in pruning.blocks[0] } }
    let model = kind == "whole" ? whole : try whole.pruned(by: pruning)
    let sequences = try fixture.sequences()
    let path = try TemporaryFolder()
    for type in GGUFType.written {
      try model.export(to: path.path + "/m.gguf", as: .gguf, .init(type: type, align: 1))
      let back = try LanguageModel(path.path + "/m.gguf")
      // Rows of 16 are half precision where blocks of 32 are asked for.
      let tolerance: Float = type == .f32 ? 1e-5 : type == .bf16 ? 5e-2 : 1e-2
      #expect(relativeError(try back.logits(sequences), try model.logits(sequences)) < tolerance)
      if type == .f32, kind != "whole" {
        // What was read is pruned and written again, as a file and as a folder.
        let again = try back.pruned(by: somePruning(back.configuration))
        for (name, format) in [("again.gguf", ModelFormat.gguf), ("again", .huggingFace)] {
          try again.export(to: path.path + "/" + name, as: format, .init(type: .f32, align: 1))
          let third = try LanguageModel(path.path + "/" + name)
          #expect(relativeError(try third.logits(sequences), try again.logits(sequences)) < 1e-5)
        }
        try FileManager.default.removeItem(atPath: path.path + "/again")
      }
    }
  }

  /// ggml's reference: in each block of 32 numbers d = max |x| / 127, kept in half precision, and q = round(x / d).
  @Test("what is written in blocks reads back as the rules say", arguments: GGUFType.written)
  func writtenNumbersFollowTheRules(_ type: GGUFType) throws {
    let folder = try TemporaryFolder()
    var random = RandomStream(seed: 3, name: "blocks")
    var numbers = (0..<3 * 64).map { _ in Float(random.gaussian()) }
    numbers[0...31] = ArraySlice(repeating: 0, count: 32)
    numbers[40] = 1000
    try GGUFWriter(metadata: [], tensors: [.init("x", type, [3, 64]) { try $0(numbers) }]).write(
      to: folder.path + "/x.gguf", pulse: {})
    let mapping = try MappedFile(path: folder.path + "/x.gguf")
    let header = try GGUFHeader(mapping.slice(0..<mapping.count), file: mapping.name)
    #expect(header.tensors[ByteString("x")]?.shape == [3, 64])
    let expected: [Float] =
      switch type {
      case .q80:
        Parallel.ranges(numbers.count, of: 32).flatMap { block -> [Float] in
          let scale = (numbers[block].map(abs).max() ?? 0) / 127
          return numbers[block].map { scale == 0 ? 0 : ($0 * (1 / scale)).rounded() * Float(Float16(scale)) }
        }
      case .f16: numbers.map { Float(Float16($0)) }
      case .bf16:
        numbers.map { number in
          let bits = number.bitPattern
          return Float(bitPattern: (bits + 0x7FFF + (bits >> 16 & 1)) & 0xFFFF_0000)
        }
      default: numbers
      }
    #expect(try TensorFile(mapping, tensors: header.tensors).read(ByteString("x")) == expected)
  }

  /// Rows of the output maps become multiples of `align`, as far as the unpruned model's reach, and nothing else changes.
  @Test("align= pads pruned maps with zeros", arguments: [1, 8, 32])
  func alignPadsWithZeros(_ align: Int) throws {
    let fixture = ModelFixture(name: "wide-groups")
    let whole = try fixture.model()
    var pruning = Pruning.keepingAll(whole.configuration)
    pruning.blocks[1].attention.keep[0] = false
    for neuron in 0..<11 { pruning.blocks[1].ffn.keep[neuron] = false }
    let model = try whole.pruned(by: pruning)
    let folder = try TemporaryFolder()
    let remarks = try model.export(to: folder.path + "/m.gguf", as: .gguf, .init(type: .f32, align: align))
    let back = try LanguageModel(folder.path + "/m.gguf")
    // 13 neurons of 24 are left, and one group of two, 12 columns.
    #expect(back.configuration.units(.ffn, layer: 1) == [1: 13, 8: 16, 32: 24][align])
    #expect(back.configuration.units(.attention, layer: 1) == [1: 1, 8: 2, 32: 2][align])
    #expect(remarks.contains { $0.contains("no multiple of 32") })
    let sequences = try fixture.sequences()
    #expect(relativeError(try back.logits(sequences), try model.logits(sequences)) < 1e-5)
  }

  @Test("what GGUF says of a tokenizer makes the same tokenizer", arguments: TokenizerTests.names)
  func tokenizersReadBack(_ name: String) throws {
    let fixture = try TokenizerFixture(name)
    let (rows, folder) = (fixture.tokenizer.vocabularySize + 3, try TemporaryFolder())
    let source = try ModelFiles(folder: TestFolder.fixtures + "tokenizers/" + name)
    let metadata: [GGUFWriter.Entry]
    do { metadata = try GGUFTokenizer(source, rows: rows).metadata } catch ModelError.cannotExport { return }
    try GGUFWriter(metadata: metadata, tensors: []).write(to: folder.path + "/t.gguf", pulse: {})
    let mapping = try MappedFile(path: folder.path + "/t.gguf")
    let header = try GGUFHeader(mapping.slice(0..<mapping.count), file: mapping.name)
    let files = ModelFiles(path: mapping.path, contents: try GGUFVocabulary(header, rows: rows).files)
    let tokenizer = try Tokenizer(files)
    #expect(tokenizer.vocabularySize == fixture.tokenizer.vocabularySize)
    #expect(tokenizer.prefix == fixture.tokenizer.prefix)
    // How text around added tokens is cut differs between files; GGUF knows one way.
    let own = fixture.tokenizer
    let added = (0..<Int32(own.vocabularySize)).filter { own.kind(of: $0) != .normal && own.kind(of: $0) != .byte }
      .compactMap { own.token($0)?.bytes }
    // And SentencePiece makes tokens that no merge makes.
    let wholes = Set(own.merges.map { ByteString($0.left.bytes + $0.right.bytes) })
    func isMerged(_ id: Int32) -> Bool {
      guard own.style == .sentencePiece, !wholes.isEmpty, let token = own.token(id) else { return true }
      return token.text.unicodeScalars.count == 1 || wholes.contains(token) || own.kind(of: id) == .byte
    }
    // Where a space is put in front of text, SentencePiece puts it also in front of one that is there.
    let spaces = name == "llama2-first" || name == "llama2-always" ? [[UInt8(ascii: " ")], spaceMark] : []
    var compared = 0
    for (text, ids) in zip(fixture.texts, fixture.ids) {
      let words = String(decoding: text, as: UTF8.self)
      let found = try tokenizer.encode(text, addSpecial: false)
      if added.contains(where: { text.contains($0) }) || spaces.contains(where: { text.starts(with: $0) }) { continue }
      guard found.allSatisfy(isMerged) else { continue }
      #expect(found == ids, "\(words)")
      #expect(tokenizer.decode(ids) == own.decode(ids), "\(words)")
      compared += 1
    }
    #expect(compared > 60)
  }

  // MARK: - Refusals

  /// A small file with one thing changed: `change` gets the metadata and the bytes of the last tensor's type.
  private func opened(
    _ changes: [String: GGUFValue?] = [:], bytes change: (inout [UInt8]) -> Void = { _ in }
  ) throws -> String? {
    let folder = try TemporaryFolder()
    let model = try ModelFixture(name: "llama").model()
    let target = try GGUFTarget(model, align: 1)
    var metadata = target.metadata(fileType: .f32).filter { changes[$0.key] == nil }
    for (key, value) in changes { if let value { metadata.append((key, value)) } }
    let path = folder.path + "/m.gguf"
    try GGUFWriter(metadata: metadata, tensors: target.tensors(of: model, as: .f32)).write(to: path, pulse: {})
    var bytes = try [UInt8](Data(contentsOf: URL(fileURLWithPath: path)))
    change(&bytes)
    try Data(bytes).write(to: URL(fileURLWithPath: path))
    do {
      let model = try LanguageModel(path)
      for name in model.tensorNames { try model.checkpoint.requireFinite(name) }
      return nil
    } catch { return "\(error)" }
  }

  /// Changes the type of a tensor in its description.
  private static func retyped(_ name: String, _ id: UInt8) -> (inout [UInt8]) -> Void {
    { bytes in
      let text = Array(name.utf8)
      guard let at = bytes.indices.first(where: { bytes[$0...].starts(with: text) }) else { return }
      bytes[at + text.count + 4 + 8 * Int(bytes[at + text.count])] = id
    }
  }

  @Test func whatCannotBeReadIsNamed() throws {
    #expect(try opened() == nil)
    let whole: (inout [UInt8]) -> Void = { _ in }
    let cases: [(changes: [String: GGUFValue?], bytes: (inout [UInt8]) -> Void, words: String)] = [
      ([:], { $0[0] = 0 }, "m.gguf is not a GGUF file"),
      ([:], { $0[4] = 1 }, "of version 1; versions 2 and 3 are read"),
      ([:], { $0.removeLast(40) }, "the file is cut short"),
      ([:], { $0.removeSubrange(200...) }, "is damaged or cut short (at byte"),
      ([:], { $0.replaceSubrange(0..<26, with: Array("version https://git-lfs.gi".utf8)) }, "is a Git LFS pointer"),
      ([:], Self.retyped("blk.1.ffn_up.weight", 23), "tensor `blk.1.ffn_up.weight` is of type IQ4_XS; the types"),
      ([:], Self.retyped("blk.1.ffn_up.weight", 99), "is of type number 99"),
      ([:], Self.retyped("blk.1.ffn_up.weight", 12), "has rows of 16, which cannot be cut in blocks of 256"),
      ([:], Self.retyped("output_norm.weight", 8), "has rows of 1, which cannot be cut in blocks of 32"),
      ([:], Self.retyped("blk.1.ffn_up.weight", 1), "of the data where"),
      ([:], { $0.replaceSubrange($0.count - 4..<$0.count, with: [0, 0, 0x80, 0x7F]) }, "holds infinity at element"),
      (["split.count": .count(3)], whole, "is one of 3 parts of a model; join them with `llama-gguf-split --merge`"),
      (["general.architecture": .text("mamba")], whole, "of architecture `mamba`; those that are read are llama, deci"),
      (["general.alignment": .count(24)], whole, "`general.alignment` must be a power of two"),
      (["llama.expert_count": .count(8)], whole, "`llama.expert_count` is not known in llama models"),
      (["llama.rope.scaling.type": .text("yarn")], whole, "is yarn; the known types are none and linear"),
      (["llama.embedding_length": nil], whole, "`llama.embedding_length` is missing"),
      (["llama.embedding_length": .count(32)], whole, "has shape [61, 16], expected [61, 32]"),
      (["llama.embedding_length": .text("x")], whole, "`llama.embedding_length` is not a whole number"),
      (["llama.block_count": .count(1)], whole, "tensor `blk.1.attn_k.weight` has no place in a llama model"),
      (["llama.block_count": .count(3)], whole, "has no tensor `blk.2.attn_norm.weight`"),
      (["llama.attention.head_count": .integers([4, 2])], whole, "gives block 1 2 query heads over 4 key-value heads"),
      (
        ["llama.feed_forward_length": .integers([24, 0])], whole, "is 0 in block 1; blocks without a part are not read"
      ),
      (["llama.attention.value_length": .count(8)], whole, "`llama.attention.value_length` must be"),
      (["tokenizer.ggml.model": .text("t5"), "tokenizer.ggml.tokens": .texts(["a"])], whole, "the tokenizer `t5`"),
      (
        [
          "tokenizer.ggml.model": .text("gpt2"), "tokenizer.ggml.tokens": .texts(["a"]),
          "tokenizer.ggml.merges": .texts([]), "tokenizer.ggml.pre": .text("viking"),
        ], whole,
        "the way of cutting text `viking` is not supported"
      ),
      (
        ["tokenizer.ggml.model": .text("gpt2"), "tokenizer.ggml.tokens": .texts(Array(repeating: "a", count: 62))],
        whole,
        "has 62 tokens for 61 rows of the embedding"
      ),
    ]
    for (changes, bytes, words) in cases {
      let message = try #require(try opened(changes, bytes: bytes), "\(words)")
      #expect(message.contains(words), "\(message)")
      #expect(message.contains("m.gguf") && !message.contains("\n"), "\(message)")
    }
  }
}
