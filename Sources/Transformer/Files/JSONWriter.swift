extension JSON {
  /// The value as JSON text; members keep their order.
  ///
  /// - Parameter indented: one member per line with two spaces per level, as Hugging Face files have it.
  public func serialized(indented: Bool = false) -> [UInt8] {
    var bytes: [UInt8] = []
    write(to: &bytes, level: indented ? 0 : nil)
    return bytes
  }

  private func write(to bytes: inout [UInt8], level: Int?) {
    switch self {
    case .null: bytes += "null".utf8
    case .bool(let flag): bytes += (flag ? "true" : "false").utf8
    case .integer(let number): bytes += String(number).utf8
    case .number(let number): bytes += (number.isFinite ? "\(number)" : "null").utf8  // JSON has no infinity
    case .string(let text): Self.write(text, to: &bytes)
    case .array(let elements):
      Self.write(elements, "[", "]", to: &bytes, level: level) { element, bytes, level in
        element.write(to: &bytes, level: level)
      }
    case .object(let members):
      Self.write(members, "{", "}", to: &bytes, level: level) { member, bytes, level in
        Self.write(member.key, to: &bytes)
        bytes += (level == nil ? ":" : ": ").utf8
        member.value.write(to: &bytes, level: level)
      }
    }
  }

  private static func write<Element>(
    _ elements: [Element], _ open: String, _ close: String, to bytes: inout [UInt8], level: Int?,
    each: (Element, inout [UInt8], Int?) -> Void
  ) {
    bytes += open.utf8
    let inner = level.map { $0 + 1 }
    for (index, element) in elements.enumerated() {
      if index > 0 { bytes.append(UInt8(ascii: ",")) }
      newLine(in: &bytes, level: inner)
      each(element, &bytes, inner)
    }
    if !elements.isEmpty { newLine(in: &bytes, level: level) }
    bytes += close.utf8
  }

  private static func newLine(in bytes: inout [UInt8], level: Int?) {
    guard let level else { return }
    bytes.append(0x0A)
    bytes.append(contentsOf: repeatElement(0x20, count: 2 * level))
  }

  private static func write(_ text: ByteString, to bytes: inout [UInt8]) {
    bytes.append(UInt8(ascii: "\""))
    for byte in text.bytes {
      switch byte {
      case UInt8(ascii: "\""), UInt8(ascii: "\\"): bytes += [UInt8(ascii: "\\"), byte]
      case 0x0A: bytes += "\\n".utf8
      case 0x0D: bytes += "\\r".utf8
      case 0x09: bytes += "\\t".utf8
      case 0..<0x20: bytes += "\\u00\(byte < 16 ? "0" : "")\(String(byte, radix: 16))".utf8
      default: bytes.append(byte)
      }
    }
    bytes.append(UInt8(ascii: "\""))
  }
}
