import Numerics

extension ModelFormat {
  /// One file for llama.cpp and what is built on it, tokenizer and chat template included.
  public static let gguf = ModelFormat(name: "gguf", suffixes: ["gguf"], options: [.type, .align]) {
    model, path, options, pulse in
    let target = try GGUFTarget(model, align: options.align ?? 32)
    let tokenizer = try GGUFTokenizer(model.checkpoint.files, rows: model.configuration.vocabularySize)
    let tensors = target.tensors(of: model, as: options.type)
    let metadata = target.metadata(fileType: tensors.first?.type ?? .f32) + tokenizer.metadata
    try GGUFWriter(metadata: metadata, tensors: tensors).write(to: path, pulse: pulse)
    return target.remarks(tensors)
  }
}
