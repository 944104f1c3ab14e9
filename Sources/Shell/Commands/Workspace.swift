import Foundation
import Kernel
import Ops

/// Opens the store a command works on.
enum Workspace {
  /// Bytes of a text that come through a pipe, which could go on for ever.
  private static let largestText = 4 << 30

  /// `--workspace`, else `PRN_WORKSPACE`, else the `.prn` in or above this folder, else a new one here.
  static func path(_ options: Options, _ environment: [String: String]) throws -> String {
    if let chosen = options.workspace { return chosen }
    if let chosen = environment["PRN_WORKSPACE"], !chosen.isEmpty { return chosen }
    let here = FileManager.default.currentDirectoryPath
    return try Store.locate(from: here) ?? here + "/.prn"
  }

  static func open(
    _ options: Options, _ environment: [String: String], catalog: Catalog, warn: @escaping @Sendable (String) -> Void
  ) throws -> Store {
    var store = Store.Options()
    if let session = options.session { store.session = session }
    if let memory = options.memory { store.memoryLimit = memory }
    store.isStrict = options.strict
    store.rehash = options.rehash
    store.warn = warn
    store.readPipe = { descriptor in
      if isatty(descriptor) == 1 { return nil }
      return try ScriptFile.bytes(
        of: descriptor, named: descriptor == 0 ? "standard input" : "/dev/fd/\(descriptor)", atMost: largestText)
    }
    store.environment = [
      "prn": .string(Version.number), "blas": .string(Processor.core), "threads": .integer(Processor.threads),
    ]
    return try Store(workspace: try path(options, environment), types: catalog.artifactTypes, options: store)
  }
}
