import Foundation
import Kernel
import Ops
import Testing

/// `prn serve --stdio`, as a notebook uses it.
struct ServeTests {
  let folder: String

  init() throws {
    folder = try Program.temporaryFolder()
    try FileManager.default.createSymbolicLink(
      atPath: folder + "/data", withDestinationPath: Program.root + "/data")
  }

  /// The events that requests are answered with.
  private func serve(_ requests: [String]) throws -> [JSONValue] {
    let result = try Program.run(
      ["serve", "--stdio"], in: folder, input: requests.map { $0 + "\n" }.joined())
    #expect(result.status == 0)
    #expect(result.err.isEmpty)
    return try result.out.split(separator: "\n").map { try JSONValue(parsing: String($0)) }
  }

  private func execute(_ code: String, id: Int) -> String {
    JSONValue.object(["type": "execute", "id": .integer(id), "code": .string(code)]).canonical
  }

  @Test func valuesAndPicturesComeInTheFormsNotebooksShow() throws {
    let events = try serve([
      execute("m = load ./data/tiny-llama", id: 1),
      execute(
        """
        m
        plot (flap (capture m (text ./data/calibration.txt model=m samples=2 length=32) sites=ffn.act keep=moments))
        """, id: 2),
    ])
    let replies = events.filter { $0["event"]?.stringValue == "reply" }
    #expect(replies.map { $0["status"]?.stringValue } == ["ok", "ok"])
    let shown = events.filter { $0["event"]?.stringValue == "display" }.compactMap { $0["data"]?.objectValue }
    #expect(
      shown.map { $0.keys.sorted() } == [["text/html", "text/plain"], ["image/png", "image/svg+xml", "text/plain"]])
    #expect(shown.first?["text/html"]?.stringValue?.contains(">llama</td>") == true)
    #expect(shown.last?["image/svg+xml"]?.stringValue?.hasPrefix("<svg") == true)
    // Lines of steps are no complaint: notebooks print those in red.
    let streams = events.filter { $0["event"] == "stream" }.map { $0["name"]?.stringValue }
    #expect(!streams.isEmpty && streams.allSatisfy { $0 == "stdout" })
    #expect(
      try FileManager.default.contentsOfDirectory(atPath: folder).sorted() == [".prn", "data"],
      "a notebook's picture leaves no file")
  }

  @Test func aPictureThatIsWrittenIsShownToo() throws {
    let events = try serve([execute("m = load ./data/tiny-llama; plot m to=./m.svg", id: 1)])
    #expect(events.contains { $0["data"]?["image/svg+xml"] != nil })
    #expect(FileManager.default.fileExists(atPath: folder + "/m.svg"))
  }

  /// Editors colour the words that the program has: those it tells, and those of the grammar for editors.
  @Test func editorsKnowTheWordsOfTheProgram() throws {
    let words = try #require(try serve([]).first?["words"]?.objectValue).mapValues { list in
      Set(list.arrayValue?.compactMap(\.stringValue) ?? [])
    }
    #expect(words["op"] == Set(catalog.names) && words["session"] == Set(MetaWord.all.map(\.name)))
    let grammar = try JSONValue(
      parsing: String(contentsOfFile: Program.root + "/docs/editors/prn.tmLanguage.json", encoding: .utf8))
    let rules = grammar["patterns"]?.arrayValue ?? []
    func named(_ scopes: String...) -> Set<String> {
      Set(
        rules.filter { scopes.contains($0["name"]?.stringValue ?? "") }.compactMap { $0["match"]?.stringValue }
          .flatMap { $0.matches(of: /[a-z]{2,}/).map { String($0.0) } })
    }
    #expect(named("support.function.session.prn") == words["session"])
    #expect(named("keyword.control.prn", "constant.language.prn") == words["language"])
  }

  @Test func anErrorIsAReplyAndTheSessionGoesOn() throws {
    let events = try serve([execute("x = lod", id: 1), execute("x = 3", id: 2), execute("x", id: 3)])
    let replies = events.filter { $0["event"]?.stringValue == "reply" }
    #expect(replies.map { $0["status"]?.stringValue } == ["error", "ok", "ok"])
    #expect(replies.first?["rendered"]?.stringValue?.contains("did you mean the op `load`?") == true)
    #expect(events.contains { $0["data"]?["text/plain"]?.stringValue == "3" })
  }

  @Test func helpWhileTypingCountsInCharacters() throws {
    let events = try serve([
      #"{"type":"complete","id":1,"code":"x = \"é😀\"\nmk = mas","cursor":17}"#,
      #"{"type":"inspect","id":2,"code":"mk = mask s","cursor":7}"#,
      #"{"type":"is_complete","id":3,"code":"r = for x in 1,2 {"}"#,
      #"{"type":"is_complete","id":4,"code":"m = = 3"}"#,
      #"{"type":"is_complete","id":5,"code":"x = 3"}"#,
    ]).dropFirst()
    let complete = try #require(events.first)
    #expect(complete["start"] == 14)
    #expect(complete["end"] == 17)
    #expect(complete["matches"]?.arrayValue?.first?["text"] == "mask")
    #expect(events.dropFirst().first?["text"]?.stringValue?.hasPrefix("mask ") == true)
    #expect(events.suffix(3).map { $0["status"]?.stringValue } == ["incomplete", "invalid", "complete"])
  }

  @Test func whatIsNoRequestIsToldSo() throws {
    let events = try serve(["nonsense", "[1]", #"{"type":"dance","id":"a"}"#, #"{"type":"shutdown","id":9}"#, "x"])
    let replies = events.filter { $0["event"]?.stringValue == "reply" }
    #expect(replies.map { $0["status"]?.stringValue } == ["error", "error", "error", "ok"])
    #expect(replies[2]["id"] == "a")
    #expect(replies[2]["text"] == "there is no request `dance`")
  }

  @Test func theKernelIsInstalledWhereJupyterLooks() throws {
    let result = try Program.run(["kernel", "install", "--prefix", folder + "/env"], in: folder)
    #expect(result.status == 0)
    let place = folder + "/env/share/jupyter/kernels/prn"
    let specification = try JSONValue(parsing: String(contentsOfFile: place + "/kernel.json", encoding: .utf8))
    #expect(specification["argv"]?.arrayValue?.first == "python3")
    let program = try #require(specification["env"]?["PRN"]?.stringValue)
    #expect(FileManager.default.isExecutableFile(atPath: program))
    #expect(FileManager.default.fileExists(atPath: place + "/prn_kernel.py"))
    #expect(try Program.run(["kernel", "remove"], in: folder).status == 2)
    #expect(try Program.run(["serve"], in: folder).err.contains("`prn serve --stdio`"))
  }
}
