import Kernel
import Numerics
import Transformer

struct Kinds: Op {
  static let name = "kinds"
  static let summary = "Tell the tokens of a text apart by labels that people gave its passages."
  static let example = """
    m = load ./data/tiny-llama
    cal = text ./data/calibration.txt model=m samples=16 length=128
    cl = kinds cal model=m labels=./data/calibration.labels.tsv
    """

  @Input("the text, whole or as windows") var corpus: Corpus
  @Input("the model whose layers the clusters are for", named: true) var model: Model
  @External(
    "tab-separated `start end kind` in bytes, the end not included, or `line kind`, as data/*.labels.tsv",
    positional: false)
  var labels

  init() {}

  func check() throws -> Clusters.Facts { Clusters.Facts(k: nil) }

  func estimate(within limit: Int) throws -> Resources {
    // Where each token stands, its kind and its passage; and its label in every layer as it is written.
    Resources(memory: corpus.tokens.count * (64 + 8 * model.configuration.layers))
  }

  func run(_ context: any RunContext) throws -> Clusters {
    try corpus.requireTokenizer(of: model)
    let reference = $corpus.references[0]
    let (labels, tokens) = try Labels.read(labels[0].path, of: corpus, reference, context)
    let passages = labels.passages(of: tokens)
    let all = labels.kinds(of: tokens)
    // Kinds of which the windows hold no token are none of theirs.
    let met = Set(all)
    let kinds = labels.kinds.indices.filter { met.contains(Int32($0)) }
    guard !kinds.isEmpty else {
      throw Diagnostic("none of the labels is of a part of the text that the windows hold", argument: "labels")
    }
    let number = Dictionary(uniqueKeysWithValues: kinds.enumerated().map { (Int32($1), Int32($0)) })
    let label = all.map { number[$0] ?? -1 }
    let sizes = kinds.indices.map { kind in Int64(label.count { $0 == Int32(kind) }) }
    let layers = Array(0..<model.configuration.layers)
    return Clusters(
      label: layers.map { _ in label }, center: [], basis: [], size: layers.map { _ in sizes }, inertia: [],
      layers: layers, corpus: reference.content, model: $model.references[0].content, site: "", seed: 0,
      kinds: Clusters.Kinds(names: kinds.map { labels.kinds[$0] }, passage: passages), calibration: [corpus.textHash])
  }
}
