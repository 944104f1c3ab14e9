import Kernel
import Numerics
import Transformer

/// A language model: a checkpoint folder and what was taken out of it. Stores the mask and the compensation, never
/// a second copy of the weights.
public struct Model: Artifact, InputValue {
  public static let type = ArtifactType("model")

  /// Configuration, mapped weights and pruning, ready to run.
  public let network: LanguageModel
  /// Content hash of the checkpoint folder.
  public let source: String
  public let pruning: Pruning
  /// Hashes of the texts that scores, compensation or clusters were made from.
  public let calibration: [String]
  /// How the removed outputs are made up for: "none", "bias", "ls", "kfac".
  public let compensation: String

  public var configuration: Configuration { network.configuration }

  /// Share of the unpruned model's block parameters that was removed.
  var removedShare: Double {
    Double(configuration.blockParameters - network.blockParameters) / Double(configuration.blockParameters)
  }

  /// What is gone, for the reports on it; nil when nothing is.
  var removed: Report.Removed? {
    guard network.totalParameters != configuration.totalParameters else { return nil }
    let total = Double(configuration.totalParameters)
    return Report.Removed(
      ofBlocks: removedShare, ofTotal: 1 - Double(network.totalParameters) / total, inOwnTerms: removedInOwnTerms)
  }

  /// What is gone as the systems count it themselves: directions of the stream, blocks, or units of the blocks that lose
  /// any; "nothing" when all is there.
  var removedInOwnTerms: String {
    let gone = pruning.blocks.indices.filter { layer in
      Module.allCases.allSatisfy { pruning.blocks[layer][$0].removesAll }
    }
    var terms =
      pruning.slicing.map { ["\(configuration.hiddenSize - $0.width) of \(configuration.hiddenSize) directions"] } ?? []
    if !gone.isEmpty { terms.append("\(gone.count) of \(configuration.layers) blocks") }
    for module in Module.allCases {
      let cut = pruning.blocks.indices.filter { !gone.contains($0) && !pruning.blocks[$0][module].removed.isEmpty }
      let units = cut.reduce((removed: 0, all: 0)) {
        let branch = pruning.blocks[$1][module]
        return ($0.removed + branch.removed.count, $0.all + branch.keep.count)
      }
      guard units.all > 0 else { continue }
      let share = percent(Double(units.removed) / Double(units.all))
      terms.append("\(share) of the \(module.axis)s of \(cut.count) blocks")
    }
    let factored = pruning.blocks.reduce(0) { sum, block in
      Module.allCases.reduce(sum) { $0 + block[$1].factors.count }
    }
    if factored > 0 { terms.append("\(factored) maps in two factors") }
    terms += goneOfHeads
    if let zeros { terms.append(zeros) }
    return terms.isEmpty ? "nothing" : terms.joined(separator: ", ")
  }

  /// Rows and columns of zeros, which make no file smaller: "12% of the rows and 8% of the columns, as zeros".
  private var zeros: String? {
    network.zeroLines.map { lines in
      func share(_ part: (gone: Int, all: Int)) -> String { percent(Double(part.gone) / Double(max(1, part.all))) }
      return "\(share(lines.rows)) of the rows and \(share(lines.columns)) of the columns, as zeros"
    }
  }

  /// What is gone of the features of the heads that are left.
  private var goneOfHeads: [String] {
    func share(_ size: KeyPath<HeadSizes, Int>) -> Double {
      let sizes = pruning.blocks.indices.map { layer in
        let whole = configuration.blocks[layer].heads?.size[keyPath: size] ?? configuration.headSize
        return (whole: whole, left: network.headSizes(layer: layer)?[keyPath: size] ?? whole)
      }
      let sum = sizes.reduce((whole: 0, left: 0)) { ($0.whole + $1.whole, $0.left + $1.left) }
      return Double(sum.whole - sum.left) / Double(max(1, sum.whole))
    }
    return [("rotary pairs", share(\.key)), ("directions of values", share(\.value))].compactMap { what, share in
      share > 0 ? "\(percent(share)) of the \(what)" : nil
    }
  }

  public var summary: String {
    let shape = "\(configuration.family.name) \(counted(configuration.layers, "layer")), d \(configuration.hiddenSize)"
    let parameters =
      "\(abbreviated(network.totalParameters)) parameters"
      + (network.precision == .float32 ? "" : ", in \(network.precision.rawValue)")
      + (configuration.attentionUnit == .group ? "" : ", units of a query head per group")
    guard !pruning.blocks.isEmpty else { return "\(shape), \(parameters)" }
    let absent = pruning.absentBlocks
    let bridged = pruning.bridgedBlocks
    let isFactored = pruning.blocks.contains(where: \.hasFactors)
    let depth =
      (absent.isEmpty ? "" : ", \(blockList(absent)) as a whole")
      + (bridged.isEmpty ? "" : ", a linear map in the place of \(blockList(bridged))")
      + (isFactored ? ", maps of two factors" : "")
      + (pruning.blocks.contains(where: \.hasOtherMaps) ? ", rows and columns of maps zeros" : "")
      + goneOfHeads.map { ", without \($0)" }.joined()
      + (pruning.slicing.map { ", \($0.width) of \(configuration.hiddenSize) directions of the stream left" } ?? "")
    return "\(parameters), \(percent(removedShare)) of the blocks removed\(depth), \(shape)"
  }

  public static let fields = [
    "layers": "number of blocks", "parameters": "number of parameters left",
    "rate": "share of the block parameters that was removed",
  ]
  public func field(_ name: String) -> Literal? {
    switch name {
    case "layers": return .integer(configuration.layers)
    case "parameters": return .integer(network.totalParameters)
    case "rate": return .ratio(removedShare)
    default: return nil
    }
  }

  public init(
    network: LanguageModel, source: String, pruning: Pruning = .none, calibration: [String] = [],
    compensation: String = "none"
  ) {
    self.network = network
    self.source = source
    self.pruning = pruning
    self.calibration = calibration
    self.compensation = compensation
  }
}

/// What a model says of statistics that are those of a model it was made from; nothing where they are its own.
func statisticsOfEarlier(_ acts: Activations?, _ content: String) -> String {
  guard let acts, acts.structure.model != content else { return "" }
  return ", statistics of model \(acts.structure.model.prefix(8))"
}

extension Precision: Choice {}
extension AttentionUnit: Choice {
  public var meaning: String {
    switch self {
    case .group: "a key-value head with its query heads"
    case .query: "one query head of every key-value head"
    }
  }
}

// MARK: - The file

extension Model {
  public func write(to writer: any ArtifactWriter) throws {
    let checkpoint = network.checkpoint
    try writer.attribute("arch", .string(configuration.family.name))
    try writer.attribute("layers", .integer(configuration.layers))
    try writer.attribute("d_model", .integer(configuration.hiddenSize))
    try writer.attribute("params", .integer(network.totalParameters))
    try writer.attribute("source_sha256", .string(source))
    try writer.attribute("comp", .string(compensation))
    try writer.attribute("precision", .string(network.precision.rawValue))
    if configuration.attentionUnit != .group {
      try writer.attribute("gqa", .string(configuration.attentionUnit.rawValue))
    }
    try writer.calibration(calibration)
    try writer.text("config", String(decoding: JSON.object(checkpoint.config.members).serialized(), as: UTF8.self))
    func left(_ module: Module) -> [Int] {
      (0..<configuration.layers).map { pruning[$0]?[module].kept.count ?? configuration.units(module, layer: $0) }
    }
    try writer.vector("d_ff", left(.ffn).map(Int32.init), axis: "layer")
    let heads = left(.attention).map(configuration.heads)
    try writer.vector("kv_heads", heads.map { Int32($0.keyValues) }, axis: "layer")
    let names = checkpoint.tensorNames.map(\.description).sorted()
    let infos = try names.map { try checkpoint.info(ByteString($0)) }
    try writer.strings("tensor/name", names, axis: "tensor")
    try writer.strings("tensor/dtype", infos.map(\.typeName), axis: "tensor")
    let shapes = infos.flatMap { info in (0..<4).map { Int64(info.shape.count > $0 ? info.shape[$0] : 1) } }
    try writer.array("tensor/shape", shapes, shape: [names.count, 4], axes: ["tensor", "axis"])
    try writePruning(to: writer)
  }

  private func writePruning(to writer: any ArtifactWriter) throws {
    guard !pruning.blocks.isEmpty else {
      let sizes = (0..<configuration.layers).map { Float(configuration.linearParameters(layer: $0)) }
      return try writer.preview(title: "linear parameters of each block", values: sizes, axis: "layer")
    }
    try pruning.write(to: writer)
    let shares = pruning.blocks.map { Float($0.ffn.keptShare) }
    try writer.preview(title: "share of neurons kept in each block", values: shares, axis: "layer")
  }

  public init(from reader: any ArtifactReader) throws {
    source = try reader.attribute("source_sha256").stringValue ?? ""
    compensation = try reader.attribute("comp").stringValue ?? "none"
    calibration = try reader.calibration()
    let checkpoint = try Checkpoint(reader.source(content: source))
    let precision = (try? reader.attribute("precision"))?.stringValue.flatMap(Precision.init(rawValue:)) ?? .float32
    let unit = (try? reader.attribute("gqa"))?.stringValue.flatMap(AttentionUnit.init(rawValue:)) ?? .group
    let whole = try LanguageModel(checkpoint: checkpoint, precision: precision, attentionUnit: unit)
    pruning = try Pruning(from: reader, structure: Structure(whole, model: ""))
    network = try whole.pruned(by: pruning)
  }
}

/// 8523776 as `8.5M`.
func abbreviated(_ number: Int) -> String {
  switch number {
  case 1_000_000_000...: return formatted((Double(number) / 1e7).rounded() / 100) + "G"
  case 1_000_000...: return formatted((Double(number) / 1e4).rounded() / 100) + "M"
  case 10_000...: return formatted((Double(number) / 1e2).rounded() / 10) + "k"
  default: return String(number)
  }
}
