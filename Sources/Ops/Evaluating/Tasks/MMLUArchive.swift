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
    return try separatedRows(bytes, by: UInt8(ascii: ","), file: file).map { line, row in
      guard row.count == 6 else { throw Diagnostic("\(file) line \(line) has \(row.count) columns, not 6") }
      let members: [JSON.Member] = [
        JSON.Member("question", .text(row[0])), JSON.Member("subject", .text(subject)),
        JSON.Member("choices", .array(row[1...4].map(JSON.text))),
        JSON.Member("answer", Task.letters.firstIndex(of: row[5]).map(JSON.integer) ?? .text(row[5])),
      ]
      return Record(fields: .object(members), file: file, line: line)
    }
  }
}
