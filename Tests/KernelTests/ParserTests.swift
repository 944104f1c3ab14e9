import Foundation
import Testing

@testable import Kernel

/// The contract scripts beside the project, when they are there.
func contractScripts() -> [(name: String, text: String)] {
  var root = URL(fileURLWithPath: #filePath)
  for _ in 0..<3 { root.deleteLastPathComponent() }
  let folders = ["../shared/scripts", "../../shared/scripts", "Tests/Scripts"].map {
    root.appendingPathComponent($0).path
  }
  guard let folder = folders.first(where: { FileManager.default.fileExists(atPath: $0 + "/flap.prn") }),
    let names = try? FileManager.default.contentsOfDirectory(atPath: folder)
  else { return [] }
  return names.filter { $0.hasSuffix(".prn") }.sorted().compactMap { name in
    (try? String(contentsOfFile: folder + "/" + name, encoding: .utf8)).map { (name, $0) }
  }
}

@Suite struct ParserTests {
  typealias Expression = Kernel.Expression

  private func parse(_ text: String) -> Script { Parser.parse(Source(name: "t", text: text)) }
  private func errors(_ text: String) -> [String] { parse(text).diagnostics.map(\.summary) }

  /// The tree in one line, for comparison.
  private func shape(_ text: String) -> String { parse(text).statements.map { shape($0) }.joined(separator: "; ") }

  private func shape(_ statement: Statement) -> String {
    switch statement.kind {
    case .parameter(let name, let value, let meaning):
      return "param \(name.text)=\(shape(value))" + (meaning.map { " '\($0)'" } ?? "")
    case .assign(let name, let value): return "\(name.text) <- \(shape(value))"
    case .expression(let value): return shape(value)
    case .include(let path, _): return "include \(path)"
    case .assertion(let a, let comparison, let b): return "assert \(shape(a))\(comparison.rawValue)\(shape(b))"
    case .meta(let meta): return "@\(meta.word.text)(\(meta.arguments.map { shape($0) }.joined(separator: " ")))"
    case .time(let inner): return "time \(shape(inner))"
    }
  }

  private func shape(_ argument: Argument) -> String {
    (argument.name.map { $0.text + "=" } ?? "") + shape(argument.value)
  }

  private func shape(_ selector: Selector) -> String {
    switch selector {
    case .field(let word): return ".\(word.text)"
    case .position(let position, _): return "[\(position)]"
    case .slice(let slice, _): return "[\(slice.rendered)]"
    case .coordinates(let pairs, _):
      return "[" + pairs.map { "\($0.name.text)=\(shape($0.value))" }.joined(separator: ",") + "]"
    }
  }

  private func shape(_ expression: Expression) -> String {
    switch expression.kind {
    case .literal(let literal): return literal.rendered
    case .reference(let reference):
      let back = reference.back == 0 ? "" : "@-\(reference.back)"
      return reference.name.text + back + reference.selectors.map { shape($0) }.joined()
    case .call(let call): return "\(call.op.text)(\(call.arguments.map { shape($0) }.joined(separator: " ")))"
    case .list(let items):
      return "[" + items.map { ($0.label.map { $0.text + ":" } ?? "") + shape($0.value) }.joined(separator: ",") + "]"
    case .combine(let how, let operands): return "\(how)(\(operands.map { shape($0) }.joined(separator: ",")))"
    case .not(let operand): return "not(\(shape(operand)))"
    case .pipe(let left, let right): return "\(shape(left))>\(shape(right))"
    case .loop(let loop):
      let generators = loop.generators.map { "\($0.name.text):\(shape($0.values))" }.joined(separator: " ")
      return "for \(generators) {\(loop.body.map { shape($0) }.joined(separator: "; "))}"
    }
  }

  @Test(arguments: [
    ("s = flap acts metric=wifv", "s <- flap(acts metric=wifv)"),
    ("capture m cal sites=attn.heads,ffn.act keep=moments", "capture(m cal sites=[attn.heads,ffn.act] keep=moments)"),
    ("mask s rate=20% protect=0..2,-2..-1", "mask(s rate=20% protect=[0..2,-2..-1])"),
    ("mask s protect=0..6:2 layers=3..", "mask(s protect=0..6:2 layers=3..)"),
    ("param rate = 20%  \"share\"", "param rate=20% 'share'"),
    ("a | b & !c ^ d", "or(a,xor(and(b,not(c)),d))"),
    ("a | b | c", "or(a,b,c)"),
    ("flap acts |> mask rate=20% |> prune", "flap(acts)>mask(rate=20%)>prune"),
    ("acts@-1", "acts@-1"),
    (
      "runs[s=flap,rate=20%]; runs[0]; runs[0..2]; runs[-1].rate",
      "runs[s=flap,rate=20%]; runs[0]; runs[0..2]; runs[-1].rate"
    ),
    ("[flap: flap acts, b: c, d]", "[flap:flap(acts),b:c,d]"),
    ("[]", "[]"),
    (
      "compare [a: eval p held length=length, b: eval q held length=3]",
      "compare([a:eval(p held length=length),b:eval(q held length=3)])"
    ),
    ("[eval p h length=1, eval q h tasks=./a,./b]", "[eval(p h length=1),eval(q h tasks=[./a,./b])]"),
    ("for x in 1,2, y in a, b {\n f x\n\n g y; h\n}", "for x:[1,2] y:[a,b] {f(x); g(y); h}"),
    ("r = for x in [a: flap acts] { eval x }", "r <- for x:[a:flap(acts)] {eval(x)}"),
    ("assert mk.rate >= 15%", "assert mk.rate>=15%"),
    ("include \"common.prn\"", "include common.prn"),
    ("time x = f a", "time x <- f(a)"),
    ("plot t x=rate y=token_perplexity to=./s.svg", "@plot(t x=rate y=token_perplexity to=./s.svg)"),
    ("show (compare [a,\n  b]\n   baseline=dense)", "@show(compare([a,b] baseline=dense))"),
    ("x = f a \\\n  b=2", "x <- f(a b=2)"),
    ("x =\n  f a", "x <- f(a)"),
    ("f a # note\n# note\ng b", "f(a); g(b)"),
    ("#!/usr/bin/env prn\nf a", "f(a)"),
    ("f comp=none flag=true x=-3 y=1.5 z=2GiB", "f(comp=none flag=true x=-3 y=1.5 z=2GiB)"),
    ("set memory.max 4GiB", "@set(memory.max 4GiB)"),
    ("flap(acts)", "flap(acts)"),
  ])
  func everyConstructParses(text: String, expected: String) {
    #expect(errors(text) == [])
    #expect(shape(text) == expected)
  }

  @Test(arguments: [
    ("x = ", "a value is missing after `=`"),
    ("f a, b", "`,` does not separate inputs"),
    ("x = (f a", "`(` is never closed"),
    ("x = f a)", "`)` closes nothing"),
    ("x = [a, b", "`[` is never closed"),
    ("x = (f a]", "`(` is closed by `]`"),
    ("for x 1,2 { f x }", "`for x` needs `in` and the values"),
    ("for x in 1,2\nf x", "the body of `for` stands in `{ }`"),
    ("assert a = 3", "`=` does not compare"),
    ("assert a", "`assert` needs a comparison: <, <=, ==, !=, >= or >"),
    ("param 3", "expected a name after `param`, found `3`"),
    ("include x", "`include` needs a file name in quotes"),
    ("f !a", "a mask expression as an argument stands in parentheses"),
    ("f a = ", "a value is missing after `a=`"),
    ("a@1", "`@` is followed by 0 or a negative number: `a@-1` is the former binding"),
    ("f compare[a]", "expected a position, a range or `name=value` inside `[ ]`"),
    ("time", "`time` needs a statement to time"),
    ("a b |", "expected a value, found the end of the line"),
  ])
  func everyMistakeHasItsSentence(text: String, expected: String) { #expect(errors(text).first == expected) }

  @Test func oneErrorDoesNotHideTheNext() {
    let script = parse("a = ]\nb = f (x\nc = f a, b\nd = f x\nfor x in 1 {\n e = %\n g = f x,\n}\n")
    #expect(script.diagnostics.count >= 4)
    let lines = Set(script.diagnostics.compactMap { $0.span.map { $0.source.position(of: $0.range.lowerBound).line } })
    #expect(lines.isSuperset(of: [1, 2, 3, 6]))
  }

  @Test func deepNestingIsAnErrorAndNotACrash() {
    #expect(errors(String(repeating: "(", count: 100_000) + "a").isEmpty == false)
    #expect(errors(String(repeating: "!", count: 100_000) + "a").isEmpty == false)
    #expect(errors(String(repeating: "[", count: 5000) + "a" + String(repeating: "]", count: 5000)).isEmpty == false)
    #expect(errors(String(repeating: "for x in 1 {", count: 5000)).isEmpty == false)
    #expect(errors(String(repeating: "time ", count: 100_000) + "x").isEmpty == false)
  }

  @Test func longChainsAndHugeOffsetsAreErrorsAndNotCrashes() {
    let generators = (0..<10_000).map { "a\($0) in 1,2" }.joined(separator: ", ")
    for text in [
      "x = m " + String(repeating: "|> flap ", count: 10_000), "x = for \(generators) { m }",
      "x = m@-9223372036854775808", "x = m@-9223372036854775807",
    ] { #expect(errors(text).count == 1) }
    #expect(errors("x = m " + String(repeating: "|> flap ", count: 50)) == [])
  }

  @Test func anyBytesAreReadWithoutCrashing() {
    let pieces = [
      "f", " ", "\n", "(", ")", "[", "]", "{", "}", "=", ",", "..", "1", "-", "%", "\"", "\\", "for ", "in ", "@", "|>",
      "!", "é", "./", "#", ":", ".",
    ]
    var state: UInt64 = 7
    for _ in 0..<3000 {
      var text = ""
      for _ in 0..<12 {
        state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
        text += pieces[Int(state >> 33) % pieces.count]
      }
      let script = parse(text)
      for diagnostic in script.diagnostics { _ = diagnostic.rendered }
    }
  }

  @Test func theContractScriptsParse() {
    for script in contractScripts() { #expect(parse(script.text).diagnostics.map(\.rendered) == [], "\(script.name)") }
  }
}
