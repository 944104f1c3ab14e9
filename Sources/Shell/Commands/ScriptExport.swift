import Kernel

/// `prn export FILE.prn [NAME=VALUE ...] to=PATH`: a script as a notebook or as a workflow, or a notebook as a script.
struct ScriptExport {
  enum Form {
    case notebook, script
    case workflow(Workflow.Engine)
  }
  let from: String
  let to: String
  let form: Form
  /// Values for the `param`s of the script, in a workflow.
  let overrides: [Command.Override]

  /// - Parameter words: those after `export`.
  /// - Returns: nil when they are about a value, not about a file.
  /// - Throws: `Diagnostic` of kind `usage`.
  init?(_ words: [String]) throws {
    guard let from = words.first, from.hasSuffix(".prn") || from.hasSuffix(".ipynb") else { return nil }
    let targets = words.dropFirst().filter { $0.hasPrefix("to=") }
    guard targets.count == 1, let to = targets.first?.dropFirst(3), !to.isEmpty else {
      throw Diagnostic("`prn export \(from)` needs one `to=PATH`", kind: .usage)
    }
    (self.from, self.to) = (from, String(to))
    overrides = try Command.overrides(words.dropFirst().filter { !$0.hasPrefix("to=") }[...])
    if from.hasSuffix(".ipynb"), to.hasSuffix(".prn") {
      form = .script
    } else if from.hasSuffix(".prn"), to.hasSuffix(".ipynb") {
      form = .notebook
    } else if from.hasSuffix(".prn"), let engine = Workflow.Engine(path: self.to) {
      form = .workflow(engine)
      return
    } else {
      let targets = from.hasSuffix(".prn") ? "FILE.ipynb, Snakefile, FILE.smk or FILE.slurm" : "FILE.prn"
      throw Diagnostic("\(from) is written as \(targets), and \(to) is neither", kind: .usage)
    }
    if let extra = overrides.first {
      throw Diagnostic("`\(extra.name)=\(extra.value)` is one word too many: a notebook has its values", kind: .usage)
    }
  }

  /// What the commands of a workflow say after `prn`.
  func command(_ options: Options) -> [String] {
    var words = ["run", from] + overrides.map { "\($0.name)=\($0.value)" }
    if let workspace = options.workspace { words += ["--workspace", workspace] }
    if let session = options.session { words += ["--session", session] }
    if let memory = options.memory { words += ["--memory", String(memory)] }
    return words
  }
}
