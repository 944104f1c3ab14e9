import Ranks

extension Communicator {
  /// Gives every rank the numbers that `root` has in `X`; on the others they are overwritten.
  /// - Parameter X: of one size on all ranks, without gaps between its rows.
  public func broadcast<Element: Scalar>(_ X: Matrix<Element>, from root: Int) throws {
    precondition(X.isContiguous, "a window with gaps cannot be sent")
    try X.withUnsafeMutablePointer { start, _ in
      try broadcast(UnsafeMutableRawBufferPointer(UnsafeMutableBufferPointer(start: start, count: X.count)), from: root)
    }
  }
}
