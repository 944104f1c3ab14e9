import Foundation
import Kernel
import Testing

@Suite struct StoreTests {
  let workspace = Workspace()

  @Test func aFinishedStepIsFoundAgainWithItsValue() throws {
    let store = try workspace.store()
    let step = recipe(seed: 0)
    #expect(try store.find(step.key) == nil)
    let made = try store.perform(step, observer: StepListener())
    #expect(made.summary == "3 x 4")
    #expect(made.bytes == workspace.bytes(workspace.objectPath(step.key)).count)
    let found = try #require(try workspace.store().find(step.key))
    #expect(found.handle.reference == made.handle.reference)
    #expect(found.handle.type == Grid.type)
    #expect(found.handle.facts == ["unit": "neuron"])
    let value = try #require(try found.handle.load() as? Grid)
    #expect(value.values == (0..<12).map { Float($0) })
    #expect(value.labels == ["a", "b"])
  }

  @Test func aKnownStepIsNotRunAgain() throws {
    let store = try workspace.store()
    var runs = 0
    func again(_ isFresh: Bool) throws {
      let step = recipe(seed: 0, isFresh: isFresh) { _ in
        runs += 1
        return Grid([1, 2, 3, 4])
      }
      _ = try store.perform(step, observer: StepListener())
    }
    try again(false)
    try again(false)
    #expect(runs == 1)
    try again(true)
    #expect(runs == 2)
  }

  @Test func twoCleanRunsWriteTheSameBytes() throws {
    let other = Workspace()
    let step = recipe(seed: 3) { context in
      let part = try context.child(Grid.self, part: "layer_00", parameters: ["layer": 0]) { Grid([4, 3, 2, 1]) }
      // Large enough for several chunks, with an edge that does not fill one.
      return Grid((0..<1_000_000).map { Float($0 % 1000) }, parts: [part])
    }
    for place in [workspace, other] {
      let store = try place.store()
      let made = try store.perform(step, observer: StepListener())
      try store.bind("x", to: made.handle.reference)
      usleep(1_100_000)
    }
    let files = try FileManager.default.subpathsOfDirectory(atPath: workspace.root + "/objects").filter {
      $0.hasSuffix("h5")
    }
    #expect(files.count == 2)
    for file in files {
      let (a, b) = (workspace.bytes(workspace.root + "/objects/" + file), other.bytes(other.root + "/objects/" + file))
      #expect(!a.isEmpty && a == b)
    }
  }

  @Test func contentIsThePayloadAndNotTheNotes() throws {
    let store = try workspace.store()
    func content(_ seed: Int, _ change: (inout Grid) -> Void) throws -> String {
      var grid = Grid([1, 2, 3, 4])
      change(&grid)
      let value = grid
      return try store.perform(recipe(seed: seed) { _ in value }, observer: StepListener()).handle.reference.content
    }
    let plain = try content(0) { _ in }
    #expect(try content(1) { $0.note = 9 } == plain)
    #expect(try content(2) { $0.unit = "head" } != plain)
    #expect(try content(3) { $0.values[0] = 0 } != plain)
    #expect(try content(4) { $0.labels[0] = "c" } != plain)
  }

  @Test func aFlippedByteIsFoundSetAsideAndMadeAgain() throws {
    let store = try workspace.store()
    let step = recipe(seed: 0)
    let made = try store.perform(step, observer: StepListener())
    let path = workspace.objectPath(step.key)
    let good = workspace.bytes(path)
    let pattern = [Float(6), 7].withUnsafeBytes { [UInt8]($0) }
    #expect(workspace.patch(path, pattern, [1] + Array(pattern.dropFirst())))
    let findings = try store.check()
    #expect(findings.map(\.kind) == [.damaged])
    #expect(findings[0].path.hasSuffix(step.key + ".h5"))

    let warnings = Heard()
    var options = Store.Options()
    options.isStrict = true
    let strict = try workspace.store(options)
    #expect(diagnostic { _ = try strict.find(step.key) }?.kind == .store)
    options.isStrict = false
    options.warn = { warnings.add($0) }
    let later = try workspace.store(options)
    #expect(try later.find(step.key) == nil)
    #expect(warnings.all.count == 1)
    #expect(FileManager.default.fileExists(atPath: "\(workspace.root)/quarantine/\(step.key).h5"))
    let again = try later.perform(step, observer: StepListener())
    #expect(again.handle.reference == made.handle.reference)
    #expect(workspace.bytes(path) == good)
  }

  @Test(arguments: [0.0, 0.1, 0.5, 0.9, 0.999])
  func aTruncatedObjectCountsAsAbsent(_ share: Double) throws {
    let step = recipe(seed: 0)
    _ = try workspace.store().perform(step, observer: StepListener())
    let path = workspace.objectPath(step.key)
    let whole = workspace.bytes(path)
    workspace.overwrite(path, Array(whole.prefix(Int(Double(whole.count) * share))))
    #expect(try workspace.store().find(step.key) == nil)
    #expect(try workspace.store().perform(step, observer: StepListener()).summary == "3 x 4")
  }

  /// The HDF5 library crashes on some of these files when it is let near them.
  @Test func aFlippedBitAnywhereIsDamage() throws {
    let step = recipe(seed: 0)
    _ = try workspace.store().perform(step, observer: StepListener())
    let path = workspace.objectPath(step.key)
    let whole = workspace.bytes(path)
    for position in Array(stride(from: 3, to: 90, by: 17)) + Array(stride(from: 512, to: whole.count, by: 397)) {
      var bytes = whole
      bytes[position] ^= 0x10
      workspace.overwrite(path, bytes)
      let store = try workspace.store()
      #expect(try store.check().map(\.kind) == [.damaged], "byte \(position)")
      #expect(try store.find(step.key) == nil, "byte \(position)")
    }
  }

  @Test func aNewerSchemaIsLeftAlone() throws {
    let step = recipe(seed: 0)
    _ = try workspace.store().perform(step, observer: StepListener())
    let path = workspace.objectPath(step.key)
    #expect(
      workspace.patch(
        path, [3, 0, 0, 0, 0, 0, 0, 0] + Array("1.0".utf8), [3, 0, 0, 0, 0, 0, 0, 0] + Array("9.0".utf8)))
    let problem = diagnostic { _ = try workspace.store().find(step.key) }
    #expect(problem?.kind == .store)
    #expect(problem?.summary.hasSuffix("was written by prn schema 9.0; this prn reads up to 1.x") == true)
    #expect(try workspace.store().check().map(\.kind) == [.tooNew])
    #expect(FileManager.default.fileExists(atPath: path))
  }

  @Test func anObjectUnderAnotherKeyIsDamage() throws {
    let store = try workspace.store()
    let (one, two) = (recipe(seed: 1), recipe(seed: 2))
    _ = try store.perform(one, observer: StepListener())
    _ = try store.perform(two, observer: StepListener())
    workspace.overwrite(workspace.objectPath(two.key), workspace.bytes(workspace.objectPath(one.key)))
    #expect(try store.check().map(\.kind) == [.damaged])
    #expect(try store.find(two.key) == nil)
    #expect(try store.find(one.key) != nil)
  }

  @Test func aFailedStepLeavesNothing() throws {
    let store = try workspace.store()
    let step = recipe(seed: 0) { _ in throw Diagnostic("the matrix is singular", argument: "acts") }
    let problem = diagnostic { _ = try store.perform(step, observer: StepListener()) }
    #expect(problem == Diagnostic("the matrix is singular", argument: "acts"))
    #expect(try store.find(step.key) == nil)
    #expect(try FileManager.default.contentsOfDirectory(atPath: workspace.root + "/tmp") == [])
    #expect(try store.entries == [])
  }

  @Test func twoStoresComputeAStepOnce() throws {
    let runs = Heard()
    let isRunning = DispatchSemaphore(value: 0)
    let hasEnded = DispatchSemaphore(value: 0)
    @Sendable func step() -> StepRecipe {
      recipe(seed: 0) { _ in
        runs.add("run")
        isRunning.signal()
        usleep(300_000)
        return Grid([1, 2, 3, 4])
      }
    }
    let workspace = workspace
    Thread {
      _ = try? workspace.store().perform(step(), observer: StepListener())
      hasEnded.signal()
    }.start()
    isRunning.wait()
    let listener = StepListener()
    let found = try workspace.store().perform(step(), observer: listener)
    hasEnded.wait()
    #expect(runs.all == ["run"])
    #expect(listener.heard == ["waiting \(getpid())"])
    #expect(found.summary == "1 x 4")
    #expect(try FileManager.default.contentsOfDirectory(atPath: workspace.root + "/locks") == [])
  }

  @Test func aLockFileOfADeadProcessStopsNobody() throws {
    let step = recipe(seed: 0)
    let store = try workspace.store()
    _ = try store.perform(recipe(seed: 1), observer: StepListener())
    workspace.overwrite("\(workspace.root)/locks/\(step.key)", Array("999999\n".utf8))
    #expect(try store.perform(step, observer: StepListener()).summary == "3 x 4")
  }

  @Test func whatACrashLeavesBehindIsTakenAwayWhenItsProcessIsKnownToBeDead() throws {
    let store = try workspace.store()
    _ = try store.perform(recipe(seed: 1), observer: StepListener())
    let own = ProcessTag.own
    let tmp = workspace.root + "/tmp/"
    let dead = "abc.\(Int32.max)-\(own.space).h5"
    // Of this process, of one in another container, and of somebody who is not prn.
    let others = ["abc.\(own.text).h5", "abc.\(Int32.max)-00000000.h5", "results-20241105.csv", "abc.999999.h5"]
    for name in others + [dead] { workspace.overwrite(tmp + name, [1, 2, 3]) }
    workspace.age(tmp + "results-20241105.csv", by: 90 * 86400)
    let before = try workspace.listing()
    #expect(try store.check().map(\.path) == ["tmp/" + dead])
    #expect(try workspace.listing() == before)
    try store.collect([])
    #expect(try FileManager.default.contentsOfDirectory(atPath: tmp).sorted() == others.sorted())
    // What nobody has touched for a week is nobody's.
    workspace.age(tmp + others[1], by: 8 * 86400)
    #expect(try store.check().map(\.path) == ["tmp/" + others[1]])
  }

  /// A disk of one mebibyte, where the system lets us have one.
  @Test func aFullDiskIsOneSentenceAndLosesNothing() throws {
    let disk = workspace.folder + "/disk"
    try FileManager.default.createDirectory(atPath: disk, withIntermediateDirectories: true)
    guard mount("tmpfs", disk, "tmpfs", 0, "size=1m") == 0 else { return }
    defer { umount2(disk, Int32(MNT_DETACH)) }
    let store = try Store(workspace: disk + "/.prn", types: ["grid": Grid.self])
    let first = try store.perform(recipe(seed: 1), observer: StepListener())
    for count in [400_000, 300_000] {
      // Noise, so that compression does not help.
      var state: UInt64 = 1
      let noise = (0..<count).map { _ in
        state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
        return Float(state >> 40)
      }
      let step = recipe(seed: count) { _ in Grid(noise) }
      let problem = diagnostic { _ = try store.perform(step, observer: StepListener()) }
      #expect(problem?.summary.hasPrefix("no space left on the disk of ") == true)
      #expect(problem?.summary.hasSuffix("; nothing finished was lost") == true)
      #expect(try FileManager.default.contentsOfDirectory(atPath: disk + "/.prn/tmp") == [])
    }
    // A file the library still held open would keep the space it could not use.
    let held = try FileManager.default.contentsOfDirectory(atPath: "/proc/self/fd").compactMap {
      try? FileManager.default.destinationOfSymbolicLink(atPath: "/proc/self/fd/" + $0)
    }
    #expect(held.filter { $0.hasPrefix(disk) && $0.hasSuffix(".h5 (deleted)") } == [])
    #expect(try store.check() == [])
    #expect(try store.find(recipe(seed: 1).key)?.handle.reference == first.handle.reference)
    #expect(try store.perform(recipe(seed: 2), observer: StepListener()).summary == "3 x 4")
  }

  @Test(.enabled(if: getuid() != 0, "root may write anywhere")) func aReadOnlyFolderIsOneSentence() throws {
    chmod(workspace.folder, 0o555)
    defer { chmod(workspace.folder, 0o755) }
    let problem = diagnostic { _ = try workspace.store().perform(recipe(seed: 0), observer: StepListener()) }
    #expect(problem?.summary.hasPrefix("no permission to write") == true)
  }

  @Test func aFileInPlaceOfTheWorkspaceIsOneSentence() throws {
    workspace.overwrite(workspace.root, [1])
    #expect(diagnostic { _ = try workspace.store().perform(recipe(seed: 0), observer: StepListener()) } != nil)
  }

  @Test func lookingWritesNothing() throws {
    let store = try workspace.store()
    _ = try store.find(recipe(seed: 0).key)
    _ = try store.names()
    _ = try store.value(named: "x", back: 0)
    _ = try store.freeDisk()
    #expect(try FileManager.default.contentsOfDirectory(atPath: workspace.folder) == [])
  }

  @Test func aWorkspaceIsFoundFromBelow() throws {
    let store = try workspace.store()
    try store.record(["event": "statement"])
    let deep = workspace.folder + "/a/b"
    try FileManager.default.createDirectory(atPath: deep, withIntermediateDirectories: true)
    #expect(try Store.locate(from: deep) == workspace.root)
  }

  @Test func aNewerWorkspaceIsRefused() throws {
    try workspace.store().record(["event": "statement"])
    workspace.overwrite(workspace.root + "/workspace.json", Array("{\"format\":\"prn-workspace\",\"version\":7}".utf8))
    #expect(diagnostic { _ = try workspace.store() }?.kind == .store)
  }

  /// What was made before or after the layout of its type changed is named, not read as if it were today's.
  @Test(arguments: [1, 3]) func aValueOfAnotherLayoutIsRefused(_ version: Int) throws {
    struct Earlier: Artifact {
      static let type = ArtifactType("grid", version: 1)
      var summary: String { "" }
      init() {}
      init(from reader: any ArtifactReader) throws {}
      func write(to writer: any ArtifactWriter) throws {}
    }
    struct Later: Artifact {
      static let type = ArtifactType("grid", version: 3)
      var summary: String { "" }
      init() {}
      init(from reader: any ArtifactReader) throws {}
      func write(to writer: any ArtifactWriter) throws {}
    }
    var step = recipe(seed: 0) { _ -> any Artifact in version == 1 ? Earlier() : Later() }
    step.outputType = version == 1 ? Earlier.self : Later.self
    let made = try workspace.store().perform(step, observer: StepListener())
    let problem = diagnostic { _ = try workspace.store().find(made.handle.reference.key)?.handle.load() }
    #expect(problem?.summary.hasSuffix("holds `grid` in version \(version), and this prn reads version 2") == true)
    #expect(problem?.hint == (version == 1 ? "run its step again" : nil))
  }

  @Test func axesOfOneNameMayDifferBetweenGroupsOnly() throws {
    struct Clash: Artifact {
      static let type = ArtifactType("clash")
      var summary: String { "" }
      init() {}
      init(from reader: any ArtifactReader) throws {}
      func write(to writer: any ArtifactWriter) throws {
        try writer.vector("a", [Float(1), 2], axis: "token")
        try writer.vector("b", [Float(1), 2, 3], axis: "token")
      }
    }
    var step = recipe(seed: 0) { _ in Clash() }
    step.outputType = Clash.self
    let problem = diagnostic { _ = try workspace.store().perform(step, observer: StepListener()) }
    #expect(problem?.summary.contains("the axis `token` of `b` has 3 positions") == true)
  }

  @Test func partsAreSharedMissedAndMadeAgain() throws {
    let store = try workspace.store()
    let made = Heard()
    func step(_ seed: Int) -> StepRecipe {
      recipe(seed: seed) { context in
        let part = try context.child(Grid.self, part: "layer_00", parameters: ["layer": 0]) {
          made.add("part")
          return Grid([1, 2, 3, 4])
        }
        return Grid([5, 6, 7, 8], parts: [part])
      }
    }
    let first = try store.perform(step(0), observer: StepListener())
    _ = try store.perform(step(1), observer: StepListener())
    #expect(made.all.count == 1)
    let parent = try #require(try first.handle.load() as? Grid)
    let reader = try store.open(parent.parts[0])
    #expect(try reader.array("z", as: Float.self) == [1, 2, 3, 4])
    // Without its part the whole counts as absent.
    unlink(workspace.objectPath(parent.parts[0].key))
    #expect(try store.find(step(0).key) == nil)
    #expect(try store.check().map(\.kind) == [.incomplete, .incomplete])
    _ = try store.perform(step(0), observer: StepListener())
    #expect(made.all.count == 2)
    #expect(try store.find(step(1).key) != nil)
  }

  @Test func verifyingTellsWhatDiffers() throws {
    let store = try workspace.store()
    _ = try store.perform(recipe(seed: 0), observer: StepListener())
    let same = try store.verify(recipe(seed: 0), observer: StepListener())
    #expect(same == Verification(isIdentical: true, isSameContent: true, differences: [:]))
    let other = try store.verify(
      recipe(seed: 0) { _ in Grid((0..<12).map { $0 == 3 ? 3.5 : Float($0) }) }, observer: StepListener())
    #expect(other == Verification(isIdentical: false, isSameContent: false, differences: ["z": 0.5]))
  }
}

/// Sentences heard on any thread.
final class Heard: @unchecked Sendable {
  private let lock = NSLock()
  private var sentences: [String] = []
  func add(_ sentence: String) { lock.withLock { sentences.append(sentence) } }
  var all: [String] { lock.withLock { sentences } }
}
