import Kernel
import Numerics
import Testing

@testable import Ops
@testable import Transformer

private let start = """
  m = load DATA/tiny-llama
  cal = text DATA/calibration.txt model=m samples=8 length=64
  g = capture m cal sites=attn.in,attn.heads,ffn.in,ffn.act keep=gram

  """

/// SVD-LLM: maps as products of two smaller ones.
@Suite(.serialized) struct LowRankTests {
  let bench = ScriptBench()

  private func lowRankFactors(
    _ W: Matrix<Double>, gram: Matrix<Double>?, rank k: Int
  ) throws -> (B: Matrix<Double>, A: Matrix<Double>) {
    let moments = OutputMoments(of: W, gram: gram)
    return moments.factors(of: W, try moments.principal(k))
  }

  private func loss(_ W: Matrix<Double>, _ other: Matrix<Double>, _ X: Matrix<Double>) -> Double {
    ((W - other) * X).values.reduce(0) { $0 + $1 * $1 }
  }

  /// ‖(W − BA) X‖² is the tail of W X's squared singular values, for wide and for tall maps; all of the rank is W itself;
  /// and the plain decomposition is never better on X.
  @Test(arguments: [(6, 9), (9, 6), (7, 7)]) func theLossIsTheTail(_ rows: Int, _ columns: Int) throws {
    let (W, X) = (randomMatrix(rows, columns, "W"), randomMatrix(columns, 40, "X"))
    X.scaleRows(by: (0..<columns).map { 0.2 + Double($0) })
    let H = X * X.T
    let (_, s, _) = try svd(W * X)
    for k in 1...min(rows, columns) {
      let (B, A) = try lowRankFactors(W, gram: H, rank: k)
      #expect(B.columns == k && A.rows == k)
      let tail = s[k...].reduce(0) { $0 + $1 * $1 }
      #expect(abs(loss(W, B * A, X) - tail) < 1e-9 * s.reduce(0) { $0 + $1 * $1 })
      let plain = try lowRankFactors(W, gram: nil, rank: k)
      #expect(loss(W, plain.B * plain.A, X) >= tail - 1e-9)
      #expect(
        (W - plain.B * plain.A).values.reduce(0) { $0 + $1 * $1 } <= (W - B * A).values.reduce(0) { $0 + $1 * $1 }
          + 1e-9)
    }
  }

  /// Where a tall map has fewer independent columns than columns, too.
  @Test func aTallMapMayHaveColumnsThatSayTheSame() throws {
    let (W, X) = (randomMatrix(9, 6, "W"), randomMatrix(6, 40, "X"))
    W.columns(4..<5).assign(W.columns(1..<2))
    W.columns(5..<6).scale(by: 0)
    let H = X * X.T
    let (_, s, _) = try svd(W * X)
    for k in 1...5 {
      let (B, A) = try lowRankFactors(W, gram: H, rank: k)
      let tail = s[k...].reduce(0) { $0 + $1 * $1 }
      #expect(abs(loss(W, B * A, X) - tail) < 1e-9 * s.reduce(0) { $0 + $1 * $1 })
      #expect(abs(try truncationLoss(W, gram: H, rank: k) - tail.squareRoot()) < 1e-6)
    }
  }

  /// Of a wide map it is the projection of W on its outputs' leading directions: B A = U Uᵀ W.
  @Test func theProductIsAProjectionOfTheOutputs() throws {
    let (W, X) = (randomMatrix(5, 8, "W"), randomMatrix(8, 30, "X"))
    let H = X * X.T
    let (_, U) = try topEigen(W * H * W.T, 3)
    let (B, A) = try lowRankFactors(W, gram: H, rank: 3)
    #expect((B * A - U * U.T * W).values.allSatisfy { abs($0) < 1e-10 })
    // A factor of H, or H's root turned by any rotation, changes nothing.
    let scaled = try lowRankFactors(W, gram: 7 * H, rank: 3)
    #expect((B * A - scaled.B * scaled.A).values.allSatisfy { abs($0) < 1e-10 })
  }

  @Test func theUpdateChangesNothingOnTheSameInputs() throws {
    let (W, X) = (randomMatrix(6, 9, "W"), randomMatrix(9, 50, "X"))
    let H = X * X.T
    let (B, A) = try lowRankFactors(W, gram: H, rank: 4)
    let again = try outerFactor(W, inner: A, gram: H)
    #expect((B - again).values.allSatisfy { abs($0) < 1e-7 })
    let other = randomMatrix(9, 50, "other")
    let fitted = try outerFactor(W, inner: A, gram: other * other.T)
    #expect(loss(W, fitted * A, other) <= loss(W, B * A, other) + 1e-9)
  }

  @Test func aRateIsTheShareOfTheParametersThatGoes() throws {
    let text =
      start + "p = lowrank m acts=g rate=30%\nq = lowrank m acts=g rate=30% linears=down,o\nz = lowrank m acts=g rate=0"
    let model: Model = try bench.value("p", text)
    #expect(model.removedShare >= 0.3 && model.removedShare < 0.32)
    let block = try model.network.loadBlock(2)
    let counted = Module.allCases.reduce(0) { $0 + block[$1].input.parameters + block[$1].output.parameters }
    #expect(counted * 6 == model.network.blockParameters)
    #expect(
      model.network.totalParameters == model.configuration.totalParameters - model.configuration.blockParameters
        + model.network.blockParameters)
    let some: Model = try bench.value("q", text)
    #expect(some.pruning.blocks[0].attention.factors.count == 1 && some.pruning.blocks[0].ffn.factors.count == 1)
    let none: Model = try bench.value("z", text)
    let sequences = Sequences([[1, 5, 9, 200, 31, 7]])
    #expect(try none.network.logits(sequences).values == none.network.original.logits(sequences).values)
  }

  /// Written out as one matrix each or as two the model is the same, and so it is when some units had gone before.
  @Test(arguments: ["m", "(prune m (mask (flap (capture m cal sites=attn.heads,ffn.act)) rate=20%))"])
  func writtenOutItIsTheSame(_ source: String) throws {
    let text =
      start + """
        s = \(source)
        h = capture s cal sites=attn.in,attn.heads,ffn.in,ffn.act keep=gram
        p = lowrank s acts=h rate=20%

        """
    let model: Model = try bench.value(
      "p",
      source == "m"
        ? text.replacingOccurrences(of: "s = m\n", with: "").replacingOccurrences(of: " s ", with: " m ") : text)
    let folder = bench.folder + "/out"
    try model.network.export(to: folder, as: .masked)
    let back = try LanguageModel(folder)
    let sequences = Sequences([[1, 5, 9, 200, 31, 7], [3, 3, 80]])
    let (found, expected) = (try back.logits(sequences), try model.network.logits(sequences))
    let scale = expected.values.map(abs).max() ?? 0
    #expect(zip(found.values, expected.values).allSatisfy { abs($0 - $1) < 1e-4 * scale })
    // As two they are in a folder of their own.
    try model.network.export(to: folder + "2", as: .huggingFace)
    let factored = try LanguageModel(folder + "2")
    #expect(try factored.logits(sequences).values == expected.values)
    #expect(factored.totalParameters == model.network.totalParameters)
    // Backwards through two factors, too.
    var (two, one): ([Double], [Double]) = ([], [])
    try model.network.branchGradients(sequences, look: { two += columnProducts($0.normalized, $0.norm.gradient) })
    try back.branchGradients(sequences, look: { one += columnProducts($0.normalized, $0.norm.gradient) })
    let size = one.map(abs).max() ?? 0
    #expect(two.count == one.count && zip(two, one).allSatisfy { abs($0 - $1) < 1e-3 * size })
  }

  /// SVD-LLM V2: every kind of map loses the rate on average, more of it where its loss is small; a loss below e counts as e.
  @Test func ratesPerMapFollowTheLosses() throws {
    let W = randomMatrix(6, 9, "W")
    let X = randomMatrix(9, 50, "X")
    for (W, X) in [(W, X), (W.T.copy(), randomMatrix(6, 50, "Y"))] {
      let (_, s, _) = try svd(W * X)
      let found = try truncationLoss(W, gram: X * X.T, rank: 2)
      let tail: Double = s[2...].reduce(0) { $0 + $1 * $1 }
      #expect(abs(found - tail.squareRoot()) < 1e-8)
    }
    let some = try allocate(
      .truncation, complexity: [1, 100, 10_000], parameters: [5, 5, 5], sp: 0.2, caps: [0.9, 0.9, 0.9])
    // 1 / ln e, 1 / ln 100, 1 / ln 10,000
    let w = [1, 0.21714724095162588, 0.10857362047581294]
    let total: Double = w.reduce(0, +)
    for (rate, weight) in zip(some.rates, w) {
      let expected: Double = 0.6 * weight / total
      #expect(abs(rate - expected) < 1e-12)
    }

    let text = start + "r = allocate g rate=30% how=truncation\np = lowrank m acts=g rates=r"
    let rates: Rates = try bench.value("r", text)
    #expect(rates.roles.count == 7)
    for (role, values) in rates.roles {
      let mean: Double = values.reduce(0, +) / 6
      #expect(abs(mean - 0.3) < 1e-9, "\(role)")
      #expect(Set(values).count > 1)
    }
    let model: Model = try bench.value("p", text)
    #expect(model.removedShare >= 0.3 && model.removedShare < 0.32)
    let up = try #require(model.pruning.blocks[3].ffn.factors[.up])
    let gone = try #require(rates.roles[.up])[3]
    let rank = try rankKeeping(1 - gone, rows: 384, columns: 128)
    #expect(up.rank == rank)
  }

  @Test func whiteningIsBetterThanPlain() throws {
    let text =
      start + """
        w = eval (lowrank m acts=g rate=40%) cal length=64
        p = eval (lowrank m rate=40% how=plain) cal length=64

        """
    func perplexity(_ name: String) throws -> Double {
      let report: Report = try bench.value(name, text)
      return report.measurements[0].value
    }
    #expect(try perplexity("w") < perplexity("p"))
  }

  @Test(arguments: [
    ("allocate (capture m cal sites=ffn.act keep=gram) rate=20% how=truncation", "evidence"),
    ("allocate g rate=20% how=truncation temperature=1", "temperature"),
    ("lowrank m acts=g", nil), ("lowrank m rate=20%", nil), ("lowrank m rate=20% how=whiten", "how"),
    ("lowrank m acts=g rate=20% how=plain", "acts"),
    ("lowrank m acts=g rate=99.9%", "rate"), ("lowrank m acts=g rate=20% linears=q,q", "linears"),
    ("lowrank m acts=(capture m cal sites=ffn.act keep=gram) rate=20%", "acts"),
    ("lowrank (lowrank m acts=g rate=20%) rate=20% how=plain", "model"),
    ("cascade (lowrank m acts=g rate=20%) cal rate=20%", "model"),
  ])
  func whatCannotBeNamesItsArgument(_ call: String, _ argument: String?) throws {
    let outcome = try bench.run(start + "x = " + call)
    #expect(outcome.exitCode != 0 && outcome.diagnostics.count == 1, "\(call)")
    #expect(outcome.diagnostics.first?.argument == argument, "\(outcome.diagnostics.map(\.summary))")
  }
}
