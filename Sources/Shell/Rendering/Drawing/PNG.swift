import CZlib

/// Pictures of pixels as PNG files.
enum PNG {
  /// Eight bits for each of red, green and blue, row by row.
  static func rgb(width: Int, height: Int, _ pixels: [UInt8]) -> [UInt8] {
    var rows: [UInt8] = []
    rows.reserveCapacity(height * (width * 3 + 1))
    for row in 0..<height {
      rows.append(0)  // Filter type "none".
      rows += pixels[(row * width * 3)..<((row + 1) * width * 3)]
    }
    return file(width: width, height: height, kind: 2, [("IDAT", Deflate.zlib(rows))])
  }

  /// One pixel for each cell; nil is transparent. At most 255 colours.
  static func indexed(rows: Int, columns: Int, _ cells: [Colour?]) -> [UInt8] {
    var places: [Colour: UInt8] = [:]
    var palette: [UInt8] = []
    let transparent: UInt8 = 255
    var data: [UInt8] = []
    for row in 0..<rows {
      data.append(0)
      for column in 0..<columns {
        guard let colour = cells[row * columns + column] else {
          data.append(transparent)
          continue
        }
        if places[colour] == nil, places.count < 255 {
          places[colour] = UInt8(places.count)
          palette += [colour.red, colour.green, colour.blue]
        }
        data.append(places[colour] ?? 0)
      }
    }
    palette += [UInt8](repeating: 0, count: 256 * 3 - palette.count)
    let opacity = [UInt8](repeating: 255, count: 255) + [0]
    return file(
      width: columns, height: rows, kind: 3, [("PLTE", palette), ("tRNS", opacity), ("IDAT", Deflate.zlib(data))])
  }

  private static func file(width: Int, height: Int, kind: UInt8, _ chunks: [(String, [UInt8])]) -> [UInt8] {
    let size = bigEndian(UInt32(width)) + bigEndian(UInt32(height))
    let all = [("IHDR", size + [8, kind, 0, 0, 0])] + chunks + [("IEND", [])]
    return [0x89, 0x50, 0x4E, 0x47, 0x0D, 0x0A, 0x1A, 0x0A] + all.flatMap(chunk)
  }

  private static func bigEndian(_ value: UInt32) -> [UInt8] {
    [UInt8(value >> 24), UInt8(value >> 16 & 255), UInt8(value >> 8 & 255), UInt8(value & 255)]
  }

  private static func chunk(_ name: String, _ data: [UInt8]) -> [UInt8] {
    let body = Array(name.utf8) + data
    return bigEndian(UInt32(data.count)) + body + bigEndian(UInt32(crc32(0, body, UInt32(body.count))))
  }
}

enum Deflate {
  /// `data` as a zlib stream.
  static func zlib(_ data: [UInt8]) -> [UInt8] {
    var size = compressBound(UInt(data.count))
    var out = [UInt8](repeating: 0, count: Int(size))
    // Fails only for want of room, and the bound gives enough.
    _ = compress2(&out, &size, data, UInt(data.count), 9)
    return Array(out.prefix(Int(size)))
  }
}
