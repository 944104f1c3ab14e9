import Foundation
import Kernel
import Testing

@Suite struct JournalTests {
  let workspace = Workspace()

  @Test func linesAreReadBackInOrderAndTornOnesAreNot() throws {
    let store = try workspace.store()
    try store.record(["event": "statement", "text": "x = grid"])
    try store.record(["event": "statement", "text": "y = \u{e9}"])
    let folder = workspace.root + "/journal"
    let name = try #require(try FileManager.default.contentsOfDirectory(atPath: folder).first)
    workspace.overwrite(folder + "/" + name, workspace.bytes(folder + "/" + name) + Array("{\"event\":\"sta".utf8))
    let entries = try workspace.store().entries
    #expect(entries.map { $0["text"] } == ["x = grid", "y = \u{e9}"])
    #expect(entries[0]["process"]?.intValue == Int(getpid()))
    #expect(entries[0]["time"]?.stringValue?.hasSuffix("Z") == true)
  }

  @Test func whatAnotherProcessMadeMeanwhileHasItsTime() throws {
    let store = try workspace.store()
    let one = try store.perform(recipe(seed: 1), observer: StepListener())
    #expect(try store.find(one.handle.reference.key)?.seconds != nil)
    let two = try workspace.store().perform(recipe(seed: 2), observer: StepListener())
    #expect(try store.find(two.handle.reference.key)?.seconds != nil)
    // What no journal tells of is not known, rather than nothing.
    try FileManager.default.removeItem(atPath: workspace.root + "/journal")
    #expect(try workspace.store().find(one.handle.reference.key)?.seconds == nil)
  }

  @Test func namesAreBoundReboundAndDropped() throws {
    let store = try workspace.store()
    let one = try store.perform(recipe(seed: 1), observer: StepListener()).handle.reference
    let two = try store.perform(recipe(seed: 2), observer: StepListener()).handle.reference
    try store.bind("x", to: one)
    try store.bind("x", to: one)
    try store.bind("x", to: two)
    #expect(try store.names() == ["x"])
    let later = try workspace.store()
    #expect(try later.value(named: "x", back: 0)?.reference == two)
    #expect(try later.value(named: "x", back: 1)?.reference == one)
    #expect(try later.value(named: "x", back: 2) == nil)
    #expect(try later.bindings(of: "x").map(\.key) == [one.key, two.key])
    #expect(workspace.bytes(workspace.root + "/vars/main/x.h5") == workspace.bytes(workspace.objectPath(two.key)))
    try store.drop("x")
    #expect(try store.names() == [])
    #expect(diagnostic { try store.drop("x") }?.kind == .usage)
    #expect(diagnostic { try store.bind("../x", to: one) }?.kind == .usage)
  }

  @Test func sessionsHaveTheirOwnNames() throws {
    let store = try workspace.store()
    let one = try store.perform(recipe(seed: 1), observer: StepListener()).handle.reference
    try store.bind("x", to: one)
    var options = Store.Options()
    options.session = "2"
    let other = try workspace.store(options)
    #expect(try other.value(named: "x", back: 0) == nil)
    try other.bind("y", to: one)
    #expect(try store.sessions() == ["2", "main"])
    #expect(try store.names() == ["x", "y"])
    try store.rebuildIndex()
    let index = try HDF5File(reading: workspace.root + "/index.h5")
    #expect(try index.members(of: "").map(\.name) == ["2", "main"])
  }

  @Test func whyNamesWhatChanged() throws {
    let store = try workspace.store()
    let one = try store.perform(recipe(seed: 0), observer: StepListener()).handle.reference
    try store.bind("x", to: one)
    #expect(try store.why("x") == [])
    let two = try store.perform(recipe(seed: 1) { _ in Grid([0, 0, 0, 1]) }, observer: StepListener()).handle.reference
    try store.bind("x", to: two)
    #expect(try store.why("x").map(\.text) == ["seed: 0 -> 1"])
    // A step further down names the same change, even after the objects are gone.
    for input in [one, two] {
      let value = try store.perform(recipe(seed: 7, inputs: [input]), observer: StepListener()).handle.reference
      try store.bind("y", to: value)
    }
    unlink(workspace.objectPath(one.key))
    #expect(try store.why("y").map(\.text) == ["seed: 0 -> 1"])
    #expect(diagnostic { _ = try store.why("z") }?.summary == "there is no value named `z`")
  }

  @Test func anObjectTellsItsWholeHistory() throws {
    let store = try workspace.store()
    let one = try store.perform(recipe(seed: 0), observer: StepListener()).handle.reference
    let two = try store.perform(
      recipe(seed: 5, inputs: [one]) { context in
        context.warn("few tokens")
        return Grid([9, 9, 9, 9])
      }, observer: StepListener()
    ).handle.reference
    unlink(workspace.objectPath(one.key))
    let ancestry = try store.ancestry(of: two.key)
    #expect(ancestry.map(\.key) == [one.key, two.key])
    #expect(ancestry[1].inputs == [one.key])
    let info = try store.info(two.key)
    #expect(info.warnings == ["few tokens"])
    #expect(info.call == "grid seed=5")
    #expect(info.made["place"] == "t.prn:1")
  }

  @Test func externalFilesAreKnownByContent() throws {
    let store = try workspace.store()
    let path = workspace.folder + "/text.txt"
    workspace.overwrite(path, Array("hello".utf8))
    workspace.age(path, by: 60)
    let file = try store.external(path, files: [])
    #expect(file.content == SHA256.hex(of: "hello"))
    #expect(try workspace.store().external(path, files: []) == file)
    workspace.overwrite(path, Array("hallo".utf8))
    #expect(try store.external(path, files: []).content == SHA256.hex(of: "hallo"))
    #expect(diagnostic { _ = try store.external(workspace.folder + "/none", files: []) }?.kind == .usage)
    #expect(
      diagnostic { _ = try store.external(path, files: ["*.bin"]) }?.summary.hasSuffix("a folder is wanted") == true)
  }

  @Test func foldersAreTheirMatchingFiles() throws {
    let store = try workspace.store()
    let folder = workspace.folder + "/model"
    try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
    workspace.overwrite(folder + "/config.json", [1])
    workspace.overwrite(folder + "/a.safetensors", [2])
    let patterns = ["config.json", "*.safetensors"]
    let before = try store.external(folder, files: patterns).content
    workspace.overwrite(folder + "/README.md", [3])
    #expect(try store.external(folder, files: patterns).content == before)
    workspace.overwrite(folder + "/a.safetensors", [4])
    #expect(try store.external(folder, files: patterns).content != before)
    #expect(diagnostic { _ = try store.external(folder, files: ["*.bin"]) } != nil)
    #expect(diagnostic { _ = try store.external(folder, files: []) }?.summary.hasSuffix("a file is wanted") == true)
  }
}
