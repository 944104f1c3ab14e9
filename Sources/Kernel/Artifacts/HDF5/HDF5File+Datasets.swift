import CHDF5
import Foundation

/// What a dataset is, without its values.
package struct DatasetShape: Equatable {
  package let type: StoredType
  /// Bytes of one element, the width of a string included.
  package let elementSize: Int
  package let shape: [Int]
  package var count: Int { shape.reduce(1, *) }
}

extension HDF5File {
  /// Writes a whole dataset, row-major. `width` is the number of bytes of each string.
  ///
  /// Datasets are chunked and every chunk carries a checksum, so that a damaged chunk is refused, not read.
  package func write(
    _ dataset: String, _ bytes: UnsafeRawBufferPointer, type: StoredType, width: Int = 1, shape: [Int],
    compression: Compression = .auto
  ) throws {
    if let slash = dataset.lastIndex(of: "/") { try makeGroup(String(dataset[..<slash])) }
    let elementSize = type.size * width
    precondition(bytes.count == shape.reduce(elementSize, *), "the bytes of a dataset fill its shape")
    let chunk = chunkShape(shape, elementSize: elementSize)
    let compressed = try isCompressed(bytes, type: type, elementSize: elementSize, chunk: chunk, compression)
    let doing = "write `\(dataset)`"
    try HDF5.locked {
      try withType(type, width: width, doing) { typeID in
        try withSpace(shape, doing) { space in
          try HDF5.holding(H5Pcreate(h5DatasetCreate), H5Pclose, path, doing) { creation in
            try HDF5.check(H5Pset_obj_track_times(creation, false), path, doing)
            try setFilters(creation, chunk: chunk, compressed: compressed, elementSize: elementSize, doing)
            try HDF5.holding(
              H5Dcreate2(id, dataset, typeID, space, h5Default, creation, h5Default), H5Dclose, path, doing
            ) { open in
              guard !bytes.isEmpty else { return }
              try HDF5.check(H5Dwrite(open, typeID, h5All, h5All, h5Default, bytes.baseAddress), path, doing)
            }
          }
        }
      }
    }
  }

  private func setFilters(_ creation: hid_t, chunk: [Int], compressed: Bool, elementSize: Int, _ doing: String) throws {
    guard !chunk.isEmpty else { return }
    let extent = chunk.map { hsize_t($0) }
    try HDF5.check(H5Pset_chunk(creation, Int32(extent.count), extent), path, doing)
    if compressed {
      if elementSize > 1 { try HDF5.check(H5Pset_shuffle(creation), path, doing) }
      try HDF5.check(H5Pset_deflate(creation, 1), path, doing)
    }
    // Last, so that the checksum guards the stored bytes and a damaged chunk never reaches the decompressor.
    try HDF5.check(H5Pset_fletcher32(creation), path, doing)
  }

  private func isCompressed(
    _ bytes: UnsafeRawBufferPointer, type: StoredType, elementSize: Int, chunk: [Int], _ compression: Compression
  ) throws -> Bool {
    // Below a disk block there is nothing to gain.
    guard !chunk.isEmpty, bytes.count >= 4096 else { return false }
    switch compression {
    case .none: return false
    case .gzip: return true
    case .auto:
      guard type.isFloatingPoint else { return true }
      let sample = UnsafeRawBufferPointer(rebasing: bytes[..<min(bytes.count, chunk.reduce(elementSize, *))])
      return Double(try compressedSize(sample, elementSize: elementSize)) < 0.7 * Double(sample.count)
    }
  }

  /// Bytes that `sample` takes as one compressed chunk, found by writing it to a file in memory.
  private func compressedSize(_ sample: UnsafeRawBufferPointer, elementSize: Int) throws -> Int {
    let doing = "try compression"
    return try HDF5.locked {
      try HDF5.holding(H5Pcreate(h5FileAccess), H5Pclose, path, doing) { access in
        try HDF5.check(H5Pset_fapl_core(access, 1 << 20, false), path, doing)
        return try HDF5.holding(H5Fcreate("sample", h5AccTrunc, h5Default, access), H5Fclose, path, doing) { memory in
          let type: StoredType = elementSize == 8 ? .int64 : .int32
          let shape = [sample.count / elementSize]
          return try withSpace(shape, doing) { space in
            try HDF5.holding(H5Pcreate(h5DatasetCreate), H5Pclose, path, doing) { creation in
              try setFilters(creation, chunk: shape, compressed: true, elementSize: elementSize, doing)
              let typeID = type.numeric ?? h5UInt8
              return try HDF5.holding(
                H5Dcreate2(memory, "sample", typeID, space, h5Default, creation, h5Default), H5Dclose, path, doing
              ) { open in
                try HDF5.check(H5Dwrite(open, typeID, h5All, h5All, h5Default, sample.baseAddress), path, doing)
                try HDF5.check(H5Dflush(open), path, doing)
                return Int(H5Dget_storage_size(open))
              }
            }
          }
        }
      }
    }
  }

  /// Type and shape of a dataset.
  package func describe(_ dataset: String) throws -> DatasetShape {
    guard try has(dataset) else { throw HDF5Failure.missing(dataset: dataset, path: path) }
    let doing = "read `\(dataset)`"
    return try HDF5.locked {
      try HDF5.holding(H5Dopen2(id, dataset, h5Default), H5Dclose, path, doing) { open in
        try describe(open, dataset, doing)
      }
    }
  }

  /// Reads a whole dataset, or the rows `rows` of its first axis, into `destination`.
  package func read(
    _ dataset: String, type: StoredType, rows: Range<Int>? = nil, into destination: UnsafeMutableRawBufferPointer
  ) throws {
    guard try has(dataset) else { throw HDF5Failure.missing(dataset: dataset, path: path) }
    let doing = "read `\(dataset)`"
    try HDF5.locked {
      try HDF5.holding(H5Dopen2(id, dataset, h5Default), H5Dclose, path, doing) { open in
        let described = try describe(open, dataset, doing)
        guard described.type == type else {
          throw HDF5Failure.wrongType(dataset: dataset, stored: described.type.rawValue, wanted: type.rawValue)
        }
        var shape = described.shape
        if let rows {
          guard let count = shape.first, rows.lowerBound >= 0, rows.upperBound <= count else {
            throw HDF5Failure.rowsOutside(dataset: dataset, rows: rows, count: shape.first ?? 0)
          }
          shape[0] = rows.count
        }
        let wanted = shape.reduce(described.elementSize, *)
        guard destination.count == wanted else {
          throw HDF5Failure.wrongCount(
            dataset: dataset, stored: wanted / described.elementSize, wanted: destination.count / described.elementSize)
        }
        guard wanted > 0 else { return }
        let width = type == .string ? described.elementSize : 1
        try withType(type, width: width, doing) { typeID in
          guard let rows else {
            try HDF5.check(H5Dread(open, typeID, h5All, h5All, h5Default, destination.baseAddress), path, doing)
            return
          }
          try withSpace(shape, doing) { memory in
            try HDF5.holding(H5Dget_space(open), H5Sclose, path, doing) { file in
              var start = [hsize_t](repeating: 0, count: shape.count)
              start[0] = hsize_t(rows.lowerBound)
              let extent = shape.map { hsize_t($0) }
              try HDF5.check(H5Sselect_hyperslab(file, H5S_SELECT_SET, start, nil, extent, nil), path, doing)
              try HDF5.check(H5Dread(open, typeID, memory, file, h5Default, destination.baseAddress), path, doing)
            }
          }
        }
      }
    }
  }

  /// The shape of an open dataset.
  func extent(of open: hid_t, _ doing: String) throws -> [Int] {
    try HDF5.holding(H5Dget_space(open), H5Sclose, path, doing) { space in
      let rank = H5Sget_simple_extent_ndims(space)
      try HDF5.check(rank, path, doing)
      var extent = [hsize_t](repeating: 0, count: Int(rank))
      try HDF5.check(H5Sget_simple_extent_dims(space, &extent, nil), path, doing)
      return extent.map { Int(clamping: $0) }
    }
  }

  private func describe(_ open: hid_t, _ dataset: String, _ doing: String) throws -> DatasetShape {
    let shape = try extent(of: open, doing)
    return try HDF5.holding(H5Dget_type(open), H5Tclose, path, doing) { typeID in
      let size = H5Tget_size(typeID)
      if H5Tget_class(typeID) == H5T_STRING, H5Tis_variable_str(typeID) == 0 {
        return DatasetShape(type: .string, elementSize: size, shape: shape)
      }
      for type in [StoredType.float32, .float64, .int32, .int64, .uint8] {
        if let numeric = type.numeric, H5Tequal(typeID, numeric) > 0 {
          return DatasetShape(type: type, elementSize: size, shape: shape)
        }
      }
      throw HDF5Failure.wrongType(dataset: dataset, stored: "an unknown type", wanted: "numbers or text")
    }
  }

  func withSpace<T>(_ shape: [Int], _ doing: String, _ body: (hid_t) throws -> T) throws -> T {
    let extent = shape.map { hsize_t($0) }
    let space = shape.isEmpty ? H5Screate(H5S_SCALAR) : H5Screate_simple(Int32(extent.count), extent, nil)
    return try HDF5.holding(space, H5Sclose, path, doing, body)
  }

  /// The type of numbers, or of UTF-8 texts of `width` bytes filled up with zeros.
  private func withType<T>(_ type: StoredType, width: Int, _ doing: String, _ body: (hid_t) throws -> T) throws -> T {
    if let numeric = type.numeric { return try body(numeric) }
    return try HDF5.holding(H5Tcopy(h5CString), H5Tclose, path, doing) { text in
      try HDF5.check(H5Tset_size(text, width), path, doing)
      try HDF5.check(H5Tset_strpad(text, H5T_STR_NULLPAD), path, doing)
      try HDF5.check(H5Tset_cset(text, H5T_CSET_UTF8), path, doing)
      return try body(text)
    }
  }
}
