import Foundation
import Kernel
import Ops
import Ranks

/// A run that the processes of `mpirun` share: how they find each other, divide the machine, and part.
enum Mpirun {
  /// - Throws: when nobody has started ranks, or Open MPI is not to be had.
  static func join(_ environment: [String: String]) throws -> OpenMPI {
    // Set by mpirun, and by other launchers that speak PMIx, as `srun --mpi=pmix` does.
    guard ["OMPI_COMM_WORLD_SIZE", "PMIX_RANK"].contains(where: { environment[$0] != nil }) else {
      throw Diagnostic(
        "--mpi shares a run with processes that mpirun of Open MPI has started, and it has started none",
        hint: "`mpirun -n 4 prn run FILE --mpi`", kind: .usage)
    }
    return try OpenMPI { Interrupts.isStopping }
  }

  /// The options, with threads and memory divided among the ranks of each machine where they do not say how much. Work is
  /// cut by what fits into memory, so that the least of all ranks holds for every one.
  static func divided(_ options: Options, among ranks: any Communicator) throws -> Options {
    var name = [CChar](repeating: 0, count: 256)
    gethostname(&name, name.count - 1)
    let host = String(decoding: name.prefix { $0 != 0 }.map(UInt8.init(bitPattern:)), as: UTF8.self)
    let here = max(1, try ranks.all(host).count { $0 == host })
    var options = options
    let memory = options.memory ?? Store.Options().memoryLimit / here
    options.memory = try ranks.map(ranks.size) { _ in [memory] }.joined().min()
    if options.threads == nil {
      options.threads = max(1, min(Processor.threads, ProcessInfo.processInfo.processorCount / here))
    }
    return options
  }

  /// - Throws: when a rank would compute something else than rank 0, or otherwise.
  static func requireSame(_ script: Source, on ranks: any Communicator) throws {
    let facts = [
      ("prn", Version.number), ("OpenBLAS kernels", Processor.core), ("processor", Processor.instructions),
      ("script", String(SHA256.hex(of: script.text).prefix(12))),
    ]
    for (what, own) in facts {
      let found = try ranks.all(own)
      guard let other = found.indices.first(where: { found[$0] != found[0] }) else { continue }
      throw Diagnostic(
        "rank \(other) has another \(what) than rank 0: \(found[other]) and \(found[0])",
        hint: "results would differ: all ranks need the same program, script and kind of processor", kind: .usage)
    }
  }

  /// Ends a run. Where it has failed, the others hear of it, and all leave after rank 0, which says what has happened.
  static func part(_ ranks: OpenMPI, _ code: Int32, _ console: Console) {
    if code == 0 { return ranks.end() }
    if Interrupts.isStopping {
      return console.say(
        "this run was stopped, or one of its ranks has died; what is finished is kept, for the next run")
    }
    let text = console.record.errors.last?.text ?? "it ended with code \(code)"
    let line = text.split(separator: "\n").first.map(String.init) ?? text
    ranks.giveUp(line.range(of: "error: ").map { String(line[$0.upperBound...]) } ?? line)
    if ranks.isFirst { return }
    // mpirun stops who is left as soon as one has gone.
    for _ in 0..<100 where Interrupts.termination == nil { usleep(100_000) }
  }
}

/// The meta words on the ranks after the first: what decides how the script goes on is carried out on all; what shows,
/// writes or cleans up is the first one's.
final class FollowingWords: MetaHandler {
  private let words: MetaWords

  init(_ words: MetaWords) { self.words = words }

  func perform(_ call: MetaCall, in session: Session) throws {
    switch call.word.name {
    case "set", "source", "quit": try words.perform(call, in: session)
    case "drop": session.drop(call.name)
    default: break
    }
  }
}
