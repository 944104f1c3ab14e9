import CHDF5
import Foundation

// How a JSON value looks as an attribute, so that it is natural in h5py and h5dump and still reads back as it was:
//
//     text                    variable-length UTF-8       true, false    u8
//     whole number            i64                         list of one of these kinds: one axis
//     number                  f64                         anything else: its JSON text, marked by the ASCII character set

extension HDF5File {
  /// Writes an attribute of a group or dataset; "" is the root.
  package func setAttribute(_ name: String, _ value: JSONValue, of object: String = "") throws {
    let size = value.canonical.utf8.count
    guard size <= HDF5Failure.longestAttribute else {
      throw HDF5Failure.attributeTooLong(name: name, bytes: size)
    }
    switch value {
    case .string(let text): try setText(name, [text], shape: [], of: object)
    case .bool(let flag): try setNumbers(name, [UInt8(flag ? 1 : 0)], shape: [], of: object)
    case .integer(let number): try setNumbers(name, [Int64(number)], shape: [], of: object)
    case .number(let number): try setNumbers(name, [number], shape: [], of: object)
    case .array(let items) where !items.isEmpty:
      let texts = items.compactMap(\.stringValue)
      let integers = items.compactMap { item -> Int64? in
        if case .integer(let value) = item { Int64(value) } else { nil }
      }
      let numbers = items.compactMap { item -> Double? in if case .number(let value) = item { value } else { nil } }
      if texts.count == items.count {
        try setText(name, texts, shape: [items.count], of: object)
      } else if integers.count == items.count {
        try setNumbers(name, integers, shape: [items.count], of: object)
      } else if numbers.count == items.count {
        try setNumbers(name, numbers, shape: [items.count], of: object)
      } else {
        try setText(name, [value.canonical], shape: [], set: H5T_CSET_ASCII, of: object)
      }
    case .null, .array, .object: try setText(name, [value.canonical], shape: [], set: H5T_CSET_ASCII, of: object)
    }
  }

  /// Reads an attribute that `setAttribute` wrote.
  package func attribute(_ name: String, of object: String = "") throws -> JSONValue {
    let doing = "read the attribute `\(name)`"
    return try HDF5.locked {
      try withObject(object, doing) { open in
        let exists = H5Aexists(open, name)
        try HDF5.check(exists, path, doing)
        if exists == 0 { throw HDF5Failure.missingAttribute(name: name, path: path) }
        return try HDF5.holding(H5Aopen(open, name, h5Default), H5Aclose, path, doing) { attribute in
          try HDF5.holding(H5Aget_type(attribute), H5Tclose, path, doing) { type in
            try value(of: attribute, type: type, doing)
          }
        }
      }
    }
  }

  private func value(of attribute: hid_t, type: hid_t, _ doing: String) throws -> JSONValue {
    let (count, isScalar) = try HDF5.holding(H5Aget_space(attribute), H5Sclose, path, doing) { space in
      (Int(H5Sget_simple_extent_npoints(space)), H5Sget_simple_extent_ndims(space) == 0)
    }
    func wrapped(_ items: [JSONValue]) -> JSONValue { isScalar ? items.first ?? .null : .array(items) }
    func numbers<E: ArtifactElement>(_ zero: E) throws -> [E] {
      var values = [E](repeating: zero, count: count)
      try HDF5.check(H5Aread(attribute, type, &values), path, doing)
      return values
    }
    if H5Tequal(type, h5UInt8) > 0 { return wrapped(try numbers(UInt8(0)).map { .bool($0 != 0) }) }
    if H5Tequal(type, h5Int64) > 0 { return wrapped(try numbers(Int64(0)).map { .integer(Int($0)) }) }
    if H5Tequal(type, h5Float64) > 0 { return wrapped(try numbers(Double(0)).map { .number($0) }) }
    guard H5Tget_class(type) == H5T_STRING, H5Tis_variable_str(type) > 0 else {
      throw HDF5Failure.wrongType(dataset: doing, stored: "an unknown type", wanted: "a number or text")
    }
    var pointers = [UnsafeMutablePointer<CChar>?](repeating: nil, count: count)
    try HDF5.check(H5Aread(attribute, type, &pointers), path, doing)
    defer { for pointer in pointers { H5free_memory(pointer) } }
    let texts = pointers.map { $0.map { String(cString: $0) } ?? "" }
    if H5Tget_cset(type) == H5T_CSET_ASCII, let text = texts.first, let value = try? JSONValue(parsing: text) {
      return value
    }
    return wrapped(texts.map { .string($0) })
  }

  private func setNumbers<E: ArtifactElement>(_ name: String, _ values: [E], shape: [Int], of object: String) throws {
    guard let type = StoredType(of: E.self).numeric else { return }
    try create(name, type: type, shape: shape, of: object) { attribute in H5Awrite(attribute, type, values) }
  }

  private func setText(
    _ name: String, _ texts: [String], shape: [Int], set: H5T_cset_t = H5T_CSET_UTF8, of object: String
  ) throws {
    let doing = "write the attribute `\(name)`"
    try HDF5.locked {
      try HDF5.holding(H5Tcopy(h5CString), H5Tclose, path, doing) { type in
        try HDF5.check(H5Tset_size(type, h5Variable), path, doing)
        try HDF5.check(H5Tset_cset(type, set), path, doing)
        let copies = texts.map { strdup($0) }
        defer { for copy in copies { free(copy) } }
        try create(name, type: type, shape: shape, of: object) { attribute in
          let pointers = copies.map { UnsafePointer($0) }
          return H5Awrite(attribute, type, pointers)
        }
      }
    }
  }

  private func create(
    _ name: String, type: hid_t, shape: [Int], of object: String, _ write: (hid_t) -> herr_t
  ) throws {
    let doing = "write the attribute `\(name)`"
    try HDF5.locked {
      try withObject(object, doing) { open in
        if H5Aexists(open, name) > 0 { try HDF5.check(H5Adelete(open, name), path, doing) }
        try withSpace(shape, doing) { space in
          try HDF5.holding(H5Acreate2(open, name, type, space, h5Default, h5Default), H5Aclose, path, doing) {
            try HDF5.check(write($0), path, doing)
          }
        }
      }
    }
  }

  private func withObject<T>(_ object: String, _ doing: String, _ body: (hid_t) throws -> T) throws -> T {
    if !object.isEmpty, try !has(object) { throw HDF5Failure.missing(dataset: object, path: path) }
    return try HDF5.holding(H5Oopen(id, object.isEmpty ? "/" : object, h5Default), H5Oclose, path, doing, body)
  }
}
