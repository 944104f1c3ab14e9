import Foundation
import Numerics
import Testing

@testable import Transformer

/// SplitMix64: enough for test data, and independent of the generators under test.
struct SplitMix: RandomNumberGenerator {
  var state: UInt64
  init(_ seed: UInt64) { state = seed }

  mutating func next() -> UInt64 {
    state &+= 0x9E37_79B9_7F4A_7C15
    var z = state
    z = (z ^ (z >> 30)) &* 0xBF58_476D_1CE4_E5B9
    z = (z ^ (z >> 27)) &* 0x94D0_49BB_1331_11EB
    return z ^ (z >> 31)
  }

  mutating func uniform() -> Double { Double(next() >> 11) * 0x1p-53 }
  mutating func normal() -> Double { (-2 * log(1 - uniform())).squareRoot() * cos(2 * .pi * uniform()) }
  mutating func laplace() -> Double { (uniform() < 0.5 ? -1 : 1) * log(1 - uniform()) }
  mutating func normals(_ count: Int) -> [Double] { (0..<count).map { _ in normal() } }

  mutating func matrix(_ rows: Int, _ columns: Int) -> Matrix<Double> {
    Matrix(rows: rows, columns: columns, values: normals(rows * columns))
  }
}

func maxDifference(_ a: [Double], _ b: [Double]) -> Double {
  guard a.count == b.count else { return .infinity }
  return zip(a, b).reduce(0) { max($0, abs($1.0 - $1.1)) }
}

func maxDifference(_ A: Matrix<Double>, _ B: Matrix<Double>) -> Double {
  A.rows == B.rows && A.columns == B.columns ? maxDifference(A.values, B.values) : .infinity
}

func norm(_ A: Matrix<Double>) -> Double { A.values.reduce(0) { $0 + $1 * $1 }.squareRoot() }
func trace(_ A: Matrix<Double>) -> Double { A.diagonal.reduce(0, +) }

/// Mean and variance (ddof 0) of every column, in two passes.
func twoPassMoments(_ X: Matrix<Double>) -> (mean: [Double], variance: [Double]) {
  let columns = (0..<X.columns).map(X.column)
  let mean = columns.map { $0.reduce(0, +) / Double(X.rows) }
  let variance = zip(columns, mean).map { column, m in
    column.reduce(0) { $0 + ($1 - m) * ($1 - m) } / Double(X.rows)
  }
  return (mean, variance)
}

/// Arrays written by Tests/Fixtures/methods/generate.py: `name rows columns` on one line, the numbers on the next.
func fixture(_ file: String) throws -> [String: Matrix<Double>] {
  let folder = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
    .deletingLastPathComponent().appendingPathComponent("Fixtures/methods")
  let text = try String(contentsOf: folder.appendingPathComponent(file), encoding: .utf8)
  let lines = text.split(separator: "\n", omittingEmptySubsequences: true)
  var arrays: [String: Matrix<Double>] = [:]
  for i in stride(from: 0, to: lines.count - 1, by: 2) {
    let head = lines[i].split(separator: " ")
    let (rows, columns) = (try #require(Int(head[1])), try #require(Int(head[2])))
    arrays[String(head[0])] = Matrix(
      rows: rows, columns: columns, values: lines[i + 1].split(separator: " ").compactMap { Double($0) })
  }
  return arrays
}

/// Small models with what another program computed of them, made by the scripts in this folder.
let transformerFixtures = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
  .deletingLastPathComponent().appendingPathComponent("Fixtures/transformer").path

/// The token sequences that go with one of these models, those of at least some tokens.
func fixtureSequences(_ model: String, atLeast count: Int = 0) throws -> Sequences {
  let data = try Data(contentsOf: URL(fileURLWithPath: transformerFixtures + "/\(model)/sequences.json"))
  return Sequences(try JSONDecoder().decode([[Int32]].self, from: data).filter { $0.count >= count })
}

/// Numbers between -1 and 1, the same for the same name.
func randomMatrix(_ rows: Int, _ columns: Int, _ name: String) -> Matrix<Double> {
  var stream = RandomStream(seed: 5, name: name)
  return Matrix(
    rows: rows, columns: columns, values: (0..<rows * columns).map { _ in Double.random(in: -1...1, using: &stream) })
}
