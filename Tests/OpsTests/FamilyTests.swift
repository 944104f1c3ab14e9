import Foundation
import Kernel
import Testing

@testable import Ops
@testable import Transformer

/// Every family under every kind of mask: what the ops make of it runs, counts what is stored, and predicts.
@Suite(.serialized) struct FamilyTests {
  private static let letters: [Character] = Array("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456")

  /// The fixture's folder with a tokenizer of letters beside its weights, and a text of these.
  private func prepare(_ name: String, in folder: String) throws {
    try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
    try FileManager.default.copyItem(atPath: transformerFixtures + "/" + name, toPath: folder + "/m")
    let words = Self.letters.map(String.init) + ["\u{120}", "\u{10A}"]
    let vocabulary = words.enumerated().map { "\"\($1)\": \($0)" }.joined(separator: ", ")
    let tokenizer = """
      {"version": "1.0", "added_tokens": [], "normalizer": null, "post_processor": null,
       "pre_tokenizer": {"type": "ByteLevel", "add_prefix_space": false, "trim_offsets": true, "use_regex": true},
       "decoder": {"type": "ByteLevel", "add_prefix_space": true, "trim_offsets": true, "use_regex": true},
       "model": {"type": "BPE", "dropout": null, "unk_token": null, "continuing_subword_prefix": null,
                 "end_of_word_suffix": null, "fuse_unk": false, "byte_fallback": false, "ignore_merges": false,
                 "vocab": {\(vocabulary)}, "merges": []}}
      """
    try tokenizer.write(toFile: folder + "/m/tokenizer.json", atomically: false, encoding: .utf8)
    var state: UInt64 = 7
    let text = (0..<4000).map { _ -> Character in
      state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
      let number = Int(state >> 40) % 70
      return number < Self.letters.count ? Self.letters[number] : number < 66 ? " " : "\n"
    }
    try String(text).write(toFile: folder + "/t.txt", atomically: false, encoding: .utf8)
  }

  private static let all: [(String, String)] =
    [
      "llama", "gqa-tied", "llama3", "linear", "biased", "qwen2", "mistral-window", "phi3", "gpt2", "qwen3", "olmo2",
      "chatglm3", "wide-groups",
    ].map { ($0, "group") } + ["chatglm3", "qwen3", "olmo2", "phi3", "wide-groups"].map { ($0, "query") }

  /// MoDeGPT's attention, refused by name where a family has no pairs or its values are not what their map reads.
  @Test("heads of every family lose features", arguments: all)
  func headsOfEveryFamilyLoseFeatures(_ name: String, _ unit: String) throws {
    let bench = ScriptBench()
    let folder = bench.folder + "/in"
    try prepare(name, in: folder)
    let text = """
      m = load \(folder)/m gqa=\(unit)
      cal = text \(folder)/t.txt model=m samples=16 length=16 seed=0
      acts = capture m cal sites=attn.in,attn.q,attn.k,attn.heads keep=moments,gram
      n = capture m cal sites=attn.heads,ffn.act keep=gram
      v = lowrank m acts=acts rate=50% of=values how=attended_ls
      p = prune v (mask (score n how=random) rate=20% scope=layer)
      e = eval p cal length=16

      """
    let model: Model = try bench.value("p", text)
    let (configuration, size) = (model.configuration, model.configuration.headSize)
    let kept = headFeatures(keeping: 0.5, of: size)
    #expect(model.pruning.blocks[0].attention.headSizes(configuration, layer: 0) == HeadSizes(key: size, value: kept))
    let report: Report = try bench.value("e")
    #expect(report.measurements[0].value.isFinite)
    let rotary = text + "r = lowrank v acts=acts rate=50% of=rotary\nf = eval r cal length=16\n"
    let joint = text + "j = lowrank m acts=acts rate=50% of=values how=joint\n"
    if let obstacle = configuration.obstacleToPairs {
      #expect(try bench.refusal(rotary) == "of=rotary cannot be done with \(obstacle.dropLast())")
    } else {
      let both: Model = try bench.value("r", rotary)
      #expect(both.pruning.blocks[0].attention.headSizes(configuration, layer: 0) == HeadSizes(key: kept, value: kept))
    }
    let isBiased = configuration.blocks[0].biases.contains(.value)
    let bias = "how=joint knows values by what their map reads, and in \(configuration.family.name) it adds a bias"
    #expect(try bench.refusal(joint) == (isBiased ? bias : nil))
  }

  /// Attention goes in whole units, and neurons make up for what rounding leaves.
  @Test("rates that groups allow can be pruned inside groups", arguments: ["qwen2", "wide-groups", "linear", "llama"])
  func ratesThatGroupsAllowCanBePruned(_ name: String) throws {
    let bench = ScriptBench()
    let folder = bench.folder + "/in"
    try prepare(name, in: folder)
    let start = """
      m = load \(folder)/m
      cal = text \(folder)/t.txt model=m samples=16 length=16 seed=0
      ctx = capture m cal sites=ffn.in,block.in,block.out keep=values
      cl = kmeans ctx k=2 pca=4
      gr = assign (taylor m cal by=cl) shared=1
      f = flap (capture m cal sites=attn.heads,ffn.act keep=moments,gram by=cl groups=gr)

      """
    for rate in stride(from: 35, through: 60, by: 5) {
      let al = "al = allocate ctx rate=\(rate)% groups=2"
      guard try bench.refusal(start + al) == nil else { continue }
      #expect(try bench.refusal(start + al + "\nmk = mask f rates=al within=gr") == nil, "\(rate)%")
    }
  }

  @Test("flap, obc, fang and canica prune every family", arguments: all)
  func everyMethodPrunesEveryFamily(_ name: String, _ unit: String) throws {
    let bench = ScriptBench()
    let folder = bench.folder + "/in"
    try prepare(name, in: folder)
    let gate = name == "gpt2" ? "" : "ffn.gate,"
    let text = """
      m = load \(folder)/m gqa=\(unit)
      cal = text \(folder)/t.txt model=m samples=32 length=16 seed=0
      held = text \(folder)/t.txt model=m samples=8 length=16 take=order
      acts = capture m cal sites=attn.heads,ffn.act keep=moments,gram
      ctx = capture m cal sites=ffn.in,block.in,block.out keep=values
      cl = kmeans ctx k=2 pca=4
      S = taylor m cal by=cl
      gr = assign S shared=1 how=exact
      al = allocate ctx rate=10% how=clip
      grouped = capture m cal sites=attn.heads,ffn.act keep=moments,gram by=cl groups=gr
      seen = capture m cal sites=\(gate)ffn.up keep=values
      p0 = prune m (mask (flap acts) rate=20%) comp=bias acts=acts
      p1 = prune m (mask (obc acts) rate=30% scope=layer) comp=ls acts=acts
      p2 = prune m (mask (obc grouped weight=context tau=30%) rates=al within=gr) comp=ls acts=grouped
      p3 = prune m (mask (flap grouped weight=context tau=30%) rates=al within=gr) comp=bias acts=grouped
      p4 = prune m (mask (score (canica seen components=2 per_run=16 seed=0) how=max_abs_z) rate=10%)
      p5 = prune m (mask (saliency m cal) rate=20%)
      p6 = surgeon m cal rate=20% shots=2
      dense = eval m held length=16

      """ + (0..<7).map { "e\($0) = eval p\($0) held length=16\n" }.joined()
    let dense: Report = try bench.value("dense", text)
    for number in 0..<7 {
      let (model, report): (Model, Report) = (try bench.value("p\(number)"), try bench.value("e\(number)"))
      // Random models predict chance, pruned or not; a wrong graph would not.
      #expect(abs(report.measurements[0].value / dense.measurements[0].value - 1) < 0.5, "p\(number)")
      // Rows and columns of zeros are still there.
      if number == 6 {
        #expect(abs(model.removedShare - 0.2) < 0.01)
        continue
      }
      let left = try (0..<model.network.layers).reduce(0) { sum, layer in
        let block = try model.network.loadBlock(layer)
        return Module.allCases.reduce(sum) { $0 + block[$1].input.parameters + block[$1].output.parameters }
      }
      #expect(model.network.blockParameters == left && left < model.configuration.blockParameters, "p\(number)")
    }
  }
}
