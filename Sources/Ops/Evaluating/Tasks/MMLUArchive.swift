import Foundation
import Kernel
import Transformer

/// MMLU as its authors publish it: a file for each subject and split, without a header, with the columns question, A, B,
/// C, D and the letter of the right answer.
enum MMLUArchive {
  /// The rows in the fields of the published data set; the subject is in the file's name: `anatomy_test.csv`.
  static func records(_ bytes: [UInt8], file: String) throws -> [Record] {
    let subject = (file as NSString).deletingPathExtension
      .replacing(#/_(test|val|dev)$/#, with: "")
    return try rows(bytes, file: file).map { line, row in
      guard row.count == 6 else { throw Diagnostic("\(file) line \(line) has \(row.count) columns, not 6") }
      let members: [JSON.Member] = [
        JSON.Member("question", .text(row[0])), JSON.Member("subject", .text(subject)),
        JSON.Member("choices", .array(row[1...4].map(JSON.text))),
        JSON.Member("answer", Task.letters.firstIndex(of: row[5]).map(JSON.integer) ?? .text(row[5])),
      ]
      return Record(fields: .object(members), file: file, line: line)
    }
  }

  /// RFC 4180: quoted fields may hold commas, newlines and doubled quotes.
  private static func rows(_ bytes: [UInt8], file: String) throws -> [(line: Int, row: [String])] {
    var rows: [(Int, [String])] = []
    var (row, field): ([String], [UInt8]) = ([], [])
    var (line, start, isQuoted, at) = (1, 1, false, 0)
    func ended() { row.append(String(decoding: field, as: UTF8.self)); field = [] }
    while at < bytes.count {
      let byte = bytes[at]
      at += 1
      if byte == 0x0A { line += 1 }
      switch byte {
      case 0x22 where isQuoted && at < bytes.count && bytes[at] == 0x22:
        field.append(byte)
        at += 1
      case 0x22 where isQuoted || field.isEmpty: isQuoted.toggle()
      case 0x2C where !isQuoted: ended()
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
}
