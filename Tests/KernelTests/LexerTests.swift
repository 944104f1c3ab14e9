import Testing

@testable import Kernel

@Suite struct LexerTests {
  private func literals(_ text: String) -> [Literal] {
    Lexer(Source(name: "t", text: text)).tokens.compactMap {
      if case .literal(let literal) = $0.kind { return literal } else { return nil }
    }
  }
  private func errors(_ text: String) -> [String] { Lexer(Source(name: "t", text: text)).diagnostics.map(\.summary) }

  @Test func unitsBelongToTheirNumber() {
    #expect(
      literals("20% 2k 1M 4KiB 2GiB 100ms 3min 1e-3 -5 0.2") == [
        .ratio(0.2), .integer(2000), .integer(1_000_000), .bytes(4096), .bytes(2 << 30), .seconds(0.1), .seconds(180),
        .number(0.001), .integer(-5), .number(0.2),
      ])
  }

  @Test func everyPercentageIsTheSameBitsAsItsFraction() {
    for percent in 0..<1000 {
      let text = "\(percent / 10).\(percent % 10)"
      let fraction = "0." + String(repeating: "0", count: 3 - String(percent).count) + "\(percent)"
      guard case .ratio(let a)? = literals(text + "%").first, case .number(let b)? = literals(fraction).first
      else { continue }
      #expect(a == b, "\(text)%")
    }
  }

  @Test func pathsEndAtSpaceAndSeparators() {
    #expect(literals("load ./a/b.c ~/x,../y (/z)") == [.path("./a/b.c"), .path("~/x"), .path("../y"), .path("/z")])
  }

  @Test func aLoneDashIsStandardInput() {
    #expect(literals("text - model") == [.path("-")])
    #expect(literals("text -") == [.path("-")])
    #expect(literals("x -3") == [.integer(-3)])
    #expect(errors("1 - 2") == ["`-` has no meaning here: the language has no arithmetic"])
  }

  @Test(arguments: ["data/tiny-llama", "tiny-llama", "my-plot.svg", "out/mk.svg", "a.b/c"])
  func wordsThatOnlyAPathCanBeArePaths(_ text: String) {
    #expect(errors("load \(text)") == [])
    let tokens = Lexer(Source(name: "", text: "x to=\(text) y")).tokens
    #expect(tokens.contains { $0.kind == .literal(.path(text)) })
  }

  @Test func aHiddenFolderIsAPathAndAPointBehindAValueAField() {
    let path = Literal.path(".prn/vars/main/mk.h5")
    #expect(literals("mask .prn/vars/main/mk.h5 model=m") == [path])
    #expect(literals("export mk to=.prn/vars/main/mk.h5") == [path])
    #expect(literals("[.prn/vars/main/mk.h5]") == [path])
    for text in ["mk.rate", "runs[0].rate", "(mask s).rate"] {
      #expect(literals(text + " / 2").contains(path) == false)
    }
    #expect(literals("assert runs[0].rate/x") != [.path(".rate/x")])
  }

  @Test func badTextIsReported() {
    #expect(errors("a + b") == ["`+` has no meaning here: the language has no arithmetic"])
    #expect(errors("x = 'abc") == ["the string is never closed"])
    #expect(errors("x = 3q")[0].hasPrefix("`q` is not a unit"))
    #expect(errors("x = \"\\q\"")[0].hasPrefix("there is no such escape"))
    #expect(errors("é = 1")[0].contains("cannot be read"))
    #expect(errors("99999999999999999999") == ["the number 99999999999999999999 is too large"])
  }

  @Test func openInputIsIncomplete() {
    for text in [
      "a = (", "show (compare [a,", "x = \"ab", "x =", "a |", "a |>", "a &", "f \\", "for x in 1,2 {\n y = 3", "a,",
    ] {
      #expect(Parser.isIncomplete(text), "\(text)")
    }
    for text in ["a = 3", "", "# note", "f a\n", "for x in 1,2 { f x }", "(a))"] {
      #expect(!Parser.isIncomplete(text), "\(text)")
    }
  }

  @Test func cellsCarryTheirTitles() {
    let cells = Lexer(Source(name: "t", text: "a = 1\n# %% [markdown] One\n# %% two words\nb = 2\n")).cells
    #expect(cells.map(\.title) == ["", "One", "two words"])
    #expect(cells.map(\.isMarkdown) == [false, true, false])
    #expect(cells.map(\.range) == [0..<6, 6..<26, 26..<47])
  }
}
