import Testing

@testable import Kernel

/// Which steps do work of later ones, by a toy that needs a tebibyte for every one it takes along.
@Suite struct CompanionTests {
  let store = MemoryStore()
  let listener = SessionListener()

  private static let text = """
    m = load /etc
    # %% First
    a = capture m (text /etc/passwd model=m length=8) sites=ffn.act
    b = capture m (text /etc/passwd model=m length=8) sites=ffn.up
    # %% Second
    other = capture m (text /etc/passwd model=m length=9) sites=ffn.up
    c = capture m (text /etc/passwd model=m length=8) sites=ffn.gate,ffn.up
    s = flap c
    # %% Third
    d = capture m (text /etc/passwd model=m length=8) sites=attn.heads
    """

  /// What was computed with what, as the journal tells.
  private func company(
    _ text: String = text, _ change: (inout Session.Options) -> Void = { _ in }
  ) -> [String: Set<String>] {
    var options = Session.Options()
    change(&options)
    store.journal = []
    let session = Session(catalog: toys, store: store, observer: listener, meta: listener, options: options)
    _ = session.run(Source(name: "t.prn", text: text))
    let steps = store.journal.filter { $0["op"] == "capture" && $0["status"] == "finished" }
    let names = Dictionary(
      steps.compactMap { step in step["key"]?.stringValue.map { ($0, step["name"]?.stringValue ?? "") } }
    ) { first, _ in first }
    return steps.reduce(into: [:]) { found, step in
      let keys = step["with"]?.arrayValue?.compactMap(\.stringValue) ?? []
      if !keys.isEmpty { found[step["name"]?.stringValue ?? ""] = Set(keys.map { names[$0] ?? "?" }) }
    }
  }

  @Test func aStepTakesLaterOnesAlongAsFarAsMemoryGoes() {
    store.memoryLimit = 1 << 43
    #expect(company() == ["a": ["b", "c", "d"], "b": ["a"], "c": ["a"], "d": ["a"]])
    #expect(store.performed.filter { $0.op == "capture" }.count == 5)
  }

  @Test func whatDoesNotFitIsNotTakenAlong() {
    store.memoryLimit = 5 << 39
    #expect(company() == ["a": ["b", "c"], "b": ["a"], "c": ["a"]])
    store.objects = [:]
    store.memoryLimit = 1 << 40
    #expect(company().isEmpty)
  }

  @Test func whatIsThereOrFreshOrNotWantedIsNotTakenAlong() {
    store.memoryLimit = 1 << 43
    #expect(company { $0.cells = ["First", "Third"] } == ["a": ["b", "d"], "b": ["a"], "d": ["a"]])
    #expect(company { $0.fresh = .names(["a"]) }["a"] == ["c"])
    store.objects = [:]
    #expect(company { $0.fresh = .all }.isEmpty)
    store.objects = [:]
    #expect(company { $0.steps = [1, 2, 3, 4] } == ["a": ["b"], "b": ["a"]])
  }

  @Test func aStepThatFailsAsACompanionIsLeftToItself() {
    store.memoryLimit = 1 << 43
    let text = CompanionTests.text.replacing("ffn.gate,ffn.up", with: "ffn.gate")
    #expect(company(text) == ["a": ["b", "d"], "b": ["a"], "d": ["a"]])
    #expect(listener.lines.filter { $0.hasSuffix("failed") }.isEmpty)
  }
}
