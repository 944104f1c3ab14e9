import Foundation
import Testing

@testable import Kernel

/// What every tiny script below may use.
private let prelude = """
  m = load ./model
  cal = text ./cal.txt model=m samples=4 length=8
  acts = capture m cal sites=attn.heads,ffn.act keep=moments,gram
  s = flap acts
  mk = mask s rate=20%

  """

@Suite struct CheckerTests {
  private func check(_ text: String, _ overrides: [(String, String)] = []) -> Checker.Result {
    toyChecker(overrides).check(Source(name: "t.prn", text: prelude + text))
  }

  private func errors(_ text: String) -> [String] {
    check(text).diagnostics.map { $0.summary + ($0.hint.map { " | \($0)" } ?? "") }
  }

  /// One tiny script per message: the sentence, the hint, and the text under the caret.
  @Test(arguments: [
    ("x = kmens acts", "there is no op `kmens` | did you mean `kmeans`?", "kmens"),
    ("rm mk", "there is no op `rm` | did you mean `drop`?", "rm"),
    ("delete mk", "there is no op `delete` | did you mean `drop`?", "delete"),
    ("x = flap acs", "there is no variable `acs` | did you mean `acts`?", "acs"),
    ("x = flap zzz", "there is no variable `zzz`", "zzz"),
    ("x = mask flpa rate=20%", "there is no variable `flpa` | did you mean the op `flap`?", "flpa"),
    (
      "x = mask flap rate=20%",
      "`flap` is an op, not a variable | a call as an argument stands in parentheses: `(flap …)`", "flap"
    ),
    ("x = acts s", "`acts` is a variable and takes no arguments", "acts"),
    ("x = show s", "`show` is not an op | meta words stand at the start of a statement", "show"),
    (
      "x = flap acts metrc=wifv",
      "`flap` has no parameter `metrc` | did you mean `metric`?  (which fluctuation, default wifv)", "metrc"
    ),
    (
      "x = kmeans acts components=3",
      "`kmeans` has no parameter `components` | did you mean `k`?  (clusters, default 7)", "components"
    ),
    (
      "x = compare dense=s",
      "`compare` has no parameter `dense` | values are labelled in a list: `compare [dense: …]`", "dense"
    ),
    (
      "x = flap activations=acts",
      "the input `activations` of `flap` is given by position | write the value without `activations=`", "activations"
    ),
    ("x = flap acts metric=wifw", "`metric` of `flap` is one of wifv, wifn, not `wifw` | did you mean `wifv`?", "wifw"),
    ("x = mask s rate=20", "`rate` of `mask` is a ratio such as 20%, not 20 | did you mean `20%`?", "20"),
    ("x = mask s rate=120%", "`rate` of `mask` is 0% to 100%, not 120%", "120%"),
    ("x = kmeans acts k=0", "`k` of `kmeans` is at least 1, not 0", "0"),
    ("x = kmeans acts k=2.5", "`k` of `kmeans` is a whole number, not 2.5", "2.5"),
    ("x = kmeans acts k=mk", "`k` of `kmeans` is a whole number, not a mask", "mk"),
    ("x = kmeans acts k=quantity", "there is no variable `quantity`", "quantity"),
    ("x = kmeans acts k=2 k=3", "`k` of `kmeans` is given twice", "k"),
    ("x = score acts", "`score` needs `how=`, one of max_abs_z, wanda | which rule", "score"),
    ("x = flap", "`flap` needs activations | activations with moments", "flap"),
    ("x = text ./a.txt", "`text` needs `model=`, a model | whose tokenizer reads it", "text"),
    ("x = prune m", "`prune` needs a mask | masks", "prune"),
    ("x = flap acts s", "`flap` takes one input; `s` is one too many | parameters are written `name=value`", "s"),
    ("x = flap s", "`flap` wants activations here, but `s` is scores", "s"),
    ("x = prune m acts", "`prune` wants a mask here, but `acts` is activations | did you mean `acts=acts`?", "acts"),
    ("x = flap 3", "`flap` wants activations here, but found a whole number", "3"),
    (
      "x = flap [acts, acts]",
      "`flap` wants one activations here, found a list of 2 | sweep over it: `for x in … { … }`", "[acts, acts]"
    ),
    ("x = load ./missing", "there is no file or folder `./missing`", "./missing"),
    (
      "x = load missing",
      "`missing` is neither a variable nor a file | a file of that name to be written is `./missing`",
      "missing"
    ),
    ("x = load data/missing", "there is no file or folder `data/missing`", "data/missing"),
    (
      "share = acts/2",
      "`acts/2` reads as a path, and `acts` is a variable: the language has no arithmetic | a path is written `./acts/2`",
      "acts/2"
    ),
    ("x = load acts", "`load` wants a path here, but `acts` is activations", "acts"),
    ("flap = load ./m", "`flap` is an op and cannot name a value | choose another name", "flap"),
    ("show = load ./m", "`show` is a word of the language and cannot name a value | choose another name", "show"),
    ("x = mask s", "mask needs rate= or rates=", "mask s"),
    (
      "x = flap (capture m cal sites=ffn.act keep=stream)", "flap needs moments | add `keep=moments` to the capture",
      "(capture m cal sites=ffn.act keep=stream)"
    ),
    ("x = m | mk", "`|`, `&`, `^` and `!` combine masks, not a model", "m"),
    ("x = mask s rate=mk.rte", "a mask has no field `rte` | did you mean `rate`?", "rte"),
    ("x = mask s rate=acts.rate", "activations has no field `rate` | activations has no fields", "rate"),
    ("show x@-1", "there is no variable `x`", "x"),
    ("show mk@-1", "`mk` has no binding 1 before the present one", "mk"),
    ("x = [a: mk, b: mk]; show x[2]", "there is no position 2 among 2", "2"),
    ("show mk[0]", "a mask has no parts to select with `[ ]`", "0"),
    ("for x in mk { show x }", "`for` runs over a list or a sweep, not over a mask", "mk"),
    ("for x in [] { show x }", "`for` over an empty list makes nothing", "[]"),
    (
      "x = for r in 1,2 { y = kmeans acts k=r }", "a `for` used as a value ends in an expression", "y = kmeans acts k=r"
    ),
    ("x = for r in 1,2 { r }", "each cell of a sweep makes one value, not a whole number", "r"),
    ("r = for k in 1,2 { kmeans acts k=k }; show r[k=3]", "the sweep has no cell with `k=3` | there are 1, 2", "3"),
    ("r = for k in 1,2 { kmeans acts k=k }; show r[j=3]", "the sweep has no coordinate `j` | there are k", "j"),
    (
      "show mk m",
      "`m` is one argument too many: show VALUE [rows=] [layers=] [by=] [network=] | an expression stands in parentheses: `show (…)`",
      "m"
    ),
    ("show", "`show` needs more: show VALUE [rows=] [layers=] [by=] [network=]", "show"),
    (
      "plot mk colour=3",
      "`plot` has no parameter `colour` | plot VALUE [x=] [y=] [by=] [layers=] [title=] [x_label=] [y_label=] [width=] [height=] [scale=] [as=] [to=]",
      "colour"
    ),
    ("plot mk as=gif", "`as` of `plot` is one of svg, pdf, png, term, not `gif`", "gif"),
    (
      "export mk to=out", "`out` is neither a variable nor a file | a file of that name to be written is `./out`", "out"
    ),
    (
      "export mk to=mk", "`mk` is a value; a file's name has a `/` or an ending | a file of that name is `./mk`", "mk"
    ),
    ("export mk to=3", "`to` of `export` is a path, not 3", "3"),
    ("plot mk width=mk", "`mk` is a mask; a number, a word or a path is wanted here", "mk"),
    ("set format=csv", "`set` has no parameter `format` | did you mean `set format csv`?", "format"),
    (
      "set memory.max=2GiB",
      "`=` does not belong here | a setting and its value stand side by side: `set memory.max 2GiB`", "="
    ),
    ("vars masks", "there is no type `masks` | did you mean `mask`?", "masks"),
    ("why (flap acts)", "`why` wants the name of a variable, not `(flap acts)`", "(flap acts)"),
    ("assert mk > 3", "a mask and a number cannot be compared so", "mk"),
    ("assert mk.rate > 'x' ", "", ""),
    ("include \"nowhere.prn\"", "`nowhere.prn` cannot be read", "\"nowhere.prn\""),
    ("param p = 3\nparam p = 4", "`param p` is declared twice", "p"),
    ("x = s |> 3", "`|>` is followed by an op", "3"),
    ("export mk to=\"\"", "the path is empty", "\"\""),
    (
      "x = compare [a: s, b: s, a: s]",
      "`a` labels two items of the list, which could not be told apart | give each a label of its own: `[a: …, b: …]`",
      "s"
    ),
    (
      "for r in 10%,20%,10% { show r }", "`for` meets r=10% twice, and its cells could not be told apart", "10%,20%,10%"
    ),
    (
      "x = compare [s, s]",
      "`s` labels two items of the list, which could not be told apart | give each a label of its own: `[a: …, b: …]`",
      "[s, s]"
    ),
    (
      "x = for s in [a: s, a: s] { mask s rate=20% }",
      "`a` labels two items of the list, which could not be told apart | give each a label of its own: `[a: …, b: …]`",
      "s"
    ),
    ("drop mk; show mk", "there is no variable `mk` | did you mean `m`?", "mk"),
    (
      "x = kmeans acts k=99999999999999999999", "the number 99999999999999999999 is too large", "99999999999999999999"
    ),
    ("x = [1, 99999999999999999999]", "the number 99999999999999999999 is too large", "99999999999999999999"),
  ])
  func everyMistakeHasItsSentence(text: String, expected: String, marked: String) {
    let result = check(text)
    let said = result.diagnostics.map { $0.summary + ($0.hint.map { " | \($0)" } ?? "") }
    #expect(said == (expected.isEmpty ? [] : [expected]))
    if let span = result.diagnostics.first?.span { #expect(span.text == marked) }
  }

  @Test func whatAnEarlierStatementWritesIsThereForLaterOnes() {
    #expect(errors("export mk to=./missing\nx = load ./missing") == [])
    #expect(errors("export mk to=./missing\nx = load ./a/../missing/model") == [])
    #expect(errors("x = load ./missing\nexport mk to=./missing") == ["there is no file or folder `./missing`"])
  }

  @Test func errorsOfManyStatementsAreReportedAtOnceAndConsequencesAreNot() {
    let found = errors("x = kmens acts\ny = mask x rate=20%\nz = flap acts k=3\nw = prune m (mask s rate=20) q\nshow y")
    #expect(found.count == 4)
    #expect(
      found[0].contains("kmens") && found[1].contains("`k`") && found[2].contains("rate") && found[3].contains("`q`"))
  }

  @Test func errorsAreRenderedWithTheirLineAndCaret() {
    let text = "acts = load ./m\nnets = canica acts      k=64 seed=0"
    let result = toyChecker().check(Source(name: "canica.prn", text: text))
    #expect(
      result.rendered == """
        canica.prn:2:15: error: `canica` wants activations here, but `acts` is a model
           2 | nets = canica acts      k=64 seed=0
             |               ^^^^
        canica.prn:2:25: error: `canica` has no parameter `k`
           2 | nets = canica acts      k=64 seed=0
             |                         ^ did you mean `components`?  (number of components, default 64)
        nothing was run (checked 2 statements, 2 errors)
        """)
  }

  @Test func caretsCountDisplayColumns() {
    let wide = Diagnostic("x", span: Span(Source(name: "t", text: "'漢字' abc"), 9..<12)).rendered
    #expect(wide == "t:1:6: error: x\n   1 | '漢字' abc\n     |        ^^^")
    let tab = Diagnostic("x", span: Span(Source(name: "t", text: "a\tb"), 2..<3)).rendered
    #expect(tab == "t:1:3: error: x\n   1 | a       b\n     |         ^")
    let emoji = Diagnostic("x", span: Span(Source(name: "t", text: "e\u{301}🙂b"), 7..<8)).rendered
    #expect(emoji.hasSuffix("     |    ^"))
  }

  @Test func atMostTwentyErrorsAreShown() {
    let text = (0..<30).map { "x\($0) = nothing\($0) acts" }.joined(separator: "\n")
    let rendered = check(text).rendered
    #expect(rendered.components(separated: ": error:") == 21)
    #expect(rendered.hasSuffix("nothing was run (checked 35 statements, 30 errors, the first 20 shown)"))
  }

  // MARK: plans

  @Test func theContractScriptsCheck() {
    for script in contractScripts() {
      let result = toyChecker().check(Source(name: script.name, text: script.text))
      #expect(result.rendered == "", "\(script.name)")
    }
  }

  @Test func aSweepUnrollsIntoCellsWithCoordinates() {
    let plan = check(
      "r = for x in [flap: s, obc: obc acts], rate in 10%,20% {\n k = mask x rate=rate\n eval (prune m k) cal\n}"
    ).plan
    guard case .bind(_, .family(let family), _)? = plan.statements.last?.action else {
      Issue.record("no family"); return
    }
    #expect(family.names == ["x", "rate"])
    #expect(
      family.cells.map { $0.coordinates.map(\.value.rendered) } == [
        ["flap", "10%"], ["flap", "20%"], ["obc", "10%"], ["obc", "20%"],
      ])
    // Four masks, one of which the prelude has already; four prunings and evaluations; one obc.
    #expect(plan.steps.count == 5 + 1 + 3 + 4 + 4)
  }

  @Test func laterGeneratorsSeeEarlierOnesAndLoopsNest() {
    let plan = check("r = for a in 1,2 { for b in 3..4 { kmeans acts k=a pca=b } }\nc = r[a=2,b=4]\nd = r[a=1]").plan
    guard case .bind(_, .family(let part), _)? = plan.statements.last?.action else { Issue.record("no family"); return }
    #expect(part.cells.count == 2)
    #expect(part.names == ["a", "b"])
  }

  @Test func namesInABlockAreLocal() {
    #expect(errors("for r in 10%,20% { inner = mask s rate=r }\nshow inner") == ["there is no variable `inner`"])
  }

  @Test func theSameCallIsOneStep() {
    #expect(check("a = mask s rate=20%\nb = mask (flap acts) rate=0.2 scope=global").plan.steps.count == 5)
  }

  /// What cannot be read is one error of one statement, whatever stands there.
  @Test(arguments: [
    "x = 99999999999999999999", "x = kmeans acts k=99999999999999999999", "x = 3 §", "x = \"abc",
  ])
  func statementsAreCountedOnce(_ text: String) {
    let result = check(text)
    #expect(result.diagnostics.count == 1, "\(result.rendered)")
    #expect(result.plan.checkedStatements == check("x = 3").plan.checkedStatements)
    #expect(check("x = 3 § 4").plan.checkedStatements == result.plan.checkedStatements)
  }

  @Test func overridesReplaceParams() {
    let text =
      "param rate = 20%\nparam calib = ./a.txt\nparam how = oneshot\nx = mask s rate=rate\nt = text calib model=m\no = obc acts how=how"
    let plan = check(text, [("rate", "40%"), ("calib", "data/b.txt"), ("how", "greedy")]).plan
    #expect(plan.parameters.map(\.value) == [.ratio(0.4), .path("data/b.txt"), .symbol("greedy")])
    let unknown = check(text, [("rat", "40%")]).diagnostics
    #expect(unknown.map(\.summary) == ["the script has no `param rat`"])
    #expect(unknown[0].hint == "did you mean `rate`?")
    #expect(check(text, [("rate", "(")]).diagnostics.map(\.summary) == ["`(` is not a value for `param rate`"])
    for more in ["30%;x=1", "30%\nshow mk", "30% 40%"] {
      #expect(
        check(text, [("rate", more)]).diagnostics.map(\.summary) == ["`\(more)` is not a value for `param rate`"])
    }
    #expect(check(text, [("rate", "40")]).diagnostics.map(\.hint) == ["did you mean `40%`?"])
    #expect(check(text, [("how", "gredy")]).diagnostics.map(\.hint) == ["did you mean `greedy`?"])
  }

  @Test(arguments: [
    ("a.txt", Literal.path("a.txt")), ("'a b.txt'", .path("a b.txt")), ("\"a\\\"b\"", .path("a\"b")),
    ("[a.txt,data/b.txt]", .list([.init(.path("a.txt")), .init(.path("data/b.txt"))])),
    ("[a.txt, './b c']", .list([.init(.path("a.txt")), .init(.path("./b c"))])),
  ])
  func aPathOfTheCommandLineMayBeAList(_ text: String, _ literal: Literal) {
    for standard in ["./x", "[./x, ./y]"] {
      #expect(check("param calib = \(standard)", [("calib", text)]).plan.parameters.map(\.value) == [literal])
    }
  }

  @Test func aLegalCaseWinsOverAVariableAndALabelOverAString() {
    let plan = check("param wifv = wifn\nparam other = wifn\na = flap acts metric=wifv\nb = flap acts metric=other")
      .plan
    #expect(plan.steps.count == 6)
    #expect(errors("a = eval m cal\nt = compare [dense: a, cut: a] baseline=dense") == [])
    #expect(errors("dense = eval m cal\nt = compare [cut: dense] baseline=dense title=dense") == [])
    #expect(errors("param name = 'A'\ndense = eval m cal\nt = compare [cut: dense] title=name") == [])
  }

  @Test func aFieldCanBeAParameter() {
    #expect(
      errors("x = mask s rate=mk.rate\ny = eval m cal\nassert y.token_perplexity < 100\nassert y.arc_easy.acc > 0.3")
        == [])
  }

  @Test func maskAlgebraIsOneStepPerOperator() {
    #expect(check("a = mask s rate=10%\nx = mk | a | !mk").plan.steps.count == 5 + 1 + 2)
  }

  /// A chain of files as long as anyone likes, and files that each name the next twice.
  @Test(arguments: [1, 2]) func includesAreBounded(_ copies: Int) {
    var checker = Checker(toys)
    checker.readFile = { path in
      let number = path.split(separator: "/").last.flatMap { Int($0.dropLast(4)) } ?? 0
      return (0..<copies).map { _ in "include \"\(number + 1).prn\"" }.joined(separator: "\n")
    }
    let result = checker.check(Source(name: "/p/main.prn", text: "include \"0.prn\"", folder: "/p"))
    #expect(result.diagnostics.first?.summary == "the script includes more than 200 files")
  }

  @Test func includesShareTheirNamesAndCyclesAreErrors() {
    var checker = toyChecker()
    checker.readFile = { path in
      if path.hasSuffix("a.prn") { return "m = load ./model\ninclude \"b.prn\"" }
      if path.hasSuffix("b.prn") { return "include \"a.prn\"" }
      if path.hasSuffix("c.prn") { return "m = load ./model\nx = nope m" }
      return nil
    }
    let cycle = checker.check(Source(name: "/p/main.prn", text: "include \"a.prn\"", folder: "/p"))
    #expect(
      cycle.diagnostics.map(\.summary) == [
        "`include` goes in a circle: /p/main.prn -> /p/a.prn -> /p/b.prn -> /p/a.prn"
      ])
    let inner = checker.check(Source(name: "/p/main.prn", text: "include \"c.prn\"\ny = prune m", folder: "/p"))
    #expect(inner.diagnostics.map { $0.span?.place } == ["/p/c.prn:2", "/p/main.prn:2"])
  }

  /// A sweep whose cells all have the same error is given up early, and one that is too long is not begun.
  @Test func aFaultySweepIsRefusedAtOnce() {
    let start = ContinuousClock.now
    #expect(errors("for i in 0..299, j in 0..299 { flap zzz }") == ["there is no variable `zzz`"])
    let tooLarge = ["the sweep has more than 100000 cells"]
    #expect(errors("for i in 1..9223372036854775807 { flap acts }") == tooLarge)
    #expect(errors("all = 0..999\nfor i in all, j in all { flap acts }") == tooLarge)
    #expect(errors("for i in 0..99, j in 0..99, k in [1, 2], l in 0..99 { flap acts }") == tooLarge)
    #expect(ContinuousClock.now - start < .seconds(5))
  }

  @Test func aCheckThatIsStoppedSaysSoOnce() {
    var checker = toyChecker()
    var looks = 0
    checker.isCancelled = {
      looks += 1
      return looks > 20
    }
    let result = checker.check(
      Source(name: "t.prn", text: prelude + "for i in 0..99 { for j in 0..99 { flap acts } }\nz"))
    #expect(result.diagnostics.map(\.summary) == ["stopped"] && result.diagnostics[0].kind == .cancelled)
    #expect(looks == 21)
  }

  /// Only a regular file of text is a script; others could be read for ever.
  @Test func whatIsNoScriptIsNotIncluded() throws {
    let folder = NSTemporaryDirectory() + "prn-include-\(UUID().uuidString)"
    try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
    defer { try? FileManager.default.removeItem(atPath: folder) }
    mkfifo(folder + "/pipe", 0o600)
    try Data([0xFF, 0xFE]).write(to: URL(fileURLWithPath: folder + "/bytes"))
    try Data([0xEF, 0xBB, 0xBF] + Array("x = 1".utf8)).write(to: URL(fileURLWithPath: folder + "/mark"))
    func said(_ path: String) -> [String] {
      Checker(toys).check(Source(name: "t.prn", text: "include \"\(path)\"", folder: folder)).diagnostics.map(\.summary)
    }
    for path in ["pipe", "bytes", ".", "/dev/zero", "nothing"] { #expect(said(path) == ["`\(path)` cannot be read"]) }
    #expect(said("mark") == [])
  }

  @Test func placesAreLinesAndCharacters() {
    let text = "ab\r\né\u{301}x\n\nlast"
    let source = Source(name: "t", text: text)
    let found = [0, 2, 4, 9, 10, 11, 12, 99].map { source.position(of: $0) }
    #expect(found.map(\.line) == [1, 1, 2, 2, 3, 4, 4, 4])
    #expect(found.map(\.column) == [1, 3, 1, 3, 1, 1, 2, 5])
    #expect((1...5).map { source.line($0).text } == ["ab", "é\u{301}x", "", "last", ""])
  }

  @Test func renderedLiteralsReadBack() {
    let literals: [Literal] = [
      .ratio(0.2), .ratio(0.125), .integer(-3), .number(1e-4), .bytes(3 << 20), .symbol("attn.heads"),
      .range(lower: 0, upper: nil, step: 2), .range(lower: -2, upper: -1, step: 1), .bool(true), .none,
    ]
    for literal in literals {
      let script = Parser.parse(Source(name: "t", text: "x = f a=\(literal.rendered)"))
      #expect(script.diagnostics.isEmpty, "\(literal.rendered)")
    }
  }

  @Test(arguments: ["plain", "é \u{301}", "a\"b\\c", "line\nline\ttab", "\u{1b}[31m\u{202e}", "none", "10%"])
  func aStringReadsBackAsItIs(_ text: String) {
    let tokens = Lexer(Source(name: "t", text: Literal.string(text).rendered)).tokens
    guard case .literal(.string(let back))? = tokens.first?.kind else {
      Issue.record("not a string: \(tokens)")
      return
    }
    #expect(Array(back.unicodeScalars) == Array(text.unicodeScalars))
  }
}

extension String {
  /// How many pieces a separator cuts it into.
  func components(separated separator: String) -> Int {
    self.split(separator: separator, omittingEmptySubsequences: false).count
  }
}
