import Foundation
import Numerics
import Testing

@testable import Transformer

/// The tiny random models of Tests/Fixtures/transformer, and what transformers computes from them.
struct ModelFixture: CustomTestStringConvertible {
  let name: String

  /// Those whose graph is LLaMA's.
  static let likeLlama = [
    "llama", "gqa-tied", "llama3", "linear", "biased", "qwen2", "mistral-window", "phi3", "wide-groups",
  ].map(Self.init)
  /// Those whose graph only their own class has.
  static let others = ["gpt2", "qwen3", "olmo2", "chatglm3"].map(Self.init)
  static let all = likeLlama + others

  var testDescription: String { name }
  var folder: String { projectFolder + "/Tests/Fixtures/transformer/" + name }

  func model(_ precision: Precision = .float32, _ unit: AttentionUnit = .group) throws -> LanguageModel {
    try LanguageModel(folder, precision: precision, attentionUnit: unit)
  }

  func sequences() throws -> Sequences {
    let bytes = try [UInt8](Data(contentsOf: URL(fileURLWithPath: folder + "/sequences.json")))
    guard case .array(let rows) = try JSON.parse(bytes) else { return Sequences([]) }
    return Sequences(
      rows.map { row in
        guard case .array(let tokens) = row else { return [] }
        return tokens.compactMap { if case .integer(let token) = $0 { Int32(token) } else { nil } }
      })
  }

  func expected(_ name: String) throws -> Matrix<Float> { try matrix(name, folder + "/expected.safetensors") }

  /// What comes out when the factors of products are rounded to bfloat16.
  func expectedRounded(_ name: String) throws -> Matrix<Float> {
    try matrix("\(self.name)/\(name)", folder + "/../bfloat.safetensors")
  }

  private func matrix(_ name: String, _ path: String) throws -> Matrix<Float> {
    let file = try TensorFile(safetensors: path)
    let info = try file.info(ByteString(name))
    return Matrix(rows: info.rows, columns: info.columns, values: try file.read(ByteString(name)))
  }
}

let projectFolder = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
  .deletingLastPathComponent().path

/// Material beside the project, too large to belong to it; nil where it is absent.
func sharedPath(_ path: String) -> String? {
  ["/../shared/", "/../../shared/"].map { projectFolder + $0 + path }.first { access($0, F_OK) == 0 }
}

let wikiLlama = sharedPath("models/wiki-llama")
let wikiText = sharedPath("data/wikitext-2/test.txt")

/// The largest difference, relative to the largest number of `expected`.
func relativeError(_ found: Matrix<Float>, _ expected: Matrix<Float>) -> Float {
  guard found.rows == expected.rows, found.columns == expected.columns else { return .infinity }
  let scale = expected.values.map(abs).max() ?? 0
  let error = zip(found.values, expected.values).map { abs($0 - $1) }.reduce(0) { $1.isNaN ? .infinity : max($0, $1) }
  return error / max(scale, .leastNormalMagnitude)
}

/// A folder for one test, removed with the value.
final class TemporaryFolder {
  let path: String

  init() throws {
    let url = FileManager.default.temporaryDirectory.appendingPathComponent("prn-test-" + UUID().uuidString)
    try FileManager.default.createDirectory(at: url, withIntermediateDirectories: true)
    path = url.path
  }

  deinit { try? FileManager.default.removeItem(atPath: path) }
}

/// A copy of a model folder with its config.json changed.
func copy(_ folder: String, to target: String, replacing changes: [(String, String)] = []) throws {
  try? FileManager.default.removeItem(atPath: target)
  try FileManager.default.copyItem(atPath: folder, toPath: target)
  var text = try String(contentsOfFile: target + "/config.json", encoding: .utf8)
  for (old, new) in changes { text = text.replacingOccurrences(of: old, with: new) }
  try text.write(toFile: target + "/config.json", atomically: true, encoding: .utf8)
}

/// That a model says token by token what it says of all at once.
func expectDecodesTheSame(_ model: LanguageModel, _ sequences: Sequences) throws {
  let expected = try model.logits(sequences)
  let (decoder, text) = (try Decoder(model, memory: .max), KeyValueCache(capacity: sequences.tokens.count))
  for (place, token) in sequences.tokens.enumerated() {
    let found = try decoder.logits(adding: [token], to: text)
    #expect(
      relativeError(Matrix(rows: 1, columns: found.count, values: found), expected.rows(place..<place + 1)) < 2e-5)
  }
}
