import Kernel
import Testing

@testable import Ops

@Suite struct ColumnTests {
  private struct Row: Sendable, Equatable {
    var number = 0.0
    var whole = 0
    var text = ""
    var list: [Double] = []
    var lists: [[Double]] = []
    var none: [Double] = []
  }
  private static let columns: [Column<Row>] = [
    .number("number", \.number, "a number"), .whole("whole", as: Int32.self, \.whole), .text("text", \.text),
    .list("list", \.list, per: "item", "a list"), .lists("lists", \.lists, per: "outer", "inner", "lists"),
    .list("none", \.none, per: "item", "what no row has"),
  ]

  /// A checkpoint of a step goes through the file.
  @Test func whatIsWrittenOfEveryRowIsReadIntoItsPlace() throws {
    let rows = (0..<3).map { i in
      Row(
        number: Double(i) / 3, whole: -i, text: "row \(i)", list: [Double(i), 0.5],
        lists: [[1, 2, Double(i)], [3, 4, 5]])
    }
    let found = try StepBench().run { context in
      try context.checkpoint("rows") { try $0.columns(ColumnTests.columns, of: rows, axis: "row", in: "a/") }
      let reader = try #require(try context.checkpoint(named: "rows"))
      #expect(!reader.has("a/none"))
      var found = Array(repeating: Row(), count: 3)
      try reader.fill(&found, ColumnTests.columns, in: "a/")
      return found
    }
    #expect(found == rows)
  }
}
