import Ranks

extension RankError: Explained {
  public var diagnostic: Diagnostic {
    switch self {
    case .noLibrary(let reason):
      Diagnostic(
        "--mpi needs Open MPI, and its library cannot be loaded: \(reason)",
        hint: "install it (Debian: openmpi-bin), or name its folder in LD_LIBRARY_PATH", kind: .usage)
    case .otherLibrary(let name, let lacks):
      Diagnostic(
        "--mpi needs Open MPI, and \(name) is another library: it has no \(lacks)",
        hint: "put the folder of Open MPI's library first in LD_LIBRARY_PATH", kind: .usage)
    case .failed(let rank, let reason): Diagnostic("rank \(rank) gave up: \(reason)")
    case .broken(let reason): Diagnostic("Open MPI failed: \(reason)")
    case .stopped: Diagnostic("stopped while waiting for other ranks", kind: .cancelled)
    }
  }
}
