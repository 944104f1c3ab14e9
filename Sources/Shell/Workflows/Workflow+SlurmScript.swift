import Kernel

extension Workflow {
  /// More jobs than this do not go into one array: the usual limit of a cluster is 1001.
  private static let largestArray = 1000

  /// An array of jobs for each depth, each after the end of those of the depth before. A job of which something failed
  /// before it says so and fails, and the others go on.
  func slurmScript(_ path: String) -> String {
    var arrays: [(name: String, jobs: [Jobs.Job], after: [String])] = []
    var before: [String] = []
    for (depth, jobs) in jobs.byDepth.enumerated() {
      let parts = stride(from: 0, to: jobs.count, by: Workflow.largestArray).map {
        Array(jobs[$0..<min(jobs.count, $0 + Workflow.largestArray)])
      }
      let names = parts.indices.map { parts.count == 1 ? "jobs_\(depth)" : "jobs_\(depth)_\($0)" }
      arrays += zip(names, parts).map { ($0, $1, before) }
      before = names
    }
    func submitted(_ name: String, after: [String], options: String, steps: String, words: String, remarks: [String])
      -> String
    {
      let ends = after.isEmpty ? "" : " --dependency=afterany:" + after.map { "${\($0)%%;*}" }.joined(separator: ":")
      return """

        \(remarks.map { "# \($0)\n" }.joined())\(name)=$(sbatch --parsable --job-name=\(self.name)\(options)\(ends) "$@" <<'JOB'
        #!/bin/bash
        \(steps)exec ${PRN:-prn} \(command) --threads "${SLURM_CPUS_PER_TASK:-1}"\(words)
        JOB
        )

        """
    }
    let head = """
      #!/bin/bash
      # The steps of \(title) as arrays of Slurm jobs over one store, written by `prn export`. Submit it where it was
      # written, in a folder that all nodes see; what follows goes to every sbatch:
      #
      #     bash \(Console.oneLine(path)) --cpus-per-task=8 --mem=32G --time=4:00:00
      #
      # `PRN=COMMAND` in the environment says what prn is called. When the script changes, export it again.
      set -euo pipefail

      """
    let rest = arrays.map { array in
      submitted(
        array.name, after: array.after, options: " --array=0-\(array.jobs.count - 1)",
        steps: "steps=(\(array.jobs.map(Workflow.numbers).joined(separator: " ")))\n",
        words: " --step \"${steps[SLURM_ARRAY_TASK_ID]}\"",
        remarks: array.jobs.map { "\(Workflow.numbers($0)): \($0.title)" })
    }
    let whole = submitted(
      "script", after: before, options: "", steps: "", words: "",
      remarks: ["The whole script: everything is found, names are bound, files are written."])
    return head + rest.joined() + whole + "\necho \"submitted; the last job is ${script%%;*}\"\n"
  }
}
