import Foundation
import Kernel
import Ops
import Ranks

/// One run of the program: from the words of the command line to the exit code.
final class Application {
  private let words: [String]
  private let environment: [String: String]
  private let catalog: Catalog

  init(words: [String], environment: [String: String], catalog: Catalog) {
    self.words = words
    self.environment = environment
    self.catalog = catalog
  }

  /// Carries the command out.
  /// - Returns: the exit code.
  func run() -> Int32 {
    let plainError = OutputStream(descriptor: STDERR_FILENO, choice: .auto, environment: environment)
    let invocation: Invocation
    do { invocation = try Invocation(words) } catch {
      try? plainError.write("prn: " + Diagnostic.of(error).rendered + "\n")
      return Int32(Diagnostic.Kind.usage.rawValue)
    }
    let options = invocation.options
    Interrupts.install()
    let ranks: OpenMPI?
    do { ranks = options.mpi ? try Mpirun.join(environment) : nil } catch {
      try? plainError.write(Diagnostic.of(error).rendered + "\n")
      return Int32(Diagnostic.of(error).kind.rawValue)
    }
    let isHeard = ranks?.isFirst ?? true
    let console = Console(
      out: OutputStream(descriptor: STDOUT_FILENO, choice: options.color, environment: environment),
      err: OutputStream(descriptor: STDERR_FILENO, choice: options.color, environment: environment), options: options,
      voice: !isHeard ? .none : invocation.command == .serve ? .notebook : options.json ? .events : .text)
    let code = exitCode(of: invocation, console, ranks ?? OneRank())
    if let ranks { Mpirun.part(ranks, code, console) }
    return code
  }

  private func exitCode(of invocation: Invocation, _ console: Console, _ ranks: any Communicator) -> Int32 {
    do {
      var invocation = invocation
      if ranks.size > 1 { invocation.options = try Mpirun.divided(invocation.options, among: ranks) }
      try checkAddressSpace()
      try checkNames()
      try configureProcessor(invocation.options)
      let code = try carryOut(invocation, console, ranks)
      if let signal = Interrupts.termination { return 128 + signal }
      return code == 0 && console.hasLostOutput ? Int32(Diagnostic.Kind.failure.rawValue) : code
    } catch {
      console.report(Diagnostic.of(error))
      if let signal = Interrupts.termination { return 128 + signal }
      return Int32(Diagnostic.of(error).kind.rawValue)
    }
  }

  /// OpenBLAS waits for ever for the memory of its workers when it cannot have it.
  private func checkAddressSpace() throws {
    var limit = rlimit()
    guard getrlimit(__rlimit_resource_t(UInt32(RLIMIT_AS.rawValue)), &limit) == 0, limit.rlim_cur < 1 << 30 else {
      return
    }
    throw Diagnostic(
      "the address space is limited to \(NumberText.bytes(Int(clamping: limit.rlim_cur))); prn needs 1 GiB",
      hint: "raise the limit: `ulimit -v`", kind: .refused)
  }

  /// Names are text here; one that is not UTF-8 would be changed on its way and mean another file.
  private func checkNames() throws {
    var folder = [CChar](repeating: 0, count: Int(PATH_MAX))
    guard getcwd(&folder, folder.count) != nil else {
      throw Diagnostic("the working directory cannot be found: \(String(cString: strerror(errno)))", kind: .usage)
    }
    guard String(validating: folder.prefix { $0 != 0 }.map(UInt8.init(bitPattern:)), as: UTF8.self) != nil else {
      throw Diagnostic("the name of the working directory is not UTF-8", hint: "rename the folder", kind: .usage)
    }
    for index in 1..<max(1, Int(CommandLine.argc)) {
      guard let word = CommandLine.unsafeArgv[index], String(validatingCString: word) == nil else { continue }
      throw Diagnostic("word \(index) of the command is not UTF-8: \(String(cString: word))", kind: .usage)
    }
  }

  private func configureProcessor(_ options: Options) throws {
    if let threads = options.threads { Processor.threads = threads }
    if let core = environment["PRN_BLAS_CORE"], !core.isEmpty { try Processor.use(core: core) }
  }

  private func carryOut(_ invocation: Invocation, _ console: Console, _ ranks: any Communicator) throws -> Int32 {
    let options = invocation.options
    switch invocation.command {
    case .help(nil): console.explain(Help.usage)
    case .help(let word): console.explain(try Help.text(word, catalog))
    case .version: console.show(TableData(record: Version.facts.map { ($0.name, .text($0.value)) }), name: "version")
    case .reference: console.show(Reference.markdown(catalog), name: "docs")
    case .installKernel:
      let folder = try JupyterKernel(environment: environment).install(prefix: options.prefix, isForced: options.force)
      console.say("installed the kernel in \(folder)")
    default:
      let store = try Workspace.open(options, environment, catalog: catalog) { [weak console] in console?.warn($0) }
      return try Work(
        store: store, console: console, catalog: catalog, environment: environment, options: options, ranks: ranks
      ).carryOut(invocation.command)
    }
    return 0
  }
}
