import Foundation

@testable import Kernel
@testable import Ops

/// The call in an op's own example, on little text, with an argument changed: what laws over all declarations try.
struct ExampleCall {
  /// The statements before the one with the call.
  private let before: String
  private let text: [UInt8]
  private let call: Call
  private let range: Range<Int>

  /// Nil when the example does not call its op.
  init?(_ op: Signature) {
    var small = op.example.replacingOccurrences(of: "./data", with: "DATA")
    small = small.replacing(/samples=[0-9]+/, with: "samples=8").replacing(/length=[0-9]+/, with: "length=32")
    text = Array(small.utf8)
    for statement in Parser.parse(Source(name: op.name, text: small)).statements {
      guard let (call, range) = ExampleCall.find(op.name, in: statement) else { continue }
      self.call = call
      self.range = range
      before = String(decoding: text[..<statement.range.lowerBound], as: UTF8.self)
      return
    }
    return nil
  }

  /// A script that binds `x` to the call, with one argument given anew.
  func script(_ parameter: String? = nil, _ value: String = "") -> String {
    var edited = Array(text[range])
    if let parameter {
      if let given = call.arguments.first(where: { $0.name?.text == parameter }) {
        let place = (given.range.lowerBound - range.lowerBound)..<(given.range.upperBound - range.lowerBound)
        edited.replaceSubrange(place, with: Array("\(parameter)=\(value)".utf8))
      } else {
        edited += Array(" \(parameter)=\(value)".utf8)
      }
    }
    return before + "\nx = " + String(decoding: edited, as: UTF8.self)
  }

  private static func find(_ op: String, in statement: Statement) -> (Call, Range<Int>)? {
    switch statement.kind {
    case .assign(_, let value), .expression(let value), .parameter(_, let value, _): find(op, in: value)
    case .assertion(let a, _, let b): find(op, in: a) ?? find(op, in: b)
    case .meta(let meta): first(meta.arguments.map(\.value), op)
    case .time(let statement): find(op, in: statement)
    case .include: nil
    }
  }

  private static func find(_ op: String, in expression: Kernel.Expression) -> (Call, Range<Int>)? {
    switch expression.kind {
    case .call(let call): call.op.text == op ? (call, expression.range) : first(call.arguments.map(\.value), op)
    case .list(let items): first(items.map(\.value), op)
    case .combine(_, let parts): first(parts, op)
    case .not(let value): find(op, in: value)
    case .pipe(let value, let call): find(op, in: value) ?? find(op, in: call)
    case .loop(let loop): loop.body.lazy.compactMap { find(op, in: $0) }.first
    case .literal, .reference: nil
    }
  }

  private static func first(_ expressions: [Kernel.Expression], _ op: String) -> (Call, Range<Int>)? {
    expressions.lazy.compactMap { find(op, in: $0) }.first
  }
}
