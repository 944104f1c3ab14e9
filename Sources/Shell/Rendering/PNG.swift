import Kernel

extension HeatMap {
  /// The cells as an indexed PNG, `magnification` pixels to a cell; cells without a value are transparent.
  ///
  /// The data is stored, not compressed: palette indices of a pooled map are small, and no library is needed.
  func png(magnification: Int = 1) -> [UInt8] {
    let range = range
    let transparent = UInt8(255)
    var pixels: [UInt8] = []
    for row in 0..<rowCount {
      var line: [UInt8] = [0]  // Filter type "none".
      for column in 0..<columnCount {
        let value = values[row * columnCount + column]
        let t = (value - range.lower) / (range.upper - range.lower)
        let index = value.isFinite ? UInt8((min(max(t, 0), 1) * 254).rounded()) : transparent
        for _ in 0..<magnification { line.append(index) }
      }
      for _ in 0..<magnification { pixels += line }
    }
    var palette: [UInt8] = []
    for index in 0..<255 {
      let colour = Palette.colour(scale, at: Double(index) / 254)
      palette += [colour.red, colour.green, colour.blue]
    }
    palette += [0, 0, 0]
    let opacity = [UInt8](repeating: 255, count: 255) + [0]
    let size = bigEndian(UInt32(columnCount * magnification)) + bigEndian(UInt32(rowCount * magnification))
    return [0x89, 0x50, 0x4E, 0x47, 0x0D, 0x0A, 0x1A, 0x0A]
      + chunk("IHDR", size + [8, 3, 0, 0, 0])
      + chunk("PLTE", palette) + chunk("tRNS", opacity)
      + chunk("IDAT", storedDeflate(pixels)) + chunk("IEND", [])
  }
}

private func bigEndian(_ value: UInt32) -> [UInt8] {
  [UInt8(value >> 24), UInt8(value >> 16 & 255), UInt8(value >> 8 & 255), UInt8(value & 255)]
}

private func chunk(_ name: String, _ data: [UInt8]) -> [UInt8] {
  let body = Array(name.utf8) + data
  return bigEndian(UInt32(data.count)) + body + bigEndian(crc(body))
}

/// A zlib stream of stored blocks (RFC 1950, RFC 1951 section 3.2.4).
private func storedDeflate(_ data: [UInt8]) -> [UInt8] {
  var out: [UInt8] = [0x78, 0x01]
  var start = 0
  repeat {
    let count = min(65535, data.count - start)
    let isLast: UInt8 = start + count == data.count ? 1 : 0
    let (low, high) = (UInt8(count & 255), UInt8(count >> 8))
    out += [isLast, low, high, ~low, ~high]
    out += data[start..<start + count]
    start += count
  } while start < data.count
  var (a, b): (UInt32, UInt32) = (1, 0)  // Adler-32
  for byte in data {
    a = (a + UInt32(byte)) % 65521
    b = (b + a) % 65521
  }
  return out + bigEndian(b << 16 | a)
}

private let crcTable: [UInt32] = (0..<256).map { index in
  (0..<8).reduce(UInt32(index)) { value, _ in value & 1 == 1 ? 0xEDB8_8320 ^ (value >> 1) : value >> 1 }
}

private func crc(_ bytes: [UInt8]) -> UInt32 {
  ~bytes.reduce(0xFFFF_FFFF as UInt32) { crcTable[Int(($0 ^ UInt32($1)) & 255)] ^ ($0 >> 8) }
}

/// RFC 4648.
enum Base64 {
  static func text(_ bytes: [UInt8]) -> String {
    let digits = Array("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/".utf8)
    var out: [UInt8] = []
    out.reserveCapacity((bytes.count + 2) / 3 * 4)
    for start in stride(from: 0, to: bytes.count, by: 3) {
      let group = bytes[start..<min(start + 3, bytes.count)]
      let value = group.reduce(0) { $0 << 8 | Int($1) } << (8 * (3 - group.count))
      for place in 0..<4 {
        out.append(place <= group.count ? digits[value >> (18 - 6 * place) & 63] : UInt8(ascii: "="))
      }
    }
    return String(decoding: out, as: UTF8.self)
  }
}
