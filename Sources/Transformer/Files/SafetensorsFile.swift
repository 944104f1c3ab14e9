import Glibc

/// A file mapped read-only. The mapping lives as long as the object.
final class MappedFile: @unchecked Sendable {
  // Sendable: every stored property is constant and the mapped pages are never written.
  let name: String
  let path: String
  let count: Int
  private let base: UnsafeMutableRawPointer?
  private let descriptor: Int32
  private let modified: timespec

  init(path: String) throws {
    self.path = path
    name = path.split(separator: "/").last.map(String.init) ?? path
    let file = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK)
    if file < 0 { throw SafetensorsError.system(file: name, action: "opened", reason: systemMessage()) }
    var status = stat()
    if fstat(file, &status) != 0 || status.st_mode & S_IFMT != S_IFREG {
      close(file)
      throw SafetensorsError.notAFile(file: name)
    }
    count = Int(status.st_size)
    modified = status.st_mtim
    descriptor = file
    if count == 0 {
      base = nil
      return
    }
    let mapped = mmap(nil, count, PROT_READ, MAP_PRIVATE, file, 0)
    if mapped == MAP_FAILED {
      let reason = systemMessage()
      close(file)
      throw SafetensorsError.system(file: name, action: "mapped", reason: reason)
    }
    base = mapped
  }

  deinit {
    if let base { munmap(base, count) }
    close(descriptor)
  }

  /// The bytes of a range. A file that shrank would end the process with SIGBUS on the next touch, so the size and
  /// time of the file are compared first.
  func slice(_ range: Range<Int>) throws -> UnsafeRawBufferPointer {
    var status = stat()
    guard fstat(descriptor, &status) == 0, Int(status.st_size) == count,
      status.st_mtim.tv_sec == modified.tv_sec, status.st_mtim.tv_nsec == modified.tv_nsec,
      range.lowerBound >= 0, range.upperBound <= count
    else { throw SafetensorsError.changed(file: name) }
    guard let base else { return UnsafeRawBufferPointer(start: nil, count: 0) }
    return UnsafeRawBufferPointer(start: base + range.lowerBound, count: range.count)
  }

  /// Tells the system what becomes of the pages of a range; only whole pages inside it are dropped.
  func advise(_ range: Range<Int>, _ advice: Int32) {
    guard let base else { return }
    let page = 4096
    let isDropping = advice == MADV_DONTNEED
    let first = isDropping ? (range.lowerBound + page - 1) / page * page : range.lowerBound / page * page
    let last = isDropping && range.upperBound != count ? range.upperBound / page * page : range.upperBound
    if last > first { madvise(base + first, last - first, advice) }
  }
}

/// The system's words for the last error.
func systemMessage() -> String { String(cString: strerror(errno)) }
