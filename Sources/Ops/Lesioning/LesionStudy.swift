import Kernel
import Numerics
import Transformer

/// A study of lesions: a look at the dense model, random sets, all of them through the model, and tests.
struct LesionStudy {
  let network: LanguageModel
  let lesions: [NamedLesion]
  /// What one of them is of.
  let noun: String
  let targets: LesionTargets
  let mode: Lesion.Mode
  /// Whether the mean over the text stands in the place of what is out.
  let fillsMeans: Bool
  let how: Lesion.How
  /// Random sets of each lesion.
  let draws: Int
  let match: SetMatch
  let seed: Int
  let context: any RunContext

  struct Findings {
    var rows: [Lesions.Row]
    var pairs: [Lesions.Pair] = []
    var randomPairs: [Lesions.Pair] = []
    /// How random sets tell about classes; see `Lesions.classNulls`.
    var classNulls = "none"
  }

  /// Estimated random sets of one lesion, at most.
  private static let mostDraws = 9999

  /// - Throws: when the lesions cannot be studied so.
  func check() throws {
    let isOfNeurons = lesions.allSatisfy { $0.members.pieces.allSatisfy { $0.module == .ffn } }
    if how == .estimate, !isOfNeurons {
      throw Diagnostic("how=estimate is for neurons, and these are of attention", argument: "how")
    }
  }

  func findings() throws -> Findings {
    try check()
    let layers = Set(lesions.flatMap(\.layers))
    let survey = try LesionSurvey(network, targets.sequences, layers: layers, context)
    let means = fillsMeans ? survey.means : nil
    let random = RandomLesions(
      network: network, pools: survey.pools, isKept: mode == .only, match: match, seed: seed, noun: noun)
    let plan = LesionTrials(lesions: lesions, random: random, draws: draws, context: context)
    let trials = try mode == .grow ? plan.growing() : plan.matched()
    let changes: LesionJudgement.Changes =
      switch how {
      case .exact:
        .exact(
          try ExactLesions(network: network, targets: targets, losses: survey.losses, means: means, context: context)
            .outcomes(of: trials.map(\.set)))
      case .estimate:
        .estimated(try LesionEstimate(network, targets, layers: layers.sorted(), means: means, context))
      }
    let judgement = LesionJudgement(lesions: lesions, targets: targets, trials: trials, changes: changes)
    if mode == .grow { return Findings(rows: judgement.grown()) }
    var findings = Findings(rows: try judgement.rows())
    guard !targets.kinds.isEmpty, draws > 0 else { return findings }
    let classes = LesionClasses(lesions: lesions, targets: targets, context: context)
    // So many that a share of them can be small enough for all cells together.
    let needed = Int((Double(lesions.count * targets.kinds.count) / 0.05).rounded(.up))
    switch changes {
    case .estimated(let estimate):
      findings.classNulls = "estimate"
      // The random sets of the study are the first ones.
      try classes.test(
        &findings.rows, estimate, random: random, draws: min(max(needed, draws), LesionStudy.mostDraws))
    case .exact(let outcomes):
      func drawn(_ draw: Int?) -> [LesionOutcome] {
        trials.indices.filter { trials[$0].draw == draw }.map { outcomes[$0] }
      }
      let isCounted = draws >= needed
      findings.classNulls = isCounted ? "exact" : "student"
      classes.test(
        &findings.rows,
        random: lesions.indices.map { lesion in
          trials.indices.filter { trials[$0].lesion == lesion && trials[$0].draw != nil }.map { outcomes[$0] }
        }, isCounted: isCounted)
      if !isCounted {
        context.warn(
          "\(lesions.count * targets.kinds.count) cells need \(needed) random sets to be counted, more than nulls=\(draws): p of classes is Student's, with the mean and deviation of the random sets"
        )
      }
      guard targets.hasPassages else { break }
      findings.pairs = try classes.dissociations(drawn(nil), draw: nil, seed: seed)
      findings.randomPairs = try classes.dissociations(drawn(0), draw: 0, seed: seed)
      if findings.pairs.isEmpty, lesions.count > 1 {
        context.warn("double dissociations need 16 passages of every class; some have fewer")
      }
    }
    return findings
  }
}
