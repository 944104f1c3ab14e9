import Kernel
import Testing

@testable import Shell

@Suite struct TableTests {
  static let compared = TableData(
    columns: ["label", "token_perplexity", "rate"],
    rows: [
      [.text("dense"), .number(24.731234), .ratio(0)],
      [.text("flap"), .number(31.02), .ratio(0.2)],
      [.text("obc, one shot"), .missing, .ratio(0.19974)],
    ])

  @Test func aBoxAlignsNumbersToTheRight() {
    let expected = """
      ┌───────────────┬──────────────────┬────────┐
      │ label         │ token_perplexity │   rate │
      ├───────────────┼──────────────────┼────────┤
      │ dense         │           24.731 │     0% │
      │ flap          │           31.020 │    20% │
      │ obc, one shot │                  │ 19.97% │
      └───────────────┴──────────────────┴────────┘

      """
    #expect(TableTests.compared.text(.box) == expected)
  }

  @Test func tabsKeepEveryDigitAndTheHeader() {
    #expect(
      TableTests.compared.text(.tsv)
        == "label\ttoken_perplexity\trate\ndense\t24.731234\t0\nflap\t31.02\t0.2\nobc, one shot\t\t0.19974\n")
  }

  @Test func aRecordInAPipeIsOneNameAndValuePerLine() {
    let record = TableData(record: [("token_perplexity", .number(24.5)), ("tokens", .integer(1024))])
    #expect(record.text(.tsv) == "token_perplexity\t24.5\ntokens\t1024\n")
    #expect(record.text(.json) == "{\"token_perplexity\":24.5,\"tokens\":1024}\n")
    #expect(record.text(.csv) == "name,value\ntoken_perplexity,24.5\ntokens,1024\n")
  }

  @Test func commasAndQuotesAreQuoted() {
    let table = TableData(columns: ["a,b"], rows: [[.text("say \"x\"")]])
    #expect(table.text(.csv) == "\"a,b\"\n\"say \"\"x\"\"\"\n")
  }

  @Test func aTabInsideACellCannotBreakALine() {
    #expect(TableData(columns: ["a"], rows: [[.text("x\ty\nz")]]).text(.tsv) == "a\nx\\ty\\nz\n")
  }

  @Test func markdownEscapesBars() {
    #expect(
      TableData(columns: ["a", "n"], rows: [[.text("x|y"), .integer(3)]]).text(.md)
        == "| a | n |\n| --- | ---: |\n| x\\|y | 3 |\n")
  }

  @Test func aBoxNeverExceedsTheTerminal() {
    let wide = TableData(
      columns: ["name", "path", "n"],
      rows: [[.text("acts"), .text(String(repeating: "long/", count: 30)), .integer(5)]])
    for width in [20, 30, 40, 80] {
      for format in [TableFormat.box, .ascii] {
        let lines = wide.text(format, width: width).split(separator: "\n")
        #expect(lines.filter { !$0.contains("more") }.allSatisfy { DisplayWidth.of(String($0)) <= width })
      }
    }
  }

  @Test func columnsThatDoNotFitComeBelowWithTheNamesOfTheRows() {
    let wide = TableData(
      columns: ["label", "token_perplexity", "token_perplexity_stderr", "nll_minus_baseline"],
      rows: [[.text("dense"), .number(3.4), .number(0.02), .number(0)]])
    let expected = """
      +-------+------------------+
      | label | token_perplexity |
      +-------+------------------+
      | dense |           3.4000 |
      +-------+------------------+
      +-------+-------------------------+
      | label | token_perplexity_stderr |
      +-------+-------------------------+
      | dense |                0.020000 |
      +-------+-------------------------+
      +-------+--------------------+
      | label | nll_minus_baseline |
      +-------+--------------------+
      | dense |                  0 |
      +-------+--------------------+

      """
    let text = wide.text(.ascii, width: 40)
    #expect(text.split(separator: "\n").allSatisfy { $0.count <= 40 })
    for column in wide.columns { #expect(text.contains(column)) }
    #expect(text.split(separator: "\n").count == expected.split(separator: "\n").count)
  }

  /// The columns of every frame, as the header line names them.
  private func frames(_ table: TableData, width: Int) -> [[String]] {
    let lines = table.text(.ascii, width: width).split(separator: "\n").map(String.init)
    #expect(lines.allSatisfy { DisplayWidth.of($0) <= width })
    return lines.indices.filter { $0 % (table.rows.count + 4) == 1 }.map { line in
      lines[line].split(separator: "|").map { $0.trimmingCharacters(in: .whitespaces) }
    }
  }

  @Test func everyFrameHasTheKeyColumnsAlsoThoseOfNumbers() {
    let names = (0..<6).map { "a_measured_column_\($0)" }
    let numbers = names.indices.map { TableData.Cell.number(Double($0)) }
    let networks = TableData(columns: ["layer"] + names, rows: [[.integer(3)] + numbers])
    #expect(frames(networks, width: 60).allSatisfy { $0.first == "layer" && $0.count > 1 })
    let label = String(repeating: "flap and wanda ", count: 4)
    let compared = TableData(
      columns: ["label", "layer"] + names, rows: [[.text(label), .integer(3)] + numbers], keys: ["label", "layer"])
    #expect(frames(compared, width: 80).allSatisfy { $0.prefix(2) == ["label", "layer"] })
    #expect(frames(compared, width: 80).joined().count { names.contains($0) } == names.count)
  }

  @Test func aTextIsCutOnlyWhereItsFrameIsFull() {
    let text = "31.25% of the units of 6 blocks"
    let table = TableData(
      columns: ["label", "token_perplexity", "nll_minus_baseline", "nll_minus_baseline_stderr", "removed_as"],
      rows: [[.text("flap"), .number(1), .number(2), .number(3), .text(text)]])
    #expect(table.text(.ascii, width: 80).contains(text))
    #expect(frames(table, width: 80).count == 2)
  }

  @Test func theValuesOfARecordGoOnBelow() {
    let path = "/home/someone/" + String(repeating: "folder/", count: 12) + "object.h5"
    let key = String(repeating: "0123456789abcdef", count: 4)
    let record = TableData(record: [("file", .text(path)), ("key", .text(key)), ("made from", .text("a b c"))])
    for width in [30, 60, 80] {
      let lines = record.text(.box, width: width).split(separator: "\n").map(String.init)
      #expect(lines.allSatisfy { DisplayWidth.of($0) <= width })
      let values = lines.compactMap { line -> String? in
        let cells = line.split(separator: "│").map { $0.trimmingCharacters(in: .whitespaces) }
        return cells.count == 2 ? cells[1] : nil
      }
      #expect(values.joined() == "value" + path + key + "a b c", "\(width)")
    }
    #expect("a bc/de f".pieces(of: 4) == ["a ", "bc/", "de f"])
    #expect("abcdef".pieces(of: 4) == ["abcd", "ef"] && "".pieces(of: 4) == [""])
  }

  @Test func theFigureOfAStepStaysWhole() {
    var columns = StepColumns()
    let what = "report token_perplexity 3.7926 +- 0.031, nll 1.33305 +- 0.0082"
    for width in [72, 80, 90, 100] {
      let line = columns.line("dense", what, 70_000, "cached", aside: " (saved 12.3 s)", width: width)
      #expect(DisplayWidth.of(line) <= width)
      #expect(line.contains("3.7926 +- 0.031") && line.contains("cached"), "\(line)")
      // Another number is not the beginning of one.
      if let cut = line.firstIndex(of: "~") {
        let last = line[..<cut].split(separator: " ").last ?? ""
        #expect(what.split(separator: " ").contains(last), "\(line)")
      }
    }
  }

  @Test func anErrorStandsBesideItsNumberForPeopleOnly() {
    let record = TableData(record: [("token_perplexity", .measured(3.40201, error: 0.0312))])
    #expect(record.text(.box).contains("3.40201 ± 0.031"))
    #expect(record.text(.ascii).contains("3.40201 +- 0.031"))
    #expect(record.text(.tsv) == "token_perplexity\t3.40201\n")
    let counts = TableData(record: [("bytes", .number(2_886_912)), ("speed", .measured(15773.81, error: 675.2))])
    #expect(counts.text(.box).contains(" 2886912 ") && counts.text(.box).contains("15773.8 ± 675 "))
  }

  @Test func rowsLeftOutAreCounted() {
    let long = TableData(columns: ["i"], rows: (0..<50).map { [.integer($0)] })
    #expect(long.text(.ascii, rowLimit: 10).hasSuffix("40 more rows\n"))
    #expect(long.text(.tsv, rowLimit: 10).split(separator: "\n").count == 51)
  }

  @Test func wideCharactersCountTwice() {
    #expect(DisplayWidth.of("日本") == 4)
    #expect(DisplayWidth.of("e\u{301}") == 1)
    #expect(DisplayWidth.cut("日本語", to: 5, mark: "~") == "日本~")
  }
}

@Suite struct NumberTextTests {
  @Test func numbersReadWell() {
    #expect(NumberText.percent(0.2) == "20%")
    #expect(NumberText.percent(0.19974) == "19.97%")
    #expect(NumberText.bytes(134_217_728) == "128 MiB")
    #expect(NumberText.bytes(1536) == "1.5 KiB")
    #expect(NumberText.duration(41.24) == "41.2 s")
    #expect(NumberText.duration(185) == "3 min 05 s")
    #expect(NumberText.duration(7800) == "2 h 10 min")
    #expect(NumberText.duration(30 * 86400) == "30 days")
    #expect(NumberText.fixed(-0.001, 2) == "0.00")
    #expect(NumberText.exact(.nan) == "nan")
  }
}
