import Foundation
import Ranks
import Synchronization

/// Ranks that are threads of this process: what MPI does, without it.
final class ThreadRanks: Communicator {
  let rank: Int
  let size: Int
  private let table: Table
  /// Broadcasts so far.
  private let count = Atomic(0)

  private init(_ rank: Int, _ size: Int, _ table: Table) {
    self.rank = rank
    self.size = size
    self.table = table
  }

  /// What `body` gives on every rank, each in a thread of its own.
  static func run<Result: Sendable>(
    _ size: Int, _ body: @escaping @Sendable (ThreadRanks) throws -> Result
  ) throws -> [Result] {
    let table = Table()
    let found = Mutex<[Int: Swift.Result<Result, any Error>]>([:])
    let done = DispatchGroup()
    for rank in 0..<size {
      done.enter()
      let thread = Thread {
        let result = Swift.Result { try body(ThreadRanks(rank, size, table)) }
        if case .failure(let error) = result { table.giveUp(rank, "\(error)") }
        found.withLock { $0[rank] = result }
        done.leave()
      }
      thread.stackSize = 16 << 20
      thread.start()
    }
    done.wait()
    return try found.withLock { found in try (0..<size).compactMap { try found[$0]?.get() } }
  }

  func broadcast(_ bytes: UnsafeMutableRawBufferPointer, from root: Int) throws {
    let number = count.wrappingAdd(1, ordering: .relaxed).oldValue
    if rank == root { return table.put(Array(bytes), number) }
    let sent = try table.take(number, readers: size - 1)
    guard sent.count == bytes.count else {
      throw RankError.broken(reason: "\(bytes.count) bytes wanted, \(sent.count) sent")
    }
    bytes.copyBytes(from: sent)
  }

  /// What is on its way.
  private final class Table: @unchecked Sendable {
    // Sendable: everything is behind the condition.
    private let condition = NSCondition()
    private var sent: [Int: (bytes: [UInt8], readers: Int)] = [:]
    private var failure: (rank: Int, reason: String)?

    func put(_ bytes: [UInt8], _ number: Int) {
      condition.lock()
      sent[number] = (bytes, 0)
      condition.broadcast()
      condition.unlock()
    }

    func take(_ number: Int, readers: Int) throws -> [UInt8] {
      condition.lock()
      defer { condition.unlock() }
      while sent[number] == nil {
        if let failure { throw RankError.failed(rank: failure.rank, reason: failure.reason) }
        condition.wait()
      }
      guard var found = sent[number] else { return [] }
      found.readers += 1
      sent[number] = found.readers == readers ? nil : found
      return found.bytes
    }

    func giveUp(_ rank: Int, _ reason: String) {
      condition.lock()
      if failure == nil { failure = (rank, reason) }
      condition.broadcast()
      condition.unlock()
    }
  }
}
