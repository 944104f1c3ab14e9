import Glibc
import Kernel
import Numerics

/// A way to judge: what it averages, how the average becomes the figure, and which way is better. A row of `all` is
/// all that eval, compare, plot and show know of a metric.
public struct Metric: Sendable {
  /// What becomes of the average.
  enum Figure: Sendable {
    case average, exponential, median
  }

  public let name: String
  let meaning: String
  /// The kinds of report that have it.
  let kinds: Set<Evidence.Kind>
  let isHigherBetter: Bool
  let figure: Figure
  /// What the average itself is called; nil when it is the figure.
  let average: String?
  /// What there is a figure for each of: `TASK` or `LABEL`, which then stands before the name; nil for one figure.
  let scope: String?
  /// What a report has to average, under the name of the figure: its own, or `TASK.acc` for each task; empty where this
  /// kind of report has nothing of it.
  let samples: @Sendable (Evidence) -> [(name: String, samples: Samples)]

  static let all = judgements + costs

  /// What `eval` measures.
  static let judgements = [
    Metric(
      "token_perplexity", "exp of the mean negative log-likelihood per target", of: [.windows, .pages], average: "nll"
    ) { evidence in
      switch evidence {
      // Windows count alike, as in the papers' code.
      case .windows(let windows): Samples(windows.loss)
      case .pages(let pages): Samples(pages.loss, weights: pages.tokens)
      case .items, .costs: nil
      }
    },
    Metric(
      "word_perplexity", "exp of the negative log-likelihood per word of the page as published", of: [.pages],
      average: "nll_per_word"
    ) { evidence in evidence.pages.map { Samples($0.loss, weights: $0.words) } },
    Metric(
      "byte_perplexity", "exp of the negative log-likelihood per byte of the page as published", of: [.pages],
      average: "nll_per_byte"
    ) { evidence in evidence.pages.map { Samples($0.loss, weights: $0.bytes) } },
    Metric(
      "bits_per_byte", "negative log-likelihood per byte of the page as published, in bits", of: [.pages], average: nil
    ) { evidence in evidence.pages.map { Samples($0.loss.map { $0 / log(2) }, weights: $0.bytes) } },
    Metric(
      "nll", "mean negative log-likelihood per target of each kind of text", of: [.windows], per: "LABEL"
    ) { evidence in
      guard let kinds = evidence.windows?.kinds else { return [] }
      return kinds.names.indices.filter { kinds.targets[$0].contains { $0 > 0 } }.map {
        ("\(kinds.names[$0]).nll", Samples(kinds.loss[$0], weights: kinds.targets[$0]))
      }
    },
    Metric(
      "acc", "share of items whose most likely choice is right", of: [.items], per: "TASK", isHigherBetter: true
    ) { evidence in evidence.items?.averages(of: \.acc, named: "acc", mean: "acc") ?? [] },
    Metric(
      "acc_norm", "share of items whose choice most likely per character is right", of: [.items], per: "TASK",
      isHigherBetter: true
    ) { evidence in
      // The papers average acc_norm where a task has it, else acc.
      evidence.items?.averages(of: \.accNorm, named: "acc_norm", mean: "acc_norm_else_acc") ?? []
    },
  ]

  /// What `measure` measures.
  private static let costs = [
    Metric(
      costing: "prefill_tokens_per_s", "tokens of a prompt read per second, median", isHigherBetter: true, \.prefill),
    Metric(costing: "decode_tokens_per_s", "tokens made one by one per second, median", isHigherBetter: true, \.decode),
    Metric(costing: "macs_per_token", "multiply-accumulates for a token of a prompt") { [Double($0.macsPerToken)] },
    Metric(costing: "parameters", "number of parameters left") { [Double($0.parameters)] },
    Metric(costing: "bytes", "weights in the number types of the checkpoint") { [Double($0.bytes)] },
    Metric(costing: "peak_bytes", "the most memory that was resident meanwhile") { [Double($0.peakBytes)] },
  ]

  /// The figures this metric has in a report.
  func measured(in evidence: Evidence) -> [Report.Measurement] {
    samples(evidence).map { name, samples in
      Report.Measurement(name: name, value: value(of: samples), standardError: standardError(of: samples))
    }
  }

  /// The metric and the samples behind a figure called `name`; nil when a report of this kind has no such figure.
  static func behind(_ name: String, in evidence: Evidence) -> (metric: Metric, samples: Samples)? {
    for metric in all {
      for figure in metric.samples(evidence) where figure.name == name { return (metric, figure.samples) }
    }
    return nil
  }

  private func value(of samples: Samples) -> Double {
    switch figure {
    case .average: samples.ratio
    case .exponential: exp(samples.ratio)
    case .median: quantile(samples.values, 0.5)
    }
  }

  /// To first order the error of exp(x) is exp(x) times that of x; the median of normal values errs by √(π/2) as much as
  /// their mean.
  private func standardError(of samples: Samples) -> Double {
    switch figure {
    case .average: samples.standardError
    case .exponential: exp(samples.ratio) * samples.standardError
    case .median: (.pi / 2).squareRoot() * samples.standardError
    }
  }
}

extension Metric {
  /// One figure of a text; lower is better.
  fileprivate init(
    _ name: String, _ meaning: String, of kinds: Set<Evidence.Kind>, average: String?,
    _ samples: @escaping @Sendable (Evidence) -> Samples?
  ) {
    self.init(
      name: name, meaning: meaning, kinds: kinds, isHigherBetter: false,
      figure: average == nil ? .average : .exponential, average: average, scope: nil
    ) { evidence in samples(evidence).map { [(name, $0)] } ?? [] }
  }

  /// One cost of a model: of each run, or one number.
  fileprivate init(
    costing name: String, _ meaning: String, isHigherBetter: Bool = false,
    _ values: @escaping @Sendable (Costs) -> [Double]
  ) {
    self.init(
      name: name, meaning: meaning, kinds: [.costs], isHigherBetter: isHigherBetter, figure: .median, average: nil,
      scope: nil
    ) { evidence in evidence.costs.map { [(name, Samples(values($0)))] } ?? [] }
  }

  /// An average for each of several.
  fileprivate init(
    _ name: String, _ meaning: String, of kinds: Set<Evidence.Kind>, per scope: String, isHigherBetter: Bool = false,
    _ samples: @escaping @Sendable (Evidence) -> [(name: String, samples: Samples)]
  ) {
    self.init(
      name: name, meaning: meaning, kinds: kinds, isHigherBetter: isHigherBetter, figure: .average, average: nil,
      scope: scope, samples: samples)
  }
}

extension Metric: ParameterValue {
  public static var kind: String { "one of " + judgements.map(\.name).joined(separator: ", ") }
  public static var choices: [String]? { judgements.map(\.name) }
  public static var choiceMeanings: [String: String] {
    Dictionary(judgements.map { ($0.name, $0.meaning) }, uniquingKeysWith: { first, _ in first })
  }
  public init(literal: Literal) throws {
    guard let word = literal.word else { throw Mismatch(expected: Metric.kind, found: literal) }
    guard let metric = Metric.judgements.first(where: { $0.name == word }) else {
      let near = nearest(to: word, among: Metric.judgements.map(\.name))
      throw Mismatch(expected: Metric.kind, found: literal, hint: near.map { "did you mean `\($0)`?" })
    }
    self = metric
  }
  public var literal: Literal { .symbol(name) }
  public static var illegal: [Literal] { [.symbol("no_such_choice"), .integer(3)] }
}

extension Literal {
  /// A symbol or string as text.
  fileprivate var word: String? {
    switch self {
    case .symbol(let word), .string(let word): word
    default: nil
    }
  }
}
