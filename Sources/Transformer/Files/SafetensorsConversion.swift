/// Converts stored numbers to single precision. The source needs no alignment.
///
/// - Parameter destination: as many numbers as `source` holds elements.
func widen(_ source: UnsafeRawBufferPointer, from type: TensorType, into destination: UnsafeMutableBufferPointer<Float>)
{
  let count = destination.count
  precondition(source.count == count * type.bits / 8 && type.isComputable)
  guard let input = source.baseAddress, let output = destination.baseAddress else { return }
  switch type {
  case .f32:
    UnsafeMutableRawPointer(output).copyMemory(from: input, byteCount: source.count)
  case .bf16:
    for index in 0..<count {
      output[index] = Float(bitPattern: UInt32(input.loadUnaligned(fromByteOffset: 2 &* index, as: UInt16.self)) &<< 16)
    }
  case .f16:
    for index in 0..<count {
      output[index] = widenHalf(input.loadUnaligned(fromByteOffset: 2 &* index, as: UInt16.self))
    }
  default:
    for index in 0..<count {
      output[index] = Float(input.loadUnaligned(fromByteOffset: 8 &* index, as: Double.self))
    }
  }
}

/// Converts single-precision numbers to a stored type, rounding to the nearest, ties to even.
func narrow(_ source: UnsafeBufferPointer<Float>, to type: TensorType, into destination: UnsafeMutableRawPointer) {
  precondition(type.isComputable)
  guard let input = source.baseAddress else { return }
  switch type {
  case .f32:
    destination.copyMemory(from: input, byteCount: 4 * source.count)
  case .bf16:
    for index in 0..<source.count {
      let bits = input[index].bitPattern
      let rounded = (bits &+ 0x7FFF &+ ((bits &>> 16) & 1)) &>> 16
      // Rounding could carry a NaN's payload into an infinity, so a NaN keeps its high bits and stays quiet.
      let isNaN = bits & 0x7FFF_FFFF > 0x7F80_0000
      let half = UInt16(truncatingIfNeeded: isNaN ? (bits &>> 16) | 0x40 : rounded)
      destination.storeBytes(of: half, toByteOffset: 2 &* index, as: UInt16.self)
    }
  case .f16:
    for index in 0..<source.count {
      destination.storeBytes(of: narrowHalf(input[index]), toByteOffset: 2 &* index, as: UInt16.self)
    }
  default:
    for index in 0..<source.count {
      destination.storeBytes(of: Double(input[index]), toByteOffset: 8 &* index, as: Double.self)
    }
  }
}

/// IEEE half to single. Shifting the exponent and the fraction into place leaves the exponent off by 112, which one exact
/// product repairs, subnormals included.
@inline(always)
func widenHalf(_ half: UInt16) -> Float {
  let magnitude = UInt32(half & 0x7FFF)
  let scaled = Float(bitPattern: magnitude &<< 13) * Float(bitPattern: 0x7780_0000)  // 2^112
  let isSpecial = magnitude >= 0x7C00
  let bits = isSpecial ? 0x7F80_0000 | (magnitude & 0x3FF) &<< 13 : scaled.bitPattern
  return Float(bitPattern: bits | UInt32(half & 0x8000) &<< 16)
}

/// IEEE single to half, nearest, ties to even; too large becomes infinity.
@inline(always)
func narrowHalf(_ value: Float) -> UInt16 {
  let bits = value.bitPattern
  let sign = UInt16(truncatingIfNeeded: (bits &>> 16) & 0x8000)
  let magnitude = bits & 0x7FFF_FFFF
  if magnitude > 0x7F80_0000 { return sign | 0x7E00 }
  if magnitude >= 0x4780_0000 { return sign | 0x7C00 }
  if magnitude < 0x3880_0000 {
    // Below 2^-14 the spacing is 2^-24; adding 0.5 lets the hardware round to it.
    let shifted = Float(bitPattern: magnitude) + 0.5
    return sign | UInt16(truncatingIfNeeded: shifted.bitPattern &- Float(0.5).bitPattern)
  }
  let rounded = magnitude &+ 0xFFF &+ ((magnitude &>> 13) & 1) &- 0x3800_0000
  return sign | UInt16(truncatingIfNeeded: rounded &>> 13)
}

/// The index of the first element that is infinite or NaN: all exponent bits set.
func firstNonFiniteElement(_ bytes: UnsafeRawBufferPointer, _ type: TensorType) -> Int? {
  switch type {
  case .f16: firstElement(bytes, withAllBits: UInt16(0x7C00))
  case .bf16: firstElement(bytes, withAllBits: UInt16(0x7F80))
  case .f32: firstElement(bytes, withAllBits: UInt32(0x7F80_0000))
  default: firstElement(bytes, withAllBits: UInt64(0x7FF0_0000_0000_0000))
  }
}

@inline(__always)
private func firstElement<Bits: FixedWidthInteger>(_ bytes: UnsafeRawBufferPointer, withAllBits mask: Bits) -> Int? {
  guard let input = bytes.baseAddress else { return nil }
  let size = MemoryLayout<Bits>.size
  let count = bytes.count / size
  let block = 4096
  var start = 0
  while start < count {
    // A block is searched without branches first, so that the loop becomes vector code.
    let end = min(start + block, count)
    var found: Bits = 0
    for index in start..<end {
      let bits = input.loadUnaligned(fromByteOffset: size &* index, as: Bits.self)
      found |= bits & mask == mask ? 1 : 0
    }
    if found != 0 {
      for index in start..<end
      where input.loadUnaligned(fromByteOffset: size &* index, as: Bits.self) & mask == mask { return index }
    }
    start = end
  }
  return nil
}
