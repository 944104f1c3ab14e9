import Foundation
import Kernel
import Testing

@Suite struct RunContextTests {
  let workspace = Workspace()

  @Test func anInterruptedStepResumesAtItsCheckpoint() throws {
    let store = try workspace.store()
    let listener = StepListener()
    func step(stoppingAt stop: Int) -> StepRecipe {
      recipe(seed: 0) { context in
        var sum: Float = 0
        var first = 0
        if let saved = try context.checkpoint(named: "state") {
          sum = try saved.array("sum", as: Float.self)[0]
          first = try saved.attribute("next").intValue ?? 0
          context.resumed(at: first, of: 4, "layers")
        }
        for layer in first..<4 {
          if layer == stop { listener.isCancelled = true }
          try context.progress(layer, of: 4, "layers")
          sum += Float(layer)
          // The pause makes saving cheap beside the work.
          usleep(200_000)
          try context.checkpoint("state") { writer in
            try writer.vector("sum", [sum], axis: "one")
            try writer.attribute("next", .integer(layer + 1))
          }
        }
        return Grid([sum, 0, 0, 0])
      }
    }
    let problem = diagnostic { _ = try store.perform(step(stoppingAt: 2), observer: listener) }
    #expect(problem?.kind == .cancelled)
    let partial = "\(workspace.root)/partial/\(step(stoppingAt: 9).key)"
    #expect(FileManager.default.fileExists(atPath: partial))

    listener.isCancelled = false
    let done = try workspace.store().perform(step(stoppingAt: 9), observer: listener)
    #expect(try (done.handle.load() as? Grid)?.values == [6, 0, 0, 0])
    #expect(listener.heard.contains { $0.hasPrefix("resumed ") })
    #expect(!FileManager.default.fileExists(atPath: partial))
  }

  @Test func aDamagedCheckpointIsIgnored() throws {
    let store = try workspace.store()
    var saw: [Bool] = []
    func step(fails: Bool) -> StepRecipe {
      recipe(seed: 0) { context in
        saw.append(try context.checkpoint(named: "a b/c") != nil)
        try context.checkpoint("a b/c") { try $0.vector("sum", [Float](repeating: 3, count: 64), axis: "one") }
        if fails { throw Diagnostic("stop") }
        return Grid([1, 2, 3, 4])
      }
    }
    #expect(diagnostic { _ = try store.perform(step(fails: true), observer: StepListener()) } != nil)
    #expect(diagnostic { _ = try store.perform(step(fails: true), observer: StepListener()) } != nil)
    let folder = "\(workspace.root)/partial/\(step(fails: true).key)"
    let file = try #require(try FileManager.default.contentsOfDirectory(atPath: folder).first)
    workspace.overwrite(folder + "/" + file, Array(workspace.bytes(folder + "/" + file).dropLast(40)))
    _ = try store.perform(step(fails: false), observer: StepListener())
    #expect(saw == [false, true, false])
  }

  @Test func aFreshRunUsesNoCheckpoint() throws {
    let store = try workspace.store()
    var saw = false
    func step(isFresh: Bool) -> StepRecipe {
      recipe(seed: 0, isFresh: isFresh) { context in
        saw = try context.checkpoint(named: "a") != nil
        try context.checkpoint("a") { try $0.vector("v", [Float(1)], axis: "one") }
        throw Diagnostic("stop")
      }
    }
    for isFresh in [false, true] {
      _ = diagnostic { _ = try store.perform(step(isFresh: isFresh), observer: StepListener()) }
    }
    #expect(!saw)
  }

  @Test func checkpointsThatCostTooMuchAreSkipped() throws {
    let store = try workspace.store()
    var saved = 0
    let step = recipe(seed: 0) { context in
      for _ in 0..<50 {
        try context.checkpoint("a") { writer in
          saved += 1
          try writer.vector("v", [Float(1)], axis: "one")
        }
      }
      context.discardCheckpoint("a")
      #expect(try context.checkpoint(named: "a") == nil)
      return Grid([1, 2, 3, 4])
    }
    _ = try store.perform(step, observer: StepListener())
    #expect(saved == 1)
  }

  @Test func warningsStayWithTheObjectAndProgressIsHeard() throws {
    let store = try workspace.store()
    let listener = StepListener()
    let step = recipe(seed: 0) { context in
      try context.progress(1, of: 2, "layers")
      context.warn("few tokens")
      context.warn("few tokens")
      return Grid([1, 2, 3, 4])
    }
    _ = try store.perform(step, observer: listener)
    #expect(listener.heard == ["1/2 layers", "warned few tokens"])
    #expect(try store.info(step.key).warnings == ["few tokens"])
  }

  @Test func scratchIsOnTheStoresDiskAndGoesAway() throws {
    let store = try workspace.store()
    var scratch = ""
    let root = workspace.root
    let step = recipe(seed: 0) { context in
      scratch = context.scratch
      #expect(scratch.hasPrefix(root))
      #expect(FileManager.default.createFile(atPath: scratch + "/spill", contents: Data([1])))
      #expect(context.memoryLimit > 0)
      return Grid([1, 2, 3, 4])
    }
    _ = try store.perform(step, observer: StepListener())
    #expect(!FileManager.default.fileExists(atPath: scratch))
  }

  @Test func aKnownPartIsOffered() throws {
    let store = try workspace.store()
    func step(_ seed: Int) -> StepRecipe {
      recipe(seed: seed) { context in
        let known = try context.existingChild(part: "a", parameters: ["layer": 1])
        #expect((known != nil) == (seed > 0))
        let part = try context.child(Grid.self, part: "a", parameters: ["layer": 1]) { Grid([1, 2, 3, 4]) }
        #expect(try context.open(part).shape("z") == [1, 4])
        return Grid([1, 2, 3, 4], parts: [part])
      }
    }
    _ = try store.perform(step(0), observer: StepListener())
    _ = try store.perform(step(1), observer: StepListener())
  }
}
