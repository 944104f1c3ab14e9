import CKernels
import Dispatch
import Glibc
import Synchronization

/// Work spread over the cores.
///
/// How work is cut never depends on `threads`, so the number of threads changes the time and not one bit of a result.
/// The cut belongs to the caller; this type only hands out the chunks, each to whichever worker is free.
public enum Parallel {
  private static let chosen = Atomic<Int>(0)

  /// How many workers a call may use, in this process. Starts as the number of cores.
  public static var threads: Int {
    get {
      let value = chosen.load(ordering: .relaxed)
      return value > 0 ? value : cores
    }
    set { chosen.store(max(newValue, 1), ordering: .relaxed) }
  }

  /// Cores the system lets this process use.
  public static let cores = Int(prn_available_processors())

  /// Runs `body(0)` … `body(count - 1)`, some at the same time, and returns when all are done.
  /// Inside another `forEach` the calls run one after the other where they are.
  public static func forEach(_ count: Int, _ body: @Sendable (Int) -> Void) {
    let workers = min(threads, count)
    if workers <= 1 || Region.isInside {
      for i in 0..<max(count, 0) { body(i) }
      return
    }
    let next = Atomic<Int>(0)
    withUnsafePointer(to: next) { next in
      nonisolated(unsafe) let next = next
      DispatchQueue.concurrentPerform(iterations: workers) { _ in
        Region.isInside = true
        defer { Region.isInside = false }
        while true {
          let i = next.pointee.wrappingAdd(1, ordering: .relaxed).oldValue
          guard i < count else { return }
          body(i)
        }
      }
    }
  }

  /// As `forEach`; when calls throw, no new ones start, and the error of the lowest index is thrown.
  public static func forEach(_ count: Int, _ body: @Sendable (Int) throws -> Void) throws {
    let failure = Mutex<(index: Int, error: any Error)?>(nil)
    forEach(count) { (i: Int) -> Void in
      // Lower indices than a failed one have all been started, so which error wins does not depend on timing.
      if failure.withLock({ $0.map { $0.index < i } ?? false }) { return }
      do {
        try body(i)
      } catch {
        failure.withLock { first in if i < first?.index ?? count { first = (i, error) } }
      }
    }
    if let first = failure.withLock({ $0 }) { throw first.error }
  }

  /// The results of `body(0)` … `body(count - 1)`, in that order.
  public static func map<Result: Sendable>(_ count: Int, _ body: @Sendable (Int) throws -> Result) throws -> [Result] {
    let results = Mutex<[Result?]>([Result?](repeating: nil, count: count))
    try forEach(count) { (i: Int) throws -> Void in
      let result = try body(i)
      results.withLock { $0[i] = result }
    }
    return results.withLock { $0.compactMap { $0 } }
  }

  /// `0..<count` cut into ranges of `size`, the last one shorter.
  public static func ranges(_ count: Int, of size: Int) -> [Range<Int>] {
    stride(from: 0, to: count, by: size).map { $0..<min($0 + size, count) }
  }
}

/// Whether the running thread is already a worker of a `forEach`.
private enum Region {
  static let key: pthread_key_t = {
    var key = pthread_key_t()
    precondition(pthread_key_create(&key, nil) == 0, "the system has no thread-specific keys left")
    return key
  }()

  static var isInside: Bool {
    get { pthread_getspecific(key) != nil }
    set { pthread_setspecific(key, newValue ? UnsafeRawPointer(bitPattern: 1) : nil) }
  }
}
