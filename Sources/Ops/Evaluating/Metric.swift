import Glibc
import Kernel

/// A way to judge: what it averages, how the average becomes the figure, and which way is better. A row of `all` is
/// all that eval, compare, plot and show know of a metric.
public struct Metric: Sendable {
  /// What becomes of the average.
  enum Figure: Sendable {
    case average, exponential, bits
  }

  public let name: String
  let meaning: String
  let isHigherBetter: Bool
  let figure: Figure
  /// What a report has to average, under the name of the figure: its own, or `TASK.acc` for each task; empty where this
  /// kind of report has nothing of it.
  let samples: @Sendable (Evidence) -> [(name: String, samples: Samples)]

  static let all = [
    Metric(
      "token_perplexity", "exp of the mean negative log-likelihood per target", .exponential
    ) { evidence in
      switch evidence {
      // Windows count alike, as in the papers' code.
      case .windows(let windows): Samples(windows.loss)
      case .pages(let pages): Samples(pages.loss, weights: pages.tokens)
      case .items: nil
      }
    },
    Metric(
      "word_perplexity", "exp of the negative log-likelihood per word of the page as published", .exponential
    ) { evidence in evidence.pages.map { Samples($0.loss, weights: $0.words) } },
    Metric(
      "byte_perplexity", "exp of the negative log-likelihood per byte of the page as published", .exponential
    ) { evidence in evidence.pages.map { Samples($0.loss, weights: $0.bytes) } },
    Metric(
      "bits_per_byte", "negative log-likelihood per byte of the page as published, in bits", .bits
    ) { evidence in evidence.pages.map { Samples($0.loss, weights: $0.bytes) } },
    Metric(
      name: "acc", meaning: "share of items whose most likely choice is right", isHigherBetter: true, figure: .average
    ) { evidence in evidence.items?.averages(of: \.acc, named: "acc", mean: "acc") ?? [] },
    Metric(
      name: "acc_norm", meaning: "share of items whose choice most likely per character is right", isHigherBetter: true,
      figure: .average
    ) { evidence in
      // The papers average acc_norm where a task has it, else acc.
      evidence.items?.averages(of: \.accNorm, named: "acc_norm", mean: "acc_norm_else_acc") ?? []
    },
  ]

  static func named(_ name: String) -> Metric? { all.first { $0.name == name } }

  /// The figures this metric has in a report.
  func measured(in evidence: Evidence) -> [Report.Measurement] {
    samples(evidence).map { name, samples in
      Report.Measurement(name: name, value: value(of: samples.ratio), standardError: standardError(of: samples))
    }
  }

  private func value(of average: Double) -> Double {
    switch figure {
    case .average: average
    case .exponential: exp(average)
    case .bits: average / log(2)
    }
  }

  /// To first order: the error of exp(x) is exp(x) times that of x.
  private func standardError(of samples: Samples) -> Double {
    switch figure {
    case .average: samples.standardError
    case .exponential: exp(samples.ratio) * samples.standardError
    case .bits: samples.standardError / log(2)
    }
  }

  /// The metric and the samples behind a figure called `name`; nil when a report of this kind has no such figure.
  static func behind(_ name: String, in evidence: Evidence) -> (metric: Metric, samples: Samples)? {
    for metric in all {
      for figure in metric.samples(evidence) where figure.name == name { return (metric, figure.samples) }
    }
    return nil
  }
}

extension Metric {
  /// A metric of texts: one figure, lower is better.
  fileprivate init(
    _ name: String, _ meaning: String, _ figure: Figure, _ samples: @escaping @Sendable (Evidence) -> Samples?
  ) {
    self.init(name: name, meaning: meaning, isHigherBetter: false, figure: figure) { evidence in
      samples(evidence).map { [(name, $0)] } ?? []
    }
  }
}

extension Metric: ParameterValue {
  public static var kind: String { "one of " + all.map(\.name).joined(separator: ", ") }
  public static var choices: [String]? { all.map(\.name) }
  public init(literal: Literal) throws {
    guard let word = literal.word else { throw Mismatch(expected: Metric.kind, found: literal) }
    guard let metric = Metric.named(word) else {
      let near = nearest(to: word, among: Metric.all.map(\.name))
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
