import Numerics

/// Steps of Adam (Kingma and Ba 2015; β .9 and .999, ε 1e-8) for parameters given as matrices.
struct Adam<Element: Scalar> {
  private let mean: [Matrix<Element>]
  private let square: [Matrix<Element>]
  private var step = 0

  init(_ parameters: [Matrix<Element>]) {
    mean = parameters.map { Matrix(rows: $0.rows, columns: $0.columns) }
    square = parameters.map { Matrix(rows: $0.rows, columns: $0.columns) }
  }

  mutating func update(_ parameters: [Matrix<Element>], by gradients: [Matrix<Element>], rate: Double) {
    step += 1
    func power(_ base: Double) -> Double { (0..<step).reduce(1) { result, _ in result * base } }
    let (first, second) = (1 - power(0.9), 1 - power(0.999))
    let factor = Element(rate * second.squareRoot() / first)
    let epsilon = Element(1e-8 * second.squareRoot())
    for (index, parameter) in parameters.enumerated() {
      let gradient = gradients[index]
      for i in 0..<parameter.rows {
        parameter.rows(i..<(i + 1)).withUnsafeMutablePointer { x, _ in
          mean[index].rows(i..<(i + 1)).withUnsafeMutablePointer { m, _ in
            square[index].rows(i..<(i + 1)).withUnsafeMutablePointer { v, _ in
              gradient.rows(i..<(i + 1)).withUnsafePointer { g, _ in
                for j in 0..<parameter.columns {
                  m[j] += Element(0.1) * (g[j] - m[j])
                  v[j] += Element(0.001) * (g[j] * g[j] - v[j])
                  x[j] -= factor * m[j] / (v[j].squareRoot() + epsilon)
                }
              }
            }
          }
        }
      }
    }
  }

  /// Forgets what rows of one parameter did before; columns of another likewise.
  func forget(row: Int, of parameter: Int) {
    for moments in [mean, square] { moments[parameter].rows(row..<(row + 1)).scale(by: 0) }
  }

  func forget(column: Int, of parameter: Int) {
    for moments in [mean, square] { moments[parameter].columns(column..<(column + 1)).scale(by: 0) }
  }
}
