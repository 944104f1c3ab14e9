import Kernel
import Numerics
import Transformer

/// What each linear map of each block loses as two factors with a uniform share of its parameters (SVD-LLM V2).
struct TruncationLosses {
  let model: Model
  let acts: Activations
  /// The share that goes.
  let rate: Double
  let context: any RunContext

  /// The inputs of all maps, seen.
  static let sites = SiteNeed.all(LinearRole.allCases.map(\.site).uniqued)

  /// ‖(W − B A) X‖ over all captured tokens: a number for each block, 0 where nothing is left of the map.
  func losses() throws -> [LinearRole: [Double]] {
    let roles = model.configuration.roles
    var losses: [LinearRole: [Double]] = [:]
    for layer in 0..<model.network.layers {
      try context.progress(layer, of: model.network.layers, "layer")
      let block = try model.network.loadBlock(layer)
      for role in roles { losses[role, default: []].append(try loss(role, block)) }
    }
    return losses
  }

  /// Bytes at the peak.
  static func bytes(_ network: LanguageModel) -> Int {
    let maps = (0..<network.layers).flatMap {
      MapSizes.widestFirst(network.configuration.roles, network, layer: $0)
    }
    return network.blockBytes + (maps.map { $0.searchBytes(isWhitened: true) }.max() ?? 0)
  }

  private func loss(_ role: LinearRole, _ block: Block) throws -> Double {
    guard !block[role].units.isEmpty else { return 0 }
    try context.checkCancelled()
    let W = Matrix<Double>(block[role].weight(role))
    let gram = try acts.part(role.site, layer: block.layer).kept(\.gram, .gram).load()
    return try at("\(role.rawValue) of block \(block.layer)") {
      try truncationLoss(
        W, gram: block[role].narrowed(gram, role), rank: rankKeeping(1 - rate, rows: W.rows, columns: W.columns))
    }
  }
}
