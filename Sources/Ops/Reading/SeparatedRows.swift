import Kernel

/// Rows of a file of separated values, RFC 4180: quoted fields may hold separators, newlines and doubled quotes. Empty
/// lines are passed over.
///
/// - Returns: the rows, each with the number of the line it begins on.
/// - Throws: when the file ends inside quotes.
func separatedRows(_ bytes: [UInt8], by separator: UInt8, file: String) throws -> [(line: Int, row: [String])] {
  var rows: [(Int, [String])] = []
  var (row, field): ([String], [UInt8]) = ([], [])
  var (line, start, isQuoted, at) = (1, 1, false, 0)
  func ended() {
    row.append(String(decoding: field, as: UTF8.self))
    field = []
  }
  while at < bytes.count {
    let byte = bytes[at]
    at += 1
    if byte == 0x0A { line += 1 }
    switch byte {
    case 0x22 where isQuoted && at < bytes.count && bytes[at] == 0x22:
      field.append(byte)
      at += 1
    case 0x22 where isQuoted || field.isEmpty: isQuoted.toggle()
    case separator where !isQuoted: ended()
    case 0x0D where !isQuoted && at < bytes.count && bytes[at] == 0x0A: continue
    case 0x0A where !isQuoted:
      ended()
      if row != [""] { rows.append((start, row)) }
      (row, start) = ([], line)
    default: field.append(byte)
    }
  }
  if isQuoted { throw Diagnostic("\(file) ends inside the quotes of line \(start)") }
  if !field.isEmpty || !row.isEmpty {
    ended()
    rows.append((start, row))
  }
  return rows
}
