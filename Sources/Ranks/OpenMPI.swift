import CMPI
import Synchronization

/// The ranks that `mpirun` of Open MPI has started. There is one in a process, and it is used from one thread.
public final class OpenMPI: Communicator {
  public let rank: Int
  public let size: Int
  /// Whether this process was told to stop; asked while it waits.
  private let isStopping: @Sendable () -> Bool
  /// Whether another rank has given up.
  private let hasHeard = Atomic(false)

  /// The names under which the library is looked for, where the system looks for libraries.
  private static let libraries = ["libmpi.so.40", "libmpi.so"]
  /// Bytes that are sent at once; MPI counts them in 32 bits.
  private static let most = 64 << 20

  /// - Throws: `RankError` when Open MPI is not there or does not start.
  public init(isStopping: @escaping @Sendable () -> Bool) throws(RankError) {
    self.isStopping = isStopping
    try OpenMPI.load()
    var (rank, size): (Int32, Int32) = (0, 1)
    try OpenMPI.check(prn_mpi_begin(&rank, &size))
    (self.rank, self.size) = (Int(rank), Int(size))
  }

  private static func load() throws(RankError) {
    var missing: [String] = []
    for library in libraries {
      var reason = [CChar](repeating: 0, count: 512)
      switch Int(prn_mpi_load(library, &reason, reason.count)) {
      case prn_mpi_loaded: return
      case prn_mpi_foreign: throw .otherLibrary(name: library, lacks: text(reason))
      default: missing.append(text(reason))
      }
    }
    throw .noLibrary(reason: missing.first ?? "")
  }

  public func broadcast(_ bytes: UnsafeMutableRawBufferPointer, from root: Int) throws {
    var start = 0
    while start < bytes.count {
      let count = min(OpenMPI.most, bytes.count - start)
      try OpenMPI.check(prn_mpi_broadcast(bytes.baseAddress.map { $0 + start }, Int32(count), Int32(root)))
      try finishBroadcast()
      start += count
    }
  }

  /// Waits, and looks meanwhile for what others say and whether to stop.
  private func finishBroadcast() throws {
    while true {
      var isDone: Int32 = 0
      try OpenMPI.check(prn_mpi_wait(&isDone))
      if isDone != 0 { return }
      try hear()
    }
  }

  private func hear() throws {
    if isStopping() { throw RankError.stopped }
    var notice = [CChar](repeating: 0, count: prn_mpi_notice_bytes)
    var source: Int32 = -1
    try OpenMPI.check(prn_mpi_notice(&notice, &source))
    guard source >= 0 else { return }
    hasHeard.store(true, ordering: .relaxed)
    throw RankError.failed(rank: Int(source), reason: OpenMPI.text(notice))
  }

  /// Tells all other ranks that this one gives up, and why; they hear it when they next wait. What was heard from one of
  /// them is not passed on: the others hear it, too.
  public func giveUp(_ reason: String) {
    if hasHeard.load(ordering: .relaxed) { return }
    for other in 0..<size where other != rank { _ = prn_mpi_notify(reason, Int32(other)) }
  }

  /// Ends the work together, when all ranks have come to its end.
  public func end() { _ = prn_mpi_end() }

  private static func check(_ code: Int32) throws(RankError) {
    guard code != 0 else { return }
    var reason = [CChar](repeating: 0, count: 512)
    prn_mpi_error(code, &reason, reason.count)
    throw .broken(reason: text(reason))
  }

  private static func text(_ characters: [CChar]) -> String {
    String(decoding: characters.prefix { $0 != 0 }.map(UInt8.init(bitPattern:)), as: UTF8.self)
  }
}
