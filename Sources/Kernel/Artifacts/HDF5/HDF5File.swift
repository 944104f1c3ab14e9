import CHDF5
import Foundation

/// An HDF5 file, and the only caller of the HDF5 library.
///
///     let file = try HDF5File(creating: path)
///     try file.write("z", bytes, type: .float32, shape: [64, 512])
///     try file.close()
///
/// What is written depends on nothing but the calls: no times are recorded, so equal calls give equal bytes.
/// Files open in any HDF5 from 1.8 on. No locks are taken: an object never changes once it has its name.
package final class HDF5File: @unchecked Sendable {
  // Sendable: `id` changes only in `close`, and everything that uses it runs inside `HDF5.locked`.
  package let path: String
  private(set) var id: hid_t
  /// Whether closing sets the seal.
  private let isNew: Bool

  /// Makes a new file.
  /// - Throws: `HDF5Failure` when it exists already or cannot be written.
  package init(creating path: String) throws {
    self.path = path
    isNew = true
    id = try HDF5.locked {
      try HDF5File.access(path) { access in
        try HDF5.holding(H5Pcreate(h5FileCreate), H5Pclose, path, "set up the file") { creation in
          try HDF5.check(H5Pset_obj_track_times(creation, false), path, "set up the file")
          try HDF5.check(H5Pset_userblock(creation, hsize_t(Seal.size)), path, "set up the file")
          let id = H5Fcreate(path, h5AccExcl, creation, access)
          try HDF5.check(id, path, "make the file")
          return id
        }
      }
    }
  }

  /// Opens a finished file for reading.
  /// - Throws: `FileFailure` when the system does not give it; `HDF5Failure` when it is not the file that was written.
  package convenience init(reading path: String) throws {
    try Seal.check(path)
    try self.init(opening: path)
  }

  /// Opens a file for reading without looking at its seal.
  init(opening path: String) throws {
    self.path = path
    isNew = false
    id = try HDF5.locked {
      try HDF5File.access(path) { access in
        let id = H5Fopen(path, h5AccReadOnly, access)
        try HDF5.check(id, path, "open the file")
        return id
      }
    }
  }

  deinit { try? close() }

  /// Writes what is pending, closes, and seals a new file. Closing twice is harmless.
  package func close() throws {
    try HDF5.locked {
      guard id >= 0 else { return }
      defer { id = -1 }
      try HDF5.check(H5Fclose(id), path, "close the file")
      if isNew { try Seal.set(path) }
    }
  }

  private static func access<T>(_ path: String, _ body: (hid_t) throws -> T) throws -> T {
    try HDF5.holding(H5Pcreate(h5FileAccess), H5Pclose, path, "set up the file") { access in
      let settings = [
        H5Pset_libver_bounds(access, H5F_LIBVER_EARLIEST, H5F_LIBVER_V18),
        H5Pset_file_locking(access, false, true),
        H5Pset_fclose_degree(access, H5F_CLOSE_STRONG),
        // Four chunks, so that reading rows across a chunk border reads each chunk once.
        H5Pset_cache(access, 0, 521, 4 << 20, 0.75),
      ]
      for status in settings { try HDF5.check(status, path, "set up the file") }
      return try body(access)
    }
  }

  /// Makes a group and those above it, where missing.
  package func makeGroup(_ group: String) throws {
    var built = ""
    for part in group.split(separator: "/") {
      built += built.isEmpty ? String(part) : "/" + part
      if try has(built) { continue }
      try HDF5.locked {
        try HDF5.holding(H5Pcreate(h5GroupCreate), H5Pclose, path, "set up a group") { creation in
          try HDF5.check(H5Pset_obj_track_times(creation, false), path, "set up a group")
          try HDF5.holding(
            H5Gcreate2(id, built, h5Default, creation, h5Default), H5Gclose, path, "make the group `\(built)`"
          ) { _ in }
        }
      }
    }
  }

  /// Whether a group or dataset of this name exists.
  package func has(_ object: String) throws -> Bool {
    try HDF5.locked {
      var built = ""
      for part in object.split(separator: "/") {
        built += built.isEmpty ? String(part) : "/" + part
        let exists = H5Lexists(id, built, h5Default)
        try HDF5.check(exists, path, "look for `\(object)`")
        if exists == 0 { return false }
      }
      return true
    }
  }

  /// A name inside a group, and whether it is a group itself.
  package struct Member: Equatable {
    package let name: String
    package let isGroup: Bool
  }

  /// What a group holds itself, by name; links to other files do not count. The root is "".
  package func members(of group: String) throws -> [Member] {
    try HDF5.locked {
      let name = group.isEmpty ? "/" : group
      return try HDF5.holding(H5Gopen2(id, name, h5Default), H5Gclose, path, "read the group `\(name)`") { open in
        var info = H5G_info_t()
        try HDF5.check(H5Gget_info(open, &info), path, "read the group `\(name)`")
        return try (0..<info.nlinks).compactMap { index in
          var link = H5L_info_t()
          try HDF5.check(
            H5Lget_info_by_idx(open, ".", H5_INDEX_NAME, H5_ITER_INC, index, &link, h5Default), path,
            "list the group `\(name)`")
          guard link.type == H5L_TYPE_HARD else { return nil }
          let length = H5Lget_name_by_idx(open, ".", H5_INDEX_NAME, H5_ITER_INC, index, nil, 0, h5Default)
          try HDF5.check(length, path, "list the group `\(name)`")
          var bytes = [CChar](repeating: 0, count: length + 1)
          H5Lget_name_by_idx(open, ".", H5_INDEX_NAME, H5_ITER_INC, index, &bytes, bytes.count, h5Default)
          let member = String(decoding: bytes.dropLast().map { UInt8(bitPattern: $0) }, as: UTF8.self)
          let doing = "read `\(member)`"
          let isGroup = try HDF5.holding(H5Oopen(open, member, h5Default), H5Oclose, path, doing) {
            H5Iget_type($0) == H5I_GROUP
          }
          return Member(name: member, isGroup: isGroup)
        }
      }
    }
  }

  /// The paths of all datasets below a group.
  package func datasets(below group: String = "") throws -> [String] {
    try members(of: group).flatMap { member in
      let inside = group.isEmpty ? member.name : group + "/" + member.name
      return member.isGroup ? try datasets(below: inside) : [inside]
    }
  }

  /// A link to an object of another file, for people who browse; nothing reads it.
  package func link(_ name: String, toRootOf file: String) throws {
    try HDF5.locked {
      try HDF5.check(H5Lcreate_external(file, "/", id, name, h5Default, h5Default), path, "link `\(name)`")
    }
  }
}
