import Kernel
import Numerics
import Transformer

struct Eval: Op {
  static let name = "eval"
  static let summary = "Measure how well a model predicts a text, or answers the questions of tasks."
  static let reference: String? =
    "token perplexity of FLAP, SparseGPT and FANG; wikitext and multiple choice of lm-evaluation-harness 0.4.13"
  static let revision = 4
  static let example = """
    m = load ./data/tiny-llama
    held = text ./data/test.txt model=m
    dense = eval m held length=128
    """

  enum Detail: String, Choice {
    case tokens

    var meaning: String {
      "the loss of every target of running text"
    }
  }

  @Input("the model to judge") var model: Model
  @Input("the text it must predict") var corpus: Corpus?
  @External(
    "files with the items of tasks: \(Task.all.map(\.name).joined(separator: ", "))",
    files: TaskFiles.patterns, orFile: true, positional: false, required: false, list: true)
  var tasks
  @Param(
    "window length; not given, 2048 or what the model takes if less, and for tasks what it takes",
    unit: "token", in: .ifGiven(.atLeast(2)))
  var length: Int? = nil
  @Param("which figures; not given, all that the text or the tasks allow", later: true) var metric: [Metric] = []
  @Param("what pages and prompts start with", later: true) var bos = StartOfText.tokenizer
  @External("which kind each part of the text is of, as data/*.labels.tsv", positional: false, required: false)
  var labels
  @Param("what a report holds besides its figures", later: true) var keep: [Detail] = []
  @Param("items of each task and subject, the first ones", unit: "item", in: .ifGiven(.atLeast(1)), later: true)
  var limit: Int? = nil
  @Param("examples before each question, from the task's dev file", unit: "item", in: .atLeast(0), later: true)
  var shots = 0

  init() {}

  func check() throws -> NoFacts {
    let (hasText, hasTasks) = ($corpus.isGiven, !tasks.isEmpty)
    guard hasText || hasTasks else {
      throw Diagnostic("eval needs a text or tasks= to judge by", argument: "corpus", kind: .usage)
    }
    guard !hasText || !hasTasks else {
      throw Diagnostic("a text and tasks= are judged each by itself", argument: "tasks", kind: .usage)
    }
    if hasText {
      for (name, isGiven) in [("limit", limit != nil), ("shots", shots != 0)] where isGiven {
        throw Diagnostic("\(name)= counts items of tasks, and there are none", argument: name, kind: .usage)
      }
    } else {
      for (name, isGiven) in [("labels", !labels.isEmpty), ("keep", !keep.isEmpty)] where isGiven {
        throw Diagnostic("\(name)= is for running text, and tasks have none", argument: name, kind: .usage)
      }
    }
    if metric.contains(where: { $0.scope == "LABEL" }), labels.isEmpty {
      throw Diagnostic("a loss by label needs labels=", argument: "metric", kind: .usage)
    }
    if let twice = metric.enumerated().first(where: { index, one in metric[..<index].contains { $0.name == one.name } })
    {
      throw Diagnostic("\(twice.element.name) is asked for twice", argument: "metric", kind: .usage)
    }
    if hasTasks { try requireMetrics(of: [.items]) }
    if let isPaged = $corpus.facts(of: Corpus.self).first??.pages { try checkText(isPaged: isPaged) }
    return NoFacts()
  }

  /// - Throws: when something was asked for that this kind of text has not.
  private func checkText(isPaged: Bool) throws {
    try requireMetrics(of: [isPaged ? .pages : .windows])
    if !isPaged, bos != .tokenizer {
      throw Diagnostic(
        "bos= has no effect on running text, which has its start already",
        hint: "make pages with `text … join=pages`", argument: "bos", kind: .usage)
    }
    for (name, isGiven) in [("labels", !labels.isEmpty), ("keep", !keep.isEmpty)] where isPaged && isGiven {
      throw Diagnostic("\(name)= is for running text, and these are pages", argument: name, kind: .usage)
    }
  }

  /// - Throws: when a figure was asked for that no report of these kinds has.
  private func requireMetrics(of kinds: Set<Evidence.Kind>) throws {
    for metric in metric where metric.kinds.isDisjoint(with: kinds) {
      throw Diagnostic(
        "\(metric.name) is a figure of \(metric.kinds.contains(.items) ? "tasks" : "pages")",
        hint: metric.kinds.contains(.items) ? "give tasks=" : "make pages with `text … join=pages`", argument: "metric",
        kind: .usage)
    }
  }

  func estimate(within limit: Int) throws -> Resources {
    let network = model.network
    let cut = corpus.flatMap { $0.isWhole ? nil : $0.sequences.longest }
    let longest = min(length ?? cut ?? 2048, network.configuration.positions)
    let tokens = min(corpus?.tokens.count ?? .max, max(WindowProtocol.chunkTokens, longest))
    let rest = network.headBytes(tokens: tokens) - network.blockBytes
    return Resources(
      memory: network.walkBytes(tokens: tokens, longest: longest) + max(0, rest) + 16 * (corpus?.tokens.count ?? 0))
  }

  func run(_ context: any RunContext) throws -> Report {
    guard let corpus else { return try taskReport(context) }
    try corpus.requireTokenizer(of: model)
    if let sizes = corpus.pages { return try pageReport(corpus, sizes, context) }
    return try windowReport(corpus, context)
  }

  /// Running text in windows.
  private func windowReport(_ corpus: Corpus, _ context: any RunContext) throws -> Report {
    try checkText(isPaged: false)
    let windows = try WindowProtocol(
      model.network, corpus, length: length, keepsTokens: keep.contains(.tokens),
      labels: try labels.first.map { file in
        let (labels, tokens) = try Labels.read(file.path, of: corpus, $corpus.references[0], context)
        return (labels.kinds, labels.kinds(of: tokens))
      })
    let evidence = Evidence.windows(try windows.run(context))
    return try report(
      evidence, corpus,
      [
        "metric": "token_perplexity", "context": .integer(windows.window), "stride": .integer(windows.window),
        "windows": .integer(windows.sequences.count),
      ], context)
  }

  /// Pages in rolling windows.
  private func pageReport(_ corpus: Corpus, _ sizes: [Corpus.PageSize], _ context: any RunContext) throws -> Report {
    try checkText(isPaged: true)
    let pages = PageProtocol(
      network: model.network, corpus: corpus, sizes: sizes, length: try windowLength(length, model.network),
      tokenizer: try tokenizer(), bos: bos)
    let evidence = Evidence.pages(try pages.run(context))
    return try report(
      evidence, corpus,
      [
        "task": "wikitext", "task_version": 2, "harness": Eval.harness, "max_length": .integer(pages.length),
        "bos": .string(bos.rawValue), "pages": .integer(sizes.count),
      ], context)
  }

  /// Multiple-choice tasks.
  private func taskReport(_ context: any RunContext) throws -> Report {
    let asked = TaskProtocol(
      network: model.network, tokenizer: try tokenizer(), files: try reading("tasks") { try TaskFiles(tasks) },
      limit: limit, shots: shots,
      bos: bos, length: try windowLength(length ?? model.configuration.positions, model.network))
    let versions = asked.files.subtasks.map { ($0.task.name, JSONValue.integer($0.task.version)) }
    let conditions: [String: JSONValue] = [
      "tasks": .object(Dictionary(versions, uniquingKeysWith: { first, _ in first })), "items": .string(asked.items),
      "harness": Eval.harness, "tokenizer": .string(try Text.tokenizerHash(model.network.checkpoint.files)),
      "max_length": .integer(asked.length), "bos": .string(bos.rawValue),
      "limit": limit.map(JSONValue.integer) ?? .null, "shots": .integer(shots),
    ]
    return try report(.items(try asked.run(context)), conditions, tested: tasks.map(\.content), shared: 0, context)
  }

  /// The version whose numbers those of pages and tasks are.
  private static let harness: JSONValue = "lm_eval 0.4.13"

  private func tokenizer() throws -> Tokenizer { try Tokenizer(model.network.checkpoint.files) }

  /// The report of a text.
  private func report(
    _ evidence: Evidence, _ corpus: Corpus, _ conditions: [String: JSONValue], _ context: any RunContext
  ) throws -> Report {
    let reference = $corpus.references[0]
    let text: [String: JSONValue] = [
      "corpus": .string(reference.content), "text": .string(corpus.textHash),
      "tokenizer": .string(corpus.tokenizerHash),
    ]
    return try report(
      evidence, conditions.merging(text) { $1 }, tested: [corpus.textHash],
      shared: SharedText.share(of: corpus, reference, in: model, context), context)
  }

  /// - Parameters:
  ///   - texts: hashes of what the model was tested on.
  ///   - shared: the share of it that stands in other texts the model was calibrated on.
  private func report(
    _ evidence: Evidence, _ conditions: [String: JSONValue], tested texts: [String], shared: Double,
    _ context: any RunContext
  ) throws -> Report {
    for metric in metric where metric.samples(evidence).isEmpty {
      throw Diagnostic("none of the tasks defines \(metric.name)", argument: "metric")
    }
    let always: [String: JSONValue] = [
      "precision": .string(model.network.precision.rawValue), "revision": .integer(Eval.revision),
    ]
    let report = Report(
      evidence, metrics: metric.isEmpty ? Metric.all : metric, conditions: conditions.merging(always) { $1 },
      calibrationOverlap: texts.contains(where: model.calibration.contains), removed: model.removed,
      sharedWithCalibration: shared)
    if report.calibrationOverlap {
      context.warn("the model was calibrated on the text it is tested on")
    } else if shared > 0 {
      context.warn("\(percent(shared)) of the test text stands in a text the model was calibrated on")
    }
    return report
  }
}
