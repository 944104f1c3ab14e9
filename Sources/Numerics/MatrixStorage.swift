import Glibc

/// The numbers behind one or more matrices, or behind a rounded one: a block of 64-byte aligned memory, freed with the last
/// window on it.
@usableFromInline
final class MatrixStorage<Element: BitwiseCopyable>: @unchecked Sendable {
  @usableFromInline let pointer: UnsafeMutablePointer<Element>

  /// Who frees the memory.
  private enum Ownership {
    case allocated
    case mapped(bytes: Int)
    case lent(by: AnyObject)
  }

  private let ownership: Ownership

  /// From this size on, memory comes straight from the system in huge pages: already zero, and seven times quicker to touch.
  private static var mappedFrom: Int { 32 << 20 }

  /// Room for `count` elements. Set to zero only if `zeroed`.
  @usableFromInline
  init(count: Int, zeroed: Bool) {
    let bytes = max(count * MemoryLayout<Element>.stride, 64)
    if bytes >= Self.mappedFrom {
      let address = mmap(nil, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0)
      guard let address, address != MAP_FAILED else { outOfMemory(bytes) }
      madvise(address, bytes, 14)  // MADV_HUGEPAGE, advice only: a refusal changes nothing but speed
      pointer = address.assumingMemoryBound(to: Element.self)
      ownership = .mapped(bytes: bytes)
    } else {
      var address: UnsafeMutableRawPointer?
      guard posix_memalign(&address, 64, bytes) == 0, let address else { outOfMemory(bytes) }
      if zeroed { memset(address, 0, bytes) }
      pointer = address.assumingMemoryBound(to: Element.self)
      ownership = .allocated
    }
  }

  /// Numbers that belong to `owner` (a mapped file, say), which is kept alive.
  @usableFromInline
  init(_ pointer: UnsafeMutablePointer<Element>, lentBy owner: AnyObject) {
    self.pointer = pointer
    ownership = .lent(by: owner)
  }

  deinit {
    switch ownership {
    case .allocated: free(pointer)
    case .mapped(let bytes): munmap(pointer, bytes)
    case .lent: break
    }
  }
}

/// There is nothing left to do without memory for the numbers: the same end as Swift's own collections.
private func outOfMemory(_ bytes: Int) -> Never {
  preconditionFailure("a matrix of \(bytes) bytes does not fit in memory")
}
