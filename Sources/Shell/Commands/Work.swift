import Foundation
import Kernel
import Ops
import Ranks

/// The commands that work on a store.
struct Work {
  let store: Store
  let console: Console
  let catalog: Catalog
  let environment: [String: String]
  let options: Options
  /// The processes that share the run of a script.
  let ranks: any Communicator
  private let settings = Settings()
  private let meta: MetaWords
  private let outputs: Outputs

  init(
    store: Store, console: Console, catalog: Catalog, environment: [String: String], options: Options,
    ranks: any Communicator
  ) {
    self.store = store
    self.console = console
    self.catalog = catalog
    self.environment = environment
    self.options = options
    self.ranks = ranks
    outputs = Outputs(store: store, isForced: options.force)
    meta = MetaWords(store: store, console: console, settings: settings, outputs: outputs)
    addSettings()
  }

  func carryOut(_ command: Command) throws -> Int32 {
    let commands = StoreCommands(store: store, console: console)
    switch command {
    case .shell:
      if isatty(STDIN_FILENO) == 1 {
        if options.isDryRun || options.report != nil {
          throw Diagnostic(
            "--\(options.isDryRun ? "dry-run" : "report") needs a whole script, and the shell is given a line at a time",
            hint: "`prn run FILE`, or `-c`", kind: .usage)
        }
        return try Shell(
          session: session(seesNames: true), store: store, console: console, meta: meta, environment: environment
        )
        .run()
      }
      return try run(try ScriptFile.read("-"), seesNames: true)
    case .inline(let text): return try run(Source(name: "-c", text: text), seesNames: true)
    case .run(let path, let overrides):
      return try run(try ScriptFile.read(path), overrides: overrides, seesNames: false)
    case .check(let path, let overrides): return check(try ScriptFile.read(path), overrides)
    case .list: console.show(try Inspection(store: store).names(), name: "ls", showsAll: true)
    case .info(let name):
      console.show(try Inspection(store: store).info(try handle(name).reference.key), name: name, showsAll: true)
    case .why(let name): console.show(try Inspection(store: store).why(name), name: name)
    case .du: DiskUse(store: store, console: console).show()
    case .gc: try commands.collect(options)
    case .fsck: return try commands.check()
    case .verify(let name):
      return try Verify(store: store, console: console, catalog: catalog, meta: meta).run(try handle(name), name)
    case .export(let words):
      guard let export = try ScriptExport(words) else {
        return try run(Source(name: "export", text: "export \(words.joined(separator: " "))"), seesNames: true)
      }
      return try write(export)
    case .format(let paths): return try format(paths)
    case .serve:
      return Server(session: session(seesNames: true), store: store, console: console, meta: meta, catalog: catalog)
        .run()
    case .reference, .version, .help, .installKernel: break
    }
    return 0
  }

  private func handle(_ name: String) throws -> ArtifactHandle {
    let bound = BoundName(name)
    guard let handle = try bound.flatMap({ try store.value(named: $0.name, back: $0.back) }) else {
      let names = try store.names()
      throw Diagnostic(
        "there is no value named `\(name)`", hint: nearest(to: name, among: names).map { "did you mean `\($0)`?" },
        kind: .usage)
    }
    return handle
  }

  // MARK: - Scripts

  /// Writes a script in another form.
  private func write(_ export: ScriptExport) throws -> Int32 {
    let source = try ScriptFile.read(export.from)
    let text: String
    var reads = [export.from]
    switch export.form {
    case .notebook:
      text = try NotebookText(store: store, console: console, catalog: catalog, options: options).of(source)
    case .script: text = try NotebookFile.script(source.text, name: export.from)
    case .workflow(let engine):
      let result = session(overrides: export.overrides, seesNames: false).check(source)
      guard result.diagnostics.isEmpty else { return check(source, export.overrides) }
      reads += result.plan.reads
      text = Workflow(script: source, words: export.command(options), jobs: Jobs(result.plan)).text(
        for: engine, path: export.to)
    }
    try outputs.check(export.to, .file, reads: reads, argument: nil)
    try outputs.write(Array(text.utf8), to: export.to, argument: nil)
    console.remark("wrote \(export.to)")
    return 0
  }

  /// - Returns: the exit code: 1 when `--check` found a script that is written otherwise.
  private func format(_ paths: [String]) throws -> Int32 {
    var changed = 0
    for path in paths {
      let source = try ScriptFile.read(path)
      guard let text = Formatter.formatted(source.text) else {
        _ = check(source, [])
        throw Diagnostic("\(path) cannot be formatted before it can be read", kind: .usage)
      }
      guard text != source.text else { continue }
      changed += 1
      if options.check {
        console.show(path, name: "fmt")
      } else {
        try ScriptFile.rewrite(path, text)
        console.remark("formatted \(path)")
      }
    }
    return options.check && changed > 0 ? 1 : 0
  }

  private func session(overrides: [Command.Override] = [], seesNames: Bool) -> Session {
    var session = Session.Options()
    session.keepsGoing = options.keepGoing
    session.seesStoredNames = seesNames
    session.cells = options.cell.map { [$0] }
    session.steps = options.steps
    session.overrides = overrides.map { ($0.name, $0.value) }
    session.fresh = options.fresh.map { $0.isEmpty ? .all : .names(Set($0)) } ?? .none
    let made = Session(
      catalog: catalog, store: ranks.size > 1 ? RankedStore(store, ranks) : store, observer: console,
      meta: ranks.isFirst ? meta : FollowingWords(meta), options: session)
    meta.formerStatements = { [unowned made] in made.history }
    guard ranks.isFirst else { return made }
    let presenter = ValuePresenter(session: made, store: store, console: console)
    console.shownValue = { [console] value, span in
      do { try presenter.show(value, ShowRequest(name: Console.oneLine(span.text))) } catch {
        console.report(Diagnostic.of(error))
      }
    }
    return made
  }

  private func check(_ source: Source, _ overrides: [Command.Override]) -> Int32 {
    let result = session(overrides: overrides, seesNames: false).check(source)
    if result.diagnostics.isEmpty {
      console.remark(
        "\(source.name): \(counted(result.plan.checkedStatements, "statement")), \(counted(result.plan.steps.count, "step")), no errors"
      )
      return 0
    }
    console.report(result.diagnostics, rendered: result.rendered)
    let isStopped = result.diagnostics.last?.kind == .cancelled
    return Int32((isStopped ? Diagnostic.Kind.cancelled : .usage).rawValue)
  }

  private func run(_ source: Source, overrides: [Command.Override] = [], seesNames: Bool) throws -> Int32 {
    let session = session(overrides: overrides, seesNames: seesNames)
    if options.isDryRun { store.options.remembersSources = false }
    if options.isDryRun || options.fresh?.isEmpty == false {
      let result = session.check(source)
      if result.diagnostics.isEmpty, let unknown = session.unknownFresh(of: result.plan) { throw unknown }
      if options.isDryRun {
        guard result.diagnostics.isEmpty else { return check(source, overrides) }
        try DryRun(session: session, store: store, console: console).show(result.plan)
        return 0
      }
    }
    if ranks.size > 1 { try Mpirun.requireSame(source, on: ranks) }
    if let report = options.report, ranks.isFirst {
      try outputs.check(report, .file, reads: session.check(source).plan.reads, argument: nil)
    }
    console.begin(source)
    let date = Version.date()
    let started = ProcessInfo.processInfo.systemUptime
    var outcome = session.run(source)
    if meta.isQuitting {
      outcome.diagnostics.removeAll { $0.summary == MetaWords.quit.summary && $0.kind == .cancelled }
    }
    console.report(outcome)
    let code = Interrupts.termination.map { 128 + $0 } ?? outcome.exitCode
    console.event(
      "end",
      ["exit": .integer(Int(code)), "seconds": Console.milliseconds(ProcessInfo.processInfo.systemUptime - started)])
    if let report = options.report, ranks.isFirst { try write(report, source, overrides, date) }
    return code
  }

  /// The report is written whatever the outcome was.
  private func write(_ path: String, _ source: Source, _ overrides: [Command.Override], _ date: String) throws {
    let keys = Dictionary(console.record.steps.map { ($0.content, $0.key) }, uniquingKeysWith: { first, _ in first })
    console.complete { record in
      record.date = date
      record.environment = Version.facts + [("workspace", store.root)]
      for step in record.steps where step.op == "load" {
        let model = ([modelName(step.key)].compactMap { $0 } + [step.summary]).joined(separator: ": ")
        if !step.key.isEmpty, !record.models.contains(model) { record.models.append(model) }
      }
      record.parameters = overrides.map { ($0.name, $0.value) }
      record.replay = (["prn", "run", source.name] + overrides.map { "\($0.name)=\($0.value)" }).map(ShellWord.quoted)
        .joined(separator: " ")
      for index in record.steps.indices where !record.steps[index].key.isEmpty {
        guard let inputs = try? store.stepRecord(of: record.steps[index].key)?["inputs"]?.objectValue else { continue }
        let contents = inputs.sorted { $0.key < $1.key }.flatMap { $0.value.arrayValue ?? [] }
          .compactMap { $0.stringValue ?? $0["content"]?.stringValue }
        record.steps[index].inputs = contents.compactMap { keys[$0] }
      }
    }
    try outputs.write(Array(HTMLReport(record: console.record).text.utf8), to: path, argument: nil)
    console.event("file", ["path": .string(path)])
    console.remark("wrote \(path)")
  }

  /// The name of the folder a model was loaded from.
  private func modelName(_ key: String) -> String? {
    let inputs = (try? store.stepRecord(of: key))?["inputs"]?.objectValue ?? [:]
    guard let content = inputs.values.first?.arrayValue?.first?.stringValue,
      let path = try? store.source(content: content)
    else { return nil }
    return (path as NSString).lastPathComponent
  }

  // MARK: - Settings

  private func addSettings() {
    let (console, store, outputs) = (console, store, outputs)
    settings.add(
      .init(
        name: "threads", legal: "1 or more", meaning: "processor threads; results do not depend on it",
        value: { "\(Processor.threads)" },
        change: {
          guard case .integer(let count) = $0, count >= 1 else {
            throw Diagnostic("`\($0.rendered)` is not a whole number of at least 1", kind: .usage)
          }
          Processor.threads = count
        }))
    settings.add(
      .init(
        name: "memory.max", legal: "a size such as 2GiB", meaning: "memory a step may use",
        value: { NumberText.bytes(store.memoryLimit) },
        change: {
          switch $0 {
          case .bytes(let size), .integer(let size):
            if size > 0 { store.options.memoryLimit = size } else { fallthrough }
          default: throw Diagnostic("`\($0.rendered)` is not a size such as 2GiB", kind: .usage)
          }
        }))
    settings.add(
      Settings.choice(
        "store.compress", "whether arrays of floats are compressed", of: Compression.self,
        value: { store.options.compression },
        change: { store.options.compression = $0 }))
    settings.add(
      Settings.choice(
        "format", "how tables are printed; auto is a box on a terminal and tabs in a pipe", of: FormatSetting.self,
        value: { console.format.map { FormatSetting(rawValue: $0.rawValue) ?? .auto } ?? .auto },
        change: { console.format = TableFormat(rawValue: $0.rawValue) }))
    settings.add(
      Settings.choice(
        "progress", "how progress is shown", of: ProgressStyle.self, value: { console.progressStyle },
        change: { console.progressStyle = $0 }))
    settings.add(
      Settings.choice(
        "force", "whether files that prn did not write may be replaced", of: Switch.self,
        value: { outputs.isForced ? .on : .off }, change: { outputs.isForced = $0 == .on }))
    settings.add(
      Settings.choice(
        "quiet", "whether the line per step is left out", of: Switch.self, value: { console.isQuiet ? .on : .off },
        change: { console.isQuiet = $0 == .on }))
  }

  private enum Switch: String, CaseIterable { case on, off }
  private enum FormatSetting: String, CaseIterable { case auto, box, ascii, tsv, csv, md, json }
}
