import Foundation
import Kernel
import Testing

@testable import Ops

private let start = """
  m = load DATA/tiny-llama
  cal = text DATA/calibration.txt model=m samples=4 length=32
  acts = capture m cal sites=attn.heads,ffn.act keep=moments
  s = flap acts

  """

@Suite struct MaskFileTests {
  let bench = ScriptBench()

  private func file(_ name: String, _ bytes: [UInt8]) throws -> String {
    try FileManager.default.createDirectory(atPath: bench.folder, withIntermediateDirectories: true)
    try Data(bytes).write(to: URL(fileURLWithPath: "\(bench.folder)/\(name)"))
    return "\(bench.folder)/\(name)"
  }
  private func file(_ name: String, _ text: String) throws -> String { try file(name, Array(text.utf8)) }

  private func mask(_ text: String) throws -> Mask { try bench.value("x", start + text) }
  private func refusal(_ text: String) -> String? {
    do {
      _ = try mask(text)
      return nil
    } catch {
      return (error as? Diagnostic)?.summary
    }
  }

  /// What `export` writes of a table, as `csv` or with tabs.
  private func table(_ value: some Showable, _ separator: String) throws -> String {
    let table = try #require(try value.exportedTable(ShowRequest(name: "x")))
    func text(_ cell: TableData.Cell) -> String {
      switch cell {
      case .integer(let number): "\(number)"
      case .number(let number): "\(number)"
      case .text(let text): "\"\(text)\""
      default: ""
      }
    }
    return ([table.columns] + table.rows.map { $0.map(text) }).map { $0.joined(separator: separator) + "\n" }.joined()
  }

  @Test func whatIsExportedComesBackTheSame() throws {
    let made = try mask("x = mask s rate=20%")
    let scores: Scores = try bench.value("s", start)
    let (csv, tsv) = (try file("mk.csv", table(made, ",")), try file("s.tsv", table(scores, "\t")))
    #expect(try mask("x = mask \(csv) model=m").keep == made.keep)
    let layerwise = try mask("x = mask s rate=20% scope=layer")
    #expect(try mask("x = mask \(tsv) model=m rate=20% scope=layer").keep == layerwise.keep)
    let folder = bench.folder + "/arrays"
    try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
    _ = try made.export(ExportRequest(name: "x", path: folder, form: ExportForm("npy")))
    #expect(try mask("x = mask \(folder)/ffn_keep.npy model=m").keep.ffn == made.keep.ffn)
    #expect(try mask("x = mask \(folder)/attention_keep.npy model=m").keep.attention == made.keep.attention)
    try bench.run(start + "mk = mask s rate=20%")
    let h5 = bench.folder + "/.prn/vars/main/mk.h5"
    let read: Mask = try bench.value("x", "m = load DATA/tiny-llama\nx = mask \(h5) model=m")
    #expect(read.keep == made.keep)
  }

  @Test func everyUnitKnowsItsPartsOfTheTensors() throws {
    let rows = try #require(try mask("x = mask s rate=20%").exportedTable(ShowRequest(name: "x"))).rows
    #expect(rows.count == 6 * (4 + 384))
    // The second attention unit of layer 0: two query heads of 16 and one key-value head.
    #expect(
      rows[1].last
        == .text(
          "model.layers.0.self_attn.q_proj.weight[32:64] model.layers.0.self_attn.k_proj.weight[16:32] "
            + "model.layers.0.self_attn.v_proj.weight[16:32] model.layers.0.self_attn.o_proj.weight[:,32:64]"))
    #expect(
      rows.last?.last
        == .text(
          "model.layers.5.mlp.gate_proj.weight[383] model.layers.5.mlp.up_proj.weight[383] "
            + "model.layers.5.mlp.down_proj.weight[:,383]"))
  }

  @Test func aListNamesWhatGoes() throws {
    let list = try file("list.csv", "\u{FEFF}layer,neuron\r\n0,5\r\n2,17.0\r\n")
    let mask = try mask("x = mask \(list) model=m")
    #expect(mask.removedParameters == 2 * mask.structure.parametersPerUnit.ffn[0])
    #expect(mask.keep.ffn?[0][5] == false && mask.keep.ffn?[2][17] == false && mask.keep.attention == nil)
  }

  /// What a file does not say, or says of everything, is no surprise.
  @Test func layersThatLoseNothingOrAllAreWarnedOf() throws {
    var scores = (0..<6 * 384).map { Float($0 % 101) }
    for layer in [1, 4] { for unit in 0..<384 { scores[layer * 384 + unit] = .nan } }
    let ranked = try file("s.npy", NumPyArray.bytes(of: scores, rows: 6, columns: 384))
    let mask = try mask("x = mask \(ranked) model=m rate=20%")
    #expect(mask.dropped(.ffn, layer: 1).isEmpty && !mask.dropped(.ffn, layer: 0).isEmpty)
    #expect(bench.warnings == ["s.npy has no scores for the neurons of layers 1, 4, which lose nothing"])
    let gone = try file("gone.csv", "layer,neuron\n" + (0..<384).map { "3,\($0)\n" }.joined())
    _ = try self.mask("x = mask \(gone) model=m")
    #expect(bench.warnings.last == "the mask keeps nothing of ffn.act in layer 3")
  }

  @Test func whatAMaskSparesStaysAndTheRateIsStillMet() throws {
    let plain = try mask("x = mask s rate=20% scope=layer")
    let gone = (plain.keep.ffn?[3] ?? []).indices.filter { plain.keep.ffn?[3][$0] == false }
    try #require(gone.count > 10)
    let list = try file("key.csv", "layer,neuron\n" + gone.prefix(10).map { "3,\($0)\n" }.joined())
    let spared = try mask("key = mask \(list) model=m\nx = mask s rate=20% scope=layer spare=(!key)")
    #expect(gone.prefix(10).allSatisfy { spared.keep.ffn?[3][$0] == true })
    #expect(spared.removedParameters == plain.removedParameters)
  }

  @Test func arraysOfEveryNumberTypeAndOrderAreRead() throws {
    let count = 6 * 384
    let values: [UInt8] = (0..<count).map { $0 % 7 == 0 ? 0 : 1 }
    let columnwise: [UInt8] = (0..<count).map { values[($0 % 6) * 384 + $0 / 6] }
    let plain = NumPyArray.bytes(of: values, rows: 6, columns: 384)
    var fortran = NumPyArray.bytes(of: columnwise, rows: 6, columns: 384)
    let order = try #require(Data(fortran).range(of: Data("False, ".utf8)))
    fortran.replaceSubrange(order, with: Array("True,  ".utf8))
    let floats = NumPyArray.bytes(of: values.map(Float.init), rows: 6, columns: 384)
    for (name, bytes) in [("plain", plain), ("fortran", fortran), ("floats", floats)] {
      let path = try file("\(name).npy", bytes)
      let kept = try mask("x = mask \(path) model=m").keep.ffn?.joined().map { UInt8($0 ? 1 : 0) }
      #expect(kept == values, "\(name)")
    }
  }

  @Test func everyMisfitIsNamedInOneSentence() throws {
    func refused(_ name: String, _ text: String, _ call: String = "") throws -> String? {
      refusal("x = mask \(try file(name, text)) model=m \(call)")
    }
    #expect(try refused("a.csv", "layer,neuron\n9,1\n") == "a.csv line 2 names layer 9, and the model has 0 to 5")
    #expect(try refused("b.csv", "layer,neuron\n0,384\n") == "b.csv line 2 names neuron 384, and layer 0 has 0 to 383")
    #expect(try refused("c.csv", "layer,neuron\n0,5\n0,5\n") == "c.csv line 3 names neuron 5 of layer 0 again")
    #expect(
      try refused("d.csv", "layer,neuron\n0,five\n") == "d.csv line 2 has `five` for neuron, which is no whole number")
    #expect(
      try refused("e.csv", "layer,head\n0,5\n")
        == "e.csv line 2 names a head, and the heads of this model go in units of 2; name them by a column unit")
    #expect(try refused("f.csv", "layer,neuron\n0,5\n", "rate=20%") == "f.csv has no column `score` to rank by")
    #expect(try refused("g.csv", "layer,neuron,score\n0,5,1\n") == "g.csv holds scores and no mask")
    #expect(
      try refused("h.csv", "layer,neuron,score\n0,5,1\n", "rate=20%")
        == "h.csv has no score for 383 of the 384 neurons of layer 0")
    #expect(
      try refused("i.txt", "hello\n")
        == "i.txt is neither HDF5 nor NumPy nor a table with the columns layer and neuron or unit")
    #expect(try refused("j.csv", "layer,neuron\n") == "j.csv has no rows")
    #expect(
      try refused("k.csv", "layer,neuron,keep\n0,5,2\n")
        == "k.csv has 2 for neuron 5 of layer 0, and a mask holds 0 and 1")
    #expect(
      try refused("l.csv", "layer,neuron,kept\n0,5,1\n0,6,0\n")
        == "l.csv lists what goes, as it has no column `keep`, and its column `kept` holds 0 and 1")
    #expect(try refused("m.csv", "layer,neuron\n0,5,7\n") == "m.csv line 2 has 3 cells, and the header names 2")
    let narrow = try file("n.npy", NumPyArray.bytes(of: [Float](repeating: 1, count: 600), rows: 6, columns: 100))
    #expect(
      refusal("x = mask \(narrow) model=m") == "n.npy is 6 x 100, and the model has 6 layers x (4 units, 384 neurons)")
    let whole = NumPyArray.bytes(of: [Float](repeating: 1, count: 6 * 384), rows: 6, columns: 384)
    for count in [7, 11, 60, 127, whole.count - 1] {
      let cut = try file("cut.npy", Array(whole.prefix(count)))
      #expect(refusal("x = mask \(cut) model=m")?.hasPrefix("cut.npy ") == true, "\(count) bytes")
    }
    let damaged = try file("x.h5", [0x89] + Array("HDF\r\n".utf8) + [0x1A, 0x0A] + [UInt8](repeating: 7, count: 300))
    #expect(refusal("x = mask \(damaged) model=m")?.hasSuffix("x.h5 cannot be read as HDF5") == true)
  }

  @Test func whatCannotTakeEffectIsRefusedBeforeAnythingRuns() throws {
    let list = try file("list.csv", "layer,neuron\n0,5\n")
    #expect(refusal("x = mask \(list)") == "a file needs model=")
    #expect(refusal("x = mask s rate=20% model=m") == "model= belongs to a file, and scores know their model")
    #expect(refusal("x = mask s \(list) rate=20% model=m") == "scores and a file exclude each other")
    #expect(refusal("x = mask \(list) model=m protect=0") == "protect= has no effect on a mask that is there already")
    #expect(refusal("x = mask s rate=20% dataset=z") == "dataset= names a part of a file, and there is none")
    #expect(refusal("x = mask s") == "mask needs a rate=, a threshold=, rates= or count=")
  }
}
