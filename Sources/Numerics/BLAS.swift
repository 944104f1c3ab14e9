import COpenBLAS
import Glibc

/// The linear algebra library underneath: which kernels it uses. Its own threads are off; `Parallel` has them.
public enum BLAS {
  /// Why a set of kernels was refused.
  public enum Failure: Error, Equatable, CustomStringConvertible {
    case unknownCore(String, known: [String])
    case unsupportedCore(String)
    case fixedLibrary(String)

    public var description: String {
      switch self {
      case .unknownCore(let name, let known):
        "OpenBLAS has no kernels named '\(name)'; it has auto, native, \(known.joined(separator: ", "))"
      case .unsupportedCore(let name):
        "this processor lacks the instructions that the '\(name)' kernels of OpenBLAS use"
      case .fixedLibrary(let name):
        "this BLAS library cannot switch to the '\(name)' kernels"
      }
    }
  }

  /// The kernels in use, as OpenBLAS names them: `Haswell`, `Zen`, `SkylakeX`, …
  public static var core: String {
    prepare()
    return openblas_get_corename().map { String(cString: $0) } ?? "unknown"
  }

  /// The widest instructions that this processor has and kernels are chosen by.
  public static var instructions: String {
    let names = ["SSE2", "AVX", "AVX2", "AVX-512", "AVX-512 with BF16"]
    let level = Int(prn_processor_level())
    return names.indices.contains(level) ? names[level] : "of level \(level)"
  }

  /// For logs and benchmarks: "OpenBLAS 0.3.21 Zen, 2 threads".
  public static var description: String {
    let config = openblas_get_config().map { String(cString: $0) } ?? "BLAS"
    let library = config.split(separator: " ").prefix(2).joined(separator: " ")
    return "\(library) \(core), \(Parallel.threads) thread\(Parallel.threads == 1 ? "" : "s")"
  }

  /// Chooses the kernels. To be called at start, before any thread computes.
  ///
  /// - Parameter core: `auto` leaves what OpenBLAS chose, which honours OPENBLAS_CORETYPE; `native` sets that aside and
  ///   asks the processor; a name, in any case, asks for those kernels, if the processor can run them.
  public static func configure(core: String) throws(Failure) {
    prepare()
    let wanted = core.lowercased()
    if wanted == "auto" { return }
    if wanted == "native" {
      if prn_blas_core(nil) == 0 { throw .fixedLibrary(core) }
    } else {
      guard let kernels = Kernels.all.first(where: { $0.name.lowercased() == wanted }) else {
        throw .unknownCore(core, known: Kernels.all.map(\.name))
      }
      guard kernels.canRun else { throw .unsupportedCore(kernels.name) }
      guard prn_blas_core(kernels.name) == 1 else { throw .fixedLibrary(kernels.name) }
    }
    openblas_set_num_threads(1)
  }

  /// OpenBLAS's own threads would make results depend on their number, and fight with ours.
  static func prepare() { _ = singleThreaded }

  private static let singleThreaded: Void = openblas_set_num_threads(1)
}

/// A family of OpenBLAS kernels and the instructions it uses, which OpenBLAS does not check when it is told a name.
private struct Kernels {
  let name: String
  let level: Int
  var needsFMA4 = false

  var canRun: Bool { Int(prn_processor_level()) >= level && (!needsFMA4 || prn_processor_has_fma4() == 1) }

  static let all = [
    Kernels(name: "Prescott", level: 0), Kernels(name: "Core2", level: 0), Kernels(name: "Nehalem", level: 1),
    Kernels(name: "Sandybridge", level: 1),
    Kernels(name: "Bulldozer", level: 1, needsFMA4: true), Kernels(name: "Piledriver", level: 1, needsFMA4: true),
    Kernels(name: "Steamroller", level: 1, needsFMA4: true), Kernels(name: "Excavator", level: 2, needsFMA4: true),
    Kernels(name: "Haswell", level: 2), Kernels(name: "Zen", level: 2), Kernels(name: "SkylakeX", level: 3),
    Kernels(name: "Cooperlake", level: 4),
  ]
}
