import Glibc
import Numerics

/// Numbers that live in a file instead of in memory. The file has no name any more once it is open, so it goes with the
/// process, however that ends.
final class SpillFile {
  private let address: UnsafeMutableRawPointer
  private let bytes: Int

  /// Zeros.
  ///
  /// - Throws: `ModelError.file` when the folder cannot be written or has too little room.
  static func matrix(rows: Int, columns: Int, in folder: String) throws -> Matrix<Float> {
    let file = try SpillFile(bytes: max(rows * columns * MemoryLayout<Float>.stride, 1), folder: folder)
    return Matrix(
      borrowing: file.address.assumingMemoryBound(to: Float.self), rows: rows, columns: columns, from: file)
  }

  private init(bytes: Int, folder: String) throws {
    var template = Array((folder + "/prn-states-XXXXXX").utf8CString)
    let descriptor = mkstemp(&template)
    guard descriptor >= 0 else { throw Self.failure(folder, errno) }
    defer { close(descriptor) }
    unlink(template)
    // Room is reserved now: a full disk is an error here, not a bus error at some later write.
    let reserved = posix_fallocate(descriptor, 0, bytes)
    guard reserved == 0 else { throw Self.failure(folder, reserved) }
    let mapped = mmap(nil, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, descriptor, 0)
    guard let mapped, mapped != MAP_FAILED else { throw Self.failure(folder, errno) }
    address = mapped
    self.bytes = bytes
  }

  deinit { munmap(address, bytes) }

  private static func failure(_ folder: String, _ code: Int32) -> ModelError {
    .file(path: folder, reason: "takes no temporary file for the hidden states: \(String(cString: strerror(code)))")
  }
}
