import Foundation
import Kernel
import Testing

/// What the store does not touch, and what it does not take for something else.
@Suite struct StoreSafetyTests {
  let workspace = Workspace()

  func old(_ key: String) { workspace.age(workspace.objectPath(key), by: 7200) }

  @Test func aFolderThatHoldsOtherThingsIsNotAWorkspace() throws {
    let project = workspace.folder + "/project"
    try FileManager.default.createDirectory(atPath: project, withIntermediateDirectories: true)
    workspace.overwrite(project + "/thesis.tex", [1])
    let before = try workspace.listing()
    let problem = diagnostic { _ = try Store(workspace: project, types: [:]) }
    #expect(problem?.summary == "\(project) is not a prn workspace")
    #expect(problem?.kind == .usage)
    #expect(diagnostic { _ = try Store(workspace: "", types: [:]) }?.kind == .usage)
    #expect(try workspace.listing() == before)
    unlink(project + "/thesis.tex")
    try Store(workspace: project, types: [:]).record(["event": "statement"])
    _ = try Store(workspace: project, types: [:])
  }

  @Test func namesThatCannotBeListedStopEverythingThatNeedsThem() throws {
    let store = try workspace.store()
    let made = try store.perform(recipe(seed: 0), observer: StepListener()).handle.reference
    try store.bind("x", to: made)
    old(made.key)
    // A file in place of the folder, because nothing is unreadable to the root user.
    try FileManager.default.moveItem(atPath: workspace.root + "/vars", toPath: workspace.folder + "/vars")
    workspace.overwrite(workspace.root + "/vars", [1])
    #expect(diagnostic { _ = try store.collectable() }?.summary.contains("could not list") == true)
    #expect(diagnostic { _ = try store.check() } != nil)
    #expect(diagnostic { _ = try store.names() } != nil)
  }

  @Test func aNameThatCannotBeRemovedIsNotOneThatIsMissing() throws {
    let store = try workspace.store()
    let made = try store.perform(recipe(seed: 0), observer: StepListener()).handle.reference
    try store.bind("x", to: made)
    #expect(diagnostic { try store.drop("y") }?.summary == "there is no value named `y`")
    // A folder in place of the file, because the root user may remove all files.
    unlink(workspace.root + "/vars/main/x.jsonl")
    for folder in ["/vars/main/x.jsonl", "/pins/" + made.key] {
      try FileManager.default.createDirectory(atPath: workspace.root + folder, withIntermediateDirectories: true)
    }
    #expect(diagnostic { try store.drop("x") }?.summary.contains("could not remove") == true)
    #expect(diagnostic { try store.unpin(made.key) }?.summary.contains("could not remove") == true)
  }

  @Test func aLiveObjectThatIsDamagedOrGoneStopsCollecting() throws {
    let store = try workspace.store()
    let parent = recipe(seed: 0) { context in
      Grid([1, 2, 3, 4], parts: [try context.child(Grid.self, part: "a", parameters: [:]) { Grid([4, 3, 2, 1]) }])
    }
    let made = try store.perform(parent, observer: StepListener()).handle.reference
    try store.bind("x", to: made)
    let path = workspace.objectPath(made.key)
    let whole = workspace.bytes(path)
    workspace.overwrite(path, Array(whole.dropLast(9)))
    let damaged = diagnostic { _ = try workspace.store().collectable() }
    #expect(damaged?.summary.hasPrefix("nothing was collected: what `x` needs is not known") == true)
    #expect(damaged?.kind == .store)
    #expect(FileManager.default.fileExists(atPath: path))
    unlink(path)
    #expect(diagnostic { _ = try workspace.store().collectable() }?.summary.contains("not in the store") == true)
  }

  @Test func aCopyWithoutLinksKeepsItsNames() throws {
    let store = try workspace.store()
    let (one, two) = try (
      store.perform(recipe(seed: 1), observer: StepListener()).handle.reference,
      store.perform(recipe(seed: 2), observer: StepListener()).handle.reference
    )
    try store.bind("x", to: one)
    try store.bind("x", to: two)
    try store.bind("y", to: two)
    let link = workspace.root + "/vars/main/x.h5"
    // Left out, as some clouds do, or followed, as `cp -L` and zip do.
    for isFollowed in [false, true] {
      unlink(link)
      if isFollowed { try FileManager.default.copyItem(atPath: workspace.objectPath(two.key), toPath: link) }
      let copy = try workspace.store()
      #expect(try copy.value(named: "x", back: 0)?.reference == two)
      #expect(try copy.value(named: "x", back: 1)?.reference == one)
      #expect(try copy.names() == ["x", "y"])
      #expect(try copy.check().map(\.kind) == [.unlinked])
    }
    try workspace.store().bind("x", to: two)
    #expect(try workspace.store().check() == [])
    // A workspace of an earlier version has nothing but the copied object.
    unlink(workspace.root + "/vars/main/x.jsonl")
    unlink(link)
    try FileManager.default.copyItem(atPath: workspace.objectPath(one.key), toPath: link)
    #expect(try workspace.store().value(named: "x", back: 0)?.reference == one)
  }

  /// The end of a name's file says what it is bound to; where that is lost the link does, and else nothing is collected.
  @Test(arguments: ["{\n", "\n{\"content\":\"ab", "\0\0\0\n"])
  func aNameWhoseLastLineIsDamagedIsNotForgotten(_ damage: String) throws {
    let store = try workspace.store()
    let (one, two) = try (
      store.perform(recipe(seed: 1), observer: StepListener()).handle.reference,
      store.perform(recipe(seed: 2), observer: StepListener()).handle.reference
    )
    try store.bind("x", to: one)
    try store.bind("x", to: two)
    for key in [one.key, two.key] { old(key) }
    let path = workspace.root + "/vars/main/x.jsonl"
    let lines = String(decoding: workspace.bytes(path), as: UTF8.self).split(separator: "\n")
    workspace.overwrite(path, Array((lines[0] + "\n" + damage).utf8))
    #expect(try workspace.store().value(named: "x", back: 0)?.reference == two)
    #expect(try workspace.store().collectable().map(\.key) == [one.key])
    // A copy without links.
    unlink(workspace.root + "/vars/main/x.h5")
    let copy = try workspace.store()
    let told = "what `x` is bound to cannot be read: the end of \(path) is damaged"
    #expect(diagnostic { _ = try copy.value(named: "x", back: 0) }?.summary == told)
    #expect(diagnostic { _ = try copy.collectable() }?.summary == told)
    #expect(try copy.check().map(\.kind) == [.damaged])
    try copy.bind("x", to: two)
    #expect(try workspace.store().value(named: "x", back: 0)?.reference == two)
    #expect(try workspace.store().check() == [])
  }

  @Test func aNameOfWhichNothingIsLeftButItsFileIsNotForgottenEither() throws {
    let store = try workspace.store()
    try store.bind("x", to: store.perform(recipe(seed: 1), observer: StepListener()).handle.reference)
    unlink(workspace.root + "/vars/main/x.h5")
    workspace.overwrite(workspace.root + "/vars/main/x.jsonl", [])
    #expect(diagnostic { _ = try workspace.store().collectable() }?.kind == .store)
    #expect(try workspace.store().check().map(\.kind) == [.damaged])
  }

  /// One process makes a workspace while others look at it: they find nothing, half of it, or all.
  @Test func aWorkspaceCanBeOpenedWhileItIsMade() throws {
    let workspace = workspace
    let lock = NSLock()
    nonisolated(unsafe) var problems: Set<String> = []
    for round in 0..<40 {
      let root = "\(workspace.folder)/\(round)"
      DispatchQueue.concurrentPerform(iterations: 4) { thread in
        for _ in 0..<(thread == 0 ? 1 : 200) {
          let problem = diagnostic {
            let store = try Store(workspace: root, types: [:])
            if thread == 0 { try store.record(["event": "statement"]) }
          }
          if let problem { lock.withLock { _ = problems.insert(problem.summary) } }
        }
      }
    }
    #expect(problems == [])
  }

  @Test func aWorkspaceWhoseOwnFileIsDamagedIsToldFromNone() throws {
    try workspace.store().bind(
      "x", to: workspace.store().perform(recipe(seed: 1), observer: StepListener()).handle.reference)
    for text in ["{", "", "{}"] {
      workspace.overwrite(workspace.root + "/workspace.json", Array(text.utf8))
      let problem = diagnostic { _ = try workspace.store() }
      #expect(problem?.summary == "\(workspace.root)/workspace.json is damaged or gone")
      #expect(problem?.kind == .store)
    }
  }

  @Test func anObjectOpenElsewhereOrWithNotesIsWhole() throws {
    let step = recipe(seed: 0)
    let made = try workspace.store().perform(step, observer: StepListener()).handle.reference
    let path = workspace.objectPath(step.key)
    let whole = workspace.bytes(path)
    // What HDF5 writes while a program has the file open for writing.
    workspace.overwrite(path, Array(whole[..<532]) + [1] + Array(whole[533...]))
    #expect(try workspace.store().find(step.key)?.handle.reference == made)
    #expect(try workspace.store().check() == [])
    // A file that has grown, with everything that was written still in it.
    workspace.overwrite(path, whole + [UInt8](repeating: 0, count: 4096))
    #expect(try workspace.store().find(step.key)?.handle.reference == made)
    #expect(try workspace.store().check().map(\.kind) == [.annotated])
    // Both, as a program leaves it that was killed: the rest of the store can still be checked.
    workspace.overwrite(path, Array(whole[..<532]) + [1] + whole[533...] + [UInt8](repeating: 0, count: 4096))
    #expect(try workspace.store().check().map(\.kind) == [.open])
    #expect(
      diagnostic { _ = try workspace.store().find(step.key) }?.summary.contains("changed by another program") == true)
    #expect(FileManager.default.fileExists(atPath: path))
  }

  @Test func aMissingObjectIsMissingAndNotDamaged() throws {
    let store = try workspace.store()
    let made = try store.perform(recipe(seed: 0), observer: StepListener()).handle
    unlink(workspace.objectPath(made.reference.key))
    let problem = diagnostic { _ = try made.load() }
    #expect(problem?.summary == "the object \(made.reference.key.prefix(12)) is not in the store")
    #expect(
      diagnostic { _ = try store.perform(recipe(seed: 1, inputs: [made.reference]), observer: StepListener()) }
        == problem)
  }

  /// As a run leaves it that was killed between the two.
  @Test func checkpointsOfAFinishedStepAreCollectedAtOnce() throws {
    let store = try workspace.store()
    let made = try store.perform(recipe(seed: 0), observer: StepListener()).handle.reference
    for key in [made.key, recipe(seed: 1).key] {
      let folder = "\(workspace.root)/partial/\(key)"
      try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
      workspace.overwrite(folder + "/states-1.h5", [1])
    }
    #expect(try store.collectable().map(\.path) == ["partial/\(made.key)"])
  }

  @Test func aGroupIsNoDatasetOfThatName() throws {
    let store = try workspace.store()
    let made = try store.perform(recipe(seed: 0), observer: StepListener()).handle.reference
    let reader = try store.open(made)
    #expect(reader.has("delta/layer_00/weight"))
    #expect(!reader.has("delta"))
  }

  @Test func warningsAreKeptThroughCachesInterruptionsAndParts() throws {
    let store = try workspace.store()
    func step(_ seed: Int, stops: Bool) -> StepRecipe {
      recipe(seed: seed) { context in
        let part = try context.child(Grid.self, part: "a", parameters: [:]) {
          context.warn("a part is thin")
          return Grid([4, 3, 2, 1])
        }
        if try context.checkpoint(named: "half") == nil {
          context.warn("half of it still moves")
          try context.checkpoint("half") { try $0.attribute("done", 1) }
          if stops { throw Diagnostic("stopped", kind: .cancelled) }
        }
        return Grid([1, 2, 3, 4], parts: [part])
      }
    }
    let expected = ["a part is thin", "half of it still moves"]
    let other = Workspace()
    let straight = try other.store().perform(step(0, stops: false), observer: StepListener())
    #expect(straight.warnings == expected)
    #expect(diagnostic { _ = try store.perform(step(0, stops: true), observer: StepListener()) }?.kind == .cancelled)
    let listener = StepListener()
    #expect(try store.perform(step(0, stops: true), observer: listener).warnings == expected)
    #expect(listener.heard == expected.map { "warned \($0)" })
    #expect(try workspace.store().find(step(0, stops: false).key)?.warnings == expected)
    let key = step(0, stops: false).key
    #expect(workspace.bytes(workspace.objectPath(key)) == other.bytes(other.objectPath(key)))
  }

  @Test func aFileRewrittenUnderItsOldTimeIsReadAgain() throws {
    let store = try workspace.store()
    let path = workspace.folder + "/text.txt"
    workspace.overwrite(path, Array("hello".utf8))
    workspace.age(path, by: 60)
    usleep(2_100_000)
    _ = try store.external(path, files: [])
    let handle = try FileHandle(forWritingTo: URL(fileURLWithPath: path))
    try handle.write(contentsOf: Data("hallo".utf8))
    try handle.close()
    workspace.age(path, by: 60)
    #expect(try workspace.store().external(path, files: []).content == SHA256.hex(of: "hallo"))
  }

  @Test func onlyRegularFilesAreHashed() throws {
    let pipe = workspace.folder + "/pipe"
    mkfifo(pipe, 0o600)
    for path in [pipe, "/dev/zero"] {
      #expect(
        diagnostic { _ = try workspace.store().external(path, files: []) }?.summary == "\(path) is not a regular file")
    }
  }

  @Test func sourcesThatCannotBeReadAreNotNone() throws {
    let store = try workspace.store()
    let path = workspace.folder + "/text.txt"
    workspace.overwrite(path, Array("hello".utf8))
    _ = try store.external(path, files: [])
    workspace.overwrite(workspace.root + "/sources.json", Array("{\"files\":".utf8))
    #expect(diagnostic { _ = try workspace.store().external(path, files: []) }?.kind == .store)
    #expect(try workspace.store().check().map(\.path) == ["sources.json"])
  }

  @Test func storesThatLearnAtOnceAllRemember() throws {
    let workspace = workspace
    try workspace.store().record(["event": "statement"])
    for index in 0..<24 { workspace.overwrite("\(workspace.folder)/\(index).txt", Array("text \(index)".utf8)) }
    DispatchQueue.concurrentPerform(iterations: 8) { thread in
      guard let store = try? workspace.store() else { return }
      for index in stride(from: thread, to: 24, by: 8) {
        _ = try? store.external("\(workspace.folder)/\(index).txt", files: [])
      }
    }
    let text = String(decoding: workspace.bytes(workspace.root + "/sources.json"), as: UTF8.self)
    #expect(try JSONValue(parsing: text)["places"]?.objectValue?.count == 24)
  }
}
