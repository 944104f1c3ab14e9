import Foundation
import Kernel
import MadeUpModels
import Ops
import Testing

/// Estimates against what was resident, on a model whose matrices outweigh the program.
@Suite(.serialized) struct SlowMemoryTests {
  private struct Step {
    let op: String
    let text: String
    let estimate: Double
    let peak: Double
  }

  /// Runs a script on a made-up model, each step in a process of its own: what an earlier one leaves of the allocator's
  /// memory is another for every machine.
  private func steps(_ text: String) throws -> [Step] {
    let folder = try Program.temporaryFolder()
    defer { try? FileManager.default.removeItem(atPath: folder) }
    try FileManager.default.createDirectory(atPath: folder + "/model", withIntermediateDirectories: false)
    let shape = try #require(MadeUpModel.shapes["small"])
    try shape.write(blocks: 2, tokenizerOf: Program.root + "/data/tiny-llama", to: folder + "/model")
    try text.write(toFile: folder + "/f.prn", atomically: true, encoding: .utf8)
    for number in 1... {
      let result = try Program.run(["run", "f.prn", "-q", "--threads", "2", "--step", "\(number)"], in: folder)
      if result.err.contains("there is no step") { break }
      #expect(result.status == 0, "\(result)")
      guard result.status == 0 else { break }
    }
    let journal = folder + "/.prn/journal"
    let lines = try FileManager.default.contentsOfDirectory(atPath: journal).flatMap {
      try String(contentsOfFile: journal + "/" + $0, encoding: .utf8).split(separator: "\n")
    }
    return lines.compactMap { try? JSONValue(parsing: String($0)) }.compactMap { line in
      guard line["event"] == "step", line["status"] == "finished", let op = line["op"]?.stringValue,
        let estimate = line["estimate"]?.doubleValue, let peak = line["memory"]?.doubleValue, peak > 0
      else { return nil }
      return Step(op: op, text: line["text"]?.stringValue ?? "", estimate: estimate, peak: peak)
    }
  }

  /// What a step that takes little may be estimated above what it takes: a sixteenth of the whole and room for libraries
  /// are more than a fifth then.
  private static let floor = 16e6

  private func check(_ steps: [Step]) {
    for step in steps {
      let most = max(1.2 * step.peak, step.peak + Self.floor)
      #expect(
        step.estimate >= step.peak && step.estimate <= most,
        "\(step.op) (\(step.text)): \(step.estimate / 1e6) MB for \(step.peak / 1e6) MB")
    }
  }

  private static let data = Program.root + "/data"

  private static let walks = """
    m    = load ./model
    cal  = text \(data)/calibration.txt model=m samples=16 length=512
    held = text \(data)/test.txt model=m samples=12 length=512
    eval m held
    acts = capture m cal sites=attn.heads,ffn.act keep=moments
    eval (prune m (mask (flap acts) rate=20%) comp=bias acts=acts) held
    once = obc (capture m cal sites=attn.heads,ffn.act keep=moments,gram)
    cl   = kmeans (capture m cal sites=ffn.in keep=stream) k=7 pca=64 restarts=1
    S    = taylor m cal by=cl
    gr   = assign S
    both = capture m cal sites=ffn.gate,ffn.up keep=stream
    nets = canica both components=16 per_run=4
    autoencode both components=32 rank=64 per_run=16 epochs=1
    d    = describe nets cal model=m nulls=2
    x    = lesion m cal of=nets layers=1 nulls=0
    lesion m cal of=nets how=estimate nulls=5
    cards d lesions=x
    """

  private static let models = """
    m    = load ./model
    cal  = text \(data)/calibration.txt model=m samples=4 length=256
    held = text \(data)/test.txt model=m samples=4 length=256
    ends = capture m cal sites=block.in,block.out keep=values
    depth = score ends how=block_influence span=2
    pairs = lowrank m acts=(capture m cal sites=attn.q,attn.k) rate=20% of=rotary
    grams = capture m cal sites=attn.in,attn.heads,ffn.in,ffn.act keep=moments,gram
    rates = allocate grams rate=20% how=truncation
    svd  = lowrank m acts=grams rates=rates
    again = lowrank m acts=grams rate=20% linears=down,q update=stream
    values = lowrank m acts=grams rate=20% of=values
    fit  = lowrank m acts=grams rate=20% of=values how=attended_ls
    lever = score grams how=leverage
    mk   = mask (score grams how=wanda) rate=20%
    other = mask (score grams how=magnitude) rate=20%
    both = combine [mk, other] how=or
    how  = compare [mk: mk, other: other]
    cut  = prune m mk comp=ls acts=grams
    stream = prune m mk comp=bias acts=grams stream=pruned
    line = prune m (mask (score ends how=block_influence) count=1) comp=linear acts=ends
    own  = slice m cal rate=20%
    shared = slice m cal rate=20% basis=shared
    without = ablate m cal
    each = cascade m cal by=wanda rate=20%
    brain = cascade m cal by=obc rate=20%
    dense = cascade m cal by=obc rate=20% target=dense
    gates = saliency m cal how=gate
    nets = canica (capture m cal sites=ffn.gate,ffn.up keep=stream) components=8 per_run=4
    heads = canica (capture m cal sites=attn.heads keep=stream) components=4 per_run=4
    first = kmeans (capture m cal sites=ffn.in keep=stream layers=0) k=7 pca=64 restarts=1
    many = score nets how=count threshold=3
    same = match nets nets
    graph = connect nets model=m test=held nulls=5 orders=2
    kept = preserve nets cut held
    kl   = kinds cal model=m labels=\(data)/calibration.labels.tsv
    said = generate m ["Once upon a time"] tokens=4
    size = measure m tokens=4 length=64 runs=1
    """

  private static let gradients = """
    m    = load ./model
    cal  = text \(data)/calibration.txt model=m samples=12 length=512
    s    = saliency m cal how=param_first
    k    = saliency m cal how=kfac
    p    = surgeon m cal rate=10% shots=2
    """

  @Test(arguments: [walks, models, gradients]) func noStepTakesMoreThanItsEstimateNorMuchLess(_ text: String) throws {
    let steps = try steps(text)
    #expect(steps.count >= text.split(separator: "\n").count)
    check(steps)
  }

  @Test func everyOpIsHeldToItsEstimate() {
    let words = [Self.walks, Self.models, Self.gradients].joined().split { !($0.isLetter || $0 == "_") }.map(
      String.init)
    for op in catalog.names { #expect(words.contains(op), "\(op)") }
  }
}
