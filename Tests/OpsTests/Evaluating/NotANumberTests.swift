import Foundation
import Kernel
import Testing

@testable import Ops

/// A model whose logits overflow gets one sentence that names where, not a report of NaN.
@Suite struct NotANumberTests {
  @Test(arguments: [
    ("held", "window 1"), ("pages", "page 1"),
    ("tasks=\(ScriptBench.data)/../Tests/Fixtures/tasks/piqa.jsonl", "item 1 of piqa"),
  ]) func theReportIsRefused(_ judged: String, _ place: String) throws {
    let model = NSTemporaryDirectory() + "prn-overflow-\(UUID().uuidString)"
    try FileManager.default.copyItem(atPath: ScriptBench.data + "/tiny-llama", toPath: model)
    defer { try? FileManager.default.removeItem(atPath: model) }
    try overflow(model + "/model.safetensors")
    let outcome = try ScriptBench().run(
      """
      m = load \(model)
      held = text DATA/test.txt model=m samples=2 length=16 take=order
      pages = text DATA/../Tests/Fixtures/tasks/pages.txt model=m join=pages
      r = eval m \(judged)
      """)
    let summary = try #require(outcome.diagnostics.first?.summary)
    #expect(summary.hasPrefix("the model gives "))
    #expect(summary.contains(place) && summary.hasSuffix(" a probability that is no number"))
  }

  /// Fills the output head with the largest bfloat16 number.
  private func overflow(_ path: String) throws {
    var bytes = [UInt8](try Data(contentsOf: URL(fileURLWithPath: path)))
    let length = (0..<8).reduce(0) { $0 | Int(bytes[$1]) << (8 * $1) }
    let header = try JSONSerialization.jsonObject(with: Data(bytes[8..<(8 + length)])) as? [String: Any]
    let tensor = try #require(header?["lm_head.weight"] as? [String: Any])
    let offsets = try #require(tensor["data_offsets"] as? [Int])
    for place in stride(from: 8 + length + offsets[0], to: 8 + length + offsets[1], by: 2) {
      (bytes[place], bytes[place + 1]) = (0x7F, 0x7F)
    }
    try Data(bytes).write(to: URL(fileURLWithPath: path))
  }
}
