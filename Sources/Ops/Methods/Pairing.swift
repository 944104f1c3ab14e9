import Numerics

/// The one-to-one pairing of rows with columns that has the largest total: the Hungarian method by shortest augmenting
/// paths (Jonker and Volgenant 1987), O(m² n).
///
/// - Parameter S: m×n with m ≤ n, finite.
/// - Returns: for each row its column.
package func bestPairing(_ S: Matrix<Double>) -> [Int] {
  let (m, n) = (S.rows, S.columns)
  precondition(m <= n, "pairing \(m) rows with \(n) columns")
  let profit = (0..<m).map { S.row($0) }
  // Prices with u[i] + v[j] ≤ −S[i, j], and equality on pairs. Column n is where each new row starts.
  var u = [Double](repeating: 0, count: m)
  var v = [Double](repeating: 0, count: n + 1)
  var row = [Int?](repeating: nil, count: n + 1)
  for start in 0..<m {
    row[n] = start
    var column = n
    var distance = [Double](repeating: .infinity, count: n)
    var previous = [Int](repeating: n, count: n)
    var isDone = [Bool](repeating: false, count: n + 1)
    while let i = row[column] {
      isDone[column] = true
      var (nearest, least) = (n, Double.infinity)
      for j in 0..<n where !isDone[j] {
        let reduced = -profit[i][j] - u[i] - v[j]
        if reduced < distance[j] { (distance[j], previous[j]) = (reduced, column) }
        if distance[j] < least { (nearest, least) = (j, distance[j]) }
      }
      for j in 0...n {
        if isDone[j] {
          if let i = row[j] { u[i] += least }
          v[j] -= least
        } else {
          distance[j] -= least
        }
      }
      column = nearest
    }
    while column != n {
      row[column] = row[previous[column]]
      column = previous[column]
    }
  }
  var partner = [Int](repeating: 0, count: m)
  for j in 0..<n { if let i = row[j] { partner[i] = j } }
  return partner
}
