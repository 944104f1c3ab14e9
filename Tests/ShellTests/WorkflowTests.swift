import Foundation
import Kernel
import Ops
import Testing

@testable import Shell

@Suite(.serialized) struct WorkflowTests {
  let folder: String
  let script = """
    param rate = 20%
    param length = 32
    m = load \(Program.root)/data/tiny-llama
    cal = text \(Program.root)/data/calibration.txt model=m samples=2 length=32
    held = text \(Program.root)/data/test.txt model=m samples=4 length=length take=order
    acts = capture m cal sites=ffn.act keep=moments
    runs = for how in wanda,magnitude {
      eval (prune m (mask (score acts how=how) rate=rate)) held length=length
    }
    t = compare runs baseline=(eval m held length=length)
    show (measure m length=8 tokens=2 runs=1)
    export (prune m (mask (flap acts) rate=rate)) to=./small as=hf
    small = load ./small
    again = text \(Program.root)/data/test.txt model=small samples=4 length=length
    """

  init() throws {
    folder = try Program.temporaryFolder()
    try script.write(toFile: folder + "/a b.prn", atomically: true, encoding: .utf8)
  }

  func prn(_ words: String...) throws -> Program.Result { try Program.run(words, in: folder) }

  func plan(_ text: String) -> Plan { Checker(catalog).check(Source(name: "t.prn", text: text)).plan }

  func text(_ name: String) throws -> String { try String(contentsOfFile: folder + "/" + name, encoding: .utf8) }

  /// Every object of the workspace, with its bytes.
  func objects(_ folder: String) throws -> [String: Data] {
    let root = folder + "/.prn/objects"
    let files = try FileManager.default.subpathsOfDirectory(atPath: root).filter { $0.hasSuffix(".h5") }
    return Dictionary(
      uniqueKeysWithValues: try files.map { ($0, try Data(contentsOf: URL(fileURLWithPath: root + "/" + $0))) })
  }

  @Test func aJobIsAChainCutWhereSomethingElseIsWaitedForOrWaits() throws {
    let plan = plan(script)
    #expect(
      plan.steps.map { $0.op ?? "" } == [
        "load", "text", "text", "capture", "score", "mask", "prune", "eval", "score", "mask", "prune", "eval", "eval",
        "compare", "measure", "flap", "mask", "prune", "load", "text",
      ])
    let jobs = Jobs(plan)
    // What is measured, and what reads a file that the script writes, is left to the script.
    #expect(
      jobs.all.map(\.steps) == [[1], [3], [2, 4], [5, 6, 7, 8], [9, 10, 11, 12], [13], [14], [16, 17, 18]])
    #expect(jobs.all.map(\.needs) == [[], [1], [1], [1, 3, 4], [1, 3, 4], [1, 3], [8, 12, 13], [1, 4]])
    #expect(jobs.all.map(\.depth) == [0, 1, 1, 2, 2, 2, 3, 2])
    #expect(jobs.last.map(\.number) == [14, 18])
    #expect(jobs.all[2].title == "cal, acts" && jobs.all[2].reads == [Program.root + "/data/calibration.txt"])
  }

  @Test func everythingAJobNeedsIsTheEndOfAnother() throws {
    for name in ["masks", "canica", "fang", "papers"] {
      let text = try String(contentsOfFile: Program.root + "/notebooks/\(name).prn", encoding: .utf8)
      let jobs = Jobs(plan(text.replacing("./data/", with: Program.root + "/data/"))).all
      #expect(!jobs.isEmpty, "\(name)")
      for (place, job) in jobs.enumerated() {
        #expect(job.needs.allSatisfy { need in jobs[..<place].contains { $0.number == need } }, "\(name) \(job)")
      }
    }
  }

  @Test func aSnakefileHasARuleForEachJob() throws {
    #expect(try prn("export", "a b.prn", "rate=30%", "to=Snakefile", "--workspace", "st{o}re").status == 0)
    let file = try text("Snakefile")
    #expect(file.contains(#"RUN = "run 'a b.prn' rate=30% --workspace 'st{o}re'""#))
    #expect(
      file.contains("rule script:\n    input:\n        \"a-b-") && file.contains("jobs/18\",\n    output: touch("))
    #expect(file.contains("# cal, acts\nrule step_4:\n"))
    #expect(file.contains(#"    shell: "{PRN} {RUN} --threads {threads} --step 2,4""#))
    // Other values are other jobs.
    #expect(try prn("export", "a b.prn", "to=other.smk", "--workspace", "st{o}re").status == 0)
    let marks = [file, try text("other.smk")].map { Set($0.matches(of: /a-b-[0-9a-f]{8}/).map { String($0.output) }) }
    #expect(marks[0].count == 1 && marks[1].count == 1 && marks[0] != marks[1])
  }

  @Test func whatCannotBeAWorkflowIsRefused() throws {
    for words in [
      ["a b.prn", "to=x.sh"], ["a b.prn", "rate", "to=Snakefile"], ["a b.prn", "to=x.ipynb", "rate=30%"],
      ["a b.prn", "rate=30%"], ["a b.prn", "nothing=1", "to=Snakefile"], ["a b.prn", "to=Snakefile", "to=x.smk"],
    ] {
      let result = try Program.run(["export"] + words, in: folder)
      #expect(result.status == 2 && !result.err.isEmpty, "\(words) \(result)")
      #expect(!FileManager.default.fileExists(atPath: folder + "/Snakefile"))
    }
  }

  /// Runs every job when it is submitted, and keeps what was said.
  private func stub() throws -> [String: String] {
    let text = """
      #!/bin/bash
      cd "$STUB"
      id=$(($(ls | grep -c '^job') + 1))
      echo "$*" >> calls
      cat > job$id
      range=
      for word; do case $word in --array=*) range=${word#--array=} ;; esac; done
      cd - > /dev/null
      for task in $([ -n "$range" ] && seq ${range%-*} ${range#*-} || echo none); do
        SLURM_ARRAY_TASK_ID=$task bash "$STUB/job$id" >> "$STUB/log" 2>&1 || echo "job $id $task failed" >> "$STUB/calls"
      done
      echo "$id;cluster"
      """
    let place = folder + "/bin"
    try FileManager.default.createDirectory(atPath: place + "/jobs", withIntermediateDirectories: true)
    try text.write(toFile: place + "/sbatch", atomically: true, encoding: .utf8)
    try FileManager.default.setAttributes([.posixPermissions: 0o755], ofItemAtPath: place + "/sbatch")
    return [
      "PATH": place + ":" + (ProcessInfo.processInfo.environment["PATH"] ?? ""), "STUB": place + "/jobs",
      "PRN": Program.path,
    ]
  }

  @Test func slurmJobsMakeTheSameObjectsAsTheScript() throws {
    let environment = try stub()
    #expect(try prn("export", "a b.prn", "rate=30%", "to=f.slurm").status == 0)
    let run = try Program.run(["f.slurm", "--mem=4G"], of: "/bin/bash", in: folder, environment: environment)
    #expect(run.status == 0 && run.out == "submitted; the last job is 5\n", "\(run)")
    let calls = try text("bin/jobs/calls").split(separator: "\n")
    #expect(
      calls == [
        "--parsable --job-name=a-b --array=0-0 --mem=4G",
        "--parsable --job-name=a-b --array=0-1 --dependency=afterany:1 --mem=4G",
        "--parsable --job-name=a-b --array=0-3 --dependency=afterany:2 --mem=4G",
        "--parsable --job-name=a-b --array=0-0 --dependency=afterany:3 --mem=4G",
        "--parsable --job-name=a-b --dependency=afterany:4 --mem=4G",
      ], "\(calls)")
    #expect(FileManager.default.fileExists(atPath: folder + "/small/config.json"))
    // The script, in a workspace of its own; what is measured anew is another object each time.
    let other = try Program.temporaryFolder()
    try script.write(toFile: other + "/a b.prn", atomically: true, encoding: .utf8)
    let whole = try Program.run(["run", "a b.prn", "rate=30%"], in: other)
    #expect(whole.status == 0, "\(whole)")
    let (ours, theirs) = (try objects(folder), try objects(other))
    let differing = Set(ours.keys).symmetricDifference(theirs.keys)
    #expect(ours.count > 15 && ours.count == theirs.count && differing.count == 2, "\(differing)")
    for (name, bytes) in ours where theirs[name] != nil { #expect(bytes == theirs[name], "\(name)") }
  }

  @Test func aJobThatFailsLeavesTheOthers() throws {
    let environment = try stub()
    let failing = """
      m = load \(Program.root)/data/tiny-llama
      held = text \(Program.root)/data/test.txt model=m samples=2 length=32
      runs = for length in 16, 32, 100000 { eval m held length=length }
      """
    try failing.write(toFile: folder + "/f.prn", atomically: true, encoding: .utf8)
    #expect(try prn("export", "f.prn", "to=f.slurm").status == 0)
    let run = try Program.run(["f.slurm"], of: "/bin/bash", in: folder, environment: environment)
    let calls = try text("bin/jobs/calls").split(separator: "\n").filter { $0.hasSuffix("failed") }
    // The last is the script, which cannot make it either.
    #expect(run.status == 0 && calls == ["job 3 2 failed", "job 4 none failed"], "\(calls)")
    #expect(try objects(folder).count == 4)
    #expect(try FileManager.default.contentsOfDirectory(atPath: folder + "/.prn/tmp").isEmpty)
  }
}
