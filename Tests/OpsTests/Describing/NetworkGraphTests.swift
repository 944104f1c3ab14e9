import Foundation
import Kernel
import Numerics
import Testing

@testable import Ops

/// Modules and their nodes against bctpy 0.6.1, shrinkage against scikit-learn 1.9.1; the same numbers made by the same
/// formulas in Python.
@Suite struct NetworkGraphTests {
  private let n = 8
  private let halves = [0, 0, 0, 0, 1, 1, 1, 1]

  private var signed: Matrix<Double> {
    let W = Matrix<Double>(rows: n, columns: n)
    for i in 0..<n {
      for j in (i + 1)..<n {
        let value = sin(1.7 * Double((i + 1) * (j + 2))) + ((i < 4) == (j < 4) ? 0.8 : -0.3)
        (W[i, j], W[j, i]) = (value, value)
      }
    }
    return W
  }

  private func expectClose(_ a: [Double], _ b: [Double], _ bound: Double = 1e-12) {
    #expect(a.count == b.count)
    for (x, y) in zip(a, b) { #expect(abs(x - y) <= bound, "\(x) and \(y)") }
  }

  @Test func modularityIsThatOfBctpy() {
    expectClose(
      [1, 1.5].map { modularity(of: halves, modularityMatrix(signed, gamma: $0)) },
      [0.5057739169588409, 0.36646278568481677])
  }

  /// Of all 4140 partitions of eight nodes none has a larger Q.
  @Test func louvainFindsTheBestPartition() {
    let found = NetworkModules(signed, gamma: 1, runs: 20, seed: 0, name: "test")
    #expect(found.modules == halves)
    expectClose([found.Q], [0.5057739169588409])
    let B = modularityMatrix(signed, gamma: 1)
    var best = -Double.infinity
    func grow(_ labels: [Int], _ count: Int) {
      guard labels.count < n else {
        best = max(best, modularity(of: labels, B))
        return
      }
      for label in 0...count { grow(labels + [label], max(count, label + 1)) }
    }
    grow([], 0)
    expectClose([found.Q], [best])
  }

  @Test func nodesAreThoseOfBctpy() {
    expectClose(
      participation(signed, halves),
      [
        0.30134732595979463, 0.49163269987284364, 0.23318309772224244, 0, 0.3282821103346465, 0, 0.4746167196682961,
        0.3209248343992672,
      ])
    expectClose(
      withinModuleZ(signed, halves),
      [
        0.05661067033589349, -1.379554838888471, 1.4420273487995288, -0.119083180246949, 0.6150479794628348,
        -0.7986833270746387, -1.12616425454226, 1.3097996021540645,
      ])
    expectClose(
      strengths(signed),
      [
        1.5046763695909002, 0.35085638886714077, 2.2554283006490223, -0.8572480954555302, 0.9954493244283669,
        -2.2896055092391805, 1.4442269438731052, 1.3451833398587265,
      ])
    expectClose([sameModuleKappa([0, 0, 1, 1, 2, 2], [0, 0, 0, 1, 1, 2])], [0.07407407407407418])
  }

  private var courses: Matrix<Double> {
    let A = Matrix<Double>(rows: 40, columns: 4)
    for t in 0..<40 {
      for i in 0..<4 { A[t, i] = sin(0.37 * Double((t + 1) * (i + 1))) + 0.5 * cos(0.11 * Double(t)) }
    }
    return A
  }

  @Test func edgesAreThoseOfScikitLearn() throws {
    expectClose(
      upperEdges(courseCorrelations(courses)),
      [
        0.284323231431427, 0.2460267881836184, 0.2745887158013126, 0.27767942241138766, 0.19212589504030167,
        0.2704537278454086,
      ])
    expectClose(
      upperEdges(try coursePartialCorrelations(courses)),
      [
        0.12081948435657792, 0.09249073807056302, 0.11581484282983885, 0.11719948217353075, 0.0648569380755205,
        0.11374807696402577,
      ], 1e-10)
  }

  /// A network's sign is a convention: sizes of edges, and edges after fixing poles, do not depend on it.
  @Test func theSignOfANetworkChangesNothing() throws {
    let A = courses
    let flipped = A.copy()
    flipped.scaleColumns(by: [1, -1, 1, -1])
    expectClose(
      courseCorrelations(A).map { abs($0) }.values, courseCorrelations(flipped).map { abs($0) }.values, 1e-14)
    func poled(_ A: Matrix<Double>) -> Matrix<Double> {
      let B = A.copy()
      B.scaleColumns(by: (0..<B.columns).map { pole(B.column($0)) })
      return courseCorrelations(B)
    }
    expectClose(poled(A).values, poled(flipped).values, 1e-14)
  }

  /// Turning keeps every course as it is and moves it by no less than it was told.
  @Test func chanceTurnsCourses() {
    var stream = RandomStream(seed: 3, name: "turn")
    let turned = rolledCourses(courses, least: 15, using: &stream)
    for i in 0..<4 {
      let (own, other) = (courses.column(i), turned.column(i))
      let offsets = own.indices.filter { offset in Array(own[offset...] + own[..<offset]) == other }
      #expect(offsets.count == 1)
      #expect(offsets.allSatisfy { (15...25).contains($0) })
    }
  }
}

/// The op itself, on the bundled model.
@Suite(.serialized) struct ConnectTests {
  private let start = """
    m = load DATA/tiny-llama
    cal = text DATA/calibration.txt model=m samples=8 length=64 take=order
    held = text DATA/test.txt model=m samples=8 length=64 take=order
    nets = canica (capture m cal sites=ffn.gate,ffn.up keep=stream layers=0,1) components=3 per_run=8

    """

  @Test func networksHangTogetherAgainOnTheSameText() throws {
    let graph: NetworkGraph = try ScriptBench().value("g", start + "g = connect nets model=m test=cal nulls=3")
    #expect(graph.nodes.count == 6)
    // The networks' own courses are those of dual regression on their own text, up to the scale of each.
    #expect((graph.retest?.edges ?? 0) > 0.999)
    #expect(graph.retest?.kappa == 1 || graph.modules == 1)
  }

  @Test(arguments: [
    ("connect nets test=held", "test= needs model=: a model is walked over another text"),
    ("connect nets model=m", "model= needs test=: a model is walked over another text"),
    ("connect nets run=1", "there is no run 1; the networks have 1 run"),
    (
      "connect (canica (capture m cal sites=ffn.gate,ffn.up keep=stream) components=2 per_run=8 keep=max)",
      "the maps of layer 0 were not kept"
    ),
    (
      "connect nets model=m test=(text DATA/test.txt model=m samples=2 length=64 take=order)",
      "128 tokens are too few: chance turns each course by at least 200"
    ),
  ])
  func whatCannotBeConnectedIsRefused(_ call: String, _ sentence: String) throws {
    let outcome = try ScriptBench().run(start + "x = " + call)
    #expect(outcome.diagnostics.map(\.summary) == [sentence])
  }
}
