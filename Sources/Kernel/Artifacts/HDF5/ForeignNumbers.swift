import CHDF5

/// Numbers of an HDF5 file that any program may have written. A child process reads first, because the library can crash
/// on a file that is damaged.
package struct ForeignNumbers {
  private let path: String

  package init(path: String) { self.path = path }

  /// The paths of all datasets.
  /// - Throws: `Diagnostic` when it is no HDF5 file that the library can read.
  package func datasets() throws -> [String] {
    try foreign("path", "its datasets cannot be listed") { try survived { try $0.datasets() } }
  }

  /// A whole dataset of whole numbers, floating-point numbers or booleans, row-major.
  /// - Parameter argument: what named the dataset.
  /// - Throws: `Diagnostic` when there is none, or it holds anything else.
  package func numbers(_ dataset: String, argument: String = "path") throws -> (shape: [Int], values: [Double]) {
    try foreign(argument, "its dataset `\(dataset)` cannot be read") {
      try survived { try $0.foreignNumbers(dataset, argument) }
    }
  }

  /// What HDF5 has against a file that is not the store's is that file's fault.
  private func foreign<T>(_ argument: String, _ what: String, _ read: () throws -> T) throws -> T {
    do { return try read() } catch HDF5Failure.library(_, _, let reason) {
      throw Diagnostic("\(path): \(what): HDF5 says \"\(reason)\"", argument: argument)
    } catch let failure as HDF5Failure {
      throw Diagnostic("\(path): \(what): \(failure.diagnostic.summary)", argument: argument)
    }
  }

  private func survived<T>(_ read: @escaping (HDF5File) throws -> T) throws -> T {
    let outcome = try HDF5.inChild(seconds: 60) { [path] in
      let file = try HDF5File(opening: path)
      _ = try? read(file)
      return "survived"
    }
    guard outcome != nil else { throw Diagnostic("\(path) cannot be read as HDF5", argument: "path") }
    return try read(try HDF5File(opening: path))
  }
}

extension HDF5File {
  /// The most elements that are read: more than any model has structural units.
  private static let mostElements = 1 << 28

  fileprivate func foreignNumbers(_ dataset: String, _ argument: String) throws -> (shape: [Int], values: [Double]) {
    guard try has(dataset) else {
      throw Diagnostic("\(path) has no dataset `\(dataset)`", argument: argument)
    }
    let doing = "read `\(dataset)`"
    return try HDF5.locked {
      try HDF5.holding(H5Dopen2(id, dataset, h5Default), H5Dclose, path, doing) { open in
        let shape = try extent(of: open, doing)
        if shape.isEmpty {
          throw Diagnostic("`\(dataset)` of \(path) is no array: it has no axes", argument: argument)
        }
        var count = 1
        for length in shape {
          let (product, isTooMany) = count.multipliedReportingOverflow(by: length)
          guard !isTooMany, product <= HDF5File.mostElements else {
            throw Diagnostic("`\(dataset)` of \(path) has too many numbers for a model", argument: argument)
          }
          count = product
        }
        return try HDF5.holding(H5Dget_type(open), H5Tclose, path, doing) { type in
          switch H5Tget_class(type) {
          case H5T_INTEGER, H5T_FLOAT:
            var values = [Double](repeating: 0, count: count)
            try HDF5.check(H5Dread(open, h5Float64, h5All, h5All, h5Default, &values), path, doing)
            return (shape, values)
          case H5T_ENUM where H5Tget_size(type) == 1:
            // A boolean as h5py writes it.
            var values = [UInt8](repeating: 0, count: count)
            try HDF5.check(H5Dread(open, type, h5All, h5All, h5Default, &values), path, doing)
            return (shape, values.map(Double.init))
          default: throw Diagnostic("`\(dataset)` of \(path) does not hold numbers", argument: argument)
          }
        }
      }
    }
  }
}
