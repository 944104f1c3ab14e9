import Kernel
import Numerics
import Transformer

extension Pruning {
  /// Writes the masks as [layer, unit] and the compensation of each block under `delta/layer_NN`.
  func write(to writer: any ArtifactWriter) throws {
    let keep = PerUnit<UInt8> { module in blocks.map { $0[module].keep.map { $0 ? 1 : 0 } } }
    try keep.write("keep", to: writer, padding: 0, meaning: "1 = kept")
    try slicing?.write(to: writer)
    for (layer, block) in blocks.enumerated() {
      let folder = Pruning.folder(layer)
      for module in Module.allCases {
        guard let bias = block[module].bias else { continue }
        try writer.vector(
          "\(folder)/\(module.biasName)", bias, axis: "d_model", meaning: "added after the projection")
      }
      for module in Module.allCases {
        guard let bridge = block[module].bridge else { continue }
        try writer.array(
          "\(folder)/bridge_weight", bridge.weight.values, shape: [bridge.outputs, bridge.inputs],
          axes: ["d_model", "d_model_2"], meaning: "a map of the normalised stream in the place of this block")
        if let bias = bridge.bias { try writer.vector("\(folder)/bridge_bias", bias, axis: "d_model") }
      }
      try block.attention.heads.write(to: writer, folder)
      for module in Module.allCases {
        for role in module.roles {
          guard let factors = block[module].factors[role] else { continue }
          for (name, matrix) in [("outer", factors.outer), ("inner", factors.inner)] {
            let path = "\(folder)/\(role.rawValue)_\(name)"
            try writer.array(
              path, matrix.values, shape: [matrix.rows, matrix.columns],
              axes: ["\(name)_row_\(layer)_\(role.rawValue)", "\(name)_column_\(layer)_\(role.rawValue)"],
              meaning: "the \(name) one of the two factors of \(role.rawValue)")
          }
        }
      }
      for module in Module.allCases {
        for role in module.roles {
          guard let map = block[module].maps[role] else { continue }
          let path = "\(folder)/\(role.rawValue)_map"
          let axis = "map_row_\(layer)_\(role.rawValue)"
          try writer.array(
            path, map.weight.values, shape: [map.weight.rows, map.weight.columns],
            axes: [axis, "map_column_\(layer)_\(role.rawValue)"],
            meaning: "stands for \(role.rawValue); rows and columns of zeros are gone")
          if let bias = map.bias { try writer.vector("\(path)_bias", bias, axis: axis) }
        }
      }
      for module in Module.allCases {
        guard let weight = block[module].weight else { continue }
        try writer.array(
          "\(folder)/\(module.weightName)", weight.values, shape: [weight.rows, weight.columns],
          axes: ["d_model", "kept_\(layer)_\(module.weightName)"], meaning: "refitted columns of what is kept")
      }
    }
  }

  /// Reads what `write` wrote; nothing is pruned when it wrote nothing.
  init(from reader: any ArtifactReader, structure: Structure) throws {
    guard reader.has("ffn/keep") else {
      self = .none
      return
    }
    let keep = try PerUnit<UInt8>("keep", from: reader, counts: structure.units)
    self.init(
      blocks: try (0..<structure.layers).map { layer in
        let folder = Pruning.folder(layer)
        func bias(_ name: String) throws -> [Float]? {
          reader.has("\(folder)/\(name)") ? try reader.array("\(folder)/\(name)", as: Float.self) : nil
        }
        func weight(_ name: String) throws -> Matrix<Float>? {
          guard reader.has("\(folder)/\(name)") else { return nil }
          let shape = try reader.shape("\(folder)/\(name)")
          return Matrix(
            rows: shape[0], columns: shape[1], values: try reader.array("\(folder)/\(name)", as: Float.self))
        }
        var block = try BlockPruning {
          BranchPruning(
            keep: keep[$0]?[layer].map { $0 == 1 } ?? [], bias: try bias($0.biasName),
            weight: try weight($0.weightName))
        }
        for role in LinearRole.allCases {
          guard let outer = try weight("\(role.rawValue)_outer"), let inner = try weight("\(role.rawValue)_inner")
          else {
            continue
          }
          block[role.module].factors[role] = Factors(outer: outer, inner: inner)
        }
        block.attention.heads = try HeadPruning(from: reader, folder)
        for role in LinearRole.allCases {
          block[role.module].maps[role] = try weight("\(role.rawValue)_map").map {
            DenseMap($0, bias: try bias("\(role.rawValue)_map_bias"))
          }
        }
        block.attention.bridge = try weight("bridge_weight").map { LinearMap($0, bias: try bias("bridge_bias")) }
        return block
      }, slicing: try Slicing(from: reader))
  }

  private static func folder(_ layer: Int) -> String { "delta/" + layerName(layer) }
}

extension HeadPruning {
  /// Writes a row for every key-value head of the unpruned model.
  fileprivate func write(to writer: any ArtifactWriter, _ folder: String) throws {
    if let pairs, let kept = pairs.first?.count {
      try writer.array(
        "\(folder)/rotary_pairs", pairs.flatMap { $0.map(Int32.init) }, shape: [pairs.count, kept],
        axes: ["kv_head", "pair"], meaning: "rotary pairs that queries and keys keep")
    }
    guard let values, let first = values.first else { return }
    for (name, part, meaning) in [
      ("value_reading", \Factors.inner, "A: the values that are left of a head's values"),
      ("value_writing", \Factors.outer, "B: a head's values from those that are left"),
    ] {
      let shape = [values.count, first[keyPath: part].rows, first[keyPath: part].columns]
      try writer.array(
        "\(folder)/\(name)", values.flatMap { $0[keyPath: part].values }, shape: shape,
        axes: ["kv_head", "\(name)_row", "\(name)_column"], meaning: meaning)
    }
  }

  /// Reads what `write` wrote; whole heads when it wrote nothing.
  fileprivate init(from reader: any ArtifactReader, _ folder: String) throws {
    self.init()
    let path = "\(folder)/rotary_pairs"
    if reader.has(path) {
      let (shape, numbers) = (try reader.shape(path), try reader.array(path, as: Int32.self).map(Int.init))
      pairs = (0..<shape[0]).map { Array(numbers[$0 * shape[1]..<($0 + 1) * shape[1]]) }
    }
    guard reader.has("\(folder)/value_reading") else { return }
    func parts(_ name: String) throws -> [Matrix<Float>] {
      let path = "\(folder)/\(name)"
      let (shape, numbers) = (try reader.shape(path), try reader.array(path, as: Float.self))
      let size = shape[1] * shape[2]
      return (0..<shape[0]).map {
        Matrix(rows: shape[1], columns: shape[2], values: Array(numbers[$0 * size..<($0 + 1) * size]))
      }
    }
    values = zip(try parts("value_writing"), try parts("value_reading")).map { Factors(outer: $0, inner: $1) }
  }
}

extension Slicing {
  /// Writes the bases under `delta/slicing`: `shared`, or `00`, `01`, … in the order of the branches.
  func write(to writer: any ArtifactWriter) throws {
    for (place, basis) in bases.enumerated() {
      try writer.array(
        Slicing.path(isShared ? nil : place), basis.values, shape: [basis.rows, basis.columns],
        axes: ["d_model", "direction"],
        meaning: isShared ? "basis of the stream" : "basis of the stream that enters branch \(place)")
    }
  }

  /// Reads what `write` wrote; nil when it wrote nothing.
  init?(from reader: any ArtifactReader) throws {
    func basis(_ path: String) throws -> Matrix<Float> {
      let shape = try reader.shape(path)
      return Matrix(rows: shape[0], columns: shape[1], values: try reader.array(path, as: Float.self))
    }
    if reader.has(Slicing.path(nil)) {
      self.init(bases: [try basis(Slicing.path(nil))])
      return
    }
    var bases: [Matrix<Float>] = []
    while reader.has(Slicing.path(bases.count)) { bases.append(try basis(Slicing.path(bases.count))) }
    if bases.isEmpty { return nil }
    self.init(bases: bases)
  }

  private static func path(_ place: Int?) -> String {
    "delta/slicing/" + (place.map { ($0 < 10 ? "0" : "") + "\($0)" } ?? "shared")
  }
}

extension Module {
  fileprivate var biasName: String { "\(output.rawValue)_bias" }
  fileprivate var weightName: String { "\(output.rawValue)_weight" }
}
