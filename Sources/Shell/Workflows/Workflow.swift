import Kernel

/// A script for another program to run: its jobs, and at the end the script as a whole, which finds all they made, binds
/// names, and does what is not a step. Objects are named by how they were made, so whoever makes one, it is the same.
struct Workflow {
  /// Who runs it, by the name of the file that is written.
  enum Engine {
    case snakemake, slurm

    init?(path: String) {
      let name = path.split(separator: "/").last.map(String.init) ?? ""
      if name == "Snakefile" || name.hasSuffix(".smk") {
        self = .snakemake
      } else if name.hasSuffix(".slurm") {
        self = .slurm
      } else {
        return nil
      }
    }
  }

  let script: Source
  /// What the command of every job says after `prn`: the script, its parameters, where the store is.
  let words: [String]
  let jobs: Jobs

  /// The file of `engine`.
  /// - Parameter path: what it will be called.
  func text(for engine: Engine, path: String) -> String {
    switch engine {
    case .snakemake: snakefile(path)
    case .slurm: slurmScript(path)
    }
  }

  /// `prn` stands before it.
  var command: String { words.map(ShellWord.quoted).joined(separator: " ") }

  /// A name for files and jobs: that of the script, of letters, digits, `-` and `_`.
  var name: String {
    let stem = script.name.split(separator: "/").last?.split(separator: ".").first ?? ""
    let plain = stem.map { $0.isASCII && ($0.isLetter || $0.isNumber || $0 == "_") ? $0 : "-" }
    return plain.isEmpty ? "script" : String(plain)
  }

  /// The script, on one line.
  var title: String { Console.oneLine(script.name) }

  /// As `--step` takes them.
  static func numbers(_ job: Jobs.Job) -> String { job.steps.map(String.init).joined(separator: ",") }
}
