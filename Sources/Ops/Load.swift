import Kernel
import Numerics
import Transformer

/// The files of a model folder that make up its content.
let modelFiles = ["config.json", "*.safetensors", "model.safetensors.index.json"] + Tokenizer.files

struct Load: Op {
  static let name = "load"
  static let summary = "Open a model: a local folder in Hugging Face layout, or a GGUF file."
  static let example = "m = load ./data/tiny-llama"

  @External(
    "a folder with config.json, safetensors files and a tokenizer, or a GGUF file", files: modelFiles,
    further: { Checkpoint.indexed(in: $0) }, orFile: true, advice: { Load.advice($0) }) var path
  @Param("in what products are computed: floats, or bfloat16 with sums in floats") var precision = Precision.float32
  @Param(
    "an attention unit: a key-value head with its query heads, or one query head of every key-value head",
    later: true)
  var gqa = AttentionUnit.group

  init() {}

  /// For what looks like a model of the hub: `meta-llama/Llama-2-7b-hf`.
  private static func advice(_ path: String) -> String? {
    let parts = path.split(separator: "/", omittingEmptySubsequences: false)
    guard parts.count == 2, let name = parts.last, !name.isEmpty, !parts[0].hasPrefix("."), !parts[0].isEmpty else {
      return nil
    }
    return "models are local: `hf download \(path) --local-dir ./\(name)` fetches one, then `load ./\(name)`"
  }

  /// The number of layers, so that positions among them are checked before anything runs. What is wrong with the folder
  /// is told when it is loaded.
  func check() throws -> Model.Facts {
    let checkpoint = path.first.flatMap { try? Checkpoint($0.path) }
    return Model.Facts(layers: checkpoint.flatMap { try? Configuration($0.config, attentionUnit: gqa) }?.layers)
  }

  func estimate(within limit: Int) throws -> Resources {
    guard let path = path.first?.path, let network = try? LanguageModel(path) else { return Resources() }
    return Resources(memory: network.largestStoredBytes + network.tokenizerBytes)
  }

  func run(_ context: any RunContext) throws -> Model {
    guard let source = path.first else { throw Diagnostic("load needs a path", argument: "path") }
    let network = try LanguageModel(source.path, precision: precision, attentionUnit: gqa)
    network.checkpoint.warnings.forEach(context.warn)
    if !precision.isNative {
      context.warn(
        "this processor has no instructions for \(precision.rawValue): the numbers are the same, only slower")
    }
    // A tokenizer that cannot be used or a broken weight is found now, not an hour into a capture.
    if Tokenizer.exists(in: network.checkpoint.files) { _ = try Tokenizer(network.checkpoint.files) }
    let names = network.tensorNames
    for (done, name) in names.enumerated() {
      try context.progress(done, of: names.count, "tensor")
      try network.checkpoint.requireFinite(name)
      try network.checkpoint.release(name)
    }
    return Model(network: network, source: source.content)
  }
}
