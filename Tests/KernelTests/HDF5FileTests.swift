import Foundation
import Testing

@testable import Kernel

@Suite struct HDF5FileTests {
  let workspace = Workspace()

  func path(_ name: String) -> String { workspace.folder + "/" + name }

  @Test func chunksAreAMebibyteOfWholeRows() {
    #expect(chunkShape([100_000, 512], elementSize: 4) == [512, 512])
    #expect(chunkShape([3, 4], elementSize: 4) == [3, 4])
    #expect(chunkShape([64, 32, 11008], elementSize: 4) == [1, 23, 11008])
    #expect(chunkShape([2, 1 << 20], elementSize: 8) == [1, 1 << 17])
    #expect(chunkShape([], elementSize: 4) == [])
    #expect(chunkShape([0, 4], elementSize: 4) == [])
  }

  @Test func arraysReadBackWholeAndByRows() throws {
    let values = (0..<300_000).map { Float($0) * 0.37 }
    let file = try HDF5File(creating: path("a.h5"))
    try values.withUnsafeBytes { try file.write("g/deep/z", $0, type: .float32, shape: [1000, 300]) }
    try file.close()
    let reading = try HDF5File(reading: path("a.h5"))
    let described = try reading.describe("g/deep/z")
    #expect(described.shape == [1000, 300])
    #expect(described.type == .float32)
    var whole = [Float](repeating: 0, count: values.count)
    try whole.withUnsafeMutableBytes { try reading.read("g/deep/z", type: .float32, into: $0) }
    #expect(whole == values)
    var rows = [Float](repeating: 0, count: 2 * 300)
    try rows.withUnsafeMutableBytes { try reading.read("g/deep/z", type: .float32, rows: 872..<874, into: $0) }
    #expect(rows == Array(values[872 * 300..<874 * 300]))
    #expect(try reading.datasets() == ["g/deep/z"])
  }

  @Test func wrongQuestionsGetOneSentence() throws {
    let file = try HDF5File(creating: path("b.h5"))
    try [Float(1), 2].withUnsafeBytes { try file.write("z", $0, type: .float32, shape: [2]) }
    var two = [Double](repeating: 0, count: 2)
    let wrongType = diagnostic { try two.withUnsafeMutableBytes { try file.read("z", type: .float64, into: $0) } }
    #expect(wrongType?.summary == "`z` holds f32, not f64")
    let missing = diagnostic { try two.withUnsafeMutableBytes { try file.read("y", type: .float64, into: $0) } }
    #expect(missing?.summary == "there is no `y` in \(path("b.h5"))")
    var one = [Float](repeating: 0, count: 1)
    let rows = diagnostic {
      try one.withUnsafeMutableBytes { try file.read("z", type: .float32, rows: 2..<3, into: $0) }
    }
    #expect(rows?.summary == "rows 2..<3 of `z` were wanted; it has 2")
    let twice = diagnostic { try [Float(1)].withUnsafeBytes { try file.write("z", $0, type: .float32, shape: [1]) } }
    #expect(twice?.summary.contains("HDF5 says") == true)
    #expect(diagnostic { _ = try HDF5File(reading: path("none.h5")) }?.summary.contains("none.h5") == true)
  }

  /// A file of the user is at fault, not the store.
  @Test func whatAForeignFileDoesNotGiveIsItsFault() throws {
    let name = path("foreign.h5")
    let file = try HDF5File(creating: name)
    let noise = (0..<1 << 16).map { Float($0 &* 7919 % 65521) }
    try noise.withUnsafeBytes { try file.write("g/z", $0, type: .float32, shape: [256, 256], compression: .gzip) }
    try [Int64(7)].withUnsafeBytes { try file.write("one", $0, type: .int64, shape: []) }
    try file.close()
    var bytes = workspace.bytes(name)
    for index in bytes.count / 2..<bytes.count / 2 + 64 { bytes[index] = ~bytes[index] }
    workspace.overwrite(name, bytes)
    let foreign = ForeignNumbers(path: name)
    for (dataset, reason) in [("g", "not a dataset"), ("g/z", "HDF5 says"), ("one", "no axes"), ("no", "no dataset")] {
      let problem = diagnostic { _ = try foreign.numbers(dataset, argument: "dataset") }
      #expect(problem?.kind == .failure && problem?.argument == "dataset", "\(dataset)")
      #expect(problem?.summary.contains(reason) == true && problem?.summary.contains(name) == true, "\(dataset)")
    }
  }

  /// A child can be forked while another thread holds a lock of the runtime. Threads of a pool block the alarm.
  @Test func aChildThatHangsIsTriedOnceMore() throws {
    let tries = path("tries")
    var (alarm, before) = (sigset_t(), sigset_t())
    sigemptyset(&alarm)
    sigaddset(&alarm, SIGALRM)
    pthread_sigmask(SIG_BLOCK, &alarm, &before)
    defer { pthread_sigmask(SIG_SETMASK, &before, nil) }
    func child(seconds: UInt32, hanging: Int) throws -> String? {
      try HDF5.inChild(seconds: seconds) {
        let number = (try Files.text(tries) ?? "").count
        try Files.append("", to: tries)
        if number < hanging { sleep(20) }
        return "back"
      }
    }
    #expect(try child(seconds: 3, hanging: 1) == "back")
    #expect(try Files.text(tries) == "\n\n")
    #expect(try child(seconds: 1, hanging: .max) == nil)
  }

  @Test func emptyArraysAndScalarsAreKept() throws {
    let file = try HDF5File(creating: path("c.h5"))
    try [Float]().withUnsafeBytes { try file.write("none", $0, type: .float32, shape: [0, 4]) }
    try [Int64(7)].withUnsafeBytes { try file.write("one", $0, type: .int64, shape: []) }
    try file.close()
    let reading = try HDF5File(reading: path("c.h5"))
    #expect(try reading.describe("none").shape == [0, 4])
    var one = [Int64(0)]
    try one.withUnsafeMutableBytes { try reading.read("one", type: .int64, into: $0) }
    #expect(one == [7])
  }

  @Test(
    arguments: [
      "text \u{e9}", "", true, false, 3, -4, 2.5, .null, [1, 2], [1.5, 2.5], ["a", "b"], [1, 2.5], [], ["k": ["x": 1]],
    ] as [JSONValue])
  func attributesReadBack(_ value: JSONValue) throws {
    let file = try HDF5File(creating: path("\(UUID()).h5"))
    try file.setAttribute("a", value)
    #expect(try file.attribute("a").canonical == value.canonical)
    try file.setAttribute("a", "second")
    #expect(try file.attribute("a") == "second")
  }

  @Test func longAttributesAreRefused() throws {
    let file = try HDF5File(creating: path("d.h5"))
    let problem = diagnostic { try file.setAttribute("a", .string(String(repeating: "x", count: 5000))) }
    #expect(problem?.summary == "the attribute `a` takes 5002 bytes; at most 4096 fit")
  }

  @Test func compressionIsKeptWhereItPays() throws {
    func size(_ compression: Compression, _ values: [Float]) throws -> Int {
      let name = path("\(UUID()).h5")
      let file = try HDF5File(creating: name)
      try values.withUnsafeBytes {
        try file.write("z", $0, type: .float32, shape: [values.count], compression: compression)
      }
      try file.close()
      return workspace.bytes(name).count
    }
    let count = 1 << 18
    let constant = [Float](repeating: 1, count: count)
    var state: UInt64 = 1
    let noise = (0..<count).map { _ in
      state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
      return Float(state >> 40)
    }
    #expect(try size(.auto, constant) < count)
    #expect(try size(.none, constant) > 4 * count)
    #expect(try size(.auto, noise) > 4 * count)
    #expect(try size(.gzip, noise) < size(.none, noise))
  }

  @Test func aFlippedBitIsNeverReadAsAValue() throws {
    let name = path("e.h5")
    let file = try HDF5File(creating: name)
    let values = [Float](repeating: 7.25, count: 512)
    try values.withUnsafeBytes { try file.write("z", $0, type: .float32, shape: [512], compression: .none) }
    try file.close()
    let seven = [UInt8](repeating: 0, count: 2) + [0xE8, 0x40]
    #expect(workspace.patch(name, seven + seven, seven + [0, 0, 0xE8, 0x41]))
    // The seal notices it before the library opens the file.
    #expect(diagnostic { _ = try HDF5File(reading: name) }?.kind == .store)
  }

  @Test func textThatIsNoHDF5IsRefused() {
    workspace.overwrite(path("f.h5"), Array("hello".utf8))
    #expect(diagnostic { _ = try HDF5File(reading: path("f.h5")) }?.kind == .store)
  }

  @Test func manyThreadsCanUseItAtOnce() throws {
    DispatchQueue.concurrentPerform(iterations: 16) { index in
      let name = path("thread\(index).h5")
      _ = try? HDF5File(reading: name)
      guard let file = try? HDF5File(creating: name) else { return }
      try? [Float(index)].withUnsafeBytes { try file.write("z", $0, type: .float32, shape: [1]) }
      try? file.close()
    }
    for index in 0..<16 {
      var value = [Float(-1)]
      let file = try HDF5File(reading: path("thread\(index).h5"))
      try value.withUnsafeMutableBytes { try file.read("z", type: .float32, into: $0) }
      #expect(value == [Float(index)])
    }
  }
}
