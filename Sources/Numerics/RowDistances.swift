import CKernels

/// For each row of X the nearest row of C, the first of equally near ones, and its squared distance: from
/// ‖x‖² + ‖c‖² − 2 x·c, so rows should have about their mean taken off. On the calling thread.
///
/// - Parameters: X rows×p, C K×p.
public func nearestRows(_ X: Matrix<Float>, among C: Matrix<Float>) -> (nearest: [Int32], distances: [Float]) {
  precondition(X.columns == C.columns && C.rows > 0, "rows of \(X.shape) among those of \(C.shape)")
  let width = (C.rows + 15) / 16 * 16
  let centers = Matrix<Float>(rows: C.columns, columns: width)
  centers.columns(0..<C.rows).assign(C.T)
  centers.scale(by: -2)
  var norms = [Float](repeating: .infinity, count: width)
  for k in 0..<C.rows { norms[k] = C.row(k).reduce(0) { $0 + $1 * $1 } }
  var nearest = [Int32](repeating: 0, count: X.rows)
  var distances = [Float](repeating: 0, count: X.rows)
  X.withUnsafePointer { x, stride in
    centers.withUnsafePointer { c, _ in
      prn_nearest_rows(x, stride, X.rows, X.columns, c, norms, width, &nearest, &distances)
    }
  }
  return (nearest, distances)
}

/// ‖x − center‖² for each row of X, on the calling thread.
public func squaredDistances(_ X: Matrix<Float>, to center: [Float]) -> [Float] {
  precondition(X.columns == center.count, "rows of \(X.shape) and a point of \(center.count)")
  var distances = [Float](repeating: 0, count: X.rows)
  X.withUnsafePointer { x, stride in prn_squared_distances(x, stride, X.rows, X.columns, center, &distances) }
  return distances
}
