import Kernel
import Numerics
import Transformer

struct Slice: Op {
  static let name = "slice"
  static let summary = "Keep only the main directions of the residual stream."
  static let reference: String? = "SliceGPT (Ashkboos et al. 2024)"
  static let example = """
    m = load ./data/tiny-llama
    cal = text ./data/calibration.txt model=m samples=16 length=128
    p = slice m cal rate=20%
    """

  enum Basis: String, Choice {
    case own, shared

    var meaning: String {
      switch self {
      case .own: "the stream is turned into a basis of its own before every branch; the maps that turn it are counted"
      case .shared: "one basis for all branches: nothing is turned, and the model is a narrower one of its class"
      }
    }
  }

  @Input("the model") var model: Model
  @Input("the text whose stream says which directions matter, as windows") var corpus: Corpus
  @Param("share of the directions to drop, as the authors count", in: .ifGiven(.from(0.0, below: 1.0)))
  var slicing: Ratio? = nil
  @Param(
    "share of the blocks' parameters to remove, counted with the maps that turn the stream",
    in: .ifGiven(.from(0.0, below: 1.0)))
  var rate: Ratio? = nil
  @Param("directions to keep", unit: "direction", in: .ifGiven(.atLeast(1))) var width: Int? = nil
  @Param("with slicing= or rate=: the directions that stay are rounded down to a multiple of this", in: .atLeast(1))
  var multiple = 8
  @Param("in what basis the stream stands") var basis = Basis.own

  init() {}

  func check() throws -> Model.Facts {
    let given = [("slicing", slicing != nil), ("rate", rate != nil), ("width", width != nil)].filter(\.1).map(\.0)
    guard given.count == 1 else {
      throw Diagnostic(
        given.isEmpty ? "slice needs slicing=, rate= or width=" : "\(given[0])= and \(given[1])= exclude each other",
        argument: given.first, kind: .usage)
    }
    if width != nil, multiple != 8 {
      throw Diagnostic("multiple= belongs to slicing= and rate=", argument: "multiple", kind: .usage)
    }
    return Model.Facts(layers: $model.facts?.layers)
  }

  func estimate(within limit: Int) throws -> Resources {
    let walk = model.network.walkBytes(tokens: corpus.tokens.count, longest: corpus.sequences.longest)
    // What cannot be sliced so is refused by `run`.
    guard let width = try? directions() else { return Resources(memory: walk) }
    return Resources(
      memory: walk
        + StreamSlicing.bytes(model.network, corpus.sequences, width: width, isShared: basis == .shared))
  }

  func run(_ context: any RunContext) throws -> Model {
    try corpus.requireWindows(of: model)
    try model.requireWholeStream(by: Self.name, argument: "model")
    let family = model.configuration.family
    if family.normsOutput {
      throw Diagnostic(
        "slice needs branches that begin with their norms, and those of \(family.name) end with them", argument: "model"
      )
    }
    let slicer = StreamSlicing(
      network: model.network, sequences: corpus.sequences, width: try directions(), context: context)
    let pruning = Pruning(
      blocks: Pruning.keepingAll(model.configuration).blocks,
      slicing: try basis == .own ? slicer.own() : slicer.shared())
    return Model(
      network: try model.network.pruned(by: pruning), source: model.source,
      pruning: model.pruning.followed(by: pruning, model.configuration),
      calibration: merged(model.calibration, [corpus.textHash]), compensation: model.compensation)
  }

  /// d'.
  private func directions() throws -> Int {
    let (network, d) = (model.network, model.configuration.hiddenSize)
    if let slicing { return try streamWidth(slicing: slicing.value, of: d, multiple: multiple) }
    guard let rate else {
      let width = width ?? d
      guard width <= d else { throw SlicingError.width(width, of: d) }
      return width
    }
    return try streamWidth(rate: rate.value, of: d, multiple: multiple, whole: network.blockParameters) {
      network.blockParameters(slicedTo: $0, isShared: basis == .shared)
    }
  }
}

extension Model {
  /// - Throws: when a part of the residual stream is gone, and with it the basis in which the others count.
  func requireWholeStream(by consumer: String, argument: String) throws {
    guard network.slicedWidth != nil else { return }
    throw Diagnostic(
      "\(consumer) needs the whole residual stream, and that of this model is sliced", hint: "slice last",
      argument: argument)
  }

  /// - Throws: when the stream has another basis in every block, so that what enters one and what leaves it cannot be
  ///   compared.
  func requireOneBasis(by consumer: String, argument: String) throws {
    guard network.isTurned else { return }
    throw Diagnostic(
      "\(consumer) compares what enters a block with what leaves it, and this model is sliced: the two stand in different bases",
      argument: argument)
  }
}
