import Testing

@testable import Transformer

@Suite struct JSONTests {
  private func parse(_ text: String) throws -> JSON { try JSON.parse(Array(text.utf8)) }

  @Test func valuesAreReadExactly() throws {
    let list: [JSON] = [
      .integer(1), .integer(-2), .number(2), .number(2), .bool(true), .bool(false), .null, .string("x"),
    ]
    let found = try parse("  { \"a\" : [1, -2, 2.0, 2e0, true, false, null, \"x\"] }\n")
    #expect(found == JSON.object([JSON.Member("a", .array(list))]))
    #expect(try parse("9223372036854775807") == .integer(.max))
    #expect(try parse("-9223372036854775808") == .integer(.min))
    #expect(try parse("9223372036854775808") == .number(9_223_372_036_854_775_808))
    #expect(try parse("-0.5E+1") == .number(-5))
    #expect(try parse(#""\u00e9\ud83d\ude00\n\/\\\"""#) == .string("\u{e9}\u{1F600}\n/\\\""))
    #expect(try parse("[]") == .array([]))
    #expect(try parse("{}") == .object([]))
  }

  /// Swift's own strings would call these equal and lose one of two tokens.
  @Test func keysThatOnlyLookAlikeStayApart() throws {
    let value = try parse("{\"\u{e9}\": 1, \"e\u{301}\": 2}")
    #expect(value["\u{e9}"] == .integer(1))
    #expect(value["e\u{301}"] == .integer(2))
  }

  static let malformed: [(String, JSONError.Reason, Int)] = [
    ("", JSONError.Reason.empty, 0), ("  ", .empty, 2), ("\u{FEFF}1", .byteOrderMark, 0), ("1 1", .trailingText, 2),
    ("{}x", .trailingText, 2), ("01", .badNumber, 0), ("-", .badNumber, 0), ("1.", .badNumber, 0),
    ("1e", .badNumber, 0), (".5", .unexpected(46), 0), ("+1", .unexpected(43), 0), ("NaN", .unexpected(78), 0),
    ("nul", .unexpectedEnd, 3), ("[1,]", .unexpected(93), 3), ("{\"a\":1,}", .unexpected(125), 7),
    ("{a:1}", .unexpected(97), 1), ("{\"a\" 1}", .unexpected(49), 5), ("[1 2]", .unexpected(50), 3),
    ("\"a", .unexpectedEnd, 2), ("\"\n\"", .controlCharacter, 1), ("\"a\u{0}\"", .controlCharacter, 2),
    ("{}\u{0}", .trailingText, 2), ("\"\\x\"", .badEscape, 1), ("\"\\u12g4\"", .badEscape, 5),
    ("\"\\ud800\"", .loneSurrogate, 1), ("\"\\udc00\"", .loneSurrogate, 1), ("\"\\ud800\\u0041\"", .loneSurrogate, 1),
    ("{\"a\":1,\"a\":2}", .duplicateKey("a"), 7), ("'a'", .unexpected(39), 0), ("[", .unexpectedEnd, 1),
  ]

  @Test(arguments: malformed) func malformedTextIsRefusedWithItsByte(
    _ text: String, _ reason: JSONError.Reason, _ offset: Int
  ) {
    #expect(throws: JSONError(reason: reason, offset: offset)) { try parse(text) }
  }

  @Test func bytesThatAreNotUTF8AreRefused() {
    let bad: [[UInt8]] = [
      [0xFF], [0xC0, 0x80], [0xED, 0xA0, 0x80], [0xF5, 0x80, 0x80, 0x80], [0xE2, 0x82], [0xF0, 0x80, 0x80, 0x80],
    ]
    for bytes in bad {
      #expect(throws: JSONError(reason: .invalidUTF8, offset: 1)) { try JSON.parse([0x22] + bytes + [0x22]) }
    }
  }

  @Test func nestingIsLimited() throws {
    let deep = String(repeating: "[", count: 100_000)
    #expect(throws: JSONError(reason: .tooDeep(limit: 128), offset: 128)) { try parse(deep) }
    let allowed = String(repeating: "[", count: 128) + String(repeating: "]", count: 128)
    _ = try parse(allowed)
  }

  @Test func duplicatesInLargeObjectsAreFound() {
    let members = (0..<50).map { "\"k\($0)\":0" } + ["\"k3\":0"]
    #expect(throws: JSONError.self) { try parse("{" + members.joined(separator: ",") + "}") }
  }

  @Test func writtenTextReadsBackTheSame() throws {
    let value = try parse(#"{"a":[1,2.5,1e-05,{}],"b":"q\"\\\u0001\té","c":[],"d":{"e":null,"f":true}}"#)
    #expect(try JSON.parse(value.serialized()) == value)
    #expect(try JSON.parse(value.serialized(indented: true)) == value)
    let small = JSON.object([JSON.Member("a", .integer(1))]).serialized(indented: true)
    #expect(String(decoding: small, as: UTF8.self) == "{\n  \"a\": 1\n}")
  }

  @Test func fieldsNameTheFileAndThemselves() throws {
    let fields = try JSONFields(
      parse(#"{"hidden_size": 0, "eps": "x", "list": {}, "rope": {"theta": true}, "none": null, "n": 2.0}"#),
      file: "config.json")
    func message(_ body: () throws -> Void) -> String {
      do {
        try body()
        return ""
      } catch { return "\(error)" }
    }
    #expect(message { _ = try fields.positive("layers") } == "config.json: `layers` is missing")
    #expect(
      message { _ = try fields.positive("hidden_size") } == "config.json: `hidden_size` must be a positive whole number"
    )
    #expect(message { _ = try fields.double("eps") } == "config.json: `eps` must be a number")
    #expect(message { _ = try fields.array("list") } == "config.json: `list` must be a list, not an object")
    #expect(message { _ = try fields.object("rope").double("theta") } == "config.json: `rope.theta` must be a number")
    #expect(message { _ = try fields.integer("n") } == "config.json: `n` must be a whole number, not a number")
    #expect(try fields.optionalInteger("none") == nil)
    #expect(try fields.integer("hidden_size") == 0)
  }

  /// A tokenizer.json of 6 MB is read in a tenth of a second; the bound allows for a slow machine.
  @Test func largeFilesAreReadQuickly() throws {
    let words = (0..<120_000).map { "\"token\($0)\":\($0)" }.joined(separator: ",")
    let merges = (0..<120_000).map { "[\"left\($0)\",\"right\($0)\"]" }.joined(separator: ",")
    let bytes = Array("{\"vocab\":{\(words)},\"merges\":[\(merges)]}".utf8)
    let clock = ContinuousClock()
    let time = try clock.measure { _ = try JSON.parse(bytes) }
    print("JSON: \(bytes.count) bytes in \(time)")
    #expect(time < .seconds(2))
  }
}
