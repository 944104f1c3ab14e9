import Testing

@testable import Kernel

@Suite struct DeclarationTests {
  @Test func aSignatureIsReadOffTheDeclaration() throws {
    let mask = try #require(toys.signature("mask"))
    #expect(mask.positional.map(\.name) == ["scores"])
    #expect(mask.named.map(\.name) == ["rates", "within"])
    #expect(mask.parameters.map(\.name) == ["rate", "scope", "protect", "base"])
    #expect(mask.output == ArtifactType("mask"))
    let rate = try #require(mask.parameter("rate"))
    #expect(rate.range == "0% to 100%")
    #expect(rate.defaultValue == Literal.none)
    #expect(toys.signature("flap")?.revision == 2)
    #expect(toys.signature("score")?.parameter("how")?.isRequired == true)
    #expect(toys.signature("capture")?.parameter("sites")?.choices?.first == "attn.heads")
    #expect(toys.signature("load")?.inputs.first?.isExternal == true)
  }

  @Test func theToysObeyTheLaws() { #expect(toys.violations() == []) }

  @Test func brokenDeclarationsAreNamed() {
    struct Bad: ToyOp {
      static let name = "show"
      static let summary = "No stop"
      static let example = "x = ("
      @Input("model.") var model: ToyModel
      enum Vague: String, Choice {
        case one
        var meaning: String { "" }
      }
      @Param("", in: .atLeast(5)) var depth = 3
      @Param("which") var vague: Vague? = nil
      func run(_ context: any RunContext) throws -> ToyMask { ToyMask(text: "") }
    }
    let broken = Catalog([Bad.self]).violations()
    for part in [
      "word of the language", "full stop", "does not parse", "does not call", "show model", "show depth", "default 3",
      "the choice one has no meaning", "no op makes",
    ] {
      #expect(broken.contains { $0.contains(part) }, "\(part)")
    }
  }

  @Test func everyIllegalCallIsRefusedByName() {
    var count = 0
    for op in toys.names {
      for call in toys.illegalCalls(for: op) {
        count += 1
        #expect(toys.refusal(of: call)?.argument == call.parameter, "\(call)")
      }
    }
    #expect(count > 60)
  }

  @Test func boundsListValuesJustOutside() {
    #expect(Bounds<Int>.between(1, 5).outside == [.integer(0), .integer(6)])
    #expect(Bounds<Int?>.atLeast(1).outside == [.integer(0)])
    #expect(Bounds<Double>.above(0).outside == [.number(0)])
    #expect(Bounds<Ratio>.from(0, below: 1).outside == [.ratio(-0.001), .ratio(1)])
    #expect(Bounds<Int?>.atLeast(1).contains(nil))
  }

  @Test func helpNamesEveryParameter() throws {
    let flap = try #require(toys.signature("flap"))
    #expect(
      Reference.help(flap) == """
        flap ACTIVATIONS [metric=wifv] [weight=none] [tau=9] -> scores
          Score by fluctuation.

        inputs
          activations  activations: activations with moments

        parameters
          metric=wifv  which fluctuation (one of wifv, wifn)
                       wifv: the choice wifv
                       wifn: the choice wifn
          weight=none  how tokens are weighted (one of none, context)
                       none: the choice none
                       context: the choice context
          tau=9        width of the weighting (a number; above 0)

        example
          s = flap acts metric=wifv

        paper
          FLAP section 3

        """)
    let markdown = Reference.markdown(toys)
    for op in toys.signatures {
      #expect(markdown.contains("## \(op.name)\n"))
      for parameter in op.parameters {
        #expect(Reference.help(op).contains("  \(parameter.name)="), "\(op.name) \(parameter.name)")
      }
    }
  }

  @Test func foreignWordsFindTheirOp() {
    #expect(toys.suggestion(for: "kmens") == "kmeans")
    #expect(toys.suggestion(for: "threshold") == "mask")
    #expect(toys.suggestion(for: "xyzzy") == nil)
  }
}
