import Glibc

/// The numbers behind one or more matrices, or behind a rounded one: a block of 64-byte aligned memory, freed with the last
/// window on it.
@usableFromInline
final class MatrixStorage<Element: BitwiseCopyable>: @unchecked Sendable {
  @usableFromInline let pointer: UnsafeMutablePointer<Element>

  /// Who frees the memory.
  private enum Ownership {
    /// The block that the numbers are inside of.
    case allocated(UnsafeMutableRawPointer)
    case mapped(bytes: Int)
    case lent(by: AnyObject)
  }

  private let ownership: Ownership

  /// From this size on, memory comes straight from the system in huge pages: already zero, seven times quicker to touch, and
  /// given back at once. What an allocator keeps of freed matrices would be memory that nobody can foresee.
  private static var mappedFrom: Int { 8 << 20 }

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
      // Aligned here: what posix_memalign has given and got back, glibc before 2.38 does not find for the next request of
      // the same size, and the heap grows without end.
      guard let block = zeroed ? calloc(bytes + 63, 1) : malloc(bytes + 63) else { outOfMemory(bytes) }
      pointer = block.alignedUp(toMultipleOf: 64).assumingMemoryBound(to: Element.self)
      ownership = .allocated(block)
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
    case .allocated(let block): free(block)
    case .mapped(let bytes): munmap(pointer, bytes)
    case .lent: break
    }
  }
}

/// There is nothing left to do without memory for the numbers: the same end as Swift's own collections.
private func outOfMemory(_ bytes: Int) -> Never {
  preconditionFailure("a matrix of \(bytes) bytes does not fit in memory")
}
