import Glibc

/// The angles by which queries and keys are turned: position × inverse frequency, one frequency per pair of features.
public struct Rotary: Sendable, Equatable {
  /// One per rotated pair, in single precision as transformers computes them.
  public let inverseFrequencies: [Float]
  public let pairing: RotaryPairing
  /// The base of the frequencies.
  let theta: Double

  /// Features per head that turn; the rest pass unchanged.
  public var rotatedFeatures: Int { 2 * inverseFrequencies.count }

  /// How frequencies are changed for long texts.
  public enum Scaling: Sendable, Equatable {
    case none
    /// Every angle divided by `factor`.
    case linear(factor: Double)
    /// LLaMA 3.1: long wavelengths divided by `factor`, short ones kept, a ramp between.
    case llama3(factor: Double, low: Double, high: Double, originalPositions: Double)
    /// Every frequency divided by a factor of its own.
    case factors([Double])
  }

  /// - Parameter rotated: features per head that turn, an even number.
  public init(theta: Double, rotated: Int, pairing: RotaryPairing, scaling: Scaling) {
    self.pairing = pairing
    self.theta = theta
    inverseFrequencies = (0..<rotated / 2).map { pair in
      let exponent = Float(2 * pair) / Float(rotated)
      return Self.scaled(1 / Float(pow(theta, Double(exponent))), pair, scaling)
    }
  }

  private static func scaled(_ frequency: Float, _ pair: Int, _ scaling: Scaling) -> Float {
    switch scaling {
    case .none: return frequency
    case .linear(let factor): return frequency / Float(factor)
    case .factors(let factors): return frequency / Float(factors[pair])
    case .llama3(let factor, let low, let high, let originalPositions):
      let wavelength = 2 * Float.pi / frequency
      if wavelength < Float(originalPositions / high) { return frequency }
      if wavelength > Float(originalPositions / low) { return frequency / Float(factor) }
      let smooth = (Float(originalPositions) / wavelength - Float(low)) / Float(high - low)
      return (1 - smooth) * frequency / Float(factor) + smooth * frequency
    }
  }

  /// Cosines and sines of some positions: two row-major tables of `positions × pairs`.
  func tables(of positions: Range<Int>) -> (cosines: [Float], sines: [Float]) {
    var cosines: [Float] = []
    var sines: [Float] = []
    cosines.reserveCapacity(positions.count * inverseFrequencies.count)
    sines.reserveCapacity(positions.count * inverseFrequencies.count)
    for position in positions {
      for frequency in inverseFrequencies {
        let angle = Double(Float(position) * frequency)
        cosines.append(Float(cos(angle)))
        sines.append(Float(sin(angle)))
      }
    }
    return (cosines, sines)
  }
}
