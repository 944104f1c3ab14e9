/// A GGUF file seen as the folder that it was made from: configuration, tokenizer and tensors under their names there.
struct GGUFModel {
  let tensors: TensorFile
  let files: ModelFiles

  /// - Throws: `GGUFError` naming the key or tensor that is missing, damaged or not known, or `SafetensorsError` when the
  ///   file cannot be mapped.
  init(_ path: String) throws {
    let mapping = try MappedFile(path: path)
    let header = try withExtendedLifetime(mapping) {
      try GGUFHeader(mapping.slice(0..<mapping.count), file: mapping.name)
    }
    let stored = TensorFile(mapping, tensors: header.tensors)
    let settings = try GGUFConfiguration(header, stored)
    let configuration: Configuration
    let fields = try JSONFields(settings.json, file: mapping.name)
    do { configuration = try Configuration(fields, attentionUnit: settings.attentionUnit) } catch let error
      as FieldError
    {
      throw GGUFError.value(file: mapping.name, key: error.field, problem: error.problem)
    }

    // Every tensor has its place, and every place its tensor: what was left out would change what is computed.
    let layout = TensorLayout(configuration, contains: { _ in true })
    let names = GGUFArchitecture.names(layout)
    var tensors: [ByteString: TensorInfo] = [:]
    var left = header.tensors
    left[ByteString(GGUFArchitecture.frequencies)] = nil
    for slot in layout.slots {
      let name = names[slot.name] ?? slot.name
      guard var info = left.removeValue(forKey: ByteString(name)) else {
        throw GGUFError.noTensor(file: mapping.name, name: name)
      }
      guard info.shape == slot.shape else {
        throw GGUFError.tensor(
          file: mapping.name, name: ByteString(name), problem: "has shape \(info.shape), expected \(slot.shape)")
      }
      if case .linear(let roles, _) = slot.content, let role = roles.first, roles.count == 1 {
        let order = settings.architecture.rowOrder(
          of: role, rows: info.rows, headSize: configuration.headSize, configuration.rotary)
        if let order { info.rowOrder = order.indices.sorted { order[$0] < order[$1] } }
      }
      tensors[ByteString(slot.name)] = info
    }
    if let extra = left.keys.min() {
      throw GGUFError.tensor(
        file: mapping.name, name: extra, problem: "has no place in a \(settings.architecture.name) model")
    }
    self.tensors = TensorFile(mapping, tensors: tensors)
    let config = settings.json
    var files = try GGUFVocabulary(header, rows: configuration.vocabularySize).files
    files["config.json"] = { config.serialized(indented: true) }
    let family = configuration.family
    if let code = family.codeFile, family.layerSizes != nil { files[code] = { Array(modelingFile(for: family).utf8) } }
    self.files = ModelFiles(path: path, contents: files)
  }
}
