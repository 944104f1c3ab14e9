import Glibc
import Numerics

/// How much two partitions of the same things agree, 0 by chance and 1 when they are the same (Vinh, Epps and Bailey 2010):
///
///     AMI = (I - E[I]) / ((H(a) + H(b))/2 - E[I])
///
/// - Parameters: a label for each thing, from 0; things with a negative label on either side are left out.
package func adjustedMutualInformation(_ a: [Int32], _ b: [Int32]) -> Double {
  let pairs = zip(a, b).filter { $0 >= 0 && $1 >= 0 }
  let n = pairs.count
  let (rows, columns) = (Int(pairs.map(\.0).max() ?? 0) + 1, Int(pairs.map(\.1).max() ?? 0) + 1)
  var cells: [Int: Int] = [:]
  var (left, right) = ([Int](repeating: 0, count: rows), [Int](repeating: 0, count: columns))
  for (i, j) in pairs {
    cells[Int(i) * columns + Int(j), default: 0] += 1
    left[Int(i)] += 1
    right[Int(j)] += 1
  }
  (left, right) = (left.filter { $0 > 0 }, right.filter { $0 > 0 })
  // Two partitions into one part each, or into single things, are the same.
  if left.count == right.count, left.count <= 1 || left.count == n { return 1 }
  let N = Double(n)
  func entropy(_ counts: [Int]) -> Double { counts.reduce(0) { $0 - Double($1) / N * log(Double($1) / N) } }
  // In a fixed order, so that sums come out the same.
  var information = 0.0
  var (rowSums, columnSums) = ([Int](repeating: 0, count: rows), [Int](repeating: 0, count: columns))
  for (i, j) in pairs {
    rowSums[Int(i)] += 1
    columnSums[Int(j)] += 1
  }
  for (cell, count) in cells.sorted(by: { $0.key < $1.key }) {
    let (i, j) = (Double(rowSums[cell / columns]), Double(columnSums[cell % columns]))
    information += Double(count) / N * log(N * Double(count) / (i * j))
  }
  let expected = expectedInformation(left, right, n)
  let bound = (entropy(left) + entropy(right)) / 2 - expected
  return bound == 0 ? 0 : (information - expected) / bound
}

/// The mean mutual information of two partitions with parts of these sizes, all pairings alike.
private func expectedInformation(_ a: [Int], _ b: [Int], _ n: Int) -> Double {
  let logFactorial: [Double] = (0...n).map { place -> Double in lgamma(Double(place) + 1) }
  let N = Double(n)
  // Parts of equal size contribute alike.
  func sizes(_ parts: [Int]) -> [(size: Int, times: Double)] {
    Dictionary(grouping: parts, by: { $0 }).map { ($0.key, Double($0.value.count)) }.sorted { $0.0 < $1.0 }
  }
  var sum = 0.0
  for (i, times) in sizes(a) {
    for (j, others) in sizes(b) {
      for k in max(1, i + j - n)...min(i, j) {
        let information: Double = Double(k) / N * log(N * Double(k) / Double(i * j))
        let ways: Double = logFactorial[i] + logFactorial[j] + logFactorial[n - i] + logFactorial[n - j]
        let all: Double = logFactorial[n] + logFactorial[k] + logFactorial[i - k] + logFactorial[j - k]
        let chance: Double = exp(ways - all - logFactorial[n - i - j + k])
        sum += times * others * information * chance
      }
    }
  }
  return sum
}
