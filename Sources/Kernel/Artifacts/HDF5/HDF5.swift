import CHDF5
import Foundation

/// The door to the HDF5 library.
///
/// The library keeps its error stack, and the switch that prints it, per thread, and not every build of it may be
/// called from two threads. So every call is made inside `locked`: one at a time, silent, on whatever thread asks.
enum HDF5 {
  // Unsafe: replaced only in a child process, which has one thread.
  private nonisolated(unsafe) static var lock = NSRecursiveLock()

  /// Without the exit handler a file that could not be closed for want of space says nothing more at exit.
  private static let isStarted: Bool = H5dont_atexit() >= 0 && H5open() >= 0

  static func locked<T>(_ body: () throws -> T) throws -> T {
    lock.lock()
    defer { lock.unlock() }
    guard isStarted else { throw Diagnostic("the HDF5 library could not be started") }
    H5Eset_auto2(h5ErrorDefault, nil, nil)
    return try body()
  }

  /// Runs `body` in a child process, for a file on which the library may crash.
  ///
  /// A child has the locks of its parent as they were. Where another thread held one of the runtime's just then, the child
  /// waits for it for ever; so a child that does not come back in time gets a second try.
  /// - Returns: what it returned; nil when it threw, crashed, or did not come back in time.
  static func inChild(seconds: UInt32, _ body: @escaping () throws -> String) throws -> String? {
    final class Work {
      let body: () throws -> String
      init(_ body: @escaping () throws -> String) { self.body = body }
    }
    let work = Work(body)
    defer { withExtendedLifetime(work) {} }
    for _ in 0..<2 {
      var (text, isLate) = ([UInt8](repeating: 0, count: 256), false)
      // The child has every open file of this process too: until it is gone no other thread opens one.
      let count = try locked {
        prn_in_child(
          { context, out in
            guard let context else { return }
            // The one held here belongs to a thread of the parent.
            HDF5.lock = NSRecursiveLock()
            guard let text = try? Unmanaged<Work>.fromOpaque(context).takeUnretainedValue().body() else { return }
            _ = Array(text.utf8).withUnsafeBytes { write(out, $0.baseAddress, $0.count) }
          }, Unmanaged.passUnretained(work).toOpaque(), seconds, &text, text.count, &isLate)
      }
      if !isLate { return count > 0 ? String(decoding: text[..<count], as: UTF8.self) : nil }
    }
    return nil
  }

  /// Runs `body` with an identifier and closes it afterwards; a close that fails is a failure too, because it is
  /// then that cached chunks are written.
  static func holding<T>(
    _ id: hid_t, _ close: (hid_t) -> herr_t, _ path: String, _ doing: @autoclosure () -> String,
    _ body: (hid_t) throws -> T
  ) throws -> T {
    guard id >= 0 else { throw failure(path, doing()) }
    let result: T
    do { result = try body(id) } catch {
      _ = close(id)
      throw error
    }
    guard close(id) >= 0 else { throw failure(path, doing()) }
    return result
  }

  static func check(_ status: some SignedInteger, _ path: String, _ doing: @autoclosure () -> String) throws {
    if status < 0 { throw failure(path, doing()) }
  }

  /// The failure the error stack of this thread describes.
  static func failure(_ path: String, _ doing: @autoclosure () -> String) -> HDF5Failure {
    var innermost = [String]()
    withUnsafeMutablePointer(to: &innermost) { collected in
      _ = H5Ewalk2(
        h5ErrorDefault, H5E_WALK_UPWARD,
        { _, entry, client in
          if let text = entry?.pointee.desc {
            client?.assumingMemoryBound(to: [String].self).pointee.append(String(cString: text))
          }
          return 0
        }, collected)
    }
    H5Eclear2(h5ErrorDefault)
    let reason = innermost.first ?? "no reason given"
    // HDF5 passes errno on only inside its text.
    for code in [ENOSPC, EDQUOT, EFBIG, EMFILE, ENFILE, EIO, ENOMEM]
    where innermost.contains(where: { $0.contains("errno = \(code),") }) {
      return .system(FileFailure(code, doing(), path))
    }
    return .library(doing: doing(), path: path, reason: String(reason.prefix(200)))
  }
}

/// Why an HDF5 file could not be written or read.
enum HDF5Failure: Explained, Equatable {
  case library(doing: String, path: String, reason: String)
  /// The system refused, whatever the library makes of it.
  case system(FileFailure)
  /// The bytes are not those that were written; with the schema the file says it has, if it still says so.
  case broken(path: String, schema: String?)
  /// Another program has changed it and has not closed it yet.
  case held(path: String)
  case missing(dataset: String, path: String)
  case wrongType(dataset: String, stored: String, wanted: String)
  case wrongCount(dataset: String, stored: Int, wanted: Int)
  case rowsOutside(dataset: String, rows: Range<Int>, count: Int)
  case attributeTooLong(name: String, bytes: Int)
  case missingAttribute(name: String, path: String)
  case zeroByte(dataset: String)

  /// The longest attribute that every HDF5 tool shows without trouble.
  static let longestAttribute = 4096

  var diagnostic: Diagnostic {
    switch self {
    case .library(let doing, let path, let reason):
      Diagnostic("could not \(doing) in \(path): HDF5 says \"\(reason)\"", kind: .store)
    case .system(let failure): failure.diagnostic
    case .broken: Diagnostic("its bytes are not those that were written", kind: .store)
    case .held(let path):
      Diagnostic(
        "\(path) was changed by another program, which has not closed it",
        hint: "close it there; if that program was killed, remove the file, and its step makes it again", kind: .store)
    case .missing(let dataset, let path): Diagnostic("there is no `\(dataset)` in \(path)", kind: .store)
    case .wrongType(let dataset, let stored, let wanted):
      Diagnostic("`\(dataset)` holds \(stored), not \(wanted)", kind: .store)
    case .wrongCount(let dataset, let stored, let wanted):
      Diagnostic("`\(dataset)` holds \(stored) values, not \(wanted)", kind: .store)
    case .rowsOutside(let dataset, let rows, let count):
      Diagnostic(
        "rows \(rows.lowerBound)..<\(rows.upperBound) of `\(dataset)` were wanted; it has \(count)", kind: .store)
    case .attributeTooLong(let name, let bytes):
      Diagnostic("the attribute `\(name)` takes \(bytes) bytes; at most \(HDF5Failure.longestAttribute) fit")
    case .missingAttribute(let name, let path): Diagnostic("there is no attribute `\(name)` in \(path)", kind: .store)
    case .zeroByte(let dataset): Diagnostic("a text in `\(dataset)` ends with a zero byte, which HDF5 cannot keep")
    }
  }
}
