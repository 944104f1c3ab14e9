import Kernel

/// A column of a table in a file: what is written of every row is read back into the same place.
struct Column<Row>: Sendable {
  /// Gets the path below which columns lie, the axis of the rows, and the rows.
  fileprivate let write: @Sendable (any ArtifactWriter, String, String, [Row]) throws -> Void
  fileprivate let read: @Sendable (any ArtifactReader, String, inout [Row]) throws -> Void

  /// A number of each row.
  static func number(
    _ name: String, _ place: WritableKeyPath<Row, Double> & Sendable, _ meaning: String? = nil
  ) -> Column {
    Column(
      write: { writer, group, axis, rows in
        try writer.vector(group + name, rows.map { $0[keyPath: place] }, axis: axis, meaning: meaning)
      },
      read: { reader, group, rows in
        for (i, value) in try reader.array(group + name, as: Double.self).enumerated() {
          rows[i][keyPath: place] = value
        }
      })
  }

  /// A whole number of each row.
  static func whole<Stored: ArtifactElement & FixedWidthInteger>(
    _ name: String, as stored: Stored.Type, _ place: WritableKeyPath<Row, Int> & Sendable, _ meaning: String? = nil
  ) -> Column {
    Column(
      write: { writer, group, axis, rows in
        try writer.vector(group + name, rows.map { Stored($0[keyPath: place]) }, axis: axis, meaning: meaning)
      },
      read: { reader, group, rows in
        for (i, value) in try reader.array(group + name, as: Stored.self).enumerated() {
          rows[i][keyPath: place] = Int(value)
        }
      })
  }

  /// A text of each row.
  static func text(_ name: String, _ place: WritableKeyPath<Row, String> & Sendable) -> Column {
    Column(
      write: { writer, group, axis, rows in
        try writer.strings(group + name, rows.map { $0[keyPath: place] }, axis: axis)
      },
      read: { reader, group, rows in
        for (i, value) in try reader.strings(group + name).enumerated() { rows[i][keyPath: place] = value }
      })
  }

  /// As many numbers of each row; not written where there are none.
  static func list(
    _ name: String, _ place: WritableKeyPath<Row, [Double]> & Sendable, per inner: String, _ meaning: String
  ) -> Column {
    numbers(
      name, [inner], meaning, shape: { [$0[keyPath: place].count] }, get: { $0[keyPath: place] },
      set: { row, values, _ in row[keyPath: place] = Array(values) })
  }

  /// As many lists of as many numbers of each row; not written where there are none.
  static func lists(
    _ name: String, _ place: WritableKeyPath<Row, [[Double]]> & Sendable, per outer: String, _ inner: String,
    _ meaning: String
  ) -> Column {
    numbers(
      name, [outer, inner], meaning, shape: { [$0[keyPath: place].count, $0[keyPath: place].first?.count ?? 0] },
      get: { $0[keyPath: place].flatMap { $0 } },
      set: { row, values, shape in
        row[keyPath: place] = (0..<shape[0]).map { i in Array(values.dropFirst(i * shape[1]).prefix(shape[1])) }
      })
  }

  private static func numbers(
    _ name: String, _ axes: [String], _ meaning: String, shape: @escaping @Sendable (Row) -> [Int],
    get: @escaping @Sendable (Row) -> [Double],
    set: @escaping @Sendable (inout Row, ArraySlice<Double>, [Int]) -> Void
  ) -> Column {
    Column(
      write: { writer, group, axis, rows in
        guard let inner = rows.first.map(shape), !inner.contains(0) else { return }
        try writer.array(
          group + name, rows.flatMap(get), shape: [rows.count] + inner, axes: [axis] + axes, meaning: meaning)
      },
      read: { reader, group, rows in
        guard reader.has(group + name) else { return }
        let inner = Array(try reader.shape(group + name).dropFirst())
        let (all, size) = (try reader.array(group + name, as: Double.self), inner.reduce(1, *))
        for i in rows.indices { set(&rows[i], all.dropFirst(i * size).prefix(size), inner) }
      })
  }
}

extension ArtifactWriter {
  /// - Parameter group: the path below which the columns lie, with its slash.
  func columns<Row>(_ columns: [Column<Row>], of rows: [Row], axis: String, in group: String = "") throws {
    for column in columns { try column.write(self, group, axis, rows) }
  }
}

extension ArtifactReader {
  /// Fills what is written of each row into rows that are there already.
  func fill<Row>(_ rows: inout [Row], _ columns: [Column<Row>], in group: String = "") throws {
    for column in columns { try column.read(self, group, &rows) }
  }
}
