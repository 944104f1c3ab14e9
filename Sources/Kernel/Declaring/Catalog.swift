/// Every op of the language, in the order in which help and the docs list them.
public struct Catalog: Sendable {
  public let signatures: [Signature]
  private let types: [String: any Op.Type]
  private let byName: [String: Signature]
  /// The artifact types the ops make, by their names in the language; the store reads files through it.
  public let artifactTypes: [String: any Artifact.Type]
  /// Every meta word, with what the artifact types add to it.
  public let metaWords: [MetaWord]
  /// The op behind `|`, `&`, `^` and `!`, which takes `how=or|and|xor|not`; nil when values have no algebra.
  let algebra: String?
  /// What every value of these ops was computed under; a part of its key.
  let conditions: [String: JSONValue]

  public init(_ ops: [any Op.Type], algebra: (any Op.Type)? = nil, conditions: [String: JSONValue] = [:]) {
    self.algebra = algebra?.name
    self.conditions = conditions
    signatures = ops.map { BoundOp($0).signature }
    types = Dictionary(ops.map { ($0.name, $0) }, uniquingKeysWith: { first, _ in first })
    byName = Dictionary(signatures.map { ($0.name, $0) }, uniquingKeysWith: { first, _ in first })
    let made: [any Artifact.Type] = ops.map { BoundOp.output(of: $0) } + [Sweep.self]
    artifactTypes = Dictionary(made.map { ($0.type.name, $0) }, uniquingKeysWith: { first, _ in first })
    let exportable = artifactTypes.sorted { $0.key < $1.key }.compactMap { $0.value as? any Exportable.Type }
    metaWords = MetaWord.all.map { $0.extended(by: exportable.flatMap { $0.exportForms }) }
  }

  public func metaWord(_ name: String) -> MetaWord? { metaWords.first { $0.name == name } }

  public var names: [String] { signatures.map(\.name) }

  public func signature(_ name: String) -> Signature? { byName[name] }

  /// A fresh call of an op.
  func make(_ name: String) -> BoundOp? { types[name].map(BoundOp.init) }

  /// The names usable as `x.name` for values of a type.
  public func fields(of type: ArtifactType) -> [String: String] { artifactTypes[type.name]?.fields ?? [:] }

  /// Whether `x.name` is declared. A declared `GROUP.name`, with capitals before the point, stands for every `….name`.
  func hasField(_ name: String, of type: ArtifactType) -> Bool {
    let fields = fields(of: type)
    if fields[name] != nil { return true }
    return fields.keys.contains { pattern in
      guard let dot = pattern.firstIndex(of: "."), pattern[..<dot].allSatisfy({ $0.isUppercase }) else { return false }
      return name.hasSuffix(pattern[dot...]) && name.count > pattern[dot...].count
    }
  }

  /// The op closest to a misspelt or foreign name.
  public func suggestion(for name: String) -> String? { suggested(for: name, among: names) }

  /// The op or word of the session closest to what stands at the start of a statement.
  func opening(for name: String) -> String? { suggested(for: name, among: names + MetaWord.all.map(\.name)) }
}

/// The candidate a wrong word most likely means: another word for the same thing, or at most two edits away.
func suggested(for word: String, among candidates: [String]) -> String? {
  let family = synonyms.first { $0.contains(word) }
  return family?.first { candidates.contains($0) } ?? nearest(to: word, among: candidates)
}

/// Words other tools use for the same thing.
private let synonyms: [[String]] = [
  ["k", "components", "clusters", "n_clusters", "n_components"],
  ["rate", "ratio", "sparsity", "pruning_ratio"],
  ["length", "ctx", "context", "seqlen", "block_size"],
  ["samples", "nsamples", "n_samples"],
  ["sites", "site", "hooks"],
  ["how", "method", "mode"],
  ["seed", "random_state"],
  ["damp", "percdamp", "damping"],
  ["eval", "evaluate", "perplexity"],
  ["load", "open", "read", "model"],
  ["text", "corpus", "dataset"],
  ["mask", "threshold", "select"],
  ["capture", "activations", "trace"],
  ["quit", "exit", "q"],
  ["vars", "ls", "who", "names"],
  ["show", "print", "display"],
  ["drop", "rm", "remove", "delete", "del", "unset"],
]
