import Kernel
import Transformer

/// What decides what a part of a capture holds: one site of one layer. Which other layers were asked for is not among it.
struct CapturedPart: Hashable {
  let site: Site
  let keep: Set<Statistic>
  /// Whether what enters the block is looked at, too; what leaves it then says how far the block turned the stream.
  let isWithBlockIn: Bool
  /// Content hashes of what it is made from, by the names of the inputs.
  let origin: [String: JSONValue]

  init(_ capture: some SiteKeeping, _ site: Site, origin: [String: JSONValue]) {
    self.site = site
    keep = Set(capture.kept(of: site))
    isWithBlockIn = capture.sites.contains(.blockIn)
    self.origin = origin
  }

  /// The parameters of the child that holds it.
  func parameters(layer: Int) -> [String: JSONValue] {
    let own: [String: JSONValue] = [
      "layer": .integer(layer), "site": .string(site.rawValue),
      "keep": .array(keep.map { .string($0.rawValue) }.sorted { $0.canonical < $1.canonical }),
      "with_block_in": .bool(isWithBlockIn),
    ]
    return own.merging(origin) { own, _ in own }
  }

  /// Bytes of its values and of its Gram matrix.
  func bytes(width: Int, tokens: Int) -> Int {
    (keep.contains(.values) ? width * tokens * 4 : 0) + (keep.contains(.gram) ? width * width * 8 : 0)
  }
}
