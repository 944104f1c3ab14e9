// Numbers from blocks and back, as the reference of ggml has them (ggml-quants.c). Every product and difference is rounded
// in its order, so that the numbers are the reference's, bit by bit.

extension GGUFType {
  /// Converts stored blocks to single precision. The source needs no alignment.
  ///
  /// - Parameter destination: as many numbers as `source` holds.
  func widen(_ source: UnsafeRawBufferPointer, into destination: UnsafeMutableBufferPointer<Float>) {
    let block = block
    precondition(source.count == byteCount(destination.count) && destination.count.isMultiple(of: block.numbers))
    guard var input = source.baseAddress, var output = destination.baseAddress else { return }
    for _ in 0..<destination.count / block.numbers {
      widenBlock(Block(start: input), output)
      input += block.bytes
      output += block.numbers
    }
  }

  /// The first number whose scale is infinite or NaN.
  func firstNonFinite(_ source: UnsafeRawBufferPointer) -> Int? {
    let (numbers, bytes) = block
    guard let start = source.baseAddress else { return nil }
    for index in 0..<source.count / bytes {
      let block = Block(start: start + index * bytes)
      if !scaleOffsets.allSatisfy({ block.half($0).isFinite }) { return index * numbers }
    }
    return nil
  }

  /// Where the halves of a block stand that the numbers are multiples of.
  private var scaleOffsets: [Int] {
    switch self {
    case .q40, .q50, .q80: [0]
    case .q41, .q51, .q4K, .q5K: [0, 2]
    case .q6K: [208]
    case .f32, .f16, .bf16, .f64: []
    }
  }

  private func widenBlock(_ block: Block, _ output: UnsafeMutablePointer<Float>) {
    switch self {
    case .q40:
      let scale = block.half(0)
      for i in 0..<16 {
        let byte = Int(block[2 + i])
        output[i] = Float(byte & 15 - 8) * scale
        output[i + 16] = Float(byte >> 4 - 8) * scale
      }
    case .q41:
      let (scale, offset) = (block.half(0), block.half(2))
      for i in 0..<16 {
        let byte = Int(block[4 + i])
        output[i] = Float(byte & 15) * scale + offset
        output[i + 16] = Float(byte >> 4) * scale + offset
      }
    case .q50:
      let (scale, high) = (block.half(0), block.word(2))
      for i in 0..<16 {
        let byte = Int(block[6 + i])
        output[i] = Float(byte & 15 + Int(high >> UInt32(i) & 1) * 16 - 16) * scale
        output[i + 16] = Float(byte >> 4 + Int(high >> UInt32(i + 16) & 1) * 16 - 16) * scale
      }
    case .q51:
      let (scale, offset, high) = (block.half(0), block.half(2), block.word(4))
      for i in 0..<16 {
        let byte = Int(block[8 + i])
        output[i] = Float(byte & 15 + Int(high >> UInt32(i) & 1) * 16) * scale + offset
        output[i + 16] = Float(byte >> 4 + Int(high >> UInt32(i + 16) & 1) * 16) * scale + offset
      }
    case .q80:
      let scale = block.half(0)
      for i in 0..<32 { output[i] = Float(Int8(bitPattern: block[2 + i])) * scale }
    case .q4K, .q5K: widenParts(block, output)
    case .q6K:
      let scale = block.half(208)
      for i in 0..<256 {
        // Halves of 128 numbers, in each four rows of 32 that share their high bits' bytes.
        let (half, row, column) = (i >> 7, i >> 5 & 3, i & 31)
        let low = Int(block[64 * half + 32 * (row & 1) + column]) >> (row < 2 ? 0 : 4) & 15
        let high = Int(block[128 + 32 * half + column]) >> (2 * row) & 3
        let part = Float(Int8(bitPattern: block[192 + i >> 4]))
        output[i] = scale * part * Float(low + 16 * high - 32)
      }
    case .f32, .f16, .bf16, .f64: break
    }
  }

  /// Eight parts of 32 numbers, each with a scale and an offset of 6 bits; `q5_K` has a fifth bit per number.
  private func widenParts(_ block: Block, _ output: UnsafeMutablePointer<Float>) {
    let (scale, offset) = (block.half(0), block.half(2))
    let low = self == .q4K ? 16 : 48
    for part in 0..<8 {
      let (factor, minimum) = block.sixBits(part, at: 4)
      let (step, least) = (scale * Float(factor), offset * Float(minimum))
      for i in 0..<32 {
        var number = Int(block[low + 32 * (part >> 1) + i]) >> (4 * (part & 1)) & 15
        if self == .q5K { number += Int(block[16 + i]) >> part & 1 * 16 }
        output[32 * part + i] = step * Float(number) - least
      }
    }
  }

  /// The bytes of one block.
  private struct Block {
    let start: UnsafeRawPointer

    subscript(offset: Int) -> UInt8 { start.load(fromByteOffset: offset, as: UInt8.self) }
    func half(_ offset: Int) -> Float {
      widenHalf(UInt16(littleEndian: start.loadUnaligned(fromByteOffset: offset, as: UInt16.self)))
    }
    func word(_ offset: Int) -> UInt32 {
      UInt32(littleEndian: start.loadUnaligned(fromByteOffset: offset, as: UInt32.self))
    }

    /// Scale and offset of a part, packed in 12 bytes: the first four parts in the low bits of the first eight bytes, the
    /// others with their low bits in the last four and their high bits above those of the first.
    func sixBits(_ part: Int, at offset: Int) -> (scale: Int, offset: Int) {
      func byte(_ index: Int) -> Int { Int(self[offset + index]) }
      if part < 4 { return (byte(part) & 63, byte(part + 4) & 63) }
      return (byte(part + 4) & 15 | (byte(part - 4) >> 6) << 4, byte(part + 4) >> 4 | (byte(part) >> 6) << 4)
    }
  }
}

extension GGUFType {
  func write(_ numbers: [Float], to output: OutputFile) throws {
    if let plain { return try TensorSink(output, plain).append(numbers) }
    try Self.quantized(numbers).withUnsafeBytes { try output.write($0) }
  }

  /// Q8_0 as ggml's reference makes it.
  private static func quantized(_ numbers: [Float]) -> [UInt8] {
    var bytes: [UInt8] = []
    bytes.reserveCapacity(numbers.count / 32 * 34)
    for start in stride(from: 0, to: numbers.count, by: 32) {
      let block = numbers[start..<start + 32]
      let scale = block.reduce(0) { max($0, abs($1)) } / 127
      let inverse = (1 / scale).isFinite ? 1 / scale : 0
      withUnsafeBytes(of: Float16(scale).bitPattern.littleEndian) { bytes.append(contentsOf: $0) }
      for number in block { bytes.append(UInt8(bitPattern: Int8((number * inverse).rounded()))) }
    }
    return bytes
  }
}
