import Kernel

extension Workflow {
  /// A rule for each job. An empty file says that one was done; its folder is named by the text and the parameters of
  /// the script, so that another text begins anew.
  func snakefile(_ path: String) -> String {
    let done = "\(name)-\(SHA256.hex(of: script.text + "\n" + command).prefix(8)).jobs"
    func rule(_ name: String, _ remark: String, input: [String], output: String, words: String) -> String {
      let inputs = input.map { "        \(Workflow.python($0)),\n" }.joined()
      return """

        # \(remark)
        rule \(name):
        \(inputs.isEmpty ? "" : "    input:\n" + inputs)    output: touch(\(Workflow.python("\(done)/\(output)")))
            threads: THREADS
            shell: "{PRN} {RUN} --threads {threads}\(words)"

        """
    }
    let head = """
      # The steps of \(title) as jobs over one store, written by `prn export`. Run it where it was written:
      #
      #     snakemake --snakefile \(Console.oneLine(path)) --cores 2 --keep-going --config threads=1
      #
      # `prn=COMMAND` in the configuration says what prn is called. When the script changes, export it again.
      PRN = config.get("prn", "prn")
      THREADS = int(config.get("threads", 1))
      RUN = \(Workflow.python(command, isPattern: false))

      """
    let whole = rule(
      "script", "The whole script: everything is found, names are bound, files are written.",
      input: jobs.last.map { "\(done)/\($0.number)" }, output: "script", words: "")
    let rules = jobs.all.map { job in
      rule(
        "step_\(job.number)", job.title, input: job.needs.map { "\(done)/\($0)" } + job.reads,
        output: "\(job.number)", words: " --step \(Workflow.numbers(job))")
    }
    return head + ([whole] + rules).joined()
  }

  /// A string of Python.
  /// - Parameter isPattern: whether braces would be wildcards in it.
  private static func python(_ text: String, isPattern: Bool = true) -> String {
    let plain = isPattern ? text.replacing("{", with: "{{").replacing("}", with: "}}") : text
    return JSONValue.string(plain).canonical
  }
}
