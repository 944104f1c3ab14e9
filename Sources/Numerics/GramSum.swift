import Ranks

/// H = Σ XᵀX over what is added: the product of each call in single precision, the sum in double. Ranks divide the blocks
/// of H among them; each adds what all of them see to its own, so that every number is summed in one order by one rank.
public struct GramSum {
  private let H: Matrix<Double>
  private let ranks: any Communicator

  /// Of nothing.
  public init(columns: Int, ranks: any Communicator) {
    H = Matrix(rows: columns, columns: columns)
    self.ranks = ranks
  }

  /// - Parameter X: t×n with t small enough for single precision, the same on all ranks.
  public func add(_ X: Matrix<Float>) { accumulateGram(X, into: H, share: (ranks.rank, ranks.size)) }

  /// All of H, on every rank.
  public func total() throws -> Matrix<Double> {
    if ranks.size == 1 { return H }
    for (place, (I, J)) in Triangle(size: H.rows).blocks.enumerated() {
      let block = H.rows(I).columns(J).copy()
      try ranks.broadcast(block, from: place % ranks.size)
      H.rows(I).columns(J).assign(block)
      mirror(H, rows: I, columns: J)
    }
    return H
  }
}
