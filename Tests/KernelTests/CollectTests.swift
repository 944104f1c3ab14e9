import Foundation
import Kernel
import Testing

@Suite struct CollectTests {
  let workspace = Workspace()

  /// Four objects of which three are old: one named with a part, one pinned, one nobody needs, one new.
  func filled() throws -> (Store, unneeded: String) {
    let store = try workspace.store()
    let parent = recipe(seed: 0) { context in
      Grid([1, 2, 3, 4], parts: [try context.child(Grid.self, part: "a", parameters: [:]) { Grid([4, 3, 2, 1]) }])
    }
    let named = try store.perform(parent, observer: StepListener()).handle.reference
    try store.bind("x", to: named)
    let pinned = try store.perform(recipe(seed: 1), observer: StepListener()).handle.reference
    try store.pin(pinned.key)
    let unneeded = try store.perform(recipe(seed: 2), observer: StepListener()).handle.reference
    try store.bind("y", to: unneeded)
    try store.drop("y")
    let objects = workspace.root + "/objects"
    for path in try FileManager.default.subpathsOfDirectory(atPath: objects) where path.hasSuffix(".h5") {
      workspace.age(objects + "/" + path, by: 7200)
    }
    _ = try store.perform(recipe(seed: 3), observer: StepListener())
    return (store, unneeded.key)
  }

  @Test func onlyWhatNobodyNeedsIsCollectedAndWhatIsPromisedIsFreed() throws {
    let (store, unneeded) = try filled()
    let victims = try store.collectable()
    #expect(victims.map(\.key) == [unneeded])
    #expect(victims.map(\.name) == ["y"])
    #expect(victims[0].type == "grid")
    #expect(victims[0].seconds != nil)
    #expect(abs(victims[0].age - 7200) < 100)
    let before = try store.usage()
    #expect(before.objects == 5)
    let freed = try store.collect(victims)
    let after = try store.usage()
    #expect(freed == victims.reduce(0) { $0 + $1.bytes })
    #expect(before.objectBytes - after.objectBytes == freed)
    #expect(after.trashBytes == freed)
    #expect(try store.value(named: "x", back: 0) != nil)
    #expect(try store.find(unneeded) == nil)
    #expect(try store.collectable() == [])
    #expect(try store.check() == [])
  }

  @Test func ageAndSizeChooseVictims() throws {
    let (store, unneeded) = try filled()
    #expect(try store.collectable(olderThan: 86400) == [])
    #expect(try store.collectable(keepUnder: 1 << 30) == [])
    #expect(try store.collectable(keepUnder: 0).map(\.key) == [unneeded])
    let pin = try #require(try store.pins.first)
    #expect(try store.unpin(pin))
    #expect(try !store.unpin(pin) && !store.isPinned(pin))
    #expect(try store.collectable().count == 2)
  }

  @Test func whatARunningStepUsesStays() throws {
    let store = try workspace.store()
    let input = try store.perform(recipe(seed: 0), observer: StepListener()).handle.reference
    workspace.age(workspace.objectPath(input.key), by: 7200)
    let workspace = workspace
    let step = recipe(seed: 1, inputs: [input]) { context in
      let part = try context.child(Grid.self, part: "a", parameters: [:]) { Grid([1, 2, 3, 4]) }
      workspace.age(workspace.objectPath(part.key), by: 7200)
      #expect(try workspace.store().collectable() == [])
      return Grid([1, 2, 3, 4])
    }
    _ = try store.perform(step, observer: StepListener())
    #expect(try store.collectable().count == 2)
  }

  @Test func theTrashIsEmptiedAfterAWeek() throws {
    let (store, _) = try filled()
    let moment = Int(Date().timeIntervalSince1970)
    let key = recipe(seed: 9).key
    workspace.overwrite("\(workspace.root)/trash/\(moment - 8 * 86400)-\(key).h5", [1])
    workspace.overwrite("\(workspace.root)/trash/\(moment - 6 * 86400)-\(key).h5", [1])
    workspace.overwrite("\(workspace.root)/trash/\(moment - 8 * 86400)-thesis.tex", [1])
    func trash() throws -> [String] { try FileManager.default.contentsOfDirectory(atPath: workspace.root + "/trash") }
    try store.collect([])
    #expect(try trash().count == 2)
    try store.collect([], emptyingTrash: true)
    #expect(try trash() == ["\(moment - 8 * 86400)-thesis.tex"])
  }

  @Test func usageTellsTypesNamesAndWhatIsShared() throws {
    let (store, _) = try filled()
    let before = try store.usage()
    #expect(before.types.map(\.type) == ["grid"])
    #expect(before.names.map(\.name) == ["x"])
    #expect(before.names[0].shared == 0)
    let named = try #require(try store.value(named: "x", back: 0)).reference
    try store.bind("z", to: named)
    let after = try store.usage()
    #expect(after.names.map(\.shared) == [before.names[0].bytes, before.names[0].bytes])
  }

  @Test func danglingNamesAndStraysAreReported() throws {
    let (store, _) = try filled()
    let key = try #require(try store.key(of: "x"))
    unlink(workspace.objectPath(key))
    workspace.overwrite(workspace.root + "/objects/notes.txt", [1])
    try FileManager.default.createDirectory(atPath: workspace.root + "/objects/zz", withIntermediateDirectories: true)
    workspace.overwrite(workspace.root + "/objects/zz/abc.h5", [1])
    let findings = try store.check()
    #expect(findings.filter { $0.kind == .dangling }.map(\.path) == ["vars/main/x.h5"])
    #expect(findings.contains { $0.kind == .stray && $0.path == "objects/zz/abc.h5" })
  }
}
