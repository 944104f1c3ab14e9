import Foundation
import Testing

@testable import Kernel
@testable import Ops

@Suite struct CatalogTests {
  @Test func theDeclarationsObeyTheLaws() { #expect(catalog.violations() == []) }

  @Test func theReferencePageIsFresh() throws {
    var root = URL(fileURLWithPath: #filePath)
    for _ in 0..<3 { root.deleteLastPathComponent() }
    let page = root.appendingPathComponent("docs/ops.md")
    let fresh = Reference.markdown(catalog)
    let found = try? String(contentsOf: page, encoding: .utf8)
    if found != fresh { try fresh.write(to: page, atomically: true, encoding: .utf8) }
    #expect(found == fresh, "docs/ops.md was stale and has been rewritten: look at it and commit it")
  }

  @Test func everyIllegalCallIsRefusedByName() {
    for op in catalog.names {
      for call in catalog.illegalCalls(for: op) {
        #expect(catalog.refusal(of: call)?.argument == call.parameter, "\(call)")
      }
    }
  }

  /// The examples of the ops and the notebooks' scripts check against the declarations.
  @Test func everyExampleChecks() {
    var checker = Checker(catalog)
    checker.fileExists = { _ in true }
    for op in catalog.signatures {
      #expect(checker.check(Source(name: op.name, text: op.example)).rendered == "", "\(op.name)")
    }
  }

  /// An op that no script shows is not finished, and one that the catalog leaves out does not exist.
  @Test func everyOpHasALineInTheCatalogAndAScript() throws {
    var root = URL(fileURLWithPath: #filePath)
    for _ in 0..<3 { root.deleteLastPathComponent() }
    for op in catalog.names {
      let script = root.appendingPathComponent("Tests/Scripts/\(op).prn").path
      #expect(FileManager.default.fileExists(atPath: script), "there is no Tests/Scripts/\(op).prn")
    }
    let folder = root.appendingPathComponent("Sources/Ops").path
    let files = try FileManager.default.contentsOfDirectory(atPath: folder).filter { $0.hasSuffix(".swift") }
    #expect(files.count == catalog.names.count + 1, "one file an op, and the catalog")
  }

  /// Scripts kept beside the project; not everyone has them.
  private static let contract: String? = {
    var root = URL(fileURLWithPath: #filePath)
    for _ in 0..<3 { root.deleteLastPathComponent() }
    let folders = ["../shared/scripts", "../../shared/scripts"].map { root.appendingPathComponent($0).path }
    return folders.first { FileManager.default.fileExists(atPath: $0) }
  }()

  @Test(.enabled(if: contract != nil, "there is no folder ../shared/scripts")) func theContractScriptsCheck() throws {
    let folder = try #require(CatalogTests.contract)
    var checker = Checker(catalog)
    checker.fileExists = { _ in true }
    for name in try FileManager.default.contentsOfDirectory(atPath: folder) where name.hasSuffix(".prn") {
      let text = try String(contentsOfFile: folder + "/" + name, encoding: .utf8)
      #expect(checker.check(Source(name: name, text: text)).rendered == "", "\(name)")
    }
  }
}
