import Glibc
import Kernel

/// Numbers as text. One place, because a table, a plot and a progress line must agree, and because the same value
/// must give the same bytes everywhere: the C library's digits under the "C" numeric locale.
enum NumberText {
  /// The shortest text with at most `digits` significant digits: 24.7312, 1.2e-07.
  static func significant(_ value: Double, _ digits: Int) -> String {
    if let odd = nonFinite(value) { return odd }
    return format("%.*g", digits, value)
  }

  /// Exactly `decimals` digits behind the point.
  static func fixed(_ value: Double, _ decimals: Int) -> String {
    if let odd = nonFinite(value) { return odd }
    let text = format("%.*f", decimals, value)
    return text.hasPrefix("-") && !text.contains(where: { ("1"..."9").contains($0) }) ? String(text.dropFirst()) : text
  }

  /// At most `decimals` digits behind the point, without trailing zeros.
  static func trimmed(_ value: Double, _ decimals: Int) -> String {
    var text = fixed(value, decimals)
    guard text.contains(".") else { return text }
    while text.hasSuffix("0") { text.removeLast() }
    if text.hasSuffix(".") { text.removeLast() }
    return text
  }

  /// A number of a table: with the decimals of its column, else six digits; counts have all of theirs.
  static func number(_ value: Double, decimals: Int?) -> String {
    if let decimals { return fixed(value, decimals) }
    return value == value.rounded() && abs(value) < 1e15 ? fixed(value, 0) : significant(value, 6)
  }

  /// All digits a program needs to read the same number back.
  static func exact(_ value: Double) -> String {
    nonFinite(value) ?? JSONValue.number(value).canonical
  }

  /// 0.2 as "20%", 0.19974 as "19.97%".
  static func percent(_ value: Double) -> String { trimmed(value * 100, 2) + (value.isFinite ? "%" : "") }

  /// "128 MiB".
  static func bytes(_ value: Int) -> String {
    var size = Double(value)
    for unit in ["B", "KiB", "MiB", "GiB"] {
      if abs(size) < 1024 { return (unit == "B" ? String(value) : significantKept(size)) + " " + unit }
      size /= 1024
    }
    return significantKept(size) + " TiB"
  }

  /// "14 ms", "41.2 s", "3 min 05 s", "2 h 10 min", "30 days".
  static func duration(_ seconds: Double) -> String {
    guard seconds.isFinite else { return "unknown time" }
    if seconds < 0.0995 { return fixed(max(0, seconds) * 1000, 0) + " ms" }
    if seconds < 99.95 { return fixed(max(0, seconds), 1) + " s" }
    let whole = Int(min(seconds, 1e15).rounded())
    if whole < 3600 { return "\(whole / 60) min \(padded(whole % 60)) s" }
    if whole >= 2 * 86400, whole % 86400 == 0 { return "\(whole / 86400) days" }
    return "\(whole / 3600) h \(padded(whole % 3600 / 60)) min"
  }

  /// "16 384" would need a thin space; plain digits are what can be copied.
  private static func significantKept(_ value: Double) -> String {
    abs(value) >= 100 ? fixed(value, 0) : trimmed(value, 1)
  }

  private static func padded(_ value: Int) -> String { value < 10 ? "0\(value)" : "\(value)" }

  private static func nonFinite(_ value: Double) -> String? {
    value.isNaN ? "nan" : value.isInfinite ? (value < 0 ? "-inf" : "inf") : nil
  }

  private static func format(_ pattern: String, _ digits: Int, _ value: Double) -> String {
    var buffer = [CChar](repeating: 0, count: 400)
    let written = withVaList([Int32(digits), value]) { vsnprintf(&buffer, buffer.count, pattern, $0) }
    return String(decoding: buffer.prefix(Int(max(0, written))).map { UInt8(bitPattern: $0) }, as: UTF8.self)
  }
}
