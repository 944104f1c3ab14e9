import Testing

@testable import Kernel

@Suite struct SessionTests {
  let store = MemoryStore()
  let listener = SessionListener()

  private func session(_ change: (inout Session.Options) -> Void = { _ in }) -> Session {
    var options = Session.Options()
    change(&options)
    return Session(catalog: toys, store: store, observer: listener, meta: listener, options: options)
  }

  /// Files that exist wherever the tests run.
  private let head =
    "m = load /etc\ncal = text /etc/passwd model=m length=8\nacts = capture m cal sites=ffn.act keep=moments,gram\n"

  @discardableResult
  private func run(_ text: String, _ change: (inout Session.Options) -> Void = { _ in }) -> Outcome {
    listener.lines = []
    return session(change).run(Source(name: "t.prn", text: head + text))
  }

  private var made: [String] { listener.lines.filter { $0.hasSuffix(" made") }.map { String($0.dropLast(5)) } }
  private func keys() -> [String] { store.performed.map(\.key) }

  @Test func aScriptRunsInOrderAndBindsItsNames() {
    let outcome = run(
      "s = flap acts\nshow s\nassert s2.rate < 30%".replacing("s2", with: "(mask s rate=20%)").replacing(
        "assert (mask s rate=20%).rate < 30%", with: "mk = mask s rate=20%\nassert mk.rate < 30%"))
    #expect(outcome.rendered == "")
    #expect(
      listener.lines == [
        "m made", "bound m", "cal made", "bound cal", "acts made", "bound acts", "s made", "bound s", "show", "mk made",
        "bound mk", "asserted",
      ])
    #expect(outcome.exitCode == 0)
    #expect(store.bindings.keys.sorted() == ["acts", "cal", "m", "mk", "s"])
  }

  @Test func aSecondRunFindsEverything() {
    run("s = flap acts")
    run("# a comment\nrenamed   =   flap   acts  weight=none metric=wifv")
    #expect(
      listener.lines == [
        "m cached", "bound m", "cal cached", "bound cal", "acts cached", "bound acts", "renamed cached",
        "bound renamed",
      ])
  }

  @Test func keysIgnoreNamesUnitsOrderAndSpelledDefaults() {
    run("s = flap acts\nmk = mask s rate=20% scope=layer")
    let before = keys()
    run("other = flap acts\nx = mask other scope=layer rate=0.2 base=block")
    #expect(keys() == before)
    run("s = flap acts\nmk = mask s rate=30% scope=layer")
    #expect(keys().count == before.count + 1)
  }

  @Test func equalContentCutsOffWhatFollows() {
    run("mk = mask (flap acts) rate=20% scope=layer\np = prune m mk")
    run("mk = mask (flap acts) rate=20% scope=global\np = prune m mk")
    #expect(made == ["mk"])
  }

  @Test func keysArePinned() {
    run("s = flap acts")
    #expect(
      store.performed.last?.record.canonical == """
        {"inputs":{"activations":["\(store.performed.last?.inputs.first?.content ?? "")"]},"op":"flap","parameters":{"metric":"wifv","tau":9,"weight":null},"precision":"float32","revision":2}
        """)
    #expect(store.performed.last?.call.hasSuffix(" metric=wifv tau=9 weight=none") == false)
    #expect(store.performed.last.map { $0.key == SHA256.hex(of: $0.record.canonical) } == true)
    #expect(store.performed.last?.place == "t.prn:4")
  }

  @Test func nothingRunsBeforeTheWholeScriptChecks() {
    let outcome = run("s = flap acts\ny = nope s")
    #expect(outcome.exitCode == 2)
    #expect(outcome.isRefused)
    #expect(listener.lines == [])
    #expect(store.performed.isEmpty)
    #expect(outcome.rendered.hasSuffix("nothing was run (checked 5 statements, 1 error)"))
  }

  @Test func aFailedAssertionStopsWithItsOwnCode() {
    let outcome = run("mk = mask (flap acts) rate=20%\nassert mk.rate > 90%\nx = flap acts")
    #expect(outcome.exitCode == 3)
    #expect(outcome.diagnostics.map(\.summary) == ["the assertion does not hold: 25% > 90% is false"])
    #expect(!listener.lines.contains("bound x"))
  }

  @Test func aFailureNamesItsArgumentAndStops() {
    let outcome = run("mk = mask (score acts how=wanda) rate=40%\nx = flap acts")
    #expect(outcome.exitCode == 1)
    #expect(outcome.diagnostics.first?.span?.text == "rate=40%")
    #expect(store.bindings["x"] == nil)
  }

  private let sweep = """
    r = for s in [flap: flap acts, wanda: score acts how=wanda], rate in 20%,40% {
      k = mask s rate=rate
      eval (prune m k) cal
    }
    t = compare r
    """

  @Test func aSweepFeedsItsCoordinates() throws {
    #expect(run(sweep.replacing("40%", with: "30%")).rendered == "")
    let session = session { $0.seesStoredNames = true }
    guard case .artifact(let table)? = session.value(named: "t") else { Issue.record("no table"); return }
    let text = (try table.handle?.load() as? ToyTable)?.text
    #expect(text == "baseline= s=flap,rate=20%:ok s=flap,rate=30%:ok s=wanda,rate=20%:ok s=wanda,rate=30%:ok")
  }

  @Test func aBadCellStopsTheSweepUnlessToldToGoOn() throws {
    #expect(run(sweep).exitCode == 1)
    #expect(store.bindings["t"] == nil)
    let outcome = run(sweep) { $0.keepsGoing = true }
    #expect(outcome.exitCode == 1)
    #expect(outcome.diagnostics.count == 1)
    guard case .artifact(let table)? = session({ $0.seesStoredNames = true }).value(named: "t") else {
      Issue.record("no table"); return
    }
    let text = (try table.handle?.load() as? ToyTable)?.text
    #expect(outcome.diagnostics.first?.coordinates.written == "s=wanda rate=40%")
    #expect(outcome.rendered.contains(", in the cell s=wanda rate=40%\n"), "\(outcome.rendered)")
    #expect(!listener.lines.contains("prune made"))
    #expect(text == "baseline= s=flap,rate=20%:ok s=flap,rate=40%:ok s=wanda,rate=20%:ok s=wanda,rate=40%:failed")
  }

  @Test func everyCellThatFailsIsNamedThoughTheWordsAreTheSame() {
    let outcome = run("w = score acts how=wanda\nr = for scope in global,layer { mask w rate=40% scope=scope }") {
      $0.keepsGoing = true
    }
    #expect(outcome.diagnostics.map(\.summary) == ["no unit is left", "no unit is left"])
    #expect(outcome.diagnostics.map(\.coordinates.written) == ["scope=global", "scope=layer"])
    let asserted = run("for n in 1,2,3 { assert n < 2 }").diagnostics
    #expect(asserted.map(\.coordinates.written) == ["n=2"])
  }

  @Test func labelsBelongToTheKeyOnlyWhereTheyAreShown() {
    run("a = eval m cal\nt = compare [one: a]")
    run("a = eval m cal\nt = compare [two: a]")
    #expect(made == ["t"])
    run("k = mask (flap acts) rate=20%\np = prune m [x: k]")
    run("k = mask (flap acts) rate=20%\np = prune m [y: k]")
    #expect(made == [])
  }

  @Test func freshTakesEveryNameOfAStepAndTheCellsOfASweep() {
    let text = "a = flap acts\nb = flap acts\nr = for rate in 10%,20% { mask a rate=rate }"
    run(text)
    run(text) { $0.fresh = .names(["b"]) }
    #expect(listener.lines.count { $0.hasSuffix("unchanged") } == 1, "\(listener.lines)")
    run(text) { $0.fresh = .names(["r"]) }
    #expect(listener.lines.count { $0.hasSuffix("unchanged") } == 2, "\(listener.lines)")
    let unknown = session { $0.fresh = .names(["a", "rr"]) }
    #expect(
      unknown.unknownFresh(of: unknown.check(Source(name: "t", text: head + text)).plan)?.hint == "did you mean `r`?")
  }

  @Test func freshRecomputesAndSaysWhetherContentChanged() {
    run("s = flap acts")
    run("s = flap acts") { $0.fresh = .names(["s"]) }
    #expect(listener.lines.suffix(2) == ["s made unchanged", "bound s"])
    run("s = flap acts") { $0.fresh = .all }
    #expect(listener.lines.count { $0.hasSuffix("made unchanged") } == 4)
  }

  @Test func aFieldBecomesAParameterWhenItIsKnown() {
    run("mk = mask (flap acts) rate=20%\nx = mask (flap acts) rate=mk.rate scope=layer")
    #expect(store.performed.last?.parameters["rate"] == .number(0.25))
  }

  @Test func cancellingStopsBeforeTheNextStep() {
    listener.cancelsWork = true
    #expect(run("s = flap acts").exitCode == 130)
    #expect(listener.lines == ["m cancelled"])
    // And what is stopped while it is checked is not begun.
    #expect(run("s = flap acts").exitCode == 130)
    #expect(listener.lines == [])
  }

  @Test func whatDoesNotFitIsRefusedBeforeItStarts() {
    struct Huge: Op {
      static let name = "huge"
      static let summary = "Take memory."
      static let example = "huge"
      func estimate(within limit: Int) throws -> Resources { Resources(memory: 3 << 30) }
      func run(_ context: any RunContext) throws -> ToyModel { ToyModel(text: "huge") }
    }
    let session = Session(catalog: Catalog([Huge.self]), store: store, observer: listener, meta: listener)
    let outcome = session.evaluate("x = huge")
    #expect(outcome.exitCode == 5)
    // What the process holds already counts, so the number is another for each.
    let summary = outcome.diagnostics.first?.summary ?? ""
    #expect(summary.wholeMatch(of: /`huge` needs about 3\.[2-9] GiB of memory, and 1\.0 GiB may be used/) != nil)
  }

  @Test func thePromptRemembersNamesResultsAndFormerBindings() {
    let session = session { $0.seesStoredNames = true }
    #expect(session.evaluate(head).rendered == "")
    #expect(session.evaluate("x = flap acts").rendered == "")
    #expect(session.evaluate("x = mask _ rate=20%").rendered == "")
    #expect(session.evaluate("y = mask x@-1 rate=30%").rendered == "")
    #expect(session.evaluate("z = mask x rate=30%").exitCode == 2)
    #expect(session.evaluate("flap acts").rendered == "")
    #expect(listener.lines.last == "value scores")
    #expect(session.history.count == 6)
    #expect(session.names == ["acts", "cal", "m", "x", "y"])
  }

  @Test func formerBindingsCountTheSameInThisSessionAndTheNext() {
    func keys(_ session: Session, _ back: [Int]) -> [String?] {
      back.map { back in
        guard session.evaluate("show y@-\(back)").exitCode == 0,
          case .value(.artifact(let node), _)? = listener.metas.last?.arguments.first
        else { return nil }
        return node.handle?.reference.key
      }
    }
    let first = session { $0.seesStoredNames = true }
    for line in [head, "y = mask (flap acts) rate=10%", "y = mask (flap acts) rate=20%"] {
      #expect(first.evaluate(line).rendered == "")
    }
    #expect(first.evaluate("y = mask (flap acts) rate=20%").rendered == "")
    let made = store.bindings["y"]?.map(\.key) ?? []
    #expect(made.count == 2)
    #expect(keys(first, [0, 1, 2]) == [made[1], made[0], nil])
    let second = session { $0.seesStoredNames = true }
    #expect(keys(second, [0, 1, 2]) == [made[1], made[0], nil])
    #expect(second.evaluate("y = mask (flap acts) rate=30%").rendered == "")
    #expect(keys(second, [1, 2, 3]) == [made[1], made[0], nil])
  }

  @Test func namesKeepTheirValuesUntilTheyAreTakenOver() {
    run(head + "\nmk = mask (flap acts) rate=20%")
    let shell = session { $0.seesStoredNames = true }
    func key() -> String? { shell.value(named: "mk")?.nodes.first?.handle?.reference.key }
    let before = key()
    #expect(before != nil && shell.reboundElsewhere == [])
    run(head + "\nmk = mask (flap acts) rate=40%")
    #expect(key() == before)
    #expect(shell.reboundElsewhere == ["mk"])
    #expect(shell.evaluate("other = mask (flap acts) rate=10%").rendered == "")
    #expect(shell.synchronize() == ["mk"])
    #expect(key() == store.bindings["mk"]?.last?.key)
    #expect(key() != before && shell.reboundElsewhere == [])
    #expect(shell.evaluate("mk = mask (flap acts) rate=50%").rendered == "")
    #expect(shell.reboundElsewhere == [])
  }

  @Test func namesOfFormerSessionsAreSeenAtThePromptOnly() {
    run("s = flap acts")
    let prompt = session { $0.seesStoredNames = true }
    #expect(prompt.evaluate("mk = mask s rate=20%").rendered == "")
    #expect(session().run(Source(name: "t.prn", text: "mk = mask s rate=20%")).exitCode == 2)
  }

  @Test func oneCellRunsWithWhatItNeeds() {
    let outcome = run("# %% score\ns = flap acts\n# %% other\no = obc acts\n# %% mask it\nmk = mask s rate=20%") {
      $0.cells = ["mask"]
    }
    #expect(outcome.rendered == "")
    #expect(made == ["m", "cal", "acts", "s", "mk"])
    #expect(listener.lines.filter { $0.hasPrefix("bound") } == ["bound mk"])
    #expect(
      run("# %% score\ns = flap acts") { $0.cells = ["scoer"] }.diagnostics.first?.hint == "did you mean `score`?")
  }

  @Test func aFieldFromAnotherCellIsFound() {
    let outcome = run("# %% first\ns = flap acts\nmk = mask s rate=20%\n# %% second\nother = mask s rate=mk.rate") {
      $0.cells = ["second"]
    }
    #expect(outcome.rendered == "")
    #expect(listener.lines.last == "bound other")
  }

  @Test func stepsRunAloneOverOneStore() {
    let text = "s = flap acts\nmk = mask s rate=20%\nother = mask s rate=mk.rate\nshow other"
    func steps(_ wanted: Int...) -> Outcome { run(text) { $0.steps = Set(wanted) } }
    #expect(steps(1, 3).diagnostics.first?.summary.contains("step 2, `cal`, is not in the store") == true)
    #expect(made == ["m"] && steps(9).exitCode == 2 && steps(0).exitCode == 2)
    for number in [1, 2, 3, 4, 5, 6] {
      #expect(steps(number).rendered == "")
      #expect(made == [["m", "cal", "acts", "s", "mk", "other"][number - 1]].filter { $0 != "m" })
    }
    // No name was bound and no statement carried out.
    #expect(store.bindings.isEmpty && !listener.lines.contains("show"))
    let keys = keys()
    run(text)
    #expect(self.keys() == keys && store.bindings["other"] != nil)
    #expect(run(text) { ($0.steps, $0.fresh) = ([4], .all) }.rendered == "")
    #expect(listener.lines == ["m cached", "cal cached", "acts cached", "s made unchanged"])
  }

  @Test func aDryRunSaysWhatWouldBeDone() throws {
    run("s = flap acts")
    let count = store.performed.count
    let session = session()
    let plan = session.check(Source(name: "t", text: head + "s = flap acts\nmk = mask s rate=20%\np = prune m mk")).plan
    let rows = try session.dryRun(plan)
    #expect(rows.map(\.status) == [.cached, .cached, .cached, .cached, .run, .after("mk")])
    #expect(store.performed.count == count)
  }

  @Test func aDryRunCallsStepsAsTheRunDoes() throws {
    let text = head + "even = flap acts\nr = for k in 1,2 { mk = flap acts; mask mk rate=10% }"
    let session = session()
    let rows = try session.dryRun(session.check(Source(name: "t", text: text)).plan)
    #expect(rows.compactMap(\.name) == ["m", "cal", "acts", "even"])
    run("even = flap acts\nr = for k in 1,2 { mk = flap acts; mask mk rate=10% }")
    #expect(listener.lines.filter { $0.hasSuffix(" made") }.contains("even made"))
  }

  @Test func aDryRunKnowsWhatFreshMakesAnew() throws {
    run("s = flap acts")
    let text = Source(name: "t", text: head + "s = flap acts\nmk = mask s rate=20%")
    let all = session { $0.fresh = .all }
    #expect(try all.dryRun(all.check(text).plan).map(\.status) == [.anew, .anew, .anew, .anew, .run])
    let one = session { $0.fresh = .names(["acts"]) }
    #expect(try one.dryRun(one.check(text).plan).map(\.status) == [.cached, .cached, .anew, .cached, .run])
  }

  @Test func timeAndMetaWordsReachTheShell() {
    run("time s = flap acts\nplot s x=layer to=./s.svg")
    #expect(listener.lines.suffix(3) == ["bound s", "timed", "plot"])
    run("time r = for k in 1,2 { kmeans acts k=k }\nshow r")
    #expect(listener.lines.suffix(4) == ["kmeans made", "bound r", "timed", "show"])
    #expect(
      listener.metas.first { !$0.parameters.isEmpty }?.parameters == ["x": .symbol("layer"), "to": .path("./s.svg")])
  }

  @Test func overridesReachTheSteps() {
    let text = "param rate = 20%\nmk = mask (flap acts) rate=rate"
    run(text) { $0.overrides = [(name: "rate", text: "30%")] }
    #expect(store.performed.last?.parameters["rate"] == .number(0.3))
  }
}

@Suite struct CompletionTests {
  private func complete(_ text: String) -> [String] {
    let listener = SessionListener()
    let session = Session(catalog: toys, store: MemoryStore(), observer: listener, meta: listener)
    let outcome = session.evaluate(
      "param share = 20%\nm = load /etc\ncal = text /etc/passwd model=m\nacts = capture m cal sites=ffn.act\nmk = mask (flap acts) rate=20%"
    )
    #expect(outcome.rendered == "")
    let cursor = text.utf8.count
    var sources = CompletionSources()
    sources.columns = { _ in ["rate", "token_perplexity"] }
    sources.settings = { $0 == nil ? [Completion("format", .word)] : [Completion("box", .choice)] }
    let found = session.completions(text + " trailing", cursor: cursor, sources: sources)
    #expect(found.range.upperBound == cursor)
    return found.candidates.map(\.text)
  }

  @Test func opsAndMetaWordsStandAtTheStart() {
    #expect(complete("kme") == ["kmeans"])
    #expect(complete("x = kme") == ["kmeans"])
    #expect(complete("sho") == ["show"])
    #expect(complete("acts |> fl") == ["flap"])
    #expect(complete("show (ev") == ["eval"])
  }

  @Test func parametersNotYetGivenFollow() {
    #expect(complete("x = mask s rate=20% sc") == ["scope="])
    #expect(complete("x = mask s rate=20% ra") == ["rates="])
    #expect(!complete("x = mask s rate=20% ").contains("rate="))
    #expect(complete("plot mk to") == ["to="])
  }

  @Test func choicesOfTheParameterFollowItsName() {
    #expect(complete("x = flap acts metric=") == ["wifv", "wifn"])
    #expect(complete("x = capture m cal sites=attn.heads,ffn.a") == ["ffn.act"])
    #expect(complete("plot mk as=s") == ["svg"])
    #expect(complete("x = mask s rate=") == ["share"])
  }

  @Test func onlyVariablesOfTheWantedTypeAreOffered() {
    #expect(complete("x = prune m mk acts=") == ["acts"])
    #expect(complete("x = flap a") == ["acts"])
    #expect(complete("y = mk & ").first == "mk")
  }

  @Test func fieldsFormerValuesAndSettingsAreOffered() {
    #expect(complete("show mk.ra") == ["mk.rate"])
    #expect(complete("set ") == ["format"])
    #expect(complete("set format ") == ["box"])
    #expect(complete("show mk@") == [])
  }

  @Test func aPipeOffersTheOpsThatTakeItsValue() {
    #expect(complete("acts |> ").contains("flap"))
    #expect(!complete("acts |> ").contains("mask"))
    #expect(complete("(flap acts) |> ").contains("mask") || complete("flap acts |> ").contains("mask"))
  }

  @Test func pathsAndColumnsAreOffered() {
    #expect(complete("x = load /et").contains("/etc/"))
    #expect(complete("x = load \"/et").contains("/etc/"))
    #expect(complete("plot mk x=tok") == ["token_perplexity"])
  }

  @Test func fuzzyMatchesOnlyWithoutExactOnes() {
    #expect(complete("x = kms") == ["kmeans"])
    #expect(complete("# kme") == [])
  }
}
