import Kernel

/// The op behind `| & ^ !`; scripts write the signs.
struct Combine: Op {
  static let name = "combine"
  static let summary = "Combine masks unit by unit; written with | & ^ ! in scripts."
  static let revision = 2
  static let example = """
    m = load ./data/tiny-llama
    cal = text ./data/calibration.txt model=m samples=32 length=128
    acts = capture m cal sites=ffn.act keep=moments
    a = mask (flap acts) rate=20% scope=layer
    b = mask (score acts how=wanda) rate=20% scope=layer
    either = combine a b how=or
    """

  enum How: String, Choice {
    case or, and, xor, not

    var meaning: String {
      switch self {
      case .or: "keep what any of the masks keeps"
      case .and: "keep what all keep"
      case .xor: "keep what an odd number of them keeps"
      case .not: "keep what the mask drops"
      }
    }
  }

  @Input("masks of one model") var masks: [Mask]
  @Param("how the masks combine") var how: How

  init() {}

  func check() throws -> Mask.Facts {
    if how == .not, $masks.facts(of: Mask.self).count > 1 {
      throw Diagnostic("how=not takes one mask", argument: "masks", kind: .usage)
    }
    let groupings = Set($masks.facts(of: Mask.self).map { $0?.grouping })
    return Mask.Facts(grouping: groupings.count == 1 ? groupings.first ?? nil : .mixed)
  }

  func estimate(within limit: Int) throws -> Resources {
    // A flag for every unit, as it was and as it becomes, and the units that are left.
    Resources(memory: 32 * (masks.first?.structure.unitCount ?? 0))
  }

  func run(_ context: any RunContext) throws -> Mask {
    guard let first = masks.first else { throw Diagnostic("combine needs at least one mask", argument: "masks") }
    for other in masks.dropFirst() {
      guard other.structure.model == first.structure.model else {
        throw Diagnostic(
          "the masks are of different models (\(first.structure.model.prefix(8)) and \(other.structure.model.prefix(8)))",
          argument: "masks")
      }
      guard other.keep.modules() == first.keep.modules() else {
        func names(_ mask: Mask) -> String { mask.keep.modules().map(\.rawValue).joined(separator: "+") }
        throw Diagnostic(
          "the masks cover different units (\(names(first)) and \(names(other)))", argument: "masks")
      }
    }
    var keep = first.keep
    if how == .not { keep = keep.mapUnits { !$0 } }
    for other in masks.dropFirst() {
      for module in keep.modules() {
        keep[module] = zip(keep[module] ?? [], other.keep[module] ?? []).map { zip($0, $1).map(combined) }
      }
    }
    let grouping = masks.allSatisfy { $0.grouping == first.grouping } ? first.grouping : nil
    let mask = Mask(
      structure: first.structure, keep: keep, requested: nil, grouping: grouping,
      calibration: masks.reduce([]) { merged($0, $1.calibration) })
    mask.warnOfEmptiedLayers(context)
    return mask
  }

  private func combined(_ a: Bool, _ b: Bool) -> Bool {
    switch how {
    case .or: a || b
    case .and: a && b
    case .xor: a != b
    case .not: a
    }
  }
}
