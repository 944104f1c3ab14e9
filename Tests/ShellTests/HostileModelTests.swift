import Foundation
import Testing

/// Copies of the bundled model with one thing wrong: one sentence names it, exit code 1, no crash.
@Suite(.serialized) struct HostileModelTests {
  enum Fault: String, CaseIterable, Sendable {
    case noConfig, configCutShort, unknownArchitecture, headsDoNotDivide, tooManyLayers
    case noWeights, weightsCutShort, emptyWeights, hugeHeader, nestedHeader, missingTensor, swappedShape, notANumber
    case noTokenizer, tokenizerWithoutVocabulary, tokenizerNotUTF8, tokenizerOfAnotherKind

    /// What the one sentence says.
    var sentence: String {
      switch self {
      case .noConfig: "has no config.json"
      case .configCutShort: "config.json is not valid JSON: the text ends too early"
      case .unknownArchitecture: "model_type is `mamba`; the known ones are llama"
      case .headsDoNotDivide: "config.json: `num_key_value_heads` must divide the 8 heads"
      case .tooManyLayers: "config.json: `num_hidden_layers` is too large: 1000000000000"
      case .noWeights: "has neither model.safetensors nor model.safetensors.index.json"
      case .weightsCutShort: "model.safetensors should have 2892992 bytes by its header and has 100000"
      case .emptyWeights: "model.safetensors is not a safetensors file: it has 0 bytes"
      case .hugeHeader: "its header would take 18446744073709551615 bytes"
      case .nestedHeader: "model.safetensors: the header"
      case .missingTensor: "the data of tensor `model.norm.weight` starts at byte"
      case .swappedShape: "tensor `model.layers.0.mlp.up_proj.weight` has shape [128, 384], expected [384, 128]"
      case .notANumber: "tensor `model.layers.3.mlp.up_proj.weight` holds NaN at element 10"
      case .noTokenizer: "has neither tokenizer.json nor tokenizer.model"
      case .tokenizerWithoutVocabulary: "tokenizer.json has no vocabulary"
      case .tokenizerNotUTF8: "tokenizer.json is not valid JSON: the text is not UTF-8"
      case .tokenizerOfAnotherKind: "tokenizer.json: the model `WordPiece` is not supported"
      }
    }
  }

  @Test(arguments: Fault.allCases) func oneSentenceNamesTheFault(_ fault: Fault) throws {
    let folder = try Program.temporaryFolder()
    defer { try? FileManager.default.removeItem(atPath: folder) }
    let model = folder + "/model"
    try FileManager.default.copyItem(atPath: Program.root + "/data/tiny-llama", toPath: model)
    try spoil(model, fault)
    let script = "m = load \(model)\ntext ./data/test.txt model=m samples=2 length=16"
    let result = try Program.run(["-c", script, "--quiet", "--workspace", folder + "/.prn"], in: Program.root)
    #expect(result.status == 1)
    let errors = result.err.split(separator: "\n").filter { $0.contains("error:") }
    #expect(errors.count == 1, "\(result.err)")
    #expect(errors.first?.contains(fault.sentence) == true, "\(result.err)")
  }

  @Test func whatIsOddAboutAFolderIsSaidOfACachedModelToo() throws {
    let folder = try Program.temporaryFolder()
    defer { try? FileManager.default.removeItem(atPath: folder) }
    let (model, weights) = (folder + "/model", folder + "/model/model.safetensors")
    try FileManager.default.copyItem(atPath: Program.root + "/data/tiny-llama", toPath: model)
    var map: [String: String] = [:]
    try editHeader(weights) { header in
      for name in header.keys where name != "__metadata__" { map[name] = "shard.safetensors" }
      let end = header.values.compactMap { (($0 as? [String: Any])?["data_offsets"] as? [Int])?.last }.max() ?? 0
      header["left.over"] = ["dtype": "U8", "shape": [1], "data_offsets": [end, end + 1]] as [String: Any]
    }
    try (Data(contentsOf: URL(fileURLWithPath: weights)) + Data([0])).write(
      to: URL(fileURLWithPath: model + "/shard.safetensors"))
    try FileManager.default.removeItem(atPath: weights)
    try JSONSerialization.data(withJSONObject: ["weight_map": map], options: .sortedKeys)
      .write(to: URL(fileURLWithPath: model + "/model.safetensors.index.json"))
    for _ in 0..<2 {
      let result = try Program.run(["-c", "m = load ./model", "--quiet"], in: folder)
      #expect(result.status == 0 && result.err.hasPrefix("warning: shard.safetensors holds tensor `left.over`"))
    }
  }

  private func spoil(_ model: String, _ fault: Fault) throws {
    let weights = model + "/model.safetensors"
    let config = model + "/config.json"
    let tokenizer = model + "/tokenizer.json"
    switch fault {
    case .noConfig: try FileManager.default.removeItem(atPath: config)
    case .configCutShort: try put("{", config)
    case .unknownArchitecture: try edit(config) { $0["model_type"] = "mamba" }
    case .headsDoNotDivide: try edit(config) { $0["num_key_value_heads"] = 3 }
    case .tooManyLayers: try edit(config) { $0["num_hidden_layers"] = 1_000_000_000_000 }
    case .noWeights: try FileManager.default.removeItem(atPath: weights)
    case .weightsCutShort: truncate(weights, 100_000)
    case .emptyWeights: truncate(weights, 0)
    case .hugeHeader: try Data(repeating: 0xFF, count: 8).appending("{}").write(to: URL(fileURLWithPath: weights))
    case .nestedHeader:
      let header = #"{"a":"# + String(repeating: "[", count: 100_000)
      try withUnsafeBytes(of: UInt64(header.utf8.count).littleEndian) {
        try Data($0).appending(header).write(to: URL(fileURLWithPath: weights))
      }
    case .missingTensor: try editHeader(weights) { $0["model.layers.5.self_attn.v_proj.weight"] = nil }
    case .swappedShape:
      try editHeader(weights) { header in
        var tensor = header["model.layers.0.mlp.up_proj.weight"] as? [String: Any] ?? [:]
        tensor["shape"] = [128, 384]
        header["model.layers.0.mlp.up_proj.weight"] = tensor
      }
    case .notANumber:
      var start = 0
      try editHeader(weights) { header in
        let tensor = header["model.layers.3.mlp.up_proj.weight"] as? [String: Any]
        start = (tensor?["data_offsets"] as? [Int])?.first ?? 0
      }
      var bytes = try Data(contentsOf: URL(fileURLWithPath: weights))
      let base =
        8 + Int(bytes.prefix(8).enumerated().reduce(UInt64(0)) { $0 | UInt64($1.element) << (8 * UInt64($1.offset)) })
      bytes.replaceSubrange(base + start + 20..<base + start + 22, with: [0xC0, 0x7F])
      try bytes.write(to: URL(fileURLWithPath: weights))
    case .noTokenizer: try FileManager.default.removeItem(atPath: tokenizer)
    case .tokenizerWithoutVocabulary:
      try edit(tokenizer) { whole in
        var model = whole["model"] as? [String: Any] ?? [:]
        model["vocab"] = nil
        whole["model"] = model
      }
    case .tokenizerNotUTF8: try Data([0x7B, 0xFF, 0x7D]).write(to: URL(fileURLWithPath: tokenizer))
    case .tokenizerOfAnotherKind:
      try edit(tokenizer) { whole in
        var model = whole["model"] as? [String: Any] ?? [:]
        model["type"] = "WordPiece"
        whole["model"] = model
      }
    }
  }

  private func put(_ text: String, _ path: String) throws { try Data(text.utf8).write(to: URL(fileURLWithPath: path)) }

  private func edit(_ path: String, _ change: (inout [String: Any]) -> Void) throws {
    let bytes = try Data(contentsOf: URL(fileURLWithPath: path))
    var value = try JSONSerialization.jsonObject(with: bytes) as? [String: Any] ?? [:]
    change(&value)
    try JSONSerialization.data(withJSONObject: value, options: .sortedKeys).write(to: URL(fileURLWithPath: path))
  }

  private func editHeader(_ path: String, _ change: (inout [String: Any]) -> Void) throws {
    let bytes = try Data(contentsOf: URL(fileURLWithPath: path))
    let length = Int(
      bytes.prefix(8).enumerated().reduce(UInt64(0)) { $0 | UInt64($1.element) << (8 * UInt64($1.offset)) })
    var header = try JSONSerialization.jsonObject(with: bytes[8..<8 + length]) as? [String: Any] ?? [:]
    change(&header)
    let text = try JSONSerialization.data(withJSONObject: header, options: .sortedKeys)
    let count = withUnsafeBytes(of: UInt64(text.count).littleEndian) { Data($0) }
    try (count + text + bytes[(8 + length)...]).write(to: URL(fileURLWithPath: path))
  }
}

extension Data {
  fileprivate func appending(_ text: String) -> Data { self + Data(text.utf8) }
}
