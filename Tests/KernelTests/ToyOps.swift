import Kernel

/// Artifacts that are only a text saying how they were made.
protocol ToyArtifact: Artifact, InputValue {
  var text: String { get }
  init(text: String)
}

extension ToyArtifact {
  var summary: String { "made by \(text.prefix(20))" }
  func write(to writer: any ArtifactWriter) throws { try writer.text("text", text) }
  init(from reader: any ArtifactReader) throws { self.init(text: try reader.text("text")) }
}

struct ToyModel: ToyArtifact { static let type = ArtifactType("model"); let text: String }
struct ToyCorpus: ToyArtifact { static let type = ArtifactType("corpus"); let text: String }
struct ToyActivations: ToyArtifact {
  static let type = ArtifactType("activations")
  let text: String
  struct Facts: Codable, Sendable { var keep: [Keep] }
}
struct ToyNetworks: ToyArtifact { static let type = ArtifactType("networks"); let text: String }
struct ToyClusters: ToyArtifact { static let type = ArtifactType("clusters"); let text: String }
struct ToyAffinity: ToyArtifact { static let type = ArtifactType("affinity"); let text: String }
struct ToyGroups: ToyArtifact { static let type = ArtifactType("groups"); let text: String }
struct ToyScores: ToyArtifact { static let type = ArtifactType("scores"); let text: String }
struct ToyRates: ToyArtifact { static let type = ArtifactType("rates"); let text: String }
struct ToyTable: ToyArtifact { static let type = ArtifactType("table"); let text: String }

struct ToyMask: ToyArtifact {
  static let type = ArtifactType("mask")
  static let fields = ["rate": "share removed"]
  let text: String
  func field(_ name: String) -> Literal? { name == "rate" ? .ratio(0.25) : nil }
}

struct ToyReport: ToyArtifact {
  static let type = ArtifactType("report")
  static let fields = ["token_perplexity": "perplexity per token", "TASK.acc": "accuracy"]
  let text: String
  func field(_ name: String) -> Literal? { name == "token_perplexity" ? .number(12.5) : nil }
}

extension Choice {
  var meaning: String { "the choice \(rawValue)" }
}

enum Site: String, Choice {
  case heads = "attn.heads", act = "ffn.act", gate = "ffn.gate", up = "ffn.up", input = "ffn.in", blockIn = "block.in"
  case blockOut = "block.out"
}
enum Keep: String, Choice, Codable { case values, moments, gram, stream }
enum Take: String, Choice { case random, order }
enum How: String, Choice { case oneshot, greedy }
enum ScoreHow: String, Choice { case max_abs_z, wanda }
enum Comp: String, Choice { case none, bias, ls }
enum Scope: String, Choice { case global, layer }
enum Base: String, Choice { case block, total }
enum Weight: String, Choice { case none, context }
enum Reduce: String, Choice { case pca, cca }
enum Metric: String, Choice { case wifv, wifn }
enum Allocation: String, Choice { case clip, plain }
enum Assignment: String, Choice { case exact, greedy }
enum By: String, Choice { case flap, obc }
enum Combination: String, Choice { case or, and, xor, not }

/// Ops that make texts, which take no memory worth the name.
protocol ToyOp: Op {}

extension ToyOp {
  func estimate(within limit: Int) throws -> Resources { Resources(memory: 0) }
}

struct Load: ToyOp {
  static let name = "load"
  static let summary = "Open a model."
  static let example = "m = load ./data/tiny-llama"
  @External("a folder", files: ["config.json"]) var path
  func run(_ context: any RunContext) throws -> ToyModel { ToyModel(text: "load \(path.map(\.content))") }
}

struct Text: ToyOp {
  static let name = "text"
  static let summary = "Read a text."
  static let example = "c = text ./data/test.txt model=m"
  @External("a text file") var path
  @Input("whose tokenizer reads it", named: true) var model: ToyModel
  @Param("windows to cut", in: .atLeast(1)) var samples: Int? = nil
  @Param("tokens per window", unit: "token", in: .atLeast(2)) var length = 2048
  @Param("seed", in: .atLeast(0)) var seed = 0
  @Param("where windows start") var take = Take.random
  func run(_ context: any RunContext) throws -> ToyCorpus {
    ToyCorpus(text: "text \(path.map(\.content)) \(length) \(model.text)")
  }
}

struct Capture: Joining {
  typealias Output = ToyActivations
  static let name = "capture"
  static let summary = "Keep what a model shows."
  static let example = "acts = capture m cal sites=ffn.act"
  @Input("the model") var model: ToyModel
  @Input("the corpus") var corpus: ToyCorpus
  @Input("clusters", named: true) var by: ToyClusters?
  @Input("groups", named: true) var groups: ToyGroups?
  @Param("where to look") var sites: [Site]
  @Param("what to keep") var keep: [Keep] = [.moments]
  @Param("which layers") var layers = Positions()
  func check() throws -> ToyActivations.Facts { .init(keep: keep) }
  func canJoin(_ first: Capture) -> Bool { $corpus.references == first.$corpus.references }
  /// Each of the others needs a tebibyte.
  func estimate(within limit: Int, with companions: [Capture]) throws -> Resources {
    Resources(memory: companions.count << 40)
  }
  func run(_ context: any RunContext, with companions: [Companion<Capture>]) throws -> ToyActivations {
    for companion in companions {
      try companion.attempt(writing: true) {
        if companion.call.sites == [.gate] { throw Diagnostic("there is no gate") }
      }
    }
    return ToyActivations(text: "capture \(corpus.text) \(sites)")
  }
}

struct CanICA: ToyOp {
  static let name = "canica"
  static let summary = "Find functional networks."
  static let example = "nets = canica acts components=16"
  @Input("activations") var activations: ToyActivations
  @Param("number of components", in: .atLeast(1)) var components = 64
  @Param("components of each text", in: .atLeast(1)) var per_run = 8
  @Param("seed", in: .atLeast(0)) var seed = 0
  @Param("how texts are reduced") var reduce = Reduce.pca
  func run(_ context: any RunContext) throws -> ToyNetworks {
    ToyNetworks(text: "canica \(activations.text) \(components) \(seed)")
  }
}

struct Flap: ToyOp {
  static let name = "flap"
  static let summary = "Score by fluctuation."
  static let reference: String? = "FLAP section 3"
  static let revision = 2
  static let example = "s = flap acts metric=wifv"
  @Input("activations with moments") var activations: ToyActivations
  @Param("which fluctuation") var metric = Metric.wifv
  @Param("how tokens are weighted") var weight = Weight.none
  @Param("width of the weighting", in: .above(0)) var tau = Scale9(9)
  func check() throws -> NoFacts {
    if $activations.facts?.keep.contains(.moments) != true {
      throw Diagnostic("flap needs moments", hint: "add `keep=moments` to the capture", argument: "activations")
    }
    return NoFacts()
  }
  func run(_ context: any RunContext) throws -> ToyScores { ToyScores(text: "flap \(activations.text)") }
}

typealias Scale9 = Double

struct OBC: ToyOp {
  static let name = "obc"
  static let summary = "Score by reconstruction error."
  static let example = "s = obc acts how=oneshot"
  @Input("activations with Grams") var activations: ToyActivations
  @Param("one shot or one by one") var how = How.oneshot
  @Param("damping", in: .between(0, 1)) var damp: Ratio = 0.01
  @Param("how tokens are weighted") var weight = Weight.none
  @Param("width of the weighting", in: .above(0)) var tau = 9.0
  func run(_ context: any RunContext) throws -> ToyScores { ToyScores(text: "obc \(activations.text) \(how)") }
}

struct Score: ToyOp {
  static let name = "score"
  static let summary = "Score by a simple rule."
  static let example = "s = score nets how=max_abs_z"
  @Input("networks or activations") var from: Either<ToyNetworks, ToyActivations>
  @Param("which rule") var how: ScoreHow
  func run(_ context: any RunContext) throws -> ToyScores { ToyScores(text: "score \(how)") }
}

struct MakeMask: ToyOp {
  static let name = "mask"
  static let summary = "Choose what to remove."
  static let example = "mk = mask s rate=20%"
  @Input("scores") var scores: ToyScores
  @Input("a rate per block", named: true) var rates: ToyRates?
  @Input("neuron groups", named: true) var within: ToyGroups?
  @Param("share to remove", in: .between(0, 1)) var rate: Ratio? = nil
  @Param("who competes") var scope = Scope.global
  @Param("layers that stay whole") var protect = Positions()
  @Param("what the rate counts") var base = Base.block
  func check() throws -> NoFacts {
    if rate == nil, !$rates.isGiven { throw Diagnostic("mask needs rate= or rates=", kind: .usage) }
    return NoFacts()
  }
  // The scope leaves no trace in the content, so that early cut-off can be tested.
  func run(_ context: any RunContext) throws -> ToyMask {
    if rate == 0.4 && scores.text == "score wanda" { throw Diagnostic("no unit is left", argument: "rate") }
    return ToyMask(text: "mask \(scores.text) \(rate?.value ?? 0)")
  }
}

struct Combine: ToyOp {
  static let name = "combine"
  static let summary = "Combine masks."
  static let example = "c = combine a b how=or"
  @Input("masks") var masks: [ToyMask]
  @Param("how") var how: Combination
  func run(_ context: any RunContext) throws -> ToyMask { ToyMask(text: "\(how) \(masks.map(\.text))") }
}

struct Prune: ToyOp {
  static let name = "prune"
  static let summary = "Apply masks."
  static let example = "p = prune m mk"
  @Input("the model") var model: ToyModel
  @Input("masks") var masks: [ToyMask]
  @Input("activations", named: true) var acts: ToyActivations?
  @Param("how to repair") var comp = Comp.none
  func run(_ context: any RunContext) throws -> ToyModel { ToyModel(text: "prune \(masks.map(\.text)) \(comp)") }
}

struct Eval: ToyOp {
  static let name = "eval"
  static let summary = "Measure perplexity."
  static let example = "r = eval m held length=128"
  @Input("the model") var model: ToyModel
  @Input("the text") var corpus: ToyCorpus?
  @External("task files", positional: false, required: false, list: true) var tasks
  @Param("window length", in: .atLeast(2)) var length: Int? = nil
  func run(_ context: any RunContext) throws -> ToyReport { ToyReport(text: "eval \(model.text)") }
}

struct Compare: ToyOp {
  static let name = "compare"
  static let summary = "Put reports side by side."
  static let example = "t = compare [dense: a, cut: b]"
  @Input("reports") var reports: [Labelled<ToyReport?>]
  @Input("the baseline", named: true) var baseline: Labelled<ToyReport>?
  @Param("a title") var title = ""
  func run(_ context: any RunContext) throws -> ToyTable {
    let rows = reports.map { row -> String in
      let name = (row.label.map { [$0] } ?? []) + row.coordinates.map { "\($0.name)=\($0.value.rendered)" }
      return name.joined(separator: ",") + ":" + (row.value == nil ? "failed" : "ok")
    }
    return ToyTable(text: (["baseline=\(baseline?.label ?? "")"] + rows).joined(separator: " "))
  }
}

struct KMeans: ToyOp {
  static let name = "kmeans"
  static let summary = "Cluster tokens."
  static let example = "cl = kmeans acts k=7"
  @Input("activations") var activations: ToyActivations
  @Param("clusters", in: .atLeast(1)) var k = 7
  @Param("dimensions kept", in: .atLeast(1)) var pca = 64
  @Param("seed", in: .atLeast(0)) var seed = 0
  func run(_ context: any RunContext) throws -> ToyClusters { ToyClusters(text: "kmeans \(k)") }
}

struct Taylor: ToyOp {
  static let name = "taylor"
  static let summary = "Score neurons for clusters."
  static let example = "S = taylor m cal by=cl"
  @Input("the model") var model: ToyModel
  @Input("the corpus") var corpus: ToyCorpus
  @Input("clusters", named: true) var by: ToyClusters
  func run(_ context: any RunContext) throws -> ToyAffinity { ToyAffinity(text: "taylor \(by.text)") }
}

struct Assign: ToyOp {
  static let name = "assign"
  static let summary = "Assign neurons to groups."
  static let example = "gr = assign S shared=1"
  @Input("affinity") var affinity: ToyAffinity
  @Param("shared groups", in: .atLeast(0)) var shared = 1
  @Param("how") var how = Assignment.exact
  func run(_ context: any RunContext) throws -> ToyGroups { ToyGroups(text: "assign \(affinity.text)") }
}

struct Allocate: ToyOp {
  static let name = "allocate"
  static let summary = "Share a rate among blocks."
  static let example = "al = allocate ctx rate=20%"
  @Input("activations") var activations: ToyActivations
  @Param("mean rate", in: .from(0, below: 1)) var rate: Ratio
  @Param("how") var how = Allocation.clip
  func run(_ context: any RunContext) throws -> ToyRates { ToyRates(text: "allocate \(rate.value)") }
}

struct Cascade: ToyOp {
  static let name = "cascade"
  static let summary = "Prune block by block."
  static let example = "p = cascade m cal by=flap rate=20%"
  @Input("the model") var model: ToyModel
  @Input("the corpus") var corpus: ToyCorpus
  @Input("groups", named: true) var groups: ToyGroups?
  @Input("rates", named: true) var rates: ToyRates?
  @Param("which scores") var by = By.flap
  @Param("one shot or one by one") var how = How.oneshot
  @Param("share to remove", in: .between(0, 1)) var rate: Ratio? = nil
  @Param("how tokens are weighted") var weight = Weight.none
  @Param("width of the weighting", in: .above(0)) var tau = 9.0
  @Param("how to repair") var comp = Comp.none
  func run(_ context: any RunContext) throws -> ToyModel { ToyModel(text: "cascade \(by)") }
}

let toys = Catalog(
  [
    Load.self, Text.self, Capture.self, CanICA.self, KMeans.self, Taylor.self, Assign.self, Flap.self, OBC.self,
    Score.self, Allocate.self, MakeMask.self, Combine.self, Prune.self, Cascade.self, Eval.self, Compare.self,
  ], algebra: Combine.self, conditions: ["precision": "float32"])

/// A checker for which every file exists.
func toyChecker(_ overrides: [(String, String)] = []) -> Checker {
  var checker = Checker(toys)
  checker.fileExists = { !$0.contains("missing") }
  checker.readFile = { _ in nil }
  checker.overrides = overrides.map { (name: $0.0, text: $0.1) }
  return checker
}
