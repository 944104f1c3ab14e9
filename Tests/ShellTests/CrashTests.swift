import Foundation
import Testing

/// The program killed at random moments, as by a power switch.
@Suite(.serialized) struct CrashTests {
  let folder: String
  init() throws { folder = try Program.temporaryFolder() }

  static let script = """
    m = load ./data/tiny-llama
    cal = text ./data/calibration.txt model=m samples=48 length=256
    held = text ./data/test.txt model=m samples=128 length=256 take=order
    acts = capture m cal sites=attn.heads,ffn.act keep=moments
    d = eval m held length=256
    """

  @Test func killsNeverDamageTheStoreAndTheRestComesToTheSameBytes() throws {
    defer { try? FileManager.default.removeItem(atPath: folder) }
    let whole = folder + "/whole"
    var status: Int32 = -1
    let seconds = try timed { status = try run(whole).status }
    #expect(status == 0)
    let expected = try objects(whole)
    #expect(expected.count > 6)

    let killed = folder + "/killed"
    var kills = 0
    // The moments are spread over what is left of the run; any seed will do.
    var generator = UInt64(1)
    while kills < 10 {
      generator = generator &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
      let share = Double(generator >> 40) / Double(1 << 24)
      guard try runKilled(killed, after: 0.1 + share * seconds / 3) else {
        try FileManager.default.removeItem(atPath: killed)
        continue
      }
      kills += 1
      let check = try Program.run(["fsck", "--workspace", killed], in: Program.root)
      #expect(check.status == 0, "\(check.out)")
      #expect(
        !check.out.contains("damaged") && !check.out.contains("dangling") && !check.out.contains("stray"),
        "\(check.out)")
    }
    let last = try run(killed)
    #expect(last.status == 0, "\(last.err)")
    #expect(try objects(killed) == expected)
    #expect(try Program.run(["gc", "--apply", "--workspace", killed], in: Program.root).status == 0)
    for leftover in ["partial", "locks", "tmp"] {
      #expect(try FileManager.default.contentsOfDirectory(atPath: killed + "/" + leftover) == [])
    }
  }

  @Test func anyNumberOfThreadsMakesTheSameBytes() throws {
    defer { try? FileManager.default.removeItem(atPath: folder) }
    #expect(try run(folder + "/one", ["--threads", "1"]).status == 0)
    #expect(try run(folder + "/two", ["--threads", "2"]).status == 0)
    #expect(try objects(folder + "/one") == objects(folder + "/two"))
  }

  private func run(_ workspace: String, _ more: [String] = []) throws -> Program.Result {
    try Program.run(["-c", CrashTests.script, "--workspace", workspace] + more, in: Program.root)
  }

  /// - Returns: whether it was still running when it was killed.
  private func runKilled(_ workspace: String, after seconds: Double) throws -> Bool {
    let process = Process()
    process.executableURL = URL(fileURLWithPath: Program.path)
    process.arguments = ["-c", CrashTests.script, "--workspace", workspace, "--quiet"]
    process.currentDirectoryURL = URL(fileURLWithPath: Program.root)
    process.environment = Program.environment(folder)
    process.standardInput = FileHandle.nullDevice
    process.standardOutput = FileHandle.nullDevice
    process.standardError = FileHandle.nullDevice
    try process.run()
    usleep(UInt32(seconds * 1e6))
    kill(process.processIdentifier, SIGKILL)
    process.waitUntilExit()
    return process.terminationReason == .uncaughtSignal
  }

  private func timed(_ body: () throws -> Void) rethrows -> Double {
    let start = ProcessInfo.processInfo.systemUptime
    try body()
    return ProcessInfo.processInfo.systemUptime - start
  }

  /// The bytes of every object by its path.
  private func objects(_ workspace: String) throws -> [String: Data] {
    var found: [String: Data] = [:]
    for case let name as String in FileManager.default.enumerator(atPath: workspace + "/objects") ?? .init()
    where name.hasSuffix(".h5") {
      found[name] = try Data(contentsOf: URL(fileURLWithPath: workspace + "/objects/" + name))
    }
    return found
  }
}
