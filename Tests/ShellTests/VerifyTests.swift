import Foundation
import Testing

@testable import Shell

/// Values made again from their lineage alone.
@Suite(.serialized) struct VerifyTests {
  let folder: String
  init() throws { folder = try Program.temporaryFolder() }

  /// One model under several names, so that tables come quickly.
  private static let study = """
    m = load \(CommandTests.model)
    held = text \(CommandTests.text) model=m samples=2 length=16
    dense = eval m held length=16
    runs = for way in [first: m, second: m], rate in 10%,0.2 { eval way held length=16 }
    """

  /// Labels, cells, and values that have neither come back as they were, whatever their names.
  @Test(arguments: [
    "compare dense", "compare [x: dense, y: dense] baseline=x", "compare runs baseline=dense",
    "compare (eval m held length=16) runs[rate=10%] baseline=(eval m held length=16)",
    "compare [v1: runs, t: dense] dense runs baseline=runs[way=first,rate=10%]",
    "compare (for word in \"a b\",\"é\" { dense }) (for size in 2KiB,1.5KiB { dense }) (for part in [0..1] { dense })",
    "compare (for site in attn.heads,none { dense }) (for s in 2min,0.1,true { dense })",
  ])
  func aTableIsMadeAgainAsItWas(_ call: String) throws {
    defer { try? FileManager.default.removeItem(atPath: folder) }
    let made = try Program.run(["-q", "-c", VerifyTests.study + "\nt = " + call], in: folder)
    #expect(made.status == 0, "\(made.err)")
    let result = try Program.run(["-q", "verify", "t"], in: folder)
    #expect(result.out == "content\tsame\nbytes\tsame\n", "\(result)")
  }

  /// What a script gives by a parameter, and what means nothing beside it, is no part of the step.
  @Test func whatHasNoEffectIsNotRecorded() throws {
    defer { try? FileManager.default.removeItem(atPath: folder) }
    let script = """
      m = load \(CommandTests.model)
      held = text \(CommandTests.text) model=m samples=none length=16 take=order seed=3
      again = text \(CommandTests.text) model=m
      """
    let made = try Program.run(["-c", script], in: folder)
    #expect(made.status == 0 && made.err.split(separator: "\n").last?.contains("cached") == true, "\(made.err)")
    #expect(try Program.run(["-q", "verify", "held"], in: folder).out == "content\tsame\nbytes\tsame\n")
  }

  /// What was left at its default is not given again: some calls would refuse it.
  @Test func defaultsAreLeftOut() throws {
    defer { try? FileManager.default.removeItem(atPath: folder) }
    let script = """
      m = load \(CommandTests.model)
      held = text \(CommandTests.text) model=m samples=4 length=32
      cl = kmeans (capture m held sites=ffn.in keep=values) k=2 pca=4
      gr = assign (taylor m held by=cl) shared=1
      cost = lesion m held of=gr by=cl layers=0 nulls=0
      """
    #expect(try Program.run(["-q", "-c", script], in: folder).status == 0)
    let result = try Program.run(["-q", "verify", "cost"], in: folder)
    #expect(result.out == "content\tsame\nbytes\tsame\n", "\(result)")
  }

  @Test func aSweepWrittenOtherwiseIsAnotherTable() throws {
    defer { try? FileManager.default.removeItem(atPath: folder) }
    let script =
      VerifyTests.study + "\nt = compare (for rate in 10% { dense })\nu = compare (for rate in 0.1 { dense })"
    #expect(try Program.run(["-q", "-c", script], in: folder).status == 0)
    let labels = try Program.run(["-q", "-c", "show t; show u"], in: folder).out
    #expect(labels.contains("rate=10%") && labels.contains("rate=0.1"))
  }

  /// A name is given to commands and words alike: `x@-1` is what it was before.
  @Test func formerValuesAreExplainedAndMadeAgain() throws {
    defer { try? FileManager.default.removeItem(atPath: folder) }
    let script =
      VerifyTests.study + "\nx = eval m held length=16\nx = eval m held length=8\nwhy x@0\nwhy x@-1\nverify x@-1"
    let made = try Program.run(["-q", "-c", script], in: folder)
    #expect(made.status == 0 && made.out.hasSuffix("content\tsame\nbytes\tsame\n"), "\(made)")
    func out(_ words: String...) throws -> String { try Program.run(["-q"] + words, in: folder).out }
    #expect(try out("why", "x") == "length: 16 -> 8\n")
    #expect(try out("why", "x@0") == "length: 16 -> 8\n")
    #expect(try out("why", "x@-1").hasPrefix("first computed"))
    #expect(try out("verify", "x@-1") == "content\tsame\nbytes\tsame\n")
    #expect(try out("info", "x@-1") == out("-c", "info x@-1"))
    for text in ["x@-2", "x@1", "x@y", "@"] {
      #expect(try Program.run(["info", text], in: folder).err.contains("there is no value named `\(text)`"))
    }
  }

  /// What the workspace knows nothing of is refused before the work above it is done.
  @Test(arguments: ["info", "why", "pin", "unpin", "verify", "plot"])
  func aNumberHasNoHistory(_ word: String) throws {
    defer { try? FileManager.default.removeItem(atPath: folder) }
    let refused = try Program.run(["-q", "-c", VerifyTests.study + "\nx = 5\n\(word) x"], in: folder)
    #expect(refused.status == 2 && refused.err.contains("nothing was run"), "\(refused.err)")
  }

  @Test func aFailureCannotBeMadeAgain() throws {
    defer { try? FileManager.default.removeItem(atPath: folder) }
    let script = VerifyTests.study + "\nt = compare (for length in 16,1000 { eval m held length=length })"
    #expect(try Program.run(["-q", "--keep-going", "-c", script], in: folder).status == 1)
    let result = try Program.run(["-q", "verify", "t"], in: folder)
    #expect(result.status == 1 && result.err.contains("a failure cannot be made again"), "\(result)")
  }
}
