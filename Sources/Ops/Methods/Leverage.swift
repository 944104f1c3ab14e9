import Numerics

/// How much each input matters to the others' span, MoDeGPT's choice for the FFN (Lin et al. 2025, Type I): the ridge
/// leverages diag C(C + λI)⁻¹ = 1 − λ diag (C + λI)⁻¹, between 0 and 1. The order is that of optimal brain with all
/// columns of W of one norm.
///
/// - Parameters:
///   - gram: n×n, C up to a factor.
///   - ridge: λ relative to the mean diagonal of live inputs.
package func ridgeLeverages(_ gram: Matrix<Double>, ridge: Double = 1e-4) throws -> [Double] {
  let C = try curvature(of: gram, damping: ridge)
  var leverages = C.inverse.diagonal.map { 1 - C.lambda * $0 }
  for dead in C.dead { leverages[dead] = 0 }
  return leverages
}
