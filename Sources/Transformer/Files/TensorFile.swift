import Glibc

/// A file of tensors, mapped read-only: nothing is read until a tensor is asked for.
public final class TensorFile: Sendable {
  /// The name of the file, without its folder.
  public let file: String
  public let path: String
  public let tensors: [ByteString: TensorInfo]
  /// The texts under `__metadata__`. They come from the file and may be long: shorten before showing.
  public let metadata: [ByteString: ByteString]
  private let mapping: MappedFile

  /// Opens and checks a safetensors file; the data itself is not touched.
  ///
  /// - Throws: `SafetensorsError` for anything the format forbids.
  public init(safetensors path: String) throws {
    mapping = try MappedFile(path: path)
    self.path = path
    file = mapping.name
    if path.hasSuffix(".bin") || path.hasSuffix(".pt") || path.hasSuffix(".pth") {
      throw SafetensorsError.pickle(file: file)
    }
    let header = try SafetensorsHeader(mapping.slice(0..<mapping.count), file: file)
    tensors = header.tensors
    metadata = header.metadata
  }

  /// Tensors that another header describes.
  init(_ mapping: MappedFile, tensors: [ByteString: TensorInfo]) {
    self.mapping = mapping
    path = mapping.path
    file = mapping.name
    self.tensors = tensors
    metadata = [:]
  }

  /// Bytes of the whole file.
  public var size: Int { mapping.count }

  /// Names in byte order.
  public var names: [ByteString] { tensors.keys.sorted() }

  public func info(_ name: ByteString) throws -> TensorInfo {
    guard let info = tensors[name] else { throw SafetensorsError.noTensor(file: file, tensor: name) }
    return info
  }

  /// The bytes of a tensor as they lie in the file, valid during the call and without any alignment.
  public func withBytes<Result>(of name: ByteString, _ body: (UnsafeRawBufferPointer) throws -> Result) throws -> Result
  {
    try withExtendedLifetime(mapping) { try body(try mapping.slice(info(name).byteRange)) }
  }

  /// All numbers of a tensor, row by row.
  public func read(_ name: ByteString) throws -> [Float] {
    let info = try info(name)
    return try [Float](unsafeUninitializedCapacity: info.count) { buffer, initialized in
      try read(name, rows: 0..<info.rows, into: buffer)
      initialized = info.count
    }
  }

  /// Some rows of a tensor, converted to single precision.
  ///
  /// - Parameters:
  ///   - rows: positions on the first axis; a scalar has one row.
  ///   - destination: takes `rows.count` × `columns` numbers.
  public func read(_ name: ByteString, rows: Range<Int>, into destination: UnsafeMutableBufferPointer<Float>) throws {
    let info = try info(name)
    try requireComputable(name)
    if rows.lowerBound < 0 || rows.upperBound > info.rows {
      throw SafetensorsError.rows(file: file, tensor: name, asked: rows, rows: info.rows)
    }
    let needed = rows.count * info.columns
    if destination.count < needed {
      throw SafetensorsError.destination(file: file, tensor: name, room: destination.count, needed: needed)
    }
    if needed == 0 { return }
    func take(_ rows: Range<Int>, _ place: Range<Int>) throws {
      let start = info.byteRange.lowerBound + rows.lowerBound * info.rowBytes
      let source = try mapping.slice(start..<(start + rows.count * info.rowBytes))
      let part = UnsafeMutableBufferPointer(rebasing: destination[place])
      if let blocks = info.blocks {
        blocks.widen(source, into: part)
      } else {
        widen(source, from: info.type, into: part)
      }
    }
    try withExtendedLifetime(mapping) {
      guard let order = info.rowOrder else { return try take(rows, 0..<needed) }
      for (place, row) in rows.enumerated() {
        try take(order[row]..<order[row] + 1, place * info.columns..<(place + 1) * info.columns)
      }
    }
  }

  /// - Throws: `SafetensorsError.notComputable` when the numbers are of a type that is only listed.
  public func requireComputable(_ name: ByteString) throws {
    let type = try info(name).type
    if !type.isComputable { throw SafetensorsError.notComputable(file: file, tensor: name, type: type) }
  }

  /// The first infinity or NaN of a tensor, `nil` when every number is finite or the type is not a computable one.
  public func firstNonFinite(in name: ByteString) throws -> Int? {
    let info = try info(name)
    if !info.type.isComputable { return nil }
    return try withBytes(of: name) { bytes in
      if let blocks = info.blocks { return blocks.firstNonFinite(bytes) }
      return firstNonFiniteElement(bytes, info.type)
    }
  }

  /// - Throws: `SafetensorsError.nonFinite`, naming the tensor and the element, when a number is infinite or NaN.
  public func requireFinite(_ name: ByteString) throws {
    guard let first = try firstNonFinite(in: name) else { return }
    let info = try info(name)
    let stored = first / max(1, info.columns)
    let row = info.rowOrder?.firstIndex(of: stored) ?? stored
    let numbers = try [Float](unsafeUninitializedCapacity: info.columns) { buffer, initialized in
      try read(name, rows: row..<row + 1, into: buffer)
      initialized = info.columns
    }
    let column = numbers.firstIndex { !$0.isFinite } ?? 0
    let (value, index) = (numbers[column], row * info.columns + column)
    throw SafetensorsError.nonFinite(
      file: file, tensor: name, value: value.isNaN ? "NaN" : value > 0 ? "infinity" : "-infinity", index: index)
  }

  /// Asks the system to read a tensor ahead of its use.
  public func prefetch(_ name: ByteString) throws { mapping.advise(try info(name).byteRange, MADV_WILLNEED) }

  /// Lets the system take back the memory behind a tensor; it can still be read again.
  public func release(_ name: ByteString) throws { mapping.advise(try info(name).byteRange, MADV_DONTNEED) }
}
