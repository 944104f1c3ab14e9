import Foundation
import Kernel
import Ops

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
    let console = Console(
      out: OutputStream(descriptor: STDOUT_FILENO, choice: options.color, environment: environment),
      err: OutputStream(descriptor: STDERR_FILENO, choice: options.color, environment: environment), options: options)
    Interrupts.install()
    do {
      try configureProcessor(options)
      let code = try carryOut(invocation, console)
      if let signal = Interrupts.termination { return 128 + signal }
      return code
    } catch {
      console.report(Diagnostic.of(error))
      if let signal = Interrupts.termination { return 128 + signal }
      return Int32(Diagnostic.of(error).kind.rawValue)
    }
  }

  private func configureProcessor(_ options: Options) throws {
    if let threads = options.threads { Processor.threads = threads }
    if let core = environment["PRN_BLAS_CORE"], !core.isEmpty { try Processor.use(core: core) }
  }

  private func carryOut(_ invocation: Invocation, _ console: Console) throws -> Int32 {
    let options = invocation.options
    switch invocation.command {
    case .help(nil): console.show(Help.usage, name: "help")
    case .help(let word): console.show(try Help.text(word, catalog), name: "help")
    case .version: console.show(TableData(record: Version.facts.map { ($0.name, .text($0.value)) }), name: "version")
    case .reference: console.show(Reference.markdown(catalog), name: "docs")
    default:
      let store = try Workspace.open(options, environment, catalog: catalog) { [weak console] in console?.warn($0) }
      return try Work(store: store, console: console, catalog: catalog, environment: environment, options: options)
        .carryOut(invocation.command)
    }
    return 0
  }
}
