import Kernel

extension TableData.Cell {
  /// A number, or nothing where it is not known.
  static func known(_ value: Double) -> TableData.Cell { value.isNaN ? .missing : .number(value) }
}
