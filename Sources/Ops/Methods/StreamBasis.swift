import Numerics

// SliceGPT (Ashkboos et al. 2024): between two branches the residual stream may stand in any orthonormal basis, as long as
// the branch before writes in it and the branch behind reads in it. In the basis of the stream's principal components the
// last ones matter least, and go: they are sliced off the maps that read and write the stream.
//
//     C = Σ_t x_t x_tᵀ        Q = the leading d' eigenvectors of C, d×d'
//
// x is the stream itself: not normed, and no mean taken off. It has gone through the branches that are sliced already, back
// in its own basis, and from branch to branch the basis changes.

/// Why a stream could not be sliced.
package enum SlicingError: Error, Equatable, CustomStringConvertible {
  case width(Int, of: Int)
  case nothingLeft(rate: Double)
  case tooFewTokens(Int, width: Int)

  package var description: String {
    switch self {
    case .width(let width, let d): "a stream of \(d) directions cannot keep \(width) of them"
    case .nothingLeft(let rate): "no direction of the stream is left when \(percent(rate)) goes"
    case .tooFewTokens(let tokens, let width): "\(tokens) tokens cannot say which \(width) directions matter"
    }
  }
}

/// Q, d×d': the directions in which a stream is largest, the largest entry of each positive.
///
/// - Parameters:
///   - C: d×d, Σ x xᵀ.
///   - tokens: how many went into it.
package func streamBasis(gram C: Matrix<Double>, tokens: Int, width: Int) throws -> Matrix<Float> {
  guard 1...C.rows ~= width else { throw SlicingError.width(width, of: C.rows) }
  guard tokens >= width else { throw SlicingError.tooFewTokens(tokens, width: width) }
  return Matrix<Float>(signed(try leadingEigen(C, width).vectors))
}

/// d' = (1 - slicing) d, rounded down to a multiple: the authors' own rate.
package func streamWidth(slicing: Double, of d: Int, multiple: Int) throws -> Int {
  let width = multiples(in: Int(((1 - slicing) * Double(d) + 1e-9).rounded(.down)), of: multiple)
  guard width >= 1 else { throw SlicingError.nothingLeft(rate: slicing) }
  return width
}

/// The largest d' with which so great a share of the parameters is gone, rounded down to a multiple.
///
/// - Parameters:
///   - whole: parameters before.
///   - left: parameters that are left with a width, growing with it.
package func streamWidth(
  rate: Double, of d: Int, multiple: Int, whole: Int, left: (Int) -> Int
) throws -> Int {
  let budget = (1 - rate) * Double(whole) + 1e-6
  let widest = (1...d).last { Double(left($0)) <= budget } ?? 0
  let width = multiples(in: widest, of: multiple)
  guard width >= 1 else { throw SlicingError.nothingLeft(rate: rate) }
  return width
}

private func multiples(in width: Int, of multiple: Int) -> Int { width / multiple * multiple }
