import Foundation
import Kernel

/// An array as `numpy.save` writes it, with every number as a double.
struct NumPyArray {
  let shape: [Int]
  /// Row-major.
  let values: [Double]

  static let signature: [UInt8] = [0x93] + Array("NUMPY".utf8)

  /// - Parameter name: what messages call the file.
  /// - Throws: a sentence naming what is wrong: a header that is cut off, a type that is no number, missing bytes.
  init(_ bytes: [UInt8], name: String) throws {
    func broken(_ what: String) -> Diagnostic { Diagnostic("\(name) \(what)", argument: "path") }
    // Version 1.0 has a header length of two bytes, later ones of four.
    guard bytes.starts(with: NumPyArray.signature), bytes.count > 12 else {
      throw broken("is no whole NumPy file")
    }
    let lengthBytes = bytes[6] == 1 ? 2 : 4
    let headerStart = 8 + lengthBytes
    let headerLength = bytes[8..<headerStart].reversed().reduce(0) { $0 << 8 | Int($1) }
    guard headerLength <= bytes.count - headerStart else { throw broken("is no whole NumPy file") }
    let header = String(decoding: bytes[headerStart..<(headerStart + headerLength)], as: UTF8.self)
    guard let type = header.firstMatch(of: #/'descr':\s*'([<>|=]?)([a-zA-Z])(\d+)'/#),
      let order = header.firstMatch(of: #/'fortran_order':\s*(True|False)/#),
      let extent = header.firstMatch(of: #/'shape':\s*\(([\d,\s]*)\)/#)
    else { throw broken("has a NumPy header that holds no plain array of numbers") }
    let shape = extent.1.split(separator: ",").compactMap { Int($0.trimmingCharacters(in: .whitespaces)) }
    guard type.1 != ">", let size = Int(type.3), let read = NumPyArray.reader(type.2, size) else {
      throw broken("holds `\(type.1)\(type.2)\(type.3)`, which is no little-endian number")
    }
    let data = bytes[(headerStart + headerLength)...]
    var count = 1
    for length in shape {
      let (product, isTooMany) = count.multipliedReportingOverflow(by: length)
      count = isTooMany ? .max : product
    }
    guard count <= data.count / size, data.count == count * size else {
      throw broken(
        "holds \(data.count) bytes of numbers, and \(shape.map(String.init).joined(separator: " x ")) need more or fewer"
      )
    }
    let flat = data.withUnsafeBytes { raw in (0..<count).map { read(raw, $0) } }
    self.shape = shape
    values = order.1 == "True" && shape.count == 2 ? NumPyArray.transposed(flat, shape) : flat
  }

  /// How one element of a type becomes a double; nil for types that are no numbers.
  private static func reader(_ kind: Substring, _ size: Int) -> ((UnsafeRawBufferPointer, Int) -> Double)? {
    func element<E: BitwiseCopyable>(_ type: E.Type, _ double: @escaping (E) -> Double)
      -> (UnsafeRawBufferPointer, Int) -> Double
    {
      { raw, index in double(raw.loadUnaligned(fromByteOffset: index * MemoryLayout<E>.size, as: E.self)) }
    }
    switch (kind, size) {
    case ("b", 1), ("u", 1): return element(UInt8.self, Double.init)
    case ("i", 1): return element(Int8.self, Double.init)
    case ("i", 2): return element(Int16.self, Double.init)
    case ("u", 2): return element(UInt16.self, Double.init)
    case ("i", 4): return element(Int32.self, Double.init)
    case ("u", 4): return element(UInt32.self, Double.init)
    case ("i", 8): return element(Int64.self, Double.init)
    case ("u", 8): return element(UInt64.self, Double.init)
    case ("f", 2): return element(Float16.self, Double.init)
    case ("f", 4): return element(Float.self, Double.init)
    case ("f", 8): return element(Double.self, { $0 })
    default: return nil
    }
  }

  /// The values of a column-major matrix, row-major.
  private static func transposed(_ values: [Double], _ shape: [Int]) -> [Double] {
    (0..<shape[0]).flatMap { row in (0..<shape[1]).map { values[$0 * shape[0] + row] } }
  }

  /// The file of an array of rows × columns.
  static func bytes<Number: NumPyNumber>(of values: [Number], rows: Int, columns: Int) -> [UInt8] {
    var header = "{'descr': '\(Number.typeName)', 'fortran_order': False, 'shape': (\(rows), \(columns)), }"
    // The header ends in a newline, and the numbers begin at a multiple of 64 bytes.
    let length = (10 + header.utf8.count + 1 + 63) / 64 * 64 - 10
    header += String(repeating: " ", count: length - header.utf8.count - 1) + "\n"
    let head = signature + [1, 0, UInt8(length & 0xFF), UInt8(length >> 8)] + Array(header.utf8)
    return values.withUnsafeBytes { head + Array($0) }
  }
}

/// A number type that is written, with NumPy's name for it.
protocol NumPyNumber: BitwiseCopyable, AdditiveArithmetic {
  static var typeName: String { get }
}

extension UInt8: NumPyNumber { static var typeName: String { "|u1" } }
extension Float: NumPyNumber { static var typeName: String { "<f4" } }
